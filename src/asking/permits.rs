//! Whether somebody may ask for something of a target: GitHub is asked how far they may go at its repository, or whether
//! they are members of a team. Its answer counts for this one command.

use std::sync::Arc;

use serde::Deserialize;

use super::person::Person;
use crate::clients::github::{GitHubClient, GitHubClients, GitHubError};
use crate::config::Commands as Rules;
use crate::domain::{Failure, Level, Permit, RepositoryName, SourceSpec, Target, Team};

/// What GitHub tells of somebody at a repository.
#[derive(Deserialize)]
struct Standing {
    #[serde(default)]
    permission: String,
    #[serde(default)]
    role_name: String,
}

/// What GitHub tells of somebody in a team.
#[derive(Deserialize)]
struct Membership {
    state: String,
}

/// Asks whether somebody may.
#[derive(Clone)]
pub(super) struct Permits {
    rules: Arc<Rules>,
    github: GitHubClients,
}

impl Permits {
    pub(super) fn new(rules: Rules, github: GitHubClients) -> Self {
        Self { rules: rules.into(), github }
    }

    /// Nothing where they may; else why not, or why that cannot be told. `repository` is what the target's is called now.
    pub(super) async fn may(
        &self,
        person: &Person,
        target: &Target,
        repository: &RepositoryName,
    ) -> Result<(), Failure> {
        let Some(login) = person.login() else { return Err(nobody(person)) };
        let usual = Permit::default();
        let permit = self.rules.permits.get(&target.name).unwrap_or(&usual);
        if permit.names(login) || self.is_member(permit, repository, login).await? {
            return Ok(());
        }
        let Some(level) = permit.level.filter(|_| matches!(target.source, SourceSpec::GitHub)) else {
            return Err(barred(login, target, permit, None));
        };
        let has = self.level(repository, login).await?;
        if has.is_some_and(|has| has >= level) { Ok(()) } else { Err(barred(login, target, permit, has)) }
    }

    async fn level(&self, repository: &RepositoryName, login: &str) -> Result<Option<Level>, Failure> {
        let path = format!("/repos/{repository}/collaborators/{login}/permission");
        match self.github.of(repository).get_json::<Standing>(&path).await {
            Ok(it) => Ok(Level::told(&it.role_name, &it.permission)),
            Err(GitHubError::NotFound) => Ok(None),
            Err(error) => Err(untold(login, &error)),
        }
    }

    async fn is_member(&self, permit: &Permit, repository: &RepositoryName, login: &str) -> Result<bool, Failure> {
        let client = self.github.of(repository);
        for team in &permit.teams {
            if is_in(&client, team, login).await.map_err(|error| untold(login, &error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether somebody is an active member of a team.
pub(super) async fn is_in(
    client: &GitHubClient,
    Team { organisation, slug }: &Team,
    login: &str,
) -> Result<bool, GitHubError> {
    let path = format!("/orgs/{organisation}/teams/{slug}/memberships/{login}");
    match client.get_json::<Membership>(&path).await {
        Ok(it) => Ok(it.state == "active"),
        Err(GitHubError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Nobody knows who that is.
pub(super) fn nobody(person: &Person) -> Failure {
    let id = if let Person::OfSlack { id, .. } = person { id.as_str() } else { "" };
    let text = format!("nobody knows who `{id}` of Slack is at GitHub");
    let help = format!("add them to `people` of a `[[chat]]` of Slack's: `people = {{ LOGIN-AT-GITHUB = \"{id}\" }}`");
    Failure::setup("asking/unknown-person", text).help(help)
}

fn barred(login: &str, target: &Target, permit: &Permit, has: Option<Level>) -> Failure {
    let has = has.map(|it| format!(", and `{login}` has `{it}`")).unwrap_or_default();
    let text = format!("`{login}` may not ask for anything of `{}`: that is for {permit}{has}", target.name);
    let help = "ask one of them, or have the configuration changed: `[target.commands]`";
    Failure::setup("asking/not-permitted", text).help(help)
}

/// GitHub did not say.
fn untold(login: &str, error: &GitHubError) -> Failure {
    let text = format!("whether `{login}` may cannot be told: {error}");
    let help = match error.is_passing() {
        true => "say it again in a while",
        false => {
            "let the App or token read Metadata, and Members where teams count, or name people: `people = [\"…\"]`"
        }
    };
    Failure { passing: error.is_passing(), ..Failure::setup("asking/permission-untold", text) }.help(help)
}
