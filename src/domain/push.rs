//! A push, as a signed delivery told it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{CommitSha, DeliveryId, RefName, RepositoryName};
use super::skip::Skip;

/// A repository, by the name that people use and the number that stays when it is renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// GitHub's number; absent for a push that comes from a git repository's own hook without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// `owner/name`.
    pub name: RepositoryName,
}

impl Repository {
    /// Whether it is the same: by the numbers, and by the names where one of them has none.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(one), Some(other)) => one == other,
            (Some(_), None) | (None, _) => self.name.is_same(&other.name),
        }
    }
}

/// The verified fact that this ref of this repository moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Which repository.
    pub repository: Repository,
    /// Which ref.
    #[serde(rename = "ref")]
    pub reference: RefName,
    /// Where it was; nothing for a new ref (forty zeros on the wire).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<CommitSha>,
    /// Where it is now; nothing for a deleted ref. An annotated tag's is the tag object's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<CommitSha>,
    /// Whether GitHub says that history was rewritten.
    #[serde(default)]
    pub forced: bool,
    /// Who pushed, as GitHub knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<String>,
    /// The first line of the head commit's message, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The head commit's author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What the head commit's message asks to be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// The paths that the push changed; nothing where the payload does not say all of them (2,048 commits or
    /// more, a new ref, a forced push, a merge): then they are asked of the source when the deployment is weighed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
}

/// How a delivery that never reached us came here all the same: GitHub keeps what it sent for some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUp {
    /// When GitHub sent it.
    pub sent_at: Timestamp,
    /// What GitHub met with then, in its own words: `503`, `timed out`.
    pub met: String,
}

impl std::fmt::Display for CaughtUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "caught up from GitHub's list: sent at {:.0}, it met with `{}`", self.sent_at, self.met)
    }
}

/// One signed webhook request that carries a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// GitHub's name for it.
    pub id: DeliveryId,
    /// The value of `X-GitHub-Event`.
    pub event: String,
    /// SHA-256 of the raw body, hex: two hooks that send the same push are one delivery.
    pub digest: String,
    /// The raw body.
    pub body: bytes::Bytes,
    /// When it came in.
    pub received_at: Timestamp,
    /// What it says.
    pub push: Push,
    /// Where it was asked for, and did not come by itself.
    pub caught_up: Option<CaughtUp>,
}
