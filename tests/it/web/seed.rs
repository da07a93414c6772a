//! A ledger with a day's work in it, for the tests of what people see: every state that a page must tell apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web::Data;
use futures_util::future::BoxFuture;
use landfall::asking::{Admissions, AskError, Asked, Asks, Foreseen, UpkeepReport};
use landfall::board::{Board, Figures};
use landfall::clients::{Clock, Telling};
use landfall::config::Proxies;
use landfall::domain::{
    Act, ArchiveFacts, Ask, Blame, BotEvent, BundleFormat, Cause, CommitSha, Delivery, DeliveryId, DeployOptions,
    DeploymentEvent, DeploymentId, EngineSpec, Event, Failure, Finding, Fleet, Hold, HoldKind, HostSpec, InstanceState,
    Instances, Lifecycle, Location, NoticeState, Order, Place, PlanLine, Progress, Push, RefName, Repository,
    RepositoryName, Request, Revision, Rule, RunId, RunOutcome, SinkEvent, StepStatus, Stream, Target, TargetEvent,
    TargetName, Verdict, plan,
};
use landfall::ledger::{Append, Birth, Filter, Ledger, Options, Seams};
use landfall::web::WebState;
use landfall::web::access::Tokens;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::worlds::target::{self, host};

/// A ledger, what shows it, and the deployments in it.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) state: Data<WebState>,
    pub(crate) token: String,
    pub(crate) targets: Vec<Arc<Target>>,
    /// Set, and the disk fails from now on.
    pub(crate) broken: Arc<AtomicBool>,
    directory: Arc<tempfile::TempDir>,
}

/// How a world's web is set up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    pub(crate) public_reads: bool,
    pub(crate) secure: bool,
    pub(crate) public_badges: bool,
}

/// This machine, where a test says that the connection is from there.
fn proxy() -> Proxies {
    let mut proxies = Proxies::default();
    proxies.add("127.0.0.1").unwrap();
    proxies
}

impl World {
    /// An empty one.
    pub(crate) fn new(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let options = Options { reserve_bytes: 0, segment_bytes: 1 << 20, ..Options::default() };
        let now = clock.clone();
        let broken = Arc::new(AtomicBool::new(false));
        let fails = Arc::clone(&broken);
        let fail = move |_: &str| {
            if fails.load(Ordering::SeqCst) { Err(std::io::Error::other("the disk is gone")) } else { Ok(()) }
        };
        let seams = Seams { storage: Arc::new(fail), ..Seams::default() };
        let now = Arc::new(move || now.now());
        let ledger = Ledger::open_with(&directory.path().join("ledger"), options, now, seams).unwrap();
        let targets =
            [target("shop-production", "acme/shop"), target("blog", "acme/blog"), target("docs", "acme/docs")];
        let targets: Vec<_> = targets.map(Arc::new).into();
        let board = Board::new(
            ledger.clone(),
            targets.clone(),
            clock.clone(),
            Arc::default(),
            Some("https://deploy.example.com/"),
            "https://api.github.com",
            None,
        );
        let tokens = Arc::new(Tokens::open(directory.path()).unwrap());
        let token = std::fs::read_to_string(directory.path().join("token")).unwrap().trim().to_owned();
        let state = Data::new(WebState {
            figures: Figures::new(board.clone()),
            board,
            asks: Arc::new(Straight(ledger.clone())),
            tokens,
            admissions: None,
            telling: Telling::default(),
            clock: clock.clone(),
            public_reads: setup.public_reads,
            public_badges: setup.public_badges,
            proxies: proxy(),
            secure: setup.secure,
            streams: Arc::new(Semaphore::new(8)),
            stop: CancellationToken::new(),
        });
        Self { ledger, clock, state, token, targets, broken, directory: Arc::new(directory) }
    }

    /// Where it keeps what it keeps.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The same, as a new process would find it.
    pub(crate) fn restarted(&self) -> Self {
        self.admitting(self.state.admissions.clone())
    }

    /// The same, as a new process would find it that lets these people in.
    pub(crate) fn admitting(&self, admissions: Option<Arc<Admissions>>) -> Self {
        let tokens = Arc::new(Tokens::open(self.directory.path()).unwrap());
        tokens.admit_by(admissions.as_ref().map(|it| it.rules()).as_deref());
        let WebState {
            board,
            figures,
            asks,
            clock,
            public_reads,
            public_badges,
            secure,
            streams,
            stop,
            admissions: _,
            tokens: _,
            telling: _,
            proxies,
        } = self.state.get_ref();
        let state = WebState {
            board: board.clone(),
            figures: figures.clone(),
            asks: asks.clone(),
            tokens,
            admissions,
            telling: Telling::default(),
            clock: clock.clone(),
            public_reads: *public_reads,
            public_badges: *public_badges,
            proxies: proxies.clone(),
            secure: *secure,
            streams: streams.clone(),
            stop: stop.clone(),
        };
        let token = std::fs::read_to_string(self.directory.path().join("token")).unwrap().trim().to_owned();
        Self {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            state: Data::new(state),
            token,
            targets: self.targets.clone(),
            broken: self.broken.clone(),
            directory: self.directory.clone(),
        }
    }

    /// One with a day's work in it.
    pub(crate) async fn seeded(setup: Setup) -> Self {
        let world = Self::new(setup);
        let shop = world.push("a1", "acme/shop", "main", "Show the price with tax").await;
        world.succeed(shop).await;
        world.push("0f", "acme/shop", "feature/cart", "Try another cart").await;
        let blog = world.push("b1", "acme/blog", "main", "Write about <script>alert(1)</script> & co").await;
        world.fail(blog).await;
        let docs = world.push("d1", "acme/docs", "main", "Explain the release notes").await;
        world.refuse(docs).await;
        let running = world.push("a2", "acme/shop", "main", "Take cards as well as invoices").await;
        world.run(running).await;
        let passed_over = world.push("a3", "acme/shop", "main", "Fix a typo").await;
        let waiting = world.push("a4", "acme/shop", "main", "Fix the other typo").await;
        let by = DeploymentEvent::Superseded { by: sha("a4"), deployment: Some(waiting) };
        world.tell(passed_over, by).await;
        let reason = format!("{running} runs");
        world.tell(waiting, DeploymentEvent::Held { hold: Hold { kind: HoldKind::Lane, reason, until: None } }).await;
        let until = Some("2026-01-02T09:00:00Z".parse().unwrap());
        let locked = TargetEvent::Locked {
            actor: "mia".into(),
            reason: Some("the fair is on".into()),
            until,
            warns: false,
            after: None,
        };
        world.append(Stream::Target(TargetName::parse("docs").unwrap()), Event::Target(locked), None).await;
        let (context, text) = ("landfall/blog".into(), "Failed: `scripts/check.sh` ended with 7".into());
        let (deployment, state) = (blog, NoticeState::Failure);
        let told = SinkEvent::Sent {
            deployment,
            context,
            sha: sha("b1"),
            state,
            text,
            remote_id: Some("7".into()),
            nth: 3,
            steps: 0,
        };
        world.append(Stream::Sink("github-status".into()), Event::Sink(told), None).await;
        world.clock.advance(Duration::from_secs(180));
        world
    }

    /// A push of a commit to a branch; the deployment that it means, or the last one.
    pub(crate) async fn push(&self, hex: &str, repository: &str, branch: &str, title: &str) -> DeploymentId {
        self.clock.advance(Duration::from_secs(60));
        let lines = self.deliver(hex, repository, branch, title).await;
        lines.iter().find_map(|line| line.deployment).unwrap_or_else(|| DeploymentId::derive(self.clock.now(), &[]))
    }

    async fn deliver(&self, hex: &str, repository: &str, branch: &str, title: &str) -> Vec<PlanLine> {
        let push = Push {
            repository: Repository { id: Some(7), name: RepositoryName::parse(repository).unwrap() },
            reference: RefName::from_short(branch).unwrap(),
            before: Some(sha("00aa")),
            after: Some(sha(hex)),
            forced: false,
            pusher: Some("mia".into()),
            title: Some(title.into()),
            author: Some("Mia Okoro".into()),
            skip: None,
            paths: None,
        };
        let id = DeliveryId::parse(format!("72d3162e-cc78-11e3-81ab-{}", &sha(hex).as_str()[..12])).unwrap();
        let cause = Cause::Push { delivery: id.clone() };
        let plans = plan(&push, &cause, &self.targets);
        let (event, digest, body) = ("push".into(), sha(hex).as_str().repeat(2)[..64].into(), hex.to_owned().into());
        let delivery = Delivery { id, event, digest, body, received_at: self.clock.now(), push, caught_up: None };
        self.ledger.accept(delivery, plans).await.unwrap().plans
    }

    /// One more event of a deployment, a second later.
    pub(crate) async fn tell(&self, id: DeploymentId, event: DeploymentEvent) {
        self.clock.advance(Duration::from_secs(1));
        let seen = self.ledger.deployment(id).unwrap().unwrap().events();
        self.append(Stream::Deployment(id), Event::Deployment(event), Some(seen)).await;
    }

    async fn append(&self, stream: Stream, event: Event, expect: Option<u64>) {
        self.ledger.append(Append { stream, expect, event, births: vec![] }).await.unwrap();
    }

    /// As far as the engine's taking it.
    async fn release(&self, id: DeploymentId) {
        let commit = self.ledger.deployment(id).unwrap().unwrap().order().sha.clone();
        self.tell(id, DeploymentEvent::Weighing).await;
        self.tell(id, DeploymentEvent::Weighed { head: commit.clone(), commit, forced: false, doubt: None }).await;
        self.clock.advance(Duration::from_millis(1_400));
        let (location, sha256) = (Location::File { path: "/srv/r.tgz".into() }, "5".repeat(64));
        let revision = Revision::Bundle { format: BundleFormat::Tgz, location, sha256, bytes: 33_800, files: 12 };
        let archive = ArchiveFacts { bytes: 41_000, unpacked_bytes: 120_000, files: 14, reused: false };
        let place = Place { file: "appspec.yml".into(), line: 9, column: 5, length: 4 };
        let finding = Finding::warning("appspec/no-timeout", "`scripts/check.sh` has no timeout").at(place);
        let findings = vec![finding.help("add `timeout: 60`")];
        self.tell(id, DeploymentEvent::Prepared { revision, archive, findings }).await;
        self.tell(id, DeploymentEvent::Releasing { marker: format!("landfall-{id}"), run: None, warning: None }).await;
        let (run, url) = (RunId::parse("d-A1B2C3D4E").unwrap(), Some("https://console.example.com/d-A1B2C3D4E".into()));
        self.tell(id, DeploymentEvent::Released { run, adopted: false, url }).await;
    }

    /// As far as a lifecycle event; `ends` is how that one ended.
    async fn progress(&self, id: DeploymentId, until: usize, ends: StepStatus) {
        for at in 0..=until {
            self.clock.advance(Duration::from_millis(2_300));
            let status = if at == until { ends } else { StepStatus::InProgress };
            self.tell(id, DeploymentEvent::Progressed { progress: progress(at, status) }).await;
        }
    }

    pub(crate) async fn succeed(&self, id: DeploymentId) {
        self.release(id).await;
        self.progress(id, LIFECYCLE.len() - 1, StepStatus::Succeeded).await;
        let outcome = RunOutcome::of(Verdict::Succeeded);
        self.tell(id, DeploymentEvent::Ended { outcome }).await;
        self.tell(id, DeploymentEvent::Succeeded { warnings: vec![] }).await;
    }

    /// The deployment of a commit brought back, by mia.
    pub(crate) async fn roll_back(&self, to: &str) -> DeploymentId {
        let id = self.wish_back(to).await;
        self.succeed(id).await;
        id
    }

    /// The same, which has not begun.
    pub(crate) async fn wish_back(&self, to: &str) -> DeploymentId {
        let filter = Filter { sha: Some(sha(to).to_string()), limit: 1, ..Filter::default() };
        let good = self.ledger.deployments(&filter).unwrap().remove(0);
        let (actor, key) = (Some("mia".to_owned()), Some(format!("back to {to}")));
        let cause = Cause::Rollback { actor, key: key.clone(), to: Some(good.id()), run: None };
        let filter = Filter { target: Some(good.order().target.name.clone()), limit: 1, ..Filter::default() };
        let parent = Some(self.ledger.deployments(&filter).unwrap()[0].id());
        let birth = Birth { order: Order { cause, parent, ..good.order().clone() }, kind: "rollback".into() };
        let what =
            Ask::Rollback { target: good.order().target.name.clone(), to: None, options: DeployOptions::default() };
        let request = Request { actor: "mia".into(), key: key.unwrap(), what };
        self.ledger.request(request, vec![], vec![birth]).await.unwrap().deployments[0]
    }

    /// The same again, by somebody's wish. It has only begun.
    pub(crate) async fn redeploy(&self, of: DeploymentId) -> DeploymentId {
        let first = self.ledger.deployment(of).unwrap().unwrap();
        let (actor, key) = ("mia".to_owned(), format!("again {of}"));
        let cause = Cause::Redeploy { actor: actor.clone(), key: key.clone() };
        let birth = Birth { order: Order { cause, parent: Some(of), ..first.order().clone() }, kind: key.clone() };
        let what = Ask::Redeploy { deployment: of, options: DeployOptions::default() };
        self.ledger.request(Request { actor, key, what }, vec![], vec![birth]).await.unwrap().deployments[0]
    }

    async fn run(&self, id: DeploymentId) {
        self.release(id).await;
        self.progress(id, 3, StepStatus::InProgress).await;
    }

    pub(crate) async fn fail(&self, id: DeploymentId) {
        self.release(id).await;
        self.progress(id, LIFECYCLE.len() - 1, StepStatus::Failed).await;
        let failure = Failure {
            code: "engine/script-failed".into(),
            message: "`scripts/check.sh` ended with 7 in ValidateService on web-1".into(),
            help: Some("read its last lines below, then push a commit that mends it".into()),
            passing: false,
            findings: None,
            blame: Blame::Revision,
            detail: Some("[stdout]GET http://localhost:8080/\n[stderr]curl: (22) The requested URL returned error: 500\n[stderr]<b>the page is not well</b>".into()),
        };
        let failed = Some(failure.clone());
        let outcome = RunOutcome { failure: failed, ..RunOutcome::of(Verdict::Failed) };
        self.tell(id, DeploymentEvent::Ended { outcome }).await;
        self.tell(id, DeploymentEvent::Failed { failure }).await;
    }

    pub(crate) async fn refuse(&self, id: DeploymentId) {
        let commit = self.ledger.deployment(id).unwrap().unwrap().order().sha.clone();
        self.tell(id, DeploymentEvent::Weighing).await;
        self.tell(id, DeploymentEvent::Weighed { head: commit.clone(), commit, forced: true, doubt: None }).await;
        let failure = Failure::revision("appspec/missing", "there is no `appspec.yml` at the root of the bundle");
        let failure = failure.help("add one, or set `root` to the directory that holds it");
        self.tell(id, DeploymentEvent::Refused { failure }).await;
    }
}

const LIFECYCLE: [&str; 7] = [
    "ApplicationStop",
    "DownloadBundle",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
];

fn progress(at: usize, now: StepStatus) -> Progress {
    let lifecycle = LIFECYCLE.iter().enumerate().map(|(place, name)| Lifecycle {
        name: (*name).into(),
        status: match place.cmp(&at) {
            std::cmp::Ordering::Less => StepStatus::Succeeded,
            std::cmp::Ordering::Equal => now,
            std::cmp::Ordering::Greater => StepStatus::Pending,
        },
        instance: None,
        script: (place == at && place > 3).then(|| "scripts/check.sh".into()),
        took_ms: (place < at || now != StepStatus::InProgress)
            .then_some([40, 310, 900, 2_400, 350, 1_200, 5_100][place])
            .filter(|_| place <= at),
    });
    let instances = Instances { succeeded: 1, in_progress: 2, ..Instances::default() };
    let phase = (now == StepStatus::InProgress).then(|| LIFECYCLE[at].into());
    Progress {
        status: "InProgress".into(),
        phase,
        lifecycle: lifecycle.collect(),
        instances: Some(instances),
        fleet: Some(fleet(at, now)),
        ..Progress::default()
    }
}

/// The instance that the lifecycle is of, one that is done, one that has not begun, and four that nobody names.
fn fleet(at: usize, now: StepStatus) -> Fleet {
    let row = |id: &str, status, label: Option<&str>, at: usize, now| {
        let state = InstanceState { id: id.into(), status, steps: String::new(), label: label.map(str::to_owned) };
        let step = |(place, name): (usize, &&str)| match place.cmp(&at) {
            std::cmp::Ordering::Less => ((*name).to_owned(), StepStatus::Succeeded),
            std::cmp::Ordering::Equal => ((*name).to_owned(), now),
            std::cmp::Ordering::Greater => ((*name).to_owned(), StepStatus::Pending),
        };
        (state, LIFECYCLE.iter().enumerate().map(step).collect())
    };
    let rows = [
        row("i-0a", now, Some("Green"), at, now),
        row("i-0b", StepStatus::Succeeded, Some("Blue"), LIFECYCLE.len(), now),
        row("i-0c", StepStatus::Pending, None, 0, StepStatus::Pending),
    ];
    Fleet::of(LIFECYCLE.map(str::to_owned).to_vec(), rows, 7)
}

/// A commit whose hash is this, over and over.
pub(crate) fn sha(hex: &str) -> CommitSha {
    CommitSha::parse(&hex.repeat(40)[..40]).unwrap()
}

fn target(name: &str, repository: &str) -> Target {
    let rule = Rule { branches: vec!["main".into()], tags: vec!["v*".into()], paths: vec![] };
    let engine = EngineSpec::Host(HostSpec { application: name.into(), ..host("host", "/srv/root") });
    Target { rule, engine, ..target::target(name, repository) }
}

/// What a request writes, and what is born of it.
type Meaning = (Vec<(Stream, Event)>, Vec<Birth>);

/// Writes what is asked straight into the ledger, with as few rules as the tests need.
struct Straight(Ledger);

impl Asks for Straight {
    fn ask(&self, request: Request) -> BoxFuture<'_, Result<Asked, AskError>> {
        Box::pin(async move {
            let (consequences, births) = self.means(&request)?;
            let failure = |error| Failure::passing("ledger/closed", format!("{error}"));
            let written = self.0.request(request, consequences, births).await;
            let done = written.map_err(|error| AskError::Unavailable(failure(error)))?;
            Ok(Asked { repeat: done.repeat, offset: done.offset, deployments: done.deployments, told: None })
        })
    }

    fn ask_as_said<'a>(&'a self, request: Request, _: &'a str) -> BoxFuture<'a, Result<Asked, AskError>> {
        self.ask(request)
    }

    fn foresee(&self, request: Request) -> BoxFuture<'_, Result<Foreseen, AskError>> {
        Box::pin(async move {
            let (_, births) = self.means(&request)?;
            let orders = births.into_iter().map(|it| it.order).collect();
            Ok(Foreseen { orders, told: None, seal: "sealed".into() })
        })
    }

    fn administered<'a>(&'a self, actor: &'a str, act: Act) -> BoxFuture<'a, Result<(), AskError>> {
        let event = BotEvent::Administered { actor: actor.to_owned(), act }.into();
        Box::pin(async move {
            let told = |error: landfall::ledger::LedgerError| AskError::Unavailable(error.failure());
            let write = Append { stream: Stream::Bot, expect: None, event, births: vec![] };
            self.0.append(write).await.map(|_| ()).map_err(told)
        })
    }

    fn upkeep(&self, dry_run: bool) -> BoxFuture<'_, Result<UpkeepReport, AskError>> {
        Box::pin(async move { Ok(UpkeepReport { dry_run, ..UpkeepReport::default() }) })
    }
}

impl Straight {
    fn means(&self, request: &Request) -> Result<Meaning, AskError> {
        let Request { actor, key, what } = request.clone();
        Ok(match what {
            Ask::Lock { target, reason, until, warns } => {
                let locked = Event::Target(TargetEvent::Locked { actor, reason, until, warns, after: None });
                (vec![(Stream::Target(target), locked)], vec![])
            }
            Ask::Unlock { target } => {
                (vec![(Stream::Target(target), Event::Target(TargetEvent::Unlocked { actor }))], vec![])
            }
            Ask::Stop { deployment, rollback } => {
                let asked = Event::Deployment(DeploymentEvent::StopAsked { actor, rollback });
                (vec![(Stream::Deployment(deployment), asked)], vec![])
            }
            Ask::Approve { deployment, of, reason } => {
                let approved = Event::Deployment(DeploymentEvent::Approved { actor, of, reason });
                (vec![(Stream::Deployment(deployment), approved)], vec![])
            }
            Ask::Redeploy { deployment, options: _ } => {
                let unknown = || AskError::Unknown { what: format!("there is no deployment `{deployment}`") };
                let before = self.0.deployment(deployment).ok().flatten().ok_or_else(unknown)?;
                let mut order = before.order().clone();
                order.cause = Cause::Redeploy { actor, key };
                (vec![], vec![Birth { order, kind: "redeploy".into() }])
            }
            Ask::Pause { .. } | Ask::Resume {} | Ask::LockAll { .. } | Ask::UnlockAll {} => (vec![], vec![]),
            Ask::Deploy { .. }
            | Ask::Rollback { .. }
            | Ask::Restart { .. }
            | Ask::Reject { .. }
            | Ask::Replay { .. } => {
                let failure = Failure::setup("app/not-here", "the head of `main` is not reachable from the rule");
                return Err(AskError::Refused(failure.help("push it to a branch that the rule takes")));
            }
        })
    }
}
