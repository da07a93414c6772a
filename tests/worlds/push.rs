//! A push as GitHub tells it: payload, signature, request. It knows nothing of what is made of it.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The secret that both sides know where a test does not say another.
pub(crate) const SECRET: &str = "It's a Secret to Everybody";

/// The payload of a push of `main`, without the commits in it.
pub(crate) fn payload(repository: &str, after: &str) -> Value {
    json!({
        "ref": "refs/heads/main",
        "before": "0".repeat(40),
        "after": after,
        "created": false, "deleted": false, "forced": false,
        "repository": {"id": 1000, "full_name": repository},
        "pusher": {"name": "ada"},
        "head_commit": {"id": after, "message": "A page", "author": {"name": "Ada"}},
        "commits": [],
    })
}

/// What stands in `X-Hub-Signature-256`.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The request that delivers a push event with this body to the bot at `url`.
pub(crate) fn delivery(
    client: &reqwest::Client,
    url: &str,
    secret: &str,
    id: &str,
    body: String,
) -> reqwest::RequestBuilder {
    event(client, url, secret, "push", id, body)
}

/// The same for any event.
pub(crate) fn event(
    client: &reqwest::Client,
    url: &str,
    secret: &str,
    event: &str,
    id: &str,
    body: String,
) -> reqwest::RequestBuilder {
    client
        .post(format!("{url}/webhooks/github"))
        .header("X-GitHub-Event", event)
        .header("X-GitHub-Delivery", id)
        .header("X-Hub-Signature-256", signature(secret, body.as_bytes()))
        .header("Content-Type", "application/json")
        .body(body)
}
