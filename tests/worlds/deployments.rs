//! A ledger whose deployments go as a test says, and the GitHub that is told of them: no conductor, no engine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use landfall::clients::Clock;
use landfall::clients::github::GitHubClients;
use landfall::config::{GitHub, GitHubApp, SecretRef};
use landfall::domain::{BundleFormat, Location, Revision};
use landfall::domain::{
    Cause, CommitSha, Delivery, DeliveryId, DeploymentEvent as E, DeploymentId, Event, Finding, Order, Outcome, Plan,
    Progress, Push, RefName, Repository as Name, RepositoryName, RunId, RunOutcome, SinkEvent, SourceSpec, Stream,
    Target, Verdict,
};
use landfall::ledger::{Append, Birth, Ledger, Options};
use landfall::report::{Pace, Reports, Sink};
use sha2::Digest;

use super::github::GitHubWorld;
use super::repository::Repository;
use super::target::target;

const APP: u32 = 4711;

/// A GitHub, a ledger and deployments in it that go as the test says.
pub(crate) struct World {
    pub(crate) github: GitHubWorld,
    pub(crate) repository: Repository,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) source: SourceSpec,
    deliveries: AtomicU64,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub(crate) fn open(dir: &Path, clock: &Clock) -> Ledger {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let clock = clock.clone();
    Ledger::open(&dir.join("ledger"), options, Arc::new(move || clock.now())).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/blog");
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(start());
        let ledger = open(dir.path(), &clock);
        let deliveries = AtomicU64::new(0);
        Self { github, repository, ledger, clock, source: SourceSpec::GitHub, deliveries, dir }
    }

    pub(crate) fn sinks(&self) -> Vec<Sink> {
        Sink::all(&GitHubClients::new(&self.github.config(), self.clock.clone()).unwrap())
    }

    pub(crate) fn reports(&self) -> Reports {
        self.reports_to(self.sinks())
    }

    pub(crate) fn reports_to(&self, sinks: Vec<Sink>) -> Reports {
        let url = Some("https://deploy.example.com/".to_owned());
        let pace = Pace { planned: Duration::ZERO, ..Pace::default().every(Duration::ZERO) };
        Reports::new(self.ledger.clone(), sinks, self.clock.clone(), url).paced(pace)
    }

    /// A configuration in which an App that may do this speaks for everything.
    pub(crate) fn app(&self, permissions: &[(&str, &str)]) -> GitHub {
        self.github.live_by(&self.clock);
        let private_key = SecretRef::File(self.github.app(APP));
        self.github.install(APP, "acme", permissions);
        let app = GitHubApp { id: APP, private_key, repositories: vec!["*/*".into()], installation: None };
        GitHub { apps: vec![app], ..self.github.config() }
    }

    pub(crate) fn order(&self, reference: &str, sha: &CommitSha, cause: Cause) -> Order {
        Order {
            target: Target { source: self.source.clone(), ..target("blog", "acme/blog") }.into(),
            repository: Name { id: Some(7), name: RepositoryName::parse("acme/blog").unwrap() },
            reference: RefName::parse(reference).unwrap(),
            sha: sha.clone(),
            before: None,
            author: None,
            pusher: None,
            title: None,
            cause,
            rule: "branch main".into(),
            parent: None,
            paths_unknown: false,
            options: Default::default(),
        }
    }

    pub(crate) async fn plan(&self, reference: &str, sha: &CommitSha) -> DeploymentId {
        self.plan_with(reference, sha, |_| ()).await
    }

    pub(crate) async fn plan_with(
        &self,
        reference: &str,
        sha: &CommitSha,
        change: impl FnOnce(&mut Target),
    ) -> DeploymentId {
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed);
        let id = DeliveryId::parse(format!("delivery-{number}")).unwrap();
        let mut order = self.order(reference, sha, Cause::Push { delivery: id.clone() });
        change(Arc::make_mut(&mut order.target));
        let push = Push {
            repository: order.repository.clone(),
            reference: order.reference.clone(),
            before: None,
            after: Some(sha.clone()),
            forced: false,
            pusher: None,
            title: None,
            author: None,
            skip: None,
            paths: None,
        };
        let received_at = self.clock.now();
        let (event, digest, body) =
            ("push".into(), hex::encode(sha2::Sha256::digest(number.to_be_bytes())), "{}".into());
        let delivery = Delivery { id, event, digest, body, received_at, push, caught_up: None };
        let plan = Plan { target: order.target.name.clone(), outcome: Outcome::Deploy(Arc::new(order)) };
        self.ledger.accept(delivery, vec![plan]).await.unwrap().plans[0].deployment.unwrap()
    }

    pub(crate) async fn pushed(&self, title: &str) -> (CommitSha, DeploymentId) {
        let sha = self.repository.commit_and_push(title, &[("title", title)]);
        let id = self.plan("refs/heads/main", &sha).await;
        (sha, id)
    }

    pub(crate) async fn append(&self, id: DeploymentId, event: E) {
        self.append_with(id, event, vec![]).await;
    }

    pub(crate) async fn append_with(&self, id: DeploymentId, event: E, births: Vec<Birth>) -> Vec<DeploymentId> {
        let expect = Some(self.ledger.deployment(id).unwrap().unwrap().events());
        let (stream, event) = (Stream::Deployment(id), Event::Deployment(event));
        self.ledger.append(Append { stream, expect, event, births }).await.unwrap().births
    }

    /// Brings a planned deployment to where the engine works.
    pub(crate) async fn run(&self, id: DeploymentId, commit: &CommitSha) {
        self.run_with(id, commit, vec![]).await;
    }

    /// The same, with what was found on the way.
    pub(crate) async fn run_with(&self, id: DeploymentId, commit: &CommitSha, findings: Vec<Finding>) {
        let (head, commit) = (commit.clone(), commit.clone());
        self.append(id, E::Weighing).await;
        self.append(id, E::Weighed { head, commit, forced: false, doubt: None }).await;
        self.release_with(id, findings).await;
    }

    /// Brings a weighed deployment to where the engine works.
    pub(crate) async fn release(&self, id: DeploymentId) {
        self.release_with(id, vec![]).await;
    }

    async fn release_with(&self, id: DeploymentId, findings: Vec<Finding>) {
        let location = Location::File { path: "/nowhere/x.tgz".into() };
        let revision =
            Revision::Bundle { location, format: BundleFormat::Tgz, bytes: 1, sha256: "0".repeat(64), files: 1 };
        self.append(id, E::Prepared { revision, archive: Default::default(), findings }).await;
        self.append(id, E::Releasing { marker: "landfall:x".into(), run: None, warning: None }).await;
        let run = RunId::parse("d-ABC").unwrap();
        self.append(id, E::Released { run, adopted: false, url: None }).await;
    }

    pub(crate) async fn progress(&self, id: DeploymentId, phase: &str) {
        let progress = Progress { phase: Some(phase.into()), ..Progress::default() };
        self.append(id, E::Progressed { progress }).await;
    }

    pub(crate) async fn succeed(&self, id: DeploymentId) {
        let outcome = RunOutcome::of(Verdict::Succeeded);
        self.append(id, E::Ended { outcome }).await;
        self.append(id, E::Succeeded { warnings: vec![] }).await;
    }

    /// What GitHub was told, in order: `pending Planned`.
    pub(crate) fn told(&self) -> Vec<String> {
        self.github.statuses().iter().map(|it| format!("{} {}", it.state, it.description)).collect()
    }

    /// What the ledger says that a sink was told.
    pub(crate) fn written(&self, sink: &str) -> Vec<SinkEvent> {
        let story = self.ledger.story(&Stream::Sink(sink.into())).unwrap();
        let sink_event = |event| if let Event::Sink(event) = event { event } else { unreachable!("a sink's stream") };
        story.into_iter().map(|record| sink_event(record.event)).collect()
    }

    pub(crate) fn seconds(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}
