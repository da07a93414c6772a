//! What a generic webhook is told, verified by the library that Standard Webhooks publish for Python.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use landfall::chat::{Bulletin, Card, Commit, Links, Place, open};
use landfall::clients::{Clock, process};
use landfall::config::{Config, Environment};
use landfall::domain::{DeploymentId, News};
use serde_json::{Value, json};

use crate::worlds::chat::{Chats, Told};

const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/standard_webhooks.py");
/// The example of the specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the library makes of a message, or why it refuses it.
fn verified(told: &Told, body: &str) -> Result<Value, String> {
    let mut verifier = process::blocking_program(crate::counterpart("LANDFALL_TEST_PYTHON"))
        .arg(VERIFIER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let message = json!({ "secret": SECRET, "headers": told.headers, "body": body });
    verifier.stdin.take().unwrap().write_all(message.to_string().as_bytes()).unwrap();
    let output = verifier.wait_with_output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

pub(crate) fn bulletin() -> Bulletin {
    let now = Clock::system().now();
    let (target, reference) = ("production".to_owned(), "main".to_owned());
    Bulletin {
        deployment: DeploymentId::derive(now, &["chat"]),
        news: News::Succeeded,
        at: now,
        is_test: false,
        place: Place { environment: target.clone(), target, repository: "acme/shop".into(), reference },
        commit: Commit {
            sha: "4f2c1e9".repeat(6)[..40].into(),
            short: "4f2c1e9".into(),
            title: Some("«Prices» — and ünïcode 🚢".into()),
            author: None,
            url: None,
        },
        text: "live".into(),
        actor: Some("ada".into()),
        cause: None,
        seconds: 12,
        live: None,
        changes: None,
        steps: vec![],
        trouble: None,
        approval: None,
        links: Links::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_of_standard_webhooks_takes_our_signature_and_no_other_body() {
    let (chats, dir) = (Chats::start(), tempfile::tempdir().unwrap());
    for (file, text) in [("hook", chats.webhook("webhook")), ("secret", SECRET.to_owned())] {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = "data_dir = \"data\"\n[github]\nwebhook_secrets = [{ file = \"hook\" }]\n[[chat]]\nname = \"ops\"\n\
                kind = \"webhook\"\nwebhook = { file = \"hook\" }\nsecret = { file = \"secret\" }\n";
    let config = Config::parse(text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
    let (chat, bulletin) = (&config.chat[0], bulletin());
    open(chat, &Clock::system()).post(&bulletin, &Card::of(&bulletin, &chat.people)).await.unwrap();
    let told = chats.take().pop().unwrap();
    let taken = verified(&told, &told.text).unwrap();
    assert_eq!(
        (taken["type"].as_str(), &taken["data"]["commit"]["title"]),
        (Some("deployment.succeeded"), &json!(bulletin.commit.title))
    );
    let refused = verified(&told, &told.text.replace("production", "elsewhere")).unwrap_err();
    assert!(refused.contains("No matching signature"), "{refused}");
}
