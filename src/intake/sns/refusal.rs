//! What the door for SNS answers where it turns a request away. The owner of a topic finds it in SNS's delivery logs.

use actix_web::http::StatusCode;
use jiff::SignedDuration;

use super::certificate::CertificateError;
use super::envelope::Envelope;
use crate::config::Topic;
use crate::domain::{Unfit, plainly};
use crate::intake::answer::{Problem, shown};
use crate::intake::body::Unread;

const FROM_SNS: &str = "let Amazon SNS deliver its messages itself, as they are";

const SECRET_IN_HEADER: &str =
    "give EventBridge's connection the API key name `X-Landfall-Secret` and the configured secret as its value";

impl Problem {
    pub(super) fn no_topic() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "intake/sns-off",
            "no topic of Amazon SNS is configured",
            "write the topic's ARN under `[sns]` as `topics = [\"arn:aws:sns:…\"]`",
        )
    }

    pub(super) fn no_destination() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "intake/event-off",
            "no API destination of EventBridge is configured",
            "write `api_destination_secret = { file = \"…\" }` under `[sns]`",
        )
    }

    pub(super) fn no_event_secret() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "intake/event-no-secret", "the event carries no secret", SECRET_IN_HEADER)
            .expected("the header `X-Landfall-Secret`", "none")
    }

    pub(super) fn wrong_event_secret() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "intake/event-secret", "the event carries another secret", SECRET_IN_HEADER)
    }

    pub(super) fn event_secret_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "intake/event-secret-away",
            "the secret of EventBridge's events cannot be read here",
            "look at `sns.api_destination_secret` and the log",
        )
        .come_again()
    }

    pub(super) fn sns_unread(error: &Unread, limit: u64) -> Self {
        match error {
            Unread::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "intake/sns-too-large",
                "the body is larger than any message of Amazon SNS",
                FROM_SNS,
            )
            .expected(format!("at most {limit} bytes"), "more"),
            Unread::NoRoom | Unread::TooSlow | Unread::Broken | Unread::BadSignature | Unread::Spool(_) => {
                Self::unread(error)
            }
        }
    }

    pub(super) fn raw_delivery() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "intake/sns-raw",
            "the message was delivered raw, without a signature",
            "set `RawMessageDelivery` to `false` on the subscription",
        )
        .expected("an envelope with `Signature`", "`x-amz-sns-rawdelivery: true`")
    }

    pub(super) fn sns_header(name: &'static str, expected: &str, found: Option<&str>) -> Self {
        let found = found.map_or("none".to_owned(), |it| format!("`{}`", shown(it)));
        Self::new(
            StatusCode::BAD_REQUEST,
            "intake/sns-header",
            format!("the header `{name}` does not fit the body"),
            FROM_SNS,
        )
        .expected(expected, found)
    }

    pub(super) fn not_an_envelope(unfit: &Unfit) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "intake/sns-malformed", "the body is no message of Amazon SNS", FROM_SNS)
            .expected(unfit.expected, shown(&unfit.found))
    }

    pub(super) fn wrong_topic(topic: &Topic) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "intake/sns-topic",
            format!("the topic `{topic}` is not heard here"),
            "add it to `topics` under `[sns]`, or end the subscription",
        )
    }

    pub(super) fn stale(envelope: &Envelope, age: SignedDuration) -> Self {
        let found = match age.is_negative() {
            true => format!("{} s in the future", age.abs().as_secs()),
            false => format!("{} s old", age.as_secs()),
        };
        Self::new(
            StatusCode::FORBIDDEN,
            "intake/sns-stale",
            format!("the message of {} is not of now", envelope.at),
            "set this machine's clock if it is wrong; an old message needs nothing, deployments are looked at anyway",
        )
        .expected("a message of the last hour", found)
    }

    pub(super) fn signature_version(found: &str, allows_v1: bool) -> Self {
        let expected = if allows_v1 { "`1` or `2`" } else { "`2`" };
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/sns-signature-version",
            "the signature is of a version that does not count here",
            "set the topic's attribute `SignatureVersion` to `2`",
        )
        .expected(expected, format!("`{}`", shown(found)))
    }

    pub(super) fn sns_address(key: &'static str, unfit: &Unfit) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "intake/sns-address", format!("`{key}` leads away from SNS"), FROM_SNS)
            .expected(unfit.expected, format!("`{}`", shown(&unfit.found)))
    }

    pub(super) fn certificate(error: &CertificateError) -> Self {
        let text = plainly(error);
        match error {
            CertificateError::Untrusted(_) => {
                Self::new(StatusCode::UNAUTHORIZED, "intake/sns-certificate", text, FROM_SNS)
            }
            CertificateError::Fetch(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake/sns-certificate-away",
                text,
                "let this machine reach `sns.REGION.amazonaws.com` and the authority that signed its certificate",
            )
            .come_again(),
            CertificateError::TooMany => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake/sns-busy",
                text,
                "deliver it again; without it the deployment is looked at all the same",
            )
            .come_again(),
            CertificateError::NoRoots => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "intake/sns-no-authorities",
                text,
                "install the package `ca-certificates`, or set `SSL_CERT_FILE`",
            )
            .come_again(),
        }
    }

    pub(super) fn sns_bad_signature() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "intake/sns-signature",
            "the certificate did not make this signature of this message",
            "let no proxy change the body",
        )
    }
}
