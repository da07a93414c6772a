//! The ledger on a real disk: commits, repeats, births, torn and altered files, lost indexes, closed doors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use landfall::domain::{
    BundleRules, Cause, CommitSha, Delivery, DeliveryId, DeploymentEvent, DeploymentId, EngineSpec, Event, Failure,
    HostSpec, NoDeployment, Offset, OnNewPush, Order, Outcome, Plan, Push, RefName, Repository, RepositoryName,
    RevisionsSpec, Rule, SourceSpec, Stream, Target, TargetName,
};
use landfall::ledger::{Append, Filter, Ledger, LedgerError, Options, Seams};
use sha2::{Digest, Sha256};

const START: &str = "2026-01-02T03:04:05.678Z";

pub(crate) fn at(seconds: u64) -> Timestamp {
    START.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds.try_into().unwrap())
}

pub(crate) fn sha(n: u64) -> CommitSha {
    CommitSha::parse(format!("{n:040x}")).unwrap()
}

pub(crate) fn main_branch() -> RefName {
    RefName::parse("refs/heads/main").unwrap()
}

pub(crate) fn name(text: &str) -> TargetName {
    TargetName::parse(text).unwrap()
}

pub(crate) fn target(text: &str) -> Target {
    Target {
        name: name(text),
        repository: RepositoryName::parse("acme/shop").unwrap(),
        source: SourceSpec::GitHub,
        rule: Rule { branches: vec!["main".into()], ..Rule::default() },
        environment: "production".into(),
        on_new_push: OnNewPush::QueueLatest,
        require_checks: vec![],
        notify: vec![],
        allow_forced: true,
        deploy_on_start: false,
        give_up_after_s: 7200,
        bundle: BundleRules { root: ".".into(), exclude: vec![], format: None, provenance: None },
        revisions: RevisionsSpec::Directory { path: "/tmp/revisions".into() },
        engine: EngineSpec::Host(HostSpec {
            application: "shop".into(),
            deployment_group: text.into(),
            root: "/tmp/root".into(),
            user: None,
            file_exists_behavior: None,
            ignore_application_stop_failures: false,
            traffic_hooks: false,
            max_revisions: 5,
        }),
    }
}

pub(crate) fn push(commit: u64) -> Push {
    Push {
        repository: Repository { id: Some(7), name: RepositoryName::parse("acme/shop").unwrap() },
        reference: main_branch(),
        before: None,
        after: Some(sha(commit)),
        forced: false,
        pusher: Some("ada".into()),
        title: Some("Sell more".into()),
        author: Some("Ada".into()),
        paths: None,
    }
}

pub(crate) fn order(text: &str, commit: u64, cause: Cause) -> Order {
    let Push { repository, reference, before, author, title, .. } = push(commit);
    let (sha, rule) = (sha(commit), "branch main".into());
    Order { target: target(text), repository, reference, sha, before, author, title, cause, rule, parent: None }
}

/// A delivery whose body says its number, so that its digest is its own.
pub(crate) fn delivery(n: u64, commit: u64) -> Delivery {
    let body = format!(r#"{{"after":"{}","number":{n}}}"#, sha(commit));
    Delivery {
        id: DeliveryId::parse(format!("delivery-{n}")).unwrap(),
        event: "push".into(),
        digest: hex::encode(Sha256::digest(&body)),
        body: body.into(),
        received_at: at(n),
        push: push(commit),
    }
}

pub(crate) fn deploy(delivery: &Delivery, targets: &[&str]) -> Vec<Plan> {
    let commit = u64::from_str_radix(delivery.push.after.as_ref().unwrap().as_str(), 16).unwrap();
    let cause = Cause::Push { delivery: delivery.id.clone() };
    let plan = |text: &&str| {
        let outcome = Outcome::Deploy(Box::new(order(text, commit, cause.clone())));
        Plan { target: name(text), outcome }
    };
    targets.iter().map(plan).collect()
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger")
    }

    fn try_open(&self, options: Options, seams: Seams) -> Result<Ledger, LedgerError> {
        let ticks = AtomicU64::new(10_000);
        let now = Arc::new(move || at(ticks.fetch_add(1, Ordering::Relaxed)));
        Ledger::open_with(&self.ledger(), options, now, seams)
    }

    fn open(&self) -> Ledger {
        self.try_open(small(), Seams::default()).unwrap()
    }

    /// The log's files in order.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.ledger().join("log")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
        found.sort();
        found
    }

    /// Everything that the index of a closed ledger holds, but for when its segments were checked.
    fn dump(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let db = sled::open(self.ledger().join("index")).unwrap();
        let all = db.iter().map(|entry| entry.unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec()));
        all.filter(|(key, _)| key[0] != b'a').collect()
    }
}

fn small() -> Options {
    Options { reserve_bytes: 0, segment_bytes: 20_000 }
}

async fn accept(ledger: &Ledger, n: u64, commit: u64) -> DeploymentId {
    let delivery = delivery(n, commit);
    let plans = deploy(&delivery, &["blog"]);
    ledger.accept(delivery, plans).await.unwrap().plans[0].deployment.unwrap()
}

async fn append(ledger: &Ledger, id: DeploymentId, event: DeploymentEvent) -> Result<(), LedgerError> {
    let expect = Some(ledger.deployment(id).unwrap().unwrap().events());
    let (stream, event) = (Stream::Deployment(id), Event::Deployment(event));
    ledger.append(Append { stream, expect, event, births: vec![] }).await.map(|_| ())
}

#[tokio::test]
async fn a_delivery_and_its_deployments_are_one_commit() {
    let dir = Dir::new();
    let ledger = dir.open();
    let first = delivery(1, 1);
    let accepted = ledger.accept(first.clone(), deploy(&first, &["blog", "shop"])).await.unwrap();
    assert!(!accepted.repeat);
    let id = accepted.plans[0].deployment.unwrap();
    assert_eq!(id, DeploymentId::derive(at(1), &["delivery-1", "blog"]));
    assert_eq!(ledger.end(), Offset(5));
    let streams: Vec<_> = ledger.read(Offset(0), 10).unwrap().iter().map(|it| it.stream.to_string()).collect();
    let planned = accepted.plans.iter().map(|it| format!("deployment/{}", it.deployment.unwrap())).collect::<Vec<_>>();
    assert_eq!(streams, ["delivery/delivery-1", "target/blog", &planned[0], "target/shop", &planned[1]]);
    assert_eq!(ledger.deployment(id).unwrap().unwrap().order().sha, sha(1));
    assert_eq!(ledger.head(&name("blog"), &main_branch()).unwrap().planned, Some((sha(1), id)));
    assert_eq!(ledger.target(&name("blog")).unwrap().repository_id, Some(7));
    assert_eq!(ledger.body(&first.id).unwrap().unwrap(), first.body);
    assert_eq!(ledger.unfinished().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_writes_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    let first = delivery(1, 1);
    let answered = ledger.accept(first.clone(), deploy(&first, &["blog"])).await.unwrap();
    let end = ledger.end();
    let same_id = Delivery { digest: "d".repeat(64), body: "{}".into(), ..first.clone() };
    let same_body = Delivery { id: DeliveryId::parse("from-another-hook").unwrap(), ..first.clone() };
    for again in [first.clone(), same_id, same_body] {
        let plans = deploy(&again, &["blog"]);
        let repeat = ledger.accept(again, plans).await.unwrap();
        assert!(repeat.repeat);
        assert_eq!((&repeat.delivery, &repeat.plans), (&first.id, &answered.plans));
    }
    assert_eq!(ledger.end(), end);
}

#[tokio::test]
async fn the_newest_planned_commit_is_not_planned_again() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    let other_hook = delivery(2, 1);
    let again = ledger.accept(other_hook.clone(), deploy(&other_hook, &["blog", "shop"])).await.unwrap();
    assert!(!again.repeat);
    assert_eq!(again.plans[0].nothing, Some(NoDeployment::AlreadyPlanned { deployment: id }));
    assert!(again.plans[1].deployment.is_some());
    let newer = accept(&ledger, 3, 2).await;
    let forced_back = accept(&ledger, 4, 1).await;
    assert!(newer != id && forced_back != id);
    let plans = ledger.plans_of(&sha(1)).unwrap();
    let told: Vec<_> = plans.iter().map(|(delivery, line)| (delivery.as_str(), line.deployment)).collect();
    let shop = again.plans[1].deployment;
    assert_eq!(
        told,
        [("delivery-1", Some(id)), ("delivery-2", None), ("delivery-2", shop), ("delivery-4", Some(forced_back))]
    );
}

#[tokio::test]
async fn another_repository_under_a_pinned_name_plans_nothing() {
    let dir = Dir::new();
    let ledger = dir.open();
    accept(&ledger, 1, 1).await;
    let mut impostor = delivery(2, 2);
    impostor.push.repository.id = Some(8);
    let accepted = ledger.accept(impostor.clone(), deploy(&impostor, &["blog"])).await.unwrap();
    assert_eq!(accepted.plans[0].nothing, Some(NoDeployment::OtherRepository { pinned: 7, found: 8 }));
    assert_eq!(ledger.target(&name("blog")).unwrap().repository_id, Some(7));
}

/// Several segments of every kind of commit, and what every query says of it.
async fn lived(ledger: &Ledger) -> String {
    for n in 1..40 {
        let id = accept(ledger, n, n).await;
        append(ledger, id, DeploymentEvent::Weighing).await.unwrap();
        if n % 3 == 0 {
            let (head, commit) = (sha(n), sha(n));
            append(ledger, id, DeploymentEvent::Weighed { head, commit, forced: false }).await.unwrap();
            let failure = Failure::setup("test/failed", "it did not work");
            append(ledger, id, DeploymentEvent::Failed { failure }).await.unwrap();
        }
    }
    told(ledger)
}

fn told(ledger: &Ledger) -> String {
    let all = Filter { limit: 1000, ..Filter::default() };
    let records = ledger.read(Offset(0), 10_000).unwrap();
    let lines: Vec<_> = records.iter().map(landfall::domain::Record::to_line).collect();
    let deployments = ledger.deployments(&all).unwrap();
    let stories: Vec<_> = deployments.iter().map(|it| ledger.story(&Stream::Deployment(it.id())).unwrap()).collect();
    let target = (ledger.target(&name("blog")).unwrap(), ledger.head(&name("blog"), &main_branch()).unwrap());
    let deliveries = ledger.deliveries(None, 1000).unwrap();
    let plans: Vec<_> = (1..40).map(|n| ledger.plans_of(&sha(n)).unwrap()).collect();
    let unfinished = ledger.unfinished().unwrap();
    format!("{lines:#?}{deployments:#?}{stories:#?}{target:#?}{deliveries:#?}{plans:#?}{unfinished:#?}{}", ledger.end())
}

#[tokio::test]
async fn a_reopened_ledger_says_the_same_also_without_its_index() {
    let dir = Dir::new();
    let ledger = dir.open();
    let before = lived(&ledger).await;
    ledger.close().await;
    assert!(dir.segments().len() > 2, "{:?}", dir.segments());
    let dump = dir.dump();
    let ledger = dir.open();
    assert!(before == told(&ledger));
    ledger.close().await;
    assert_eq!(dump, dir.dump());
    fs::remove_dir_all(dir.ledger().join("index")).unwrap();
    let ledger = dir.open();
    assert!(before == told(&ledger));
    ledger.close().await;
    assert_eq!(dump, dir.dump());
}

#[tokio::test]
async fn only_the_quicker_of_two_writers_appends() {
    let dir = Dir::new();
    let ledger = dir.open();
    let id = accept(&ledger, 1, 1).await;
    let (one, two) = tokio::join!(
        append(&ledger, id, DeploymentEvent::Weighing),
        append(&ledger, id, DeploymentEvent::StopAsked { actor: "ada".into(), rollback: false }),
    );
    let Err(LedgerError::Overtaken { expected: Some(1), found: 2, .. }) = one.and(two) else { panic!("both wrote") };
    assert_eq!(ledger.deployment(id).unwrap().unwrap().events(), 2);
}
