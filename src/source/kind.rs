//! The questions a source answers, whichever kind it is. It never decides what is deployed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::git::{GitSource, Place};
use super::github::GitHubSource;
use super::{Between, Changed, Since, SourceError};
use crate::clients::github::GitHubClients;
use crate::domain::{
    Check, CommitPrefix, CommitSha, RefName, Relation, Repository, RepositoryName, SourceSpec, Target,
};

/// An AppSpec that is longer is none.
pub(super) const PEEK_AT_MOST: u64 = 1 << 20;

/// An archive on its way. An error in it means that what came before is not whole.
pub type ByteStream = BoxStream<'static, Result<Bytes, SourceError>>;

/// What a ref names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefHead {
    /// The object itself: an annotated tag's is the tag object, as a push names it.
    pub object: CommitSha,
    /// The commit that it leads to.
    pub commit: CommitSha,
}

/// All sources of a configuration, and what they share: connections, mirrors.
#[derive(Clone)]
pub struct Sources {
    github: GitHubClients,
    mirrors: PathBuf,
    /// By URL. One lock a mirror: two fetches into one at a time would get in each other's way.
    places: Arc<Mutex<HashMap<String, Place>>>,
}

/// Where the commits of one target come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// GitHub's API.
    GitHub(GitHubSource),
    /// A git repository.
    Git(GitSource),
}

impl Sources {
    /// Sources that ask `github`, and keep mirrors of other machines' git repositories under `data_dir/mirrors`.
    pub fn new(data_dir: impl Into<PathBuf>, github: GitHubClients) -> Self {
        let mirrors = data_dir.into().join("mirrors");
        // git runs in `/`, so that it does not matter what becomes of the directory that the bot was started in.
        let mirrors = std::path::absolute(&mirrors).unwrap_or(mirrors);
        Self { github, mirrors, places: Arc::default() }
    }

    /// A repository at GitHub that no target names.
    pub fn at_github(&self, repository: RepositoryName) -> Source {
        Source::GitHub(self.github_source(repository))
    }

    /// The branch that a repository at GitHub shows to who names none.
    pub async fn default_branch(&self, repository: RepositoryName) -> Result<RefName, SourceError> {
        self.github_source(repository).default_branch().await
    }

    fn github_source(&self, repository: RepositoryName) -> GitHubSource {
        GitHubSource::new(self.github.of(&repository), repository)
    }

    /// Where this target's commits come from.
    pub fn of(&self, target: &Target) -> Source {
        match &target.source {
            SourceSpec::GitHub => Source::GitHub(self.github_source(target.repository.clone())),
            SourceSpec::Git { url } => {
                let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                let place = places.entry(url.clone()).or_insert_with(|| Place::of(url, &self.mirrors));
                Source::Git(GitSource::new(url.clone(), place.clone()))
            }
        }
    }
}

impl Source {
    /// What the ref names now; nothing where there is no such ref.
    pub async fn head(&self, reference: &RefName) -> Result<Option<RefHead>, SourceError> {
        match self {
            Self::GitHub(it) => it.head(reference).await,
            Self::Git(it) => it.head(reference).await,
        }
    }

    /// What a branch that is gone is called now, where it was renamed. Git itself does not know.
    pub async fn renamed(&self, reference: &RefName) -> Result<Option<String>, SourceError> {
        match self {
            Self::GitHub(it) => it.renamed(reference).await,
            Self::Git(_) => Ok(None),
        }
    }

    /// Which repository answers to the name, and how it calls itself; nothing where names lead nowhere else.
    pub async fn repository(&self) -> Result<Option<Repository>, SourceError> {
        match self {
            Self::GitHub(it) => it.repository().await.map(Some),
            Self::Git(_) => Ok(None),
        }
    }

    /// All branches, with what they name now.
    pub async fn branches(&self) -> Result<Vec<(RefName, CommitSha)>, SourceError> {
        match self {
            Self::GitHub(it) => it.branches().await,
            Self::Git(it) => it.branches().await,
        }
    }

    /// The commit that an object leads to: itself, or what an annotated tag names; nothing where it is unknown.
    pub async fn peel(&self, object: &CommitSha) -> Result<Option<CommitSha>, SourceError> {
        match self {
            Self::GitHub(it) => it.peel(object).await,
            Self::Git(it) => it.peel(object).await,
        }
    }

    /// The one commit whose hash begins so; nothing where there is none, or several.
    pub async fn expand(&self, beginning: &CommitPrefix) -> Result<Option<CommitSha>, SourceError> {
        let found = match self {
            Self::GitHub(it) => it.expand(beginning).await?,
            Self::Git(it) => it.expand(beginning).await?,
        };
        // A branch or tag may be called so.
        Ok(found.filter(|commit| beginning.begins(commit)))
    }

    /// How `commit` stands to `head`.
    pub async fn relation(&self, commit: &CommitSha, head: &CommitSha) -> Result<Relation, SourceError> {
        if commit == head {
            return Ok(Relation::Same);
        }
        match self {
            Self::GitHub(it) => it.relation(commit, head).await,
            Self::Git(it) => it.relation(commit, head).await,
        }
    }

    /// One file of a commit, of at most 1 MiB; nothing where there is no such file.
    pub async fn peek(&self, commit: &CommitSha, path: &str) -> Result<Option<Bytes>, SourceError> {
        let Some(path) = within(path) else { return Ok(None) };
        match self {
            Self::GitHub(it) => it.peek(commit, &path).await,
            Self::Git(it) => it.peek(commit, &path).await,
        }
    }

    /// The paths of a commit's files of this name, wherever they lie; a very large tree may be told in part.
    pub async fn named(&self, commit: &CommitSha, name: &str) -> Result<Vec<String>, SourceError> {
        let is_it = |path: &String| path.rsplit('/').next() == Some(name);
        let all = match self {
            Self::GitHub(it) => it.paths(commit).await?,
            Self::Git(it) => it.paths(commit).await?,
        };
        Ok(all.into_iter().filter(is_it).collect())
    }

    /// The paths that differ between two commits, as far as that can be told.
    pub async fn changed(&self, base: &CommitSha, commit: &CommitSha) -> Result<Changed, SourceError> {
        let changed = match self {
            Self::GitHub(it) => it.changed(base, commit).await,
            Self::Git(it) => it.changed(base, commit).await,
        };
        match changed {
            Err(SourceError::UnknownCommit { commit, .. }) => {
                Ok(Changed::Unsure(format!("{} is not there any more", commit.short())))
            }
            other => other,
        }
    }

    /// The message of a commit.
    pub async fn message(&self, commit: &CommitSha) -> Result<String, SourceError> {
        match self {
            Self::GitHub(it) => it.message(commit).await,
            Self::Git(it) => it.message(commit).await,
        }
    }

    /// What came after `base` up to `head`; nothing where that is not how they stand to each other.
    pub async fn since(&self, base: &CommitSha, head: &CommitSha) -> Result<Option<Since>, SourceError> {
        match self {
            Self::GitHub(it) => it.since(base, head).await,
            Self::Git(it) => it.since(base, head).await,
        }
    }

    /// The newest commit between `base` and `head`, both left out, whose message is wanted; as far as that can be told.
    pub async fn between(
        &self,
        base: &CommitSha,
        head: &CommitSha,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Between, SourceError> {
        let between = match self {
            Self::GitHub(it) => it.between(base, head, is_wanted).await,
            Self::Git(it) => it.between(base, head, is_wanted).await,
        };
        match between {
            Err(SourceError::UnknownCommit { commit, .. }) => {
                Ok(Between::Unsure(format!("{} is not there any more", commit.short())))
            }
            other => other,
        }
    }

    /// What is said of a commit by those who check it. Nobody says anything in a git repository.
    pub async fn checks(&self, commit: &CommitSha) -> Result<Vec<Check>, SourceError> {
        match self {
            Self::GitHub(it) => it.checks(commit).await,
            Self::Git(_) => Ok(Vec::new()),
        }
    }

    /// The commit's files as tar or gzipped tar, under one top directory, the commit's id in its pax header.
    pub async fn archive(&self, commit: &CommitSha) -> Result<ByteStream, SourceError> {
        match self {
            Self::GitHub(it) => it.archive(commit).await,
            Self::Git(it) => it.archive(commit).await,
        }
    }
}

/// The path as git names it, or nothing where it leads outside, or nowhere.
fn within(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let fits = !parts.is_empty() && !parts.contains(&"..") && !path.contains(['\n', '\0']);
    fits.then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peek_stays_within_the_repository() {
        assert_eq!(within("./deploy//appspec.yml").as_deref(), Some("deploy/appspec.yml"));
        for outside in ["", ".", "/", "../x", "a/../b", "a\nb"] {
            assert_eq!(within(outside), None, "{outside}");
        }
    }
}
