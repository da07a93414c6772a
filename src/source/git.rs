//! Commits from a git repository, by the git command. It never writes to that repository; other machines' are mirrored.
//!
//! Why the command and not a library: its transports, credentials and archives are the ones people know and trust.
//! Names and ids are checked types, and go in by standard input or after `--end-of-options`: none can be an option.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::Url;

use super::between::{MOST_COMMITS, too_many};
use super::git_command::Git;
use super::kind::{ByteStream, PEEK_AT_MOST, RefHead};
use super::moved::{self, Moved};
use super::{Between, Changed, SourceError};
use crate::domain::{CommitPrefix, CommitSha, RefName, Relation, plainly};

/// How often a server may say that a repository is elsewhere.
const HOPS: usize = 5;

/// One git repository.
#[derive(Clone, Debug)]
pub struct GitSource {
    url: String,
    place: Place,
}

/// Where its objects are read.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the repository itself: it lies on this machine.
    Here(PathBuf),
    /// In our mirror of it.
    Mirror {
        dir: PathBuf,
        /// Held while it is made or fetched into.
        busy: Arc<Mutex<()>>,
    },
}

impl Place {
    pub(super) fn of(url: &str, mirrors: &Path) -> Self {
        let path = match Url::parse(url) {
            Ok(parsed) if parsed.scheme() == "file" => parsed.to_file_path().ok(),
            Ok(_) | Err(_) => Some(PathBuf::from(url)).filter(|path| path.is_absolute()),
        };
        match path {
            Some(path) => Self::Here(path),
            None => {
                let name = hex::encode(&Sha256::digest(url)[..16]);
                Self::Mirror { dir: mirrors.join(format!("{name}.git")), busy: Arc::default() }
            }
        }
    }
}

impl GitSource {
    pub(super) fn new(url: String, place: Place) -> Self {
        Self { url, place }
    }

    pub(super) async fn head(&self, reference: &RefName) -> Result<Option<RefHead>, SourceError> {
        self.fetch().await?;
        let git = self.git();
        let format = "--format=%(refname) %(objectname)";
        let listed = git.lines(&["for-each-ref", format, "--end-of-options", reference.as_str()]).await?;
        // The pattern also takes what lies beneath it.
        let object =
            listed.iter().find_map(|line| line.split_once(' ').filter(|(name, _)| *name == reference.as_str()));
        let Some((_, object)) = object else { return Ok(None) };
        let object = CommitSha::parse(object).map_err(|unfit| git.broken(unfit.to_string()))?;
        let commit = self.commit_of(&object).await?;
        Ok(commit.map(|commit| RefHead { object, commit }))
    }

    pub(super) async fn branches(&self) -> Result<Vec<(RefName, CommitSha)>, SourceError> {
        self.fetch().await?;
        let listed = self.git().lines(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/"]).await?;
        // A name that no push of ours can have is no branch of ours.
        let parsed = |line: &String| {
            let (name, sha) = line.split_once(' ')?;
            Some((RefName::parse_visible(name).ok()?, CommitSha::parse(sha).ok()?))
        };
        Ok(listed.iter().filter_map(parsed).collect())
    }

    pub(super) async fn peel(&self, object: &CommitSha) -> Result<Option<CommitSha>, SourceError> {
        if let Some(commit) = self.commit_of(object).await? {
            return Ok(Some(commit));
        }
        self.fetch().await?;
        self.commit_of(object).await
    }

    pub(super) async fn expand(&self, beginning: &CommitPrefix) -> Result<Option<CommitSha>, SourceError> {
        self.fetch().await?;
        Ok(self.git().object(&format!("{beginning}^{{commit}}"), false).await?.map(|found| found.id))
    }

    pub(super) async fn relation(&self, commit: &CommitSha, head: &CommitSha) -> Result<Relation, SourceError> {
        let (commit, head) = (self.must_have(commit).await?, self.must_have(head).await?);
        let git = self.git();
        if git.is_ancestor(&commit, &head).await? {
            Ok(if commit == head { Relation::Same } else { Relation::Ancestor })
        } else if git.is_ancestor(&head, &commit).await? {
            Ok(Relation::Descendant)
        } else {
            Ok(Relation::Diverged)
        }
    }

    pub(super) async fn peek(&self, commit: &CommitSha, path: &str) -> Result<Option<Bytes>, SourceError> {
        let commit = self.must_have(commit).await?;
        let git = self.git();
        let found = git.object(&format!("{commit}:{path}"), true).await?;
        let Some(Found { id: blob, bytes, .. }) = found.filter(|it| it.kind == "blob") else { return Ok(None) };
        if bytes > PEEK_AT_MOST {
            return Err(SourceError::TooLarge { path: path.into(), bytes, limit: PEEK_AT_MOST });
        }
        git.output(&["cat-file", "blob", blob.as_str()]).await.map(|bytes| Some(bytes.into()))
    }

    pub(super) async fn paths(&self, commit: &CommitSha) -> Result<Vec<String>, SourceError> {
        let commit = self.must_have(commit).await?;
        let listed = self.git().output(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", commit.as_str()]).await?;
        Ok(String::from_utf8_lossy(&listed).split_terminator('\0').map(str::to_owned).collect())
    }

    pub(super) async fn archive(&self, commit: &CommitSha) -> Result<ByteStream, SourceError> {
        let commit = self.must_have(commit).await?;
        self.git().stream(&["archive", "--format=tar", "--prefix=archive/", commit.as_str()])
    }

    pub(super) async fn changed(&self, base: &CommitSha, commit: &CommitSha) -> Result<Changed, SourceError> {
        let (base, commit) = (self.must_have(base).await?, self.must_have(commit).await?);
        let words = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", base.as_str(), commit.as_str()];
        let listed = self.git().output(&words).await?;
        Ok(Changed::Paths(String::from_utf8_lossy(&listed).split_terminator('\0').map(str::to_owned).collect()))
    }

    pub(super) async fn message(&self, commit: &CommitSha) -> Result<String, SourceError> {
        let commit = self.must_have(commit).await?;
        let words = ["log", "-1", "--format=%B", "--no-show-signature", commit.as_str()];
        self.git().output(&words).await.map(|message| String::from_utf8_lossy(&message).into_owned())
    }

    pub(super) async fn between(
        &self,
        base: &CommitSha,
        head: &CommitSha,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Between, SourceError> {
        let (base, head) = (self.must_have(base).await?, self.must_have(head).await?);
        let (range, most) = (format!("{base}..{head}"), format!("--max-count={MOST_COMMITS}"));
        let words = ["log", "--first-parent", "-z", "--format=%H%n%B", "--no-show-signature", &most, &range];
        let listed = self.git().output(&words).await?;
        let listed = String::from_utf8_lossy(&listed);
        let commits: Vec<_> = listed.split_terminator('\0').filter_map(|it| it.split_once('\n')).collect();
        match commits.iter().find(|(sha, message)| *sha != head.as_str() && is_wanted(message)) {
            Some((sha, _)) => {
                CommitSha::parse(*sha).map(Between::Newest).map_err(|unfit| self.git().broken(unfit.to_string()))
            }
            None if commits.len() >= MOST_COMMITS => Ok(too_many(&base, &head)),
            None => Ok(Between::Nothing),
        }
    }

    pub(super) async fn must_have(&self, commit: &CommitSha) -> Result<CommitSha, SourceError> {
        let unknown = || SourceError::UnknownCommit { what: self.git().what().into(), commit: commit.clone() };
        self.peel(commit).await?.ok_or_else(unknown)
    }

    async fn commit_of(&self, object: &CommitSha) -> Result<Option<CommitSha>, SourceError> {
        let found = self.git().object(&format!("{object}^{{commit}}"), false).await?;
        Ok(found.map(|found| found.id))
    }

    /// Brings the mirror up to date; a repository of this machine always is.
    async fn fetch(&self) -> Result<(), SourceError> {
        let git = self.git();
        let (dir, busy) = match &self.place {
            Place::Here(path) if path.is_dir() => return Ok(()),
            Place::Here(_) => return Err(SourceError::NotFound { what: git.what().into() }),
            Place::Mirror { dir, busy } => (dir, busy),
        };
        let _busy = busy.lock().await;
        if !dir.join("HEAD").is_file() {
            self.make_mirror(dir).await?;
        }
        let Err(complaint) = self.fetch_into(&git).await? else { return Ok(()) };
        if !complaint.contains(&*dir.to_string_lossy()) {
            return Err(git.complaint(&complaint));
        }
        // The mirror itself is at fault: a lock left by a killed fetch, a half-written file. Nothing is only there.
        tracing::warn!(mirror = %dir.display(), "the mirror of {} is made anew", git.what());
        self.make_mirror(dir).await?;
        self.fetch_into(&git).await?.map_err(|complaint| git.complaint(&complaint))
    }

    /// Fetches from where the repository is, or from where its own server says that it is now. Inside, git's complaint.
    async fn fetch_into(&self, git: &Git) -> Result<Result<(), String>, SourceError> {
        let mut url = self.url.clone();
        for _ in 0..HOPS {
            let fetched = git.fetch(&url).await?;
            let is_led = fetched.as_ref().is_err_and(|complaint| moved::is_redirect(complaint));
            let Some(from) = Url::parse(&url).ok().filter(|_| is_led) else { return Ok(fetched) };
            let unavailable = |why| SourceError::Unavailable { what: git.what().into(), why };
            match moved::ask(&from).await.map_err(unavailable)? {
                Moved::Here(to) => url = to.into(),
                Moved::Away(to) => return Err(SourceError::LeadsAway { what: git.what().into(), to }),
            }
        }
        Err(git.broken(format!("more than {HOPS} redirects")))
    }

    /// Makes an empty mirror, whatever lay there. It gets its name when it is whole.
    async fn make_mirror(&self, dir: &Path) -> Result<(), SourceError> {
        let git = Git::new(dir.with_extension("new"), &self.url);
        for left in [dir.to_owned(), dir.with_extension("new")] {
            match tokio::fs::remove_dir_all(&left).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(git.broken(format!("`{}` cannot be removed: {}", left.display(), plainly(&error))));
                }
            }
        }
        let path = dir.with_extension("new").to_string_lossy().into_owned();
        git.output(&["init", "--quiet", "--bare", "--template=", "--end-of-options", &path]).await?;
        let renamed = tokio::fs::rename(&path, dir).await;
        renamed.map_err(|error| git.broken(format!("`{}` cannot be made: {}", dir.display(), plainly(&error))))
    }

    pub(super) fn git(&self) -> Git {
        let dir = match &self.place {
            Place::Here(path) if path.join(".git").exists() => path.join(".git"),
            Place::Here(path) => path.clone(),
            Place::Mirror { dir, .. } => dir.clone(),
        };
        Git::new(dir, &self.url)
    }
}

/// An object as `cat-file --batch-check` tells it.
pub(super) struct Found {
    pub(super) id: CommitSha,
    pub(super) kind: String,
    pub(super) bytes: u64,
}
