//! What GitHub says of us: whether it answers, what we may do there as far as it tells, and whether our clocks agree. It
//! changes nothing there.
//!
//! What an App may do, GitHub tells to the letter, and of a classic token its scopes. What a fine-grained token may do is
//! told by no read: `permissions` is what its owner may do in the repository, not what the token was given.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;

use super::identity::Identity;
use super::permission::{Feature, Need};
use super::wire::JSON;
use super::{GitHubClient, GitHubClients, GitHubError};
use crate::domain::{Checkup, Finding, RepositoryName};

pub(super) const ABOUT: &str = "GitHub";
/// A difference that no time service leaves.
const SKEWED: SignedDuration = SignedDuration::from_secs(30);

#[derive(Deserialize)]
struct About {
    #[serde(default)]
    private: bool,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

/// What we may do, as far as GitHub tells.
enum Granted {
    /// Nothing but what everybody may.
    Nothing,
    /// To an App, by name.
    Exactly(u32, BTreeMap<String, String>),
    /// To a classic token.
    Scopes(Vec<String>),
    /// To a fine-grained token, or one of which a proxy took the header away.
    Untold,
}

impl GitHubClients {
    /// Whether this machine's clock agrees with GitHub's, as far as GitHub has answered at all.
    pub fn checkup_of_clock(&self) -> Option<Checkup> {
        let ahead = self.wire().ahead()?;
        if ahead.abs() <= SKEWED {
            return Some(Checkup::ok("clock", "it agrees with GitHub's").answered());
        }
        let (minutes, way) =
            (ahead.abs().as_secs().div_euclid(60), if ahead.is_positive() { "behind" } else { "ahead of" });
        let text = format!(
            "it is {} {way} GitHub's: what a GitHub App signs is refused from a minute ahead or nine behind on",
            if minutes == 0 { format!("{} s", ahead.abs().as_secs()) } else { format!("{minutes} min") }
        );
        let finding = Finding::warning("clients/clock-off", text);
        Some(Checkup::found("clock", finding.help("run a time service such as chrony")).answered())
    }
}

impl GitHubClient {
    /// Looks at a repository as we see it, and at whether we may do there what `features` need. The webhook has to lead to
    /// `door`, where that is known.
    pub async fn checkup(&self, repository: &RepositoryName, features: &[Feature], door: Option<&str>) -> Vec<Checkup> {
        let answer = match self.get(&format!("/repos/{repository}"), JSON).await {
            Ok(answer) => answer,
            Err(error) => return vec![refused(&error, repository)],
        };
        let about = match answer.json::<About>() {
            Ok(about) => about,
            Err(error) => return vec![refused(&error, repository)],
        };
        let granted = match self.granted(answer.header("x-oauth-scopes")).await {
            Ok(granted) => granted,
            Err(error) => return vec![refused(&error, repository)],
        };
        let mut sight = seen(&about, &granted, repository);
        sight.said.extend(self.left().map(|left| format!("; {left}")));
        let mut seen = vec![sight];
        seen.extend(rights(&about, &granted, features, repository));
        if self.is_app() && features.contains(&Feature::Comments) {
            let said =
                "on pull requests; on a commit in none it takes Contents: write, which tokens of an App never have";
            seen.push(Checkup::ok("comments", said));
        }
        if !matches!(granted, Granted::Nothing) {
            let may_look = lacking(&about, &granted, &[Feature::Webhooks]).is_empty();
            seen.extend(self.checkup_of_webhooks(repository, door, may_look).await);
        }
        seen.into_iter().map(Checkup::answered).collect()
    }

    async fn granted(&self, scopes: Option<&str>) -> Result<Granted, GitHubError> {
        Ok(match self.identity() {
            Identity::Nobody | Identity::Person(_) | Identity::App(_) => Granted::Nothing,
            Identity::Installed(access) => Granted::Exactly(access.app().id, access.granted(self.wire()).await?),
            Identity::Token(_) => match scopes {
                Some(scopes) => {
                    let scopes = scopes.split(',').map(|it| it.trim().to_owned());
                    Granted::Scopes(scopes.filter(|it| !it.is_empty()).collect())
                }
                None => Granted::Untold,
            },
        })
    }
}

fn seen(about: &About, granted: &Granted, repository: &RepositoryName) -> Checkup {
    let sight = if about.private { "private" } else { "public" };
    let owner_reads_only = matches!(about.permissions, Some(Permissions { push: false }));
    match granted {
        Granted::Nothing => {
            let text = format!("`{repository}` answers, and without a token no commit status is sent");
            let help = "write `token = { env = \"GITHUB_TOKEN\" }` under `[github]`, or make a GitHub App";
            Checkup::found(ABOUT, Finding::warning("clients/github-anonymous", text).help(help))
        }
        Granted::Scopes(_) | Granted::Untold if owner_reads_only => {
            let text = format!("the token's owner may only read `{repository}`: commit statuses will be refused");
            let help = "give the token's owner write access, and the token Commit statuses: write";
            Checkup::found(ABOUT, Finding::warning("clients/github-read-only", text).help(help))
        }
        Granted::Exactly(app, _) => Checkup::ok(ABOUT, format!("`{repository}` ({sight}) answers the App {app}")),
        Granted::Scopes(_) => Checkup::ok(ABOUT, format!("`{repository}` ({sight}) answers")),
        Granted::Untold => {
            let said = format!("`{repository}` ({sight}) answers; whether statuses may be sent shows with the first");
            Checkup::ok(ABOUT, said)
        }
    }
}

/// Whether everything that is wanted is granted, where GitHub tells.
fn rights(about: &About, granted: &Granted, features: &[Feature], repository: &RepositoryName) -> Vec<Checkup> {
    const RIGHTS: &str = "permissions";
    let (who, what, how) = match granted {
        Granted::Nothing | Granted::Untold => return Vec::new(),
        Granted::Exactly(app, _) => (
            format!("the App {app}"),
            list(features.iter().flat_map(|it| it.needs()).map(Need::to_string)),
            "add it to the App's permissions in its settings, and have the owner accept it for the installation",
        ),
        Granted::Scopes(scopes) => (
            "the token".into(),
            list(scopes.iter().map(|it| format!("`{it}`"))),
            "make a fine-grained token with it, or a GitHub App",
        ),
    };
    let lacking = lacking(about, granted, features);
    if lacking.is_empty() {
        return vec![Checkup::ok(RIGHTS, format!("{who} has all it needs: {what}"))];
    }
    let told = |(feature, need): &(Feature, Need)| {
        let text = format!("{who} lacks {need} for `{repository}`, and {} takes it", feature.name());
        let found = if *feature == Feature::Commits { Finding::error } else { Finding::warning };
        let finding = found("clients/github-permission", text);
        Checkup::found(RIGHTS, finding.help(how))
    };
    lacking.iter().map(told).collect()
}

/// What is wanted and known not to be granted.
fn lacking(about: &About, granted: &Granted, features: &[Feature]) -> Vec<(Feature, Need)> {
    let all = features.iter().flat_map(|feature| feature.needs().iter().map(|need| (*feature, *need)));
    match granted {
        Granted::Nothing | Granted::Untold => Vec::new(),
        Granted::Exactly(_, granted) => all.filter(|(_, need)| !need.is_met(granted)).collect(),
        Granted::Scopes(scopes) => {
            let has = |scope: &str| scopes.iter().any(|it| it == scope);
            let in_public = |feature: &Feature| *feature == Feature::Commits || has("public_repo");
            let suffices = |feature: &Feature| {
                feature.scopes().iter().any(|it| has(it))
                    || !about.private && feature.is_open_in_public() && in_public(feature)
            };
            all.filter(|(feature, _)| !suffices(feature)).collect()
        }
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    words.dedup();
    words.join(", ")
}

fn refused(error: &GitHubError, repository: &RepositoryName) -> Checkup {
    if let GitHubError::NoToken { .. } = error {
        // That is told where secrets are looked at.
        return Checkup::skipped(ABOUT, format!("`{repository}` was not asked for: {error}"));
    }
    let mut failure = error.failure();
    failure.message = format!("`{repository}`: {}", failure.message);
    let checkup = Checkup::failed(ABOUT, failure);
    if matches!(error, GitHubError::Unavailable { .. }) { checkup.silent() } else { checkup.answered() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Standing;

    fn about(json: &str) -> About {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_token_that_can_only_read_is_told() {
        let repository = RepositoryName::parse("acme/shop").unwrap();
        let told = |json: &str, granted: Granted| {
            let it = seen(&about(json), &granted, &repository);
            (it.standing, it.code.unwrap_or_default())
        };
        let reads = r#"{"private": true, "permissions": {"pull": true, "push": false}}"#;
        assert_eq!(told(reads, Granted::Untold), (Standing::Warning, "clients/github-read-only".into()));
        assert_eq!(told(r#"{"permissions": {"push": true}}"#, Granted::Untold).0, Standing::Ok);
        assert_eq!(
            told("{}", Granted::Exactly(1, BTreeMap::new())).0,
            Standing::Ok,
            "the rights are told by themselves"
        );
        assert_eq!(told("{}", Granted::Nothing), (Standing::Warning, "clients/github-anonymous".into()));
    }

    #[test]
    fn of_a_classic_token_the_scopes_say_what_it_lacks() {
        let lacks = |scopes: &[&str], private: bool| {
            let granted = Granted::Scopes(scopes.iter().map(|it| (*it).to_owned()).collect());
            let about = About { private, permissions: None };
            let lacking = lacking(&about, &granted, &Feature::ALL);
            lacking.iter().map(|(feature, _)| feature.name()).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(lacks(&["repo", "admin:org_hook", "read:org"], true), "making check runs");
        assert_eq!(
            lacks(&["repo:status", "read:repo_hook"], true),
            "reading commits, showing deployments, making check runs, commenting on pull requests, waiting for checks, \
             waiting for checks, having deliveries sent again, looking at an organisation's webhooks, \
             asking who is in a team"
        );
        assert_eq!(
            lacks(&["public_repo"], false),
            "making check runs, looking at webhooks, having deliveries sent again, \
             looking at an organisation's webhooks, asking who is in a team"
        );
        assert!(lacks(&[], false).starts_with("setting commit statuses"), "everybody reads what is public");
    }
}
