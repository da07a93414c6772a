//! Whether a deployment that is ready may be released: what holds it, who goes before it, and whom it wants out of its way.

use jiff::Timestamp;

use super::{Decision, Desk, awaits_approval, queues_all};
use crate::domain::{
    Calendar, Cause, Deployment, DeploymentEvent, DeploymentId, Hold, HoldKind, OnNewPush, Releases, State, TargetState,
};

impl Desk {
    /// Whether a deployment whose revision is ready may be released now.
    pub(super) fn release(&self, deployment: &Deployment, now: Timestamp) -> Decision {
        if let Some(hold) = self.hold(deployment, now) {
            let held = matches!(deployment.state(), State::ReadyHeld { hold: before, .. } if *before == hold);
            return match (held, hold.until) {
                (false, _) => Decision::Write(Box::new(DeploymentEvent::Held { hold })),
                (true, Some(until)) => Decision::Wait(until),
                (true, None) => Decision::Rest,
            };
        }
        match deployment.next_step() {
            Some(step) => Decision::Run(Box::new(step)),
            None => Decision::Rest,
        }
    }

    /// What keeps it from being released now.
    fn hold(&self, deployment: &Deployment, now: Timestamp) -> Option<Hold> {
        let busy = |hold: &Hold| hold.kind == HoldKind::EngineBusy && hold.until.is_some_and(|until| now < until);
        if let State::ReadyHeld { hold, .. } = deployment.state()
            && busy(hold)
        {
            return Some(hold.clone());
        }
        let nothing = TargetState::default();
        let state = self.targets.get(&deployment.order().target.name).unwrap_or(&nothing);
        let held = held(deployment, (&self.releases, state), &self.calendar, now);
        if held.is_some() {
            return held;
        }
        let before = self.before(deployment, now)?;
        Some(Hold { kind: HoldKind::Lane, reason: format!("waiting for {}", before.id()), until: None })
    }

    /// The deployment of its lane that goes first.
    fn before(&self, deployment: &Deployment, now: Timestamp) -> Option<&Deployment> {
        let calls_engine = |mate: &&Deployment| {
            !mate.state().is_before_release() || self.busy.get(&mate.id()).is_some_and(|calls| *calls)
        };
        if let Some(holder) = self.lane_of(deployment).filter(|mate| mate.id() != deployment.id()).find(calls_engine) {
            return Some(holder);
        }
        if deployment.order().is_repair() {
            return None;
        }
        let id = deployment.id();
        // What the engine began by itself is at work there already.
        let goes = |mate: &Deployment| mate.order().adopts().is_some() || !waits(mate, now);
        let mends = |mate: &&Deployment| mate.order().is_repair() && mate.id() != id && goes(mate);
        if let Some(repair) = self.lane_of(deployment).find(mends) {
            return Some(repair);
        }
        if queues_all(deployment) {
            return self.lane_of(deployment).find(|mate| mate.id() < id && !awaits_approval(mate));
        }
        self.lane_of(deployment).rev().find(|mate| mate.id() > id && self.is_free(mate, now))
    }

    /// Whether nothing of its own keeps a ready deployment waiting. Locks and pauses hold a whole lane alike.
    fn is_free(&self, deployment: &Deployment, now: Timestamp) -> bool {
        // One of its lane asks that no freeze holds: what a freeze does hold would keep it until the window closes.
        let waits = waits(deployment, now) || frozen(deployment, &self.calendar, now).is_some();
        match deployment.state() {
            State::Ready { .. } => !waits,
            // One that was just approved is still held by that, until it is decided on.
            State::ReadyHeld { hold, .. } => !waits && (is_of_the_lane(hold.kind) || hold.kind == HoldKind::Approval),
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => false,
            State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => true,
            State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => false,
            State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => false,
        }
    }

    /// The running deployment that a newer one of its lane wants out of the way (`on_new_push = "stop-running"`).
    pub fn in_the_way_of(&self, id: DeploymentId) -> Option<DeploymentId> {
        let newer = self.open.get(&id)?;
        let wants = newer.order().target.on_new_push == OnNewPush::StopRunning
            && matches!(newer.state(), State::Ready { .. } | State::ReadyHeld { .. });
        let holder =
            self.lane_of(newer).find(|mate| mate.id() < id && matches!(mate.state(), State::Running { .. }))?;
        (wants && holder.stop_asked_by().is_none()).then_some(holder.id())
    }
}

/// What keeps a deployment from being released as far as people have said so: an approval that is missing, a pause, a
/// lock, a freeze. What else goes on in its lane is not in it.
pub(in crate::conductor) fn held(
    deployment: &Deployment,
    (releases, state): (&Releases, &TargetState),
    calendar: &Calendar,
    now: Timestamp,
) -> Option<Hold> {
    if let Some(consent) = deployment.consent().filter(|it| it.missing() > 0) {
        return Some(Hold { kind: HoldKind::Approval, reason: consent.awaited(), until: Some(consent.until) });
    }
    if let Cause::Promotion { from, .. } = &deployment.order().cause
        && awaits_approval(deployment)
    {
        let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
        let reason = format!("waits for approval of the promotion{from}");
        return Some(Hold { kind: HoldKind::Approval, reason, until: None });
    }
    let (target, is_rollback) = (&deployment.order().target.name, deployment.order().is_rollback());
    let of_all = releases.holds(target, state, is_rollback, now).into_iter().next();
    of_all.or_else(|| frozen(deployment, calendar, now))
}

/// The freeze that holds it. What mends a failure is part of what was released before the window opened.
fn frozen(deployment: &Deployment, calendar: &Calendar, now: Timestamp) -> Option<Hold> {
    let heeds = !deployment.order().is_repair() && !deployment.overrides_freeze();
    calendar.frozen(&deployment.order().target.name, now).filter(|_| heeds)
}

/// Whether a hold of this kind ends with the lane, a lock or a pause, and not with something of the deployment itself.
fn is_of_the_lane(kind: HoldKind) -> bool {
    match kind {
        HoldKind::Lane | HoldKind::Lock | HoldKind::Paused | HoldKind::Freeze => true,
        HoldKind::OrderUnproven | HoldKind::Checks | HoldKind::Approval | HoldKind::EngineBusy => false,
    }
}

/// Whether a deployment is about to end, or waits for its next try or for a person.
fn waits(deployment: &Deployment, now: Timestamp) -> bool {
    awaits_approval(deployment)
        || deployment.stumble().is_some_and(|it| now < it.next_at)
        || deployment.stop_asked_by().is_some()
}
