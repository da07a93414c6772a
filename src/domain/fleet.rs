//! How far the single instances of a run are: the grid of instances and lifecycle events. Bounded, so that a fleet of
//! thousands is told in a few kilobytes: the instances that need a person are named, the rest is counted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::progress::StepStatus;

/// Instances and lifecycle events of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// The names of the lifecycle events, in run order: the columns.
    #[serde(default)]
    pub events: Vec<String>,
    /// The named instances, the failed ones first: the rows, 50 at most.
    #[serde(default)]
    pub instances: Vec<InstanceState>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unnamed: u64,
}

/// How far one instance, Lambda function or ECS service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceState {
    /// Its id at the engine, `i-0a1b`.
    pub id: String,
    /// How far it is as a whole.
    pub status: StepStatus,
    /// One letter for each of the fleet's events: `p` pending, `i` in progress, `s` succeeded, `f` failed, `x` skipped,
    /// `u` unknown, `-` no such event here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub steps: String,
    /// `Blue` or `Green`, where the engine says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Fleet {
    /// How many instances are named at most. Two calls of CodeDeploy's tell so many.
    pub const NAMED: usize = 50;

    /// The grid of these instances, each with its events in run order. Of an instance's events, names are compared.
    pub fn of(
        events: Vec<String>,
        rows: impl IntoIterator<Item = (InstanceState, Vec<(String, StepStatus)>)>,
        all: u64,
    ) -> Self {
        let mut instances: Vec<InstanceState> = rows
            .into_iter()
            .map(|(instance, steps)| {
                let step = |event: &String| steps.iter().find(|(name, _)| name == event).map(|(_, status)| *status);
                InstanceState { steps: events.iter().map(|event| letter(step(event))).collect(), ..instance }
            })
            .collect();
        instances.sort_by(|one, other| (urgency(one.status), &one.id).cmp(&(urgency(other.status), &other.id)));
        instances.truncate(Self::NAMED);
        let unnamed = all.saturating_sub(instances.len() as u64);
        Self { events, instances, unnamed }
    }

    /// Whether there is more than the one instance that the lifecycle tells of.
    pub fn is_several(&self) -> bool {
        self.instances.len() as u64 + self.unnamed > 1
    }

    /// How far one of its instances is with each event; nothing where it has no such event.
    pub fn row<'a>(&'a self, instance: &'a InstanceState) -> impl Iterator<Item = (&'a str, Option<StepStatus>)> {
        self.events.iter().map(String::as_str).zip(instance.steps.chars().map(step))
    }
}

fn letter(status: Option<StepStatus>) -> char {
    match status {
        None => '-',
        Some(StepStatus::Pending) => 'p',
        Some(StepStatus::InProgress) => 'i',
        Some(StepStatus::Succeeded) => 's',
        Some(StepStatus::Failed) => 'f',
        Some(StepStatus::Skipped) => 'x',
        Some(StepStatus::Unknown) => 'u',
    }
}

fn step(letter: char) -> Option<StepStatus> {
    match letter {
        'p' => Some(StepStatus::Pending),
        'i' => Some(StepStatus::InProgress),
        's' => Some(StepStatus::Succeeded),
        'f' => Some(StepStatus::Failed),
        'x' => Some(StepStatus::Skipped),
        '-' => None,
        _ => Some(StepStatus::Unknown),
    }
}

/// What a person wants to see first.
fn urgency(status: StepStatus) -> u8 {
    match status {
        StepStatus::Failed => 0,
        StepStatus::Unknown => 1,
        StepStatus::InProgress => 2,
        StepStatus::Pending => 3,
        StepStatus::Succeeded => 4,
        StepStatus::Skipped => 5,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, status: StepStatus, steps: &[(&str, StepStatus)]) -> (InstanceState, Vec<(String, StepStatus)>) {
        let steps = steps.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
        (InstanceState { id: id.into(), status, steps: String::new(), label: None }, steps)
    }

    #[test]
    fn the_failed_come_first_and_each_event_is_a_letter() {
        use StepStatus::{Failed, Skipped, Succeeded};
        let fleet = Fleet::of(
            vec!["Install".into(), "AfterInstall".into()],
            [
                row("i-1", Succeeded, &[("Install", Succeeded), ("AfterInstall", Succeeded)]),
                row("i-2", Skipped, &[("Install", Skipped)]),
                row("i-3", Failed, &[("AfterInstall", Failed), ("Install", Succeeded)]),
            ],
            10,
        );
        let told: Vec<_> = fleet.instances.iter().map(|it| (it.id.as_str(), it.steps.as_str())).collect();
        assert_eq!(told, [("i-3", "sf"), ("i-1", "ss"), ("i-2", "x-")]);
        assert_eq!(fleet.unnamed, 7);
        let row: Vec<_> = fleet.row(&fleet.instances[2]).collect();
        assert_eq!(row, [("Install", Some(Skipped)), ("AfterInstall", None)]);
    }

    #[test]
    fn a_fleet_of_thousands_is_told_in_a_few_kilobytes() {
        let events: Vec<String> = (0..13).map(|it| format!("Event{it}")).collect();
        let rows = (0..5000).map(|it| row(&format!("i-{it:017}"), StepStatus::Pending, &[]));
        let fleet = Fleet::of(events, rows, 5000);
        assert_eq!((fleet.instances.len(), fleet.unnamed), (Fleet::NAMED, 4950));
        assert!(serde_json::to_string(&fleet).unwrap().len() < 6000);
    }
}
