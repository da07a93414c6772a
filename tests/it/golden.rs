//! What was ever written can still be read: lines of every kind, and a small ledger, as this program first wrote them.
//!
//! A golden file only ever grows. A line that reads differently now is a record that somebody has on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use landfall::domain::{Ask, Offset, Record, Stream, TargetName};
use landfall::ledger::{Filter, Ledger, Options};

use crate::bot::{Bot, Extra, deliver};
use crate::ledger::kinds;
use crate::ledger::made::{at, delivery, deploy};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn every_line_ever_written_reads_back_and_is_written_the_same() {
    let text = fs::read_to_string(golden("records-v1.jsonl")).unwrap();
    assert!(text.lines().count() > 50);
    for line in text.lines() {
        let record = Record::from_line(line).unwrap_or_else(|error| panic!("{error}\n{line}"));
        assert_eq!(record.to_line(), line);
    }
}

#[test]
fn every_kind_of_event_has_its_golden_line() {
    let text = fs::read_to_string(golden("records-v1.jsonl")).unwrap_or_default();
    let missing: Vec<_> = (0..)
        .zip(kinds::all())
        .map(|(offset, (stream, event))| Record { offset: Offset(offset), at: at(offset), stream, event })
        .filter(|record| !text.lines().any(|line| is_of(line, record)))
        .map(|record| record.to_line())
        .collect();
    assert!(missing.is_empty(), "add to tests/golden/records-v1.jsonl:\n{}", missing.join("\n"));
}

/// Offsets and times tell where a line was first put: a new kind in the middle must not move the others.
fn is_of(line: &str, record: &Record) -> bool {
    Record::from_line(line)
        .is_ok_and(|golden| (golden.stream, golden.event) == (record.stream.clone(), record.event.clone()))
}

/// A ledger that holds the golden segment alone.
fn opened(dir: &Path) -> Ledger {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    Ledger::open(dir, options, Arc::new(|| at(1000))).unwrap()
}

#[tokio::test]
async fn a_ledger_of_the_first_format_opens() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("log")).unwrap();
    let segment = dir.path().join("log/00000000000000000000.log");
    fs::copy(golden("segment-v1.log"), &segment).unwrap();
    let ledger = opened(dir.path());
    assert_eq!(ledger.end(), Offset(13));
    let states: Vec<_> = ledger.deployments(&Filter { limit: 10, ..Filter::default() }).unwrap();
    assert_eq!(states.iter().map(|it| it.state().name()).collect::<Vec<_>>(), ["planned", "failed"]);
    let kept = delivery(1, 1);
    assert_eq!(ledger.body(&kept.id).unwrap().unwrap(), kept.body);
    let again = ledger.accept(kept.clone(), deploy(&kept, &["blog"])).await.unwrap();
    assert!(again.repeat);
    assert!(ledger.story(&Stream::Bot).unwrap().len() == 1);
    ledger.close().await;
    assert_eq!(fs::read(segment).unwrap(), fs::read(golden("segment-v1.log")).unwrap());
}

/// What a killed bot of the project's first day left behind: `data_dir` with two pushes live, one failed, and one that a
/// lock holds. Made by the program of commit 9f8d3eb, in `/tmp/landfall-2026-11-21`, which is not there any more.
#[test]
fn a_data_directory_of_the_first_day_starts_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let packed = fs::File::open(golden("data-of-9f8d3eb.tar.gz")).unwrap();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(packed)).entries().unwrap() {
        entry.unwrap().unpack_in(dir.path()).unwrap();
    }
    let log = dir.path().join("data/ledger/log/00000000000000000000.log");
    let before = fs::read(&log).unwrap();
    let mut bot = Bot::asleep_at(dir.path(), &Extra::default());
    bot.start();
    let states = |bot: &Bot| bot.deployments().iter().map(|it| it.state().name()).collect::<Vec<_>>();
    assert_eq!(states(&bot), ["held", "failed", "succeeded", "succeeded"]);
    assert_eq!(bot.deployments()[0].reason().unwrap(), "`site` is locked by admin: until the upgrade");
    let ledger = &bot.app().ledger;
    let site = ledger.target(&TargetName::parse("site").unwrap()).unwrap();
    assert_eq!(site.live.map(|it| it.sha.short().to_owned()), Some("65c38cd".into()));
    let deliveries = ledger.deliveries(None, 10).unwrap();
    assert_eq!(deliveries.len(), 4);
    let Stream::Delivery(oldest) = &deliveries[3].stream else { panic!("{:?}", deliveries[3]) };
    let body = ledger.body(oldest).unwrap().unwrap();
    let (status, answer) =
        bot.runtime.block_on(deliver(&bot.url(), oldest.as_str(), &serde_json::from_slice(&body).unwrap()));
    assert_eq!((status, &answer["repeat"]), (200, &true.into()), "{answer}");
    bot.ask("unlock", Ask::Unlock { target: TargetName::parse("site").unwrap() }).unwrap();
    let sha = bot.commit("today");
    assert_eq!(bot.deliver("delivery-today", &sha).0, 202);
    let goes_on = |bot: &Bot| states(bot)[0] == "succeeded";
    bot.wait_for("the push of today", goes_on);
    assert_eq!(bot.page(), "today");
    // The commit that was held lies in a repository that is not there any more.
    let deployment = bot.deployments()[1].id();
    bot.ask("stop", Ask::Stop { deployment, rollback: false }).unwrap();
    bot.settle();
    assert_eq!(states(&bot), ["succeeded", "stopped", "failed", "succeeded", "succeeded"], "{}", bot.story());
    bot.stop();
    assert!(fs::read(&log).unwrap().starts_with(&before), "what was written stays as it was");
}
