//! The effects on the way from push to live: weigh, prepare, release, watch, verify. They never see the ledger.
//!
//! Each takes its whole input as arguments and says what came of it; the conductor writes that down. Each may run twice
//! for the same input, except [`release::start`], whose intent is written first.

mod engines;
mod need;
mod peek;
mod prepare;
mod promote;
mod reach;
pub mod release;
mod resolve;
mod restart;
mod restore;
mod verify;
mod weigh;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clients::Clock;
use crate::domain::{Calendar, Mask};
use crate::revisions::Stores;
use crate::source::Sources;

pub use engines::Engines;
pub use need::{Need, asked_to_skip, need};
pub use prepare::{Prepared, prepare};
pub use promote::{Tried, promote, weigh_promotion};
pub use resolve::{Chosen, Resolved, choose, resolve};
pub use restart::restart;
pub use restore::restore;
pub use verify::{Looked, verify};
pub use weigh::{Known, Weighing, weigh};

/// How many archives are turned into bundles at once: one a core of a small machine, and 64 MiB in all.
const PREPARES: usize = 2;

/// How many commits are weighed at once: each asks the source two or three things.
const WEIGHS: usize = 8;

/// The outside, as far as a deployment needs it.
pub struct World {
    /// Where commits come from.
    pub sources: Sources,
    /// Where revisions lie.
    pub stores: Stores,
    /// Who deploys.
    pub engines: Engines,
    /// What time it is.
    pub clock: Clock,
    /// A directory for files on their way, emptied at start.
    pub spool: PathBuf,
    /// Called at the places where a crash would matter; production hands in one that does nothing.
    pub probe: Probe,
    /// When nothing is released to which target, as it is configured now.
    pub calendar: Arc<Calendar>,
    /// What is taken out of what others say.
    pub mask: Mask,
    weighs: Semaphore,
    prepares: Semaphore,
}

/// A seam: called with the name of a place where a crash would matter.
pub type Probe = Arc<dyn Fn(&'static str) + Send + Sync>;

impl World {
    /// Puts the outside together.
    pub fn new(sources: Sources, stores: Stores, engines: Engines, clock: Clock, spool: PathBuf, probe: Probe) -> Self {
        Self {
            sources,
            stores,
            engines,
            clock,
            spool,
            probe,
            calendar: Arc::default(),
            mask: Mask::default(),
            weighs: Semaphore::new(WEIGHS),
            prepares: Semaphore::new(PREPARES),
        }
    }

    /// The same, with secrets taken out of what answers and programs say.
    #[must_use]
    pub fn masked(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// The same, with freeze windows.
    #[must_use]
    pub fn heeding(self, calendar: Arc<Calendar>) -> Self {
        Self { calendar, ..self }
    }
}
