//! Why no bundle was made, by cause.

use std::io;

use thiserror::Error;

use crate::domain::{CommitSha, Failure, Findings};

/// Why no bundle was made.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The source stopped with an error of its own.
    #[error("the archive could not be read: {0}")]
    Input(#[source] io::Error),
    /// The bundle's bytes were not taken.
    #[error("the bundle could not be written: {0}")]
    Output(#[source] io::Error),
    /// The stream ends before the archive does.
    #[error("the archive ends too early, after {bytes} bytes")]
    Truncated {
        /// How many came.
        bytes: u64,
    },
    /// It is not what a source gives.
    #[error("expected a tar or tar.gz archive, but {found}")]
    Unreadable {
        /// What it is instead.
        found: String,
    },
    /// It is of another commit.
    #[error("expected the archive of {expected}, but it is of {found}")]
    OtherCommit {
        /// The commit that was asked for.
        expected: CommitSha,
        /// The commit that the archive names.
        found: String,
    },
    /// It does not say of which commit it is.
    #[error("expected the archive of {expected}, but it does not say of which commit it is")]
    NoCommit {
        /// The commit that was asked for.
        expected: CommitSha,
    },
    /// What is in it cannot be deployed.
    #[error("{}", first(.0))]
    Refused(Findings),
}

fn first(findings: &Findings) -> String {
    let mut errors = findings.errors();
    let Some(finding) = errors.next() else { return "the bundle was refused".into() };
    match errors.count() {
        0 => finding.message.clone(),
        more => format!("{}, and {more} more", finding.message),
    }
}

impl BundleError {
    /// The same, for the person who has to act.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Input(_) => Failure::passing("bundle/input", self.to_string()),
            Self::Output(_) => Failure::passing("bundle/output", self.to_string()),
            Self::Truncated { .. } => Failure::passing("bundle/truncated", self.to_string()),
            // What a proxy answers instead of the source comes like this, and the next answer may be the source's own.
            Self::Unreadable { .. } => Failure::passing("bundle/unreadable", self.to_string())
                .help("check that `source` or `api_url` names a git repository or GitHub itself"),
            Self::OtherCommit { .. } => Failure::passing("bundle/other-commit", self.to_string())
                .help("look for a cache between the bot and the source; nothing else changes an archive"),
            Self::NoCommit { .. } => Failure::setup("bundle/no-commit", self.to_string())
                .help("let the source archive a commit: the archive of a tree or of files names none"),
            Self::Refused(findings) => {
                let code = findings.errors().next().map_or("bundle/refused", |finding| finding.code.as_str());
                let help = findings.errors().find_map(|finding| finding.help.clone());
                Failure { help, ..Failure::revision(code, self.to_string()).findings(findings) }
            }
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        error.failure()
    }
}
