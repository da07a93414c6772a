//! What the ledger lets go of, what stays of it, and that nothing else is lost, whenever the process is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use landfall::domain::{DeploymentEvent, DeploymentId, Event, Failure, Offset, Stream, TargetEvent};
use landfall::ledger::{Append, Keep, Ledger, LedgerError, Probe, Seams, export, import};

use super::folds::{Dice, events};
use super::made::{Dir, accept, append, at, delivery, deploy, main_branch, name, small};
use super::model::{Told, happen, restless};

/// Everything that is written now is older than this.
fn keep(newest: usize) -> Keep {
    Keep { since: at(1 << 24), newest }
}

/// A life in which the third deployment is never over, and all others fail.
async fn lived(ledger: &Ledger, numbers: std::ops::Range<u64>) -> Vec<DeploymentId> {
    let mut ids = Vec::new();
    for number in numbers {
        let id = accept(ledger, number, number).await;
        append(ledger, id, DeploymentEvent::Weighing).await.unwrap();
        if number != 3 {
            let failure = Failure::setup("test/failed", "it did not work");
            append(ledger, id, DeploymentEvent::Failed { failure }).await.unwrap();
        }
        ids.push(id);
    }
    let event = Event::Target(TargetEvent::Locked {
        actor: "ada".into(),
        reason: None,
        until: None,
        warns: false,
        after: None,
    });
    let (stream, births) = (Stream::Target(name("blog")), vec![]);
    ledger.append(Append { stream, expect: None, event, births }).await.unwrap();
    ids
}

/// What must be the same before and after.
fn standing(ledger: &Ledger) -> String {
    let unfinished = ledger.unfinished().unwrap();
    let open: Vec<_> = unfinished.iter().map(|id| ledger.deployment(*id).unwrap()).collect();
    let stories: Vec<_> = unfinished.iter().map(|id| ledger.story(&Stream::Deployment(*id)).unwrap()).collect();
    let (target, head) = (ledger.target(&name("blog")).unwrap(), ledger.head(&name("blog"), &main_branch()).unwrap());
    format!("{open:#?}{stories:#?}{target:#?}{head:#?}{:?}{}", ledger.releases().unwrap(), ledger.end())
}

#[tokio::test]
async fn what_is_old_goes_and_what_must_stay_stays() {
    let dir = Dir::new();
    let ledger = dir.open();
    let ids = lived(&ledger, 1..100).await;
    let (before, told, segments) = (standing(&ledger), Told::of(&ledger), dir.segments().len());
    assert_eq!(ledger.retire(keep(5), true).unwrap().map(|it| it.bytes), Some(0), "a dry run changes nothing");
    assert_eq!(dir.segments().len(), segments);

    let retired = ledger.retire(keep(5), false).unwrap().unwrap();
    assert!(retired.bytes > 50_000 && retired.kept > 10, "{retired:?} of {segments} segments");
    assert_eq!(ledger.retire(keep(5), false).unwrap(), None, "what is left is not worth it");
    for again in 0..3 {
        let ledger = match again {
            0 => ledger.clone(),
            _ => {
                ledger.close().await;
                if again == 2 {
                    fs::remove_dir_all(dir.ledger().join("index")).unwrap();
                }
                dir.open()
            }
        };
        assert!(standing(&ledger) == before, "opened {again} times");
        let here: BTreeSet<_> = ids.iter().filter(|id| ledger.deployment(**id).unwrap().is_some()).copied().collect();
        assert!(here.contains(&ids[2]) && ids[94..].iter().all(|id| here.contains(id)), "{here:?}");
        assert!(here.len() < 30 && !here.contains(&ids[0]), "{} stay", here.len());
        for id in &ids {
            let whole: Vec<_> = told.records.iter().filter(|it| it.stream == Stream::Deployment(*id)).collect();
            let story = ledger.story(&Stream::Deployment(*id)).unwrap();
            assert!(story.iter().eq(whole.into_iter().filter(|_| here.contains(id))));
        }
        let records = ledger.read(Offset(0), usize::MAX).unwrap();
        assert!(records.iter().all(|it| told.records[usize::try_from(it.offset.0).unwrap()] == *it));
        assert!(records.iter().rev().zip(told.records.iter().rev()).take(5).all(|(it, was)| it == was));
        assert!(matches!(ledger.story(&Stream::Delivery(delivery(1, 1).id)), Ok(story) if story.is_empty()));
        ledger.close().await;
    }
    // A delivery is known for as long as its record is.
    let ledger = dir.open();
    let deliver = |number| ledger.accept(delivery(number, number), deploy(&delivery(number, number), &["blog"]));
    assert!(deliver(3).await.unwrap().repeat);
    assert!(!deliver(1).await.unwrap().repeat);
    append(&ledger, ids[2], DeploymentEvent::StopAsked { actor: "ada".into(), rollback: false }).await.unwrap();
}

#[tokio::test]
async fn it_is_let_go_of_again_and_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    let mut most = 0;
    for round in 0..4_u64 {
        lived(&ledger, 1 + round * 60..61 + round * 60).await;
        let before = standing(&ledger);
        assert!(ledger.retire(keep(2), false).unwrap().is_some(), "round {round}");
        assert!(standing(&ledger) == before, "round {round}");
        most = most.max(dir.segments().len());
    }
    assert!(most < 6, "{most} segments stayed");
    ledger.close().await;
    let whole = dir.dump();
    fs::remove_dir_all(dir.ledger().join("index")).unwrap();
    dir.open().close().await;
    assert!(whole == dir.dump(), "an index of what stayed is the same as the one that was made with it");
}

/// A process that is killed in between leaves the ledger as it was, or as it should be; and what is left is tidied up.
#[tokio::test]
async fn killed_anywhere_it_loses_nothing() {
    for seam in ["retire:written", "retire:indexed", "retire:renamed", "retire:exchanged"] {
        let dir = Dir::new();
        let probe: Probe = Arc::new(move |passed| {
            if passed == seam {
                std::panic::resume_unwind(Box::new("the machine stops here"));
            }
        });
        let ledger = dir.try_open(small(), probe.into()).unwrap();
        let ids = lived(&ledger, 1..60).await;
        let before = standing(&ledger);
        assert!(catch_unwind(AssertUnwindSafe(|| ledger.retire(keep(5), false))).is_err(), "{seam}");
        drop(ledger);
        let ledger = dir.open();
        assert!(standing(&ledger) == before, "{seam}");
        let is_done = ["retire:renamed", "retire:exchanged"].contains(&seam);
        assert_eq!(ledger.deployment(ids[0]).unwrap().is_none(), is_done, "{seam}");
        assert_eq!(ledger.deployment(ids[58]).unwrap().map(|it| it.events()), Some(3), "{seam}");
        let index = fs::read_dir(dir.ledger().join("index")).unwrap().count();
        let halves = fs::read_dir(dir.ledger().join("log")).unwrap();
        let halves = halves.filter(|it| it.as_ref().unwrap().path().extension().is_some_and(|it| it == "half")).count();
        assert_eq!((index, halves), (1, 0), "{seam}");
        if !is_done {
            assert!(ledger.retire(keep(5), false).unwrap().is_some(), "{seam}");
            assert!(standing(&ledger) == before, "{seam}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_go_on_meanwhile() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger, 1..60).await;
    let other = ledger.clone();
    let retiring = tokio::task::spawn_blocking(move || other.retire(keep(5), false));
    let mut number = 60;
    while !retiring.is_finished() {
        let id = accept(&ledger, number, number).await;
        append(&ledger, id, DeploymentEvent::Weighing).await.unwrap();
        assert_eq!(ledger.story(&Stream::Deployment(id)).unwrap().len(), 2);
        number += 1;
    }
    retiring.await.unwrap().unwrap().unwrap();
    assert_eq!(ledger.unfinished().unwrap().len() as u64, 1 + number - 60);
    let before = standing(&ledger);
    ledger.close().await;
    assert!(standing(&dir.open()) == before);
}

/// Whatever happened before it: what is not over, and what is known of targets and refs, stays as it was.
#[tokio::test]
async fn after_any_life_what_is_known_is_known_still() {
    for seed in [1, 2, 3] {
        let dir = Dir::new();
        let ledger = dir.try_open(restless(), Seams::default()).unwrap();
        let (mut dice, events, mut ids) = (Dice(seed), events(), Vec::new());
        for number in 1..=150 {
            happen(&ledger, &mut dice, &events, number, &mut ids).await;
        }
        let before = standing(&ledger);
        assert!(ledger.retire(keep(1), false).unwrap().is_some(), "seed {seed}");
        assert!(standing(&ledger) == before, "seed {seed}");
        for number in 151..=200 {
            happen(&ledger, &mut dice, &events, number, &mut ledger.unfinished().unwrap()).await;
        }
        let after = standing(&ledger);
        ledger.close().await;
        fs::remove_dir_all(dir.ledger().join("index")).unwrap();
        assert!(standing(&dir.open()) == after, "seed {seed}");
    }
}

#[tokio::test]
async fn what_stayed_is_exported_and_imported_as_it_is() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger, 1..60).await;
    ledger.retire(keep(5), false).unwrap().unwrap();
    let (before, mut out) = (standing(&ledger), Vec::new());
    let counts = export(&dir.ledger(), Path::new("out"), &mut out, |error| panic!("{error}")).unwrap();
    let other = Dir::new();
    assert_eq!(import(&other.ledger(), Path::new("in"), Cursor::new(out)).unwrap(), counts);
    assert!(standing(&other.open()) == before);
    ledger.close().await;
    let texts = |dir: &Dir| dir.segments().iter().map(|it| fs::read(it).unwrap()).collect::<Vec<_>>();
    assert!(texts(&dir) == texts(&other));
}

/// A start after it reads no segment again that was checked before: with years of them that would take minutes.
#[tokio::test]
async fn what_was_checked_is_not_checked_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger, 1..60).await;
    // Half of it is old.
    let segments = dir.segments();
    ledger.close().await;
    let ledger = dir.open();
    let end = ledger.end();
    let middle = ledger.read(Offset(end.0 / 2), 10).unwrap().iter().map(|it| it.at).max().unwrap();
    let retired = ledger.retire(Keep { since: middle, newest: 5 }, false).unwrap();
    ledger.close().await;
    let last_but_one = &segments[segments.len() - 2];
    assert!(retired.is_some() && last_but_one.exists(), "{retired:?}");
    let (mut bytes, modified) =
        (fs::read(last_but_one).unwrap(), fs::metadata(last_but_one).unwrap().modified().unwrap());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(last_but_one, bytes).unwrap();
    fs::File::options().write(true).open(last_but_one).unwrap().set_modified(modified).unwrap();
    assert!(dir.try_open(small(), Seams::default()).is_ok(), "it was read again");
}

#[tokio::test]
async fn a_closed_ledger_lets_go_of_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    lived(&ledger, 1..60).await;
    let files = dir.segments();
    ledger.close().await;
    let refused = ledger.retire(keep(5), false);
    assert!(matches!(refused, Err(LedgerError::Closed { .. })), "{refused:?}");
    assert_eq!(dir.segments(), files);
    dir.try_open(small(), Seams::default()).unwrap();
}
