//! Tries out what was deployed: a script of the revision, run once as hooks are: by their user, in the unpacked revision,
//! with their environment, and ended with its whole group when its time is over.

use std::path::PathBuf;
use std::time::Duration;

use super::account::Account;
use super::environment::variables;
use super::hook::{self, HookScript};
use super::intent::RunIntent;
use super::layout::{Layout, RunDir};
use super::log::ScriptLog;
use crate::clients::Clock;
use crate::domain::{Failure, RunId};

/// What `LIFECYCLE_EVENT` says then.
const EVENT: &str = "Verify";
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
        let archive = dir.archive();
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
        };
        let log = ScriptLog::open(&self.layout, &dir, &self.run, &self.clock);
        let mut log = log.map_err(|error| error.failure())?;
        log.event(EVENT);
        hook::run(&hook, &mut log, &mut Vec::new()).1.map_or(Ok(()), Err)
    }
}
