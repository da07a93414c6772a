//! The log's files: found, checked, cut where a write was torn, and written at the end. Never decides what is written.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::Offset;

use super::error::LedgerError;
use super::frame::{Damage, Header, LONGEST_HEADER};
use super::health::Seams;
use super::scan::{Found, Scan, whole_commit_after};

/// Where a commit begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The first offset of its segment.
    pub(super) segment: Offset,
    /// The byte in the segment's file.
    pub(super) byte: u64,
}

/// What a sealed segment looked like when it was last read as a whole: one that looks the same is not read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    modified_s: i64,
    modified_ns: i64,
    inode: u64,
    end: Offset,
}

/// The log, open for writing at its end.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    file: File,
    at: Ahead,
}

/// Where the log will be when everything that was handed over to be written is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    segment_bytes: u64,
    /// Where the next commit will begin.
    pub(super) place: Place,
    /// The offset after the last record.
    pub(super) end: Offset,
}

impl Ahead {
    /// Begins a new segment where the present one is long enough. Called between two writes.
    pub(super) fn roll(&mut self) {
        if self.place.byte >= self.segment_bytes && self.end > self.place.segment {
            self.place = Place { segment: self.end, byte: 0 };
        }
    }

    /// Counts what is handed over.
    pub(super) fn go_on(&mut self, bytes: usize, end: Offset) {
        self.place.byte += bytes as u64;
        self.end = end;
    }
}

/// A segment's file.
pub(super) fn segment_path(dir: &Path, first: Offset) -> PathBuf {
    dir.join(format!("{:020}.log", first.0))
}

/// The first offsets of the segments that are there, in order, but for those that the first one stands for.
pub(super) fn segments(dir: &Path) -> Result<Vec<Offset>, LedgerError> {
    let (mut found, first) = (all_segments(dir)?, segment_path(dir, Offset::default()));
    if found.first() == Some(&Offset::default()) {
        let cut = cut_of(&first)?;
        found.retain(|segment| *segment == Offset::default() || *segment >= cut);
    }
    Ok(found)
}

/// The offset before which records may be missing, as a log's first segment says: 0 where none is.
pub(super) fn cut_of(first: &Path) -> Result<Offset, LedgerError> {
    let mut line = Vec::new();
    let read = File::open(first)
        .and_then(|file| BufReader::new(file).take(LONGEST_HEADER as u64).read_until(b'\n', &mut line));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(LedgerError::storage("read", first)(error)),
    }
    // One that cannot be read is told by whoever reads all of it.
    Ok(Header::parse(&line).ok().filter(|header| header.kept).map_or(Offset::default(), |header| header.synced))
}

/// Removes the segments that the first one stands for: a killed process had not come to it. Gives the bytes that it freed.
pub(super) fn remove_replaced(dir: &Path) -> Result<u64, LedgerError> {
    let (staying, mut bytes) = (segments(dir)?, 0);
    for segment in all_segments(dir)?.into_iter().filter(|it| !staying.contains(it)) {
        let path = segment_path(dir, segment);
        bytes += fs::metadata(&path).map_or(0, |it| it.len());
        fs::remove_file(&path).map_err(LedgerError::storage("remove", &path))?;
    }
    if bytes > 0 {
        sync_dir(dir)?;
    }
    Ok(bytes)
}

/// The first offsets of all segments that are there, in order.
fn all_segments(dir: &Path) -> Result<Vec<Offset>, LedgerError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(LedgerError::storage("list", dir))? {
        let name = entry.map_err(LedgerError::storage("list", dir))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".log")).filter(|digits| digits.len() == 20);
        found.extend(digits.and_then(|digits| digits.parse().ok()).map(Offset));
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes a directory's entries durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|it| it.sync_all()).map_err(LedgerError::storage("sync", dir))
}

impl Log {
    /// Opens the log, or begins one. Every byte of it has been checked by now or before; a torn end is cut.
    ///
    /// `known` tells what a sealed segment looked like when it was last checked, `checked` is told of each one anew.
    pub(super) fn open(
        dir: &Path,
        segment_bytes: u64,
        known: impl Fn(Offset) -> Option<Stamp>,
        mut checked: impl FnMut(Offset, Stamp),
    ) -> Result<Self, LedgerError> {
        let mut segments = segments(dir)?;
        let Some(last) = segments.pop() else { return Self::begin(dir, segment_bytes) };
        let mut end = segments.first().copied().unwrap_or(last);
        for segment in segments {
            let path = segment_path(dir, segment);
            follows(&path, segment, end)?;
            let stamp = |end| Stamp::of(&path, end);
            end = match known(segment) {
                Some(before) if before == stamp(before.end)? => before.end,
                Some(_) | None => {
                    let end = check_sealed(&path, segment)?;
                    checked(segment, stamp(end)?);
                    end
                }
            };
        }
        let path = segment_path(dir, last);
        follows(&path, last, end)?;
        let (byte, end) = check_last(&path, last)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(LedgerError::storage("open", &path))?;
        // What a killed process wrote may not have been synced by it.
        file.sync_all().map_err(LedgerError::storage("sync", &path))?;
        sync_dir(dir)?;
        let at = Ahead { segment_bytes, place: Place { segment: last, byte }, end };
        Ok(Self { dir: dir.to_owned(), file, at })
    }

    fn begin(dir: &Path, segment_bytes: u64) -> Result<Self, LedgerError> {
        let end = Offset::default();
        let file = create(dir, end)?;
        let at = Ahead { segment_bytes, place: Place { segment: end, byte: 0 }, end };
        Ok(Self { dir: dir.to_owned(), file, at })
    }

    /// The offset after the last record.
    pub(super) fn end(&self) -> Offset {
        self.at.end
    }

    /// Where the next commit will begin.
    pub(super) fn place(&self) -> Place {
        self.at.place
    }

    /// Where it is, for whoever runs ahead of it.
    pub(super) fn ahead(&self) -> Ahead {
        self.at
    }

    /// Begins a new segment where the present one is long enough. Called between two writes.
    pub(super) fn roll(&mut self) -> Result<(), LedgerError> {
        let before = self.at.place.segment;
        self.at.roll();
        if self.at.place.segment != before {
            self.file = create(&self.dir, self.at.end)?;
        }
        Ok(())
    }

    /// Writes whole commits at the end, and returns when they would survive a power cut.
    pub(super) fn write(&mut self, commits: &[u8], end: Offset, seams: &Seams) -> Result<(), LedgerError> {
        let path = segment_path(&self.dir, self.at.place.segment);
        (seams.probe)("before-write");
        (seams.storage)("write")
            .and_then(|()| self.file.write_all(commits))
            .map_err(LedgerError::storage("write", &path))?;
        (seams.probe)("after-write");
        (seams.storage)("sync").and_then(|()| self.file.sync_data()).map_err(LedgerError::storage("sync", &path))?;
        (seams.probe)("after-sync");
        self.at.go_on(commits.len(), end);
        Ok(())
    }
}

impl Stamp {
    fn of(path: &Path, end: Offset) -> Result<Self, LedgerError> {
        let meta = fs::metadata(path).map_err(LedgerError::storage("look at", path))?;
        let (modified_s, modified_ns) = (meta.mtime(), meta.mtime_nsec());
        Ok(Self { bytes: meta.len(), modified_s, modified_ns, inode: meta.ino(), end })
    }
}

/// Makes a segment's file, durably.
pub(super) fn create(dir: &Path, first: Offset) -> Result<File, LedgerError> {
    let path = segment_path(dir, first);
    let file = OpenOptions::new().append(true).create_new(true).open(&path);
    let file = file.map_err(LedgerError::storage("create", &path))?;
    file.sync_all().map_err(LedgerError::storage("sync", &path))?;
    sync_dir(dir)?;
    Ok(file)
}

/// A segment begins where the one before it ends.
pub(super) fn follows(path: &Path, segment: Offset, end: Offset) -> Result<(), LedgerError> {
    if segment == end {
        return Ok(());
    }
    let found = format!("the segments before it end at offset {end}, so one is missing or does not belong here");
    Err(LedgerError::Altered { file: path.to_owned(), byte: 0, offset: end, found })
}

/// What a walk that cannot go on is told as.
pub(super) fn altered(path: &Path, scan: &Scan, damage: &Damage) -> LedgerError {
    LedgerError::Altered { file: path.to_owned(), byte: scan.byte, offset: scan.offset, found: damage.to_string() }
}

/// Reads a segment that others follow: nothing in it can be torn. Gives the offset after its last record.
fn check_sealed(path: &Path, first: Offset) -> Result<Offset, LedgerError> {
    let mut scan = Scan::begin(path, 0, first).map_err(LedgerError::storage("read", path))?;
    loop {
        match scan.next().map_err(LedgerError::storage("read", path))? {
            Found::Commit(..) => {}
            Found::End => return Ok(scan.offset),
            Found::Damaged(damage) => return Err(altered(path, &scan, &damage)),
        }
    }
}

/// Reads the last segment, and cuts what a write that never returned left at its end.
fn check_last(path: &Path, first: Offset) -> Result<(u64, Offset), LedgerError> {
    let mut scan = Scan::begin(path, 0, first).map_err(LedgerError::storage("read", path))?;
    let damage = loop {
        match scan.next().map_err(LedgerError::storage("read", path))? {
            Found::Commit(..) => {}
            Found::End => return Ok((scan.byte, scan.offset)),
            Found::Damaged(damage) => break damage,
        }
    };
    let after = whole_commit_after(path, scan.byte).map_err(LedgerError::storage("read", path))?;
    let torn = match (&damage, after) {
        (_, None) => true,
        // Pages of one write may reach the disk in any order, but nothing of it was synced.
        (Damage::Holes, Some(later)) => later.synced <= scan.offset,
        (Damage::Short | Damage::Altered(_), Some(_)) => false,
    };
    if !torn {
        return Err(altered(path, &scan, &damage));
    }
    cut(path, scan.byte, scan.offset, &damage)?;
    Ok((scan.byte, scan.offset))
}

/// Cuts a file's end off. What is more than a write that stopped is kept beside it, for a person to look at.
fn cut(path: &Path, byte: u64, offset: Offset, damage: &Damage) -> Result<(), LedgerError> {
    if *damage != Damage::Short {
        let aside = path.with_extension(format!("log.cut-at-{byte}"));
        fs::copy(path, &aside).map_err(LedgerError::storage("copy", path))?;
    }
    let file = OpenOptions::new().write(true).open(path).map_err(LedgerError::storage("open", path))?;
    let bytes = file.metadata().map_err(LedgerError::storage("look at", path))?.len() - byte;
    tracing::warn!(
        file = %path.display(), byte, %offset, bytes, found = %damage,
        "the last write to the ledger was torn: its {bytes} bytes are cut"
    );
    file.set_len(byte).and_then(|()| file.sync_all()).map_err(LedgerError::storage("cut", path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::super::frame::encode;
    use super::*;
    use crate::domain::{BotEvent, Event, Record, Stream};

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn path(&self) -> PathBuf {
            segment_path(self.0.path(), Offset(0))
        }

        fn open(&self) -> Result<Log, LedgerError> {
            Log::open(self.0.path(), 1 << 20, |_| None, |_, _| ())
        }

        /// Opens a log of these bytes, and says how that went: its end, or what is said to be wrong.
        fn check(&self, bytes: &[u8]) -> Result<u64, (u64, u64)> {
            fs::write(self.path(), bytes).unwrap();
            match self.open() {
                Ok(log) => {
                    assert_eq!(fs::metadata(self.path()).unwrap().len(), log.place().byte);
                    Ok(log.end().0)
                }
                Err(LedgerError::Altered { file, byte, offset, .. }) => {
                    assert_eq!(file, self.path());
                    assert_eq!(fs::read(self.path()).unwrap(), bytes, "a refused file is left alone");
                    Err((byte, offset.0))
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// The bytes of commits of two records each; `synced` is what each says was synced before it.
    fn commits(synced: &[u64]) -> (Dir, Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (number, synced) in synced.iter().enumerate() {
            starts.push(bytes.len());
            let first = number as u64 * 2;
            let event = |actor: u64| BotEvent::Started { version: format!("0.1.{actor}") };
            let record = |offset| {
                let (at, stream, event) = (Timestamp::UNIX_EPOCH, Stream::Bot, Event::Bot(event(offset)));
                Record { offset: Offset(offset), at, stream, event }
            };
            encode(&[record(first), record(first + 1)], Offset(*synced), &mut bytes);
        }
        (Dir(tempfile::tempdir().unwrap()), bytes, starts)
    }

    #[test]
    fn a_log_cut_anywhere_keeps_its_whole_commits() {
        let (dir, bytes, starts) = commits(&[0, 2, 4]);
        for length in 0..bytes.len() {
            let whole = starts.iter().skip(1).filter(|start| **start <= length).count() as u64;
            assert_eq!(dir.check(&bytes[..length]), Ok(whole * 2), "cut at {length}");
        }
        assert_eq!(dir.check(&bytes), Ok(6));
    }

    #[test]
    fn an_altered_byte_is_refused_with_its_place_unless_it_ends_the_log() {
        let (dir, bytes, starts) = commits(&[0, 2, 4]);
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            let commit = starts.iter().filter(|start| **start <= place).count() - 1;
            let expected = if commit == 2 { Ok(4) } else { Err((starts[commit] as u64, commit as u64 * 2)) };
            assert_eq!(dir.check(&altered), expected, "byte {place}");
        }
    }

    #[test]
    fn what_is_cut_although_it_is_no_mere_beginning_is_kept_beside() {
        let (dir, bytes, starts) = commits(&[0, 2]);
        let mut altered = bytes.clone();
        altered[bytes.len() - 3] ^= 1;
        assert_eq!(dir.check(&altered), Ok(2));
        let aside = dir.path().with_extension(format!("log.cut-at-{}", starts[1]));
        assert_eq!(fs::read(aside).unwrap(), altered);
        assert_eq!(segments(dir.0.path()).unwrap(), [Offset(0)]);
    }

    #[test]
    fn pages_of_the_last_write_may_be_missing_but_not_of_one_that_was_synced() {
        for (synced, expected) in [([0, 2, 2], Ok(2)), ([0, 2, 4], Err(2))] {
            let (dir, mut bytes, starts) = commits(&synced);
            bytes[starts[1] + 150..starts[2] - 20].fill(0);
            assert_eq!(dir.check(&bytes).map_err(|(_, offset)| offset), expected);
            let (dir, mut bytes, starts) = commits(&synced);
            bytes[starts[1]..starts[2]].fill(0);
            assert_eq!(dir.check(&bytes).map_err(|(_, offset)| offset), expected);
        }
    }

    #[test]
    fn a_missing_segment_is_noticed_and_a_sealed_one_is_read_again_only_when_it_changed() {
        let (dir, bytes, starts) = commits(&[0, 2, 4]);
        let at = |offset| segment_path(dir.0.path(), Offset(offset));
        for (index, end) in [starts[1], starts[2], bytes.len()].into_iter().enumerate() {
            fs::write(at(index as u64 * 2), &bytes[starts[index]..end]).unwrap();
        }
        let mut stamps = std::collections::HashMap::new();
        let log = Log::open(
            dir.0.path(),
            1,
            |_| None,
            |segment, stamp| {
                stamps.insert(segment, stamp);
            },
        );
        assert_eq!(log.unwrap().end(), Offset(6));
        assert_eq!(stamps.len(), 2);
        let mut read_again = 0;
        Log::open(dir.0.path(), 1, |segment| stamps.get(&segment).cloned(), |_, _| read_again += 1).unwrap();
        assert_eq!(read_again, 0);
        let mut altered = bytes[..starts[1]].to_vec();
        altered[starts[1] - 9] ^= 1;
        fs::write(at(0), &altered).unwrap();
        let refused = Log::open(dir.0.path(), 1, |segment| stamps.get(&segment).cloned(), |_, _| ()).unwrap_err();
        assert!(matches!(refused, LedgerError::Altered { byte: 0, offset: Offset(0), .. }), "{refused}");
        fs::remove_file(at(2)).unwrap();
        fs::write(at(0), &bytes[..starts[1]]).unwrap();
        let refused = dir.open().unwrap_err().to_string();
        assert!(
            refused.contains("00000000000000000004.log` was altered at byte 0, where offset 2 should begin"),
            "{refused}"
        );
    }

    #[test]
    fn a_long_segment_is_followed_by_one_named_by_its_first_offset() {
        let (dir, bytes, starts) = commits(&[0, 2]);
        let mut log = Log::open(dir.0.path(), 1, |_| None, |_, _| ()).unwrap();
        let seams = Seams { probe: Arc::new(|_| ()), ..Seams::default() };
        log.roll().unwrap();
        log.write(&bytes[..starts[1]], Offset(2), &seams).unwrap();
        log.roll().unwrap();
        log.write(&bytes[starts[1]..], Offset(4), &seams).unwrap();
        assert_eq!(segments(dir.0.path()).unwrap(), [Offset(0), Offset(2)]);
        assert_eq!(dir.open().unwrap().end(), Offset(4));
    }
}
