//! How many calls a poller may make in the span of one tick, so that a thousand runs do not throttle each other. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// How runs stand: the batches of 25.
    Looks,
    /// How single instances stand.
    Details,
}

/// The calls of the last tick, over a window that slides.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: VecDeque<(Timestamp, For)>,
}

impl Budget {
    /// One call is about to be made.
    pub(super) fn spend(&mut self, now: Timestamp, what: For) {
        self.spent.push_back((now, what));
    }

    /// The last call was answered. It counts from then on: when on its way it reached CodeDeploy, nobody here knows.
    pub(super) fn answered(&mut self, now: Timestamp) {
        if let Some((at, _)) = self.spent.back_mut() {
            *at = now.max(*at);
        }
    }

    /// How many calls for this may be made now, of `limit` in a `window`. Looks leave a quarter to details, so that
    /// what failed is found out even while very many runs are watched.
    pub(super) fn left(&mut self, now: Timestamp, window: Duration, limit: usize, what: For) -> usize {
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        while self.spent.front().is_some_and(|(at, _)| now.duration_since(*at) >= window) {
            self.spent.pop_front();
        }
        let left = limit.saturating_sub(self.spent.len());
        match what {
            For::Details => left,
            For::Looks => {
                let looks = self.spent.iter().filter(|(_, what)| *what == For::Looks).count();
                left.min((limit - limit / 4).saturating_sub(looks))
            }
        }
    }

    /// When a call that was made is forgotten, and another one may follow.
    pub(super) fn free_at(&self, window: Duration, what: For) -> Option<Timestamp> {
        let oldest = self.spent.iter().find(|(_, of)| *of == what || what == For::Details)?.0;
        Some(oldest.saturating_add(SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX)).unwrap_or(oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_for_a_tick_after_its_answer() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let (mut budget, window) = (Budget::default(), Duration::from_secs(15));
        budget.spend(at(0), For::Looks);
        budget.answered(at(4));
        assert_eq!(budget.left(at(18), window, 1, For::Details), 0);
        assert_eq!(budget.left(at(19), window, 1, For::Details), 1);
    }

    #[test]
    fn a_tick_has_sixty_calls_and_looks_leave_a_quarter() {
        let at =
            |seconds: i64| "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
        let (mut budget, window) = (Budget::default(), Duration::from_secs(15));
        let mut made = 0;
        while budget.left(at(0), window, 60, For::Looks) > 0 {
            budget.spend(at(0), For::Looks);
            made += 1;
        }
        assert_eq!((made, budget.left(at(1), window, 60, For::Details)), (45, 15));
        (0..15).for_each(|_| budget.spend(at(1), For::Details));
        assert_eq!(budget.left(at(14), window, 60, For::Details), 0);
        assert_eq!(budget.free_at(window, For::Looks), Some(at(15)));
        assert_eq!(budget.left(at(15), window, 60, For::Looks), 45);
        assert_eq!(budget.left(at(15), window, 60, For::Details), 45, "fifteen of the last second still count");
    }
}
