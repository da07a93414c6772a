//! Rollbacks that the engine begins by itself, followed as deployments of their own; and what the deployment that ended
//! badly is told of its rollback, whoever began it.

use super::jobs::{Done, Job, JobError, blocking};
use crate::domain::{Cause, CommitSha, Deployment, DeploymentEvent, DeploymentId, RunId, State, Stream, TargetEvent};
use crate::ledger::{Append, Filter, LedgerError};
use crate::steps::release;

/// Of how many of a target's newest deployments the runs are known to be theirs, when a lost one is looked for.
const KNOWN: usize = 50;

impl Job {
    /// Tells the deployment that this one makes good for, where it does, that it is begun.
    pub(super) async fn tell_of_beginning(&self) -> Done {
        let (Some(parent), State::Planned) = (self.repaired(), self.deployment.state()) else { return Ok(()) };
        let (by, to) = (self.deployment.id(), self.brings());
        self.tell(parent, DeploymentEvent::RollbackBegun { by, to }).await
    }

    /// Locks the target where a rollback is to do that: what failed, or came before somebody took it back, stays away
    /// until a person looked. May run twice: one lock for each rollback.
    pub(super) async fn lock_after_rollback(&self) -> Done {
        let (id, order) = (self.deployment.id(), self.deployment.order());
        let wants = order.is_rollback() && order.target.lock_after_rollback;
        if !wants || *self.deployment.state() != State::Planned {
            return Ok(());
        }
        let (ledger, name) = (self.ledger.clone(), order.target.name.clone());
        let before = blocking(move || Ok(ledger.target(&name)?.rollback_lock)).await?;
        if before.is_some_and(|it| it.after == Some(id)) {
            return Ok(());
        }
        let (actor, back) = (self.asked_by().unwrap_or("the bot"), order.sha.short());
        let why = order.parent.map(|it| format!(" in place of {it}")).unwrap_or_default();
        let reason = Some(format!("{back} was brought back{why}; `landfall unlock {}` ends it", order.target.name));
        let locked =
            TargetEvent::Locked { actor: actor.to_owned(), reason, until: None, warns: false, after: Some(id) };
        let stream = Stream::Target(order.target.name.clone());
        self.at("before-lock");
        self.ledger.append(Append { stream, expect: None, event: locked.into(), births: vec![] }).await?;
        self.at("after-lock");
        Ok(())
    }

    /// Who asked for the rollback that this is, where a person did.
    fn asked_by(&self) -> Option<&str> {
        match &self.deployment.order().cause {
            Cause::Rollback { actor, .. } => actor.as_deref(),
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
            Cause::Replay { .. } | Cause::Promotion { .. } | Cause::Restart { .. } | Cause::Chosen { .. } => None,
        }
    }

    /// Tells the same one how it ends. This is told before the end is written: after that nobody would come back to it.
    pub(super) async fn tell_of_end(&self, end: &DeploymentEvent) -> Done {
        let (Some(parent), Some(verdict)) = (self.repaired(), end.verdict()) else { return Ok(()) };
        let (by, to) = (self.deployment.id(), self.brings());
        self.tell(parent, DeploymentEvent::RollbackEnded { by, to, verdict }).await
    }

    fn repaired(&self) -> Option<DeploymentId> {
        let order = self.deployment.order();
        order.parent.filter(|_| order.is_repair())
    }

    /// The commit that it brings; nothing where that is none of ours.
    fn brings(&self) -> Option<CommitSha> {
        let order = self.deployment.order();
        order.restores().map(|_| order.sha.clone())
    }

    /// Writes an event to the end of another deployment, unless it stands there. What that one cannot take, because it
    /// did not end badly or is gone, is nobody's loss.
    async fn tell(&self, id: DeploymentId, event: DeploymentEvent) -> Done {
        loop {
            let ledger = self.ledger.clone();
            let Some(told) = blocking(move || ledger.deployment(id)).await? else { return Ok(()) };
            let mut after = told.clone();
            let fits = after.apply(self.world.clock.now(), &event).is_ok();
            if !fits || after.rollback() == told.rollback() || is_older(&told, &event) {
                return Ok(());
            }
            let (stream, expect) = (Stream::Deployment(id), Some(told.events()));
            let write = Append { stream, expect, event: event.clone().into(), births: vec![] };
            self.at("before-tell");
            match self.ledger.append(write).await {
                Err(LedgerError::Overtaken { .. }) => {}
                written => {
                    self.at("after-tell");
                    return written.map(drop).map_err(JobError::from);
                }
            }
        }
    }

    /// The runs of the target's other deployments.
    pub(super) async fn runs_of_others(&self) -> Result<Vec<RunId>, JobError> {
        let (ledger, id) = (self.ledger.clone(), self.deployment.id());
        let filter =
            Filter { target: Some(self.deployment.order().target.name.clone()), limit: KNOWN, ..Filter::default() };
        let known = blocking(move || ledger.deployments(&filter)).await?;
        Ok(known.iter().filter(|it| it.id() != id).filter_map(|it| it.run().cloned()).collect())
    }

    /// Takes over the engine's own run: from now on it is followed like any other. Nothing is called for it.
    pub(super) async fn adopt(&mut self, run: RunId) -> Done {
        let (ledger, to) = (self.ledger.clone(), self.deployment.order().restores());
        let found = blocking(move || to.map(|to| ledger.deployment(to)).transpose()).await?.flatten();
        let revision = found.as_ref().and_then(Deployment::revision).cloned();
        let url = release::engine(&self.world, self.deployment.order()).shown_at(&run);
        self.append(DeploymentEvent::Adopted { run, revision, url }, vec![]).await
    }
}

/// Whether a deployment knows more of its rollback than this event says.
fn is_older(told: &Deployment, event: &DeploymentEvent) -> bool {
    let is_begun = matches!(event, DeploymentEvent::RollbackBegun { .. });
    is_begun && told.rollback().is_some_and(|it| it.verdict.is_some())
}
