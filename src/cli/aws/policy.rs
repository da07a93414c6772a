//! `landfall aws policy`: who may do what, and who may become whom. One document at a time, fit for `file://`.

use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::document::Node;
use super::permissions::{Extras, Kept, to_become, to_deploy, to_keep, to_prune};
use super::statement::{Place, Statement, policy};
use super::subject::{AccountId, RoleArn, Subject, principals};
use super::trust;
use crate::cli::configuration::{ConfigArgs, chosen};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::terminal::{say, talk};
use crate::config::Environment;
use crate::domain::Target;

/// What IAM takes in a managed policy, counted without blanks. A role's own policies take 10,240 together.
const MANAGED_AT_MOST: usize = 6_144;

/// Whose policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Of {
    /// What the bot's own role may do
    #[default]
    Bot,
    /// What a role of another account may do, which the bot takes (`assume_role`)
    AssumedRole,
    /// Who may take that role
    AssumedRoleTrust,
    /// Who may take CodeDeploy's service role
    ServiceTrust,
    /// What the instances' role may do
    Instance,
    /// Who may take the instances' role
    InstanceTrust,
    /// Who may publish to the topic that wakes the bot up
    Topic,
}

/// The arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct PolicyArgs {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    #[command(flatten)]
    config: ConfigArgs,

    /// Whose policy to print
    #[arg(long, value_enum, default_value_t)]
    of: Of,

    /// The account's number, 12 digits; `assume_role` says it for roles of other accounts
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountId>,

    /// Which role, where the targets take several: one to deploy, another for their bucket
    #[arg(long, value_name = "ARN")]
    role: Option<RoleArn>,

    /// The bot's own role, for the trust of another account's
    #[arg(long, value_name = "ARN")]
    bot_role: Option<RoleArn>,

    /// The key that the bucket encrypts with, where it has one of its own
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,

    /// Let `landfall doctor` ask for names nearly right and for the bucket's encryption too
    #[arg(long)]
    doctor: bool,

    /// Let instances ask under IAM too (`:enable_auth_policy: true`, VPC endpoints)
    #[arg(long)]
    agent_under_iam: bool,

    /// The topic's name
    #[arg(long, value_name = "NAME", default_value = "landfall")]
    topic: String,

    /// The name of the rule that publishes to it
    #[arg(long, value_name = "NAME", default_value = "landfall")]
    rule: String,
}

pub(super) fn run(args: &PolicyArgs, environment: &Environment) -> Outcome {
    let config = args.config.load_without_secrets(environment)?;
    let subject = Subject::of(chosen(&config, &args.targets)?, &config.targets)?.pruning(&config.retention);
    let statements = args.statements(&subject)?;
    let document = policy(&statements);
    say(&format!("{}\n", document.json()));
    args.comment(&subject, &document);
    Ok(Exit::Done)
}

impl PolicyArgs {
    fn extras(&self) -> Extras {
        Extras { kms_key: self.kms_key.clone(), doctor: self.doctor }
    }

    fn statements(&self, subject: &Subject) -> Result<Vec<Statement>, Trouble> {
        match self.of {
            Of::Bot => self.of_the_bot(subject),
            Of::AssumedRole => {
                let role = self.role(subject)?;
                let place = subject.place(self.account.as_ref(), Some(role.account()))?;
                let mut statements = to_deploy(&subject.by_role(role.as_str()), &place, &self.extras());
                statements.extend(to_keep(&subject.kept_by(Some(role.as_str())), &place, &self.extras()));
                statements.extend(to_prune(&subject.pruned_by(Some(role.as_str()), &place)));
                Ok(statements)
            }
            Of::AssumedRoleTrust => self.of_the_roles_trust(subject),
            Of::ServiceTrust => {
                let specs: Vec<_> = subject.specs().collect();
                if specs.is_empty() {
                    return Err(no_group());
                }
                let known = subject.account_of_groups();
                let place = subject.place(self.account.as_ref(), known)?;
                Ok(vec![trust::of_codedeploy(&specs, &place, None)])
            }
            Of::Instance => self.of_the_instances(subject),
            Of::InstanceTrust => Ok(vec![trust::of_service("ec2.amazonaws.com")]),
            Of::Topic => self.of_the_topic(subject),
        }
    }

    fn of_the_bot(&self, subject: &Subject) -> Result<Vec<Statement>, Trouble> {
        let at_home = subject.at_home();
        let place = if at_home.is_empty() {
            // Neither buckets nor other accounts' roles are named by our own number.
            Place { partition: subject.partition()?.to_owned(), account: String::new() }
        } else {
            subject.place(self.account.as_ref(), None)?
        };
        let mut statements = to_deploy(&at_home, &place, &self.extras());
        statements.extend(to_keep(&subject.kept_by(None), &place, &self.extras()));
        statements.extend(to_prune(&subject.pruned_by(None, &place)));
        statements.extend(to_become(&subject.all_roles()));
        Ok(statements)
    }

    fn of_the_roles_trust(&self, subject: &Subject) -> Result<Vec<Statement>, Trouble> {
        let role = self.role(subject)?;
        let Some(bot) = principals(&Vec::from_iter(self.bot_role.clone())) else {
            let message = format!("who is to take `{}` is not known", role.as_str());
            return Err(Trouble::wrong(message).help("name the bot's own role: `--bot-role ARN`"));
        };
        match subject.external_ids(role.as_str())[..] {
            [id] => Ok(vec![trust::of_the_bot(bot, id)]),
            _ => Err(Trouble::wrong("these targets take one role with different external ids")
                .help("give them one `external_id`, or name one target")),
        }
    }

    fn of_the_instances(&self, subject: &Subject) -> Result<Vec<Statement>, Trouble> {
        let kept = subject.kept();
        if kept.is_empty() {
            return Err(Trouble::wrong("none of these targets keeps bundles in S3: instances read nothing there")
                .help("name a target with `s3 = { … }` under `[target.revisions]`"));
        }
        let place = Place { partition: subject.partition()?.to_owned(), account: String::new() };
        let regions: Vec<String> = subject.specs().map(|it| it.region.clone()).collect();
        let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
        let mut statements = trust::of_instances(&kept, &regions, &place, self.kms_key.as_deref());
        statements.extend(self.agent_under_iam.then(trust::of_agents));
        Ok(statements)
    }

    fn of_the_topic(&self, subject: &Subject) -> Result<Vec<Statement>, Trouble> {
        let regions = subject.regions();
        let [region] = &regions[..] else {
            let message = format!("a topic lies in one region, and these targets are in {}", regions.join(", "));
            return Err(Trouble::wrong(message).help("name the targets of one region"));
        };
        let known = subject.account_of_groups();
        let place = subject.place(self.account.as_ref(), known)?;
        let topic = place.arn("sns", region, &self.topic);
        Ok(vec![trust::of_topic(&topic, &place.arn("events", region, &format!("rule/{}", self.rule)))])
    }

    /// The one role of another account that is meant.
    fn role(&self, subject: &Subject) -> Result<RoleArn, Trouble> {
        let roles = subject.all_roles();
        if let Some(named) = &self.role {
            let known = roles.contains(&named.as_str());
            return known.then(|| named.clone()).ok_or_else(|| {
                let help = if roles.is_empty() {
                    "leave `--role` out".into()
                } else {
                    format!("name one of {}", roles.join(", "))
                };
                Trouble::wrong(format!("none of these targets takes the role `{}`", named.as_str())).help(help)
            });
        }
        match roles[..] {
            [role] => role.parse().map_err(|why| {
                Trouble::wrong(format!("`assume_role` is `{role}`: {why}")).help("correct it in the configuration")
            }),
            [] => Err(Trouble::wrong("none of these targets takes a role of another account")
                .help("add `assume_role` under `[target.engine]`, or leave `--of` out")),
            ref several => {
                let message = format!("these targets take {} roles: {}", several.len(), several.join(", "));
                Err(Trouble::wrong(message).help("name one, as in `landfall aws policy --of assumed-role --role ARN`"))
            }
        }
    }

    /// What is left to do, for whoever reads along.
    fn comment(&self, subject: &Subject, document: &Node) {
        let length = serde_json::to_string(document).map_or(0, |it| it.len());
        if self.of == Of::Bot && length > MANAGED_AT_MOST {
            talk(&format!(
                "note: the policy has {length} characters, and a managed policy takes {MANAGED_AT_MOST}: \
                 name some targets at a time, and attach several\n"
            ));
        }
        if self.of == Of::Bot {
            let roles = subject.all_roles();
            for role in &roles {
                let which = if roles.len() > 1 { format!(" --role {role}") } else { String::new() };
                talk(&format!("note: `{role}` needs a policy of its own: add `--of assumed-role{which}`\n"));
                talk(&format!(
                    "note: and it has to trust the bot: add `--of assumed-role-trust{which} --bot-role ARN`\n"
                ));
            }
        }
    }
}

/// The statement that would have allowed a denied action of a target, as JSON on one line. Whose account it is stands in
/// the denial, which names the ARN that asked; where it does not, there is nothing to print: no number is made up.
pub(in crate::cli) fn missing_statement(target: &Arc<Target>, action: &str, denial: &str) -> Option<String> {
    let subject = Subject::of(vec![target.clone()], &[]).ok()?;
    let partition = subject.partition().ok()?.to_owned();
    let place = Place { partition, account: account_in(denial).unwrap_or_default().to_owned() };
    let extras = Extras { doctor: true, ..Extras::default() };
    let specs: Vec<_> = if place.account.is_empty() { vec![] } else { subject.specs().collect() };
    let objects: Vec<String> = Kept::objects_of(target, &place).map(|(_, objects)| objects).into_iter().collect();
    let statements = to_deploy(&specs, &place, &extras).into_iter().chain(to_keep(&subject.kept(), &place, &extras));
    let statements = statements.chain(to_prune(&objects));
    let wanted = |it: &Statement| action.split(" and ").any(|action| it.speaks_of(action));
    let missing: Vec<_> = statements.filter(wanted).map(|it| it.node()).collect();
    match &missing[..] {
        [] => None,
        [one] => serde_json::to_string(one).ok(),
        several => serde_json::to_string(several).ok(),
    }
}

/// The number of the account in the first ARN of IAM or STS that a text names.
fn account_in(text: &str) -> Option<&str> {
    let after = ["iam::", "sts::"].iter().filter_map(|mark| text.split_once(mark)).map(|(_, rest)| rest).next()?;
    let number = after.split(':').next()?;
    number.parse::<AccountId>().is_ok().then_some(number)
}

fn no_group() -> Trouble {
    Trouble::wrong("none of these targets deploys by CodeDeploy").help("name one whose engine is `codedeploy`")
}
