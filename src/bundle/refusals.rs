//! Findings of one pass, as many as a person can use. It never decides that something is wrong.

use std::collections::BTreeMap;

use crate::domain::{Finding, Findings, Severity};

use super::error::BundleError;

/// A person fixes a cause, not its two-hundredth victim.
const SHOWN: usize = 20;

/// What was found, grouped by code when there is too much of it.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    findings: Vec<Finding>,
    by_code: BTreeMap<String, usize>,
    refused: bool,
}

impl Refusals {
    pub(super) fn push(&mut self, finding: Finding) {
        self.refused |= finding.severity == Severity::Error;
        let seen = self.by_code.entry(finding.code.clone()).or_default();
        *seen += 1;
        if *seen <= SHOWN {
            self.findings.push(finding);
        }
    }

    /// Whether there will be no bundle.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// All of them, or the refusal.
    pub(super) fn settle(mut self) -> Result<Vec<Finding>, BundleError> {
        for (code, seen) in self.by_code {
            let Some(last) = self.findings.iter_mut().rfind(|finding| finding.code == code) else { continue };
            if seen > SHOWN {
                last.message = format!("{}, and {} more like it", last.message, seen - SHOWN);
            }
        }
        // Stable: what refuses comes first, each kind in the archive's order.
        self.findings.sort_by_key(|finding| finding.severity);
        if self.refused { Err(BundleError::Refused(Findings(self.findings))) } else { Ok(self.findings) }
    }
}
