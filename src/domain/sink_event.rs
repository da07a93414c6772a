//! What the world was told of deployments, sink by sink. Stored, as all events are: the rules stand with those.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId};
use super::wording::NoticeState;

/// Events of `sink/NAME`: what the world was told, so that it is told neither twice nor never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SinkEvent {
    /// The world knows.
    Sent {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Under which name: a status's context, a channel.
        context: String,
        /// About which commit.
        sha: CommitSha,
        /// What state it was told.
        state: NoticeState,
        /// In which words.
        text: String,
        /// The other side's id of it, for edits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
        /// How many messages stand under this name at this commit, with this one; 0 where nobody counted.
        #[serde(default, skip_serializing_if = "is_zero")]
        nth: u32,
        /// How many lifecycle events were told beneath it, where the other side takes lines there.
        #[serde(default, skip_serializing_if = "is_zero")]
        steps: u32,
    },
    /// It could not be told yet.
    Stumbled {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Why.
        failure: Failure,
        /// How often in a row, from 1.
        attempt: u32,
        /// When to try again.
        next_at: Timestamp,
        /// The other side's id of what it was told before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
        /// How many messages may stand under this name at this commit: an answer that is lost leaves it open.
        #[serde(default, skip_serializing_if = "is_zero")]
        nth: u32,
        /// Since when its place takes no message at all; nothing where others may go through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        down_since: Option<Timestamp>,
    },
    /// It will not be told.
    GaveUp {
        /// Of which deployment.
        deployment: DeploymentId,
        /// Why.
        failure: Failure,
        /// The other side's id of what it was told before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
        /// How many messages may stand under this name at this commit.
        #[serde(default, skip_serializing_if = "is_zero")]
        nth: u32,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The name of a place in chat among the sinks.
pub fn in_chat(name: &str) -> String {
    format!("chat-{name}")
}

impl SinkEvent {
    /// The deployment that it is about.
    pub fn deployment(&self) -> DeploymentId {
        let (Self::Sent { deployment, .. } | Self::Stumbled { deployment, .. } | Self::GaveUp { deployment, .. }) =
            self;
        *deployment
    }

    /// The other side's id of what it was last told.
    pub fn remote_id(&self) -> Option<&str> {
        match self {
            Self::Sent { remote_id, .. } | Self::Stumbled { remote_id, .. } | Self::GaveUp { remote_id, .. } => {
                remote_id.as_deref()
            }
        }
    }

    /// How many messages may stand under its name at its commit.
    pub fn nth(&self) -> u32 {
        match self {
            Self::Sent { nth, .. } | Self::Stumbled { nth, .. } | Self::GaveUp { nth, .. } => *nth,
        }
    }
}
