//! An export read back into a ledger of its own: checked line by line, made beside its place, and moved there whole. Never
//! adds to a ledger that is there.

use std::fs::{self, File};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::domain::Offset;

use super::bodies::Bodies;
use super::error::LedgerError;
use super::export::{Counts, FORMAT, Line};
use super::frame::{BEGINNING, Header};
use super::handle::Options;
use super::log::{create, segment_path, sync_dir};
use super::opening::{lock, open_files};

/// How every record's line begins.
const RECORD: &[u8] = b"{\"v\":";

/// Makes the ledger in `dir` from an export. `path` is what the export is called where it cannot be read.
pub fn import(dir: &Path, path: &Path, input: impl BufRead) -> Result<Counts, LedgerError> {
    let occupied = || fs::read_dir(dir).is_ok_and(|mut it| it.next().is_some());
    if occupied() {
        return Err(LedgerError::NotEmpty { path: dir.to_owned() });
    }
    // Its name is always the same, so that what a killed import left is taken away by the next one.
    let half = dir.with_extension("importing");
    fs::create_dir_all(&half).map_err(LedgerError::storage("create", &half))?;
    let _lock = lock(&half)?;
    let made = make(&half, path, input).and_then(|counts| {
        fs::rename(&half, dir).map_err(|error| {
            let was_quicker = occupied();
            let storage = LedgerError::storage("move the import to", dir)(error);
            if was_quicker { LedgerError::NotEmpty { path: dir.to_owned() } } else { storage }
        })?;
        sync_dir(dir.parent().unwrap_or(dir))?;
        Ok(counts)
    });
    if made.is_err() {
        // What cannot be removed now is removed by the next import.
        let _ = fs::remove_dir_all(&half);
    }
    made
}

fn make(half: &Path, path: &Path, input: impl BufRead) -> Result<Counts, LedgerError> {
    let (logs, bodies, index) = (half.join("log"), half.join("bodies"), half.join("index"));
    for left in [&logs, &bodies, &index] {
        match fs::remove_dir_all(left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LedgerError::storage("remove", left)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    fs::create_dir(&logs).map_err(LedgerError::storage("create", &logs))?;
    let lines = Lines { input, path, number: 0, hash: Sha256::new(), line: Vec::new() };
    let mut landing = Landing { lines, logs, bodies: Bodies::open(&bodies)?, segment: None, counts: Counts::default() };
    landing.read()?;
    let Landing { logs, counts, .. } = landing;
    sync_dir(&logs)?;
    // The index is made, and with it everything is read once more as the bot will read it.
    let (index, _) = open_files(&logs, &index, Options { segment_bytes: u64::MAX, ..Options::default() })?;
    index.close();
    sync_dir(half)?;
    Ok(counts)
}

/// The lines of an export, counted and hashed.
struct Lines<'a, R> {
    input: R,
    path: &'a Path,
    number: u64,
    /// Of all lines before the present one.
    hash: Sha256,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    /// Goes on by one line, and gives it with its end.
    fn next(&mut self) -> Result<&[u8], LedgerError> {
        self.hash.update(&self.line);
        self.line.clear();
        self.number += 1;
        self.input.read_until(b'\n', &mut self.line).map_err(LedgerError::storage("read", self.path))?;
        if self.line.last() == Some(&b'\n') { Ok(&self.line) } else { Err(self.damaged("it ends here, and not whole")) }
    }

    fn damaged(&self, found: impl Into<String>) -> LedgerError {
        LedgerError::Export { line: self.number, found: found.into() }
    }
}

/// What an export is read into.
struct Landing<'a, R> {
    lines: Lines<'a, R>,
    logs: PathBuf,
    bodies: Bodies,
    segment: Option<(File, PathBuf)>,
    counts: Counts,
}

impl<R: BufRead> Landing<'_, R> {
    fn read(&mut self) -> Result<(), LedgerError> {
        match serde_json::from_slice(self.lines.next()?) {
            Ok(Line::Export { format: FORMAT, .. }) => {}
            Ok(Line::Export { format, program }) => {
                let found = format!("format {format} of Landfall {program}, and this program reads format {FORMAT}");
                return Err(self.lines.damaged(found));
            }
            Ok(_) | Err(_) => return Err(self.lines.damaged("no export of Landfall's begins so")),
        }
        loop {
            let line = self.lines.next()?;
            if line.starts_with(BEGINNING) {
                self.commit()?;
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(Line::Segment { first }) => self.begin(first)?,
                Ok(Line::Body { digest, base64 }) => self.body(&digest, &base64)?,
                Ok(Line::Lost { .. }) => {
                    self.counts.bodies += 1;
                    self.counts.lost += 1;
                }
                Ok(Line::End { counts, sha256 }) => return self.end(counts, &sha256),
                Ok(Line::Export { .. }) => return Err(self.lines.damaged("another export begins here")),
                Err(error) => return Err(self.lines.damaged(format!("no line of an export: {error}"))),
            }
        }
    }

    fn begin(&mut self, first: Offset) -> Result<(), LedgerError> {
        self.sync()?;
        if self.segment.is_none() {
            (self.counts.first, self.counts.end) = (first, first);
        }
        if self.counts.end != first {
            let found = format!("offset {first} begins here, where {} was expected", self.counts.end);
            return Err(self.lines.damaged(found));
        }
        self.segment = Some((create(&self.logs, first)?, segment_path(&self.logs, first)));
        Ok(())
    }

    /// Takes the commit whose header is the present line.
    fn commit(&mut self) -> Result<(), LedgerError> {
        let begins = self.lines.number;
        let damaged = |found: String| LedgerError::Export { line: begins, found };
        let header = Header::parse(&self.lines.line).map_err(|it| damaged(it.to_string()))?;
        let mut commit = self.lines.line.clone();
        let (body, end) = (commit.len(), commit.len() as u64 + header.bytes);
        while (commit.len() as u64) < end {
            let line = self.lines.next()?;
            if header.records > 0 && !line.starts_with(RECORD) {
                return Err(damaged("the commit that begins here has lost records".into()));
            }
            commit.extend_from_slice(line);
        }
        header
            .check(&commit[body..])
            .map_err(|it| damaged(format!("the commit that begins here was altered: {it}")))?;
        // Before what was kept when others went, records may be missing.
        if header.offset != self.counts.end && !(header.kept && header.offset > self.counts.end) {
            return Err(damaged(format!(
                "a commit of offset {} stands where {} was expected",
                header.offset, self.counts.end
            )));
        }
        let Some((file, path)) = &mut self.segment else {
            return Err(damaged("a commit stands before the first segment".into()));
        };
        file.write_all(&commit).map_err(LedgerError::storage("write", path))?;
        self.counts.commits += 1;
        self.counts.records += header.records;
        self.counts.end = Offset(header.offset.0 + header.records);
        Ok(())
    }

    fn body(&mut self, digest: &str, base64: &str) -> Result<(), LedgerError> {
        let body =
            STANDARD.decode(base64).map_err(|error| self.lines.damaged(format!("a body is unreadable: {error}")))?;
        if hex::encode(Sha256::digest(&body)) != digest {
            return Err(self.lines.damaged(format!("the body `{digest}` was altered")));
        }
        self.bodies.keep(digest, &body)?;
        self.counts.bodies += 1;
        Ok(())
    }

    fn end(&mut self, counts: Counts, sha256: &str) -> Result<(), LedgerError> {
        self.sync()?;
        if counts != self.counts {
            let found = format!("{counts:?} were written, and {:?} were found", self.counts);
            return Err(self.lines.damaged(found));
        }
        let found = hex::encode(self.lines.hash.clone().finalize());
        if found != sha256 {
            return Err(self
                .lines
                .damaged(format!("SHA-256 {sha256} was expected, and the lines before have {found}")));
        }
        let rest = self.lines.input.fill_buf().map_err(LedgerError::storage("read", self.lines.path))?;
        let is_over = rest.is_empty();
        self.lines.number += 1;
        if is_over { Ok(()) } else { Err(self.lines.damaged("something follows the last line")) }
    }

    fn sync(&self) -> Result<(), LedgerError> {
        let Some((file, path)) = &self.segment else { return Ok(()) };
        file.sync_all().map_err(LedgerError::storage("sync", path))
    }
}
