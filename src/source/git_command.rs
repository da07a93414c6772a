//! One git command: a clean environment, a time limit, an exit status that is looked at. It never asks a person.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::SourceError;
use super::git::Found;
use super::kind::ByteStream;
use crate::clients::process;
use crate::domain::{CommitSha, plainly};

/// Nothing that only reads a local repository takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A first mirror of a large repository over a slow line.
const FETCH_WITHIN: Duration = Duration::from_secs(30 * 60);
/// How long an archive may stand still.
const SILENT_AT_MOST: Duration = Duration::from_secs(120);
const CHUNK: usize = 64 << 10;
const COMPLAINT_AT_MOST: u64 = 16 << 10;

/// What a caller's environment (a git hook's, above all) must not decide: `git rev-parse --local-env-vars` and more.
const NOT_INHERITED: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
    "GIT_PUSH_OPTION_COUNT",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_ATTR_SOURCE",
    "GIT_ATTR_NOSYSTEM",
    "GIT_EXTERNAL_DIFF",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "GIT_PROXY_COMMAND",
    "GIT_REDIRECT_STDIN",
    "GIT_REDIRECT_STDOUT",
    "GIT_REDIRECT_STDERR",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_CURL_VERBOSE",
];

/// Commands in one repository.
pub(super) struct Git {
    dir: PathBuf,
    /// The repository as people may read it: its URL without user and password.
    what: String,
    /// What is taken out of git's own words.
    secret: Option<String>,
}

impl Git {
    pub(super) fn new(dir: PathBuf, url: &str) -> Self {
        let (what, secret) = match Url::parse(url) {
            Ok(mut parsed) if parsed.password().is_some() || parsed.scheme().starts_with("http") => {
                let secret = parsed.password().or(Some(parsed.username())).filter(|it| !it.is_empty());
                let secret = secret.map(str::to_owned);
                // Both fail only for addresses without a host, which have no user either.
                let _ = parsed.set_username("");
                let _ = parsed.set_password(None);
                (parsed.to_string(), secret)
            }
            Ok(_) | Err(_) => (url.to_owned(), None),
        };
        Self { dir, what, secret }
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    pub(super) fn broken(&self, why: String) -> SourceError {
        SourceError::Broken { what: self.what.clone(), why }
    }

    /// The standard output of a command that must end well.
    pub(super) async fn output(&self, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let ended = self.run(args, None, ANSWER_WITHIN).await?;
        if ended.status.success() { Ok(ended.output) } else { Err(self.complaint(&ended.complaint)) }
    }

    /// Its lines.
    pub(super) async fn lines(&self, args: &[&str]) -> Result<Vec<String>, SourceError> {
        Ok(String::from_utf8_lossy(&self.output(args).await?).lines().map(str::to_owned).collect())
    }

    /// Brings branches and tags over from `url`, and removes what is gone there. Inside, git's complaint.
    pub(super) async fn fetch(&self, url: &str) -> Result<Result<(), String>, SourceError> {
        let whole = ["fetch", "--quiet", "--prune", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head"];
        let what = ["--end-of-options", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let ended = self.run(&[&whole[..], &what].concat(), None, FETCH_WITHIN).await?;
        Ok(if ended.status.success() { Ok(()) } else { Err(ended.complaint) })
    }

    /// The object of that name, if there is one.
    pub(super) async fn object(&self, name: &str, follow_links: bool) -> Result<Option<Found>, SourceError> {
        let mut args = vec!["cat-file", "--batch-check"];
        if follow_links {
            args.push("--follow-symlinks");
        }
        let ended = self.run(&args, Some(format!("{name}\n")), ANSWER_WITHIN).await?;
        if !ended.status.success() {
            return Err(self.complaint(&ended.complaint));
        }
        let told = String::from_utf8_lossy(&ended.output);
        let mut words = told.lines().next().unwrap_or_default().split(' ');
        // Anything else says in words that there is none: `… missing`, `dangling …`, `notdir …`.
        Ok(match (words.next().map(CommitSha::parse), words.next(), words.next().map(str::parse), words.next()) {
            (Some(Ok(id)), Some(kind), Some(Ok(bytes)), None) => Some(Found { id, kind: kind.to_owned(), bytes }),
            _ => None,
        })
    }

    /// Whether `commit` is `head` or lies behind it.
    pub(super) async fn is_ancestor(&self, commit: &CommitSha, head: &CommitSha) -> Result<bool, SourceError> {
        let args = ["merge-base", "--is-ancestor", commit.as_str(), head.as_str()];
        let ended = self.run(&args, None, ANSWER_WITHIN).await?;
        match ended.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            Some(_) | None => Err(self.complaint(&ended.complaint)),
        }
    }

    /// The standard output as it comes. That it was whole is known at its end: until then an error may follow.
    pub(super) fn stream(&self, args: &[&str]) -> Result<ByteStream, SourceError> {
        let (child, output, complaint) = self.spawn(args, Stdio::null())?;
        let running = Running { child, output, complaint: Some(complaint), bytes: 0 };
        Ok(stream::unfold(Some(running), |running| async {
            let mut running = running?;
            match running.chunk().await {
                Ok(None) => None,
                Ok(Some(chunk)) => Some((Ok(chunk), Some(running))),
                Err(why) => Some((Err(SourceError::Cut { bytes: running.bytes, why }), None)),
            }
        })
        .boxed())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = process::program("git");
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command
            .current_dir("/")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("LC_ALL", "C")
            // The bot need not own the repository that it reads.
            .args(["-c", "safe.directory=*", "-c", "core.autocrlf=false", "-c", "core.attributesFile=/dev/null"])
            .args(["-c", "tar.umask=0022", "-c", "core.fsmonitor=false"])
            // Where a redirect leads is judged before it is followed.
            .args(["-c", "http.followRedirects=false"])
            .arg("--git-dir")
            .arg(&self.dir)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn spawn(&self, args: &[&str], stdin: Stdio) -> Result<(Child, ChildStdout, JoinHandle<String>), SourceError> {
        let mut child = self.command(args).stdin(stdin).spawn().map_err(|error| no_git(&error))?;
        let output = child.stdout.take().expect("standard output is a pipe");
        let mut errors = child.stderr.take().expect("standard error is a pipe");
        let complaint = tokio::spawn(async move {
            let mut kept = Vec::new();
            let _ = (&mut errors).take(COMPLAINT_AT_MOST).read_to_end(&mut kept).await;
            // A full pipe would stop git.
            let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&kept).into_owned()
        });
        Ok((child, output, complaint))
    }

    async fn run(&self, args: &[&str], input: Option<String>, limit: Duration) -> Result<Ended, SourceError> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let (mut child, mut stdout, complaint) = self.spawn(args, stdin)?;
        let whole = async {
            if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
                // A command that ends before it has read all says why by itself.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            let mut output = Vec::new();
            stdout.read_to_end(&mut output).await?;
            Ok::<_, std::io::Error>((child.wait().await?, output))
        };
        match timeout(limit, whole).await {
            Ok(Ok((status, output))) => Ok(Ended { status, output, complaint: complaint.await.unwrap_or_default() }),
            Ok(Err(error)) => Err(self.broken(error.to_string())),
            Err(_) => Err(SourceError::Unavailable {
                what: self.what.clone(),
                why: format!("`git {}` was not done after {} s", args[0], limit.as_secs()),
            }),
        }
    }

    /// What git's last words mean.
    pub(super) fn complaint(&self, text: &str) -> SourceError {
        let what = self.what.clone();
        let mut telling =
            text.lines().map(str::trim).filter(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let line = telling.next_back().or(text.lines().last()).unwrap_or("without a word").trim();
        let mut why = line.trim_start_matches("fatal:").trim_start_matches("error:").trim().to_owned();
        if let Some(secret) = &self.secret {
            why = why.replace(secret.as_str(), "[secret]");
        }
        let whole = text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|it| whole.contains(it));
        if says(&[
            "authentication failed",
            "could not read username",
            "could not read password",
            "permission denied (",
            "error: 401",
            "error: 403",
            "host key verification failed",
        ]) {
            SourceError::Unauthorized { what, why }
        } else if says(&[
            "not a git repository",
            "does not appear to be a git repository",
            "repository not found",
            "' not found",
        ]) {
            SourceError::NotFound { what }
        } else if says(&[
            "could not resolve host",
            "unable to access",
            "could not read from remote",
            "connection",
            "timed out",
            "unable to connect",
            "early eof",
            "hung up",
        ]) {
            SourceError::Unavailable { what, why }
        } else {
            SourceError::Broken { what, why }
        }
    }
}

fn no_git(error: &std::io::Error) -> SourceError {
    let why =
        if error.kind() == std::io::ErrorKind::NotFound { "it is not on the PATH".into() } else { plainly(error) };
    SourceError::NoGit { why }
}

struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    complaint: String,
}

/// A command whose output is being read. It is killed when this is dropped.
struct Running {
    child: Child,
    output: ChildStdout,
    complaint: Option<JoinHandle<String>>,
    bytes: u64,
}

impl Running {
    /// The next bytes, or nothing at a good end.
    async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        match timeout(SILENT_AT_MOST, self.output.read_buf(&mut chunk)).await {
            Err(_) => Err(format!("git said nothing for {} s", SILENT_AT_MOST.as_secs())),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(0)) => {
                let status = self.child.wait().await.map_err(|error| error.to_string())?;
                if status.success() {
                    return Ok(None);
                }
                let complaint = match self.complaint.take() {
                    Some(complaint) => complaint.await.unwrap_or_default(),
                    None => String::new(),
                };
                Err(format!("git ended with {status}: {}", complaint.lines().last().unwrap_or("without a word")))
            }
            Ok(Ok(count)) => {
                self.bytes += count as u64;
                Ok(Some(chunk.freeze()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_calls_local_is_not_inherited_from_a_hook() {
        let output = process::blocking_program("git").args(["rev-parse", "--local-env-vars"]).output().unwrap();
        let local = String::from_utf8(output.stdout).unwrap();
        // This one is set, not removed.
        for name in local.lines().filter(|name| *name != "GIT_NO_REPLACE_OBJECTS") {
            assert!(NOT_INHERITED.contains(&name), "{name}");
        }
    }

    #[test]
    fn complaints_are_told_apart() {
        let git = Git::new("/x".into(), "https://ada:hunter2@example.com/blog.git");
        assert_eq!(git.what(), "https://example.com/blog.git");
        let told = |text: &str| git.complaint(text).failure();
        let refused =
            told("remote: no\nfatal: Authentication failed for 'https://ada:hunter2@example.com/blog.git/'\n");
        assert_eq!(refused.code, "source/unauthorized");
        assert!(!refused.message.contains("hunter2"), "{}", refused.message);
        assert_eq!(told("fatal: repository 'https://example.com/blog.git/' not found").code, "source/not-found");
        let down = told("fatal: unable to access 'https://…': Could not resolve host: example.com");
        assert!(down.passing && down.code == "source/unavailable", "{down:?}");
        assert_eq!(told("fatal: bad object HEAD").code, "source/broken");
        assert_eq!(told("").message, "`https://example.com/blog.git` answered something unexpected: without a word");
    }
}
