//! Any request at the door of webhooks: nothing is taken that no secret of ours signed, nothing that one signed is called
//! a forgery, what was taken is known when it comes again, and no answer does harm to whoever shows it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::test::{self, TestRequest};
use actix_web::{App, rt::System};
use landfall::clients::Clock;
use landfall::config::{Config, Environment};
use landfall::intake::{IntakeState, routes};
use landfall::ledger::{Ledger, Options};
use serde_json::Value;

use super::is_harmless;
use super::signed::{CONFIGURED, filled, place, signers};

const TARGETS: &str = r#"
[[target]]
name = "blog"
repository = "acme/blog"
branches = ["main"]
require_checks = ["build"]
[target.engine]
kind = "host"
[[target]]
name = "docs"
repository = "acme/blog"
branches = ["main", "docs/*"]
tags = ["v*"]
paths = ["docs/**"]
environment = "production"
[target.engine]
kind = "host"
"#;

/// A ledger that was written to so often makes place for a new one.
const FULL: usize = 20_000;

/// A door with a ledger behind it.
struct Door {
    system: actix_web::rt::SystemRunner,
    ledger: Ledger,
    state: IntakeState,
    taken: usize,
    /// The ids that our repository was seen with, signed: it is followed by them, whatever it is called.
    ids: BTreeSet<u64>,
    _dir: tempfile::TempDir,
}

impl Door {
    fn open() -> Self {
        let dir = place();
        let text = CONFIGURED.to_owned() + TARGETS;
        let config = Config::parse(&text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
        let options = Options { reserve_bytes: 0, segment_bytes: 1 << 20, ..Options::default() };
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let now = clock.clone();
        let ledger = Ledger::open(&config.data_dir, options, Arc::new(move || now.now())).unwrap();
        let state = IntakeState::new(ledger.clone(), Arc::new(config), clock).unwrap();
        Self { system: System::new(), ledger, state, taken: 0, ids: BTreeSet::new(), _dir: dir }
    }

    /// Sends a request; its answer is the status and what is told.
    fn ask(&self, headers: &[(HeaderName, HeaderValue)], body: &[u8]) -> (u16, Value) {
        self.system.block_on(async {
            let door = test::init_service(App::new().configure(|it| routes(it, self.state.clone()))).await;
            let mut request = TestRequest::post().uri("/webhooks/github").set_payload(body.to_vec());
            for header in headers {
                request = request.append_header(header.clone());
            }
            let answer = test::call_service(&door, request.to_request()).await;
            let status = answer.status().as_u16();
            (status, serde_json::from_slice(&test::read_body(answer).await).expect("every answer is JSON"))
        })
    }
}

thread_local! {
    static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
}

/// Headers a line each, an empty line, the body.
pub(crate) fn look(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|it| it == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let headers = headers(&String::from_utf8_lossy(head), body);
    let claims: Vec<_> = headers.iter().filter(|it| it.0 == "x-hub-signature-256").map(|it| it.1.to_str()).collect();
    let is_signed = claims.iter().flatten().any(|it| !signers(it, body).is_empty());
    let is_only_one = claims.len() == 1;
    DOOR.with_borrow_mut(|door| {
        let open = door.get_or_insert_with(Door::open);
        let (status, told) = open.ask(&headers, body);
        look_at(status, &told);
        if matches!(status, 200 | 202) {
            assert!(is_signed, "{told} was answered to what nobody signed");
        }
        if is_signed && is_only_one {
            let code = told["code"].as_str().unwrap_or_default();
            assert!(!matches!(code, "intake/no-signature" | "intake/broken-signature" | "intake/bad-signature"));
            assert!(status != 429, "{told}");
        }
        if matches!(status, 200 | 202) {
            open.ids.extend(id_of_ours(body));
        }
        if status != 202 {
            return;
        }
        is_planned(&told, body, &open.ids);
        let (status, mut again) = open.ask(&headers, body);
        let repeat = again.as_object_mut().and_then(|it| it.remove("repeat"));
        let has_plans = told["plans"].as_array().is_some_and(|it| it.iter().any(|plan| !plan["deployment"].is_null()));
        // A wish that is for nothing of ours is not kept.
        assert!(repeat == Some(true.into()) || !has_plans, "{again} is new again after {told}");
        assert!(status == 200 || !has_plans, "{status}: {again}");
        assert_eq!(again, told, "what was taken is told the same again");
        open.taken += 1;
        if open.taken > FULL {
            let full = door.take().expect("it was open");
            full.system.block_on(full.ledger.close());
        }
    });
}

/// The headers that a request can have, with signatures where the text asks for them.
fn headers(head: &str, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let header = |(name, value): (&str, &str)| {
        Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(filled(value.trim(), body)).ok()?))
    };
    lines.filter_map(header).take(64).collect()
}

fn look_at(status: u16, told: &Value) {
    assert!(matches!(status, 200 | 202 | 400 | 401 | 413 | 415 | 429), "{status}: {told}");
    let mut left = vec![told];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => assert!(is_harmless(text), "{text:?} in {told}"),
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => left.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    if status >= 400 {
        assert!(told["code"].as_str().is_some_and(|it| it.starts_with("intake/")), "{told}");
        assert!(
            ["detail", "help", "title"].iter().all(|it| told[it].as_str().is_some_and(|it| !it.is_empty())),
            "{told}"
        );
        assert_eq!(told["status"], status);
    } else {
        assert!(told["delivery"].is_string() && told["plans"].is_array(), "{told}");
    }
}

/// The id of our repository, where it is of that: it is called so, or was until now.
fn id_of_ours(body: &[u8]) -> Option<u64> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let repository = &said["repository"];
    let is_called = repository["full_name"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("acme/blog"));
    let was_called = said["changes"]["repository"]["name"]["from"].as_str();
    let is_ours = is_called || was_called.is_some_and(|it| it.eq_ignore_ascii_case("blog"));
    repository["id"].as_u64().filter(|_| is_ours)
}

/// A deployment is planned only of what stands in the payload: a repository of ours, and a commit.
fn is_planned(told: &Value, body: &[u8], ids: &BTreeSet<u64>) {
    let Ok(said) = serde_json::from_slice::<Value>(body) else { return };
    let planned = told["plans"].as_array().is_some_and(|it| it.iter().any(|plan| !plan["deployment"].is_null()));
    let repository = &said["repository"];
    if planned && let Some(name) = repository["full_name"].as_str() {
        let is_followed = repository["id"].as_u64().is_some_and(|it| ids.contains(&it));
        assert!(name.eq_ignore_ascii_case("acme/blog") || is_followed, "{told} was planned of {name}");
        assert!(said["deleted"] != true, "{told} was planned of what is gone");
    }
}
