//! A thousand small stories told in the wrong order: pushes delivered late, twice, out of order or never, with a fixed seed.
//! Whatever came how, the newest commit is live in the end, none was deployed twice, and nothing is left open: neither a
//! deployment, nor a status, nor, for one target in twenty, a deployment on GitHub's page of environments.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use landfall::clients::Clock;
use landfall::clients::aws::Aws;
use landfall::clients::github::GitHubClients;
use landfall::conductor::{CatchUp, Conductor};
use landfall::config::{GitHub, SecretRef};
use landfall::domain::{
    Approval, Cause, CommitSha, Delivery, DeliveryId, DeploymentId, EngineSpec, Failure, Finding, Observation,
    Progress, Push, RefName, Repository, RepositoryName, RunId, RunOutcome, Target, TargetName, Verdict, plan,
};
use landfall::engine::{Answer, Engine, Found, Intent, StartError, Started};
use landfall::ledger::{Filter, Ledger, Options};
use landfall::report::{Pace, Reports, Sink};
use landfall::revisions::Stores;
use landfall::source::Sources;
use landfall::steps::{Engines, World};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::worlds::github_graph::{Histories, number};
use crate::worlds::target::target;

const ROUNDS: usize = 1000;
/// Stories that are told at the same time.
const AT_ONCE: usize = 100;
const SEED: u64 = 2026;
/// One target in so many has its deployments on GitHub's page of environments, too.
const WITH_DEPLOYMENTS: usize = 20;

/// Numbers that look thrown, the same ones every time (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

/// An engine whose runs succeed at once. It remembers what it was handed.
#[derive(Clone, Default)]
struct AtOnce(Arc<Mutex<Vec<(TargetName, CommitSha)>>>);

impl Engine for AtOnce {
    fn choose_run(&self, _: DeploymentId) -> Option<RunId> {
        None
    }

    fn start<'a>(&'a self, intent: &'a Intent) -> Answer<'a, Result<Started, StartError>> {
        let mut begun = self.0.lock().unwrap();
        begun.push((intent.order.target.name.clone(), intent.commit.clone()));
        let run = RunId::parse(format!("d-{}", begun.len())).unwrap();
        Box::pin(std::future::ready(Ok(Started { run, url: None })))
    }

    fn find<'a>(&'a self, _: &'a Intent, _: Timestamp) -> Answer<'a, Result<Found, Failure>> {
        Box::pin(std::future::ready(Ok(Found::Absent)))
    }

    fn observe<'a>(&'a self, _: &'a RunId, _: &'a Progress) -> Answer<'a, Result<Observation, Failure>> {
        let outcome = Some(RunOutcome::of(Verdict::Succeeded));
        Box::pin(std::future::ready(Ok(Observation { progress: Progress::default(), outcome })))
    }

    fn stop<'a>(&'a self, _: &'a RunId, _: bool) -> Answer<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn proceed<'a>(&'a self, _: &'a RunId, _: Approval) -> Answer<'a, Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn preflight(&self) -> Answer<'_, Vec<Finding>> {
        Box::pin(std::future::ready(vec![]))
    }
}

/// What is told of one story's repository.
struct Story {
    target: Arc<Target>,
    repository: String,
    commits: Vec<CommitSha>,
    /// Deliveries that are under way: ids of GitHub's, and the commits that they tell of.
    under_way: Vec<(String, CommitSha)>,
    left: usize,
}

struct Stage {
    histories: Histories,
    ledger: Ledger,
    clock: Clock,
    world: Arc<World>,
    engine: AtOnce,
    dice: Dice,
}

fn member(number: usize) -> Arc<Target> {
    let mut target = target(&format!("t{number}"), &format!("acme/r{number}"));
    let group = format!("g{number}");
    let spec = json!({ "application": "a", "deployment_group": group, "region": "eu-west-1", "revision": "github" });
    target.engine = EngineSpec::CodeDeploy(serde_json::from_value(spec).unwrap());
    target.github.deployments = Some(number.is_multiple_of(WITH_DEPLOYMENTS));
    target.into()
}

impl Stage {
    /// A bot without its doors, and what it needs of the world.
    async fn set(dir: &Path, targets: &Arc<[Arc<Target>]>) -> (Self, Conductor, Reports) {
        crate::bot::install_tls();
        let histories = Histories::open();
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse().unwrap());
        let now = clock.clone();
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let ledger = Ledger::open(&dir.join("ledger"), options, Arc::new(move || now.now())).unwrap();
        std::fs::write(dir.join("token"), "ghp_rounds").unwrap();
        let github = GitHub { token: Some(SecretRef::File(dir.join("token"))), ..GitHub::at(&histories.url) };
        let clients = GitHubClients::new(&github, clock.clone()).unwrap();
        let reports = Reports::new(ledger.clone(), Sink::all(&clients), clock.clone(), None);
        let reports = reports.paced(Pace::default().every(Duration::ZERO));
        let engine = AtOnce::default();
        let of_targets = engine.clone();
        let engines = Engines::new(move |_| Arc::new(of_targets.clone()));
        let (sources, stores) = (Sources::new(dir, clients), Stores::new(Aws::with_keys("A", "S")));
        let world = World::new(sources, stores, engines, clock.clone(), dir.join("fetched"), Arc::new(|_| ()));
        let world = Arc::new(world);
        let conductor = Conductor::open(ledger.clone(), world.clone(), targets).await.unwrap();
        (Self { histories, ledger, clock, world, engine, dice: Dice(SEED) }, conductor, reports)
    }

    /// Compares the heads of these stories, some at a time.
    async fn compare(&self, stories: &[Story]) {
        let some = |stories: &[Story]| CatchUp {
            ledger: self.ledger.clone(),
            world: self.world.clone(),
            targets: stories.iter().map(|it| it.target.clone()).collect(),
            every: Duration::from_secs(300),
            before: Arc::new(|| std::future::ready(Ok(())).boxed()),
            hear: Arc::new(|_| ()),
        };
        let all = stories.chunks(AT_ONCE / 4).map(|stories| async { some(stories).once().await.unwrap() });
        join_all(all).await;
    }

    /// Something happens in a story: a push, or a delivery, or nothing.
    fn happen(&mut self, story: &mut Story) -> Option<Delivery> {
        match self.dice.throw(4) {
            0 | 1 if story.left > 0 => {
                self.push(story);
                None
            }
            2 | 3 if !story.under_way.is_empty() => {
                let at = self.dice.throw(story.under_way.len());
                let (id, sha) = story.under_way[at].clone();
                // Some come twice, under the same id or by another webhook.
                match self.dice.throw(5) {
                    0 => {}
                    1 => story.under_way[at].0 += "-again",
                    _ => drop(story.under_way.remove(at)),
                }
                Some(self.delivery(story, &id, &sha))
            }
            _ => None,
        }
    }

    fn push(&mut self, story: &mut Story) {
        story.left -= 1;
        // Now and then history is rewritten from an earlier commit on; a commit that was thrown away never comes back.
        let back = if self.dice.throw(6) == 0 { 2 } else { 1 };
        let parent = story.commits.len().checked_sub(back).map(|at| story.commits[at].clone());
        let sha = self.histories.push(&story.repository, parent.as_ref());
        story.commits.push(sha.clone());
        // One in eight is lost on its way.
        if self.dice.throw(8) > 0 {
            story.under_way.push((format!("{}-{}", story.target.name, story.commits.len()), sha));
        }
    }

    fn delivery(&self, story: &Story, id: &str, sha: &CommitSha) -> Delivery {
        let id = DeliveryId::parse(id).unwrap();
        let body = Bytes::from(format!("{id} {sha}"));
        let push = Push {
            repository: Repository {
                id: Some(number(&story.repository)),
                name: RepositoryName::parse(story.repository.clone()).unwrap(),
            },
            reference: RefName::parse("refs/heads/main").unwrap(),
            before: None,
            after: Some(sha.clone()),
            forced: false,
            pusher: None,
            title: None,
            author: None,
            skip: None,
            paths: None,
        };
        let (event, digest) = ("push".into(), hex::encode(Sha256::digest(&body)));
        Delivery { id, event, digest, body, received_at: self.clock.now(), push, caught_up: None }
    }

    /// These come in at the same time, each to its own story.
    async fn deliver(&self, deliveries: Vec<(Arc<Target>, Delivery)>) {
        let accept = |(target, delivery): (Arc<Target>, Delivery)| async {
            let cause = Cause::Push { delivery: delivery.id.clone() };
            let plans = plan(&delivery.push, &cause, &[target]);
            self.ledger.accept(delivery, plans).await.unwrap();
        };
        join_all(deliveries.into_iter().map(accept)).await;
    }

    /// Lets time pass until nothing is open any more.
    async fn settle(&self) {
        for _ in 0..20_000 {
            if self.ledger.unfinished().unwrap().is_empty() {
                return;
            }
            self.clock.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{:#?}", self.ledger.unfinished().unwrap().first().map(|it| self.ledger.deployment(*it)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_thousand_rounds_the_newest_is_live_and_nothing_was_deployed_twice() {
    // What a crash would leave is not asked here, and thousands of groups need not wait for a disk.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let targets: Arc<[Arc<Target>]> = (1..=ROUNDS).map(member).collect();
    let (mut stage, conductor, reports) = Stage::set(dir.path(), &targets).await;
    let stop = CancellationToken::new();
    let at_work = tokio::spawn(conductor.run(stop.clone()));
    let telling = tokio::spawn(reports.run(stop.clone()));
    for batch in targets.chunks(AT_ONCE) {
        let mut stories: Vec<Story> = batch.iter().map(Story::of).collect();
        // The first push comes through: before it a target has nothing to compare with.
        let first = stories.iter_mut().map(|story| {
            stage.push(story);
            story.left = 1 + stage.dice.throw(4);
            (story.target.clone(), stage.delivery(story, &format!("{}-first", story.target.name), &story.commits[0]))
        });
        let first = first.collect();
        stage.deliver(first).await;
        for step in 0..12 {
            let happens = |story: &mut Story| Some((story.target.clone(), stage.happen(story)?));
            let deliveries = stories.iter_mut().filter_map(happens).collect();
            stage.deliver(deliveries).await;
            stage.clock.advance(Duration::from_millis(50));
            if step % 5 == 4 {
                stage.compare(&stories).await;
            }
        }
        for story in &mut stories {
            while story.left > 0 {
                stage.push(story);
            }
        }
        // What is still under way comes in order, one of each story at a time.
        while stories.iter().any(|story| !story.under_way.is_empty()) {
            let of = |story: &mut Story| {
                let (id, sha) = (!story.under_way.is_empty()).then(|| story.under_way.remove(0))?;
                Some((story.target.clone(), stage.delivery(story, &id, &sha)))
            };
            let deliveries = stories.iter_mut().filter_map(of).collect();
            stage.deliver(deliveries).await;
        }
        stage.settle().await;
        // What was lost on its way is found by its head.
        stage.compare(&stories).await;
        stage.settle().await;
        stories.iter().for_each(|story| stage.judge(story));
    }
    let begun = stage.engine.0.lock().unwrap().clone();
    let once: BTreeSet<_> = begun.iter().map(|(name, sha)| (name.as_str(), sha.as_str())).collect();
    assert_eq!(once.len(), begun.len(), "a commit was deployed twice");
    assert!(begun.len() > ROUNDS, "{} deployments really came about", begun.len());
    stage.hear_all(&targets).await;
    stop.cancel();
    at_work.await.unwrap().unwrap();
    telling.await.unwrap().unwrap();
    stage.ledger.close().await;
    stage.histories.close().await;
}

impl Story {
    fn of(target: &Arc<Target>) -> Self {
        let repository = target.repository.to_string();
        Self { target: target.clone(), repository, commits: vec![], under_way: vec![], left: 1 }
    }
}

impl Stage {
    /// Waits until the last word of every deployment was said, and judges it.
    async fn hear_all(&self, targets: &[Arc<Target>]) {
        let all = self.ledger.deployments(&Filter { limit: usize::MAX, ..Filter::default() }).unwrap();
        let commits: BTreeSet<_> = all.iter().map(|it| it.order().sha.to_string()).collect();
        let is_open = |state: &str| ["pending", "queued", "in_progress"].contains(&state);
        let heads = || targets.iter().map(|it| (it, self.histories.head(it.repository.as_str()).to_string()));
        let mut open = vec![];
        for _ in 0..2_000 {
            let (statuses, deployments) = (self.histories.statuses(), self.histories.deployments());
            open = commits.iter().filter(|it| statuses.get(*it).is_none_or(|state| is_open(state))).cloned().collect();
            let of_heads = heads().filter(|(_, head)| statuses.get(head).is_none_or(|state| state != "success"));
            open.extend(of_heads.map(|(target, head)| format!("{head} of {}", target.name)));
            // On the page of environments the head alone is live, and everything has ended.
            let shown: BTreeSet<_> = deployments.iter().filter(|(_, state)| state == "success").collect();
            open.extend(deployments.iter().filter(|(_, state)| is_open(state)).map(|it| format!("{it:?}")));
            let with_page: Vec<_> = heads().filter(|(target, _)| target.github.deployments == Some(true)).collect();
            open.extend(
                with_page.iter().filter(|(_, head)| !shown.iter().any(|it| it.0 == *head)).map(|it| it.1.clone()),
            );
            let stale = shown.iter().filter(|it| !with_page.iter().any(|(_, head)| *head == it.0));
            open.extend(stale.map(|it| format!("{it:?} is no head")));
            if open.is_empty() {
                return;
            }
            self.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} are open: {:#?}", open.len(), open.first());
    }

    /// The newest commit is live, and every deployment has ended.
    fn judge(&self, story: &Story) {
        let name = &story.target.name;
        let live = self.ledger.target(name).unwrap().live.map(|it| it.sha);
        let filter = Filter { target: Some(name.clone()), limit: 100, ..Filter::default() };
        let all = self.ledger.deployments(&filter).unwrap();
        let told: Vec<_> = all.iter().map(|it| format!("{} {}", it.order().sha.short(), it.state().name())).collect();
        assert_eq!(live, Some(self.histories.head(&story.repository)), "{name}: {told:?} of {:?}", story.commits);
        assert!(all.iter().all(|it| it.state().is_over()), "{name}: {told:?}");
    }
}
