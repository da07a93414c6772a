//! Webhooks, and what became of their deliveries: GitHub keeps for some days what it sent. Nothing is changed here but
//! that a delivery is sent once more.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::GitHubClient;
use super::error::GitHubError;
use crate::domain::RepositoryName;

/// The most that GitHub gives at a time.
const A_PAGE: usize = 100;

/// A webhook whose deliveries GitHub lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// One of a repository's.
    OfRepository {
        /// The repository.
        repository: RepositoryName,
        /// The webhook's number.
        number: u64,
    },
    /// The one of the GitHub App that asks.
    OfApp,
}

/// A repository's webhook, as GitHub has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Webhook {
    /// Its number.
    pub id: u64,
    /// Where it leads.
    pub config: Leads,
}

/// Where a webhook leads.
#[derive(Clone, Debug, Deserialize)]
pub struct Leads {
    /// The address.
    #[serde(default)]
    pub url: String,
}

/// One attempt to deliver something. What is sent again keeps its `guid`, and is another attempt.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    /// The attempt's number: newer ones have greater ones.
    pub id: u64,
    /// What `X-GitHub-Delivery` said.
    pub guid: String,
    /// When it was made.
    pub delivered_at: Timestamp,
    /// How it went, in GitHub's words.
    #[serde(default)]
    pub status: String,
    /// The status of the answer; 0 where there was none.
    #[serde(default)]
    pub status_code: u16,
    /// The event.
    pub event: String,
}

/// Attempts, newest first.
#[derive(Clone, Debug)]
pub struct Attempts {
    /// The attempts.
    pub attempts: Vec<Attempt>,
    /// What to ask for the older ones with, where there are any.
    pub older: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    request: Option<Sent>,
}

#[derive(Deserialize)]
struct Sent {
    payload: Option<Box<RawValue>>,
}

impl Hook {
    fn deliveries(&self) -> String {
        match self {
            Self::OfRepository { repository, number } => format!("/repos/{repository}/hooks/{number}/deliveries"),
            Self::OfApp => "/app/hook/deliveries".to_owned(),
        }
    }
}

impl Attempt {
    /// Whether whoever it was for took it.
    pub fn came_through(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

impl GitHubClient {
    /// The webhooks of a repository.
    pub async fn webhooks_of(&self, repository: &RepositoryName) -> Result<Vec<Webhook>, GitHubError> {
        // A repository has 20 for an event at most.
        self.poll_json(&format!("/repos/{repository}/hooks?per_page={A_PAGE}")).await
    }

    /// A page of what a webhook was sent: the newest, or the one that the page before it led to.
    pub async fn attempts(&self, hook: &Hook, older: Option<&str>) -> Result<Attempts, GitHubError> {
        let query = older.map_or_else(|| format!("per_page={A_PAGE}"), str::to_owned);
        let answer = self.poll(&format!("{}?{query}", hook.deliveries())).await?;
        Ok(Attempts { attempts: answer.json()?, older: answer.next_page() })
    }

    /// What was sent with an attempt: the event's payload, as JSON; nothing where GitHub does not have it any more.
    pub async fn sent(&self, hook: &Hook, attempt: u64) -> Result<Option<String>, GitHubError> {
        let detail = self.get_json::<Detail>(&format!("{}/{attempt}", hook.deliveries())).await?;
        let payload = detail.request.and_then(|it| it.payload);
        Ok(payload.map(|it| String::from(Box::<str>::from(it))).filter(|it| it != "null"))
    }

    /// Has an attempt made again. May run twice: what comes twice under one id is taken once.
    pub async fn send_again(&self, hook: &Hook, attempt: u64) -> Result<(), GitHubError> {
        let path = format!("{}/{attempt}/attempts", hook.deliveries());
        self.post_nothing(&path).await
    }
}
