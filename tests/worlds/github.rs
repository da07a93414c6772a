//! A GitHub world over HTTP: real bare repositories behind GitHub's paths, rules and refusals.
//!
//! It has two addresses, as GitHub has: the API, which wants the token, and the place where archives lie, which must
//! never see it. It knows nothing of Landfall.

#[path = "github/apps.rs"]
pub(crate) mod apps;
#[path = "github/hooks.rs"]
pub(crate) mod hooks;
#[path = "github/limits.rs"]
mod limits;
#[path = "github/oauth.rs"]
pub(crate) mod oauth;
#[path = "github/people.rs"]
mod people;
#[path = "github/permissions.rs"]
mod permissions;
#[path = "github/sayings.rs"]
mod sayings;
pub(crate) use sayings::Deployment;
#[path = "github/shapes.rs"]
pub(super) mod shapes;
#[path = "github/statuses.rs"]
mod statuses;
#[path = "github/trouble.rs"]
mod trouble;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use futures_util::StreamExt;
use landfall::config::{GitHub, SecretRef};
use serde_json::{Value, json};

#[path = "github/checks.rs"]
mod checks;

use super::github_objects::Git;
use super::repository::Repository;
pub(crate) use trouble::Trouble;

/// What the API and the archives are asked for, as scripts name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Repository,
    Ref,
    Branches,
    Tree,
    Tag,
    Commit,
    Compare,
    Contents,
    Tarball,
    Status,
    /// The statuses of a commit.
    Statuses,
    CheckRuns,
    Hooks,
    Deployment,
    DeploymentState,
    OwnCheck,
    Comment,
    /// On a commit itself.
    CommitComment,
    Pulls,
    /// How far somebody may go.
    Permission,
    /// Another attempt to deliver.
    Redelivery,
    /// The archive itself, at its own address.
    Archive,
}

/// A commit status, as GitHub keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) repository: String,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) target_url: Option<String>,
}

pub(crate) struct GitHubWorld {
    shared: Arc<Shared>,
    servers: Vec<ServerHandle>,
    thread: Option<std::thread::JoinHandle<()>>,
    dir: tempfile::TempDir,
}

struct Shared {
    state: Mutex<State>,
    /// Where the bare repositories lie, as `owner/name.git`.
    root: PathBuf,
    api: String,
    archives: String,
}

#[derive(Default)]
struct State {
    token: String,
    /// By number: a repository keeps it when it is renamed.
    repositories: BTreeMap<u64, String>,
    renamed: BTreeMap<String, u64>,
    statuses: Vec<Status>,
    check_runs: Vec<checks::CheckRun>,
    sayings: sayings::Sayings,
    people: people::People,
    oauth: oauth::OAuth,
    script: BTreeMap<Route, VecDeque<Trouble>>,
    apps: apps::Apps,
    /// The scopes of the token, where it is a classic one.
    scopes: Option<String>,
    /// What a fine-grained token was not given.
    withheld: Vec<&'static str>,
    /// How many requests are left, where that is counted.
    limit: Option<limits::Limit>,
    hooks: hooks::Hooks,
    requests: Vec<String>,
    /// What must never happen.
    faults: Vec<String>,
}

pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut_after: Option<usize>,
}

impl State {
    fn number(&self, name: &str) -> u64 {
        *self.repositories.iter().find(|(_, it)| *it == name).unwrap().0
    }
}

impl GitHubWorld {
    /// A world with no repository, whose token lies in a file.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (api, archives) = (listen(), listen());
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            root: dir.path().to_owned(),
            // As an Enterprise server has it: beneath a path.
            api: format!("http://{}/api/v3", api.local_addr().unwrap()),
            archives: format!("http://{}", archives.local_addr().unwrap()),
        });
        let (told, hear) = std::sync::mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let serve = |listener, asked_for: fn(&Shared, &Asked) -> Answer| {
                    let shared = Arc::clone(&of_thread);
                    HttpServer::new(move || {
                        let shared = Arc::clone(&shared);
                        App::new().default_service(web::to(move |request, body| {
                            respond(Arc::clone(&shared), asked_for, request, body)
                        }))
                    })
                    .workers(1)
                    .disable_signals()
                    .shutdown_timeout(0)
                    .listen(listener)
                    .unwrap()
                    .run()
                };
                let (api, archives) = (serve(api, Shared::api), serve(archives, Shared::archive));
                told.send(vec![api.handle(), archives.handle()]).unwrap();
                let _ = futures_util::future::join(api, archives).await;
            });
        });
        let this = Self { shared, servers: hear.recv().unwrap(), thread: Some(thread), dir };
        this.set_token("ghp_first");
        std::fs::write(this.token_file(), "ghp_first\n").unwrap();
        this
    }

    /// What a configuration says of this world.
    pub(crate) fn config(&self) -> GitHub {
        let token = Some(SecretRef::File(self.token_file()));
        GitHub { token, ..GitHub::at(&self.shared.api) }
    }

    /// The file that holds the token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    /// The only token that is accepted from now on.
    pub(crate) fn set_token(&self, token: &str) {
        self.shared.state.lock().unwrap().token = token.to_owned();
    }

    /// A new, empty, private repository, and a working copy of it.
    pub(crate) fn repository(&self, name: &str) -> Repository {
        let mut state = self.shared.state.lock().unwrap();
        // A new repository takes a name over from one that was renamed.
        state.renamed.remove(name);
        let id = 1_000 + state.repositories.len() as u64;
        state.repositories.insert(id, name.to_owned());
        Repository::with_bare(&self.dir.path().join(format!("{name}.git")))
    }

    /// Gives a repository another name. The old one leads to it.
    pub(crate) fn rename(&self, old: &str, new: &str) {
        let mut state = self.shared.state.lock().unwrap();
        let id = state.number(old);
        state.repositories.insert(id, new.to_owned());
        state.renamed.insert(old.to_owned(), id);
        let path = |name| self.dir.path().join(format!("{name}.git"));
        std::fs::create_dir_all(path(new).parent().unwrap()).unwrap();
        std::fs::rename(path(old), path(new)).unwrap();
    }

    /// Where the repository of this name lies.
    pub(crate) fn bare(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.git"))
    }

    /// What the next requests of a route meet, one each.
    pub(crate) fn script(&self, route: Route, troubles: impl IntoIterator<Item = Trouble>) {
        self.shared.state.lock().unwrap().script.entry(route).or_default().extend(troubles);
    }

    /// From now on nothing goes wrong with a route.
    pub(crate) fn mend(&self, route: Route) {
        self.shared.state.lock().unwrap().script.remove(&route);
    }

    /// All statuses, in the order they came.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.shared.state.lock().unwrap().statuses.clone()
    }

    /// As if this many statuses had been set before.
    pub(crate) fn fill_statuses(&self, status: &Status, count: usize) {
        self.shared.state.lock().unwrap().statuses.extend(std::iter::repeat_n(status.clone(), count));
    }

    /// All requests so far: `GET /repos/acme/blog/git/ref/heads/main: 200`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().requests.clone()
    }
}

impl Drop for GitHubWorld {
    fn drop(&mut self) {
        for server in &self.servers {
            // The order is given at once; what is left is to wait for the thread.
            drop(server.stop(false));
        }
        let _ = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            let faults = std::mem::take(&mut self.shared.state.lock().unwrap().faults);
            assert!(faults.is_empty(), "GitHub saw what it must not see: {faults:#?}");
        }
    }
}

/// One request, taken apart.
struct Asked {
    method: String,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn respond(
    shared: Arc<Shared>,
    answer: fn(&Shared, &Asked) -> Answer,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    // Decoded segment by segment: a slash within a ref or a path arrives escaped.
    let decode = |text: &str| {
        let text = text.replace('+', "%2B");
        let (decoded, _) = form_urlencoded::parse(text.as_bytes()).next().unwrap_or_default();
        decoded.into_owned()
    };
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().split('/').skip(1).map(decode).collect(),
        query: form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect(),
        headers: request.headers().clone(),
        body: body.to_vec(),
    };
    let Answer { status, headers, body, cut_after } = web::block(move || {
        let mut answer = answer(&shared, &asked);
        if let Some(limit) = shared.state.lock().unwrap().limit.as_mut().filter(|_| asked.path[0] == "api") {
            answer = limit.counted(&asked, answer);
        }
        let line = format!("{} /{}: {}", asked.method, asked.path.join("/"), answer.status);
        let mut state = shared.state.lock().unwrap();
        state.requests.push(line);
        match state.apps.date() {
            Some(date) => answer.with("date", date),
            None => answer,
        }
    })
    .await
    .unwrap();
    let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    for header in headers {
        response.insert_header(header);
    }
    let cut = cut_after.map(|at| at.min(body.len()));
    let sent = body[..cut.unwrap_or(body.len())].chunks(16 << 10).map(|it| Ok(it.to_vec().into()));
    let end = cut.map(|_| async {
        // What came before is sent first, only then does the connection break.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    let end = futures_util::stream::iter(end).then(|broken| broken);
    response.streaming(futures_util::stream::iter(sent.collect::<Vec<_>>()).chain(end))
}

impl Shared {
    fn api(&self, asked: &Asked) -> Answer {
        let problem = |status, message: &str| Answer::json(status, json!({ "message": message }));
        let header = |name: &str| asked.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        if header("user-agent").is_empty() || asked.headers.get_all("user-agent").count() != 1 {
            return problem(403, "Request forbidden by administrative rules. One User-Agent header, please.");
        }
        if asked.path[0] == "login" {
            return self.login(asked);
        }
        if header("x-github-api-version") != "2022-11-28" {
            return problem(400, "say which version of the API is meant");
        }
        let authorization = header("authorization").to_owned();
        let bearer = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        if let Some(answer) = self.shown_to_person(bearer, &path) {
            return answer;
        }
        let mut state = self.state.lock().unwrap();
        let State { apps, hooks, .. } = &mut *state;
        if let Some(answer) = apps.answer(asked, bearer, hooks) {
            return answer;
        }
        let shown = match state.apps.shown(bearer) {
            Some(shown) => shown,
            None if authorization.is_empty() || bearer == state.token => apps::Shown::Token(state.withheld.clone()),
            None => return problem(401, "Bad credentials"),
        };
        let (name, rest) = match path.as_slice() {
            ["api", "v3", "repos", owner, name, rest @ ..] => (format!("{owner}/{name}"), rest),
            ["api", "v3", "repositories", id, rest @ ..] => {
                (state.repositories.get(&id.parse().unwrap()).cloned().unwrap_or_default(), rest)
            }
            ["api", "v3", "orgs", name, rest @ ..] if state.hooks.has(name) => {
                let Some((_, answer)) = state.hooks.route(asked, name, rest) else { return problem(404, "Not Found") };
                return shown.refusal(None, "organization_hooks", "read").unwrap_or_else(answer);
            }
            ["api", "v3", "orgs", name, rest @ ..] => {
                drop(state);
                return shown.refusal(None, "members", "read").unwrap_or_else(|| self.membership(name, rest));
            }
            _ => return problem(404, "Not Found"),
        };
        if let Some(id) = state.renamed.get(&name) {
            let status = if asked.method == "GET" { 301 } else { 307 };
            let encoded: String = rest.iter().map(|it| format!("/{}", it.replace('/', "%2F"))).collect();
            let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(&asked.query).finish();
            let location = format!("{}/repositories/{id}{encoded}?{query}", self.api);
            return problem(status, "Moved Permanently").with("location", location);
        }
        let known = state.repositories.values().any(|it| *it == name);
        drop(state);
        if !known || authorization.is_empty() {
            return problem(404, "Not Found");
        }
        let told = self.saying(asked, &name, rest).or_else(|| self.person(asked, rest));
        let told = told.or_else(|| self.route(asked, &name, rest));
        let Some((route, answer)) = told else { return problem(404, "Not Found") };
        let (key, access) = route.needs();
        if let Some(refusal) = shown.refusal(Some(&name), key, access) {
            return refusal;
        }
        self.trouble(route, Some(bearer), answer)
    }

    /// The route, and what it does when nothing goes wrong.
    fn route<'a>(&'a self, asked: &'a Asked, name: &'a str, rest: &[&'a str]) -> Option<(Route, Work<'a>)> {
        if let Some(found) = self.state.lock().unwrap().hooks.route(asked, name, rest) {
            return Some(found);
        }
        let git = Git(self.root.join(format!("{name}.git")));
        Some(match (asked.method.as_str(), rest) {
            ("GET", []) => (Route::Repository, Box::new(move || self.about(name))),
            ("GET", ["git", "ref", reference]) => (Route::Ref, work(git, reference, Git::reference)),
            ("GET", ["branches"]) => {
                let number = |key: &str| asked.query.get(key).map_or(1, |it| it.parse().unwrap());
                let (page, size) = (number("page"), number("per_page"));
                (Route::Branches, Box::new(move || git.branches(page, size)))
            }
            ("GET", ["branches", branch]) => {
                let (old, id) = ((*branch).to_owned(), self.state.lock().unwrap().number(name));
                (Route::Branches, Box::new(move || git.branch(&old, &format!("{}/repositories/{id}", self.api))))
            }
            ("GET", ["git", "trees", sha]) => (Route::Tree, work(git, sha, Git::tree)),
            ("GET", ["git", "tags", sha]) => (Route::Tag, work(git, sha, Git::tag)),
            ("GET", ["commits"]) => {
                let number = |key: &str| asked.query.get(key).map_or(1, |it| it.parse().unwrap());
                let (head, page, size) = (asked.query["sha"].clone(), number("page"), number("per_page"));
                (Route::Commit, Box::new(move || git.commits(&head, page, size)))
            }
            ("GET", ["commits", named]) => (Route::Commit, work(git, named, Git::named)),
            ("GET", ["git", "commits", sha]) => (Route::Commit, work(git, sha, Git::commit)),
            ("GET", ["compare", basehead]) => {
                let (basehead, page) = ((*basehead).to_owned(), asked.query.get("page").cloned());
                (Route::Compare, Box::new(move || git.compare(&basehead, page.is_none_or(|it| it == "1"))))
            }
            ("GET", ["contents", path]) => {
                let revision = asked.query.get("ref").map_or("HEAD", String::as_str);
                let path = (*path).to_owned();
                (Route::Contents, Box::new(move || git.contents(revision, &path)))
            }
            ("GET", ["tarball", revision]) => {
                let location = format!("{}/{name}/legacy.tar.gz/{revision}?token=SHORTLIVED", self.archives);
                let moved = move || Answer::json(302, json!({})).with("location", location.clone());
                (Route::Tarball, Box::new(moved))
            }
            ("GET", ["commits", sha, kind]) => return self.checks(asked, sha, kind),
            ("POST", ["statuses", sha]) => {
                let sha = (*sha).to_owned();
                (Route::Status, Box::new(move || self.set_status(&git, name, &sha, &asked.body)))
            }
            _ => return None,
        })
    }

    fn archive(&self, asked: &Asked) -> Answer {
        if asked.headers.contains_key(AUTHORIZATION) || asked.headers.contains_key("referer") {
            let fault = format!("the archives' address was sent the token or the API's address: {:?}", asked.path);
            self.state.lock().unwrap().faults.push(fault);
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let [owner, name, "legacy.tar.gz", sha] = path.as_slice() else { return Answer::json(404, json!({})) };
        if asked.query.get("token").map(String::as_str) != Some("SHORTLIVED") {
            return Answer::json(404, json!({}));
        }
        let git = Git(self.root.join(format!("{owner}/{name}.git")));
        let prefix = format!("--prefix={owner}-{name}-{}/", &sha[..7.min(sha.len())]);
        let archived = || match git.run(&["archive", "--format=tar.gz", &prefix, sha]) {
            Some(body) => Answer::bytes("application/x-gzip", body),
            None => Answer { status: 404, ..Answer::bytes("text/plain", b"404: Not Found".to_vec()) },
        };
        self.trouble(Route::Archive, None, Box::new(archived))
    }

    fn about(&self, name: &str) -> Answer {
        let state = self.state.lock().unwrap();
        let id = state.repositories.iter().find(|(_, it)| *it == name).map(|(id, _)| *id);
        let about = json!({ "id": id, "full_name": name, "private": true, "default_branch": "main" });
        match state.scopes.clone() {
            Some(scopes) => Answer::json(200, about).with("x-oauth-scopes", scopes),
            None => Answer::json(200, about),
        }
    }
}

type Work<'a> = Box<dyn FnOnce() -> Answer + 'a>;

fn work<'a>(git: Git, name: &str, answer: fn(&Git, &str) -> Answer) -> Work<'a> {
    let name = name.to_owned();
    Box::new(move || answer(&git, &name))
}

impl Answer {
    pub(super) fn bytes(kind: &str, body: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("content-type", kind.to_owned())], body, cut_after: None }
    }

    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, ..Self::bytes("application/json; charset=utf-8", body.to_string().into_bytes()) }
    }

    pub(super) fn not_found() -> Self {
        Self::json(404, json!({ "message": "Not Found", "status": "404" }))
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
