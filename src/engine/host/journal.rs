//! What a run has done so far, as lines that are appended and never changed; and the story they tell.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::HostError;
use super::layout::RunDir;
use crate::domain::{Failure, Lifecycle, Mask, Progress, RunOutcome, StepStatus, Verdict};

/// One line of `progress.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Line {
    /// The run is taken: nobody else may begin it. Durable before anything is touched.
    Started { at: Timestamp, pid: u32, events: Vec<String> },
    /// A lifecycle event began.
    EventBegan { at: Timestamp, event: String },
    /// A script began.
    ScriptBegan { at: Timestamp, event: String, location: String },
    /// A script ended.
    ScriptEnded { at: Timestamp, event: String, script: ScriptTold },
    /// A lifecycle event ended.
    EventEnded { at: Timestamp, event: String, status: StepStatus, ignored: bool, took_ms: u64 },
    /// Something a person should know although it goes on.
    Warned { at: Timestamp, message: String },
    /// The run is over.
    Ended { at: Timestamp, end: End },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub verdict: Verdict,
    /// The event that failed.
    #[serde(default)]
    pub failed_event: Option<String>,
    /// Why, unless it succeeded.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// Whether it ended before anything was touched: what ran before runs on.
    #[serde(default)]
    pub untouched: bool,
}

impl End {
    /// A failure, and the event that it belongs to.
    pub(super) fn failed(failed_event: Option<String>, failure: Failure) -> Self {
        Self { verdict: Verdict::Failed, failed_event, failure: Some(failure), untouched: false }
    }

    /// A stop between two events.
    pub(super) fn stopped() -> Self {
        Self { verdict: Verdict::Stopped, failed_event: None, failure: None, untouched: false }
    }

    /// The same, before anything was touched.
    #[must_use]
    pub(super) fn untouched(self) -> Self {
        Self { untouched: true, ..self }
    }
}

/// How one script went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScriptTold {
    /// Its location, as the AppSpec names it.
    pub location: String,
    /// Its exit code, unless a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether its time was up.
    pub timed_out: bool,
    /// How long it took.
    pub seconds: f64,
}

/// How one lifecycle event went.
#[derive(Clone, Debug, PartialEq)]
pub struct EventTold {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: StepStatus,
    /// Whether its failure was passed over.
    pub ignored: bool,
    /// Its scripts that ended.
    pub scripts: Vec<ScriptTold>,
    /// The script at work.
    pub at_work: Option<String>,
    /// How long it took, once it ended.
    pub took_ms: Option<u64>,
}

/// What a journal tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Whether the run was begun.
    pub started: bool,
    /// The events, in run order.
    pub events: Vec<EventTold>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// How it ended, once it did.
    pub end: Option<End>,
}

/// Appends to a journal.
pub(super) struct Journal(File);

impl Journal {
    /// Opens it, and ends a line that a crash tore.
    pub(super) fn open(dir: &RunDir) -> Result<Self, HostError> {
        let path = dir.journal();
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(HostError::on("open", &path))?;
        let torn = fs::read(&path).map_err(HostError::on("read", &path))?.last().is_some_and(|last| *last != b'\n');
        if torn {
            file.write_all(b"\n").map_err(HostError::on("write", &path))?;
        }
        Ok(Self(file))
    }

    /// Appends a line: seen by every reader at once.
    pub(super) fn tell(&mut self, line: &Line) -> Result<(), HostError> {
        let mut text = serde_json::to_vec(line).expect("a line of texts and numbers is JSON");
        text.push(b'\n');
        self.0.write_all(&text).map_err(HostError::on("write", Path::new("progress.jsonl")))
    }

    /// Appends a line and returns once it is durable.
    pub(super) fn tell_durably(&mut self, line: &Line) -> Result<(), HostError> {
        self.tell(line)?;
        self.0.sync_data().map_err(HostError::on("sync", Path::new("progress.jsonl")))
    }
}

/// The lines of a journal; torn ones are passed over.
pub(super) fn lines(journal: &[u8]) -> impl Iterator<Item = Line> {
    journal.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

impl Story {
    /// Reads a run's journal; one that is not there yet tells nothing. Torn lines are passed over.
    pub fn read(dir: &RunDir) -> Result<Self, HostError> {
        let path = dir.journal();
        match fs::read(&path) {
            Ok(bytes) => Ok(Self::of(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(HostError::on("read", &path)(error)),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let mut story = Self::default();
        lines(bytes).for_each(|line| story.hear(line));
        story
    }

    fn hear(&mut self, line: Line) {
        match line {
            Line::Started { events, .. } => {
                self.started = true;
                self.events = events.into_iter().map(EventTold::pending).collect();
            }
            Line::EventBegan { event, .. } => self.event(&event).status = StepStatus::InProgress,
            Line::ScriptBegan { event, location, .. } => self.event(&event).at_work = Some(location),
            Line::ScriptEnded { event, script, .. } => {
                let event = self.event(&event);
                event.at_work = None;
                event.scripts.push(script);
            }
            Line::EventEnded { event, status, ignored, took_ms, .. } => {
                let event = self.event(&event);
                (event.status, event.ignored, event.took_ms) = (status, ignored, Some(took_ms));
            }
            Line::Warned { message, .. } => self.warnings.push(message),
            Line::Ended { end, .. } => self.end = Some(end),
        }
    }

    fn event(&mut self, name: &str) -> &mut EventTold {
        let at = self.events.iter().position(|event| event.name == name).unwrap_or_else(|| {
            self.events.push(EventTold::pending(name.to_owned()));
            self.events.len() - 1
        });
        &mut self.events[at]
    }

    /// Whether an event of it has begun and it is not over.
    pub(super) fn is_busy(&self) -> bool {
        self.end.is_none() && self.events.iter().any(|event| event.status != StepStatus::Pending)
    }

    /// The story of a run whose engine died at work (R26): what was in progress has failed.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        let at_work = self.events.iter().find(|event| event.status == StepStatus::InProgress);
        let failed_event = at_work.map(|event| event.name.clone());
        let during = failed_event.as_ref().map_or_else(String::new, |event| format!(" during {event}"));
        for event in &mut self.events {
            event.status = match event.status {
                StepStatus::InProgress => StepStatus::Failed,
                StepStatus::Pending => StepStatus::Skipped,
                known @ (StepStatus::Succeeded | StepStatus::Failed | StepStatus::Skipped | StepStatus::Unknown) => {
                    known
                }
            };
        }
        let failure = Failure::setup("host/interrupted", format!("the engine was ended{during}"))
            .help("deploy again: it is not resumed, since nobody knows how far its script came");
        self.end = Some(End::failed(failed_event, failure));
        self
    }

    /// The same, with secrets taken out of everything that it tells.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        self.warnings.iter_mut().for_each(|warning| *warning = mask.apply(warning));
        if let Some(failure) = self.end.as_mut().and_then(|end| end.failure.as_mut()) {
            *failure = failure.masked(mask);
        }
        self
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let status = match self.end.as_ref().map(|end| end.verdict) {
            Some(Verdict::Succeeded) => "Succeeded",
            Some(Verdict::Failed) => "Failed",
            Some(Verdict::Stopped) => "Stopped",
            None if self.started => "InProgress",
            None => "Created",
        };
        let at_work = self.events.iter().find(|event| event.status == StepStatus::InProgress);
        Progress {
            status: status.to_owned(),
            phase: at_work.map(|event| event.name.clone()),
            lifecycle: self.events.iter().map(EventTold::lifecycle).collect(),
            instances: None,
            percent: None,
            traffic: None,
            fleet: None,
            until: None,
            sub_state: None,
            said: None,
            overdue_h: None,
        }
    }

    /// How it ended, for the conductor.
    pub fn outcome(&self) -> Option<RunOutcome> {
        let end = self.end.as_ref()?;
        let (failure, warnings) = (end.failure.clone(), self.warnings.clone());
        Some(RunOutcome { failure, warnings, untouched: end.untouched, ..RunOutcome::of(end.verdict) })
    }
}

impl EventTold {
    fn pending(name: String) -> Self {
        Self { name, status: StepStatus::Pending, ignored: false, scripts: Vec::new(), at_work: None, took_ms: None }
    }

    fn lifecycle(&self) -> Lifecycle {
        let failed = self.scripts.last().filter(|_| self.status == StepStatus::Failed);
        Lifecycle {
            name: self.name.clone(),
            status: self.status,
            instance: None,
            script: self.at_work.clone().or_else(|| failed.map(|script| script.location.clone())),
            took_ms: self.took_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_passed_over() {
        let journal = br#"{"kind":"started","at":"2026-01-02T03:04:05Z","pid":7,"events":["Install","AfterInstall"]}
{"kind":"event-began","at":"2026-01-02T03:04:05Z","event":"Install"}
{"kind":"event-en
{"kind":"warned","at":"2026-01-02T03:04:05Z","message":"w"}
{"kind":"ended","at":"2026"#;
        let story = Story::of(journal);
        assert!(story.started && story.end.is_none());
        assert_eq!(story.warnings, ["w"]);
        assert_eq!(story.progress().phase.as_deref(), Some("Install"));
        let end = story.interrupted().end.unwrap();
        assert_eq!(end.failed_event.as_deref(), Some("Install"));
        assert_eq!(end.failure.unwrap().code, "host/interrupted");
    }
}
