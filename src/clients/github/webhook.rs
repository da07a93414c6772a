//! Whether pushes will come: the webhooks that lead to us, a repository's own and an App's, and how their last delivery
//! went. It only looks.
//!
//! A hook's secret is told to nobody. But our door answers 2xx only to what is signed with one of ours, and 401 to what is
//! not: the last delivery says whether it fits.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::app::{App, NOTHING};
use super::identity::Identity;
use super::{GitHubClient, GitHubError};
use crate::domain::{Checkup, Finding, RepositoryName};

const ABOUT: &str = "webhook";
/// Where our door is, whatever the machine is called.
const DOOR: &str = "/webhooks/github";

/// A webhook, as far as it concerns us.
#[derive(Debug, Deserialize)]
struct Hook {
    id: Option<u64>,
    active: bool,
    events: Vec<String>,
    config: HookConfig,
    /// Where a person changes it.
    #[serde(skip)]
    settings: String,
}

#[derive(Debug, Deserialize)]
struct HookConfig {
    url: Option<String>,
    /// `"0"` or `0` where certificates are checked.
    insecure_ssl: Option<Value>,
    /// Asterisks, where there is one.
    secret: Option<String>,
}

/// What became of something sent.
#[derive(Debug, Deserialize)]
struct Delivery {
    event: String,
    delivered_at: Timestamp,
    status: String,
    status_code: u16,
}

impl GitHubClient {
    /// Looks at the webhooks that lead to `door`; where that is not known, to any door like ours. Those of an organisation
    /// take an owner's token to be seen, and are not looked for.
    pub(super) async fn checkup_of_webhooks(
        &self,
        repository: &RepositoryName,
        door: Option<&str>,
        may_look: bool,
    ) -> Vec<Checkup> {
        match self.webhooks(repository, door, may_look).await {
            Ok(checkups) => checkups,
            Err(error) => vec![Checkup::failed(ABOUT, error.failure())],
        }
    }

    async fn webhooks(
        &self,
        repository: &RepositoryName,
        door: Option<&str>,
        may_look: bool,
    ) -> Result<Vec<Checkup>, GitHubError> {
        let own = if may_look { self.hooks_of(repository).await? } else { None };
        let of_app = match self.identity() {
            Identity::Installed(access) => self.hook_of(access.app()).await?,
            Identity::Nobody | Identity::Token(_) | Identity::App(_) => None,
        };
        let is_known = own.is_some();
        let all = own.unwrap_or_default().into_iter().chain(of_app).filter(Hook::is_like_ours);
        let (ours, others): (Vec<_>, Vec<_>) = all.partition(|hook| hook.leads_to(door));
        let mut seen = Vec::new();
        for hook in &ours {
            let last = self.last_delivery(repository, hook).await?;
            seen.extend(judged(hook, last.as_ref()));
        }
        if seen.is_empty() {
            seen.push(none_found(self.site(), repository, door, &others, is_known));
        }
        Ok(seen)
    }

    /// A repository's own, or nothing where we may not look.
    async fn hooks_of(&self, repository: &RepositoryName) -> Result<Option<Vec<Hook>>, GitHubError> {
        match self.get_json::<Vec<Hook>>(&format!("/repos/{repository}/hooks?per_page=100")).await {
            Ok(mut hooks) => {
                let settings = |id: u64| format!("{}/{repository}/settings/hooks/{id}", self.site());
                hooks.iter_mut().for_each(|hook| hook.settings = settings(hook.id.unwrap_or_default()));
                Ok(Some(hooks))
            }
            Err(GitHubError::NotFound | GitHubError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An App that has no webhook has none to look at.
    async fn hook_of(&self, app: &App) -> Result<Option<Hook>, GitHubError> {
        #[derive(Deserialize)]
        struct About {
            html_url: String,
            #[serde(default)]
            events: Vec<String>,
        }
        let config = match app.ask::<HookConfig>(self.wire(), http::Method::GET, "/app/hook/config", NOTHING).await {
            Err(GitHubError::NotFound) => return Ok(None),
            config => config?,
        };
        let About { html_url, events } = app.ask(self.wire(), http::Method::GET, "/app", NOTHING).await?;
        Ok(Some(Hook { id: None, active: true, events, config, settings: html_url }))
    }

    async fn last_delivery(&self, repository: &RepositoryName, hook: &Hook) -> Result<Option<Delivery>, GitHubError> {
        let one = "deliveries?per_page=1";
        let last: Vec<Delivery> = match (hook.id, self.identity()) {
            (Some(id), _) => self.get_json(&format!("/repos/{repository}/hooks/{id}/{one}")).await?,
            (None, Identity::Installed(access)) => {
                access.app().ask(self.wire(), http::Method::GET, &format!("/app/hook/{one}"), NOTHING).await?
            }
            (None, Identity::Nobody | Identity::Token(_) | Identity::App(_)) => Vec::new(),
        };
        Ok(last.into_iter().next())
    }
}

impl Hook {
    fn url(&self) -> &str {
        self.config.url.as_deref().unwrap_or_default().trim_end_matches('/')
    }

    fn is_like_ours(&self) -> bool {
        self.url().ends_with(DOOR)
    }

    fn leads_to(&self, door: Option<&str>) -> bool {
        door.is_none_or(|door| self.url().eq_ignore_ascii_case(door))
    }
}

fn none_found(
    site: String,
    repository: &RepositoryName,
    door: Option<&str>,
    others: &[Hook],
    is_known: bool,
) -> Checkup {
    let door = door.unwrap_or("https://…/webhooks/github");
    let settings = format!("{site}/{repository}/settings/hooks");
    if let Some(other) = others.first() {
        let text = format!("the webhook of `{repository}` leads to {}, and not to {door}", other.url());
        let help = format!("correct it at {}, or `public_url` here", other.settings);
        return Checkup::found(ABOUT, Finding::warning("clients/hook-elsewhere", text).help(help));
    }
    if !is_known {
        let text =
            format!("whether `{repository}` has one was not looked at: that takes the permission Webhooks: read");
        return Checkup::skipped(ABOUT, text);
    }
    let text =
        format!("no webhook of `{repository}` leads to {door}: a push is found minutes later, when heads are compared");
    let help =
        format!("add it at {settings}, with the event Push and one of the secrets here; an organisation's own will do");
    Checkup::found(ABOUT, Finding::warning("clients/no-hook", text).help(help))
}

/// Everything that is wrong with a hook that leads to us, or that all is well.
fn judged(hook: &Hook, last: Option<&Delivery>) -> Vec<Checkup> {
    let settings = &hook.settings;
    let mut wrong = Vec::new();
    if !hook.active {
        let finding = Finding::error("clients/hook-off", "it is switched off: GitHub sends nothing");
        wrong.push(finding.help(format!("tick Active at {settings}")));
    }
    if !hook.events.iter().any(|it| it == "push" || it == "*") {
        let text = format!("it sends no pushes, only {}", hook.events.join(", "));
        wrong.push(
            Finding::error("clients/hook-without-pushes", text).help(format!("choose the event Push at {settings}")),
        );
    }
    if hook.config.secret.as_ref().is_none_or(String::is_empty) {
        let finding = Finding::error("clients/hook-unsigned", "it has no secret: what it sends is refused");
        wrong.push(finding.help(format!("write one of the secrets here into it at {settings}")));
    }
    if hook.config.insecure_ssl.as_ref().is_some_and(|it| *it == 1 || *it == "1") {
        let finding = Finding::warning("clients/hook-unchecked", "it sends without checking whose certificate it is");
        wrong.push(finding.help(format!("enable SSL verification at {settings}")));
    }
    wrong.extend(last.and_then(|last| last.trouble(settings)));
    if !wrong.is_empty() {
        return wrong.into_iter().map(|it| Checkup::found(ABOUT, it)).collect();
    }
    let said = match last {
        None => "it leads here; nothing was sent yet, and whether its secret fits shows then".to_owned(),
        Some(last) => format!("it leads here, and its last delivery {last} was taken: its secret fits"),
    };
    vec![Checkup::ok(ABOUT, said)]
}

impl Delivery {
    fn trouble(&self, settings: &str) -> Option<Finding> {
        let (code, text, help) = match self.status_code {
            200..=299 => return None,
            401 => (
                "clients/hook-secret",
                format!("its last delivery {self} was refused: its secret is none of ours"),
                format!("write one of the secrets here into it at {settings}, and have the delivery sent again there"),
            ),
            status => (
                "clients/hook-unanswered",
                format!("its last delivery {self} was not taken: {status} {}", self.status),
                format!("see whether the door can be reached from GitHub, and have it sent again at {settings}"),
            ),
        };
        Some(Finding::error(code, text).help(help))
    }
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} at {:.0})", self.event, self.delivered_at)
    }
}
