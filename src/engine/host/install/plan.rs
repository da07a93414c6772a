//! What has to happen on this host for the wanted tree to stand on it. It touches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::Problem;
use super::manifest::{Entry, EntryKind, Owned};
use super::tree::{Tree, WantedKind};
use crate::domain::FileExists;

/// What will be done, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Of ours, and in the way of something of another kind: removed before anything is staged.
    pub(super) clear: Vec<PathBuf>,
    /// Directories to make, parents first, with the mode of the archive's.
    pub(super) directories: Vec<(PathBuf, Option<u32>)>,
    /// Directories that an earlier Install made and this one needs.
    pub(super) kept: Vec<PathBuf>,
    /// Files and links to put in place.
    pub(super) files: Vec<Placed>,
    /// Of ours, and no longer wanted: removed last, what is in a directory before the directory.
    pub(super) remove: Vec<(PathBuf, EntryKind)>,
}

/// One file or link.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Where.
    pub(super) path: PathBuf,
    /// What.
    pub(super) what: WantedKind,
    /// Whether a file that is not ours stands there (R64).
    pub(super) displaces: bool,
}

impl Placed {
    /// What the manifest says of it.
    pub(super) fn kind(&self) -> EntryKind {
        match self.what {
            WantedKind::Link { .. } => EntryKind::Link,
            WantedKind::File { .. } | WantedKind::Directory { .. } => EntryKind::File,
        }
    }
}

impl Plan {
    /// Compares the tree with the host, of which `owned` is ours.
    pub(super) fn against_host(tree: Tree, owned: &Owned, behavior: FileExists, problems: &mut Vec<Problem>) -> Self {
        let mut plan = Self::default();
        let wanted: BTreeMap<PathBuf, bool> =
            tree.iter().map(|(path, it)| (path.clone(), matches!(it.kind, WantedKind::Directory { .. }))).collect();
        for (path, it) in tree {
            match it.kind {
                WantedKind::Directory { mode } => plan.directory(path, mode, owned, problems),
                what @ (WantedKind::File { .. } | WantedKind::Link { .. }) => {
                    plan.file(Placed { path, what, displaces: false }, owned, behavior, problems);
                }
            }
        }
        for (path, kind) in owned.iter().rev() {
            let stays = wanted.get(path).is_some_and(|directory| *directory == (*kind == EntryKind::Directory));
            if !stays && !plan.clear.contains(path) {
                plan.remove.push((path.clone(), *kind));
            }
        }
        plan.check_space(problems);
        plan
    }

    fn directory(&mut self, path: PathBuf, mode: Option<u32>, owned: &Owned, problems: &mut Vec<Problem>) {
        let is_owned = owned.get(&path) == Some(&EntryKind::Directory);
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() => {
                if is_owned {
                    self.kept.push(path);
                }
            }
            _ if fs::symlink_metadata(&path).is_err() => self.directories.push((path, mode)),
            _ if owned.get(&path).is_some_and(|kind| *kind != EntryKind::Directory) => {
                self.clear.push(path.clone());
                self.directories.push((path, mode));
            }
            _ => problems.push(Problem::Machine(format!(
                "`{}` is a file, and a directory is needed there (a destination is always a directory)",
                path.display()
            ))),
        }
    }

    fn file(&mut self, mut placed: Placed, owned: &Owned, behavior: FileExists, problems: &mut Vec<Problem>) {
        let path = &placed.path;
        let Ok(about) = fs::symlink_metadata(path) else { return self.files.push(placed) };
        if about.is_dir() {
            match ours_below(path, owned) {
                Some(below) => {
                    self.clear.extend(below);
                    self.files.push(placed);
                }
                None => problems.push(Problem::Machine(format!(
                    "`{}` is a directory, and a file is to be installed there",
                    path.display()
                ))),
            }
            return;
        }
        let ours = owned.get(path).is_some_and(|kind| *kind != EntryKind::Directory);
        match (ours, behavior) {
            (true, _) => self.files.push(placed),
            (false, FileExists::Overwrite) => {
                placed.displaces = true;
                self.files.push(placed);
            }
            (false, FileExists::Retain) => {}
            (false, FileExists::Disallow) => {
                problems.push(Problem::Exists { path: path.display().to_string(), by: None });
            }
        }
    }

    fn check_space(&self, problems: &mut Vec<Problem>) {
        let mut needed: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for placed in &self.files {
            if let WantedKind::File { bytes, .. } = placed.what {
                let there = placed.path.ancestors().skip(1).find(|it| it.is_dir()).unwrap_or(Path::new("/"));
                *needed.entry(there.to_owned()).or_default() += bytes;
            }
        }
        for (path, bytes) in needed {
            let Ok(about) = statvfs(&path) else { continue };
            let free = about.blocks_available() * about.fragment_size();
            if bytes > free {
                problems.push(Problem::Machine(format!(
                    "`{}` needs {bytes} bytes more and has {free} free",
                    path.display()
                )));
            }
        }
    }

    /// The paths that this Install writes, for the manifest; `staged` names each staged file.
    pub(super) fn entries(&self, staged: impl Fn(usize) -> String) -> Vec<Entry> {
        let directory = |path: &PathBuf| Entry { path: path.clone(), kind: EntryKind::Directory, staged: None };
        let mut entries: Vec<Entry> = self.kept.iter().map(directory).collect();
        entries.extend(self.directories.iter().map(|(path, _)| directory(path)));
        for (index, placed) in self.files.iter().enumerate() {
            entries.push(Entry { path: placed.path.clone(), kind: placed.kind(), staged: Some(staged(index)) });
        }
        entries
    }
}

/// Everything in a directory of ours and the directory itself, what is inside first; nothing if a foreign thing is in
/// it or it is not ours.
fn ours_below(path: &Path, owned: &Owned) -> Option<Vec<PathBuf>> {
    if owned.get(path) != Some(&EntryKind::Directory) {
        return None;
    }
    let mut below = Vec::new();
    for found in fs::read_dir(path).ok()? {
        let inner = found.ok()?.path();
        if fs::symlink_metadata(&inner).ok()?.is_dir() {
            below.extend(ours_below(&inner, owned)?);
        } else {
            owned.get(&inner)?;
            below.push(inner);
        }
    }
    below.push(path.to_owned());
    Some(below)
}
