//! POSIX access control lists as `acls` means them (R80): read from its entries, written as the kernel's attribute.
//!
//! No `setfacl` is run: the attribute's format is a part of the kernel's interface that never changed.

use std::io;
use std::path::Path;

use nix::unistd::{Group, User};
use rustix::fs::{XattrFlags, lgetxattr, lremovexattr, lsetxattr};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// The id of an entry that names nobody.
const NOBODY: u32 = u32::MAX;

/// What `acls` of one item says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acl {
    access: List,
    default: List,
}

/// The entries of one list besides those that the mode gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct List {
    /// Ids and rights of named users, in the kernel's order.
    users: Vec<(u32, u16)>,
    /// Ids and rights of named groups.
    groups: Vec<(u32, u16)>,
    mask: Option<u16>,
}

impl Acl {
    /// Reads the entries, whose form is checked already. Gives what of them no user or group is called.
    pub(super) fn parse(entries: &[String]) -> (Self, Vec<String>) {
        let mut acl = Self::default();
        let mut unknown = Vec::new();
        for entry in entries {
            let bare = entry.strip_prefix("default:").or_else(|| entry.strip_prefix("d:"));
            let list = if bare.is_some() { &mut acl.default } else { &mut acl.access };
            let parts: Vec<&str> = bare.unwrap_or(entry).split(':').collect();
            let [kind, name, rights] = parts[..] else { continue };
            let rights = rights_of(rights);
            match kind.bytes().next() {
                Some(b'u') => match user_id(name) {
                    Some(id) => list.users.push((id, rights)),
                    None => unknown.push(format!("user `{name}`")),
                },
                Some(b'g') => match group_id(name) {
                    Some(id) => list.groups.push((id, rights)),
                    None => unknown.push(format!("group `{name}`")),
                },
                _ => list.mask = Some(rights),
            }
        }
        for list in [&mut acl.access, &mut acl.default] {
            list.users.sort_unstable();
            list.groups.sort_unstable();
        }
        (acl, unknown)
    }

    /// Whether two entries of a list speak of the same user or group.
    pub(super) fn repeats_itself(&self) -> bool {
        let repeats = |it: &Vec<(u32, u16)>| it.windows(2).any(|pair| pair[0].0 == pair[1].0);
        [&self.access, &self.default].iter().any(|list| repeats(&list.users) || repeats(&list.groups))
    }

    /// Whether something of this mode gives a named user or group fewer rights than its entry says (P35).
    pub(super) fn is_cut_by(&self, mode: u32) -> bool {
        [&self.access, &self.default].iter().any(|list| {
            let mask = list.mask(mode);
            list.users.iter().chain(&list.groups).any(|(_, rights)| rights & !mask != 0)
        })
    }

    /// Replaces the lists of a file or directory that has this mode.
    pub(super) fn set(&self, path: &Path, mode: u32, is_directory: bool) -> io::Result<()> {
        put(path, ACCESS, self.access.encode(mode))?;
        if is_directory { put(path, DEFAULT, self.default.encode(mode)) } else { Ok(()) }
    }

    /// Takes all lists from a file or directory.
    pub(super) fn remove(path: &Path) -> io::Result<()> {
        put(path, ACCESS, None)?;
        put(path, DEFAULT, None)
    }
}

impl List {
    /// The mask, which is the group's rights in the mode unless an entry says otherwise.
    fn mask(&self, mode: u32) -> u16 {
        self.mask.unwrap_or(bits(mode, 3))
    }

    /// The attribute's value; nothing where the mode says it all.
    fn encode(&self, mode: u32) -> Option<Vec<u8>> {
        const VERSION: u32 = 2;
        if self.users.is_empty() && self.groups.is_empty() && self.mask.is_none() {
            return None;
        }
        let mut bytes = VERSION.to_le_bytes().to_vec();
        let mut entry = |tag: u16, rights: u16, id: u32| {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        };
        entry(0x01, bits(mode, 6), NOBODY);
        self.users.iter().for_each(|(id, rights)| entry(0x02, *rights, *id));
        entry(0x04, bits(mode, 3), NOBODY);
        self.groups.iter().for_each(|(id, rights)| entry(0x08, *rights, *id));
        entry(0x10, self.mask(mode), NOBODY);
        entry(0x20, bits(mode, 0), NOBODY);
        Some(bytes)
    }
}

/// The lists of a directory as they are, so that they can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lists {
    access: Option<Vec<u8>>,
    default: Option<Vec<u8>>,
}

impl Lists {
    /// What a directory has now. A filesystem that knows none has none to lose.
    pub(super) fn of(path: &Path) -> Self {
        Self { access: value(path, ACCESS), default: value(path, DEFAULT) }
    }

    /// Gives a directory exactly these.
    pub(super) fn put_back(&self, path: &Path) -> io::Result<()> {
        if Self::of(path) == *self {
            return Ok(());
        }
        put(path, ACCESS, self.access.clone())?;
        put(path, DEFAULT, self.default.clone())
    }
}

fn value(path: &Path, name: &str) -> Option<Vec<u8>> {
    // Room for a hundred entries; else for the largest attribute that the kernel keeps.
    for room in [1 << 10, 1 << 16] {
        let mut bytes = vec![0; room];
        match lgetxattr(path, name, &mut bytes[..]) {
            Ok(length) => {
                bytes.truncate(length);
                return Some(bytes);
            }
            Err(rustix::io::Errno::RANGE) => {}
            Err(_) => return None,
        }
    }
    None
}

/// The user of a name or number.
pub(super) fn user_id(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw()).or_else(|| name.parse().ok())
}

/// The group of a name or number.
pub(super) fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()).or_else(|| name.parse().ok())
}

/// Whether the filesystem of an existing path knows access control lists.
pub(in crate::engine::host) fn is_supported(path: &Path) -> bool {
    lgetxattr(path, ACCESS, &mut [0_u8; 0]) != Err(rustix::io::Errno::OPNOTSUPP)
}

fn put(path: &Path, name: &str, value: Option<Vec<u8>>) -> io::Result<()> {
    let done = match value {
        Some(value) => lsetxattr(path, name, &value, XattrFlags::empty()),
        None => lremovexattr(path, name),
    };
    match done {
        // There was none.
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP)
            if lgetxattr(path, name, &mut [0_u8; 0]).is_err() =>
        {
            Ok(())
        }
        done => done.map_err(io::Error::from),
    }
}

/// One class's rights in a mode.
fn bits(mode: u32, shift: u32) -> u16 {
    u16::try_from(mode >> shift & 0o7).unwrap_or(0)
}

/// `rw`, `r-x` or `6`.
fn rights_of(text: &str) -> u16 {
    let letter = |letter: u8| match letter {
        b'r' => 4,
        b'w' => 2,
        b'x' => 1,
        digit @ b'0'..=b'7' => u16::from(digit - b'0'),
        _ => 0,
    };
    text.bytes().map(letter).fold(0, |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &str) -> Acl {
        let entries: Vec<String> = entries.split(' ').map(str::to_owned).collect();
        let (acl, unknown) = Acl::parse(&entries);
        assert_eq!(unknown, Vec::<String>::new());
        acl
    }

    #[test]
    fn entries_become_the_kernels_attribute() {
        let acl = parse("u:7:rw user:3:6 g:9:r-x m::rw d:u:7:rwx");
        let words: Vec<String> = acl.access.encode(0o644).unwrap()[4..]
            .chunks(8)
            .map(|it| format!("{:x}:{}:{}", it[0], it[2], i32::from_le_bytes([it[4], it[5], it[6], it[7]])))
            .collect();
        assert_eq!(words.join(" "), "1:6:-1 2:6:3 2:6:7 4:4:-1 8:5:9 10:6:-1 20:4:-1");
        assert_eq!(parse("d:u:7:rwx").access.encode(0o644), None);
        assert!(acl.default.encode(0o755).is_some() && !acl.repeats_itself());
        assert!(parse("u:7:rw u:7:r").repeats_itself());
    }

    #[test]
    fn a_mask_of_the_mode_cuts_rights_and_a_written_one_does_not() {
        assert!(parse("u:7:rw").is_cut_by(0o640), "P35");
        assert!(!parse("u:7:rw m::rw").is_cut_by(0o644), "P08");
        assert!(!parse("u:7:r").is_cut_by(0o640));
    }

    #[test]
    fn names_that_nobody_has_are_told() {
        let (_, unknown) = Acl::parse(&["u:no-such-user:r".into(), "d:g:no-such-group:r".into()]);
        assert_eq!(unknown, ["user `no-such-user`", "group `no-such-group`"]);
    }
}
