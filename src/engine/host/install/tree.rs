//! What `files` means for an unpacked revision: every path to be, and what makes it (R53-R62). It looks at no host.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::Problem;
use crate::appspec::{FileMapping, ServerSpec};
use crate::domain::plainly;
use crate::engine::host::unpack_entries::stays_inside;

/// What shall stand at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: WantedKind,
    /// The item of `files` that wants it, for messages.
    by: String,
}

impl Wanted {
    /// A directory that no archive has.
    pub(super) fn directory(by: String) -> Self {
        Self { kind: WantedKind::Directory { mode: None }, by }
    }

    /// Whether it is one.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, WantedKind::Directory { .. })
    }
}

/// The kinds of things that are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WantedKind {
    /// A directory; the mode is nothing where the archive has no such directory.
    Directory { mode: Option<u32> },
    /// A copy of a file of the archive.
    File { from: PathBuf, bytes: u64 },
    /// A link with the same target as one of the archive.
    Link { target: PathBuf },
}

/// Everything that is wanted, parents before what is in them.
pub(super) type Tree = BTreeMap<PathBuf, Wanted>;

/// Expands all items. What is wrong becomes a problem, and the rest is expanded all the same.
pub(super) fn expand(spec: &ServerSpec, archive: &Path, problems: &mut Vec<Problem>) -> Tree {
    let mut expansion = Expansion { archive, tree: Tree::new(), problems, by: String::new() };
    for (index, mapping) in spec.files.iter().enumerate() {
        let line = mapping.place.line;
        expansion.by = format!("item {} of `files` (line {line}, source `{}`)", index + 1, mapping.source);
        expansion.item(mapping);
    }
    expansion.tree
}

struct Expansion<'a> {
    archive: &'a Path,
    tree: Tree,
    problems: &'a mut Vec<Problem>,
    by: String,
}

impl Expansion<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(Problem::Revision(text));
    }

    fn item(&mut self, mapping: &FileMapping) {
        let name: PathBuf =
            Path::new(&mapping.source).components().filter(|it| matches!(it, Component::Normal(_))).collect();
        let destination = Path::new(&mapping.destination);
        if !stays_inside(self.archive, &name) {
            let by = &self.by;
            return self.problem(format!("{by} leaves the bundle"));
        }
        let source = self.archive.join(&name);
        let Ok(about) = fs::metadata(&source) else {
            let by = &self.by;
            return self.problem(format!("{by} is not in the bundle"));
        };
        let destination: PathBuf = destination.components().collect();
        self.directories_to(&destination);
        if about.is_dir() {
            self.contents(&source, &destination);
        } else if mapping.source.ends_with('/') {
            let by = &self.by;
            self.problem(format!("{by} is a file, not a directory"));
        } else if let Some(last) = source.file_name() {
            let place = destination.join(last);
            self.thing(&source, place);
        }
    }

    /// The destination and everything above it (R56).
    fn directories_to(&mut self, destination: &Path) {
        let mut above: Vec<&Path> = destination.ancestors().filter(|path| *path != Path::new("/")).collect();
        above.reverse();
        for path in above {
            self.want(path.to_owned(), WantedKind::Directory { mode: None });
        }
    }

    fn contents(&mut self, source: &Path, destination: &Path) {
        let mut names: Vec<_> = match fs::read_dir(source) {
            Ok(listing) => listing.flatten().map(|found| found.file_name()).collect(),
            Err(error) => {
                let by = &self.by;
                return self.problem(format!("{by} is not readable: {}", plainly(&error)));
            }
        };
        names.sort();
        for name in names {
            self.thing(&source.join(&name), destination.join(&name));
        }
    }

    fn thing(&mut self, source: &Path, place: PathBuf) {
        let shown = source.strip_prefix(self.archive).unwrap_or(source).to_owned();
        let Ok(about) = fs::symlink_metadata(source) else {
            return self.problem(format!("`{}` vanished from the bundle", shown.display()));
        };
        if about.is_dir() {
            let mode = Some(about.permissions().mode() & 0o7777);
            self.want(place.clone(), WantedKind::Directory { mode });
            self.contents(source, &place);
        } else if about.is_file() {
            self.want(place, WantedKind::File { from: source.to_owned(), bytes: about.len() });
        } else if about.is_symlink() {
            let target = fs::read_link(source).unwrap_or_default();
            if target.is_absolute() || !stays_inside(self.archive, &shown) {
                return self.problem(format!(
                    "`{}` is a link to `{}`, outside the bundle",
                    shown.display(),
                    target.display()
                ));
            }
            self.want(place, WantedKind::Link { target });
        } else {
            self.problem(format!(
                "`{}` is of an unsupported file type (a device, a pipe or a socket)",
                shown.display()
            ));
        }
    }

    fn want(&mut self, path: PathBuf, kind: WantedKind) {
        let Some(present) = self.tree.get_mut(&path) else {
            self.tree.insert(path, Wanted { kind, by: self.by.clone() });
            return;
        };
        match (&mut present.kind, kind) {
            (WantedKind::Directory { mode }, WantedKind::Directory { mode: other }) => *mode = mode.or(other),
            (WantedKind::Directory { .. }, _) | (_, WantedKind::Directory { .. }) => {
                let text = format!(
                    "`{}` would be both a file and a directory: {} and {}",
                    path.display(),
                    present.by,
                    self.by
                );
                self.problem(text);
            }
            (_, _) => {
                let text = format!("`{}` has two sources: {} and {}", path.display(), present.by, self.by);
                self.problem(text);
            }
        }
    }
}
