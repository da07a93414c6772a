//! The git source, against real repositories that are really pushed to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::StreamExt;
use landfall::clients::Clock;
use landfall::clients::github::GitHubClients;
use landfall::config::GitHub;
use landfall::domain::{CommitPrefix, CommitSha, RefName, Relation, SourceSpec, Target};
use landfall::source::{ByteStream, RefHead, Source, SourceError, Sources};

use crate::worlds::{self, repository::Repository};

/// A target that differs from others in its source only.
pub(crate) fn target(source: SourceSpec) -> Target {
    Target { source, ..worlds::target::target("blog", "acme/blog") }
}

/// What an archive holds: paths below its top directory, and the commit its header names.
pub(crate) async fn unpack(mut stream: ByteStream) -> Result<(Option<String>, BTreeMap<String, String>), SourceError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    let mut plain = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    } else {
        plain = bytes;
    }
    // The pax header that git writes first: `52 comment=SHA`.
    let commit = String::from_utf8_lossy(&plain[..1024.min(plain.len())])
        .split_once("comment=")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_hexdigit).collect());
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(plain.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path: PathBuf = entry.path().unwrap().components().skip(1).collect();
        let mut content = String::new();
        if entry.header().entry_type().is_file() {
            entry.read_to_string(&mut content).unwrap();
            files.insert(path.to_str().unwrap().to_owned(), content);
        }
    }
    Ok((commit, files))
}

struct World {
    repository: Repository,
    data_dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { repository: Repository::new(), data_dir: tempfile::tempdir().unwrap() }
    }

    fn source_at(&self, url: String) -> Source {
        let github = GitHubClients::new(&GitHub::at("http://127.0.0.1:1"), Clock::system()).unwrap();
        Sources::new(self.data_dir.path(), github).of(&target(SourceSpec::Git { url }))
    }

    fn source(&self) -> Source {
        self.source_at(self.repository.url())
    }
}

fn main_branch() -> RefName {
    RefName::parse("refs/heads/main").unwrap()
}

fn unknown() -> CommitSha {
    CommitSha::parse("0123456789012345678901234567890123456789").unwrap()
}

#[tokio::test]
async fn a_push_moves_the_head() {
    let world = World::new();
    let source = world.source();
    assert_eq!(source.head(&main_branch()).await, Ok(None));
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    assert_eq!(source.head(&main_branch()).await, Ok(Some(RefHead { object: first.clone(), commit: first.clone() })));
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, second);
    let beneath = RefName::parse("refs/heads/deep/er").unwrap();
    world.repository.push(&["HEAD:refs/heads/deep/er"]);
    assert_eq!(source.head(&beneath).await.unwrap().unwrap().commit, second);
    assert_eq!(source.head(&RefName::parse("refs/heads/deep").unwrap()).await, Ok(None), "a folder of refs is no ref");
}

#[tokio::test]
async fn branches_are_listed_and_tags_are_not() {
    let world = World::new();
    assert_eq!(world.source().branches().await, Ok(vec![]));
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    world.repository.push(&["HEAD:refs/heads/release/1", "HEAD:refs/tags/v1"]);
    world.repository.push(&["HEAD:refs/heads/niam\u{202e}"]);
    let release = RefName::parse("refs/heads/release/1").unwrap();
    assert_eq!(world.source().branches().await, Ok(vec![(main_branch(), first.clone()), (release, first)]));
}

#[tokio::test]
async fn files_are_found_by_their_name() {
    let world = World::new();
    let files = [("web/appspec.yml", "os: linux\n"), ("appspec.yml/x", "1"), ("é/appspec.yml", "1")];
    let commit = world.repository.commit_and_push("first", &files);
    let found = world.source().named(&commit, "appspec.yml").await.unwrap();
    assert_eq!(found, ["web/appspec.yml", "é/appspec.yml"]);
}

#[tokio::test]
async fn commits_stand_to_each_other_as_git_says() {
    let world = World::new();
    let source = world.source();
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    assert_eq!(source.relation(&first, &first).await, Ok(Relation::Same));
    assert_eq!(source.relation(&first, &second).await, Ok(Relation::Ancestor));
    assert_eq!(source.relation(&second, &first).await, Ok(Relation::Descendant));

    world.repository.git(&["reset", "--quiet", "--hard", first.as_str()]);
    let other = world.repository.commit("rewritten", &[("a", "3")]);
    world.repository.push(&["+HEAD:refs/heads/main"]);
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, other);
    assert_eq!(source.relation(&second, &other).await, Ok(Relation::Diverged));

    let error = source.relation(&unknown(), &other).await.unwrap_err();
    assert!(matches!(&error, SourceError::UnknownCommit { commit, .. } if *commit == unknown()), "{error}");
    assert!(!error.failure().passing);
}

#[tokio::test]
async fn an_annotated_tag_leads_to_its_commit() {
    let world = World::new();
    let source = world.source();
    let commit = world.repository.commit_and_push("first", &[("a", "1")]);
    world.repository.git(&["tag", "--annotate", "--message", "one", "v1"]);
    world.repository.git(&["tag", "--annotate", "--message", "again", "v1-again", "v1"]);
    world.repository.git(&["tag", "light"]);
    world.repository.push(&["--tags"]);
    let object = CommitSha::parse(world.repository.git(&["rev-parse", "v1"])).unwrap();
    assert_ne!(object, commit);
    let head = |name: &str| RefName::parse(format!("refs/tags/{name}")).unwrap();
    let expected = RefHead { object: object.clone(), commit: commit.clone() };
    assert_eq!(source.head(&head("v1")).await, Ok(Some(expected)));
    assert_eq!(source.head(&head("v1-again")).await.unwrap().unwrap().commit, commit);
    assert_eq!(source.head(&head("light")).await.unwrap().unwrap().object, commit);
    assert_eq!(source.peel(&object).await, Ok(Some(commit.clone())));
    assert_eq!(source.peel(&commit).await, Ok(Some(commit.clone())));
    assert_eq!(source.peel(&unknown()).await, Ok(None));
    assert_eq!(source.relation(&object, &commit).await, Ok(Relation::Same));
}

#[tokio::test]
async fn a_peek_reads_one_file_of_that_commit() {
    let world = World::new();
    let source = world.source();
    std::os::unix::fs::symlink("deploy/appspec.yml", world.repository.work().join("linked.yml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", world.repository.work().join("outside.yml")).unwrap();
    let large = "x".repeat((1 << 20) + 1);
    let files = [("deploy/appspec.yml", "os: linux\n"), ("name with spaces", "s"), ("large", &large)];
    let commit = world.repository.commit_and_push("first", &files);
    world.repository.commit_and_push("second", &[("deploy/appspec.yml", "changed")]);
    let peek =
        async |path| source.peek(&commit, path).await.map(|it| it.map(|it| String::from_utf8(it.into()).unwrap()));
    assert_eq!(peek("deploy/appspec.yml").await, Ok(Some("os: linux\n".into())));
    assert_eq!(peek("name with spaces").await, Ok(Some("s".into())));
    assert_eq!(peek("linked.yml").await, Ok(Some("os: linux\n".into())), "links within the commit are followed");
    for nothing in ["outside.yml", "deploy", "missing", "../appspec.yml", "", "--help", "a\nb"] {
        assert_eq!(peek(nothing).await, Ok(None), "{nothing}");
    }
    let error = peek("large").await.unwrap_err();
    assert_eq!(error.to_string(), "`large` is 1048577 bytes long, and at most 1048576 are read");
    assert!(matches!(source.peek(&unknown(), "a").await, Err(SourceError::UnknownCommit { .. })));
}

#[tokio::test]
async fn an_archive_holds_exactly_that_commit() {
    let world = World::new();
    let source = world.source();
    let commit = world.repository.commit_and_push("first", &[("web/index.html", "<h1>1</h1>"), ("appspec.yml", "x")]);
    world.repository.commit_and_push("second", &[("web/index.html", "<h1>2</h1>")]);
    let (named, files) = unpack(source.archive(&commit).await.unwrap()).await.unwrap();
    assert_eq!(named.as_deref(), Some(commit.as_str()));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["appspec.yml", "web/index.html"]);
    assert_eq!(files["web/index.html"], "<h1>1</h1>");
    assert!(matches!(source.archive(&unknown()).await.err(), Some(SourceError::UnknownCommit { .. })));
}

#[tokio::test]
async fn an_archive_that_git_cannot_finish_ends_in_an_error() {
    let world = World::new();
    let noise = |seed: u32| -> String {
        (0..300_000u32).map(|it| char::from(b'a' + (it.wrapping_mul(2_654_435_761 + seed) >> 13) as u8 % 26)).collect()
    };
    let commit = world.repository.commit_and_push("first", &[("a", &noise(0)), ("b", &noise(1)), ("c", &noise(2))]);
    let blob = world.repository.git(&["rev-parse", "HEAD:c"]);
    let lost = world.repository.bare().join("objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(lost).unwrap();
    let error = unpack(world.source().archive(&commit).await.unwrap()).await.unwrap_err();
    assert!(matches!(&error, SourceError::Cut { bytes, .. } if *bytes > 300_000), "{error}");
    assert!(error.failure().passing);
}

#[tokio::test]
async fn a_working_copy_is_a_source_too() {
    let world = World::new();
    let commit = world.repository.commit("not pushed", &[("a/b", "1")]);
    let source = world.source_at(world.repository.work().to_str().unwrap().to_owned());
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, commit);
    let (_, files) = unpack(source.archive(&commit).await.unwrap()).await.unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b"]);
}

#[tokio::test]
async fn a_missing_repository_is_named() {
    let world = World::new();
    let empty = world.data_dir.path().to_str().unwrap().to_owned();
    for url in ["file:///srv/nowhere.git".to_owned(), format!("file://{empty}")] {
        let source = world.source_at(url.clone());
        assert_eq!(source.head(&main_branch()).await, Err(SourceError::NotFound { what: url.clone() }));
        assert_eq!(source.peel(&unknown()).await, Err(SourceError::NotFound { what: url }));
    }
}

#[tokio::test]
async fn another_machines_repository_is_mirrored() {
    let world = World::new();
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    let daemon = Daemon::start(&world.repository);
    let source = world.source_at(daemon.url.clone());
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, first);
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    // Asked for by its id before its ref was asked for.
    assert_eq!(source.relation(&first, &second).await, Ok(Relation::Ancestor));
    assert_eq!(unpack(source.archive(&second).await.unwrap()).await.unwrap().1["a"], "2");
    world.repository.git(&["commit", "--quiet", "--amend", "--message", "amended"]);
    world.repository.push(&["+HEAD:refs/heads/main"]);
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, world.repository.head());
    world.repository.push(&["HEAD:refs/heads/other", ":refs/heads/main"]);
    assert_eq!(source.head(&main_branch()).await, Ok(None), "a deleted branch is gone here too");

    let missing = world.source_at(format!("{}-not", daemon.url));
    assert!(missing.head(&main_branch()).await.is_err());
    drop(daemon);
    let error = source.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, SourceError::Unavailable { .. }) && error.is_passing(), "{error}");
}

#[tokio::test]
async fn a_mirror_that_a_killed_fetch_left_locked_is_made_anew() {
    let world = World::new();
    world.repository.commit_and_push("first", &[("a", "1")]);
    let daemon = Daemon::start(&world.repository);
    let source = world.source_at(daemon.url.clone());
    source.head(&main_branch()).await.unwrap();
    let mirrors = std::fs::read_dir(world.data_dir.path().join("mirrors")).unwrap();
    let [mirror] = &mirrors.map(|it| it.unwrap().path()).collect::<Vec<_>>()[..] else { panic!("one mirror") };
    std::fs::write(mirror.join("refs/heads/main.lock"), "").unwrap();
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, second);
    std::fs::write(mirror.join("config"), "[core\n").unwrap();
    assert_eq!(source.head(&main_branch()).await.unwrap().unwrap().commit, second);
}

#[tokio::test]
async fn a_password_in_the_url_is_not_told() {
    let world = World::new();
    let source = world.source_at("http://ada:hunter2secret@127.0.0.1:1/blog.git".into());
    let error = source.head(&main_branch()).await.unwrap_err();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2secret"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_is_followed_on_its_own_server_and_to_no_other() {
    crate::bot::install_tls();
    let world = World::new();
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    let bare = world.repository.bare();
    world.repository.git(&["--git-dir", bare.to_str().unwrap(), "update-server-info"]);
    let head = async |web: &Web| world.source_at(format!("{}/old.git", web.url)).head(&main_branch()).await;

    let renamed = Web::start(bare, "/bare.git");
    assert_eq!(head(&renamed).await.unwrap().unwrap().commit, first);

    let other = Web::start(bare, "/bare.git");
    let away = Web::start(bare, &format!("{}/bare.git", other.url.replace("127.0.0.1", "ada:key@localhost")));
    let error = head(&away).await.unwrap_err();
    let to = format!("{}/bare.git", other.url.replace("127.0.0.1", "localhost"));
    assert_eq!(error, SourceError::LeadsAway { what: format!("{}/old.git", away.url), to });
    assert_eq!((error.failure().code.as_str(), other.asked()), ("source/leads-away", 0), "nobody was asked there");

    let round = Web::start(bare, "/old.git");
    let error = head(&round).await.unwrap_err();
    assert!(matches!(&error, SourceError::Broken { why, .. } if why == "more than 5 redirects"), "{error}");
    let login = Web::start(bare, "/login?");
    let error = head(&login).await.unwrap_err();
    assert!(error.is_passing() && error.to_string().ends_with("a redirect to what is no repository"), "{error}");
}

/// The files beside a repository over http, and what `/old.git` leads to; ended with this.
struct Web {
    url: String,
    asked: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Web {
    fn start(bare: &Path, leads_to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let this = Self { url, asked: asked.clone(), is_over: is_over.clone() };
        let (root, leads_to) = (bare.parent().unwrap().to_owned(), leads_to.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let mut stream = stream.unwrap();
                let answer = answer(&mut stream, &root, &leads_to);
                let _ = stream.write_all(&answer);
            }
        });
        this
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn answer(stream: &mut TcpStream, root: &Path, leads_to: &str) -> Vec<u8> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let line = lines.next().unwrap_or_default();
    let _rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let asked = line.split(' ').nth(1).unwrap_or_default();
    if let Some(rest) = asked.strip_prefix("/old.git") {
        let head = "HTTP/1.1 301 Moved Permanently\r\nConnection: close\r\nContent-Length: 0\r\n";
        return format!("{head}Location: {leads_to}{rest}\r\n\r\n").into_bytes();
    }
    let path = asked.split('?').next().unwrap_or_default().trim_start_matches('/');
    let (status, body) = std::fs::read(root.join(path)).map_or(("404 Not Found", vec![]), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

/// `git daemon` on a free port of loopback, ended with this.
struct Daemon {
    child: std::process::Child,
    url: String,
}

impl Daemon {
    fn start(repository: &Repository) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let parent = repository.bare().parent().unwrap();
        let child = landfall::clients::process::blocking_program("git")
            .args(["daemon", "--export-all", "--listen=127.0.0.1", "--reuseaddr"])
            .args([format!("--port={port}"), format!("--base-path={}", parent.display())])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let deadline = std::time::Duration::from_secs(10);
        let mut waited = std::time::Duration::ZERO;
        let pause = std::time::Duration::from_millis(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(waited < deadline, "git daemon does not listen");
            std::thread::sleep(pause);
            waited += pause;
        }
        Self { child, url: format!("git://127.0.0.1:{port}/bare.git") }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // `git daemon` is a child of `git`; it ends when its parent is asked to.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_beginning_of_a_hash_leads_to_its_commit_and_a_branch_of_that_name_does_not() {
    let world = World::new();
    let first = world.repository.commit_and_push("first", &[("a", "1")]);
    world.repository.commit_and_push("second", &[("a", "2")]);
    world.repository.git(&["push", "--quiet", "origin", "HEAD:refs/heads/feedbee"]);
    let source = world.source();
    for digits in [7, 12, 40] {
        let beginning = CommitPrefix::parse(&first.as_str()[..digits]).unwrap();
        assert_eq!(source.expand(&beginning).await.unwrap().as_ref(), Some(&first), "{beginning}");
    }
    for nothing in ["feedbee", "0000000"] {
        assert_eq!(source.expand(&CommitPrefix::parse(nothing).unwrap()).await.unwrap(), None, "{nothing}");
    }
    assert!(CommitPrefix::parse(&first.as_str()[..6]).is_err(), "six digits are too few");
}
