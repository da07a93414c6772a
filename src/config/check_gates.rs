//! Checks what keeps a push from being deployed at once: `require_checks`, `approvals`.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Checker;
use super::raw::{Raw, RawTarget};
use super::values::{duration, glob_trouble};
use crate::domain::{APPROVE_WITHIN_S, Approvers, Finding, OWN_CHECKS, Pattern, SourceSpec, is_own};

impl Checker<'_> {
    /// Which login at GitHub stands behind each name that asks us.
    pub(super) fn people(&mut self, raw: &Raw) -> BTreeMap<String, String> {
        let mut people = BTreeMap::new();
        for (name, login) in raw.people.iter().flat_map(|it| &it.value) {
            self.is_login(login, &format!("people.{name}"));
            people.insert(name.clone(), login.value.clone());
        }
        people
    }

    /// Who has to approve a target's releases.
    pub(super) fn approvers(&mut self, raw: &RawTarget) -> Approvers {
        let within = self.parsed(raw.approve_within.as_ref(), "target.approve_within", duration);
        let needed = raw.approvals.as_ref().map_or(0, |it| it.value as usize);
        let Some(approvals) = raw.approvals.as_ref().filter(|_| needed > 0) else {
            if let Some(within) = &raw.approve_within {
                let message = "`approve_within` has no effect: no approval is asked for";
                let finding = Finding::warning("config/unused", message).help("add `approvals = 1`, or take it out");
                self.reader.find(finding, &within.span);
            }
            return Approvers::default();
        };
        let logins: BTreeSet<String> = self.people.values().map(|it| it.to_ascii_lowercase()).collect();
        if logins.len() < needed && !self.hears_logins {
            let known = logins.len();
            let message = format!("`approvals` is {needed}, and `[people]` names {known} whose approval can count");
            let help = "name everybody who approves: `[people]` with `admin = \"login-at-github\"`";
            self.reader.find(Finding::error("config/no-approvers", message).help(help), &approvals.span);
        }
        let within_s = within.map_or(APPROVE_WITHIN_S, |it| it.as_secs());
        Approvers { needed, within_s, people: self.people.clone() }
    }

    /// The checks that a target requires.
    pub(super) fn required_checks(&mut self, raw: &RawTarget, source: Option<&SourceSpec>) -> Vec<Pattern> {
        let Some(checks) = raw.require_checks.as_ref().filter(|it| !it.value.is_empty()) else {
            if let Some(within) = &raw.checks_within {
                let message = "`checks_within` has no effect: no check is required";
                let help = "name the checks in `require_checks`, or take it out";
                self.reader.find(Finding::warning("config/unused", message).help(help), &within.span);
            }
            return Vec::new();
        };
        if let Some(SourceSpec::Git { .. }) = source {
            let message = "`require_checks` can never be met: nobody reports checks to a git repository";
            let help = "take it out, or read the commits from GitHub: take `source` out";
            self.reader.find(Finding::error("config/checks-of-git", message).help(help), &checks.span);
        }
        for check in &checks.value {
            if let Some(why) = glob_trouble(&check.value) {
                self.bad_pattern(check, &why);
            } else if is_own(&check.value) {
                let message = format!("`{}` can never be met: statuses under `{OWN_CHECKS}` are our own", check.value);
                let help = "to deploy only what succeeded at another target, write `promote_to` there";
                self.reader.find(Finding::error("config/own-check", message).help(help), &check.span);
            }
        }
        checks.value.iter().map(|it| it.value.clone().into()).collect()
    }
}
