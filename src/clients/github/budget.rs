//! What one identity may still ask of GitHub. It counts nothing itself: GitHub says.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::error::GitHubError;

/// The budget of one identity: a token, an App's installation, an App itself, or nobody.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Asking before this time would be held against us.
    limited_until: Mutex<Option<Timestamp>>,
}

impl Budget {
    /// Whether anything may be asked now.
    pub(super) fn may_ask(&self, now: Timestamp) -> Result<(), GitHubError> {
        let mut limited = self.limited_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *limited {
            Some(until) if now < until => Err(GitHubError::RateLimited { until }),
            Some(_) | None => {
                *limited = None;
                Ok(())
            }
        }
    }

    /// Keeps until when GitHub wants to hear nothing more.
    pub(super) fn remember(&self, error: &GitHubError) {
        if let GitHubError::RateLimited { until } = error {
            *self.limited_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(*until);
        }
    }
}
