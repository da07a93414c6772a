//! Who signs in with GitHub: GitHub says who they are and what they belong to, the configuration how far they may go. The
//! token that shows it is theirs, and is dropped as soon as that is known.
//!
//! Where GitHub does not say whether somebody belongs to something, nobody is let in by a later rule: the earlier one may
//! have held them to less.

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::permits::is_in;
use crate::clients::github::{GitHubClient, GitHubClients, GitHubError, SignIn, SignInError};
use crate::config::{GitHub, Login};
use crate::domain::{Admission, Failure, Grant};

/// How many codes are redeemed at once: each waits for GitHub.
const AT_ONCE: usize = 16;

/// Lets people in whom GitHub speaks for.
pub struct Admissions {
    sign_in: SignIn,
    allow: Vec<Admission>,
    github: GitHubClients,
    room: Semaphore,
}

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The code is none, was used, or is too old.
    Stale,
    /// No rule is for them.
    Stranger {
        /// Who they are at GitHub.
        login: String,
    },
    /// GitHub wants the address of their account verified first.
    Unverified,
    /// Too many are being let in.
    Busy,
    /// It cannot be told.
    Untold(Failure),
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

impl Admissions {
    /// By the configuration.
    pub fn new(login: &Login, github: &GitHub, clients: &GitHubClients) -> Self {
        let (allow, room) = (login.allow.clone(), Semaphore::new(AT_ONCE));
        Self { sign_in: SignIn::new(github, login), allow, github: clients.clone(), room }
    }

    /// Where a browser asks GitHub for a code. `state` comes back with it; who redeems it must know `verifier`.
    pub fn address(&self, state: &str, verifier: &str) -> String {
        self.sign_in.address(state, verifier)
    }

    /// What tells these rules from others: who was let in by others is not by these.
    pub fn rules(&self) -> String {
        format!("{:?}", self.allow)
    }

    /// Who brings this code, and how far they may go.
    pub async fn admit(&self, code: &str, verifier: &str) -> Result<Grant, NotAdmitted> {
        let _place = self.room.try_acquire().map_err(|_| NotAdmitted::Busy)?;
        let token = self.sign_in.redeem(code, verifier).await?;
        let theirs = self.github.of_person(&token)?;
        let User { login } = theirs.get_json("/user").await?;
        if login.is_empty() || !login.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_')) {
            return Err(GitHubError::Unclear { why: "a login that is none".into() }.into());
        }
        for rule in &self.allow {
            if rule.names(&login) || belongs(&theirs, rule, &login).await? {
                return Ok(rule.grant(&login));
            }
        }
        Err(NotAdmitted::Stranger { login })
    }
}

async fn belongs(theirs: &GitHubClient, rule: &Admission, login: &str) -> Result<bool, GitHubError> {
    for organisation in &rule.organisations {
        match theirs.get_json::<Membership>(&format!("/user/memberships/orgs/{organisation}")).await {
            Ok(it) if it.state == "active" => return Ok(true),
            Ok(_) | Err(GitHubError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    for team in &rule.teams {
        if is_in(theirs, team, login).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl From<SignInError> for NotAdmitted {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Stale => Self::Stale,
            SignInError::Unverified => Self::Unverified,
            SignInError::Credentials { .. } | SignInError::Callback { .. } => Self::Untold(error.failure()),
            SignInError::NoSecret { .. } | SignInError::GitHub(_) => Self::Untold(error.failure()),
        }
    }
}

impl From<GitHubError> for NotAdmitted {
    fn from(error: GitHubError) -> Self {
        Self::Untold(error.failure())
    }
}
