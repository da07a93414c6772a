//! What is looked at after a release, before a deployment counts as live. Stored with each order, as it was meant when the
//! deployment was planned.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long it is looked at unless the configuration says so.
pub const VERIFY_FOR_S: u64 = 60;
/// How often.
pub const VERIFY_EVERY_S: u64 = 5;
/// How long one look may take.
pub const VERIFY_TIMEOUT_S: u64 = 10;

/// One thing that has to be as wanted after a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// What is looked at.
    pub by: VerifyBy,
    /// How long, in milliseconds: it has to become as wanted within this time, and to stay so until its end.
    pub for_ms: u64,
    /// The time between two looks, in milliseconds.
    pub every_ms: u64,
    /// How long one look may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a look is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum VerifyBy {
    /// An address that has to answer so.
    Url {
        /// The address.
        url: String,
        /// The status that it has to answer with.
        status: u16,
        /// What its body has to contain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body_contains: Option<String>,
        /// Whether it may lie in a private network or on this machine.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        allow_private: bool,
        /// Whether redirects are followed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follow: bool,
    },
    /// A program that has to end with 0, run from the deployed revision as the hooks' user.
    Command {
        /// Its path in the revision, or its name, and its arguments.
        command: Vec<String>,
    },
}

impl Verify {
    /// For how long it is looked at.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.for_ms)
    }

    /// The time between two looks.
    pub fn every(&self) -> Duration {
        Duration::from_millis(self.every_ms)
    }

    /// How long one look may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            VerifyBy::Url { url, .. } => write!(f, "`{url}`"),
            VerifyBy::Command { command } => write!(f, "`{}`", command.join(" ")),
        }
    }
}
