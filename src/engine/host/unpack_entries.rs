//! Writes the entries of a bundle below one directory, and nothing anywhere else, whatever they are called.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::error::is_full;
use crate::domain::{Failure, plainly, size};

/// More entries than any revision has.
const MOST_ENTRIES: u64 = 1_000_000;
/// More bytes than any revision has, so that a small bundle cannot fill a large disk.
pub(super) const MOST_BYTES: u64 = 64 << 30;

/// One bundle's entries as they are written.
pub(super) struct Entries {
    root: PathBuf,
    /// Links wait until all files are written: nothing is ever written through one.
    links: Vec<(PathBuf, PathBuf)>,
    modes: Vec<(PathBuf, u32)>,
    count: u64,
    bytes: u64,
    most_bytes: u64,
    /// Large pieces: each costs a call of the system.
    buffer: Vec<u8>,
}

impl Entries {
    /// Begins below `root`, which is made, and writes no more than so many bytes.
    pub(super) fn new(root: &Path, most_bytes: u64) -> Result<Self, Failure> {
        fs::create_dir_all(root).map_err(|error| broken(root, &error))?;
        Ok(Self {
            root: root.to_owned(),
            links: Vec::new(),
            modes: Vec::new(),
            count: 0,
            bytes: 0,
            most_bytes,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// The place of an entry; nothing for the root itself.
    fn place(&mut self, name: &Path) -> Result<Option<PathBuf>, Failure> {
        self.count += 1;
        if self.count > MOST_ENTRIES {
            return Err(refused(name, &format!("is entry number {}, which is too many", self.count)));
        }
        let mut parts = Vec::new();
        for component in name.components() {
            match component {
                Component::Normal(part) => parts.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(refused(name, "leaves the bundle"));
                }
            }
        }
        let Some(last) = parts.pop() else { return Ok(None) };
        let mut place = self.root.clone();
        for part in parts {
            place.push(part);
            self.directory_at(&place, name)?;
        }
        place.push(last);
        Ok(Some(place))
    }

    fn directory_at(&self, place: &Path, name: &Path) -> Result<(), Failure> {
        match DirBuilder::new().mode(0o755).create(place) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let is_directory = fs::symlink_metadata(place).is_ok_and(|it| it.is_dir());
                if is_directory { Ok(()) } else { Err(refused(name, "lies below something that is no directory")) }
            }
            Err(error) => Err(broken(place, &error)),
        }
    }

    /// A directory.
    pub(super) fn directory(&mut self, name: &Path, mode: u32) -> Result<(), Failure> {
        let Some(place) = self.place(name)? else { return Ok(()) };
        self.directory_at(&place, name)?;
        self.modes.push((place, mode & 0o777));
        Ok(())
    }

    /// A regular file.
    pub(super) fn file(
        &mut self,
        name: &Path,
        mode: u32,
        modified: Option<SystemTime>,
        content: &mut dyn Read,
    ) -> Result<(), Failure> {
        let place = self.place(name)?.ok_or_else(|| refused(name, "has no name"))?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(refused(name, "stands in the bundle twice"));
            }
            Err(error) => return Err(broken(&place, &error)),
        };
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(&place, &error)),
            };
            self.grows(name, read as u64)?;
            file.write_all(&self.buffer[..read]).map_err(|error| broken(&place, &error))?;
        }
        finish_file(&file, mode, modified).map_err(|error| broken(&place, &error))
    }

    /// Counts what is about to be written.
    fn grows(&mut self, name: &Path, by: u64) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(by);
        if self.bytes > self.most_bytes {
            let most = size(self.most_bytes);
            return Err(refused(name, &format!("makes the bundle larger than {most} unpacked")));
        }
        Ok(())
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, name: &Path, target: &Path) -> Result<(), Failure> {
        let place = self.place(name)?.ok_or_else(|| refused(name, "has no name"))?;
        if target.is_absolute() {
            return Err(refused(name, &format!("is a link to `{}`, outside the bundle", target.display())));
        }
        self.links.push((place, target.to_owned()));
        Ok(())
    }

    /// A second name of a file that was written before.
    pub(super) fn second_name(&mut self, name: &Path, of: &Path) -> Result<(), Failure> {
        let place = self.place(name)?.ok_or_else(|| refused(name, "has no name"))?;
        let outside = |_| refused(name, &format!("is a link to `{}`, outside the bundle", of.display()));
        let first =
            self.place(of).map_err(outside)?.filter(|first| fs::symlink_metadata(first).is_ok_and(|it| it.is_file()));
        let first = first.ok_or_else(|| refused(name, "is a link to a file that is not before it in the bundle"))?;
        // It is a copy, and many of one large file are as much as many large files.
        let length = fs::metadata(&first).map_err(|error| broken(&first, &error))?.len();
        self.grows(name, length)?;
        fs::copy(&first, &place).map(drop).map_err(|error| broken(&place, &error))
    }

    /// Something that has no place in a bundle.
    pub(super) fn special(&self, name: &Path) -> Failure {
        refused(name, "is of an unsupported file type (a device, a pipe or a socket)")
    }

    /// Makes the links, checks where they lead, and sets the directories' modes.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for (place, target) in &self.links {
            let name = place.strip_prefix(&self.root).unwrap_or(place);
            match symlink(target, place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(refused(name, "stands in the bundle twice"));
                }
                Err(error) => return Err(broken(place, &error)),
            }
        }
        for (place, target) in &self.links {
            let name = place.strip_prefix(&self.root).unwrap_or(place);
            if !stays_inside(&self.root, name) {
                return Err(refused(name, &format!("is a link to `{}`, outside the bundle", target.display())));
            }
        }
        for (place, mode) in self.modes.iter().rev() {
            fs::set_permissions(place, Permissions::from_mode(*mode)).map_err(|error| broken(place, &error))?;
        }
        Ok(())
    }
}

/// Sets what a file keeps of its entry: mode and time, but never setuid and the like, which no commit can hold.
fn finish_file(file: &File, mode: u32, modified: Option<SystemTime>) -> io::Result<()> {
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    file.set_permissions(Permissions::from_mode(mode & 0o777))
}

/// Whether a path below `root`, followed through every link, stays below it. What is not there is inside.
pub(super) fn stays_inside(root: &Path, name: &Path) -> bool {
    /// As many links as the kernel follows.
    const MOST_LINKS: u32 = 40;
    let mut left = MOST_LINKS;
    let mut at: Vec<std::ffi::OsString> = Vec::new();
    let mut ahead: Vec<PathBuf> = name.components().rev().map(|it| PathBuf::from(it.as_os_str())).collect();
    while let Some(next) = ahead.pop() {
        match next.components().next() {
            Some(Component::Normal(part)) => at.push(part.to_owned()),
            Some(Component::ParentDir) => {
                if at.pop().is_none() {
                    return false;
                }
                continue;
            }
            Some(Component::RootDir | Component::Prefix(_)) => return false,
            Some(Component::CurDir) | None => continue,
        }
        let place = at.iter().fold(root.to_owned(), |place, part| place.join(part));
        let Ok(target) = fs::read_link(&place) else { continue };
        at.pop();
        left = left.saturating_sub(1);
        if left == 0 {
            return false;
        }
        ahead.extend(target.components().rev().map(|it| PathBuf::from(it.as_os_str())));
    }
    true
}

/// The failure of an entry that must not be unpacked.
fn refused(name: &Path, why: &str) -> Failure {
    Failure::revision("host/bundle-refused", format!("`{}` {why}", name.display()))
        .help("take it out of the commit, or leave it out with the target's `bundle.exclude`")
}

/// The failure of something that could not be written.
pub(super) fn broken(place: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot unpack `{}`: {}", place.display(), plainly(error));
    if is_full(error) {
        return Failure::setup("host/disk-full", text).help("make room, or lower `max_revisions`");
    }
    Failure::setup("host/not-unpacked", text)
}
