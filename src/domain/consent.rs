//! Consent: how many people have to approve a release before it goes, who they may be, and how long they have. Pure.
//!
//! Whoever pushed does not count, nor whoever asked for the deployment. An actor of ours is told from a login of GitHub's
//! by `[people]` of the configuration alone: one who is not named there might be the pusher, and does not count. Who asks
//! from chat or in a comment is known by their login already.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::deployment::Deployment;
use super::failure::Failure;
use super::plain::spell;
use super::plan::{Cause, Order};

/// How long people have unless the configuration says so.
pub const APPROVE_WITHIN_S: u64 = 24 * 60 * 60;

/// What the names of those have behind their login who ask from chat or in a comment, or signed in with GitHub. No token has a
/// blank in its name.
const GITHUB: &str = " on GitHub";
const SLACK: &str = " on Slack";

/// The login at GitHub of somebody who asks from chat, in a comment or signed in with GitHub, as their name in the audit trail
/// has it: of a person, where a bot asks for whom nobody knows.
pub fn login_in(actor: &str) -> Option<&str> {
    let login = [GITHUB, SLACK].iter().find_map(|place| actor.strip_suffix(place));
    login.filter(|it| !it.ends_with("[bot]"))
}

/// Who somebody of this login is in the audit trail, where GitHub itself says that it is they.
pub fn on_github(login: &str) -> String {
    format!("{login}{GITHUB}")
}

/// What a target asks for before anything is released to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// How many people.
    #[serde(default)]
    pub needed: usize,
    /// How long they have, in seconds, from when the deployment was planned.
    #[serde(default)]
    pub within_s: u64,
    /// Which login of GitHub's stands behind each name that asks us.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
}

impl Approvers {
    /// Whether nobody has to approve.
    pub fn are_none(&self) -> bool {
        self.needed == 0
    }

    fn login(&self, actor: &str) -> Option<String> {
        let known = login_in(actor).or(self.people.get(actor).map(String::as_str));
        known.map(str::to_ascii_lowercase)
    }
}

/// How a deployment stands with the approvals that its target asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// How many people have to approve: one more where nobody knows who pushed, for that may be one of them.
    pub needed: usize,
    /// Who has.
    pub by: Vec<String>,
    /// Whose word does not count.
    pub but: Option<String>,
    /// Until when.
    pub until: Timestamp,
}

impl Consent {
    /// How many are missing.
    pub fn missing(&self) -> usize {
        self.needed.saturating_sub(self.by.len())
    }

    /// Who is awaited, in words.
    pub fn awaited(&self) -> String {
        let people = if self.missing() == 1 { "person" } else { "people" };
        let but = match &self.but {
            Some(but) => format!(", not {but}"),
            None => ", one more as nobody knows who pushed".into(),
        };
        let by = if self.by.is_empty() { String::new() } else { format!("; {} approved", self.by.join(" and ")) };
        format!("waiting for the approval of {} {people}{but}{by}", self.missing())
    }

    /// The end of one that nobody approved in time.
    pub fn late(&self, within: Duration) -> Failure {
        let missing = self.missing();
        let text = format!("not approved within {}: {missing} of {} approvals missing", spell(within), self.needed);
        Failure::setup("domain/not-approved", text)
            .help("ask for it again: `landfall redeploy ID`, and have it approved")
    }
}

impl Order {
    /// Whether people have to approve its release. A way back is never barred.
    pub fn wants_consent(&self) -> bool {
        match &self.cause {
            Cause::Rollback { .. } | Cause::Restart { .. } => false,
            Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } | Cause::Chosen { .. } => self.has_approvers(),
            Cause::Redeploy { .. } | Cause::Replay { .. } | Cause::Promotion { .. } => self.has_approvers(),
        }
    }

    fn has_approvers(&self) -> bool {
        !self.target.approvers.are_none()
    }

    /// Who asked us for it, where somebody did.
    fn asker(&self) -> Option<&str> {
        match &self.cause {
            Cause::Request { actor, .. } | Cause::Chosen { actor, .. } => Some(actor),
            Cause::Redeploy { actor, .. } | Cause::Replay { actor, .. } | Cause::Restart { actor, .. } => Some(actor),
            Cause::Rollback { actor, .. } | Cause::Promotion { actor, .. } => actor.as_deref(),
            Cause::Push { .. } | Cause::CatchUp => None,
        }
    }

    /// The logins that do not count: whoever pushed, and whoever asked.
    fn barred(&self) -> BTreeSet<String> {
        let asker = self.asker().and_then(|it| self.target.approvers.login(it));
        self.pusher.iter().map(|it| it.to_ascii_lowercase()).chain(asker).collect()
    }

    /// The time by which it has to be approved.
    fn approve_within(&self) -> Duration {
        Duration::from_secs(self.target.approvers.within_s)
    }
}

impl Deployment {
    /// How it stands with the approvals that it needs; nothing where it needs none.
    pub fn consent(&self) -> Option<Consent> {
        let order = self.order();
        if !order.wants_consent() {
            return None;
        }
        let (approvers, barred) = (&order.target.approvers, order.barred());
        let mut heard = BTreeSet::new();
        let mut by = Vec::new();
        for actor in self.approvers() {
            let login = approvers.login(actor).filter(|login| !barred.contains(login));
            by.extend(login.filter(|login| heard.insert(login.clone())).map(|_| actor.clone()));
        }
        // An asker whom nobody knows at GitHub may be anybody, and bars nobody.
        let asker = order.asker().and_then(|it| approvers.login(it));
        let unknown = order.pusher.is_none() && asker.is_none();
        let but = [order.pusher.as_deref(), order.asker()].into_iter().flatten();
        let but: Vec<String> = but.map(|it| format!("`{it}`")).collect();
        let within = SignedDuration::try_from(order.approve_within()).unwrap_or(SignedDuration::MAX);
        Some(Consent {
            needed: approvers.needed + usize::from(unknown),
            by,
            but: (!but.is_empty()).then(|| but.join(" or ")),
            until: self.created_at().saturating_add(within).unwrap_or(Timestamp::MAX),
        })
    }

    /// Its end, where it was not approved in time.
    pub fn approved_too_late(&self, now: Timestamp) -> Option<Failure> {
        let consent = self.consent().filter(|it| it.missing() > 0 && it.until <= now)?;
        Some(consent.late(self.order().approve_within()))
    }

    /// Whether this actor's approval of the release counts, and why not.
    pub fn may_consent(&self, actor: &str) -> Result<(), Failure> {
        let order = self.order();
        let Some(login) = order.target.approvers.login(actor) else {
            let text = format!("`{actor}` cannot be told from whoever pushed, so this approval does not count");
            let help = format!("say who that is in the configuration: `[people]` with `{actor} = \"login-at-github\"`");
            return Err(Failure::setup("domain/approver-unknown", text).help(help));
        };
        if order.barred().contains(&login) || order.asker() == Some(actor) {
            let text = format!("`{actor}` is `{login}`, who brought this deployment and cannot approve it");
            return Err(Failure::setup("domain/approver-barred", text).help("ask somebody else to approve it"));
        }
        let heard = self.approvers().iter().any(|it| order.target.approvers.login(it).as_ref() == Some(&login));
        if heard {
            let text = format!("`{login}` has approved it already");
            return Err(Failure::setup("domain/approved-already", text).help("ask somebody else to approve it, too"));
        }
        Ok(())
    }
}
