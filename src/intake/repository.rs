//! What a `repository` event says: that a repository has another name, or another owner. It is known by its number.

use serde::Deserialize;

use super::payload::{Malformed, repository_name};
use super::reception::Reception;
use super::signature::Voice;
use crate::domain::{Repository, TargetName};
use crate::ledger::LedgerError;

#[derive(Deserialize)]
struct Payload {
    action: String,
    repository: Named,
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    full_name: String,
}

/// The repository under the name that it has now; nothing where the event is about something else.
pub(super) fn moved(json: &str) -> Result<Option<Repository>, Malformed> {
    let Payload { action, repository } = serde_json::from_str(json)?;
    if !matches!(action.as_str(), "renamed" | "transferred") {
        return Ok(None);
    }
    Ok(Some(Repository { id: Some(repository.id), name: repository_name(repository.full_name)? }))
}

/// Has every target follow that knows the repository by its number. Says what came of it.
pub(super) async fn follow(
    reception: &Reception,
    repository: &Repository,
    voice: &Voice,
) -> Result<String, LedgerError> {
    let followers = reception.homes.follow(repository, voice).await?;
    let name = &repository.name;
    if followers.is_empty() {
        return Ok(format!("no target knew `{name}` under another name"));
    }
    let followers: Vec<&str> = followers.iter().map(TargetName::as_str).collect();
    tracing::warn!(targets = ?followers, "the repository was renamed or transferred to `{name}`, and is followed");
    Ok(format!("followed to `{name}` by {}: correct `repository` in the configuration", followers.join(", ")))
}
