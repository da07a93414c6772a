//! Reads a source's archive, entry by entry: tar or tar.gz, long names, and the commit it says it is of. It never
//! trusts a length, and never writes.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;

use crate::domain::{ArchiveFacts, CommitSha, Finding, Findings};

use super::error::BundleError;
use super::path::shown;
use super::request::Limits;

/// One read of the network's buffers.
const BUFFER: usize = 64 * 1024;
/// git writes at most two paths into one; 64 KiB holds the longest that Linux takes, many times.
const EXTENSION: u64 = 64 * 1024;
/// Small archives may expand as they like: a limit by ratio is for bombs.
const FREE_EXPANSION: u64 = 256 << 20;

/// One entry, as the archive claims it.
pub(super) struct Member<'a> {
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryType,
    pub(super) link: Vec<u8>,
    pub(super) executable: bool,
    pub(super) size: u64,
    pub(super) data: &'a mut dyn Read,
}

/// What an archive says before its first entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The commit's time, seconds since 1970.
    pub(super) seconds: u64,
}

#[derive(Debug, Default)]
struct Gauge {
    compressed: Cell<u64>,
    unpacked: Cell<u64>,
    failed: Cell<bool>,
    over: Cell<Option<&'static str>>,
    ended: Cell<bool>,
}

/// Counts what comes in, and remembers whether the source itself failed.
struct Incoming<R>(R, Rc<Gauge>);

impl<R: Read> Read for Incoming<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer).inspect_err(|error| {
            self.1.failed.set(error.kind() != io::ErrorKind::Interrupted);
        })?;
        self.1.compressed.set(self.1.compressed.get() + read as u64);
        Ok(read)
    }
}

/// Counts what comes out of the decompression, and stops where it becomes absurd.
struct Unpacked<R> {
    inner: R,
    gauge: Rc<Gauge>,
    limits: Limits,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.gauge.ended.set(read == 0 && !buffer.is_empty());
        let (unpacked, compressed) = (self.gauge.unpacked.get() + read as u64, self.gauge.compressed.get());
        self.gauge.unpacked.set(unpacked);
        if unpacked > self.limits.unpacked_bytes {
            self.gauge.over.set(Some("bundle/too-large"));
        } else if unpacked > FREE_EXPANSION && unpacked / compressed.max(1) > self.limits.expansion {
            self.gauge.over.set(Some("bundle/expands"));
        }
        if self.gauge.over.get().is_some() { Err(io::Error::other("over a limit")) } else { Ok(read) }
    }
}

/// What precedes an entry and describes it.
#[derive(Default)]
struct Described {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

/// Hands every entry of the archive of `commit` to `visit`, in the archive's order.
pub(super) fn each(
    mut input: impl Read,
    commit: &CommitSha,
    limits: &Limits,
    mut visit: impl FnMut(Stamp, Member<'_>) -> Result<(), BundleError>,
) -> Result<ArchiveFacts, BundleError> {
    let gauge = Rc::new(Gauge::default());
    let mut magic = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut magic).map_err(BundleError::Input)?;
    let rest = io::Cursor::new(magic.clone()).chain(input);
    let incoming = BufReader::with_capacity(BUFFER, Incoming(rest, Rc::clone(&gauge)));
    let inner: Box<dyn Read> = match magic.as_slice() {
        [] => return Err(BundleError::Truncated { bytes: 0 }),
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(incoming))),
        [b'P', b'K', ..] => return Err(BundleError::Unreadable { found: "a zip came".into() }),
        [b'<' | b'{', ..] => return Err(BundleError::Unreadable { found: "a text came".into() }),
        _ => Box::new(incoming),
    };
    let unpacked = Unpacked { inner, gauge: Rc::clone(&gauge), limits: limits.clone() };
    let mut tape = tar::Archive::new(unpacked);
    let files = Tape { gauge: &gauge, commit, limits }.play(&mut tape, &mut visit)?;
    let mut unpacked = tape.into_inner();
    // The rest is padding, and behind it gzip's checksum over all of it, which is read with the last byte.
    io::copy(&mut unpacked, &mut io::sink()).map_err(|error| unreadable(&gauge, limits, error))?;
    Ok(ArchiveFacts { bytes: gauge.compressed.get(), unpacked_bytes: gauge.unpacked.get(), files, reused: false })
}

struct Tape<'a> {
    gauge: &'a Gauge,
    commit: &'a CommitSha,
    limits: &'a Limits,
}

impl Tape<'_> {
    fn play<R: Read>(
        &self,
        tape: &mut tar::Archive<R>,
        visit: &mut impl FnMut(Stamp, Member<'_>) -> Result<(), BundleError>,
    ) -> Result<u64, BundleError> {
        let failed = |error| unreadable(self.gauge, self.limits, error);
        let mut stamp = None;
        let mut described = Described::default();
        let mut files = 0;
        for entry in tape.entries().map_err(failed)?.raw(true) {
            let mut entry = entry.map_err(failed)?;
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                let records = extension(&mut entry).map_err(failed)??;
                if let Some((_, comment)) = pax(&records).filter(|(key, _)| *key == b"comment").last() {
                    self.check_commit(comment)?;
                    stamp = Some(Stamp { seconds: entry.header().mtime().unwrap_or_default() });
                }
                continue;
            }
            if kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink() {
                described.take(kind, extension(&mut entry).map_err(failed)??);
                continue;
            }
            let stamp = stamp.ok_or_else(|| BundleError::NoCommit { expected: self.commit.clone() })?;
            let said = std::mem::take(&mut described);
            let size = entry.size();
            if said.size.is_some_and(|other| other != size) {
                // Only files of 8 GiB and more are written so, and those are over every limit.
                let path = shown(&said.path.unwrap_or_else(|| entry.path_bytes().into_owned()));
                return Err(refused("bundle/too-large", format!("`{path}` has two sizes, {size} bytes and another")));
            }
            if matches!(kind, EntryType::Regular | EntryType::Symlink) {
                files += 1;
            }
            let member = Member {
                path: said.path.unwrap_or_else(|| entry.path_bytes().into_owned()),
                link: said.link.or_else(|| entry.link_name_bytes().map(|it| it.into_owned())).unwrap_or_default(),
                kind: if said.sparse { EntryType::GNUSparse } else { kind },
                executable: entry.header().mode().unwrap_or_default() & 0o100 != 0,
                size,
                data: &mut entry,
            };
            visit(stamp, member).map_err(|error| self.recast(error))?;
        }
        if self.gauge.ended.get() {
            // The end of a tar is two empty blocks; a stream that just stops was cut.
            return Err(BundleError::Truncated { bytes: self.gauge.compressed.get() });
        }
        Ok(files)
    }

    fn check_commit(&self, comment: &[u8]) -> Result<(), BundleError> {
        if comment == self.commit.as_str().as_bytes() {
            return Ok(());
        }
        Err(BundleError::OtherCommit { expected: self.commit.clone(), found: shown(comment) })
    }

    /// An entry's data is read by the visitor, who cannot know why reading failed.
    fn recast(&self, error: BundleError) -> BundleError {
        match error {
            BundleError::Input(error) => unreadable(self.gauge, self.limits, error),
            BundleError::Output(_) | BundleError::Truncated { .. } | BundleError::Unreadable { .. } => error,
            BundleError::OtherCommit { .. } | BundleError::NoCommit { .. } | BundleError::Refused(_) => error,
        }
    }
}

impl Described {
    fn take(&mut self, kind: EntryType, data: Vec<u8>) {
        if kind.is_gnu_longname() {
            self.path = Some(long_name(data));
            return;
        }
        if kind.is_gnu_longlink() {
            self.link = Some(long_name(data));
            return;
        }
        for (key, value) in pax(&data) {
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = std::str::from_utf8(value).ok().and_then(|it| it.parse().ok()),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
    }
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`. Values may hold line ends, so the length counts. What is broken
/// ends the list, which for a commit id or a path means that it is missing.
fn pax(records: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let space = rest.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        rest = &rest[length..];
        let equals = record.iter().position(|b| *b == b'=')?;
        Some((&record[..equals], &record[equals + 1..]))
    })
}

/// Reads a header's own data. The outer error is the stream's, the inner one is ours.
fn extension<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Result<Vec<u8>, BundleError>> {
    let size = entry.size();
    if size > EXTENSION {
        return Ok(Err(refused(
            "bundle/path-unfit",
            format!("a name's header is {size} bytes long, {EXTENSION} is the limit"),
        )));
    }
    let mut data = Vec::new();
    entry.read_to_end(&mut data)?;
    Ok(if data.len() as u64 == size { Ok(data) } else { return Err(io::ErrorKind::UnexpectedEof.into()) })
}

/// GNU's long names end with a NUL.
fn long_name(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

fn refused(code: &str, message: String) -> BundleError {
    BundleError::Refused(Findings(vec![Finding::error(code, message)]))
}

/// Why the stream could not be read on, from what is known about it.
fn unreadable(gauge: &Gauge, limits: &Limits, error: io::Error) -> BundleError {
    let (bytes, unpacked) = (gauge.compressed.get(), gauge.unpacked.get());
    match gauge.over.get() {
        Some(code @ "bundle/expands") => {
            refused(code, format!("{bytes} bytes of archive became {unpacked}, which is no repository"))
        }
        Some(code) => refused(
            code,
            format!("the archive unpacks to more than {} MiB, which is the limit", limits.unpacked_bytes >> 20),
        ),
        None if gauge.failed.get() => BundleError::Input(error),
        None if gauge.ended.get() || error.kind() == io::ErrorKind::UnexpectedEof => BundleError::Truncated { bytes },
        None => BundleError::Unreadable { found: format!("byte {unpacked} of it is wrong: {error}") },
    }
}
