//! What an event of a deployment is called, and whether the deployment is over by it.

use super::event::DeploymentEvent;
use super::progress::Verdict;

impl DeploymentEvent {
    /// Its name on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::Weighing => "weighing",
            Self::Held { .. } => "held",
            Self::Weighed { .. } => "weighed",
            Self::Prepared { .. } => "prepared",
            Self::Releasing { .. } => "releasing",
            Self::Unsent { .. } => "unsent",
            Self::Released { .. } => "released",
            Self::Progressed { .. } => "progressed",
            Self::Ended { .. } => "ended",
            Self::Stumbled { .. } => "stumbled",
            Self::StopAsked { .. } => "stop-asked",
            Self::Approved { .. } => "approved",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Stopped { .. } => "stopped",
            Self::Adopted { .. } => "adopted",
            Self::Declined { .. } => "declined",
            Self::Taken { .. } => "taken",
            Self::RollbackBegun { .. } => "rollback-begun",
            Self::RollbackEnded { .. } => "rollback-ended",
            Self::AlreadyLive { .. } => "already-live",
            Self::Superseded { .. } => "superseded",
            Self::Skipped { .. } => "skipped",
            Self::Refused { .. } => "refused",
            Self::Verified { .. } => "verified",
        }
    }

    /// Whether the deployment is over by it.
    pub fn is_end(&self) -> bool {
        self.verdict().is_some()
    }

    /// How the deployment is over by it: well only where its commit is live.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Succeeded { .. } | Self::AlreadyLive { .. } => Some(Verdict::Succeeded),
            Self::Failed { .. } | Self::Refused { .. } => Some(Verdict::Failed),
            Self::Superseded { .. } | Self::Skipped { .. } => Some(Verdict::Failed),
            Self::Stopped { .. } => Some(Verdict::Stopped),
            Self::Planned { .. } | Self::Weighing | Self::Held { .. } | Self::Weighed { .. } => None,
            Self::Prepared { .. } | Self::Releasing { .. } | Self::Unsent { .. } | Self::Released { .. } => None,
            Self::Progressed { .. } | Self::Ended { .. } | Self::Stumbled { .. } => None,
            Self::StopAsked { .. } | Self::Approved { .. } | Self::Adopted { .. } => None,
            Self::RollbackBegun { .. } | Self::RollbackEnded { .. } => None,
            Self::Declined { .. } | Self::Taken { .. } | Self::Verified { .. } => None,
        }
    }
}
