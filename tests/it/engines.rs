//! One suite over every engine: what the conductor relies on, whoever carries a deployment out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use landfall::clients::Clock;
use landfall::domain::{
    Blame, BundleFormat, Cause, CommitSha, DeploymentId, EngineSpec, HostSpec, Location, Order, Progress, RefName,
    Repository, Revision, RunId, RunOutcome, Target, Verdict,
};
use landfall::engine::host::HostEngine;
use landfall::engine::{Engine, Found, Intent, Started};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::worlds::target::{host, target};

/// How a run is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Well.
    Succeeds,
    /// The script `scripts/migrate.sh` of this lifecycle event prints `boom` and fails.
    FailsAt(&'static str),
    /// It does not end by itself before the test does.
    Lingers,
}

/// A place that an engine deploys to.
pub(crate) trait Bench {
    /// The engine, as after a start of the program: called again, it remembers nothing.
    fn engine(&self) -> Arc<dyn Engine>;
    /// An intent for a run that goes like this.
    fn intent(&self, course: Course) -> Intent;
    /// How many runs were ever begun.
    fn runs(&self) -> usize;
    /// What time it is there.
    fn now(&self) -> Timestamp;
}

/// Gives each property of the suite as a test of its own, over the bench that the expression makes.
macro_rules! conformance {
    ($engine:ident, $bench:expr) => {
        mod $engine {
            conformance!(@ $bench;
                a_started_run_is_found_by_the_next_process
                what_was_never_started_is_never_found
                a_good_run_ends_well
                a_bad_run_names_event_and_script
                a_stopped_run_ends_stopped
                an_ended_run_ends_the_same_for_everybody
                nothing_is_wrong_before_the_first_run);
        }
    };
    (@ $bench:expr; $($property:ident)*) => {
        $(#[tokio::test]
        async fn $property() {
            let bench = $bench;
            crate::engines::$property(&bench).await;
        })*
    };
}

conformance!(codedeploy, crate::codedeploy::CodeDeployBench::new());
conformance!(host, crate::engines::HostBench::new());

/// This machine, in a temporary directory.
struct HostBench {
    home: TempDir,
    intents: AtomicUsize,
}

impl HostBench {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), intents: AtomicUsize::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A bundle whose one hook script does `work` at `event`.
    fn bundle(&self, name: &str, event: &str, work: &str) -> Revision {
        let www = self.path("www");
        let appspec = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {}\nfile_exists_behavior: OVERWRITE\n\
             hooks:\n  {event}:\n    - location: scripts/migrate.sh\n      timeout: 300\n",
            www.display()
        );
        let mut tar = tar::Builder::new(Vec::new());
        for (path, mode, text) in [
            ("appspec.yml", 0o644, appspec.as_str()),
            ("index.html", 0o644, "<h1>Hello</h1>\n"),
            ("scripts/migrate.sh", 0o755, work),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(mode);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let bytes = tar.into_inner().unwrap();
        let path = self.path(name);
        std::fs::write(&path, &bytes).unwrap();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let bytes = bytes.len() as u64;
        Revision::Bundle { format: BundleFormat::Tar, location: Location::File { path }, sha256, bytes, files: 3 }
    }
}

impl Bench for HostBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(HostEngine::new(self.path("root"), env!("CARGO_BIN_EXE_landfall"), Clock::system()))
    }

    fn intent(&self, course: Course) -> Intent {
        let name = format!("intent-{}.tar", self.intents.fetch_add(1, Ordering::SeqCst));
        let revision = match course {
            Course::Succeeds => self.bundle(&name, "AfterInstall", "#!/bin/sh\necho fine\n"),
            Course::FailsAt(event) => self.bundle(&name, event, "#!/bin/sh\necho boom\nexit 1\n"),
            // A stop comes between two events, so the script has to come to its end when one is asked for.
            Course::Lingers => {
                let asked = format!("ls {}/*/*/stop", self.path("root").display());
                let work = format!("#!/bin/sh\nuntil {asked} >/dev/null 2>&1; do sleep 0.05; done\n");
                self.bundle(&name, "AfterInstall", &work)
            }
        };
        let spec = HostSpec { application: "shop".into(), ..host("production", self.path("root")) };
        let mut intent = intent(&name, EngineSpec::Host(spec), revision);
        intent.run = self.engine().choose_run(intent.deployment);
        intent
    }

    /// A run has begun once its journal says so.
    fn runs(&self) -> usize {
        let folders = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().map(|it| it.unwrap().path());
        let journals = folders(self.path("root")).flat_map(folders).map(|run| run.join("progress.jsonl"));
        journals.filter(|it| std::fs::read_to_string(it).is_ok_and(|it| it.contains("started"))).count()
    }

    fn now(&self) -> Timestamp {
        Clock::system().now()
    }
}

async fn a_started_run_is_found_by_the_next_process(bench: &dyn Bench) {
    let intent = bench.intent(Course::Lingers);
    let since = bench.now();
    let started = start(bench, &intent).await;
    // An engine may say that nothing was begun until something is.
    bench.engine().observe(&started.run, &Progress::default()).await.unwrap();
    let found = bench.engine().find(&intent, since).await.unwrap();
    assert_eq!(found, Found::Run(started.clone()));
    assert_eq!(bench.runs(), 1);
    bench.engine().stop(&started.run, false).await.unwrap();
    end(&*bench.engine(), &started.run).await;
}

async fn what_was_never_started_is_never_found(bench: &dyn Bench) {
    let intent = bench.intent(Course::Succeeds);
    let found = bench.engine().find(&intent, bench.now()).await.unwrap();
    assert!(!matches!(found, Found::Run(_)), "{found:?}");
    assert_eq!(bench.runs(), 0);
}

async fn a_good_run_ends_well(bench: &dyn Bench) {
    let started = start(bench, &bench.intent(Course::Succeeds)).await;
    let (_, outcome) = end(&*bench.engine(), &started.run).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded, "{outcome:?}");
    assert_eq!(outcome.failure, None);
}

async fn a_bad_run_names_event_and_script(bench: &dyn Bench) {
    let started = start(bench, &bench.intent(Course::FailsAt("AfterInstall"))).await;
    let (progress, outcome) = end(&*bench.engine(), &started.run).await;
    assert_eq!(outcome.verdict, Verdict::Failed, "{outcome:?}");
    let failure = outcome.failure.unwrap();
    assert!(failure.message.contains("AfterInstall"), "{failure:?}");
    assert!(failure.message.contains("scripts/migrate.sh"), "{failure:?}");
    assert!(failure.detail.unwrap().contains("boom"));
    assert_eq!(failure.blame, Blame::Revision);
    assert!(!failure.passing);
    assert!(progress.lifecycle.iter().any(|it| it.name == "AfterInstall"), "{progress:?}");
}

async fn a_stopped_run_ends_stopped(bench: &dyn Bench) {
    let engine = bench.engine();
    let started = start(bench, &bench.intent(Course::Lingers)).await;
    engine.stop(&started.run, false).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!(outcome.verdict, Verdict::Stopped, "{outcome:?}");
    engine.stop(&started.run, false).await.unwrap();
}

async fn an_ended_run_ends_the_same_for_everybody(bench: &dyn Bench) {
    let started = start(bench, &bench.intent(Course::FailsAt("AfterInstall"))).await;
    let first = end(&*bench.engine(), &started.run).await;
    let second = end(&*bench.engine(), &started.run).await;
    assert_eq!(first, second);
}

async fn nothing_is_wrong_before_the_first_run(bench: &dyn Bench) {
    assert_eq!(bench.engine().preflight().await, []);
}

async fn start(bench: &dyn Bench, intent: &Intent) -> Started {
    let started = bench.engine().start(intent).await.unwrap();
    if let Some(chosen) = &intent.run {
        assert_eq!(&started.run, chosen);
    }
    started
}

/// Follows a run to its end, as the conductor does: what was seen last goes into the next look.
pub(crate) async fn end(engine: &dyn Engine, run: &RunId) -> (Progress, RunOutcome) {
    let (mut last, mut seen) = (Progress::default(), Vec::new());
    loop {
        let observation = engine.observe(run, &last).await.unwrap();
        if let Some(outcome) = observation.outcome {
            return (observation.progress, outcome);
        }
        seen.push(observation.progress.clone());
        assert!(seen.len() < 10_000, "it does not end: {seen:?}");
        last = observation.progress;
    }
}

/// An intent for `engine`, unlike every other with another `name`.
pub(crate) fn intent(name: &str, engine: EngineSpec, revision: Revision) -> Intent {
    let deployment = DeploymentId::derive("2026-01-02T03:04:05Z".parse().unwrap(), &[name]);
    let commit = CommitSha::parse("4f2c1e9a".repeat(5)).unwrap();
    let target = Target { engine, ..target("shop-production", "acme/shop") };
    let order = Order {
        repository: Repository { id: Some(7), name: target.repository.clone() },
        target: target.into(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        sha: commit.clone(),
        before: None,
        author: Some("octo".into()),
        pusher: None,
        title: Some("Sell more".into()),
        cause: Cause::CatchUp,
        rule: "branch main".into(),
        parent: None,
        paths_unknown: false,
        options: Default::default(),
    };
    let (marker, run, bundle, taken) = (format!("landfall:{deployment}"), None, None, vec![]);
    Intent { deployment, marker, run, order, commit, revision, bundle, taken }
}
