//! Setting commit statuses, with GitHub's limits and its words where they are passed.

use serde_json::{Value, json};

use super::shapes::shape;
use super::{Answer, Git, Shared, Status};

impl Shared {
    /// Sets a status, or refuses it as GitHub does.
    pub(super) fn set_status(&self, git: &Git, name: &str, sha: &str, body: &[u8]) -> Answer {
        let refuse = |message: &str| {
            let errors = json!([{ "resource": "Status", "code": "custom", "message": message }]);
            Answer::json(422, json!({ "message": "Validation Failed", "errors": errors }))
        };
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Answer::json(400, json!({ "message": "Problems parsing JSON" }));
        };
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        if git.kind(sha).as_deref() != Some("commit") {
            return Answer::json(422, json!({ "message": format!("No commit found for SHA: {sha}") }));
        }
        if !["error", "failure", "pending", "success"].contains(&text("state").as_str()) {
            return refuse("state is not included in the list");
        }
        if text("description").chars().count() > 140 {
            return refuse("description is too long (maximum is 140 characters)");
        }
        let context = if body["context"].is_null() { "default".to_owned() } else { text("context") };
        if context.chars().count() > 255 {
            return refuse("context is too long (maximum is 255 characters)");
        }
        let mut state = self.state.lock().unwrap();
        let same = |it: &&Status| it.sha == sha && it.context.eq_ignore_ascii_case(&context);
        if state.statuses.iter().filter(same).count() >= 1000 {
            return refuse("This SHA and context has reached the maximum number of statuses.");
        }
        let id = state.statuses.len() as u64 + 1;
        let target_url = body["target_url"].as_str().map(str::to_owned);
        let status = Status {
            repository: name.to_owned(),
            sha: sha.to_owned(),
            context,
            state: text("state"),
            description: text("description"),
            target_url,
        };
        let told = json!({ "id": id, "state": status.state, "context": status.context,
                           "description": status.description, "target_url": status.target_url });
        state.statuses.push(status);
        Answer::json(201, shape("status", told))
    }
}
