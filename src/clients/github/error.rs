//! How a request to GitHub goes wrong, by what the caller can do about it. It never holds a token or an address.

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use thiserror::Error;

use super::budget::{WINDOW, reset};
use crate::domain::Failure;

/// GitHub's advice where it names no time.
const WAIT: SignedDuration = SignedDuration::from_secs(60);

/// Why a request to GitHub did not work.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum GitHubError {
    /// The token's file or variable cannot be read.
    #[error("the GitHub token cannot be read: {why}")]
    NoToken {
        /// Why.
        why: String,
    },
    /// No App can speak for us.
    #[error(transparent)]
    App(#[from] AppTrouble),
    /// The token is wrong or has expired (401).
    #[error("GitHub does not accept the token (401)")]
    Unauthorized,
    /// The token may not do this (403).
    #[error("GitHub forbids it (403): {message}")]
    Forbidden {
        /// In GitHub's words.
        message: String,
    },
    /// It is not there, or the token cannot see it (404, 410).
    #[error("GitHub does not find it (404)")]
    NotFound,
    /// Too many requests (403 or 429).
    #[error("GitHub's rate limit is reached until {until}")]
    RateLimited {
        /// When to ask again.
        until: Timestamp,
    },
    /// It contradicts what is there (409), such as a ref of an empty repository.
    #[error("GitHub sees a conflict (409): {message}")]
    Conflict {
        /// In GitHub's words.
        message: String,
    },
    /// GitHub will never take it (422 and its like).
    #[error("GitHub refuses it ({status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// In GitHub's words.
        message: String,
    },
    /// GitHub, or the way to it, is down.
    #[error("GitHub cannot be reached: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// It answered something else than it documents.
    #[error("GitHub answered something unexpected: {why}")]
    Unclear {
        /// What.
        why: String,
    },
}

/// Why a GitHub App cannot speak for a repository.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AppTrouble {
    /// Its key cannot be read, or is none.
    #[error("the private key of the GitHub App {app} cannot be used: {why}")]
    Key {
        /// Its number.
        app: u32,
        /// Why.
        why: String,
    },
    /// GitHub knows no such App, or not with this key.
    #[error("GitHub knows no App {app} with this private key")]
    Unknown {
        /// Its number.
        app: u32,
    },
    /// What it signed is not yet or no longer valid where GitHub is.
    #[error(
        "GitHub does not take what the App {app} signs: it is {theirs:.0} at GitHub, and {ours:.0} on this machine"
    )]
    ClockSkew {
        /// Its number.
        app: u32,
        /// Our time.
        ours: Timestamp,
        /// GitHub's.
        theirs: Timestamp,
    },
    /// Nobody installed it for this repository.
    #[error("the GitHub App {app} is not installed for `{repository}`")]
    NotInstalled {
        /// Its number.
        app: u32,
        /// For which.
        repository: String,
        /// Where it is installed.
        at: String,
    },
    /// Somebody suspended it.
    #[error("the GitHub App {app} is suspended for `{repository}` since {since:.0}")]
    Suspended {
        /// Its number.
        app: u32,
        /// For which.
        repository: String,
        /// Since when.
        since: Timestamp,
    },
}

impl AppTrouble {
    /// Whether it may pass without anyone's help: a key is being replaced, a clock is set right.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Key { .. } | Self::ClockSkew { .. } => true,
            Self::Unknown { .. } | Self::NotInstalled { .. } | Self::Suspended { .. } => false,
        }
    }

    /// What a person reads.
    pub fn failure(&self) -> Failure {
        let (code, help) = match self {
            Self::Key { .. } => {
                let help = "make a private key in the App's settings, and put it where the configuration says it is";
                ("clients/github-app-key", help.to_owned())
            }
            Self::Unknown { .. } => {
                let help = "check `id` and `private_key` against the App's settings on GitHub";
                ("clients/github-app-unknown", help.to_owned())
            }
            Self::ClockSkew { .. } => (
                "clients/github-clock-skew",
                "set this machine's clock right: run a time service such as chrony".into(),
            ),
            Self::NotInstalled { at, .. } => ("clients/github-app-not-installed", format!("install it at {at}")),
            Self::Suspended { .. } => {
                let help = "have an owner of the repository take the App up again, in the settings of its installation";
                ("clients/github-app-suspended", help.to_owned())
            }
        };
        Failure { passing: self.is_passing(), ..Failure::setup(code, self.to_string()).help(help) }
    }
}

impl GitHubError {
    /// Whether the same request may work later without anyone's help.
    pub fn is_passing(&self) -> bool {
        match self {
            // A token that cannot be read is one that is being replaced, as a rule.
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::NoToken { .. } => true,
            Self::App(trouble) => trouble.is_passing(),
            Self::Unauthorized | Self::Forbidden { .. } | Self::NotFound => false,
            Self::Conflict { .. } | Self::Refused { .. } | Self::Unclear { .. } => false,
        }
    }

    /// What a person reads where no room knows better what was wanted.
    pub fn failure(&self) -> Failure {
        let (code, help) = match self {
            Self::App(trouble) => return trouble.failure(),
            Self::NoToken { .. } => ("clients/github-no-token", "put the token where the configuration says it is"),
            Self::Unauthorized => ("clients/github-unauthorized", "renew the token: it is read again each time"),
            Self::Forbidden { .. } => ("clients/github-forbidden", "give the token the permission"),
            Self::NotFound => ("clients/github-not-found", "check the name, and what the token may see"),
            Self::RateLimited { .. } => ("clients/github-rate-limited", "wait, or use a token of its own for the bot"),
            Self::Conflict { .. } => ("clients/github-conflict", "look at the repository"),
            Self::Refused { .. } => ("clients/github-refused", "look at GitHub's words"),
            Self::Unavailable { .. } => ("clients/github-unavailable", "wait, or check the network"),
            Self::Unclear { .. } => ("clients/github-unclear", "check `[github] api_url`"),
        };
        Failure { passing: self.is_passing(), ..Failure::setup(code, self.to_string()).help(help) }
    }

    /// The error that an answer means. GitHub's clock is so far ahead of ours.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        ahead: SignedDuration,
    ) -> Self {
        let message = message(body);
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 | 429 => match limited_until(headers, now, ahead) {
                Some(until) => Self::RateLimited { until },
                None if status.as_u16() == 429 || message.to_lowercase().contains("rate limit") => {
                    Self::RateLimited { until: now + WAIT }
                }
                None => Self::Forbidden { message },
            },
            404 | 410 => Self::NotFound,
            409 => Self::Conflict { message },
            408 | 500..=599 => Self::Unavailable { why: format!("status {}", status.as_u16()) },
            status => Self::Refused { status, message },
        }
    }
}

impl From<GitHubError> for Failure {
    fn from(error: GitHubError) -> Self {
        error.failure()
    }
}

/// `retry-after` goes before `x-ratelimit-reset`, which counts only where nothing remains.
fn limited_until(headers: &HeaderMap, now: Timestamp, ahead: SignedDuration) -> Option<Timestamp> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let latest = now + WINDOW;
    if let Some(seconds) = number("retry-after") {
        return Some(now.checked_add(SignedDuration::from_secs(seconds.max(1))).unwrap_or(latest).min(latest));
    }
    if number("x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let reset = number("x-ratelimit-reset").and_then(|it| reset(it, now, ahead));
    Some(reset.map(|it| it.at).filter(|at| *at > now).unwrap_or(now + WAIT))
}

/// GitHub's own words, one line of at most 200 characters.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        message: String,
        #[serde(default)]
        errors: Vec<serde_json::Value>,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(Body { message, errors }) => {
            let details = errors.iter().filter_map(|it| it.get("message").and_then(|it| it.as_str()));
            std::iter::once(message.as_str()).chain(details).collect::<Vec<_>>().join(": ")
        }
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(800)]).into_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "without a word".into() } else { line.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&'static str, &str)], body: &str) -> GitHubError {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let now = Timestamp::from_second(1_000).unwrap();
        GitHubError::of(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now, SignedDuration::ZERO)
    }

    #[test]
    fn answers_are_told_apart_by_what_can_be_done() {
        let until = |second| GitHubError::RateLimited { until: Timestamp::from_second(second).unwrap() };
        let none_left = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1500")];
        assert_eq!(of(401, &[], ""), GitHubError::Unauthorized);
        assert_eq!(of(403, &[("retry-after", "30")], ""), until(1_030));
        assert_eq!(of(403, &none_left, ""), until(1_500));
        assert_eq!(of(429, &[], ""), until(1_060));
        assert_eq!(of(403, &[("retry-after", "999999999999")], ""), until(1_000 + 3_600));
        let far = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "999999999")];
        assert_eq!(of(403, &far, ""), until(1_000 + 3_600), "GitHub's window is an hour");
        assert_eq!(of(403, &[], r#"{"message":"You have exceeded a secondary rate limit"}"#), until(1_060));
        let some_left = [("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1500")];
        let forbidden = GitHubError::Forbidden { message: "Resource not accessible".into() };
        assert_eq!(of(403, &some_left, r#"{"message":"Resource not accessible"}"#), forbidden);
        assert_eq!(of(404, &[], ""), GitHubError::NotFound);
        assert_eq!(of(502, &[], "<html>"), GitHubError::Unavailable { why: "status 502".into() });
        let told = r#"{"message":"Validation Failed","errors":[{"message":"description is too long"}]}"#;
        let message = "Validation Failed: description is too long".to_owned();
        assert_eq!(of(422, &[], told), GitHubError::Refused { status: 422, message });
    }
}
