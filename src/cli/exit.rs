//! How the program ends: six codes, documented, and never another.

use std::fmt;
use std::process::{ExitCode, Termination};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is done.
    Done = 0,
    /// The deployment failed.
    DeploymentFailed = 1,
    /// Wrong words or a wrong configuration.
    Wrong = 2,
    /// Something that is needed could not be reached or used.
    Unreachable = 3,
    /// A person stopped looking: how it ends is not known.
    Interrupted = 130,
    /// A bug of ours.
    Bug = 70,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Why a verb could not do its work, and with which code the program ends for it.
#[derive(Debug)]
pub struct Trouble {
    pub(super) exit: Exit,
    message: String,
    help: Option<String>,
}

impl Trouble {
    /// The words or the configuration are wrong.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self { exit: Exit::Wrong, message: message.into(), help: None }
    }

    /// Something could not be reached or used.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, message: message.into(), help: None }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What to do, if anything is known.
    pub(super) fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Anything without a code of its own is something that could not be used; causes follow, one after the other.
impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::unreachable(format!("{error:#}"))
    }
}

/// What every verb gives back.
pub(super) type Outcome = Result<Exit, Trouble>;
