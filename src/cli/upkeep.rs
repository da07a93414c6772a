//! `landfall upkeep`: takes away now what nobody needs any more, or says what would go and why the rest stays.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::exit::{Exit, Outcome};
use super::server::ServerArgs;
use super::status::understood;
use super::terminal::{say, say_json, talk};
use crate::config::Environment;
use crate::domain::{Failure, size};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct UpkeepArgs {
    /// Delete nothing: say what would go, and why everything else stays
    #[arg(long)]
    dry_run: bool,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Report {
    targets: Vec<Tended>,
    ledger: Retired,
}

#[derive(Deserialize)]
struct Retired {
    retention: bool,
    before: Option<u64>,
    kept: u64,
    bytes: u64,
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Tended {
    target: String,
    retention: bool,
    deleted: Vec<Deleted>,
    kept: Vec<Kept>,
    uploads: Vec<String>,
    more: bool,
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Deleted {
    object: String,
}

#[derive(Deserialize)]
struct Kept {
    object: String,
    why: String,
}

/// A round looks at each object before it deletes it: a large one takes minutes.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Asks the server; exits with 3 where something could not be done.
pub(super) fn run(args: &UpkeepArgs, environment: &Environment) -> Outcome {
    let answer =
        args.server.find(environment)?.post_within(PATIENCE, "/api/v1/upkeep", &json!({ "dry_run": args.dry_run }))?;
    let report: Report = understood(answer.clone())?;
    if args.json {
        say_json(&answer);
    } else {
        report.targets.iter().for_each(|it| say(&told(it, args.dry_run)));
        say(&told_of_ledger(&report.ledger, args.dry_run));
    }
    let mut exit = Exit::Done;
    let of_targets = report.targets.iter().flat_map(|it| it.failures.iter().map(|failure| (&*it.target, failure)));
    for (target, failure) in of_targets.chain(report.ledger.failures.iter().map(|failure| ("ledger", failure))) {
        let help = failure.help.as_ref().map(|help| format!("  help: {help}\n")).unwrap_or_default();
        talk(&format!("landfall: {target}: {failure}\n{help}"));
        exit = Exit::Unreachable;
    }
    Ok(exit)
}

fn told_of_ledger(it: &Retired, dry_run: bool) -> String {
    match it.before {
        None if it.retention && it.failures.is_empty() => "ledger  too little is old enough to go\n".into(),
        None => String::new(),
        Some(before) if dry_run => format!("ledger  what is before offset {before} would go, but for what must stay\n"),
        Some(before) => {
            format!("ledger  {} freed, {} records stay of those before offset {before}\n", size(it.bytes), it.kept)
        }
    }
}

fn told(it: &Tended, dry_run: bool) -> String {
    let mut text = String::new();
    let goes = if dry_run { "would go" } else { "deleted" };
    for Deleted { object } in &it.deleted {
        text += &format!("{}  {goes}  {object}\n", it.target);
    }
    for key in &it.uploads {
        text += &format!("{}  taken back  unfinished upload of {key}\n", it.target);
    }
    for Kept { object, why } in it.kept.iter().filter(|_| dry_run) {
        text += &format!("{}  stays  {object}: {why}\n", it.target);
    }
    if it.more {
        text += &format!("{}  more may go: ask again\n", it.target);
    }
    if !it.retention {
        text += &format!("{}  keeps everything: `keep` is not set\n", it.target);
    } else if it.deleted.is_empty() && it.failures.is_empty() {
        text += &format!("{}  nothing to delete\n", it.target);
    }
    text
}
