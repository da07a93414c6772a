//! What Slack sends: slash commands and pressed buttons, signed by its guide. It knows nothing of what is made of them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The app's signing secret where a test does not say another.
pub(crate) const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// What stands in `X-Slack-Signature`.
pub(crate) fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

/// The body of a slash command. Slack makes another `trigger` each time that somebody types one.
pub(crate) fn command(member: &str, text: &str, trigger: &str, answer_to: &str) -> String {
    let fields = [
        ("token", "gIkuvaNzQIHg97ATvDxqgjtO"),
        ("team_id", "T0001"),
        ("channel_id", "C2147483705"),
        ("user_id", member),
        ("user_name", "somebody"),
        ("command", "/landfall"),
        ("text", text),
        ("response_url", answer_to),
        ("trigger_id", trigger),
    ];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The body that tells of a pressed button, `action` as it stands in the message.
pub(crate) fn pressed(member: &str, action: &Value, trigger: &str, answer_to: &str) -> String {
    let payload = json!({
        "type": "block_actions",
        "user": { "id": member, "username": "somebody", "team_id": "T0001" },
        "team": { "id": "T0001" },
        "channel": { "id": "C2147483705" },
        "trigger_id": trigger,
        "response_url": answer_to,
        "container": { "type": "message", "message_ts": "1503435956.000247", "channel_id": "C2147483705" },
        "message": { "ts": "1503435956.000247" },
        "actions": [action],
    });
    form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

/// The request that posts this to the bot at `url`, signed at that second.
pub(crate) fn request(
    client: &reqwest::Client,
    url: &str,
    secret: &str,
    at: i64,
    body: String,
) -> reqwest::RequestBuilder {
    client
        .post(format!("{url}/webhooks/slack"))
        .header("X-Slack-Request-Timestamp", at.to_string())
        .header("X-Slack-Signature", signature(secret, at, &body))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
}
