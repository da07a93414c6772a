//! What the group's last Install wrote: the only paths that a later one may remove (R48, R51).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::RunId;
use crate::engine::host::error::HostError;
use crate::engine::host::layout::{GroupId, Layout, write_durably};

/// The list, as it lies in `deployment-instructions/GROUP-cleanup`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The run that wrote it.
    pub(super) run: RunId,
    /// How far that run's Install came.
    pub(super) stage: Stage,
    /// What was ours before that run, until it is done.
    #[serde(default)]
    pub(super) before: Vec<Entry>,
    /// What that run writes.
    pub(super) entries: Vec<Entry>,
}

/// How far an Install came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// Files are being staged: no path holds a new file yet.
    Staging,
    /// Staged files are being renamed: a path holds the new file once its staged one is gone.
    Switching,
    /// Done.
    Complete,
}

/// What kind of thing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EntryKind {
    /// A directory that was not there.
    Directory,
    /// A file.
    File,
    /// A symbolic link.
    Link,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where.
    #[serde(with = "path_text")]
    pub(super) path: PathBuf,
    /// What.
    pub(super) kind: EntryKind,
    /// The name of its staged file, in the same directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) staged: Option<String>,
}

/// What is ours on disk, by path.
pub(super) type Owned = BTreeMap<PathBuf, EntryKind>;

impl Entry {
    /// The staged file's path.
    pub(super) fn staged_path(&self) -> Option<PathBuf> {
        self.staged.as_ref().map(|name| self.path.with_file_name(name))
    }
}

impl Manifest {
    /// Reads a group's list; nothing where nothing was ever installed.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, HostError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HostError::on("read", path)(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| HostError::Unreadable {
            path: path.to_owned(),
            expected: "the list of what was installed",
            detail: error.to_string(),
        })
    }

    /// Writes it, durably.
    pub(super) fn write(&self, path: &Path) -> Result<(), HostError> {
        write_durably(path, &serde_json::to_vec(self).expect("a list of texts is JSON"))
    }

    /// What of it is on disk, also where its run died on the way.
    pub(super) fn owned(&self) -> Owned {
        let mut owned: Owned = self.before.iter().map(|entry| (entry.path.clone(), entry.kind)).collect();
        for entry in &self.entries {
            match (self.stage, entry.staged_path()) {
                (Stage::Complete, _) | (_, None) => {
                    owned.insert(entry.path.clone(), entry.kind);
                }
                (Stage::Staging, Some(staged)) => {
                    owned.insert(staged, entry.kind);
                }
                (Stage::Switching, Some(staged)) if fs::symlink_metadata(&staged).is_ok() => {
                    owned.insert(staged, entry.kind);
                }
                (Stage::Switching, Some(_)) => {
                    owned.insert(entry.path.clone(), entry.kind);
                }
            }
        }
        owned
    }
}

/// The other group, and its run, that installed a path.
pub(super) fn other_owner(layout: &Layout, own: &GroupId, path: &Path) -> Option<String> {
    let folder = layout.manifest(own).parent()?.to_owned();
    for found in fs::read_dir(folder).ok()?.flatten() {
        let name = found.file_name();
        let Some(group) = name.to_str().and_then(|name| name.strip_suffix("-cleanup")) else { continue };
        if group == own.as_str() {
            continue;
        }
        let Ok(Some(manifest)) = Manifest::read(&found.path()) else { continue };
        if manifest.owned().contains_key(path) {
            return Some(format!("deployment {} of group {group}", manifest.run));
        }
    }
    None
}

/// Paths as text; one that is not UTF-8 is a NUL and its bytes in hex, which no path can begin with.
mod path_text {
    use super::{OsStr, OsStrExt, Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => to.serialize_str(&format!("\0{}", hex::encode(path.as_os_str().as_bytes()))),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        let text = String::deserialize(from)?;
        match text.strip_prefix('\0') {
            Some(bytes) => Ok(PathBuf::from(OsStr::from_bytes(&hex::decode(bytes).map_err(D::Error::custom)?))),
            None => Ok(PathBuf::from(text)),
        }
    }
}
