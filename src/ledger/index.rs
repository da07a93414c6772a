//! sled, as the index of the log: opened, asked, written a group at a time. It never holds what the log does not.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sled::{Batch, Db, IVec};

use crate::domain::{Deployment, DeploymentEvent, DeploymentId, Event, Offset, Record};

use super::draft::Snapshot;
use super::error::LedgerError;
use super::keys::{self, Key};
use super::log::{Place, Stamp};
use super::reader::Reader;
use super::scan::{Found, Scan};

/// Changes with the meaning of any key or value: an index of another one is made again.
const SCHEMA: u32 = 4;
/// sled's own default is 1 GB. What it counts as a byte takes about four: its nodes are small and full of pointers.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// Keys with their values.
pub(super) type Entries = Box<dyn Iterator<Item = Result<(IVec, IVec), LedgerError>>>;

/// How far the index has come. Written in the same batch as what it tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    schema: u32,
    /// The offset of the first record that is not in the index.
    pub(super) offset: Offset,
    /// Where it begins, or would.
    pub(super) place: Place,
    /// The last commit that is in the index, so that another log's index is told from ours.
    last: Option<(Offset, Place, u32)>,
}

/// The index, with a way to the log that it is of. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Index {
    db: Arc<RwLock<Option<Db>>>,
    pub(super) reader: Reader,
}

impl Reached {
    pub(super) fn new(offset: Offset, place: Place, last: Option<(Offset, Place, u32)>) -> Self {
        Self { schema: SCHEMA, offset, place, last }
    }

    /// Whether the log is the one that this was reached in.
    pub(super) fn is_of(&self, reader: &Reader, end: Offset) -> Result<bool, LedgerError> {
        let Some((offset, place, crc32)) = self.last else { return Ok(self.offset == Offset::default()) };
        if self.schema != SCHEMA || self.offset > end {
            return Ok(false);
        }
        let Ok(mut scan) = Scan::begin(&reader.segment(place.segment), place.byte, offset) else { return Ok(false) };
        let found = scan.next().map_err(LedgerError::storage("read", &reader.segment(place.segment)))?;
        let same = matches!(found, Found::Commit(_, header) if header.crc32 == crc32);
        Ok(same && scan.offset == self.offset && scan.byte == self.place.byte)
    }
}

impl Index {
    /// Opens the index, or begins one where there is none or none that can be read.
    pub(super) fn open(path: &Path, reader: Reader) -> Result<Self, LedgerError> {
        let db = match open_sled(path) {
            Ok(db) => db,
            Err(why) => {
                tracing::warn!(path = %path.display(), %why, "the ledger's index cannot be read: it is made again");
                remove(path)?;
                open_sled(path).map_err(|why| LedgerError::Storage {
                    doing: "make the index",
                    path: path.to_owned(),
                    source: std::io::Error::other(why),
                })?
            }
        };
        Ok(Self { db: Arc::new(RwLock::new(Some(db))), reader })
    }

    /// Throws away what it holds.
    pub(super) fn restart(self, path: &Path) -> Result<Self, LedgerError> {
        let reader = self.reader.clone();
        self.close();
        remove(path)?;
        Self::open(path, reader)
    }

    /// Gives sled's files free. Whoever still reads is let finish.
    pub(super) fn close(&self) {
        drop(self.db.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn db(&self) -> Result<Db, LedgerError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        db.clone().ok_or_else(|| LedgerError::Closed { why: "the program is ending".into() })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, LedgerError> {
        Ok(self.db()?.get(key)?)
    }

    /// A value that is JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &'static str, key: &[u8]) -> Result<Option<T>, LedgerError> {
        let value = self.get(key)?;
        value.map(|it| serde_json::from_slice(&it).map_err(|source| LedgerError::Entry { what, source })).transpose()
    }

    /// What stands under the keys that begin so and lie below `before`, from the last to the first.
    pub(super) fn backwards(&self, prefix: &[u8], before: Option<Key>) -> Result<Entries, LedgerError> {
        let end = before.unwrap_or_else(|| after_all(prefix));
        let range = self.db()?.range(prefix.to_vec()..end);
        Ok(Box::new(range.rev().map(|entry| entry.map_err(LedgerError::Index))))
    }

    /// What stands under the keys that begin so, from the first to the last.
    pub(super) fn forwards(&self, prefix: &[u8]) -> Result<Entries, LedgerError> {
        Ok(Box::new(self.db()?.scan_prefix(prefix).map(|entry| entry.map_err(LedgerError::Index))))
    }

    /// How far it has come; nothing where it is new or not of this program.
    pub(super) fn reached(&self) -> Result<Option<Reached>, LedgerError> {
        let value = self.get(keys::REACHED)?;
        Ok(value.and_then(|it| serde_json::from_slice::<Reached>(&it).ok()))
    }

    pub(super) fn is_empty(&self) -> Result<bool, LedgerError> {
        Ok(self.db()?.is_empty())
    }

    pub(super) fn stamp(&self, segment: Offset) -> Option<Stamp> {
        self.json("stamp", &keys::stamp(segment)).ok().flatten()
    }

    pub(super) fn write(&self, batch: Batch) -> Result<(), LedgerError> {
        Ok(self.db()?.apply_batch(batch)?)
    }

    /// Writes sled's buffers out. Called by the writer's thread alone, and never as `flush_async`.
    pub(super) fn flush(&self) -> Result<(), LedgerError> {
        self.db()?.flush()?;
        Ok(())
    }

    /// Where a commit begins from which `offset` is near.
    pub(super) fn mark(&self, offset: Offset) -> Result<(Offset, Place), LedgerError> {
        let mut range = self.db()?.range(keys::MARKS.to_vec()..=keys::mark(offset));
        match range.next_back().transpose()? {
            Some((key, value)) => Ok((keys::offset_in(&key), place_in(&value))),
            None => self.reader.beginning(),
        }
    }

    /// The record at `offset`.
    pub(super) fn record(&self, offset: Offset) -> Result<Record, LedgerError> {
        let found = self.reader.read(self.mark(offset)?, offset, offset.next(), 1)?.pop();
        found.ok_or_else(|| LedgerError::Gone { what: format!("the record at offset {offset}") })
    }

    /// A deployment as it stands, with its birth's offset.
    pub(super) fn deployment(&self, id: DeploymentId) -> Result<Option<Snapshot>, LedgerError> {
        if let Some(value) = self.get(&keys::deployment(id))? {
            let deployment = serde_json::from_slice(value.get(8..).unwrap_or_default());
            let deployment = deployment.map_err(|source| LedgerError::Entry { what: "deployment", source })?;
            return Ok(Some(Snapshot { birth: keys::birth_in(&value), deployment }));
        }
        let Some(value) = self.get(&keys::unfinished(id))? else { return Ok(None) };
        let birth = keys::birth_in(&value);
        let Record { at, event: Event::Deployment(first @ DeploymentEvent::Planned { .. }), .. } =
            self.record(birth)?
        else {
            return Err(LedgerError::Gone { what: format!("the birth of deployment {id}") });
        };
        Ok(Some(Snapshot { birth, deployment: Deployment::born(id, at, &first)? }))
    }
}

/// A deployment's value: its birth's offset, and its snapshot.
pub(super) fn value_of(snapshot: &Snapshot) -> Vec<u8> {
    let mut value = snapshot.birth.0.to_be_bytes().to_vec();
    serde_json::to_writer(&mut value, &snapshot.deployment).expect("snapshots have string keys only");
    value
}

pub(super) fn place_value(place: Place) -> Vec<u8> {
    [place.segment.0.to_be_bytes(), place.byte.to_be_bytes()].concat()
}

fn place_in(value: &[u8]) -> Place {
    Place { segment: keys::offset_in(&value[..8.min(value.len())]), byte: keys::offset_in(value).0 }
}

/// The first key after all that begin so. No prefix of ours ends with the highest byte.
fn after_all(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

fn remove(path: &Path) -> Result<(), LedgerError> {
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
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("sled gave up on its files".into()),
        }
    }
    Err("another process holds its lock".into())
}
