//! What a test tells the CodeDeploy world of deployments to come: how they move, and how they end.

use super::fleet::{Course, Plan};

/// What makes deployments move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// Only [`super::World::tick`].
    WhenTold,
    /// A deployment does a step each time it is asked for.
    AtEachLook,
    /// A deployment does a step every so many milliseconds.
    EveryMillis(u64),
}

/// How a deployment goes.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// On which instances.
    pub(crate) instances: Vec<String>,
    /// How it ends.
    pub(crate) ending: Ending,
    /// A status that the world says instead of `InProgress`.
    pub(crate) strange_status: Option<&'static str>,
    /// Whether it waits before traffic moves.
    pub(crate) waits_for_traffic: bool,
    /// On Lambda and ECS: the percentages by which traffic moves, a step each.
    pub(crate) shifts: Vec<f64>,
    /// On ECS: for how many steps the deployment goes on once its target is done, until the old tasks end.
    pub(crate) old_tasks_stay: usize,
    /// Whether it goes on until somebody stops it.
    pub(crate) lingers: bool,
    /// For how many steps a stop is pending, where it does not stop at once.
    pub(crate) stops_after: usize,
    /// A fleet that is deployed to in batches, instead of the instances and their ending.
    pub(crate) fleet: Option<Plan>,
    /// For how many steps it bakes before it succeeds.
    pub(crate) bakes: usize,
    /// After how many steps of waiting for traffic it is stopped, and how many minutes it says that that is.
    pub(crate) ready_expires: Option<usize>,
}

/// How a deployment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everywhere well.
    Succeeds,
    /// One instance fails at an event, and the deployment with it.
    FailsAt(Failing),
    /// One instance fails at an event, and the deployment succeeds all the same.
    SucceedsWith(Failing),
    /// The agents never answer: all events are skipped.
    Mute,
    /// CodeDeploy gives up by itself, with this code and message.
    GivesUp(&'static str, &'static str),
}

/// What fails where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) instance: String,
    pub(crate) event: &'static str,
    pub(crate) code: &'static str,
    pub(crate) script: &'static str,
    pub(crate) message: &'static str,
    pub(crate) log_tail: String,
}

impl Default for Scenario {
    fn default() -> Self {
        let instances = vec!["i-0a".to_owned(), "i-0b".to_owned()];
        Self {
            instances,
            ending: Ending::Succeeds,
            strange_status: None,
            waits_for_traffic: false,
            shifts: vec![10.0, 100.0],
            old_tasks_stay: 0,
            lingers: false,
            stops_after: 0,
            fleet: None,
            bakes: 0,
            ready_expires: None,
        }
    }
}

impl Scenario {
    /// A hook script of `instance` fails at `event`.
    pub(crate) fn script_fails(instance: &str, event: &'static str, script: &'static str, log_tail: &str) -> Self {
        Self { ending: Ending::FailsAt(Failing::at(instance, event, script, log_tail)), ..Self::default() }
    }

    /// A fleet is deployed to.
    pub(crate) fn of(fleet: Plan) -> Self {
        let instances = fleet.instances.iter().map(|(id, _)| id.clone()).collect();
        Self { instances, fleet: Some(fleet), ..Self::default() }
    }
}

impl Scenario {
    /// For how many steps what served before lives on, where it is ended at all: as many minutes, the group says.
    pub(super) fn termination_wait(&self) -> Option<usize> {
        match self.fleet.as_ref().map(|it| it.course) {
            Some(Course::BlueGreen { termination_wait }) => Some(termination_wait),
            Some(Course::InPlace | Course::BehindLoadBalancer) | None => Some(self.old_tasks_stay).filter(|it| *it > 0),
        }
    }
}

impl Failing {
    /// A hook script of `instance` fails at `event`.
    pub(crate) fn at(instance: &str, event: &'static str, script: &'static str, log_tail: &str) -> Self {
        let message = "Script at specified location failed with exit code 1";
        let (instance, log_tail) = (instance.to_owned(), log_tail.to_owned());
        Self { instance, event, code: "ScriptFailed", script, message, log_tail }
    }
}
