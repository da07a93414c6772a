//! Fleets in the CodeDeploy world: batches by the minimum of healthy hosts, and each instance's way through its lifecycle
//! events. Pure: it moves a step when it is told to.

use serde_json::{Value, json};

use super::scenario::Failing;
use super::state::{Deployment, LIFECYCLE};

/// How many instances must stay healthy (rows 39 and 42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Minimum {
    /// So many.
    HostCount(usize),
    /// So many percent of all, rounded up to whole hosts.
    FleetPercent(usize),
    /// `CodeDeployDefault.OneAtATime`.
    OneAtATime,
    /// `CodeDeployDefault.HalfAtATime`.
    HalfAtATime,
    /// `CodeDeployDefault.AllAtOnce`.
    AllAtOnce,
}

/// What becomes of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It succeeds.
    Well,
    /// It fails at an event.
    Fails(Failing),
    /// Its agent never answers.
    Silent,
}

/// Which lifecycle events run where (guide: 17577-17646).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// The seven in the middle.
    InPlace,
    /// With a load balancer: the thirteen.
    BehindLoadBalancer,
    /// Replacement instances, and as many originals, which are let go at the end.
    BlueGreen {
        /// For how many steps the originals live on after traffic has moved.
        termination_wait: usize,
    },
}

/// A fleet to be deployed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) instances: Vec<(String, Fate)>,
    pub(crate) minimum: Minimum,
    pub(crate) course: Course,
}

impl Plan {
    /// `i-001` and so on, all of them well.
    pub(crate) fn of(count: usize, minimum: Minimum) -> Self {
        let instances = (1..=count).map(|number| (format!("i-{number:03}"), Fate::Well)).collect();
        Self { instances, minimum, course: Course::InPlace }
    }

    /// The same, with these (counted from 1) failing at `ValidateService`.
    pub(crate) fn failing(mut self, numbers: impl IntoIterator<Item = usize>) -> Self {
        for number in numbers {
            let (instance, fate) = &mut self.instances[number - 1];
            *fate = Fate::Fails(Failing::at(instance, "ValidateService", "scripts/check.sh", "not healthy\n"));
        }
        self
    }
}

const BLOCK: [&str; 3] = ["BeforeBlockTraffic", "BlockTraffic", "AfterBlockTraffic"];
const ALLOW: [&str; 3] = ["BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"];
/// How many steps a silent agent is waited for.
const PATIENCE: usize = 3;

/// How a fleet stands.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) instances: Vec<Instance>,
    minimum: usize,
    /// What is still to be done once the present part is: the parts of a blue/green deployment.
    parts: Vec<Part>,
    /// How large the batches were.
    pub(super) batches: Vec<usize>,
    pub(super) end: Option<End>,
    termination_left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Batches of instances, by the minimum.
    Batches,
    /// Traffic waits for a person.
    Ready,
    /// The replacements take traffic.
    Allow,
    /// The originals are let go.
    Block,
    /// The originals live on.
    Termination,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    /// `HEALTH_CONSTRAINTS`.
    TooFewHealthy,
    /// `HEALTH_CONSTRAINTS_INVALID`: there is no room for a single update.
    NoRoom,
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) label: Option<&'static str>,
    fate: Fate,
    pub(super) status: &'static str,
    pub(super) events: Vec<(&'static str, &'static str)>,
    silent_for: usize,
}

impl Instance {
    fn new(id: &str, fate: Fate, label: Option<&'static str>, events: &[&[&'static str]]) -> Self {
        let events = events.iter().flat_map(|it| it.iter()).map(|name| (*name, "Pending")).collect();
        Self { id: id.to_owned(), label, fate, status: "Pending", events, silent_for: 0 }
    }

    /// What failed, where it has failed.
    pub(super) fn failing(&self) -> Option<&Failing> {
        match &self.fate {
            Fate::Fails(failing) if self.status == "Failed" => Some(failing),
            Fate::Fails(_) | Fate::Well | Fate::Silent => None,
        }
    }

    fn begin(&mut self) {
        self.status = "InProgress";
        if self.fate != Fate::Silent {
            self.next_event();
        }
    }

    fn next_event(&mut self) -> bool {
        match self.events.iter_mut().find(|(_, status)| *status == "Pending") {
            Some((_, status)) => *status = "InProgress",
            None => return false,
        }
        true
    }

    fn give_up(&mut self, status: &'static str) {
        self.status = status;
        for (_, status) in self.events.iter_mut().filter(|(_, status)| matches!(*status, "Pending" | "InProgress")) {
            *status = "Skipped";
        }
    }

    /// One step, up to and with the event `last`.
    fn step(&mut self, last: &str) {
        if self.fate == Fate::Silent {
            self.silent_for += 1;
            if self.silent_for >= PATIENCE {
                self.give_up("Failed");
            }
            return;
        }
        let Some(at) = self.events.iter().position(|(_, status)| *status == "InProgress") else { return };
        let name = self.events[at].0;
        if matches!(&self.fate, Fate::Fails(it) if it.event == name) {
            self.events[at].1 = "Failed";
            return self.give_up("Failed");
        }
        self.events[at].1 = "Succeeded";
        if name == last || !self.next_event() {
            self.status = if self.events.iter().all(|(_, it)| *it == "Succeeded") { "Succeeded" } else { "Ready" };
        }
    }
}

impl Fleet {
    pub(super) fn new(plan: &Plan, waits: bool) -> Self {
        let (events, label): (&[&[&str]], _) = match plan.course {
            Course::InPlace => (&[&LIFECYCLE], None),
            Course::BehindLoadBalancer => (&[&BLOCK, &LIFECYCLE, &ALLOW], None),
            Course::BlueGreen { .. } => (&[&LIFECYCLE, &ALLOW], Some("Green")),
        };
        let new = |(id, fate): &(String, Fate)| Instance::new(id, fate.clone(), label, events);
        let mut instances: Vec<Instance> = plan.instances.iter().map(new).collect();
        let (all, mut parts, mut termination_left) = (instances.len(), vec![Part::Batches], 0);
        if let Course::BlueGreen { termination_wait } = plan.course {
            let old = |number| Instance::new(&format!("i-old-{number:03}"), Fate::Well, Some("Blue"), &[&BLOCK]);
            instances.extend((1..=all).map(old));
            parts.extend(waits.then_some(Part::Ready));
            parts.extend([Part::Allow, Part::Block, Part::Termination]);
            termination_left = termination_wait;
        }
        let minimum = match plan.minimum {
            Minimum::HostCount(hosts) => hosts,
            Minimum::FleetPercent(percent) => (all * percent).div_ceil(100),
            Minimum::OneAtATime => all.saturating_sub(1),
            Minimum::HalfAtATime => all.div_ceil(2),
            Minimum::AllAtOnce => 0,
        };
        parts.reverse();
        Self { instances, minimum, parts, batches: vec![], end: None, termination_left }
    }

    /// Whether traffic waits for a person.
    pub(super) fn is_ready(&self) -> bool {
        self.end.is_none() && self.parts.last() == Some(&Part::Ready)
    }

    /// A person lets it go on.
    pub(super) fn go_on(&mut self) {
        if self.is_ready() {
            self.parts.pop();
        }
    }

    /// Whether traffic has moved, and the originals live on.
    pub(super) fn is_terminating(&self) -> bool {
        self.end.is_none() && self.parts.last() == Some(&Part::Termination)
    }

    /// A person lets the originals end now.
    pub(super) fn finish(&mut self) {
        if self.is_terminating() {
            self.next_part();
        }
    }

    /// One step of everything that is at work.
    pub(super) fn step(&mut self) {
        let Some(part) = self.parts.last().copied().filter(|_| self.end.is_none()) else { return };
        match part {
            Part::Batches => self.batch(),
            Part::Ready => {}
            Part::Allow => self.all_at_once("Green", "AfterAllowTraffic"),
            Part::Block => self.all_at_once("Blue", "AfterBlockTraffic"),
            Part::Termination => match self.termination_left.checked_sub(1) {
                Some(left) => self.termination_left = left,
                None => self.next_part(),
            },
        }
    }

    /// Somebody or something stopped it: what has not begun never will.
    pub(super) fn stop(&mut self) {
        let unfinished = |it: &&mut Instance| matches!(it.status, "Pending" | "InProgress" | "Ready");
        self.instances.iter_mut().filter(unfinished).for_each(|it| it.give_up("Skipped"));
    }

    fn fleet(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.instances.iter_mut().filter(|it| it.label != Some("Blue"))
    }

    fn batch(&mut self) {
        let last = if self.parts.len() > 1 { "ValidateService" } else { "" };
        self.fleet().filter(|it| it.status == "InProgress").for_each(|it| it.step(last));
        if self.fleet().any(|it| it.status == "InProgress") {
            return;
        }
        let all = self.fleet().count();
        let failed = self.fleet().filter(|it| it.status == "Failed").count();
        let waiting = self.fleet().filter(|it| it.status == "Pending").count();
        // What is not updated yet is healthy as it is; each update takes one away for a while.
        let room = (all - failed).saturating_sub(self.minimum);
        if waiting > 0 && room == 0 {
            self.fail(if self.batches.is_empty() { End::NoRoom } else { End::TooFewHealthy });
        } else if waiting > 0 {
            self.fleet().filter(|it| it.status == "Pending").take(room).for_each(Instance::begin);
            self.batches.push(room.min(waiting));
        } else if failed == all || all - failed < self.minimum {
            self.fail(End::TooFewHealthy);
        } else {
            self.next_part();
        }
    }

    fn all_at_once(&mut self, label: &str, last: &str) {
        let mine = |it: &&mut Instance| it.label == Some(label) && it.status != "Failed";
        for it in self.instances.iter_mut().filter(mine) {
            match it.status {
                "InProgress" => it.step(last),
                "Succeeded" => {}
                _ => it.begin(),
            }
        }
        if self.instances.iter_mut().filter(mine).all(|it| it.status == "Succeeded") {
            self.next_part();
        }
    }

    fn next_part(&mut self) {
        self.parts.pop();
        if self.parts.is_empty() {
            self.end = Some(End::Succeeded);
        }
    }

    fn fail(&mut self, end: End) {
        self.stop();
        self.end = Some(end);
    }
}

impl Deployment {
    /// `Blue` or `Green`, for an instance of a fleet that is replaced.
    pub(super) fn label(&self, instance: &str) -> Option<&'static str> {
        self.fleet.as_ref()?.instances.iter().find(|it| it.id == instance)?.label
    }

    /// The lifecycle events of a fleet's instance, as `BatchGetDeploymentTargets` tells them: in no order to rely on.
    pub(super) fn fleet_events(&self, instance: &str, since: f64) -> Option<Vec<Value>> {
        let instance = self.fleet.as_ref()?.instances.iter().find(|it| it.id == instance)?;
        let event = |(at, (name, status)): (usize, &(&str, &str))| {
            let mut event = json!({ "lifecycleEventName": name, "status": status });
            if matches!(*status, "Succeeded" | "Failed") {
                event["startTime"] = json!(since + at as f64);
                event["endTime"] = json!(since + at as f64 + 0.5);
                event["diagnostics"] = json!({ "errorCode": "Success", "scriptName": "", "message": "Succeeded" });
            }
            if let Some(it) = instance.failing().filter(|it| *status == "Failed" && it.event == *name) {
                event["diagnostics"] = json!({ "errorCode": it.code, "scriptName": it.script, "message": it.message,
                    "logTail": it.log_tail });
            }
            event
        };
        Some(instance.events.iter().enumerate().rev().map(event).collect())
    }
}
