//! What engines tell while they work, and why deployments wait.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::fleet::Fleet;
use super::ids::RunId;
use super::masking::Mask;

/// Why a deployment waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Another deployment runs in the lane.
    Lane,
    /// The source cannot say whether this commit is the newest.
    OrderUnproven,
    /// Required checks are not green yet.
    Checks,
    /// Somebody locked the target.
    Lock,
    /// The bot is paused.
    Paused,
    /// A freeze window is open.
    Freeze,
    /// Somebody has to approve.
    Approval,
    /// The engine's group is busy with a deployment that is not ours.
    EngineBusy,
}

/// A wait, with its reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What kind of wait.
    pub kind: HoldKind,
    /// What is awaited: lowercase, no full stop, fits after «held: ».
    pub reason: String,
    /// When it will be looked at again at the latest; nothing where only an event can end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hold {
    /// The wait for a source that cannot say whether the commit is the newest.
    pub fn order_unproven(failure: &Failure, until: Timestamp) -> Self {
        let reason = format!("order unproven: {}", failure.message);
        Self { kind: HoldKind::OrderUnproven, reason, until: Some(until) }
    }
}

/// How far one lifecycle event, instance or script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Never to be begun.
    Skipped,
    /// The engine said something we do not know.
    Unknown,
}

/// One lifecycle event of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lifecycle {
    /// Its name, `AfterInstall`.
    pub name: String,
    /// How far it is.
    pub status: StepStatus,
    /// Which instance, for an engine that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The script that runs or that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

/// How many instances are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    /// Ended well.
    pub succeeded: u64,
    /// Ended badly.
    pub failed: u64,
    /// Left out.
    pub skipped: u64,
    /// At work.
    pub in_progress: u64,
    /// Waiting.
    pub pending: u64,
}

impl Instances {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed + self.skipped + self.in_progress + self.pending
    }
}

/// A wait inside the engine, while the deployment runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubState {
    /// Replacement instances are ready; traffic waits for a person (CodeDeploy's `Ready`).
    ReadyForTraffic,
    /// Traffic moved; old instances wait for their end.
    WaitingForTermination,
    /// CodeDeploy's `Baking`.
    Baking,
}

/// How much of the traffic goes to what is being deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// From 0 to 100.
    pub percent: u8,
    /// What receives it, as people call it: `version 8`, `the replacement task set`.
    pub label: String,
}

impl Traffic {
    /// From a weight as CodeDeploy tells it. Whether it counts to 1 or to 100 is not documented: up to 1 is a share.
    pub fn from_weight(weight: f64, label: &str) -> Self {
        let percent = if weight <= 1.0 { weight * 100.0 } else { weight };
        // A cast of a float to an integer saturates, and what is no number becomes 0.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is held between 0 and 100")]
        let percent = percent.round().clamp(0.0, 100.0) as u8;
        Self { percent, label: label.to_owned() }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % on {}", self.percent, self.label)
    }
}

/// How far a run is. Two equal values are one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The engine's own word for the state, as it came.
    #[serde(default)]
    pub status: String,
    /// The lifecycle event at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The lifecycle events in run order, as far as the engine tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lifecycle: Vec<Lifecycle>,
    /// Instances, for an engine that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// The single instances, for an engine that names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
    /// Traffic shifted, percent: read from old ledgers, and no longer written. [`Progress::traffic`] is its successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// How far traffic has moved to what is deployed, for an engine that moves it by degrees (Lambda, ECS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// A wait inside the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_state: Option<SubState>,
    /// When that wait ends by itself, where the engine says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The last line that the script at work wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// How many hours the engine gives such a run at most, once they are over: it is watched on all the same (row 64).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_h: Option<u32>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The revision runs.
    Succeeded,
    /// It does not.
    Failed,
    /// Somebody or something stopped it.
    Stopped,
}

/// The end of a run, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Why, unless it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What a person should know although it went well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The run with which the engine itself rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<RunId>,
    /// What that run brings back, as [`Revision::identity`](super::Revision::identity) names it, where the engine said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
    /// What the engine says of its own rollback, where it did not roll back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_said: Option<String>,
    /// The runs with which the engine itself brings more instances to the same revision (row 59).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followed_by: Vec<RunId>,
    /// Whether the engine ended before it touched anything: what ran before runs on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untouched: bool,
}

impl RunOutcome {
    /// This end, with nothing else to say of it.
    pub fn of(verdict: Verdict) -> Self {
        let (failure, warnings, followed_by, untouched) = (None, vec![], vec![], false);
        let (rolled_back_by, rolled_back_to, rollback_said) = (None, None, None);
        Self { verdict, failure, warnings, rolled_back_by, rolled_back_to, rollback_said, followed_by, untouched }
    }
}

impl Observation {
    /// The same, without these secrets in what scripts wrote.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        self.progress.said = self.progress.said.map(|said| mask.apply(&said));
        if let Some(outcome) = &mut self.outcome {
            outcome.warnings.iter_mut().for_each(|warning| *warning = mask.apply(warning));
            if let Some(failure) = &mut outcome.failure {
                *failure = failure.masked(mask);
            }
        }
        self
    }
}

/// One look at a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// How far it is.
    pub progress: Progress,
    /// How it ended, when it did.
    pub outcome: Option<RunOutcome>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_share_or_a_percentage_row_63() {
        for (weight, percent) in [(0.0, 0), (0.1, 10), (0.3, 30), (1.0, 100), (10.0, 10), (33.4, 33), (100.0, 100)] {
            assert_eq!(Traffic::from_weight(weight, "version 8").to_string(), format!("{percent} % on version 8"));
        }
        for (odd, percent) in [(-5.0, 0), (250.0, 100), (f64::NAN, 0)] {
            assert_eq!(Traffic::from_weight(odd, "it").percent, percent, "{odd}");
        }
    }
}
