//! The pull request that a command was said beneath, and what of it is deployed.

use serde::Deserialize;

use super::commands::nothing;
use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::{CommitSha, Failure, RefName, RepositoryName};

/// As GitHub tells of it.
#[derive(Deserialize)]
struct Pull {
    head: Head,
    #[serde(default)]
    merged: bool,
    #[serde(default)]
    merge_commit_sha: Option<CommitSha>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    branch: String,
    sha: CommitSha,
    /// Nothing where the fork was deleted.
    repo: Option<HeadRepository>,
}

#[derive(Deserialize)]
struct HeadRepository {
    full_name: String,
}

/// The branch and commit of a pull request of this repository; of one that was merged, the commit that it became.
pub(super) async fn head(
    client: &GitHubClient,
    repository: &RepositoryName,
    number: u64,
) -> Result<(Option<RefName>, CommitSha), Failure> {
    let pull = client.get_json::<Pull>(&format!("/repos/{repository}/pulls/{number}")).await;
    meant(pull.map_err(|error| no_pull(number, &error))?, repository)
}

fn meant(pull: Pull, repository: &RepositoryName) -> Result<(Option<RefName>, CommitSha), Failure> {
    if let (true, Some(sha)) = (pull.merged, pull.merge_commit_sha) {
        return Ok((None, sha));
    }
    let is_ours = pull.head.repo.is_some_and(|it| it.full_name.eq_ignore_ascii_case(repository.as_str()));
    if !is_ours {
        let text = "this pull request comes from another repository, of which nothing is deployed";
        let help = "merge it first, or push its branch to this repository";
        return Err(Failure::setup("asking/foreign-pull", text).help(help));
    }
    let branch = RefName::parse_visible(format!("refs/heads/{}", pull.head.branch));
    let branch = branch.map_err(|unfit| nothing(unfit.to_string(), "name a branch"))?;
    Ok((Some(branch), pull.head.sha))
}

fn no_pull(number: u64, error: &GitHubError) -> Failure {
    let text = format!("pull request {number} cannot be looked at: {error}");
    let failure = Failure { passing: error.is_passing(), ..Failure::setup("asking/no-pull", text) };
    failure.help("say it again in a while, or name a branch or a commit")
}
