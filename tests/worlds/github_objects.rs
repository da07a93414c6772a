//! What GitHub tells of a repository's objects, in the shapes of its API. It only reads.

use std::path::{Path, PathBuf};

use landfall::clients::process;
use serde_json::json;

use super::github::{Answer, shapes};

/// The bare repository behind one name.
pub(super) struct Git(pub(super) PathBuf);

/// Where GitHub would have it.
fn address(what: &str) -> String {
    format!("https://api.github.com/{what}")
}

impl Git {
    pub(super) fn run(&self, args: &[&str]) -> Option<Vec<u8>> {
        let dir: &Path = &self.0;
        let output = process::blocking_program("git").arg("--git-dir").arg(dir).args(args).output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    pub(super) fn line(&self, args: &[&str]) -> Option<String> {
        self.run(args).map(|it| String::from_utf8(it).unwrap().trim().to_owned())
    }

    pub(super) fn kind(&self, object: &str) -> Option<String> {
        self.line(&["cat-file", "-t", object])
    }

    pub(super) fn reference(&self, name: &str) -> Answer {
        if self.line(&["for-each-ref"]).is_some_and(|it| it.is_empty()) {
            return Answer::json(409, json!({ "message": "Git Repository is empty." }));
        }
        let full = format!("refs/{name}");
        match self.line(&["show-ref", "--verify", "--hash", &full]) {
            Some(sha) => {
                let kind = self.kind(&sha);
                let object = json!({ "type": kind, "sha": sha, "url": address(&sha) });
                Answer::json(200, shapes::shape("git_ref", json!({ "ref": full, "object": object })))
            }
            None => Answer::not_found(),
        }
    }

    pub(super) fn branches(&self, page: usize, size: usize) -> Answer {
        let listed = self.line(&["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/"]).unwrap();
        let shape = |line: &str| {
            let (name, sha) = line.split_once(' ').unwrap();
            json!({ "name": name, "commit": { "sha": sha }, "protected": false })
        };
        let listed: Vec<_> = listed.lines().skip((page - 1) * size).take(size).map(shape).collect();
        Answer::json(200, json!(listed))
    }

    /// One branch, by its present name or by the one it had: git's own configuration remembers it here.
    pub(super) fn branch(&self, name: &str, repository: &str) -> Answer {
        if let Some(sha) = self.line(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{name}")]) {
            return Answer::json(200, json!({ "name": name, "commit": { "sha": sha }, "protected": false }));
        }
        match self.line(&["config", &format!("branch.{name}.renamed")]) {
            Some(new) => Answer::json(301, json!({ "message": "Moved Permanently" }))
                .with("location", format!("{repository}/branches/{}", new.replace('/', "%2F"))),
            None => Answer::json(404, json!({ "message": "Branch not found" })),
        }
    }

    pub(super) fn tree(&self, sha: &str) -> Answer {
        let Some(listed) = self.line(&["ls-tree", "-r", "-t", "--format=%(objecttype) %(path)", sha]) else {
            return Answer::not_found();
        };
        let shape = |line: &str| {
            let (kind, path) = line.split_once(' ').unwrap();
            json!({ "path": path, "type": kind })
        };
        let tree: Vec<_> = listed.lines().map(shape).collect();
        Answer::json(200, json!({ "sha": sha, "tree": tree, "truncated": false }))
    }

    pub(super) fn tag(&self, sha: &str) -> Answer {
        if self.kind(sha).as_deref() != Some("tag") {
            return Answer::not_found();
        }
        let text = self.line(&["cat-file", "tag", sha]).unwrap();
        let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        Answer::json(200, json!({ "sha": sha, "object": { "type": field("type "), "sha": field("object ") } }))
    }

    pub(super) fn commit(&self, sha: &str) -> Answer {
        match self.kind(sha).as_deref() {
            Some("commit") => {
                let message = self.line(&["log", "-1", "--format=%B", sha]);
                Answer::json(200, json!({ "sha": sha, "message": message }))
            }
            _ => Answer::not_found(),
        }
    }

    /// The hash of a commit by whatever names it, in the media type for hashes alone.
    pub(super) fn named(&self, name: &str) -> Answer {
        match self.line(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]) {
            Some(sha) => Answer::bytes("application/vnd.github.sha; charset=utf-8", sha.into_bytes()),
            None => Answer::json(422, json!({ "message": format!("No commit found for SHA: {name}") })),
        }
    }

    /// Files stand on the first page, three hundred of them at most, as compared with where the two parted.
    pub(super) fn compare(&self, basehead: &str, is_first: bool) -> Answer {
        let Some((base, head)) = basehead.split_once("...") else { return Answer::not_found() };
        if self.line(&["merge-base", base, head]).is_none() {
            return Answer::not_found();
        }
        let counts = self.line(&["rev-list", "--left-right", "--count", basehead]).unwrap();
        let (behind, ahead) = counts.split_once('\t').unwrap();
        let status = match (behind, ahead) {
            ("0", "0") => "identical",
            ("0", _) => "ahead",
            (_, "0") => "behind",
            _ => "diverged",
        };
        let number = |text: &str| text.parse::<u64>().unwrap();
        let told = json!({ "status": status, "ahead_by": number(ahead), "behind_by": number(behind) });
        let mut compared = shapes::shape("comparison", told);
        if is_first {
            let listed = self.line(&["diff", "--name-only", "--no-renames", basehead]).unwrap();
            let entry = |name| shapes::shape("diff_entry", json!({ "filename": name }));
            compared["files"] = listed.lines().take(300).map(entry).collect();
        }
        Answer::json(200, compared)
    }

    /// The commits that a commit is made of, newest first.
    pub(super) fn commits(&self, head: &str, page: usize, size: usize) -> Answer {
        let (most, skip) = (format!("--max-count={size}"), format!("--skip={}", (page - 1) * size));
        let Some(listed) = self.line(&["log", "-z", "--topo-order", "--format=%H%n%P%n%B", &most, &skip, head]) else {
            return Answer::not_found();
        };
        let shape = |text: &str| {
            let mut lines = text.splitn(3, '\n');
            let (sha, parents) = (lines.next().unwrap(), lines.next().unwrap());
            let parents: Vec<_> =
                parents.split_whitespace().map(|sha| json!({ "sha": sha, "url": address(sha) })).collect();
            let message = lines.next().unwrap().trim_end();
            shapes::shape("commit", json!({ "sha": sha, "commit": { "message": message }, "parents": parents }))
        };
        Answer::json(200, listed.split_terminator('\0').map(shape).collect())
    }

    pub(super) fn contents(&self, revision: &str, path: &str) -> Answer {
        let object = format!("{revision}:{path}");
        match self.kind(&object).as_deref() {
            Some("blob") => Answer::bytes(
                "application/vnd.github.raw+json; charset=utf-8",
                self.run(&["cat-file", "blob", &object]).unwrap(),
            ),
            Some("tree") => Answer::json(200, json!([{ "type": "file", "name": "x" }])),
            _ => Answer::not_found(),
        }
    }
}
