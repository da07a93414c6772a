//! What lies on the conductor's desk: the deployments that are not over, and what to do with each. Decides from what it
//! is told alone: it reads no ledger, no clock and no network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    Deployment, DeploymentEvent, DeploymentId, Destination, Failure, Hold, HoldKind, Misplaced, OnNewPush, State, Step,
    TargetName, TargetState,
};

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

/// All deployments that are not over, with what is known of their targets.
#[derive(Default)]
pub struct Desk {
    open: BTreeMap<DeploymentId, Deployment>,
    lanes: BTreeMap<Destination, BTreeSet<DeploymentId>>,
    /// Deployments that a task of ours works on at this moment, and whether that task may call the engine.
    busy: BTreeMap<DeploymentId, bool>,
    targets: BTreeMap<TargetName, TargetState>,
    configured: BTreeSet<TargetName>,
    paused: bool,
}

impl Desk {
    /// An empty desk for these targets.
    pub fn new(configured: impl IntoIterator<Item = TargetName>) -> Self {
        Self { configured: configured.into_iter().collect(), ..Self::default() }
    }

    /// Puts a deployment on the desk, as it stands.
    pub fn put(&mut self, deployment: Deployment) {
        if deployment.state().is_over() {
            return;
        }
        let lane = deployment.order().target.destination();
        self.lanes.entry(lane).or_default().insert(deployment.id());
        self.open.insert(deployment.id(), deployment);
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

    /// Whether anything may be released.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Says that a task works on a deployment, and whether it may call the engine.
    pub fn begin(&mut self, id: DeploymentId, calls_engine: bool) {
        self.busy.insert(id, calls_engine);
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
        if deployment.state().is_before_release()
            && let Some(end) = self.ends_before_release(deployment)
        {
            return Decision::Write(Box::new(end));
        }
        if let Some(stumble) = deployment.stumble() {
            let given_up = stumble.since.saturating_add(patience(deployment)).unwrap_or(Timestamp::MAX);
            if now >= given_up {
                return Decision::Write(Box::new(give_up(deployment, &stumble.failure)));
            }
            if now < stumble.next_at {
                return Decision::Wait(stumble.next_at.min(given_up));
            }
        }
        match deployment.next_step() {
            None => Decision::Rest,
            Some(Step::Release(_)) => self.release(deployment, now),
            Some(step) => Decision::Run(Box::new(step)),
        }
    }

    /// The end of a deployment that has not reached the engine, where one is due.
    fn ends_before_release(&self, deployment: &Deployment) -> Option<DeploymentEvent> {
        if let Some(actor) = deployment.stop_asked_by() {
            return Some(DeploymentEvent::Stopped { actor: actor.into(), failure: None });
        }
        let target = &deployment.order().target.name;
        if !self.configured.contains(target) {
            let failure = Failure::setup("conductor/target-gone", format!("target `{target}` is no longer configured"));
            let help = "put the target back into the configuration and redeploy";
            return Some(DeploymentEvent::Refused { failure: failure.help(help) });
        }
        self.newer_one_going(deployment).map(|newer| DeploymentEvent::Superseded {
            by: newer.weighed().map_or_else(|| newer.order().sha.clone(), |it| it.commit.clone()),
            deployment: Some(newer.id()),
        })
    }

    /// A newer deployment of the lane that is on its way to the engine: it takes the place of all older ones.
    fn newer_one_going(&self, deployment: &Deployment) -> Option<&Deployment> {
        if deployment.order().target.on_new_push == OnNewPush::QueueAll {
            return None;
        }
        self.lane_of(deployment).find(|mate| mate.id() > deployment.id() && !mate.state().is_before_release())
    }

    fn lane_of(&self, deployment: &Deployment) -> impl DoubleEndedIterator<Item = &Deployment> {
        let lane = self.lanes.get(&deployment.order().target.destination());
        lane.into_iter().flatten().filter_map(|id| self.open.get(id))
    }

    /// Whether a deployment whose revision is ready may be released now.
    fn release(&self, deployment: &Deployment, now: Timestamp) -> Decision {
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
        if self.paused {
            return Some(Hold { kind: HoldKind::Paused, reason: "the bot is paused".into(), until: None });
        }
        let target = &deployment.order().target.name;
        if let Some(lock) = self.targets.get(target).and_then(|it| it.lock_at(now)) {
            let why = lock.reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
            let reason = format!("`{target}` is locked by {}{why}", lock.actor);
            return Some(Hold { kind: HoldKind::Lock, reason, until: lock.until });
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
        let id = deployment.id();
        if deployment.order().target.on_new_push == OnNewPush::QueueAll {
            return self.lane_of(deployment).find(|mate| mate.id() < id);
        }
        self.lane_of(deployment).rev().find(|mate| mate.id() > id && self.is_free(mate, now))
    }

    /// Whether nothing of its own keeps a ready deployment waiting. Locks and pauses hold a whole lane alike.
    fn is_free(&self, deployment: &Deployment, now: Timestamp) -> bool {
        let waits = deployment.stumble().is_some_and(|it| now < it.next_at);
        let waits = waits || deployment.stop_asked_by().is_some();
        match deployment.state() {
            State::Ready { .. } => !waits,
            State::ReadyHeld { hold, .. } => !waits && is_of_the_lane(hold.kind),
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => false,
            State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => true,
            State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => false,
            State::Superseded { .. } | State::Refused { .. } => false,
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

/// Whether a hold of this kind ends with the lane, a lock or a pause, and not with something of the deployment itself.
fn is_of_the_lane(kind: HoldKind) -> bool {
    match kind {
        HoldKind::Lane | HoldKind::Lock | HoldKind::Paused | HoldKind::Freeze => true,
        HoldKind::OrderUnproven | HoldKind::Checks | HoldKind::Approval | HoldKind::EngineBusy => false,
    }
}

/// Whether a deployment that is held keeps others from being superseded by it: it is not free to go itself.
pub fn is_held_on_its_own(deployment: &Deployment) -> bool {
    match deployment.state() {
        State::Held { hold } | State::ReadyHeld { hold, .. } => match hold.kind {
            HoldKind::Checks | HoldKind::Approval => true,
            HoldKind::Lane | HoldKind::Lock | HoldKind::Paused | HoldKind::Freeze => false,
            HoldKind::OrderUnproven | HoldKind::EngineBusy => false,
        },
        State::Planned | State::Weighing | State::Preparing { .. } | State::Ready { .. } => false,
        State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => false,
        State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => false,
        State::Superseded { .. } | State::Refused { .. } => false,
    }
}

fn patience(deployment: &Deployment) -> SignedDuration {
    SignedDuration::try_from(deployment.order().target.give_up_after()).unwrap_or(SignedDuration::MAX)
}

fn give_up(deployment: &Deployment, last: &Failure) -> DeploymentEvent {
    let minutes = deployment.order().target.give_up_after_s / 60;
    let message = format!("gave up after {minutes} min: {}", last.message);
    let failure = Failure { message, passing: false, ..last.clone() };
    DeploymentEvent::Failed { failure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::{at, event, target};
    use crate::domain::{Lock, StepName};

    const READY: &str = "weighing weighed prepared";
    const RUNNING: &str = "weighing weighed prepared releasing released";

    /// A desk of one target with these deployments, oldest first, each as the words of its events after `planned`.
    fn desk(policy: OnNewPush, deployments: &[&str]) -> (Desk, Vec<DeploymentId>) {
        let mut desk = Desk::new([target("blog").name]);
        let ids = (0..deployments.len()).map(|n| DeploymentId::derive(at(n as i64), &["push"])).collect::<Vec<_>>();
        for (id, words) in ids.iter().zip(deployments) {
            let DeploymentEvent::Planned { mut order } = event("planned") else { unreachable!("it is that one") };
            order.target.on_new_push = policy;
            desk.apply(*id, at(0), &DeploymentEvent::Planned { order }).unwrap();
            for word in words.split_whitespace() {
                desk.apply(*id, at(0), &event(word)).unwrap();
            }
        }
        (desk, ids)
    }

    /// What is decided for each of them, in a word or two.
    fn check(policy: OnNewPush, deployments: &[&str], expected: &[&str]) {
        let (desk, ids) = desk(policy, deployments);
        let found: Vec<String> = ids.iter().map(|id| tell(&desk.decide(*id, at(0)), &ids)).collect();
        assert_eq!(found, expected, "{deployments:?}");
    }

    fn tell(decision: &Decision, ids: &[DeploymentId]) -> String {
        let text = match decision {
            Decision::Rest => "rest".into(),
            Decision::Wait(until) => format!("wait {}", until.duration_since(at(0)).as_secs()),
            Decision::Write(event) => {
                if let DeploymentEvent::Held { hold } = &**event {
                    format!("held: {}", hold.reason)
                } else if let DeploymentEvent::Failed { failure } | DeploymentEvent::Refused { failure } = &**event {
                    format!("{}: {}", event.kind(), failure.message)
                } else {
                    event.kind().into()
                }
            }
            Decision::Run(step) => format!("{step:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
        };
        ids.iter().enumerate().fold(text, |text, (n, id)| text.replace(&id.to_string(), &format!("d{n}")))
    }

    #[test]
    fn one_deployment_of_a_lane_is_released_and_the_newest_that_is_free_goes_first() {
        use OnNewPush::{QueueAll, QueueLatest};
        check(QueueLatest, &["", "weighing weighed", READY], &["weigh", "prepare", "release"]);
        check(QueueLatest, &[READY, READY], &["held: waiting for d1", "release"]);
        check(QueueAll, &[READY, READY], &["release", "held: waiting for d0"]);
        check(QueueLatest, &[RUNNING, READY], &["watch", "held: waiting for d0"]);
        check(QueueLatest, &[READY, RUNNING], &["superseded", "watch"]);
        check(QueueAll, &[READY, RUNNING], &["held: waiting for d1", "watch"]);
    }

    #[test]
    fn a_newer_one_that_is_not_free_itself_takes_nobodys_place() {
        use OnNewPush::QueueLatest;
        check(QueueLatest, &[READY, "weighing weighed"], &["release", "prepare"]);
        check(QueueLatest, &[READY, "weighing"], &["release", "weigh"]);
        check(QueueLatest, &[READY, &format!("{READY} stop-asked")], &["release", "stopped"]);
    }

    #[test]
    fn a_held_one_rests_until_its_reason_is_gone() {
        let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[RUNNING, READY]);
        let Decision::Write(held) = desk.decide(ids[1], at(0)) else { panic!("it is held first") };
        desk.apply(ids[1], at(0), &held).unwrap();
        assert_eq!(desk.decide(ids[1], at(0)), Decision::Rest);
        for word in ["ended", "succeeded"] {
            desk.apply(ids[0], at(0), &event(word)).unwrap();
        }
        assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "release");
    }

    #[test]
    fn a_task_that_may_call_the_engine_keeps_the_lane() {
        let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY, READY]);
        desk.begin(ids[0], true);
        assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "held: waiting for d0");
        assert_eq!(desk.decide(ids[0], at(0)), Decision::Rest);
        desk.end(ids[0]);
        assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "release");
    }

    #[test]
    fn locks_and_pauses_hold_what_is_ready() {
        let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY]);
        let lock = Lock { actor: "ada".into(), reason: Some("fair".into()), at: at(0), until: Some(at(60)) };
        desk.know(target("blog").name, TargetState { lock: Some(lock), ..TargetState::default() });
        assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "held: `blog` is locked by ada: fair");
        assert_eq!(tell(&desk.decide(ids[0], at(60)), &ids), "release");
        desk.pause(true);
        assert_eq!(tell(&desk.decide(ids[0], at(60)), &ids), "held: the bot is paused");
    }

    #[test]
    fn what_stumbles_waits_and_gives_up_in_the_end() {
        let (mut desk, ids) = desk(OnNewPush::QueueLatest, &["weighing weighed"]);
        let stumbled = |attempt, next| DeploymentEvent::Stumbled {
            step: StepName::Prepare,
            failure: Failure::passing("source/unavailable", "503"),
            attempt,
            next_at: at(next),
        };
        desk.apply(ids[0], at(0), &stumbled(1, 2)).unwrap();
        assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "wait 2");
        assert_eq!(tell(&desk.decide(ids[0], at(2)), &ids), "prepare");
        desk.apply(ids[0], at(7199), &stumbled(2, 9000)).unwrap();
        assert_eq!(tell(&desk.decide(ids[0], at(7199)), &ids), "wait 7200");
        assert_eq!(tell(&desk.decide(ids[0], at(7200)), &ids), "failed: gave up after 120 min: 503");
    }

    #[test]
    fn a_target_that_left_the_configuration_ends_what_waits_and_lets_run_what_runs() {
        let (mut desk, ids) = desk(OnNewPush::QueueAll, &[RUNNING, ""]);
        desk.configured.clear();
        assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "watch");
        assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "refused: target `blog` is no longer configured");
    }

    #[test]
    fn a_newer_push_may_want_the_running_one_out_of_its_way() {
        let (asked, ids) = desk(OnNewPush::StopRunning, &[RUNNING, READY]);
        assert_eq!(asked.in_the_way_of(ids[1]), Some(ids[0]));
        let (waits, ids) = desk(OnNewPush::QueueLatest, &[RUNNING, READY]);
        assert_eq!(waits.in_the_way_of(ids[1]), None);
        let (told, ids) = desk(OnNewPush::StopRunning, &[&format!("{RUNNING} stop-asked"), READY]);
        assert_eq!(told.in_the_way_of(ids[1]), None);
    }
}
