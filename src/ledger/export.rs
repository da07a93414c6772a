//! The whole ledger as one stream of JSON lines, for a backup or a move. Takes no lock and changes nothing, so that it may
//! run beside the bot: it then has everything up to some commit, and nothing half.
//!
//! A first line with the format; each segment's first offset and then its commits, as the log has them, a commit's header
//! with the digest of its lines; each long body after the commit that names it; and a last line with counts and the
//! SHA-256 of all lines before it.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{BodyAt, DeliveryEvent, Event, Offset, Record};

use super::bodies::Bodies;
use super::error::LedgerError;
use super::frame::{Damage, Header};
use super::log::{altered, follows, segment_path, segments};
use super::scan::{Found, Scan};

/// The form of an export that this program writes.
pub(super) const FORMAT: u32 = 1;

/// A line of an export that is none of the log's own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// The first one.
    Export { format: u32, program: String },
    /// Commits of the segment that begins with this offset follow.
    Segment { first: Offset },
    /// A body that lies in a file of its own.
    Body { digest: String, base64: String },
    /// Such a body that is not there any more, or not as it was.
    Lost { digest: String, why: String },
    /// The last one.
    End { counts: Counts, sha256: String },
}

/// What an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Commits of the log.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// The offset of the first record.
    pub first: Offset,
    /// The offset after the last record.
    pub end: Offset,
    /// Bodies that lay in files of their own.
    pub bodies: u64,
    /// Those that were not there any more, or not as they were.
    pub lost: u64,
}

/// Where an export goes to: hashed on its way.
struct Out<'a, W> {
    path: &'a Path,
    writer: W,
    hash: Sha256,
}

impl<W: Write> Out<'_, W> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        self.hash.update(bytes);
        self.writer.write_all(bytes).map_err(LedgerError::storage("write", self.path))
    }

    fn line(&mut self, line: &Line) -> Result<(), LedgerError> {
        let mut text = serde_json::to_vec(line).expect("a fixed shape");
        text.push(b'\n');
        self.bytes(&text)
    }
}

/// Writes the ledger that lies in `dir` to `writer`, which is called `path` where it cannot be written to. `lost` is told
/// of each body that is not there any more, or not as it was: nothing else can be missing.
pub fn export(
    dir: &Path,
    path: &Path,
    writer: impl Write,
    mut lost: impl FnMut(&LedgerError),
) -> Result<Counts, LedgerError> {
    let (logs, bodies) = (dir.join("log"), Bodies::at(&dir.join("bodies")));
    let segments = segments(&logs)?;
    let mut out = Out { path, writer, hash: Sha256::new() };
    out.line(&Line::Export { format: FORMAT, program: env!("CARGO_PKG_VERSION").into() })?;
    let first = segments.first().copied().unwrap_or_default();
    let mut counts = Counts { first, end: first, ..Counts::default() };
    for segment in &segments {
        let file = segment_path(&logs, *segment);
        follows(&file, *segment, counts.end)?;
        out.line(&Line::Segment { first: *segment })?;
        let mut scan = Scan::begin(&file, 0, *segment).map_err(LedgerError::storage("read", &file))?;
        while let Some(header) = next_commit(&mut scan, &file, Some(segment) == segments.last())? {
            out.bytes(header.render().as_bytes())?;
            out.bytes(scan.bytes())?;
            for digest in bodies_named(&scan, &file)? {
                counts.bodies += 1;
                match bodies.read(&digest) {
                    Ok(body) => out.line(&Line::Body { digest, base64: STANDARD.encode(body) })?,
                    Err(error @ (LedgerError::Gone { .. } | LedgerError::AlteredBody { .. })) => {
                        counts.lost += 1;
                        lost(&error);
                        out.line(&Line::Lost { digest, why: error.to_string() })?;
                    }
                    Err(error) => return Err(error),
                }
            }
            counts.commits += 1;
            counts.records += header.records;
            counts.end = scan.offset;
        }
    }
    let sha256 = hex::encode(out.hash.clone().finalize());
    out.line(&Line::End { counts, sha256 })?;
    out.writer.flush().map_err(LedgerError::storage("write", path))?;
    Ok(counts)
}

/// Goes on by one commit. The last segment may end within one, which the bot is writing at this moment or a killed one
/// began: it is not there yet.
fn next_commit(scan: &mut Scan, file: &Path, is_last: bool) -> Result<Option<Header>, LedgerError> {
    match scan.next().map_err(LedgerError::storage("read", file))? {
        Found::Commit(_, header) => Ok(Some(header)),
        Found::End => Ok(None),
        Found::Damaged(Damage::Short) if is_last => Ok(None),
        Found::Damaged(damage) => Err(altered(file, scan, &damage)),
    }
}

/// The digests of the bodies in files that the commit just found names.
fn bodies_named(scan: &Scan, file: &Path) -> Result<Vec<String>, LedgerError> {
    const IN_A_FILE: &[u8] = b"{\"at\":\"file\",";
    let names_one = |line: &&[u8]| line.windows(IN_A_FILE.len()).any(|found| found == IN_A_FILE);
    let mut named = Vec::new();
    for line in scan.lines().filter(names_one) {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string());
        let record = text.and_then(|text| Record::from_line(text).map_err(|error| error.to_string()));
        let record = record.map_err(|found| altered(file, scan, &Damage::Altered(found)))?;
        if let Event::Delivery(DeliveryEvent::Received { body: BodyAt::File { .. }, digest, .. }) = record.event {
            named.push(digest);
        }
    }
    Ok(named)
}
