//! `landfall audit`: who asked for what, and who let whom in, as the ledger has it.

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::exit::{Exit, Outcome};
use super::server::ServerArgs;
use super::status::understood;
use super::terminal::{Cell, DIM, say, say_json, table, talk};
use crate::config::Environment;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// What came before this place in the ledger: the last line of a list names it
    #[arg(long, value_name = "OFFSET")]
    before: Option<u64>,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    cursor: Option<u64>,
}

#[derive(Deserialize)]
struct Entry {
    at: Timestamp,
    actor: String,
    text: String,
    deployments: Vec<String>,
}

/// Asks the server.
pub(super) fn run(args: &AuditArgs, environment: &Environment) -> Outcome {
    let rest = args.before.map(|before| format!("?cursor={before}")).unwrap_or_default();
    let answer = args.server.find(environment)?.get(&format!("/api/v1/audit{rest}"))?;
    if args.json {
        say_json(&answer);
        return Ok(Exit::Done);
    }
    let Page { entries, cursor } = understood(answer)?;
    say(&list(&entries));
    if let Some(cursor) = cursor {
        talk(&format!("older ones: `landfall audit --before {cursor}`\n"));
    }
    Ok(Exit::Done)
}

fn list(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nobody has asked for anything\n".into();
    }
    let line = |it: &Entry| {
        let born = it.deployments.iter().map(|id| format!(": {id}")).collect::<String>();
        vec![Cell::styled(DIM, format!("{:.0}", it.at)), Cell::new(&it.actor), Cell::new(format!("{}{born}", it.text))]
    };
    table(&["WHEN", "WHO", "WHAT"], &entries.iter().map(line).collect::<Vec<_>>())
}
