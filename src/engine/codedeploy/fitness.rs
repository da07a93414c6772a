//! Whether what a target chooses fits the application, group and deployment configuration that it is for. One judgement
//! a question, for deployments and for `doctor` alike; what it judges was asked by others, and nothing is called but for
//! the names that may have been meant.

use aws_sdk_codedeploy::types::{
    DeploymentConfigInfo, DeploymentGroupInfo, DeploymentType, MinimumHealthyHosts, MinimumHealthyHostsType,
};

use super::engine::CodeDeployEngine;
use super::known::{self, Application};
use super::trouble::Trouble;
use crate::domain::{Failure, Finding, Platform, RevisionForm};

impl CodeDeployEngine {
    /// The configuration's word and the application's must be one (row 1).
    pub(super) fn other_platform(&self, found: Platform) -> Option<Finding> {
        let said = self.spec.platform.filter(|said| *said != found)?;
        let text = format!("the target is configured for {said}, and {}", self.application_is_for(found));
        let help = "correct `platform` or `application` under `[target.engine]`";
        Some(Finding::error("codedeploy/other-platform", text).help(help))
    }

    pub(super) fn application_is_for(&self, platform: Platform) -> String {
        format!("application `{}` is for {platform}", self.spec.application)
    }

    /// What is set for servers, where there are none: it is not sent.
    pub(super) fn for_servers_only(&self, platform: Platform) -> Vec<Finding> {
        let said = |name| {
            let text = format!("`{name}` is for servers, and {}", self.application_is_for(platform));
            Finding::warning("codedeploy/for-servers-only", text).help(format!("remove `{name}`: it is not sent"))
        };
        let set = if platform == Platform::Server { vec![] } else { self.spec.for_servers() };
        set.into_iter().map(said).collect()
    }

    /// An application that fetches from GitHub by itself was linked to it once, in the console (row 20).
    pub(super) fn not_linked(&self, application: Application) -> Option<Finding> {
        let wanted = self.spec.revision == Some(RevisionForm::GitHub) && !application.linked_to_github;
        let text =
            format!("application `{}` is not linked to GitHub, so that it can fetch nothing", self.spec.application);
        let help = "link it once: in the console, create a deployment of a revision on GitHub, and connect the account";
        wanted.then(|| Finding::error("codedeploy/not-linked", text).help(help))
    }

    /// Other instances take over only where a group replaces its instances (row 33).
    pub(super) fn not_blue_green(&self, group: &DeploymentGroupInfo, platform: Platform) -> Option<Finding> {
        let kind = group.deployment_style().and_then(|it| it.deployment_type());
        let in_place = platform == Platform::Server && matches!(kind, None | Some(DeploymentType::InPlace));
        let text =
            format!("`target_instances` is for blue/green, and group `{}` is in-place", self.spec.deployment_group);
        let help = "take it out, or make the group blue/green with instances that exist already";
        let misses = self.spec.target_instances.is_some() && in_place;
        misses.then(|| Finding::error("codedeploy/not-blue-green", text).help(help))
    }

    /// A deployment configuration is for one platform (row 27).
    pub(super) fn config_of_other(
        &self,
        name: &str,
        config: &DeploymentConfigInfo,
        platform: Platform,
    ) -> Option<Finding> {
        let found = known::platform(config.compute_platform()).filter(|found| *found != platform)?;
        let text =
            format!("deployment configuration `{name}` is for {found}, and {}", self.application_is_for(platform));
        let help = "name one for the application's platform, or leave it to the deployment group";
        Some(Finding::error("codedeploy/config-of-other-platform", text).help(help))
    }

    /// The deployment configuration that a deployment will have: the target's, or else the group's.
    pub(super) fn config_in_force<'a>(&'a self, group: &'a DeploymentGroupInfo) -> &'a str {
        let own = self.spec.deployment_config.as_deref();
        own.or(group.deployment_config_name()).unwrap_or(known::USUAL_CONFIG)
    }

    /// The failure of a call, with the name that was probably meant where none like it is there (rows 2, 3 and 27).
    pub(super) async fn explained(&self, trouble: &Trouble) -> Failure {
        let (account, spec) = (&self.account, &self.spec);
        let near = match trouble.code() {
            Some("ApplicationDoesNotExistException") => nearest(&spec.application, &account.application_names().await),
            Some("DeploymentGroupDoesNotExistException") => {
                nearest(&spec.deployment_group, &account.group_names(&spec.application).await)
            }
            Some("DeploymentConfigDoesNotExistException") => match &spec.deployment_config {
                Some(own) => nearest(own, &account.config_names().await),
                None => None,
            },
            Some(_) | None => None,
        };
        let failure = trouble.failure(spec);
        match near {
            Some(name) => failure.help(format!("did you mean `{name}`?")),
            None => failure,
        }
    }
}

/// How many instances a deployment configuration updates at a time, of as many as there were last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many of so many.
    For { batch: i64, instances: i64 },
    /// None: so many must stay healthy of so many, and CodeDeploy fails at once.
    None { minimum: i64, instances: i64 },
}

impl Room {
    /// Nothing where the configuration has no minimum of hosts, or one of a kind that came later.
    pub(super) fn of(config: &DeploymentConfigInfo, instances: i64) -> Option<Self> {
        let minimum = minimum_of(config.minimum_healthy_hosts()?, instances)?;
        Some(if minimum >= instances {
            Self::None { minimum, instances }
        } else {
            Self::For { batch: instances - minimum, instances }
        })
    }

    /// That no instance can be updated (row 42). It is a guess: there may be other instances by now.
    pub(super) fn lacks(self, name: &str) -> Option<Finding> {
        let Self::None { minimum, instances } = self else { return None };
        let text = format!("`{name}` keeps {minimum} of {instances} instances healthy, and leaves none to be updated");
        let help = "lower its minimum of healthy hosts, add instances, or choose another `deployment_config`";
        Some(Finding::error("codedeploy/no-room", text).help(help))
    }
}

/// Whether so many hosts have to stay healthy that it depends on how many there are.
pub(super) fn keeps_some(config: &DeploymentConfigInfo) -> bool {
    config.minimum_healthy_hosts().and_then(|it| minimum_of(it, 100)).is_some_and(|minimum| minimum > 0)
}

/// How many instances have to stay healthy. Percentages are rounded up to hosts; a type of later days says nothing.
fn minimum_of(healthy: &MinimumHealthyHosts, instances: i64) -> Option<i64> {
    let value = i64::from(healthy.value());
    match healthy.r#type() {
        Some(MinimumHealthyHostsType::HostCount) => Some(value),
        Some(MinimumHealthyHostsType::FleetPercent) => Some((instances * value + 99) / 100),
        Some(_) | None => None,
    }
}

/// The name that was probably meant.
fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let distance = |name: &String| strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    names.iter().map(|name| (distance(name), name)).min().filter(|(far, _)| *far <= 3).map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(kind: MinimumHealthyHostsType, value: i32, instances: i64) -> Option<Room> {
        let healthy = MinimumHealthyHosts::builder().r#type(kind).value(value).build();
        Room::of(&DeploymentConfigInfo::builder().minimum_healthy_hosts(healthy).build(), instances)
    }

    #[test]
    fn a_minimum_of_healthy_hosts_leaves_room_or_is_told_row_42() {
        use MinimumHealthyHostsType::{FleetPercent, HostCount};
        let full = Room::None { minimum: 10, instances: 10 };
        assert_eq!(room(FleetPercent, 95, 10), Some(full), "rounded up to hosts");
        let text = "`slowly` keeps 10 of 10 instances healthy, and leaves none to be updated";
        assert_eq!(full.lacks("slowly").map(|it| it.message), Some(text.to_owned()));
        let half = Room::For { batch: 5, instances: 10 };
        assert_eq!((room(FleetPercent, 50, 10), half.lacks("slowly")), (Some(half), None));
        assert_eq!(room(HostCount, 1, 1), Some(Room::None { minimum: 1, instances: 1 }));
        assert_eq!(room(HostCount, 0, 1), Some(Room::For { batch: 1, instances: 1 }));
        assert_eq!(room(MinimumHealthyHostsType::from("MOST_CONCURRENCY"), 1, 1), None);
    }

    #[test]
    fn only_a_near_name_is_suggested_rows_2_and_3() {
        let names = ["production".to_owned(), "staging".to_owned()];
        assert_eq!(nearest("Prodution", &names).as_deref(), Some("production"));
        assert_eq!(nearest("blue", &names), None);
    }
}
