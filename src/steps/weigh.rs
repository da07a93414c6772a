//! Weigh: is this commit the newest of its ref, and may it go? Only reads, so it may run twice; never decides about holds.

use crate::domain::{CommitSha, Failure, OnNewPush, Order, RefName, Relation, Weighed};
use crate::source::{RefHead, Source, SourceError};

use super::World;
use super::reach::{Reach, reach};

/// What weighing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// It is the newest and may go.
    Newest(Weighed),
    /// The ref's head descends from it: the head takes its place.
    Superseded(RefHead),
    /// A rule forbids it.
    Refused(Failure),
    /// Nobody can say yet: ask again.
    Unproven(Failure),
}

/// What is known of an order's ref beside the order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The newest commit of the ref that was handled before.
    pub seen: Option<&'a CommitSha>,
    /// To which commit a later push moved the ref away from the order's own.
    pub moved_to: Option<&'a CommitSha>,
}

/// Decides an order against the head of its ref.
pub async fn weigh(world: &World, order: &Order, known: Known<'_>) -> Result<Weighing, SourceError> {
    // Closed only when the bot ends, and then nobody waits for the answer.
    let _turn = world.weighs.acquire().await;
    let source = &world.sources.of(&order.target);
    if order.is_chosen() {
        return chosen(source, order).await;
    }
    if order.is_insisted() {
        return insisted(source, order).await;
    }
    let Some(head) = source.head(&order.reference).await? else {
        let renamed = source.renamed(&order.reference).await?;
        return Ok(Weighing::Refused(gone(&order.reference, renamed.as_deref())));
    };
    if order.sha == head.object || order.sha == head.commit {
        return newest(source, order, known.seen, head.commit.clone(), head.commit).await;
    }
    if order.reference.tag().is_some() {
        return Ok(Weighing::Superseded(head));
    }
    behind(source, order, known, head).await
}

/// A commit that is not the head.
async fn behind(
    source: &Source,
    order: &Order,
    Known { seen, moved_to }: Known<'_>,
    head: RefHead,
) -> Result<Weighing, SourceError> {
    let relation = match source.relation(&order.sha, &head.commit).await {
        Err(SourceError::UnknownCommit { .. }) => return Ok(Weighing::Unproven(unknown(&order.sha))),
        other => other?,
    };
    match relation {
        Relation::Ancestor if order.target.on_new_push == OnNewPush::QueueAll => {
            newest(source, order, seen, order.sha.clone(), head.commit).await
        }
        Relation::Ancestor => Ok(Weighing::Superseded(head)),
        Relation::Same => newest(source, order, seen, head.commit.clone(), head.commit).await,
        // Whether the source is late, or the ref was pushed back: that is known where a push says so.
        Relation::Descendant if moved_to == Some(&head.commit) => Ok(Weighing::Refused(rewritten(order, &head.commit))),
        Relation::Descendant => Ok(Weighing::Unproven(ahead(order, &head.commit))),
        Relation::Diverged => Ok(Weighing::Refused(rewritten(order, &head.commit))),
    }
}

/// The newest commit: what remains is whether history was rewritten below it.
async fn newest(
    source: &Source,
    order: &Order,
    seen: Option<&CommitSha>,
    commit: CommitSha,
    head: CommitSha,
) -> Result<Weighing, SourceError> {
    let forced = match seen {
        None => false,
        Some(seen) if *seen == head => false,
        // Tags move at will; only branches have a history to keep.
        Some(_) if order.reference.tag().is_some() => false,
        Some(seen) => match source.relation(seen, &head).await {
            Ok(Relation::Ancestor | Relation::Same) => false,
            Ok(Relation::Descendant | Relation::Diverged) | Err(SourceError::UnknownCommit { .. }) => true,
            Err(error) => return Err(error),
        },
    };
    if forced && !order.target.allow_forced {
        return Ok(Weighing::Refused(forbidden(order, &head)));
    }
    Ok(Weighing::Newest(Weighed { commit, head, forced, doubt: None }))
}

/// A commit that somebody named: it may be an old one, and a ref that the rule takes must lead to it.
async fn chosen(source: &Source, order: &Order) -> Result<Weighing, SourceError> {
    let commit = order.sha.clone();
    Ok(match reach(source, &order.target, Some(&order.reference), &commit).await {
        Ok(Ok(Reach { head, .. })) => Weighing::Newest(Weighed { commit, head, forced: false, doubt: None }),
        Ok(Err(failure)) => Weighing::Refused(failure),
        Err(SourceError::UnknownCommit { .. }) => Weighing::Unproven(unknown(&commit)),
        Err(error) => return Err(error),
    })
}

/// A commit that a person insists on: it only has to exist.
async fn insisted(source: &Source, order: &Order) -> Result<Weighing, SourceError> {
    Ok(match source.peel(&order.sha).await? {
        Some(commit) => Weighing::Newest(Weighed::alone(commit)),
        None => Weighing::Refused(
            Failure::revision("steps/unknown-commit", format!("the source has no commit {}", order.sha.short()))
                .help("push it again, or choose another commit"),
        ),
    })
}

fn gone(reference: &RefName, renamed: Option<&str>) -> Failure {
    let name = reference.short();
    match renamed {
        None => Failure::revision("steps/ref-gone", format!("`{name}` is gone"))
            .help("push the branch or tag again to deploy it"),
        Some(now) => Failure::setup("steps/ref-renamed", format!("`{name}` is gone: it is called `{now}` now"))
            .help(format!("name `{now}` in the target's `branches`, and push or `landfall deploy` it")),
    }
}

fn unknown(sha: &CommitSha) -> Failure {
    Failure::passing("steps/unknown-commit", format!("the source does not know {} yet", sha.short()))
}

fn ahead(order: &Order, head: &CommitSha) -> Failure {
    let (reference, sha, head) = (order.reference.short(), order.sha.short(), head.short());
    Failure::passing("steps/source-behind", format!("the source still shows {head} as `{reference}`, before {sha}"))
}

fn rewritten(order: &Order, head: &CommitSha) -> Failure {
    let (reference, sha, head) = (order.reference.short(), order.sha.short(), head.short());
    Failure::revision("steps/rewritten-away", format!("{sha} is no longer part of `{reference}`, which is at {head}"))
        .help("nothing to do: the new head is deployed on its own")
}

pub(super) fn forbidden(order: &Order, head: &CommitSha) -> Failure {
    let (reference, head) = (order.reference.short(), head.short());
    Failure::revision("steps/forced-push", format!("`{reference}` was forced to {head}, and `allow_forced` is false"))
        .help("deploy it by hand with `landfall redeploy`, or set `allow_forced = true`")
}
