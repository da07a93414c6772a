//! How often the log tells of the same refusal: whoever is refused a million times shall not fill a disk with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How many refusals with one code are told in a minute.
const TOLD: u32 = 20;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What was told lately, by code, of which there is a fixed number. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Telling(Arc<Mutex<HashMap<&'static str, Lately>>>);

#[derive(Debug)]
struct Lately {
    since: Timestamp,
    times: u32,
}

impl Telling {
    /// Whether a refusal is told: how many like it were not told since the last one that was.
    pub fn admit(&self, code: &'static str, now: Timestamp) -> Option<u32> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = all.entry(code).or_insert(Lately { since: now, times: 0 });
        let mut untold = 0;
        if now.duration_since(lately.since).abs() >= MINUTE {
            untold = lately.times.saturating_sub(TOLD);
            *lately = Lately { since: now, times: 0 };
        }
        lately.times = lately.times.saturating_add(1);
        (lately.times <= TOLD).then_some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_a_few_times_and_then_counted() {
        let (telling, start) = (Telling::default(), Timestamp::UNIX_EPOCH);
        let told = (0..1000).filter(|_| telling.admit("a", start) == Some(0)).count();
        assert_eq!(told, 20);
        assert_eq!(telling.admit("b", start), Some(0), "another refusal is told");
        assert_eq!(telling.admit("a", start + MINUTE), Some(980));
        assert_eq!(telling.admit("a", start + MINUTE), Some(0));
    }
}
