//! What is found about a bundle's contents while they pass by, whoever shows them: an archive on its way, or a working
//! tree. It keeps no contents, and writes nothing.

use crate::appspec::ServerSpec;
use crate::domain::{BundleFormat, Finding, Place};

use super::landing::Landings;
use super::path::{EntryPath, Unsafe};
use super::refusals::Refusals;
use super::script;
use super::tree::{Kind, Tree};

/// Everything seen so far.
pub(super) struct Survey {
    tree: Tree,
    landings: Landings,
    /// Where the bundle's root lies, for the names of files in findings.
    root: String,
    pointers: Vec<String>,
    pointers_more: usize,
    macosx: Option<String>,
    git: Option<String>,
}

impl Survey {
    pub(super) fn new(spec: Option<&ServerSpec>, format: BundleFormat, root: &str) -> Self {
        Self {
            tree: Tree::new(spec, format),
            landings: Landings::new(spec),
            root: root.trim_end_matches('/').to_owned(),
            pointers: Vec::new(),
            pointers_more: 0,
            macosx: None,
            git: None,
        }
    }

    /// Takes an entry, unless there is one of that name, or its directory is none.
    pub(super) fn enter(&mut self, path: &EntryPath, kind: Kind) -> Result<(), Unsafe> {
        self.tree.enter(path, kind)?;
        self.landings.enter(path, kind);
        let has = |name: &[u8]| path.bytes().split(|it| *it == b'/').any(|part| part == name);
        if self.macosx.is_none() && has(b"__MACOSX") {
            self.macosx = Some(path.shown());
        }
        if self.git.is_none() && has(b".git") && self.landings.installs(path) {
            self.git = Some(path.shown());
        }
        Ok(())
    }

    /// Takes a link, unless its target leaves the bundle whatever else is in it.
    pub(super) fn link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), Unsafe> {
        self.tree.link(path, target)?;
        self.landings.enter(path, Kind::Link);
        Ok(())
    }

    /// How many links there are.
    pub(super) fn links(&self) -> usize {
        self.tree.links()
    }

    /// Notes what does not come into the bundle, and what to do where it should.
    pub(super) fn leave_out(&mut self, path: &EntryPath, help: &'static str) {
        self.tree.leave_out(path, help);
    }

    /// Takes back a directory of which nothing was kept.
    pub(super) fn forget(&mut self, path: &EntryPath) {
        self.tree.forget(path);
    }

    /// How many of a file's first bytes are asked for.
    pub(super) fn wants(&self, path: &EntryPath, size: u64) -> u64 {
        if self.tree.is_script(path) {
            script::TEXT as u64
        } else if size < 1024 {
            script::HEAD as u64
        } else {
            0
        }
    }

    /// Looks at a file that was entered, by its first bytes.
    pub(super) fn file(&mut self, path: &EntryPath, head: &[u8], size: u64, executable: bool, refusals: &mut Refusals) {
        if self.tree.is_script(path) {
            let found = script::check(&path.shown(), &self.name(path), head, size, executable);
            found.into_iter().for_each(|finding| refusals.push(finding));
        } else if script::is_lfs_pointer(head, size) {
            if self.pointers.len() < 3 { self.pointers.push(path.shown()) } else { self.pointers_more += 1 }
        }
    }

    /// Looks at a directory that nothing lies in.
    pub(super) fn empty(&mut self, path: &EntryPath, refusals: &mut Refusals) {
        let message = format!("`{}` is empty in the archive: git leaves submodules out", path.shown());
        refusals.push(
            Finding::warning("bundle/submodule", message)
                .help("commit the files themselves, or exclude the directory to say that it is not needed"),
        );
    }

    /// Says what can only be known when everything has passed.
    pub(super) fn check(&self, refusals: &mut Refusals) {
        self.tree.check(!self.root.is_empty(), &self.landings, refusals);
        self.landings.check(refusals);
        if let Some((first, rest)) = self.pointers.split_first() {
            let more = rest.len() + self.pointers_more;
            let others = match more {
                0 => " is a Git LFS pointer, not the file itself".into(),
                more => format!(" and {more} more are Git LFS pointers, not the files themselves"),
            };
            refusals.push(
                Finding::warning("bundle/lfs-pointer", format!("`{first}`{others}")).help(
                    "let the archive hold them (GitHub: Settings, Archives, Include Git LFS objects), or take them out of LFS",
                ),
            );
        }
        if let Some(path) = &self.macosx {
            refusals.push(
                Finding::warning(
                    "bundle/macosx",
                    format!("`{path}` is what a Mac's Finder leaves in archives, and no program needs it"),
                )
                .help("remove `__MACOSX`, and bundle with git instead of the Finder"),
            );
        }
        if let Some(path) = &self.git {
            refusals.push(
                Finding::warning(
                    "bundle/git-installed",
                    format!("`{path}` would be installed, and with it the repository's history"),
                )
                .help("leave `.git` out of the bundle; a visitor of a web site can read it"),
            );
        }
    }

    /// The file's name for people.
    fn name(&self, path: &EntryPath) -> String {
        if self.root.is_empty() { path.shown() } else { format!("{}/{}", self.root, path.shown()) }
    }

    /// A place in the bundle's AppSpec where nothing better is known.
    pub(super) fn at(&self, path: &EntryPath) -> Place {
        Place { file: self.name(path), line: 1, column: 1, length: 1 }
    }
}
