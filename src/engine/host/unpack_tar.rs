//! Reads a bundle that is a tar, entry by entry. What stands before an entry and describes it (long names, pax headers, the
//! map of a sparse file) is read into memory by the tar reader, whatever length it claims: here it is given no more than
//! so many bytes for that.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::unpack::unreadable;
use super::unpack_entries::Entries;
use crate::domain::{Failure, size};

/// What may describe one entry: a name takes at most 4 KiB on Linux, its labels and access lists 64 KiB each.
const MOST_DESCRIBED: u64 = 1 << 20;

/// Unpacks it below `into`, no more than so many bytes.
pub(super) fn unpack(input: impl Read, into: &Path, most_bytes: u64) -> Result<(), Failure> {
    let mut entries = Entries::new(into, most_bytes)?;
    let left = Cell::new(Some(MOST_DESCRIBED));
    let mut archive = tar::Archive::new(Rationed { input, left: &left });
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        left.set(None);
        let header = entry.header();
        let mode = header.mode().unwrap_or(0o644);
        let modified = header.mtime().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let kind = header.entry_type();
        let name = entry.path().map_err(unreadable)?.into_owned();
        let target = || entry.link_name().map_err(unreadable).map(|it| it.unwrap_or_default().into_owned());
        if kind.is_dir() {
            entries.directory(&name, mode)?;
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            entries.file(&name, mode, modified, &mut entry)?;
        } else if kind.is_symlink() {
            entries.link(&name, &target()?)?;
        } else if kind.is_hard_link() {
            entries.second_name(&name, &target()?)?;
        } else if !kind.is_pax_global_extensions() && !kind.is_pax_local_extensions() {
            return Err(entries.special(&name));
        }
        // What is left of its data is passed over here, and is no part of what describes the next one.
        io::copy(&mut entry, &mut io::sink()).map_err(unreadable)?;
        left.set(Some(MOST_DESCRIBED));
    }
    entries.finish()
}

/// Gives no more than what is left, where that is said.
struct Rationed<'a, R> {
    input: R,
    left: &'a Cell<Option<u64>>,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if let Some(left) = self.left.get() {
            let left = left.checked_sub(read as u64).ok_or_else(|| {
                let most = size(MOST_DESCRIBED);
                io::Error::other(format!("what describes an entry, its name and labels, is longer than {most}"))
            })?;
            self.left.set(Some(left));
        }
        Ok(read)
    }
}
