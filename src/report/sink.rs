//! One place that is told things. It sends one message at a time, and keeps nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::{CommitSha, Deployment, Failure, Notice, Order, SourceSpec, TargetName};

/// Right after a push GitHub may not know the commit everywhere yet.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);

/// A place that is told how deployments go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// GitHub's commit statuses, for commits that lie there.
    GitHubStatus(GitHubClient),
    /// The log alone: what a commit status would say.
    Shown {
        /// Whether commits from GitHub are shown too, because there is no token to tell GitHub with.
        everything: bool,
    },
}

/// What a sink is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) context: String,
    pub(super) sha: CommitSha,
    pub(super) notice: Notice,
    pub(super) url: Option<String>,
}

/// Why it could not be said.
#[derive(Clone, Debug)]
pub(super) struct Unsaid {
    pub(super) failure: Failure,
    /// Not before this time.
    pub(super) until: Option<Timestamp>,
    /// Whether it would be the same with any other message.
    pub(super) for_all: bool,
}

impl Sink {
    /// The sinks for commit statuses: GitHub where a token lets us, and the log for everything else.
    pub fn statuses(client: GitHubClient) -> Vec<Self> {
        if client.has_token() {
            vec![Self::GitHubStatus(client), Self::Shown { everything: false }]
        } else {
            vec![Self::Shown { everything: true }]
        }
    }

    /// Its name, under which the ledger keeps what it was told.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GitHubStatus(_) => "github-status",
            Self::Shown { .. } => "shown",
        }
    }

    /// Whether it hears of this deployment.
    pub(super) fn takes(&self, order: &Order) -> bool {
        let at_github = match order.target.source {
            SourceSpec::GitHub => true,
            SourceSpec::Git { .. } => false,
        };
        match self {
            Self::GitHubStatus(_) => at_github,
            Self::Shown { everything } => *everything || !at_github,
        }
    }

    /// Whether a message costs its other side something, so that the next one waits a little.
    pub(super) fn is_far(&self) -> bool {
        match self {
            Self::GitHubStatus(_) => true,
            Self::Shown { .. } => false,
        }
    }

    /// Says it. What comes back is the other side's id of it. May run twice: the second status says the same.
    pub(super) async fn say(
        &self,
        deployment: &Deployment,
        message: &Message,
        now: Timestamp,
    ) -> Result<Option<String>, Unsaid> {
        match self {
            Self::GitHubStatus(client) => {
                let young = now.duration_since(deployment.created_at()) < YOUNG;
                set_status(client, deployment, message).await.map_err(|error| Unsaid::of(&error, young))
            }
            Self::Shown { .. } => {
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

/// A status's name at a commit. It is the target's, so that each has one line of its own.
pub(super) fn context(target: &TargetName) -> String {
    format!("landfall/{target}")
}

async fn set_status(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
) -> Result<Option<String>, GitHubError> {
    #[derive(Serialize)]
    struct Body<'a> {
        state: &'static str,
        context: &'a str,
        description: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        target_url: Option<&'a str>,
    }
    #[derive(Deserialize)]
    struct Created {
        id: Option<u64>,
    }
    let Message { context, sha, notice, url } = message;
    let body = Body { state: notice.state.as_str(), context, description: &notice.text, target_url: url.as_deref() };
    let path = format!("/repos/{}/statuses/{sha}", deployment.order().target.repository);
    let Created { id } = client.post(&path, &body).await?;
    Ok(id.map(|id| id.to_string()))
}

impl Unsaid {
    /// `young`: the push is so new that GitHub may not know its commit everywhere.
    fn of(error: &GitHubError, young: bool) -> Self {
        let rights = "give the token the permission Commit statuses: write; without it GitHub says «not found» too";
        let (code, help) = match error {
            GitHubError::NoToken { .. } => ("report/no-token", "put the token where the configuration says it is"),
            GitHubError::Unauthorized => ("report/unauthorized", "renew the GitHub token: it is read again each time"),
            GitHubError::Forbidden { .. } => ("report/forbidden", rights),
            GitHubError::NotFound => ("report/not-found", rights),
            GitHubError::RateLimited { .. } => ("report/rate-limited", "wait: it is tried again when GitHub allows it"),
            GitHubError::Conflict { .. } | GitHubError::Refused { .. } => {
                ("report/refused", "look at GitHub's words: the same status would be refused again")
            }
            GitHubError::Unavailable { .. } => ("report/unavailable", "wait, or look at GitHub's status page"),
            GitHubError::Unclear { .. } => ("report/unclear", "check `[github] api_url`"),
        };
        let unknown_yet = match error {
            GitHubError::NotFound => young,
            GitHubError::Refused { status: 422, message } => young && message.contains("No commit found"),
            GitHubError::Refused { .. } | GitHubError::Conflict { .. } | GitHubError::Unclear { .. } => false,
            GitHubError::NoToken { .. } | GitHubError::Unauthorized | GitHubError::Forbidden { .. } => false,
            GitHubError::RateLimited { .. } | GitHubError::Unavailable { .. } => false,
        };
        // A token is renewed while the bot runs; until then it is as if GitHub were not there.
        let for_all = error.is_passing() || *error == GitHubError::Unauthorized;
        let mut failure = Failure::setup(code, error.to_string()).help(help);
        failure.passing = for_all || unknown_yet;
        let until = if let GitHubError::RateLimited { until } = error { Some(*until) } else { None };
        Self { failure, until, for_all }
    }
}
