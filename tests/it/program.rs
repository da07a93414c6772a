//! The shipped program as an administrator meets it: started, in the way of itself, ended, killed, damaged on disk.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

mod begun;
mod copied;
mod full;
mod hostile;
mod moved;
mod secrets;
mod seeing;
mod tokens;
mod verified;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use landfall::clients::process::blocking_program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

use crate::bot::{Extra, MAIN, configuration};
use crate::worlds::push::SECRET;
use crate::worlds::repository::Repository;

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a configuration, and a site whose hook waits until it is let go.
struct Place {
    repo: Repository,
    dir: tempfile::TempDir,
}

struct Ran {
    exit: i32,
    out: String,
    talk: String,
}

/// A server of the shipped program. It is killed when the test is over.
struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Place {
    fn new() -> Self {
        Self::configured(&Extra::default())
    }

    fn configured(extra: &Extra) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::lasting(&dir.path().join("repo"));
        fs::write(dir.path().join("landfall.toml"), configuration(dir.path(), &repo, extra)).unwrap();
        let at = dir.path().display();
        let hook = format!("#!/bin/sh\necho run >> {at}/runs\nuntil [ -e {at}/go ]; do sleep 0.02; done\n");
        repo.write("scripts/wait.sh", &hook, 0o755);
        let appspec = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {at}/www\nhooks:\n  ValidateService:\n    - location: scripts/wait.sh\n      timeout: 60\n"
        );
        repo.write("appspec.yml", &appspec, 0o644);
        Self { repo, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(words).current_dir(self.dir.path()).env_clear().env("PATH", path).env("HOME", self.dir.path());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        ran(&mut self.program(words))
    }

    fn serve(&self) -> Server {
        self.serve_as(self.program(&["serve"]))
    }

    fn serve_as(&self, mut command: Command) -> Server {
        let log = self.path("log");
        let output = fs::File::create(&log).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(output).spawn().unwrap();
        let address = until("the server is ready", || {
            assert!(child.try_wait().unwrap().is_none(), "{}", fs::read_to_string(&log).unwrap());
            let lines = BufReader::new(fs::File::open(&log).unwrap()).lines().map_while(Result::ok);
            lines.filter(|line| line.contains("is ready")).find_map(|line| address_in(&line))
        });
        Server { child, address, log }
    }

    /// Commits, pushes, and tells the server.
    fn push(&self, server: &Server, page: &str) {
        self.repo.commit(page, &[("index.html", page)]);
        self.repo.push(MAIN);
        fs::write(self.path("secret"), SECRET).unwrap();
        let (repo, url) = (self.repo.bare().display().to_string(), format!("http://{}", server.address));
        let words = ["send", "push", "--repo", &repo, "--name", "acme/site", "--ref", "main", "--url", &url];
        let ran = self.run(&[&words[..], &["--secret-file", "secret"]].concat());
        assert_eq!(ran.exit, 0, "{}", ran.talk);
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).unwrap_or_default().lines().count()
    }

    fn let_go(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    fn asked(&self, server: &Server, words: &[&str]) -> Value {
        let url = format!("http://{}", server.address);
        let token = fs::read_to_string(self.path("data/token")).unwrap();
        let ran = self.run(&[words, &["--json", "--url", &url, "--token", token.trim()]].concat());
        assert_eq!(ran.exit, 0, "{}", ran.talk);
        serde_json::from_str(&ran.out).unwrap()
    }

    /// Waits until this commit is live and nothing is under way.
    fn settle(&self, server: &Server) {
        let head = self.repo.git(&["rev-parse", "HEAD"]);
        until("the head to be live", || {
            let site = self.asked(server, &["status"])["targets"][0].clone();
            (site["live"]["sha"] == head.as_str() && site["running"].is_null()).then_some(())
        });
    }

    fn segment(&self) -> PathBuf {
        let mut segments: Vec<_> =
            fs::read_dir(self.path("data/ledger/log")).unwrap().map(|it| it.unwrap().path()).collect();
        segments.sort();
        segments.pop().unwrap()
    }
}

impl Server {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends it as a supervisor does. Gives the exit code.
    fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        until("the server ends", || self.child.try_wait().unwrap()).code()
    }

    /// Waits until it ends by itself. Gives the exit code, and what it said.
    fn ended(mut self) -> (Option<i32>, String) {
        let status = until("the server ends by itself", || self.child.try_wait().unwrap());
        (status.code(), self.log())
    }

    fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line of the log, which is text or JSON.
fn address_in(line: &str) -> Option<String> {
    let said = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?.1;
    said.split([' ', '"']).next().map(str::to_owned)
}

fn ran(command: &mut Command) -> Ran {
    let ran = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { exit: ran.status.code().unwrap(), out: text(ran.stdout), talk: text(ran.stderr) };
    assert!(!(ran.out.contains("(os error") || ran.talk.contains("(os error")), "{}{}", ran.out, ran.talk);
    ran
}

#[expect(clippy::disallowed_methods, reason = "a deadline for a process that the test does not run in")]
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn says(ran: &Ran, exit: i32, parts: &[&str]) {
    assert_eq!(ran.exit, exit, "{}", ran.talk);
    for part in parts {
        assert!(ran.talk.contains(part), "`{part}` is not in: {}", ran.talk);
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let place = Place::new();
    let server = place.serve();
    let process = format!("in use by process {}", server.child.id());
    says(&place.run(&["serve"]), 3, &["data/ledger", &process, "stop the other process"]);
    let other = Place::new();
    let words = ["serve", "--listen", &server.address];
    says(&other.run(&words), 3, &["cannot listen on", &server.address, "address already in use", "server.listen"]);
    // What the first try left behind is nothing to wonder at.
    assert!(!other.serve().log().contains("WARN"));
    fs::write(other.path("file"), "").unwrap();
    says(
        &ran(other.program(&["serve"]).env("LANDFALL_DATA_DIR", other.path("file"))),
        3,
        &["cannot create", "not a directory", "data_dir"],
    );
    says(&other.run(&["demo", "--exit", "--dir", "."]), 2, &["not empty", "new directory"]);
    says(&other.run(&["demo", "--exit", "--dir", "file"]), 2, &["`file` cannot be used"]);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_deployment_outlives_the_end_and_the_death_of_the_bot() {
    let place = Place::new();
    let server = place.serve();
    place.push(&server, "first");
    until("the hook runs", || (place.runs() == 1).then_some(()));
    assert_eq!(server.terminate(), Some(0));
    let server = place.serve();
    place.let_go();
    place.settle(&server);
    fs::remove_file(place.path("go")).unwrap();
    place.push(&server, "second");
    until("the hook runs again", || (place.runs() == 2).then_some(()));
    server.kill();
    let server = place.serve();
    place.let_go();
    place.settle(&server);
    assert_eq!(place.runs(), 2);
    assert_eq!(fs::read_to_string(place.path("www/index.html")).unwrap(), "second");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn what_happens_to_the_ledgers_files_is_mended_or_refused_and_told() {
    let place = Place::new();
    place.let_go();
    let server = place.serve();
    place.push(&server, "first");
    place.settle(&server);
    let told = |server: &Server| {
        let id = |it: &Value| it["id"].as_str().unwrap().to_owned();
        let site = place.asked(server, &["status", "site"]);
        let ids: Vec<String> = site["deployments"].as_array().unwrap().iter().map(id).collect();
        assert_eq!(ids.len(), 1);
        let one = place.asked(server, &["status", &ids[0]]);
        (place.asked(server, &["status"]), site, one)
    };
    let before = told(&server);
    assert_eq!(server.terminate(), Some(0));
    fs::remove_dir_all(place.path("data/ledger/index")).unwrap();
    let server = place.serve();
    assert!(told(&server) == before, "a deleted index changes no answer");
    assert_eq!(server.terminate(), Some(0));

    let segment = place.segment();
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..whole.len() - 20]).unwrap();
    let server = place.serve();
    let log = server.log();
    assert!(log.contains("was torn") && log.contains("are cut"), "{log}");
    assert!(told(&server) == before, "the torn record only said that the bot ended");
    assert_eq!(server.terminate(), Some(0));

    let whole = fs::read_to_string(&segment).unwrap();
    let altered = whole.replacen("\"title\":\"first\"", "\"title\":\"worst\"", 1);
    assert_ne!(whole, altered);
    fs::write(&segment, &altered).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    says(&place.run(&["serve"]), 3, &[name, "was altered at byte", "offset 1", "from a backup"]);
    assert_eq!(fs::read_to_string(&segment).unwrap(), altered, "it is left as it was found");
    fs::remove_file(&segment).unwrap();
    says(&place.run(&["serve"]), 3, &[name, "missing", "from a backup"]);
    fs::write(&segment, whole).unwrap();
    let server = place.serve();
    assert!(told(&server) == before);
}

#[test]
fn wrong_words_are_told_from_what_is_not_there() {
    let place = Place::new();
    let server = place.serve();
    let url = format!("http://{}", server.address);
    says(&place.run(&["status", "--url", "nonsense"]), 2, &["`nonsense` is not a web address", "http://host:port"]);
    says(&place.run(&["status", "--url", "http://127.0.0.1:1"]), 3, &["connection refused", "landfall serve"]);
    says(&place.run(&["status", "--url", &url]), 3, &["wants a token", "--token"]);
    says(&place.run(&["status", "--url", &url, "--token", "guess"]), 3, &["does not know this token", "--token"]);
    let token = fs::read_to_string(place.path("data/token")).unwrap();
    let asking = ["--url", &url, "--token", token.trim()];
    says(&place.run(&[&["lock", "shop"], &asking[..]].concat()), 2, &["no target `shop`", "landfall status"]);
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    says(&place.run(&[&["redeploy", id], &asking[..]].concat()), 2, &["no deployment", "landfall status"]);
    says(&place.run(&["check", "nowhere"]), 2, &["nowhere"]);
    let send = ["send", "push", "--name", "acme/site", "--secret-file", "secret", "--url", &url];
    fs::write(place.path("secret"), SECRET).unwrap();
    says(&place.run(&send), 2, &["is not a git repository", "--repo"]);
    says(&place.run(&[&send[..], &["--ref", "main"]].concat()), 2, &["is not a git repository", "--repo"]);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn without_git_each_verb_says_so() {
    let place = Place::new();
    let nowhere = |words: &[&str]| ran(place.program(words).env("PATH", place.dir.path()));
    says(&nowhere(&["demo", "--exit"]), 3, &["cannot run `git`", "not on the PATH", "install it"]);
    fs::write(place.path("secret"), SECRET).unwrap();
    let repo = place.repo.bare().display().to_string();
    let send = ["send", "push", "--repo", &repo, "--name", "acme/site", "--secret-file", "secret", "--ref", "main"];
    says(&nowhere(&send), 3, &["git cannot be run: it is not on the PATH", "install git"]);
}

#[test]
fn what_runs_as_the_servers_user_reads_neither_its_memory_nor_its_variables() {
    let place = Place::new();
    let mut command = place.program(&["serve"]);
    // Root reads everything of everybody: where the tests are root's, the server is somebody else's.
    let user = if geteuid().is_root() { 65_534 } else { geteuid().as_raw() };
    if geteuid().is_root() {
        let copy = place.path("landfall");
        fs::copy(env!("CARGO_BIN_EXE_landfall"), &copy).unwrap();
        let owned = blocking_program("chown").args(["-R", &user.to_string()]).arg(place.dir.path()).status().unwrap();
        assert!(owned.success());
        command = blocking_program(copy);
        command.arg("serve").current_dir(place.dir.path()).uid(user).gid(user);
    }
    command.env("GITHUB_TOKEN", "ghp_of_the_server");
    let server = place.serve_as(command);
    let about = |name: &str| fs::metadata(format!("/proc/{}/{name}", server.child.id())).unwrap();
    // What may not be looked into belongs to root, whoever runs it.
    assert_eq!((about("environ").uid(), about("mem").uid(), about("maps").uid()), (0, 0, 0), "of {user}");
    assert_eq!(server.terminate(), Some(0));
}
