//! What lies on the conductor's desk: the deployments that are not over, and what to do with each. Decides from what it
//! is told alone: it reads no ledger, no clock and no network.
//!
//! A burst of pushes to one ref leaves thousands of deployments of which only the newest is likely to matter. The older
//! ones sleep: the desk keeps their ids alone, and wakes them when the newest is on its way (to be superseded) or is
//! over (to be weighed after all).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::looks::{Look, Looks};
use crate::domain::{
    Approval, Calendar, Deployment, DeploymentEvent, DeploymentId, Destination, Failure, Hearsay, HoldKind, Misplaced,
    OnNewPush, Order, RefName, Releases, State, Step, TargetName, TargetState, due, spell,
};

/// How many of a lane are awake at most because of their sleep being over; others follow as these end.
const AWAKE_AT_MOST: usize = 64;

/// How long a ref that was weighed rests before a newer push to it is: in a burst the source is asked now and then, and
/// not for each of them.
const BETWEEN_WEIGHINGS: SignedDuration = SignedDuration::from_millis(250);

/// What to do with a deployment now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: only an event can change that.
    Rest,
    /// Nothing before this time.
    Wait(Timestamp),
    /// Write this down.
    Write(Box<DeploymentEvent>),
    /// Run this step.
    Run(Box<Step>),
}

impl Decision {
    /// The same, and decided again then at the latest.
    fn not_after(self, at: Timestamp) -> Self {
        match self {
            Self::Rest => Self::Wait(at),
            Self::Wait(until) => Self::Wait(until.min(at)),
            Self::Write(_) | Self::Run(_) => self,
        }
    }
}

/// All deployments that are not over, with what is known of their targets.
#[derive(Default)]
pub struct Desk {
    open: BTreeMap<DeploymentId, Deployment>,
    lanes: BTreeMap<Destination, BTreeSet<DeploymentId>>,
    /// Deployments that nothing was done for yet and that a newer one of their lane and ref may make needless.
    asleep: BTreeMap<(Destination, RefName), BTreeSet<DeploymentId>>,
    /// Deployments that a task of ours works on at this moment, and whether that task may call the engine.
    busy: BTreeMap<DeploymentId, bool>,
    /// When a lane's refs were last weighed, as long as that matters.
    weighed: BTreeMap<(Destination, RefName), Timestamp>,
    /// When those that wait for checks are looked at again.
    looks: Looks,
    /// Those that wait to be released and whose ref may be gone, and when they are looked at.
    doubted: BTreeMap<DeploymentId, Timestamp>,
    targets: BTreeMap<TargetName, TargetState>,
    configured: BTreeSet<TargetName>,
    releases: Releases,
    calendar: Arc<Calendar>,
}

impl Desk {
    /// An empty desk for these targets.
    pub fn new(configured: impl IntoIterator<Item = TargetName>) -> Self {
        Self { configured: configured.into_iter().collect(), ..Self::default() }
    }

    /// Puts a deployment on the desk, as it stands. Older ones of its ref that wait for nothing but their turn go to
    /// sleep.
    pub fn put(&mut self, deployment: Deployment) {
        let (id, takes_turns) = (deployment.id(), !queues_all(&deployment) && !deployment.order().is_repair());
        self.put_awake(deployment);
        if takes_turns && self.open.contains_key(&id) {
            self.let_older_sleep(id);
        }
    }

    /// Puts a deployment that was asleep on the desk.
    pub fn put_awake(&mut self, deployment: Deployment) {
        if deployment.state().is_over() {
            return;
        }
        let lane = deployment.order().target.destination();
        self.lanes.entry(lane).or_default().insert(deployment.id());
        self.open.insert(deployment.id(), deployment);
    }

    fn let_older_sleep(&mut self, id: DeploymentId) {
        let Some(newer) = self.open.get(&id) else { return };
        let (lane, reference) = lane_and_ref(newer);
        let sleepy = |it: &&Deployment| {
            let waits = matches!(it.state(), State::Planned) && it.stop_asked_by().is_none() && !self.is_busy(it.id());
            it.id() < id && waits && it.order().reference == reference
        };
        let older: Vec<DeploymentId> = self.lane_of(newer).filter(sleepy).map(Deployment::id).collect();
        for id in &older {
            self.open.remove(id);
            self.lanes.entry(lane.clone()).or_default().remove(id);
        }
        if !older.is_empty() {
            self.asleep.entry((lane, reference)).or_default().extend(older);
        }
    }

    /// The sleepers whose time has come, a few at a time. They are read again and [put back](Self::put_awake).
    pub fn wakes(&mut self) -> Vec<DeploymentId> {
        let mut woken = Vec::new();
        for ((lane, reference), sleepers) in &mut self.asleep {
            let awake = self.lanes.get(lane).into_iter().flatten().filter_map(|id| self.open.get(id));
            let (mut at_engine, mut newest, mut count) = (None, None, 0);
            for mate in awake {
                count += 1;
                if !mate.state().is_before_release() {
                    at_engine = Some(mate.id());
                } else if mate.order().reference == *reference && !is_held_on_its_own(mate) {
                    newest = Some(mate.id());
                }
            }
            let passed_by = |id: &DeploymentId| at_engine.is_some_and(|newer| *id < newer);
            let due = |id: &DeploymentId| passed_by(id) || newest.is_none_or(|newer| newer < *id);
            while count < AWAKE_AT_MOST
                && let Some(id) = sleepers.first().filter(|id| passed_by(id)).or(sleepers.last().filter(|id| due(id)))
            {
                let id = *id;
                sleepers.remove(&id);
                woken.push(id);
                count += 1;
                if !passed_by(&id) {
                    break;
                }
            }
        }
        self.asleep.retain(|_, sleepers| !sleepers.is_empty());
        woken
    }

    /// Takes a sleeper out of its sleep. Gives whether it slept.
    pub fn wake(&mut self, id: DeploymentId) -> bool {
        self.asleep.values_mut().any(|sleepers| sleepers.remove(&id))
    }

    /// Takes one more event of a deployment. One that is over leaves the desk.
    pub fn apply(&mut self, id: DeploymentId, at: Timestamp, event: &DeploymentEvent) -> Result<(), Misplaced> {
        if let DeploymentEvent::Planned { .. } = event {
            self.put(Deployment::born(id, at, event)?);
            return Ok(());
        }
        let Some(deployment) = self.open.get_mut(&id) else { return Ok(()) };
        deployment.apply(at, event)?;
        if deployment.state().is_over() {
            let lane = deployment.order().target.destination();
            self.open.remove(&id);
            self.looks.forget(id);
            self.doubted.remove(&id);
            if let Some(mates) = self.lanes.get_mut(&lane) {
                mates.remove(&id);
                if mates.is_empty() {
                    self.lanes.remove(&lane);
                }
            }
        }
        Ok(())
    }

    /// What is known of a target from now on.
    pub fn know(&mut self, name: TargetName, state: TargetState) {
        self.targets.insert(name, state);
    }

    /// The same, with the freeze windows of its targets.
    pub fn heeding(self, calendar: Arc<Calendar>) -> Self {
        Self { calendar, ..self }
    }

    /// What holds of all targets from now on. Gives whether that is news.
    pub fn know_all(&mut self, releases: Releases) -> bool {
        let is_news = self.releases != releases;
        self.releases = releases;
        is_news
    }

    /// Says that a task works on a deployment, and whether it may call the engine.
    pub fn begin(&mut self, id: DeploymentId, calls_engine: bool) {
        self.doubted.remove(&id);
        self.busy.insert(id, calls_engine);
    }

    /// Says that its ref is weighed from now on.
    pub fn weighs(&mut self, id: DeploymentId, now: Timestamp) {
        self.weighed.retain(|_, at| now.duration_since(*at) < BETWEEN_WEIGHINGS);
        self.weighed.extend(self.open.get(&id).map(|it| (lane_and_ref(it), now)));
    }

    /// Says that its checks were looked at. The newest of a ref is the one that matters: the more there are before one,
    /// the longer it is left alone.
    pub fn looked(&mut self, id: DeploymentId, mut look: Look) {
        let Some(deployment) = self.open.get(&id) else { return };
        let reference = &deployment.order().reference;
        let newer = self.lane_of(deployment).filter(|it| it.id() > id && it.order().reference == *reference).count();
        let wait = look.next.duration_since(look.at).saturating_mul(i32::try_from(newer + 1).unwrap_or(i32::MAX));
        look.next = look.at.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.looks.take(id, look);
    }

    /// The last look at the checks of a deployment.
    pub fn last_look(&self, id: DeploymentId) -> Option<&Look> {
        self.looks.last(id)
    }

    /// Takes in what was said outside. Gives the deployments that may wait for it.
    pub fn hear(&mut self, word: &Hearsay) -> Vec<DeploymentId> {
        let Self { open, looks, busy, .. } = self;
        let hint = match word {
            Hearsay::Checks(hint) => hint,
            Hearsay::Gone { repository, reference } => {
                return self.doubt(|it| it.repository.is_same(repository) && it.reference == *reference);
            }
        };
        let hears = |it: &&Deployment| looks.hear(hint, it, busy.contains_key(&it.id()));
        open.values().filter(|it| it.state().is_before_release()).filter(hears).map(Deployment::id).collect()
    }

    /// Says that nobody could tell whether its ref is gone, and when it is asked again.
    pub fn doubt_again(&mut self, id: DeploymentId, again: Timestamp) {
        if self.open.contains_key(&id) {
            self.doubted.insert(id, again);
        }
    }

    /// Those of these orders that wait, and are weighed again because their ref may be gone.
    pub fn doubt(&mut self, is_of: impl Fn(&Order) -> bool) -> Vec<DeploymentId> {
        let waits = |it: &&Deployment| matches!(it.state(), State::Held { .. } | State::ReadyHeld { .. });
        let is_of = |it: &&Deployment| !it.order().is_insisted() && is_of(it.order());
        let all: Vec<_> = self.open.values().filter(waits).filter(is_of).map(Deployment::id).collect();
        all.iter().for_each(|id| self.looks.forget(*id));
        self.doubted.extend(all.iter().map(|id| (*id, Timestamp::MIN)));
        all
    }

    /// Says that no task does any more.
    pub fn end(&mut self, id: DeploymentId) {
        self.busy.remove(&id);
    }

    /// Whether a task works on it.
    pub fn is_busy(&self, id: DeploymentId) -> bool {
        self.busy.contains_key(&id)
    }

    /// A deployment that is not over.
    pub fn get(&self, id: DeploymentId) -> Option<&Deployment> {
        self.open.get(&id)
    }

    /// All of them, oldest first.
    pub fn ids(&self) -> Vec<DeploymentId> {
        self.open.keys().copied().collect()
    }

    /// The ones in the same lane, itself too, oldest first. One that is over has none.
    pub fn mates(&self, id: DeploymentId) -> Vec<DeploymentId> {
        let lane = self.open.get(&id).map(|it| it.order().target.destination());
        lane.and_then(|lane| self.lanes.get(&lane)).into_iter().flatten().copied().collect()
    }

    /// The ones of a target.
    pub fn of_target(&self, name: &TargetName) -> Vec<DeploymentId> {
        self.open.values().filter(|it| it.order().target.name == *name).map(Deployment::id).collect()
    }

    /// What to do with a deployment on which nobody works.
    pub fn decide(&self, id: DeploymentId, now: Timestamp) -> Decision {
        let Some(deployment) = self.open.get(&id).filter(|_| !self.is_busy(id)) else { return Decision::Rest };
        // What runs already at the engine is followed, whatever became of the target meanwhile.
        if deployment.order().adopts().is_none()
            && deployment.state().is_before_release()
            && let Some(end) = self.ends_before_release(deployment, now)
        {
            return Decision::Write(Box::new(end));
        }
        if let Some(stumble) = deployment.stumble() {
            let given_up = stumble.since.saturating_add(patience(deployment)).unwrap_or(Timestamp::MAX);
            if now >= given_up {
                return Decision::Write(Box::new(give_up(deployment, &stumble.failure)));
            }
            let next_at = due(stumble.next_at, now);
            if now < next_at {
                return Decision::Wait(next_at.min(given_up));
            }
        }
        let doubted = self.doubted.get(&id).filter(|_| matches!(deployment.state(), State::ReadyHeld { .. }));
        match doubted {
            Some(at) if *at <= now => Decision::Run(Box::new(Step::Weigh)),
            Some(at) => self.step(deployment, now).not_after(*at),
            None => self.step(deployment, now),
        }
    }

    /// What its next step is, and whether it may be taken.
    fn step(&self, deployment: &Deployment, now: Timestamp) -> Decision {
        let id = deployment.id();
        if let Some(next) = self.looks.next(id).filter(|next| now < *next && waits_for_checks(deployment)) {
            return Decision::Wait(next);
        }
        match deployment.next_step() {
            None => Decision::Rest,
            Some(Step::Release(_)) => self.release(deployment, now),
            Some(Step::Weigh) if self.is_weighed_elsewhere(deployment) => Decision::Rest,
            Some(Step::Weigh) => match self.rests_until(deployment, now).filter(|until| now < *until) {
                Some(until) => Decision::Wait(until),
                None => Decision::Run(Box::new(Step::Weigh)),
            },
            Some(step) => Decision::Run(Box::new(step)),
        }
    }

    /// The end of a deployment that has not reached the engine, where one is due.
    fn ends_before_release(&self, deployment: &Deployment, now: Timestamp) -> Option<DeploymentEvent> {
        if let Some(actor) = deployment.stop_asked_by() {
            return Some(DeploymentEvent::Stopped { actor: actor.into(), failure: None });
        }
        let target = &deployment.order().target.name;
        if !self.configured.contains(target) {
            let failure = Failure::setup("conductor/target-gone", format!("target `{target}` is no longer configured"));
            let help = "put the target back into the configuration and redeploy";
            return Some(DeploymentEvent::Refused { failure: failure.help(help) });
        }
        if let Some(failure) = deployment.approved_too_late(now) {
            return Some(DeploymentEvent::Refused { failure });
        }
        let newer = self.newer_one_going(deployment).or_else(|| self.newer_to_approve(deployment));
        newer.map(|newer| DeploymentEvent::Superseded { by: newer.commit().clone(), deployment: Some(newer.id()) })
    }

    /// A newer deployment of the lane that is on its way to the engine: it takes the place of all older ones, unless it
    /// only mends what one of them left.
    fn newer_one_going(&self, deployment: &Deployment) -> Option<&Deployment> {
        if queues_all(deployment) {
            return None;
        }
        self.lane_of(deployment)
            .find(|mate| mate.id() > deployment.id() && !mate.state().is_before_release() && !mate.order().is_repair())
    }

    /// A newer one of its kind that is ready, where this one still waits to be approved: of two promotions, or two pushes
    /// to one ref, people want the newer.
    fn newer_to_approve(&self, deployment: &Deployment) -> Option<&Deployment> {
        let is_ready = |mate: &Deployment| matches!(mate.state(), State::Ready { .. } | State::ReadyHeld { .. });
        let order = deployment.order();
        let is_like = |mate: &Deployment| match (order.promotes(), mate.order().promotes()) {
            (Some(_), Some(_)) => true,
            (None, None) => mate.order().reference == order.reference && !queues_all(deployment),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let newer = |mate: &&Deployment| mate.id() > deployment.id() && is_like(mate) && is_ready(mate);
        let awaits = awaits_approval(deployment);
        self.lane_of(deployment).rev().filter(|mate| awaits && !mate.order().is_rollback()).find(newer)
    }

    fn lane_of(&self, deployment: &Deployment) -> impl DoubleEndedIterator<Item = &Deployment> {
        let lane = self.lanes.get(&deployment.order().target.destination());
        lane.into_iter().flatten().filter_map(|id| self.open.get(id))
    }

    /// Whether another one of its lane and ref is being weighed at this moment: what comes of that may make it needless.
    fn is_weighed_elsewhere(&self, deployment: &Deployment) -> bool {
        let is_first = matches!(deployment.state(), State::Planned) && !queues_all(deployment);
        let is_weighed = |mate: &Deployment| {
            self.is_busy(mate.id()) && matches!(mate.state(), State::Planned | State::Weighing | State::Held { .. })
        };
        let reference = &deployment.order().reference;
        is_first && self.lane_of(deployment).any(|mate| mate.order().reference == *reference && is_weighed(mate))
    }

    /// Until when the ref of one that nothing was done for yet is left alone, because another one was just weighed.
    /// A weighing that is yet to come was told by a clock that has been set back since.
    fn rests_until(&self, deployment: &Deployment, now: Timestamp) -> Option<Timestamp> {
        let is_first = matches!(deployment.state(), State::Planned) && !queues_all(deployment);
        let last =
            is_first.then(|| self.weighed.get(&lane_and_ref(deployment))).flatten().filter(|last| **last <= now)?;
        last.checked_add(BETWEEN_WEIGHINGS).ok()
    }
}

/// Whether a deployment that is held keeps others from being superseded by it: it is not free to go itself.
pub fn is_held_on_its_own(deployment: &Deployment) -> bool {
    match deployment.state() {
        State::Held { hold } | State::ReadyHeld { hold, .. } => match hold.kind {
            HoldKind::Checks => true,
            HoldKind::Approval => awaits_approval(deployment),
            HoldKind::Lane | HoldKind::Lock | HoldKind::Paused | HoldKind::Freeze => false,
            HoldKind::OrderUnproven | HoldKind::EngineBusy => false,
        },
        State::Planned | State::Weighing | State::Preparing { .. } | State::Ready { .. } => false,
        State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => false,
        State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => false,
        State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => false,
    }
}

/// Whether a deployment is held by checks that are not green yet.
fn waits_for_checks(deployment: &Deployment) -> bool {
    matches!(deployment.state(), State::Held { hold } | State::ReadyHeld { hold, .. } if hold.kind == HoldKind::Checks)
}

fn lane_and_ref(deployment: &Deployment) -> (Destination, RefName) {
    (deployment.order().target.destination(), deployment.order().reference.clone())
}

/// Whether a deployment waits for a person's word.
fn awaits_approval(deployment: &Deployment) -> bool {
    deployment.state().is_before_release()
        && matches!(deployment.waits_for(), Some(Approval::Promotion | Approval::Release))
}

/// Whether its target releases one push after the other, and leaves none out.
pub(super) fn queues_all(deployment: &Deployment) -> bool {
    deployment.order().target.on_new_push == OnNewPush::QueueAll
}

fn patience(deployment: &Deployment) -> SignedDuration {
    SignedDuration::try_from(deployment.order().target.give_up_after()).unwrap_or(SignedDuration::MAX)
}

fn give_up(deployment: &Deployment, last: &Failure) -> DeploymentEvent {
    let patience = spell(deployment.order().target.give_up_after());
    let message = format!("gave up after {patience}: {}", last.message);
    let failure = Failure { message, passing: false, ..last.clone() };
    DeploymentEvent::Failed { failure }
}

mod release;
pub(super) use release::held;

#[cfg(test)]
mod tests;
