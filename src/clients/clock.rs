//! The only place that asks what time it is. Tests hand the bot a clock that moves when they say so.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// What time it is, and how to wait. Clones share one time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Manual(Arc<watch::Sender<Manual>>),
}

/// A clock in hand: what it shows, and how far it has gone by itself. Like a machine, it sleeps by the latter.
#[derive(Clone, Copy, Debug)]
struct Manual {
    shows: Timestamp,
    gone: SignedDuration,
}

impl Clock {
    /// The machine's own.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// One that stands at `start` until it is moved.
    pub fn manual(start: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(watch::channel(Manual { shows: start, gone: SignedDuration::ZERO }).0)))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Kind::System => Timestamp::now(),
            Kind::Manual(time) => time.borrow().shows,
        }
    }

    /// Moves a manual clock; the machine's own goes its way.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(time) = &self.0 {
            let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
            time.send_modify(|now| *now = Manual { shows: now.shows + by, gone: now.gone + by });
        }
    }

    /// Sets a manual clock, back too, as a machine's is when it turns out to have been wrong.
    pub fn set(&self, to: Timestamp) {
        if let Kind::Manual(time) = &self.0 {
            time.send_modify(|now| now.shows = to);
        }
    }

    /// Returns once it is `until`.
    pub async fn sleep_until(&self, until: Timestamp) {
        match &self.0 {
            Kind::System => {
                let rest = until.duration_since(self.now());
                tokio::time::sleep(Duration::try_from(rest).unwrap_or_default()).await;
            }
            Kind::Manual(time) => {
                let mut time = time.subscribe();
                let Manual { shows, gone } = *time.borrow();
                let rest = until.duration_since(shows);
                // The sender lives in `self`, so waiting cannot fail.
                let _ = time.wait_for(|now| now.gone - gone >= rest).await;
            }
        }
    }

    /// Returns after this long.
    pub async fn sleep(&self, long: Duration) {
        let until = self.now().checked_add(SignedDuration::try_from(long).unwrap_or(SignedDuration::MAX));
        self.sleep_until(until.unwrap_or(Timestamp::MAX)).await;
    }
}
