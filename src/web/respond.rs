//! Answers, with the headers that all of them carry: pages, JSON, and refusals in the form that the reader can use.

use std::fmt;

use actix_web::http::header::{ALLOW, CACHE_CONTROL, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{StatusCode, Uri};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;

use super::frame::{BouncePage, ErrorPage};
use crate::asking::AskError;
use crate::board::{BadQuery, BoardError};
use crate::domain::{Failure, Unfit, escaped, harmless};

/// Only what comes from here is loaded, nothing runs inline, nobody frames us, forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer that has the headers of all answers.
pub(super) fn answer(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("X-Frame-Options", "DENY"))
        .insert_header(("Referrer-Policy", "same-origin"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header(("Cross-Origin-Resource-Policy", "same-origin"))
        .insert_header((CACHE_CONTROL, "no-store"));
    answer
}

/// JSON, whose texts do nothing to whoever reads it as it is.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_string(body) {
        Ok(text) => answer(status).content_type("application/json").body(escaped(&text)),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR).finish(),
    }
}

/// A page.
pub(super) fn page(page: &impl Template) -> Result<HttpResponse, Sorry> {
    rendered(StatusCode::OK, page).map_err(|_| Refusal::new(500, "this page could not be rendered").into())
}

/// Away to another page, which a browser asks for with GET.
pub(super) fn see_other(to: &str) -> HttpResponse {
    answer(StatusCode::SEE_OTHER).insert_header((LOCATION, to)).finish()
}

/// A path of ours to go on to; anything else, such as another site's address, becomes the first page.
pub(super) fn local(next: &str) -> &str {
    let ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if ours { next } else { "/" }
}

/// Away to the way in, and back afterwards.
pub(super) fn to_login(wanted: &Uri) -> Redirect {
    let wanted = local(wanted.path_and_query().map_or("/", |it| it.as_str()));
    let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    Redirect::Login { to: if wanted == "/" { "/login".into() } else { format!("/login?next={next}") } }
}

/// Browsers keep a strict cookie back when a link on another site, such as GitHub's, leads here: a page that asks
/// for itself again gets it.
pub(super) fn bounce(wanted: &Uri) -> Redirect {
    Redirect::Bounce { to: local(wanted.path_and_query().map_or("/", |it| it.as_str())).to_owned() }
}

fn rendered(status: StatusCode, page: &impl Template) -> askama::Result<HttpResponse> {
    Ok(answer(status).content_type("text/html; charset=utf-8").body(harmless(&page.render()?)))
}

/// An answer that leads elsewhere, where a handler never runs.
#[derive(Debug)]
pub(super) enum Redirect {
    Login { to: String },
    Bounce { to: String },
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login { to } | Self::Bounce { to } => write!(f, "look at `{to}`"),
        }
    }
}

impl ResponseError for Redirect {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Login { to } => see_other(to),
            Self::Bounce { to } => rendered(StatusCode::OK, &BouncePage { to }).unwrap_or_else(|_| see_other("/login")),
        }
    }
}

/// Why something is not answered, for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: Option<String>,
    message: String,
    help: Option<String>,
    retry_after: Option<u64>,
    allow: Option<&'static str>,
}

impl Refusal {
    /// With an HTTP status and a reason: lowercase, no full stop.
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into(), help: None, retry_after: None, allow: None }
    }

    /// The same, with a line that says what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, with the seconds after which it may be tried again.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, with the methods that the path takes.
    pub(super) fn allow(self, methods: &'static str) -> Self {
        Self { allow: Some(methods), ..self }
    }

    fn of(status: u16, failure: &Failure) -> Self {
        let Failure { code, message, help, .. } = failure.clone();
        Self { status, code: Some(code), message, help, retry_after: None, allow: None }
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn title(&self) -> &'static str {
        self.status().canonical_reason().unwrap_or("Error")
    }

    fn with_headers(&self, mut response: HttpResponse) -> HttpResponse {
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, actix_web::http::header::HeaderValue::from_static(methods));
        }
        if self.status == 401 {
            let challenge = actix_web::http::header::HeaderValue::from_static("Bearer realm=\"landfall\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::new(400, unfit.to_string())
    }
}

impl From<BadQuery> for Refusal {
    fn from(bad: BadQuery) -> Self {
        Self::new(400, bad.to_string())
    }
}

impl From<BoardError> for Refusal {
    fn from(error: BoardError) -> Self {
        match &error {
            BoardError::Ambiguous { .. } => Self::new(400, error.to_string()).help("give more digits"),
            BoardError::Busy => Self::new(503, error.to_string()).retry_after(5),
            BoardError::Log(failure) => Self::of(503, failure).retry_after(5),
            BoardError::Ledger(_) | BoardError::CutOff(_) => {
                tracing::error!(%error, "the board cannot be read");
                Self::new(503, error.to_string()).help("look at `/readyz` and the bot's log").retry_after(5)
            }
        }
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unknown { what } => {
                Self::new(404, what).help("`landfall status` shows the targets and the deployments that there are")
            }
            AskError::Refused(failure) => Self::of(409, &failure),
            AskError::Moved { what } => Self::new(409, what).help("look at it anew, and ask again"),
            AskError::Unavailable(failure) => Self::of(503, &failure).retry_after(5),
        }
    }
}

/// Why something was refused (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemView<'a> {
    /// `about:blank`: the status says what kind it is.
    r#type: &'a str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// What was expected and what came.
    detail: &'a str,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    /// A stable name of the cause, which `landfall explain` knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

/// A refusal for programs: `application/problem+json`.
#[derive(Debug)]
pub(super) struct Problem(Refusal);

/// A refusal for people: a page.
#[derive(Debug)]
pub(super) struct Sorry(Refusal);

impl<T: Into<Refusal>> From<T> for Problem {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

impl<T: Into<Refusal>> From<T> for Sorry {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Display for Sorry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status()
    }

    fn error_response(&self) -> HttpResponse {
        let Refusal { status, code, message, help, retry_after: _, allow: _ } = &self.0;
        let (help, code) = (help.as_deref(), code.as_deref());
        let body =
            ProblemView { r#type: "about:blank", title: self.0.title(), status: *status, detail: message, help, code };
        let body = serde_json::to_string(&body).unwrap_or_default();
        self.0.with_headers(answer(self.status_code()).content_type("application/problem+json").body(escaped(&body)))
    }
}

impl ResponseError for Sorry {
    fn status_code(&self) -> StatusCode {
        self.0.status()
    }

    fn error_response(&self) -> HttpResponse {
        let Refusal { status, code, message, help, retry_after: _, allow: _ } = &self.0;
        let (code, help) = (code.as_deref(), help.as_deref());
        let page = ErrorPage { status: *status, title: self.0.title(), message, help, code };
        let plain = || answer(self.status_code()).body(message.clone());
        self.0.with_headers(rendered(self.status_code(), &page).unwrap_or_else(|_| plain()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(local("/deployments/01J?x=1"), "/deployments/01J?x=1");
        for elsewhere in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb", "javascript:x"] {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
