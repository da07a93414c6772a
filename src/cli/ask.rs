//! `deploy`, `redeploy`, `rollback`, `restart`, `stop`, `approve`, `reject`: asking the server for something. The server decides.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::apply::FileExistsArg;
use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::live::{Following, follow};
use super::server::{Server, ServerArgs};
use super::status::{target_named, targets_in, understood};
use super::terminal::{say, say_json, talk};
use crate::config::Environment;
use crate::domain::{Approval, Ask, CommitPrefix, DeployOptions, DeploymentId, RefName, TargetName};

/// What all of them take.
#[derive(Debug, Args)]
pub(super) struct Asking {
    /// Print the server's answer
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// What may be chosen for one deployment.
#[derive(Debug, Args)]
struct Choices {
    /// Another deployment configuration, such as `CodeDeployDefault.AllAtOnce`
    #[arg(long, value_name = "NAME")]
    deployment_config: Option<String>,

    /// Go on when `ApplicationStop`, `BeforeBlockTraffic` or `AfterBlockTraffic` fails: they are the earlier revision's
    #[arg(long)]
    ignore_application_stop_failures: bool,

    /// What to do with files that exist already: DISALLOW, OVERWRITE or RETAIN
    #[arg(long, value_name = "WHAT", value_enum, ignore_case = true)]
    file_exists_behavior: Option<FileExistsArg>,

    /// Leave instances alone that run this revision already
    #[arg(long)]
    outdated_only: bool,

    /// Let no alarm stop it, such as one that is active because of what is to be replaced
    #[arg(long)]
    ignore_alarms: bool,

    /// Release it although a freeze window is open, for this reason, which is recorded and shown
    #[arg(long = "override", value_name = "REASON")]
    override_freeze: Option<String>,
}

impl Choices {
    fn options(&self) -> DeployOptions {
        DeployOptions {
            deployment_config: self.deployment_config.clone(),
            ignore_application_stop_failures: self.ignore_application_stop_failures,
            file_exists_behavior: self.file_exists_behavior.map(Into::into),
            outdated_only: self.outdated_only,
            ignore_alarms: self.ignore_alarms,
            override_freeze: self.override_freeze.clone(),
        }
    }
}

/// What every verb takes that begins a deployment.
#[derive(Debug, Args)]
struct Beginning {
    #[command(flatten)]
    following: Following,

    #[command(flatten)]
    choices: Choices,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `deploy`.
#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// The target
    #[arg(value_name = "TARGET", add = completions::targets())]
    target: TargetName,

    /// The branch, a full name such as refs/tags/v1, or a commit; the target's own branch, unless given
    ///
    /// A commit is named by its hash or 7 digits of it at least, and has to be part of a branch or tag that the target
    /// takes. It is deployed although there are newer ones, and the next push deploys as ever. A branch whose name looks
    /// like a commit needs its full name, refs/heads/NAME.
    #[arg(value_name = "REF", value_parser = RefName::or_commit)]
    wanted: Option<(Option<RefName>, Option<CommitPrefix>)>,

    #[command(flatten)]
    beginning: Beginning,
}

/// The arguments of `redeploy`.
#[derive(Debug, Args)]
pub(super) struct RedeployArgs {
    /// The deployment whose commit is deployed again
    #[arg(value_name = "ID", add = completions::deployments())]
    deployment: DeploymentId,

    #[command(flatten)]
    beginning: Beginning,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The target
    #[arg(value_name = "TARGET", add = completions::targets())]
    target: TargetName,

    /// The deployment whose revision is brought back; the one before what is there now, unless given
    #[arg(long, value_name = "ID", add = completions::deployments())]
    to: Option<DeploymentId>,

    #[command(flatten)]
    beginning: Beginning,
}

/// The arguments of `restart`.
#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// The target
    #[arg(value_name = "TARGET", add = completions::targets())]
    target: TargetName,

    #[command(flatten)]
    beginning: Beginning,
}

/// The arguments of `stop`.
#[derive(Debug, Args)]
pub(super) struct StopArgs {
    /// The deployment
    #[arg(value_name = "ID", add = completions::deployments())]
    deployment: DeploymentId,

    /// Bring the last good revision back; on Lambda that is always done
    #[arg(long)]
    rollback: bool,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `approve`.
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    /// The deployment
    #[arg(value_name = "ID", add = completions::deployments())]
    deployment: DeploymentId,

    /// Release it although a freeze window is open, for this reason, which is recorded and shown
    #[arg(long = "override", value_name = "REASON")]
    override_freeze: Option<String>,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `reject`.
#[derive(Debug, Args)]
pub(super) struct RejectArgs {
    /// The deployment
    #[arg(value_name = "ID", add = completions::deployments())]
    deployment: DeploymentId,

    /// Why, for whoever pushed it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    asking: Asking,
}

pub(super) fn deploy(args: &DeployArgs, environment: &Environment) -> Outcome {
    let server = args.beginning.asking.server.find(environment)?;
    let (reference, sha) = match &args.wanted {
        Some(wanted) => wanted.clone(),
        None => (Some(own_branch(&server, &args.target)?), None),
    };
    let options = args.beginning.choices.options();
    let ask = Ask::Deploy { target: args.target.clone(), reference, sha, options };
    args.beginning.born(&server, &ask, environment)
}

pub(super) fn redeploy(args: &RedeployArgs, environment: &Environment) -> Outcome {
    let options = args.beginning.choices.options();
    args.beginning.ask(environment, &Ask::Redeploy { deployment: args.deployment, options })
}

pub(super) fn rollback(args: &RollbackArgs, environment: &Environment) -> Outcome {
    let options = args.beginning.choices.options();
    args.beginning.ask(environment, &Ask::Rollback { target: args.target.clone(), to: args.to, options })
}

pub(super) fn restart(args: &RestartArgs, environment: &Environment) -> Outcome {
    let options = args.beginning.choices.options();
    args.beginning.ask(environment, &Ask::Restart { target: args.target.clone(), options })
}

pub(super) fn stop(args: &StopArgs, environment: &Environment) -> Outcome {
    let ask = Ask::Stop { deployment: args.deployment, rollback: args.rollback };
    done(&args.asking, environment, &ask, &format!("asked to stop {}", args.deployment))
}

pub(super) fn approve(args: &ApproveArgs, environment: &Environment) -> Outcome {
    let of = args.override_freeze.as_ref().map(|_| Approval::Freeze);
    let ask = Ask::Approve { deployment: args.deployment, of, reason: args.override_freeze.clone() };
    done(&args.asking, environment, &ask, &format!("approved {}", args.deployment))
}

pub(super) fn reject(args: &RejectArgs, environment: &Environment) -> Outcome {
    let ask = Ask::Reject { deployment: args.deployment, reason: args.reason.clone() };
    done(&args.asking, environment, &ask, &format!("rejected {}", args.deployment))
}

pub(super) fn until(now: Timestamp, long: Duration) -> Result<Timestamp, Trouble> {
    let long = SignedDuration::try_from(long).ok();
    long.and_then(|long| now.checked_add(long).ok())
        .ok_or_else(|| Trouble::wrong("that would last longer than the calendar").help("leave `--for` out"))
}

/// The one branch that a target names without a wildcard.
fn own_branch(server: &Server, name: &TargetName) -> Result<RefName, Trouble> {
    let target = target_named(targets_in(server.get("/api/v1/targets")?)?, name.as_str())?;
    let plain = target.rules.iter().filter_map(|rule| rule.strip_prefix("branch "));
    let plain: Vec<&str> = plain.filter(|branch| !branch.contains(['*', '?', '[', '{'])).collect();
    match plain.as_slice() {
        [branch] => RefName::from_short(branch).map_err(|unfit| Trouble::wrong(unfit.to_string())),
        _ => Err(Trouble::wrong(format!("`{name}` takes more than one branch, so which one is not clear"))
            .help(format!("name it: `landfall deploy {name} REF`"))),
    }
}

/// Asks once: a key of its own makes a second try harmless.
fn ask(server: &Server, what: &Ask) -> Result<Value, Trouble> {
    let body = json!({ "key": random_key()?, "what": what });
    server.post("/api/v1/requests", &body)
}

/// A key that nobody else uses.
pub(super) fn random_key() -> Result<String, Trouble> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Trouble::unreachable(format!("no random bytes are to be had: {error}")))?;
    // The form of a version 4 UUID, which is what GitHub's ids look like too.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    Ok([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}

pub(super) fn done(asking: &Asking, environment: &Environment, what: &Ask, told: &str) -> Outcome {
    let answer = ask(&asking.server.find(environment)?, what)?;
    if asking.json {
        say_json(&answer);
    } else {
        // The server may know better what comes of it.
        talk(&format!("{}\n", answer["text"].as_str().unwrap_or(told)));
    }
    Ok(Exit::Done)
}

impl Beginning {
    fn ask(&self, environment: &Environment, what: &Ask) -> Outcome {
        self.born(&self.asking.server.find(environment)?, what, environment)
    }

    fn born(&self, server: &Server, what: &Ask, environment: &Environment) -> Outcome {
        born(server, what, &self.following, self.asking.json, environment)
    }
}

/// Asks for deployments, and follows what is born where that is wanted.
pub(super) fn born(
    server: &Server,
    what: &Ask,
    following: &Following,
    json: bool,
    environment: &Environment,
) -> Outcome {
    let answer = ask(server, what)?;
    let ids: Vec<String> = understood(answer["deployments"].clone())?;
    if ids.is_empty() {
        return Err(Trouble::wrong("nothing was planned for this request").help("look at `landfall status`"));
    }
    let is_followed = following.is_wanted(json);
    if json && !is_followed {
        say_json(&answer);
        return Ok(Exit::Done);
    }
    if let Some(told) = answer["text"].as_str().filter(|_| !json) {
        talk(&format!("{told}\n"));
    }
    let mut exit = Exit::Done;
    for id in &ids {
        if !json {
            say(&format!("{id}\n"));
        }
        if !is_followed {
            talk(&format!("follow it with `landfall status --watch {id}`\n"));
            continue;
        }
        let ended = follow(server, id, json, environment)?;
        if ended == Exit::Interrupted {
            return Ok(ended);
        }
        if ended != Exit::Done {
            exit = ended;
        }
    }
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_githubs_and_differ() {
        let key = random_key().unwrap();
        assert_eq!(key.len(), 36);
        assert_eq!(&key[14..15], "4");
        assert_ne!(key, random_key().unwrap());
        assert!(crate::domain::DeliveryId::parse(key).is_ok());
    }
}
