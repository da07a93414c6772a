//! Whatever happens to a ledger, in whatever order, and however often its index is turned, merged, reopened or lost: it
//! says what a look through all of its records says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use landfall::domain::{
    Ask, Deployment, DeploymentEvent, DeploymentId, Event, NoticeState, Offset, Record, Request, SinkEvent, Stream,
    TargetEvent,
};
use landfall::ledger::{Append, Filter, Ledger, LedgerError, Options, Probe, Seams};

use super::folds::{Dice, events};
use crate::worlds::years::{self, Years, target_name};

use super::made::{Dir, accept, append, at, delivery, deploy, name, sha, small};

/// An index that is turned with every group, so that there are many runs, and runs of runs.
pub(super) fn restless() -> Options {
    Options { index_bytes: 0, ..small() }
}

/// All that was written, looked through.
pub(super) struct Told {
    pub(super) records: Vec<Record>,
    deployments: BTreeMap<DeploymentId, Deployment>,
}

impl Told {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let records = ledger.read(Offset(0), usize::MAX).unwrap();
        let ids: BTreeSet<_> = records.iter().filter_map(|it| deployment_of(&it.stream)).collect();
        let whole = |id| {
            let mine = records.iter().filter(|it| it.stream == Stream::Deployment(id));
            Deployment::replay(id, mine.map(|record| (record.at, event_of(record)))).unwrap()
        };
        let deployments = ids.into_iter().map(|id| (id, whole(id))).collect();
        Self { records, deployments }
    }

    fn listed(&self, filter: &Filter) -> Vec<&Deployment> {
        let takes = |it: &&Deployment| {
            filter.target.as_ref().is_none_or(|target| *target == it.order().target.name)
                && filter.sha.as_ref().is_none_or(|sha| {
                    let commits = [Some(&it.order().sha), it.weighed().map(|it| &it.commit)];
                    commits.into_iter().flatten().any(|it| it.as_str().starts_with(sha))
                })
                && filter.state.as_ref().is_none_or(|state| state == it.state().name())
                && filter.before.is_none_or(|before| it.id() < before)
        };
        self.deployments.values().rev().filter(takes).take(filter.limit).collect()
    }

    fn compare(&self, ledger: &Ledger, dice: &mut Dice) {
        for (id, deployment) in &self.deployments {
            assert_eq!(ledger.deployment(*id).unwrap().as_ref(), Some(deployment));
        }
        let streams: BTreeSet<_> = self.records.iter().map(|it| it.stream.clone()).collect();
        for stream in streams {
            let mine: Vec<_> = self.records.iter().filter(|it| it.stream == stream).cloned().collect();
            assert_eq!(ledger.story(&stream).unwrap(), mine, "{stream}");
        }
        let unfinished: Vec<_> =
            self.deployments.values().filter(|it| !it.state().is_over()).map(Deployment::id).collect();
        assert_eq!(ledger.unfinished().unwrap(), unfinished);
        for _ in 0..20 {
            let before = self.deployments.keys().nth(dice.throw(self.deployments.len() as u64) as usize).copied();
            let filter = Filter {
                target: Some(name(["blog", "shop"][dice.throw(2) as usize])).filter(|_| dice.throw(2) == 0),
                sha: Some(sha(dice.throw(60)).as_str()[..36 + dice.throw(5) as usize].to_owned())
                    .filter(|_| dice.throw(3) == 0),
                state: Some(["failed", "weighing", "succeeded"][dice.throw(3) as usize].to_owned())
                    .filter(|_| dice.throw(3) == 0),
                before: before.filter(|_| dice.throw(2) == 0),
                limit: 1 + dice.throw(30) as usize,
                ..Filter::default()
            };
            let found = ledger.deployments(&filter).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), self.listed(&filter), "{filter:?}");
        }
        let is_delivery = |it: &&Record| matches!(&it.event, Event::Delivery(_));
        let deliveries: Vec<_> = self.records.iter().rev().filter(is_delivery).cloned().collect();
        assert_eq!(ledger.deliveries(None, usize::MAX).unwrap(), deliveries);
        for record in &self.records {
            assert_eq!(ledger.read(record.offset, 1).unwrap().first(), Some(record));
        }
        for id in self.deployments.keys() {
            let is_of = |it: &SinkEvent| matches!(it, SinkEvent::Sent { deployment, .. } if deployment == id);
            let mut told = self
                .records
                .iter()
                .filter_map(|it| if let Event::Sink(event) = &it.event { Some(event) } else { None });
            assert_eq!(ledger.sent("github", *id).unwrap().as_ref(), told.rfind(|it| is_of(it)));
        }
        let locked = ledger.target(&name("blog")).unwrap().lock.is_some();
        let lock = |it: &Record| match &it.event {
            Event::Target(TargetEvent::Locked { .. }) => Some(true),
            Event::Target(TargetEvent::Unlocked { .. }) => Some(false),
            Event::Target(_) | Event::Delivery(_) | Event::Deployment(_) | Event::Sink(_) | Event::Bot(_) => None,
        };
        assert_eq!(locked, self.records.iter().filter_map(lock).next_back().unwrap_or(false));
    }
}

fn deployment_of(stream: &Stream) -> Option<DeploymentId> {
    if let Stream::Deployment(id) = stream { Some(*id) } else { None }
}

fn event_of(record: &Record) -> &DeploymentEvent {
    let Event::Deployment(event) = &record.event else { panic!("{record:?}") };
    event
}

/// One thing that happens.
pub(super) async fn happen(
    ledger: &Ledger,
    dice: &mut Dice,
    events: &[DeploymentEvent],
    number: u64,
    ids: &mut Vec<DeploymentId>,
) {
    let some = |ids: &[DeploymentId], dice: &mut Dice| ids[dice.throw(ids.len() as u64) as usize];
    match dice.throw(10) {
        0 | 1 => ids.push(accept(ledger, number, number).await),
        2 if number > 2 => {
            // A repeat of whatever was there before plans nothing.
            let end = ledger.end();
            let old = 1 + dice.throw(number - 1);
            let again = delivery(old, old);
            let plans = deploy(&again, &["blog"]);
            let repeat = ledger.accept(again, plans).await.unwrap();
            assert!(repeat.repeat == (ledger.end() == end));
        }
        3 if !ids.is_empty() => {
            let (deployment, nth) = (some(ids, dice), 0);
            let (context, text, remote_id) = ("landfall/blog".into(), format!("Told {number}"), None);
            let event = SinkEvent::Sent {
                deployment,
                context,
                sha: sha(1),
                state: NoticeState::Pending,
                text,
                remote_id,
                nth,
                steps: 0,
            };
            let (stream, event) = (Stream::Sink("github".into()), Event::Sink(event));
            ledger.append(Append { stream, expect: None, event, births: vec![] }).await.unwrap();
        }
        4 => {
            let request = Request {
                actor: "ada".into(),
                key: format!("key {}", dice.throw(20)),
                what: Ask::Pause { reason: None },
            };
            let event = match dice.throw(2) {
                0 => TargetEvent::Locked { actor: "ada".into(), reason: None, until: None, warns: false, after: None },
                _ => TargetEvent::Unlocked { actor: "ada".into() },
            };
            let known = ledger.was_asked("ada", &request.key).unwrap();
            let lock = vec![(Stream::Target(name("blog")), Event::Target(event))];
            assert_eq!(ledger.request(request, lock, vec![]).await.unwrap().repeat, known);
        }
        _ if !ids.is_empty() => {
            let (id, event) = (some(ids, dice), events[dice.throw(events.len() as u64) as usize].clone());
            match append(ledger, id, event).await {
                Ok(()) | Err(LedgerError::Misplaced(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn it_says_what_a_look_through_its_records_says() {
    let dir = Dir::new();
    let (mut dice, events, mut ids) = (Dice(7), events(), Vec::new());
    let mut ledger = dir.try_open(restless(), Seams::default()).unwrap();
    for number in 1..=320 {
        happen(&ledger, &mut dice, &events, number, &mut ids).await;
        if number % 80 == 0 {
            Told::of(&ledger).compare(&ledger, &mut dice);
            ledger.close().await;
            if number == 160 {
                fs::remove_dir_all(dir.ledger().join("index")).unwrap();
            }
            ledger = dir.try_open(restless(), Seams::default()).unwrap();
            Told::of(&ledger).compare(&ledger, &mut dice);
        }
    }
    assert!(ids.len() > 30 && ledger.end() > Offset(200), "{} deployments, {} records", ids.len(), ledger.end());
}

/// A process that stops within a turn or a merge loses nothing, and the next start tidies up after it.
#[tokio::test]
async fn a_turn_that_is_cut_short_anywhere_loses_nothing() {
    for seam in ["turn:begun", "turn:run-written", "turn:young-made", "merge:written"] {
        let dir = Dir::new();
        let (mut dice, events, mut ids) = (Dice(11), events(), Vec::new());
        let probe: Probe = Arc::new(move |passed| {
            if passed == seam {
                std::panic::resume_unwind(Box::new("the machine stops here"));
            }
        });
        let ledger = dir.try_open(restless(), probe.into()).unwrap();
        for number in 1..=20 {
            let delivery = delivery(number, number);
            let plans = deploy(&delivery, &["blog"]);
            if ledger.accept(delivery, plans).await.is_err() {
                break;
            }
        }
        drop(ledger);
        let ledger = dir.try_open(restless(), Seams::default()).unwrap();
        for number in 21..=60 {
            happen(&ledger, &mut dice, &events, number, &mut ids).await;
        }
        Told::of(&ledger).compare(&ledger, &mut dice);
        ledger.close().await;
        let files = fs::read_dir(dir.young().parent().unwrap()).unwrap().count();
        assert!(files < 20, "{seam}: {files} files are left of an index that was turned some fifty times");
    }
}

/// A run that was altered or lost is never believed: the index is made again, or the reader is told.
#[tokio::test]
async fn a_run_that_was_altered_or_lost_is_noticed() {
    let dir = Dir::new();
    let ledger = dir.try_open(restless(), Seams::default()).unwrap();
    for number in 1..=30 {
        accept(&ledger, number, number).await;
    }
    let told = Told::of(&ledger);
    ledger.close().await;
    let runs = || {
        let entries = fs::read_dir(dir.young().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "run")).collect();
        found.sort();
        found
    };
    let whole = fs::read(&runs()[0]).unwrap();
    let mut told_of = 0;
    for place in (0..whole.len()).step_by(whole.len() / 12) {
        let path = runs()[0].clone();
        let mut altered = whole.clone();
        altered[place] ^= 1;
        fs::write(&path, &altered).unwrap();
        let ledger = dir.try_open(small(), Seams::default()).unwrap();
        let found: Result<Vec<_>, _> = told.deployments.keys().map(|id| ledger.deployment(*id)).collect();
        let records: Result<Vec<_>, _> = told.records.iter().map(|it| ledger.read(it.offset, 1)).collect();
        match found.and_then(|found| Ok((found, records?))) {
            Ok((found, records)) => {
                assert!(found.iter().flatten().eq(told.deployments.values()));
                assert!(records.iter().flatten().eq(&told.records));
            }
            Err(error) => {
                told_of += 1;
                assert_eq!(error.failure().code, "ledger/index", "{error}");
            }
        }
        ledger.close().await;
        if path.exists() {
            fs::write(&path, &whole).unwrap();
        } else {
            // It was made again without runs, so that there is no more to alter.
            return assert!(told_of > 0, "a block that was altered was believed");
        }
    }
    panic!("a directory that was altered was believed");
}

#[tokio::test]
async fn a_run_that_is_lost_is_made_again() {
    let dir = Dir::new();
    let ledger = dir.try_open(restless(), Seams::default()).unwrap();
    for number in 1..=30 {
        accept(&ledger, number, number).await;
    }
    let told = Told::of(&ledger);
    ledger.close().await;
    let entries = fs::read_dir(dir.young().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let run = entries.into_iter().find(|path| path.extension().is_some_and(|it| it == "run")).unwrap();
    fs::remove_file(run).unwrap();
    told.compare(&dir.try_open(restless(), Seams::default()).unwrap(), &mut Dice(1));
}

/// What the benchmark of a million writes, a hundred of it.
#[tokio::test]
async fn years_of_deployments_are_written_whole() {
    let dir = Dir::new();
    let years = Years { deployments: 100, targets: 3, until: at(0), segment_bytes: 20_000 };
    let ids = years.write(&dir.ledger());
    let ledger = dir.open();
    let all = Filter { limit: 200, ..Filter::default() };
    let found = ledger.deployments(&all).unwrap();
    assert!(found.iter().rev().map(Deployment::id).eq(ids.iter().copied()));
    assert_eq!(found.iter().filter(|it| it.state().name() == "succeeded").count(), 99);
    let target = Some(name(&target_name(2)));
    assert_eq!(ledger.deployments(&Filter { target, ..all.clone() }).unwrap().len(), 33);
    for (id, number) in [(ids[0], 0), (ids[99], 99)] {
        let of_commit = Filter { sha: Some(years::sha(number).to_string()), ..all.clone() };
        assert_eq!(ledger.deployments(&of_commit).unwrap()[0].id(), id);
        assert_eq!(ledger.story(&Stream::Deployment(id)).unwrap().len(), 9);
        assert_eq!(ledger.plans_of(&years::sha(number)).unwrap()[0].1.deployment, Some(id));
        assert!(ledger.sent("github-status", id).unwrap().is_some());
    }
    assert!(ledger.unfinished().unwrap().is_empty());
}
