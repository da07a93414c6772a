//! The host engine's start protocol: one run, whatever is spawned twice, killed or restarted.

mod hooks;
mod limits;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use landfall::clients::{Clock, process::blocking_program};
use landfall::domain::{
    Blame, BundleFormat, Cause, CommitSha, DeliveryId, DeploymentId, EngineSpec, Location, Order, Progress, RefName,
    Repository, Revision, RunOutcome, StepStatus, Target, Verdict,
};
use landfall::engine::host::{HostEngine, Means, RunIntent, carry_out};
use landfall::engine::{Engine, Found, Intent, StartError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::worlds::target::{host, target};

/// A host engine whose program is the real one, and a bundle for it.
struct Host {
    dir: TempDir,
    engine: HostEngine,
    intent: Intent,
}

const LANDFALL: &str = env!("CARGO_BIN_EXE_landfall");

impl Host {
    /// A bundle with one AfterInstall script.
    fn new(script: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let here = dir.path().display().to_string();
        let bundle = dir.path().join("bundle.tgz");
        let appspec = format!(
            "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {here}/site\nhooks:\n  \
             AfterInstall:\n    - location: a.sh\n  ValidateService:\n    - location: v.sh\n"
        );
        let script = format!("#!/bin/sh\n{}\n", script.replace("{HERE}", &here));
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, content) in [
            ("appspec.yml", appspec.as_str()),
            ("index.html", "hello"),
            ("a.sh", &script),
            ("v.sh", "#!/bin/sh\necho up\n"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_mtime(1_000_000_000);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        fs::write(&bundle, &bytes).unwrap();
        let engine = HostEngine::new(dir.path().join("root"), LANDFALL, Clock::system());
        let intent = intent(dir.path().join("root"), bundle, &bytes);
        let run = engine.choose_run(intent.deployment);
        Self { dir, engine, intent: Intent { run, ..intent } }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run_dir(&self) -> PathBuf {
        self.engine.run_dir(self.intent.run.as_ref().unwrap()).unwrap().path().to_owned()
    }

    /// Observes until the end; the progress seen on the way comes too.
    async fn end(&self) -> (Vec<Progress>, RunOutcome) {
        let mut seen = vec![Progress::default()];
        let deadline = Clock::system().now() + Duration::from_secs(60);
        while Clock::system().now() < deadline {
            let last = seen.last().unwrap().clone();
            let told = self.engine.observe(self.intent.run.as_ref().unwrap(), &last).await.unwrap();
            if told.progress != last {
                seen.push(told.progress);
            }
            if let Some(outcome) = told.outcome {
                return (seen, outcome);
            }
        }
        panic!("no end: {seen:#?}")
    }

    /// Waits until a file is there.
    async fn until(&self, name: &str) {
        let deadline = Clock::system().now() + Duration::from_secs(60);
        while !self.path(name).exists() {
            assert!(Clock::system().now() < deadline, "{name} never came");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn intent(root: PathBuf, bundle: PathBuf, bytes: &[u8]) -> Intent {
    let commit = CommitSha::parse("4f2c1e9".repeat(6)[..40].to_owned()).unwrap();
    let engine = EngineSpec::Host(host("production", root));
    let target = Target { engine, ..target("blog", "acme/blog") };
    let deployment = DeploymentId::derive("2026-01-02T03:04:05Z".parse().unwrap(), &["d", "blog"]);
    Intent {
        deployment,
        marker: format!("landfall {deployment}"),
        run: None,
        taken: vec![],
        order: Order {
            repository: Repository { name: target.repository.clone(), id: None },
            target: target.into(),
            reference: RefName::parse("refs/heads/main").unwrap(),
            sha: commit.clone(),
            before: None,
            author: None,
            pusher: None,
            title: None,
            cause: Cause::Push { delivery: DeliveryId::parse("d-1").unwrap() },
            rule: "branch main".into(),
            parent: None,
            paths_unknown: false,
            options: Default::default(),
        },
        commit,
        revision: Revision::Bundle {
            format: BundleFormat::Tgz,
            location: Location::File { path: bundle },
            sha256: hex::encode(Sha256::digest(bytes)),
            bytes: bytes.len() as u64,
            files: 4,
        },
        bundle: None,
    }
}

fn since() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

#[tokio::test]
async fn a_run_is_told_from_its_start_to_its_end() {
    let host = Host::new("echo $BUNDLE_COMMIT $DEPLOYMENT_GROUP_NAME");
    assert_eq!(host.engine.find(&host.intent, since()).await, Ok(Found::Absent));
    let started = host.engine.start(&host.intent).await.unwrap();
    assert_eq!(Some(&started.run), host.intent.run.as_ref());
    let (seen, outcome) = host.end().await;
    assert_eq!((outcome.verdict, outcome.failure, outcome.warnings), (Verdict::Succeeded, None, Vec::<String>::new()));
    let last = seen.last().unwrap();
    assert_eq!(last.status, "Succeeded");
    assert!(last.lifecycle.iter().all(|event| event.status == StepStatus::Succeeded) && last.lifecycle.len() == 7);
    assert_eq!(fs::read_to_string(host.path("site/index.html")).unwrap(), "hello");
    let log = fs::read_to_string(host.run_dir().join("logs/scripts.log")).unwrap();
    assert!(log.contains(&format!("[stdout]{} production", host.intent.commit)), "{log}");
    assert_eq!(host.engine.find(&host.intent, since()).await, Ok(Found::Run(started)));
    let run = host.intent.run.as_ref().unwrap();
    host.engine.stop(run, false).await.unwrap();
    assert_eq!(host.end().await.1.verdict, Verdict::Succeeded, "too late to stop is no error");
}

#[tokio::test]
async fn a_script_that_fails_blames_the_revision() {
    let host = Host::new("echo it is broken >&2; exit 3");
    host.engine.start(&host.intent).await.unwrap();
    let (seen, outcome) = host.end().await;
    let failure = outcome.failure.unwrap();
    assert_eq!((outcome.verdict, failure.blame), (Verdict::Failed, Blame::Revision));
    assert_eq!(failure.message, "`a.sh` ended with exit code 3 in AfterInstall");
    assert_eq!(failure.detail.as_deref(), Some("[stderr]it is broken"));
    let event = seen.last().unwrap().lifecycle.iter().find(|event| event.status == StepStatus::Failed).unwrap();
    assert_eq!((event.name.as_str(), event.script.as_deref()), ("AfterInstall", Some("a.sh")));
}

#[tokio::test]
async fn children_spawned_at_once_make_one_run() {
    let host = Host::new("echo ran >> {HERE}/runs; sleep 0.3");
    host.engine.start(&host.intent).await.unwrap();
    let dir = host.run_dir();
    let spawn =
        |_| blocking_program(LANDFALL).arg("apply").arg("--run-dir").arg(&dir).stdout(Stdio::null()).spawn().unwrap();
    let children: Vec<_> = (0..6).map(spawn).collect();
    host.engine.start(&host.intent).await.unwrap();
    let (_, outcome) = host.end().await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(fs::read_to_string(host.path("runs")).unwrap(), "ran\n");
    let journal = fs::read_to_string(dir.join("progress.jsonl")).unwrap();
    assert_eq!(journal.matches(r#""kind":"started""#).count(), 1, "{journal}");
}

/// The child's process, from its journal.
fn child_of(host: &Host) -> nix::unistd::Pid {
    let journal = fs::read_to_string(host.run_dir().join("progress.jsonl")).unwrap();
    let started: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    nix::unistd::Pid::from_raw(started["pid"].as_i64().unwrap().try_into().unwrap())
}

#[tokio::test]
async fn a_child_that_is_killed_leaves_a_failed_run_that_is_never_resumed() {
    let host = Host::new("echo $$ > {HERE}/script; mv {HERE}/script {HERE}/at-work; exec sleep 60 > /dev/null 2>&1");
    host.engine.start(&host.intent).await.unwrap();
    host.until("at-work").await;
    nix::sys::signal::kill(child_of(&host), nix::sys::signal::Signal::SIGKILL).unwrap();
    let died = Clock::system().now();
    let (_, outcome) = host.end().await;
    assert!(Clock::system().now().duration_since(died).as_secs() < 5, "B10: told within seconds");
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.blame), ("host/interrupted", Blame::Setup));
    assert_eq!(failure.message, "the engine was ended during AfterInstall", "E75");
    assert!(failure.help.unwrap().starts_with("deploy again"), "E75");
    assert!(matches!(host.engine.find(&host.intent, since()).await, Ok(Found::Run(_))));
    let again = blocking_program(LANDFALL).arg("apply").arg("--run-dir").arg(host.run_dir()).status().unwrap();
    assert!(again.success(), "it sees that it is not the first, and leaves");
    assert_eq!(host.end().await.1.failure.unwrap().code, "host/interrupted");
    let script = fs::read_to_string(host.path("at-work")).unwrap();
    let script = nix::unistd::Pid::from_raw(script.trim().parse().unwrap());
    nix::sys::signal::kill(script, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_bot_that_restarts_finds_the_run_at_work() {
    let host = Host::new("touch {HERE}/at-work; until test -f {HERE}/go; do sleep 0.02; done");
    host.engine.start(&host.intent).await.unwrap();
    host.until("at-work").await;
    let next = HostEngine::new(host.path("root"), LANDFALL, Clock::system());
    assert!(matches!(next.find(&host.intent, since()).await, Ok(Found::Run(_))));
    let run = host.intent.run.as_ref().unwrap();
    let told = next.observe(run, &Progress::default()).await.unwrap();
    assert_eq!((told.progress.phase.as_deref(), told.outcome), (Some("AfterInstall"), None));
    // The child is in a session of its own: the end of the bot's is not its end.
    let child = child_of(&host);
    assert_eq!(nix::unistd::getsid(Some(child)), Ok(child));
    fs::write(host.path("go"), "").unwrap();
    assert_eq!(host.end().await.1.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn a_stopped_run_ends_after_the_event_at_work() {
    let host =
        Host::new("touch {HERE}/at-work; until test -f {HERE}/go; do sleep 0.02; done; echo finished > {HERE}/done");
    host.engine.start(&host.intent).await.unwrap();
    host.until("at-work").await;
    let run = host.intent.run.clone().unwrap();
    host.engine.stop(&run, false).await.unwrap();
    host.engine.stop(&run, false).await.unwrap();
    fs::write(host.path("go"), "").unwrap();
    let (seen, outcome) = host.end().await;
    assert_eq!(outcome.verdict, Verdict::Stopped, "B08");
    assert!(host.path("done").exists(), "the event at work ends");
    let skipped = seen.last().unwrap().lifecycle.iter().filter(|event| event.status == StepStatus::Skipped);
    assert_eq!(skipped.map(|event| event.name.as_str()).collect::<Vec<_>>(), ["ApplicationStart", "ValidateService"]);
}

#[tokio::test]
async fn a_child_that_never_began_is_spawned_again() {
    let host = Host::new("true");
    let lost = HostEngine::new(host.path("root"), "/bin/true", Clock::system());
    lost.start(&host.intent).await.unwrap();
    assert_eq!(host.engine.find(&host.intent, since()).await, Ok(Found::Absent));
    host.engine.start(&host.intent).await.unwrap();
    assert_eq!(host.end().await.1.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn what_cannot_be_started_is_refused() {
    let host = Host::new("true");
    let nothing = HostEngine::new(host.path("root"), host.path("no-program"), Clock::system());
    assert!(matches!(nothing.start(&host.intent).await, Err(StartError::NotSent(it)) if it.code == "host/not-started"));
    let other = Intent { marker: "another".into(), ..host.intent.clone() };
    assert!(matches!(host.engine.start(&other).await, Err(StartError::Refused(it)) if it.code == "host/unusable-run"));
    let appspec = Revision::AppSpec { content: String::new(), sha256: String::new() };
    let wrong = Intent { revision: appspec, ..host.intent.clone() };
    assert!(matches!(host.engine.start(&wrong).await, Err(StartError::Refused(_))));
}

#[tokio::test]
async fn a_bundle_that_changed_is_not_deployed() {
    let host = Host::new("true");
    fs::write(host.path("bundle.tgz"), "other bytes").unwrap();
    host.engine.start(&host.intent).await.unwrap();
    assert_eq!(host.end().await.1.failure.unwrap().code, "host/digest");
}

#[tokio::test]
async fn runs_of_one_group_wait_for_each_other() {
    let first =
        Host::new("touch {HERE}/at-work; until test -f {HERE}/go; do sleep 0.02; done; echo first >> {HERE}/order");
    first.engine.start(&first.intent).await.unwrap();
    first.until("at-work").await;
    let mut second = RunIntent::read(&landfall::engine::host::RunDir::at(first.run_dir())).unwrap();
    second.run = landfall::domain::RunId::parse("d-SECOND").unwrap();
    second.marker = "second".into();
    let dir = landfall::engine::host::prepare_run(&second).unwrap();
    let mut child = blocking_program(LANDFALL).arg("apply").arg("--run-dir").arg(dir.path()).spawn().unwrap();
    let told = first.engine.observe(&second.run, &Progress::default()).await.unwrap();
    assert_eq!((told.progress.status.as_str(), told.progress.phase), ("InProgress", None), "R23: it waits");
    fs::write(first.path("go"), "").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(first.path("order")).unwrap(), "first\nfirst\n");
    assert!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o111 != 0);
}

#[tokio::test]
async fn preflight_says_when_the_root_cannot_be_used() {
    let host = Host::new("true");
    assert_eq!(host.engine.preflight().await, []);
    fs::write(host.path("file"), "").unwrap();
    let engine = HostEngine::new(host.path("file/root"), LANDFALL, Clock::system());
    assert_eq!(engine.preflight().await[0].code, "host/unusable-root");
}

#[tokio::test]
async fn a_script_that_ignores_its_end_is_killed_after_a_grace() {
    let host = Host::new("trap '' TERM; echo $$ > {HERE}/script; while true; do sleep 0.05; done");
    let lost = HostEngine::new(host.path("root"), "/bin/true", Clock::system());
    lost.start(&host.intent).await.unwrap();
    let dir = landfall::engine::host::RunDir::at(host.run_dir());
    let mut intent = RunIntent::read(&dir).unwrap();
    // One second instead of the hour that the AppSpec leaves to it.
    let folder = host.path("short");
    fs::create_dir(&folder).unwrap();
    assert!(blocking_program("tar").arg("xzf").arg(&intent.bundle).arg("-C").arg(&folder).status().unwrap().success());
    let appspec = fs::read_to_string(folder.join("appspec.yml")).unwrap();
    fs::write(folder.join("appspec.yml"), appspec.replace("a.sh\n", "a.sh\n      timeout: 1\n")).unwrap();
    (intent.bundle, intent.bundle_type, intent.sha256) = (folder, landfall::engine::host::BundleType::Directory, None);
    fs::write(dir.intent(), serde_json::to_vec(&intent).unwrap()).unwrap();
    let means = Means { program: LANDFALL.into(), kill_after: Duration::from_millis(200), ..Means::own() };
    let story = tokio::task::spawn_blocking(move || carry_out(&dir, &means)).await.unwrap().unwrap().unwrap();
    assert_eq!(story.end.unwrap().failure.unwrap().code, "host/script-timed-out", "H10");
    let script = fs::read_to_string(host.path("script")).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", script.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "H10: {state}");
}
