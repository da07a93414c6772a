//! Need: whether a commit that is the newest has to be deployed at all. Asks only what the push did not say. Only reads.

use super::World;
use crate::domain::{Cause, CommitSha, Order, Skip};
use crate::source::{Between, Changed, Source, SourceError};

/// Whether a commit has to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has.
    Yes,
    /// Nobody can say, because; so it is deployed.
    Unsure(String),
    /// It has not, because. One before it may have to be, which nobody has told us of.
    No(String, Option<CommitSha>),
}

/// Looks at what the push of an order did not tell: its paths, where the payload could not name them all, and its
/// message, where there was no payload. `base` is what the target's files are as of, as far as anybody knows.
pub async fn need(
    world: &World,
    order: &Order,
    base: Option<&CommitSha>,
    commit: &CommitSha,
) -> Result<Need, SourceError> {
    let source = &world.sources.of(&order.target);
    if order.cause == Cause::CatchUp
        && let Some(skip) = asked_to_skip(source, order, commit).await?
    {
        return skipped(source, order, commit, &skip).await;
    }
    if !order.paths_unknown {
        return Ok(Need::Yes);
    }
    let Some(base) = base else {
        return Ok(Need::Unsure("there is nothing to compare its paths with".into()));
    };
    Ok(match source.changed(base, commit).await? {
        Changed::Unsure(why) => Need::Unsure(why),
        Changed::Paths(paths) if order.target.rule.touches(Some(&paths)) => Need::Yes,
        Changed::Paths(_) => Need::No(format!("no path of the rule changed since {}", base.short()), None),
    })
}

/// A commit was found that asks to be left out. Other pushes may have been lost before it, and those did not ask.
async fn skipped(source: &Source, order: &Order, commit: &CommitSha, skip: &Skip) -> Result<Need, SourceError> {
    let why = format!("the commit says `{}`", skip.words);
    // Without anything that is handled, everything is before it, and nothing of it was asked for.
    let Some(handled) = &order.before else { return Ok(Need::No(why, None)) };
    let stays = |message: &str| !Skip::asked_in(message).is_some_and(|it| order.target.heeds(&it));
    Ok(match source.between(handled, commit, &stays).await? {
        Between::Nothing => Need::No(why, None),
        Between::Newest(lost) => Need::No(format!("{why}; {} before it goes instead", lost.short()), Some(lost)),
        Between::Unsure(doubt) => Need::Unsure(format!("{why}, but {doubt}")),
    })
}

/// The words with which the commit at the head of a branch asks for no deployment.
pub async fn asked_to_skip(source: &Source, order: &Order, commit: &CommitSha) -> Result<Option<Skip>, SourceError> {
    // Who sets a tag means that commit.
    if order.reference.branch().is_none() {
        return Ok(None);
    }
    let message = source.message(commit).await?;
    Ok(Skip::asked_in(&message).filter(|it| order.target.heeds(it)))
}
