//! What can be said at a GitHub world besides commit statuses: deployments and their states, check runs, comments on pull
//! requests and commits. It refuses what GitHub refuses, and takes what would merge a branch as a fault.

use serde_json::{Value, json};

use super::shapes::shape;
use super::{Answer, Asked, GitHubWorld, Route, Shared, Work};

/// All that was said.
#[derive(Default)]
pub(super) struct Sayings {
    deployments: Vec<Deployment>,
    check_runs: Vec<CheckRun>,
    comments: Vec<Comment>,
    /// Pull requests, with their commits: number, state, commits.
    pulls: Vec<(u64, String, Vec<String>)>,
}

/// A deployment, as GitHub keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) environment: String,
    pub(crate) body: Value,
    /// Each state with all that was said with it.
    pub(crate) states: Vec<Value>,
}

/// A check run, as GitHub keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) body: Value,
}

/// A comment, as GitHub keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    /// `issues/12` or `commits/SHA`.
    pub(crate) thread: String,
    pub(crate) body: String,
}

impl Deployment {
    /// As GitHub tells it.
    fn shaped(&self, payload: Value) -> Value {
        let mut told = json!({ "id": self.id, "sha": self.sha, "environment": self.environment, "payload": payload });
        merge(
            &mut told,
            &self.body,
            &["ref", "task", "description", "transient_environment", "production_environment"],
        );
        shape("deployment", told)
    }

    /// The states in order, with what is told with each.
    pub(crate) fn told(&self) -> Vec<String> {
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        self.states.iter().map(|it| format!("{}: {}", text(it, "state"), text(it, "description"))).collect()
    }
}

impl CheckRun {
    /// As GitHub tells it.
    fn shaped(&self) -> Value {
        let mut told = json!({ "id": self.id });
        merge(&mut told, &self.body, &["name", "head_sha", "external_id", "details_url", "status", "conclusion"]);
        let given = &self.body["output"];
        let count = given["annotations"].as_array().map_or(0, Vec::len);
        told["output"] = json!({ "title": given["title"], "summary": given["summary"], "annotations_count": count });
        shape("check_run", told)
    }
}

impl Comment {
    /// As GitHub tells it.
    fn shaped(&self) -> Value {
        let (id, body) = (self.id, &self.body);
        match self.thread.strip_prefix("commits/") {
            Some(sha) => shape("commit_comment", json!({ "id": id, "body": body, "commit_id": sha })),
            None => shape("issue_comment", json!({ "id": id, "body": body })),
        }
    }
}

/// What of a request's body is told back.
fn merge(told: &mut Value, body: &Value, keys: &[&str]) {
    for key in keys.iter().filter(|key| !body[**key].is_null()) {
        told[*key] = body[*key].clone();
    }
}

impl GitHubWorld {
    /// All deployments, in the order they came.
    pub(crate) fn deployments(&self) -> Vec<Deployment> {
        self.shared.state.lock().unwrap().sayings.deployments.clone()
    }

    /// Somebody else makes a deployment of a commit. Gives its number.
    pub(crate) fn deployment_of_others(&self, sha: &str, environment: &str) -> u64 {
        let deployments = &mut self.shared.state.lock().unwrap().sayings.deployments;
        let (id, body) = (500 + deployments.len() as u64, json!({ "payload": {} }));
        let (sha, environment) = (sha.to_owned(), environment.to_owned());
        deployments.push(Deployment { id, sha, environment, body, states: vec![] });
        id
    }

    /// All check runs, in the order they came.
    pub(crate) fn our_check_runs(&self) -> Vec<CheckRun> {
        self.shared.state.lock().unwrap().sayings.check_runs.clone()
    }

    /// All comments, in the order they came.
    pub(crate) fn comments(&self) -> Vec<Comment> {
        self.shared.state.lock().unwrap().sayings.comments.clone()
    }

    /// A pull request that holds these commits.
    pub(crate) fn pull(&self, number: u64, state: &str, commits: &[&str]) {
        let commits = commits.iter().map(|it| (*it).to_owned()).collect();
        self.shared.state.lock().unwrap().sayings.pulls.push((number, state.to_owned(), commits));
    }

    /// Somebody deletes all comments.
    pub(crate) fn delete_comments(&self) {
        self.shared.state.lock().unwrap().sayings.comments.clear();
    }
}

fn refuse(message: &str) -> Answer {
    Answer::json(422, json!({ "message": "Validation Failed", "errors": [{ "message": message }] }))
}

fn characters(value: &Value) -> usize {
    value.as_str().unwrap_or_default().chars().count()
}

impl Shared {
    /// The route, and what it does when nothing goes wrong.
    pub(super) fn saying<'a>(&'a self, asked: &'a Asked, name: &'a str, rest: &[&'a str]) -> Option<(Route, Work<'a>)> {
        let body = || serde_json::from_slice::<Value>(&asked.body).unwrap_or_default();
        let owned = |text: &str| text.to_owned();
        Some(match (asked.method.as_str(), rest) {
            ("GET", ["deployments"]) => (Route::Deployment, Box::new(move || self.list_deployments(asked))),
            ("POST", ["deployments"]) => (Route::Deployment, Box::new(move || self.deploy(name, body()))),
            ("POST", ["deployments", id, "statuses"]) => {
                let id = owned(id);
                (Route::DeploymentState, Box::new(move || self.set_state(&id, body())))
            }
            ("GET", ["commits", sha, "check-runs"]) if asked.query.contains_key("check_name") => {
                let sha = owned(sha);
                (Route::OwnCheck, Box::new(move || self.list_check_runs(&sha, &asked.query["check_name"])))
            }
            // Changing one would add to its annotations, so that nobody should.
            ("POST", ["check-runs"]) => (Route::OwnCheck, Box::new(move || self.check(body()))),
            ("GET", ["commits", sha, "pulls"]) => {
                let sha = owned(sha);
                (Route::Pulls, Box::new(move || self.pulls_of(&sha)))
            }
            ("GET", [kind @ ("issues" | "commits"), of, "comments"]) => {
                let thread = format!("{kind}/{of}");
                let route = if *kind == "issues" { Route::Comment } else { Route::Commit };
                (route, Box::new(move || self.list_comments(&thread)))
            }
            ("POST", [kind @ ("issues" | "commits"), of, "comments"]) => {
                let thread = format!("{kind}/{of}");
                let route = if *kind == "issues" { Route::Comment } else { Route::CommitComment };
                (route, Box::new(move || self.comment(thread, &body())))
            }
            ("PATCH", ["issues", "comments", id]) => {
                let id = id.parse().ok();
                (Route::Comment, Box::new(move || self.edit_comment(id, false, &body())))
            }
            ("PATCH", ["comments", id]) => {
                let id = id.parse().ok();
                (Route::CommitComment, Box::new(move || self.edit_comment(id, true, &body())))
            }
            _ => return None,
        })
    }

    fn list_deployments(&self, asked: &Asked) -> Answer {
        let state = self.state.lock().unwrap();
        let of = |it: &&Deployment| asked.query["sha"] == it.sha && asked.query["environment"] == it.environment;
        // GitHub's older deployments give the payload back as text.
        let told = |it: &Deployment| it.shaped(it.body["payload"].to_string().into());
        let all: Vec<Value> = state.sayings.deployments.iter().filter(of).map(told).collect();
        Answer::json(200, all.into())
    }

    fn deploy(&self, name: &str, body: Value) -> Answer {
        let git = super::Git(self.root.join(format!("{name}.git")));
        let sha = body["ref"].as_str().unwrap_or_default().to_owned();
        if git.kind(&sha).as_deref() != Some("commit") {
            return Answer::json(422, json!({ "message": format!("No ref found for: {sha}") }));
        }
        let mut state = self.state.lock().unwrap();
        if body["auto_merge"] != json!(false) || body["required_contexts"] != json!([]) {
            state.faults.push(format!("a deployment that merges, or waits for statuses: {body}"));
        }
        let id = 500 + state.sayings.deployments.len() as u64;
        let environment = body["environment"].as_str().unwrap_or("production").to_owned();
        let deployment = Deployment { id, sha, environment, body, states: vec![] };
        let told = deployment.shaped(deployment.body["payload"].clone());
        state.sayings.deployments.push(deployment);
        Answer::json(201, told)
    }

    fn set_state(&self, id: &str, body: Value) -> Answer {
        let states = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];
        if !states.contains(&body["state"].as_str().unwrap_or_default()) {
            return refuse("state is not included in the list");
        }
        if characters(&body["description"]) > 140 {
            return refuse("description is too long (maximum is 140 characters)");
        }
        let mut state = self.state.lock().unwrap();
        if body["auto_inactive"] != json!(false) {
            state.faults.push("GitHub would retire what other targets have in the environment".into());
        }
        let Some(of) = state.sayings.deployments.iter_mut().find(|it| it.id.to_string() == id) else {
            return Answer::not_found();
        };
        let mut told = json!({ "id": of.states.len() + 1, "environment": of.environment });
        merge(&mut told, &body, &["state", "description", "log_url", "environment_url"]);
        of.states.push(body);
        Answer::json(201, shape("deployment_status", told))
    }

    fn list_check_runs(&self, sha: &str, name: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let of = |it: &&CheckRun| it.body["head_sha"] == sha && it.body["name"] == name;
        let all: Vec<Value> = state.sayings.check_runs.iter().filter(of).map(CheckRun::shaped).collect();
        Answer::json(200, json!({ "total_count": all.len(), "check_runs": all }))
    }

    fn check(&self, body: Value) -> Answer {
        let annotations = body["output"]["annotations"].as_array().cloned().unwrap_or_default();
        if annotations.len() > 50 {
            return refuse("output.annotations: no more than 50 items are allowed");
        }
        if annotations.iter().any(|it| it["start_line"].as_u64().is_none_or(|line| line == 0)) {
            return refuse("start_line: a line");
        }
        let all = &mut self.state.lock().unwrap().sayings.check_runs;
        let made = CheckRun { id: 700 + all.len() as u64, body };
        let told = made.shaped();
        all.push(made);
        Answer::json(201, told)
    }

    fn pulls_of(&self, sha: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let holds = |(_, _, commits): &&(u64, String, Vec<String>)| commits.iter().any(|it| it == sha);
        let pulls = state.sayings.pulls.iter().filter(holds);
        Answer::json(
            200,
            pulls.map(|(number, state, _)| shape("pull", json!({ "number": number, "state": state }))).collect(),
        )
    }

    fn list_comments(&self, thread: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let all = state.sayings.comments.iter().filter(|it| it.thread == thread);
        Answer::json(200, all.map(Comment::shaped).collect())
    }

    fn comment(&self, thread: String, body: &Value) -> Answer {
        if characters(&body["body"]) > 65_536 {
            return refuse("body is too long (maximum is 65536 characters)");
        }
        let mut state = self.state.lock().unwrap();
        let id = 900 + state.sayings.comments.len() as u64;
        let made = Comment { id, thread, body: body["body"].as_str().unwrap_or_default().to_owned() };
        let told = made.shaped();
        state.sayings.comments.push(made);
        Answer::json(201, told)
    }

    fn edit_comment(&self, id: Option<u64>, of_commit: bool, body: &Value) -> Answer {
        let mut state = self.state.lock().unwrap();
        let is_it = |it: &&mut Comment| Some(it.id) == id && it.thread.starts_with("commits/") == of_commit;
        let Some(comment) = state.sayings.comments.iter_mut().find(is_it) else { return Answer::not_found() };
        comment.body = body["body"].as_str().unwrap_or_default().to_owned();
        Answer::json(200, comment.shaped())
    }
}
