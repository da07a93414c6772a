//! One message over HTTP, and what a service's answer means. It knows no service.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use super::outlet::ChatError;
use crate::clients::Clock;
use crate::clients::outbound::{self, Inbound, Outbound};
use crate::config::{Secret, SecretRef};
use crate::domain::one_line;

/// How much of a service's own words is told.
const LONGEST_WORDS: usize = 300;
/// Where a service says that it is busy and not for how long.
pub(super) const REST: SignedDuration = SignedDuration::from_secs(30);
/// Longer than any service rests.
const LONGEST_REST: SignedDuration = SignedDuration::from_hours(1);

/// Discord's number for a message that is gone, where that of a webhook that is gone is 10015.
const UNKNOWN_MESSAGE: i64 = 10008;

/// A secret as it is now: files are read again each time.
pub(super) fn read(secret: &SecretRef) -> Result<Secret, ChatError> {
    secret.read().map_err(|error| ChatError::NoSecret { why: error.to_string() })
}

/// An address, all of which is a secret.
pub(super) fn address(secret: &SecretRef) -> Result<Url, ChatError> {
    let text = read(secret)?;
    let url = Url::parse(text.expose().trim()).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
    url.ok_or_else(|| ChatError::NoSecret { why: format!("what is in {secret} is no address by http or https") })
}

/// The one who is asked, as people may be told.
pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// A header whose value is a secret.
pub(super) fn hidden(name: HeaderName, value: &str) -> Result<(HeaderName, HeaderValue), ChatError> {
    let unfit = |_| ChatError::NoSecret { why: "the secret holds what no header can".into() };
    let mut value = HeaderValue::from_str(value).map_err(unfit)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Sends JSON, and gives the answer where the service took it.
pub(super) async fn json(
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: &Value,
    clock: &Clock,
) -> Result<Inbound, ChatError> {
    bytes(method, url, headers, body.to_string().into_bytes(), clock).await
}

/// The same of JSON that is written already, since it was signed.
pub(super) async fn bytes(
    method: Method,
    url: Url,
    mut headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    clock: &Clock,
) -> Result<Inbound, ChatError> {
    let host = host(&url);
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")));
    let sent = outbound::send(Outbound { method, url, headers, body }).await;
    let answer = sent.map_err(|why| ChatError::Unreachable { host: host.clone(), why })?;
    judged(host, answer, clock.now())
}

fn judged(host: String, answer: Inbound, now: Timestamp) -> Result<Inbound, ChatError> {
    let why = || one_line(&String::from_utf8_lossy(&answer.body), LONGEST_WORDS);
    match answer.status {
        200..=299 => Ok(answer),
        429 => Err(ChatError::Busy { host, until: rest(&answer, now) }),
        401 | 403 | 410 => Err(ChatError::Denied { host, why: why() }),
        404 if number(&answer) == Some(UNKNOWN_MESSAGE) => Err(ChatError::Gone { host }),
        404 => Err(ChatError::Denied { host, why: format!("it is not there (404): {}", why()) }),
        300..=399 => Err(ChatError::Denied { host, why: "it leads elsewhere, which is not followed".into() }),
        400..=499 => Err(ChatError::Refused { host, why: format!("{}: {}", answer.status, why()) }),
        status => Err(ChatError::Down { host, status, why: why() }),
    }
}

/// A service's number for what is wrong, where it has such numbers.
fn number(answer: &Inbound) -> Option<i64> {
    serde_json::from_slice::<Value>(&answer.body).ok()?.get("code")?.as_i64()
}

/// When a busy service may be asked again: by its header, or by what Discord writes into the body.
fn rest(answer: &Inbound, now: Timestamp) -> Timestamp {
    let by_header = seconds(&answer.headers);
    let by_body = || serde_json::from_slice::<Value>(&answer.body).ok()?.get("retry_after")?.as_f64();
    let seconds = by_header.or_else(by_body).map(SignedDuration::from_secs_f64);
    let rest = seconds.map_or(REST, |it| it.clamp(SignedDuration::from_secs(1), LONGEST_REST));
    after(now, rest)
}

/// When a rest that begins now is over.
pub(super) fn after(now: Timestamp, rest: SignedDuration) -> Timestamp {
    now.checked_add(rest).unwrap_or(now)
}

fn seconds(headers: &HeaderMap) -> Option<f64> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds).filter(|it| it.is_finite() && *it >= 0.0 && *it < 1e9)
}
