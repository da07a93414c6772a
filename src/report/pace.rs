//! How fast the world is told things, and how patiently. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::domain::DeploymentId;

/// The shortest and the longest wait after something that may pass.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(5);

/// How fast the world is told things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two requests of a sink: GitHub asks for a second between writes, and allows 80 a minute.
    pub between: Duration,
    /// Between two messages about one deployment that is not over; what happened meanwhile is passed over. It grows with
    /// the messages: GitHub takes a thousand statuses of one name at one commit, and refuses the last one too.
    pub per_deployment: Duration,
    /// How long something that may pass is tried again before it is given up.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            between: Duration::from_secs(1),
            per_deployment: Duration::from_secs(1),
            patience: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The least time between two messages about one deployment after this many: it doubles every twenty, up to 5 min.
pub(super) fn interval(pace: &Pace, told: u32) -> Duration {
    let longest = LONGEST_WAIT.unsigned_abs();
    pace.per_deployment.saturating_mul(1 << (told / 20).min(16)).min(longest.max(pace.per_deployment))
}

/// When to try again after this many stumbles in a row: 1 s, doubling up to 5 min, each less up to half of it, so that
/// many do not come back at once. The same deployment and attempt wait the same time, whatever crashes.
pub(super) fn next_try(now: Timestamp, deployment: DeploymentId, attempt: u32) -> Timestamp {
    let whole = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(9)).min(LONGEST_WAIT);
    let digest = Sha256::digest(format!("{deployment} {attempt}"));
    let half = whole.as_millis() as i64 / 2;
    let less = i64::from(u16::from_be_bytes([digest[0], digest[1]])) * half / i64::from(u16::MAX);
    now + (whole - SignedDuration::from_millis(less))
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

    #[test]
    fn waits_double_and_scatter_up_to_five_minutes() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let id = |name: &str| DeploymentId::derive(now, &[name]);
        let wait = |name, attempt| next_try(now, id(name), attempt).duration_since(now).as_millis();
        for attempt in 1..=40 {
            let whole = (1_000_i128 << (attempt - 1).min(20)).min(300_000);
            for name in ["a", "b", "c"] {
                let waited = wait(name, attempt);
                assert!((whole / 2..=whole).contains(&waited), "{name} {attempt}: {waited} of {whole}");
            }
        }
        assert_ne!(wait("a", 9), wait("b", 9));
        assert_eq!(wait("a", 9), wait("a", 9));
    }
}
