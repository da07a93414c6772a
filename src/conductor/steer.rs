//! Stops and approvals on their way to the engine: what a run is told, and what comes of an engine that does not take it.
//! It is told to people once, and to the engine again with patience, where that can help.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;

use super::jobs::{Done, Job, JobError};
use crate::domain::{Approval, Deployment, DeploymentEvent, Failure, RunId, Running, State, SubState, backoff};
use crate::steps::release;

/// How often in a row something that may pass is tried before people hear of it.
const QUIETLY: u32 = 3;
/// What only a person can mend is tried again no sooner.
const SOONEST: Duration = Duration::from_secs(10);
/// The causes that a person may mend while the run goes on; each is the end of a failure's code.
const MENDABLE: [&str; 4] = ["/access-denied", "/role-refused", "/unknown-credentials", "/bad-signature"];

/// What an engine is told to do with a run, because a person asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steer {
    /// Stop.
    Stop {
        /// And bring back what ran before.
        rollback: bool,
    },
    /// Go on.
    Proceed(Approval),
}

/// What an engine was told to do with a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steered {
    pub(super) what: Steer,
    /// How often in a row.
    pub(super) tries: u32,
    /// When it may be told again: never, once it has taken it.
    pub(super) again: Timestamp,
}

/// What somebody wants the engine to do with a run now.
pub(super) fn wanted(deployment: &Deployment) -> Option<(Steer, &Running)> {
    let State::Running { running } = deployment.state() else { return None };
    if deployment.stop_asked_by().is_some() {
        return Some((Steer::Stop { rollback: deployment.wants_rollback() }, running));
    }
    let of = match running.progress.sub_state? {
        SubState::ReadyForTraffic => Approval::Traffic,
        SubState::WaitingForTermination => Approval::Termination,
        SubState::Baking => return None,
    };
    deployment.is_approved(of).then_some((Steer::Proceed(of), running))
}

/// Whether telling the engine once more may help, and how soon.
fn again(failure: &Failure, tries: u32, who: &str) -> Option<Duration> {
    let wait = backoff(tries, who);
    let is_mendable = MENDABLE.iter().any(|end| failure.code.ends_with(end));
    match (failure.passing, is_mendable) {
        (true, _) => Some(wait),
        (false, true) => Some(wait.max(SOONEST)),
        (false, false) => None,
    }
}

impl Job {
    /// Tells the engine. May run twice: a run that stops or goes on already is left alone.
    pub(super) async fn steer(mut self, what: Steer, run: RunId, tries: u32) -> Done {
        let engine = release::engine(&self.world, self.deployment.order());
        let (of, told) = match what {
            Steer::Stop { rollback } => (None, engine.stop(&run, rollback).await),
            Steer::Proceed(of) => (Some(of), engine.proceed(&run, of).await),
        };
        let before = self.deployment.declined().filter(|it| it.of == of).map(|it| it.failure.code.clone());
        let Err(failure) = told else {
            return if before.is_some() { self.append(DeploymentEvent::Taken { of }, vec![]).await } else { Ok(()) };
        };
        let id = self.deployment.id();
        warn!(deployment.id = %id, code = failure.code, tries, "the engine did not take {what:?}: {}", failure.message);
        let again = again(&failure, tries, &id.to_string()).map_or(Timestamp::MAX, |wait| self.after(wait));
        let is_news = before.as_deref() != Some(failure.code.as_str());
        if is_news && (!failure.passing || tries >= QUIETLY) {
            self.append(DeploymentEvent::Declined { of, failure }, vec![]).await?;
        }
        Err(JobError::NotTaken { again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_help_is_not_tried_again_row_54() {
        let wait = |failure: &Failure, tries| again(failure, tries, "it").map(|it| it.as_secs());
        let denied = Failure::setup("codedeploy/access-denied", "AWS denies it");
        let waits: Vec<_> = (1..=12).map(|tries| wait(&denied, tries).unwrap()).collect();
        // They double and scatter.
        assert!(waits[0] == 10 && waits.iter().all(|it| *it >= 10), "{waits:?}");
        assert!((150..=300).contains(&waits[11]), "{waits:?}");
        let busy = Failure::passing("codedeploy/throttled", "CodeDeploy throttles it");
        assert!(wait(&busy, 1).unwrap() <= 1);
        assert_eq!(wait(&Failure::setup("codedeploy/unsupported-action", "not this type"), 1), None);
    }
}
