//! Tries out what was deployed: a script of the revision, run once as hooks are: by their user, in the unpacked revision,
//! with their environment, and ended with its whole group when its time is over, or when nobody waits for it any more.
//!
//! A bot that is killed leaves its script running. So the process is noted beside the run, and ended before the next one:
//! two never run side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::environment::variables;
use super::hook::{self, HookScript, Keeper};
use super::intent::RunIntent;
use super::layout::{Layout, RunDir};
use super::log::ScriptLog;
use super::processes;
use crate::clients::Clock;
use crate::domain::{Failure, RunId};

/// What `LIFECYCLE_EVENT` says then.
pub(super) const EVENT: &str = "Verify";
/// How long a script may go on after TERM.
const KILL_AFTER: Duration = Duration::from_secs(2);

/// One script of a run that has ended.
pub(super) struct Trial {
    pub(super) layout: Layout,
    pub(super) program: PathBuf,
    pub(super) clock: Clock,
    pub(super) run: RunId,
    pub(super) command: Vec<String>,
    pub(super) timeout: Duration,
    /// Cancelled when nobody waits for it any more.
    pub(super) let_go: CancellationToken,
}

/// Notes the process of a script that is being tried out.
struct Noted<'a> {
    note: &'a Path,
    let_go: &'a CancellationToken,
}

impl Keeper for Noted<'_> {
    fn begun(&self, group: u32) {
        // Without the note, a kill of the bot at this very moment leaves it running until it ends by itself.
        if let Some(began) = processes::began(group) {
            let _ = fs::write(self.note, format!("{group} {began}"));
        }
    }

    fn lets_go(&self) -> bool {
        self.let_go.is_cancelled()
    }
}

/// Ends what a bot that was killed left running, with its whole group.
fn end_left(note: &Path) {
    /// How often it is looked at within the time that it has after TERM.
    const LOOKS: u32 = 40;
    let Some((group, began)) = fs::read_to_string(note).ok().and_then(|text| {
        let (group, began) = text.split_once(' ')?;
        Some((group.parse::<u32>().ok()?, began.parse::<u64>().ok()?))
    }) else {
        return;
    };
    if processes::began(group) == Some(began)
        && let Ok(id) = i32::try_from(group)
    {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            // It may have ended meanwhile, which is what is wanted.
            let _ = killpg(Pid::from_raw(id), signal);
            for _ in 0..LOOKS {
                if processes::of_group(group).is_empty() {
                    return;
                }
                std::thread::sleep(KILL_AFTER / LOOKS);
            }
        }
    }
}

impl Trial {
    /// Runs it to its end. It blocks.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let gone = || {
            let text = format!("the directory of {} is not there any more", self.run);
            Failure::setup("host/trial-gone", text).help("deploy it again: `landfall redeploy`")
        };
        let dir: RunDir = self.layout.find_run(&self.run).ok_or_else(gone)?;
        let intent = RunIntent::read(&dir).map_err(|_| gone())?;
        let (location, arguments) = self.command.split_first().ok_or_else(gone)?;
        let account = match &intent.options.user {
            Some(name) => Account::named(name).ok_or_else(|| {
                let text = format!("there is no user `{name}` on this machine");
                Failure::setup("host/unknown-user", text).help("create the user")
            })?,
            None => Account::own(),
        };
        let (archive, note) = (dir.archive(), dir.trial());
        end_left(&note);
        let hook = HookScript {
            event: EVENT,
            location,
            arguments,
            archive: &archive,
            account: &account,
            variables: variables(&intent, EVENT, &account, &archive, &[]),
            timeout: self.timeout,
            program: &self.program,
            kill_after: KILL_AFTER,
            clock: &self.clock,
            keeper: Some(&Noted { note: &note, let_go: &self.let_go }),
        };
        let log = ScriptLog::open(&self.layout, &dir, &self.run, &self.clock);
        let mut log = log.map_err(|error| error.failure())?;
        log.event(EVENT);
        let failure = hook::run(&hook, &mut log, &mut Vec::new()).1;
        let _ = fs::remove_file(&note);
        failure.map_or(Ok(()), Err)
    }
}
