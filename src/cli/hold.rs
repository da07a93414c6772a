//! `lock`, `locks`, `unlock`, `pause`, `resume`: keeping releases back and letting them go. The server decides.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Asking, done, until};
use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::status::{targets_in, understood};
use super::terminal::{BOLD, Cell, DIM, ago, say, say_json, table};
use crate::clients::Clock;
use crate::config::{Environment, duration};
use crate::domain::{Ask, Lock, Pause, TargetName};

/// The arguments of `lock`.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    /// The target; without it and without `--all`, the locks that there are
    #[arg(value_name = "TARGET", add = completions::targets(), conflicts_with = "all")]
    target: Option<TargetName>,

    /// Lock every target, also those that are configured later
    #[arg(long)]
    all: bool,

    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// For how long, such as 2h; until it is unlocked, unless given
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    long: Option<Duration>,

    /// Only warn: deployments go on, and each one shows who warns and why
    #[arg(long)]
    warn: bool,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `locks`.
#[derive(Debug, Args)]
pub(super) struct LocksArgs {
    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `unlock`.
#[derive(Debug, Args)]
pub(super) struct UnlockArgs {
    /// The target
    #[arg(value_name = "TARGET", add = completions::targets(), conflicts_with = "all", required_unless_present = "all")]
    target: Option<TargetName>,

    /// End the lock of every target; locks of single targets stay
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `pause`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    asking: Asking,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn lock(args: &LockArgs, environment: &Environment) -> Outcome {
    let until = args.long.map(|long| until(Clock::system().now(), long)).transpose()?;
    let (reason, warns) = (args.reason.clone(), args.warn);
    let (what, ask) = match &args.target {
        Some(target) => (target.to_string(), Ask::Lock { target: target.clone(), reason, until, warns }),
        None if args.all => ("every target".into(), Ask::LockAll { reason, until, warns }),
        None if reason.is_some() || until.is_some() || warns => {
            return Err(Trouble::wrong("what to lock is not named").help("name a target, or write `--all`"));
        }
        None => return list(&args.asking, environment),
    };
    let until = until.map(|it| format!(" until {it:.0}")).unwrap_or_default();
    let told = match warns {
        true => format!("whoever deploys to {what} is warned{until}"),
        false => format!("{what} is locked{until}"),
    };
    done(&args.asking, environment, &ask, &told)
}

pub(super) fn locks(args: &LocksArgs, environment: &Environment) -> Outcome {
    list(&args.asking, environment)
}

pub(super) fn unlock(args: &UnlockArgs, environment: &Environment) -> Outcome {
    let (what, ask) = match &args.target {
        Some(target) => (target.to_string(), Ask::Unlock { target: target.clone() }),
        None => ("every target".into(), Ask::UnlockAll {}),
    };
    done(&args.asking, environment, &ask, &format!("{what} is unlocked"))
}

pub(super) fn pause(args: &PauseArgs, environment: &Environment) -> Outcome {
    let ask = Ask::Pause { reason: args.reason.clone() };
    let told = "releases are paused: pushes are taken and prepared, and nothing is released until `landfall resume`";
    done(&args.asking, environment, &ask, told)
}

pub(super) fn resume(args: &ResumeArgs, environment: &Environment) -> Outcome {
    done(&args.asking, environment, &Ask::Resume {}, "releases go on")
}

/// What the server tells of all targets at once.
#[derive(Deserialize)]
struct OfAll {
    #[serde(default)]
    pause: Option<Pause>,
    #[serde(default)]
    lock: Option<Lock>,
}

/// Every lock with who, since when, until when, who waits and why; a pause too.
fn list(asking: &Asking, environment: &Environment) -> Outcome {
    let answer = asking.server.find(environment)?.get("/api/v1/targets")?;
    if asking.json {
        say_json(&held(&answer));
        return Ok(Exit::Done);
    }
    let now = Clock::system().now();
    let OfAll { pause, lock } = understood(answer.clone())?;
    let targets = targets_in(answer)?;
    let waiting = targets.iter().map(|it| it.waiting.len()).sum();
    let mut lines = Vec::new();
    if let Some(Pause { actor, reason, at }) = pause {
        let paused = Lock { actor, reason, at: at.unwrap_or(now), until: None, warns: false, after: None };
        lines.push(line("(paused)", &paused, waiting, now));
    }
    lines.extend(lock.map(|lock| line("(all)", &lock, waiting, now)));
    for target in &targets {
        lines.extend(target.locks.iter().map(|lock| line(&target.name, lock, target.waiting.len(), now)));
    }
    if lines.is_empty() {
        say("nothing is locked\n");
    } else {
        say(&table(&["TARGET", "BY", "SINCE", "UNTIL", "WAITING", "WHY"], &lines));
    }
    Ok(Exit::Done)
}

fn line(what: &str, lock: &Lock, waiting: usize, now: Timestamp) -> Vec<Cell> {
    let until = lock.until.map_or("unlocked".into(), |it| format!("{it:.0}"));
    let why = lock.reason.clone().unwrap_or_default();
    vec![
        Cell::styled(BOLD, what),
        Cell::new(&lock.actor),
        Cell::styled(DIM, ago(lock.at, now)),
        Cell::new(until),
        Cell::new(if lock.warns { "only warns".into() } else { waiting.to_string() }),
        Cell::new(why),
    ]
}

/// The part of the server's answer that is about locks.
fn held(answer: &Value) -> Value {
    let of = |it: &Value| serde_json::json!({ "target": it["name"], "locks": it["locks"], "waiting": it["waiting"] });
    let targets: Vec<Value> = answer["targets"].as_array().into_iter().flatten().map(of).collect();
    serde_json::json!({ "pause": answer["pause"], "lock": answer["lock"], "targets": targets })
}
