//! `landfall token`: lets others in. A token's secret goes to stdout once, and is kept nowhere.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::until;
use super::exit::{Exit, Outcome};
use super::server::ServerArgs;
use super::status::understood;
use super::terminal::{Cell, ago, say, say_json, table, talk};
use crate::clients::Clock;
use crate::config::{Environment, duration};
use crate::domain::{Role, TokenName};

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token and print it: it is shown this once
    New(NewArgs),
    /// List the tokens, what each may do and when it was used
    List(ListArgs),
    /// Have a token work no more, and sign out whoever signed in with it
    Revoke(RevokeArgs),
}

/// The arguments of `new`.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Who it is for: what they ask for stands under this name in the audit trail
    #[arg(value_name = "NAME")]
    name: TokenName,

    /// What it may do: `read` looks, `deploy` also asks for deployments, locks and approvals, `admin` does everything
    #[arg(long, value_name = "ROLE")]
    role: Role,

    /// Hold a token of the role `deploy` to these targets, names or globs such as `shop-*`; all, unless given
    #[arg(long = "target", value_name = "GLOB")]
    targets: Vec<String>,

    /// For how long it works, such as 90d; until it is revoked, unless given
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    long: Option<Duration>,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// The arguments of `revoke`.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Which
    #[arg(value_name = "NAME", required_unless_present = "github")]
    name: Option<TokenName>,

    /// Sign out somebody who came with GitHub instead; by what `[login]` says they may come back
    #[arg(long, value_name = "LOGIN", conflicts_with_all = ["name", "sessions"])]
    github: Option<String>,

    /// Only sign out the browsers that were signed in with it: the token itself works on
    #[arg(long)]
    sessions: bool,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Made {
    token: String,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
    #[serde(default)]
    guests: Vec<Guest>,
}

/// Somebody who is signed in with GitHub.
#[derive(Deserialize)]
struct Guest {
    actor: String,
    role: String,
    targets: Vec<String>,
    since: Timestamp,
    sessions: usize,
}

#[derive(Deserialize)]
struct Token {
    name: String,
    role: String,
    targets: Vec<String>,
    made_by: Option<String>,
    until: Option<Timestamp>,
    expired: bool,
    used_at: Option<Timestamp>,
    sessions: usize,
}

/// Asks the server.
pub(super) fn run(verb: &TokenVerb, environment: &Environment) -> Outcome {
    match verb {
        TokenVerb::New(args) => make(args, environment),
        TokenVerb::List(args) => list(args, environment),
        TokenVerb::Revoke(args) => revoke(args, environment),
    }
}

fn make(args: &NewArgs, environment: &Environment) -> Outcome {
    let NewArgs { name, role, targets, long, json, server } = args;
    let until = long.map(|long| until(Clock::system().now(), long)).transpose()?;
    let wanted = json!({ "name": name, "role": role, "targets": targets, "until": until });
    let answer = server.find(environment)?.post("/api/v1/tokens", &wanted)?;
    if *json {
        say_json(&answer);
    } else {
        let Made { token } = understood(answer)?;
        say(&format!("{token}\n"));
        talk(&format!("`{name}` may use it with `--token`, LANDFALL_TOKEN or at `/login`. It is not shown again.\n"));
    }
    Ok(Exit::Done)
}

fn list(args: &ListArgs, environment: &Environment) -> Outcome {
    let answer = args.server.find(environment)?.get("/api/v1/tokens")?;
    if args.json {
        say_json(&answer);
    } else {
        let (Tokens { tokens, guests }, now) = (understood(answer)?, Clock::system().now());
        say(&table_of(&tokens, now));
        if !guests.is_empty() {
            say(&format!("\n{}", table_of_guests(&guests, now)));
        }
    }
    Ok(Exit::Done)
}

fn revoke(args: &RevokeArgs, environment: &Environment) -> Outcome {
    let RevokeArgs { name, github, sessions, json, server } = args;
    let rest = if *sessions { "/sessions" } else { "" };
    let path = match (name, github) {
        (Some(name), _) => format!("tokens/{name}{rest}"),
        (None, login) => format!("guests/{}", login.as_deref().unwrap_or_default()),
    };
    let answer: Value = server.find(environment)?.delete(&format!("/api/v1/{path}"))?;
    match name {
        _ if *json => say_json(&answer),
        Some(name) if !*sessions => say(&format!("`{name}` works no more\n")),
        Some(_) | None => say(&format!("{} signed out\n", answer["sessions"])),
    }
    Ok(Exit::Done)
}

fn table_of_guests(guests: &[Guest], now: Timestamp) -> String {
    let line = |it: &Guest| {
        let targets = if it.targets.is_empty() { "all".into() } else { it.targets.join(", ") };
        vec![
            Cell::new(&it.actor),
            Cell::new(&it.role),
            Cell::new(targets),
            Cell::new(ago(it.since, now)),
            Cell::new(it.sessions.to_string()),
        ]
    };
    table(&["SIGNED IN", "ROLE", "TARGETS", "SINCE", "BROWSERS"], &guests.iter().map(line).collect::<Vec<_>>())
}

fn table_of(tokens: &[Token], now: Timestamp) -> String {
    let line = |it: &Token| {
        let targets = if it.targets.is_empty() { "all".into() } else { it.targets.join(", ") };
        let until = match it.until {
            Some(until) if it.expired => format!("over since {until:.0}"),
            Some(until) => format!("{until:.0}"),
            None => "revoked".into(),
        };
        vec![
            Cell::new(&it.name),
            Cell::new(&it.role),
            Cell::new(targets),
            Cell::new(it.used_at.map_or("-".into(), |at| ago(at, now))),
            Cell::new(it.sessions.to_string()),
            Cell::new(it.made_by.as_deref().unwrap_or("the first start")),
            Cell::new(until),
        ]
    };
    let lines: Vec<_> = tokens.iter().map(line).collect();
    table(&["TOKEN", "ROLE", "TARGETS", "USED", "BROWSERS", "MADE BY", "WORKS UNTIL"], &lines)
}
