//! Foreign files that Installs replaced: kept in the deployment's directory, and put back by a rollback (R64, R93).
//!
//! A rollback plans as if the host were as it was before: what the runs since then displaced counts as standing at its
//! path, a foreign file like any other, and `file_exists_behavior` decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::manifest::{Displaced, EntryKind, Manifest, Standing, is_there};
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
    returning.retain(|path, it| {
        let hindrance = if !path.parent().is_some_and(std::path::Path::is_dir) {
            "its directory is gone"
        } else if is_there(path) && standing.owned.get(path).is_none_or(|kind| *kind == EntryKind::Directory) {
            "there is another file now"
        } else {
            return true;
        };
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

/// Whether a run's directory keeps foreign files that a rollback to the run `target` would put back, so that it must
/// outlive its archive's time.
pub(in crate::engine::host) fn keeps_foreign(layout: &Layout, group: &GroupId, run: &RunDir, target: &RunId) -> bool {
    let Ok(Some(manifest)) = Manifest::read(&layout.manifest(group)) else { return false };
    let returning = returning(&manifest.standing(), target, &mut Vec::new());
    returning.values().any(|it| it.kept.starts_with(run.path()))
}
