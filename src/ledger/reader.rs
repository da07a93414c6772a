//! Reads records back from the log's files, through the index's marks. Never writes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::domain::{Offset, Record};

use super::error::LedgerError;
use super::frame::{Header, Known};
use super::log::{Place, cut_of, segment_path, segments};
use super::scan::{Found, Scan};

/// Reads records where they lie.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    dir: PathBuf,
    /// What is read in the place of the first segment: what will be in its place.
    beginning: Option<PathBuf>,
}

impl Reader {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), beginning: None }
    }

    /// The same, with another file as its first segment: all segments that this one says it stands for are passed over.
    pub(super) fn beginning_with(self, file: &Path) -> Self {
        Self { beginning: Some(file.to_owned()), ..self }
    }

    /// A segment's file.
    pub(super) fn segment(&self, first: Offset) -> PathBuf {
        match &self.beginning {
            Some(file) if first == Offset::default() => file.clone(),
            Some(_) | None => segment_path(&self.dir, first),
        }
    }

    /// The offset before which records may be missing.
    pub(super) fn cut(&self) -> Result<Offset, LedgerError> {
        cut_of(&self.segment(Offset::default()))
    }

    /// The first record of a segment.
    pub(super) fn first_of(&self, segment: Offset) -> Result<Option<Record>, LedgerError> {
        let place = Place { segment, byte: 0 };
        Ok(self.read((segment, place), segment, segment.next(), 1)?.pop())
    }

    /// What was known where retention cut the log off: the lines of the frame at a place.
    pub(super) fn state(&self, place: Place, at: Offset) -> Result<Vec<Known>, LedgerError> {
        let path = self.segment(place.segment);
        let mut scan = Scan::begin(&path, place.byte, at).map_err(LedgerError::storage("read", &path))?;
        scan.next().map_err(LedgerError::storage("read", &path))?;
        let known = scan.lines().map(serde_json::from_slice).collect::<Result<_, _>>();
        known.map_err(|error| {
            let (byte, offset, found) = (place.byte, at, error.to_string());
            LedgerError::Altered { file: path, byte, offset, found }
        })
    }

    /// The records from `from` up to `end`, at most `limit`. `mark` is where a commit at or before `from` begins, and
    /// that commit's first offset.
    pub(super) fn read(
        &self,
        mark: (Offset, Place),
        from: Offset,
        end: Offset,
        limit: usize,
    ) -> Result<Vec<Record>, LedgerError> {
        let mut records = Vec::new();
        self.commits(
            mark,
            from..end,
            |_| true,
            |_, _, _, commit| {
                let more = limit - records.len();
                records.extend(commit.into_iter().take(more));
                Ok(records.len() < limit)
            },
        )?;
        Ok(records)
    }

    /// The same without what deliveries said, which is most of the bytes, and the offset to go on from. It stops at the
    /// end of a commit, so there may be a few more than `limit`.
    pub(super) fn read_on(
        &self,
        mark: (Offset, Place),
        from: Offset,
        end: Offset,
        limit: usize,
    ) -> Result<(Vec<Record>, Offset), LedgerError> {
        let (mut records, mut next) = (Vec::new(), from);
        self.commits(
            mark,
            from..end,
            |line| !is_of_a_delivery(line),
            |_, header, _, commit| {
                next = Offset(header.offset.0 + header.records);
                records.extend(commit);
                Ok(records.len() < limit)
            },
        )?;
        Ok((records, next))
    }

    /// Hands over each commit that has offsets of a range, with its records of these, the place and the bytes it takes,
    /// until told to stop. What lies before them, from `mark` on, and lines that are not wanted are checked, but not read.
    pub(super) fn commits(
        &self,
        (offset, place): (Offset, Place),
        offsets: Range<Offset>,
        wanted: impl Fn(&[u8]) -> bool,
        mut take: impl FnMut(Place, Header, u64, Vec<Record>) -> Result<bool, LedgerError>,
    ) -> Result<(), LedgerError> {
        let (mut offset, mut place, end) = (offset, place, offsets.end);
        while offset < end {
            let path = self.segment(place.segment);
            let mut scan =
                Scan::begin(&path, place.byte, offset).map_err(|source| self.unreadable(&path, offset, source))?;
            while scan.offset < end {
                match scan.next().map_err(LedgerError::storage("read", &path))? {
                    Found::Commit(..) if scan.offset <= offsets.start => {}
                    Found::Commit(byte, header) => {
                        let records = usize::try_from(header.records).unwrap_or(usize::MAX);
                        let lines = scan.lines().take(records).zip((header.offset.0..).map(Offset));
                        let lines = lines.filter(|(line, offset)| offsets.contains(offset) && wanted(line));
                        let commit = lines.map(|(line, _)| parse(line)).collect::<Result<_, _>>().map_err(|found| {
                            LedgerError::Altered { file: path.clone(), byte, offset: scan.offset, found }
                        })?;
                        if !take(Place { segment: place.segment, byte }, header, scan.byte - byte, commit)? {
                            return Ok(());
                        }
                    }
                    Found::End => break,
                    Found::Damaged(damage) => {
                        let (byte, offset, found) = (scan.byte, scan.offset, damage.to_string());
                        return Err(LedgerError::Altered { file: path, byte, offset, found });
                    }
                }
            }
            offset = scan.offset;
            if offset == place.segment && offset < end {
                return Err(LedgerError::Gone { what: format!("the record at offset {offset}") });
            }
            place = Place { segment: offset, byte: 0 };
        }
        Ok(())
    }

    /// Where the oldest commit begins that is still there.
    pub(super) fn beginning(&self) -> Result<(Offset, Place), LedgerError> {
        let first = segments(&self.dir)?.first().copied().unwrap_or_default();
        Ok((first, Place { segment: first, byte: 0 }))
    }

    fn unreadable(&self, path: &Path, offset: Offset, source: std::io::Error) -> LedgerError {
        if source.kind() == std::io::ErrorKind::NotFound {
            return LedgerError::Gone { what: format!("the record at offset {offset}") };
        }
        LedgerError::storage("read", path)(source)
    }
}

/// Whether a record's line belongs to `delivery/…`, told by its first bytes: offset, time and stream come before all else.
fn is_of_a_delivery(line: &[u8]) -> bool {
    const STREAM: &[u8] = b"\"stream\":\"delivery/";
    line[..line.len().min(128)].windows(STREAM.len()).any(|found| found == STREAM)
}

fn parse(line: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    Record::from_line(text).map_err(|error| error.to_string())
}
