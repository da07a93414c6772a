//! A commit status at GitHub: one message, one status. It decides no words.

use serde::{Deserialize, Serialize};

use super::sink::{Message, Said};
use crate::clients::github::{GitHubClient, GitHubError};
use crate::domain::Deployment;

/// GitHub takes a thousand statuses of one name at one commit and refuses the next, the last word too. From here on only
/// what is over is told: a hundred deployments of one commit still get theirs.
pub(super) const ONLY_ENDS_FROM: u32 = 900;

/// Sets it. May run twice: the second status says the same.
pub(super) async fn set(
    client: &GitHubClient,
    deployment: &Deployment,
    message: &Message,
) -> Result<Said, GitHubError> {
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
    let Message { context, sha, notice, url, .. } = message;
    let body = Body { state: notice.state.as_str(), context, description: &notice.text, target_url: url.as_deref() };
    let path = format!("/repos/{}/statuses/{sha}", deployment.order().target.repository);
    let Created { id } = client.post(&path, &body).await?;
    Ok(Said::all(id.map(|id| id.to_string()), message))
}
