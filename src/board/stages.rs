//! The five stages that people see a deployment go through, with how long each took. Folded from the events.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{DeploymentEvent, StepStatus, Verdict};

/// One stage of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stage {
    /// `weigh`, `prepare`, `release`, `run` or `verify`.
    pub name: &'static str,
    /// How far it is.
    pub status: StepStatus,
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// How long it took, or has taken so far, in milliseconds.
    pub took_ms: Option<u64>,
}

const NAMES: [&str; 5] = ["weigh", "prepare", "release", "run", "verify"];

/// The stages of the deployment that these events make, as of `now`.
pub(crate) fn stages<'a>(
    events: impl IntoIterator<Item = (Timestamp, &'a DeploymentEvent)>,
    now: Timestamp,
) -> Vec<Stage> {
    let mut stages = NAMES.map(|name| Stage { name, status: StepStatus::Pending, began_at: None, took_ms: None });
    let mut at_work = 0;
    for (at, event) in events {
        let Some((reached, end)) = reaches(event, at_work) else { continue };
        if stages[at_work].status == StepStatus::InProgress && (reached != at_work || end.is_some()) {
            finish(&mut stages[at_work], at, end.filter(|_| reached == at_work).unwrap_or(StepStatus::Succeeded));
        }
        if end.is_none() {
            let stage = &mut stages[reached];
            stage.status = StepStatus::InProgress;
            stage.began_at.get_or_insert(at);
        } else {
            for later in stages.iter_mut().filter(|stage| stage.status == StepStatus::Pending) {
                later.status = StepStatus::Skipped;
            }
        }
        at_work = reached;
    }
    if stages[at_work].status == StepStatus::InProgress {
        finish(&mut stages[at_work], now, StepStatus::InProgress);
    }
    stages.to_vec()
}

/// The stage that an event begins, or the end of the one at work.
fn reaches(event: &DeploymentEvent, at_work: usize) -> Option<(usize, Option<StepStatus>)> {
    use DeploymentEvent as E;
    match event {
        E::Planned { .. } | E::Weighing => Some((0, None)),
        E::Weighed { .. } => Some((1, None)),
        E::Prepared { .. } | E::Releasing { .. } | E::Unsent { .. } => Some((2, None)),
        E::Released { .. } | E::Adopted { .. } => Some((3, None)),
        E::Ended { outcome } => match outcome.verdict {
            Verdict::Succeeded => Some((4, None)),
            Verdict::Failed => Some((at_work, Some(StepStatus::Failed))),
            Verdict::Stopped => Some((at_work, Some(StepStatus::Skipped))),
        },
        E::Succeeded { .. } | E::AlreadyLive { .. } => Some((at_work, Some(StepStatus::Succeeded))),
        E::RollbackBegun { .. } | E::RollbackEnded { .. } => None,
        E::Failed { .. } | E::Refused { .. } => Some((at_work, Some(StepStatus::Failed))),
        E::Stopped { .. } | E::Superseded { .. } | E::Skipped { .. } => Some((at_work, Some(StepStatus::Skipped))),
        E::Held { .. } | E::Progressed { .. } | E::Stumbled { .. } => None,
        E::StopAsked { .. } | E::Approved { .. } | E::Declined { .. } | E::Taken { .. } => None,
        E::Verified { .. } => None,
    }
}

fn finish(stage: &mut Stage, at: Timestamp, status: StepStatus) {
    stage.status = status;
    stage.took_ms = stage.began_at.map(|began| u64::try_from(at.duration_since(began).as_millis()).unwrap_or(0));
}
