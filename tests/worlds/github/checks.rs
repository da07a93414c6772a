//! What others say of a commit in the GitHub world: check runs, and commit statuses that are not the bot's. As on GitHub
//! the newest of a name counts, and lists come in pages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::shapes;
use super::{Answer, Asked, GitHubWorld, Route, Shared, Status, Work};

/// A check run, as GitHub keeps it.
#[derive(Clone, Debug)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    /// `queued`, `in_progress`, or how it ended.
    pub(crate) said: String,
}

impl GitHubWorld {
    /// A check run begins, or the run of this name goes on or ends: `in_progress`, `success`, `failure`.
    pub(crate) fn run_check(&self, sha: &str, name: &str, said: &str) {
        let mut state = self.shared.state.lock().unwrap();
        let known = state.check_runs.iter_mut().find(|it| it.sha == sha && it.name == name);
        match known {
            Some(run) if matches!(run.said.as_str(), "queued" | "in_progress") => run.said = said.to_owned(),
            Some(_) | None => {
                let id = 9_000 + state.check_runs.len() as u64;
                let run = CheckRun { id, sha: sha.to_owned(), name: name.to_owned(), said: said.to_owned() };
                // The newest comes first.
                state.check_runs.insert(0, run);
            }
        }
    }

    /// Somebody else sets a commit status.
    pub(crate) fn say_status(&self, sha: &str, context: &str, state: &str) {
        let status = Status {
            repository: "acme/site".into(),
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: state.to_owned(),
            description: String::new(),
            target_url: Some(format!("https://ci.example.com/{context}")),
        };
        self.shared.state.lock().unwrap().statuses.push(status);
    }
}

impl Shared {
    /// What is asked of a commit's checks.
    pub(super) fn checks<'a>(&'a self, asked: &'a Asked, sha: &str, kind: &str) -> Option<(Route, Work<'a>)> {
        let state = self.state.lock().unwrap();
        let (route, key, all) = match kind {
            "status" => (Route::Statuses, "statuses", statuses(&state.statuses, sha)),
            "check-runs" => (Route::CheckRuns, "check_runs", check_runs(&state.check_runs, sha)),
            _ => return None,
        };
        let around = if kind == "status" { shapes::shape("combined_status", json!({ "sha": sha })) } else { json!({}) };
        Some((route, Box::new(move || page(around, key, &all, &asked.query))))
    }
}

/// One page of a list, with the number of all and what stands around it.
fn page(mut around: Value, key: &str, all: &[Value], query: &BTreeMap<String, String>) -> Answer {
    let number = |name: &str, usual: usize| query.get(name).map_or(usual, |it| it.parse().unwrap());
    let (page, size) = (number("page", 1), number("per_page", 30).min(100));
    let listed: Vec<_> = all.iter().skip((page - 1) * size).take(size).collect();
    (around["total_count"], around[key]) = (all.len().into(), json!(listed));
    Answer::json(200, around)
}

/// The newest status of each context.
fn statuses(all: &[Status], sha: &str) -> Vec<Value> {
    let mut newest: BTreeMap<String, &Status> = BTreeMap::new();
    for status in all.iter().filter(|it| it.sha == sha) {
        newest.insert(status.context.to_lowercase(), status);
    }
    let told = |it: &Status| json!({ "context": it.context, "state": it.state, "target_url": it.target_url });
    newest.into_values().map(|it| shapes::shape("status", told(it))).collect()
}

/// The check runs of a commit: all of them, for GitHub takes names of two apps or suites apart.
fn check_runs(all: &[CheckRun], sha: &str) -> Vec<Value> {
    let shape = |it: &CheckRun| {
        let goes_on = matches!(it.said.as_str(), "queued" | "in_progress");
        let (status, conclusion) = if goes_on { (it.said.as_str(), None) } else { ("completed", Some(&it.said)) };
        let html_url = format!("https://github.example.com/acme/site/runs/{}", it.id);
        let app = shapes::shape("app", json!({ "id": 15368, "slug": "github-actions" }));
        let told = json!({ "id": it.id, "name": it.name, "head_sha": it.sha, "status": status, "conclusion": conclusion,
                           "html_url": html_url, "app": app });
        shapes::shape("check_run", told)
    };
    all.iter().filter(|it| it.sha == sha).map(shape).collect()
}
