//! What the CodeDeploy world keeps, and how a deployment moves in it. No HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use landfall::clients::Clock;
use serde_json::{Value, json};

use super::fleet::{End, Fleet};
use super::scenario::{Ending, Failing, Moves, Scenario};
use super::{options, serverless};

/// A deployment as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) creator: String,
    /// What it was created with.
    pub(crate) input: Value,
    /// The waits that somebody ended, in order.
    pub(crate) waits_ended: Vec<String>,
}

/// An exception.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into() }
    }
}

pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) applications: BTreeMap<String, Application>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) scenarios: VecDeque<Scenario>,
    /// The same for one group's deployments.
    pub(super) of_groups: BTreeMap<String, VecDeque<Scenario>>,
    pub(super) moves: Moves,
    pub(super) wants_registered: bool,
    pub(super) hides_rollback_rules: bool,
    /// Deployments that were rolled back do not say by which: only the rollback says of which.
    pub(super) hides_rollbacks: bool,
    /// Descriptions do not come through.
    pub(super) strips_descriptions: bool,
    /// Deployment configurations besides CodeDeploy's own: name to platform.
    pub(super) configs: BTreeMap<String, String>,
    /// Instances that are listed, and not there any more.
    pub(super) vanished: Vec<String>,
}

pub(super) struct Application {
    pub(super) platform: String,
    pub(super) groups: BTreeMap<String, Group>,
    /// What was registered: the revision and its description.
    pub(super) revisions: Vec<(Value, Option<String>)>,
    pub(super) linked_to_github: bool,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) rolls_back: bool,
    /// Whether replacement instances take over, instead of the same ones.
    pub(super) blue_green: bool,
    /// From which look at a failed deployment on its rollback is there.
    from_look: u32,
    /// How long after its end it is there at the earliest.
    after: Duration,
    /// Why nothing is rolled back, where nothing can be.
    pub(super) nothing_before: Option<&'static str>,
    pub(super) input: Value,
}

pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) application: String,
    pub(super) group: String,
    pub(super) platform: String,
    pub(super) creator: String,
    pub(super) created: Timestamp,
    pub(super) input: Value,
    pub(super) scenario: Scenario,
    pub(super) fleet: Option<Fleet>,
    pub(super) step: usize,
    /// When it was first seen to be over.
    ended: Option<Timestamp>,
    /// For how many steps it has waited for traffic.
    waited: usize,
    pub(super) stopped: bool,
    /// For how many more steps a stop is pending.
    pub(super) stops_in: Option<usize>,
    pub(super) continued: bool,
    /// Whether somebody let the old tasks end before their time.
    pub(super) finished: bool,
    pub(super) waits_ended: Vec<String>,
    /// Whether whoever stopped it wants what was there before.
    pub(super) rollback_asked: bool,
    looks_since_end: u32,
    pub(super) rolled_back_by: Option<String>,
    pub(super) rolls_back: Option<String>,
    /// What CodeDeploy itself began to bring outdated instances up to date, and the one it began that after.
    pub(super) followed_by: Vec<String>,
    pub(super) follows: Option<String>,
}

/// The in-place lifecycle without a load balancer.
pub(super) const LIFECYCLE: [&str; 7] = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
];
/// `Created`, then `Queued`.
pub(super) const BEFORE: usize = 2;

impl State {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            applications: BTreeMap::new(),
            deployments: vec![],
            scenarios: VecDeque::new(),
            of_groups: BTreeMap::new(),
            moves: Moves::AtEachLook,
            wants_registered: false,
            hides_rollback_rules: false,
            hides_rollbacks: false,
            strips_descriptions: false,
            configs: BTreeMap::new(),
            vanished: vec![],
        }
    }

    pub(super) fn add_application(&mut self, name: &str, platform: &str) {
        let application = Application {
            platform: platform.to_owned(),
            groups: BTreeMap::new(),
            revisions: vec![],
            linked_to_github: false,
        };
        self.applications.insert(name.to_owned(), application);
    }

    pub(super) fn add_group(&mut self, application: &str, name: &str) {
        let application = self.applications.get_mut(application).expect("the application was added before");
        application.groups.insert(name.to_owned(), Group::default());
    }

    pub(super) fn roll_back(&mut self, application: &str, group: &str, from_look: u32) {
        let group = self.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        let group = group.expect("the group was added before");
        (group.rolls_back, group.from_look) = (true, from_look);
    }

    pub(super) fn roll_back_after(&mut self, application: &str, group: &str, after: Duration) {
        self.roll_back(application, group, 0);
        self.put_rollbacks_off(application, group, after);
    }

    pub(super) fn put_rollbacks_off(&mut self, application: &str, group: &str, after: Duration) {
        let group = self.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        group.expect("the group was added before").after = after;
    }

    pub(super) fn has_nothing_before(&mut self, application: &str, group: &str, said: &'static str) {
        self.roll_back(application, group, 0);
        let group = self.applications.get_mut(application).and_then(|it| it.groups.get_mut(group));
        group.expect("the group was added before").nothing_before = Some(said);
    }

    pub(super) fn forget(&mut self, application: &str) {
        self.applications.remove(application);
        self.deployments.retain(|it| it.application != application);
    }

    pub(super) fn foreign(&mut self, application: &str, group: &str, creator: &str, description: &str) -> String {
        let input = json!({ "applicationName": application, "deploymentGroupName": group, "description": description });
        self.create(application, group, creator, input)
    }

    pub(super) fn create(&mut self, application: &str, group: &str, creator: &str, input: Value) -> String {
        let id = format!("d-{:0>9}", radix_36(self.deployments.len() + 1));
        let of_group = self.of_groups.get_mut(group).and_then(VecDeque::pop_front);
        let scenario = of_group.or_else(|| self.scenarios.pop_front()).unwrap_or_default();
        let fleet = scenario.fleet.as_ref().map(|plan| Fleet::new(plan, scenario.waits_for_traffic));
        self.deployments.push(Deployment {
            id: id.clone(),
            application: application.to_owned(),
            group: group.to_owned(),
            platform: self.applications[application].platform.clone(),
            creator: creator.to_owned(),
            created: self.clock.now(),
            input,
            scenario,
            fleet,
            step: 0,
            ended: None,
            waited: 0,
            stopped: false,
            stops_in: None,
            continued: false,
            finished: false,
            waits_ended: vec![],
            rollback_asked: false,
            looks_since_end: 0,
            rolled_back_by: None,
            rolls_back: None,
            followed_by: vec![],
            follows: None,
        });
        id
    }

    /// CodeDeploy brings instances that the newest deployment of the group left outdated up to date.
    pub(super) fn follow_on(&mut self, application: &str, group: &str) -> String {
        let root = self.deployments.iter().rposition(|it| it.application == application && it.group == group);
        let root = root.expect("the group has a deployment");
        let id = self.foreign(application, group, "CodeDeployAutoUpdate", "");
        self.deployments[root].followed_by.push(id.clone());
        let (root, revision) = (self.deployments[root].id.clone(), self.deployments[root].input["revision"].clone());
        let made = self.deployments.last_mut().expect("it was just made");
        (made.follows, made.input["revision"]) = (Some(root), revision);
        id
    }

    /// Somebody looks at a deployment.
    pub(super) fn look(&mut self, id: &str) -> Option<&Deployment> {
        let now = self.clock.now();
        let at = self.deployments.iter().position(|it| it.id == id)?;
        let it = &mut self.deployments[at];
        match self.moves {
            Moves::WhenTold => {}
            Moves::AtEachLook => it.step(),
            Moves::EveryMillis(millis) => {
                let since = u64::try_from(now.duration_since(it.created).as_millis()).unwrap_or(0);
                let wanted = usize::try_from(since / millis).unwrap_or(usize::MAX);
                while it.step < wanted && it.is_active() {
                    it.step();
                    if it.is_waiting() && it.scenario.ready_expires.is_none() {
                        break;
                    }
                }
            }
        }
        if matches!(it.status(), "Failed" | "Stopped") && it.creator == "user" && it.rolled_back_by.is_none() {
            it.looks_since_end += 1;
            let since_end = now.duration_since(*it.ended.get_or_insert(now));
            let since_end = Duration::try_from(since_end).unwrap_or_default();
            let (looks, application, group) = (it.looks_since_end, it.application.clone(), it.group.clone());
            let rule = &self.applications[&application].groups[&group];
            let event = if it.status() == "Failed" { "DEPLOYMENT_FAILURE" } else { "DEPLOYMENT_STOP_ON_REQUEST" };
            let has_before = rule.nothing_before.is_none();
            if has_before
                && (it.rollback_asked || options::rolls_back_on(it, rule).iter().any(|it| it == event))
                && looks >= rule.from_look
                && since_end >= rule.after
            {
                let description = format!("Deployment {id} is rolled back");
                let rollback = self.foreign(&application, &group, "codeDeployRollback", &description);
                self.deployments[at].rolled_back_by = Some(rollback);
                let good =
                    |it: &&Deployment| (&it.application, &it.group, it.status()) == (&application, &group, "Succeeded");
                let revision = self.deployments.iter().rev().find(good).map(|it| it.input["revision"].clone());
                let made = self.deployments.last_mut().expect("it was just made");
                made.rolls_back = Some(id.to_owned());
                if let Some(revision) = revision {
                    made.input["revision"] = revision;
                }
            }
        }
        Some(&self.deployments[at])
    }

    pub(super) fn tick(&mut self) {
        self.deployments.iter_mut().for_each(Deployment::step);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |it: &Deployment| Seen {
            id: it.id.clone(),
            status: it.status().to_owned(),
            creator: it.creator.clone(),
            input: it.input.clone(),
            waits_ended: it.waits_ended.clone(),
        };
        self.deployments.iter().map(seen).collect()
    }
}

impl Deployment {
    fn step(&mut self) {
        if let Some(steps) = &mut self.stops_in {
            *steps = steps.saturating_sub(1);
            if *steps == 0 {
                self.stop();
            }
        } else if self.is_waiting() {
            self.waited += 1;
            if self.scenario.ready_expires.is_some_and(|steps| self.waited >= steps) {
                self.stop();
            }
        } else if self.is_active() && !(self.scenario.lingers && self.step > BEFORE) {
            self.step += 1;
            if let Some(fleet) = self.fleet.as_mut().filter(|_| self.step > BEFORE) {
                fleet.step();
            }
        }
    }

    /// Somebody or something stops it.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.fleet.iter_mut().for_each(Fleet::stop);
    }

    /// How it stands as a whole, where it goes to a fleet.
    fn fleet_status(&self, fleet: &Fleet) -> &'static str {
        match fleet.end {
            Some(End::Succeeded) => "Succeeded",
            Some(End::TooFewHealthy | End::NoRoom) => "Failed",
            None if fleet.is_ready() => "Ready",
            None => self.scenario.strange_status.unwrap_or("InProgress"),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        !matches!(self.status(), "Succeeded" | "Failed" | "Stopped")
    }

    /// Its events, in the order in which they run.
    pub(super) fn lifecycle(&self) -> &'static [&'static str] {
        serverless::lifecycle(&self.platform).unwrap_or(&LIFECYCLE)
    }

    /// Which event is at work at each step.
    pub(super) fn course(&self) -> Vec<usize> {
        let times = |event: &str| if self.moves_traffic_at(event) { self.scenario.shifts.len() } else { 1 };
        self.lifecycle().iter().enumerate().flat_map(|(at, event)| std::iter::repeat_n(at, times(event))).collect()
    }

    fn moves_traffic_at(&self, event: &str) -> bool {
        event == "AllowTraffic" && self.platform != "Server"
    }

    /// How many steps of its course are behind it; nothing before it has begun.
    pub(super) fn position(&self) -> Option<usize> {
        self.step.checked_sub(BEFORE)
    }

    /// The event at work, or the number of all once they are done.
    pub(super) fn at_work(&self) -> Option<usize> {
        let course = self.course();
        self.position().map(|at| course.get(at).copied().unwrap_or(self.lifecycle().len()))
    }

    /// Whether the event at `at` is over.
    fn is_past(&self, at: usize) -> bool {
        self.at_work().is_some_and(|now| now > at)
    }

    pub(super) fn place_of(&self, event: &str) -> Option<usize> {
        self.lifecycle().iter().position(|it| *it == event)
    }

    /// How many steps it takes before it ends.
    fn length(&self) -> usize {
        match &self.scenario.ending {
            Ending::FailsAt(it) => {
                let at = self.place_of(it.event);
                self.course().iter().rposition(|now| Some(*now) == at).map_or(0, |last| last + 1)
            }
            Ending::Succeeds | Ending::SucceedsWith(_) if self.finished => self.course().len(),
            Ending::Succeeds | Ending::SucceedsWith(_) => self.course().len() + self.scenario.old_tasks_stay,
            Ending::Mute | Ending::GivesUp(..) => 1,
        }
    }

    pub(super) fn status(&self) -> &'static str {
        if self.stopped {
            return "Stopped";
        }
        if self.waits_before_traffic() {
            return "Ready";
        }
        let done = BEFORE + self.length();
        match self.step {
            0 => "Created",
            1 => "Queued",
            _ if self.fleet.is_some() => self.fleet.as_ref().map_or("", |fleet| self.fleet_status(fleet)),
            step if step < done => self.scenario.strange_status.unwrap_or("InProgress"),
            _ if self.scenario.waits_for_traffic && !self.continued => "Ready",
            step if step < done + self.scenario.bakes => "Baking",
            _ => match self.scenario.ending {
                Ending::Succeeds | Ending::SucceedsWith(_) => "Succeeded",
                Ending::GivesUp("ALARM_ACTIVE", _) => "Stopped",
                Ending::FailsAt(_) | Ending::Mute | Ending::GivesUp(..) => "Failed",
            },
        }
    }

    fn is_expired(&self) -> bool {
        self.scenario.ready_expires.is_some_and(|steps| self.waited >= steps)
    }

    /// The failing instance and event, once it has failed there.
    pub(super) fn failing(&self) -> Option<&Failing> {
        match &self.scenario.ending {
            Ending::FailsAt(it) | Ending::SucceedsWith(it) => {
                let at = self.place_of(it.event)?;
                self.is_past(at).then_some(it)
            }
            Ending::Succeeds | Ending::Mute | Ending::GivesUp(..) => None,
        }
    }

    /// The status of the event at `at` on `instance`.
    pub(super) fn event_status(&self, instance: &str, at: usize) -> &'static str {
        let failed_at = self.failing().and_then(|it| {
            let is_here = it.instance == instance || self.platform != "Server";
            Some((is_here, self.place_of(it.event)?))
        });
        let ended = !self.is_active();
        if self.scenario.ending == Ending::Mute {
            return if ended { "Skipped" } else { "Pending" };
        }
        match failed_at {
            Some((true, failed)) if at == failed => "Failed",
            Some((true, failed)) if at > failed => "Skipped",
            _ if self.is_past(at) => "Succeeded",
            _ if ended => "Skipped",
            _ if self.at_work() == Some(at) => "InProgress",
            _ => "Pending",
        }
    }

    pub(super) fn instance_status(&self, instance: &str) -> &'static str {
        if let Some(fleet) = &self.fleet {
            return fleet.instances.iter().find(|it| it.id == instance).map_or("Unknown", |it| it.status);
        }
        let events: Vec<&str> = (0..self.lifecycle().len()).map(|at| self.event_status(instance, at)).collect();
        let any = |status| events.contains(&status);
        let all = |status| events.iter().all(|it| *it == status);
        match () {
            () if any("Failed") || (all("Skipped") && self.scenario.ending == Ending::Mute) => "Failed",
            () if all("Succeeded") => "Succeeded",
            () if any("Skipped") => "Skipped",
            () if all("Pending") => "Pending",
            () => "InProgress",
        }
    }

    pub(super) fn error(&self) -> Option<(&'static str, String)> {
        match (self.status(), &self.scenario.ending) {
            ("Stopped", _) if self.is_expired() => Some(("TIMEOUT", "The wait for traffic rerouting timed out".into())),
            ("Failed", _) if self.fleet.as_ref().is_some_and(|it| it.end == Some(End::NoRoom)) => Some((
                "HEALTH_CONSTRAINTS_INVALID",
                "The minimum of healthy hosts leaves no instance to be updated.".into(),
            )),
            ("Stopped", Ending::GivesUp(code, message)) if !self.stopped => Some((code, (*message).into())),
            ("Stopped", _) => Some(("MANUAL_STOP", "The deployment was stopped by the user".into())),
            ("Failed", Ending::GivesUp(code, message)) => Some((code, (*message).into())),
            ("Failed", _) => Some((
                "HEALTH_CONSTRAINTS",
                "The overall deployment failed because too many individual instances failed deployment, too few \
                 healthy instances are available for deployment, or some instances in your deployment group are \
                 experiencing problems."
                    .into(),
            )),
            _ => None,
        }
    }
}

fn radix_36(mut number: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 36]);
        number /= 36;
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}
