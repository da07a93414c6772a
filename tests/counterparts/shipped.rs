//! The shipped bot for one site on this machine, with a repository of its own, for counterparts that look at it from
//! outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use landfall::clients::process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::worlds::push::SECRET;
use crate::worlds::repository::Repository;

/// A directory with all that is the bot's, and the bot once it is started.
pub(crate) struct Shipped {
    dir: TempDir,
    pub(crate) repo: Repository,
    /// Where the bot listens.
    pub(crate) address: String,
    running: Option<Child>,
}

impl Shipped {
    /// One below `target/`, as `/tmp` may be the bot's own. Nothing is started.
    pub(crate) fn new() -> Self {
        Self::configured("", "")
    }

    /// The same, with lines added to the end of the configuration, and to its target.
    pub(crate) fn configured(end: &str, target: &str) -> Self {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = dir.path();
        let repo = Repository::lasting(&at.join("repo"));
        for name in ["state", "site"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_landfall"), at.join("landfall")).unwrap();
        fs::write(at.join("secret"), SECRET).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let text = format!(
            "data_dir = \"state\"\n[server]\nlisten = \"{address}\"\n[github]\nwebhook_secrets = [{{ file = \"secret\" \
             }}]\n[[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\nsource = {{ git = \
             \"{}\" }}\n{target}\n[target.engine]\nkind = \"host\"\n{end}",
            repo.url()
        );
        fs::write(at.join("landfall.toml"), text).unwrap();
        let appspec = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {}\nhooks:\n  \
             ValidateService:\n    - location: check.sh\n      timeout: 60\n",
            at.join("site").display()
        );
        repo.write("appspec.yml", &appspec, 0o644);
        repo.write("check.sh", "#!/bin/sh\nexit 0\n", 0o755);
        Self { dir, repo, address, running: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, or what stands before it, to be given its words.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = process::blocking_program(program);
        let path = std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]).unwrap();
        command.current_dir(self.dir.path()).env_clear().env("PATH", path).env("HOME", self.path("state"));
        command
    }

    /// Starts the bot, and waits until it is ready.
    pub(crate) fn serve(&mut self) {
        let mut command = self.command(&self.path("landfall"));
        command.arg("serve");
        self.serve_as(command);
    }

    /// The same, by this command.
    pub(crate) fn serve_as(&mut self, mut command: Command) {
        let log = fs::File::create(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(spawned(&mut command));
        self.waits("the bot is ready", |it| it.log().contains("is ready"));
    }

    /// Where pictures of it are kept for a person to look at.
    pub(crate) fn shots(&self, of: &str) -> PathBuf {
        let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shots").join(of);
        let _ = fs::remove_dir_all(&shots);
        fs::create_dir_all(&shots).unwrap();
        shots
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.path("state/token")).unwrap().trim().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `landfall WORDS… --json` as the administrator: what it answers.
    pub(crate) fn asked(&self, words: &[&str]) -> Value {
        let out = self.types(&[words, &["--json", "--url", &self.url(), "--token", &self.token()]].concat());
        serde_json::from_str(&out).unwrap()
    }

    /// `landfall WORDS…`: what it prints.
    pub(crate) fn types(&self, words: &[&str]) -> String {
        let output = self.command(&self.path("landfall")).args(words).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {talk}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Commits a page, pushes it, and tells the bot.
    pub(crate) fn push(&self, page: &str) -> String {
        let sha = self.repo.commit_and_push(page, &[("index.html", page)]);
        let (bare, url) = (self.repo.bare().display().to_string(), self.url());
        let words = ["send", "push", "--repo", &bare, "--name", "acme/site", "--ref", "main", "--url", &url];
        self.types(&[&words[..], &["--secret-file", "secret"]].concat());
        sha.as_str().to_owned()
    }

    /// Waits until this commit is live.
    pub(crate) fn goes_live(&self, sha: &str) {
        self.waits("the commit is live", |it| it.asked(&["status"])["targets"][0]["live"]["sha"] == sha);
    }

    #[expect(clippy::disallowed_methods, reason = "a deadline in a test is of the machine's own time")]
    pub(crate) fn waits(&self, what: &str, mut there: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !there(self) {
            assert!(Instant::now() < deadline, "not within 60 s: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the bot as a supervisor does: its exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let mut child = self.running.take().unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        child.wait().unwrap().code()
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a program that was written just now. A child of another test may hold it open for writing until it is a program
/// of its own.
fn spawned(command: &mut Command) -> Child {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            spawned => return spawned.unwrap(),
        }
    }
    command.spawn().unwrap()
}
