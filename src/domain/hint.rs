//! A word from outside that a run may have gone on. It is no news itself: whoever hears it looks for himself.

use super::{CheckHint, RefName, Repository, RunId};

/// Something said that there is news, and of what. Nothing in it is believed: a hint makes a look come sooner, and never
/// says how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The region that it speaks of.
    pub region: String,
    /// The AWS account that it speaks of.
    pub account: Option<String>,
    /// The run.
    pub run: Option<RunId>,
    /// The run's application and deployment group.
    pub group: Option<(String, String)>,
}

/// What GitHub says of other things than pushes that go on. Like a hint it is never believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearsay {
    /// Checks may have ended.
    Checks(CheckHint),
    /// A ref may be gone.
    Gone {
        /// Of this repository.
        repository: Repository,
        /// Which.
        reference: RefName,
    },
}
