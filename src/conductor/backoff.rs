//! How long to wait after a passing failure. Never draws lots: the jitter is derived, so that a story can be told again.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);

/// The wait before try `attempt + 1`: doubled each time from 1 s to 5 min, within a fifth up or down by `who`.
pub fn delay(attempt: u32, who: &str) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(LONGEST);
    let digest = Sha256::digest(format!("{who} {attempt}"));
    let fraction = f64::from(digest[0]) / 255.0;
    doubled.mul_f64(0.8 + 0.4 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_five_minutes_and_differ_from_one_another() {
        let around = |attempt, seconds: f64| {
            let found = delay(attempt, "a").as_secs_f64();
            assert!((0.8 * seconds..=1.2 * seconds).contains(&found), "try {attempt}: {found}");
        };
        around(1, 1.0);
        around(2, 2.0);
        around(5, 16.0);
        around(10, 300.0);
        around(u32::MAX, 300.0);
        assert_ne!(delay(3, "a"), delay(3, "b"));
        assert_eq!(delay(3, "a"), delay(3, "a"));
    }
}
