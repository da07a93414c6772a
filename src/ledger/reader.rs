//! Reads records back from the log's files, through the index's marks. Never writes.

use std::path::{Path, PathBuf};

use crate::domain::{Offset, Record};

use super::error::LedgerError;
use super::frame::Header;
use super::log::{Place, segment_path, segments};
use super::scan::{Found, Scan};

/// Reads records where they lie.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    dir: PathBuf,
}

impl Reader {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A segment's file.
    pub(super) fn segment(&self, first: Offset) -> PathBuf {
        segment_path(&self.dir, first)
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
        self.commits(mark, end, |_, _, _, mut commit| {
            commit.retain(|record| record.offset >= from && record.offset < end);
            commit.truncate(limit - records.len());
            records.append(&mut commit);
            Ok(records.len() < limit)
        })?;
        Ok(records)
    }

    /// Hands over each commit from `mark` up to `end`, with the place and the bytes it takes, until told to stop.
    pub(super) fn commits(
        &self,
        (offset, place): (Offset, Place),
        end: Offset,
        mut take: impl FnMut(Place, Header, u64, Vec<Record>) -> Result<bool, LedgerError>,
    ) -> Result<(), LedgerError> {
        let (mut offset, mut place) = (offset, place);
        while offset < end {
            let path = segment_path(&self.dir, place.segment);
            let mut scan =
                Scan::begin(&path, place.byte, offset).map_err(|source| self.unreadable(&path, offset, source))?;
            while scan.offset < end {
                match scan.next().map_err(LedgerError::storage("read", &path))? {
                    Found::Commit(byte, header) => {
                        let commit = parse(&path, byte, &scan)?;
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

fn parse(path: &Path, byte: u64, scan: &Scan) -> Result<Vec<Record>, LedgerError> {
    scan.lines()
        .map(|line| {
            let text = std::str::from_utf8(line).map_err(|error| error.to_string());
            text.and_then(|text| Record::from_line(text).map_err(|error| error.to_string()))
        })
        .collect::<Result<_, _>>()
        .map_err(|found| LedgerError::Altered { file: path.to_owned(), byte, offset: scan.offset, found })
}
