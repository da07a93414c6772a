//! Deliveries, orders and ledgers for tests. Every value follows from its number.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use landfall::domain::{
    BundleRules, Cause, CommitSha, Delivery, DeliveryId, DeploymentEvent, DeploymentId, EngineSpec, Event, HostSpec,
    Order, Outcome, Plan, Push, RefName, Repository, RepositoryName, RevisionsSpec, Stream, Target, TargetName,
};
use landfall::ledger::{Append, Ledger, LedgerError, Options, Seams};
use sha2::{Digest, Sha256};

use crate::worlds::target;

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
    let whole = target::target(text, "acme/shop");
    Target {
        bundle: BundleRules { root: ".".into(), ..whole.bundle },
        revisions: RevisionsSpec::Directory { path: "/tmp/revisions".into() },
        engine: EngineSpec::Host(HostSpec { application: "shop".into(), ..target::host(text, "/tmp/root") }),
        ..whole
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
        skip: None,
        paths: None,
    }
}

pub(crate) fn order(text: &str, commit: u64, cause: Cause) -> Order {
    let Push { repository, reference, before, author, title, .. } = push(commit);
    let (sha, rule) = (sha(commit), "branch main".into());
    Order {
        target: target(text).into(),
        repository,
        reference,
        sha,
        before,
        author,
        pusher: None,
        title,
        cause,
        rule,
        parent: None,
        paths_unknown: false,
        options: Default::default(),
    }
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
        caught_up: None,
    }
}

/// The same with a body that is too long for a line.
pub(crate) fn long(n: u64) -> Delivery {
    let body = format!("{{\"number\":{n},\"more\":\"{}\"}}", "x".repeat(100_000));
    Delivery { digest: hex::encode(Sha256::digest(&body)), body: body.into(), ..delivery(n, n) }
}

pub(crate) fn deploy(delivery: &Delivery, targets: &[&str]) -> Vec<Plan> {
    let commit = u64::from_str_radix(delivery.push.after.as_ref().unwrap().as_str(), 16).unwrap();
    let cause = Cause::Push { delivery: delivery.id.clone() };
    let plan = |text: &&str| {
        let outcome = Outcome::Deploy(Arc::new(order(text, commit, cause.clone())));
        Plan { target: name(text), outcome }
    };
    targets.iter().map(plan).collect()
}

pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.0.path().join("ledger")
    }

    pub(crate) fn try_open(&self, options: Options, seams: Seams) -> Result<Ledger, LedgerError> {
        let ticks = AtomicU64::new(10_000);
        let now = Arc::new(move || at(ticks.fetch_add(1, Ordering::Relaxed)));
        Ledger::open_with(&self.ledger(), options, now, seams)
    }

    pub(crate) fn open(&self) -> Ledger {
        self.try_open(small(), Seams::default()).unwrap()
    }

    /// The log's files in order.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.ledger().join("log")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
        found.sort();
        found
    }

    /// sled's directory.
    pub(crate) fn young(&self) -> PathBuf {
        let index = fs::read_dir(self.ledger().join("index")).unwrap().next().unwrap().unwrap().path();
        let mut found = fs::read_dir(index).unwrap().map(|entry| entry.unwrap().path());
        found.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("young-")).unwrap()
    }

    /// Everything that the index of a closed ledger holds, but for when its segments were checked.
    pub(crate) fn dump(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let db = sled::open(self.young()).unwrap();
        let all = db.iter().map(|entry| entry.unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec()));
        all.filter(|(key, _)| key[0] != b'a').collect()
    }
}

pub(crate) fn small() -> Options {
    Options { reserve_bytes: 0, segment_bytes: 20_000, ..Options::default() }
}

pub(crate) async fn accept(ledger: &Ledger, n: u64, commit: u64) -> DeploymentId {
    let delivery = delivery(n, commit);
    let plans = deploy(&delivery, &["blog"]);
    ledger.accept(delivery, plans).await.unwrap().plans[0].deployment.unwrap()
}

pub(crate) async fn append(ledger: &Ledger, id: DeploymentId, event: DeploymentEvent) -> Result<(), LedgerError> {
    let seen = ledger.deployment(id).unwrap().unwrap().events();
    append_after(ledger, id, seen, event).await
}

/// The same by somebody who has seen so many events of it.
pub(crate) async fn append_after(
    ledger: &Ledger,
    id: DeploymentId,
    seen: u64,
    event: DeploymentEvent,
) -> Result<(), LedgerError> {
    let (stream, event) = (Stream::Deployment(id), Event::Deployment(event));
    ledger.append(Append { stream, expect: Some(seen), event, births: vec![] }).await.map(|_| ())
}
