//! A GitHub of histories alone: heads and comparisons of thousands of commits, out of memory, and what is said of them.
//! For tests of order, which ask for little else, and often.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use landfall::domain::CommitSha;
use serde_json::{Value, json};

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/site\n";

/// Repositories with one branch each.
pub(crate) struct Histories {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    server: ServerHandle,
}

#[derive(Default)]
struct State {
    /// The commit before each.
    parents: BTreeMap<String, Option<String>>,
    /// By repository.
    heads: BTreeMap<String, String>,
    /// The last status of each commit.
    statuses: BTreeMap<String, String>,
    /// The deployments: of which commit, and their last state.
    deployments: Vec<(String, String)>,
}

impl Histories {
    /// One without a repository.
    pub(crate) fn open() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let of_server = state.clone();
        let server = HttpServer::new(move || {
            let state = of_server.clone();
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let mut state = state.lock().unwrap();
                let answer = match serde_json::from_slice::<Value>(&body) {
                    Ok(said) => state.hear(request.uri().path(), &said),
                    Err(_) => state.answer(request.uri().path()),
                };
                std::future::ready(answer)
            }))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, state, server: handle }
    }

    /// A commit upon another one, which becomes its repository's head.
    pub(crate) fn push(&self, repository: &str, parent: Option<&CommitSha>) -> CommitSha {
        let mut state = self.state.lock().unwrap();
        let sha = format!("{:040x}", state.parents.len() + 1);
        state.parents.insert(sha.clone(), parent.map(ToString::to_string));
        state.heads.insert(repository.to_owned(), sha.clone());
        CommitSha::parse(sha).unwrap()
    }

    /// The newest commit of a repository.
    pub(crate) fn head(&self, repository: &str) -> CommitSha {
        CommitSha::parse(self.state.lock().unwrap().heads[repository].clone()).unwrap()
    }

    /// The last status of each commit.
    pub(crate) fn statuses(&self) -> BTreeMap<String, String> {
        self.state.lock().unwrap().statuses.clone()
    }

    /// Each deployment's commit, with its last state.
    pub(crate) fn deployments(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().deployments.clone()
    }

    pub(crate) async fn close(self) {
        self.server.stop(false).await;
    }
}

impl State {
    fn answer(&self, path: &str) -> HttpResponse {
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let ["repos", owner, name, rest @ ..] = path.as_slice() else { return HttpResponse::NotFound().finish() };
        let repository = format!("{owner}/{name}");
        let Some(head) = self.heads.get(&repository) else { return HttpResponse::NotFound().json(json!({})) };
        match rest {
            [] => HttpResponse::Ok().json(json!({ "id": number(&repository), "full_name": repository })),
            ["git", "ref", _] => HttpResponse::Ok()
                .json(json!({ "ref": "refs/heads/main", "object": { "type": "commit", "sha": head } })),
            ["git", "commits", sha] if self.parents.contains_key(*sha) => {
                HttpResponse::Ok().json(json!({ "sha": sha, "message": "A page" }))
            }
            ["compare", both] => HttpResponse::Ok().json(self.compare(both)),
            // Nobody here loses an answer, so that none is looked for.
            ["deployments"] => HttpResponse::Ok().json(json!([])),
            ["contents", _] => HttpResponse::Ok().content_type("application/vnd.github.raw+json").body(APPSPEC),
            _ => HttpResponse::NotFound().json(json!({ "message": "Not Found" })),
        }
    }

    /// Takes what is said of a commit.
    fn hear(&mut self, path: &str, said: &Value) -> HttpResponse {
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        let id = match &path[3..] {
            ["statuses", sha] => {
                self.statuses.insert((*sha).to_owned(), text("state"));
                1
            }
            ["deployments"] => {
                self.deployments.push((text("ref"), "pending".into()));
                self.deployments.len()
            }
            ["deployments", id, "statuses"] => {
                self.deployments[id.parse::<usize>().unwrap() - 1].1 = text("state");
                1
            }
            _ => return HttpResponse::NotFound().json(json!({ "message": "Not Found" })),
        };
        HttpResponse::Created().json(json!({ "id": id }))
    }

    fn compare(&self, both: &str) -> Value {
        let (base, head) = both.split_once("...").unwrap();
        let status = match (self.leads_to(base, head), self.leads_to(head, base)) {
            (true, true) => "identical",
            (true, false) => "ahead",
            (false, true) => "behind",
            (false, false) => "diverged",
        };
        json!({ "status": status })
    }

    fn leads_to(&self, ancestor: &str, of: &str) -> bool {
        let mut at = Some(of.to_owned());
        while let Some(sha) = at {
            if sha == ancestor {
                return true;
            }
            at = self.parents.get(&sha).cloned().flatten();
        }
        false
    }
}

/// The number of a repository: what follows the last letter of its name.
pub(crate) fn number(repository: &str) -> u64 {
    repository.trim_start_matches(|it: char| !it.is_ascii_digit()).parse().unwrap()
}
