//! Webhooks, a repository's, its organisation's and an App's own, and what became of their deliveries: GitHub keeps for
//! some days what it sent. Nothing is changed here but that a delivery is sent once more.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::GitHubClient;
use super::error::GitHubError;
use crate::domain::RepositoryName;

/// The most that GitHub gives at a time.
const A_PAGE: usize = 100;
/// Where our door is, whatever the machine is called.
const DOOR: &str = "/webhooks/github";

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
    /// One of an organisation's, which is sent what happens in all of its repositories.
    OfOrganisation {
        /// The organisation.
        organisation: String,
        /// The webhook's number.
        number: u64,
    },
    /// The one of the GitHub App that asks.
    OfApp,
}

/// A webhook, as GitHub has it.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Whose it is.
    pub hook: Hook,
    pub(super) active: bool,
    pub(super) events: Vec<String>,
    pub(super) config: Config,
    /// Where a person changes it.
    pub(super) settings: String,
}

/// What is set of a webhook.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    url: Option<String>,
    /// `"0"` or `0` where certificates are checked.
    pub(super) insecure_ssl: Option<Value>,
    /// Asterisks, where there is one.
    pub(super) secret: Option<String>,
}

/// One of a list of webhooks.
#[derive(Deserialize)]
struct Listed {
    id: u64,
    active: bool,
    events: Vec<String>,
    config: Config,
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
            Self::OfOrganisation { organisation, number } => format!("/orgs/{organisation}/hooks/{number}/deliveries"),
            Self::OfApp => "/app/hook/deliveries".to_owned(),
        }
    }
}

impl Webhook {
    /// Where it leads.
    pub fn url(&self) -> &str {
        self.config.url.as_deref().unwrap_or_default().trim_end_matches('/')
    }

    /// Whether it leads to a door like ours, whatever the machine is called.
    pub fn is_like_ours(&self) -> bool {
        self.url().ends_with(DOOR)
    }

    /// Whether it leads to `door`; where that is not known, to any door like ours.
    pub fn leads_to(&self, door: Option<&str>) -> bool {
        door.map_or_else(|| self.is_like_ours(), |door| self.url().eq_ignore_ascii_case(door))
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
        let settings = format!("{}/{repository}/settings/hooks", self.site());
        let hook = |number| Hook::OfRepository { repository: repository.clone(), number };
        self.listed(&format!("/repos/{repository}/hooks"), &settings, hook).await
    }

    /// The webhooks of the organisation that a repository belongs to. A person has none, and is not found.
    pub async fn webhooks_of_owner(&self, repository: &RepositoryName) -> Result<Vec<Webhook>, GitHubError> {
        let organisation = repository.owner();
        let settings = format!("{}/organizations/{organisation}/settings/hooks", self.site());
        let hook = |number| Hook::OfOrganisation { organisation: organisation.to_owned(), number };
        self.listed(&format!("/orgs/{organisation}/hooks"), &settings, hook).await
    }

    async fn listed(
        &self,
        path: &str,
        settings: &str,
        hook: impl Fn(u64) -> Hook,
    ) -> Result<Vec<Webhook>, GitHubError> {
        // There are 20 for an event at most.
        let listed: Vec<Listed> = self.poll_json(&format!("{path}?per_page={A_PAGE}")).await?;
        let webhook = |Listed { id, active, events, config }| Webhook {
            hook: hook(id),
            active,
            events,
            config,
            settings: format!("{settings}/{id}"),
        };
        Ok(listed.into_iter().map(webhook).collect())
    }

    /// The webhook of the App that asks, where it has one.
    pub(super) async fn webhook_of_app(&self) -> Result<Option<Webhook>, GitHubError> {
        #[derive(Deserialize)]
        struct About {
            html_url: String,
            #[serde(default)]
            events: Vec<String>,
        }
        let config = match self.get_json::<Config>("/app/hook/config").await {
            Err(GitHubError::NotFound) => return Ok(None),
            config => config?,
        };
        let About { html_url: settings, events } = self.get_json("/app").await?;
        Ok(Some(Webhook { hook: Hook::OfApp, active: true, events, config, settings }))
    }

    /// The last attempt to deliver anything.
    pub(super) async fn last_attempt(&self, hook: &Hook) -> Result<Option<Attempt>, GitHubError> {
        let last: Vec<Attempt> = self.get_json(&format!("{}?per_page=1", hook.deliveries())).await?;
        Ok(last.into_iter().next())
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
