//! What people read about a deployment: a commit status's state and description.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::deployment::{Deployment, THE_ENGINE};
use super::failure::Blame;
use super::plain::{one_line, took};
use super::progress::{Progress, StepStatus, SubState};
use super::state::State;

/// GitHub counts characters, not bytes, and refuses the 141st (422).
const LONGEST: usize = 140;

/// The state of a commit status or of a GitHub deployment, by GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Not over.
    Pending,
    /// It runs.
    Success,
    /// The revision is at fault.
    Failure,
    /// It could not be carried out, or was passed over.
    Error,
    /// It has its place in the queue. Of GitHub deployments only, like what follows.
    Queued,
    /// The engine works.
    InProgress,
    /// It does not run any more, or never did.
    Inactive,
}

impl NoticeState {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Inactive => "inactive",
        }
    }
}

/// What the world should be told about a deployment now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The state.
    pub state: NoticeState,
    /// The description, at most 140 characters, beginning with a capital.
    pub text: String,
}

impl Notice {
    /// The notice for a deployment as it stands.
    pub fn of(deployment: &Deployment) -> Self {
        let (state, text) = words(deployment);
        Self { state, text: shorten(&capital(&text)) }
    }

    /// The same, as the target's owner wants it described.
    pub fn described(deployment: &Deployment) -> Self {
        let (state, text) = words(deployment);
        let order = deployment.order();
        Self { state, text: shorten(&order.target.github.describe(order, deployment.commit(), &capital(&text))) }
    }
}

fn words(deployment: &Deployment) -> (NoticeState, String) {
    use NoticeState::{Error, Pending, Success};
    let stumble = deployment.stumble().map(|it| format!(": {}, trying again", it.failure.message)).unwrap_or_default();
    match deployment.state() {
        State::Planned => (Pending, "planned".into()),
        State::Weighing => (Pending, format!("checking that this is the newest commit{stumble}")),
        State::Held { hold } | State::ReadyHeld { hold, .. } => (Pending, waits(&hold.reason)),
        State::Preparing { .. } => (Pending, format!("preparing the revision{stumble}")),
        State::Ready { .. } => (Pending, format!("revision ready{stumble}")),
        State::Releasing { .. } => (Pending, format!("handing over to the engine{stumble}")),
        State::Running { running } => {
            let progress = progress(&running.progress);
            let text = match (deployment.declined(), deployment.stop_asked_by()) {
                (Some(declined), _) => format!("{declined}; {progress}"),
                (None, Some(actor)) => format!("stopping for {actor}: {progress}"),
                (None, None) => progress,
            };
            (Pending, format!("{text}{stumble}"))
        }
        State::Verifying { .. } => {
            let found = deployment.verified().map_or("what came of it", |it| it);
            (Pending, format!("looking at {found}{stumble}"))
        }
        State::Succeeded { .. } if brings_what_is_not_known(deployment) => {
            (Success, "a revision of somebody else's was brought back".into())
        }
        State::Succeeded { warnings } => {
            let order = deployment.order();
            let how = match (order.is_rollback(), order.restarts()) {
                (true, _) => "rolled back to this, and live",
                (false, Some(_)) => "restarted, and live",
                (false, None) => "live",
            };
            let warning = warnings.first().map(|it| format!("; {it}")).unwrap_or_default();
            (Success, format!("{how} after {}{warning}", seconds(deployment)))
        }
        State::Failed { failure } => {
            let back = brought_back(deployment);
            (judged(failure), format!("failed{back}: {}", failure.message))
        }
        State::Stopped { actor, failure: None } => (Error, format!("stopped by {actor}{}", brought_back(deployment))),
        State::Stopped { actor, failure: Some(why) } => {
            // That it was the engine is no news where there is a reason.
            let by = if actor == THE_ENGINE { String::new() } else { format!(" by {actor}") };
            (judged(why), format!("stopped{by}{}: {}", brought_back(deployment), why.message))
        }
        State::Superseded { by, .. } => (Error, format!("not deployed: superseded by {}", by.short())),
        // A commit that a rule leaves out is no worse for it.
        State::Skipped { reason } => (Success, format!("not deployed: {reason}")),
        State::Refused { failure } => (Error, format!("not deployed: {}", failure.message)),
    }
}

/// A wait in words. Most reasons say what stands in the way, and some that it waits.
fn waits(reason: &str) -> String {
    if reason.starts_with("waiting for ") { reason.to_owned() } else { format!("waiting: {reason}") }
}

/// Red because of the revision, or because of everything else.
fn judged(failure: &super::failure::Failure) -> NoticeState {
    if failure.blame == Blame::Revision { NoticeState::Failure } else { NoticeState::Error }
}

/// Whether it follows the engine's own rollback to a revision that is none of ours.
fn brings_what_is_not_known(deployment: &Deployment) -> bool {
    deployment.order().adopts().is_some() && deployment.order().restores().is_none()
}

/// What is live now that it ended badly (row 56). A red commit stays red, whatever is brought back.
fn brought_back(deployment: &Deployment) -> String {
    deployment.rollback().map(|it| format!("; {it}")).unwrap_or_default()
}

fn progress(progress: &Progress) -> String {
    let mut parts = Vec::new();
    if let Some(instances) = progress.instances.filter(|it| it.total() > 1) {
        parts.push(format!("{} of {} instances", instances.succeeded, instances.total()));
    }
    if let Some(percent) = progress.percent {
        parts.push(format!("{percent} % of traffic"));
    }
    if let Some(traffic) = &progress.traffic {
        // While traffic moves by degrees, how far it has moved says more than how many phases are done.
        let phase = progress.phase.as_ref().map(|phase| format!("{phase}: ")).unwrap_or_default();
        parts.push(format!("{phase}{traffic}"));
    } else if let Some(phase) = &progress.phase {
        let done = progress.lifecycle.iter().filter(|it| it.status == StepStatus::Succeeded).count();
        let all = progress.lifecycle.len();
        parts.push(if all > 1 { format!("{phase} ({} of {all})", (done + 1).min(all)) } else { phase.clone() });
    }
    let until = progress.until.map(|at| at.strftime(" until %H:%MZ").to_string()).unwrap_or_default();
    match progress.sub_state {
        Some(SubState::ReadyForTraffic) => parts.push(format!("ready, awaiting traffic approval{until}")),
        Some(SubState::WaitingForTermination) => parts.push(format!("traffic moved, the old ones live on{until}")),
        Some(SubState::Baking) => parts.push("baking".into()),
        None => {}
    }
    if let Some(hours) = progress.overdue_h {
        // First, since a long description is cut at its end.
        parts.insert(0, format!("still running after {hours} h"));
    }
    if parts.is_empty() { "the engine works".into() } else { parts.join(", ") }
}

fn seconds(deployment: &Deployment) -> String {
    let time = Duration::try_from(deployment.changed_at().duration_since(deployment.created_at())).unwrap_or_default();
    match time.as_millis() / 100 {
        tenths @ 0..100 if tenths % 10 > 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => took(time),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Cuts to what GitHub takes, on a character, with an ellipsis; line ends become spaces. It does nothing.
fn shorten(text: &str) -> String {
    let line = one_line(&text.split_whitespace().collect::<Vec<_>>().join(" "), usize::MAX);
    if line.chars().count() <= LONGEST {
        return line;
    }
    let kept: String = line.chars().take(LONGEST - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Instances, Traffic};

    #[test]
    fn a_description_fits_in_140_characters() {
        let long = "é".repeat(200);
        assert_eq!(shorten(&long).chars().count(), 140);
        assert!(shorten(&long).ends_with('…'));
        assert_eq!(shorten("two\n  \u{202e}lines\u{1b}[2J"), "two lines[2J");
    }

    #[test]
    fn a_wait_is_called_so_once() {
        assert_eq!(waits("waiting for check `build`"), "waiting for check `build`");
        assert_eq!(waits("`site` is locked by ada"), "waiting: `site` is locked by ada");
    }

    #[test]
    fn what_takes_long_or_bakes_is_told_beside_how_far_it_is_rows_43_and_64() {
        let instances = Some(Instances { succeeded: 1, pending: 2, ..Instances::default() });
        let baking = Progress { instances, sub_state: Some(SubState::Baking), ..Progress::default() };
        assert_eq!(progress(&baking), "1 of 3 instances, baking");
        let late = Progress { overdue_h: Some(12), ..baking };
        assert_eq!(progress(&late), "still running after 12 h, 1 of 3 instances, baking");
    }

    #[test]
    fn traffic_is_told_with_its_phase_row_63() {
        let traffic = Some(Traffic { percent: 30, label: "version 8".into() });
        let moving = Progress { phase: Some("AllowTraffic".into()), traffic, ..Progress::default() };
        assert_eq!(progress(&moving), "AllowTraffic: 30 % on version 8");
        assert_eq!(progress(&Progress { phase: None, ..moving }), "30 % on version 8");
    }
}
