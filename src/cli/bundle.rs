//! `landfall bundle`: the exact bundle that would be deployed, into a file. It sends nothing anywhere, and leaves no half
//! of a bundle behind.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Args, ValueEnum};
use tar::{EntryType, Header};

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome, Trouble};
use super::findings::{Format, count, render};
use super::terminal::{BOLD, say, styled, talk};
use super::worktree::{Worktree, git};
use crate::appspec::{AppSpec, Os, ServerSpec, parse_bytes};
use crate::bundle::{BundleError, Bundled, Limits, Request, Seen, rebundle};
use crate::clients::process;
use crate::config::Environment;
use crate::domain::{BundleFormat, BundleRules, CommitSha, Findings, RepositoryName, Severity, TargetName, plainly};

/// The commit that a directory without git is said to be of.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// A directory, or a git repository of which HEAD or REV is bundled, as in `.@v1.2`
    #[arg(value_name = "PATH|REPO[@REV]")]
    what: String,

    /// Where the bundle goes
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// The format; tgz for linux and zip for windows, unless the target says otherwise
    #[arg(long, value_enum)]
    format: Option<Form>,

    /// Bundle by the rules of this target of the configuration: its root, what it leaves out, its format
    #[arg(long, value_name = "NAME")]
    target: Option<String>,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Tgz,
    Tar,
    Zip,
}

impl From<Form> for BundleFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Tgz => Self::Tgz,
            Form::Tar => Self::Tar,
            Form::Zip => Self::Zip,
        }
    }
}

/// What is bundled.
enum Origin {
    /// A commit of a repository, whose top is `top`.
    Commit { top: PathBuf, commit: CommitSha },
    /// A directory without git.
    Directory(PathBuf),
}

/// By which rules.
struct Rules {
    rules: BundleRules,
    repository: RepositoryName,
}

pub(super) fn run(args: &BundleArgs, environment: &Environment) -> Outcome {
    let (path, revision) = named(&args.what);
    let (origin, prefix) = origin(&path, revision.as_deref())?;
    let Rules { rules, repository } = rules(args, environment, prefix)?;
    let (spec, told) = app_spec(&origin, &rules.root)?;
    let usual = if spec.os == Os::Windows { BundleFormat::Zip } else { BundleFormat::Tgz };
    let format = args.format.map(BundleFormat::from).or(rules.format).unwrap_or(usual);
    let commit = match &origin {
        Origin::Commit { commit, .. } => commit.clone(),
        Origin::Directory(_) => CommitSha::parse(NO_COMMIT).map_err(|unfit| Trouble::wrong(unfit.to_string()))?,
    };
    let request = Request { commit, repository, rules, format, spec: Some(spec) };
    let (bundled, findings) = write(&origin, &request, &args.output)?;
    let mut told = told;
    told.0.extend(findings);
    told.0.retain(|it| it.severity != Severity::Style);
    talk(&render(&told, Format::Human, &|file| text_of(&origin, file)));
    let Some(Bundled { sha256, bytes, files, .. }) = bundled else {
        return Err(Trouble::wrong(format!("`{}` cannot be bundled: {}", args.what, count(&told)))
            .help("correct the findings above; `landfall check` shows them without bundling"));
    };
    if let (Origin::Commit { top, .. }, None) = (&origin, &revision) {
        warn_of_changes(top);
    }
    let of = match &origin {
        Origin::Commit { commit, .. } => format!("commit {}", commit.short()),
        Origin::Directory(_) => "a directory without git".to_owned(),
    };
    let kind = format.extension();
    let wrote = styled(BOLD, &args.output.display().to_string());
    say(&format!("{wrote}: {kind} of {of}, {files} files, {bytes} bytes, sha256 {sha256}\n"));
    Ok(Exit::Done)
}

/// The path, and the revision behind an `@`, unless the whole is a path.
fn named(what: &str) -> (PathBuf, Option<String>) {
    match what.rsplit_once('@') {
        Some((path, revision)) if !Path::new(what).exists() => {
            (PathBuf::from(if path.is_empty() { "." } else { path }), Some(revision.to_owned()))
        }
        _ => (PathBuf::from(what), None),
    }
}

/// What lies there, and where in its repository that is.
fn origin(path: &Path, revision: Option<&str>) -> Result<(Origin, String), Trouble> {
    if !path.is_dir() {
        return Err(Trouble::wrong(format!("there is no directory `{}`", path.display()))
            .help("name a directory or a git repository on this machine, as in `landfall bundle .@main -o site.tgz`"));
    }
    let Some(bare) = ask(path, &["rev-parse", "--is-bare-repository"])? else {
        return match revision {
            None => Ok((Origin::Directory(path.to_owned()), String::new())),
            Some(_) => Err(Trouble::wrong(format!("`{}` is no git repository, and has no revisions", path.display()))
                .help("leave out what stands behind `@`")),
        };
    };
    let (top, prefix) = if bare == "true" {
        (path.to_owned(), String::new())
    } else {
        let top = ask(path, &["rev-parse", "--show-toplevel"])?.unwrap_or_default();
        let prefix = ask(path, &["rev-parse", "--show-prefix"])?.unwrap_or_default();
        (PathBuf::from(top), prefix.trim_end_matches('/').to_owned())
    };
    let revision = revision.unwrap_or("HEAD");
    let peeled = format!("{revision}^{{commit}}");
    let found = ask(&top, &["rev-parse", "--verify", "--quiet", "--end-of-options", &peeled])?;
    match found.map(|id| CommitSha::parse(&id)) {
        Some(Ok(commit)) => Ok((Origin::Commit { top, commit }, prefix)),
        Some(Err(unfit)) => Err(Trouble::unreachable(unfit.to_string())),
        None => Err(Trouble::wrong(format!("`{}` has no commit `{revision}`", path.display()))
            .help("name a branch, a tag or a commit behind `@`; commit first, if there is none yet")),
    }
}

/// git's answer to a question that it may answer with no.
fn ask(dir: &Path, words: &[&str]) -> Result<Option<String>, Trouble> {
    let answer = git(dir, words, None).map_err(|error| no_git(&error))?;
    let text = String::from_utf8_lossy(&answer.stdout).trim_end_matches('\n').to_owned();
    Ok(answer.status.success().then_some(text))
}

fn no_git(error: &io::Error) -> Trouble {
    Trouble::unreachable(format!("git cannot be started: {}", plainly(error))).help("install git")
}

fn rules(args: &BundleArgs, environment: &Environment, prefix: String) -> Result<Rules, Trouble> {
    let Some(name) = &args.target else {
        let repository = RepositoryName::parse("local/bundle").map_err(|unfit| Trouble::wrong(unfit.to_string()))?;
        let rules = BundleRules { root: prefix, exclude: vec![], format: None, provenance: None };
        return Ok(Rules { rules, repository });
    };
    let config = args.config.load(environment)?;
    let wanted = TargetName::parse(name).map_err(|unfit| Trouble::wrong(unfit.to_string()))?;
    let names = || config.targets.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
    match config.targets.iter().find(|it| it.name == wanted) {
        Some(target) => Ok(Rules { rules: target.bundle.clone(), repository: target.repository.clone() }),
        None => Err(Trouble::wrong(format!("no target is called `{name}`")).help(format!("there are {}", names()))),
    }
}

/// The AppSpec at the bundle's root. What refuses it refuses the bundle.
fn app_spec(origin: &Origin, root: &str) -> Result<(ServerSpec, Findings), Trouble> {
    let within = |name: &str| if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") };
    let found = ["appspec.yml", "appspec.yaml"].into_iter().find_map(|name| {
        let name = within(name);
        read(origin, &name).map(|bytes| (name, bytes))
    });
    let Some((name, bytes)) = found else {
        return Err(Trouble::wrong(format!("there is no `{}`", within("appspec.yml")))
            .help("commit one there, or name the directory that holds one; `landfall init` writes one to begin with"));
    };
    match parse_bytes(&bytes, &name) {
        (Some(AppSpec::Server(spec)), findings) => Ok((spec, findings)),
        (Some(AppSpec::Lambda(_) | AppSpec::Ecs(_)), _) => {
            Err(Trouble::wrong(format!("`{name}` is for Lambda or ECS, where the AppSpec itself is what is deployed"))
                .help("hand the file to CodeDeploy as it is"))
        }
        (None, findings) => {
            talk(&render(&findings, Format::Human, &|file| text_of(origin, file)));
            Err(Trouble::wrong(format!("`{name}` cannot be deployed: {}", count(&findings)))
                .help("correct the findings above"))
        }
    }
}

/// A file of what is bundled.
fn read(origin: &Origin, name: &str) -> Option<Vec<u8>> {
    match origin {
        Origin::Directory(dir) => fs::read(dir.join(name)).ok(),
        Origin::Commit { top, commit } => {
            let told = git(top, &["cat-file", "blob", &format!("{commit}:{name}")], None).ok()?;
            told.status.success().then_some(told.stdout)
        }
    }
}

fn text_of(origin: &Origin, name: &str) -> Option<String> {
    read(origin, name).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Writes the bundle under another name first, so that the file is whole or not there. No bundle comes back where the
/// findings refuse it.
fn write(
    origin: &Origin,
    request: &Request,
    output: &Path,
) -> Result<(Option<Bundled>, Vec<crate::domain::Finding>), Trouble> {
    let cannot = |error: &io::Error| {
        Trouble::unreachable(format!("`{}` cannot be written: {}", output.display(), plainly(error)))
            .help("check that the directory is there and may be written to")
    };
    let dir = output.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = tempfile::Builder::new().prefix(".landfall-").tempfile_in(dir).map_err(|error| cannot(&error))?;
    let done = match origin {
        Origin::Commit { top, commit } => archived(top, commit, request, part.as_file_mut())?,
        Origin::Directory(dir) => rebundle(listed(dir)?, part.as_file_mut(), request, &Limits::default()),
    };
    let bundled = match done {
        Ok(bundled) => bundled,
        Err(BundleError::Refused(findings)) => return Ok((None, findings.0)),
        Err(BundleError::Output(error)) => return Err(cannot(&error)),
        Err(other) => return Err(Trouble::unreachable(other.to_string())),
    };
    part.as_file().sync_all().map_err(|error| cannot(&error))?;
    part.persist(output).map_err(|error| cannot(&error.error))?;
    let findings = bundled.findings.clone();
    Ok((Some(bundled), findings))
}

/// git's own archive of the commit, bundled while it comes.
fn archived(
    top: &Path,
    commit: &CommitSha,
    request: &Request,
    output: &mut File,
) -> Result<Result<Bundled, BundleError>, Trouble> {
    let mut command = process::blocking_program("git");
    command.arg("-C").arg(top).args(["archive", "--format=tar", "--prefix=archive/", commit.as_str()]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| no_git(&error))?;
    let Some(archive) = child.stdout.take() else { return Err(Trouble::unreachable("git has no output")) };
    let done = rebundle(archive, output, request, &Limits::default());
    let mut complaint = String::new();
    if let Some(mut errors) = child.stderr.take() {
        let _ = errors.read_to_string(&mut complaint);
    }
    let status = child.wait().map_err(|error| no_git(&error))?;
    // Where the bundle was refused early, git only saw its reader go.
    if !status.success() && done.is_ok() {
        return Err(Trouble::unreachable(format!("git made no archive: {}", complaint.trim())));
    }
    Ok(done)
}

/// A directory as git would archive it.
fn listed(dir: &Path) -> Result<File, Trouble> {
    let cannot = |error: io::Error| {
        Trouble::unreachable(format!("`{}` cannot be read: {}", dir.display(), plainly(&error)))
            .help("let this user read it")
    };
    let tree = Worktree::list(dir)?;
    let mut file = tempfile::tempfile().map_err(cannot)?;
    archive(&tree, dir, &mut file).map_err(cannot)?;
    io::Seek::rewind(&mut file).map_err(cannot)?;
    Ok(file)
}

fn archive(tree: &Worktree, dir: &Path, to: &mut File) -> io::Result<()> {
    let mut newest = 0;
    let mut entries: BTreeMap<Vec<u8>, &Seen> = BTreeMap::new();
    for seen in &tree.seen {
        let path = seen.path();
        let changed = fs::symlink_metadata(dir.join(OsStr::from_bytes(path)))?.mtime();
        newest = newest.max(u64::try_from(changed).unwrap_or_default());
        entries.insert(path.to_vec(), seen);
    }
    let mut tar = tar::Builder::new(io::BufWriter::new(to));
    let comment = format!("52 comment={NO_COMMIT}\n");
    let mut global = header(EntryType::XGlobalHeader, comment.len() as u64, newest);
    tar.append_data(&mut global, "pax_global_header", comment.as_bytes())?;
    tar.append_data(&mut header(EntryType::Directory, 0, newest), "archive/", io::empty())?;
    for (path, seen) in entries {
        let name = PathBuf::from(OsStr::from_bytes(&[b"archive/", path.as_slice()].concat()));
        match seen {
            Seen::Directory { .. } | Seen::Empty { .. } => {
                tar.append_data(&mut header(EntryType::Directory, 0, newest), name.join(""), io::empty())?;
            }
            Seen::Link { target, .. } => {
                let target = Path::new(OsStr::from_bytes(target));
                tar.append_link(&mut header(EntryType::Symlink, 0, newest), name, target)?;
            }
            Seen::Special { .. } => tar.append_data(&mut header(EntryType::Fifo, 0, newest), name, io::empty())?,
            Seen::LeftOut { .. } => {}
            Seen::File { executable, .. } => {
                let file = tree.open(&path)?;
                let bytes = file.metadata()?.len();
                let mut header = header(EntryType::Regular, bytes, newest);
                header.set_mode(if *executable { 0o755 } else { 0o644 });
                tar.append_data(&mut header, name, file.take(bytes))?;
            }
        }
    }
    tar.into_inner()?.flush()
}

fn header(kind: EntryType, bytes: u64, seconds: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mtime(seconds);
    header.set_mode(0o755);
    header
}

/// Who has changed something expects it in the bundle.
fn warn_of_changes(top: &Path) {
    let changed = ask(top, &["status", "--porcelain", "--untracked-files=no"]).ok().flatten().unwrap_or_default();
    let count = changed.lines().count();
    if count > 0 {
        let files = if count == 1 { "1 changed file is" } else { &format!("{count} changed files are") };
        talk(&format!("{files} bundled as committed, not as on the disk: commit to bundle them\n"));
    }
}
