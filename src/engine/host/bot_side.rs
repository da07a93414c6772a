//! The bot's side of the start protocol: makes the run's directory, spawns the child, and reads what it leaves there.
//!
//! It never deploys anything itself, and holds no truth: kill the bot, and the next one finds the run in its directory.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::carry_out::{give_up, is_locked, prepare_run};
use super::error::HostError;
use super::intent::{BundleObject, BundleType, RunIntent, RunOptions};
use super::journal::Story;
use super::layout::{GroupId, Layout, RunDir};
use super::log;
use super::log_reader;
use super::trial::Trial;
use crate::clients::{Clock, process, span};
use crate::domain::{
    Approval, DeploymentId, EngineSpec, Failure, Finding, Location, Mask, Observation, Progress, Revision, RunId,
    StepStatus, plainly,
};
use crate::engine::{Answer, Engine, Found, Intent, Log, LogPart, StartError, Started};

/// How often a run's files are looked at.
const TICK: Duration = Duration::from_millis(75);
/// How long an answer of `observe` may take, by the trait.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// How long a child may take to say that it began, before another is spawned. Two are harmless.
const SLOW_START: Duration = Duration::from_secs(5);
/// How many children are spawned for one run before it is given up.
const MOST_CHILDREN: u32 = 3;

/// The engine of this machine.
#[derive(Clone, Debug)]
pub struct HostEngine {
    layout: Layout,
    program: PathBuf,
    clock: Clock,
    mask: Mask,
}

impl HostEngine {
    /// An engine with its files under `root`. `program` is `landfall` itself, whose `apply` carries runs out.
    pub fn new(root: impl Into<PathBuf>, program: impl Into<PathBuf>, clock: Clock) -> Self {
        Self { layout: Layout::new(root), program: program.into(), clock, mask: Mask::default() }
    }

    /// The same, with secrets taken out of everything that it tells.
    #[must_use]
    pub fn masked(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// Where a run's files lie, for those who show its log.
    pub fn run_dir(&self, run: &RunId) -> Option<RunDir> {
        self.layout.find_run(run)
    }

    /// What the child reads: the intent without anything that it does not need.
    fn run_intent(&self, intent: &Intent) -> Result<RunIntent, Failure> {
        let wrong = |text: &str| Failure::setup("host/wrong-intent", text);
        let EngineSpec::Host(spec) = &intent.order.target.engine else {
            return Err(wrong("the deployment's engine is not this host"));
        };
        let (bundle, bundle_type, sha256, object) = match &intent.revision {
            Revision::Bundle { format, location, sha256, .. } => {
                let path = match (&intent.bundle, location) {
                    (Some(path), _) | (None, Location::File { path }) => path.clone(),
                    (None, Location::S3 { .. }) => {
                        return Err(wrong("the bundle is not on this host: it has to be fetched first"));
                    }
                };
                (path, BundleType::from(*format), sha256.clone(), BundleObject::at(location))
            }
            Revision::AppSpec { .. } | Revision::GitHub { .. } => {
                return Err(wrong("the revision is no bundle"));
            }
        };
        Ok(RunIntent {
            marker: intent.marker.clone(),
            run: run_of(intent),
            application: spec.application.clone(),
            deployment_group: spec.deployment_group.clone(),
            group: GroupId::of(&spec.application, &spec.deployment_group),
            root: self.layout.root().to_owned(),
            bundle: std::path::absolute(&bundle).unwrap_or(bundle),
            bundle_type,
            sha256: Some(sha256),
            commit: Some(intent.commit.clone()),
            object,
            options: RunOptions {
                user: spec.user.clone(),
                file_exists_behavior: spec.file_exists_behavior,
                ignore_application_stop_failures: spec.ignore_application_stop_failures,
                traffic_hooks: spec.traffic_hooks,
                strict: spec.strict,
                max_revisions: spec.max_revisions,
                appspec: None,
                events: None,
                rolls_back_to: intent.order.restores().map(run_id),
            },
        })
    }

    /// Starts a child for a run whose directory is there. May run twice: the child looks whether it is the first.
    fn spawn(&self, dir: &RunDir) -> Result<(), HostError> {
        let path = dir.output();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
        }
        let output = File::options().create(true).append(true).open(&path).map_err(HostError::on("open", &path))?;
        let errors = output.try_clone().map_err(HostError::on("open", &path))?;
        let mut child = process::blocking_program(&self.program)
            .arg("apply")
            .arg("--run-dir")
            .arg(dir.path())
            // The bot's variables hold its secrets.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| HostError::Start { program: self.program.clone(), source })?;
        // Nobody waits for the child but the system, which wants its status to be fetched.
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    fn start_now(&self, intent: &Intent) -> Result<Started, StartError> {
        let intent = self.run_intent(intent).map_err(StartError::Refused)?;
        let dir = prepare_run(&intent).map_err(|error| match error {
            HostError::Taken { .. } => StartError::Refused(error.failure()),
            HostError::Files { .. } | HostError::Unreadable { .. } | HostError::Start { .. } => {
                StartError::NotSent(error.failure())
            }
        })?;
        self.spawn(&dir).map_err(|error| StartError::NotSent(error.failure()))?;
        Ok(Started { run: intent.run, url: None })
    }

    /// The directory of an intent's run. What is to be deployed need not be at hand for it.
    fn dir_of(&self, intent: &Intent) -> Result<RunDir, Failure> {
        let EngineSpec::Host(spec) = &intent.order.target.engine else {
            return Err(Failure::setup("host/wrong-intent", "the deployment's engine is not this host"));
        };
        let group = GroupId::of(&spec.application, &spec.deployment_group);
        Ok(self.layout.run(&group, &run_of(intent)))
    }

    fn find_now(&self, intent: &Intent) -> Result<Found, Failure> {
        let dir = self.dir_of(intent)?;
        let ours = match RunIntent::read(&dir) {
            Ok(present) => present.marker == intent.marker,
            Err(HostError::Files { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(error.failure()),
        };
        // Without a `started` line nothing was touched, and starting again is safe even if a child is on its way.
        let begun = ours && Story::read(&dir).map_err(|error| error.failure())?.started;
        Ok(if begun { Found::Run(Started { run: run_of(intent), url: None }) } else { Found::Absent })
    }

    /// One look at a run that was begun: at work, ended, or dead.
    fn look(dir: &RunDir) -> Result<Option<Story>, HostError> {
        let story = Story::read(dir)?;
        if !story.started {
            return Ok(None);
        }
        if story.end.is_some() || is_locked(dir) {
            return Ok(Some(story));
        }
        // Whoever wrote `started` held the lock before and has it no more: its last word is there now, or never comes.
        let story = Story::read(dir)?;
        Ok(Some(if story.end.is_some() { story } else { story.interrupted() }))
    }

    async fn watch(&self, run: &RunId, last: &Progress) -> Result<Observation, Failure> {
        let dir = self.layout.find_run(run).ok_or_else(|| {
            Failure::setup(
                "host/unusable-run",
                format!("there is no run `{run}` in `{}`", self.layout.root().display()),
            )
        })?;
        // The child lives by the machine's time, whatever the bot's clock says.
        let began = Instant::now();
        let mut spawned_at = began;
        let mut children = 0;
        let mut seen = None;
        loop {
            let now = Instant::now();
            let length = [dir.journal(), dir.scripts_log()].map(|path| fs::metadata(path).map(|it| it.len()).ok());
            // Reading all of it again is needed only where it grew, or where its writer may have died.
            if seen != Some(length) || !is_locked(&dir) {
                seen = Some(length);
                let story = Self::look(&dir).map_err(|error| error.failure())?;
                let observation = story.as_ref().map(|story| told(story, &dir).masked(&self.mask));
                if let Some(told) = observation.filter(|it| it.outcome.is_some() || it.progress != *last) {
                    return Ok(told);
                }
                if story.is_none() && now.duration_since(spawned_at) > SLOW_START {
                    children += 1;
                    spawned_at = now;
                    self.spawn_again(&dir, children).map_err(|error| error.failure())?;
                }
            }
            if now.duration_since(began) > LONGEST_LOOK {
                return Ok(Observation { progress: last.clone(), outcome: None });
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// A child that was spawned has not said that it began: another try, or the end of it.
    fn spawn_again(&self, dir: &RunDir, children: u32) -> Result<(), HostError> {
        if children < MOST_CHILDREN {
            return self.spawn(dir);
        }
        let said = fs::read_to_string(dir.output()).unwrap_or_default();
        let failure = Failure::setup(
            "host/not-started",
            format!("`{} apply` was started {MOST_CHILDREN} times and never began", self.program.display()),
        )
        .help("look at what it said")
        .detail(&said);
        give_up(dir, &self.clock, failure).map(drop)
    }
}

fn told(story: &Story, dir: &RunDir) -> Observation {
    let mut progress = story.progress();
    if progress.lifecycle.iter().any(|it| it.status == StepStatus::InProgress && it.script.is_some()) {
        progress.said = log::last_said(&dir.scripts_log());
    }
    Observation { progress, outcome: story.outcome() }
}

/// The id of an intent's run.
fn run_of(intent: &Intent) -> RunId {
    intent.run.clone().unwrap_or_else(|| run_id(intent.deployment))
}

/// `d-` and nine letters or digits, the same every time for a deployment.
fn run_id(deployment: DeploymentId) -> RunId {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let digest = Sha256::digest(format!("landfall host run {deployment}"));
    let mut number = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let mut text = String::from("d-");
    for _ in 0..9 {
        text.push(char::from(LETTERS[usize::try_from(number % 36).unwrap_or(0)]));
        number /= 36;
    }
    RunId::parse(text).expect("letters, digits and a hyphen are an engine's id")
}

impl Engine for HostEngine {
    fn try_out<'a>(
        &'a self,
        run: &'a RunId,
        command: &'a [String],
        within: Duration,
    ) -> Answer<'a, Result<(), Failure>> {
        let (layout, program, clock) = (self.layout.clone(), self.program.clone(), self.clock.clone());
        let (run, command, let_go) = (run.clone(), command.to_vec(), CancellationToken::new());
        let kept = let_go.clone().drop_guard();
        let trial = Trial { layout, program, clock, run, command, timeout: within, let_go };
        Box::pin(async move {
            // Whoever drops this wait (a stop, the end of the bot) has the script ended.
            let _kept = kept;
            let tried = span::blocking(move || trial.run()).await;
            tried.expect("a trial does not panic").map_err(|failure| failure.masked(&self.mask))
        })
    }

    fn choose_run(&self, deployment: DeploymentId) -> Option<RunId> {
        Some(run_id(deployment))
    }

    fn kept(&self, deployment: DeploymentId) -> Option<PathBuf> {
        let bundle = self.run_dir(&run_id(deployment))?.bundle();
        bundle.is_file().then_some(bundle)
    }

    fn start<'a>(&'a self, intent: &'a Intent) -> Answer<'a, Result<Started, StartError>> {
        Box::pin(async move {
            let (engine, intent) = (self.clone(), intent.clone());
            let started = span::blocking(move || engine.start_now(&intent)).await;
            started.unwrap_or_else(|error| Err(StartError::Unknown(panicked(&error))))
        })
    }

    fn find<'a>(&'a self, intent: &'a Intent, _since: Timestamp) -> Answer<'a, Result<Found, Failure>> {
        Box::pin(async move {
            let (engine, intent) = (self.clone(), intent.clone());
            let found = span::blocking(move || engine.find_now(&intent)).await;
            found.unwrap_or_else(|error| Err(panicked(&error)))
        })
    }

    fn observe<'a>(&'a self, run: &'a RunId, last: &'a Progress) -> Answer<'a, Result<Observation, Failure>> {
        Box::pin(self.watch(run, last))
    }

    fn log(&self, run: &RunId, part: LogPart) -> Result<Log, Failure> {
        let Some(dir) = self.layout.find_run(run) else { return Ok(Log::Absent) };
        let read = log_reader::read(&dir, part, &self.mask);
        let read = read.map_err(|error| HostError::on("read", &dir.scripts_log())(error).failure())?;
        Ok(read.map_or(Log::Absent, Log::Piece))
    }

    fn stop<'a>(&'a self, run: &'a RunId, _: bool) -> Answer<'a, Result<(), Failure>> {
        Box::pin(async move {
            let Some(dir) = self.layout.find_run(run) else { return Ok(()) };
            let path = dir.stop();
            File::create(&path).map(drop).map_err(|error| HostError::on("write", &path)(error).failure())
        })
    }

    fn proceed<'a>(&'a self, _: &'a RunId, _: Approval) -> Answer<'a, Result<(), Failure>> {
        // A run of this engine never waits for a person.
        Box::pin(async { Ok(()) })
    }

    fn preflight(&self) -> Answer<'_, Vec<Finding>> {
        Box::pin(async {
            let root = self.layout.root();
            let tried = fs::create_dir_all(root).and_then(|()| tempfile::tempfile_in(root));
            tried.map_or_else(
                |error| {
                    vec![
                        Finding::error(
                            "host/unusable-root",
                            format!("`{}` is not writable: {}", root.display(), plainly(&error)),
                        )
                        .help("give it to the user that the bot runs as"),
                    ]
                },
                |_| Vec::new(),
            )
        })
    }
}

fn panicked(error: &tokio::task::JoinError) -> Failure {
    Failure::setup("host/bug", format!("the engine stopped working: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verdict;
    use crate::engine::host::carry_out::{open_lock, try_lock};
    use crate::engine::host::journal::{End, Journal, Line};

    /// A run as its child does it: under the lock, from `started` to `ended`.
    fn is_done_at_once(dir: &RunDir) {
        let at = Timestamp::UNIX_EPOCH;
        let lock = open_lock(&dir.lock()).unwrap();
        while !try_lock(&lock, &dir.lock()).unwrap() {}
        let mut journal = Journal::open(dir).unwrap();
        journal.tell(&Line::Started { at, pid: 1, events: vec![] }).unwrap();
        std::thread::sleep(Duration::from_micros(200));
        journal.tell(&Line::Ended { at, end: End::stopped() }).unwrap();
    }

    #[test]
    fn a_run_that_begins_or_ends_while_it_is_looked_at_is_never_told_to_be_dead() {
        let kept = tempfile::tempdir().unwrap();
        for number in 0..100 {
            let dir = RunDir::at(kept.path().join(number.to_string()));
            fs::create_dir(dir.path()).unwrap();
            let at_work = std::thread::spawn({
                let dir = dir.clone();
                move || is_done_at_once(&dir)
            });
            let end = loop {
                if let Some(end) = HostEngine::look(&dir).unwrap().and_then(|story| story.end) {
                    break end;
                }
            };
            assert_eq!(end.verdict, Verdict::Stopped, "run {number}: {:?}", end.failure);
            at_work.join().unwrap();
        }
    }
}
