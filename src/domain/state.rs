//! How far a deployment has come, and the step that follows. Types only: the table of what may follow stands with the fold.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId, RunId};
use super::progress::{Hold, Progress, RunOutcome};
use super::revision::Revision;

/// How far a deployment has come. Each state carries what the next step needs, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Nothing is done yet.
    Planned,
    /// Its order is being proven.
    Weighing,
    /// It waits before it is prepared.
    Held {
        /// For this.
        hold: Hold,
    },
    /// Its revision is being made.
    Preparing {
        /// Of this commit.
        weighed: Weighed,
    },
    /// Its revision lies ready, and nothing holds it.
    Ready {
        /// What will be released.
        ready: Ready,
    },
    /// Its revision lies ready, and it waits.
    ReadyHeld {
        /// What will be released.
        ready: Ready,
        /// For this.
        hold: Hold,
    },
    /// The engine is being called, or was, and we do not know.
    Releasing {
        /// What is released.
        ready: Ready,
        /// What the run is known by.
        marker: String,
        /// The run's id, where we choose it.
        run: Option<RunId>,
        /// When the intent was written.
        since: Timestamp,
    },
    /// The engine works.
    Running {
        /// On this.
        running: Running,
    },
    /// The engine is done; what came of it is being looked at.
    Verifying {
        /// What came of it.
        outcome: RunOutcome,
    },
    /// Over: the revision runs.
    Succeeded {
        /// What a person should know although it went well.
        warnings: Vec<String>,
    },
    /// Over: it does not.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Over: stopped.
    Stopped {
        /// By whom.
        actor: String,
        /// Why, where the engine said.
        failure: Option<Failure>,
    },
    /// Over before release: a newer commit takes its place.
    Superseded {
        /// The newer commit.
        by: CommitSha,
        /// Its deployment.
        deployment: Option<DeploymentId>,
    },
    /// Over before release: a rule leaves it out, and nothing is wrong with it.
    Skipped {
        /// Which, and why.
        reason: String,
    },
    /// Over before release: a rule forbids it.
    Refused {
        /// Which, and why.
        failure: Failure,
    },
}

/// What weighing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// The commit to archive; an annotated tag is peeled.
    pub commit: CommitSha,
    /// The head of the ref at that time.
    pub head: CommitSha,
    /// Whether the head did not descend from the last seen commit.
    pub forced: bool,
    /// Why nobody can say whether it need not be deployed. It is all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

impl Weighed {
    /// A commit whose place on its ref does not matter.
    pub fn alone(commit: CommitSha) -> Self {
        Self { head: commit.clone(), commit, forced: false, doubt: None }
    }
}

/// What is ready to be released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The commit.
    pub commit: CommitSha,
    /// Its revision.
    pub revision: Revision,
}

/// What an engine works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The commit.
    pub commit: CommitSha,
    /// The engine's id.
    pub run: RunId,
    /// How far it is.
    pub progress: Progress,
}

/// The next effect, with its input in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Prove that the commit is the newest and that nothing forbids it. May run twice: it only reads.
    Weigh,
    /// Make and store the revision. May run twice: the key names what it is made of.
    Prepare(Weighed),
    /// Call the engine. Never runs twice: its intent is written first.
    Release(Ready),
    /// Find out whether the engine was called. May run twice: it only reads, until it adopts.
    Find {
        /// What would have been released.
        ready: Ready,
        /// What the run is known by.
        marker: String,
        /// The run's id, where we chose it.
        run: Option<RunId>,
        /// When the intent was written.
        since: Timestamp,
    },
    /// Take over a run that the engine began by itself. May run twice: it only writes what is not written yet.
    Adopt(RunId),
    /// Follow the engine to its end. May run twice: it only reads.
    Watch(Running),
    /// Judge what came of it. May run twice: it only reads.
    Verify(RunOutcome),
}

/// A step's name, as stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    /// Order and holds.
    Weigh,
    /// Archive, bundle, store.
    Prepare,
    /// Call the engine, or find out whether it was called.
    Release,
    /// Follow it.
    Watch,
    /// Judge.
    Verify,
}

impl State {
    /// Why it is over and its revision does not run, where there is a reason.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure } | Self::Refused { failure } => Some(failure),
            Self::Stopped { failure, .. } => failure.as_ref(),
            Self::Planned | Self::Weighing | Self::Held { .. } | Self::Preparing { .. } | Self::Ready { .. } => None,
            Self::ReadyHeld { .. } | Self::Releasing { .. } | Self::Running { .. } | Self::Verifying { .. } => None,
            Self::Succeeded { .. } | Self::Superseded { .. } | Self::Skipped { .. } => None,
        }
    }

    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Weighing => "weighing",
            Self::Held { .. } | Self::ReadyHeld { .. } => "held",
            Self::Preparing { .. } | Self::Ready { .. } => "preparing",
            Self::Releasing { .. } => "releasing",
            Self::Running { .. } => "running",
            Self::Verifying { .. } => "verifying",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Stopped { .. } => "stopped",
            Self::Superseded { .. } => "superseded",
            Self::Skipped { .. } => "skipped",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether nothing more can happen.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Stopped { .. } => true,
            Self::Superseded { .. } | Self::Skipped { .. } | Self::Refused { .. } => true,
            Self::Planned | Self::Weighing | Self::Held { .. } | Self::Preparing { .. } => false,
            Self::Ready { .. } | Self::ReadyHeld { .. } | Self::Releasing { .. } => false,
            Self::Running { .. } | Self::Verifying { .. } => false,
        }
    }

    /// Whether the engine has certainly not been called.
    pub fn is_before_release(&self) -> bool {
        match self {
            Self::Planned | Self::Weighing | Self::Held { .. } | Self::Preparing { .. } => true,
            Self::Ready { .. } | Self::ReadyHeld { .. } => true,
            Self::Releasing { .. } | Self::Running { .. } | Self::Verifying { .. } => false,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Stopped { .. } => false,
            Self::Superseded { .. } | Self::Skipped { .. } | Self::Refused { .. } => false,
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weigh => "weigh",
            Self::Prepare => "prepare",
            Self::Release => "release",
            Self::Watch => "watch",
            Self::Verify => "verify",
        })
    }
}
