//! Whether pushes will come: the webhooks that lead to us, a repository's own, its organisation's and an App's, and how
//! their last delivery went. It only looks.
//!
//! A hook's secret is told to nobody. But our door answers 2xx only to what is signed with one of ours, and 401 to what is
//! not: the last delivery says whether it fits.

use super::GitHubClient;
use super::GitHubError;
use super::hooks::{Attempt, Hook, Webhook};
use crate::domain::{Checkup, Finding, RepositoryName};

const ABOUT: &str = "webhook";

impl GitHubClient {
    /// Looks at the webhooks that lead to `door`; where that is not known, to any door like ours.
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
        let own = if may_look { visible(self.webhooks_of(repository).await)? } else { None };
        let itself = self.as_app();
        let of_app = match &itself {
            Some(app) => app.webhook_of_app().await?,
            None => None,
        };
        let is_known = own.is_some();
        let mut all: Vec<Webhook> = own.unwrap_or_default().into_iter().chain(of_app).collect();
        if !all.iter().any(|it| it.leads_to(door)) {
            // What an organisation's webhook is sent is sent for all of its repositories.
            all.extend(visible(self.webhooks_of_owner(repository).await)?.unwrap_or_default());
        }
        let like_ours = all.into_iter().filter(Webhook::is_like_ours);
        let (ours, others): (Vec<_>, Vec<_>) = like_ours.partition(|it| it.leads_to(door));
        let mut seen = Vec::new();
        for webhook in &ours {
            let asks = itself.as_ref().filter(|_| webhook.hook == Hook::OfApp).unwrap_or(self);
            seen.extend(judged(webhook, asks.last_attempt(&webhook.hook).await?.as_ref()));
        }
        if seen.is_empty() {
            seen.push(none_found(self.site(), repository, door, &others, is_known));
        }
        Ok(seen)
    }
}

/// What was listed, or nothing where we may not look.
fn visible(listed: Result<Vec<Webhook>, GitHubError>) -> Result<Option<Vec<Webhook>>, GitHubError> {
    match listed {
        Ok(webhooks) => Ok(Some(webhooks)),
        Err(GitHubError::NotFound | GitHubError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn none_found(
    site: String,
    repository: &RepositoryName,
    door: Option<&str>,
    others: &[Webhook],
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
    let help = format!(
        "add it at {settings}, with the event Push and one of the secrets here; an organisation's own will do, and is \
         seen with the permission Organization webhooks: read"
    );
    Checkup::found(ABOUT, Finding::warning("clients/no-hook", text).help(help))
}

/// Everything that is wrong with a hook that leads to us, or that all is well.
fn judged(hook: &Webhook, last: Option<&Attempt>) -> Vec<Checkup> {
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

impl Attempt {
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

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({} at {:.0})", self.event, self.delivered_at)
    }
}
