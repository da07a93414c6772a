//! What a look at one thing that the bot needs came to. Told by `landfall doctor`; never stored.

use super::failure::Failure;
use super::finding::{Finding, Severity};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Ok,
    /// It was not looked at, and the line says why.
    Skipped,
    /// It works, and may surprise.
    Warning,
    /// Deployments will fail of it.
    Failed,
}

/// Where the thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// On this machine.
    Here,
    /// Elsewhere, and it answered.
    Answered,
    /// Elsewhere, and nobody answered.
    Silent,
}

/// One look at one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// What was looked at, in a word or two.
    pub about: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub said: String,
    /// The stable name of what is wrong.
    pub code: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// The action that IAM did not allow.
    pub denied: Option<String>,
    /// Where it is.
    pub reach: Reach,
}

impl Checkup {
    fn new(about: &str, standing: Standing, said: impl Into<String>) -> Self {
        let (code, help, denied) = (None, None, None);
        Self { about: about.to_owned(), standing, said: said.into(), code, help, denied, reach: Reach::Here }
    }

    /// All is well.
    pub fn ok(about: &str, said: impl Into<String>) -> Self {
        Self::new(about, Standing::Ok, said)
    }

    /// It was not looked at.
    pub fn skipped(about: &str, why: impl Into<String>) -> Self {
        Self::new(about, Standing::Skipped, why)
    }

    /// It is as a finding says.
    pub fn found(about: &str, finding: Finding) -> Self {
        let standing = match finding.severity {
            Severity::Error => Standing::Failed,
            Severity::Warning | Severity::Portability | Severity::Style => Standing::Warning,
        };
        Self { code: Some(finding.code), help: finding.help, ..Self::new(about, standing, finding.message) }
    }

    /// A deployment would fail of it.
    pub fn failed(about: &str, failure: Failure) -> Self {
        Self { code: Some(failure.code), help: failure.help, ..Self::new(about, Standing::Failed, failure.message) }
    }

    /// The same, of a thing elsewhere that answered.
    #[must_use]
    pub fn answered(self) -> Self {
        Self { reach: Reach::Answered, ..self }
    }

    /// The same, of a thing elsewhere from which no answer came.
    #[must_use]
    pub fn silent(self) -> Self {
        Self { reach: Reach::Silent, ..self }
    }

    /// The same, because IAM did not allow this action.
    #[must_use]
    pub fn denied(self, action: Option<String>) -> Self {
        Self { denied: action, ..self }
    }
}
