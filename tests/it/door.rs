//! The door under fire: two thousand deliveries, repeats among them, and a program that is killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use landfall::clients::process::blocking_program;
use landfall::domain::{DeliveryEvent, Event, Offset, Record};
use landfall::ledger::{Ledger, Options};
use sha2::{Digest, Sha256};

use crate::bot::{Extra, configuration, install_tls};
use crate::worlds::push::{self, SECRET};
use crate::worlds::repository::Repository;

const DISTINCT: usize = 1800;
const REPEATS: usize = 200;
const SENDERS: usize = 64;
const KILLS: [usize; 3] = [300, 800, 1400];

/// One delivery to be sent: under this id, with this body.
#[derive(Clone)]
struct Letter {
    id: String,
    body: String,
}

#[test]
fn every_push_that_was_answered_is_kept_exactly_once_whatever_is_killed() {
    install_tls();
    let dir = tempfile::tempdir().unwrap();
    let repo = Repository::lasting(&dir.path().join("repo"));
    let port = free_port();
    let text = configuration(dir.path(), &repo, &Extra::default()).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    fs::write(dir.path().join("landfall.toml"), text).unwrap();

    let answered = Arc::new(Mutex::new(BTreeMap::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(fire(dir.path(), port, answered.clone()));

    let answered = Arc::into_inner(answered).unwrap().into_inner().unwrap();
    let digests: BTreeSet<String> = letters().iter().map(|it| digest(&it.body)).collect();
    assert_eq!(answered.keys().cloned().collect::<BTreeSet<_>>(), digests, "every sender got its answer in the end");
    let mut kept = BTreeMap::<String, usize>::new();
    for record in records(dir.path()) {
        if let Event::Delivery(DeliveryEvent::Received { digest, plans, .. }) = record.event {
            assert_eq!(plans.len(), 1, "one target, one plan");
            *kept.entry(digest).or_default() += 1;
        }
    }
    let more_than_once: Vec<_> = kept.iter().filter(|(_, times)| **times != 1).collect();
    assert!(more_than_once.is_empty(), "kept more than once: {more_than_once:?}");
    assert_eq!(kept.into_keys().collect::<BTreeSet<_>>(), digests);
}

/// Sends everything from 64 connections, and kills the program three times in the middle.
async fn fire(dir: &Path, port: u16, answered: Arc<Mutex<BTreeMap<String, u16>>>) {
    let queue = Arc::new(Mutex::new(letters()));
    let done = Arc::new(AtomicUsize::new(0));
    let mut program = Program::start(dir);
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (queue, done, answered) = (queue.clone(), done.clone(), answered.clone());
        senders.spawn(async move {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
            loop {
                let Some(letter) = queue.lock().unwrap().pop() else { return };
                let status = send(&client, port, &letter).await;
                done.fetch_add(1, Ordering::Relaxed);
                answered.lock().unwrap().insert(digest(&letter.body), status);
            }
        });
    }
    let all = async {
        for at in KILLS {
            while done.load(Ordering::Relaxed) < at {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            program.kill();
            program = Program::start(dir);
        }
        while senders.join_next().await.is_some() {}
    };
    tokio::time::timeout(Duration::from_secs(180), all).await.expect("the senders are done within three minutes");
    program.kill();
}

/// Sends one letter until it is answered with 2xx, as GitHub's user would by hand.
async fn send(client: &reqwest::Client, port: u16, letter: &Letter) -> u16 {
    let url = format!("http://127.0.0.1:{port}");
    loop {
        let delivery = push::delivery(client, &url, SECRET, &letter.id, letter.body.clone());
        match delivery.send().await {
            Ok(answer) if answer.status().is_success() => return answer.status().as_u16(),
            Ok(answer) if answer.status().as_u16() == 503 => {}
            Ok(answer) => panic!("{}: {:?}", answer.status(), answer.text().await),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All letters, well shuffled: 1,800 pushes, and 200 repeats, half of them under a fresh id.
fn letters() -> Vec<Letter> {
    let letter = |number: usize| {
        // One in four goes to a mapped branch, and means a deployment.
        let reference = if number.is_multiple_of(4) { "refs/heads/main" } else { "refs/heads/elsewhere" };
        let mut body = push::payload("acme/site", &format!("{number:040x}"));
        body["ref"] = reference.into();
        Letter { id: format!("delivery-{number}"), body: body.to_string() }
    };
    let mut all: Vec<Letter> = (1..=DISTINCT).map(letter).collect();
    for number in 1..=REPEATS {
        let again = letter(number * 9);
        let id = if number % 2 == 0 { format!("fresh-{number}") } else { again.id };
        all.push(Letter { id, body: again.body });
    }
    all.sort_by_key(|it| Sha256::digest(format!("{} {}", it.id, it.body)).to_vec());
    all
}

fn digest(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

fn records(dir: &Path) -> Vec<Record> {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let now = Arc::new(|| Timestamp::UNIX_EPOCH);
    let ledger = Ledger::open(&dir.join("data/ledger"), options, now).unwrap();
    ledger.read(Offset(0), usize::MAX).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The shipped program, killed when dropped.
struct Program(Child);

impl Program {
    fn start(dir: &Path) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        let child = blocking_program(env!("CARGO_BIN_EXE_landfall"))
            .args(["serve", "-c"])
            .arg(dir.join("landfall.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
