//! What a person can approve: the waits that end with somebody's word, and what that word does.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deployment::Deployment;
use super::progress::SubState;
use super::state::State;
use super::target::{EngineSpec, Target};

/// What an approval lets go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// What succeeded at one target is released to the next.
    Promotion,
    /// Traffic moves to the new instances, tasks or version: CodeDeploy's `READY_WAIT`.
    Traffic,
    /// The old instances end now, before their time: CodeDeploy's `TERMINATION_WAIT`.
    Termination,
    /// A deployment to a target that asks for approvals is released.
    Release,
    /// A deployment is released although a freeze window is open.
    Freeze,
}

impl Approval {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Traffic => "traffic",
            Self::Termination => "termination",
            Self::Release => "release",
            Self::Freeze => "freeze",
        }
    }

    /// Whether it can be rejected.
    pub fn may_be_rejected(self) -> bool {
        matches!(self, Self::Release | Self::Promotion)
    }

    /// What happens when a deployment to this target is approved: fits after «approving it ».
    pub fn deed(self, target: &Target) -> String {
        match self {
            Self::Promotion | Self::Release => format!("releases it to `{}`", target.name),
            Self::Freeze => format!("releases it to `{}` in spite of the freeze", target.name),
            Self::Traffic => "moves traffic to what was deployed".into(),
            Self::Termination => "ends the old instances now: there is no quick way back to them".into(),
        }
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promotion => "the promotion",
            Self::Traffic => "the move of traffic",
            Self::Termination => "the end of the old instances",
            Self::Release => "the release",
            Self::Freeze => "the release in spite of the freeze",
        })
    }
}

impl Deployment {
    /// Whether somebody wants it released although a freeze window is open.
    pub fn overrides_freeze(&self) -> bool {
        self.order().options.override_freeze.is_some() || self.is_approved(Approval::Freeze)
    }

    /// What it waits for a person for at this moment.
    pub fn waits_for(&self) -> Option<Approval> {
        match self.state() {
            State::Running { running } => match running.progress.sub_state? {
                SubState::ReadyForTraffic => Some(Approval::Traffic),
                SubState::WaitingForTermination => Some(Approval::Termination),
                SubState::Baking => None,
            },
            state if state.is_before_release() => match self.consent() {
                // Whoever approves the release has approved the promotion.
                Some(consent) => return (consent.missing() > 0).then_some(Approval::Release),
                None => self.order().waits_for_approval().then_some(Approval::Promotion),
            },
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => None,
            State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } | State::Verifying { .. } => None,
            State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => None,
            State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => None,
        }
        .filter(|it| !self.is_approved(*it))
    }

    /// What an approval given now would be of. One of the move of traffic may come before its time; nothing where there
    /// is nothing left to approve, or there never will be.
    pub fn may_be_approved(&self) -> Option<Approval> {
        let early = match self.order().target.engine {
            EngineSpec::CodeDeploy(_) if !self.state().is_over() => Some(Approval::Traffic),
            EngineSpec::CodeDeploy(_) | EngineSpec::Host(_) => None,
        };
        self.waits_for().or(early.filter(|it| !self.is_approved(*it)))
    }
}
