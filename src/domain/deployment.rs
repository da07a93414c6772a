//! The state machine: a deployment is the fold of its events. There is no other way to make or change one.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::aftermath::{Declined, Rollback};
use super::approval::Approval;
use super::event::DeploymentEvent as E;
use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId, RunId};
use super::plan::Order;
use super::progress::{Hold, Progress, RunOutcome, Verdict};
use super::revision::Revision;
use super::state::{Ready, Running, State, Step, StepName, Weighed};

/// Who stopped a deployment, where nobody asked for it.
pub(super) const THE_ENGINE: &str = "the engine";

/// A deployment, as its events tell it. It is stored as a snapshot, which a fold of the same events equals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    id: DeploymentId,
    #[serde(with = "super::shared")]
    order: Arc<Order>,
    state: State,
    events: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
    #[serde(default)]
    weighed: Option<Weighed>,
    #[serde(default)]
    stumble: Option<Stumble>,
    #[serde(default)]
    stop_asked: Option<StopAsked>,
    #[serde(default)]
    approved_by: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approved: Vec<Approval>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approvers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declined: Option<Declined>,
    #[serde(default)]
    revision: Option<Revision>,
    #[serde(default)]
    run: Option<RunId>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    untouched: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollback: Option<Rollback>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StopAsked {
    actor: String,
    rollback: bool,
}

/// What a step stumbled over, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stumble {
    /// Which step.
    pub step: StepName,
    /// Over what.
    pub failure: Failure,
    /// How often in a row.
    pub attempts: u32,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again.
    pub next_at: Timestamp,
}

/// An event that cannot follow the ones before it: a bug, or a ledger from elsewhere.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("deployment {id} cannot take `{event}` while {state}")]
pub struct Misplaced {
    /// Which deployment.
    pub id: DeploymentId,
    /// The event's kind.
    pub event: String,
    /// The state's name.
    pub state: String,
}

impl Deployment {
    /// The deployment at its birth.
    pub fn born(id: DeploymentId, at: Timestamp, first: &E) -> Result<Self, Misplaced> {
        let E::Planned { order } = first else {
            return Err(Misplaced { id, event: first.kind().into(), state: "unplanned".into() });
        };
        Ok(Self {
            id,
            order: order.clone(),
            state: State::Planned,
            events: 1,
            created_at: at,
            changed_at: at,
            weighed: None,
            stumble: None,
            stop_asked: None,
            approved_by: None,
            approved: vec![],
            approvers: vec![],
            declined: None,
            revision: None,
            run: None,
            url: None,
            untouched: false,
            rollback: None,
            warning: None,
            verified: None,
        })
    }

    /// Reads a deployment back from its events, oldest first.
    pub fn replay<'a>(
        id: DeploymentId,
        events: impl IntoIterator<Item = (Timestamp, &'a E)>,
    ) -> Result<Self, Misplaced> {
        let mut events = events.into_iter();
        let Some((at, first)) = events.next() else {
            return Err(Misplaced { id, event: "nothing".into(), state: "unplanned".into() });
        };
        let mut this = Self::born(id, at, first)?;
        events.try_for_each(|(at, event)| this.apply(at, event))?;
        Ok(this)
    }

    /// Takes one more event, or says why it cannot follow.
    pub fn apply(&mut self, at: Timestamp, event: &E) -> Result<(), Misplaced> {
        self.state = self.after(at, event)?;
        match event {
            E::Stumbled { step, failure, attempt, next_at } => {
                let since = self.stumble.as_ref().filter(|_| *attempt > 1).map_or(at, |before| before.since);
                let (failure, next_at) = (failure.clone(), *next_at);
                self.stumble = Some(Stumble { step: *step, failure, attempts: *attempt, since, next_at });
            }
            E::Unsent { failure, next_at } => {
                let before = self.stumble.as_ref();
                let attempts = before.map_or(1, |it| it.attempts + 1);
                let since = before.map_or(at, |it| it.since);
                let (step, failure, next_at) = (StepName::Release, failure.clone(), *next_at);
                self.stumble = Some(Stumble { step, failure, attempts, since, next_at });
            }
            E::StopAsked { actor, rollback } => {
                self.stop_asked = Some(StopAsked { actor: actor.clone(), rollback: *rollback });
            }
            E::Approved { actor, of, .. } => {
                self.approved_by = Some(actor.clone());
                self.approvers.extend(Some(actor.clone()).filter(|_| *of == Some(Approval::Release)));
                self.approved.push(of.unwrap_or(Approval::Traffic));
            }
            E::Declined { of, failure } => self.declined = Some(Declined { of: *of, failure: failure.clone() }),
            E::Taken { .. } => self.declined = None,
            E::Verified { what, said, .. } => self.verified = Some(format!("{what}: {said}")),
            E::Weighed { head, commit, forced, doubt } => {
                let (commit, head, doubt) = (commit.clone(), head.clone(), doubt.clone());
                self.weighed = Some(Weighed { commit, head, forced: *forced, doubt });
                self.stumble = None;
            }
            E::Released { run, url, .. } => {
                (self.run, self.url) = (Some(run.clone()), url.clone());
                self.stumble = None;
            }
            E::Adopted { run, revision, url } => {
                (self.run, self.url, self.revision) = (Some(run.clone()), url.clone(), revision.clone());
                // What nobody here has deployed has no commit that is known.
                let commit = self.order.restores().map(|_| self.order.sha.clone());
                self.weighed = commit.map(Weighed::alone);
            }
            // A try alone is no progress: what is refused again and again must still give up.
            E::Planned { .. } | E::Weighing => {}
            E::Releasing { warning, .. } => self.warning.clone_from(warning),
            E::Prepared { revision, .. } => {
                self.revision = Some(revision.clone());
                self.stumble = None;
            }
            E::Held { .. } | E::Progressed { .. } => self.stumble = None,
            E::Ended { outcome } => {
                // An engine that brought the revision before back has left nothing of this one.
                self.untouched = outcome.untouched || outcome.rolled_back_by.is_some();
                (self.stumble, self.declined) = (None, None);
            }
            E::Succeeded { .. } | E::Failed { .. } | E::Stopped { .. } => self.stumble = None,
            E::AlreadyLive { .. } | E::Superseded { .. } => self.stumble = None,
            E::Skipped { .. } | E::Refused { .. } => self.stumble = None,
            E::RollbackBegun { by, to } => return self.told_of_rollback(*by, to.as_ref(), None),
            E::RollbackEnded { by, to, verdict } => return self.told_of_rollback(*by, to.as_ref(), Some(*verdict)),
        }
        self.events += 1;
        self.changed_at = at;
        Ok(())
    }

    /// Takes in what becomes of its target after its end. When it ended stays what it was.
    #[expect(clippy::unnecessary_wraps, reason = "it is the last word of `apply`")]
    fn told_of_rollback(
        &mut self,
        by: DeploymentId,
        to: Option<&CommitSha>,
        verdict: Option<Verdict>,
    ) -> Result<(), Misplaced> {
        self.rollback = Some(Rollback { by, to: to.cloned(), verdict });
        self.events += 1;
        Ok(())
    }

    /// The table of states and events. Its last arm is the error.
    fn after(&self, at: Timestamp, event: &E) -> Result<State, Misplaced> {
        Ok(match (&self.state, event) {
            (State::Planned | State::Held { .. }, E::Weighing) => State::Weighing,
            (State::Planned | State::Weighing | State::Held { .. }, E::Held { hold }) => {
                State::Held { hold: hold.clone() }
            }
            (State::Planned | State::Weighing | State::Held { .. }, E::Weighed { head, commit, forced, doubt }) => {
                let (commit, head, doubt) = (commit.clone(), head.clone(), doubt.clone());
                State::Preparing { weighed: Weighed { commit, head, forced: *forced, doubt } }
            }
            (State::Preparing { weighed }, E::Prepared { revision, .. }) => {
                State::Ready { ready: Ready { commit: weighed.commit.clone(), revision: revision.clone() } }
            }
            (
                State::Ready { ready } | State::ReadyHeld { ready, .. } | State::Releasing { ready, .. },
                E::Held { hold },
            ) => State::ReadyHeld { ready: ready.clone(), hold: hold.clone() },
            (State::Ready { ready } | State::ReadyHeld { ready, .. }, E::Releasing { marker, run, .. }) => {
                State::Releasing { ready: ready.clone(), marker: marker.clone(), run: run.clone(), since: at }
            }
            (State::Releasing { ready, .. }, E::Unsent { .. }) => State::Ready { ready: ready.clone() },
            (State::Releasing { ready, .. }, E::Released { run, .. }) => {
                let (commit, run) = (ready.commit.clone(), run.clone());
                State::Running { running: Running { commit, run, progress: Progress::default() } }
            }
            (State::Planned, E::Adopted { run, .. }) => {
                let (commit, run) = (self.order.sha.clone(), run.clone());
                State::Running { running: Running { commit, run, progress: Progress::default() } }
            }
            (State::Running { running }, E::Progressed { progress }) => {
                State::Running { running: Running { progress: progress.clone(), ..running.clone() } }
            }
            (state @ State::Running { .. }, E::Declined { .. } | E::Taken { .. }) => state.clone(),
            (State::Running { .. }, E::Ended { outcome }) => State::Verifying { outcome: outcome.clone() },
            (state @ State::Verifying { .. }, E::Verified { .. }) => state.clone(),
            (State::Verifying { .. }, E::Succeeded { warnings }) => State::Succeeded { warnings: warnings.clone() },
            (state, E::AlreadyLive { deployment }) if state.is_before_release() => {
                State::Succeeded { warnings: vec![format!("already live by {deployment}")] }
            }
            (state, E::Superseded { by, deployment }) if state.is_before_release() => {
                State::Superseded { by: by.clone(), deployment: *deployment }
            }
            (state, E::Skipped { reason }) if state.is_before_release() => State::Skipped { reason: reason.clone() },
            // So a commit that was left out was written before that had a kind of its own.
            (state, E::Refused { failure }) if state.is_before_release() && failure.is_no_need() => {
                State::Skipped { reason: failure.message.clone() }
            }
            (state, E::Refused { failure }) if state.is_before_release() => State::Refused { failure: failure.clone() },
            (state, E::Failed { failure }) if !state.is_over() => State::Failed { failure: failure.clone() },
            (state, E::Stopped { actor, failure }) if !state.is_over() => {
                State::Stopped { actor: actor.clone(), failure: failure.clone() }
            }
            (
                State::Planned | State::Weighing | State::Held { .. },
                E::Stumbled { step: StepName::Weigh, failure, next_at, .. },
            ) => State::Held { hold: Hold::order_unproven(failure, *next_at) },
            (
                State::Ready { ready } | State::ReadyHeld { ready, .. },
                E::Stumbled { step: StepName::Weigh, failure, next_at, .. },
            ) => State::ReadyHeld { ready: ready.clone(), hold: Hold::order_unproven(failure, *next_at) },
            (state, E::Stumbled { .. } | E::StopAsked { .. } | E::Approved { .. }) if !state.is_over() => state.clone(),
            (
                state @ (State::Failed { .. } | State::Stopped { .. }),
                E::RollbackBegun { .. } | E::RollbackEnded { .. },
            ) => state.clone(),
            (state, event) => {
                return Err(Misplaced { id: self.id, event: event.kind().into(), state: state.name().into() });
            }
        })
    }

    /// What to do now, or nothing when it is over.
    pub fn next_step(&self) -> Option<Step> {
        match &self.state {
            State::Planned if let Some(run) = self.order.adopts() => Some(Step::Adopt(run.clone())),
            State::Planned | State::Weighing | State::Held { .. } => Some(Step::Weigh),
            State::Preparing { weighed } => Some(Step::Prepare(weighed.clone())),
            State::Ready { ready } | State::ReadyHeld { ready, .. } => Some(Step::Release(ready.clone())),
            State::Releasing { ready, marker, run, since } => {
                let (ready, marker, run) = (ready.clone(), marker.clone(), run.clone());
                Some(Step::Find { ready, marker, run, since: *since })
            }
            State::Running { running } => Some(Step::Watch(running.clone())),
            State::Verifying { outcome } => Some(Step::Verify(outcome.clone())),
            State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => None,
            State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => None,
        }
    }

    /// Its id.
    pub fn id(&self) -> DeploymentId {
        self.id
    }

    /// What it was born with.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// How far it has come.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How many events it is the fold of.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// When it was born.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When its last event was written.
    pub fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.state.is_over().then_some(self.changed_at)
    }

    /// What weighing found, once it did.
    pub fn weighed(&self) -> Option<&Weighed> {
        self.weighed.as_ref()
    }

    /// The commit that it is about: the tag's own is known once it is weighed.
    pub fn commit(&self) -> &CommitSha {
        self.weighed.as_ref().map_or(&self.order.sha, |weighed| &weighed.commit)
    }

    /// The commit that counts as handled now that it is over: one that was proven newest, and not passed over since.
    pub fn handled(&self) -> Option<&CommitSha> {
        if self.order.is_rollback() {
            // What is brought back was handled when it came.
            return None;
        }
        // A success without a run is another deployment's: that one handled the commit.
        let passed_by = match self.state {
            State::Superseded { .. } => true,
            State::Succeeded { .. } => self.run.is_none(),
            State::Failed { .. } | State::Stopped { .. } => false,
            State::Skipped { .. } | State::Refused { .. } => false,
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => false,
            State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } => false,
            State::Running { .. } | State::Verifying { .. } => false,
        };
        if let State::Skipped { .. } = self.state {
            // It was the newest when a rule left it out, and nothing has to come back to it.
            return Some(self.commit());
        }
        let ended = self.state.is_over() && !passed_by;
        // Who chose an earlier commit said nothing of the newer ones.
        let is_past = |it: &Weighed| self.order.is_chosen() && it.head != it.commit;
        self.weighed.as_ref().filter(|it| ended && !is_past(it)).map(|weighed| &weighed.commit)
    }

    /// What it stumbles over at present.
    pub fn stumble(&self) -> Option<&Stumble> {
        self.stumble.as_ref()
    }

    /// Who asked to stop it.
    pub fn stop_asked_by(&self) -> Option<&str> {
        self.stop_asked.as_ref().map(|it| it.actor.as_str())
    }

    /// Whether the asker also wants the last good revision back.
    pub fn wants_rollback(&self) -> bool {
        self.stop_asked.as_ref().is_some_and(|it| it.rollback)
    }

    /// Whether this was approved.
    pub fn is_approved(&self, what: Approval) -> bool {
        self.approved.contains(&what)
    }

    /// Who approved its release, in order.
    pub fn approvers(&self) -> &[String] {
        &self.approvers
    }

    /// Who approved it last.
    pub fn approved_by(&self) -> Option<&str> {
        self.approved_by.as_deref()
    }

    /// The stop or the approval that its engine did not take.
    pub fn declined(&self) -> Option<&Declined> {
        self.declined.as_ref()
    }

    /// Its revision, once it was made.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// The engine's id for it, once it has one.
    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Whether its run may have left something of its revision at the target.
    pub fn may_have_touched(&self) -> bool {
        self.run.is_some() && !self.untouched
    }

    /// What was found when it was last looked at after its release.
    pub fn verified(&self) -> Option<&str> {
        self.verified.as_deref()
    }

    /// What it was released in spite of: a lock that only warns.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Where the engine shows it.
    pub fn engine_url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What became of its target after it ended badly, where something is brought back.
    pub fn rollback(&self) -> Option<&Rollback> {
        self.rollback.as_ref()
    }

    /// Why it waits or how it ended, and what became of its target after that, in words; nothing where the state says
    /// it all.
    pub fn reason(&self) -> Option<String> {
        let reason = self.own_reason();
        let Some(rollback) = &self.rollback else { return reason };
        let told = format!("{rollback} by {}", rollback.by);
        Some(reason.map_or_else(|| told.clone(), |reason| format!("{reason}; {told}")))
    }

    fn own_reason(&self) -> Option<String> {
        match &self.state {
            State::Held { hold } | State::ReadyHeld { hold, .. } => Some(hold.reason.clone()),
            State::Failed { failure } | State::Refused { failure } => Some(failure.message.clone()),
            State::Stopped { actor, failure: None } => Some(format!("by {actor}")),
            State::Stopped { failure: Some(failure), .. } => Some(failure.message.clone()),
            State::Superseded { by, .. } => Some(format!("by {}", by.short())),
            State::Skipped { reason } => Some(reason.clone()),
            State::Succeeded { warnings } => warnings.first().cloned(),
            State::Planned | State::Weighing | State::Preparing { .. } | State::Ready { .. } => self.stumbles_over(),
            State::Running { .. } => self.declined.as_ref().map(ToString::to_string).or_else(|| self.stumbles_over()),
            State::Verifying { .. } => self.stumbles_over().or_else(|| self.verified.clone()),
            State::Releasing { .. } => self.stumbles_over(),
        }
    }

    fn stumbles_over(&self) -> Option<String> {
        self.stumble.as_ref().map(|it| it.failure.message.clone())
    }
}

impl RunOutcome {
    /// The event with which a deployment ends by this outcome. A stop that nobody of ours asked for is the engine's.
    pub fn conclusion(&self, stop_asked_by: Option<&str>) -> E {
        let unexplained = || Failure::setup("engine/unexplained", "the engine gave no reason");
        match self.verdict {
            Verdict::Succeeded => {
                let late = stop_asked_by.map(|actor| format!("the stop that {actor} asked for came too late"));
                E::Succeeded { warnings: self.warnings.iter().cloned().chain(late).collect() }
            }
            Verdict::Failed => E::Failed { failure: self.failure.clone().unwrap_or_else(unexplained) },
            Verdict::Stopped => {
                E::Stopped { actor: stop_asked_by.unwrap_or(THE_ENGINE).into(), failure: self.failure.clone() }
            }
        }
    }
}

#[cfg(test)]
mod tests;
