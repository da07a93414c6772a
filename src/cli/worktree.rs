//! Lists a directory as the bundle that it would become: by git's index where git keeps it, else by the disk. It writes
//! nothing, and follows no link.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::exit::Trouble;
use crate::bundle::Seen;
use crate::clients::process;
use crate::domain::plainly;

/// What git says of a file that it does not hold.
const UNKNOWN: &str = "add it to git: `git add` it, and commit";
const IGNORED: &str = "git ignores it: make it in a BeforeInstall script, or take it out of .gitignore and commit it";
const UNEXPORTED: &str = "git's archives leave it out: take `export-ignore` away from it in .gitattributes";

/// A directory, listed.
pub(super) struct Worktree {
    dir: PathBuf,
    /// Everything in it, parents before what is in them.
    pub(super) seen: Vec<Seen>,
    /// Whether git told which files there are.
    pub(super) by_git: bool,
}

impl Worktree {
    /// Lists it.
    pub(super) fn list(dir: &Path) -> Result<Self, Trouble> {
        let (seen, by_git) = match indexed(dir) {
            Some(entries) if knows_app_spec(&entries) => (by_git(dir, entries)?, true),
            Some(_) => (not_yet_added(dir).map_err(|error| unreadable(dir, &error))?, false),
            None => {
                let mut seen = Vec::new();
                walk(dir, &mut Vec::new(), &mut seen).map_err(|error| unreadable(dir, &error))?;
                (seen, false)
            }
        };
        Ok(Self { dir: dir.to_owned(), seen, by_git })
    }

    /// Opens a file of it.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<File> {
        File::open(self.dir.join(OsStr::from_bytes(path)))
    }
}

fn unreadable(dir: &Path, error: &io::Error) -> Trouble {
    Trouble::unreachable(format!("`{}` cannot be listed: {}", dir.display(), plainly(error)))
        .help("let this user read it")
}

/// One line of git's index.
struct Indexed {
    mode: String,
    path: Vec<u8>,
}

/// What git's index holds of this directory; nothing where there is no git.
fn indexed(dir: &Path) -> Option<Vec<Indexed>> {
    let listed = git(dir, &["ls-files", "--stage", "-z"], None).ok().filter(|it| it.status.success())?;
    let mut entries: Vec<Indexed> = Vec::new();
    for line in listed.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let mode = String::from_utf8_lossy(&line[..tab]).split(' ').next()?.to_owned();
        let path = line[tab + 1..].to_vec();
        // A conflict has up to three lines of one path.
        if entries.last().is_none_or(|last| last.path != path) {
            entries.push(Indexed { mode, path });
        }
    }
    Some(entries)
}

fn knows_app_spec(entries: &[Indexed]) -> bool {
    entries.iter().any(|it| it.path == b"appspec.yml" || it.path == b"appspec.yaml")
}

/// What git would hold if somebody added everything now, with the disk's modes.
fn not_yet_added(dir: &Path) -> io::Result<Vec<Seen>> {
    let listed = git(dir, &["ls-files", "--cached", "--others", "--exclude-standard", "-z"], None)?;
    let mut all: BTreeMap<Vec<u8>, Seen> = BTreeMap::new();
    for path in listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let at = dir.join(OsStr::from_bytes(path));
        let Ok(about) = fs::symlink_metadata(&at) else { continue };
        for parent in parents(path) {
            all.entry(parent.to_vec()).or_insert_with(|| Seen::Directory { path: parent.to_vec() });
        }
        all.insert(path.to_vec(), one(&at, path.to_vec(), &about, None)?);
    }
    Ok(all.into_values().collect())
}

fn by_git(dir: &Path, entries: Vec<Indexed>) -> Result<Vec<Seen>, Trouble> {
    let left_out = unexported(dir, &entries);
    let within = |path: &[u8]| parents(path).chain([path]).any(|it| left_out.contains(it));
    let mut all: BTreeMap<Vec<u8>, Seen> = BTreeMap::new();
    for Indexed { mode, path } in entries {
        if within(&path) {
            all.insert(path.clone(), Seen::LeftOut { path, help: UNEXPORTED });
            continue;
        }
        let Some(seen) = tracked(dir, &mode, &path).map_err(|error| unreadable(dir, &error))? else { continue };
        for parent in parents(&path) {
            all.entry(parent.to_vec()).or_insert_with(|| Seen::Directory { path: parent.to_vec() });
        }
        all.insert(path, seen);
    }
    for (words, help) in [
        (&["ls-files", "--others", "--exclude-standard", "-z"][..], UNKNOWN),
        (&["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"][..], IGNORED),
    ] {
        let Ok(listed) = git(dir, words, None) else { continue };
        for path in listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let path = path.strip_suffix(b"/").unwrap_or(path).to_vec();
            all.entry(path.clone()).or_insert(Seen::LeftOut { path, help });
        }
    }
    Ok(all.into_values().collect())
}

/// A file of the index as the bundle would hold it; nothing where the disk no longer has it.
fn tracked(dir: &Path, mode: &str, path: &[u8]) -> io::Result<Option<Seen>> {
    let at = dir.join(OsStr::from_bytes(path));
    let path = path.to_vec();
    if mode == "160000" {
        return Ok(Some(Seen::Empty { path }));
    }
    let about = match fs::symlink_metadata(&at) {
        Ok(about) => about,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    one(&at, path, &about, Some(mode == "100755")).map(Some)
}

fn one(at: &Path, path: Vec<u8>, about: &Metadata, executable: Option<bool>) -> io::Result<Seen> {
    Ok(if about.is_symlink() {
        Seen::Link { path, target: fs::read_link(at)?.as_os_str().as_bytes().to_vec() }
    } else if about.is_dir() {
        Seen::Directory { path }
    } else if about.is_file() {
        let executable = executable.unwrap_or(about.permissions().mode() & 0o100 != 0);
        Seen::File { path, bytes: about.len(), executable }
    } else {
        Seen::Special { path }
    })
}

/// The directories above a path, the outermost first.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

/// The files and directories that `.gitattributes` keeps out of archives.
fn unexported(dir: &Path, entries: &[Indexed]) -> BTreeSet<Vec<u8>> {
    let mut asked: BTreeSet<Vec<u8>> = BTreeSet::new();
    for entry in entries {
        asked.insert(entry.path.clone());
        // A pattern for a directory ends with a slash, and so must what it is compared with.
        asked.extend(parents(&entry.path).map(|it| [it, b"/"].concat()));
    }
    let input = asked.into_iter().flat_map(|path| [path, vec![0]].concat()).collect();
    let Ok(told) = git(dir, &["check-attr", "-z", "--stdin", "export-ignore"], Some(input)) else {
        return BTreeSet::new();
    };
    let words: Vec<&[u8]> = told.stdout.split(|byte| *byte == 0).collect();
    let set = words.chunks_exact(3).filter(|it| it[2] == b"set");
    set.map(|it| it[0].strip_suffix(b"/").unwrap_or(it[0]).to_vec()).collect()
}

/// Runs git in a directory to its end.
pub(super) fn git(dir: &Path, words: &[&str], input: Option<Vec<u8>>) -> io::Result<Output> {
    let mut command = process::blocking_program("git");
    command.arg("-C").arg(dir).args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn()?;
    // git answers while it reads: whoever writes first and reads then would wait for ever.
    let writer = child.stdin.take().zip(input).map(|(mut to, bytes)| std::thread::spawn(move || to.write_all(&bytes)));
    let output = child.wait_with_output()?;
    if let Some(writer) = writer {
        // git closes its input early only when it fails, which its status says.
        let _ = writer.join();
    }
    Ok(output)
}

/// Everything below a directory that git does not keep.
fn walk(dir: &Path, path: &mut Vec<u8>, seen: &mut Vec<Seen>) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        let about = entry.metadata()?;
        let here = one(&entry.path(), path.clone(), &about, None)?;
        let directory = matches!(here, Seen::Directory { .. });
        seen.push(here);
        if directory {
            walk(&entry.path(), path, seen)?;
        }
        path.truncate(length);
    }
    Ok(())
}
