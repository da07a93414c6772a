//! When checks are looked at again: by the clock, or sooner where somebody says that one has ended. Nothing of it is
//! stored: after a restart everything is looked at at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{CheckHint, CommitSha, Deployment, DeploymentId, Weighed};

/// The least time between two looks of one deployment, whoever calls for them.
const BETWEEN_LOOKS: SignedDuration = SignedDuration::from_secs(2);

/// A look that was taken, and the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// At the checks of this commit.
    pub commit: CommitSha,
    /// What was found of it before its checks, where anybody could say: it is not asked for again.
    pub weighed: Option<Weighed>,
    /// When.
    pub at: Timestamp,
    /// When it is due again.
    pub next: Timestamp,
}

/// The looks of all deployments that wait for checks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    taken: BTreeMap<DeploymentId, Look>,
    /// What was said while a look was under way: that look may have come too early.
    heard: BTreeSet<DeploymentId>,
}

impl Looks {
    /// Takes in that a look was taken.
    pub(super) fn take(&mut self, id: DeploymentId, mut look: Look) {
        if self.heard.remove(&id) {
            look.next = look.next.min(soonest(&look));
        }
        self.taken.insert(id, look);
    }

    /// The last look of a deployment.
    pub(super) fn last(&self, id: DeploymentId) -> Option<&Look> {
        self.taken.get(&id)
    }

    /// When the next look of a deployment is due; nothing where none was taken.
    pub(super) fn next(&self, id: DeploymentId) -> Option<Timestamp> {
        self.taken.get(&id).map(|it| it.next)
    }

    /// Takes in that checks may have ended. Gives whether the deployment may wait for them.
    pub(super) fn hear(&mut self, hint: &CheckHint, deployment: &Deployment, is_busy: bool) -> bool {
        let (id, order) = (deployment.id(), deployment.order());
        let taken = self.taken.get_mut(&id);
        let is_its_own = order.sha == hint.commit || taken.as_ref().is_some_and(|it| it.commit == hint.commit);
        let is_here = order.repository.is_same(&hint.repository);
        let is_required = hint.check.as_ref().is_none_or(|name| requires(deployment, name));
        if !(order.waits_for_checks() && is_here && is_its_own && is_required) {
            return false;
        }
        if is_busy {
            self.heard.insert(id);
        }
        if let Some(look) = taken {
            look.next = look.next.min(soonest(look));
        }
        true
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, id: DeploymentId) {
        self.taken.remove(&id);
        self.heard.remove(&id);
    }
}

fn soonest(look: &Look) -> Timestamp {
    look.at.saturating_add(BETWEEN_LOOKS).unwrap_or(Timestamp::MAX)
}

fn requires(deployment: &Deployment, check: &str) -> bool {
    deployment.order().target.require_checks.iter().any(|it| it.takes(check))
}
