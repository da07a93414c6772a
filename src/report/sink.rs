//! One place that is told things. It sends one message at a time, and keeps nothing.

use jiff::{SignedDuration, Timestamp};

use super::status;
use super::unsaid::Unsaid;
use crate::clients::github::GitHubClients;
use crate::domain::{CommitSha, Deployment, Notice, Order, SourceSpec};

/// Right after a push GitHub may not know the commit everywhere yet.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// A place that is told how deployments go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// GitHub's commit statuses, for commits that lie there.
    GitHubStatus(GitHubClients),
    /// The log alone: what a commit status would say, of commits that lie elsewhere or for which we have no name at GitHub.
    Shown(GitHubClients),
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
}

impl Sink {
    /// The sinks for commit statuses: GitHub where a token or an App lets us, and the log for everything else.
    pub fn statuses(clients: GitHubClients) -> Vec<Self> {
        vec![Self::GitHubStatus(clients.clone()), Self::Shown(clients)]
    }

    /// Its name, under which the ledger keeps what it was told.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GitHubStatus(_) => "github-status",
            Self::Shown(_) => "shown",
        }
    }

    /// Whether it hears of this deployment.
    pub(super) fn takes(&self, order: &Order) -> bool {
        let is_told_there = |clients: &GitHubClients| match order.target.source {
            SourceSpec::GitHub => clients.of(&order.target.repository).is_somebody(),
            SourceSpec::Git { .. } => false,
        };
        match self {
            Self::GitHubStatus(clients) => is_told_there(clients),
            Self::Shown(clients) => !is_told_there(clients),
        }
    }

    /// Whether a message costs its other side something, so that the next one waits a little.
    pub(super) fn is_far(&self) -> bool {
        match self {
            Self::GitHubStatus(_) => true,
            Self::Shown(_) => false,
        }
    }

    /// From how many messages under one name at one commit on only ends are told.
    pub(super) fn only_ends_from(&self) -> u32 {
        match self {
            Self::GitHubStatus(_) => status::ONLY_ENDS_FROM,
            Self::Shown(_) => u32::MAX,
        }
    }

    /// Says it. What comes back is the other side's id of it. May run twice: the second status says the same.
    pub(super) async fn say(
        &self,
        deployment: &Deployment,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<String>, Unsaid> {
        let young = now.duration_since(deployment.created_at()) < YOUNG;
        match self {
            Self::GitHubStatus(clients) => {
                let client = clients.of(&deployment.order().target.repository);
                let set = status::set(&client, deployment, message).await;
                set.map_err(|error| Unsaid::of(&error, status::RIGHT, young))
            }
            Self::Shown(_) => {
                tracing::info!(
                    deployment.id = %deployment.id(),
                    status.context = message.context,
                    status.state = message.notice.state.as_str(),
                    commit.sha = message.sha.as_str(),
                    "{}: {}",
                    message.context,
                    message.notice.text
                );
                Ok(None)
            }
        }
    }
}
