//! How a deployment ends badly, said for the person who has to act on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::Findings;
use super::masking::Mask;
use super::plain::harmless;

/// Written by earlier versions alone, before what a rule leaves out was `skipped`.
const NO_NEED: &str = "domain/no-need";

/// Who has to change something: the author of the revision, or the keeper of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The pushed revision is at fault or was judged bad: GitHub's `failure`.
    Revision,
    /// The deployment could not be carried out properly: GitHub's `error`.
    Setup,
}

/// Why something did not work. Stored with deployments, and shown on GitHub, the dashboard and the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// A stable name to search for, `room/cause`, such as `revisions/access-denied`.
    pub code: String,
    /// What did not work: lowercase, no full stop, fits after «cannot deploy: ».
    pub message: String,
    /// One line that says what a person can do, beginning with the verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Whether the same step may work later without anyone's help.
    #[serde(default)]
    pub passing: bool,
    /// Who has to change something.
    pub blame: Blame,
    /// The last lines of output or the findings, at most 4 KiB, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The findings themselves, where it is they: the gravest, 50 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Box<Findings>>,
}

impl Failure {
    /// Something in the set-up (configuration, rights, services) that stays wrong until a person acts. What it quotes of
    /// others does nothing.
    pub fn setup(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: harmless(&message.into()),
            help: None,
            passing: false,
            blame: Blame::Setup,
            detail: None,
            findings: None,
        }
    }

    /// As many findings as GitHub takes with one check run.
    pub const FINDINGS: usize = 50;

    /// The same, because of these findings.
    #[must_use]
    pub fn findings(self, findings: &Findings) -> Self {
        let mut kept = findings.clone();
        kept.0.sort_by_key(|it| it.severity);
        kept.0.truncate(Self::FINDINGS);
        Self { findings: Some(Box::new(kept)), ..self.detail(&findings.to_string()) }
    }

    /// Something in the set-up that may pass by itself: network, throttling, a server's 5xx.
    pub fn passing(code: &str, message: impl Into<String>) -> Self {
        Self { passing: true, ..Self::setup(code, message) }
    }

    /// Something in the pushed revision.
    pub fn revision(code: &str, message: impl Into<String>) -> Self {
        Self { blame: Blame::Revision, ..Self::setup(code, message) }
    }

    /// Whether it is none: an earlier version wrote so that a rule leaves the commit out.
    pub(super) fn is_no_need(&self) -> bool {
        self.code == NO_NEED
    }

    /// The same, with a line that says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(harmless(&help.into()));
        self
    }

    /// The same, with secrets taken out of what a script or a server may have said.
    #[must_use]
    pub fn masked(&self, mask: &Mask) -> Self {
        let said = |text: &Option<String>| text.as_deref().map(|text| mask.apply(text));
        let mut findings = self.findings.clone();
        for finding in findings.iter_mut().flat_map(|it| &mut it.0) {
            (finding.message, finding.help) = (mask.apply(&finding.message), said(&finding.help));
        }
        let (message, help, detail) = (mask.apply(&self.message), said(&self.help), said(&self.detail));
        Self { message, help, detail, findings, ..self.clone() }
    }

    /// With which code the script ended, where that is why.
    pub fn exit_code(&self) -> Option<i32> {
        let of = |text: &str| {
            let after = text.split_once("exit code ")?.1;
            let end = after.find(|it: char| !it.is_ascii_digit()).unwrap_or(after.len());
            after[..end].parse().ok()
        };
        of(&self.message).or_else(|| of(self.detail.as_deref()?))
    }

    /// The same, with the last 4 KiB of `detail`, cut at a line where there is one. Scripts wrote it: it does nothing.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        const KEPT: usize = 4096;
        let detail = harmless(detail);
        let mut from = detail.len().saturating_sub(KEPT);
        while !detail.is_char_boundary(from) {
            from += 1;
        }
        if from > 0 {
            from += detail[from..].find('\n').map_or(0, |line| line + 1);
        }
        self.detail = Some(detail[from..].to_owned()).filter(|text| !text.is_empty());
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_found_where_it_is_said() {
        let of = |text: &str| Failure::setup("x/y", text).exit_code();
        assert_eq!(of("`x.sh` ended with exit code 127 in Install"), Some(127));
        assert_eq!((of("exit code unknown"), of("none")), (None, None));
    }
}
