//! The checks of a commit at GitHub: commit statuses and check runs, both. A gate that reads only one of them lets the
//! other kind's red pass. It judges nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::SourceError;
use super::github::GitHubSource;
use crate::domain::{Check, CheckState, CommitSha};

/// The most that GitHub gives at a time.
const A_PAGE: usize = 100;
/// A commit with more checks than these pages hold is none that a person could require checks of.
const PAGES: usize = 30;

#[derive(Deserialize)]
struct Statuses {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    target_url: Option<String>,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    id: u64,
}

impl GitHubSource {
    /// The newest status of each context, and the newest run of each name and app.
    pub(super) async fn checks(&self, commit: &CommitSha) -> Result<Vec<Check>, SourceError> {
        let mut all: Vec<Check> = Vec::new();
        for page in 1..=PAGES {
            // GitHub lists each context once, with its newest status.
            let rest = format!("commits/{commit}/status?per_page={A_PAGE}&page={page}");
            let Statuses { statuses } = self.asked(&rest).await?;
            let is_last = statuses.len() < A_PAGE;
            all.extend(statuses.into_iter().map(Check::from));
            if is_last {
                break;
            }
        }
        let mut newest: BTreeMap<(String, Option<u64>), CheckRun> = BTreeMap::new();
        for page in 1..=PAGES {
            let rest = format!("commits/{commit}/check-runs?filter=latest&per_page={A_PAGE}&page={page}");
            let CheckRuns { check_runs } = self.asked(&rest).await?;
            let is_last = check_runs.len() < A_PAGE;
            for run in check_runs {
                let key = (run.name.clone(), run.app.as_ref().map(|it| it.id));
                // Runs of two suites may share a name; ids grow with time.
                if newest.get(&key).is_none_or(|known| known.id < run.id) {
                    newest.insert(key, run);
                }
            }
            if is_last {
                break;
            }
        }
        all.extend(newest.into_values().map(Check::from));
        Ok(all)
    }
}

impl From<Status> for Check {
    fn from(Status { context, state: said, target_url }: Status) -> Self {
        let state = match said.as_str() {
            "success" => CheckState::Green,
            "failure" | "error" => CheckState::Red,
            _ => CheckState::Pending,
        };
        Self { name: context, state, said, link: target_url.filter(|it| !it.is_empty()) }
    }
}

impl From<CheckRun> for Check {
    fn from(CheckRun { id: _, name, status, conclusion, html_url, app: _ }: CheckRun) -> Self {
        let said = conclusion.filter(|_| status == "completed").unwrap_or(status);
        let state = match said.as_str() {
            "success" | "neutral" | "skipped" => CheckState::Green,
            "failure" | "cancelled" | "timed_out" | "startup_failure" | "stale" => CheckState::Red,
            // `queued` and its like; and `action_required`, which ends when somebody acts.
            _ => CheckState::Pending,
        };
        Self { name, state, said, link: html_url.filter(|it| !it.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn githubs_words_are_green_pending_or_red() {
        use CheckState::{Green, Pending, Red};
        let run = |status: &str, conclusion: Option<&str>| {
            let json = json!({ "id": 1, "name": "build", "status": status, "conclusion": conclusion, "app": null });
            Check::from(serde_json::from_value::<CheckRun>(json).unwrap())
        };
        for (conclusion, expected) in [
            ("success", Green),
            ("neutral", Green),
            ("skipped", Green),
            ("failure", Red),
            ("cancelled", Red),
            ("timed_out", Red),
            ("startup_failure", Red),
            ("stale", Red),
            ("action_required", Pending),
        ] {
            let check = run("completed", Some(conclusion));
            assert_eq!((check.state, check.said.as_str()), (expected, conclusion));
        }
        for status in ["queued", "in_progress", "waiting", "requested", "pending"] {
            assert_eq!(run(status, None).state, Pending, "{status}");
        }
        assert_eq!(run("in_progress", Some("success")).state, Pending, "a run that goes on has no end");
        let status = |state: &str| {
            let json = json!({ "context": "ci/build", "state": state, "target_url": "" });
            Check::from(serde_json::from_value::<Status>(json).unwrap())
        };
        let states = ["success", "failure", "error", "pending"].map(|state| status(state).state);
        assert_eq!(states, [Green, Red, Red, Pending]);
        assert_eq!(status("success").link, None);
    }
}
