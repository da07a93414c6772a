//! Opening: the lock, the log checked, the index brought to the log's end. Never takes a write.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::Offset;

use super::draft::Draft;
use super::error::LedgerError;
use super::handle::Options;
use super::index::{Index, Reached};
use super::keys;
use super::log::{Log, Place, remove_replaced};
use super::reader::Reader;
use super::retire::new_beginning;

/// How many commits are put into the index at a time while it is made again: some megabytes of memory.
const REPLAYED_AT_ONCE: u64 = 4 * 1024;
/// How many commits lie between two words of how far it is: some seconds.
const TOLD_EVERY: u64 = 64 * REPLAYED_AT_ONCE;
/// Two seconds in all: long for a child on its way out, short for a person who waits to be told.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Takes the directory for this process, and says so in it.
pub(super) fn lock(dir: &Path) -> Result<File, LedgerError> {
    let path: PathBuf = dir.join("lock");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.map_err(LedgerError::storage("open", &path))?;
    match patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let pid = file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse().ok());
            return Err(LedgerError::InUse { path: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(LedgerError::storage("lock", &path)(error)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(LedgerError::storage("write", &path))?;
    Ok(file)
}

/// A child that a killed process had forked may hold its lock for some milliseconds more.
fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            answer => return answer,
        }
    }
    file.try_lock()
}

/// Opens the log and the index, and brings the index to the log's end.
pub(super) fn open_files(logs: &Path, index_path: &Path, options: Options) -> Result<(Index, Log), LedgerError> {
    let reader = Reader::new(logs);
    let cut = reader.cut()?;
    sweep(logs, index_path, cut)?;
    let mut index = Index::open(&index_of(index_path, cut), options.index_bytes, reader)?;
    let mut stamps = Vec::new();
    let log = Log::open(
        logs,
        options.segment_bytes,
        |segment| index.stamp(segment),
        |segment, stamp| {
            stamps.push((segment, stamp));
        },
    )?;
    let reached = match index.reached()? {
        Some(reached) if reached.is_of(&index.reader, log.end())? => Some(reached),
        None if index.is_empty()? || log.end() == Offset::default() => None,
        Some(reached) => {
            check_not_vanished(&index, &reached)?;
            if reached.offset > log.end() {
                tracing::error!(
                    "the ledger lost its last records: the log ends before offset {}, and the index knows those before {}",
                    log.end(),
                    reached.offset
                );
            }
            index = restart(index)?;
            None
        }
        None => {
            index = restart(index)?;
            None
        }
    };
    let oldest = index.reader.beginning()?;
    check_oldest(&index, oldest.0)?;
    let from = reached.map_or(oldest, |reached| (reached.offset, reached.place));
    let replayed = replay(&index, from, log.end(), &|| Ok(()))?;
    if replayed > 0 {
        tracing::info!(records = replayed, "the ledger's index was brought to the log's end");
    }
    let stamps = stamps
        .into_iter()
        .map(|(segment, stamp)| (keys::stamp(segment), Some(serde_json::to_vec(&stamp).expect("a fixed shape"))));
    index.write(stamps.chain([(keys::OLDEST.to_vec(), Some(oldest.0.0.to_be_bytes().to_vec()))]))?;
    index.flush()?;
    Ok((index, log))
}

/// Where the index of a log lies whose records before `cut` may be missing: it is never taken for another's.
pub(super) fn index_of(path: &Path, cut: Offset) -> PathBuf {
    path.join(format!("{:020}", cut.0))
}

/// Removes what a retention that was cut short left, and the indices of other logs: those before it, and those of earlier
/// versions.
fn sweep(logs: &Path, index_path: &Path, cut: Offset) -> Result<(), LedgerError> {
    remove_replaced(logs)?;
    let half = new_beginning(logs);
    match fs::remove_file(&half) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(LedgerError::storage("remove", &half)(error));
        }
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(index_path).map_err(LedgerError::storage("create", index_path))?;
    let ours = index_of(index_path, cut);
    for entry in fs::read_dir(index_path).map_err(LedgerError::storage("list", index_path))? {
        let path = entry.map_err(LedgerError::storage("list", index_path))?.path();
        let removed = match path == ours {
            true => Ok(()),
            false if path.is_dir() => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(LedgerError::storage("remove", &path))?;
    }
    Ok(())
}

fn restart(index: Index) -> Result<Index, LedgerError> {
    tracing::warn!("the ledger's index is not of this log: it is made again");
    index.restart()
}

/// A write that stops tears the end of a file, and never takes the whole file away.
fn check_not_vanished(index: &Index, reached: &Reached) -> Result<(), LedgerError> {
    let segment = reached.place.segment;
    let file = index.reader.segment(segment);
    if reached.offset == segment || file.metadata().is_ok_and(|it| it.len() > 0) {
        return Ok(());
    }
    let found = format!("it is missing or empty, and the index knows its records up to offset {}", reached.offset);
    Err(LedgerError::Altered { file, byte: 0, offset: segment, found })
}

/// Retention says in the index what it drops before it drops it: a log that begins later has lost its beginning.
fn check_oldest(index: &Index, oldest: Offset) -> Result<(), LedgerError> {
    let expected = index.get(keys::OLDEST)?.map_or(oldest, |value| keys::offset_in(&value));
    if oldest <= expected {
        return Ok(());
    }
    let found = format!("it is missing, and the log begins at offset {oldest}");
    Err(LedgerError::Altered { file: index.reader.segment(expected), byte: 0, offset: expected, found })
}

/// Puts what the log has beyond the index into the index, for as long as it may go on. Gives how many records it took.
pub(super) fn replay(
    index: &Index,
    from: (Offset, Place),
    end: Offset,
    may_go_on: &dyn Fn() -> Result<(), LedgerError>,
) -> Result<u64, LedgerError> {
    let is_cut = index.reader.cut()? > Offset::default();
    let fresh = || Draft::new(index, Arc::default()).of_cut_log(is_cut);
    let mut waiting = fresh();
    let (mut commits, mut last) = (0, None);
    index.reader.commits(
        from,
        from.0..end,
        |_| true,
        |place, header, bytes, records| {
            for record in &records {
                waiting.apply(record)?;
            }
            if header.records == 0 {
                index.reader.state(place, header.offset)?.into_iter().try_for_each(|known| waiting.know(known))?;
            }
            waiting.placed(header.offset, place, bytes);
            waiting.settle();
            commits += 1;
            let next = Place { byte: place.byte + bytes, ..place };
            last = Some(((place, header), next));
            if commits % REPLAYED_AT_ONCE == 0 {
                let full = std::mem::replace(&mut waiting, fresh());
                index.write_apart(full.into_changes().entries((place, header), next))?;
                while index.merge(&|_| (), &|| may_go_on().is_err())? {}
                may_go_on()?;
                last = None;
            }
            if commits % TOLD_EVERY == 0 {
                tracing::info!("the ledger's index is being made: up to offset {} of {end}", header.offset);
            }
            Ok(true)
        },
    )?;
    if let Some((commit, next)) = last {
        index.write(waiting.into_changes().entries(commit, next))?;
    }
    Ok(end.0.saturating_sub(from.0.0))
}
