//! Walks over the commits of one segment file, checking each. Never changes the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::Offset;

use super::frame::{BEGINNING, Damage, Header, LONGEST_HEADER};

/// A walk over one segment file. Memory is that of its largest commit.
pub(super) struct Scan {
    input: BufReader<File>,
    /// Where the next commit begins.
    pub(super) byte: u64,
    /// The offset with which it should begin.
    pub(super) offset: Offset,
    lines: Vec<u8>,
}

/// What a walk came upon.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole commit, which began at this byte. Its lines are at [`Scan::lines`].
    Commit(u64, Header),
    /// The end of the file, at the end of a commit.
    End,
    /// A commit that is not whole. The walk cannot go on.
    Damaged(Damage),
}

impl Scan {
    /// Begins at a byte where a commit begins, which `offset` should be the first of.
    pub(super) fn begin(path: &Path, byte: u64, offset: Offset) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(byte))?;
        Ok(Self { input: BufReader::with_capacity(64 * 1024, file), byte, offset, lines: Vec::new() })
    }

    /// Goes on by one commit.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        let mut line = Vec::with_capacity(LONGEST_HEADER);
        (&mut self.input).take(LONGEST_HEADER as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(Found::End);
        }
        if line.last() != Some(&b'\n') && line.len() < LONGEST_HEADER {
            return Ok(Found::Damaged(if line.contains(&0) { Damage::Holes } else { Damage::Short }));
        }
        let header = match Header::parse(&line) {
            Ok(header) => header,
            Err(damage) => return Ok(Found::Damaged(damage)),
        };
        self.lines.clear();
        (&mut self.input).take(header.bytes).read_to_end(&mut self.lines)?;
        if (self.lines.len() as u64) < header.bytes {
            return Ok(Found::Damaged(if self.lines.contains(&0) { Damage::Holes } else { Damage::Short }));
        }
        if let Err(damage) = header.check(&self.lines) {
            return Ok(Found::Damaged(damage));
        }
        // Before what was kept when others went, records may be missing.
        if header.offset != self.offset && !(header.kept && header.offset > self.offset) {
            return Ok(Found::Damaged(Damage::Altered(format!("a commit of offset {} stands there", header.offset))));
        }
        let start = self.byte;
        self.byte += line.len() as u64 + header.bytes;
        self.offset = Offset(header.offset.0 + header.records);
        Ok(Found::Commit(start, header))
    }

    /// The record lines of the commit just found.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
    }

    /// The same, as they stand in the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.lines
    }
}

/// The first whole commit that begins after `byte`. Reads the rest of the file at once: only a damaged one is asked.
pub(super) fn whole_commit_after(path: &Path, byte: u64) -> io::Result<Option<Header>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(byte))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let mut at = 0;
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        // A hole may swallow line ends, so the header is looked for within the line too.
        let begins =
            line.windows(BEGINNING.len()).enumerate().filter(|(_, it)| *it == BEGINNING).map(|(place, _)| place);
        for place in begins.filter(|place| at - line.len() + place > 0) {
            let Ok(header) = Header::parse(&line[place..]) else { continue };
            let lines = usize::try_from(header.bytes).ok().and_then(|bytes| rest.get(at..at.checked_add(bytes)?));
            if lines.is_some_and(|lines| header.check(lines).is_ok()) {
                return Ok(Some(header));
            }
        }
    }
    Ok(None)
}
