//! What the index says of a deployment, a target and a ref is what a fold of their events says.

use landfall::domain::{Deployment, DeploymentEvent, Event, Head, Offset, Record, Repository, Stream, TargetState};
use landfall::ledger::{Filter, Ledger, LedgerError};

use super::kinds::event_after;
use super::made::{Dir, accept, append, at, main_branch, name, push};

/// Numbers that look thrown, the same ones every time (Knuth's MMIX constants).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One of each kind.
pub(super) fn events() -> Vec<DeploymentEvent> {
    std::iter::successors(event_after(None), |last| event_after(Some(last))).collect()
}

#[tokio::test]
async fn every_snapshot_is_the_fold_of_its_events() {
    let dir = Dir::new();
    let ledger = dir.open();
    let (mut dice, events) = (Dice(42), events());
    let (mut ids, mut refused) = (Vec::new(), 0);
    for n in 1..400 {
        if n % 10 == 1 {
            ids.push(accept(&ledger, n, n).await);
        }
        let id = ids[dice.throw(ids.len() as u64) as usize];
        let event = events[dice.throw(events.len() as u64) as usize].clone();
        let end = ledger.end();
        match append(&ledger, id, event).await {
            Ok(()) => assert_eq!(ledger.end(), end.next()),
            Err(LedgerError::Misplaced(_)) => {
                refused += 1;
                assert_eq!(ledger.end(), end, "what is refused is not written");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 50 && ledger.end() > Offset(100), "{refused} refused, {} kept", ledger.end());
    compare(&ledger);
    ledger.close().await;
    compare(&dir.open());
}

fn compare(ledger: &Ledger) {
    let all = ledger.deployments(&Filter { limit: 1000, ..Filter::default() }).unwrap();
    assert_eq!(all.len(), 40);
    let Repository { id: repository_id, name: pinned_as } = push(1).repository;
    let pinned = TargetState { repository_id, pinned_as: Some(pinned_as), ..TargetState::default() };
    let (mut head, mut target) = (Head::default(), pinned);
    for deployment in &all {
        let story = ledger.story(&Stream::Deployment(deployment.id())).unwrap();
        assert_eq!(*deployment, fold(deployment, &story));
        assert_eq!(deployment.events(), story.len() as u64);
    }
    for record in ledger.read(Offset(0), 10_000).unwrap() {
        let Stream::Deployment(id) = record.stream else { continue };
        let story = ledger.story(&record.stream).unwrap();
        let deployment = ledger.deployment(id).unwrap().unwrap();
        if story[0].offset == record.offset {
            head.planned = Some((deployment.order().sha.clone(), id));
        }
        // What is told after the end, of a rollback, concludes nothing again.
        let is_end = |it: &Record| matches!(&it.event, Event::Deployment(event) if event.is_end());
        let end = story.iter().rfind(|it| is_end(it));
        if let Some(end) = end.filter(|end| end.offset == record.offset) {
            if let Some(commit) = deployment.handled() {
                (head.seen, head.seen_by) = (Some(commit.clone()), Some(id));
                target.seen = Some(commit.clone());
            }
            target.conclude(end.at, &deployment);
        }
    }
    assert_eq!(ledger.head(&name("blog"), &main_branch()).unwrap(), head);
    assert_eq!(ledger.target(&name("blog")).unwrap(), target);
    let unfinished: Vec<_> = all.iter().rev().filter(|it| !it.state().is_over()).map(Deployment::id).collect();
    assert_eq!(ledger.unfinished().unwrap(), unfinished);
    assert!(all.iter().any(|it| it.created_at() > at(300)));
}

fn fold(deployment: &Deployment, story: &[Record]) -> Deployment {
    let events = story.iter().map(|record| {
        let Event::Deployment(event) = &record.event else { panic!("{record:?}") };
        (record.at, event)
    });
    Deployment::replay(deployment.id(), events).unwrap()
}
