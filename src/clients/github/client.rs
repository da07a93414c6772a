//! GitHub in the name of whoever speaks for a repository, and the choice of who does.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::ETAG;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::{self, Access, App};
use super::budget::{Budget, Spend};
use super::error::GitHubError;
use super::identity::{Identity, bearer};
use super::permission::Feature;
use super::seen::Known;
use super::wire::{Answer, Asked, JSON, Reply, Wire};
use crate::clients::Clock;
use crate::config::{GitHub, GitHubApp, Secret};
use crate::domain::{RepositoryName, Target};

/// GitHub, or a GitHub Enterprise server, in every name that the configuration gives. Clones share connections, tokens of
/// Apps, and what is known of rate limits.
#[derive(Clone)]
pub struct GitHubClients(Arc<Shared>);

struct Shared {
    wire: Arc<Wire>,
    apps: Vec<(GitHubApp, Arc<App>)>,
    /// Whose repositories are asked for. What no target names is asked for all that is done anywhere.
    targets: Vec<Arc<Target>>,
    /// What commands take, of whichever target.
    of_commands: BTreeSet<Feature>,
    /// The token's, or nobody's.
    usual: GitHubClient,
    /// Those of Apps, by the repository's name in lowercase.
    of_apps: Mutex<HashMap<String, GitHubClient>>,
}

/// GitHub in one name. Clones share connections and what is known of rate limits.
#[derive(Clone)]
pub struct GitHubClient {
    wire: Arc<Wire>,
    identity: Arc<Identity>,
    budget: Arc<Budget>,
}

/// In whose name GitHub is asked: it counts requests for each of these by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// The token's, or nobody's.
    Usual,
    /// An App's, for all repositories of one owner.
    App {
        /// The App's number.
        id: u32,
        /// The owner, in lowercase.
        owner: String,
    },
}

impl GitHubClients {
    /// The clients that the configuration asks for, for whatever may be done at GitHub.
    pub fn new(github: &GitHub, clock: Clock) -> Result<Self, GitHubError> {
        Self::for_targets(github, &[], clock)
    }

    /// The same, for what these targets do there: the tokens of an App are for no more than that.
    pub fn for_targets(github: &GitHub, targets: &[Arc<Target>], clock: Clock) -> Result<Self, GitHubError> {
        let wire = Arc::new(Wire::open(&github.api_url, clock)?);
        let identity = Arc::new(github.token.clone().map_or(Identity::Nobody, Identity::Token));
        let budget = Arc::new(Budget::new(github.token.is_some()));
        let usual = GitHubClient { wire: wire.clone(), identity, budget };
        let apps = github.apps.iter().map(|app| (app.clone(), Arc::new(App::new(app)))).collect();
        let (of_commands, targets) = (Feature::of_commands(github).collect(), targets.to_vec());
        Ok(Self(Arc::new(Shared { wire, apps, targets, of_commands, usual, of_apps: Mutex::default() })))
    }

    /// The client for a repository: of the first App that speaks for it, else the token's, else nobody's.
    pub fn of(&self, repository: &RepositoryName) -> GitHubClient {
        let Some(app) = self.app_of(repository) else { return self.0.usual.clone() };
        let mut of_apps = self.0.of_apps.lock().unwrap_or_else(PoisonError::into_inner);
        let client = of_apps.entry(repository.as_str().to_lowercase()).or_insert_with(|| GitHubClient {
            wire: self.0.wire.clone(),
            identity: Arc::new(Identity::Installed(self.access(app, repository))),
            budget: app.budget_of(&app::owner(repository)),
        });
        client.clone()
    }

    /// The client of somebody who signs in: GitHub shows it what they see.
    pub fn of_person(&self, token: &Secret) -> Result<GitHubClient, GitHubError> {
        let identity = Arc::new(Identity::Person(bearer(token.expose())?));
        Ok(GitHubClient { wire: self.0.wire.clone(), identity, budget: Arc::new(Budget::new(true)) })
    }

    /// What is done at GitHub for a target, by deployments and by commands, in the name of an App or not.
    pub fn features_of(&self, target: &Target, as_an_app: bool) -> Vec<Feature> {
        let all: BTreeSet<Feature> =
            Feature::of(target, as_an_app).into_iter().chain(self.0.of_commands.clone()).collect();
        all.into_iter().collect()
    }

    /// In whose name a repository is spoken of.
    pub fn voice(&self, repository: &RepositoryName) -> Voice {
        match self.app_of(repository) {
            Some(app) => Voice::App { id: app.id, owner: app::owner(repository) },
            None => Voice::Usual,
        }
    }

    /// Before when GitHub would refuse a message in this voice: one of what is over, or of what goes on.
    pub fn held_until(&self, voice: &Voice, is_end: bool) -> Option<Timestamp> {
        let now = self.0.wire.clock.now();
        match voice {
            Voice::Usual => self.0.usual.budget.held_until(is_end, now),
            Voice::App { id, owner } => {
                let apps = self.0.apps.iter().filter(|(_, app)| app.id == *id);
                apps.filter_map(|(_, app)| app.budget_of(owner).held_until(is_end, now)).max()
            }
        }
    }

    /// The first App that speaks for a repository.
    fn app_of(&self, repository: &RepositoryName) -> Option<&Arc<App>> {
        self.0.apps.iter().find(|(app, _)| app.speaks_for(repository.as_str())).map(|(_, app)| app)
    }

    fn access(&self, app: &Arc<App>, repository: &RepositoryName) -> Access {
        let of_use = |is_meant: &dyn Fn(&Target) -> bool| -> BTreeSet<Feature> {
            self.0.targets.iter().filter(|it| is_meant(it)).flat_map(|it| Feature::of_use(it)).collect()
        };
        // A repository that was renamed is named by no target: it is one of them all the same.
        let features = [of_use(&|it| it.repository.is_same(repository)), of_use(&|_| true), Feature::ALL.into()];
        let mut features = features.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
        features.extend(&self.0.of_commands);
        Access::new(app.clone(), repository.clone(), features)
    }

    /// A client for each App, in its own name: for what concerns the App itself, such as its webhook.
    pub fn apps(&self) -> Vec<GitHubClient> {
        self.0.apps.iter().map(|(_, app)| GitHubClient::itself(&self.0.wire, app)).collect()
    }
}

impl GitHubClients {
    pub(super) fn wire(&self) -> &Wire {
        &self.0.wire
    }
}

impl GitHubClient {
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same App in its own name, where an App asks.
    pub(super) fn as_app(&self) -> Option<Self> {
        let Identity::Installed(access) = &*self.identity else { return None };
        Some(Self::itself(&self.wire, access.app()))
    }

    fn itself(wire: &Arc<Wire>, app: &Arc<App>) -> Self {
        Self { wire: wire.clone(), identity: Arc::new(Identity::App(app.clone())), budget: app.budget.clone() }
    }

    /// What GitHub says may still be asked, in words.
    pub(super) fn left(&self) -> Option<String> {
        self.budget.left(self.wire.clock.now())
    }

    /// Where people see what the API tells.
    pub(super) fn site(&self) -> String {
        GitHub::site_of(self.wire.api_url.as_str())
    }

    /// Whether it asks in anybody's name. Without one it sees what everybody sees, and may change nothing.
    pub fn is_somebody(&self) -> bool {
        match *self.identity {
            Identity::Nobody => false,
            Identity::Token(_) | Identity::Person(_) | Identity::Installed(_) | Identity::App(_) => true,
        }
    }

    /// Whether it asks as a GitHub App that is installed where it asks.
    pub fn is_app(&self) -> bool {
        matches!(*self.identity, Identity::Installed(_))
    }

    /// Asks for `path` (which begins with a slash) in the media type `accept`.
    pub async fn get(&self, path: &str, accept: &'static str) -> Result<Answer, GitHubError> {
        self.answer(&Asked::read(path, accept)).await
    }

    /// Asks for `path` as JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, GitHubError> {
        self.get(path, JSON).await?.json()
    }

    /// Asks for `path` as JSON, which a message has to know before it is sent: it counts among what is written.
    pub async fn look_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, GitHubError> {
        self.answer(&Asked { spend: Spend::Write, ..Asked::read(path, JSON) }).await?.json()
    }

    /// Asks for `path` as JSON again and again: what has not changed is not counted by GitHub, and where little may be asked
    /// any more it takes a while, or is refused as if nothing might.
    pub async fn poll_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, GitHubError> {
        self.poll(path).await?.json()
    }

    /// The same, with what GitHub says beside it.
    pub(super) async fn poll(&self, path: &str) -> Result<Answer, GitHubError> {
        let known = self.wire.seen.of(path);
        let unless = known.as_ref().map(|known| &known.tag);
        let reply = self.ask(&Asked { spend: Spend::Poll, unless, ..Asked::read(path, JSON) }).await?;
        let answer = match (reply, known) {
            (Reply::Unchanged, Some(known)) => return Ok(known.answer()),
            (reply, _) => reply.whole().await?,
        };
        if let Some(tag) = answer.headers.get(ETAG).cloned() {
            self.wire.seen.keep(path, Known::new(tag, &answer));
        }
        Ok(answer)
    }

    /// Sends `body` to `path`, once.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, GitHubError> {
        self.answer(&Asked::write(path, body)).await?.json()
    }

    /// Asks for what `path` does, which takes no words and has nothing to tell.
    pub async fn post_nothing(&self, path: &str) -> Result<(), GitHubError> {
        self.answer(&Asked { method: http::Method::POST, spend: Spend::Write, ..Asked::read(path, JSON) })
            .await
            .map(drop)
    }

    /// Changes what lies at `path` to `body`, once.
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, GitHubError> {
        self.answer(&Asked { method: http::Method::PATCH, ..Asked::write(path, body) }).await?.json()
    }

    /// Streams what `path` redirects to. The place it lies at never sees who asks.
    pub async fn download(&self, path: &str) -> Result<BoxStream<'static, Result<Bytes, GitHubError>>, GitHubError> {
        self.wire.stream(self.ask(&Asked::read(path, JSON)).await?).await
    }

    async fn answer<B: Serialize>(&self, asked: &Asked<'_, B>) -> Result<Answer, GitHubError> {
        self.ask(asked).await?.whole().await
    }

    /// Asks, and once more where a token of an App has to be renewed: what is refused for its token had no effect.
    async fn ask<B: Serialize>(&self, asked: &Asked<'_, B>) -> Result<Reply, GitHubError> {
        let shown = self.identity.authorization(&self.wire).await?;
        let error = match self.wire.ask(asked, shown.as_ref(), &self.budget).await {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        if let Some(error) = self.identity.refused(shown.as_ref(), error, &self.wire).await {
            return Err(error);
        }
        let shown = self.identity.authorization(&self.wire).await?;
        self.wire.ask(asked, shown.as_ref(), &self.budget).await
    }
}

impl fmt::Debug for GitHubClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubClients").field("api_url", &self.0.wire.api_url.as_str()).finish_non_exhaustive()
    }
}

impl fmt::Debug for GitHubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubClient").field("api_url", &self.wire.api_url.as_str()).finish_non_exhaustive()
    }
}
