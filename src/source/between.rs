//! The newest commit of a branch since one that is handled, of those that are wanted: along first parents, which is how
//! a branch itself moved. Where that cannot be told it says so. It only reads.

use std::collections::HashMap;

use serde::Deserialize;

use super::SourceError;
use super::github::GitHubSource;
use crate::domain::{CommitSha, Relation};

/// GitHub is asked for so many commits at a time.
const A_PAGE: usize = 100;
/// As far back as is looked: who has more than that in one outage has no use for a guess.
pub(super) const MOST_COMMITS: usize = 300;

/// What lies between two commits, both left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// This is the newest that is wanted.
    Newest(CommitSha),
    /// None is.
    Nothing,
    /// Nobody can say, because.
    Unsure(String),
}

/// A commit, as far as it is needed to walk on.
#[derive(Clone, Debug, Deserialize)]
struct Walked {
    sha: CommitSha,
    commit: Described,
    parents: Vec<Parent>,
}

#[derive(Clone, Debug, Deserialize)]
struct Described {
    message: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Parent {
    sha: CommitSha,
}

impl GitHubSource {
    pub(super) async fn between(
        &self,
        base: &CommitSha,
        head: &CommitSha,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Between, SourceError> {
        let (mut known, mut next) = (HashMap::new(), head.clone());
        for page in 1..=MOST_COMMITS / A_PAGE {
            let path = format!("commits?sha={head}&per_page={A_PAGE}&page={page}");
            let listed: Vec<Walked> = self.asked(&path).await?;
            let is_last = listed.len() < A_PAGE;
            // They come by date, and clocks differ: a parent may stand before its child.
            known.extend(listed.into_iter().map(|it| (it.sha.clone(), it)));
            while let Some(Walked { sha, commit, parents }) = known.get(&next) {
                if sha == base {
                    return Ok(Between::Nothing);
                }
                if sha != head && is_wanted(&commit.message) {
                    return self.unless_handled(sha, base).await;
                }
                let Some(first) = parents.first() else { return Ok(Between::Nothing) };
                next = first.sha.clone();
            }
            if is_last {
                return Ok(Between::Unsure(format!("GitHub does not list {}, which is before it", next.short())));
            }
        }
        Ok(too_many(base, head))
    }

    /// Where history was rewritten, or a branch was merged the other way round, first parents lead past what is handled.
    async fn unless_handled(&self, found: &CommitSha, base: &CommitSha) -> Result<Between, SourceError> {
        Ok(match self.relation(found, base).await? {
            Relation::Ancestor | Relation::Same => Between::Nothing,
            Relation::Descendant | Relation::Diverged => Between::Newest(found.clone()),
        })
    }
}

pub(super) fn too_many(base: &CommitSha, head: &CommitSha) -> Between {
    let (base, head) = (base.short(), head.short());
    Between::Unsure(format!("{MOST_COMMITS} commits or more between {base} and {head} ask not to be deployed"))
}
