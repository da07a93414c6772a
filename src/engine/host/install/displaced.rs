//! Foreign files that Installs replaced: kept in the deployment's directory, and put back by a rollback (R64, R93).
//!
//! A rollback plans as if the host were as it was before: what the runs since then displaced counts as standing at its
//! path, a foreign file like any other, and `file_exists_behavior` decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Problem;
use super::manifest::{Displaced, EntryKind, Manifest, Owned, Standing, is_there};
use super::plan::is_wholly_ours;
use super::tree::{Tree, Wanted};
use crate::domain::RunId;
use crate::engine::host::layout::{GroupId, Layout, RunDir};

/// The kept files that return, by path.
pub(super) type Returning = BTreeMap<PathBuf, Displaced>;

/// What was displaced after the run `target`; one that is not known is older than all that are.
pub(super) fn returning(standing: &Standing, target: &RunId, warnings: &mut Vec<String>) -> Returning {
    let since = standing.installs.iter().position(|run| run == target);
    let is_later = |run: &RunId| match (since, standing.installs.iter().position(|it| it == run)) {
        (Some(since), Some(at)) => at > since,
        (None, _) | (_, None) => true,
    };
    // Where a path was displaced twice, a person saw the later file last.
    let mut returning: Returning =
        standing.displaced.iter().filter(|it| is_later(&it.run)).map(|it| (it.path.clone(), it.clone())).collect();
    let all: Vec<PathBuf> = returning.keys().cloned().collect();
    returning.retain(|path, it| {
        let below = all.iter().any(|other| other != path && other.starts_with(path));
        let Some(hindrance) = hindrance(path, below, &standing.owned) else { return true };
        warnings.push(format!(
            "`{}`, which deployment {} replaced, does not return: {hindrance}; it is kept as `{}`",
            path.display(),
            it.run,
            it.kept.display()
        ));
        false
    });
    returning
}

/// Why a file cannot return to its path. What is ours there gives way.
fn hindrance(path: &Path, another_below: bool, owned: &Owned) -> Option<&'static str> {
    let is_foreign = |path: &Path| is_there(path) && owned.get(path).is_none_or(|kind| *kind == EntryKind::Directory);
    if path.ancestors().skip(1).any(|above| !above.is_dir() && is_foreign(above)) {
        return Some("its directory is gone");
    }
    if another_below {
        return Some("another file returns below it");
    }
    let is_directory = path.is_dir() && !path.is_symlink();
    match is_directory {
        true if is_wholly_ours(path, owned, &Returning::new()) => None,
        true => Some("there is a directory now"),
        false => is_foreign(path).then_some("there is another file now"),
    }
}

/// Wants the directories that returning files need and that are not there any more.
pub(super) fn want_directories(returning: &Returning, tree: &mut Tree, problems: &mut Vec<Problem>) {
    for (path, it) in returning {
        for above in path.ancestors().skip(1).filter(|above| *above != Path::new("/")) {
            match tree.get(above) {
                Some(wanted) if wanted.is_directory() => {}
                Some(_) => problems.push(Problem::Machine(format!(
                    "`{}` is to be a file, and `{}`, which deployment {} replaced, is to return below it",
                    above.display(),
                    path.display(),
                    it.run
                ))),
                None if above.is_dir() => {}
                None => {
                    tree.insert(above.to_owned(), Wanted::directory(format!("the return of `{}`", path.display())));
                }
            }
        }
    }
}

/// Whether a run's directory keeps foreign files that a rollback to the run `target` would put back, so that it must
/// outlive its archive's time.
pub(in crate::engine::host) fn keeps_foreign(layout: &Layout, group: &GroupId, run: &RunDir, target: &RunId) -> bool {
    let Ok(Some(manifest)) = Manifest::read(&layout.manifest(group)) else { return false };
    let returning = returning(&manifest.standing(), target, &mut Vec::new());
    returning.values().any(|it| it.kept.starts_with(run.path()))
}
