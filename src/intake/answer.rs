//! What the door answers. A refusal says what was expected, what came and what to do; never anything about a secret.

use actix_web::HttpResponse;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::body::Unread;
use super::payload::Malformed;
use crate::clients::Telling;
use crate::domain::{DeliveryId, DeploymentId, PlanLine, RepositoryName, TargetName, one_line, plainly};
use crate::ledger::{Accepted, LedgerError};

/// How long a sender should wait before it comes again, in seconds.
const COME_AGAIN: u32 = 10;

/// A request that is turned away, by RFC 9457.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    help: &'static str,
    #[serde(skip)]
    come_again: bool,
}

/// A request that was understood.
#[derive(Serialize)]
struct Told<'a> {
    delivery: &'a DeliveryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeat: bool,
    plans: Vec<PlanTold<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct PlanTold<'a> {
    target: &'a TargetName,
    deployment: Option<DeploymentId>,
    reason: String,
}

/// The plans as they lie in the ledger.
pub(super) fn accepted(it: &Accepted) -> HttpResponse {
    let plan = |line: &PlanLine| (line.deployment, line.reason());
    let plans = it.plans.iter().map(|line| {
        let (deployment, reason) = plan(line);
        PlanTold { target: &line.target, deployment, reason }
    });
    let reason = it.plans.is_empty().then_some("no target is configured for this repository");
    let told = Told { delivery: &it.delivery, event: None, repeat: it.repeat, plans: plans.collect(), reason };
    if it.repeat { HttpResponse::Ok().json(told) } else { HttpResponse::Accepted().json(told) }
}

/// An event that plans nothing.
pub(super) fn unused(delivery: &DeliveryId, event: &str) -> HttpResponse {
    noted(
        delivery,
        event,
        match event {
            "ping" => "the webhook works: pushes will be taken",
            _ => "landfall deploys on `push` and `deployment`, and has no use for this event",
        },
    )
}

/// What became of an event that plans nothing.
pub(super) fn noted(delivery: &DeliveryId, event: &str, reason: &str) -> HttpResponse {
    HttpResponse::Ok().json(Told {
        delivery,
        event: Some(event),
        repeat: false,
        plans: Vec::new(),
        reason: Some(reason),
    })
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, help: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("refused"),
            status: status.as_u16(),
            code,
            detail: detail.into(),
            expected: None,
            found: None,
            help,
            come_again: false,
        }
    }

    pub(super) fn expected(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self.found = Some(found.into());
        self
    }

    pub(super) fn come_again(mut self) -> Self {
        self.come_again = true;
        self
    }

    /// As an answer. Refusals are logged here, once, and not all of a flood.
    pub(super) fn answer(self, telling: &Telling, now: Timestamp) -> HttpResponse {
        if let Some(untold) = telling.admit(self.code, now) {
            let Self { status, code, detail, .. } = &self;
            tracing::warn!(http.status = status, problem.code = code, untold, "webhook refused: {detail}");
        }
        self.answer_quietly()
    }

    /// As an answer to what has been logged already, or is not worth a line.
    pub(super) fn answer_quietly(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        if self.come_again {
            answer.insert_header((RETRY_AFTER, COME_AGAIN.to_string()));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            answer.insert_header((ALLOW, "POST"));
        }
        // What is left of the body is not read: it may be long, and it is not wanted.
        answer.force_close();
        let text = serde_json::to_string(&self).unwrap_or_default();
        answer.content_type("application/problem+json").body(text)
    }

    pub(super) fn wrong_method(found: &Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "intake/method",
            "webhooks are posted",
            "give this address to GitHub or Amazon SNS, which post to it; the dashboard is at `/`",
        )
        .expected("POST", shown(found.as_str()))
    }

    pub(super) fn too_large(found: Option<u64>) -> Self {
        let found = found.map_or("more".to_owned(), |bytes| format!("{bytes} bytes"));
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "intake/too-large",
            "the body is larger than any webhook of GitHub's",
            "push fewer commits or tags at once; GitHub itself sends nothing over 25 MB",
        )
        .expected("at most 26214400 bytes", found)
    }

    pub(super) fn no_signature(has_old: bool) -> Self {
        let found = if has_old { "only the outdated `X-Hub-Signature`" } else { "no signature" };
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/no-signature",
            "the request is not signed",
            "set a secret in the webhook's settings on GitHub, the same that landfall is configured with",
        )
        .expected("the header `X-Hub-Signature-256`", found)
    }

    pub(super) fn broken_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/broken-signature",
            "the header `X-Hub-Signature-256` is not a signature",
            "let GitHub or `landfall send push` sign the request",
        )
        .expected("`sha256=` and 64 hex digits", "something else")
    }

    fn bad_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/bad-signature",
            "no configured secret makes this signature of this body",
            "compare the webhook's secret on GitHub with the configured one, and let no proxy change the body",
        )
    }

    /// Says no more than the sender knows: the name in its own payload.
    pub(super) fn wrong_voice(repository: &RepositoryName) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/wrong-secret",
            format!("the secret that signed this does not speak for `{repository}`"),
            "sign with a secret that is configured for this repository, or add the repository to its `[[github.hooks]]`",
        )
    }

    pub(super) fn wrong_content_type(found: &str) -> Self {
        let found = if found.is_empty() { "none".to_owned() } else { format!("`{}`", shown(found)) };
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "intake/content-type",
            "the body is of a kind that GitHub does not send",
            "choose `application/json` as the webhook's content type",
        )
        .expected("`application/json` or `application/x-www-form-urlencoded`", found)
    }

    pub(super) fn header(name: &'static str, expected: &'static str, found: Option<&str>) -> Self {
        let found = found.map_or("none".to_owned(), |it| format!("`{}`", shown(it)));
        Self::new(
            StatusCode::BAD_REQUEST,
            "intake/header",
            format!("the header `{name}` is missing or unusable"),
            "let GitHub or `landfall send push` deliver the request",
        )
        .expected(expected, found)
    }

    pub(super) fn malformed(error: &Malformed) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "intake/malformed",
            "the body is not what its headers say",
            "send the event exactly as GitHub writes it",
        )
        .expected(error.expected(), one_line(&error.to_string(), 200))
    }

    pub(super) fn unread(error: &Unread) -> Self {
        match error {
            Unread::TooLarge => Self::too_large(None),
            Unread::BadSignature => Self::bad_signature(),
            Unread::NoRoom => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake/busy",
                "too many webhook bodies are under way",
                "deliver it again; raise `server.bodies_in_flight` if this comes often",
            )
            .come_again(),
            Unread::TooSlow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "intake/too-slow",
                "the body did not come within 30 s, or nothing of it for 6 s",
                "deliver it again",
            ),
            Unread::Broken => Self::new(
                StatusCode::BAD_REQUEST,
                "intake/cut-off",
                "the body ended before its announced length",
                "deliver it again",
            ),
            Unread::Spool(error) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake/spool",
                format!("the body cannot be kept: {}", plainly(error)),
                "look at the disk of the data directory, then deliver it again",
            )
            .come_again(),
        }
    }

    pub(super) fn not_stored(error: &LedgerError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "intake/not-stored",
            format!("the push was not stored: {error}"),
            "look at `/readyz`, then deliver it again: nothing was planned",
        )
        .come_again()
    }
}

/// What a stranger wrote, cut and made harmless for a log.
pub(super) fn shown(text: &str) -> String {
    one_line(text, 80)
}
