//! Carries a plan out: stages all files, then renames them into place, then removes what is no longer wanted.
//!
//! The manifest says at every moment what is ours on disk, so that a run that dies on the way is cleaned by the next.
//! A failure, in contrast to a death, is undone: the old revision stands as it did.
//!
//! What is durable when: the manifest before anything it speaks of is touched; the content of all new files before the
//! first of them gets its name, so that no power cut leaves a path with an empty file; all names before the manifest
//! says that it is done. That takes one `syncfs` a filesystem where a sync of each file would take minutes.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::syncfs;

use super::acl::Lists;
use super::copying::{adjust, copy, put_back, rename_to_nothing, second_place, settle, settle_anew};
use super::manifest::{Aside, Displaced, Entry, EntryKind, Given, Manifest, Stage, Standing, is_there};
use super::permissions::Changes;
use super::plan::{Placed, Plan, Present};
use super::tree::WantedKind;
use crate::engine::host::error::HostError;
use crate::engine::host::intent::RunIntent;
use crate::engine::host::layout::RunDir;
use crate::engine::host::probe::Probe;

/// One Install at work.
pub(super) struct Staging<'a> {
    plan: &'a Plan,
    changes: &'a Changes,
    manifest: Manifest,
    /// What the manifest said before, or nothing where there was none.
    previous: Option<Manifest>,
    manifest_path: &'a Path,
    dir: RunDir,
    probe: &'a Probe,
    /// What the group's directories were given by the last Install.
    given: &'a BTreeMap<PathBuf, Given>,
    /// What the directories that stay had before this one, to be undone.
    were: Vec<(PathBuf, Given, Lists)>,
}

impl<'a> Staging<'a> {
    /// Gets ready; nothing is touched yet.
    pub(super) fn new(
        intent: &RunIntent,
        plan: &'a Plan,
        changes: &'a Changes,
        previous: Option<Manifest>,
        standing: &'a Standing,
        manifest_path: &'a Path,
        probe: &'a Probe,
    ) -> Self {
        let dir = intent.dir();
        let run = &intent.run;
        let entries_of = |owned: &super::manifest::Owned| -> Vec<Entry> {
            owned
                .iter()
                .map(|(path, kind)| Entry {
                    path: path.clone(),
                    kind: *kind,
                    staged: None,
                    given: standing.given.get(path).copied(),
                })
                .collect()
        };
        let aside = plan.aside.iter().enumerate();
        let displacing = plan.files.iter().filter(|it| it.instead_of == Present::Foreign).enumerate();
        let kept = |(index, it): (usize, &Placed)| Displaced {
            path: it.path.clone(),
            kept: dir.displaced().join(index.to_string()),
            run: run.clone(),
        };
        let mut installs = standing.installs.clone();
        installs.push(run.clone());
        let manifest = Manifest {
            run: run.clone(),
            stage: Stage::Staging,
            before: entries_of(&standing.owned),
            entries: plan.entries(|index| format!(".{run}.{index}.new")),
            aside: aside.map(|(at, path)| Aside { path: path.clone(), name: format!(".{run}.{at}.aside") }).collect(),
            displaced: standing.displaced.iter().cloned().chain(displacing.map(kept)).collect(),
            returns: returns(plan, run.as_str()),
            installs,
        };
        // A run that died is not undone to what it left half done, but to what of it is on disk.
        let previous = previous.map(|it| match it.stage {
            Stage::Complete => it,
            Stage::Staging | Stage::Switching => Manifest {
                run: it.run,
                stage: Stage::Complete,
                before: Vec::new(),
                entries: entries_of(&standing.owned),
                aside: Vec::new(),
                displaced: standing.displaced.clone(),
                returns: Vec::new(),
                installs: standing.installs.clone(),
            },
        });
        let were =
            plan.kept.iter().filter_map(|(path, _)| Some((path.clone(), Given::now(path, false)?, Lists::of(path))));
        let were = were.collect();
        Self { plan, changes, manifest, previous, manifest_path, dir, probe, given: &standing.given, were }
    }

    /// Does it all. A failure leaves the host as it was.
    pub(super) fn carry_out(&mut self) -> Result<Vec<String>, HostError> {
        self.manifest.write(self.manifest_path)?;
        self.probe.at("install:written");
        if let Err(error) = self.stage().and_then(|()| self.switch()) {
            self.undo()?;
            return Err(error);
        }
        let warnings = self.remove_old();
        self.probe.at("install:removed");
        self.sync()?;
        let returned = self.complete();
        self.manifest.write(self.manifest_path)?;
        self.probe.at("install:complete");
        for kept in returned {
            let _ = fs::remove_file(kept);
        }
        Ok(warnings)
    }

    /// The files to place, each with its entry.
    fn files(&self) -> impl Iterator<Item = (&'a Placed, &Entry)> {
        self.plan.files.iter().zip(self.manifest.entries.iter().filter(|entry| entry.staged.is_some()))
    }

    /// The files to put back, each with its entry.
    fn returning(&self) -> impl Iterator<Item = (&'a Displaced, &Entry)> {
        self.plan.returns.iter().zip(&self.manifest.returns)
    }

    /// The files that this run replaces and keeps.
    fn displacing(&self) -> impl Iterator<Item = &Displaced> {
        self.manifest.displaced.iter().filter(|it| it.run == self.manifest.run)
    }

    /// Everything that no path shows yet.
    fn stage(&self) -> Result<(), HostError> {
        for aside in &self.manifest.aside {
            fs::rename(&aside.path, aside.place()).map_err(HostError::on("move away", &aside.path))?;
            self.probe.at("install:aside");
        }
        for (path, _) in &self.plan.directories {
            self.probe.at("install:directory");
            // Its final mode comes last: one that forbids writing would forbid what follows.
            DirBuilder::new().mode(0o700).create(path).map_err(HostError::on("create", path))?;
        }
        for (placed, entry) in self.files() {
            let Some(staged) = entry.staged_path() else { continue };
            self.probe.at("install:staging");
            match &placed.what {
                WantedKind::File { from, .. } => {
                    copy(from, &staged, self.changes.get(&placed.path))
                        .map_err(HostError::on("write", &placed.path))?;
                }
                WantedKind::Link { target } => {
                    symlink(target, &staged).map_err(HostError::on("link", &placed.path))?;
                }
                WantedKind::Directory { .. } => {}
            }
        }
        for it in self.displacing() {
            let folder = self.dir.displaced();
            fs::create_dir_all(&folder).map_err(HostError::on("create", &folder))?;
            second_place(&it.path, &it.kept).map_err(HostError::on("keep a copy of", &it.path))?;
            self.probe.at("install:kept");
        }
        for (kept, entry) in self.returning() {
            let Some(staged) = entry.staged_path() else { continue };
            self.probe.at("install:returning");
            second_place(&kept.kept, &staged).map_err(HostError::on("put back", &kept.path))?;
        }
        self.sync()
    }

    /// Makes everything durable on all filesystems that this Install writes files to.
    fn sync(&self) -> Result<(), HostError> {
        let mut places: BTreeMap<u64, PathBuf> = BTreeMap::new();
        let entries = self.manifest.entries.iter().chain(&self.manifest.returns);
        let folders = entries.filter(|it| it.staged.is_some()).filter_map(|it| it.path.parent());
        let kept = self.displacing().filter_map(|it| it.kept.parent());
        let mut last = None;
        for folder in folders.chain(kept).filter(|it| last.replace(*it) != Some(*it)) {
            if let Ok(about) = fs::metadata(folder) {
                places.entry(about.dev()).or_insert_with(|| folder.to_owned());
            }
        }
        for folder in places.values() {
            let synced = File::open(folder).and_then(|it| syncfs(it).map_err(io::Error::from));
            synced.map_err(HostError::on("sync", folder))?;
        }
        Ok(())
    }

    /// Gives all files their names, and directories their owner and mode.
    fn switch(&mut self) -> Result<(), HostError> {
        self.manifest.stage = Stage::Switching;
        self.probe.at("install:staged");
        self.manifest.write(self.manifest_path)?;
        for (placed, entry) in self.files() {
            self.replace(entry, placed.instead_of)?;
        }
        for (it, entry) in self.returning() {
            self.replace(entry, if is_there(&it.path) { Present::Ours } else { Present::Nothing })?;
        }
        self.probe.at("install:switched");
        for (path, mode) in self.plan.directories.iter().rev() {
            let changed = settle(path, mode.unwrap_or(0o755), self.changes.get(path));
            changed.map_err(HostError::on("set owner and mode of", path))?;
        }
        for (path, mode) in self.plan.kept.iter().rev() {
            let change = self.changes.get(path);
            let changed = match self.given.get(path) {
                Some(given) if Given::now(path, given.acl) == Some(*given) => settle_anew(path, *mode, given, change),
                // Somebody gave it another owner or mode since: only what `permissions` says is set.
                Some(_) | None => change.map_or(Ok(()), |change| adjust(path, change)),
            };
            changed.map_err(HostError::on("set owner and mode of", path))?;
        }
        Ok(())
    }

    /// Gives one staged file its name.
    fn replace(&self, entry: &Entry, present: Present) -> Result<(), HostError> {
        let (Some(staged), Some(old)) = (entry.staged_path(), entry.old_path()) else { return Ok(()) };
        self.probe.at("install:switching");
        let renamed = match present {
            Present::Nothing => rename_to_nothing(&staged, &entry.path),
            Present::Foreign => fs::rename(&staged, &entry.path),
            Present::Ours => {
                // The replaced file keeps a name until all is well, so that this can be undone. On a filesystem that
                // knows no second names it cannot, and the Install goes on all the same.
                let _ = fs::hard_link(&entry.path, old);
                self.probe.at("install:linked");
                fs::rename(&staged, &entry.path)
            }
        };
        renamed.map_err(HostError::on("replace", &entry.path))
    }

    /// Brings back what was there and says again what was ours.
    fn undo(&mut self) -> Result<(), HostError> {
        for (placed, entry) in self.files() {
            self.take_back(entry, placed.instead_of)?;
        }
        for (_, entry) in self.returning() {
            let had_ours = entry.old_path().is_some_and(|old| is_there(&old));
            self.take_back(entry, if had_ours { Present::Ours } else { Present::Nothing })?;
        }
        for (path, was, lists) in &self.were {
            put_back(path, was, lists).map_err(HostError::on("set owner and mode of", path))?;
        }
        self.probe.at("install:undoing");
        for it in self.displacing() {
            let _ = fs::remove_file(&it.kept);
        }
        for (path, _) in self.plan.directories.iter().rev() {
            let _ = fs::remove_dir(path);
        }
        for aside in self.manifest.aside.iter().filter(|aside| is_there(&aside.place())) {
            fs::rename(aside.place(), &aside.path).map_err(HostError::on("put back", &aside.path))?;
        }
        match &self.previous {
            Some(previous) => previous.write(self.manifest_path),
            None => fs::remove_file(self.manifest_path).map_err(HostError::on("remove", self.manifest_path)),
        }
    }

    /// Undoes what was done for one entry.
    fn take_back(&self, entry: &Entry, present: Present) -> Result<(), HostError> {
        let (Some(staged), Some(old)) = (entry.staged_path(), entry.old_path()) else { return Ok(()) };
        let switched = self.manifest.stage == Stage::Switching && !is_there(&staged);
        self.probe.at("install:undoing");
        let _ = fs::remove_file(&staged);
        let undone = match present {
            Present::Nothing if switched => fs::remove_file(&entry.path),
            Present::Ours if is_there(&old) => {
                let back = fs::rename(&old, &entry.path);
                // Where both names were still the same file, the system renames nothing.
                let _ = fs::remove_file(&old);
                back
            }
            Present::Foreign if switched => {
                let kept = self.displacing().find(|it| it.path == entry.path).map(|it| &it.kept);
                let back = |kept: &PathBuf| second_place(kept, &staged).and_then(|()| fs::rename(&staged, &entry.path));
                kept.map_or(Ok(()), back)
            }
            Present::Nothing | Present::Ours | Present::Foreign => Ok(()),
        };
        undone.map_err(HostError::on("put back", &entry.path))
    }

    /// Removes what is no longer wanted (R49, R50): what is gone already or not empty is left.
    fn remove_old(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for old in self.manifest.entries.iter().chain(&self.manifest.returns).filter_map(Entry::old_path) {
            let _ = fs::remove_file(old);
        }
        for aside in &self.manifest.aside {
            let inside = self.manifest.before.iter().rev().filter(|entry| entry.path.starts_with(&aside.path));
            for entry in inside {
                let place = aside.place_of(&entry.path);
                remove(&place, entry.kind, &mut warnings);
            }
        }
        for (path, kind) in &self.plan.remove {
            self.probe.at("install:removing");
            remove(path, *kind, &mut warnings);
        }
        warnings
    }

    /// Makes the manifest say that all is done. Gives the kept files that nobody needs any more.
    fn complete(&mut self) -> Vec<PathBuf> {
        let manifest = &mut self.manifest;
        manifest.stage = Stage::Complete;
        manifest.before.clear();
        manifest.aside.clear();
        for entry in &mut manifest.entries {
            entry.staged = None;
            if entry.kind == EntryKind::Directory {
                let acl = self.changes.get(&entry.path).is_some_and(|change| change.acl.is_some());
                entry.given = Given::now(&entry.path, acl);
            }
        }
        // A directory that somebody else's files keep is ours all the same: it goes once they have gone.
        let left = self.plan.remove.iter().filter(|(path, kind)| *kind == EntryKind::Directory && path.is_dir());
        manifest.entries.extend(left.filter(|(path, _)| !path.is_symlink()).map(|(path, kind)| Entry {
            path: path.clone(),
            kind: *kind,
            staged: None,
            given: self.given.get(path).copied(),
        }));
        let back = std::mem::take(&mut manifest.returns);
        let is_back = |it: &Displaced| back.iter().any(|entry| entry.path == it.path);
        let (returned, kept) = std::mem::take(&mut manifest.displaced).into_iter().partition(is_back);
        manifest.displaced = kept;
        // Only what came after the oldest kept file has to be told from what came before.
        let first = manifest.displaced.first().map(|it| it.run.clone());
        let from = first.and_then(|run| manifest.installs.iter().position(|it| *it == run));
        manifest.installs.drain(..from.unwrap_or(manifest.installs.len()));
        let returned: Vec<Displaced> = returned;
        returned.into_iter().map(|it| it.kept).collect()
    }
}

/// The entries of what is put back.
fn returns(plan: &Plan, run: &str) -> Vec<Entry> {
    let entry = |(index, it): (usize, &Displaced)| Entry {
        path: it.path.clone(),
        kind: EntryKind::File,
        staged: Some(format!(".{run}.back-{index}.new")),
        given: None,
    };
    plan.returns.iter().enumerate().map(entry).collect()
}

/// Removes one thing of ours. What cannot be removed, because it is not empty or not writable, stays.
fn remove(path: &Path, kind: EntryKind, warnings: &mut Vec<String>) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
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
