//! Locks and pauses: what somebody says that keeps releases waiting, with who and why. A run never holds one: what runs
//! holds its lane, which is read from its events, so that no crash can leave a lock behind.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Ask, Request};
use super::ids::{DeploymentId, TargetName};
use super::progress::{Hold, HoldKind};
use super::target_state::TargetState;

/// A lock, with who and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// By whom.
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Since when.
    pub at: Timestamp,
    /// Until when at the latest.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Whether it only warns: deployments go on, and say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warns: bool,
    /// The rollback after which it was set, where no person did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DeploymentId>,
}

impl Lock {
    /// Whether its time is not over.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// By whom, and why: fits after «locked ».
    pub fn by(&self) -> String {
        by(&self.actor, self.reason.as_deref())
    }

    /// The warning that it is to whoever deploys, where it only warns.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        (self.warns && self.lasts(now)).then(|| format!("warning {}", self.by()))
    }

    fn hold(&self, what: &str, now: Timestamp) -> Option<Holding> {
        let reason = format!("{what} is locked {}", self.by());
        let hold = Hold { kind: HoldKind::Lock, reason, until: self.until };
        (!self.warns && self.lasts(now)).then(|| Holding { hold, actor: self.actor.clone(), at: Some(self.at) })
    }
}

/// What somebody said that keeps every release to a target waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The wait.
    pub hold: Hold,
    /// Who said so.
    pub actor: String,
    /// When, where that is known.
    pub at: Option<Timestamp>,
}

/// That nothing is released anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// By whom.
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Since when; not known of a pause that an earlier version wrote down.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

impl Pause {
    /// By whom, and why: fits after «paused ».
    pub fn by(&self) -> String {
        by(&self.actor, self.reason.as_deref())
    }
}

fn by(actor: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| format!("by {actor}"), |reason| format!("by {actor}: {reason}"))
}

/// What holds of all targets at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// Whether everything waits, until somebody resumes.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// The lock of all targets.
    #[serde(default)]
    pub lock: Option<Lock>,
}

impl Releases {
    /// Takes in what somebody asked for.
    pub fn apply(&mut self, at: Timestamp, request: &Request) {
        let actor = request.actor.clone();
        match &request.what {
            Ask::Pause { reason } => self.paused = Some(Pause { actor, reason: reason.clone(), at: Some(at) }),
            Ask::Resume {} => self.paused = None,
            Ask::LockAll { reason, until, warns } => {
                let (reason, until, warns) = (reason.clone(), *until, *warns);
                self.lock = Some(Lock { actor, reason, at, until, warns, after: None });
            }
            Ask::UnlockAll {} => self.lock = None,
            Ask::Deploy { .. } | Ask::Redeploy { .. } | Ask::Rollback { .. } | Ask::Restart { .. } => {}
            Ask::Reject { .. } => {}
            Ask::Stop { .. } | Ask::Approve { .. } | Ask::Lock { .. } | Ask::Unlock { .. } | Ask::Replay { .. } => {}
        }
    }

    /// What keeps every release to a target waiting, the widest first. A rollback is not kept by the lock that rollbacks
    /// leave: that one keeps away what failed.
    pub fn holds(&self, target: &TargetName, state: &TargetState, of_rollback: bool, now: Timestamp) -> Vec<Hold> {
        let after = state.rollback_lock.as_ref().filter(|_| !of_rollback);
        self.said(target, state, after, now).map(|it| it.hold).collect()
    }

    /// The same of whatever is not a rollback, with who said so and when.
    pub fn holdings(&self, target: &TargetName, state: &TargetState, now: Timestamp) -> Vec<Holding> {
        self.said(target, state, state.rollback_lock.as_ref(), now).collect()
    }

    fn said(
        &self,
        target: &TargetName,
        state: &TargetState,
        after_rollback: Option<&Lock>,
        now: Timestamp,
    ) -> impl Iterator<Item = Holding> + use<> {
        let paused = self.paused.as_ref().map(|it| {
            let reason = format!("releases are paused {}", it.by());
            let hold = Hold { kind: HoldKind::Paused, reason, until: None };
            Holding { hold, actor: it.actor.clone(), at: it.at }
        });
        let all = self.lock.as_ref().and_then(|it| it.hold("every target", now));
        let name = format!("`{target}`");
        let own = state.lock.as_ref().and_then(|it| it.hold(&name, now));
        let after = after_rollback.and_then(|it| it.hold(&name, now));
        [paused, all, own, after].into_iter().flatten()
    }

    /// What whoever deploys to a target is warned of.
    pub fn warning(&self, state: &TargetState, now: Timestamp) -> Option<String> {
        let locks = [&self.lock, &state.lock].into_iter().flatten();
        let warnings: Vec<String> = locks.filter_map(|it| it.warning(now)).collect();
        (!warnings.is_empty()).then(|| warnings.join("; "))
    }
}
