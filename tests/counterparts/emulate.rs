//! A GitHub that others wrote: `emulate`, whose repositories have real commits, and which signs and sends webhooks of
//! what happens there by itself. It has no statuses, deployments and archives.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use landfall::clients::github::GitHubClients;
use landfall::clients::{Clock, process};
use landfall::config::{GitHub, GitHubApp, SecretRef};
use landfall::domain::{CommitSha, NoDeployment, RefName, Relation};
use landfall::source::{Source, Sources};
use reqwest::Method;
use serde_json::{Value, json};

use crate::octokit::Door;
use crate::worlds::push::SECRET;
use crate::worlds::target::target;

const TOKEN: &str = "tok_acme";

/// The emulator, ended with its test.
struct Emulate {
    url: String,
    /// The private keys that it made for its Apps, in PEM.
    keys: HashMap<String, String>,
    child: Child,
    client: reqwest::Client,
}

impl Emulate {
    /// With the repository `acme/shop`, which has one commit on `main`, and `more` in its seed.
    fn start(more: Value) -> Self {
        let mut github = json!({
            "users": [{ "login": "acme" }],
            "repos": [{ "owner": "acme", "name": "shop", "auto_init": true }],
        });
        github.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let seed = json!({ "github": github, "tokens": { TOKEN: { "login": "acme", "scopes": ["repo"] } } });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/emulate.js");
        let mut child = process::blocking_program(crate::counterpart("LANDFALL_TEST_NEW_NODE"))
            .args([script, &crate::counterpart("LANDFALL_TEST_NODE_DIR")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "{seed}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let keys = serde_json::from_value(told["keys"].clone()).unwrap();
        Self { url: told["url"].as_str().unwrap().to_owned(), keys, child, client }
    }

    /// What the bot reads it by.
    fn source(&self, apps: Vec<GitHubApp>) -> Source {
        let github = GitHub { apps, ..GitHub::at(&self.url) };
        let clients = GitHubClients::new(&github, Clock::system()).unwrap();
        Sources::new("/nowhere", clients).of(&target("shop", "acme/shop"))
    }

    /// Asks as somebody who may do everything with `acme/shop`.
    async fn asks(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/repos/acme/shop/{path}", self.url);
        let answer = self.client.request(method, url).bearer_auth(TOKEN).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// A commit to `branch` that writes one file: its id.
    async fn commits(&self, branch: &str, file: &str, text: &str) -> CommitSha {
        let content = BASE64.encode(text);
        let body = json!({ "message": format!("Write {file}"), "content": content, "branch": branch });
        let told = self.asks(Method::PUT, &format!("contents/{file}"), body).await;
        CommitSha::parse(told["commit"]["sha"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Emulate {
    fn drop(&mut self) {
        // It ends with its input; whatever it does, nothing outlives the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIGURATION: &str = r#"
data_dir = "DIR"
[github]
webhook_secrets = [{ file = "DIR/secret" }]
[[target]]
name = "shop"
repository = "acme/shop"
branches = ["main"]
[target.engine]
kind = "host"
"#;

/// It sends less than GitHub does (no `pusher`, `created`, `deleted`, `forced`), and nothing twice the same id.
#[tokio::test]
async fn a_commit_there_is_signed_sent_and_planned() {
    let (github, door) = (Emulate::start(json!({})), Door::open_for(CONFIGURATION));
    let config = json!({ "url": door.url, "content_type": "json", "secret": SECRET });
    let hook = json!({ "name": "web", "active": true, "events": ["push"], "config": config });
    github.asks(Method::POST, "hooks", hook).await;
    let first = github.commits("main", "appspec.yml", "version: 0.0\n").await;
    let start = json!({ "ref": "refs/heads/side", "sha": first.as_str() });
    github.asks(Method::POST, "git/refs", start).await;
    let side = github.commits("side", "index.html", "side\n").await;

    let delivered = async || github.asks(Method::GET, "hooks/1/deliveries", Value::Null).await;
    let planned = |sha: &CommitSha| {
        let plans = door.ledger.plans_of(sha).unwrap();
        plans.into_iter().map(|(_, line)| (line.deployment.is_some(), line.nothing)).collect::<Vec<_>>()
    };
    // It answers a commit before its webhook is delivered.
    let both = async {
        while planned(&first).is_empty() || planned(&side).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(20), both).await;
    assert!(came.is_ok(), "{:#}", delivered().await);
    assert_eq!(planned(&first), [(true, None)], "by the one rule that there is");
    let reference = RefName::parse("refs/heads/side").unwrap();
    assert_eq!(planned(&side), [(false, Some(NoDeployment::NotMapped { reference }))]);
    let log = delivered().await;
    let told: Vec<_> = log.as_array().unwrap().iter().map(|it| (&it["event"], &it["status"])).collect();
    assert!(told.contains(&(&json!("push"), &json!("OK"))), "{log:#}");
    door.close().await;
}

#[tokio::test]
async fn the_source_reads_its_refs_commits_and_files() {
    let github = Emulate::start(json!({}));
    let source = github.source(vec![]);
    let main = RefName::parse("refs/heads/main").unwrap();
    let head = async || source.head(&main).await.unwrap().unwrap().commit;
    let before = head().await;
    let first = github.commits("main", "appspec.yml", "version: 0.0\n").await;
    let second = github.commits("main", "web/index.html", "two\n").await;
    assert_eq!(head().await, second);
    assert_eq!(source.relation(&first, &second).await, Ok(Relation::Ancestor));
    assert_eq!(source.relation(&second, &first).await, Ok(Relation::Descendant));
    assert_eq!(source.relation(&second, &second).await, Ok(Relation::Same));
    assert_eq!(source.peek(&second, "appspec.yml").await, Ok(Some("version: 0.0\n".into())));
    assert_eq!(source.peek(&before, "appspec.yml").await, Ok(None));
    assert_eq!(source.named(&second, "index.html").await, Ok(vec!["web/index.html".to_owned()]));
    assert_eq!(source.branches().await, Ok(vec![(main.clone(), second.clone())]));

    // The branch goes back, and takes another way.
    github.asks(Method::PATCH, "git/refs/heads/main", json!({ "sha": first.as_str(), "force": true })).await;
    let other = github.commits("main", "web/index.html", "another\n").await;
    assert_eq!(head().await, other);
    assert_eq!(source.relation(&second, &other).await, Ok(Relation::Diverged));

    let tag = json!({ "tag": "v1", "message": "One", "object": first.as_str(), "type": "commit" });
    let tag = github.asks(Method::POST, "git/tags", tag).await["sha"].as_str().unwrap().to_owned();
    github.asks(Method::POST, "git/refs", json!({ "ref": "refs/tags/v1", "sha": tag })).await;
    let head = source.head(&RefName::parse("refs/tags/v1").unwrap()).await.unwrap().unwrap();
    assert_eq!((head.object.as_str(), &head.commit), (tag.as_str(), &first), "an annotated tag is peeled");
    assert_eq!(source.peel(&head.object).await, Ok(Some(first)));
    assert_eq!(source.head(&RefName::parse("refs/heads/gone").unwrap()).await, Ok(None));
}

/// It reads the JWT with the App's public key, as GitHub does, and gives a token that may do what it was asked for.
#[tokio::test]
async fn an_app_reads_in_its_own_name_and_no_more_than_it_asked_for() {
    let app = json!({ "app_id": 7, "slug": "landfall", "name": "Landfall", "events": ["push"],
        "permissions": { "contents": "write", "metadata": "read", "statuses": "write", "issues": "write" },
        "installations": [{ "installation_id": 9, "account": "acme" }] });
    let github = Emulate::start(json!({ "apps": [app] }));
    let head = github.commits("main", "appspec.yml", "version: 0.0\n").await;
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), &github.keys["7"]).unwrap();
    let repositories = vec!["acme/*".into()];
    let private_key = SecretRef::File(key.path().into());
    let source = github.source(vec![GitHubApp { repositories, id: 7, private_key, installation: None }]);
    let main = RefName::parse("refs/heads/main").unwrap();
    assert_eq!(source.head(&main).await.unwrap().unwrap().commit, head);
    let tokens = github.client.get(format!("{}/_emulate/installation-tokens", github.url)).send().await.unwrap();
    let tokens: Value = tokens.json().await.unwrap();
    let [token] = &tokens["installation_tokens"].as_array().unwrap()[..] else { panic!("one token: {tokens:#}") };
    assert_eq!(token["permissions"], json!({ "contents": "read", "statuses": "write" }), "what a target needs");
    assert_eq!((&token["repository_selection"], &token["repository_ids"]), (&json!("selected"), &json!([1])));
}
