//! The child's side of the start protocol: takes a run at most once, carries it out, and says how it ended.
//!
//! May run twice, at the same time even: the lock lets one in, and a journal with a `started` line turns all others
//! away for good.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::course::Course;
use super::error::HostError;
use super::intent::RunIntent;
use super::journal::{End, Journal, Line, Story};
use super::layout::{Layout, RunDir, sync_directory, write_durably};
use super::limits::RunTime;
use super::log::ScriptLog;
use super::probe::Probe;
use crate::clients::Clock;
use crate::domain::Failure;

/// How often a lock is tried.
const TICK: Duration = Duration::from_millis(25);

/// What a run is carried out with.
#[derive(Clone, Debug)]
pub struct Means {
    /// This program, whose `exec-as` becomes other users.
    pub program: PathBuf,
    /// The time.
    pub clock: Clock,
    /// How long a script may go on after TERM (R40).
    pub kill_after: Duration,
    /// How long one event's scripts may take together, and each without a word of its own (D1, R44).
    pub event_time: Duration,
    /// How long the whole run may take, the wait for another run of its group too (R25).
    pub run_time: Duration,
    /// What hooks find in their environment besides what the engine puts there: nothing of a bot's own.
    pub environment: Vec<(String, String)>,
    /// Is told of each seam.
    pub probe: Probe,
}

impl Means {
    /// This very program, and the machine's clock.
    pub fn own() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            clock: Clock::system(),
            kill_after: Duration::from_secs(10),
            event_time: Duration::from_secs(3600),
            run_time: Duration::from_secs(12 * 3600),
            environment: Vec::new(),
            probe: Probe::default(),
        }
    }

    /// The same, for hooks that a person runs: they find what that person's own programs find.
    #[must_use]
    pub fn with_environment(self, environment: Vec<(String, String)>) -> Self {
        Self { environment, ..self }
    }
}

/// Makes and syncs a run's directory with its intent. Done already, it is left as it is.
pub fn prepare_run(intent: &RunIntent) -> Result<RunDir, HostError> {
    let dir = intent.dir();
    match RunIntent::read(&dir) {
        Ok(present) if present.marker == intent.marker => return Ok(dir),
        Ok(_) => return Err(HostError::Taken { path: dir.path().to_owned() }),
        Err(HostError::Files { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let logs = dir.path().join("logs");
    fs::create_dir_all(&logs).map_err(HostError::on("create", &logs))?;
    let text = serde_json::to_vec_pretty(intent).expect("an intent is texts and numbers");
    write_durably(&dir.intent(), &text)?;
    for above in dir.path().ancestors().skip(1).take(2) {
        sync_directory(above)?;
    }
    Ok(dir)
}

/// Carries a run out and returns its story; nothing if somebody else did or does.
pub fn carry_out(dir: &RunDir, means: &Means) -> Result<Option<Story>, HostError> {
    let intent = RunIntent::read(dir)?;
    let Some(_lock) = take(dir)? else { return Ok(None) };
    let mut journal = Journal::open(dir)?;
    let events = intent.events();
    let planned = events.clone().unwrap_or_default();
    let began = means.clock.now();
    journal.tell_durably(&Line::Started { at: began, pid: std::process::id(), events: planned })?;
    sync_directory(dir.path())?;
    let time = RunTime::new(began, means.run_time);
    let end = work(&intent, dir, means, events, time, &mut journal);
    journal.tell_durably(&Line::Ended { at: means.clock.now(), end })?;
    Story::read(dir).map(Some)
}

/// Everything between `started` and `ended`; whatever goes wrong is an end.
fn work(
    intent: &RunIntent,
    dir: &RunDir,
    means: &Means,
    events: Result<Vec<String>, String>,
    time: RunTime,
    journal: &mut Journal,
) -> End {
    let events = match events {
        Ok(events) => events,
        Err(text) => return End::failed(None, Failure::setup("host/events", text)).untouched(),
    };
    let layout = intent.layout();
    let result = wait_for_group(intent, dir, time, &means.clock, journal).and_then(|turn| {
        let _lock = match turn {
            Turn::Ours(lock) => lock,
            Turn::Over(end) => return Ok(end.untouched()),
        };
        let log = ScriptLog::open(&layout, dir, &intent.run, &means.clock)?;
        Course::new(intent, dir, means, time, journal, log).run(&events)
    });
    result.unwrap_or_else(|error| End::failed(None, error.failure()))
}

/// The run's lock, for the first who comes; nothing for everyone after.
fn take(dir: &RunDir) -> Result<Option<File>, HostError> {
    let path = dir.lock();
    let file = open_lock(&path)?;
    loop {
        if Story::read(dir)?.started {
            return Ok(None);
        }
        // An observer holds it for a moment, another child from before it says `started`.
        if try_lock(&file, &path)? {
            return Ok((!Story::read(dir)?.started).then_some(file));
        }
        sleep(TICK);
    }
}

/// What waiting for one's turn comes to.
enum Turn {
    /// The group's lock.
    Ours(File),
    /// The run is over before it began.
    Over(End),
}

/// One run of a group at a time (R23), whoever started it. Who is in the way is told, once it takes a while.
fn wait_for_group(
    intent: &RunIntent,
    dir: &RunDir,
    time: RunTime,
    clock: &Clock,
    journal: &mut Journal,
) -> Result<Turn, HostError> {
    /// Long enough that an ordinary deployment that is about to end is not spoken of.
    const A_WHILE: Duration = Duration::from_secs(2);
    let layout = intent.layout();
    let path = layout.group_lock(&intent.group);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
    }
    let file = open_lock(&path)?;
    let speaks_from = clock.now() + A_WHILE;
    let mut has_spoken = false;
    while !try_lock(&file, &path)? {
        let now = clock.now();
        if dir.stop().exists() {
            return Ok(Turn::Over(End::stopped()));
        }
        if time.is_up(now) {
            let meanwhile = format!("all of which it waited for {}", at_work(&layout, intent, dir));
            return Ok(Turn::Over(End::failed(None, time.failure(&meanwhile))));
        }
        if now >= speaks_from && !has_spoken {
            has_spoken = true;
            let message = format!("it waited for {} to end", at_work(&layout, intent, dir));
            journal.tell(&Line::Warned { at: now, message })?;
        }
        sleep(TICK);
    }
    Ok(Turn::Ours(file))
}

/// The other run of the group that is at work now.
fn at_work(layout: &Layout, intent: &RunIntent, own: &RunDir) -> String {
    let listing = fs::read_dir(layout.group(&intent.group)).into_iter().flatten().flatten();
    let runs = listing.map(|found| RunDir::at(found.path())).filter(|run| run != own && is_locked(run));
    // One that waits as well has begun nothing yet.
    let busy = |run: &RunDir| Story::read(run).is_ok_and(|story| story.is_busy());
    let name = runs.into_iter().find(busy).and_then(|run| Some(run.path().file_name()?.to_string_lossy().into_owned()));
    name.map_or_else(|| "another deployment of the group".to_owned(), |name| format!("deployment {name} of the group"))
}

pub(super) fn open_lock(path: &Path) -> Result<File, HostError> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(HostError::on("open", path))
}

pub(super) fn try_lock(file: &File, path: &Path) -> Result<bool, HostError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(HostError::on("lock", path)(error)),
    }
}

/// Whether somebody works on the run now.
pub(super) fn is_locked(dir: &RunDir) -> bool {
    File::open(dir.lock()).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Ends a run that nobody ever began, so that nobody can begin it any more. False when somebody was quicker.
pub(super) fn give_up(dir: &RunDir, clock: &Clock, failure: Failure) -> Result<bool, HostError> {
    let path = dir.lock();
    let file = open_lock(&path)?;
    if !try_lock(&file, &path)? || Story::read(dir)?.started {
        return Ok(false);
    }
    let mut journal = Journal::open(dir)?;
    let end = End::failed(None, failure).untouched();
    journal.tell(&Line::Started { at: clock.now(), pid: std::process::id(), events: Vec::new() })?;
    journal.tell_durably(&Line::Ended { at: clock.now(), end })?;
    Ok(true)
}
