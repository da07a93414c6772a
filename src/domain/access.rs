//! Who may do what: three roles, and the targets that somebody is held to. Pure; who somebody is, others find out.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::event::Ask;
use super::ids::{DeploymentId, TargetName, TokenName, Unfit};
use super::pattern::Pattern;

/// How far somebody may go. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything.
    Read,
    /// Ask for deployments, and for whatever steers one target.
    Deploy,
    /// Stop and start the whole bot's work, let others in, and see who did what.
    Admin,
}

impl Role {
    /// `read`, `deploy` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Unfit;
    fn from_str(text: &str) -> Result<Self, Unfit> {
        let all = [Self::Read, Self::Deploy, Self::Admin];
        all.into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| Unfit::of("a role: `read`, `deploy` or `admin`", text))
    }
}

/// What a request is about, as far as somebody may be held to some targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// This target.
    Target(&'a TargetName),
    /// The target of this deployment.
    Deployment(DeploymentId),
    /// More than one target, or any.
    Everything,
}

impl Ask {
    /// Whether the same is asked for. A lock «for two hours» ends later whenever it is asked again: that is the same one.
    pub fn is_again(&self, other: &Self) -> bool {
        self.without_end() == other.without_end()
    }

    fn without_end(&self) -> Self {
        let mut this = self.clone();
        if let Self::Lock { until, .. } | Self::LockAll { until, .. } = &mut this {
            *until = None;
        }
        this
    }

    /// The least role that may ask for it.
    pub fn role(&self) -> Role {
        match self {
            Self::Pause { .. } | Self::Resume {} | Self::LockAll { .. } | Self::UnlockAll {} => Role::Admin,
            Self::Deploy { .. } | Self::Redeploy { .. } | Self::Rollback { .. } | Self::Restart { .. } => Role::Deploy,
            Self::Stop { .. } | Self::Approve { .. } | Self::Reject { .. } | Self::Replay { .. } => Role::Deploy,
            Self::Lock { .. } | Self::Unlock { .. } => Role::Deploy,
        }
    }

    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Self::Deploy { target, .. } | Self::Rollback { target, .. } | Self::Restart { target, .. } => {
                Subject::Target(target)
            }
            Self::Lock { target, .. } | Self::Unlock { target } => Subject::Target(target),
            Self::Redeploy { deployment, .. }
            | Self::Stop { deployment, .. }
            | Self::Reject { deployment, .. }
            | Self::Approve { deployment, .. } => Subject::Deployment(*deployment),
            Self::Pause { .. } | Self::Resume {} | Self::Replay { .. } => Subject::Everything,
            Self::LockAll { .. } | Self::UnlockAll {} => Subject::Everything,
        }
    }
}

/// Who somebody is, and how far they may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who, for the audit trail.
    pub actor: String,
    /// How far.
    pub role: Role,
    /// The targets that may be asked about, as globs; none means all. Reading is not held to them.
    pub targets: Vec<Pattern>,
}

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// The role does not reach so far.
    #[error("`{actor}` has the role `{has}`, and this needs `{needs}`")]
    Role {
        /// Who.
        actor: String,
        /// What they have.
        has: Role,
        /// What it takes.
        needs: Role,
    },
    /// It is none of their targets.
    #[error("`{actor}` may ask about {}, and `{target}` is none of them", list(may))]
    Target {
        /// Who.
        actor: String,
        /// The globs of their targets.
        may: Vec<String>,
        /// What it is about.
        target: TargetName,
    },
    /// It reaches beyond their targets.
    #[error("`{actor}` may ask about {} only, and this is about all targets", list(may))]
    Everything {
        /// Who.
        actor: String,
        /// The globs of their targets.
        may: Vec<String>,
    },
}

fn list(globs: &[String]) -> String {
    globs.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

impl Grant {
    /// Whether the role reaches so far.
    pub fn reaches(&self, needs: Role) -> Result<(), Denied> {
        let (actor, has) = (self.actor.clone(), self.role);
        if has >= needs { Ok(()) } else { Err(Denied::Role { actor, has, needs }) }
    }

    /// Whether somebody is held to some targets.
    pub fn is_held(&self) -> bool {
        !self.targets.is_empty()
    }

    /// Whether what is about one target, or about all, is about theirs.
    pub fn covers(&self, target: Option<&TargetName>) -> Result<(), Denied> {
        let takes = |name: &TargetName| self.targets.iter().any(|it| it.takes(name.as_str()));
        if !self.is_held() || target.is_some_and(takes) {
            return Ok(());
        }
        let (actor, may) = (self.actor.clone(), self.targets.iter().map(|it| it.as_str().to_owned()).collect());
        Err(match target.cloned() {
            Some(target) => Denied::Target { actor, may, target },
            None => Denied::Everything { actor, may },
        })
    }
}

/// What somebody does that is about the bot itself and not about a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum Act {
    /// A token was made. Not what it is: that is shown once, and kept as a digest elsewhere.
    TokenMade {
        /// What it is called.
        token: TokenName,
        /// How far it reaches.
        role: Role,
        /// What it is held to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Pattern>,
        /// When it stops working.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A token works no more, and whoever signed in with it is signed out.
    TokenRevoked {
        /// What it was called.
        token: TokenName,
    },
    /// A browser was signed in.
    SignedIn,
    /// All browsers that were signed in with somebody's token are not any more.
    SignedOut {
        /// Whose.
        whose: String,
    },
    /// What nobody needs was deleted before its time had come.
    Upkeep,
    /// A command from chat or of a comment that is no request of its own: it looked at something, or came to nothing.
    Commanded {
        /// The words.
        words: String,
        /// Why it came to nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> TargetName {
        TargetName::parse(name).unwrap()
    }

    #[test]
    fn each_role_includes_those_before_it() {
        let grant = |role| Grant { actor: "ada".into(), role, targets: vec![] };
        let may = |role| [Role::Read, Role::Deploy, Role::Admin].map(|needs| grant(role).reaches(needs).is_ok());
        assert_eq!(may(Role::Read), [true, false, false]);
        assert_eq!(may(Role::Deploy), [true, true, false]);
        assert_eq!(may(Role::Admin), [true, true, true]);
        let denied = grant(Role::Read).reaches(Ask::Pause { reason: None }.role()).unwrap_err();
        assert_eq!(denied.to_string(), "`ada` has the role `read`, and this needs `admin`");
    }

    #[test]
    fn who_is_held_to_targets_reaches_no_other_and_never_all() {
        let held = Grant { actor: "ci".into(), role: Role::Deploy, targets: vec!["shop-*".into(), "blog".into()] };
        assert!(held.covers(Some(&target("shop-production"))).is_ok() && held.covers(Some(&target("blog"))).is_ok());
        let denied = held.covers(Some(&target("docs"))).unwrap_err().to_string();
        assert_eq!(denied, "`ci` may ask about `shop-*`, `blog`, and `docs` is none of them");
        let denied = held.covers(None).unwrap_err().to_string();
        assert_eq!(denied, "`ci` may ask about `shop-*`, `blog` only, and this is about all targets");
        let free = Grant { targets: vec![], ..held };
        assert!(free.covers(None).is_ok() && free.covers(Some(&target("docs"))).is_ok());
    }

    #[test]
    fn a_role_is_one_of_three_words() {
        assert_eq!("deploy".parse(), Ok(Role::Deploy));
        let told = "root".parse::<Role>().unwrap_err().to_string();
        assert_eq!(told, "`root` is not a role: `read`, `deploy` or `admin`");
    }
}
