//! Restart: what is live is started anew by the engine itself, from what it has (row 35). Nothing is made, fetched or
//! stored, so that the source and the bucket may be away.

use super::restore::claim;
use super::{Prepared, World};
use crate::domain::{ArchiveFacts, Failure, Order, Revision};

/// The revision that is live, once the engine says that it can restart it. Only reads, so it may run twice.
pub async fn restart(world: &World, order: &Order, live: &Revision) -> Result<Prepared, Failure> {
    let admission = world.engines.of(&order.target).admit(order).await?;
    let archive = ArchiveFacts { reused: true, ..ArchiveFacts::default() };
    // Instances that come later fetch it from where it lies.
    let claim = claim(world, order, live).await?;
    Ok(Prepared { revision: live.clone(), archive, findings: admission.findings, claim })
}
