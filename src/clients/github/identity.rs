//! In whose name GitHub is asked. Secrets are read or made anew when they are needed, and stay in headers.

use std::sync::Arc;

use http::HeaderValue;

use super::app::{Access, App};
use super::error::GitHubError;
use super::wire::Wire;
use crate::config::SecretRef;

/// Who asks.
pub(super) enum Identity {
    /// Nobody in particular: sees what everybody sees.
    Nobody,
    /// Whoever the token belongs to. It is read for every request, so that a new one needs no restart.
    Token(SecretRef),
    /// A person, who shows us what they see for as long as they sign in.
    Person(HeaderValue),
    /// An App, for one repository.
    Installed(Access),
    /// An App, for itself.
    App(Arc<App>),
}

impl Identity {
    /// What it shows.
    pub(super) async fn authorization(&self, wire: &Wire) -> Result<Option<HeaderValue>, GitHubError> {
        match self {
            Self::Nobody => Ok(None),
            Self::Token(token) => {
                let token = token.read().map_err(|error| GitHubError::NoToken { why: error.to_string() })?;
                bearer(token.expose()).map(Some)
            }
            Self::Person(shown) => Ok(Some(shown.clone())),
            Self::Installed(access) => access.token(wire).await.map(Some),
            Self::App(app) => app.jwt(wire.clock.now()).map(Some),
        }
    }

    /// What a refusal means, and nothing where the same request is worth a second try with what is shown then.
    pub(super) async fn refused(
        &self,
        shown: Option<&HeaderValue>,
        error: GitHubError,
        wire: &Wire,
    ) -> Option<GitHubError> {
        let is_suspended = matches!(&error, GitHubError::Forbidden { message } if message.contains("suspended"));
        let is_about_us = is_suspended || error == GitHubError::Unauthorized;
        match (self, shown) {
            (Self::Installed(access), Some(shown)) if is_about_us => {
                access.forget(shown).await;
                None
            }
            (Self::App(app), _) if error == GitHubError::Unauthorized => Some(app.unauthorized(wire)),
            _ => Some(error),
        }
    }
}

/// A token as a header that no log shows.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, GitHubError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| GitHubError::NoToken { why: "it holds characters that no token has".into() })?;
    value.set_sensitive(true);
    Ok(value)
}
