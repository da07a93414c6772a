//! What GitHub would say of a push, told by a real repository. It asks git, and changes nothing.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::Trouble;
use crate::clients::process::blocking_program;
use crate::domain::{CommitSha, RefName, RepositoryName, plainly};

/// GitHub lists this many commits of a push.
const MOST_COMMITS: &str = "2048";
const ZEROS: &str = "0000000000000000000000000000000000000000";
/// Begins a commit in git's answer; it stands only where a status letter may stand too.
const MARK: char = '\x01';
const FORMAT: &str = "--format=%x01%H%x00%T%x00%aI%x00%an%x00%ae%x00%cn%x00%ce%x00%B%x00";
const FIELDS: usize = 8;

/// A repository on this machine.
pub(super) struct Repository<'a> {
    pub(super) path: &'a Path,
}

/// A ref that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) reference: RefName,
    pub(super) before: String,
    pub(super) after: String,
}

impl Moved {
    /// Reads a line of a post-receive hook: `old new ref`.
    pub(super) fn parse(line: &str) -> Result<Self, Trouble> {
        let unfit = |why: String| {
            Trouble::wrong(format!("`{}` is not a line of a post-receive hook: {why}", line.trim()))
                .help("run this as the hook itself, or pipe `OLD NEW REF` into it")
        };
        let mut words = line.split_whitespace();
        let (Some(before), Some(after), Some(reference), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(unfit("it has not three words".into()));
        };
        for sha in [before, after] {
            CommitSha::parse(sha).map_err(|it| unfit(it.to_string()))?;
        }
        let reference = RefName::parse(reference).map_err(|it| unfit(it.to_string()))?;
        Ok(Self { reference, before: before.to_owned(), after: after.to_owned() })
    }

    fn is_new(&self) -> bool {
        CommitSha::is_zeros(&self.before)
    }

    fn is_gone(&self) -> bool {
        CommitSha::is_zeros(&self.after)
    }
}

impl Repository<'_> {
    /// The branch that is checked out.
    pub(super) fn current(&self) -> Result<RefName, Trouble> {
        self.must_be_one()?;
        let name = self.git(&["symbolic-ref", "--quiet", "HEAD"]).map_err(|_| {
            Trouble::wrong(format!("no branch is checked out in `{}`", self.path.display()))
                .help("name the ref with `--ref`, such as `--ref main`")
        })?;
        RefName::parse(name.trim()).map_err(|unfit| Trouble::wrong(unfit.to_string()))
    }

    /// The ref as it would be after a push of its present state: from `before`, else as if it were new.
    pub(super) fn moved(
        &self,
        reference: RefName,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<Moved, Trouble> {
        let after = match after {
            Some(after) => self.resolved(after)?,
            None => self.resolved(reference.as_str())?,
        };
        let before = before.map_or_else(|| Ok(ZEROS.to_owned()), |before| self.resolved(before))?;
        Ok(Moved { reference, before, after })
    }

    /// That git runs, and that this is a repository, is told before anything that only seems to be missing in it.
    fn must_be_one(&self) -> Result<(), Trouble> {
        self.git(&["rev-parse", "--git-dir"]).map(drop)
    }

    /// A full hash of what a person names; zeros stay zeros.
    fn resolved(&self, name: &str) -> Result<String, Trouble> {
        if CommitSha::is_zeros(name) {
            return Ok(name.to_owned());
        }
        self.must_be_one()?;
        let sha = self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", name]).map_err(|_| {
            Trouble::wrong(format!("`{name}` is not in the repository `{}`", self.path.display()))
                .help("name a branch, a tag or a commit that is there")
        })?;
        Ok(sha.trim().to_owned())
    }

    /// The payload of the push, in GitHub's form.
    pub(super) fn payload(
        &self,
        moved: &Moved,
        name: &RepositoryName,
        id: Option<u64>,
        pusher: &str,
        now: Timestamp,
    ) -> Result<Value, Trouble> {
        let commits = if moved.is_new() || moved.is_gone() { Vec::new() } else { self.commits_between(moved)? };
        let head = if moved.is_gone() { Value::Null } else { self.head_commit(&moved.after)? };
        Ok(json!({
            "ref": moved.reference,
            "before": moved.before,
            "after": moved.after,
            "created": moved.is_new(),
            "deleted": moved.is_gone(),
            "forced": self.is_forced(moved),
            "base_ref": null,
            "commits": commits,
            "head_commit": head,
            "repository": {
                "id": id,
                "name": name.name(),
                "full_name": name,
                "owner": { "name": name.owner(), "login": name.owner() },
                // The same move of the same ref at another time is another push.
                "pushed_at": now.as_second(),
            },
            "pusher": { "name": pusher },
            "sender": { "login": pusher },
        }))
    }

    fn is_forced(&self, moved: &Moved) -> bool {
        if moved.is_new() || moved.is_gone() {
            return false;
        }
        // A tag that moves leads nowhere on from where it was.
        moved.reference.tag().is_some()
            || self.git(&["merge-base", "--is-ancestor", &moved.before, &moved.after]).is_err()
    }

    fn commits_between(&self, moved: &Moved) -> Result<Vec<Value>, Trouble> {
        let range = format!("{}..{}", moved.before, moved.after);
        // After a forced push of rewritten history git may have thrown `before` away; then nothing lies between.
        if self.git(&["cat-file", "-e", &moved.before]).is_err() {
            return Ok(Vec::new());
        }
        self.log(&["-n", MOST_COMMITS, &range])
    }

    fn head_commit(&self, sha: &str) -> Result<Value, Trouble> {
        let commit = format!("{sha}^{{commit}}");
        Ok(self.log(&["-n", "1", &commit])?.pop().unwrap_or_default())
    }

    /// Commits with the paths that they touch, oldest first; a merge's are those against its first parent.
    fn log(&self, which: &[&str]) -> Result<Vec<Value>, Trouble> {
        let how = ["log", "-z", "--name-status", "--no-renames", "--diff-merges=first-parent", "--no-show-signature"];
        let words: Vec<&str> = how.into_iter().chain([FORMAT]).chain(which.iter().copied()).chain(["--"]).collect();
        let mut commits = parse_log(&self.git(&words)?);
        commits.reverse();
        Ok(commits)
    }

    /// What git answers.
    pub(super) fn git(&self, words: &[&str]) -> Result<String, Trouble> {
        let answer = blocking_program("git").arg("-C").arg(self.path).args(words).output().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let why = if missing { "it is not on the PATH".to_owned() } else { plainly(&error) };
            Trouble::unreachable(format!("git cannot be run: {why}")).help("install git")
        })?;
        if !answer.status.success() {
            let told = String::from_utf8_lossy(&answer.stderr);
            let told = told.lines().next().unwrap_or("no reason given").trim_start_matches("fatal: ");
            if told.starts_with("not a git repository") || told.starts_with("cannot change to") {
                let message = format!("`{}` is not a git repository", self.path.display());
                return Err(Trouble::wrong(message).help("name a git repository with `--repo`"));
            }
            let message = format!("git {} in `{}`: {told}", words.first().unwrap_or(&""), self.path.display());
            return Err(Trouble::wrong(message).help("name a git repository with `--repo`"));
        }
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

fn parse_log(text: &str) -> Vec<Value> {
    let mut words = text.split('\0').peekable();
    let mut commits = Vec::new();
    while let Some(word) = words.next() {
        let Some(sha) = word.trim_start_matches('\n').strip_prefix(MARK) else { continue };
        let fields: Vec<&str> = words.by_ref().take(FIELDS - 1).collect();
        let [tree, at, author, author_mail, committer, committer_mail, message] = fields.as_slice() else { break };
        let (mut added, mut removed, mut modified) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(status) = words.next_if(|it| !it.trim_start_matches('\n').starts_with(MARK)) {
            let list = match status.trim_start_matches('\n') {
                "" => continue,
                "A" => &mut added,
                "D" => &mut removed,
                _ => &mut modified,
            };
            list.extend(words.next());
        }
        commits.push(json!({
            "id": sha,
            "tree_id": tree,
            "distinct": true,
            "message": message.trim_end_matches('\n'),
            "timestamp": at,
            "author": { "name": author, "email": author_mail },
            "committer": { "name": committer, "email": committer_mail },
            "added": added,
            "removed": removed,
            "modified": modified,
        }));
    }
    commits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hooks_line_is_read_or_refused() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let moved = Moved::parse(&format!("{a} {b} refs/heads/main\n")).unwrap();
        assert_eq!(
            (moved.before.as_str(), moved.after.as_str(), moved.reference.short()),
            (a.as_str(), b.as_str(), "main")
        );
        for wrong in ["", "a b c", &format!("{a} {b}"), &format!("{a} {b} main"), &format!("{a} {b} refs/heads/x y")] {
            assert!(Moved::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_log_with_strange_names_and_empty_commits_is_read() {
        let commit = |sha: &str, rest: &str| format!("\x01{sha}\0t\0now\0Ann\0a@x\0Bob\0b@x\0one\n\ntwo\n\0\0{rest}");
        let text = commit("1", "") + &commit("2", "\nA\0a b\0M\0\x01c\0D\0é\n\0") + &commit("3", "\nT\0x\0");
        let commits = parse_log(&text);
        assert_eq!(commits.len(), 3);
        assert_eq!(commits[0]["message"], "one\n\ntwo");
        assert_eq!(commits[1]["added"], json!(["a b"]));
        assert_eq!(commits[1]["modified"], json!(["\x01c"]));
        assert_eq!(commits[1]["removed"], json!(["é\n"]));
        assert_eq!(commits[2]["modified"], json!(["x"]));
    }
}
