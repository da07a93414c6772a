//! Who may write, and when nobody may: one process, enough space, a disk that does as it is told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use landfall::domain::{DeploymentEvent, Offset};
use landfall::ledger::{Health, LedgerError, Options, Seams};

use super::made::{Dir, accept, append, delivery, deploy, small};

#[tokio::test]
async fn a_directory_in_use_names_its_holder() {
    let dir = Dir::new();
    let ledger = dir.open();
    let Err(error) = dir.try_open(small(), Seams::default()) else { panic!("two have it") };
    assert!(matches!(error, LedgerError::InUse { pid, .. } if pid == Some(std::process::id())), "{error}");
    ledger.close().await;
    assert!(matches!(ledger.health(), Health::Closed { .. }));
    drop(dir.open());
    drop(dir.open());
    let late = delivery(1, 1);
    assert!(matches!(ledger.accept(late, vec![]).await, Err(LedgerError::Closed { .. })));
}

#[tokio::test]
async fn a_delivery_is_refused_within_the_reserve_and_what_is_under_way_is_not() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    ledger.close().await;
    let disk = nix::sys::statvfs::statvfs(&dir.ledger()).unwrap();
    let free = disk.blocks_available() * disk.fragment_size();
    let ledger = dir.try_open(Options { reserve_bytes: free * 2, ..small() }, Seams::default()).unwrap();
    let mut late = delivery(2, 2);
    let plans = deploy(&late, &["blog"]);
    let Err(LedgerError::Full { reserve, .. }) = ledger.accept(late.clone(), plans).await else {
        panic!("it was taken")
    };
    assert_eq!(reserve, free * 2);
    late.body = vec![b'x'; 100_000].into();
    assert!(matches!(ledger.accept(late, vec![]).await, Err(LedgerError::Full { .. })));
    assert_eq!(std::fs::read_dir(dir.ledger().join("bodies")).unwrap().count(), 0);
    assert!(matches!(ledger.health(), Health::Full { .. }));
    let again = ledger.accept(delivery(1, 1), vec![]).await.unwrap();
    assert!(again.repeat, "a repeat needs no space");
    append(&ledger, id, DeploymentEvent::Weighing).await.unwrap();
    ledger.close().await;
    let ledger = dir.try_open(Options { reserve_bytes: u64::MAX, ..small() }, Seams::default()).unwrap();
    let stop = DeploymentEvent::StopAsked { actor: "ada".into(), rollback: false };
    assert!(matches!(append(&ledger, id, stop).await, Err(LedgerError::Full { .. })));
}

#[tokio::test]
async fn after_a_storage_error_the_door_stays_closed() {
    for operation in ["write", "sync"] {
        let dir = Dir::new();
        let broken = Arc::new(AtomicBool::new(false));
        let seen = broken.clone();
        let storage = Arc::new(move |tried| {
            let fails = tried == operation && seen.load(Ordering::Relaxed);
            if fails { Err(io::Error::other("the disk is on fire")) } else { Ok(()) }
        });
        let ledger = dir.try_open(small(), Seams { storage, ..Seams::default() }).unwrap();
        let id = accept(&ledger, 1, 1).await;
        assert_eq!(ledger.health(), Health::Open);
        broken.store(true, Ordering::Relaxed);
        let lost = ledger.accept(delivery(2, 2), vec![]).await;
        let Err(LedgerError::Closed { why }) = lost else { panic!("{lost:?}") };
        assert!(why.contains("the disk is on fire") && why.contains(".log"), "{why}");
        assert_eq!(ledger.closed().await, why);
        broken.store(false, Ordering::Relaxed);
        assert!(matches!(append(&ledger, id, DeploymentEvent::Weighing).await, Err(LedgerError::Closed { .. })));
        assert!(ledger.accept(delivery(1, 1), vec![]).await.unwrap().repeat, "a repeat writes nothing");
        assert_eq!(ledger.health(), Health::Closed { why });
        assert_eq!(ledger.end(), Offset(3));
        assert_eq!(ledger.read(Offset(0), 10).unwrap().len(), 3);
        ledger.close().await;
        let ledger = dir.open();
        append(&ledger, id, DeploymentEvent::Weighing).await.unwrap();
    }
}
