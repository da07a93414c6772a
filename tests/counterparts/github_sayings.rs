//! What we say to GitHub, and what our GitHub world answers: both go through Prism, which holds them against GitHub's own
//! OpenAPI description.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use landfall::clients::github::GitHubClients;
use landfall::clients::process;
use landfall::config::GitHub;
use landfall::domain::{
    CommitSha, DeploymentEvent as E, DeploymentId, Failure, Finding, Findings, Place, RefName, Target,
};
use landfall::report::{Reports, Sink};
use landfall::source::Sources;

use crate::worlds::deployments::World;
use crate::worlds::target::target;

/// A proxy before a world, ended with its test.
struct Prism {
    url: String,
    child: Child,
    log: tempfile::NamedTempFile,
}

impl Prism {
    fn before(upstream: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = format!("{}/node_modules/.bin/prism", crate::counterpart("LANDFALL_TEST_NODE_DIR"));
        let described = crate::counterpart("LANDFALL_TEST_GITHUB_OPENAPI");
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = process::blocking_program("node")
            .args([&program, "proxy", "-h", "127.0.0.1", "-p", &port.to_string(), &described, upstream])
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { url: format!("http://127.0.0.1:{port}"), child, log };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return this;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Prism listens within a minute");
    }

    /// What it saw, and what of that is not as GitHub describes it.
    fn judged(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let after = |line: &str, what: &str| line.split_once(what).map(|(_, rest)| rest.trim().to_owned());
        let (mut asked, mut wrong, mut now) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for line in std::fs::read_to_string(self.log.path()).unwrap().lines() {
            if let Some(request) = after(line, "[HTTP SERVER] ") {
                let words = request.split_whitespace().take(2).map(str::to_owned);
                now = words.collect::<Vec<_>>().join(" ");
                asked.insert(kind(&now));
            }
            wrong.extend(after(line, "Violation: ").map(|why| format!("{now}: {why}")));
        }
        (asked, wrong)
    }
}

/// What is asked, and an answer that has the right form and nothing in it.
const ASKED: [(&str, &str); 19] = [
    ("get /repos/acme/blog/commits", "[{}]"),
    ("get /repos/acme/blog/commits/X/check-runs", "{}"),
    ("get /repos/acme/blog/commits/X/comments", "[{}]"),
    ("get /repos/acme/blog/commits/X/pulls", "[{}]"),
    ("get /repos/acme/blog/commits/X/status", "{}"),
    ("get /repos/acme/blog/compare/X", "{}"),
    ("get /repos/acme/blog/deployments", "[{}]"),
    ("get /repos/acme/blog/git/ref/heads%2Fmain", "{}"),
    ("get /repos/acme/blog/installation", "{}"),
    ("get /repos/acme/blog/issues/X/comments", "[{}]"),
    ("patch /repos/acme/blog/comments/X", "{}"),
    ("patch /repos/acme/blog/issues/comments/X", "{}"),
    ("post /app/installations/X/access_tokens", "{}"),
    ("post /repos/acme/blog/check-runs", "{}"),
    ("post /repos/acme/blog/commits/X/comments", "{}"),
    ("post /repos/acme/blog/deployments", "{}"),
    ("post /repos/acme/blog/deployments/X/statuses", "{}"),
    ("post /repos/acme/blog/issues/X/comments", "{}"),
    ("post /repos/acme/blog/statuses/X", "{}"),
];

/// A request without what it is about.
fn kind(request: &str) -> String {
    let is_name = |it: &&str| it.bytes().all(|it| it.is_ascii_digit()) || it.len() == 40 || it.contains("...");
    let words = request.split('/').map(|it| if is_name(&it) && !it.is_empty() { "X" } else { it });
    words.collect::<Vec<_>>().join("/")
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MAY: &[(&str, &str)] = &[
    ("contents", "read"),
    ("statuses", "write"),
    ("checks", "write"),
    ("deployments", "write"),
    ("pull_requests", "write"),
];

fn failure(lines: u32) -> Failure {
    let place = |line| Place { file: "appspec.yml".into(), line, column: 3, length: 4 };
    let found =
        |line| Finding::error("appspec/unknown-key", "unknown key `hook`").at(place(line)).help("write `hooks`");
    Failure::revision("x/y", "`a.sh` ended with exit code 1").findings(&Findings((1..=lines).map(found).collect()))
}

impl World {
    /// A deployment that has begun, of a commit in an open pull request or in none.
    async fn begun(&self, reports: &mut Reports, title: &str, pull: Option<u64>) -> DeploymentId {
        let sha = self.repository.commit_and_push(title, &[(title, title)]);
        if let Some(pull) = pull {
            self.github.pull(pull, "open", &[sha.as_str()]);
        }
        let change = |target: &mut Target| {
            target.github.comments = true;
            target.github.environment_url = Some("https://blog.example.com/{short_sha}".into());
        };
        let id = self.plan_with("refs/heads/main", &sha, change).await;
        reports.run_to_idle().await.unwrap();
        self.run_with(id, &sha, vec![Finding::warning("bundle/script-mode", "it is not executable")]).await;
        self.progress(id, "Install").await;
        self.told_on(reports).await;
        id
    }

    /// Everything that there is to say, with the seconds that lie between.
    async fn told_on(&self, reports: &mut Reports) {
        self.seconds(1);
        reports.run_to_idle().await.unwrap();
    }
}

#[tokio::test]
async fn whatever_is_said_and_answered_is_what_github_describes() {
    let world = World::new();
    let prism = Prism::before(&world.github.config().api_url);
    let config = GitHub { api_url: prism.url.clone(), ..world.app(MAY) };
    // Only a token may comment on a commit that is in no pull request.
    let token = GitHub { apps: vec![], ..config.clone() };
    let clients = GitHubClients::new(&config, world.clock.clone()).unwrap();
    for (title, pull, config) in [("alone", None, &token), ("pulled", Some(7), &config)] {
        let clients = GitHubClients::new(config, world.clock.clone()).unwrap();
        let mut reports = world.reports_to(Sink::all(&clients));
        let id = world.begun(&mut reports, title, pull).await;
        world.append(id, E::Failed { failure: failure(60) }).await;
        world.told_on(&mut reports).await;
        world.append(id, E::RollbackBegun { by: id, to: None }).await;
        world.told_on(&mut reports).await;
    }
    let mut reports = world.reports_to(Sink::all(&clients));
    for title in ["first", "second"] {
        let id = world.begun(&mut reports, title, None).await;
        world.succeed(id).await;
        world.told_on(&mut reports).await;
    }
    let source = Sources::new("/nowhere", clients).of(&target("blog", "acme/blog"));
    let head = source.head(&RefName::parse("refs/heads/main").unwrap()).await.unwrap().unwrap().commit;
    let first = CommitSha::parse(world.repository.git(&["rev-list", "--max-parents=0", "HEAD"])).unwrap();
    source.between(&first, &head, &|_| true).await.unwrap();
    source.changed(&first, &head).await.unwrap();
    source.checks(&head).await.unwrap();
    let (asked, wrong) = prism.judged();
    assert_eq!(wrong, BTreeSet::new());
    assert_eq!(asked, ASKED.map(|(asked, _)| asked.to_owned()).into());
}

/// Prism passes over what it cannot read without a word: what it finds nothing wrong with is looked at here.
#[tokio::test]
async fn the_judge_sees_what_is_missing_in_each_of_these() {
    let upstream = actix_web::HttpServer::new(|| {
        actix_web::App::new().default_service(actix_web::web::to(|request: actix_web::HttpRequest| async move {
            let header = |name| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
            let status = if request.method() == "POST" { 201 } else { 200 };
            let status = actix_web::http::StatusCode::from_u16(status).unwrap();
            actix_web::HttpResponse::build(status).content_type("application/json").body(header("x-answer"))
        }))
    });
    let upstream = upstream.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", upstream.addrs()[0]);
    let server = upstream.run();
    let handle = server.handle();
    tokio::spawn(server);
    let prism = Prism::before(&address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (asked, answer) in ASKED {
        let (method, path) = asked.split_once(' ').unwrap();
        let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let url = format!("{}{}", prism.url, path.replace('X', "1"));
        let request =
            client.request(method.clone(), url).header("accept", "application/json").header("x-answer", answer);
        let request = if method == reqwest::Method::GET { request } else { request.json(&serde_json::json!({})) };
        request.send().await.unwrap();
    }
    handle.stop(false).await;
    let (_, wrong) = prism.judged();
    let is_seen = |asked: &str, what: &str| {
        let begin = format!("{}: {what}", asked.replace('X', "1"));
        wrong.iter().any(|it| it.starts_with(&begin))
    };
    for (asked, _) in ASKED {
        assert!(is_seen(asked, "response.body"), "{asked}: {wrong:#?}");
        // A token may be asked for without a word.
        let is_request_free = asked.starts_with("get") || asked.ends_with("access_tokens");
        assert!(is_request_free || is_seen(asked, "request"), "{asked}: {wrong:#?}");
    }
}
