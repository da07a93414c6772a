//! Revisions in a directory of this machine. A file has its final name only when all of it is on the disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::{Builder, NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt;

use crate::clients::span;
use crate::domain::Location;

use super::error::RevisionError;

/// What unfinished files end with; those of a process that was killed are removed when the store is opened.
const PARTIAL: &str = ".partial";

/// Removes what a killed process left behind. Best effort: what stays costs room, nothing else.
pub(super) fn sweep(root: &Path) {
    let Ok(targets) = fs::read_dir(root) else { return };
    for target in targets.flatten() {
        let Ok(files) = fs::read_dir(target.path()) else { continue };
        for file in files.flatten() {
            if file.file_name().as_encoded_bytes().ends_with(PARTIAL.as_bytes()) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// A file on its way to its place; dropped, it is gone.
pub(super) struct FileUpload {
    path: PathBuf,
    open: Option<(tokio::fs::File, TempPath)>,
}

impl FileUpload {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), RevisionError> {
        let path = self.path.clone();
        self.file().await?.write_all(bytes).await.map_err(|source| disk(&path, "written", source))
    }

    async fn file(&mut self) -> Result<&mut tokio::fs::File, RevisionError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let path = self.path.clone();
                let (file, temporary) = blocking(&self.path, "written", move || beside(&path)).await?.into_parts();
                (tokio::fs::File::from_std(file), temporary)
            }
        };
        Ok(&mut self.open.insert(open).0)
    }

    pub(super) async fn finish(mut self) -> Result<Location, RevisionError> {
        let path = self.path.clone();
        self.file().await?.flush().await.map_err(|source| disk(&path, "written", source))?;
        let Some((file, temporary)) = self.open else {
            let source = io::Error::other("no file was opened");
            return Err(disk(&path, "written", source));
        };
        let file = file.into_std().await;
        let to = path.clone();
        blocking(&path, "written", move || keep(&file, temporary, &to)).await?;
        Ok(Location::File { path })
    }
}

/// Copies a stored file to another place, which has it whole or not at all.
pub(super) async fn fetch(from: &Path, sha256: &str, to: &Path) -> Result<(), RevisionError> {
    let what = from.display().to_string();
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RevisionError::Gone { what }),
        Err(error) => return Err(disk(from, "read", error)),
    };
    let target = to.to_owned();
    let (temporary, digest) = blocking(to, "written", move || {
        let mut temporary = beside(&target)?;
        let digest = copy(&mut source, &mut temporary)?;
        Ok((temporary, digest))
    })
    .await?;
    if digest != sha256 {
        return Err(RevisionError::Replaced { what, expected: sha256.into(), found: digest });
    }
    let (file, temporary) = temporary.into_parts();
    let target = to.to_owned();
    blocking(to, "written", move || keep(&file, temporary, &target)).await
}

/// Writes a stream to a place, which has it whole or not at all, and only if its digest is the expected one.
pub(super) struct Landing {
    upload: FileUpload,
    hash: Sha256,
}

impl Landing {
    pub(super) fn at(path: &Path) -> Self {
        Self { upload: FileUpload::new(path.to_owned()), hash: Sha256::new() }
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), RevisionError> {
        self.hash.update(&bytes);
        self.upload.write(&bytes).await
    }

    pub(super) async fn finish(self, what: String, sha256: Option<&str>) -> Result<(), RevisionError> {
        let found = hex::encode(self.hash.finalize());
        if let Some(sha256) = sha256.filter(|expected| **expected != found) {
            return Err(RevisionError::Replaced { what, expected: sha256.into(), found });
        }
        self.upload.finish().await.map(drop)
    }
}

fn copy(from: &mut File, to: &mut NamedTempFile) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}

/// A new file in the directory that `path` will be in.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        // The new directory's own name must be on the disk before the first revision is believed to be.
        if let Some(above) = directory.parent() {
            sync_directory(above)?;
        }
    }
    Builder::new().prefix(".").suffix(PARTIAL).tempfile_in(directory)
}

fn keep(file: &File, temporary: TempPath, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    temporary.persist(to).map_err(|failed| failed.error)?;
    sync_directory(to.parent().unwrap_or(Path::new(".")))
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    action: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RevisionError> {
    let done = span::blocking(work).await.map_err(io::Error::other);
    done.and_then(|it| it).map_err(|source| disk(path, action, source))
}

pub(super) fn disk(path: &Path, action: &'static str, source: io::Error) -> RevisionError {
    RevisionError::Disk { path: path.to_owned(), action, source }
}
