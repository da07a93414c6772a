//! `landfall deliveries` and `landfall replay`: the pushes that came in, what each meant, and having one planned again.

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;

use super::ask::{Asking, born};
use super::completions;
use super::exit::{Exit, Outcome};
use super::live::Following;
use super::server::ServerArgs;
use super::status::{Event, short, short_ref, understood};
use super::terminal::{BOLD, Cell, DIM, ago, of_state, say, say_json, styled, table, talk};
use crate::clients::Clock;
use crate::config::Environment;
use crate::domain::{Ask, DeliveryId};

/// The arguments of `deliveries`.
#[derive(Debug, Args)]
pub(super) struct DeliveriesArgs {
    /// One delivery with its whole story; the newest ones, unless given
    #[arg(value_name = "ID", add = completions::deliveries())]
    delivery: Option<DeliveryId>,

    /// Those before this place in the ledger: the last line of a list names it
    #[arg(long, value_name = "OFFSET", conflicts_with = "delivery")]
    before: Option<u64>,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The delivery, by GitHub's id for it: `landfall deliveries` lists them
    #[arg(value_name = "DELIVERY", add = completions::deliveries())]
    delivery: DeliveryId,

    #[command(flatten)]
    following: Following,

    #[command(flatten)]
    asking: Asking,
}

#[derive(Deserialize)]
struct Page {
    deliveries: Vec<Delivery>,
    cursor: Option<u64>,
}

#[derive(Deserialize)]
struct Delivery {
    id: String,
    at: Timestamp,
    repository: String,
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    plans: Vec<Plan>,
    text: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Plan {
    target: String,
    deployment: Option<String>,
    state: String,
    reason: String,
}

pub(super) fn deliveries(args: &DeliveriesArgs, environment: &Environment) -> Outcome {
    let path = match (&args.delivery, args.before) {
        (Some(id), _) => format!("/api/v1/deliveries/{id}"),
        (None, Some(before)) => format!("/api/v1/deliveries?cursor={before}"),
        (None, None) => "/api/v1/deliveries".into(),
    };
    let answer = args.server.find(environment)?.get(&path)?;
    let now = Clock::system().now();
    if args.json {
        say_json(&answer);
    } else if args.delivery.is_some() {
        say(&story(&understood(answer)?, now));
    } else {
        let Page { deliveries, cursor } = understood(answer)?;
        say(&list(&deliveries, now));
        if let Some(cursor) = cursor {
            talk(&format!("older ones: `landfall deliveries --before {cursor}`\n"));
        }
    }
    Ok(Exit::Done)
}

pub(super) fn replay(args: &ReplayArgs, environment: &Environment) -> Outcome {
    let server = args.asking.server.find(environment)?;
    let ask = Ask::Replay { delivery: args.delivery.clone() };
    born(&server, &ask, &args.following, args.asking.json, environment)
}

fn list(deliveries: &[Delivery], now: Timestamp) -> String {
    if deliveries.is_empty() {
        return "no delivery yet: point a webhook of the repository at `/webhooks/github`\n".into();
    }
    let line = |it: &Delivery| {
        vec![
            Cell::whole(&it.id),
            Cell::styled(DIM, ago(it.at, now)),
            Cell::new(&it.repository),
            Cell::new(short_ref(&it.reference)),
            Cell::whole(it.after.as_deref().map_or("deleted".into(), short)),
            Cell::new(meant(&it.plans)),
        ]
    };
    let lines: Vec<_> = deliveries.iter().map(line).collect();
    table(&["DELIVERY", "CAME IN", "REPOSITORY", "REF", "COMMIT", "MEANT"], &lines)
}

/// What a delivery meant, in a cell: `blog succeeded, docs not-planned`.
fn meant(plans: &[Plan]) -> String {
    if plans.is_empty() {
        return "no target".into();
    }
    plans.iter().map(|plan| format!("{} {}", plan.target, plan.state)).collect::<Vec<_>>().join(", ")
}

fn story(it: &Delivery, now: Timestamp) -> String {
    let mut text = format!("{} {} ({})\n", styled(BOLD, &it.id), it.text, ago(it.at, now));
    let lines: Vec<Vec<Cell>> = it
        .plans
        .iter()
        .map(|plan| {
            vec![
                Cell::new(&plan.target),
                Cell::styled(of_state(&plan.state), &plan.state),
                Cell::whole(plan.deployment.as_deref().unwrap_or("-")),
                Cell::new(&plan.reason),
            ]
        })
        .collect();
    if !lines.is_empty() {
        text += &table(&["TARGET", "STATE", "DEPLOYMENT", "WHY"], &lines);
    }
    it.events.iter().for_each(|event| text += &event.line());
    text
}
