//! Hints: what lets the poller look at a run at once instead of after its tick. A hint is never believed; the look it
//! brings is the same call as any other.
//!
//! Why so sparing: whoever may publish to a topic could otherwise spend the few calls that CodeDeploy grants an account.
//! So a run is looked at for a hint's sake every 5 s at most, an account every second at most (one call serves 25 runs),
//! and not at all while CodeDeploy throttles: a hint that is dropped costs a tick.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::account::{Account, lock};
use super::watched::Watched;
use crate::domain::{Hint, RunId};

/// Between two looks at one run for hints.
const OF_ONE_RUN: SignedDuration = SignedDuration::from_secs(5);
/// Between two looks of one account for hints.
const OF_ONE_ACCOUNT: SignedDuration = SignedDuration::from_secs(1);

/// The looks that hints ask for, and when the last ones were. Holds nothing of runs that nobody watches.
#[derive(Default)]
pub(super) struct Hints {
    wanted: BTreeMap<RunId, Timestamp>,
    granted: BTreeMap<RunId, Timestamp>,
    last: Option<Timestamp>,
}

impl Hints {
    /// Asks for a look at a run: at once, or as soon as one is due to it.
    fn want(&mut self, run: RunId, now: Timestamp) {
        let of_run = self.granted.get(&run).map(|at| after(*at, OF_ONE_RUN));
        let of_account = self.last.map(|at| after(at, OF_ONE_ACCOUNT));
        let at = of_run.into_iter().chain(of_account).chain([now]).max().unwrap_or(now);
        // The first hint of several decides, so that no stream of them puts the look off.
        self.wanted.entry(run).or_insert(at);
    }

    /// The runs to look at now. Those that are due within the same second come along.
    fn grant(&mut self, now: Timestamp) -> Vec<RunId> {
        self.granted.retain(|_, at| after(*at, OF_ONE_RUN) > now);
        let granted: Vec<RunId> =
            self.wanted.iter().filter(|(_, at)| **at <= now).map(|(run, _)| run.clone()).collect();
        for run in &granted {
            self.wanted.remove(run);
            self.granted.insert(run.clone(), now);
            self.last = Some(now);
        }
        granted
    }
}

fn after(at: Timestamp, rest: SignedDuration) -> Timestamp {
    at.saturating_add(rest).unwrap_or(at)
}

impl Account {
    /// Takes a hint; how many runs it moves.
    pub(super) fn hint(&self, hint: &Hint) -> usize {
        let watched = lock(&self.watched);
        let runs = watched.meant_by(hint);
        if runs.is_empty() || watched.is_slowed() {
            return 0;
        }
        let (now, moved) = (self.clock.now(), runs.len());
        let mut hints = lock(&self.hints);
        runs.into_iter().for_each(|run| hints.want(run, now));
        self.nudge.notify_one();
        moved
    }

    /// Lets the runs be due that hints ask for.
    pub(super) fn take_hints(&self, watched: &mut Watched, now: Timestamp) {
        lock(&self.hints).grant(now).iter().for_each(|run| watched.wake(run, now));
    }

    /// When the next look is due: at `at`, or when a hint asks for one before that.
    pub(super) fn or_the_next_hint(&self, at: Timestamp) -> Timestamp {
        lock(&self.hints).wanted.values().copied().chain([at]).min().unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_looked_at_every_five_seconds_at_most_and_an_account_every_second() {
        let at =
            |millis: i64| "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(millis);
        let run = |number: u32| RunId::parse(format!("d-{number}")).unwrap();
        let mut hints = Hints::default();
        let mut looks = vec![];
        // Two runs, of which each has a hint every 100 ms for twelve seconds.
        for millis in (0..12_000).step_by(100) {
            for number in [1, 2] {
                hints.want(run(number), at(millis));
                looks.extend(hints.grant(at(millis)).into_iter().map(|run| (run.to_string(), millis)));
            }
        }
        let of = |name: &str| looks.iter().filter(|(run, _)| run == name).map(|(_, at)| *at).collect::<Vec<_>>();
        assert_eq!(of("d-1"), [0, 5000, 10_000]);
        assert_eq!(of("d-2"), [1000, 6000, 11_000]);
        assert!(hints.granted.len() <= 2 && hints.wanted.len() <= 2);
    }
}
