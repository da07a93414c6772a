//! What GitHub says of us: whether it answers, and what our token may do, as far as it tells. It changes nothing there.
//!
//! Whether a token may set commit statuses is told by no read: `permissions` is what the token's owner may do in the
//! repository, not what the token was given. Further questions (a GitHub App's installation, its permissions) belong here.

use serde::Deserialize;

use super::{GitHubClient, GitHubError};
use crate::domain::{Checkup, Finding, RepositoryName};

const ABOUT: &str = "GitHub";

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

impl GitHubClient {
    /// Looks at a repository as the token sees it.
    pub async fn checkup(&self, repository: &RepositoryName) -> Checkup {
        let about: About = match self.get_json(&format!("/repos/{repository}")).await {
            Ok(about) => about,
            Err(error) => return refused(&error, repository),
        };
        judged(&about, self.is_somebody(), repository).answered()
    }
}

fn judged(about: &About, has_token: bool, repository: &RepositoryName) -> Checkup {
    let sight = if about.private { "private" } else { "public" };
    match about.permissions {
        _ if !has_token => {
            let text = format!("`{repository}` answers, and without a token no commit status is sent");
            let help = "write `token = { env = \"GITHUB_TOKEN\" }` under `[github]`";
            Checkup::found(ABOUT, Finding::warning("clients/github-anonymous", text).help(help))
        }
        Some(Permissions { push: false }) => {
            let text = format!("the token's owner may only read `{repository}`: commit statuses will be refused");
            let help = "give the token's owner write access, and the token Commit statuses: write";
            Checkup::found(ABOUT, Finding::warning("clients/github-read-only", text).help(help))
        }
        Some(Permissions { push: true }) | None => {
            let said = format!("`{repository}` ({sight}) answers; whether statuses may be sent shows with the first");
            Checkup::ok(ABOUT, said)
        }
    }
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

    #[test]
    fn a_token_that_can_only_read_is_told() {
        let repository = RepositoryName::parse("acme/shop").unwrap();
        let told = |json: &str, token| {
            let it = judged(&serde_json::from_str(json).unwrap(), token, &repository);
            (it.standing, it.code.unwrap_or_default())
        };
        let reads = r#"{"private": true, "permissions": {"pull": true, "push": false}}"#;
        assert_eq!(told(reads, true), (Standing::Warning, "clients/github-read-only".into()));
        assert_eq!(told(r#"{"permissions": {"push": true}}"#, true).0, Standing::Ok);
        assert_eq!(told("{}", true).0, Standing::Ok, "GitHub says nothing of permissions to an App");
        assert_eq!(told("{}", false), (Standing::Warning, "clients/github-anonymous".into()));
    }
}
