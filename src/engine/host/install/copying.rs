//! Puts single files and links where they belong, with all that is told of them. It never replaces anything.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::permissions::Change;

/// Copies content, mode and time; what `permissions` changes comes on top. The system shares the blocks where it can.
///
/// The file is nobody's but the engine's until it is whole and has its final mode: what shall be secret never was open.
pub(super) fn copy(from: &Path, to: &Path, change: Option<&Change>) -> io::Result<()> {
    let mut source = File::open(from)?;
    let about = source.metadata()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut file)?;
    file.set_modified(about.modified()?)?;
    // Owner first, mode then: the other way round the system takes setuid away (D23).
    if let Some(change) = change.filter(|it| it.uid.is_some() || it.gid.is_some()) {
        fchown(&file, change.uid, change.gid)?;
    }
    let mode = change.and_then(|it| it.mode).unwrap_or(about.permissions().mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))
}

/// Sets owner and mode of a new directory. The set-group-id bit of the directory above is inherited, as ever.
pub(super) fn settle(path: &Path, mode: u32, change: Option<&Change>) -> io::Result<()> {
    if let Some(change) = change.filter(|it| it.uid.is_some() || it.gid.is_some()) {
        lchown(path, change.uid, change.gid)?;
    }
    let inherited = fs::symlink_metadata(path)?.permissions().mode() & 0o2000;
    let mode = change.and_then(|it| it.mode).unwrap_or(mode | inherited);
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Gives a file that is not ours a second place: a second name where that is possible, else a copy that keeps what the
/// engine's user may set.
pub(super) fn second_place(path: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(path, to).is_ok() {
        return Ok(());
    }
    let about = fs::symlink_metadata(path)?;
    let (uid, gid) = (about.uid(), about.gid());
    if about.is_symlink() {
        symlink(fs::read_link(path)?, to)?;
        return lchown_if_allowed(to, uid, gid);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(path)?, &mut file)?;
    lchown_if_allowed(to, uid, gid)?;
    file.set_modified(about.modified()?)?;
    file.set_permissions(about.permissions())
}

/// Renames a staged file to a path where nothing is expected; if something came there meanwhile, it is not replaced.
pub(super) fn rename_to_nothing(staged: &Path, path: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, staged, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        // Not every filesystem knows this kind of renaming.
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::rename(staged, path),
        Err(error) => Err(error.into()),
    }
}

/// An engine that is not root keeps what it may.
fn lchown_if_allowed(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    match lchown(path, Some(uid), Some(gid)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
