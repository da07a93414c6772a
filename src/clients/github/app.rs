//! A GitHub App: it signs for itself, and gets tokens for the repositories that it is installed on. Key, JWT and tokens
//! leave this file in headers alone, marked as secrets.
//!
//! A token is made for one repository and for what the configuration has Landfall do there. The installation is looked up
//! with each new token, once an hour: one that was suspended, removed or given more permissions is seen by then, and at
//! once where GitHub refuses the token.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use octocrab::jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::budget::{Budget, Spend};
use super::error::{AppTrouble, GitHubError};
use super::identity::bearer;
use super::permission::{self, Feature};
use super::wire::{Asked, JSON, Wire};
use crate::config::{GitHubApp, SecretRef};
use crate::domain::RepositoryName;

/// GitHub takes a JWT of ten minutes at most, and none from the future: a minute of difference is nothing unusual.
const ISSUED_BEFORE: SignedDuration = SignedDuration::from_secs(60);
const EXPIRES_AFTER: SignedDuration = SignedDuration::from_mins(9);
/// From this difference on, a JWT that is refused was refused for its times.
const SKEWED: SignedDuration = SignedDuration::from_secs(55);
/// A token lives for an hour. What is begun with it has to end with it.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// One App, by its number and its key.
pub(super) struct App {
    pub(super) id: u32,
    /// Read for every JWT, so that a new key needs no restart.
    key: SecretRef,
    installation: Option<u32>,
    /// Of what it asks in its own name.
    pub(super) budget: Arc<Budget>,
    /// An owner has one installation of an App, and an installation one budget.
    of_owners: Mutex<HashMap<String, Arc<Budget>>>,
}

/// An App's access to one repository. Of several that want a token at once, one gets it for all.
pub(super) struct Access {
    app: Arc<App>,
    repository: RepositoryName,
    /// What is done there.
    features: BTreeSet<Feature>,
    slot: tokio::sync::Mutex<Slot>,
    /// How often a token was asked for.
    attempts: AtomicU64,
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// Why there is none, for those who waited meanwhile.
    failed: Option<GitHubError>,
}

struct Token {
    header: HeaderValue,
    renew_at: Timestamp,
}

/// An installation, as far as it concerns us.
#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) suspended_at: Option<Timestamp>,
}

impl App {
    pub(super) fn new(app: &GitHubApp) -> Self {
        let GitHubApp { repositories: _, id, private_key, installation } = app.clone();
        Self { id, key: private_key, installation, budget: Arc::new(Budget::new(false)), of_owners: Mutex::default() }
    }

    /// The budget that the repositories of one owner share.
    pub(super) fn budget_of(&self, owner: &str) -> Arc<Budget> {
        let mut of_owners = self.of_owners.lock().unwrap_or_else(PoisonError::into_inner);
        of_owners.entry(owner.to_owned()).or_insert_with(|| Arc::new(Budget::new(true))).clone()
    }

    /// What it shows for itself, valid for some minutes.
    pub(super) fn jwt(&self, now: Timestamp) -> Result<HeaderValue, GitHubError> {
        #[derive(Serialize)]
        struct Claims {
            iss: u32,
            iat: i64,
            exp: i64,
        }
        let trouble = |why: String| AppTrouble::Key { app: self.id, why };
        let pem = self.key.read().map_err(|error| trouble(error.to_string()))?;
        // The library's own words may hold a piece of what it was given.
        let no_key = |_| trouble(format!("{} holds no RSA private key in PEM", self.key));
        let key = EncodingKey::from_rsa_pem(pem.expose().as_bytes()).map_err(no_key)?;
        let at = |time: Result<Timestamp, jiff::Error>| time.unwrap_or(now).as_second();
        let (iat, exp) = (at(now.checked_sub(ISSUED_BEFORE)), at(now.checked_add(EXPIRES_AFTER)));
        let jwt = encode(&Header::new(Algorithm::RS256), &Claims { iss: self.id, iat, exp }, &key).map_err(no_key)?;
        bearer(&jwt)
    }

    /// Says why GitHub does not take what was signed.
    pub(super) fn unauthorized(&self, wire: &Wire) -> GitHubError {
        let (app, ours) = (self.id, wire.clock.now());
        match wire.their_time() {
            Some(theirs) if theirs.duration_since(ours).abs() > SKEWED => {
                AppTrouble::ClockSkew { app, ours, theirs }.into()
            }
            Some(_) | None => AppTrouble::Unknown { app }.into(),
        }
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        wire: &Wire,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, GitHubError> {
        let jwt = self.jwt(wire.clock.now())?;
        let asked = Asked { method, path, accept: JSON, body, spend: Spend::Write, unless: None };
        match wire.ask(&asked, Some(&jwt), &self.budget).await {
            Err(GitHubError::Unauthorized) => Err(self.unauthorized(wire)),
            reply => reply?.whole().await?.json(),
        }
    }

    /// Its installation for a repository.
    pub(super) async fn installation(
        &self,
        wire: &Wire,
        repository: &RepositoryName,
    ) -> Result<Installation, GitHubError> {
        let path = match self.installation {
            Some(id) => format!("/app/installations/{id}"),
            None => format!("/repos/{repository}/installation"),
        };
        match self.ask(wire, Method::GET, &path, NOTHING).await {
            Err(GitHubError::NotFound) => Err(self.not_installed(wire, repository).await),
            installation => installation,
        }
    }

    /// An App that there is not is not found either.
    async fn not_installed(&self, wire: &Wire, repository: &RepositoryName) -> GitHubError {
        #[derive(Deserialize)]
        struct About {
            html_url: String,
        }
        let (app, repository) = (self.id, repository.to_string());
        match self.ask::<About>(wire, Method::GET, "/app", NOTHING).await {
            Ok(About { html_url }) => {
                AppTrouble::NotInstalled { app, repository, at: format!("{html_url}/installations/new") }.into()
            }
            Err(GitHubError::NotFound) => AppTrouble::Unknown { app }.into(),
            Err(error) => error,
        }
    }
}

/// Whose repository it is, in lowercase.
pub(super) fn owner(repository: &RepositoryName) -> String {
    repository.owner().to_lowercase()
}

/// A request without a body.
pub(super) const NOTHING: Option<&()> = None;

impl Access {
    pub(super) fn new(app: Arc<App>, repository: RepositoryName, features: BTreeSet<Feature>) -> Self {
        Self { app, repository, features, slot: tokio::sync::Mutex::default(), attempts: AtomicU64::new(0) }
    }

    /// The App itself.
    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What the App may do in this repository.
    pub(super) async fn granted(&self, wire: &Wire) -> Result<BTreeMap<String, String>, GitHubError> {
        Ok(self.app.installation(wire, &self.repository).await?.permissions)
    }

    /// What is shown for this repository.
    pub(super) async fn token(&self, wire: &Wire) -> Result<HeaderValue, GitHubError> {
        let before = self.attempts.load(Ordering::Acquire);
        let mut slot = self.slot.lock().await;
        if let Some(token) = slot.token.as_ref().filter(|token| wire.clock.now() < token.renew_at) {
            return Ok(token.header.clone());
        }
        if let Some(error) = slot.failed.as_ref().filter(|_| self.attempts.load(Ordering::Acquire) != before) {
            return Err(error.clone());
        }
        let made = self.make(wire).await;
        self.attempts.fetch_add(1, Ordering::Release);
        slot.failed = made.as_ref().err().cloned();
        let token = slot.token.insert(made?);
        Ok(token.header.clone())
    }

    /// Shows a token never again that GitHub has refused.
    pub(super) async fn forget(&self, refused: &HeaderValue) {
        self.slot.lock().await.token.take_if(|token| token.header == refused);
    }

    async fn make(&self, wire: &Wire) -> Result<Token, GitHubError> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            repositories: [&'a str; 1],
            permissions: BTreeMap<&'static str, &'static str>,
        }
        #[derive(Deserialize)]
        struct Made {
            token: String,
            expires_at: Timestamp,
        }
        let (app, repository) = (&self.app, &self.repository);
        let Installation { id, permissions, suspended_at } = app.installation(wire, repository).await?;
        if let Some(since) = suspended_at {
            return Err(AppTrouble::Suspended { app: app.id, repository: repository.to_string(), since }.into());
        }
        let name = repository.as_str().rsplit('/').next().unwrap_or_default();
        let wanted = Wanted { repositories: [name], permissions: permission::narrowed(&permissions, &self.features) };
        let path = format!("/app/installations/{id}/access_tokens");
        let made = match app.ask::<Made>(wire, Method::POST, &path, Some(&wanted)).await {
            // An installation on selected repositories, of which this is none.
            Err(GitHubError::Refused { status: 422, message }) if message.contains("repositor") => {
                return Err(app.not_installed(wire, repository).await);
            }
            made => made?,
        };
        // GitHub's clock judges it, so ours is set right.
        let renew_at = made.expires_at - wire.ahead().unwrap_or_default() - RENEWED_BEFORE;
        Ok(Token { header: bearer(&made.token)?, renew_at })
    }
}
