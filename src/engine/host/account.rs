//! The users that hooks run as (R36), and how a process becomes one. No password, no login shell, no `su`.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::unistd::{Gid, Uid, User, getgrouplist, initgroups, setgid, setuid};

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The user id.
    pub uid: u32,
    /// The primary group's id.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The login shell, which is only told to scripts, never run.
    pub shell: PathBuf,
}

impl Account {
    /// The user of this name.
    pub fn named(name: &str) -> Option<Self> {
        User::from_name(name).ok().flatten().map(Self::from)
    }

    /// The user that this process runs as; one without an entry in the user database has its number for a name.
    pub fn own() -> Self {
        let uid = Uid::effective();
        User::from_uid(uid).ok().flatten().map_or_else(
            || Self {
                name: uid.to_string(),
                uid: uid.as_raw(),
                gid: Gid::effective().as_raw(),
                home: PathBuf::from("/"),
                shell: PathBuf::from("/bin/sh"),
            },
            Self::from,
        )
    }

    /// Whether this process is that user already.
    pub fn is_own(&self) -> bool {
        self.uid == Uid::effective().as_raw()
    }

    /// Whether this process may become other users.
    pub fn can_change() -> bool {
        Uid::effective().is_root()
    }
}

impl Account {
    /// Whether the user may pass through every directory down to `path`; else the first that is closed.
    pub(super) fn can_enter(&self, path: &Path) -> Result<(), PathBuf> {
        if self.is_own() || self.uid == 0 {
            return Ok(());
        }
        let name = CString::new(self.name.as_str()).unwrap_or_default();
        let groups = getgrouplist(&name, Gid::from_raw(self.gid)).unwrap_or_default();
        for folder in path.ancestors() {
            let Ok(about) = fs::metadata(folder) else { continue };
            let passes = match () {
                () if about.uid() == self.uid => 0o100,
                () if groups.iter().any(|group| group.as_raw() == about.gid()) => 0o010,
                () => 0o001,
            };
            if about.mode() & passes == 0 {
                return Err(folder.to_owned());
            }
        }
        Ok(())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir, shell: user.shell }
    }
}

/// Makes this process the user, with all groups, for good. To be called before any thread exists.
pub fn become_user(account: &Account) -> io::Result<()> {
    let name = CString::new(account.name.as_str())?;
    let gid = Gid::from_raw(account.gid);
    initgroups(&name, gid)?;
    setgid(gid)?;
    setuid(Uid::from_raw(account.uid))?;
    Ok(())
}
