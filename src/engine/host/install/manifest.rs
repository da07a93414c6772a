//! What the group's last Install wrote: the only paths that a later one may remove (R48, R51).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) before: Vec<Entry>,
    /// What that run writes.
    pub(super) entries: Vec<Entry>,
    /// What of ours that run renamed out of the way, until it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) aside: Vec<Aside>,
    /// Foreign files that were replaced and are kept, in the order in which that happened (R64).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) displaced: Vec<Displaced>,
    /// The kept files that that run puts back, until it is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) returns: Vec<Entry>,
    /// The group's Installs since the oldest one that displaced anything: what «after a run» means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) installs: Vec<RunId>,
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
    /// The owner and mode that a directory was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) given: Option<Given>,
}

/// Owner and mode of a directory when an Install was done with it.
///
/// One that nobody changed since follows the next revision; one that a person gave to somebody else is left so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    /// Whether it was given access control lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) acl: bool,
}

impl Given {
    /// How a directory is now.
    pub(super) fn now(path: &Path, acl: bool) -> Option<Self> {
        let about = fs::symlink_metadata(path).ok()?;
        Some(Self { uid: about.uid(), gid: about.gid(), mode: about.mode() & 0o7777, acl })
    }
}

/// Something of ours that stands under another name while something of another kind takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Aside {
    /// Where it stood.
    #[serde(with = "path_text")]
    pub(super) path: PathBuf,
    /// Its name meanwhile, in the same directory.
    pub(super) name: String,
}

/// A foreign file that an Install replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Displaced {
    /// Where it stood.
    #[serde(with = "path_text")]
    pub(super) path: PathBuf,
    /// Where it is kept.
    #[serde(with = "path_text")]
    pub(super) kept: PathBuf,
    /// The run that replaced it.
    pub(super) run: RunId,
}

/// What is ours on disk, by path.
pub(super) type Owned = BTreeMap<PathBuf, EntryKind>;

/// How things stand on disk, also where the last Install died on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// What is ours.
    pub(super) owned: Owned,
    /// The foreign files that are kept.
    pub(super) displaced: Vec<Displaced>,
    /// The Installs since the oldest of those.
    pub(super) installs: Vec<RunId>,
    /// Owner and mode that our directories were given.
    pub(super) given: BTreeMap<PathBuf, Given>,
}

impl Entry {
    /// The staged file's path.
    pub(super) fn staged_path(&self) -> Option<PathBuf> {
        self.staged.as_ref().map(|name| self.path.with_file_name(name))
    }

    /// Where the replaced file of ours stands until the Install is done.
    pub(super) fn old_path(&self) -> Option<PathBuf> {
        self.staged.as_ref().map(|name| self.path.with_file_name(old_name(name)))
    }
}

/// The name of a replaced file beside its staged successor's.
pub(super) fn old_name(staged: &str) -> String {
    format!("{}.old", staged.trim_end_matches(".new"))
}

impl Aside {
    /// Where it stands meanwhile.
    pub(super) fn place(&self) -> PathBuf {
        self.path.with_file_name(&self.name)
    }

    /// Where something below it stands meanwhile.
    pub(super) fn place_of(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.path) {
            Ok(below) if !below.as_os_str().is_empty() => self.place().join(below),
            // Joining nothing would end in a slash, which a link's name must not.
            Ok(_) | Err(_) => self.place(),
        }
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

    /// What of it is on disk.
    pub(super) fn standing(&self) -> Standing {
        let mut owned: Owned = self.before.iter().map(|entry| (entry.path.clone(), entry.kind)).collect();
        for aside in self.aside.iter().filter(|aside| is_there(&aside.place())) {
            relocate(&mut owned, aside);
        }
        let kept: BTreeMap<&Path, &Path> = self.displaced.iter().map(|it| (&*it.path, &*it.kept)).collect();
        let is_back = |path: &Path| kept.get(path).is_some_and(|kept| is_same(path, kept));
        for entry in &self.entries {
            let place = self.place_of(entry);
            // What died may not have made a directory yet, and an undoing may have put a foreign file back already.
            let is_made =
                entry.kind != EntryKind::Directory || fs::symlink_metadata(&place).is_ok_and(|it| it.is_dir());
            if self.stage == Stage::Complete || (is_made && !is_back(&place)) {
                owned.insert(place, entry.kind);
            }
            self.insert_old(entry, &mut owned);
        }
        let mut displaced = self.displaced.clone();
        for entry in &self.returns {
            if self.is_switched(entry) {
                // It is foreign again, and nothing is kept for it any more.
                owned.remove(&entry.path);
                displaced.retain(|it| it.path != entry.path);
            }
            if let Some(staged) = entry.staged_path() {
                owned.insert(staged, entry.kind);
            }
            self.insert_old(entry, &mut owned);
        }
        let switched: BTreeSet<&Path> =
            self.entries.iter().filter(|entry| self.is_switched(entry)).map(|entry| &*entry.path).collect();
        let undone = |it: &Displaced| it.run == self.run && (!switched.contains(&*it.path) || is_back(&it.path));
        displaced.retain(|it| is_there(&it.kept) && (self.stage == Stage::Complete || !undone(it)));
        let given = self.given(&owned);
        Standing { owned, displaced, installs: self.installs.clone(), given }
    }

    /// What our directories were given. Where an Install died it is not known, and what they have is taken for it.
    fn given(&self, owned: &Owned) -> BTreeMap<PathBuf, Given> {
        if self.stage == Stage::Complete {
            return self.entries.iter().filter_map(|it| Some((it.path.clone(), it.given?))).collect();
        }
        let directories = owned.iter().filter(|(_, kind)| **kind == EntryKind::Directory);
        directories.filter_map(|(path, _)| Some((path.clone(), Given::now(path, true)?))).collect()
    }

    /// Where an entry's file is now.
    fn place_of(&self, entry: &Entry) -> PathBuf {
        let staged = entry.staged_path().filter(|_| !self.is_switched(entry));
        staged.unwrap_or_else(|| entry.path.clone())
    }

    /// Whether the path holds the new file already.
    fn is_switched(&self, entry: &Entry) -> bool {
        match (self.stage, entry.staged_path()) {
            (Stage::Complete, _) | (_, None) => true,
            (Stage::Staging, Some(_)) => false,
            (Stage::Switching, Some(staged)) => !is_there(&staged),
        }
    }

    /// The file of ours that an entry replaced and that was not removed yet.
    fn insert_old(&self, entry: &Entry, owned: &mut Owned) {
        if self.stage == Stage::Switching
            && let Some(old) = entry.old_path().filter(|old| is_there(old))
        {
            owned.insert(old, EntryKind::File);
        }
    }
}

/// Whether anything stands at a path, be it a link that leads nowhere.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a path holds what is kept: the same file under two names, or its copy.
fn is_same(path: &Path, kept: &Path) -> bool {
    let (Ok(one), Ok(other)) = (fs::symlink_metadata(path), fs::symlink_metadata(kept)) else { return false };
    let same = one.dev() == other.dev() && one.ino() == other.ino();
    same || (one.len() == other.len() && one.modified().ok() == other.modified().ok())
}

/// What was known below what was moved away is now below its other name.
fn relocate(owned: &mut Owned, aside: &Aside) {
    let moved: Vec<PathBuf> = owned.keys().filter(|path| path.starts_with(&aside.path)).cloned().collect();
    for path in moved {
        if let Some(kind) = owned.remove(&path) {
            owned.insert(aside.place_of(&path), kind);
        }
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
        if manifest.standing().owned.contains_key(path) {
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
