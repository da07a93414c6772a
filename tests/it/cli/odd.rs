//! Surroundings that nobody wishes for: a stranger's configuration, a disk that is full, a server that says nothing or
//! something else.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use landfall::clients::process::blocking_program;

use super::{ID, landfall, landfall_with};

fn program(dir: &Path, words: &[&str]) -> Command {
    let mut program = blocking_program(env!("CARGO_BIN_EXE_landfall"));
    program.args(words).current_dir(dir).env_clear().stderr(Stdio::piped());
    program
}

/// How it ended, and what it said.
fn end(child: Child) -> (Option<i32>, String) {
    let ran = child.wait_with_output().unwrap();
    (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
}

#[test]
fn a_configuration_that_listens_elsewhere_sends_a_token_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("landfall.toml"), "data_dir = \"d\"\n[server]\nlisten = \"192.0.2.1:80\"\n").unwrap();
    // A client that went on would wait for that address, and end with 3.
    for words in [&["status"][..], &["status", "-w"], &["history", "blog"], &["logs", ID]] {
        let ran = landfall_with(dir.path(), words, &[("LANDFALL_TOKEN", "t0ken")]);
        let said = "landfall: the configuration listens at `192.0.2.1:80`, which is no address of this machine\n";
        assert!(ran.exit == 2 && ran.talk.starts_with(said), "{words:?}: {}", ran.talk);
        assert!(ran.talk.contains("--url http://192.0.2.1:80"), "{}", ran.talk);
    }
}

#[test]
fn output_that_cannot_be_written_ends_with_3_and_a_reader_that_left_with_0() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["config", "docs"][..], &["completions", "bash"], &["--help"], &["explain", "web/token-open"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (exit, said) = end(program(dir.path(), words).stdout(full).spawn().unwrap());
        let told = "landfall: the output cannot be written: no space left on device\n";
        assert_eq!((exit, said.to_lowercase().as_str()), (Some(3), told), "{words:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(end(program(dir.path(), words).stdout(writer).spawn().unwrap()), (Some(0), String::new()));
    }
}

/// Reads a request, and gives its path.
fn asked(peer: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && peer.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned()
}

fn say(peer: &mut TcpStream, text: &str) {
    let length = text.len();
    let _ = write!(peer, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}");
}

#[test]
fn an_answer_that_is_no_object_is_not_landfalls() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for text in ["[]", "3", "null", "\"x\"", "[]", "hello"] {
            let mut peer = listener.accept().unwrap().0;
            asked(&mut peer);
            say(&mut peer, text);
        }
    });
    for words in
        [&["status"][..], &["status", "blog"], &["history", "blog"], &["deliveries"], &["deploy", "blog"], &["audit"]]
    {
        let ran = landfall(dir.path(), &[words, &["--url", &url]].concat());
        assert!(ran.exit == 3 && ran.talk.contains("is not landfall's"), "{words:?}: {} {}", ran.exit, ran.talk);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a person waits is of the machine's own time")]
fn a_view_looks_again_also_where_the_event_stream_never_answers() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            if asked(&mut peer).contains("/events") {
                silent.push(peer);
                continue;
            }
            let state = if counted.fetch_add(1, SeqCst) == 0 { "releasing" } else { "succeeded" };
            let ended = if state == "succeeded" { "\"2010-01-02T03:05:05Z\"" } else { "null" };
            say(
                &mut peer,
                &format!(
                    r#"{{"id": "{ID}", "target": "blog", "repository": "acme/blog", "ref": "refs/heads/main", "sha": "{sha}",
                "state": "{state}", "created_at": "2010-01-02T03:04:05Z", "ended_at": {ended}, "url": "/deployments/x",
                "events": []}}"#,
                    sha = "b".repeat(40),
                ),
            );
        }
    });
    let began = Instant::now();
    let ran = landfall(dir.path(), &["status", "--watch", ID, "--url", &url]);
    assert!(ran.exit == 0 && ran.talk.ends_with("blog succeeded\n"), "{} {}", ran.exit, ran.talk);
    assert_eq!(looks.load(SeqCst), 2);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_long_log_is_read_no_further_than_somebody_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pages = Arc::new(AtomicUsize::new(0));
    let counted = pages.clone();
    std::thread::spawn(move || {
        let line = r#"{"at": null, "event": null, "script": null, "stream": "stdout", "text": "yes"}"#;
        let lines = [line; 1000].join(",");
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            asked(&mut peer);
            let is_over = counted.fetch_add(1, SeqCst) >= 200;
            let cursor = if is_over { "null" } else { "7" };
            say(&mut peer, &format!(r#"{{"lines": [{lines}], "cursor": {cursor}, "over": {is_over}}}"#));
        }
    });
    for words in [&["logs", ID][..], &["logs", "-f", ID], &["logs", "--json", ID]] {
        let words = [words, &["--url", &url]].concat();
        let mut child = program(dir.path(), &words).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("yes"), "{line}");
        assert_eq!(end(child), (Some(0), String::new()), "{words:?}");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (exit, said) = end(program(dir.path(), &words).stdout(full).spawn().unwrap());
        assert!(exit == Some(3) && said.contains("cannot be written"), "{words:?}: {said}");
    }
    assert!(pages.load(SeqCst) < 50, "{pages:?}");
}

#[test]
fn a_log_that_is_kept_elsewhere_is_said_to_be_before_its_deployment_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            asked(&mut peer);
            say(&mut peer, r#"{"lines": [], "cursor": 0, "over": false, "note": "the engine keeps it elsewhere"}"#);
        }
    });
    let ran = landfall(dir.path(), &["logs", ID, "--url", &url]);
    let told = format!("the engine keeps it elsewhere\nit has not ended: go on with `landfall logs -f {ID}`\n");
    assert_eq!((ran.exit, ran.out, ran.talk), (0, String::new(), told));
}

#[test]
fn the_last_lines_of_a_log_are_printed_once_although_the_server_is_away_just_then() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let line =
            |text| format!(r#"{{"at": null, "event": null, "script": null, "stream": "stdout", "text": "{text}"}}"#);
        let page = |text, cursor, over| format!(r#"{{"lines": [{}], "cursor": {cursor}, "over": {over}}}"#, line(text));
        let deployment = format!(
            r#"{{"id": "{ID}", "target": "blog", "repository": "acme/blog", "ref": "refs/heads/main", "sha": "{sha}",
            "state": "succeeded", "created_at": "2010-01-02T03:04:05Z", "ended_at": null, "url": "/", "events": []}}"#,
            sha = "b".repeat(40),
        );
        let answers =
            [page("first", "7", false), page("last", "null", true), String::new(), page("last", "null", true)];
        for text in answers.into_iter().chain([deployment]) {
            let mut peer = listener.accept().unwrap().0;
            asked(&mut peer);
            if !text.is_empty() {
                say(&mut peer, &text);
            }
        }
    });
    let ran = landfall(dir.path(), &["logs", "-f", ID, "--url", &url]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "   first\n   last\n"), "{}", ran.talk);
    assert!(
        ran.talk.contains("; trying again for a minute\n") && ran.talk.ends_with("blog succeeded\n"),
        "{}",
        ran.talk
    );
}

#[test]
fn init_that_fails_half_way_leaves_nothing_and_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    // A file where a directory has to be: the last of the files cannot be written.
    fs::create_dir(dir.path().join("site")).unwrap();
    fs::write(dir.path().join("site/scripts"), "").unwrap();
    let ran = landfall(dir.path(), &["init", "--repository", "acme/shop"]);
    assert!(ran.exit == 3 && ran.talk.contains("nothing was left there"), "{} {}", ran.exit, ran.talk);
    for path in ["landfall.toml", "webhook-secret", ".gitignore", "site/appspec.yml"] {
        assert!(!dir.path().join(path).exists(), "{path}");
    }
    fs::remove_file(dir.path().join("site/scripts")).unwrap();
    let ran = landfall(dir.path(), &["init", "--repository", "acme/shop"]);
    assert!(ran.exit == 0 && dir.path().join("landfall.toml").exists(), "{}", ran.talk);
}
