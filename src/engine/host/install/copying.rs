//! Puts single files and links where they belong, with all that is told of them. It never replaces anything.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown, symlink};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::{Gid, Uid};

use super::acl::{Acl, Lists};
use super::label;
use super::manifest::Given;
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
    file.set_permissions(Permissions::from_mode(mode))?;
    change.map_or(Ok(()), |change| extend(to, change, mode, false))
}

/// The attributes that come after the mode (D23).
fn extend(path: &Path, change: &Change, mode: u32, is_directory: bool) -> io::Result<()> {
    if let Some(acl) = &change.acl {
        acl.set(path, mode, is_directory)?;
    }
    change.context.as_ref().map_or(Ok(()), |context| label::set(path, context))
}

/// Sets owner and mode of a new directory. The set-group-id bit of the directory above is inherited, as ever.
pub(super) fn settle(path: &Path, mode: u32, change: Option<&Change>) -> io::Result<()> {
    if let Some(change) = change.filter(|it| it.uid.is_some() || it.gid.is_some()) {
        lchown(path, change.uid, change.gid)?;
    }
    let inherited = fs::symlink_metadata(path)?.permissions().mode() & 0o2000;
    let mode = change.and_then(|it| it.mode).unwrap_or(mode | inherited);
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    change.map_or(Ok(()), |change| extend(path, change, mode, true))
}

/// Makes a directory of ours as if it were new: the engine's, with the archive's mode, and what `permissions` says.
pub(super) fn settle_anew(path: &Path, mode: Option<u32>, given: &Given, change: Option<&Change>) -> io::Result<()> {
    if given.acl {
        Acl::remove(path)?;
    }
    // Below a directory with the set-group-id bit, that directory's group is what a new one gets.
    let above = path.parent().and_then(|it| fs::metadata(it).ok()).filter(|it| it.mode() & 0o2000 != 0);
    let (uid, gid) = (Uid::effective().as_raw(), above.map_or(Gid::effective().as_raw(), |it| it.gid()));
    if (given.uid, given.gid) != (uid, gid) {
        lchown(path, Some(uid), Some(gid))?;
    }
    settle(path, mode.unwrap_or(0o755), change)
}

/// Changes a directory only as `permissions` says.
pub(super) fn adjust(path: &Path, change: &Change) -> io::Result<()> {
    settle(path, fs::symlink_metadata(path)?.mode() & 0o7777, Some(change))
}

/// Gives a directory the owner, mode and access control lists that it had.
pub(super) fn put_back(path: &Path, was: &Given, lists: &Lists) -> io::Result<()> {
    // One that somebody removed meanwhile has nothing to get back.
    let Some(now) = Given::now(path, was.acl) else { return Ok(()) };
    if now != *was {
        lchown(path, Some(was.uid), Some(was.gid))?;
        fs::set_permissions(path, Permissions::from_mode(was.mode))?;
    }
    // After the mode, which would change their mask.
    lists.put_back(path)
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
pub(in crate::engine::host) fn rename_to_nothing(staged: &Path, path: &Path) -> io::Result<()> {
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
