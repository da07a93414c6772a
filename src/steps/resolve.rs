//! Resolve: what a person means by a ref of a target, proven against the source. Only reads.

use crate::domain::{CommitPrefix, CommitSha, Failure, RefName, Target};
use crate::source::{RefHead, Source, SourceError};

use super::World;
use super::reach::reach;

/// A ref that the target's rule takes, with its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The head.
    pub head: RefHead,
    /// The rule that takes the ref.
    pub rule: String,
}

/// The head of a ref, if the target's rule takes it: nothing else may be deployed without a signed push.
pub async fn resolve(world: &World, target: &Target, reference: &RefName) -> Result<Resolved, Failure> {
    let rule = rule_for(target, reference)?;
    match world.sources.of(target).head(reference).await? {
        Some(head) => Ok(Resolved { head, rule }),
        None => {
            let text = format!("`{}` has no `{}`", target.repository, reference.short());
            Err(Failure::setup("steps/no-such-ref", text).help("push it first, or name another branch or tag"))
        }
    }
}

/// A commit that somebody named, and a ref of the target's rule that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The commit.
    pub commit: CommitSha,
    /// The ref.
    pub reference: RefName,
    /// The rule that takes the ref.
    pub rule: String,
}

/// The commit that somebody named, if a ref that the target's rule takes leads to it: the named one, where one is named,
/// or any.
pub async fn choose(
    world: &World,
    target: &Target,
    named: Option<&RefName>,
    commit: &CommitPrefix,
) -> Result<Chosen, Failure> {
    named.map(|named| rule_for(target, named)).transpose()?;
    let source = world.sources.of(target);
    let commit = whole(&source, commit).await?.ok_or_else(|| no_such_commit(target, commit))?;
    let reach = reach(&source, target, named, &commit).await??;
    let rule = rule_for(target, &reach.reference)?;
    Ok(Chosen { commit, reference: reach.reference, rule })
}

async fn whole(source: &Source, commit: &CommitPrefix) -> Result<Option<CommitSha>, SourceError> {
    match commit.whole() {
        Some(whole) => source.peel(&whole).await,
        None => source.expand(commit).await,
    }
}

/// The rule of a target that takes a ref.
fn rule_for(target: &Target, reference: &RefName) -> Result<String, Failure> {
    target.rule.takes(reference).ok_or_else(|| {
        let text = format!("the rule of `{}` does not take `{}`", target.name, reference.short());
        Failure::setup("steps/not-mapped", text)
            .help("name a branch or tag that the target's `branches` or `tags` match")
    })
}

fn no_such_commit(target: &Target, commit: &CommitPrefix) -> Failure {
    let one = if commit.whole().is_some() { "no commit" } else { "not one commit that begins with" };
    Failure::setup("steps/no-such-commit", format!("`{}` has {one} `{commit}`", target.repository))
        .help("push it first, or name more digits of its hash; a branch of that name is `refs/heads/NAME`")
}
