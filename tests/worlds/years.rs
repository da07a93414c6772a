//! A log with years of deployments in it, written as the ledger writes it, record by record and commit by commit, but
//! without waiting for the disk: every deployment was pushed, went all the way, succeeded but for one in a hundred, and
//! GitHub was told. Whoever opens the ledger reads and checks all of it, and makes its index.
//!
//! What is smaller than in life: a push's body is some 600 bytes and not 8 KiB, because nothing but the log's length depends
//! on that.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::domain::{
    BodyAt, BundleFormat, Cause, CommitSha, DeliveryEvent, DeliveryId, Deployment, DeploymentEvent as E, DeploymentId,
    Event, Failure, Location, Notice, Offset, Order, PlanLine, Progress, Push, Record, RefName, Repository,
    RepositoryName, Revision, RunId, RunOutcome, SinkEvent, Stream, Target, TargetEvent, Verdict,
};
use sha2::{Digest, Sha256};

use super::target::target;

/// From one push to the next: a million are two years.
const APART: Duration = Duration::from_secs(60);
/// One in so many fails.
const FAILS: u64 = 100;

/// Years of deployments, up to a time.
#[derive(Clone)]
pub(crate) struct Years {
    pub(crate) deployments: u64,
    pub(crate) targets: u64,
    pub(crate) until: Timestamp,
    pub(crate) segment_bytes: u64,
}

pub(crate) fn target_name(number: u64) -> String {
    format!("shop-{number:02}")
}

/// The commit of a deployment, by its number.
pub(crate) fn sha(number: u64) -> CommitSha {
    CommitSha::parse(&hex::encode(Sha256::digest(number.to_be_bytes()))[..40]).unwrap()
}

impl Years {
    /// Writes them as the log of a ledger in `dir` that is not there yet. Gives the deployments' ids where they are few.
    pub(crate) fn write(&self, dir: &Path) -> Vec<DeploymentId> {
        let logs = dir.join("log");
        fs::create_dir_all(&logs).unwrap();
        let targets: Vec<Arc<Target>> =
            (0..self.targets).map(|number| Arc::new(target(&target_name(number), "acme/shop"))).collect();
        let mut log = Log { dir: logs, file: None, written: 0, segment_bytes: self.segment_bytes, next: Offset(0) };
        let mut ids = Vec::new();
        for number in 0..self.deployments {
            let back = APART.as_secs() * (self.deployments - number);
            let at = self.until - SignedDuration::from_secs(i64::try_from(back).unwrap());
            let target = &targets[usize::try_from(number % self.targets).unwrap()];
            let id = live(&mut log, number, at, target, number < self.targets);
            if self.deployments <= 1000 {
                ids.push(id);
            }
        }
        if let Some(mut file) = log.file {
            file.flush().unwrap();
        }
        ids
    }
}

/// The end of a log.
struct Log {
    dir: PathBuf,
    file: Option<BufWriter<File>>,
    written: u64,
    segment_bytes: u64,
    next: Offset,
}

impl Log {
    /// Writes one commit.
    fn commit(&mut self, at: Timestamp, events: Vec<(Stream, Event)>) {
        if self.file.is_none() || self.written >= self.segment_bytes {
            if let Some(mut file) = self.file.take() {
                file.flush().unwrap();
            }
            let path = self.dir.join(format!("{:020}.log", self.next.0));
            (self.file, self.written) = (Some(BufWriter::with_capacity(1 << 20, File::create(path).unwrap())), 0);
        }
        let (first, records, mut lines) = (self.next, events.len(), String::new());
        for (stream, event) in events {
            lines += &Record { offset: self.next, at, stream, event }.to_line();
            lines.push('\n');
            self.next = self.next.next();
        }
        let (bytes, crc32) = (lines.len(), crc32fast::hash(lines.as_bytes()));
        let fields = format!(
            r#"{{"frame":1,"offset":{first},"records":{records},"bytes":{bytes},"crc32":"{crc32:08x}","synced":{first}"#
        );
        let text = format!("{fields},\"check\":\"{:08x}\"}}\n{lines}", crc32fast::hash(fields.as_bytes()));
        self.file.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        self.written += text.len() as u64;
    }
}

/// One deployment's whole life.
fn live(log: &mut Log, number: u64, at: Timestamp, target: &Arc<Target>, is_first: bool) -> DeploymentId {
    let (delivery, push, body) = delivery(number);
    let order = order(&delivery, &push, target);
    let id = DeploymentId::derive(at, &[delivery.as_str(), target.name.as_str()]);
    let (deployment, name, rule) = (Stream::Deployment(id), target.name.clone(), Some(order.rule.clone()));
    let plans = vec![PlanLine { target: name.clone(), deployment: Some(id), rule, nothing: None }];
    let digest = hex::encode(Sha256::digest(&body));
    let Repository { id: repository_id, name: repository } = push.repository.clone();
    let (body, push) = (BodyAt::Inline { text: body }, Box::new(push));
    let received = DeliveryEvent::Received { event: "push".into(), digest, body, push, plans, caught_up: None };
    let planned = E::Planned { order: Arc::new(order) };
    let mut whole = Deployment::born(id, at, &planned).unwrap();
    let mut first = vec![(Stream::Delivery(delivery), received.into())];
    if is_first {
        let pinned = TargetEvent::Pinned { repository_id: repository_id.unwrap(), repository: Some(repository) };
        first.push((Stream::Target(name.clone()), pinned.into()));
    }
    first.push((deployment.clone(), planned.into()));
    log.commit(at, first);
    for event in life(number) {
        whole.apply(at, &event).unwrap();
        log.commit(at, vec![(deployment.clone(), event.into())]);
    }
    let Notice { state, text } = Notice::of(&whole);
    let context = format!("landfall/{name}");
    let event =
        SinkEvent::Sent { deployment: id, context, sha: sha(number), state, text, remote_id: None, nth: 3, steps: 0 };
    log.commit(at, vec![(Stream::Sink("github-status".into()), event.into())]);
    id
}

fn delivery(number: u64) -> (DeliveryId, Push, String) {
    let body = format!(r#"{{"ref":"refs/heads/main","after":"{}","commits":"{}"}}"#, sha(number), "x".repeat(500));
    let push = Push {
        repository: Repository { id: Some(1000), name: RepositoryName::parse("acme/shop").unwrap() },
        reference: RefName::parse("refs/heads/main").unwrap(),
        before: number.checked_sub(1).map(sha),
        after: Some(sha(number)),
        forced: false,
        pusher: Some("mona".into()),
        title: Some(format!("Sell more, the {number}th time")),
        author: Some("Mona".into()),
        skip: None,
        paths: None,
    };
    let hash = hex::encode(Sha256::digest([b"delivery".as_slice(), &number.to_be_bytes()].concat()));
    let id = format!("{}-{}-{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]);
    (DeliveryId::parse(id).unwrap(), push, body)
}

fn order(delivery: &DeliveryId, push: &Push, target: &Arc<Target>) -> Order {
    let Push { repository, reference, before, author, title, after, .. } = push.clone();
    Order {
        target: target.clone(),
        repository,
        reference,
        sha: after.unwrap(),
        before,
        author,
        pusher: None,
        title,
        cause: Cause::Push { delivery: delivery.clone() },
        rule: "branch main".into(),
        parent: None,
        paths_unknown: false,
        options: Default::default(),
    }
}

/// Eight events after the birth.
fn life(number: u64) -> Vec<E> {
    let (head, commit) = (sha(number), sha(number));
    let location = Location::File { path: format!("/var/lib/landfall/revisions/{commit}.tgz").into() };
    let revision =
        Revision::Bundle { location, format: BundleFormat::Tgz, bytes: 1 << 20, sha256: "0".repeat(64), files: 184 };
    let run = RunId::parse(format!("d-{number:09X}")).unwrap();
    let fails = number % FAILS == FAILS - 1;
    let outcome = RunOutcome::of(if fails { Verdict::Failed } else { Verdict::Succeeded });
    let failure = || Failure::revision("host/script-failed", "`scripts/start.sh` ended with exit code 1");
    vec![
        E::Weighing,
        E::Weighed { head, commit, forced: false, doubt: None },
        E::Prepared { revision, archive: Default::default(), findings: vec![] },
        E::Releasing { marker: format!("landfall:{number}"), run: Some(run.clone()), warning: None },
        E::Released { run, adopted: false, url: None },
        E::Progressed { progress: Progress { phase: Some("ApplicationStart".into()), ..Progress::default() } },
        E::Ended { outcome },
        if fails { E::Failed { failure: failure() } } else { E::Succeeded { warnings: vec![] } },
    ]
}
