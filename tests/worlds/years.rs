//! A ledger with years of deployments in it, written through its own verbs, as fast as it takes them: every deployment was
//! pushed, went all the way, succeeded but for one in a hundred, and GitHub was told.
//!
//! What is smaller than in life: a push's body is some 600 bytes and not 8 KiB, because nothing but the log's length depends
//! on that.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::clients::Clock;
use landfall::domain::{
    BundleFormat, Cause, CommitSha, Delivery, DeliveryId, DeploymentEvent as E, DeploymentId, Event, Failure, Location,
    Notice, Order, Outcome, Plan, Progress, Push, RefName, Repository, RepositoryName, Revision, RunId, RunOutcome,
    SinkEvent, Stream, Target, Verdict,
};
use landfall::ledger::{Append, Ledger, Options};
use sha2::{Digest, Sha256};

use super::target::target;

/// How many write at once, so that groups are long.
const WRITERS: u64 = 512;
/// From one push to the next: a million are two years.
const APART: Duration = Duration::from_secs(60);
/// One in so many fails.
const FAILS: u64 = 100;

/// Years of deployments, up to now.
#[derive(Clone)]
pub(crate) struct Years {
    pub(crate) deployments: u64,
    pub(crate) targets: u64,
}

pub(crate) fn target_name(number: u64) -> String {
    format!("shop-{number:02}")
}

/// The commit of a deployment, by its number.
pub(crate) fn sha(number: u64) -> CommitSha {
    CommitSha::parse(&hex::encode(Sha256::digest(number.to_be_bytes()))[..40]).unwrap()
}

impl Years {
    /// Writes them into a new ledger below `dir`. Gives the first and the last deployment.
    pub(crate) async fn write(&self, dir: &Path, options: Options) -> (DeploymentId, DeploymentId) {
        let seconds = APART.as_secs() * (self.deployments + 60);
        let start = Clock::system().now() - SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        let clock = Clock::manual(start);
        let now = clock.clone();
        let ledger = Ledger::open(dir, options, Arc::new(move || now.now())).unwrap();
        let targets: Arc<Vec<Arc<Target>>> =
            Arc::new((0..self.targets).map(|number| Arc::new(target(&target_name(number), "acme/shop"))).collect());
        let next = Arc::new(AtomicU64::new(0));
        let mut writers = Vec::new();
        for _ in 0..WRITERS.min(self.deployments) {
            let (ledger, targets, next, clock) = (ledger.clone(), targets.clone(), next.clone(), clock.clone());
            let deployments = self.deployments;
            writers.push(tokio::spawn(async move {
                let mut ends = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= deployments {
                        return ends;
                    }
                    clock.advance(APART);
                    let id = live(&ledger, number, &targets, start).await;
                    if number == 0 || number + 1 == deployments {
                        ends.push((number, id));
                    }
                }
            }));
        }
        let mut ends = Vec::new();
        for writer in writers {
            ends.extend(writer.await.unwrap());
        }
        ends.sort_unstable();
        ledger.close().await;
        (ends.first().unwrap().1, ends.last().unwrap().1)
    }
}

/// One deployment's whole life.
async fn live(ledger: &Ledger, number: u64, targets: &[Arc<Target>], start: Timestamp) -> DeploymentId {
    let target = &targets[usize::try_from(number).unwrap() % targets.len()];
    let delivery = delivery(number, start);
    let order = order(&delivery, target);
    let plan = Plan { target: target.name.clone(), outcome: Outcome::Deploy(Arc::new(order)) };
    let plans = ledger.accept(delivery, vec![plan]).await.unwrap().plans;
    let id = plans[0].deployment.unwrap();
    for (seen, event) in (1..).zip(life(number)) {
        let (stream, event) = (Stream::Deployment(id), Event::Deployment(event));
        ledger.append(Append { stream, expect: Some(seen), event, births: vec![] }).await.unwrap();
    }
    let Notice { state, text } = Notice::of(&ledger.deployment(id).unwrap().unwrap());
    let context = format!("landfall/{}", target.name);
    let event = SinkEvent::Sent { deployment: id, context, sha: sha(number), state, text, remote_id: None, nth: 3 };
    let (stream, event) = (Stream::Sink("github-status".into()), Event::Sink(event));
    ledger.append(Append { stream, expect: None, event, births: vec![] }).await.unwrap();
    id
}

fn delivery(number: u64, start: Timestamp) -> Delivery {
    let repository = Repository { id: Some(1000), name: RepositoryName::parse("acme/shop").unwrap() };
    let body = format!(r#"{{"ref":"refs/heads/main","after":"{}","commits":"{}"}}"#, sha(number), "x".repeat(500));
    let push = Push {
        repository,
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
    let since = SignedDuration::from_secs(i64::try_from(APART.as_secs() * (number + 1)).unwrap());
    Delivery {
        id: DeliveryId::parse(id).unwrap(),
        event: "push".into(),
        digest: hex::encode(Sha256::digest(&body)),
        body: body.into(),
        received_at: start + since,
        push,
        caught_up: None,
    }
}

fn order(delivery: &Delivery, target: &Arc<Target>) -> Order {
    let Push { repository, reference, before, author, title, after, .. } = delivery.push.clone();
    Order {
        target: target.clone(),
        repository,
        reference,
        sha: after.unwrap(),
        before,
        author,
        title,
        cause: Cause::Push { delivery: delivery.id.clone() },
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
