//! `landfall send push`, by hand and as the hook of a real repository, against the real door.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpResponse, HttpServer, web};
use landfall::clients::process::blocking_program;
use landfall::domain::{DeliveryEvent, Event, Push};
use serde_json::json;

use super::intake::Door;

/// A bare repository whose hook tells the door, and a clone to push from.
struct Site {
    bare: PathBuf,
    clone: PathBuf,
}

fn git(dir: &Path, words: &[&str]) -> String {
    let ran = blocking_program("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main"])
        .args(words)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "git {words:?}: {told}");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned() + if words[0] == "push" { &told } else { "" }
}

impl Site {
    fn new(door: &Door) -> Self {
        let dir = door.dir();
        let (bare, clone) = (dir.join("blog.git"), dir.join("blog"));
        git(dir, &["init", "--bare", "blog.git"]);
        let hook = format!(
            "#!/bin/sh\nexec {} send push --post-receive --name acme/blog --url {} --secret-file {}\n",
            env!("CARGO_BIN_EXE_landfall"),
            door.url,
            dir.join("new").display()
        );
        fs::write(bare.join("hooks/post-receive"), hook).unwrap();
        fs::set_permissions(bare.join("hooks/post-receive"), fs::Permissions::from_mode(0o755)).unwrap();
        git(dir, &["init", "blog"]);
        git(&clone, &["remote", "add", "origin", bare.to_str().unwrap()]);
        Self { bare, clone }
    }

    fn commit(&self, file: &str, text: &str, message: &str) -> String {
        fs::write(self.clone.join(file), text).unwrap();
        git(&self.clone, &["add", "."]);
        git(&self.clone, &["commit", "-m", message]);
        git(&self.clone, &["rev-parse", "HEAD"])
    }

    fn push(&self, words: &[&str]) -> String {
        git(&self.clone, &[&["push", "origin"], words].concat())
    }
}

/// The newest push in the ledger.
fn newest(door: &Door) -> Push {
    let record = door.ledger.deliveries(None, 1).unwrap().remove(0);
    let Event::Delivery(DeliveryEvent::Received { push, .. }) = record.event else { panic!("{record:?}") };
    *push
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_push_to_a_bare_repository_arrives_as_github_would_tell_it() {
    let door = Door::open().await;
    let site = Site::new(&door);
    let first = site.commit("index.html", "one", "Say hello\n\nat length");
    let told = site.push(&["main"]);
    assert!(told.contains("delivered main"), "{told}");
    assert!(told.contains("blog: deployment "), "{told}");
    let push = newest(&door);
    assert_eq!((push.before, push.paths), (None, None), "a new branch");
    assert_eq!(push.after.unwrap().as_str(), first);
    assert_eq!((push.title.as_deref(), push.author.as_deref()), (Some("Say hello"), Some("Ann")));

    site.commit("a b.txt", "two", "More");
    let second = site.commit("é.txt", "three", "And more");
    site.push(&["main"]);
    let push = newest(&door);
    assert_eq!(push.before.unwrap().as_str(), first);
    assert_eq!((push.after.unwrap().as_str(), push.forced), (second.as_str(), false));
    assert_eq!(push.paths.unwrap(), ["a b.txt", "é.txt"]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_pushes_tags_and_deletions_are_told_as_what_they_are() {
    let door = Door::open().await;
    let site = Site::new(&door);
    let first = site.commit("index.html", "one", "One");
    site.commit("index.html", "two", "Two");
    site.push(&["main"]);
    git(&site.clone, &["tag", "-a", "v1", "-m", "first release"]);
    site.push(&["v1"]);
    let push = newest(&door);
    assert_eq!(push.reference.as_str(), "refs/tags/v1");
    assert_eq!(push.after.unwrap().as_str(), git(&site.clone, &["rev-parse", "v1"]), "the tag object");
    assert_eq!(push.title.as_deref(), Some("Two"), "the commit's title");

    git(&site.clone, &["reset", "--hard", &first]);
    let rewritten = site.commit("index.html", "three", "Three");
    site.push(&["--force", "main"]);
    let push = newest(&door);
    assert_eq!((push.forced, push.paths, push.after.unwrap().as_str()), (true, None, rewritten.as_str()));

    let told = site.push(&["HEAD:refs/heads/gone"]) + &site.push(&["--delete", "gone"]);
    assert!(told.contains("blog: nothing to deploy, `gone` is not mapped to this target"), "{told}");
    assert_eq!((newest(&door).after, newest(&door).reference.as_str()), (None, "refs/heads/gone"));
    door.close().await;
}

/// Runs `send push` with these words more.
fn send(site: &Path, url: &str, secret: &Path, words: &[&str]) -> (i32, String, String) {
    let ran = blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(["send", "push", "--name", "acme/blog", "--url", url, "--secret-file", secret.to_str().unwrap()])
        .arg("--repo")
        .arg(site)
        .args(words)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_sent_by_hand_says_what_came_of_it() {
    let door = Door::open().await;
    let site = Site::new(&door);
    let first = site.commit("index.html", "one", "One");
    site.commit("docs.txt", "two", "Two");
    let secret = door.dir().join("new");
    let (exit, out, talk) = send(&site.clone, &door.url, &secret, &["--before", &first[..8], "--json"]);
    assert_eq!(exit, 0, "{talk}");
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["plans"][1]["reason"], "no path of the rule changed");
    assert_eq!(newest(&door).paths.unwrap(), ["docs.txt"]);
    // The server's address alone is enough.
    let server = door.url.trim_end_matches("/webhooks/github");
    assert_eq!(send(&site.clone, server, &secret, &["--ref", "main"]).0, 0);

    let (exit, out, talk) = send(&site.clone, &door.url, &door.dir().join("data/lock"), &[]);
    assert_eq!((exit, out.as_str()), (2, ""));
    assert!(talk.contains("refused with 401: no configured secret makes this signature"), "{talk}");
    assert!(talk.contains("help: compare the webhook's secret"), "{talk}");
    assert_eq!(send(&site.clone, &door.url, &secret, &["--ref", "nowhere"]).0, 2);
    assert_eq!(send(door.dir(), &door.url, &secret, &[]).0, 2, "not a repository");
    assert_eq!(send(&site.clone, &door.url, &door.dir().join("nowhere"), &[]).0, 2, "no secret");
    let bare = site.bare.as_path();
    assert_eq!(send(bare, "ftp://x", &secret, &[]).0, 2);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_tried_again_and_not_for_ever() {
    let door = Door::open().await;
    let site = Site::new(&door);
    site.commit("index.html", "one", "One");
    let secret = door.dir().join("new");
    let (exit, _, talk) = send(&site.clone, "http://127.0.0.1:9", &secret, &["--give-up-after", "400ms"]);
    assert_eq!(exit, 3);
    assert!(talk.contains("connection refused; trying again"), "{talk}");
    assert!(talk.contains("landfall: not delivered to `http://127.0.0.1:9/webhooks/github`"), "{talk}");

    let tries = Arc::new(AtomicUsize::new(0));
    let seen = tries.clone();
    let server = HttpServer::new(move || {
        let seen = seen.clone();
        App::new().default_service(web::to(move || {
            let is_early = seen.fetch_add(1, Ordering::SeqCst) < 2;
            async move {
                if is_early {
                    HttpResponse::ServiceUnavailable().json(json!({"detail": "the disk is full"}))
                } else {
                    HttpResponse::Accepted().json(json!({"delivery": "x", "plans": []}))
                }
            }
        }))
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    let (exit, _, talk) = send(&site.clone, &url, &secret, &[]);
    assert_eq!((exit, tries.load(Ordering::SeqCst)), (0, 3), "{talk}");
    assert!(talk.contains("the server cannot take it now: the disk is full; trying again"), "{talk}");
    handle.stop(false).await;
    door.close().await;
}
