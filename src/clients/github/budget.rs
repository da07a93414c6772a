//! What one identity may still ask of GitHub. It counts nothing itself: each answer says what is left.
//!
//! Who asks less is never refused: what can wait is slowed from half of the budget on, so that it lasts until GitHub fills
//! it up again, and of a token's or an App's a fifth is kept for writing, which says how deployments ended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

use super::error::GitHubError;

/// Of this part of the budget, what remains is kept for writing.
const KEPT: u32 = 5;
/// From this part of the budget on, what can wait is slowed.
const SLOWED: u32 = 2;
/// What would have to wait longer than this is better told so.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// GitHub fills a budget up every hour: who says that it takes longer is wrong.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Two answers of one hour name its end alike, but for what our two clocks differ from answer to answer.
const ALIKE: SignedDuration = SignedDuration::from_secs(60);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spend {
    /// It looks again at what is mostly unchanged.
    Poll,
    /// It reads what a deployment is made of.
    Read,
    /// It says how a deployment goes, or gets the token that this takes.
    Write,
}

/// The budget of one identity: a token, an App's installation, an App itself, or nobody.
#[derive(Debug)]
pub(super) struct Budget {
    /// Whether anything is ever written with it.
    writes: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Asking before this time would be held against us.
    limited_until: Option<Timestamp>,
    left: Option<Left>,
    /// When the next poll comes, while they are slowed.
    next_poll: Option<Timestamp>,
}

/// What GitHub said last.
#[derive(Clone, Copy, Debug)]
struct Left {
    limit: u32,
    remaining: u32,
    resets: Timestamp,
    /// Whether that is as it was said.
    is_sure: bool,
}

/// When a budget is filled up, by our clock.
pub(super) struct Reset {
    pub(super) at: Timestamp,
    /// Whether that is as it was said: an hour away is the latest that is believed.
    is_sure: bool,
}

/// Reads what GitHub says, whose clock is so far ahead of ours.
pub(super) fn reset(second: i64, now: Timestamp, ahead: SignedDuration) -> Option<Reset> {
    let said = Timestamp::from_second(second).ok()?.checked_sub(ahead).ok()?;
    let latest = now.checked_add(WINDOW).ok()?;
    Some(Reset { at: said.min(latest), is_sure: said <= latest.checked_add(ALIKE).ok()? })
}

impl Budget {
    /// One of which a part is kept for writing, if anything is written with it.
    pub(super) fn new(writes: bool) -> Self {
        Self { writes, state: Mutex::default() }
    }

    /// When this may be asked: at once, or a little later.
    pub(super) fn admit(&self, spend: Spend, now: Timestamp) -> Result<Timestamp, GitHubError> {
        let mut state = self.state();
        if let Some(until) = state.limited_until.filter(|until| now < *until) {
            return Err(GitHubError::RateLimited { until });
        }
        let Some(Left { limit, remaining, resets, .. }) = state.left.filter(|left| now < left.resets) else {
            return Ok(now);
        };
        let kept = if self.writes { limit / KEPT } else { 0 };
        match spend {
            Spend::Write => Ok(now),
            Spend::Read | Spend::Poll if remaining <= kept => Err(GitHubError::RateLimited { until: resets }),
            Spend::Poll if remaining < limit / SLOWED => {
                let at = state.next_poll.unwrap_or(now).max(now).min(resets);
                if at.duration_since(now) > LONGEST_WAIT {
                    return Err(GitHubError::RateLimited { until: at });
                }
                let between = resets.duration_since(now) / i32::try_from(remaining - kept).unwrap_or(i32::MAX);
                state.next_poll = at.checked_add(between).ok();
                Ok(at)
            }
            Spend::Read | Spend::Poll => Ok(now),
        }
    }

    /// Before when no message should be sent, where GitHub would refuse it. Of what is kept for writing, a part is left to
    /// messages of what is over.
    pub(super) fn held_until(&self, is_end: bool, now: Timestamp) -> Option<Timestamp> {
        let state = self.state();
        let is_spent = |left: &Left| {
            let kept = if is_end { 0 } else { left.limit / KEPT / KEPT };
            now < left.resets && left.remaining <= kept
        };
        let spent = state.left.filter(is_spent).map(|left| left.resets);
        state.limited_until.filter(|until| now < *until).max(spent)
    }

    /// What is left, in words, where GitHub has said it and it still holds.
    pub(super) fn left(&self, now: Timestamp) -> Option<String> {
        let Left { limit, remaining, resets, .. } = self.state().left.filter(|left| now < left.resets)?;
        Some(format!("{remaining} of {limit} requests are left until {resets}"))
    }

    /// Keeps what an answer says is left. Of answers that overtake each other the lowest is right.
    pub(super) fn hear(&self, headers: &HeaderMap, now: Timestamp, ahead: SignedDuration) {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let number = |name: &str| text(name).and_then(|it| it.trim().parse::<u32>().ok());
        if text("x-ratelimit-resource").is_some_and(|it| it != "core") {
            return;
        }
        let reset = text("x-ratelimit-reset").and_then(|it| reset(it.trim().parse().ok()?, now, ahead));
        let heard = (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), reset);
        let (Some(limit), Some(mut remaining), Some(Reset { at: mut resets, is_sure })) = heard else { return };
        let mut state = self.state();
        if let Some(before) = state.left {
            let later = resets.duration_since(before.resets);
            if later.abs() <= ALIKE {
                // What comes again and again must not put the end off again and again.
                (remaining, resets) = (remaining.min(before.remaining), resets.min(before.resets));
            } else if later.is_negative() && before.is_sure {
                return;
            }
        }
        state.left = Some(Left { limit, remaining, resets, is_sure });
    }

    /// Keeps until when GitHub wants to hear nothing more.
    pub(super) fn remember(&self, error: &GitHubError) {
        if let GitHubError::RateLimited { until } = error {
            self.state().limited_until = Some(*until);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn hearing(budget: &Budget, remaining: u32, resets: i64, now: i64) {
        let told = [("limit", "5000".to_owned()), ("remaining", remaining.to_string()), ("reset", resets.to_string())];
        let header = |(name, value): &(&str, String)| {
            (format!("x-ratelimit-{name}").parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
        };
        budget.hear(&told.iter().map(header).collect(), second(now), SignedDuration::ZERO);
    }

    #[test]
    fn when_it_is_filled_up_is_told_by_our_clock_and_within_the_hour() {
        let at = |said, ahead| reset(said, second(1_000), SignedDuration::from_secs(ahead)).map(|it| it.at.as_second());
        assert_eq!((at(2_000, 0), at(2_000, 600), at(2_000, -600)), (Some(2_000), Some(1_400), Some(2_600)));
        assert_eq!((at(1_000_000, 0), at(i64::MAX, 0)), (Some(4_600), None));
        let (budget, limited) = (Budget::new(true), |until| Err(GitHubError::RateLimited { until: second(until) }));
        hearing(&budget, 0, 1_000_000, 0);
        assert_eq!(
            budget.admit(Spend::Read, second(1)),
            limited(3_600),
            "a wrong time silences us for an hour at most"
        );
        hearing(&budget, 0, 1_800, 0);
        assert_eq!(budget.admit(Spend::Read, second(1)), limited(1_800), "a right one goes before it");
    }

    #[test]
    fn what_can_wait_is_slowed_first_and_a_fifth_is_kept_for_writing() {
        let (budget, now) = (Budget::new(true), second(0));
        let at = |spend| budget.admit(spend, now).map(|at| at.as_second());
        let limited = |until| Err(GitHubError::RateLimited { until: second(until) });
        hearing(&budget, 2_500, 3_600, 0);
        assert!((0..50).all(|_| at(Spend::Poll) == Ok(0)), "half of it is plenty");
        hearing(&budget, 2_400, 3_600, 0);
        assert_eq!([at(Spend::Poll), at(Spend::Poll), at(Spend::Poll)], [Ok(0), Ok(2), Ok(5)]);
        assert_eq!((at(Spend::Read), at(Spend::Write)), (Ok(0), Ok(0)));
        hearing(&budget, 1_001, 3_600, 0);
        assert_eq!(at(Spend::Poll), Ok(7));
        assert_eq!((at(Spend::Poll), at(Spend::Read)), (limited(3_600), Ok(0)));
        hearing(&budget, 1_000, 3_600, 0);
        hearing(&budget, 1_200, 3_600, 0);
        assert_eq!((at(Spend::Poll), at(Spend::Read), at(Spend::Write)), (limited(3_600), limited(3_600), Ok(0)));
        hearing(&budget, 5_000, 7_200, 3_600);
        assert_eq!((at(Spend::Poll), at(Spend::Read)), (Ok(0), Ok(0)), "the next hour has a budget of its own");
        hearing(&budget, 0, 3_600, 0);
        assert_eq!(at(Spend::Read), Ok(0), "an answer of the hour before that came late");
    }

    #[test]
    fn messages_mind_what_remains_and_ends_go_last_without_it() {
        let (budget, now) = (Budget::new(true), second(0));
        let held = |now| [false, true].map(|is_end| budget.held_until(is_end, now).map(Timestamp::as_second));
        assert_eq!(held(now), [None, None], "nothing is known yet");
        hearing(&budget, 201, 3_600, 0);
        assert_eq!(held(now), [None, None]);
        hearing(&budget, 200, 3_600, 0);
        assert_eq!(held(now), [Some(3_600), None]);
        hearing(&budget, 0, 3_600, 0);
        assert_eq!(held(now), [Some(3_600), Some(3_600)]);
        budget.remember(&GitHubError::RateLimited { until: second(4_000) });
        assert_eq!(held(now), [Some(4_000), Some(4_000)]);
        assert_eq!(held(second(4_000)), [None, None]);
    }

    #[test]
    fn nobody_writes_and_keeps_nothing() {
        let (budget, now) = (Budget::new(false), second(0));
        hearing(&budget, 1, 3_600, 0);
        assert_eq!(budget.admit(Spend::Read, now), Ok(now));
        hearing(&budget, 0, 3_600, 0);
        assert!(budget.admit(Spend::Read, now).is_err());
        assert_eq!(budget.admit(Spend::Read, second(3_600)), Ok(second(3_600)));
    }
}
