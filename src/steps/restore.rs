//! Restore: an earlier revision again, as it was stored. A rollback must work while GitHub does not, so the source is
//! asked only where neither the engine nor the store has the revision any more, or has it spoiled.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Prepared, World, prepare};
use crate::clients::span;
use crate::domain::{ArchiveFacts, DeploymentId, Failure, Location, Order, Platform, Revision, Weighed};
use crate::engine::Engine;
use crate::revisions::Claim;

/// The revision of the deployment that an order brings back. What is kept of it is only read, and what has to be made
/// anew gets the name it had, so it may run twice.
pub async fn restore(
    world: &World,
    order: &Order,
    weighed: &Weighed,
    to: DeploymentId,
    revision: &Revision,
) -> Result<Prepared, Failure> {
    let admission = world.engines.of(&order.target).admit(order).await?;
    let is_appspec = matches!(revision, Revision::AppSpec { .. });
    if let Some(platform) = admission.platform.filter(|it| is_appspec != (*it != Platform::Server)) {
        return Err(other_platform(to, platform));
    }
    let claim = claim(world, order, revision).await?;
    if is_kept(world, order, to, revision).await? {
        let archive = ArchiveFacts { reused: true, ..ArchiveFacts::default() };
        return Ok(Prepared { revision: revision.clone(), archive, findings: admission.findings, claim });
    }
    prepare(world, order, weighed, &[]).await.map_err(|failure| gone(to, &failure))
}

/// Keeps an earlier deployment's bundle from being deleted before the ledger says that it is used again.
pub(super) async fn claim(world: &World, order: &Order, revision: &Revision) -> Result<Option<Claim>, Failure> {
    Ok(match revision {
        Revision::Bundle { location, .. } => Some(world.stores.of(&order.target.revisions)?.claim_at(location).await),
        Revision::AppSpec { .. } | Revision::GitHub { .. } => None,
    })
}

/// Whether an earlier deployment's revision can still be had: from the engine's own directory, or from the store.
pub(super) async fn is_kept(
    world: &World,
    order: &Order,
    to: DeploymentId,
    revision: &Revision,
) -> Result<bool, Failure> {
    let Revision::Bundle { location, sha256, .. } = revision else { return Ok(true) };
    if at_hand(world.engines.of(&order.target).as_ref(), Some(to), location, sha256).await.is_some() {
        return Ok(true);
    }
    match location {
        Location::File { .. } => Ok(false),
        Location::S3 { .. } => Ok(world.stores.of(&order.target.revisions)?.holds(location).await?),
    }
}

/// A revision's file on this machine, as it was made: where it was stored, or where the engine kept it.
pub(super) async fn at_hand(
    engine: &dyn Engine,
    restores: Option<DeploymentId>,
    location: &Location,
    sha256: &str,
) -> Option<PathBuf> {
    let stored = match location {
        Location::File { path } => Some(path.clone()),
        Location::S3 { .. } => None,
    };
    for path in stored.into_iter().chain(restores.and_then(|to| engine.kept(to))) {
        if is_intact(&path, sha256).await {
            return Some(path);
        }
    }
    None
}

/// Whether a file has this digest. One that cannot be read is of no use, whatever the reason.
async fn is_intact(path: &Path, sha256: &str) -> bool {
    let (path, expected) = (path.to_owned(), sha256.to_owned());
    let digest = move || -> io::Result<bool> {
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        Ok(hex::encode(hash.finalize()).eq_ignore_ascii_case(&expected))
    };
    matches!(span::blocking(digest).await, Ok(Ok(true)))
}

/// The failure of a revision that nobody has any more; a source that is away may be asked again.
fn gone(to: DeploymentId, failure: &Failure) -> Failure {
    let text = format!("the revision of {to} is no longer kept, and cannot be made anew: {}", failure.message);
    let help = "roll back to a newer deployment with `--to`, or deploy another commit";
    Failure { passing: failure.passing, ..Failure::setup("steps/revision-gone", text).help(help) }
}

pub(super) fn other_platform(to: DeploymentId, platform: Platform) -> Failure {
    let text = format!("the revision of {to} is for another platform than {platform}, which the target is for now");
    Failure::setup("steps/revision-of-other-platform", text).help("deploy a commit with an AppSpec for that platform")
}
