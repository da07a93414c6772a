//! A real git repository: a working copy that pushes into a bare one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use landfall::clients::process;
use landfall::domain::CommitSha;

/// A working copy and the bare repository it pushes to. Commits have fixed authors and times, so their ids are stable.
pub(crate) struct Repository {
    work: PathBuf,
    bare: PathBuf,
    /// Removes the directory in the end, where it is ours.
    _dir: Option<tempfile::TempDir>,
}

impl Repository {
    /// An empty one, on branch `main`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::made(dir.path().join("work"), dir.path().join("bare.git"), Some(dir))
    }

    /// One whose bare side lies at `bare`, which is made.
    pub(crate) fn with_bare(bare: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::made(dir.path().join("work"), bare.to_owned(), Some(dir))
    }

    /// The working copy `site` and the bare `site.git` in a directory that stays: made, or as they were left there.
    pub(crate) fn lasting(dir: &Path) -> Self {
        let (work, bare) = (dir.join("site"), dir.join("site.git"));
        if work.exists() { Self { work, bare, _dir: None } } else { Self::made(work, bare, None) }
    }

    fn made(work: PathBuf, bare: PathBuf, dir: Option<tempfile::TempDir>) -> Self {
        let this = Self { work, bare, _dir: dir };
        std::fs::create_dir_all(&this.work).unwrap();
        std::fs::create_dir_all(&this.bare).unwrap();
        git(&this.bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        git(&this.bare, &["config", "receive.denyDeleteCurrent", "ignore"]);
        this.git(&["init", "--quiet", "--initial-branch=main"]);
        this.git(&["remote", "add", "origin", this.bare.to_str().unwrap()]);
        this
    }

    /// The bare repository's path.
    pub(crate) fn bare(&self) -> &Path {
        &self.bare
    }

    /// The bare repository's URL.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// The working copy's path.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Runs git in the working copy; its output, trimmed.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.work, args)
    }

    /// Commits these files, with nothing pushed yet.
    pub(crate) fn commit(&self, title: &str, files: &[(&str, &str)]) -> CommitSha {
        for (path, content) in files {
            self.write(path, content, 0o644);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", title]);
        self.head()
    }

    /// Writes a file into the working copy.
    pub(crate) fn write(&self, path: &str, content: &str, mode: u32) {
        let path = self.work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// The working copy's present commit.
    pub(crate) fn head(&self) -> CommitSha {
        CommitSha::parse(self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    /// Pushes these refspecs, forced where they begin with `+`.
    pub(crate) fn push(&self, refspecs: &[&str]) {
        self.git(&[&["push", "--quiet", "origin"], refspecs].concat());
    }

    /// Commits and pushes to `main`.
    pub(crate) fn commit_and_push(&self, title: &str, files: &[(&str, &str)]) -> CommitSha {
        let sha = self.commit(title, files);
        self.push(&["HEAD:refs/heads/main"]);
        sha
    }
}

/// Runs git in `dir`, apart from whatever the machine's own configuration says.
pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = process::blocking_program("git")
        .current_dir(dir)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")])
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
        .envs([("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z"), ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
