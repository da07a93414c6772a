//! Promote: what succeeded at one target, for the next. It is the same bundle to the byte, or the same AppSpec with the
//! next target's own names in it, or nothing.
//!
//! Where the next target's store has the object, nothing is made at all. Where it keeps its revisions elsewhere, or the
//! object is gone, the bundle is made anew from the same commit, and taken only if it has the digest of the one that was
//! tried. An AppSpec for Lambda or ECS names what it deploys to, so that it would be of no use at the next target as it
//! is: what it says of the target is filled in for that one, and everything else stays as it was tried. All of it may run
//! twice: it only reads, or writes under a name derived from what is written.

use super::prepare::inline;
use super::restore::{claim, is_kept, other_platform};
use super::weigh::{Weighing, forbidden};
use super::{Prepared, World, peek, prepare};
use crate::appspec::Filled;
use crate::domain::{
    ArchiveFacts, CommitSha, Deployment, DeploymentId, Failure, Finding, Order, Platform, RefName, Relation, Revision,
    Weighed,
};
use crate::engine::Admission;
use crate::source::{RefHead, SourceError};

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
    Ok(Weighing::Newest(Weighed { forced, ..Weighed::alone(commit) }))
}

/// Tags have no history to keep: which of two is newer, nobody can say.
fn is_branch(reference: &RefName) -> bool {
    reference.branch().is_some()
}

/// What succeeded at the target before.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'a> {
    /// As which deployment.
    pub deployment: DeploymentId,
    /// What that was born with.
    pub order: &'a Order,
    /// The revision.
    pub revision: &'a Revision,
}

impl<'a> Tried<'a> {
    /// What a deployment tried; nothing where it came to no revision.
    pub fn of(deployment: &'a Deployment) -> Option<Self> {
        let (order, revision) = (deployment.order(), deployment.revision()?);
        Some(Self { deployment: deployment.id(), order, revision })
    }
}

/// The revision that was tried, for the order that promotes it.
pub async fn promote(world: &World, order: &Order, weighed: &Weighed, tried: Tried<'_>) -> Result<Prepared, Failure> {
    let from = tried.deployment;
    let Admission { platform, findings, .. } = world.engines.of(&order.target).admit(order).await?;
    let is_appspec = matches!(tried.revision, Revision::AppSpec { .. });
    if let Some(platform) = platform.filter(|it| is_appspec != (*it != Platform::Server)) {
        return Err(other_platform(from, platform));
    }
    if let Revision::AppSpec { content, .. } = tried.revision {
        let mut prepared = filled(world, order, weighed, tried, content, platform).await?;
        prepared.findings.splice(0..0, findings);
        return Ok(prepared);
    }
    let claim = claim(world, order, tried.revision).await?;
    if is_kept(world, order, from, tried.revision).await? {
        return Ok(Prepared { claim, ..as_it_was(tried, findings) });
    }
    let made = prepare(world, order, weighed, &[]).await.map_err(|failure| gone(from, &failure))?;
    match (digest(&made.revision), digest(tried.revision)) {
        (Some(made), Some(tried)) if made != tried => Err(differs(from)),
        (Some(_) | None, Some(_) | None) => Ok(made),
    }
}

fn as_it_was(tried: Tried<'_>, findings: Vec<Finding>) -> Prepared {
    let archive = ArchiveFacts { reused: true, ..ArchiveFacts::default() };
    Prepared { revision: tried.revision.clone(), archive, findings, claim: None }
}

/// The AppSpec that was tried, with this target's own names and variables in it where it uses some. It is filled in anew
/// for both targets: what differs between the two may differ, and a variable that stands for something else by now would
/// bring what nobody tried.
async fn filled(
    world: &World,
    order: &Order,
    weighed: &Weighed,
    tried: Tried<'_>,
    content: &str,
    platform: Option<Platform>,
) -> Result<Prepared, Failure> {
    let source = world.sources.of(&order.target);
    let (Filled { spec, content: here }, file, findings) = peek::peek(&source, order, weighed, platform).await?;
    let of = peek::platform_of(&spec);
    if let Some(platform) = platform.filter(|it| *it != of) {
        return Err(peek::of_other_platform(order, &file, of, platform));
    }
    if findings.refuse() {
        return Err(peek::broken(&file, &findings));
    }
    let (Filled { content: there, .. }, ..) = peek::peek(&source, tried.order, weighed, platform).await?;
    let (here, there) = (here.unwrap_or_default(), there.unwrap_or_default());
    if here == content || here == there {
        return Ok(as_it_was(tried, vec![]));
    }
    if there != content {
        return Err(moved(tried.deployment, &file));
    }
    let mut made = inline(here);
    made.findings.extend(other_words(order, tried, &file, &made.revision));
    Ok(made)
}

/// That what goes on is not to the byte what was tried: that is how it is meant, and should be seen.
fn other_words(order: &Order, tried: Tried<'_>, file: &str, made: &Revision) -> Option<Finding> {
    let short = |revision: &Revision| digest(revision).and_then(|it| it.get(..12)).map(str::to_owned);
    let text = format!(
        "`{file}` is filled in for `{}`: its sha256 begins with {}, and {} at `{}`",
        order.target.name,
        short(made)?,
        short(tried.revision)?,
        tried.order.target.name
    );
    let help = "nothing is to be done where the variables of the two targets are meant to differ";
    Some(Finding::warning("steps/promoted-for-target", text).help(help))
}

/// The failure of an AppSpec that would say something else by now than what was tried.
fn moved(from: DeploymentId, file: &str) -> Failure {
    let text = format!("what the variables of `{file}` stand for has changed since {from} tried it");
    let help = "deploy the commit again to the target before this one, so that what goes on was tried";
    Failure::setup("steps/promoted-variables-moved", text).help(help)
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
