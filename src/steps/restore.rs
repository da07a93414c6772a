//! Restore: an earlier revision again, as it was stored. It asks no source: a rollback must work while GitHub does not.

use crate::domain::{ArchiveFacts, DeploymentId, Failure, Order, Revision};

use super::{Prepared, World};

/// The revision of the deployment that an order brings back, if it is still kept. Only reads, so it may run twice.
pub async fn restore(world: &World, order: &Order, to: DeploymentId, revision: &Revision) -> Result<Prepared, Failure> {
    if !is_kept(world, order, to, revision).await? {
        return Err(gone(to));
    }
    let archive = ArchiveFacts { reused: true, ..ArchiveFacts::default() };
    Ok(Prepared { revision: revision.clone(), archive, findings: vec![] })
}

/// Whether an earlier deployment's revision can still be had: from the engine's own directory, or from the store.
async fn is_kept(world: &World, order: &Order, to: DeploymentId, revision: &Revision) -> Result<bool, Failure> {
    let Revision::Bundle { location, .. } = revision else { return Ok(true) };
    if world.engines.of(&order.target).kept(to).is_some() {
        return Ok(true);
    }
    Ok(world.stores.of(&order.target.revisions)?.holds(location).await?)
}

fn gone(to: DeploymentId) -> Failure {
    Failure::setup("steps/revision-gone", format!("the revision of {to} is no longer kept"))
        .help("roll back to a newer deployment with `--to`, or deploy its commit again with `landfall redeploy`")
}
