//! `landfall status`: what is live where; one target with its last deployments; one deployment with its events.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::history;
use super::live::watch;
use super::server::{Server, ServerArgs};
use super::terminal::{BOLD, Cell, DIM, WAITS, ago, clock_time, line_within, of_state, say, say_json, styled, table};
use crate::clients::Clock;
use crate::config::{Environment, nearest};
use crate::domain::{self, DeploymentId, Outage};

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// A target's name or a deployment's id; all targets, unless given
    #[arg(value_name = "TARGET|ID", add = completions::targets_and_deployments())]
    of: Option<String>,

    /// Draw it in place as things happen, until Ctrl-C, or until the deployment has ended
    #[arg(short, long, conflicts_with = "json")]
    watch: bool,

    /// Print the server's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    repository: String,
    #[serde(default)]
    called_now: Option<String>,
    environment: String,
    engine: String,
    pub(super) live: Option<Live>,
    #[serde(default)]
    left_by: Option<Live>,
    #[serde(default)]
    upkeep: Option<domain::Failure>,
    pub(super) running: Option<String>,
    #[serde(default)]
    pub(super) waiting: Vec<String>,
    #[serde(default)]
    pub(super) locks: Vec<domain::Lock>,
    #[serde(default)]
    warning: Option<String>,
    #[serde(default)]
    next_freeze: Option<String>,
    #[serde(default)]
    holds: Vec<Value>,
    /// Patterns in words: `branch main`.
    #[serde(default)]
    pub(super) rules: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Live {
    pub(super) sha: String,
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) title: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) target: String,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) sha: String,
    author: Option<String>,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    engine_id: Option<String>,
    pub(super) created_at: Timestamp,
    url: Option<String>,
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    bundle_deleted_at: Option<Timestamp>,
    #[serde(default)]
    ended_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) failure: Option<Failure>,
    #[serde(default)]
    pub(super) stumble: Option<domain::Failure>,
    #[serde(default)]
    pub(super) stages: Vec<Stage>,
    #[serde(default)]
    pub(super) lifecycle: Vec<domain::Lifecycle>,
    #[serde(default)]
    pub(super) fleet: Option<domain::Fleet>,
    #[serde(default)]
    findings: Vec<Finding>,
    #[serde(default)]
    pub(super) events: Vec<Event>,
}

/// One of the five stages.
#[derive(Deserialize)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) status: domain::StepStatus,
    pub(super) took_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Finding {
    severity: String,
    message: String,
    #[serde(default)]
    help: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Failure {
    code: String,
    #[serde(default)]
    pub(super) help: Option<String>,
    #[serde(default)]
    pub(super) detail: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) offset: u64,
    at: Timestamp,
    kind: String,
    #[serde(default)]
    text: Option<String>,
    /// How far the run was, where the event tells that.
    #[serde(default)]
    progress: Option<domain::Progress>,
}

impl Deployment {
    /// Whether nothing more can happen.
    pub(super) fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Whether the engine is at work.
    pub(super) fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// How far the run was when that was told last.
    pub(super) fn progress(&self) -> Option<&domain::Progress> {
        self.events.iter().rev().find_map(|event| event.progress.as_ref())
    }

    /// What was said of the last event of this kind.
    pub(super) fn said_of(&self, kind: &str) -> Option<&str> {
        self.events.iter().rfind(|event| event.kind == kind)?.text.as_deref()
    }
}

pub(super) fn run(args: &StatusArgs, environment: &Environment) -> Outcome {
    let server = args.server.find(environment)?;
    if args.watch {
        return watch(&server, args.of.as_deref(), environment);
    }
    let now = Clock::system().now();
    match args.of.as_deref() {
        None => {
            let answer = server.get("/api/v1/targets")?;
            if args.json {
                say_json(&answer);
            } else {
                let outages: Vec<Outage> =
                    understood(answer["outages"].as_array().cloned().unwrap_or_default().into())?;
                say(&overview(&targets_in(answer)?, now));
                outages.iter().for_each(|it| say(&whole_line(&untold(it, now))));
            }
        }
        Some(id) if DeploymentId::parse(id).is_ok() => {
            let answer = server.get(&format!("/api/v1/deployments/{id}"))?;
            if args.json {
                say_json(&answer);
            } else {
                let mut it: Deployment = understood(answer)?;
                it.url = it.url.map(|url| server.whole(&url));
                say(&story(&it, now));
            }
        }
        Some(name) => of_target(&server, name, args.json, now)?,
    }
    Ok(Exit::Done)
}

fn of_target(server: &Server, name: &str, json: bool, now: Timestamp) -> Result<(), Trouble> {
    let answer = server.get("/api/v1/targets")?;
    let one = answer["targets"].as_array().and_then(|all| all.iter().find(|it| it["name"] == name)).cloned();
    let target = target_named(targets_in(answer)?, name)?;
    let recent = server.get(&format!("/api/v1/deployments?target={name}&limit=10"))?;
    if json {
        say_json(&json!({ "target": one, "deployments": recent["deployments"] }));
        return Ok(());
    }
    say(&overview(std::slice::from_ref(&target), now));
    say(&format!("\n{} to {} by {}\n", target.repository, target.environment, target.engine));
    let recent: Vec<Deployment> = understood(recent["deployments"].clone())?;
    if recent.is_empty() {
        say("no deployment yet\n");
    } else {
        say(&history::list(&recent, now));
    }
    Ok(())
}

/// The targets in the server's answer.
pub(super) fn targets_in(mut answer: Value) -> Result<Vec<Target>, Trouble> {
    understood(answer["targets"].take())
}

/// The one of this name.
pub(super) fn target_named(targets: Vec<Target>, name: &str) -> Result<Target, Trouble> {
    let names: Vec<String> = targets.iter().map(|it| it.name.clone()).collect();
    targets.into_iter().find(|it| it.name == name).ok_or_else(|| {
        let trouble = Trouble::wrong(format!("no target is called `{name}`"));
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => trouble.help(format!("did you mean `{near}`?")),
            None => trouble.help(format!("the targets are {}", names.join(", "))),
        }
    })
}

/// An answer in the shape that we know.
pub(super) fn understood<T: DeserializeOwned>(answer: Value) -> Result<T, Trouble> {
    serde_json::from_value(answer).map_err(|error| {
        Trouble::unreachable(format!("the server's answer is not understood: {error}"))
            .help("use the landfall that the server runs; `landfall --version` and `/healthz` say which")
    })
}

fn overview(targets: &[Target], now: Timestamp) -> String {
    if targets.is_empty() {
        return "no target is configured\n".into();
    }
    let lines: Vec<Vec<Cell>> = targets
        .iter()
        .map(|it| {
            let live = it.live.as_ref();
            vec![
                Cell::styled(BOLD, &it.name),
                Cell::whole(live.map_or("-".into(), |live| short(&live.sha))),
                Cell::styled(DIM, live.map_or("-".into(), |live| ago(live.at, now))),
                Cell::whole(it.running.as_deref().unwrap_or("-")),
                Cell::new(if it.waiting.is_empty() { "-".into() } else { it.waiting.len().to_string() }),
                Cell::new(live.and_then(|live| live.title.as_deref()).unwrap_or("")),
            ]
        })
        .collect();
    let mut text = table(&["TARGET", "LIVE", "SINCE", "UNDER WAY", "WAITING", "COMMIT"], &lines);
    for note in targets.iter().flat_map(|target| notes(target, now)) {
        text += &whole_line(&note);
    }
    text
}

/// What a person should know of a target besides what runs there: a word each, and a sentence.
pub(super) fn notes(target: &Target, now: Timestamp) -> Vec<Vec<Cell>> {
    let note = |style, word: &str, text: String| {
        vec![Cell::styled(style, word), Cell::new(format!(" {}: {text}", target.name))]
    };
    let mut notes = Vec::new();
    if let Some(left) = &target.left_by {
        let (what, since) = (short(&left.sha), ago(left.at, now));
        let back = target
            .live
            .as_ref()
            .map(|live| format!("; `landfall rollback {}` brings {} back", target.name, short(&live.sha)));
        let back = back.unwrap_or_default();
        let text = format!("files of {what}, which did not become live, may be there ({since}){back}");
        notes.push(note(WAITS, "left", text));
    }
    if let Some(name) = &target.called_now {
        let renamed = format!("`{}` is called `{name}` now; correct `repository`", target.repository);
        notes.push(note(WAITS, "renamed", renamed));
    }
    if let Some(failure) = &target.upkeep {
        let help = failure.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        notes.push(note(WAITS, "upkeep", format!("{}{help}", failure.message)));
    }
    notes.extend(target.warning.clone().map(|warning| note(WAITS, "warned", warning)));
    notes.extend(target.next_freeze.clone().map(|freeze| note(DIM, "freeze", freeze)));
    // What holds a target stands with each deployment that waits for it, too.
    let mut told = BTreeSet::new();
    let reasons = target.holds.iter().map(|hold| hold["reason"].as_str().or(hold.as_str()).unwrap_or("held"));
    notes.extend(reasons.filter(|it| told.insert(*it)).map(|reason| note(WAITS, "waits", reason.to_owned())));
    notes
}

fn whole_line(parts: &[Cell]) -> String {
    line_within(parts, usize::MAX) + "\n"
}

/// A place that takes no message.
pub(super) fn untold(Outage { place, since, failure, waiting }: &Outage, now: Timestamp) -> Vec<Cell> {
    let help = failure.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let told = format!(" {place}: {}{help} (first {}, {waiting} waiting)", failure.message, ago(*since, now));
    vec![Cell::styled(WAITS, "untold"), Cell::new(told)]
}

fn story(it: &Deployment, now: Timestamp) -> String {
    let mut text = format!(
        "{} {} {} to {}: {}\n",
        styled(BOLD, &it.id),
        short(&it.sha),
        short_ref(&it.reference),
        it.target,
        styled(of_state(&it.state), &it.state)
    );
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|it| !it.is_empty()) {
            text += &format!("{}  {value}\n", styled(DIM, &format!("{name:>8}")));
        }
    };
    line("commit", it.title.as_deref());
    line("author", it.author.as_deref());
    line("born", Some(&ago(it.created_at, now)));
    line("run", it.engine_id.as_deref());
    line("page", it.url.as_deref());
    line("why", it.reason.as_deref());
    let deleted = it.bundle_deleted_at.map(|at| format!("deleted by retention {}", ago(at, now)));
    line("bundle", deleted.as_deref());
    line("code", it.failure.as_ref().map(|it| it.code.as_str()));
    line("help", it.failure.as_ref().and_then(|it| it.help.as_deref()));
    for finding in &it.findings {
        line(&finding.severity, Some(&finding.message));
        line("help", finding.help.as_deref());
    }
    for event in &it.events {
        text += &event.line();
    }
    if let Some(detail) = it.failure.as_ref().and_then(|it| it.detail.as_deref()) {
        text += &format!("\n{}\n", detail.trim_end());
        text += &format!("\nall that was said: landfall logs {}\n", it.id);
    }
    text
}

impl Event {
    /// One line of a story.
    pub(super) fn line(&self) -> String {
        let words = self.text.as_deref().unwrap_or_default();
        format!("{}  {:<11} {words}\n", styled(DIM, &clock_time(self.at)), self.kind)
    }
}

/// The first seven digits of a commit, for people.
pub(super) fn short(sha: &str) -> String {
    sha.chars().take(7).collect()
}

/// A branch by its name, a tag as `tags/v1`.
pub(super) fn short_ref(reference: &str) -> &str {
    reference.trim_start_matches("refs/heads/").trim_start_matches("refs/")
}
