//! The pass: every entry of the archive is checked, kept or left out, and written on. It never goes back.

use std::io::{self, Read, Write};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tar::EntryType;

use crate::domain::{BundleFormat, Finding};

use super::archive::{self, Member, Stamp};
use super::error::BundleError;
use super::pack::Packer;
use super::path::{EntryPath, Unsafe, shown};
use super::refusals::Refusals;
use super::request::{BUNDLER, Bundled, Limits, Request};
use super::survey::Survey;
use super::tree::Kind;

/// Makes the bundle of `request` from the archive `input`.
///
/// After an error, what was written is not a bundle and must be thrown away.
pub fn rebundle(
    input: impl Read,
    output: impl Write,
    request: &Request,
    limits: &Limits,
) -> Result<Bundled, BundleError> {
    let mut pass = Pass::new(output, request, limits)?;
    let archive = archive::each(input, &request.commit, limits, |stamp, member| pass.member(stamp, member));
    let done = archive.and_then(|archive| pass.end().map(|()| archive));
    if done.is_err() || pass.refusals.refused() {
        pass.packer.shut();
    }
    let archive = done?;
    let files = pass.packer.files;
    let findings = pass.refusals.settle()?;
    let packed = pass.packer.finish().map_err(BundleError::Output)?;
    Ok(Bundled { sha256: packed.sha256, bytes: packed.bytes, archive, files, findings })
}

/// What to do about what a rule leaves out.
const EXCLUDED: &str = "take it out of `exclude` in [target.bundle]";

/// Where an entry goes.
enum Place {
    /// Into the bundle, at this path.
    Kept(EntryPath),
    /// Nowhere: a rule leaves it out.
    Excluded(EntryPath),
    /// Nowhere: it lies outside the bundle's root, or is that root.
    Elsewhere,
}

/// A directory whose turn comes with the first thing that is kept in it.
struct Waiting {
    path: EntryPath,
    written: bool,
    had_children: bool,
}

struct Pass<'a, W: Write> {
    request: &'a Request,
    limits: &'a Limits,
    root: EntryPath,
    exclude: GlobSet,
    packer: Packer<W>,
    survey: Survey,
    refusals: Refusals,
    entries: u64,
    top: Option<Vec<u8>>,
    root_found: bool,
    near_root: Vec<(f64, String)>,
    directories: Vec<Waiting>,
    stamp: Stamp,
}

impl<'a, W: Write> Pass<'a, W> {
    fn new(output: W, request: &'a Request, limits: &'a Limits) -> Result<Self, BundleError> {
        let mut refusals = Refusals::default();
        let mut exclude = GlobSetBuilder::new();
        for pattern in &request.rules.exclude {
            match GlobBuilder::new(pattern.trim_end_matches('/')).literal_separator(true).build() {
                Ok(glob) => {
                    exclude.add(glob);
                }
                Err(error) => refusals.push(Finding::error(
                    "bundle/bad-pattern",
                    format!("`exclude` has `{pattern}`, which is no pattern: {}", error.kind()),
                )),
            }
        }
        let root = EntryPath::from_written(&request.rules.root);
        if root.is_none() {
            let message = format!("`root` is `{}`, which is outside the repository", request.rules.root);
            refusals.push(Finding::error("bundle/root-missing", message));
        }
        let exclude = match exclude.build() {
            Ok(set) => set,
            Err(error) => {
                refusals.push(Finding::error("bundle/bad-pattern", format!("`exclude` is too much: {}", error.kind())));
                GlobSet::empty()
            }
        };
        let (Some(root), false) = (root, refusals.refused()) else {
            return Err(refusals.settle().err().unwrap_or(BundleError::Refused(Default::default())));
        };
        Ok(Self {
            request,
            limits,
            root_found: root.is_root(),
            root,
            exclude,
            packer: Packer::new(output, request.format),
            survey: Survey::new(request.spec.as_ref(), request.format, &request.rules.root),
            refusals,
            entries: 0,
            top: None,
            near_root: Vec::new(),
            directories: Vec::new(),
            stamp: Stamp { seconds: 0 },
        })
    }

    fn member(&mut self, stamp: Stamp, member: Member<'_>) -> Result<(), BundleError> {
        self.stamp = stamp;
        self.entries += 1;
        let most = match self.request.format {
            BundleFormat::Tgz | BundleFormat::Tar => self.limits.entries,
            BundleFormat::Zip => self.limits.entries.min(self.limits.zip_entries),
        };
        if self.entries > most {
            let message = format!("the archive has more than {most} entries, which is the limit");
            let help =
                "keep what is not deployed in another repository, or let a zip be a tgz (`format` in [target.bundle])";
            return self.stop(Finding::error("bundle/too-many", message).help(help));
        }
        match self.place(&member) {
            Ok(Place::Kept(path)) => {
                self.pass_on_to(&path)?;
                self.keep(&path, member)
            }
            Ok(Place::Excluded(path)) => {
                self.survey.leave_out(&path, EXCLUDED);
                self.pass_on_to(&path)
            }
            Ok(Place::Elsewhere) => Ok(()),
            Err(reason) => {
                self.refuse(&member.path, reason);
                Ok(())
            }
        }
    }

    /// Where in the bundle the entry goes.
    fn place(&mut self, member: &Member<'_>) -> Result<Place, Unsafe> {
        let whole = EntryPath::parse(&member.path, self.limits.path_bytes, self.request.format)?;
        let (top, rest) = whole.split_top();
        match &self.top {
            None => self.top = Some(top.to_vec()),
            Some(known) if known == top => {}
            Some(known) => {
                let why = format!("lies outside `{}`, and an archive has one directory at its top", shown(known));
                return Err(Unsafe::new("bundle/path-escapes", why));
            }
        }
        let Some(path) = rest else {
            if member.kind == EntryType::Directory {
                return Ok(Place::Elsewhere);
            }
            return Err(Unsafe::new("bundle/path-escapes", "is the archive's top, which is no directory"));
        };
        let Some(path) = path.below(&self.root) else {
            if !self.root_found {
                self.resemble_root(&path, member.kind);
            }
            return Ok(Place::Elsewhere);
        };
        if path.is_root() {
            if member.kind == EntryType::Directory {
                self.root_found = true;
                return Ok(Place::Elsewhere);
            }
            return Err(Unsafe::new("bundle/root-missing", "is the bundle's root, which must be a directory"));
        }
        self.root_found = true;
        if !self.exclude.is_empty() && path.up().any(|it| self.exclude.is_match(it.as_path())) {
            return Ok(Place::Excluded(path));
        }
        Ok(Place::Kept(path))
    }

    fn keep(&mut self, path: &EntryPath, member: Member<'_>) -> Result<(), BundleError> {
        if member.kind.is_dir() {
            match self.survey.enter(path, Kind::Directory) {
                Ok(()) => self.directories.push(Waiting { path: path.clone(), written: false, had_children: false }),
                Err(reason) => self.refuse(path.bytes(), reason),
            }
            return Ok(());
        }
        if member.kind.is_symlink() {
            return self.link(path, &member.link);
        }
        if member.kind.is_file() {
            return self.file(path, member);
        }
        let why = format!("is {}, which git never has", special(member.kind));
        self.refuse(path.bytes(), Unsafe::new("bundle/special-file", why));
        Ok(())
    }

    fn link(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), BundleError> {
        if self.survey.links() >= self.limits.links {
            let message = format!("the archive has more than {} links, which is the limit", self.limits.links);
            return self.stop(Finding::error("bundle/too-many", message));
        }
        let fits = if target.len() > self.limits.path_bytes {
            Err(Unsafe::new("bundle/path-unfit", format!("is a link of {} bytes", target.len())))
        } else if self.request.format == BundleFormat::Zip && std::str::from_utf8(target).is_err() {
            Err(Unsafe::new(
                "bundle/path-unfit",
                "is a link to something that is not UTF-8, which a zip's names must be",
            ))
        } else {
            self.survey.link(path, target)
        };
        if let Err(reason) = fits {
            self.refuse(path.bytes(), reason);
            return Ok(());
        }
        self.write_directories(path)?;
        if self.refusals.refused() {
            return Ok(());
        }
        self.packer.link(path, target, self.stamp.seconds).map_err(BundleError::Output)
    }

    fn file(&mut self, path: &EntryPath, member: Member<'_>) -> Result<(), BundleError> {
        let Member { size, executable, data, .. } = member;
        let fits = if size > self.limits.file_bytes {
            let why = format!("is {} MiB large, {} is the limit", size >> 20, self.limits.file_bytes >> 20);
            Err(Unsafe::new("bundle/too-large", why))
        } else {
            self.survey.enter(path, Kind::File)
        };
        if let Err(reason) = fits {
            self.refuse(path.bytes(), reason);
            return Ok(());
        }
        let mut head = Vec::new();
        data.take(self.survey.wants(path, size)).read_to_end(&mut head).map_err(BundleError::Input)?;
        self.survey.file(path, &head, size, executable, &mut self.refusals);
        self.write_directories(path)?;
        if self.refusals.refused() {
            return Ok(());
        }
        let mut whole = Watched { inner: head.as_slice().chain(data), failed: false };
        let written = self.packer.file(path, executable, size, self.stamp.seconds, &mut whole);
        // A file that ends too early is the archive's fault, and so is what its reader says.
        let by_input = whole.failed;
        written.map_err(|error| {
            let by_input = by_input || error.kind() == io::ErrorKind::UnexpectedEof;
            if by_input { BundleError::Input(error) } else { BundleError::Output(error) }
        })
    }

    /// Leaves the directories that `path` does not lie in, and tells the one it does that it is not empty.
    fn pass_on_to(&mut self, path: &EntryPath) -> Result<(), BundleError> {
        while self.directories.last().is_some_and(|last| !last.path.holds(path)) {
            self.leave()?;
        }
        if let Some(last) = self.directories.last_mut() {
            last.had_children = true;
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), BundleError> {
        let Some(Waiting { path, written, had_children }) = self.directories.pop() else { return Ok(()) };
        if written {
            return Ok(());
        }
        if had_children {
            self.survey.forget(&path);
            return Ok(());
        }
        self.survey.empty(&path, &mut self.refusals);
        self.write_directories(&path)?;
        self.write_directory(&path)
    }

    /// Writes the directories above `path` that still wait.
    fn write_directories(&mut self, path: &EntryPath) -> Result<(), BundleError> {
        for at in 0..self.directories.len() {
            if !self.directories[at].written && self.directories[at].path.holds(path) {
                self.directories[at].written = true;
                let directory = self.directories[at].path.clone();
                self.write_directory(&directory)?;
            }
        }
        Ok(())
    }

    fn write_directory(&mut self, path: &EntryPath) -> Result<(), BundleError> {
        if self.refusals.refused() {
            return Ok(());
        }
        self.packer.directory(path, self.stamp.seconds).map_err(BundleError::Output)
    }

    fn refuse(&mut self, name: &[u8], Unsafe { code, why }: Unsafe) {
        self.refusals.push(Finding::error(code, format!("`{}` {why}", shown(name))));
    }

    /// Refuses at once: to read on would cost what the limit forbids.
    fn stop(&mut self, finding: Finding) -> Result<(), BundleError> {
        self.refusals.push(finding);
        std::mem::take(&mut self.refusals).settle().map(drop)
    }

    fn resemble_root(&mut self, path: &EntryPath, kind: EntryType) {
        if kind == EntryType::Directory {
            let wanted = self.root.text();
            let alike = strsim::jaro_winkler(&path.text(), &wanted);
            let alike = alike.max(if path.name() == self.root.name() { 0.9 } else { 0.0 });
            self.near_root.push((alike, path.shown()));
            self.near_root.sort_by(|one, other| other.0.total_cmp(&one.0));
            self.near_root.truncate(3);
        }
    }

    /// What can only be known when everything has passed.
    fn end(&mut self) -> Result<(), BundleError> {
        while !self.directories.is_empty() {
            self.leave()?;
        }
        if self.root_found {
            self.survey.check(&mut self.refusals);
        } else {
            let message = format!("there is no directory `{}` in the repository", self.root.shown());
            let near: Vec<String> = self.near_root.iter().map(|(_, path)| format!("`{path}`")).collect();
            let help =
                if near.is_empty() { "it has no directories".into() } else { format!("there are {}", near.join(", ")) };
            self.refusals.push(
                Finding::error("bundle/root-missing", message)
                    .help(format!("correct `root` in [target.bundle]: {help}")),
            );
        }
        self.provenance()
    }

    fn provenance(&mut self) -> Result<(), BundleError> {
        let Some(name) = &self.request.rules.provenance else { return Ok(()) };
        let path = EntryPath::parse(name.as_bytes(), self.limits.path_bytes, self.request.format)
            .and_then(|path| self.survey.enter(&path, Kind::File).map(|()| path));
        let path = match path {
            Ok(path) => path,
            Err(Unsafe { code, why }) => {
                let message = format!("`provenance` names `{name}`, which {why}");
                self.refusals.push(Finding::error(code, message).help("name a file that is not in the repository"));
                return Ok(());
            }
        };
        if self.refusals.refused() {
            return Ok(());
        }
        let text = serde_json::json!({
            "repository": self.request.repository,
            "commit": self.request.commit,
            "bundler": format!("landfall bundler {BUNDLER}"),
        });
        let text = format!("{text:#}\n");
        self.packer
            .file(&path, false, text.len() as u64, self.stamp.seconds, &mut text.as_bytes())
            .map_err(BundleError::Output)
    }
}

/// Remembers on which side a copy failed.
struct Watched<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| self.failed = error.kind() != io::ErrorKind::Interrupted)
    }
}

fn special(kind: EntryType) -> &'static str {
    if kind.is_hard_link() {
        "a hard link"
    } else if kind.is_character_special() || kind.is_block_special() {
        "a device file"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_gnu_sparse() {
        "a sparse file"
    } else {
        "no file, directory or link"
    }
}
