//! Carries a plan out: stages all files, then renames them into place, then removes what is no longer wanted.
//!
//! The manifest says at every moment what is ours on disk, so that a run that dies on the way is cleaned by the next.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use super::manifest::{Entry, EntryKind, Manifest, Owned, Stage};
use super::permissions::{Change, Changes};
use super::plan::Plan;
use super::tree::WantedKind;
use crate::engine::host::error::HostError;
use crate::engine::host::intent::RunIntent;
use crate::engine::host::layout::RunDir;

/// One Install at work.
pub(super) struct Staging<'a> {
    plan: &'a Plan,
    changes: &'a Changes,
    manifest: Manifest,
    manifest_path: &'a Path,
    dir: RunDir,
}

impl<'a> Staging<'a> {
    /// Gets ready; nothing is touched yet.
    pub(super) fn new(
        intent: &RunIntent,
        plan: &'a Plan,
        changes: &'a Changes,
        owned: &Owned,
        manifest_path: &'a Path,
    ) -> Self {
        let before = owned.iter().map(|(path, kind)| Entry { path: path.clone(), kind: *kind, staged: None }).collect();
        let entries = plan.entries(|index| format!(".{}.{index}.new", intent.run));
        let manifest = Manifest { run: intent.run.clone(), stage: Stage::Staging, before, entries };
        Self { plan, changes, manifest, manifest_path, dir: intent.dir() }
    }

    /// Does it all. A failure before the first rename leaves the host as it was.
    pub(super) fn carry_out(&mut self) -> Result<Vec<String>, HostError> {
        self.manifest.write(self.manifest_path)?;
        if let Err(error) = self.clear().and_then(|()| self.stage()) {
            self.undo()?;
            return Err(error);
        }
        self.manifest.stage = Stage::Switching;
        self.manifest.write(self.manifest_path)?;
        self.switch()?;
        let warnings = self.remove_old();
        self.settle_directories()?;
        self.manifest.stage = Stage::Complete;
        self.manifest.before.clear();
        for entry in &mut self.manifest.entries {
            entry.staged = None;
        }
        self.manifest.write(self.manifest_path)?;
        Ok(warnings)
    }

    fn files(&self) -> impl Iterator<Item = (&'a super::plan::Placed, PathBuf)> {
        let staged: Vec<PathBuf> = self.manifest.entries.iter().filter_map(Entry::staged_path).collect();
        self.plan.files.iter().zip(staged)
    }

    /// Removes what is ours and of another kind than what comes.
    fn clear(&self) -> Result<(), HostError> {
        for path in &self.plan.clear {
            let is_directory = fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
            let removed = if is_directory { fs::remove_dir(path) } else { fs::remove_file(path) };
            removed.map_err(HostError::on("remove", path))?;
        }
        Ok(())
    }

    fn stage(&self) -> Result<(), HostError> {
        for (path, _) in &self.plan.directories {
            // Its final mode comes last: one that forbids writing would forbid what follows.
            DirBuilder::new().mode(0o755).create(path).map_err(HostError::on("create", path))?;
        }
        for (placed, staged) in self.files() {
            // What a run that died left here under the same name is its own, and the run's name is ours alone.
            let _ = fs::remove_file(&staged);
            match &placed.what {
                WantedKind::File { from, .. } => copy(from, &staged).map_err(HostError::on("write", &placed.path))?,
                WantedKind::Link { target } => {
                    symlink(target, &staged).map_err(HostError::on("link", &placed.path))?;
                }
                WantedKind::Directory { .. } => {}
            }
            if let Some(change) = self.changes.get(&placed.path) {
                apply(change, &staged).map_err(HostError::on("set owner and mode of", &placed.path))?;
            }
        }
        Ok(())
    }

    /// Takes back what was staged, and says again what was ours before.
    fn undo(&mut self) -> Result<(), HostError> {
        for (_, staged) in self.files() {
            let _ = fs::remove_file(&staged);
        }
        for (path, _) in self.plan.directories.iter().rev() {
            let _ = fs::remove_dir(path);
        }
        self.manifest.entries = std::mem::take(&mut self.manifest.before);
        self.manifest.stage = Stage::Complete;
        self.manifest.write(self.manifest_path)
    }

    fn switch(&self) -> Result<(), HostError> {
        let displaced = self.dir.displaced();
        let mut names = Vec::new();
        for (placed, staged) in self.files() {
            let path = &placed.path;
            if placed.displaces {
                fs::create_dir_all(&displaced).map_err(HostError::on("create", &displaced))?;
                let kept = displaced.join(names.len().to_string());
                keep(path, &kept).map_err(HostError::on("keep a copy of", path))?;
                names.push(path.display().to_string());
                let list = serde_json::to_vec(&names).expect("a list of texts is JSON");
                let index = displaced.join("paths.json");
                fs::write(&index, list).map_err(HostError::on("write", &index))?;
            }
            fs::rename(&staged, path).map_err(HostError::on("replace", path))?;
        }
        Ok(())
    }

    /// Removes what is no longer wanted (R49, R50): what is gone already or not empty is left.
    fn remove_old(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (path, kind) in &self.plan.remove {
            let Ok(about) = fs::symlink_metadata(path) else { continue };
            // What cannot be removed, because it is not empty or not writable, stays.
            match (kind, about.is_dir()) {
                (EntryKind::Directory, true) => {
                    let _ = fs::remove_dir(path);
                }
                (EntryKind::File | EntryKind::Link, false) => {
                    let _ = fs::remove_file(path);
                }
                (EntryKind::Directory, false) | (EntryKind::File | EntryKind::Link, true) => warnings.push(format!(
                    "`{}` is no longer what an earlier deployment installed there, and was left",
                    path.display()
                )),
            }
        }
        warnings
    }

    fn settle_directories(&self) -> Result<(), HostError> {
        for (path, mode) in self.plan.directories.iter().rev() {
            let settle = || {
                if let Some(mode) = mode {
                    fs::set_permissions(path, Permissions::from_mode(*mode))?;
                }
                self.changes.get(path).map_or(Ok(()), |change| apply(change, path))
            };
            settle().map_err(HostError::on("set owner and mode of", path))?;
        }
        Ok(())
    }
}

/// Copies content, mode and time. The system shares the blocks where it can.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let about = fs::metadata(from)?;
    fs::copy(from, to)?;
    let file = File::options().write(true).open(to);
    match file {
        Ok(file) => file.set_modified(about.modified()?),
        // A file that its owner may not write is complete all the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Keeps a foreign file: under a second name where that is possible, else as a copy.
fn keep(path: &Path, kept: &Path) -> io::Result<()> {
    let _ = fs::remove_file(kept);
    if fs::hard_link(path, kept).is_ok() {
        return Ok(());
    }
    if fs::symlink_metadata(path)?.is_symlink() {
        symlink(fs::read_link(path)?, kept)
    } else {
        fs::copy(path, kept).map(drop)
    }
}

/// Owner first, mode then: the other way round the system takes setuid away (D23).
fn apply(change: &Change, path: &Path) -> io::Result<()> {
    if change.uid.is_some() || change.gid.is_some() {
        lchown(path, change.uid, change.gid)?;
    }
    match change.mode {
        Some(mode) if !fs::symlink_metadata(path)?.is_symlink() => {
            fs::set_permissions(path, Permissions::from_mode(mode))
        }
        _ => Ok(()),
    }
}
