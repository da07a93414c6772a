//! When a place in chat is told something new: not in its quiet hours, and not one by one where there is too much. What is
//! held back is told later, together. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::freeze::{Window, quiet_until};
use super::news::News;

/// New messages an hour above which they are told together, unless the configuration says so.
pub const DIGEST_ABOVE: u32 = 30;
/// How long is gathered for one digest.
const GATHERED: SignedDuration = SignedDuration::from_mins(15);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What a place wants to be spared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// When nothing is told that can wait.
    pub quiet: Vec<Window>,
    /// What cannot wait.
    pub urgent: BTreeSet<News>,
    /// How many new messages an hour stand alone; of what cannot wait, twice as many. Nothing means that all do.
    pub digest_above: Option<u32>,
}

impl Manners {
    /// Before when something new is not told; nothing where it is told at once. `posts`: when new messages were told, the
    /// oldest first.
    pub fn held_until(&self, news: News, posts: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        let is_urgent = self.urgent.contains(&news);
        let quiet = quiet_until(&self.quiet, now).filter(|_| !is_urgent);
        quiet.into_iter().chain(self.full_until(is_urgent, posts, now)).max()
    }

    fn full_until(&self, is_urgent: bool, posts: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
        let above = self.digest_above? as usize;
        let above = if is_urgent { above.saturating_mul(2) } else { above };
        let of_this_hour = posts.iter().filter(|it| **it <= now && now.duration_since(**it) < HOUR);
        if of_this_hour.count() < above.max(1) {
            return None;
        }
        let gathered = posts.iter().rfind(|it| **it <= now)?.checked_add(GATHERED).ok()?;
        (gathered > now).then_some(gathered)
    }

    /// Until when something that happened then may be held back, where nothing keeps it from being told.
    pub fn spared_until(&self, then: Timestamp) -> Timestamp {
        let told = quiet_until(&self.quiet, then).unwrap_or(then);
        told.saturating_add(GATHERED).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::{Cron, WindowKind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn manners(above: u32) -> Manners {
        Manners { digest_above: Some(above), urgent: [News::Failed].into(), quiet: vec![] }
    }

    #[test]
    fn above_so_many_an_hour_what_is_new_is_gathered_for_a_quarter_of_one() {
        let posts: Vec<Timestamp> = (0..3).map(|it| at(it * 60)).collect();
        let held = |above, news, now| manners(above).held_until(news, &posts, at(now));
        assert_eq!(held(4, News::Started, 121), None);
        assert_eq!(held(3, News::Started, 121), Some(at(120 + 900)));
        assert_eq!(held(3, News::Started, 120 + 900), None, "then it is told, with what came meanwhile");
        assert_eq!(held(3, News::Failed, 121), None, "what cannot wait may be twice as much");
        assert_eq!(held(1, News::Failed, 121), Some(at(120 + 900)), "and no more");
        assert_eq!(held(3, News::Started, 3601), None, "an hour later there is room");
        assert_eq!(Manners::default().held_until(News::Started, &posts, at(121)), None);
    }

    #[test]
    fn in_quiet_hours_only_what_cannot_wait_is_told() {
        let window = |cron: &str, hours| Window {
            kind: WindowKind::Deny,
            opens: Cron::parse(cron).unwrap(),
            long: SignedDuration::from_hours(hours),
            zone: TimeZone::UTC,
            reason: None,
        };
        let night = Manners { quiet: vec![window("0 20 * * *", 10)], ..manners(30) };
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        let held = |news, now| night.held_until(news, &[], moment(now));
        assert_eq!(held(News::Succeeded, "2026-11-21T19:59:59Z"), None);
        assert_eq!(held(News::Succeeded, "2026-11-21T20:00:00Z"), Some(moment("2026-11-22T06:00:00Z")));
        assert_eq!(held(News::Failed, "2026-11-21T23:00:00Z"), None);
        let joined = Manners { quiet: vec![window("0 20 * * *", 10), window("0 5 * * *", 3)], ..manners(30) };
        let until = joined.held_until(News::Held, &[], moment("2026-11-21T23:00:00Z"));
        assert_eq!(until, Some(moment("2026-11-22T08:00:00Z")), "two that meet are one");
        let spared = |then| joined.spared_until(moment(then));
        assert_eq!(spared("2026-11-21T20:05:00Z"), moment("2026-11-22T08:15:00Z"), "for longer than each of both");
        assert_eq!(spared("2026-11-22T12:00:00Z"), moment("2026-11-22T12:15:00Z"));
    }
}
