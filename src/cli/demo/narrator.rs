//! Tells the demo's story on the terminal, a line an event, or as data. It only reads what it is handed.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

use crate::board;
use crate::domain::{DeploymentEvent, Event, Lifecycle, NoticeState, Record, SinkEvent, StepStatus, Stream};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const BUSY: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
const CALM: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// Writes the story to stdout.
pub(super) struct Narrator {
    json: bool,
    began: Timestamp,
    told: Vec<Lifecycle>,
}

impl Narrator {
    /// One that counts time from `began`.
    pub(super) fn new(json: bool, began: Timestamp) -> Self {
        Self { json, began, told: Vec::new() }
    }

    /// A chapter's heading.
    pub(super) fn chapter(&self, title: &str) -> Result<()> {
        if self.json {
            return self.object(&json!({"story": "chapter", "title": title}));
        }
        self.line(&format!("\n{BOLD}{title}{BOLD:#}"))
    }

    /// A remark with its own key for data.
    pub(super) fn remark(&self, key: &str, text: &str) -> Result<()> {
        if self.json {
            return self.object(&json!({"story": key, "text": text}));
        }
        self.line(&format!("          {DIM}{:<10}{DIM:#} {text}", key))
    }

    /// The last line: whether the story went as it should.
    pub(super) fn end(&self, went_well: bool, text: &str) -> Result<()> {
        if self.json {
            return self.object(&json!({"story": "end", "ok": went_well, "text": text}));
        }
        let style = if went_well { GOOD } else { BAD };
        self.line(&format!("\n{style}{BOLD}{text}{BOLD:#}{style:#}"))
    }

    /// One record of the ledger.
    pub(super) fn record(&mut self, record: &Record) -> Result<()> {
        if self.json {
            let line: serde_json::Value = serde_json::from_str(&record.to_line())?;
            return self.object(&json!({"story": "record", "sentence": board::sentence(record), "record": line}));
        }
        if let Event::Deployment(DeploymentEvent::Progressed { progress }) = &record.event {
            for step in progress.lifecycle.clone() {
                self.step(record.at, step)?;
            }
            return Ok(());
        }
        let (what, style) = label(record);
        self.told_at(record.at, what, style, &board::sentence(record))?;
        self.detail(record)
    }

    /// A lifecycle event, once it has begun and once it has ended.
    fn step(&mut self, at: Timestamp, step: Lifecycle) -> Result<()> {
        let known = self.told.iter().position(|it| it.name == step.name && it.instance == step.instance);
        if step.status == StepStatus::Pending || known.is_some_and(|at| self.told[at].status == step.status) {
            return Ok(());
        }
        let took = step.took_ms.map(|ms| format!(" {DIM}{ms} ms{DIM:#}")).unwrap_or_default();
        let (style, word) = match step.status {
            StepStatus::Succeeded => (GOOD, "done"),
            StepStatus::Failed => (BAD, "failed"),
            StepStatus::Skipped => (DIM, "skipped"),
            StepStatus::InProgress | StepStatus::Pending | StepStatus::Unknown => (BUSY, "runs"),
        };
        let script = step.script.as_ref().map(|it| format!(" {DIM}{it}{DIM:#}")).unwrap_or_default();
        self.told_at(at, "lifecycle", style, &format!("{} {word}{took}{script}", step.name))?;
        match known {
            Some(at) => self.told[at] = step,
            None => self.told.push(step),
        }
        Ok(())
    }

    /// The last lines of what failed, and what to do about it.
    fn detail(&mut self, record: &Record) -> Result<()> {
        let Event::Deployment(event) = &record.event else { return Ok(()) };
        if let DeploymentEvent::Planned { .. } = event {
            self.told.clear();
        }
        let (DeploymentEvent::Failed { failure } | DeploymentEvent::Refused { failure }) = event else { return Ok(()) };
        for line in failure.detail.iter().flat_map(|it| it.lines()) {
            self.line(&format!("                     {DIM}│{DIM:#} {line}"))?;
        }
        match &failure.help {
            Some(help) => self.line(&format!("                     {DIM}→{DIM:#} {help}")),
            None => Ok(()),
        }
    }

    fn told_at(&self, at: Timestamp, what: &str, style: Style, text: &str) -> Result<()> {
        let seconds = at.duration_since(self.began).as_secs_f64();
        self.line(&format!("{DIM}{seconds:7.2} s{DIM:#} {style}{what:<10}{style:#} {text}"))
    }

    fn line(&self, text: &str) -> Result<()> {
        writeln!(anstream::stdout().lock(), "{text}")?;
        Ok(())
    }

    fn object(&self, value: &serde_json::Value) -> Result<()> {
        self.line(&value.to_string())
    }
}

/// The first column of a line, and its colour.
fn label(record: &Record) -> (&'static str, Style) {
    match (&record.stream, &record.event) {
        (Stream::Deployment(_), Event::Deployment(event)) => match event {
            DeploymentEvent::Planned { .. } => ("plan", CALM),
            DeploymentEvent::Weighing | DeploymentEvent::Weighed { .. } => ("weigh", CALM),
            DeploymentEvent::Prepared { .. } => ("prepare", CALM),
            DeploymentEvent::Releasing { .. } | DeploymentEvent::Unsent { .. } | DeploymentEvent::Released { .. } => {
                ("release", CALM)
            }
            DeploymentEvent::Succeeded { .. } | DeploymentEvent::AlreadyLive { .. } => ("live", GOOD),
            DeploymentEvent::Failed { .. } | DeploymentEvent::Refused { .. } => ("failed", BAD),
            DeploymentEvent::Stopped { .. } | DeploymentEvent::StopAsked { .. } => ("stopped", BAD),
            DeploymentEvent::Held { .. } | DeploymentEvent::Stumbled { .. } => ("waits", BUSY),
            DeploymentEvent::Superseded { .. } => ("passed by", BUSY),
            DeploymentEvent::Skipped { .. } => ("left out", BUSY),
            DeploymentEvent::RollbackBegun { .. } | DeploymentEvent::RollbackEnded { .. } => ("rollback", BUSY),
            DeploymentEvent::Adopted { .. } | DeploymentEvent::Taken { .. } => ("engine", CALM),
            DeploymentEvent::Declined { .. } => ("engine", BAD),
            DeploymentEvent::Verified { .. }
            | DeploymentEvent::Progressed { .. }
            | DeploymentEvent::Ended { .. }
            | DeploymentEvent::Approved { .. } => ("engine", CALM),
        },
        (_, Event::Sink(SinkEvent::Sent { state, .. })) => match state {
            NoticeState::Success => ("status", GOOD),
            NoticeState::Pending | NoticeState::Queued | NoticeState::InProgress => ("status", BUSY),
            NoticeState::Inactive => ("status", DIM),
            NoticeState::Failure | NoticeState::Error => ("status", BAD),
        },
        (Stream::Delivery(_), _) => ("delivery", CALM),
        (Stream::Target(_), _) => ("target", CALM),
        (Stream::Sink(_), _) => ("report", BUSY),
        (Stream::Bot | Stream::Deployment(_), _) => ("bot", DIM),
    }
}
