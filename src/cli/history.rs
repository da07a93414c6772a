//! `landfall history`: the deployments of a target, newest first, page by page. It only reads.

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::server::{Server, ServerArgs};
use super::status::{Deployment, short, target_named, targets_in, understood};
use super::terminal::{Cell, DIM, ago, of_state, room, say, say_json, table_within, talk};
use crate::board::DeploymentsQuery;
use crate::clients::Clock;
use crate::config::Environment;
use crate::domain::{DeploymentId, TargetName};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The target
    #[arg(value_name = "TARGET", add = completions::targets())]
    target: TargetName,

    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = PossibleValuesParser::new(DeploymentsQuery::states()))]
    state: Option<String>,

    /// Only those of this commit: its hash, or the beginning of it
    #[arg(long, value_name = "SHA")]
    sha: Option<String>,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Only those before this one: the last line of a list names it
    #[arg(long, value_name = "ID", add = completions::deployments())]
    before: Option<DeploymentId>,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Asks the server, as many pages as it takes.
pub(super) fn run(args: &HistoryArgs, environment: &Environment) -> Outcome {
    let server = args.server.find(environment)?;
    let (deployments, cursor) = args.read(&server)?;
    if deployments.is_empty() {
        // The history of a target that left the configuration is still there.
        target_named(targets_in(server.get("/api/v1/targets")?)?, args.target.as_str())?;
    }
    if args.json {
        say_json(&json!({ "deployments": deployments, "cursor": cursor }));
        return Ok(Exit::Done);
    }
    let deployments: Vec<Deployment> = understood(deployments.into())?;
    if deployments.is_empty() {
        talk(&args.nothing());
        return Ok(Exit::Done);
    }
    say(&list(&deployments, Clock::system().now()));
    if let Some(cursor) = cursor {
        talk(&format!("older ones: `{}`\n", args.next_page(&cursor)));
    }
    Ok(Exit::Done)
}

impl HistoryArgs {
    /// So many deployments as are wanted, as the server tells them, and where the next page begins.
    fn read(&self, server: &Server) -> Result<(Vec<Value>, Option<String>), Trouble> {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut found: Vec<Value> = Vec::new();
        let mut cursor = self.before.map(|it| it.to_string());
        loop {
            let page = (wanted - found.len()).min(DeploymentsQuery::MOST);
            let mut answer = server.get(&self.path(page, cursor.as_deref()))?;
            let some: Vec<Value> = understood(answer["deployments"].take())?;
            cursor = understood(answer["cursor"].take())?;
            found.extend(some);
            if found.len() >= wanted || cursor.is_none() {
                return Ok((found, cursor));
            }
        }
    }

    fn path(&self, limit: usize, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("target", self.target.as_str()).append_pair("limit", &limit.to_string());
        let chosen = [("state", self.state.as_deref()), ("sha", self.sha.as_deref()), ("cursor", cursor)];
        for (key, value) in chosen {
            value.map(|value| query.append_pair(key, value));
        }
        format!("/api/v1/deployments?{}", query.finish())
    }

    /// The words that show what comes after this list.
    fn next_page(&self, cursor: &str) -> String {
        let chosen = [("state", &self.state), ("sha", &self.sha)];
        let chosen = chosen.iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?)));
        format!("landfall history {}{} --before {cursor}", self.target, chosen.collect::<String>())
    }

    fn nothing(&self) -> String {
        if self.state.is_none() && self.sha.is_none() && self.before.is_none() {
            return format!("no deployment yet; begin one with `landfall deploy {}`\n", self.target);
        }
        format!("no such deployment; `landfall history {}` shows all\n", self.target)
    }
}

/// Deployments as a table.
pub(super) fn list(deployments: &[Deployment], now: Timestamp) -> String {
    within(room(), deployments, now)
}

/// The same within so many columns.
pub(super) fn within(room: Option<usize>, deployments: &[Deployment], now: Timestamp) -> String {
    let line = |it: &Deployment| {
        vec![
            Cell::whole(&it.id),
            Cell::styled(of_state(&it.state), &it.state),
            Cell::whole(short(&it.sha)),
            Cell::styled(DIM, ago(it.created_at, now)),
            Cell::new(it.reason.as_deref().or(it.title.as_deref()).unwrap_or("")),
        ]
    };
    table_within(
        room,
        &["DEPLOYMENT", "STATE", "COMMIT", "BORN", "WHY"],
        &deployments.iter().map(line).collect::<Vec<_>>(),
    )
}
