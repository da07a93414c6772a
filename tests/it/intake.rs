//! The door: webhooks over real HTTP, as GitHub sends them and as it does not.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

use std::sync::Arc;

use actix_web::{App, HttpServer};
use expect_test::expect;
use landfall::clients::Clock;
use landfall::config::{Config, Environment};
use landfall::intake::{IntakeState, LARGEST_BODY, routes};
use landfall::ledger::{Ledger, Options};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::worlds::push::{self, signature as sign};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

const CONFIG: &str = r#"
data_dir = "data"
[server]
bodies_in_flight = "30MiB"
[ledger]
reserve = "0"
[github]
webhook_secrets = [{ file = "old" }, { file = "new" }]
[[github.hooks]]
repositories = ["acme/*"]
secrets = [{ file = "bound" }]
[[target]]
name = "blog"
repository = "acme/blog"
branches = ["main"]
[target.engine]
kind = "host"
[[target]]
name = "docs"
repository = "acme/blog"
branches = ["main"]
paths = ["docs/**"]
[target.engine]
kind = "host"
"#;

/// A door of its own, with a ledger of its own.
pub(crate) struct Door {
    pub(crate) url: String,
    server: actix_web::dev::ServerHandle,
    pub(crate) ledger: Ledger,
    dir: TempDir,
}

impl Door {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for secret in ["old", "new", "bound"] {
            std::fs::write(dir.path().join(secret), secret).unwrap();
        }
        let config = Config::parse(CONFIG, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let now = clock.clone();
        let options = Options { reserve_bytes: 0, segment_bytes: 1 << 20, ..Options::default() };
        let ledger = Ledger::open(&config.data_dir, options, Arc::new(move || now.now())).unwrap();
        let state = IntakeState::new(ledger.clone(), Arc::new(config), clock).unwrap();
        let server = HttpServer::new(move || App::new().configure(|it| routes(it, state.clone())))
            .workers(2)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let url = format!("http://{}/webhooks/github", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, server: handle, ledger, dir }
    }

    /// The directory with its configuration; the secrets `old`, `new` and `bound` lie in files of those names.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) async fn close(self) {
        self.server.stop(false).await;
        self.ledger.close().await;
    }

    /// Sends and tells the answer; `landfall`'s words in it are the test's business.
    async fn send(&self, delivery: Delivery<'_>) -> (u16, Value) {
        let answer = self.request(&delivery).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn request(&self, delivery: &Delivery<'_>) -> reqwest::RequestBuilder {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-github-event", Some(delivery.event)),
            ("x-github-delivery", Some(delivery.id)),
            ("content-type", Some(delivery.content_type)),
            ("x-hub-signature-256", delivery.secret.map(|secret| sign(secret, &delivery.body)).as_deref()),
        ] {
            if let Some(value) = value.filter(|it| !it.is_empty()) {
                headers.insert(name, value.parse().unwrap());
            }
        }
        client().post(&self.url).headers(headers).body(delivery.body.clone())
    }

    /// What is answered, as `status code-or-reason`.
    async fn told(&self, delivery: Delivery<'_>) -> String {
        let (status, body) = self.send(delivery).await;
        let why = body["code"].as_str().or(body["reason"].as_str());
        format!("{status} {}", why.map_or_else(|| body.to_string(), str::to_owned))
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::new()
}

#[derive(Clone)]
struct Delivery<'a> {
    id: &'a str,
    event: &'a str,
    content_type: &'a str,
    secret: Option<&'a str>,
    body: Vec<u8>,
}

fn push_body() -> Value {
    let mut body = push::payload("acme/blog", B);
    body["before"] = A.into();
    body["commits"] = json!([{"added": ["index.html"], "removed": [], "modified": []}]);
    body["head_commit"] = json!({"message": "Say hello\n\nat length", "author": {"name": "Ann", "username": "ann"}});
    body
}

fn push() -> Delivery<'static> {
    of(&push_body())
}

fn of(body: &Value) -> Delivery<'static> {
    Delivery {
        id: "d-1",
        event: "push",
        content_type: "application/json",
        secret: Some("new"),
        body: serde_json::to_vec(body).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_push_is_answered_with_its_plans_and_a_repeat_with_the_same() {
    let door = Door::open().await;
    let (status, first) = door.send(push()).await;
    assert_eq!(status, 202, "{first}");
    let id = first["plans"][0]["deployment"].as_str().unwrap();
    assert_eq!(
        first,
        json!({"delivery": "d-1", "plans": [
            {"target": "blog", "deployment": id, "reason": "branch main takes it"},
            {"target": "docs", "deployment": null, "reason": "no path of the rule changed"},
        ]})
    );
    let mut repeat = first.clone();
    repeat["repeat"] = json!(true);
    assert_eq!(door.send(push()).await, (200, repeat.clone()), "the same delivery again");
    assert_eq!(door.send(Delivery { id: "d-2", ..push() }).await, (200, repeat), "the same body by another hook");
    let mut other = push_body();
    other["repository"]["x"] = json!(1);
    let (status, same_commit) = door.send(Delivery { id: "d-3", ..of(&other) }).await;
    assert_eq!(status, 202, "another body, whose commit is planned already");
    assert_eq!(same_commit["plans"][0]["deployment"], Value::Null);
    assert_eq!(same_commit["plans"][0]["reason"], format!("already planned as {id}"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_old_secrets_and_bound_secrets_are_taken() {
    let door = Door::open().await;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &push_body().to_string())
        .finish()
        .into_bytes();
    let form = Delivery { content_type: "application/x-www-form-urlencoded", body: form, ..push() };
    assert_eq!(door.send(form).await.0, 202);
    for (at, secret) in ["old", "bound"].into_iter().enumerate() {
        let mut body = push_body();
        body["after"] = json!(at.to_string().repeat(40).replace('0', "c"));
        assert_eq!(door.send(Delivery { id: secret, secret: Some(secret), ..of(&body) }).await.0, 202, "{secret}");
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_in_order_and_store_nothing() {
    let door = Door::open().await;
    let wrong = Delivery { secret: Some("wrong"), content_type: "text/plain", id: "../x", event: "", ..push() };
    let mut told = String::new();
    let mut line = |text: String| told += &(text + "\n");
    line(door.told(Delivery { secret: None, ..wrong.clone() }).await);
    line(door.told(wrong.clone()).await);
    line(door.told(Delivery { secret: Some("new"), ..wrong.clone() }).await);
    line(door.told(Delivery { secret: Some("new"), content_type: "application/json", ..wrong.clone() }).await);
    line(door.told(Delivery { id: "../x", ..push() }).await);
    line(door.told(Delivery { id: "", ..push() }).await);
    line(door.told(Delivery { body: b"{}".to_vec(), ..push() }).await);
    line(door.told(Delivery { body: b"\xff".to_vec(), ..push() }).await);
    line(door.told(Delivery { body: b"not json".to_vec(), event: "star", ..push() }).await);
    let mut other = push_body();
    other["repository"]["full_name"] = json!("other/blog");
    line(door.told(Delivery { secret: Some("bound"), ..of(&other) }).await);
    line(door.told(Delivery { event: "ping", body: b"{\"zen\":1}".to_vec(), ..push() }).await);
    line(door.told(Delivery { event: "star", body: b"{}".to_vec(), ..push() }).await);
    line(door.told(of(&other)).await);
    expect![[r#"
        401 intake/no-signature
        401 intake/bad-signature
        415 intake/content-type
        400 intake/header
        400 intake/header
        400 intake/header
        400 intake/malformed
        400 intake/malformed
        400 intake/malformed
        401 intake/wrong-secret
        200 the webhook works: pushes will be taken
        200 landfall deploys on `push` and `deployment`, and has no use for this event
        202 no target is configured for this repository
    "#]]
    .assert_eq(&told);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_was_expected_what_came_and_what_to_do() {
    let door = Door::open().await;
    let answer = door.request(&Delivery { content_type: "text/xml", ..push() }).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let text = serde_json::to_string_pretty(&answer.json::<Value>().await.unwrap()).unwrap();
    expect![[r#"
        {
          "code": "intake/content-type",
          "detail": "the body is of a kind that GitHub does not send",
          "expected": "`application/json` or `application/x-www-form-urlencoded`",
          "found": "`text/xml`",
          "help": "choose `application/json` as the webhook's content type",
          "status": 415,
          "title": "Unsupported Media Type",
          "type": "about:blank"
        }"#]]
    .assert_eq(&text);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_told_that_webhooks_are_posted() {
    let door = Door::open().await;
    let answer = client().get(&door.url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()));
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "intake/method");
    door.close().await;
}

/// A push of this many bytes.
fn padded(bytes: usize) -> Vec<u8> {
    let mut body = push_body().to_string().into_bytes();
    body.pop();
    body.extend_from_slice(b",\"padding\":\"");
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_up_to_the_largest_are_taken_and_leave_no_files_behind() {
    let door = Door::open().await;
    for bytes in [1 << 16, (1 << 16) + 1, 300_000, usize::try_from(LARGEST_BODY).unwrap()] {
        let id = bytes.to_string();
        let body = padded(bytes);
        assert_eq!(body.len(), bytes);
        let (status, told) = door.send(Delivery { id: &id, body, ..push() }).await;
        assert_eq!(status, 202, "{bytes}: {told}");
    }
    let too_large = padded(usize::try_from(LARGEST_BODY).unwrap() + 1);
    assert_eq!(door.told(Delivery { body: too_large.clone(), ..push() }).await, "413 intake/too-large");
    // In pieces, so that its length is not announced.
    let pieces = futures_util::stream::iter(
        too_large.chunks(100_000).map(|it| Ok::<_, std::io::Error>(it.to_vec())).collect::<Vec<_>>(),
    );
    let signature = sign("new", &too_large);
    let request = client().post(&door.url).header("x-hub-signature-256", signature);
    let answer = request.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let wrong = Delivery { secret: Some("wrong"), body: padded(300_000), ..push() };
    assert_eq!(door.told(wrong).await, "401 intake/bad-signature");
    assert_eq!(std::fs::read_dir(door.dir().join("data/spool")).unwrap().count(), 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_that_cannot_be_kept_is_said_plainly() {
    let door = Door::open().await;
    std::fs::remove_dir(door.dir().join("data/spool")).unwrap();
    let (status, told) = door.send(Delivery { body: padded(300_000), ..push() }).await;
    assert_eq!((status, &told["code"]), (503, &json!("intake/spool")));
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.starts_with("the body cannot be kept: no such file or directory"), "{told}");
    assert!(!told.to_string().contains("os error"), "{told}");
    door.close().await;
}
