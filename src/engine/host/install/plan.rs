//! What has to happen on this host for the wanted tree to stand on it. It touches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Problem;
use super::displaced::Returning;
use super::manifest::{Displaced, Entry, EntryKind, Owned};
use super::room;
use super::tree::{Tree, WantedKind};
use crate::domain::FileExists;

/// What will be done, in this order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Of ours, and in the way of something of another kind: renamed away before anything is staged.
    pub(super) aside: Vec<PathBuf>,
    /// Directories to make, parents first, with the mode of the archive's.
    pub(super) directories: Vec<(PathBuf, Option<u32>)>,
    /// Directories that an earlier Install made and this one needs, with the mode of the archive's.
    pub(super) kept: Vec<(PathBuf, Option<u32>)>,
    /// Files and links to put in place.
    pub(super) files: Vec<Placed>,
    /// Foreign files to put back.
    pub(super) returns: Vec<Displaced>,
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
    /// What stands there now.
    pub(super) instead_of: Present,
}

/// What a file takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing.
    Nothing,
    /// A file or link of ours.
    Ours,
    /// A file or link that is not ours, to be kept (R64).
    Foreign,
}

/// What stands on the host before an Install.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    /// What is ours.
    pub(super) owned: &'a Owned,
    /// What counts as standing at its path, because this run puts it back.
    pub(super) returning: &'a Returning,
    /// What happens to files that are not ours.
    pub(super) behavior: FileExists,
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
    /// Compares the tree with the host.
    pub(super) fn against_host(tree: Tree, host: Host<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut plan = Self::default();
        let wanted: BTreeMap<PathBuf, bool> = tree.iter().map(|(path, it)| (path.clone(), it.is_directory())).collect();
        for (path, it) in tree {
            match it.kind {
                WantedKind::Directory { mode } => plan.directory(path, mode, host, problems),
                what @ (WantedKind::File { .. } | WantedKind::Link { .. }) => {
                    plan.file(Placed { path, what, instead_of: Present::Nothing }, host, problems);
                }
            }
        }
        for kept in host.returning.values().filter(|it| !wanted.contains_key(&it.path)) {
            plan.put_back(kept);
        }
        for (path, kind) in host.owned.iter().rev() {
            let stays = wanted.get(path).is_some_and(|directory| *directory == (*kind == EntryKind::Directory));
            let aside = plan.aside.iter().any(|aside| path.starts_with(aside));
            if !stays && !aside && !host.returning.contains_key(path) {
                plan.remove.push((path.clone(), *kind));
            }
        }
        room::check(&plan, problems);
        plan
    }

    fn directory(&mut self, path: PathBuf, mode: Option<u32>, host: Host<'_>, problems: &mut Vec<Problem>) {
        let foreign = host.returning.contains_key(&path);
        let known = host.owned.get(&path);
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() && !foreign => {
                if known == Some(&EntryKind::Directory) {
                    self.kept.push((path, mode));
                }
            }
            _ if !foreign && fs::symlink_metadata(&path).is_err() => self.directories.push((path, mode)),
            _ if !foreign && known.is_some_and(|kind| *kind != EntryKind::Directory) => {
                self.aside.push(path.clone());
                self.directories.push((path, mode));
            }
            _ => problems.push(Problem::Machine(format!(
                "`{}` is a file, and a directory is needed there (a destination is always a directory)",
                path.display()
            ))),
        }
    }

    fn file(&mut self, mut placed: Placed, host: Host<'_>, problems: &mut Vec<Problem>) {
        let path = &placed.path;
        if let Some(kept) = host.returning.get(path) {
            return self.against_returning(placed, kept, host.behavior, problems);
        }
        let Ok(about) = fs::symlink_metadata(path) else { return self.files.push(placed) };
        if about.is_dir() {
            if is_wholly_ours(path, host.owned, host.returning) {
                self.aside.push(path.clone());
                self.files.push(placed);
            } else {
                problems.push(Problem::Machine(format!(
                    "`{}` is a directory, and a file is to be installed there",
                    path.display()
                )));
            }
            return;
        }
        let ours = host.owned.get(path).is_some_and(|kind| *kind != EntryKind::Directory);
        match (ours, host.behavior) {
            (true, _) => {
                placed.instead_of = Present::Ours;
                self.files.push(placed);
            }
            (false, FileExists::Overwrite) => {
                placed.instead_of = Present::Foreign;
                self.files.push(placed);
            }
            (false, FileExists::Retain) => {}
            (false, FileExists::Disallow) => {
                problems.push(Problem::Exists { path: path.display().to_string(), by: None });
            }
        }
    }

    /// A file for a path to which a foreign one would return.
    fn against_returning(
        &mut self,
        mut placed: Placed,
        kept: &Displaced,
        behavior: FileExists,
        problems: &mut Vec<Problem>,
    ) {
        match behavior {
            // The foreign file stays where it is kept.
            FileExists::Overwrite => {
                if is_directory(&placed.path) {
                    self.aside.push(placed.path.clone());
                } else if fs::symlink_metadata(&placed.path).is_ok() {
                    placed.instead_of = Present::Ours;
                }
                self.files.push(placed);
            }
            FileExists::Retain => self.put_back(kept),
            FileExists::Disallow => {
                problems.push(Problem::Exists { path: placed.path.display().to_string(), by: None });
            }
        }
    }

    /// A foreign file returns. A directory there is ours: a later revision made it, and this one does not want it.
    fn put_back(&mut self, kept: &Displaced) {
        if is_directory(&kept.path) {
            self.aside.push(kept.path.clone());
        }
        self.returns.push(kept.clone());
    }

    /// The paths that this Install writes, for the manifest; `staged` names each staged file.
    pub(super) fn entries(&self, staged: impl Fn(usize) -> String) -> Vec<Entry> {
        let directory =
            |path: &PathBuf| Entry { path: path.clone(), kind: EntryKind::Directory, staged: None, given: None };
        let directories = self.kept.iter().chain(&self.directories);
        let mut entries: Vec<Entry> = directories.map(|(path, _)| directory(path)).collect();
        for (index, placed) in self.files.iter().enumerate() {
            entries.push(Entry {
                path: placed.path.clone(),
                kind: placed.kind(),
                staged: Some(staged(index)),
                given: None,
            });
        }
        entries
    }
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

/// Whether a directory and everything in it is ours, and nothing returns into it.
pub(super) fn is_wholly_ours(path: &Path, owned: &Owned, returning: &Returning) -> bool {
    let Ok(mut listing) = fs::read_dir(path) else { return false };
    owned.get(path) == Some(&EntryKind::Directory)
        && !returning.keys().any(|it| it != path && it.starts_with(path))
        && listing.all(|found| {
            found.is_ok_and(|found| {
                let is_directory = found.file_type().is_ok_and(|kind| kind.is_dir());
                let inner = found.path();
                if is_directory { is_wholly_ours(&inner, owned, returning) } else { owned.contains_key(&inner) }
            })
        })
}
