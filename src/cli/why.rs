//! `landfall why`: what became of a commit, target by target.

use clap::Args;
use serde::Deserialize;

use super::exit::{Exit, Outcome, Trouble};
use super::server::ServerArgs;
use super::status::understood;
use super::terminal::{Cell, of_state, say, say_json, table};
use crate::config::Environment;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// The commit, or the beginning of its hash
    #[arg(value_name = "SHA")]
    sha: String,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Why {
    sha: String,
    plans: Vec<Plan>,
}

#[derive(Deserialize)]
struct Plan {
    #[serde(default)]
    delivery: Option<String>,
    target: String,
    deployment: Option<String>,
    state: String,
    reason: Option<String>,
}

pub(super) fn run(args: &WhyArgs, environment: &Environment) -> Outcome {
    let sha = args.sha.trim().to_lowercase();
    if !(4..=64).contains(&sha.len()) || !sha.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Trouble::wrong(format!("`{}` is not a commit hash", args.sha))
            .help("give at least its first four digits, as `git log --oneline` shows them"));
    }
    let answer = args.server.find(environment)?.get(&format!("/api/v1/why/{sha}"))?;
    if args.json {
        say_json(&answer);
        return Ok(Exit::Done);
    }
    let why: Why = understood(answer)?;
    if why.plans.is_empty() {
        return Err(Trouble::wrong(format!("no push of `{sha}` is known"))
            .help("look at the webhook's recent deliveries on GitHub: it may not have been sent"));
    }
    let lines: Vec<Vec<Cell>> = why
        .plans
        .iter()
        .map(|plan| {
            vec![
                Cell::new(&plan.target),
                Cell::styled(of_state(&plan.state), &plan.state),
                Cell::whole(plan.deployment.as_deref().unwrap_or("-")),
                Cell::new(plan.reason.as_deref().unwrap_or("-")),
                Cell::whole(plan.delivery.as_deref().unwrap_or("-")),
            ]
        })
        .collect();
    say(&format!("{}\n", why.sha));
    say(&table(&["TARGET", "STATE", "DEPLOYMENT", "WHY", "DELIVERY"], &lines));
    Ok(Exit::Done)
}
