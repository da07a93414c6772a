//! The way to the other side in one name, which all sinks that speak in it share: how fast it is written to, how much in a
//! minute and in an hour, and whether it is down. Decides from what it is told alone.
//!
//! Why there is one for each name: GitHub counts for each token and each installation of an App by itself, and what one
//! of them may not say has nothing to do with the others.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::pace::{self, Pace};
use super::unsaid::Unsaid;
use crate::clients::github;
use crate::domain::Failure;

/// In whose name a sink speaks: GitHub counts for each of its own, and who tells chat has one way for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Voice {
    /// GitHub's.
    AtGitHub(github::Voice),
    /// A place in chat.
    InChat(String),
}

impl fmt::Display for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtGitHub(github::Voice::Usual) => f.write_str("github"),
            Self::AtGitHub(github::Voice::App { owner, .. }) => write!(f, "github/{owner}"),
            Self::InChat(name) => f.write_str(name),
        }
    }
}

/// Of each budget, a fifth is kept for what is over: what goes on waits until there is more.
const KEPT_FOR_ENDS: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What is known of the way.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// When it was written to in the last hour, whatever came of it.
    writes: VecDeque<Timestamp>,
    /// It would fail like the last one sooner than this.
    down_until: Option<Timestamp>,
    /// When something new was told in the last hour, since the program started.
    posts: VecDeque<Timestamp>,
    /// How often in a row it failed.
    stumbles: u32,
    down: Option<Down>,
}

/// That the other side takes no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Down {
    pub(super) since: Timestamp,
    /// Why, as it was last found.
    pub(super) failure: Failure,
}

impl Way {
    /// The way on which this was written before the program started.
    pub(super) fn after(mut writes: Vec<Timestamp>) -> Self {
        writes.sort_unstable();
        Self { writes: writes.into(), ..Self::default() }
    }

    /// When it may be written to next: of what is over, or of what goes on.
    /// What was written by a clock that was ahead counts for nothing.
    pub(super) fn free_at(&self, is_end: bool, pace: &Pace, now: Timestamp) -> Option<Timestamp> {
        let past = self.writes.partition_point(|it| *it <= now);
        let last = self.writes.range(..past).next_back().map(|last| pace::after(*last, pace.between));
        let windows = [(pace.per_minute, MINUTE), (pace.per_hour, HOUR)];
        let budgets = windows.into_iter().filter_map(|(allowed, window)| {
            let allowed = if is_end { allowed } else { allowed - allowed / KEPT_FOR_ENDS };
            let first_of_full = past.checked_sub(allowed.max(1) as usize)?;
            Some(pace::after(*self.writes.get(first_of_full)?, window))
        });
        budgets.chain(last).chain(self.down_until).max()
    }

    /// It is written to now.
    pub(super) fn write(&mut self, now: Timestamp) {
        forget_before_an_hour(&mut self.writes, now);
        self.writes.push_back(now);
    }

    /// Something new was told, and not in the place of something else.
    pub(super) fn posted(&mut self, now: Timestamp) {
        forget_before_an_hour(&mut self.posts, now);
        self.posts.push_back(now);
    }

    /// When something new was told, the oldest first.
    pub(super) fn posts(&self) -> Vec<Timestamp> {
        self.posts.iter().copied().collect()
    }

    /// Its other side took a message. Gives how it was down before.
    pub(super) fn is_up(&mut self) -> Option<Down> {
        (self.stumbles, self.down_until) = (0, None);
        self.down.take()
    }

    /// Its other side took none, and would take no other. Gives how often in a row that was.
    /// One that says when it takes more is busy, and not down before it says so again.
    pub(super) fn stumble(&mut self, unsaid: &Unsaid, now: Timestamp) -> u32 {
        self.stumbles += 1;
        if self.down.is_some() || unsaid.until.is_none() || self.stumbles > 1 {
            let since = self.down.as_ref().map_or(now, |it| it.since);
            self.down = Some(Down { since, failure: unsaid.failure.clone() });
        }
        self.stumbles
    }

    /// It was down when the program last ended.
    pub(super) fn was(&mut self, down: Down) {
        self.down = Some(down);
    }

    /// Whether and why it takes no message.
    pub(super) fn down(&self) -> Option<&Down> {
        self.down.as_ref()
    }

    /// It would be the same sooner than this.
    pub(super) fn down_until(&mut self, at: Timestamp) {
        self.down_until = Some(at);
    }

    /// Whether the last message went through.
    pub(super) fn seems_up(&self) -> bool {
        self.stumbles == 0
    }
}

/// Leaves what was in the last hour. What was by a clock that was ahead counts for nothing.
fn forget_before_an_hour(times: &mut VecDeque<Timestamp>, now: Timestamp) {
    let an_hour_ago = SignedDuration::try_from(HOUR).ok().and_then(|hour| now.checked_sub(hour).ok());
    while times.front().is_some_and(|first| an_hour_ago.is_some_and(|before| *first <= before)) {
        times.pop_front();
    }
    times.truncate(times.partition_point(|it| *it <= now));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Writes as early as it may, and gives when: ends alone, or what goes on alone.
    fn writes(way: &mut Way, is_end: bool, count: usize, pace: &Pace) -> Vec<i64> {
        let mut now = second(0);
        let mut write = || {
            now = way.free_at(is_end, pace, now).map_or(now, |free| free.max(now));
            way.write(now);
            now.as_second()
        };
        (0..count).map(|_| write()).collect()
    }

    #[test]
    fn a_minute_holds_eighty_and_an_hour_five_hundred() {
        let quick = Pace { between: Duration::from_millis(100), ..Pace::default() };
        let at = writes(&mut Way::default(), true, 1001, &quick);
        let most = |window: i64| {
            let within = |from: &i64| at.iter().filter(|it| (*from..from + window).contains(*it)).count();
            at.iter().map(within).max().unwrap()
        };
        assert_eq!((most(60), most(3600)), (80, 500));
        assert_eq!(at[500], 3600, "the hour is over, and it goes on at once");
    }

    #[test]
    fn a_fifth_is_kept_for_what_is_over() {
        let (pace, mut way) = (Pace::default(), Way::default());
        assert_eq!(writes(&mut way, false, 65, &pace)[63..], [63, 64], "a second apart is slow enough for a minute");
        let mut way = Way::after((0..400).map(second).collect());
        assert_eq!(way.free_at(false, &pace, second(399)), Some(second(3600)));
        assert_eq!(way.free_at(true, &pace, second(399)), Some(second(400)));
        way.write(second(3700));
        assert_eq!(way.free_at(false, &pace, second(3700)), Some(second(3701)), "what was an hour ago is forgotten");
    }

    #[test]
    fn what_is_down_is_down_for_ends_too() {
        let (pace, mut way) = (Pace::default(), Way::default());
        let gone = unsaid(None);
        assert_eq!((way.stumble(&gone, second(0)), way.stumble(&gone, second(1)), way.seems_up()), (1, 2, false));
        way.down_until(second(30));
        assert_eq!(way.free_at(true, &pace, second(0)), Some(second(30)));
        assert_eq!(way.is_up().map(|it| it.since), Some(second(0)));
        assert_eq!((way.free_at(true, &pace, second(0)), way.seems_up()), (None, true));
    }

    #[test]
    fn who_is_busy_once_is_not_down_and_who_is_again_and_again_is() {
        let (mut way, busy) = (Way::default(), unsaid(Some(second(30))));
        way.stumble(&busy, second(0));
        assert_eq!(way.down(), None);
        assert_eq!(way.is_up(), None);
        way.stumble(&busy, second(10));
        way.stumble(&busy, second(40));
        assert_eq!(way.down().map(|it| it.since), Some(second(40)));
    }

    fn unsaid(until: Option<Timestamp>) -> Unsaid {
        let failure = Failure::passing("chat/down", "gone");
        Unsaid { failure, until, for_all: true, may_be_taken: false, is_denied: false }
    }

    #[test]
    fn a_clock_that_was_ahead_and_is_set_back_stops_nobody_and_the_limits_hold_on() {
        let pace = Pace::default();
        let mut way = Way::after((0..500).map(|it| second(1_000_000_000 + it)).collect());
        assert_eq!(way.free_at(true, &pace, second(0)), None, "what is to come was never written");
        way.write(second(0));
        assert_eq!(way.free_at(true, &pace, second(0)), Some(second(1)));
        assert_eq!(way.writes, [second(0)]);
    }
}
