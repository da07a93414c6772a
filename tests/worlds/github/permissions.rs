//! What the routes of a GitHub world take, and what its token was given.

use super::{GitHubWorld, Route};

impl Route {
    /// The permission that it takes.
    pub(super) fn needs(self) -> (&'static str, &'static str) {
        match self {
            Self::Status => ("statuses", "write"),
            Self::Statuses => ("statuses", "read"),
            Self::CheckRuns => ("checks", "read"),
            Self::Deployment | Self::DeploymentState => ("deployments", "write"),
            Self::OwnCheck => ("checks", "write"),
            Self::Comment | Self::Pulls => ("pull_requests", "write"),
            Self::CommitComment => ("contents", "write"),
            Self::Hooks => ("repository_hooks", "read"),
            Self::Redelivery => ("repository_hooks", "write"),
            Self::Repository | Self::Permission => ("metadata", "read"),
            Self::Ref | Self::Branches | Self::Tree | Self::Tag | Self::Commit => ("contents", "read"),
            Self::Compare | Self::Contents | Self::Tarball | Self::Archive => ("contents", "read"),
        }
    }
}

impl GitHubWorld {
    /// Makes the token a classic one with these scopes.
    pub(crate) fn set_scopes(&self, scopes: &str) {
        self.shared.state.lock().unwrap().scopes = Some(scopes.to_owned());
    }

    /// Takes a permission from the token, which GitHub's answers never tell.
    pub(crate) fn withhold(&self, permission: &'static str) {
        self.shared.state.lock().unwrap().withheld.push(permission);
    }
}
