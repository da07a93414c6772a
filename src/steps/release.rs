//! Release: hand the revision to the engine. The one effect that must not happen twice: its intent stands in the
//! ledger before [`start`] is called, and after an unknown outcome only [`find`] may follow.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{DeploymentId, EngineSpec, Failure, Location, Order, Ready, Revision, RunId};
use crate::engine::{Engine, Found, Intent, StartError, Started};

use super::World;
use super::restore::at_hand;

/// What a run of this deployment is known by.
pub fn marker(deployment: DeploymentId) -> String {
    format!("landfall:{deployment}")
}

/// The intent of a deployment: the same on every call.
pub fn intent(deployment: DeploymentId, order: &Order, ready: &Ready, run: Option<RunId>) -> Intent {
    Intent {
        deployment,
        marker: marker(deployment),
        run,
        order: order.clone(),
        commit: ready.commit.clone(),
        revision: ready.revision.clone(),
        bundle: None,
        taken: vec![],
    }
}

/// Calls the engine. Runs once for an intent that stands in the ledger.
pub async fn start(world: &World, mut intent: Intent) -> Result<Started, StartError> {
    let engine = world.engines.of(&intent.order.target);
    if let EngineSpec::Host(_) = intent.order.target.engine {
        intent.bundle = Some(local(world, &intent, engine.as_ref()).await.map_err(StartError::NotSent)?);
    }
    engine.start(&intent).await
}

/// Looks whether the engine was called. Only reads, so it may run twice.
pub async fn find(world: &World, intent: &Intent, since: Timestamp) -> Result<Found, Failure> {
    world.engines.of(&intent.order.target).find(intent, since).await
}

/// The revision's file on this machine: where it lies, where the engine kept it, or fetched. May run twice: the file is
/// replaced whole.
async fn local(world: &World, intent: &Intent, engine: &dyn Engine) -> Result<PathBuf, Failure> {
    let Revision::Bundle { location, sha256, .. } = &intent.revision else {
        return Err(Failure::revision("steps/not-a-server-appspec", "the host engine runs server AppSpecs only")
            .help("deploy Lambda and ECS AppSpecs with the `codedeploy` engine"));
    };
    let restores = intent.order.restores();
    match location {
        // The run itself holds it against its digest. A rollback has another place to look when it is spoiled.
        Location::File { path } if restores.is_none() && path.is_file() => return Ok(path.clone()),
        Location::File { .. } | Location::S3 { .. } => {}
    }
    if let Some(path) = at_hand(engine, restores, location, sha256).await {
        return Ok(path);
    }
    let path = fetched(&world.spool, intent.deployment);
    let store = world.stores.of(&intent.order.target.revisions)?;
    store.fetch(location, sha256, &path).await?;
    Ok(path)
}

fn fetched(spool: &Path, deployment: DeploymentId) -> PathBuf {
    spool.join(format!("{deployment}.bundle"))
}

/// The engine of an order, for following and stopping its run.
pub fn engine(world: &World, order: &Order) -> Arc<dyn Engine> {
    world.engines.of(&order.target)
}
