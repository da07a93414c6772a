//! Whether the ledger takes writes: the space that is left, and the door that stays closed after a storage error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::statvfs::statvfs;
use tokio::sync::watch;

use super::error::LedgerError;

/// Whether the ledger takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Open,
    /// It takes no delivery until space is free.
    Full {
        /// Free bytes.
        free: u64,
        /// Bytes that stay free.
        reserve: u64,
    },
    /// It takes nothing more until the program starts again.
    Closed {
        /// Why.
        why: String,
    },
}

/// Is told the name of each seam that the writer passes, so that a test can end the process there: `before-write`,
/// `after-write`, `after-sync`, `before-index`, `after-index`; of a turn of the index `turn:begun`, `turn:run-written`,
/// `turn:young-made`; and, on the thread that merges it, `merge:written`.
pub type Probe = Arc<dyn Fn(&'static str) + Send + Sync>;

/// Where tests take hold of the writer. The program hands over the default, which does nothing.
#[derive(Clone)]
pub struct Seams {
    /// Is told of each seam.
    pub probe: Probe,
    /// May make a `write` or a `sync` fail.
    pub storage: Arc<dyn Fn(&'static str) -> io::Result<()> + Send + Sync>,
}

impl Default for Seams {
    fn default() -> Self {
        Self { probe: Arc::new(|_| ()), storage: Arc::new(|_| Ok(())) }
    }
}

impl From<Probe> for Seams {
    fn from(probe: Probe) -> Self {
        Self { probe, ..Self::default() }
    }
}

impl std::fmt::Debug for Seams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seams")
    }
}

/// What kind of write asks for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A new delivery: its sender can come again.
    New,
    /// More of what is under way: it may end within the reserve.
    UnderWay,
}

/// What stands between writers and the log.
#[derive(Debug)]
pub(super) struct Door {
    dir: PathBuf,
    reserve: u64,
    closed: watch::Sender<Option<String>>,
}

impl Door {
    pub(super) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve, closed: watch::channel(None).0 }
    }

    /// Closes it for good. The first reason stays.
    pub(super) fn close(&self, why: &str) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    /// Tells whoever asks once it is closed.
    pub(super) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.closed.subscribe()
    }

    /// Refuses where the door is closed.
    pub(super) fn check_open(&self) -> Result<(), LedgerError> {
        match &*self.closed.borrow() {
            None => Ok(()),
            Some(why) => Err(LedgerError::Closed { why: why.clone() }),
        }
    }

    fn free(&self) -> Result<u64, LedgerError> {
        let found = statvfs(&self.dir)
            .map_err(|errno| LedgerError::storage("look for free space on", &self.dir)(errno.into()))?;
        Ok(found.blocks_available().saturating_mul(found.fragment_size()))
    }

    pub(super) fn health(&self) -> Health {
        if let Some(why) = &*self.closed.borrow() {
            return Health::Closed { why: why.clone() };
        }
        match self.free() {
            Ok(free) if free < self.reserve => Health::Full { free, reserve: self.reserve },
            Ok(_) => Health::Open,
            Err(error) => Health::Closed { why: error.to_string() },
        }
    }
}

/// The space that is left, looked at once for a group of writes.
#[derive(Debug, Default)]
pub(super) struct Space(Option<u64>);

impl Space {
    /// Refuses where `bytes` more would reach into the reserve. What is under way may use all but an eighth of it.
    pub(super) fn check(&mut self, door: &Door, bytes: u64, urgency: Urgency) -> Result<(), LedgerError> {
        let reserve = match urgency {
            Urgency::New => door.reserve,
            Urgency::UnderWay => door.reserve / 8,
        };
        let free = match self.0 {
            Some(free) => free,
            None => *self.0.insert(door.free()?),
        };
        if free.saturating_sub(bytes) < reserve { Err(LedgerError::Full { free, reserve }) } else { Ok(()) }
    }
}
