//! Bodies too long for a line, each in a file named by its digest: written and synced before a record names it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::domain::BodyAt;

use super::error::LedgerError;
use super::log::sync_dir;

/// The longest body that stands in its record's line: a sled value or a line of this length is no trouble to anyone.
pub(super) const LONGEST_INLINE: usize = 64 * 1024;

/// The folder of payload files.
#[derive(Debug)]
pub(super) struct Bodies {
    dir: PathBuf,
    /// Tells two writers of one body apart.
    count: AtomicU64,
}

impl Bodies {
    /// Opens the folder, and sweeps what a killed writer left half-done.
    pub(super) fn open(dir: &Path) -> Result<Self, LedgerError> {
        fs::create_dir_all(dir).map_err(LedgerError::storage("create", dir))?;
        for entry in fs::read_dir(dir).map_err(LedgerError::storage("list", dir))? {
            let path = entry.map_err(LedgerError::storage("list", dir))?.path();
            if path.extension().is_some_and(|it| it == "half") {
                fs::remove_file(&path).map_err(LedgerError::storage("remove", &path))?;
            }
        }
        Ok(Self::at(dir))
    }

    /// The folder as it is, for who only reads.
    pub(super) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), count: AtomicU64::new(0) }
    }

    /// A body for its delivery's line, when it is short and text; else it comes back. One that nobody else holds is not
    /// copied.
    pub(super) fn inline(body: Bytes) -> Result<BodyAt, Bytes> {
        if body.len() > LONGEST_INLINE || std::str::from_utf8(&body).is_err() {
            return Err(body);
        }
        let text = String::from_utf8(body.into()).expect("it was just found to be text");
        Ok(BodyAt::Inline { text })
    }

    /// Keeps a body in a file. Returns when it would survive a power cut. May run twice: its digest names it.
    pub(super) fn keep(&self, digest: &str, body: &[u8]) -> Result<BodyAt, LedgerError> {
        let path = self.path(digest);
        let kept = BodyAt::File { bytes: body.len() as u64 };
        if fs::read(&path).is_ok_and(|it| it == body) {
            sync_dir(&self.dir)?;
            return Ok(kept);
        }
        let half = path.with_extension(format!("{}.half", self.count.fetch_add(1, Ordering::Relaxed)));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&half)?;
            file.write_all(body)?;
            file.sync_all()?;
            fs::rename(&half, &path)
        };
        if let Err(error) = write() {
            // It is swept at the next start if it cannot be removed now.
            let _ = fs::remove_file(&half);
            return Err(LedgerError::storage("write", &half)(error));
        }
        sync_dir(&self.dir)?;
        Ok(kept)
    }

    /// Reads a body back, and checks that it is the one.
    pub(super) fn read(&self, digest: &str) -> Result<Bytes, LedgerError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(body) => {
                let found = hex::encode(Sha256::digest(&body));
                if found == digest || !is_digest(digest) {
                    return Ok(body.into());
                }
                Err(LedgerError::AlteredBody { file: path, digest: digest.to_owned(), found })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(LedgerError::Gone { what: format!("the body `{}`", path.display()) })
            }
            Err(error) => Err(LedgerError::storage("read", &path)(error)),
        }
    }

    /// Removes a body that nobody needs any more. May run twice.
    pub(super) fn remove(&self, digest: &str) -> Result<(), LedgerError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LedgerError::storage("remove", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A digest is hex; whatever else came under that name is never a file's name.
    fn path(&self, digest: &str) -> PathBuf {
        if is_digest(digest) { self.dir.join(digest) } else { self.dir.join(hex::encode(Sha256::digest(digest))) }
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
