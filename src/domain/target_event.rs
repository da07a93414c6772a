//! What happens to a target as a whole: its refs, its lock, its stored revisions. Stored, as all that is in `event`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId, RefName, RepositoryName};
use super::revision::Location;

/// Events of `target/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TargetEvent {
    /// First sight of a ref: its head counts as handled, without a deployment.
    Seen {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
        /// The commit.
        sha: CommitSha,
    },
    /// The ref was found to have moved without a delivery: what is born with this brings it.
    Found {
        /// The ref.
        #[serde(rename = "ref")]
        reference: RefName,
        /// Its head.
        sha: CommitSha,
    },
    /// The repository's number is fixed from now on.
    Pinned {
        /// The number.
        repository_id: u64,
        /// The name that it had then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<RepositoryName>,
    },
    /// The repository was renamed or transferred: it is known by its number, and asked for under this name.
    Followed {
        /// Its name now.
        repository: RepositoryName,
    },
    /// Nothing is released until it is unlocked.
    Locked {
        /// By whom.
        actor: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Until when, unless somebody unlocks it before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether it only warns.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        warns: bool,
        /// The rollback that brought it, where no person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<DeploymentId>,
    },
    /// Free again.
    Unlocked {
        /// By whom.
        actor: String,
    },
    /// Retention deleted a revision that nobody needed.
    Pruned {
        /// Where it lay.
        location: Location,
        /// The newest deployment that had used it.
        deployment: DeploymentId,
        /// Whether it was found gone already: somebody else had deleted it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gone: bool,
    },
    /// Upkeep could not do all that it should. It is told once, until it can or something else is amiss.
    UpkeepFailed {
        /// Why.
        failure: Failure,
    },
    /// It can again.
    UpkeepMended,
}
