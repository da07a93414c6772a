//! Asking for something: the trait behind which the rules are. Whoever asks only knows who it is, and for what.

use futures_util::future::BoxFuture;
use thiserror::Error;

use super::upkeep::UpkeepReport;
use crate::domain::{Act, DeploymentId, Failure, Offset, Order, Request};

/// Who carries out what people and peers ask for. `app` implements it.
pub trait Asks: Send + Sync {
    /// Carries a request out, once for each key.
    fn ask(&self, request: Request) -> BoxFuture<'_, Result<Asked, AskError>>;

    /// The same, if it does what was [foreseen](Foreseen::seal) when it was said; else [`AskError::Moved`]. What was asked
    /// before is answered as it was.
    fn ask_as_said<'a>(&'a self, request: Request, seal: &'a str) -> BoxFuture<'a, Result<Asked, AskError>>;

    /// What a request would do if it were made now, or why it would not be taken. Changes nothing.
    fn foresee(&self, request: Request) -> BoxFuture<'_, Result<Foreseen, AskError>>;

    /// Writes down that somebody did something that is about the bot itself.
    fn administered<'a>(&'a self, actor: &'a str, act: Act) -> BoxFuture<'a, Result<(), AskError>>;

    /// Takes away what nobody needs, or only says what it would. Gives what came of it.
    fn upkeep(&self, dry_run: bool) -> BoxFuture<'_, Result<UpkeepReport, AskError>>;
}

/// A request that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whether it had been taken before under the same key.
    pub repeat: bool,
    /// Its place in the ledger.
    pub offset: Offset,
    /// The deployments that were born of it.
    pub deployments: Vec<DeploymentId>,
    /// What comes of it, in words, where that is not plain from what was asked.
    pub told: Option<String>,
}

/// What a request would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// What the deployments that would be born of it would be born with.
    pub orders: Vec<Order>,
    /// What would be said of it, where that is not plain from what is asked.
    pub told: Option<String>,
    /// Another one where it would do something else: other commits, other locks, something that has begun by then.
    pub seal: String,
}

/// Why a request was not taken.
#[derive(Clone, Debug, Error)]
pub enum AskError {
    /// What it is about does not exist.
    #[error("{what}")]
    Unknown {
        /// What was looked for: `no target named «x»`, lowercase, no full stop.
        what: String,
    },
    /// A rule forbids it, as things stand.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// It would not do what whoever asks was told of.
    #[error("{what}")]
    Moved {
        /// In words, as above.
        what: String,
    },
    /// It cannot be answered now: the ledger is closed, the source does not answer.
    #[error("{}", .0.message)]
    Unavailable(Failure),
}
