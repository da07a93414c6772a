//! How long a run may take as a whole (R25). Each event and each script has its own time besides.
//!
//! The service knows a third limit: an event has to begin within five minutes of the one before, or the agent is taken
//! for gone. Here nothing can come between two events, since one process carries them all out; its death is seen by
//! its lock and told at once (R26), and a child that never begins is given up after three tries. A run that waits for
//! another of its group is in a queue (R23): it says whom it waits for, and its whole time is what it may wait.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Failure, spell};

/// The time of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunTime {
    whole: Duration,
    ends: Timestamp,
}

impl RunTime {
    /// Of a run that began at this moment.
    pub(super) fn new(began: Timestamp, whole: Duration) -> Self {
        Self { whole, ends: after(began, whole) }
    }

    /// Whether it is over.
    pub(super) fn is_up(&self, now: Timestamp) -> bool {
        now >= self.ends
    }

    /// When an event that begins now has to be over.
    pub(super) fn event_ends(&self, began: Timestamp, event: Duration) -> Timestamp {
        after(began, event).min(self.ends)
    }

    /// The failure of a run whose time is over; `meanwhile` says what it was at.
    pub(super) fn failure(&self, meanwhile: &str) -> Failure {
        let whole = spell(self.whole);
        Failure::setup("host/deployment-timed-out", format!("the deployment was not over after {whole}, {meanwhile}"))
            .help(
                "no deployment may take longer: give its scripts a `timeout`, and start what runs on in the background",
            )
    }
}

fn after(began: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    began.checked_add(time).unwrap_or(Timestamp::MAX)
}
