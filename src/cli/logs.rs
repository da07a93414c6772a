//! `landfall logs`: what a deployment's scripts said, event by event, and on request as they say it.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::server::{Interrupts, Server, ServerArgs};
use super::status::{Deployment, target_named, targets_in, understood};
use super::terminal::{BAD, BOLD, DIM, clock_time, of_state, say, styled, talk};
use crate::config::Environment;
use crate::domain::DeploymentId;

/// How often a log is looked at while it grows.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a server that answered before may be away, as while it is started anew: the deployment goes on meanwhile.
const AWAY: Duration = Duration::from_mins(1);
/// How many lines are asked for at a time.
const AT_ONCE: usize = 1000;

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// A deployment's id, or a target's name for its newest deployment
    #[arg(value_name = "ID|TARGET", add = completions::targets_and_deployments())]
    of: String,

    /// Go on until the deployment has ended; exits with 1 unless it succeeded
    #[arg(long, short)]
    follow: bool,

    /// Print each line as a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Page {
    lines: Vec<Value>,
    cursor: Option<u64>,
    over: bool,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    at: Option<Timestamp>,
    event: Option<String>,
    script: Option<String>,
    stream: String,
    text: String,
    #[serde(default)]
    heading: bool,
}

pub(super) fn run(args: &LogsArgs, environment: &Environment) -> Outcome {
    let server = args.server.find(environment)?;
    let id = match DeploymentId::parse(&args.of) {
        Ok(id) => id.to_string(),
        Err(_) => newest_of(&server, &args.of)?,
    };
    let mut reader = Reader { server: &server, id, json: args.json, under: None, state: None };
    if args.follow {
        return reader.follow(&mut server.interrupts()?);
    }
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let page = reader.page(from)?;
        cursor = page.cursor.filter(|_| !page.lines.is_empty());
        if cursor.is_none() && !page.over {
            talk(&format!("it has not ended: go on with `landfall logs -f {}`\n", reader.id));
        }
    }
    Ok(Exit::Done)
}

/// The newest deployment of a target.
fn newest_of(server: &Server, name: &str) -> Result<String, Trouble> {
    let target = target_named(targets_in(server.get("/api/v1/targets")?)?, name)?.name;
    let answer = server.get(&format!("/api/v1/deployments?target={target}&limit=1"))?;
    let newest: Vec<Deployment> = understood(answer["deployments"].clone())?;
    newest.into_iter().next().map(|it| it.id).ok_or_else(|| {
        Trouble::wrong(format!("`{target}` has no deployment yet")).help(format!("push, or `landfall deploy {target}`"))
    })
}

/// Who reads a log to somebody.
struct Reader<'a> {
    server: &'a Server,
    id: String,
    json: bool,
    /// The event and script whose heading was printed last.
    under: Option<(Option<String>, Option<String>)>,
    /// The state that was told last.
    state: Option<String>,
}

impl Reader<'_> {
    /// Prints a page, and gives it.
    fn page(&mut self, from: u64) -> Result<Page, Trouble> {
        let path = format!("/api/v1/deployments/{}/log?limit={AT_ONCE}&cursor={from}", self.id);
        let page: Page = understood(self.server.get(&path)?)?;
        let mut text = String::new();
        for line in &page.lines {
            if self.json {
                text += &format!("{line}\n");
            } else {
                text += &self.told(&understood(line.clone())?);
            }
        }
        say(&text);
        if let Some(note) = page.note.as_ref().filter(|_| page.over) {
            talk(&format!("{note}\n"));
        }
        Ok(page)
    }

    /// A line for people, beneath the heading of its event and script.
    fn told(&mut self, line: &Line) -> String {
        let mut text = String::new();
        let under = (line.event.clone(), line.script.clone());
        if self.under.as_ref() != Some(&under) {
            let words = [under.0.as_deref(), under.1.as_deref()];
            let heading: Vec<&str> = words.into_iter().flatten().collect();
            if !heading.is_empty() {
                text += &format!("{}\n", styled(BOLD, &heading.join("  ")));
            }
            self.under = Some(under);
        }
        if line.heading {
            return text;
        }
        let at = line.at.map(|at| styled(DIM, &clock_time(at))).unwrap_or_default();
        let (mark, said) = match line.stream.as_str() {
            "stderr" => (styled(BAD, "!"), line.text.clone()),
            "stdout" => (" ".into(), line.text.clone()),
            _ => (styled(DIM, "#"), styled(DIM, &line.text)),
        };
        text + &format!("{at} {mark} {said}\n")
    }

    /// Prints what comes until the deployment has ended.
    fn follow(&mut self, interrupts: &mut Interrupts) -> Outcome {
        let (mut cursor, mut away) = (0, Duration::ZERO);
        loop {
            let mut pause = GLANCE;
            match self.page(cursor).and_then(|page| self.state(page)) {
                Ok(Ended::Not { next, is_full }) => {
                    (away, cursor) = (Duration::ZERO, next);
                    pause = if is_full { Duration::ZERO } else { GLANCE };
                }
                Ok(Ended::As(exit)) => return Ok(exit),
                // It answered before: the same words would have been refused then.
                Err(trouble)
                    if trouble.exit == Exit::Unreachable && (cursor > 0 || self.state.is_some()) && away < AWAY =>
                {
                    if away.is_zero() {
                        talk(&format!("{trouble}; trying again for a minute\n"));
                    }
                    away += GLANCE;
                }
                Err(trouble) => return Err(trouble),
            }
            if self.server.wait_or(interrupts, pause) {
                let id = &self.id;
                talk(&format!("the deployment goes on without you; come back with `landfall logs -f {id}`\n"));
                return Ok(Exit::Interrupted);
            }
        }
    }

    /// Tells the deployment's state where it is another, and its end.
    fn state(&mut self, page: Page) -> Result<Ended, Trouble> {
        let (next, is_full) = (page.cursor.unwrap_or_default(), page.lines.len() >= AT_ONCE);
        if !page.lines.is_empty() && !page.over {
            return Ok(Ended::Not { next, is_full });
        }
        let answer = self.server.get(&format!("/api/v1/deployments/{}", self.id))?;
        let it: Deployment = understood(answer)?;
        if self.state.as_deref() != Some(&it.state) {
            let why = it.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            talk(&format!("{} {}{why}\n", it.target, styled(of_state(&it.state), &it.state)));
            self.state = Some(it.state.clone());
        }
        let exit = if it.state == "succeeded" { Exit::Done } else { Exit::DeploymentFailed };
        Ok(if page.over { Ended::As(exit) } else { Ended::Not { next, is_full } })
    }
}

/// Whether a deployment has ended.
enum Ended {
    /// No; what comes next is asked for with `next`, and at once after a page that was full.
    Not { next: u64, is_full: bool },
    /// Yes, and all was printed.
    As(Exit),
}
