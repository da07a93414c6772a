//! The young part of the index, in sled: what changes, and what has come since the last turn. It is small, and made anew at
//! every turn: sled gives no space back, and holds in memory what its file holds.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sled::{Batch, Db, IVec};

use super::error::{LedgerError, said};
use super::keys;
use super::log::sync_dir;
use super::run::Entry;

/// sled's own default is 1 GB. What it counts as a byte takes about four: its nodes are small and full of pointers.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How its directory is called, before the number.
const NAME: &str = "young-";

/// One sled, in a directory of its own. The last one who uses it removes it, once another has taken its place.
#[derive(Debug)]
pub(super) struct Young {
    /// There until it is dropped.
    db: Option<Db>,
    path: PathBuf,
    number: u64,
    spent: AtomicBool,
}

impl Young {
    /// Opens the newest one in a directory that was begun to its end; what is left of others is removed. Nothing where
    /// there is none; where one cannot be read, why.
    pub(super) fn open(dir: &Path) -> Result<Option<Self>, String> {
        let mut numbers = numbers(dir).map_err(|error| error.to_string())?;
        let mut found = None;
        while let Some(number) = numbers.pop() {
            let path = path(dir, number);
            if found.is_none() {
                let db = open_sled(&path)?;
                if db.get(keys::TURNS).map_err(|error| error.to_string())?.is_some() {
                    found = Some(Self { db: Some(db), path, number, spent: AtomicBool::new(false) });
                    continue;
                }
            }
            fs::remove_dir_all(&path).map_err(|error| error.to_string())?;
        }
        Ok(found)
    }

    /// Begins one with these entries. It is there whole, and would survive a power cut, or is not there at all.
    pub(super) fn begin(
        dir: &Path,
        number: u64,
        turns: u64,
        entries: impl Iterator<Item = Result<Entry, LedgerError>>,
    ) -> Result<Self, LedgerError> {
        let path = path(dir, number);
        remove(&path)?;
        let unmade = |why: String| LedgerError::Storage {
            doing: "make the index",
            path: path.clone(),
            source: std::io::Error::other(why),
        };
        let db = open_sled(&path).map_err(unmade)?;
        let mut batch = Batch::default();
        for entry in entries {
            let (key, value) = entry?;
            batch.insert(key, value);
        }
        batch.insert(keys::TURNS, &turns.to_be_bytes());
        db.apply_batch(batch)?;
        let this = Self { db: Some(db), path, number, spent: AtomicBool::new(false) };
        this.sync()?;
        sync_dir(dir)?;
        Ok(this)
    }

    /// Makes what it holds survive a power cut, for which sled's own flush does not wait.
    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        self.db().flush()?;
        let synced = File::open(self.path.join("db")).and_then(|it| it.sync_all());
        synced.map_err(LedgerError::storage("sync", &self.path))?;
        sync_dir(&self.path)
    }

    pub(super) fn db(&self) -> &Db {
        self.db.as_ref().expect("it is there until this is dropped")
    }

    /// The number after its own.
    pub(super) fn next_number(&self) -> u64 {
        self.number + 1
    }

    /// How many turns of the index had been made when it began.
    pub(super) fn turns(&self) -> Result<u64, LedgerError> {
        Ok(self.db().get(keys::TURNS)?.map_or(0, |value| keys::offset_in(&value).0))
    }

    /// Its entries that stay in sled, or those that do not, in order.
    pub(super) fn entries(&self, staying: bool) -> impl Iterator<Item = Result<Entry, LedgerError>> + use<> {
        let is_asked = move |entry: &sled::Result<(IVec, IVec)>| {
            entry.as_ref().map_or(true, |(key, _)| keys::stays(key) == staying)
        };
        self.db().iter().filter(is_asked).map(|entry| entry.map_err(LedgerError::Index))
    }

    /// Says that another has taken its place.
    pub(super) fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }
}

impl Drop for Young {
    fn drop(&mut self) {
        drop(self.db.take());
        if self.spent.load(Ordering::Relaxed) {
            // It is swept at the next start if it cannot be removed now.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{NAME}{number:08}"))
}

/// The numbers of those in a directory, in order.
fn numbers(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|it| it.strip_prefix(NAME)?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes a directory, where it is there.
pub(super) fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LedgerError::storage("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens sled's files. A damaged one may make sled panic, which is caught here: the index can be made again.
fn open_sled(path: &Path) -> Result<Db, String> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    // Our own lock keeps other processes out: a lock here is that of a handle just about to go.
    for _ in 0..100 {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(Err(error)) => return Err(said(&error)),
            Err(_) => return Err("sled gave up on its files".into()),
        }
    }
    Err("another process holds its lock".into())
}
