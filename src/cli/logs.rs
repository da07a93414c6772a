//! `landfall logs`: what a deployment's scripts said, event by event, and on request as they say it.

use std::time::Duration;

use anstyle::Style;
use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::completions;
use super::exit::{Exit, Outcome, Trouble};
use super::server::{Interrupts, PATIENCE, Server, ServerArgs};
use super::status::{Deployment, target_named, targets_in, understood};
use super::terminal::{BAD, BOLD, DIM, clock_time, nobody_reads, of_state, say, styled, talk};
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
    let mut reader = Reader {
        server: &server,
        id,
        json: args.json,
        print: Print::default(),
        noted: None,
        state: None,
        away: Away::default(),
    };
    if args.follow {
        return reader.follow(&mut server.interrupts()?);
    }
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let page = reader.page(from)?;
        reader.print(&page)?;
        cursor = page.cursor.filter(|_| !page.lines.is_empty() && !nobody_reads());
        if cursor.is_none() && !page.over && !nobody_reads() {
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
    print: Print,
    /// Why there is less than all of it, as it was told last.
    noted: Option<String>,
    /// The state that was told last.
    state: Option<String>,
    away: Away,
}

impl Reader<'_> {
    fn page(&self, from: u64) -> Result<Page, Trouble> {
        understood(self.get(&format!("/log?limit={AT_ONCE}&cursor={from}"))?)
    }

    /// A page, and the deployment where no line comes after it at once.
    fn look(&self, from: u64) -> Result<(Page, Option<Deployment>), Trouble> {
        let page = self.page(from)?;
        let goes_on = !page.lines.is_empty() && !page.over;
        let it = if goes_on { None } else { Some(understood(self.get("")?)?) };
        Ok((page, it))
    }

    fn print(&mut self, page: &Page) -> Result<(), Trouble> {
        let mut text = String::new();
        for line in &page.lines {
            if self.json {
                text += &format!("{line}\n");
            } else {
                text += &self.print.line(&understood(line.clone())?);
            }
        }
        say(&text);
        if page.lines.is_empty() || page.over {
            say(&self.print.rest());
        }
        if let Some(note) = page.note.as_ref().filter(|it| self.noted.as_ref() != Some(it)) {
            talk(&format!("{note}\n"));
            self.noted = Some(note.clone());
        }
        Ok(())
    }

    /// Reads something of the deployment.
    fn get(&self, path: &str) -> Result<Value, Trouble> {
        let patience = self.away.patience(Instant::now());
        self.server.get_within(patience, &format!("/api/v1/deployments/{}{path}", self.id))
    }

    /// Prints what comes until the deployment has ended, or nobody reads it any more.
    fn follow(&mut self, interrupts: &mut Interrupts) -> Outcome {
        let mut cursor = 0;
        loop {
            let (mut pause, asked_at) = (GLANCE, Instant::now());
            match self.look(cursor) {
                Ok((page, it)) => {
                    self.away = Away::default();
                    self.print(&page)?;
                    if let Some(it) = it.filter(|_| !nobody_reads()) {
                        self.tell(&it);
                        if page.over {
                            return Ok(if it.state == "succeeded" { Exit::Done } else { Exit::DeploymentFailed });
                        }
                    }
                    cursor = page.cursor.unwrap_or_default();
                    if page.lines.len() >= AT_ONCE {
                        pause = Duration::ZERO;
                    }
                }
                // It answered before: the same words would have been refused then.
                Err(trouble) if trouble.exit == Exit::Unreachable && (cursor > 0 || self.state.is_some()) => {
                    self.bear(trouble, asked_at)?;
                }
                Err(trouble) => return Err(trouble),
            }
            if nobody_reads() {
                return Ok(Exit::Done);
            }
            if self.server.wait_or(interrupts, pause) {
                let id = &self.id;
                talk(&format!("the deployment goes on without you; come back with `landfall logs -f {id}`\n"));
                return Ok(Exit::Interrupted);
            }
        }
    }

    /// Waits for a server that is away, unless it is so for too long.
    fn bear(&mut self, trouble: Trouble, asked_at: Instant) -> Result<(), Trouble> {
        let is_new = self.away.since.is_none();
        if !self.away.is_short(asked_at, Instant::now()) {
            return Err(trouble);
        }
        if is_new {
            talk(&format!("{trouble}; trying again for a minute\n"));
        }
        Ok(())
    }

    /// Tells the deployment's state where it is another.
    fn tell(&mut self, it: &Deployment) {
        if self.state.as_deref() != Some(&it.state) {
            let why = it.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            talk(&format!("{} {}{why}\n", it.target, styled(of_state(&it.state), &it.state)));
            self.state = Some(it.state.clone());
        }
    }
}

/// Since when a server that answered before is away, if it is.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
}

impl Away {
    /// How long the next answer is waited for.
    fn patience(&self, now: Instant) -> Duration {
        self.since.map_or(PATIENCE, |since| PATIENCE.min((since + AWAY).saturating_duration_since(now)))
    }

    /// What was asked for then got no answer until now. Gives whether it is worth another try.
    fn is_short(&mut self, asked_at: Instant, now: Instant) -> bool {
        now.duration_since(*self.since.get_or_insert(asked_at)) < AWAY
    }
}

/// How lines are printed for people: each beneath the heading of its event and script, which comes with the first line
/// under it.
#[derive(Debug, Default)]
struct Print {
    /// The event and script at work.
    under: (Option<String>, Option<String>),
    /// Whether that was printed, or there is nothing to print.
    is_told: bool,
    /// How the engine introduced the script before: as whom it runs, and where.
    introduced: Option<String>,
}

impl Print {
    /// A line, and what has to stand before it.
    fn line(&mut self, line: &Line) -> String {
        let under = (line.event.clone(), line.script.clone());
        let mut text = String::new();
        if line.heading || self.under != under {
            // The event's name stands in the heading of its script, too.
            let goes_on = self.under.0 == under.0 && self.under.1.is_none() && under.1.is_some();
            if !goes_on {
                text += &self.rest();
            }
            (self.under, self.is_told) = (under, false);
        }
        if line.heading {
            return text;
        }
        let is_first = !self.is_told;
        text += &self.heading(BOLD);
        // Scripts of one deployment are introduced by the same words.
        if is_first && line.script.is_some() && line.stream == "landfall" {
            if self.introduced.as_ref() == Some(&line.text) {
                return text;
            }
            self.introduced = Some(line.text.clone());
        }
        let at = line.at.map(|at| styled(DIM, &clock_time(at))).unwrap_or_default();
        let (mark, said) = match line.stream.as_str() {
            "stderr" => (styled(BAD, "!"), line.text.clone()),
            "stdout" => (" ".into(), line.text.clone()),
            _ => (styled(DIM, "#"), styled(DIM, &line.text)),
        };
        text + &format!("{at} {mark} {said}\n")
    }

    /// The name of an event beneath which nothing was said.
    fn rest(&mut self) -> String {
        self.heading(DIM)
    }

    fn heading(&mut self, style: Style) -> String {
        let words: Vec<&str> = [&self.under.0, &self.under.1].into_iter().flatten().map(String::as_str).collect();
        let is_told = std::mem::replace(&mut self.is_told, true);
        if is_told || words.is_empty() { String::new() } else { format!("{}\n", styled(style, &words.join("  "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(log: &[(&str, &str, &str, &str)]) -> String {
        let mut print = Print::default();
        let named = |name: &str| Some(name.to_owned()).filter(|it| !it.is_empty());
        let line = |(event, script, stream, text): &(&str, &str, &str, &str)| Line {
            at: None,
            event: named(event),
            script: named(script),
            stream: if *stream == "heading" { "landfall".into() } else { (*stream).into() },
            text: (*text).into(),
            heading: *stream == "heading",
        };
        let text: String = log.iter().map(|it| print.line(&line(it))).collect();
        anstream::adapter::strip_str(&(text + &print.rest())).to_string()
    }

    #[test]
    fn a_heading_stands_once_before_what_was_said_and_what_is_said_of_every_script_stands_once() {
        let log = [
            ("ApplicationStop", "", "heading", "LifecycleEvent - ApplicationStop"),
            ("BeforeInstall", "", "heading", "LifecycleEvent - BeforeInstall"),
            ("BeforeInstall", "a.sh", "heading", "Script - a.sh"),
            ("BeforeInstall", "a.sh", "landfall", "runs as ada"),
            ("BeforeInstall", "a.sh", "stdout", "hello"),
            ("BeforeInstall", "a.sh", "heading", "Script - a.sh"),
            ("BeforeInstall", "a.sh", "landfall", "runs as ada"),
            ("BeforeInstall", "b.sh", "heading", "Script - b.sh"),
            ("BeforeInstall", "b.sh", "landfall", "runs as ben"),
            ("BeforeInstall", "b.sh", "landfall", "runs as ben"),
            ("Install", "", "heading", "LifecycleEvent - Install"),
            ("Install", "", "landfall", "copied"),
            ("Install", "", "landfall", "copied"),
            ("AfterInstall", "", "heading", "LifecycleEvent - AfterInstall"),
        ];
        let told = "\
ApplicationStop
BeforeInstall  a.sh
 # runs as ada
   hello
BeforeInstall  a.sh
BeforeInstall  b.sh
 # runs as ben
 # runs as ben
Install
 # copied
 # copied
AfterInstall
";
        assert_eq!(printed(&log), told);
        assert_eq!(printed(&[("", "", "stdout", "last words")]), "   last words\n");
    }

    #[test]
    fn a_server_is_away_for_a_minute_of_the_clock_whatever_requests_take() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut away = Away::default();
        assert_eq!(away.patience(began), PATIENCE);
        assert!(away.is_short(began, at(30)), "it is away since the first answer was waited for");
        assert_eq!((away.patience(at(30)), away.patience(at(50))), (PATIENCE, Duration::from_secs(10)));
        assert!(away.is_short(at(31), at(59)) && !away.is_short(at(59), at(60)));
    }
}
