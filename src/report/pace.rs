//! How fast the world is told things, and how patiently. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{DeploymentId, backoff};

/// The longest time between two messages about one deployment.
const LONGEST_INTERVAL: Duration = Duration::from_mins(5);

/// How fast the world is told things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two writes to one other side, whichever sink they are of: GitHub asks for a second.
    pub between: Duration,
    /// Writes in a minute: GitHub bears 80 that make content.
    pub per_minute: u32,
    /// Writes in an hour: GitHub bears 500 that make content.
    pub per_hour: u32,
    /// Between two messages about one deployment that is not over; what happened meanwhile is passed over. It grows with
    /// the messages: GitHub takes a thousand statuses of one name at one commit, and refuses the last one too.
    pub per_deployment: Duration,
    /// How long something that may pass is tried again before it is given up.
    pub patience: Duration,
    /// How long a deployment goes unmentioned while it is merely planned, and the least time between two such mentions.
    /// One that goes on is told at once; of a burst, most are passed over without ever going on.
    pub planned: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            between: Duration::from_secs(1),
            per_minute: 80,
            per_hour: 500,
            per_deployment: Duration::from_secs(1),
            patience: Duration::from_secs(24 * 60 * 60),
            planned: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// The same with another time between writes. Under a second there are no budgets: the other side knows no limits.
    #[must_use]
    pub fn every(self, between: Duration) -> Self {
        let is_limited = between >= Self::default().between;
        let budget = |usual| if is_limited { usual } else { u32::MAX };
        Self { between, per_minute: budget(self.per_minute), per_hour: budget(self.per_hour), ..self }
    }
}

/// The least time between two messages about one deployment after this many: it doubles every twenty, up to 5 min.
pub(super) fn interval(pace: &Pace, told: u32) -> Duration {
    let longest = LONGEST_INTERVAL.max(pace.per_deployment);
    pace.per_deployment.saturating_mul(1 << (told / 20).min(16)).min(longest)
}

/// When to try again after this many stumbles in a row.
pub(super) fn next_try(now: Timestamp, deployment: DeploymentId, attempt: u32) -> Timestamp {
    after(now, backoff(attempt, &deployment.to_string()))
}

/// That much later.
pub(super) fn after(at: Timestamp, wait: Duration) -> Timestamp {
    SignedDuration::try_from(wait).ok().and_then(|wait| at.checked_add(wait).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_progress_leaves_room_for_the_last_status() {
        let (mut told, mut elapsed) = (0, Duration::ZERO);
        while elapsed < Duration::from_secs(24 * 60 * 60) {
            elapsed += interval(&Pace::default(), told);
            told += 1;
        }
        assert!((300..600).contains(&told), "{told}");
        let unpaced = Pace { per_deployment: Duration::ZERO, ..Pace::default() };
        assert_eq!(interval(&unpaced, 1_000), Duration::ZERO);
    }
}
