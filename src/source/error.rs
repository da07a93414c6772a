//! How a source fails, by what can be done about it. It never holds a secret.

use jiff::Timestamp;
use thiserror::Error;

use crate::clients::github::{AppTrouble, GitHubError};
use crate::domain::{CommitSha, Failure};

/// Why a source did not answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// We have no token to show.
    #[error("the token for `{what}` cannot be read: {why}")]
    NoToken {
        /// The repository.
        what: String,
        /// Why.
        why: String,
    },
    /// The App that is to speak for us cannot.
    #[error(transparent)]
    App(AppTrouble),
    /// It does not know us.
    #[error("`{what}` does not accept our credentials: {why}")]
    Unauthorized {
        /// The repository.
        what: String,
        /// In its words.
        why: String,
    },
    /// It knows us, and says no.
    #[error("`{what}` may not be read: {why}")]
    Forbidden {
        /// The repository.
        what: String,
        /// In its words.
        why: String,
    },
    /// There is no such repository, or none that we can see.
    #[error("there is no repository `{what}`, or none that we can see")]
    NotFound {
        /// The repository.
        what: String,
    },
    /// The repository is there, and the commit is not. Right after a push it may still come.
    #[error("`{what}` has no commit {commit}")]
    UnknownCommit {
        /// The repository.
        what: String,
        /// The commit.
        commit: CommitSha,
    },
    /// Too many requests.
    #[error("the rate limit of `{what}` is reached until {until}")]
    RateLimited {
        /// The repository.
        what: String,
        /// When to ask again.
        until: Timestamp,
    },
    /// It is down, or the way to it.
    #[error("`{what}` cannot be reached: {why}")]
    Unavailable {
        /// The repository.
        what: String,
        /// Why.
        why: String,
    },
    /// Its server leads to another one, of which nobody said that it may be asked.
    #[error("`{what}` leads to another server, `{to}`, which is not followed")]
    LeadsAway {
        /// The repository.
        what: String,
        /// Where to, without user and password.
        to: String,
    },
    /// An archive ended before its end.
    #[error("the archive was cut after {bytes} bytes: {why}")]
    Cut {
        /// How much came.
        bytes: u64,
        /// Why.
        why: String,
    },
    /// A file is too long to be what it should be.
    #[error("`{path}` is {bytes} bytes long, and at most {limit} are read")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
        /// What is read at most.
        limit: u64,
    },
    /// It answered something else than it should.
    #[error("`{what}` answered something unexpected: {why}")]
    Broken {
        /// The repository.
        what: String,
        /// What.
        why: String,
    },
    /// The git command does not run on this machine.
    #[error("git does not run: {why}")]
    NoGit {
        /// Why.
        why: String,
    },
}

impl SourceError {
    /// Whether the same question may be answered later without anyone's help. A commit that is unknown may be one
    /// that GitHub has not yet copied everywhere: its age decides, which the source does not know.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Cut { .. } | Self::NoToken { .. } => true,
            Self::App(trouble) => trouble.is_passing(),
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::NotFound { .. } => false,
            Self::UnknownCommit { .. } | Self::TooLarge { .. } | Self::Broken { .. } | Self::NoGit { .. } => false,
            Self::LeadsAway { .. } => false,
        }
    }

    /// Before when it is of no use to ask again.
    pub fn retry_at(&self) -> Option<Timestamp> {
        if let Self::RateLimited { until, .. } = self { Some(*until) } else { None }
    }

    /// What a deployment or a hold says of it.
    pub fn failure(&self) -> Failure {
        let (code, help) = match self {
            Self::App(trouble) => return trouble.failure(),
            Self::NoToken { .. } => ("source/no-token", "put the token where the configuration says it is"),
            Self::Unauthorized { .. } => {
                ("source/unauthorized", "renew the token or key, and name it in the configuration")
            }
            Self::Forbidden { .. } => ("source/forbidden", "give the token the permission Contents: read"),
            Self::NotFound { .. } => (
                "source/not-found",
                "check the name, and give the token Contents: read: what a token cannot see is not found either",
            ),
            Self::UnknownCommit { .. } => {
                ("source/unknown-commit", "push the commit again, or deploy the ref's present head")
            }
            Self::RateLimited { .. } => {
                ("source/rate-limited", "wait, or use a token that other programs do not use up")
            }
            Self::Unavailable { .. } => ("source/unavailable", "wait, or check the network and the server's status"),
            Self::LeadsAway { .. } => {
                ("source/leads-away", "write the new address as the target's `source`, if it is the right one")
            }
            Self::Cut { .. } => ("source/cut", "wait: it is asked for again"),
            Self::TooLarge { .. } => ("source/too-large", "make the file shorter"),
            Self::Broken { .. } => ("source/broken", "check that the address is the right server's"),
            Self::NoGit { .. } => ("source/no-git", "install git where the bot runs, and keep it on its PATH"),
        };
        let of_the_revision = matches!(self, Self::TooLarge { .. });
        let blamed = if of_the_revision { Failure::revision } else { Failure::setup };
        let mut failure = blamed(code, self.to_string());
        failure.passing = self.is_passing();
        failure.help(help)
    }

    /// What GitHub's refusal means where the caller has not looked closer.
    pub(super) fn of_github(error: GitHubError, what: &str) -> Self {
        let what = what.to_owned();
        match error {
            GitHubError::App(trouble) => Self::App(trouble),
            GitHubError::NoToken { why } => Self::NoToken { what, why },
            GitHubError::Unauthorized => Self::Unauthorized { what, why: error.to_string() },
            GitHubError::Forbidden { message } => Self::Forbidden { what, why: message },
            GitHubError::NotFound => Self::NotFound { what },
            GitHubError::RateLimited { until } => Self::RateLimited { what, until },
            GitHubError::Unavailable { why } => Self::Unavailable { what, why },
            GitHubError::Conflict { .. } | GitHubError::Refused { .. } | GitHubError::Unclear { .. } => {
                Self::Broken { what, why: error.to_string() }
            }
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        error.failure()
    }
}
