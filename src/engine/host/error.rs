//! Why the engine's own files could not be used. What a deployment fails of is a `Failure`, not this.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::Failure;

/// A fault of the machine or of the engine's directory.
#[derive(Debug, Error)]
pub enum HostError {
    /// A file or directory of the engine could not be used.
    #[error("cannot {act} `{path}`: {}", crate::domain::plainly(source))]
    Files {
        /// What was tried: `write`.
        act: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of the engine does not hold what it should.
    #[error("`{path}` is not readable as {expected}: {detail}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The run's directory belongs to another intent.
    #[error("`{path}` belongs to another run")]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {}", crate::domain::plainly(source))]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl HostError {
    /// Makes the error of an act on a path, for `map_err`.
    pub(super) fn on(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { act, path, source }
    }

    /// The failure that a deployment ends with.
    pub fn failure(&self) -> Failure {
        let text = self.to_string();
        match self {
            Self::Files { source, .. } if is_full(source) => {
                Failure::setup("host/disk-full", text).help("make room, or lower `max_revisions`")
            }
            Self::Files { .. } => {
                Failure::setup("host/unusable-root", text).help("check owner and mode of the engine's directory")
            }
            Self::Unreadable { .. } | Self::Taken { .. } => {
                Failure::setup("host/unusable-run", text).help("move the run's directory away and deploy again")
            }
            Self::Start { .. } => Failure::setup("host/not-started", text).help("check that the program is installed"),
        }
    }
}

/// Whether the system said that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
