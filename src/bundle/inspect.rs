//! Looks at a tree that somebody lists, as the pass would look at its archive. It makes no bundle, and reads no more of
//! a file than a finding needs.

use std::io::Read;

use crate::appspec::ServerSpec;
use crate::domain::{BundleFormat, Finding, Findings, plainly};

use super::error::BundleError;
use super::path::{EntryPath, Unsafe, shown};
use super::refusals::Refusals;
use super::request::Limits;
use super::survey::Survey;
use super::tree::Kind;

/// One thing of the tree, its path relative to the bundle's root.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A file.
    File {
        /// Its path.
        path: Vec<u8>,
        /// Its length.
        bytes: u64,
        /// Whether its owner may run it.
        executable: bool,
    },
    /// A directory.
    Directory {
        /// Its path.
        path: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Its path.
        path: Vec<u8>,
        /// What it points to.
        target: Vec<u8>,
    },
    /// A directory of which the archive holds nothing, such as a submodule.
    Empty {
        /// Its path.
        path: Vec<u8>,
    },
    /// What lies there and does not come into the bundle.
    LeftOut {
        /// Its path.
        path: Vec<u8>,
        /// What to do, if it is wanted.
        help: &'static str,
    },
    /// What no archive of git's can hold: a pipe, a socket, a device.
    Special {
        /// Its path.
        path: Vec<u8>,
    },
}

impl Seen {
    /// Its path.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::File { path, .. } | Self::Directory { path } | Self::Link { path, .. } => path,
            Self::Empty { path } | Self::LeftOut { path, .. } | Self::Special { path } => path,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Inspected {
    /// How many files and links there were.
    pub files: u64,
    /// What a person should change.
    pub findings: Findings,
}

/// Looks at everything that `seen` lists, parents before what is in them. `open` opens a file of the tree, `root` is
/// the tree's name for people.
pub fn inspect<R: Read>(
    spec: Option<&ServerSpec>,
    format: BundleFormat,
    root: &str,
    seen: impl IntoIterator<Item = Seen>,
    open: impl Fn(&[u8]) -> std::io::Result<R>,
) -> Inspected {
    let mut look = Look {
        survey: Survey::new(spec, format, root),
        refusals: Refusals::default(),
        format,
        longest: Limits::default().path_bytes,
        files: 0,
    };
    for one in seen {
        if let Err((path, Unsafe { code, why })) = look.one(one, &open) {
            look.refusals.push(Finding::error(code, format!("`{}` {why}", shown(&path))));
        }
    }
    look.survey.check(&mut look.refusals);
    let findings = match look.refusals.settle() {
        Ok(findings) => Findings(findings),
        Err(BundleError::Refused(findings)) => findings,
        Err(other) => Findings(vec![Finding::error("bundle/unreadable", other.to_string())]),
    };
    Inspected { files: look.files, findings }
}

struct Look {
    survey: Survey,
    refusals: Refusals,
    format: BundleFormat,
    longest: usize,
    files: u64,
}

impl Look {
    fn one<R: Read>(
        &mut self,
        seen: Seen,
        open: &impl Fn(&[u8]) -> std::io::Result<R>,
    ) -> Result<(), (Vec<u8>, Unsafe)> {
        match seen {
            Seen::Directory { path } => {
                let at = self.path(&path)?;
                self.survey.enter(&at, Kind::Directory).map_err(|reason| (path, reason))
            }
            Seen::Empty { path } => {
                let at = self.path(&path)?;
                self.survey.enter(&at, Kind::Directory).map_err(|reason| (path, reason))?;
                self.survey.empty(&at, &mut self.refusals);
                Ok(())
            }
            Seen::Link { path, target } => {
                self.files += 1;
                let at = self.path(&path)?;
                self.survey.link(&at, &target).map_err(|reason| (path, reason))
            }
            Seen::LeftOut { path, help } => {
                // A name that no bundle could have is missed by nobody.
                if let Ok(at) = self.path(&path) {
                    self.survey.leave_out(&at, help);
                }
                Ok(())
            }
            Seen::Special { path } => {
                let why =
                    Unsafe::new("bundle/special-file", "is no file, directory or link, and neither engine installs it");
                Err((path, why))
            }
            Seen::File { path, bytes, executable } => {
                self.files += 1;
                let at = self.path(&path)?;
                self.survey.enter(&at, Kind::File).map_err(|reason| (path.clone(), reason))?;
                let wanted = self.survey.wants(&at, bytes);
                let mut head = Vec::new();
                if wanted > 0 {
                    let read = open(&path).and_then(|file| file.take(wanted).read_to_end(&mut head));
                    if let Err(error) = read {
                        let finding = Finding::error(
                            "bundle/input",
                            format!("`{}` cannot be read: {}", at.shown(), plainly(&error)),
                        );
                        self.refusals.push(finding.at(self.survey.at(&at)).help("let this user read it"));
                        return Ok(());
                    }
                }
                self.survey.file(&at, &head, bytes, executable, &mut self.refusals);
                Ok(())
            }
        }
    }

    fn path(&self, path: &[u8]) -> Result<EntryPath, (Vec<u8>, Unsafe)> {
        EntryPath::parse(path, self.longest, self.format).map_err(|reason| (path.to_vec(), reason))
    }
}
