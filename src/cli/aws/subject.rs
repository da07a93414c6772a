//! What the `aws` verbs speak of: targets, accounts, roles, as far as configuration and words tell. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use super::document::Node;
use super::permissions::{Kept, codedeploy};
use super::statement::{Place, one_or_many, partition};
use crate::cli::exit::Trouble;
use crate::domain::{CodeDeploySpec, Retention, RevisionsSpec, S3Spec, Target, TargetName};

/// The number of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct AccountId(String);

impl FromStr for AccountId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.replace('-', "");
        if digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self(digits));
        }
        Err("expected the 12 digits that `aws sts get-caller-identity --query Account --output text` prints".into())
    }
}

impl AccountId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct RoleArn(String);

impl FromStr for RoleArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, iam, region, account, resource] = parts[..] else {
            return Err("expected `arn:aws:iam::123456789012:role/NAME`".into());
        };
        if resource.starts_with("instance-profile/") {
            return Err("an instance profile is no principal: name the role inside of it, `…:role/NAME`".into());
        }
        let is_role = resource.strip_prefix("role/").is_some_and(|name| !name.is_empty());
        if arn != "arn" || iam != "iam" || !region.is_empty() || partition.is_empty() || !is_role {
            return Err("expected `arn:aws:iam::123456789012:role/NAME`".into());
        }
        account.parse::<AccountId>().map_err(|_| format!("`{account}` is not the number of an account"))?;
        Ok(Self(text.to_owned()))
    }
}

impl RoleArn {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The account that it belongs to.
    pub(super) fn account(&self) -> AccountId {
        AccountId(self.0.split(':').nth(4).unwrap_or_default().to_owned())
    }

    /// The path before its name: `/` where there is none.
    pub(super) fn path(&self) -> &str {
        let resource = self.0.split_once(":role").map_or("/", |(_, resource)| resource);
        resource.rfind('/').map_or("/", |end| &resource[..=end])
    }

    /// Its name, without a path.
    pub(super) fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// Several roles as one principal.
pub(super) fn principals(roles: &[RoleArn]) -> Option<Node> {
    let arns: Vec<String> = roles.iter().map(|it| it.0.clone()).collect();
    (!arns.is_empty()).then(|| one_or_many(&arns))
}

/// The targets that were named, as far as AWS has to do with them.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) targets: Vec<Arc<Target>>,
    /// The targets whose objects are promoted to these: that is what is fetched, under the key that it has (row 4).
    tried: Vec<Arc<Target>>,
    /// The targets whose bundles are deleted one day.
    pruned: BTreeSet<TargetName>,
}

impl Subject {
    /// Those of the targets that AWS has to do with; without any there is nothing to print. `all` are those configured.
    pub(super) fn of(targets: Vec<Arc<Target>>, all: &[Arc<Target>]) -> Result<Self, Trouble> {
        let on_aws = |it: &Arc<Target>| codedeploy(it).is_some() || matches!(it.revisions, RevisionsSpec::S3(_));
        let targets: Vec<_> = targets.into_iter().filter(on_aws).collect();
        if targets.is_empty() {
            let message = "none of these targets uses AWS: they neither deploy by CodeDeploy nor keep revisions in S3";
            return Err(Trouble::wrong(message).help("name another target, or another configuration with `-c FILE`"));
        }
        let tried = before(&targets, all);
        Ok(Self { targets, tried, pruned: BTreeSet::new() })
    }

    /// The same, of a configuration that deletes bundles of these targets.
    pub(super) fn pruning(mut self, retention: &BTreeMap<TargetName, Retention>) -> Self {
        self.pruned = retention.keys().cloned().collect();
        self
    }

    /// The groups that the bot's own role deploys to.
    pub(super) fn at_home(&self) -> Vec<&CodeDeploySpec> {
        self.specs().filter(|it| it.assume_role.is_none()).collect()
    }

    /// The groups that a role of another account deploys to.
    pub(super) fn by_role(&self, role: &str) -> Vec<&CodeDeploySpec> {
        self.specs().filter(|it| it.assume_role.as_deref() == Some(role)).collect()
    }

    /// All groups.
    pub(super) fn specs(&self) -> impl Iterator<Item = &CodeDeploySpec> {
        self.targets.iter().filter_map(|it| codedeploy(it))
    }

    /// The roles that the bot takes to deploy, each once.
    pub(super) fn roles(&self) -> Vec<&str> {
        each_once(self.specs().filter_map(|it| it.assume_role.as_deref()))
    }

    /// The account of the groups, where one role says it.
    pub(super) fn account_of_groups(&self) -> Option<AccountId> {
        match self.roles()[..] {
            [role] => role.parse::<RoleArn>().ok().map(|it| it.account()),
            _ => None,
        }
    }

    /// All roles that the bot takes, each once: to deploy, and for buckets that have one of their own (row 24).
    pub(super) fn all_roles(&self) -> Vec<&str> {
        let of_buckets = self.buckets().filter_map(|it| it.assume_role.as_deref());
        each_once(self.specs().filter_map(|it| it.assume_role.as_deref()).chain(of_buckets))
    }

    /// The external ids that a role is taken with, each once.
    pub(super) fn external_ids(&self, role: &str) -> Vec<Option<&str>> {
        let to_deploy = self.specs().map(|it| (&it.assume_role, &it.external_id));
        let to_keep = self.buckets().map(|it| (&it.assume_role, &it.external_id));
        let mut ids: Vec<Option<&str>> = to_deploy
            .chain(to_keep)
            .filter(|(taken, _)| taken.as_deref() == Some(role))
            .map(|(_, id)| id.as_deref())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn buckets(&self) -> impl Iterator<Item = &S3Spec> {
        self.targets.iter().filter_map(|it| match &it.revisions {
            RevisionsSpec::S3(spec) => Some(spec),
            RevisionsSpec::Directory { .. } => None,
        })
    }

    /// Where bundles are kept that are reached by this role, or by the bot's own: each place once.
    pub(super) fn kept_by(&self, role: Option<&str>) -> Vec<Kept> {
        self.kept().into_iter().filter(|it| it.role.as_deref() == role).collect()
    }

    /// The objects that are deleted one day by this role, or by the bot's own.
    pub(super) fn pruned_by(&self, role: Option<&str>, place: &Place) -> Vec<String> {
        let pruned = self.targets.iter().filter(|it| self.pruned.contains(&it.name));
        let objects = pruned.filter_map(|it| Kept::objects_of(it, place));
        objects.filter(|(kept, _)| kept.role.as_deref() == role).map(|(_, objects)| objects).collect()
    }

    /// Where bundles are kept, each place once.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut places: Vec<Kept> = Vec::new();
        let own: Vec<Kept> = self.targets.iter().filter_map(|it| Kept::of(it)).collect();
        let tried = self.tried.iter().filter_map(|it| Kept::of(it));
        let shared = tried.filter(|it| own.iter().any(|own| own.bucket == it.bucket));
        for place in own.iter().cloned().chain(shared) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// The regions, each once.
    pub(super) fn regions(&self) -> Vec<String> {
        let of_groups = self.specs().map(|it| it.region.clone());
        let mut regions: Vec<String> = of_groups.chain(self.kept().into_iter().map(|it| it.region)).collect();
        regions.sort();
        regions.dedup();
        regions
    }

    /// The one partition that all of it is in: credentials never reach beyond theirs.
    pub(super) fn partition(&self) -> Result<&'static str, Trouble> {
        let mut worlds: Vec<&'static str> = self.regions().iter().map(|it| partition(it)).collect();
        worlds.dedup();
        match worlds[..] {
            [one] => Ok(one),
            _ => Err(Trouble::wrong(format!(
                "these targets are in separate worlds of AWS ({}), which share no accounts",
                self.regions().join(", ")
            ))
            .help("name the targets of one world, as in `landfall aws policy TARGET`")),
        }
    }

    /// The place of ARNs: an account that was typed, or the one that `known` gives. Nobody's is made up.
    pub(super) fn place(&self, typed: Option<&AccountId>, known: Option<AccountId>) -> Result<Place, Trouble> {
        let partition = self.partition()?.to_owned();
        if let (Some(typed), Some(known)) = (typed, &known)
            && typed != known
        {
            let (typed, known) = (typed.as_str(), known.as_str());
            let message = format!("`--account` is {typed}, and the role in the configuration belongs to {known}");
            return Err(Trouble::wrong(message).help("leave `--account` out, or correct `assume_role`"));
        }
        let Some(account) = typed.cloned().or(known) else {
            let names: Vec<String> = self.targets.iter().map(|it| format!("`{}`", it.name)).collect();
            let message = format!("the number of the account that holds {} is not known", names.join(", "));
            let help = "add `--account $(aws sts get-caller-identity --query Account --output text)`";
            return Err(Trouble::wrong(message).help(help));
        };
        Ok(Place { partition, account: account.0 })
    }
}

fn each_once<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once: Vec<&str> = Vec::new();
    for it in all {
        if !once.contains(&it) {
            once.push(it);
        }
    }
    once
}

/// The targets from which something may be promoted to these, however many steps before.
fn before(targets: &[Arc<Target>], all: &[Arc<Target>]) -> Vec<Arc<Target>> {
    let mut found: Vec<Arc<Target>> = targets.to_vec();
    let mut next = 0;
    while let Some(target) = found.get(next).cloned() {
        let promotes = |it: &&Arc<Target>| it.promote_to.contains(&target.name);
        let new: Vec<_> = all
            .iter()
            .filter(promotes)
            .filter(|it| !found.iter().any(|known| known.name == it.name))
            .cloned()
            .collect();
        found.extend(new);
        next += 1;
    }
    found.split_off(targets.len())
}
