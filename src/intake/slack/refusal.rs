//! What the door for Slack answers where it turns a request away. Whoever typed a command sees only that it failed; the
//! log says why.

use actix_web::http::StatusCode;
use jiff::SignedDuration;

use crate::intake::answer::{Problem, shown};

const FROM_SLACK: &str = "let Slack send its requests itself, as they are";

impl Problem {
    pub(super) fn slack_off() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "intake/slack-off",
            "no signing secret of Slack's is configured",
            "write `slack_signing_secret = { env = \"…\" }` under `[commands]`",
        )
    }

    pub(super) fn slack_unsigned() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/slack-unsigned",
            "the request is not signed as Slack signs",
            FROM_SLACK,
        )
        .expected("`X-Slack-Request-Timestamp`, and `X-Slack-Signature` with `v0=` and 64 hex digits", "something else")
    }

    pub(super) fn slack_stale(age: SignedDuration) -> Self {
        let found = match age.is_negative() {
            true => format!("{} s in the future", age.abs().as_secs()),
            false => format!("{} s old", age.as_secs()),
        };
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/slack-stale",
            "the request is not of now, and may be a replay",
            "compare this machine's clock with the time of day",
        )
        .expected("at most 300 s away", found)
    }

    pub(super) fn slack_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/slack-signature",
            "the configured secret does not make this signature of this body",
            "compare `slack_signing_secret` with the app's page «Basic Information», and let no proxy change the body",
        )
    }

    pub(super) fn slack_secret_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "intake/slack-secret-away",
            "Slack's signing secret cannot be read here",
            "look at `commands.slack_signing_secret` and the log",
        )
        .come_again()
    }

    pub(super) fn slack_malformed(expected: &str, found: &[u8]) -> Self {
        let found = String::from_utf8_lossy(found);
        Self::new(StatusCode::BAD_REQUEST, "intake/slack-malformed", "the body is no command of Slack's", FROM_SLACK)
            .expected(expected, shown(&found))
    }
}
