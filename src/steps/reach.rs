//! Reach: whether a commit that somebody names is part of a ref that the target's rule takes. Only reads.
//!
//! Why the commit's being there is not enough: GitHub serves the commits of every fork under the parent's name, so that
//! anybody can have any commit there. What a ref of the rule leads to was pushed by somebody who may push to it.

use crate::domain::{CommitSha, Failure, RefName, Relation, Target};
use crate::source::{Source, SourceError};

/// How many branches that a pattern takes are compared with the commit: each is one request.
const MOST_BRANCHES: usize = 100;

/// A ref of the rule that has the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) reference: RefName,
    /// The commit that the ref is at.
    pub(super) head: CommitSha,
}

/// The ref that has the commit: the named one, else another branch that the rule takes. Where none has it, why it may not
/// be deployed.
pub(super) async fn reach(
    source: &Source,
    target: &Target,
    named: Option<&RefName>,
    commit: &CommitSha,
) -> Result<Result<Reach, Failure>, SourceError> {
    let rule = &target.rule;
    let plain = rule.plain_branches().filter_map(|name| RefName::parse(format!("refs/heads/{name}")).ok());
    let mut refs: Vec<RefName> = named.filter(|it| rule.takes(it).is_some()).cloned().into_iter().collect();
    refs.extend(plain.filter(|it| Some(it) != named));
    for reference in &refs {
        if let Some(head) = source.head(reference).await?
            && has(source, &head.commit, commit).await?
        {
            return Ok(Ok(Reach { reference: reference.clone(), head: head.commit }));
        }
    }
    let mut others = Vec::new();
    if rule.has_wild_branches() {
        others = source.branches().await?;
        others.retain(|(it, _)| rule.takes(it).is_some() && !refs.contains(it));
    }
    for (reference, head) in others.iter().take(MOST_BRANCHES) {
        if has(source, head, commit).await? {
            return Ok(Ok(Reach { reference: reference.clone(), head: head.clone() }));
        }
    }
    Ok(Err(if others.len() > MOST_BRANCHES { not_found(target, commit) } else { not_reachable(target, commit) }))
}

/// Whether a head is the commit, or descends from it.
async fn has(source: &Source, head: &CommitSha, commit: &CommitSha) -> Result<bool, SourceError> {
    Ok(match source.relation(commit, head).await? {
        Relation::Same | Relation::Ancestor => true,
        Relation::Descendant | Relation::Diverged => false,
    })
}

fn not_reachable(target: &Target, commit: &CommitSha) -> Failure {
    let (name, commit) = (&target.name, commit.short());
    let text = format!("no branch or tag that the rule of `{name}` takes leads to {commit}");
    Failure::revision("steps/not-reachable", text).help(
        "push it to one that the rule takes; for a tag's commit, name the tag: a commit alone proves nothing, for GitHub \
         shows those of every fork under this name",
    )
}

fn not_found(target: &Target, commit: &CommitSha) -> Failure {
    let (name, commit) = (&target.name, commit.short());
    let text = format!("{commit} is in none of {MOST_BRANCHES} branches of `{name}`, and there are more");
    Failure::revision("steps/not-found-in-branches", text).help("name the branch that has it, too")
}
