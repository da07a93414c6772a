//! What became of a ledger whose files were lost, altered or left behind.

use std::fs;
use std::sync::Arc;

use landfall::domain::{DeploymentEvent, Offset};
use landfall::ledger::{LedgerError, Probe, Seams};

use super::made::{Dir, accept, append, delivery, deploy, long, small};
use super::{lived, told};

#[tokio::test]
async fn an_index_that_fell_behind_catches_up() {
    for seam in ["before-write", "after-write", "after-sync", "before-index", "after-index"] {
        let dir = Dir::new();
        let ledger = dir.open();
        accept(&ledger, 1, 1).await;
        ledger.close().await;
        let probe: Probe = Arc::new(move |passed| {
            if passed == seam {
                std::panic::resume_unwind(Box::new("the machine stops here"));
            }
        });
        let ledger = dir.try_open(small(), probe.into()).unwrap();
        let second = delivery(2, 2);
        let plans = deploy(&second, &["blog"]);
        let lost = ledger.accept(second.clone(), plans.clone()).await;
        assert!(matches!(lost, Err(LedgerError::Closed { .. })), "{seam}: {lost:?}");
        assert_eq!(ledger.end(), Offset(3), "nothing is visible before it is in the index");
        drop(ledger);
        let ledger = dir.open();
        let again = ledger.accept(second, plans).await.unwrap();
        assert_eq!(again.repeat, seam != "before-write", "{seam}");
        assert_eq!(ledger.end(), Offset(5));
        assert_eq!(ledger.deployment(again.plans[0].deployment.unwrap()).unwrap().unwrap().events(), 1);
        let before = told(&ledger);
        ledger.close().await;
        let index = dir.dump();
        fs::remove_dir_all(dir.ledger().join("index")).unwrap();
        assert!(before == told(&dir.open()), "{seam}");
        assert_eq!(index, dir.dump(), "{seam}");
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_read_or_is_not_of_this_log_is_made_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    let told_before = lived(&ledger).await;
    ledger.close().await;
    let index = dir.ledger().join("index");

    fs::write(dir.young().join("conf"), "no configuration of sled's").unwrap();
    assert!(told_before == told(&dir.open()));

    let db = dir.young().join("db");
    let mut bytes = fs::read(&db).unwrap();
    bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
    fs::write(&db, bytes).unwrap();
    assert!(told_before == told(&dir.open()));

    let other = Dir::new();
    let ledger = other.open();
    for n in 100..110 {
        accept(&ledger, n, n).await;
    }
    ledger.close().await;
    fs::remove_dir_all(&index).unwrap();
    fs::rename(other.ledger().join("index"), &index).unwrap();
    assert!(told_before == told(&dir.open()));
}

#[tokio::test]
async fn an_index_beyond_the_logs_end_is_made_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    append(&ledger, id, DeploymentEvent::Weighing).await.unwrap();
    ledger.close().await;
    let log = dir.segments().pop().unwrap();
    let length = fs::metadata(&log).unwrap().len();
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 1).unwrap();
    let ledger = dir.open();
    assert_eq!(ledger.end(), Offset(3));
    assert_eq!(ledger.deployment(id).unwrap().unwrap().events(), 1);
    append(&ledger, id, DeploymentEvent::Weighing).await.unwrap();
}

#[tokio::test]
async fn an_altered_log_is_refused_with_file_byte_and_offset() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger).await;
    ledger.close().await;
    let segments = dir.segments();
    let first = segments.first().unwrap();
    let mut bytes = fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(first, &bytes).unwrap();
    let Err(error) = dir.try_open(small(), Seams::default()) else { panic!("an altered log was opened") };
    let LedgerError::Altered { ref file, byte, offset, .. } = error else { panic!("{error}") };
    assert!(file == first && offset > Offset(0) && (byte as usize) < middle, "{error}");
    assert_eq!(error.failure().code, "ledger/altered");
    assert_eq!(fs::read(first).unwrap(), bytes);
}

#[tokio::test]
async fn the_oldest_segment_cannot_vanish_unnoticed() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger).await;
    ledger.close().await;
    fs::remove_file(&dir.segments()[0]).unwrap();
    let Err(error) = dir.try_open(small(), Seams::default()) else { panic!("a log without its beginning was opened") };
    assert!(matches!(error, LedgerError::Altered { offset: Offset(0), byte: 0, .. }), "{error}");
}

#[tokio::test]
async fn the_newest_segment_cannot_vanish_unnoticed() {
    let dir = Dir::new();
    let ledger = dir.open();
    accept(&ledger, 1, 1).await;
    ledger.close().await;
    fs::remove_file(&dir.segments()[0]).unwrap();
    for _ in 0..2 {
        let Err(error) = dir.try_open(small(), Seams::default()) else { panic!("a log that is gone was begun anew") };
        assert!(matches!(error, LedgerError::Altered { offset: Offset(0), byte: 0, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_is_missing_or_altered_is_told() {
    let dir = Dir::new();
    let ledger = dir.open();
    let long = long(1);
    ledger.accept(long.clone(), vec![]).await.unwrap();
    assert_eq!(ledger.body(&long.id).unwrap().unwrap(), long.body);
    let file = dir.ledger().join("bodies").join(&long.digest);
    let mut altered = fs::read(&file).unwrap();
    altered[50_000] ^= 1;
    fs::write(&file, altered).unwrap();
    let Err(error) = ledger.body(&long.id) else { panic!("an altered body was believed") };
    assert_eq!(error.failure().code, "ledger/altered-body");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(matches!(ledger.body(&long.id), Err(LedgerError::Gone { .. })));
}
