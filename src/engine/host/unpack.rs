//! Brings a bundle into the run's directory (R1, R3, R11): copied, checked against its digest, unpacked, stripped.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::error::HostError;
use super::intent::{BundleType, RunIntent};
use super::layout::RunDir;
use super::unpack_entries::{Entries, MOST_BYTES, broken, stays_inside};
use super::unpack_tar;
use crate::domain::{Failure, plainly};

/// How much of a bundle is read at once.
const READ: usize = 128 * 1024;

/// Unpacks the bundle into [`RunDir::unpacking`] and returns what a person should know. What is left of a failure is
/// removed.
pub(super) fn unpack(intent: &RunIntent, dir: &RunDir) -> Result<Vec<String>, Failure> {
    let into = dir.unpacking();
    let result = bring(intent, dir, &into);
    if result.is_err() {
        // The failure that is told is the first one.
        let _ = fs::remove_dir_all(&into);
        let _ = fs::remove_file(dir.bundle());
    }
    result
}

fn bring(intent: &RunIntent, dir: &RunDir, into: &Path) -> Result<Vec<String>, Failure> {
    if into.exists() {
        fs::remove_dir_all(into).map_err(|error| broken(into, &error))?;
    }
    let raw = into.join("raw");
    let mut warnings = Vec::new();
    match intent.bundle_type {
        BundleType::Directory => directory(&intent.bundle, &raw)?,
        BundleType::Tgz | BundleType::Tar | BundleType::Zip => {
            let copy = dir.bundle();
            take(intent, &copy).map_err(|error| HostError::on("read the bundle", &intent.bundle)(error).failure())?;
            // Hashing takes as long as unpacking, so both are done at once. What was unpacked of a bundle that is not
            // the one meant is removed, and the digest is what is told: such a bundle may well be unreadable, too.
            let (checked, unpacked) = thread::scope(|scope| {
                let checking = scope.spawn(|| check_digest(intent, &copy));
                let unpacked = archive(&copy, &raw, MOST_BYTES, &mut warnings);
                (checking.join().unwrap_or_else(|panic| resume_unwind(panic)), unpacked)
            });
            checked?;
            unpacked?;
        }
    }
    let root = single_directory(&raw).unwrap_or(raw);
    let stripped = into.join("root");
    fs::rename(&root, &stripped).map_err(|error| broken(&stripped, &error))?;
    // Hooks of other users must be able to enter it.
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755)).map_err(|error| broken(&stripped, &error))?;
    Ok(warnings)
}

/// Brings the bundle into the run's directory: as a second name where its digest is known, for then it lies in a store
/// whose bundles are never written to again; else, or on another filesystem, as a copy.
fn take(intent: &RunIntent, copy: &Path) -> io::Result<()> {
    let is_file = fs::symlink_metadata(&intent.bundle)?.is_file();
    if intent.sha256.is_some() && is_file && fs::hard_link(&intent.bundle, copy).is_ok() {
        return Ok(());
    }
    fs::copy(&intent.bundle, copy).map(drop)
}

fn check_digest(intent: &RunIntent, copy: &Path) -> Result<(), Failure> {
    let Some(expected) = &intent.sha256 else { return Ok(()) };
    let mut file = File::open(copy).map_err(|error| broken(copy, &error))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(|error| broken(copy, &error))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    let found = hex::encode(hash.finalize());
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Failure::setup(
        "host/digest",
        format!("the bundle `{}` changed: its SHA-256 was {expected} and is {found}", intent.bundle.display()),
    )
    .help("deploy again"))
}

/// Unpacks an archive of any known format below `into`, nothing outside of it, and no more than so many bytes: as a run
/// does with its bundle, for those who try what an archive can do.
pub fn unpack_archive(path: &Path, into: &Path, most_bytes: u64) -> Result<(), Failure> {
    archive(path, into, most_bytes, &mut Vec::new())
}

/// Unpacks by what the bytes are, not by what they are called (D28).
fn archive(path: &Path, into: &Path, most_bytes: u64, warnings: &mut Vec<String>) -> Result<(), Failure> {
    let open = || File::open(path).map_err(|error| broken(path, &error));
    let mut magic = [0; 2];
    let known = open()?.read_exact(&mut magic).is_ok();
    match magic {
        [0x1f, 0x8b] if known => {
            unpack_tar::unpack(MultiGzDecoder::new(BufReader::with_capacity(READ, open()?)), into, most_bytes)
        }
        [b'P', b'K'] if known => zip(open()?, into, most_bytes, warnings),
        _ => unpack_tar::unpack(BufReader::with_capacity(READ, open()?), into, most_bytes),
    }
}

pub(super) fn unreadable(error: impl std::error::Error) -> Failure {
    Failure::setup("host/bundle-unreadable", format!("the bundle is no readable archive: {}", plainly(&error)))
        .help("deploy the commit again, so that it is bundled anew")
}

fn zip(input: File, into: &Path, most_bytes: u64, warnings: &mut Vec<String>) -> Result<(), Failure> {
    const LONGEST_LINK: u64 = 4096;
    let mut entries = Entries::new(into, most_bytes)?;
    let mut archive = zip::ZipArchive::new(BufReader::with_capacity(READ, input)).map_err(unreadable)?;
    let mut finder = false;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = PathBuf::from(entry.name().map_err(unreadable)?.into_owned());
        if name.starts_with("__MACOSX") {
            finder = true;
            continue;
        }
        let kind = entry.unix_mode().unwrap_or(0) & 0o170_000;
        let mode = entry.unix_mode().map_or(0o644, |mode| mode & 0o7777);
        if entry.is_dir() {
            entries.directory(&name, if kind == 0 { 0o755 } else { mode })?;
        } else if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry).take(LONGEST_LINK).read_to_string(&mut target).map_err(unreadable)?;
            entries.link(&name, Path::new(&target))?;
        } else if matches!(kind, 0 | 0o100_000) {
            entries.file(&name, mode, None, &mut entry)?;
        } else {
            return Err(entries.special(&name));
        }
    }
    if finder {
        warnings.push("the zip has a `__MACOSX` folder, which was left out".into());
    }
    entries.finish()
}

/// Copies a directory as if it had been an archive. Links that leave it are refused.
fn directory(from: &Path, into: &Path) -> Result<(), Failure> {
    let mut entries = Entries::new(into, MOST_BYTES)?;
    let mut ahead = vec![PathBuf::new()];
    while let Some(folder) = ahead.pop() {
        let place = from.join(&folder);
        let listing = fs::read_dir(&place).map_err(|error| HostError::on("read", &place)(error).failure())?;
        for found in listing {
            let found = found.map_err(|error| HostError::on("read", &place)(error).failure())?;
            let name = folder.join(found.file_name());
            let path = found.path();
            let unread = |error: io::Error| HostError::on("read", &path)(error).failure();
            let about = fs::symlink_metadata(&path).map_err(unread)?;
            let mode = about.permissions().mode();
            if about.is_dir() {
                entries.directory(&name, mode)?;
                ahead.push(name);
            } else if about.is_file() {
                let mut file = File::open(&path).map_err(unread)?;
                entries.file(&name, mode, about.modified().ok(), &mut file)?;
            } else if about.is_symlink() {
                entries.link(&name, &fs::read_link(&path).map_err(unread)?)?;
            } else {
                return Err(entries.special(&name));
            }
        }
    }
    entries.finish()
}

/// The one directory that is all there is, if an AppSpec lies in it (R3).
fn single_directory(root: &Path) -> Option<PathBuf> {
    let mut listing = fs::read_dir(root).ok()?;
    let only = listing.next()?.ok()?;
    let single = listing.next().is_none() && only.file_type().is_ok_and(|kind| kind.is_dir());
    let is_appspec = |name: &std::ffi::OsStr| name.to_string_lossy().to_lowercase().contains("appspec");
    let named = || fs::read_dir(only.path()).ok()?.flatten().find(|it| is_appspec(&it.file_name()));
    (single && named().is_some()).then(|| only.path())
}

/// Finds the AppSpec of an unpacked revision: the name asked for, else `appspec.yml`, else `appspec.yaml`.
pub(super) fn find_appspec(archive: &Path, asked: Option<&str>) -> Result<(String, String), Failure> {
    let names: Vec<&str> = asked.map_or_else(|| vec!["appspec.yml", "appspec.yaml"], |name| vec![name]);
    let there: Vec<&str> = names.iter().copied().filter(|name| archive.join(name).is_file()).collect();
    match there[..] {
        [name] if stays_inside(archive, Path::new(name)) => {
            let text = fs::read(archive.join(name)).map_err(|error| broken(&archive.join(name), &error))?;
            let text = String::from_utf8(text).map_err(|_| {
                Failure::revision("host/appspec", format!("`{name}` is not UTF-8 text")).help("save it as UTF-8")
            })?;
            Ok((name.to_owned(), text))
        }
        [_, _, ..] => Err(Failure::revision("host/two-appspecs", "both `appspec.yml` and `appspec.yaml` are there")
            .help("remove one of them")),
        _ => {
            let found = nested_appspec(archive, 3);
            let found = found.map_or_else(String::new, |path| format!("; found `{}`", path.display()));
            Err(Failure::revision(
                "host/appspec-missing",
                format!("there is no `{}` at the root of the bundle{found}", names[0]),
            )
            .help("put it at the root, or set the target's `bundle.root` to its directory"))
        }
    }
}

fn nested_appspec(archive: &Path, depth: u32) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for found in fs::read_dir(archive).ok()?.flatten() {
        let name = found.file_name();
        if found.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(found.path());
        } else if matches!(name.to_str(), Some("appspec.yml" | "appspec.yaml")) {
            return Some(PathBuf::from(name));
        }
    }
    folders.sort();
    let below = |folder: PathBuf| {
        Some(PathBuf::from(folder.file_name()?).join(nested_appspec(&folder, depth.checked_sub(1)?)?))
    };
    folders.into_iter().find_map(below)
}
