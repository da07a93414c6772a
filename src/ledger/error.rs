//! Why the ledger could not do as it was told. Variants are named by cause, for callers who can act.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::{DeploymentId, Failure, Misplaced, Offset, Stream, plainly, size};

/// Why the ledger could not do as it was told.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Somebody else wrote first: read the deployment again.
    #[error("deployment {id} has {found} events, and the writer had seen {}", .expected.map_or("none".into(), |it| it.to_string()))]
    Overtaken {
        /// Which one.
        id: DeploymentId,
        /// How many events the writer had seen.
        expected: Option<u64>,
        /// How many there are.
        found: u64,
    },
    /// The event cannot follow the ones before it.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// Nothing is known of what the event belongs to.
    #[error("`{stream}` is not in the ledger, and `{event}` does not begin it")]
    Unknown {
        /// What it should belong to.
        stream: Stream,
        /// The event's kind.
        event: &'static str,
    },
    /// The event belongs to another kind of stream.
    #[error("an event of another kind of stream was written to `{stream}`")]
    Mismatched {
        /// Where it was written to.
        stream: Stream,
    },
    /// Too little space is left; nothing was written.
    #[error("{} are free on the disk where {} are kept in reserve", size(*.free), size(*.reserve))]
    Full {
        /// Free bytes.
        free: u64,
        /// Bytes that stay free.
        reserve: u64,
    },
    /// The ledger takes no more writes until the program starts again.
    #[error("the ledger is closed: {why}")]
    Closed {
        /// Why.
        why: String,
    },
    /// Another process has the directory.
    #[error("`{}` is in use by {}", .path.display(), .pid.map_or("another process".into(), |pid| format!("process {pid}")))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process.
        pid: Option<u32>,
    },
    /// The log is not as it was written.
    #[error("`{}` was altered at byte {byte}, where offset {offset} should begin: {found}", .file.display())]
    Altered {
        /// Which file.
        file: PathBuf,
        /// The byte where the damaged commit begins.
        byte: u64,
        /// The offset that should begin there.
        offset: Offset,
        /// What is wrong with it.
        found: String,
    },
    /// A record that was asked for is not in the log any more, or a body's file is gone.
    #[error("{what} is not on disk any more")]
    Gone {
        /// What.
        what: String,
    },
    /// A body's file is not as it was written.
    #[error("the body `{}` was altered: SHA-256 {digest} was expected, and it has {found}", .file.display())]
    AlteredBody {
        /// Which file.
        file: PathBuf,
        /// What it should have.
        digest: String,
        /// What it has.
        found: String,
    },
    /// An export cannot be read back.
    #[error("line {line} of the export: {found}")]
    Export {
        /// Which line, from 1 on.
        line: u64,
        /// What is wrong there.
        found: String,
    },
    /// An export is only read into a new ledger.
    #[error("`{}` is not empty", .path.display())]
    NotEmpty {
        /// Where it should go.
        path: PathBuf,
    },
    /// The disk does not do as it is told.
    #[error("cannot {doing} `{}`: {}", .path.display(), plainly(.source))]
    Storage {
        /// What was tried.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index does not do as it is told.
    #[error("the ledger's index is unusable: {}", said(.0))]
    Index(#[from] sled::Error),
    /// A run of the index is not as it was written.
    #[error("the ledger's index is unusable: `{}` was altered at byte {byte}", .file.display())]
    AlteredIndex {
        /// Which file.
        file: PathBuf,
        /// The byte where the damaged block begins.
        byte: u64,
    },
    /// The index holds what this program cannot read.
    #[error("the ledger's index holds an unreadable {what}: {source}")]
    Entry {
        /// What.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl LedgerError {
    /// Makes a storage error of what the system said.
    pub(super) fn storage(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Storage { doing, path, source }
    }

    /// What a person reads.
    pub fn failure(&self) -> Failure {
        let message = self.to_string();
        match self {
            Self::Overtaken { .. } => Failure::passing("ledger/overtaken", message),
            Self::Misplaced(_) => Failure::setup("ledger/misplaced", message),
            Self::Unknown { .. } => Failure::setup("ledger/unknown", message),
            Self::Mismatched { .. } => Failure::setup("ledger/mismatched", message),
            Self::Full { .. } => Failure::passing("ledger/full", message)
                .help("free space on the disk of `data_dir`, or lower `[ledger] reserve`"),
            Self::Closed { .. } => Failure::passing("ledger/closed", message)
                .help("look at the disk of `data_dir`, then start the program again"),
            Self::InUse { .. } => {
                Failure::setup("ledger/in-use", message).help("stop the other process, or give each its own `data_dir`")
            }
            Self::Altered { .. } => Failure::setup("ledger/altered", message)
                .help("put the file back from a backup; nothing was changed on disk"),
            Self::Gone { .. } => Failure::setup("ledger/gone", message).help("put the file back from a backup"),
            Self::AlteredBody { .. } => {
                Failure::setup("ledger/altered-body", message).help("put the file back from a backup")
            }
            Self::Export { .. } => Failure::setup("ledger/export", message)
                .help("the file was cut or altered: take another copy of it, or export again; nothing was imported"),
            Self::NotEmpty { .. } => Failure::setup("ledger/not-empty", message)
                .help("an import never adds to a ledger: name a new `data_dir`, or move the old ledger away"),
            Self::Storage { .. } => {
                Failure::setup("ledger/storage", message).help("check the disk and the rights of `data_dir`")
            }
            Self::Index(sled::Error::Io(_)) => Failure::setup("ledger/index", message)
                .help("look at the disk of `data_dir`, then start the program again"),
            Self::Index(_) | Self::AlteredIndex { .. } | Self::Entry { .. } => Failure::setup("ledger/index", message)
                .help("stop the program and delete `ledger/index`; it is made again from the log"),
        }
    }
}

/// What sled says, in the words that other troubles of the disk are told with. It wraps what the system said in a text.
pub(super) fn said(error: &sled::Error) -> String {
    let sled::Error::Io(error) = error else { return error.to_string() };
    let text = error.to_string();
    let code = text.split_once("Os { code: ").and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok());
    code.map_or_else(|| plainly(error).to_string(), |code| plainly(&io::Error::from_raw_os_error(code)).to_string())
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        error.failure()
    }
}
