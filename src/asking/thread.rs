//! How a command in a comment at GitHub is answered there.

use serde_json::{Value, json};

use super::commands::Place;
use crate::chat::{Span, github_comment};
use crate::clients::github::{GitHubClients, GitHubError};

/// Answers with a sign at the comment, and with lines beneath it.
pub(super) async fn answer(
    github: &GitHubClients,
    place: &Place,
    comment: u64,
    is_done: bool,
    lines: Option<&[Vec<Span>]>,
) -> Result<(), GitHubError> {
    let (home, comments, thread) = match place {
        Place::Anywhere => return Ok(()),
        Place::Pull { home, number } => (home, "issues/comments", format!("issues/{number}/comments")),
        Place::Commit { home, sha } => (home, "comments", format!("commits/{sha}/comments")),
    };
    let (client, root) = (github.of(&home.repository), format!("/repos/{}", home.repository));
    let sign = json!({ "content": if is_done { "+1" } else { "-1" } });
    let signed = client.post::<Value>(&format!("{root}/{comments}/{comment}/reactions"), &sign).await;
    if let Some(lines) = lines {
        let body = json!({ "body": github_comment(lines) });
        client.post::<Value>(&format!("{root}/{thread}"), &body).await?;
    }
    signed.map(|_| ())
}
