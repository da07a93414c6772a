//! Opening: the lock, the log checked, the index brought to the log's end. Never takes a write.

use std::fs::{File, OpenOptions, TryLockError};
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
use super::log::{Log, Place};
use super::reader::Reader;

/// How many commits are put into the index at a time while it is made again: some ten megabytes of memory.
const REPLAYED_AT_ONCE: u64 = 16 * 1024;
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
    let mut index = Index::open(index_path, options.index_bytes, Reader::new(logs))?;
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
    let replayed = replay(&index, from, &log)?;
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

/// Puts what the log has beyond the index into the index. Gives how many records it took.
fn replay(index: &Index, from: (Offset, Place), log: &Log) -> Result<u64, LedgerError> {
    let fresh = || Draft::new(index, Arc::default());
    let mut waiting = fresh();
    let (mut commits, mut last) = (0, None);
    index.reader.commits(
        from,
        from.0..log.end(),
        |_| true,
        |place, header, bytes, records| {
            for record in &records {
                waiting.apply(record)?;
            }
            waiting.placed(header.offset, place, bytes);
            waiting.settle();
            commits += 1;
            let next = Place { byte: place.byte + bytes, ..place };
            last = Some(((place, header), next));
            if commits % REPLAYED_AT_ONCE == 0 {
                let full = std::mem::replace(&mut waiting, fresh());
                index.write_apart(full.into_changes().entries((place, header), next))?;
                while index.merge(&|_| (), &|| false)? {}
                last = None;
                tracing::info!("the ledger's index is being made: up to offset {} of {}", header.offset, log.end());
            }
            Ok(true)
        },
    )?;
    if let Some((commit, next)) = last {
        index.write(waiting.into_changes().entries(commit, next))?;
    }
    Ok(log.end().0.saturating_sub(from.0.0))
}
