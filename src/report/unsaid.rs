//! Why a message could not be said, and what follows from that: whether to try again, and whether to try others.

use jiff::Timestamp;

use crate::chat::ChatError;
use crate::clients::github::{AppTrouble, GitHubError};
use crate::domain::Failure;

/// Why it could not be said.
#[derive(Clone, Debug)]
pub(super) struct Unsaid {
    pub(super) failure: Failure,
    /// Not before this time.
    pub(super) until: Option<Timestamp>,
    /// Whether it would be the same with any other message in that name.
    pub(super) for_all: bool,
    /// Whether it may stand there all the same: the answer was lost.
    pub(super) may_be_taken: bool,
    /// Whether the token may not do such a thing at all.
    pub(super) is_denied: bool,
}

impl Unsaid {
    /// What a chat service's error means.
    pub(super) fn of_chat(error: &ChatError) -> Self {
        Self {
            failure: error.failure(),
            until: error.until(),
            for_all: error.is_for_all(),
            may_be_taken: error.may_be_taken(),
            is_denied: false,
        }
    }

    /// What GitHub's error means. `right`: the permission that the message needs, in GitHub's words. `young`: the push
    /// is so new that GitHub may not know its commit everywhere.
    pub(super) fn of(error: &GitHubError, right: &str, young: bool) -> Self {
        let (code, help) = match error {
            GitHubError::App(trouble) => {
                // A person mends it while the bot runs. Whether it is installed is a matter of each repository.
                let failure = Failure { passing: true, ..trouble.failure() };
                let for_all = !matches!(trouble, AppTrouble::NotInstalled { .. });
                return Self { failure, until: None, for_all, may_be_taken: false, is_denied: false };
            }
            GitHubError::NoToken { .. } => {
                ("report/no-token", "put the token where the configuration says it is".into())
            }
            GitHubError::Unauthorized => {
                ("report/unauthorized", "renew the GitHub token: it is read again each time".into())
            }
            GitHubError::Forbidden { .. } => ("report/forbidden", lacks(right)),
            GitHubError::NotFound => ("report/not-found", lacks(right)),
            GitHubError::RateLimited { .. } => {
                ("report/rate-limited", "wait: it is tried again when GitHub allows it".into())
            }
            GitHubError::Refused { message, .. } if message.contains("maximum number of statuses") => {
                let help =
                    "give the target another `context` under `[target.github]`: GitHub takes no more of this one";
                ("report/too-many", help.into())
            }
            GitHubError::Conflict { .. } | GitHubError::Refused { .. } => {
                ("report/refused", "look at GitHub's words: the same would be refused again".into())
            }
            GitHubError::Unavailable { .. } => ("report/unavailable", "wait, or look at GitHub's status page".into()),
            GitHubError::Unclear { .. } => ("report/unclear", "check `[github] api_url`".into()),
        };
        let unknown_yet = match error {
            GitHubError::NotFound => young,
            GitHubError::Refused { status: 422, message } => {
                young && ["No commit found", "No ref found"].iter().any(|it| message.contains(it))
            }
            GitHubError::Refused { .. } | GitHubError::Conflict { .. } | GitHubError::Unclear { .. } => false,
            GitHubError::NoToken { .. } | GitHubError::Unauthorized | GitHubError::Forbidden { .. } => false,
            GitHubError::App(_) => false,
            GitHubError::RateLimited { .. } | GitHubError::Unavailable { .. } => false,
        };
        // A token is renewed while the bot runs; until then it is as if GitHub were not there.
        let for_all = error.is_passing() || *error == GitHubError::Unauthorized;
        let mut failure = Failure::setup(code, error.to_string());
        failure.help = Some(help);
        failure.passing = for_all || unknown_yet;
        let until = if let GitHubError::RateLimited { until } = error { Some(*until) } else { None };
        let may_be_taken = matches!(error, GitHubError::Unavailable { .. } | GitHubError::Unclear { .. });
        let is_denied = matches!(error, GitHubError::Forbidden { .. } | GitHubError::NotFound) && !failure.passing;
        Self { failure, until, for_all, may_be_taken, is_denied }
    }
}

fn lacks(right: &str) -> String {
    format!("give the token the permission {right}; without it GitHub says «not found» too")
}
