//! What GitHub says of checks: `status`, `check_run`, `check_suite`, `workflow_run`. A word of theirs brings the next look
//! at the checks of a commit; what they say themselves is never believed, and nothing of it is kept.

use std::sync::Arc;

use serde::Deserialize;

use super::payload::{Malformed, repository_name};
use crate::domain::{CheckHint, CommitSha, Repository, Target};

/// The events that may say that a check has ended.
const EVENTS: &[&str] = &["status", "check_run", "check_suite", "workflow_run"];

/// A payload of one of them, as far as it matters.
#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    action: String,
    repository: Named,
    // `status` says it all at the top.
    sha: Option<String>,
    context: Option<String>,
    state: Option<String>,
    check_run: Option<Subject>,
    check_suite: Option<Subject>,
    workflow_run: Option<Subject>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<u64>,
    full_name: String,
}

/// A check run, a suite of them, or the run of a workflow.
#[derive(Deserialize)]
struct Subject {
    head_sha: Option<String>,
    name: Option<String>,
}

/// What an event about checks says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) repository: Repository,
    /// The commit and the check whose end it tells; nothing where nothing has ended.
    ended: Option<(CommitSha, Option<String>)>,
}

/// Whether an event of this name is about checks.
pub(super) fn is_about_checks(event: &str) -> bool {
    EVENTS.contains(&event)
}

/// Reads an event about checks.
pub(super) fn read(json: &str) -> Result<Said, Malformed> {
    let it: Payload = serde_json::from_str(json)?;
    let repository = Repository { id: it.repository.id, name: repository_name(it.repository.full_name)? };
    let is_over = it.action == "completed" || it.state.is_some_and(|state| state != "pending");
    // Of these only a check run's name is a check's.
    let (sha, check) = match (it.check_run, it.check_suite.or(it.workflow_run)) {
        (Some(run), _) => (run.head_sha, run.name),
        (None, Some(of_many)) => (of_many.head_sha, None),
        (None, None) => (it.sha, it.context),
    };
    let commit = sha.filter(|_| is_over).and_then(|sha| CommitSha::parse(sha).ok());
    Ok(Said { repository, ended: commit.map(|commit| (commit, check)) })
}

impl Said {
    /// What deployments may wait for, or why none to these targets of its repository does.
    pub(super) fn hint(self, targets: &[Arc<Target>]) -> Result<CheckHint, &'static str> {
        let Self { repository, ended } = self;
        let required: Vec<_> = targets.iter().flat_map(|it| &it.require_checks).collect();
        if required.is_empty() {
            return Err("no target of this repository requires checks");
        }
        let Some((commit, check)) = ended else { return Err("no check has ended") };
        if check.as_ref().is_some_and(|name| !required.iter().any(|it| it.takes(name))) {
            return Err("no target requires this check");
        }
        Ok(CheckHint { repository, commit, check })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::samples::target;

    const SHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    /// What becomes of a payload at a target that requires `build`.
    fn heard(mut payload: Value) -> String {
        payload["repository"] = json!({ "full_name": "Acme/Blog" });
        let gated = Target { require_checks: vec!["build".into()], ..target("blog") };
        match read(&payload.to_string()).unwrap().hint(&[gated.into()]) {
            Ok(hint) => format!("{} {}", hint.commit.short(), hint.check.unwrap_or_else(|| "any".into())),
            Err(why) => why.into(),
        }
    }

    #[test]
    fn only_the_end_of_a_required_check_is_a_hint() {
        let run = |action, name| json!({ "action": action, "check_run": { "head_sha": SHA, "name": name } });
        assert_eq!(heard(run("completed", "build")), "aaaaaaa build");
        assert_eq!(heard(run("created", "build")), "no check has ended");
        assert_eq!(heard(run("completed", "lint")), "no target requires this check");
        let suite = json!({ "action": "completed", "check_suite": { "head_sha": SHA } });
        assert_eq!(heard(suite), "aaaaaaa any");
        let workflow = json!({ "action": "completed", "workflow_run": { "head_sha": SHA, "name": "CI" } });
        assert_eq!(heard(workflow), "aaaaaaa any", "a workflow's name is no check's");
        let status = |state, context| json!({ "sha": SHA, "context": context, "state": state });
        assert_eq!(heard(status("success", "build")), "aaaaaaa build");
        assert_eq!(heard(status("pending", "build")), "no check has ended");
        assert_eq!(heard(status("success", "landfall/blog")), "no target requires this check");
        assert_eq!(heard(json!({ "action": "completed" })), "no check has ended");
    }

    #[test]
    fn a_repository_whose_targets_require_nothing_is_told_so() {
        let status = json!({ "sha": SHA, "state": "success", "repository": { "full_name": "acme/blog" } }).to_string();
        let why = read(&status).unwrap().hint(&[target("blog").into()]).unwrap_err();
        assert_eq!(why, "no target of this repository requires checks");
        assert!(read("{}").unwrap_err().to_string().starts_with("missing field `repository`"));
    }
}
