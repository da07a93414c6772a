//! The index of the log: opened, asked, written a group at a time. It never holds what the log does not.
//!
//! Why not sled alone: it gives no space back, and with a million deployments it takes eight seconds to open and more
//! memory than all the rest. So sled holds what is young; at every turn what only grows is written as a [run](super::run),
//! a sorted file that never changes, and sled is made anew without it. Eight runs of one width become one that is eight
//! times as wide, so that a question looks at some twenty files of which all but one or two are passed over by their sieves.
//! Nothing is ever taken back from a run, and the newest entry of a key tells: a turn that was cut short leaves entries
//! that stand in two places, which says the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sled::{Batch, IVec};

use crate::domain::{Deployment, DeploymentEvent, DeploymentId, Event, Offset, Record};

use super::draft::Snapshot;
use super::error::LedgerError;
use super::keys::{self, Key};
use super::log::{Place, Stamp};
use super::merged::{Entries, Merged, Way, of_run};
use super::reader::Reader;
use super::run::Run;
use super::runs::Runs;
use super::scan::{Found, Scan};
use super::young::{Young, remove};

/// Changes with the meaning of any key or value: an index of another one is made again.
const SCHEMA: u32 = 5;

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
    parts: Arc<RwLock<Option<Parts>>>,
    /// Held by whoever looks up a place in the log and reads there, so that the log's beginning does not change meanwhile.
    places: Arc<RwLock<()>>,
    /// How long sled's file may become.
    young_bytes: u64,
    /// How long it is when the next turn is due: later than that where one could not be made.
    due_at: Arc<AtomicU64>,
    pub(super) reader: Reader,
}

/// What it is made of. Whoever reads holds on to the parts that were there when it began.
#[derive(Clone, Debug)]
struct Parts {
    dir: Arc<Path>,
    young: Arc<Young>,
    runs: Runs,
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
    pub(super) fn open(dir: &Path, young_bytes: u64, reader: Reader) -> Result<Self, LedgerError> {
        let parts = match Parts::open(dir) {
            Ok(parts) => parts,
            Err(why) => {
                tracing::warn!(path = %dir.display(), %why, "the ledger's index cannot be read: it is made again");
                remove(dir)?;
                Parts::begin(dir)?
            }
        };
        let due_at = Arc::new(AtomicU64::new(young_bytes));
        let parts = Arc::new(RwLock::new(Some(parts)));
        Ok(Self { parts, places: Arc::default(), young_bytes, due_at, reader })
    }

    /// Throws away what it holds.
    pub(super) fn restart(self) -> Result<Self, LedgerError> {
        let dir = self.parts()?.dir;
        self.close();
        remove(&dir)?;
        Self::open(&dir, self.young_bytes, self.reader)
    }

    /// Gives its files free. Whoever still reads is let finish.
    pub(super) fn close(&self) {
        drop(self.parts.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn parts(&self) -> Result<Parts, LedgerError> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts.clone().ok_or_else(|| LedgerError::Closed { why: "the program is ending".into() })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, LedgerError> {
        let Parts { young, runs, dir: _ } = self.parts()?;
        match young.db().get(key)? {
            Some(value) => Ok(Some(value)),
            None if keys::stays(key) => Ok(None),
            None => runs.get(key),
        }
    }

    /// A value that is JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &'static str, key: &[u8]) -> Result<Option<T>, LedgerError> {
        let value = self.get(key)?;
        value.map(|it| serde_json::from_slice(&it).map_err(|source| LedgerError::Entry { what, source })).transpose()
    }

    /// What stands under the keys that begin so and lie below `before`, from the last to the first.
    pub(super) fn backwards(&self, prefix: &[u8], before: Option<Key>) -> Result<Entries, LedgerError> {
        self.list(prefix, before, Way::Backwards)
    }

    /// What stands under the keys that begin so, from the first to the last.
    pub(super) fn forwards(&self, prefix: &[u8]) -> Result<Entries, LedgerError> {
        self.list(prefix, None, Way::Forwards)
    }

    fn list(&self, prefix: &[u8], before: Option<Key>, way: Way) -> Result<Entries, LedgerError> {
        let Parts { young, runs, dir: _ } = self.parts()?;
        let keys = prefix.to_vec()..before.unwrap_or_else(|| after_all(prefix));
        let found = young.db().range(keys.clone()).map(|entry| entry.map_err(LedgerError::Index));
        let mut lists: Vec<Entries> = match way {
            Way::Forwards => vec![Box::new(found)],
            Way::Backwards => vec![Box::new(found.rev())],
        };
        if !keys::stays(prefix) {
            let runs = runs.newest_first().filter(|run| run.may_hold(prefix));
            lists.extend(runs.map(|run| of_run(run.clone(), keys.clone(), way)));
        }
        // A list holds on to the files that it is read from.
        Ok(Box::new(Merged::new(lists, way).inspect(move |_| _ = &young)))
    }

    /// How far it has come; nothing where it is new or not of this program.
    pub(super) fn reached(&self) -> Result<Option<Reached>, LedgerError> {
        let value = self.get(keys::REACHED)?;
        Ok(value.and_then(|it| serde_json::from_slice::<Reached>(&it).ok()))
    }

    pub(super) fn is_empty(&self) -> Result<bool, LedgerError> {
        let Parts { young, runs, dir: _ } = self.parts()?;
        Ok(runs.is_empty() && young.db().len() <= 1)
    }

    pub(super) fn stamp(&self, segment: Offset) -> Option<Stamp> {
        self.json("stamp", &keys::stamp(segment)).ok().flatten()
    }

    /// Writes changes, all of them or none.
    pub(super) fn write(&self, changes: impl IntoIterator<Item = (Key, Option<Vec<u8>>)>) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Ok(self.parts()?.young.db().apply_batch(batch)?)
    }

    /// The same of very many: what only grows becomes a run at once, and is never in sled.
    pub(super) fn write_apart(&self, changes: Vec<(Key, Option<Vec<u8>>)>) -> Result<(), LedgerError> {
        let (mut staying, mut growing): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(key, _)| keys::stays(key));
        growing.sort_unstable();
        let growing = growing.into_iter().filter_map(|(key, value)| Some(Ok((key.into(), value?.into()))));
        let Parts { dir, young: _, runs } = self.parts()?;
        let runs = runs.and(&dir, growing)?;
        staying.push((keys::TURNS.to_vec(), Some(runs.turns().to_be_bytes().to_vec())));
        self.write(staying)?;
        self.exchange(|parts| parts.runs = runs);
        Ok(())
    }

    fn exchange(&self, what: impl FnOnce(&mut Parts)) {
        if let Some(parts) = self.parts.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            what(parts);
        }
    }

    /// How long its files are.
    pub(super) fn bytes(&self) -> Result<u64, LedgerError> {
        let Parts { young, runs, dir: _ } = self.parts()?;
        let of_run = |run: &Arc<Run>| fs::metadata(&run.path).map_or(0, |it| it.len());
        Ok(young.db().size_on_disk()? + runs.newest_first().map(of_run).sum::<u64>())
    }

    /// Whether the young part has grown past its worth.
    pub(super) fn is_turn_due(&self) -> Result<bool, LedgerError> {
        let bytes = self.parts()?.young.db().size_on_disk()?;
        Ok(bytes >= self.due_at.load(Ordering::Relaxed))
    }

    /// Moves what only grows out of sled, and makes sled anew: some hundred milliseconds for a young part of 64 MiB. Called
    /// by the thread that writes the index alone. A turn that is cut short anywhere leaves the young part as it was.
    pub(super) fn turn(&self, seam: &dyn Fn(&'static str)) -> Result<(), LedgerError> {
        let Parts { dir, young, runs } = self.parts()?;
        self.due_at.store(young.db().size_on_disk()?.saturating_add(self.young_bytes), Ordering::Relaxed);
        seam("turn:begun");
        let runs = runs.and(&dir, young.entries(false))?;
        seam("turn:run-written");
        let next = Young::begin(&dir, young.next_number(), runs.turns(), young.entries(true))?;
        seam("turn:young-made");
        young.spend();
        self.exchange(|parts| *parts = Parts { dir, young: Arc::new(next), runs });
        self.due_at.store(self.young_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Makes one run of several, where enough of them are as wide as each other. Whether it did; it stops where `stop` says
    /// so. Reads and writes go on meanwhile.
    pub(super) fn merge(&self, seam: &dyn Fn(&'static str), stop: &dyn Fn() -> bool) -> Result<bool, LedgerError> {
        let Parts { dir, runs, .. } = self.parts()?;
        let Some(group) = runs.to_merge() else { return Ok(false) };
        let Some(merged) = Runs::merge(&dir, &group, stop)? else { return Ok(false) };
        seam("merge:written");
        // Where another index took this one's place, its directory is gone.
        self.exchange(|parts| {
            if parts.dir == dir {
                parts.runs.replace(&group, merged)
            }
        });
        for run in group {
            match fs::remove_file(&run.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LedgerError::storage("remove", &run.path)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(true)
    }

    /// Puts another in its place, which knows the same but for what retention let go of. `change` is what makes the log the
    /// other's: nobody reads at a place of the one in the other meanwhile. Gives the directory of the one before.
    pub(super) fn take_over(
        &self,
        next: &Self,
        change: impl FnOnce() -> Result<(), LedgerError>,
    ) -> Result<PathBuf, LedgerError> {
        let next = next.parts()?;
        next.young.sync()?;
        let _places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        change()?;
        let old = self.parts()?.dir.to_path_buf();
        self.exchange(|parts| *parts = next);
        Ok(old)
    }

    /// Writes sled's buffers out. Called by the writer's thread alone, and never as `flush_async`.
    pub(super) fn flush(&self) -> Result<(), LedgerError> {
        self.parts()?.young.db().flush()?;
        Ok(())
    }

    /// Where a commit begins from which `offset` is near.
    fn mark(&self, offset: Offset) -> Result<(Offset, Place), LedgerError> {
        let Parts { young, runs, dir: _ } = self.parts()?;
        let end = keys::mark(offset.next());
        let found = match young.db().range(keys::MARKS.to_vec()..end.clone()).next_back().transpose()? {
            Some(found) => Some(found),
            // Marks come in the log's order, so that the newest run that has one before the offset has the nearest.
            None => runs.newest_first().find_map(|run| run.last_below(keys::MARKS, &end).transpose()).transpose()?,
        };
        match found {
            Some((key, value)) => Ok((keys::offset_in(&key), place_in(&value))),
            None => self.reader.beginning(),
        }
    }

    /// The records from `from` up to `end`, at most `limit`.
    pub(super) fn read(&self, from: Offset, end: Offset, limit: usize) -> Result<Vec<Record>, LedgerError> {
        let _places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        self.reader.read(self.mark(from)?, from, end, limit)
    }

    /// The same without what deliveries said, and the offset to go on from.
    pub(super) fn read_on(
        &self,
        from: Offset,
        end: Offset,
        limit: usize,
    ) -> Result<(Vec<Record>, Offset), LedgerError> {
        let _places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        self.reader.read_on(self.mark(from)?, from, end, limit)
    }

    /// The record at `offset`.
    pub(super) fn record(&self, offset: Offset) -> Result<Record, LedgerError> {
        let found = self.read(offset, offset.next(), 1)?.pop();
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

impl Parts {
    /// Opens what is there, or begins it; where that cannot be read, why.
    fn open(dir: &Path) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        let Some(young) = Young::open(dir)? else {
            return Self::begin(dir).map_err(|error| error.to_string());
        };
        let turns = young.turns().map_err(|error| error.to_string())?;
        Ok(Self { dir: dir.into(), young: Arc::new(young), runs: Runs::open(dir, turns)? })
    }

    fn begin(dir: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(dir).map_err(LedgerError::storage("create", dir))?;
        let runs = Runs::open(dir, 0).map_err(|why| LedgerError::Storage {
            doing: "begin the index in",
            path: dir.to_owned(),
            source: std::io::Error::other(why),
        })?;
        Ok(Self { dir: dir.into(), young: Arc::new(Young::begin(dir, 0, 0, std::iter::empty())?), runs })
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
