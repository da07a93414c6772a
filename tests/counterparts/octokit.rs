//! Deliveries that GitHub's own JavaScript library signed, with GitHub's own example payloads, against the door.

use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use landfall::clients::{Clock, process};
use landfall::config::{Config, Environment};
use landfall::domain::{CheckHint, Hearsay};
use landfall::intake::{self, IntakeState};
use landfall::ledger::{Ledger, Options};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::worlds::push::SECRET;

/// The repository of the examples, mapped once for branches and once for tags.
const CONFIGURATION: &str = r#"
data_dir = "DIR"
[github]
webhook_secrets = [{ file = "DIR/secret" }]
[[target]]
name = "branches"
repository = "Codertocat/Hello-World"
branches = ["**"]
environment = "production"
[target.engine]
kind = "host"
[[target]]
name = "tags"
repository = "Codertocat/Hello-World"
tags = ["**"]
require_checks = ["**"]
[target.engine]
kind = "host"
"#;

/// One line of what `sign.js` prints.
#[derive(Deserialize)]
struct Signed {
    event: String,
    action: Option<String>,
    signature: String,
    body: String,
}

#[tokio::test]
async fn every_example_push_is_taken_and_planned() {
    let door = Door::open();
    let mut told = Vec::new();
    for (number, push) in signed(SECRET).into_iter().filter(|it| it.event == "push").enumerate() {
        let answer = door.deliver(&format!("push-{number}"), &push).await;
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        // Two of the examples are the same to the byte, and a body seen before is a repeat.
        let expected = if body["repeat"] == true { StatusCode::OK } else { StatusCode::ACCEPTED };
        assert_eq!(status, expected, "{body}");
        let payload: Value = serde_json::from_str(&push.body).unwrap();
        told.push((payload["ref"].clone(), payload["deleted"].clone(), body));
    }
    assert!(told.len() >= 7, "{} examples of a push", told.len());
    for (reference, deleted, body) in &told {
        let plans = body["plans"].as_array().unwrap();
        let born = plans.iter().filter(|plan| !plan["deployment"].is_null()).count();
        assert!(plans.iter().all(|plan| plan["reason"].is_string()), "{reference}: {body}");
        assert!(*deleted != true || born == 0, "a deleted ref deploys nothing: {body}");
    }
    let born = |name: &str| {
        let of = |body: &Value| body["plans"].as_array().unwrap().clone();
        told.iter().flat_map(|(_, _, body)| of(body)).any(|it| it["target"] == name && !it["deployment"].is_null())
    };
    assert!(born("branches") && born("tags"), "{told:#?}");
    door.close().await;
}

#[tokio::test]
async fn every_other_example_is_answered_with_a_reason_and_no_error() {
    let door = Door::open();
    let examples = signed(SECRET);
    assert!(examples.len() > 300, "{} examples", examples.len());
    let plans = ["push", "deployment"];
    for (number, example) in examples.iter().filter(|it| !plans.contains(&it.event.as_str())).enumerate() {
        let answer = door.deliver(&format!("other-{number}"), example).await;
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        let name = format!("{} {}", example.event, example.action.as_deref().unwrap_or_default());
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{name}: {body}");
    }
    door.close().await;
}

#[tokio::test]
async fn every_example_deployment_is_a_wish_or_says_why_not() {
    let door = Door::open();
    let examples: Vec<_> = signed(SECRET).into_iter().filter(|it| it.event == "deployment").collect();
    assert!(!examples.is_empty());
    let mut born = 0;
    for (number, example) in examples.iter().enumerate() {
        let answer = door.deliver(&format!("deployment-{number}"), example).await;
        let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!([StatusCode::OK, StatusCode::ACCEPTED].contains(&status), "{body}");
        let plans = body["plans"].as_array().unwrap();
        assert!(plans.iter().all(|plan| plan["target"] == "branches"), "the other is for no such environment: {body}");
        assert!(!plans.is_empty() || body["reason"].is_string(), "{body}");
        born += plans.iter().filter(|plan| plan["deployment"].is_string()).count();
    }
    assert!(born > 0, "one of them is wanted in production");
    door.close().await;
}

#[tokio::test]
async fn what_the_examples_say_of_checks_is_heard() {
    let door = Door::open();
    let mut reasons = std::collections::BTreeMap::<String, std::collections::BTreeSet<String>>::new();
    let about_checks = ["status", "check_run", "check_suite", "workflow_run"];
    for (number, example) in signed(SECRET).iter().filter(|it| about_checks.contains(&it.event.as_str())).enumerate() {
        let answer = door.deliver(&format!("check-{number}"), example).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", example.body);
        let reason = answer.json::<Value>().await.unwrap()["reason"].as_str().unwrap().to_owned();
        reasons.entry(example.event.clone()).or_default().insert(reason);
    }
    assert_eq!(reasons.len(), about_checks.len(), "there are examples of each: {reasons:#?}");
    let heard = std::mem::take(&mut *door.heard.lock().unwrap());
    assert!(heard.iter().all(|it| it.repository.name.as_str() == "Codertocat/Hello-World"), "{heard:#?}");
    assert!(heard.iter().any(|it| it.check.is_none()), "a suite or a workflow ended: {heard:#?}");
    assert!(heard.iter().any(|it| it.check.is_some()), "a check run or a status ended: {heard:#?}");
    door.close().await;
}

#[tokio::test]
async fn what_another_secret_signed_is_turned_away() {
    let door = Door::open();
    let push = signed("another secret").into_iter().find(|it| it.event == "push").unwrap();
    assert_eq!(door.deliver("forged", &push).await.status(), StatusCode::UNAUTHORIZED);
    door.close().await;
}

/// All examples, signed by `@octokit/webhooks-methods`.
fn signed(secret: &str) -> Vec<Signed> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/sign.js");
    let packages = crate::counterpart("LANDFALL_TEST_NODE_DIR");
    let output = process::blocking_program("node").args([script, &packages, secret]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The door alone, on a free port, in front of a ledger of its own.
pub(crate) struct Door {
    pub(crate) url: String,
    client: reqwest::Client,
    server: ServerHandle,
    pub(crate) ledger: Ledger,
    /// What was said of checks.
    heard: Arc<Mutex<Vec<CheckHint>>>,
    _folder: TempDir,
}

impl Door {
    fn open() -> Self {
        Self::open_for(CONFIGURATION)
    }

    /// With a configuration, in which `DIR` is a folder of the door's own, and `DIR/secret` holds [`SECRET`].
    pub(crate) fn open_for(configuration: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        let text = configuration.replace("DIR", folder.path().to_str().unwrap());
        let config = Config::parse(&text, "landfall.toml", &Environment::of([])).unwrap();
        let clock = Clock::system();
        let now = {
            let clock = clock.clone();
            Arc::new(move || clock.now())
        };
        let ledger = Ledger::open(&folder.path().join("ledger"), Options::default(), now).unwrap();
        let heard = Arc::<Mutex<Vec<CheckHint>>>::default();
        let hears = heard.clone();
        let state = IntakeState::new(ledger.clone(), Arc::new(config), clock).unwrap();
        let state = state.hearing(Arc::new(move |word| {
            if let Hearsay::Checks(hint) = word {
                hears.lock().unwrap().push(hint);
            }
        }));
        let app = move || App::new().configure(|routes| intake::routes(routes, state.clone()));
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/webhooks/github", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, client, server: handle, ledger, heard, _folder: folder }
    }

    async fn deliver(&self, id: &str, signed: &Signed) -> Response {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let request = request.header("x-github-event", &signed.event).header("x-github-delivery", id);
        request.header("x-hub-signature-256", &signed.signature).body(signed.body.clone()).send().await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.server.stop(true).await;
        self.ledger.close().await;
    }
}
