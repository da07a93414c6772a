//! What is news about a deployment to people who did not ask: in chat and by mail. Pure.

use serde::Serialize;

use super::deployment::Deployment;
use super::progress::{Hold, HoldKind};
use super::state::State;

/// What happened, by the words of `on` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// It waits for something that a person should know of: a lock, an approval, a freeze, checks.
    Held,
    /// It began.
    Started,
    /// It goes on.
    Progressing,
    /// It is live.
    Succeeded,
    /// It is live, and the one before it at this target failed.
    Recovered,
    /// It failed.
    Failed,
    /// An earlier revision was brought back.
    RolledBack,
    /// A person ended it.
    Stopped,
    /// A newer commit took its place.
    Superseded,
    /// A rule forbids it.
    Refused,
    /// A rule leaves it out.
    Skipped,
}

impl News {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Held,
        Self::Started,
        Self::Progressing,
        Self::Succeeded,
        Self::Recovered,
        Self::Failed,
        Self::RolledBack,
        Self::Stopped,
        Self::Superseded,
        Self::Refused,
        Self::Skipped,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Started => "started",
            Self::Progressing => "progressing",
            Self::Succeeded => "succeeded",
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Stopped => "stopped",
            Self::Superseded => "superseded",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing more follows.
    pub fn is_end(self) -> bool {
        match self {
            Self::Held | Self::Started | Self::Progressing => false,
            Self::Succeeded | Self::Recovered | Self::Failed | Self::RolledBack | Self::Stopped => true,
            Self::Superseded | Self::Refused | Self::Skipped => true,
        }
    }
}

impl News {
    /// What is news about a deployment as it stands; nothing where nobody need know. `failed_before`: the one before it that
    /// came to an end at the target failed.
    pub fn of(deployment: &Deployment, failed_before: bool) -> Option<Self> {
        Some(match deployment.state() {
            State::Planned | State::Weighing => return None,
            State::Held { hold } | State::ReadyHeld { hold, .. } => return is_for_people(hold).then_some(Self::Held),
            State::Preparing { .. } | State::Ready { .. } | State::Releasing { .. } => Self::Started,
            State::Running { .. } | State::Verifying { .. } => Self::Progressing,
            State::Succeeded { .. } if deployment.order().is_rollback() => Self::RolledBack,
            State::Succeeded { .. } if failed_before => Self::Recovered,
            State::Succeeded { .. } => Self::Succeeded,
            State::Failed { .. } | State::Stopped { failure: Some(_), .. } => Self::Failed,
            State::Stopped { failure: None, .. } => Self::Stopped,
            State::Superseded { .. } => Self::Superseded,
            State::Skipped { .. } => Self::Skipped,
            State::Refused { .. } => Self::Refused,
        })
    }
}

/// Whether a wait ends by what a person does or has decided, and not by itself.
fn is_for_people(hold: &Hold) -> bool {
    match hold.kind {
        HoldKind::Lock | HoldKind::Paused | HoldKind::Freeze | HoldKind::Approval => true,
        HoldKind::Lane | HoldKind::OrderUnproven | HoldKind::Checks | HoldKind::EngineBusy => false,
    }
}
