//! What random tests are made of: dice, and things on disk that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A generator that gives the same numbers for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % end
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }

    /// A path of one to three short names: few, so that trees meet.
    pub(crate) fn path(&mut self) -> String {
        let names: Vec<&str> = (0..=self.below(3)).map(|_| self.of(&["a", "b", "c", "d"])).collect();
        names.join("/")
    }
}

/// One thing on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    /// With its access control list, as the kernel has it; none is empty.
    Directory {
        mode: u32,
        acl: Vec<u8>,
    },
    File {
        content: String,
        mode: u32,
        modified: i64,
    },
    Link {
        target: String,
    },
}

pub(super) type Tree = BTreeMap<String, Thing>;

pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub(super) fn ancestors(path: &str) -> impl Iterator<Item = String> {
    let above: Vec<String> = path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect();
    above.into_iter()
}

/// A directory's access control list.
fn acl(path: &Path) -> Vec<u8> {
    let mut bytes = [0; 256];
    let length = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut bytes[..]).unwrap_or(0);
    bytes[..length].to_vec()
}

/// The list of a directory of this mode that lets one more user do all that the mode's group may.
pub(super) fn acl_of(mode: u32, user: u32) -> Vec<u8> {
    let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap();
    let entries = [
        (1, bits(6), u32::MAX),
        (2, 7, user),
        (4, bits(3), u32::MAX),
        (16, bits(3), u32::MAX),
        (32, bits(0), u32::MAX),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

pub(super) fn thing(path: &Path) -> Thing {
    let about = fs::symlink_metadata(path).unwrap();
    let mode = about.mode() & 0o7777;
    if about.is_symlink() {
        Thing::Link { target: fs::read_link(path).unwrap().to_str().unwrap().to_owned() }
    } else if about.is_dir() {
        Thing::Directory { mode, acl: acl(path) }
    } else {
        Thing::File { content: fs::read_to_string(path).unwrap(), mode, modified: about.mtime() }
    }
}
