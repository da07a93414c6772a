//! GitHub's REST API, by octocrab over one HTTP client. It never retries and knows nothing of deployments.
//!
//! Why octocrab's own stack of layers is not used: it follows redirects by itself, logs what we log, sends two
//! `User-Agent` headers, and keeps the token it was built with. Here the token is read for every request, and goes to
//! addresses beneath `api_url` only; archives lie elsewhere, and are fetched without it.

mod checkup;
mod error;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use jiff::Timestamp;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use error::GitHubError;

use super::Clock;
use crate::config::{GitHub, SecretRef};
use crate::domain::root_cause;

/// GitHub answers within 10 s or not at all; a proxy in between may be slower.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may say nothing.
const SILENT_AT_MOST: Duration = Duration::from_secs(60);
/// A renamed repository is one redirect, a transferred and renamed one two.
const REDIRECTS: usize = 5;
/// One of the two basic media types of the API, and the one that its OpenAPI description knows.
const JSON: &str = "application/json";
/// No answer that we ask for is longer; a comparison with 300 patches comes near.
const LONGEST_ANSWER: usize = 16 << 20;

/// GitHub, or a GitHub Enterprise server. Clones share connections and what is known of rate limits.
#[derive(Clone)]
pub struct GitHubClient(Arc<Inner>);

struct Inner {
    api_url: Url,
    octocrab: Octocrab,
    /// For archives: follows redirects, has never seen a token.
    plain: reqwest::Client,
    /// Read for every request, so that a new token needs no restart.
    token: Option<SecretRef>,
    clock: Clock,
    /// Asking before this time would be held against us.
    limited_until: Mutex<Option<Timestamp>>,
}

/// What came back with a 2xx status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its media type.
    pub content_type: String,
    /// Its body.
    pub body: Bytes,
}

/// What a request led to.
enum Reply {
    /// An answer of the API.
    Here(http::Response<BoxBody<Bytes, octocrab::Error>>),
    /// A redirect away from the API.
    Elsewhere(Url),
}

impl GitHubClient {
    /// The client that the configuration asks for. Without a token it sees what everybody sees.
    pub fn new(github: &GitHub, clock: Clock) -> Result<Self, GitHubError> {
        let api_url = &github.api_url;
        let unusable = |why: String| GitHubError::Unclear { why: format!("`{api_url}` is no API address: {why}") };
        let api = Url::parse(api_url).map_err(|error| unusable(error.to_string()))?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(unusable("it begins with neither `https://` nor `http://`".into()));
        }
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_WITHIN)
                .read_timeout(SILENT_AT_MOST)
                .referer(false)
        };
        let stays = client().redirect(reqwest::redirect::Policy::none()).build().map_err(unclear)?;
        let plain = client().redirect(reqwest::redirect::Policy::limited(REDIRECTS)).build().map_err(unclear)?;
        let Ok(octocrab) =
            OctocrabBuilder::new_empty().with_service(ReqwestConnector::new(stays)).with_auth(AuthState::None).build();
        let (token, limited_until) = (github.token.clone(), Mutex::new(None));
        Ok(Self(Arc::new(Inner { api_url: api, octocrab, plain, token, clock, limited_until })))
    }

    /// Whether requests carry a token.
    pub fn has_token(&self) -> bool {
        self.0.token.is_some()
    }

    /// Asks for `path` (which begins with a slash) in the media type `accept`.
    pub async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, GitHubError> {
        self.answer(Method::GET, path, accept, None::<&()>).await
    }

    /// Asks for `path` as JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, GitHubError> {
        self.get(path, JSON).await?.json()
    }

    /// Sends `body` to `path`, once.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, GitHubError> {
        self.answer(Method::POST, path, JSON, Some(body)).await?.json()
    }

    /// Streams what `path` redirects to. The place it lies at never sees the token.
    pub async fn download(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes, GitHubError>>, GitHubError> {
        match self.request(&Method::GET, path, JSON, None::<&()>).await? {
            Reply::Here(response) => {
                let chunks = response.into_body().into_data_stream();
                Ok(chunks.map(|chunk| chunk.map_err(|error| unavailable(&error))).boxed())
            }
            Reply::Elsewhere(url) => {
                if self.0.api_url.scheme() == "https" && url.scheme() != "https" {
                    return Err(GitHubError::Unclear { why: "a redirect from https to http".into() });
                }
                let response = self.0.plain.get(url).send().await.map_err(|error| unavailable(&error))?;
                let (status, headers) = (response.status(), response.headers().clone());
                if !status.is_success() {
                    return Err(GitHubError::of(status, &headers, b"", self.0.clock.now()));
                }
                Ok(response.bytes_stream().map(|chunk| chunk.map_err(|error| unavailable(&error))).boxed())
            }
        }
    }

    async fn answer<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Option<&B>,
    ) -> Result<Answer, GitHubError> {
        match self.request(&method, path, accept, body).await? {
            Reply::Here(response) => {
                let content_type = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
                let content_type = content_type.unwrap_or_default().to_owned();
                Ok(Answer { content_type, body: read(response.into_body()).await? })
            }
            Reply::Elsewhere(url) => Err(GitHubError::Unclear {
                why: format!("a redirect to `{}`, away from the API", url.host_str().unwrap_or_default()),
            }),
        }
    }

    /// Sends the request, and again to where a renamed repository answers, as long as that is the API too.
    async fn request<B: Serialize>(
        &self,
        method: &Method,
        path: &str,
        accept: &'static str,
        body: Option<&B>,
    ) -> Result<Reply, GitHubError> {
        self.may_ask()?;
        let Inner { api_url, octocrab, clock, .. } = &*self.0;
        let address = format!("{}{path}", api_url.as_str().trim_end_matches('/'));
        let mut address = Url::parse(&address).map_err(unclear)?;
        for _ in 0..=REDIRECTS {
            let mut builder = http::Request::builder()
                .method(method.clone())
                .uri(address.as_str())
                .header(ACCEPT, accept)
                .header(USER_AGENT, concat!("landfall/", env!("CARGO_PKG_VERSION")));
            if let Some(authorization) = self.authorization()? {
                builder = builder.header(AUTHORIZATION, authorization);
            }
            // octocrab adds `X-GitHub-Api-Version`, by its own build.
            let request = octocrab.build_request(builder, body).map_err(unclear)?;
            let response = octocrab.execute(request).await.map_err(|error| unavailable(&error))?;
            let status = response.status();
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
            let text = read(response.into_body()).await.unwrap_or_default();
            let error = GitHubError::of(status, &headers, &text, clock.now());
            self.remember(&error);
            return Err(error);
        }
        Err(GitHubError::Unclear { why: format!("more than {REDIRECTS} redirects") })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, GitHubError> {
        let Some(token) = &self.0.token else { return Ok(None) };
        let token = token.read().map_err(|error| GitHubError::NoToken { why: error.to_string() })?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| GitHubError::NoToken { why: "it holds characters that no token has".into() })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn is_beneath_the_api(&self, url: &Url) -> bool {
        let api = &self.0.api_url;
        let path = api.path().trim_end_matches('/');
        let beneath = url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        api.origin() == url.origin() && beneath && url.username().is_empty()
    }

    fn may_ask(&self) -> Result<(), GitHubError> {
        let mut limited = self.0.limited_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *limited {
            Some(until) if self.0.clock.now() < until => Err(GitHubError::RateLimited { until }),
            Some(_) | None => {
                *limited = None;
                Ok(())
            }
        }
    }

    fn remember(&self, error: &GitHubError) {
        if let GitHubError::RateLimited { until } = error {
            *self.0.limited_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(*until);
        }
    }
}

impl Answer {
    /// The body as JSON of the shape `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, GitHubError> {
        serde_json::from_slice(&self.body).map_err(unclear)
    }

    /// Whether it is JSON although something else was asked for: a directory's listing instead of a file.
    pub fn is_plain_json(&self) -> bool {
        self.content_type.split(';').next().is_some_and(|kind| kind.trim() == "application/json")
    }
}

impl fmt::Debug for GitHubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubClient").field("api_url", &self.0.api_url.as_str()).finish_non_exhaustive()
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
