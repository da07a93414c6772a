//! What was ever written can still be read: lines of every kind, and a small ledger, as this program first wrote them.
//!
//! A golden file only ever grows. A line that reads differently now is a record that somebody has on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use landfall::domain::{Offset, Record, Stream};
use landfall::ledger::{Filter, Ledger, Options};

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
