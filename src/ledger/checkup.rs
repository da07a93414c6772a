//! Whether the ledger's directory would do, looked at from outside. It makes nothing and changes nothing there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, Uid, User, faccessat};

use super::error::LedgerError;
use crate::domain::{Checkup, Finding, size};

/// Looks at a data directory in which `reserve` bytes are to stay free: whether it can be written to, what is free, and
/// who has its ledger.
pub fn checkup(data_dir: &Path, reserve: u64) -> Vec<Checkup> {
    vec![directory(data_dir), space(data_dir, reserve), holder(&data_dir.join("ledger"))]
}

/// The directory, or the one that it will be made in.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|it| it.is_dir()).unwrap_or(Path::new("/"))
}

fn directory(path: &Path) -> Checkup {
    const ABOUT: &str = "data directory";
    let there = existing(path);
    let asked = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    if let Err(errno) = faccessat(AT_FDCWD, there, asked, AtFlags::AT_EACCESS) {
        let error = LedgerError::storage("write to", there)(io::Error::from(errno));
        let me = name_of(Uid::effective());
        let help = format!("run doctor as the bot's user, or give the directory to `{me}`");
        return Checkup::failed(ABOUT, error.failure().help(help));
    }
    if there != path {
        return Checkup::ok(ABOUT, format!("`{}` is made at the first start", path.display()));
    }
    let owner = fs::metadata(path).map(|it| Uid::from_raw(it.uid())).unwrap_or(Uid::effective());
    if owner != Uid::effective() {
        let (me, owner) = (name_of(Uid::effective()), name_of(owner));
        let text =
            format!("`{}` belongs to `{owner}`, and this is `{me}`: what it may do says nothing", path.display());
        let help = format!("run doctor as the bot's user: `sudo -u {owner} landfall doctor`");
        return Checkup::found(ABOUT, Finding::warning("ledger/another-user", text).help(help));
    }
    Checkup::ok(ABOUT, format!("`{}` can be written to", path.display()))
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |it| it.name)
}

fn space(data_dir: &Path, reserve: u64) -> Checkup {
    const ABOUT: &str = "free space";
    let there = existing(data_dir);
    let free = match statvfs(there) {
        Ok(found) => found.blocks_available().saturating_mul(found.fragment_size()),
        Err(errno) => {
            let error = LedgerError::storage("look for free space on", there)(errno.into());
            return Checkup::failed(ABOUT, error.failure());
        }
    };
    if free < reserve {
        return Checkup::failed(ABOUT, LedgerError::Full { free, reserve }.failure());
    }
    let said = format!("{} free, of which {} are kept in reserve", size(free), size(reserve));
    if free / 2 < reserve {
        let help = "free space on the disk of `data_dir` before pushes are answered with 503";
        return Checkup::found(ABOUT, Finding::warning("ledger/little-space", said).help(help));
    }
    Checkup::ok(ABOUT, said)
}

/// Who has the ledger. The lock is only tried: taking it would keep a starting bot out.
fn holder(dir: &Path) -> Checkup {
    const ABOUT: &str = "ledger";
    let path: PathBuf = dir.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Checkup::ok(ABOUT, "it is made at the first start");
        }
        Err(error) => return Checkup::failed(ABOUT, LedgerError::storage("open", &path)(error).failure()),
    };
    match file.try_lock_shared() {
        Ok(()) => usable(dir),
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).ok().and_then(|it| it.trim().parse::<u32>().ok());
            let whom = pid.map_or("a running bot".into(), |pid| format!("the running bot, process {pid}"));
            Checkup::ok(ABOUT, format!("it is in use by {whom}"))
        }
        Err(TryLockError::Error(error)) => Checkup::failed(ABOUT, LedgerError::storage("lock", &path)(error).failure()),
    }
}

/// Whether each of its files can be read and written.
fn usable(dir: &Path) -> Checkup {
    const ABOUT: &str = "ledger";
    let (mut folders, mut files) = (vec![dir.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => return Checkup::failed(ABOUT, LedgerError::storage("read", &folder)(error).failure()),
        };
        for path in entries.flatten().map(|it| it.path()) {
            let asked = AccessFlags::R_OK | AccessFlags::W_OK;
            if let Err(errno) = faccessat(AT_FDCWD, &path, asked, AtFlags::AT_EACCESS) {
                let failure = LedgerError::storage("use", &path)(errno.into()).failure();
                return Checkup::failed(ABOUT, failure);
            }
            files += 1;
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Checkup::ok(ABOUT, format!("nobody has it open, and its {files} files can be read and written"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::domain::Standing;

    #[test]
    fn a_running_bot_is_named_and_a_free_ledger_is_looked_through() {
        let dir = tempfile::tempdir().unwrap();
        let said = || checkup(dir.path(), 1)[2].said.clone();
        assert_eq!(said(), "it is made at the first start");
        fs::create_dir(dir.path().join("ledger")).unwrap();
        let mut lock = File::create(dir.path().join("ledger/lock")).unwrap();
        assert!(said().starts_with("nobody has it open"), "{}", said());
        lock.lock().unwrap();
        writeln!(lock, "4711").unwrap();
        assert_eq!(said(), "it is in use by the running bot, process 4711");
    }

    #[test]
    fn a_disk_below_the_reserve_fails_and_one_near_it_warns() {
        let dir = tempfile::tempdir().unwrap();
        let free = statvfs(dir.path()).map(|it| it.blocks_available() * it.fragment_size()).unwrap();
        let standing = |reserve| checkup(dir.path(), reserve)[1].standing;
        assert_eq!(standing(1), Standing::Ok);
        assert_eq!(standing(free / 10 * 8), Standing::Warning);
        assert_eq!(standing(u64::MAX), Standing::Failed);
    }
}
