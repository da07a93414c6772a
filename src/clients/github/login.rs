//! Signing in with GitHub: where a browser is sent, and what the code is worth that it brings back. Secrets and tokens are
//! in bodies and headers alone; nothing of them is kept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;
use url::Url;

use super::error::GitHubError;
use super::wire::JSON;
use crate::clients::outbound::{self, Inbound, Outbound};
use crate::config::{GitHub, Login, Secret, SecretRef};
use crate::domain::{Checkup, Failure};

/// A code that GitHub never gave: with the right secret it says so, and with a wrong one that the secret is.
const NO_CODE: &str = "00000000000000000000";
/// What reading memberships takes of an OAuth App; a GitHub App has permissions instead, and GitHub passes over it.
const SCOPE: &str = "read:org";

/// The App in whose name people are asked who they are.
pub struct SignIn {
    site: String,
    client_id: String,
    client_secret: SecretRef,
    callback: String,
    asks: bool,
}

/// Why a code brings no token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignInError {
    /// It is no code of GitHub's, was used before, or is too old.
    #[error("GitHub does not take the code: it was used, or is too old")]
    Stale,
    /// GitHub wants something of the person first.
    #[error("GitHub asks to verify the e-mail address of the account first")]
    Unverified,
    /// GitHub does not know us.
    #[error("GitHub does not take the client id `{client_id}` with this client secret")]
    Credentials {
        /// What it was shown.
        client_id: String,
    },
    /// GitHub knows another address of ours.
    #[error("`{callback}` is not the callback address that GitHub knows")]
    Callback {
        /// Ours.
        callback: String,
    },
    /// The secret cannot be read.
    #[error("the client secret cannot be read: {why}")]
    NoSecret {
        /// Why.
        why: String,
    },
    /// GitHub could not be asked, or answered something else.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
}

impl SignInError {
    /// What whoever runs the bot is told.
    pub fn failure(&self) -> Failure {
        let setup = |code, help: String| Failure::setup(code, self.to_string()).help(help);
        match self {
            Self::GitHub(error) => error.failure(),
            Self::Stale => setup("clients/login-stale", "sign in again".into()),
            Self::Unverified => setup("clients/login-unverified", "verify it at GitHub, and sign in again".into()),
            Self::Credentials { .. } => setup(
                "clients/login-credentials",
                "copy `client_id` and `client_secret` from the App's settings".into(),
            ),
            Self::Callback { callback } => {
                setup("clients/login-callback", format!("write {callback} into the App's settings at GitHub"))
            }
            Self::NoSecret { .. } => {
                setup("clients/login-no-secret", "put the secret where `login.client_secret` says it is".into())
            }
        }
    }
}

/// GitHub's answer to a code: a token, or why there is none, both with status 200.
#[derive(Deserialize)]
struct Told {
    access_token: Option<String>,
    error: Option<String>,
}

impl SignIn {
    /// By the configuration.
    pub fn new(github: &GitHub, login: &Login) -> Self {
        let Login { client_id, client_secret, callback, allow } = login.clone();
        let (site, asks) = (GitHub::site_of(&github.api_url), allow.iter().any(|it| it.asks()));
        Self { site, client_id, client_secret, callback, asks }
    }

    /// Where a browser asks GitHub for a code. `state` comes back with it; who redeems it must know `verifier`.
    pub fn address(&self, state: &str, verifier: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", &self.client_id).append_pair("redirect_uri", &self.callback);
        query.append_pair("state", state).append_pair("code_challenge", &challenge);
        query.append_pair("code_challenge_method", "S256");
        if self.asks {
            query.append_pair("scope", SCOPE);
        }
        format!("{}/login/oauth/authorize?{}", self.site, query.finish())
    }

    /// Trades a code for the token of whoever let us ask.
    pub async fn redeem(&self, code: &str, verifier: &str) -> Result<Secret, SignInError> {
        let secret = self.client_secret.read().map_err(|error| SignInError::NoSecret { why: error.to_string() })?;
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("client_id", &self.client_id).append_pair("client_secret", secret.expose());
        body.append_pair("code", code).append_pair("redirect_uri", &self.callback);
        body.append_pair("code_verifier", verifier);
        let address = format!("{}/login/oauth/access_token", self.site);
        let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
        let outbound = Outbound {
            method: Method::POST,
            url: Url::parse(&address).map_err(|error| unclear(error.to_string()))?,
            headers: vec![header(ACCEPT, JSON), header(CONTENT_TYPE, "application/x-www-form-urlencoded")],
            body: body.finish().into_bytes(),
        };
        let inbound = outbound::send(outbound).await.map_err(|why| GitHubError::Unavailable { why })?;
        self.token_in(&inbound)
    }

    fn token_in(&self, inbound: &Inbound) -> Result<Secret, SignInError> {
        let credentials = || SignInError::Credentials { client_id: self.client_id.clone() };
        match inbound.status {
            200 => {}
            401 | 404 => return Err(credentials()),
            429 | 500..=599 => {
                return Err(GitHubError::Unavailable { why: format!("status {}", inbound.status) }.into());
            }
            other => return Err(unclear(format!("status {other}"))),
        }
        // What does not fit is not told: there may be a token in it.
        let told: Told =
            serde_json::from_slice(&inbound.body).map_err(|_| unclear("no JSON came for a code".into()))?;
        match (told.access_token, told.error.as_deref()) {
            (Some(token), None) if !token.is_empty() => Ok(Secret::new(token)),
            (_, Some("bad_verification_code")) => Err(SignInError::Stale),
            (_, Some("incorrect_client_credentials")) => Err(credentials()),
            (_, Some("redirect_uri_mismatch")) => Err(SignInError::Callback { callback: self.callback.clone() }),
            (_, Some("unverified_user_email")) => Err(SignInError::Unverified),
            (_, Some(other)) => Err(unclear(other.chars().take(60).collect())),
            (_, None) => Err(unclear("neither a token nor an error came for a code".into())),
        }
    }

    /// Whether GitHub knows us by this id and secret, as far as it says without a person: the callback address it looks at
    /// only then.
    pub async fn checkup(&self) -> Checkup {
        const ABOUT: &str = "sign-in";
        match self.redeem(NO_CODE, NO_CODE).await {
            Err(SignInError::Stale) => {
                let said =
                    format!("GitHub takes `{}` with its secret; people come back to {}", self.client_id, self.callback);
                Checkup::ok(ABOUT, said).answered()
            }
            Ok(_) => Checkup::failed(ABOUT, unclear("a token for a code that is none".into()).failure()).answered(),
            // That is told where secrets are looked at.
            Err(SignInError::NoSecret { why }) => Checkup::skipped(ABOUT, why),
            Err(error @ SignInError::GitHub(GitHubError::Unavailable { .. })) => {
                Checkup::failed(ABOUT, error.failure()).silent()
            }
            Err(error) => Checkup::failed(ABOUT, error.failure()).answered(),
        }
    }
}

fn unclear(why: String) -> SignInError {
    GitHubError::Unclear { why }.into()
}
