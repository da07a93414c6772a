//! One request to GitHub's API, in whoever's name: sent once, followed within the API, read whole. It holds no secret, and
//! knows nobody.
//!
//! Why octocrab's own stack of layers is not used: it follows redirects by itself, logs what we log, sends two
//! `User-Agent` headers, and keeps the token it was built with. Here the authorization comes with every request, and goes
//! to addresses beneath `api_url` only; archives lie elsewhere, and are fetched without it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, IF_NONE_MATCH, LINK, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use url::Url;

use super::budget::{Budget, Spend};
use super::error::GitHubError;
use super::seen::Seen;
use crate::clients::{Clock, guard};
use crate::domain::{Mask, root_cause};

/// GitHub answers within 10 s or not at all; a proxy in between may be slower.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may say nothing.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);
/// A renamed repository is one redirect, a transferred and renamed one two.
const REDIRECTS: usize = 5;
/// One of the two basic media types of the API, and the one that its OpenAPI description knows.
pub(super) const JSON: &str = "application/json";
/// No answer that we ask for is longer; a comparison with 300 patches comes near.
const LONGEST_ANSWER: usize = 16 << 20;

/// The way to one API.
pub(super) struct Wire {
    pub(super) api_url: Url,
    octocrab: Octocrab,
    pub(super) clock: Clock,
    /// How far GitHub's clock was ahead of ours at its last answer.
    ahead: Mutex<Option<SignedDuration>>,
    pub(super) seen: Seen,
}

/// What is asked.
pub(super) struct Asked<'a, B> {
    pub(super) method: Method,
    /// Begins with a slash.
    pub(super) path: &'a str,
    pub(super) accept: &'static str,
    pub(super) body: Option<&'a B>,
    pub(super) spend: Spend,
    /// Answered only if it is no longer what has this tag.
    pub(super) unless: Option<&'a HeaderValue>,
}

/// What came back with a 2xx status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What GitHub says beside it.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What a request led to.
pub(super) enum Reply {
    /// An answer of the API.
    Here(http::Response<BoxBody<Bytes, octocrab::Error>>),
    /// A redirect away from the API.
    Elsewhere(Url),
    /// What was answered before still holds.
    Unchanged,
}

impl Wire {
    pub(super) fn open(api_url: &str, clock: Clock) -> Result<Self, GitHubError> {
        let unusable = |why: String| GitHubError::Unclear { why: format!("`{api_url}` is no API address: {why}") };
        let api = Url::parse(api_url).map_err(|error| unusable(error.to_string()))?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(unusable("it begins with neither `https://` nor `http://`".into()));
        }
        let connector = ReqwestConnector::new(client().build().map_err(unclear)?);
        let Ok(octocrab) = OctocrabBuilder::new_empty().with_service(connector).with_auth(AuthState::None).build();
        Ok(Self { api_url: api, octocrab, clock, ahead: Mutex::default(), seen: Seen::default() })
    }

    /// What GitHub's clock says now, as far as its last answer told.
    pub(super) fn their_time(&self) -> Option<Timestamp> {
        self.ahead().and_then(|ahead| self.clock.now().checked_add(ahead).ok())
    }

    /// How far GitHub's clock is ahead of ours.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Streams what was answered, or what the answer redirects to. The place it lies at never sees who asks.
    pub(super) async fn stream(
        &self,
        reply: Reply,
    ) -> Result<BoxStream<'static, Result<Bytes, GitHubError>>, GitHubError> {
        match reply {
            Reply::Here(response) => {
                let chunks = response.into_body().into_data_stream();
                Ok(chunks.map(|chunk| chunk.map_err(|error| unavailable(&error))).boxed())
            }
            Reply::Elsewhere(url) => {
                let response = self.elsewhere(url).await?;
                Ok(response.bytes_stream().map(|chunk| chunk.map_err(|error| unavailable(&error))).boxed())
            }
            Reply::Unchanged => Err(unclear("nothing has changed, which was not asked")),
        }
    }

    /// Asks where an archive is said to lie, as nobody. Each address is judged by the guard, and asked at what was judged.
    async fn elsewhere(&self, mut url: Url) -> Result<reqwest::Response, GitHubError> {
        for _ in 0..=REDIRECTS {
            if self.api_url.scheme() == "https" && url.scheme() != "https" {
                return Err(GitHubError::Unclear { why: "a redirect from https to http".into() });
            }
            let client = guard::held(client(), &url, self.is_of_the_same_house(&url)).await;
            let client = client.map_err(|error| unclear(format!("a redirect that is not followed: {error}")))?;
            let client = client.build().map_err(unclear)?;
            let response = client.get(url.clone()).send().await.map_err(|error| unavailable(&error))?;
            let (status, headers) = (response.status(), response.headers());
            if status.is_success() {
                return Ok(response);
            }
            match redirect(status, headers.get(LOCATION), &url)? {
                Some(next) => url = next,
                None => return Err(self.refused(status, headers, b"")),
            }
        }
        Err(GitHubError::Unclear { why: format!("more than {REDIRECTS} redirects") })
    }

    /// Whether it is the configured server or a part of it, such as `codeload.` of an Enterprise server: these alone may
    /// be in a private network.
    fn is_of_the_same_house(&self, url: &Url) -> bool {
        let (Some(own), Some(other)) = (self.api_url.host_str(), url.host_str()) else { return false };
        let house = own.strip_prefix("api.").unwrap_or(own);
        other == own || other == house || other.strip_suffix(house).is_some_and(|it| it.ends_with('.'))
    }

    /// Sends the request, and again to where a renamed repository answers, as long as that is the API too.
    pub(super) async fn ask<B: Serialize>(
        &self,
        asked: &Asked<'_, B>,
        authorization: Option<&HeaderValue>,
        budget: &Budget,
    ) -> Result<Reply, GitHubError> {
        let now = self.clock.now();
        let at = budget.admit(asked.spend, now)?;
        if at > now {
            self.clock.sleep_until(at).await;
        }
        let address = format!("{}{}", self.api_url.as_str().trim_end_matches('/'), asked.path);
        let mut address = Url::parse(&address).map_err(unclear)?;
        for _ in 0..=REDIRECTS {
            let mut builder = http::Request::builder()
                .method(asked.method.clone())
                .uri(address.as_str())
                .header(ACCEPT, asked.accept)
                .header(USER_AGENT, concat!("landfall/", env!("CARGO_PKG_VERSION")));
            if let Some(authorization) = authorization {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            if let Some(tag) = asked.unless {
                builder = builder.header(IF_NONE_MATCH, tag);
            }
            // octocrab adds `X-GitHub-Api-Version`, by its own build.
            let request = self.octocrab.build_request(builder, asked.body).map_err(unclear)?;
            let response = self.octocrab.execute(request).await.map_err(|error| unavailable(&error))?;
            self.hear_the_time(response.headers());
            budget.hear(response.headers(), self.clock.now(), self.ahead().unwrap_or_default());
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && asked.unless.is_some() {
                return Ok(Reply::Unchanged);
            }
            if status.is_success() {
                return Ok(Reply::Here(response));
            }
            if let Some(next) = redirect(status, response.headers().get(LOCATION), &address)? {
                if !self.is_beneath_the_api(&next) {
                    return Ok(Reply::Elsewhere(next));
                }
                address = next;
                continue;
            }
            let headers = response.headers().clone();
            let text = without(&read(response.into_body()).await.unwrap_or_default(), authorization);
            let error = self.refused(status, &headers, text.as_bytes());
            budget.remember(&error);
            return Err(error);
        }
        Err(GitHubError::Unclear { why: format!("more than {REDIRECTS} redirects") })
    }

    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> GitHubError {
        GitHubError::of(status, headers, body, self.clock.now(), self.ahead().unwrap_or_default())
    }

    fn hear_the_time(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|it| it.to_str().ok());
        if let Some(theirs) = date.and_then(|it| DateTimeParser::new().parse_timestamp(it).ok()) {
            let ahead = theirs.duration_since(self.clock.now());
            *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    fn is_beneath_the_api(&self, url: &Url) -> bool {
        let path = self.api_url.path().trim_end_matches('/');
        let beneath = url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.api_url.origin() == url.origin() && beneath && url.username().is_empty()
    }
}

/// A client that follows nothing by itself, and waits for nobody for ever.
fn client() -> reqwest::ClientBuilder {
    guard::client().connect_timeout(CONNECT_WITHIN).read_timeout(SILENT_AT_MOST)
}

impl<'a> Asked<'a, ()> {
    /// A question.
    pub(super) fn read(path: &'a str, accept: &'static str) -> Self {
        Self { method: Method::GET, path, accept, body: None, spend: Spend::Read, unless: None }
    }
}

impl<'a, B> Asked<'a, B> {
    /// Something to be changed.
    pub(super) fn write(path: &'a str, body: &'a B) -> Self {
        Self { method: Method::POST, path, accept: JSON, body: Some(body), spend: Spend::Write, unless: None }
    }
}

impl Reply {
    /// The whole answer of the API.
    pub(super) async fn whole(self) -> Result<Answer, GitHubError> {
        match self {
            Self::Here(response) => {
                let headers = response.headers().clone();
                Ok(Answer { headers, body: read(response.into_body()).await? })
            }
            Self::Elsewhere(url) => Err(GitHubError::Unclear {
                why: format!("a redirect to `{}`, away from the API", url.host_str().unwrap_or_default()),
            }),
            Self::Unchanged => Err(unclear("nothing has changed, which was not asked")),
        }
    }
}

impl Answer {
    /// Where it is one page of many: the query of the next one.
    pub(super) fn next_page(&self) -> Option<String> {
        self.headers.get(LINK).and_then(next_page)
    }

    /// The body as JSON of the shape `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubError> {
        serde_json::from_slice(&self.body).map_err(|error| match error.classify() {
            Category::Data => unclear(misshapen(&error)),
            // GitHub writes JSON or nothing: it was cut off, or somebody on the way answered instead.
            Category::Io | Category::Syntax | Category::Eof => GitHubError::Unavailable {
                why: format!(
                    "what came is no JSON ({}); if that stays so, check `[github] api_url`",
                    misshapen(&error)
                ),
            },
        })
    }

    /// The file that was asked for as it is; nothing where there is something else at its path, such as a directory, of
    /// which JSON tells. A page is neither: somebody on the way answered instead.
    pub fn file(self) -> Result<Option<Bytes>, GitHubError> {
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            JSON => self.json::<IgnoredAny>().map(|_| None),
            "text/html" => Err(GitHubError::Unavailable {
                why: "a web page came instead of a file; if that stays so, check `[github] api_url`".into(),
            }),
            _ => Ok(Some(self.body)),
        }
    }

    /// One of GitHub's headers.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|it| it.to_str().ok())
    }
}

/// The query of the page that a `Link` header calls the next one.
fn next_page(link: &HeaderValue) -> Option<String> {
    let mut pages = link.to_str().ok()?.split(',').filter_map(|it| it.trim().strip_prefix('<')?.split_once('>'));
    let (address, _) = pages.find(|(_, what)| what.contains("rel=\"next\""))?;
    Some(Url::parse(address).ok()?.query()?.to_owned())
}

/// The text without what we showed for ourselves: some proxies answer with the request that they refuse.
fn without(text: &[u8], authorization: Option<&HeaderValue>) -> String {
    let shown = authorization.and_then(|it| it.to_str().ok());
    let secret = shown.map(|it| it.strip_prefix("Bearer ").unwrap_or(it).to_owned());
    Mask::new(secret).apply(&String::from_utf8_lossy(text))
}

/// What is wrong with the JSON. The library repeats a text that it did not expect, which may be a token.
fn misshapen(error: &serde_json::Error) -> String {
    let told = error.to_string();
    match (told.split_once("string \""), told.rsplit_once("\", ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}a text, {after}"),
        _ => told,
    }
}

/// Where the answer sends us, if it does.
fn redirect(status: StatusCode, location: Option<&HeaderValue>, from: &Url) -> Result<Option<Url>, GitHubError> {
    if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
        return Ok(None);
    }
    let location = location.and_then(|it| it.to_str().ok());
    let next = location.and_then(|it| from.join(it).ok()).filter(|url| matches!(url.scheme(), "http" | "https"));
    // The address itself may carry a short-lived secret, so it is not told.
    next.map(Some).ok_or_else(|| GitHubError::Unclear { why: format!("status {status} without a usable address") })
}

async fn read(mut body: BoxBody<Bytes, octocrab::Error>) -> Result<Bytes, GitHubError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unavailable(&error))?;
        if let Some(chunk) = frame.data_ref() {
            if whole.len() + chunk.len() > LONGEST_ANSWER {
                return Err(GitHubError::Unclear { why: format!("an answer of more than {LONGEST_ANSWER} bytes") });
            }
            whole.extend_from_slice(chunk);
        }
    }
    Ok(whole.freeze())
}

fn unclear(error: impl fmt::Display) -> GitHubError {
    GitHubError::Unclear { why: error.to_string() }
}

/// The innermost cause: the outer ones repeat the address, which may carry a short-lived secret.
fn unavailable(error: &(dyn std::error::Error + 'static)) -> GitHubError {
    GitHubError::Unavailable { why: root_cause(error) }
}
