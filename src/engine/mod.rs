//! Who carries a deployment out: AWS CodeDeploy or this machine, behind one trait.
//!
//! An engine never rolls back on our behalf and never decides what is deployed: it is handed an [`Intent`], starts it
//! at most once, and tells how it goes.

pub mod codedeploy;
pub mod host;
mod log;

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{
    Approval, CommitSha, DeploymentId, Failure, Finding, Location, Observation, Order, Platform, Progress, Revision,
    RunId,
};

pub use log::{Log, LogFrom, LogPart, LogPiece, PIECE};

/// What an asynchronous answer of an engine is.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything an engine needs to carry one deployment out. It is the same on every call for one deployment.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Our id.
    pub deployment: DeploymentId,
    /// What the run is known by: the first word of its description.
    pub marker: String,
    /// The run's id, where [`Engine::choose_run`] gave one.
    pub run: Option<RunId>,
    /// What the deployment was born with.
    pub order: Order,
    /// The commit.
    pub commit: CommitSha,
    /// What to deploy.
    pub revision: Revision,
    /// Where the revision lies on this machine, for an engine that reads it there.
    pub bundle: Option<PathBuf>,
    /// Runs that are known to be other deployments', so that none of them is taken for this one.
    pub taken: Vec<RunId>,
}

/// A run that the engine has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id.
    pub run: RunId,
    /// Where a person can watch it.
    pub url: Option<String>,
}

/// Why a run was not started, by what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Nothing was sent, or the engine refused in a way that may pass: try again.
    NotSent(Failure),
    /// The engine refused for good: nothing runs.
    Refused(Failure),
    /// Another deployment, not ours, keeps the engine's group busy.
    Busy(Failure),
    /// It may run, or not: look for it with [`Engine::find`].
    Unknown(Failure),
}

/// What came of looking for a run by its marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Run(Started),
    /// It is not there and will not come: it may be started again.
    Absent,
    /// It is not there yet, and may still come: look again after this long.
    NotYet(Duration),
}

/// What an engine says of a deployment before anything is made for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// What its revision must be for; nothing where that could not be found out.
    pub platform: Option<Platform>,
    /// The deployment configuration by which traffic moves, where that is known.
    pub config: Option<String>,
    /// What a person should change, although it deploys.
    pub findings: Vec<Finding>,
}

/// Who carries a deployment out.
pub trait Engine: Send + Sync {
    /// The run's id, where we choose it: derived from the deployment's, so that it is the same every time.
    fn choose_run(&self, deployment: DeploymentId) -> Option<RunId>;

    /// The bundle of an earlier deployment, where the engine keeps it on this machine.
    fn kept(&self, _deployment: DeploymentId) -> Option<PathBuf> {
        None
    }

    /// Whether a deployment like this can go there, asked before anything is made for it. Only reads.
    fn admit<'a>(&'a self, _order: &'a Order) -> Answer<'a, Result<Admission, Failure>> {
        Box::pin(async { Ok(Admission { platform: Some(Platform::Server), ..Admission::default() }) })
    }

    /// Makes a stored revision known to the engine, so that people find it listed there. May run twice. What keeps the
    /// listing alone from working is a finding.
    fn announce<'a>(&'a self, _order: &'a Order, _revision: &'a Revision) -> Answer<'a, Result<Vec<Finding>, Failure>> {
        Box::pin(async { Ok(vec![]) })
    }

    /// Which revisions the engine may still fetch by itself, whoever deployed them: retention leaves them alone. One that
    /// keeps its own copies needs none; nothing where what it deploys to is not there any more.
    fn needed(&self) -> Answer<'_, Result<Option<Vec<Location>>, Failure>> {
        Box::pin(std::future::ready(Ok(Some(vec![]))))
    }

    /// Starts the run. Called once for an intent that stands in the ledger.
    fn start<'a>(&'a self, intent: &'a Intent) -> Answer<'a, Result<Started, StartError>>;

    /// Looks whether the run was started, after a crash or an unknown outcome. `since` is when the intent was written.
    fn find<'a>(&'a self, intent: &'a Intent, since: Timestamp) -> Answer<'a, Result<Found, Failure>>;

    /// How far the run is. Answers as soon as it differs from `last` or has ended, and after some 30 s in any case.
    fn observe<'a>(&'a self, run: &'a RunId, last: &'a Progress) -> Answer<'a, Result<Observation, Failure>>;

    /// Somebody had this run stopped and wants what was there before: its end waits for the engine's own rollback, where
    /// the engine has such.
    fn expect_rollback(&self, _run: &RunId) {}

    /// Where a person can watch a run; nothing where the engine shows none.
    fn shown_at(&self, _run: &RunId) -> Option<String> {
        None
    }

    /// A piece of what the scripts of a run said. Reads files: it is asked on a thread that may block.
    fn log(&self, _run: &RunId, _part: LogPart) -> Result<Log, Failure> {
        Ok(Log::NotKept)
    }

    /// Asks the run to stop; asking twice, or too late, is no error. With `rollback`, an engine that rolls back by itself
    /// is to do so.
    fn stop<'a>(&'a self, run: &'a RunId, rollback: bool) -> Answer<'a, Result<(), Failure>>;

    /// Lets a run go on that waits for a person to approve this; too late is no error, too early a passing one.
    fn proceed<'a>(&'a self, run: &'a RunId, of: Approval) -> Answer<'a, Result<(), Failure>>;

    /// Runs a script of what a run has deployed, once, as hooks are run; for an engine that deploys to this machine. It
    /// is ended with all that it started once its time is over.
    fn try_out<'a>(
        &'a self,
        _run: &'a RunId,
        _command: &'a [String],
        _within: Duration,
    ) -> Answer<'a, Result<(), Failure>> {
        let text = "a command can be tried out only on the machine that the bot runs on";
        Box::pin(std::future::ready(Err(Failure::setup("engine/no-trial", text).help("write `url` for `verify`"))))
    }

    /// What would keep a deployment from working, found without starting one.
    fn preflight(&self) -> Answer<'_, Vec<Finding>>;
}
