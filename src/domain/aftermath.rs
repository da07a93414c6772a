//! What is told of a deployment besides how far it is: what its engine did not take, and what was brought back after it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::approval::Approval;
use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId};
use super::progress::Verdict;

/// A stop or an approval that the engine did not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// Which approval; nothing where it is a stop.
    #[serde(default)]
    pub of: Option<Approval>,
    /// Why.
    pub failure: Failure,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.of.map_or("the stop".into(), |of| format!("the approval of {of}"));
        write!(f, "{what} was not taken: {}", self.failure.message)
    }
}

/// What became of a target after a deployment to it ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// By this deployment.
    pub by: DeploymentId,
    /// The commit that is brought back, where it is one of ours.
    #[serde(default)]
    pub to: Option<CommitSha>,
    /// How that ended; nothing while it goes on.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.as_ref().map_or("another revision", CommitSha::short);
        match self.verdict {
            None => write!(f, "rolling back to {to}"),
            Some(Verdict::Succeeded) => write!(f, "rolled back to {to}"),
            Some(Verdict::Failed | Verdict::Stopped) => write!(f, "ROLLBACK FAILED, to {to}"),
        }
    }
}
