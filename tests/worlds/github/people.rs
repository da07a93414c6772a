//! Who people are at a GitHub world: collaborators and their levels, teams, pull requests whose heads they push, and what
//! signs stand at comments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Asked, GitHubWorld, Route, Shared, Work};

/// All that is known of people.
#[derive(Default)]
pub(super) struct People {
    /// Login to `role_name`.
    levels: BTreeMap<String, String>,
    /// `organisation/team/login` to the state of the membership.
    pub(super) members: BTreeMap<String, String>,
    /// Pull requests by number, as GitHub tells them.
    heads: BTreeMap<u64, Value>,
    /// `issues/comments/12` or `comments/12`, and the sign.
    signs: Vec<(String, String)>,
}

impl GitHubWorld {
    /// Somebody has this role at every repository.
    pub(crate) fn collaborator(&self, login: &str, role: &str) {
        self.shared.state.lock().unwrap().people.levels.insert(login.into(), role.into());
    }

    /// Somebody is, or was asked to be, in a team.
    pub(crate) fn member(&self, team: &str, login: &str, state: &str) {
        self.shared.state.lock().unwrap().people.members.insert(format!("{team}/{login}"), state.into());
    }

    /// A pull request with this head, from a repository.
    pub(crate) fn pull_from(&self, number: u64, repository: &str, branch: &str, sha: &str) {
        let told = json!({ "number": number, "state": "open", "merged": false, "merge_commit_sha": null,
            "head": { "ref": branch, "sha": sha, "repo": { "full_name": repository } } });
        self.shared.state.lock().unwrap().people.heads.insert(number, told);
    }

    /// That pull request was merged, as this commit.
    pub(crate) fn merge_pull(&self, number: u64, sha: &str) {
        let mut state = self.shared.state.lock().unwrap();
        let told = state.people.heads.get_mut(&number).unwrap();
        (told["merged"], told["state"], told["merge_commit_sha"]) = (true.into(), "closed".into(), sha.into());
    }

    /// The signs at comments since the world began: where and which.
    pub(crate) fn signs(&self) -> Vec<(String, String)> {
        self.shared.state.lock().unwrap().people.signs.clone()
    }
}

/// `read` of `triage`, `write` of `maintain`: GitHub tells of older words beside the newer.
fn permission(role: &str) -> &str {
    match role {
        "triage" => "read",
        "maintain" => "write",
        other => other,
    }
}

impl Shared {
    /// The route, and what it does when nothing goes wrong.
    pub(super) fn person<'a>(&'a self, asked: &'a Asked, rest: &[&'a str]) -> Option<(Route, Work<'a>)> {
        Some(match (asked.method.as_str(), rest) {
            ("GET", ["collaborators", login, "permission"]) => {
                let login = (*login).to_owned();
                (Route::Permission, Box::new(move || self.permission_of(&login)))
            }
            ("GET", ["pulls", number]) => {
                let number: u64 = number.parse().ok()?;
                (Route::Pulls, Box::new(move || self.head_of(number)))
            }
            ("POST", [comments @ .., id, "reactions"]) if comments.last() == Some(&"comments") => {
                let at = format!("{}/{id}", comments.join("/"));
                let route = if comments.len() == 2 { Route::Comment } else { Route::CommitComment };
                (route, Box::new(move || self.sign(at, &asked.body)))
            }
            _ => return None,
        })
    }

    /// `GET /orgs/{org}/teams/{team}/memberships/{login}`.
    pub(super) fn membership(&self, organisation: &str, rest: &[&str]) -> Answer {
        let ["teams", team, "memberships", login] = rest else { return Answer::not_found() };
        let state = self.state.lock().unwrap();
        match state.people.members.get(&format!("{organisation}/{team}/{login}")) {
            Some(state) => Answer::json(200, json!({ "state": state, "role": "member", "url": "" })),
            None => Answer::not_found(),
        }
    }

    fn permission_of(&self, login: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let Some(role) = state.people.levels.get(login) else { return Answer::not_found() };
        let told = json!({ "permission": permission(role), "role_name": role, "user": { "login": login } });
        Answer::json(200, told)
    }

    fn head_of(&self, number: u64) -> Answer {
        let state = self.state.lock().unwrap();
        state.people.heads.get(&number).map_or_else(Answer::not_found, |it| Answer::json(200, it.clone()))
    }

    fn sign(&self, at: String, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let content = body["content"].as_str().unwrap_or_default();
        let known = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];
        if !known.contains(&content) {
            return Answer::json(422, json!({ "message": "Validation Failed" }));
        }
        let mut state = self.state.lock().unwrap();
        state.people.signs.push((at, content.to_owned()));
        Answer::json(201, json!({ "id": state.people.signs.len(), "content": content }))
    }
}
