//! One place that is told things. It sends one message at a time, and keeps nothing.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::chat::{ChatPlace, Tidings};
use super::comment::Story;
use super::unsaid::Unsaid;
use super::way::Voice;
use super::{check_run, comment, environments, status};
use crate::clients::github::{Feature, GitHubClients};
use crate::domain::{CommitSha, Deployment, Finding, Notice, Order, RepositoryName, SinkEvent, SourceSpec};
use crate::ledger::{Ledger, LedgerError};

/// Right after a push GitHub may not know the commit everywhere yet.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);
/// A status that was never sent is news for a day, in which somebody may still wait for it.
const NEWS: SignedDuration = SignedDuration::from_hours(24);
/// Everything else was probably switched on since: it does not tell of what was over before.
const NEWS_OF_OTHERS: SignedDuration = SignedDuration::from_hours(1);

/// A place that is told how deployments go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// GitHub's commit statuses, for commits that lie there.
    GitHubStatus(GitHubClients),
    /// GitHub's page of environments.
    GitHubDeployment(GitHubClients),
    /// GitHub's check runs, for findings. Only an App may make them.
    GitHubCheck(GitHubClients),
    /// Comments on pull requests and commits.
    GitHubComment(GitHubClients),
    /// The log alone: what a commit status would say, of commits that lie elsewhere or for which we have no name at GitHub.
    Shown(GitHubClients),
    /// A place in chat.
    Chat(Arc<ChatPlace>),
}

/// What a sink is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) context: String,
    pub(super) sha: CommitSha,
    pub(super) notice: Notice,
    pub(super) url: Option<String>,
    /// The other side's id of what it was told before.
    pub(super) remote_id: Option<String>,
    /// How many messages may stand under this name at this commit already.
    pub(super) stand: u32,
    pub(super) matter: Matter,
}

/// What a message says besides its notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    Nothing,
    Findings(Vec<Finding>),
    Story(Story),
    Tidings(Box<Tidings>),
}

/// What was said.
pub(super) struct Said {
    /// The other side's id of it.
    pub(super) remote_id: Option<String>,
    /// What stands there now: another notice than the message's where that takes one more step.
    pub(super) notice: Notice,
    /// Under which name.
    pub(super) context: String,
    /// How many lifecycle events stand beneath it.
    pub(super) steps: u32,
}

impl Said {
    /// The whole message.
    pub(super) fn all(remote_id: Option<String>, message: &Message) -> Self {
        Self { remote_id, notice: message.notice.clone(), context: message.context.clone(), steps: 0 }
    }
}

impl Sink {
    /// The sinks: GitHub where a token or an App lets us, and the log for everything else.
    pub fn all(clients: &GitHubClients) -> Vec<Self> {
        let at_github = [Self::GitHubStatus, Self::GitHubDeployment, Self::GitHubCheck, Self::GitHubComment];
        at_github.into_iter().chain([Self::Shown as fn(_) -> _]).map(|sink| sink(clients.clone())).collect()
    }

    /// Its name, under which the ledger keeps what it was told.
    pub fn name(&self) -> &str {
        match self {
            Self::Chat(place) => place.name(),
            Self::GitHubStatus(_) => "github-status",
            Self::GitHubDeployment(_) => "github-deployment",
            Self::GitHubCheck(_) => "github-check",
            Self::GitHubComment(_) => "github-comment",
            Self::Shown(_) => "shown",
        }
    }

    /// Whether it hears of this deployment.
    pub(super) fn takes(&self, order: &Order) -> bool {
        let (clients, feature) = match self.at_github() {
            Ok(it) => it,
            Err(place) => return place.takes(order),
        };
        let client = clients.of(&order.target.repository);
        let at_github = match order.target.source {
            SourceSpec::GitHub => client.is_somebody(),
            SourceSpec::Git { .. } => false,
        };
        let is_wanted = Feature::of(&order.target, client.is_app()).contains(&feature);
        match self {
            Self::Shown(_) => !at_github,
            // Whoever made one to have it deployed waits to hear how it goes.
            Self::GitHubDeployment(_) => at_github && (is_wanted || order.github_deployment().is_some()),
            Self::GitHubStatus(_) | Self::GitHubCheck(_) | Self::GitHubComment(_) | Self::Chat(_) => {
                at_github && is_wanted
            }
        }
    }

    /// By whom it asks GitHub, and what it does there, or would do if the commits lay there; or else its place in chat.
    fn at_github(&self) -> Result<(&GitHubClients, Feature), &ChatPlace> {
        match self {
            Self::GitHubStatus(clients) | Self::Shown(clients) => Ok((clients, Feature::Statuses)),
            Self::GitHubDeployment(clients) => Ok((clients, Feature::Deployments)),
            Self::GitHubCheck(clients) => Ok((clients, Feature::CheckRuns)),
            Self::GitHubComment(clients) => Ok((clients, Feature::Comments)),
            Self::Chat(place) => Err(place),
        }
    }

    /// In whose name it speaks of a repository, where that counts: the next message in that name waits a little.
    pub(super) fn voice(&self, repository: &RepositoryName) -> Option<Voice> {
        match self.at_github() {
            _ if matches!(self, Self::Shown(_)) => None,
            Ok((clients, _)) => Some(Voice::AtGitHub(clients.voice(repository))),
            Err(place) => Some(Voice::InChat(place.name().to_owned())),
        }
    }

    /// Before when a message in this voice would be refused: one of what is over, or of what goes on.
    pub(super) fn held_until(&self, voice: &Voice, is_end: bool) -> Option<Timestamp> {
        match (self.at_github(), voice) {
            (Ok((clients, _)), Voice::AtGitHub(voice)) => clients.held_until(voice, is_end),
            (Ok(_) | Err(_), Voice::AtGitHub(_) | Voice::InChat(_)) => None,
        }
    }

    /// From how many messages under one name at one commit on only ends are told.
    pub(super) fn only_ends_from(&self) -> u32 {
        match self {
            Self::GitHubStatus(_) => status::ONLY_ENDS_FROM,
            Self::GitHubDeployment(_) | Self::GitHubCheck(_) | Self::GitHubComment(_) | Self::Shown(_) => u32::MAX,
            Self::Chat(_) => u32::MAX,
        }
    }

    /// Whether each deployment has its own place there; else the newest of a commit speaks for all of them.
    pub(super) fn keeps_apart(&self) -> bool {
        matches!(self, Self::GitHubDeployment(_) | Self::Chat(_))
    }

    /// Whether it says of what was live that it is not any more.
    pub(super) fn says_what_is_gone(&self) -> bool {
        matches!(self, Self::GitHubDeployment(_))
    }

    /// Whether it finds what it made where the answer was lost, once it is written down that it makes it.
    pub(super) fn looks_for_its_own(&self) -> bool {
        matches!(self, Self::GitHubDeployment(_))
    }

    /// Until when an end is news to it, if it never heard of the deployment.
    pub(super) fn is_news_until(&self, ended_at: Timestamp) -> Timestamp {
        let (from, long) = match self {
            Self::GitHubStatus(_) | Self::Shown(_) => (ended_at, NEWS),
            Self::GitHubDeployment(_) | Self::GitHubCheck(_) | Self::GitHubComment(_) => (ended_at, NEWS_OF_OTHERS),
            // What was held back is news when it is told.
            Self::Chat(place) => (place.spared_until(ended_at), NEWS_OF_OTHERS),
        };
        from.saturating_add(long).unwrap_or(Timestamp::MAX)
    }

    /// The name under which it says things of a deployment.
    pub(super) fn context(&self, order: &Order) -> String {
        let status = || order.target.github.context_of(&order.target);
        match self {
            Self::GitHubStatus(_) | Self::GitHubComment(_) | Self::Shown(_) | Self::Chat(_) => status(),
            Self::GitHubDeployment(_) => order.target.environment.clone(),
            Self::GitHubCheck(_) => check_run::context(&status()),
        }
    }

    /// What should stand there of a deployment now; nothing where nothing need be said. `last`: what it was last told.
    pub(super) fn notice(
        &self,
        ledger: &Ledger,
        deployment: &Deployment,
        last: Option<&SinkEvent>,
    ) -> Result<Option<Notice>, LedgerError> {
        match self {
            Self::GitHubStatus(_) | Self::Shown(_) => Ok(Some(Notice::described(deployment))),
            Self::GitHubDeployment(_) => environments::notice(ledger, deployment, last),
            Self::GitHubCheck(_) => Ok(check_run::notice(&check_run::findings(ledger, deployment)?)),
            Self::GitHubComment(_) => Ok(comment::notice(deployment)),
            Self::Chat(place) => place.notice(ledger, deployment, last),
        }
    }

    /// What it says besides; nothing where there is nothing to say after all.
    pub(super) fn matter(
        &self,
        ledger: &Ledger,
        deployment: &Deployment,
        message: &Message,
    ) -> Result<Option<Matter>, LedgerError> {
        let sha = &message.sha;
        match self {
            Self::Chat(place) => {
                let tidings = place.tidings(ledger, deployment, message.url.as_deref())?;
                Ok(tidings.map(|it| Matter::Tidings(Box::new(it))))
            }
            Self::GitHubStatus(_) | Self::GitHubDeployment(_) | Self::Shown(_) => Ok(Some(Matter::Nothing)),
            Self::GitHubCheck(_) => check_run::findings(ledger, deployment).map(|it| Some(Matter::Findings(it))),
            Self::GitHubComment(_) => {
                comment::story(ledger, self.name(), deployment, sha.as_str()).map(|it| it.map(Matter::Story))
            }
        }
    }

    /// Before when it wants to hear nothing of this; nothing where at once. `posts`: when it was told something new.
    pub(super) fn held_back(&self, message: &Message, posts: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        match (self.at_github(), &message.matter) {
            (Err(place), Matter::Tidings(tidings)) => place.held_back(tidings, message.remote_id.is_some(), posts, now),
            (Ok(_) | Err(_), _) => None,
        }
    }

    /// Says several things at once.
    pub(super) async fn say_together(&self, messages: &[&Message]) -> Result<(), Unsaid> {
        let tidings = messages.iter().filter_map(|it| match &it.matter {
            Matter::Tidings(tidings) => Some(tidings.as_ref()),
            Matter::Nothing | Matter::Findings(_) | Matter::Story(_) => None,
        });
        match self.at_github() {
            Err(place) => place.say_together(&tidings.collect::<Vec<_>>()).await.map_err(|it| Unsaid::of_chat(&it)),
            Ok(_) => Ok(()),
        }
    }

    /// Says it. May run twice: what was said already is said again in the same place.
    pub(super) async fn say(&self, deployment: &Deployment, message: &Message, now: Timestamp) -> Result<Said, Unsaid> {
        let (clients, feature) = match self.at_github() {
            Ok(it) => it,
            Err(place) => return in_chat(place, deployment, message).await,
        };
        let client = &clients.of(&deployment.order().target.repository);
        let said = match (self, &message.matter) {
            (Self::GitHubStatus(_), _) => status::set(client, deployment, message).await,
            (Self::GitHubDeployment(_), _) => environments::say(client, deployment, message).await,
            (Self::GitHubCheck(_), Matter::Findings(findings)) => {
                check_run::say(client, deployment, message, findings).await
            }
            (Self::GitHubComment(_), Matter::Story(story)) => comment::say(client, deployment, message, story).await,
            (Self::GitHubCheck(_) | Self::GitHubComment(_) | Self::Shown(_) | Self::Chat(_), _) => {
                Self::show(message);
                Ok(Said::all(None, message))
            }
        };
        let young = now.duration_since(deployment.created_at()) < YOUNG;
        said.map_err(|error| Unsaid::of(&error, &right(feature), young))
    }

    fn show(message: &Message) {
        tracing::info!(
            status.context = message.context,
            status.state = message.notice.state.as_str(),
            "{}: {}",
            message.context,
            message.notice.text
        );
    }
}

/// The permission that a message takes, in GitHub's words.
fn right(feature: Feature) -> String {
    let needs: Vec<String> = feature.needs().iter().map(|it| format!("{}: {}", it.name, it.access.as_str())).collect();
    let needs = needs.join(", ");
    // A token may have it; those of an App are narrowed to reading.
    if feature == Feature::Comments { format!("{needs}, and Contents: write where no pull request is") } else { needs }
}

async fn in_chat(place: &ChatPlace, deployment: &Deployment, message: &Message) -> Result<Said, Unsaid> {
    let Matter::Tidings(tidings) = &message.matter else { return Ok(Said::all(None, message)) };
    place.say(deployment, message, tidings).await.map_err(|error| Unsaid::of_chat(&error))
}
