//! Promote: what succeeded at one target, for the next. It is the same revision to the byte, or nothing.
//!
//! Where the next target's store has the object (or the AppSpec is the revision), nothing is made at all. Where it keeps
//! its revisions elsewhere, or the object is gone, the bundle is made anew from the same commit, and taken only if it
//! has the digest of the one that was tried. Both may run twice: they only read, or write under a name derived from what
//! is written.

use crate::domain::DeploymentId;
use crate::domain::{ArchiveFacts, CommitSha, Failure, Order, RefName, Relation, Revision, Weighed};
use crate::source::{RefHead, SourceError};

use super::restore::{claim, is_kept};
use super::weigh::{Weighing, forbidden};
use super::{Prepared, World, prepare};

/// Decides a promotion against what its target has handled: what is older is superseded. Where the ref is now does not
/// matter, for what was tried is the commit. Only reads.
pub async fn weigh_promotion(world: &World, order: &Order, seen: Option<&CommitSha>) -> Result<Weighing, SourceError> {
    let source = world.sources.of(&order.target);
    let Some(commit) = source.peel(&order.sha).await? else {
        let text = format!("the source has no commit {} any more", order.sha.short());
        let failure = Failure::revision("steps/unknown-commit", text);
        return Ok(Weighing::Refused(failure.help("push it again, or promote another commit")));
    };
    let forced = match seen.filter(|seen| **seen != commit && is_branch(&order.reference)) {
        None => false,
        Some(seen) => match source.relation(&commit, seen).await {
            Ok(Relation::Ancestor) => {
                return Ok(Weighing::Superseded(RefHead { object: seen.clone(), commit: seen.clone() }));
            }
            Ok(Relation::Same | Relation::Descendant) => false,
            Ok(Relation::Diverged) | Err(SourceError::UnknownCommit { .. }) => true,
            Err(error) => return Err(error),
        },
    };
    if forced && !order.target.allow_forced {
        return Ok(Weighing::Refused(forbidden(order, &commit)));
    }
    Ok(Weighing::Newest(Weighed { head: commit.clone(), commit, forced }))
}

/// Tags have no history to keep: which of two is newer, nobody can say.
fn is_branch(reference: &RefName) -> bool {
    reference.branch().is_some()
}

/// The revision that succeeded as `from`, for the order that promotes it.
pub async fn promote(
    world: &World,
    order: &Order,
    weighed: &Weighed,
    from: DeploymentId,
    revision: &Revision,
) -> Result<Prepared, Failure> {
    let claim = claim(world, order, revision).await?;
    if is_kept(world, order, from, revision).await? {
        let archive = ArchiveFacts { reused: true, ..ArchiveFacts::default() };
        return Ok(Prepared { revision: revision.clone(), archive, findings: vec![], claim });
    }
    let made = prepare(world, order, weighed, &[]).await.map_err(|failure| gone(from, &failure))?;
    match (digest(&made.revision), digest(revision)) {
        (Some(made), Some(tried)) if made != tried => Err(differs(from)),
        (Some(_) | None, Some(_) | None) => Ok(made),
    }
}

fn digest(revision: &Revision) -> Option<&str> {
    match revision {
        Revision::Bundle { sha256, .. } | Revision::AppSpec { sha256, .. } => Some(sha256),
        Revision::GitHub { .. } => None,
    }
}

/// The failure of a revision that nobody has any more; a source that is away may be asked again.
fn gone(from: DeploymentId, failure: &Failure) -> Failure {
    let text = format!("the revision of {from} is out of reach, and cannot be made anew: {}", failure.message);
    let help = "deploy the commit again to the target before this one";
    Failure { passing: failure.passing, ..Failure::setup("steps/promoted-revision-gone", text).help(help) }
}

fn differs(from: DeploymentId) -> Failure {
    let text = format!("the bundle made anew is not the one that {from} tried: its digest differs");
    let help = "deploy the commit again to the target before this one: how bundles are made has changed since, or the \
                archive is not the same every time (`export-subst` in `.gitattributes`)";
    Failure::setup("steps/promoted-revision-differs", text).help(help)
}
