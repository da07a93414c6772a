//! Whether the host takes what is planned: room on each filesystem, and the right to write where something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, faccessat};

use super::Problem;
use super::plan::Plan;
use super::tree::WantedKind;

/// What one filesystem must take.
struct Need {
    /// A directory on it.
    at: PathBuf,
    bytes: u64,
    files: u64,
}

/// Finds every filesystem that is too full, and every directory that cannot be written to.
pub(super) fn check(plan: &Plan, problems: &mut Vec<Problem>) {
    let mut needs: BTreeMap<u64, Need> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    let new = plan.directories.iter().map(|(path, _)| (path, 4096));
    let files = plan.files.iter().map(|placed| match placed.what {
        WantedKind::File { bytes, .. } => (&placed.path, bytes),
        WantedKind::Link { .. } | WantedKind::Directory { .. } => (&placed.path, 0),
    });
    let mut last: Option<(&Path, PathBuf, u64)> = None;
    for (path, bytes) in new.chain(files) {
        let parent = path.parent().unwrap_or(path);
        if last.as_ref().is_none_or(|(known, _, _)| *known != parent) {
            let there = parent.ancestors().find(|it| it.is_dir()).unwrap_or(Path::new("/"));
            let Ok(about) = fs::metadata(there) else { continue };
            last = Some((parent, there.to_owned(), about.dev()));
            folders.insert(there.to_owned());
        }
        let Some((_, there, device)) = &last else { continue };
        let need = needs.entry(*device).or_insert_with(|| Need { at: there.clone(), bytes: 0, files: 0 });
        need.bytes += bytes;
        need.files += 1;
    }
    let changed = plan.aside.iter().chain(plan.returns.iter().map(|it| &it.path));
    folders.extend(changed.filter_map(|path| path.parent()).filter(|it| it.is_dir()).map(Path::to_owned));
    problems.extend(needs.values().filter_map(too_full));
    problems.extend(folders.iter().filter_map(|folder| closed(folder)));
}

fn too_full(need: &Need) -> Option<Problem> {
    let about = statvfs(&need.at).ok()?;
    let free = about.blocks_available() * about.fragment_size();
    // A filesystem that takes memory as it needs it says that it has no blocks at all.
    let what = if about.blocks() > 0 && need.bytes > free {
        format!("{} bytes more and has {free} free", need.bytes)
    } else if about.files() > 0 && need.files > about.files_available() {
        // A filesystem that makes inodes as it needs them says that it has none.
        format!("{} files more and has room for {}", need.files, about.files_available())
    } else {
        return None;
    };
    Some(Problem::Machine(format!("the filesystem of `{}` needs {what}", need.at.display())))
}

/// Why nothing can be written to a directory.
fn closed(folder: &Path) -> Option<Problem> {
    let asked = AccessFlags::W_OK | AccessFlags::X_OK;
    let error = faccessat(AT_FDCWD, folder, asked, AtFlags::AT_EACCESS).err()?;
    let why = crate::domain::plainly(&io::Error::from(error));
    Some(Problem::Machine(format!("cannot write to `{}`: {why}", folder.display())))
}
