//! Promotions: what is born of a success for the targets that it is promoted to (row 4).
//!
//! A promotion takes the very revision that was tried: the same object and version, or the same AppSpec. It is written
//! together with the success, so that no crash can lose it or make two. It never comes of a rollback, of a restart, nor of an older
//! commit that a person had deployed again: neither says that this commit should go further.

use std::sync::Arc;

use crate::domain::{Cause, DeployOptions, Deployment, EngineSpec, Order, Promote, Target, TargetName};
use crate::ledger::{Birth, Ledger, LedgerError};

/// What is born of a success, target by target. Where a target has left the configuration, or became another
/// repository's, nothing is.
pub(super) fn of_success(
    ledger: &Ledger,
    done: &Deployment,
    targets: &[Arc<Target>],
) -> Result<Vec<Birth>, LedgerError> {
    let names = &done.order().target.promote_to;
    // Whoever wanted it stopped did not want it to go further, even where the stop came too late.
    if names.is_empty() || done.stop_asked_by().is_some() || !goes_further(ledger, done)? {
        return Ok(vec![]);
    }
    let configured = |name: &TargetName| targets.iter().find(|it| it.name == *name);
    let from = &done.order().target;
    let known = names.iter().filter_map(configured);
    // What was followed to another name is followed there too.
    let at_home = |to: &Arc<Target>| match configured(&from.name) {
        Some(before) if before.repository.is_same(&to.repository) => to.of_repository(&from.repository),
        Some(_) | None => to.clone(),
    };
    Ok(known.map(at_home).filter(|to| may_follow(from, to)).map(|to| birth(done, &to)).collect())
}

/// Whether its commit is one that should go to the next target.
fn goes_further(ledger: &Ledger, done: &Deployment) -> Result<bool, LedgerError> {
    let order = done.order();
    match order.cause {
        Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Promotion { .. } => Ok(true),
        Cause::Rollback { .. } | Cause::Restart { .. } => Ok(false),
        Cause::Redeploy { .. } | Cause::Replay { .. } | Cause::Chosen { .. } => {
            let head = ledger.head(&order.target.name, &order.reference)?;
            let commit = done.weighed().map(|it| &it.commit);
            Ok(match &head.planned {
                Some((newest, _)) => *newest == order.sha,
                None => head.seen.as_ref() == commit,
            })
        }
    }
}

/// Whether one target may take what another one has tried. Configurations in which it may not are refused, but a
/// deployment may be older than the configuration.
fn may_follow(from: &Target, to: &Target) -> bool {
    let same_kind = match (&from.engine, &to.engine) {
        (EngineSpec::CodeDeploy(_), EngineSpec::CodeDeploy(_)) | (EngineSpec::Host(_), EngineSpec::Host(_)) => true,
        (EngineSpec::CodeDeploy(_), EngineSpec::Host(_)) | (EngineSpec::Host(_), EngineSpec::CodeDeploy(_)) => false,
    };
    same_kind && from.repository == to.repository && from.source == to.source
}

fn birth(done: &Deployment, to: &Arc<Target>) -> Birth {
    let from = &done.order().target;
    let waits = from.promote == Promote::OnApproval;
    let order = Order {
        target: to.clone(),
        cause: Cause::Promotion { actor: None, from: Some(from.name.clone()), waits },
        rule: format!("promoted from {}", from.name),
        parent: Some(done.id()),
        before: None,
        // What was chosen for the deployment before is not what the next target is configured for.
        options: DeployOptions::default(),
        ..done.order().clone()
    };
    Birth { order, kind: "promotion".into() }
}
