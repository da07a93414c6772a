//! What came since a commit that was live, for people to read: how many commits, and the newest of them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::SourceError;
use super::git::GitSource;
use super::github::GitHubSource;
use crate::domain::CommitSha;

/// Nobody reads more of them in chat.
const NEWEST: usize = 10;
/// So many of GitHub's list are looked through for them.
const LISTED: usize = 40;

/// The commits since another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// How many.
    pub count: usize,
    /// The newest ones, the newest first, ten at most.
    pub newest: Vec<Written>,
}

/// A commit, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which.
    pub sha: CommitSha,
    /// The first line of its message.
    pub title: String,
    /// Its author's name.
    pub author: String,
}

impl GitHubSource {
    /// Nothing where the head does not come after the base.
    pub(super) async fn since(&self, base: &CommitSha, head: &CommitSha) -> Result<Option<Since>, SourceError> {
        #[derive(Deserialize)]
        struct Comparison {
            status: String,
            ahead_by: usize,
        }
        #[derive(Deserialize)]
        struct Listed {
            sha: CommitSha,
            commit: Described,
            parents: Vec<Parent>,
        }
        #[derive(Deserialize)]
        struct Parent {
            sha: CommitSha,
        }
        #[derive(Deserialize)]
        struct Described {
            message: String,
            author: Option<Author>,
        }
        #[derive(Deserialize)]
        struct Author {
            name: String,
        }
        // The second page has no patches: the answer stays short whatever was changed.
        let compared: Comparison = self.asked(&format!("compare/{base}...{head}?per_page=1&page=2")).await?;
        if compared.status != "ahead" {
            return Ok(None);
        }
        // By date, and of all history: among what came since may lie what was live already, where lines were merged.
        let listed: Vec<Listed> = self.asked(&format!("commits?sha={head}&per_page={LISTED}")).await?;
        let mut old = BTreeSet::from([base.clone()]);
        for it in &listed {
            if old.contains(&it.sha) {
                old.extend(it.parents.iter().map(|it| it.sha.clone()));
            }
        }
        let written = |Listed { sha, commit, .. }: Listed| Written {
            sha,
            title: commit.message.lines().next().unwrap_or_default().to_owned(),
            author: commit.author.map(|it| it.name).unwrap_or_default(),
        };
        let most = compared.ahead_by.min(NEWEST);
        let newest = listed.into_iter().filter(|it| !old.contains(&it.sha)).take(most).map(written).collect();
        Ok(Some(Since { count: compared.ahead_by, newest }))
    }
}

impl GitSource {
    /// Nothing where the head does not come after the base.
    pub(super) async fn since(&self, base: &CommitSha, head: &CommitSha) -> Result<Option<Since>, SourceError> {
        let (base, head) = (self.must_have(base).await?, self.must_have(head).await?);
        if base == head || !self.git().is_ancestor(&base, &head).await? {
            return Ok(None);
        }
        let range = format!("{base}..{head}");
        let counted = self.git().output(&["rev-list", "--count", &range]).await?;
        let count = String::from_utf8_lossy(&counted).trim().parse().unwrap_or_default();
        let most = format!("--max-count={NEWEST}");
        let words = ["log", "-z", "--format=%H%n%an%n%s", "--no-show-signature", &most, &range];
        let listed = self.git().output(&words).await?;
        let listed = String::from_utf8_lossy(&listed);
        let written = |it: &str| {
            let mut lines = it.splitn(3, '\n');
            let (sha, author, title) = (lines.next()?, lines.next()?, lines.next()?);
            Some(Written { sha: CommitSha::parse(sha).ok()?, title: title.into(), author: author.into() })
        };
        Ok(Some(Since { count, newest: listed.split_terminator('\0').filter_map(written).collect() }))
    }
}
