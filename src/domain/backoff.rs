//! How long to wait after something that may pass. Never draws lots: the jitter is derived from who waits and how often,
//! so that the same story waits the same time, whatever crashes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// The first wait, at its longest.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(5);

/// The wait after this many stumbles of `who` in a row: 1 s, doubling up to 5 min, each less up to half of it, so that
/// many who stumbled over the same thing do not come back at once.
pub fn backoff(stumbles: u32, who: &str) -> Duration {
    let whole = FIRST.saturating_mul(1 << stumbles.saturating_sub(1).min(9)).min(LONGEST);
    let digest = Sha256::digest(format!("{who} {stumbles}"));
    let scatter = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    whole - whole / 2 * scatter / u32::from(u16::MAX)
}

/// The longest that anything waits to be tried again: GitHub's hour, and some minutes.
const FURTHEST: SignedDuration = SignedDuration::from_mins(70);

/// When to try again, of a time that was written down or waited for. One that lies further ahead than any wait of ours
/// comes from a clock that was wrong: it is now.
pub fn due(at: Timestamp, now: Timestamp) -> Timestamp {
    if at.duration_since(now) > FURTHEST { now } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_scatter_up_to_five_minutes() {
        for (stumbles, seconds) in [(0, 1), (1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)] {
            let whole = Duration::from_secs(seconds);
            let waits: Vec<Duration> = ["a", "b", "c", "d"].map(|who| backoff(stumbles, who)).into();
            assert!(waits.iter().all(|it| (whole / 2..=whole).contains(it)), "{stumbles}: {waits:?}");
            assert!(waits.windows(2).all(|pair| pair[0] != pair[1]), "{stumbles}: {waits:?}");
        }
        assert_eq!(backoff(3, "a"), backoff(3, "a"));
    }
}
