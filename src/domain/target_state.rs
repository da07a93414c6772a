//! What is known of a target: who holds it, what runs there. The fold of its events and its deployments' ends.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::deployment::Deployment;
use super::failure::Failure;
use super::ids::{CommitSha, DeploymentId, RepositoryName};
use super::lock::Lock;
use super::push::Repository;
use super::state::State;
use super::target::Target;
use super::target_event::TargetEvent;

/// The commit that runs at a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// The commit.
    pub sha: CommitSha,
    /// The deployment that brought it.
    pub deployment: DeploymentId,
    /// Since when.
    pub at: Timestamp,
}

/// What is known of one ref at one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The newest commit handled, with any outcome.
    #[serde(default)]
    pub seen: Option<CommitSha>,
    /// The deployment that handled it; nothing where it was only seen.
    #[serde(default)]
    pub seen_by: Option<DeploymentId>,
    /// The newest commit planned, and as which deployment.
    #[serde(default)]
    pub planned: Option<(CommitSha, DeploymentId)>,
}

/// What is known of a target as a whole. What is known of its refs is kept beside it, ref by ref: tags are many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    /// The repository's number, fixed at first acceptance.
    #[serde(default)]
    pub repository_id: Option<u64>,
    /// The name that the repository had when its number was fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_as: Option<RepositoryName>,
    /// The name that it was followed to since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed_to: Option<RepositoryName>,
    /// Who holds it.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// The lock that a rollback left, which keeps away what failed until a person looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_lock: Option<Lock>,
    /// What runs there.
    #[serde(default)]
    pub live: Option<Live>,
    /// What did not become live there, and may have left its files there all the same: it failed or was stopped after
    /// it had touched something, and nothing succeeded since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<Live>,
    /// The newest commit handled with any outcome, of any ref.
    #[serde(default)]
    pub seen: Option<CommitSha>,
    /// What keeps upkeep from looking after its revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upkeep: Option<Failure>,
}

impl TargetState {
    /// Takes one more event of the target's own stream.
    pub fn apply(&mut self, at: Timestamp, event: &TargetEvent) {
        match event {
            TargetEvent::Seen { sha, .. } => self.seen = Some(sha.clone()),
            TargetEvent::Found { .. } | TargetEvent::Pruned { .. } => {}
            TargetEvent::Pinned { repository_id, repository } => {
                (self.repository_id, self.followed_to) = (Some(*repository_id), None);
                self.pinned_as.clone_from(repository);
            }
            TargetEvent::Followed { repository } => self.followed_to = Some(repository.clone()),
            TargetEvent::Locked { actor, reason, until, warns, after } => {
                let (actor, reason) = (actor.clone(), reason.clone());
                let lock = Some(Lock { actor, reason, at, until: *until, warns: *warns, after: *after });
                match after {
                    Some(_) => self.rollback_lock = lock,
                    None => self.lock = lock,
                }
            }
            TargetEvent::Unlocked { .. } => (self.lock, self.rollback_lock) = (None, None),
            TargetEvent::UpkeepFailed { failure } => self.upkeep = Some(failure.clone()),
            TargetEvent::UpkeepMended => self.upkeep = None,
        }
    }

    /// Takes the end of one of its deployments. Whether its commit is the newest handled by that, its ref tells.
    pub fn conclude(&mut self, at: Timestamp, deployment: &Deployment) {
        let order = deployment.order();
        if let (Some(_), None, State::Succeeded { .. }) = (order.adopts(), order.restores(), deployment.state()) {
            // The engine brought something back that was never ours: of what is there now, no commit is known.
            (self.live, self.left_by) = (None, None);
        }
        let (Some(_), Some(weighed)) = (deployment.run(), deployment.weighed()) else { return };
        let this = Live { sha: weighed.commit.clone(), deployment: deployment.id(), at };
        match deployment.state() {
            State::Succeeded { .. } => (self.live, self.left_by) = (Some(this), None),
            State::Failed { .. } | State::Stopped { .. } if deployment.may_have_touched() => self.left_by = Some(this),
            State::Failed { .. } | State::Stopped { .. } => {}
            State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => {}
            // It is not over.
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => {}
            State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } => {}
            State::Running { .. } | State::Verifying { .. } => {}
        }
    }

    /// The number that a repository of this name must have. A name that the number was never known under comes from
    /// another configuration, for which nothing is fixed yet.
    pub fn pin_of(&self, name: &RepositoryName) -> Option<u64> {
        let is_known = |known: &RepositoryName| known.is_same(name);
        let is_its = self.pinned_as.as_ref().is_none_or(is_known) || self.followed_to.as_ref().is_some_and(is_known);
        self.repository_id.filter(|_| is_its)
    }

    /// What a target's repository is called now, where the configuration still has the name from before.
    pub fn called_now(&self, target: &Target) -> Option<&RepositoryName> {
        let name = self.followed_to.as_ref().filter(|name| !name.is_same(&target.repository))?;
        self.pin_of(&target.repository).map(|_| name)
    }

    /// The target as its repository is called now.
    pub fn at_home(&self, target: &Arc<Target>) -> Arc<Target> {
        self.called_now(target).map_or_else(|| target.clone(), |name| target.of_repository(name))
    }

    /// The repository of a target, with its number where that is fixed.
    pub fn repository_of(&self, target: &Target) -> Repository {
        Repository { id: self.pin_of(&target.repository), name: target.repository.clone() }
    }

    /// Whether the target takes pushes of a repository: of the name that it is configured with, or of another by the
    /// number that was fixed.
    pub fn takes(&self, target: &Target, repository: &Repository) -> bool {
        let by_number = repository.id.is_some() && self.pin_of(&target.repository) == repository.id;
        by_number || target.repository.is_same(&repository.name)
    }

    /// Its locks whose time is not over.
    pub fn locks(&self, now: Timestamp) -> impl Iterator<Item = &Lock> {
        [&self.lock, &self.rollback_lock].into_iter().flatten().filter(move |it| it.lasts(now))
    }
}
