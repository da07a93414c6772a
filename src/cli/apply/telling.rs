//! How a run is told in a terminal, and as JSON: events as they end, a script that takes long, the end with its reason.

use std::time::Duration;

use serde_json::json;

use crate::cli::terminal::{BAD, DIM, GOOD, WAITS, say, styled, talk};
use crate::domain::{StepStatus, Verdict, harmless};
use crate::engine::host::{End, EventTold, RunDir, RunIntent, Story};

/// How many of a failed script's last lines are shown; all of them are in its log.
const LAST_LINES: usize = 20;
/// A script that runs longer is told while it runs.
const LONG: Duration = Duration::from_secs(2);

/// What of a run was told already.
#[derive(Default)]
pub(super) struct Teller {
    ended: usize,
    at_work: Option<(String, Duration)>,
    told_at_work: bool,
    waited: Duration,
}

impl Teller {
    /// Tells what is new in the story, `since` after the last look.
    pub(super) fn look(&mut self, story: &Story, since: Duration) {
        if story.started && story.events.iter().all(|event| event.status == StepStatus::Pending) && story.end.is_none()
        {
            // Told once: before it was short, afterwards it is said.
            let (before, after) = (self.waited, self.waited + since);
            self.waited = after;
            if before < LONG && after >= LONG {
                talk("waiting: another run of this group is at work\n");
            }
        }
        let ended = story.events.iter().filter(|event| event.status != StepStatus::Pending);
        let ended: Vec<_> = ended.filter(|event| event.status != StepStatus::InProgress).collect();
        for event in ended.iter().skip(self.ended) {
            self.ended += 1;
            if let Some(line) = line_of(event) {
                say(&line);
            }
        }
        let at_work = story.events.iter().find_map(|event| Some((event, event.at_work.as_ref()?)));
        let Some((event, script)) = at_work else {
            self.at_work = None;
            return;
        };
        match &mut self.at_work {
            Some((before, ran)) if before == script => *ran += since,
            _ => (self.at_work, self.told_at_work) = (Some((script.clone(), Duration::ZERO)), false),
        }
        if self.at_work.as_ref().is_some_and(|(_, ran)| *ran >= LONG) && !self.told_at_work {
            self.told_at_work = true;
            talk(&styled(DIM, &format!("{:<20} runs {}\n", event.name, harmless(script))));
        }
    }
}

/// `AfterInstall         ok      0.3 s  a.sh, b.sh`; nothing of an event that was left out in silence.
fn line_of(event: &EventTold) -> Option<String> {
    let (style, word) = match (event.status, event.ignored) {
        (StepStatus::Succeeded, _) => (GOOD, "ok"),
        (StepStatus::Failed, true) => (WAITS, "failed, passed over"),
        (StepStatus::Failed, false) => (BAD, "failed"),
        (StepStatus::Skipped, _) => (DIM, "skipped"),
        (StepStatus::Pending | StepStatus::InProgress | StepStatus::Unknown, _) => return None,
    };
    let seconds = Duration::from_millis(event.took_ms.unwrap_or(0)).as_secs_f64();
    let scripts: Vec<&str> = event.scripts.iter().map(|script| script.location.as_str()).collect();
    let scripts = if scripts.is_empty() { String::new() } else { format!("  {}", scripts.join(", ")) };
    let scripts = harmless(&scripts);
    Some(format!("{:<20} {} {seconds:.1} s{scripts}\n", event.name, styled(style, &format!("{word:<7}"))))
}

/// Tells how it ended, and of a failure what its script said last, where the rest is, and what to do.
pub(super) fn tell_end(intent: &RunIntent, dir: &RunDir, story: &Story) {
    for warning in &story.warnings {
        talk(&format!("warning: {}\n", harmless(warning)));
    }
    let Some(End { verdict, failure, .. }) = &story.end else { return };
    let (style, word) = match verdict {
        Verdict::Succeeded => (GOOD, "succeeded"),
        Verdict::Failed => (BAD, "failed"),
        Verdict::Stopped => (WAITS, "stopped"),
    };
    say(&format!("{} {}\n", intent.run, styled(style, word)));
    let Some(failure) = failure else { return };
    talk(&format!("{failure}\n"));
    if let Some(detail) = &failure.detail {
        let lines: Vec<&str> = detail.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
            talk(&format!("  {line}\n"));
        }
    }
    talk(&format!("the whole output is in {}\n", dir.scripts_log().display()));
    if let Some(help) = &failure.help {
        talk(&format!("{help}\n"));
    }
}

/// The one object of `--json`.
pub(super) fn as_json(intent: &RunIntent, story: &Story) -> serde_json::Value {
    let end = story.end.as_ref();
    let failure = end.and_then(|end| end.failure.as_ref());
    let status = match end.map(|end| end.verdict) {
        Some(Verdict::Succeeded) => "Succeeded",
        Some(Verdict::Stopped) => "Stopped",
        Some(Verdict::Failed) | None => "Failed",
    };
    json!({
        "deployment_id": intent.run.as_str(),
        "deployment_group": intent.group.as_str(),
        "status": status,
        "failed_event": end.and_then(|end| end.failed_event.as_ref()),
        "code": failure.map(|failure| &failure.code),
        "message": failure.map(|failure| &failure.message),
        "help": failure.and_then(|failure| failure.help.as_ref()),
        "detail": failure.and_then(|failure| failure.detail.as_ref()),
        "events": story.events.iter().map(event_json).collect::<Vec<_>>(),
        "warnings": story.warnings,
        "log": intent.dir().scripts_log().display().to_string(),
    })
}

fn event_json(event: &EventTold) -> serde_json::Value {
    let status = match event.status {
        StepStatus::Succeeded => "Succeeded",
        StepStatus::Failed => "Failed",
        StepStatus::Pending | StepStatus::InProgress | StepStatus::Skipped | StepStatus::Unknown => "Skipped",
    };
    let scripts: Vec<_> = event
        .scripts
        .iter()
        .map(|script| {
            json!({
                "location": script.location,
                "exit_code": script.exit_code,
                "signal": script.signal,
                "timed_out": script.timed_out,
                "seconds": script.seconds,
            })
        })
        .collect();
    json!({ "name": event.name, "status": status, "ignored": event.ignored, "scripts": scripts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::host::ScriptTold;

    #[test]
    fn a_scripts_name_is_told_as_text() {
        let script = ScriptTold { location: "a\u{1b}[2J\u{202e}b.sh".into(), ..ScriptTold::default() };
        let event = EventTold {
            name: "Install".into(),
            status: StepStatus::Succeeded,
            ignored: false,
            scripts: vec![script],
            at_work: None,
            took_ms: None,
        };
        let line = anstream::adapter::strip_str(&line_of(&event).unwrap()).to_string();
        assert_eq!(line, "Install              ok      0.0 s  a[2Jb.sh\n");
    }
}
