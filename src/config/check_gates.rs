//! Checks what keeps a push from being deployed at once: `require_checks`.

use super::check::Checker;
use super::raw::RawTarget;
use super::values::glob_trouble;
use crate::domain::{Finding, OWN_CHECKS, Pattern, SourceSpec, is_own};

impl Checker<'_> {
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
