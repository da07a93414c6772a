//! What random tests are made of: dice, and things on disk that can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A generator that gives the same numbers for the same seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % end
    }

    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }

    /// A path of one to three short names: few, so that trees meet.
    pub(super) fn path(&mut self) -> String {
        let names: Vec<&str> = (0..=self.below(3)).map(|_| self.of(&["a", "b", "c", "d"])).collect();
        names.join("/")
    }
}

/// One thing on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Directory { mode: u32 },
    File { content: String, mode: u32, modified: i64 },
    Link { target: String },
}

pub(super) type Tree = BTreeMap<String, Thing>;

pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub(super) fn ancestors(path: &str) -> impl Iterator<Item = String> {
    let above: Vec<String> = path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect();
    above.into_iter()
}

pub(super) fn thing(path: &Path) -> Thing {
    let about = fs::symlink_metadata(path).unwrap();
    let mode = about.mode() & 0o7777;
    if about.is_symlink() {
        Thing::Link { target: fs::read_link(path).unwrap().to_str().unwrap().to_owned() }
    } else if about.is_dir() {
        Thing::Directory { mode }
    } else {
        Thing::File { content: fs::read_to_string(path).unwrap(), mode, modified: about.mtime() }
    }
}
