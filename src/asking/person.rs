//! Who asks from chat or in a comment.

use crate::domain::on_github;

/// Somebody, as proven by whoever passed their words on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// A member of the workspace that Slack's signature speaks for.
    OfSlack {
        /// Slack's id for them, `U012AB3CD`.
        id: String,
        /// Their login at GitHub, where the configuration says it.
        login: Option<String>,
    },
    /// Whoever wrote a comment.
    OfGitHub {
        /// Their login.
        login: String,
        /// Whether GitHub says that they have to do with the repository: its owner, a member, a collaborator.
        belongs: bool,
    },
}

impl Person {
    /// Their login at GitHub.
    pub fn login(&self) -> Option<&str> {
        match self {
            Self::OfSlack { login, .. } => login.as_deref(),
            Self::OfGitHub { login, .. } => Some(login),
        }
    }

    /// Who they are in the audit trail. No token can have such a name: it has blanks in it.
    pub fn actor(&self) -> String {
        match self {
            Self::OfSlack { id, login } => format!("{} on Slack", login.as_deref().unwrap_or(id)),
            Self::OfGitHub { login, .. } => on_github(login),
        }
    }
}
