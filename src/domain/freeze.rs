//! Freeze windows: times in which nothing is released (`deny`), or outside of which nothing is (`allow`). They are those of
//! the configuration as it is now, whenever a deployment was planned. Pure: time zones are handed in.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::cron::{Cron, ends, starts};
use super::ids::TargetName;
use super::progress::{Hold, HoldKind};

/// How many windows in a row are looked at for the end of a freeze: more than a year of days.
const LOOKED_AT: usize = 1000;
/// A freeze of more than this has no end that anybody waits for.
const FOR_EVER: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a window does while it is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowKind {
    /// Nothing is released in it.
    #[default]
    Deny,
    /// Nothing is released outside of it and its like.
    Allow,
}

/// A window that opens again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What it does.
    pub kind: WindowKind,
    /// When it opens, by the clock of its zone.
    pub opens: Cron,
    /// How long it stays open, by the same clock: Friday 17:00 and 60 hours are Monday 05:00 also where clocks are set
    /// back or forward meanwhile.
    pub long: SignedDuration,
    /// Whose clock.
    pub zone: TimeZone,
    /// Why, for whoever waits.
    pub reason: Option<String>,
}

impl Window {
    /// When it closes, where it is open.
    fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let opened = self.opens.last(now, self.long, &self.zone)?;
        let closes = ends(opened.checked_add(self.long).ok()?, &self.zone)?;
        (now < closes).then_some(closes)
    }

    /// When it opens next.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.opens.next(after, &self.zone).and_then(|it| starts(it, &self.zone))
    }

    /// Whether it ever opens, as seen from a moment.
    pub fn ever_opens(&self, from: Timestamp) -> bool {
        self.long > SignedDuration::ZERO && self.next(from).is_some()
    }

    fn tell(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %F %H:%M %Z").to_string()
    }
}

/// The windows of each target, with those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar(pub BTreeMap<TargetName, Vec<Window>>);

/// A freeze that is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// When it begins.
    pub at: Timestamp,
    /// In words, with its end and its reason.
    pub told: String,
}

impl Calendar {
    fn of(&self, target: &TargetName) -> &[Window] {
        self.0.get(target).map_or(&[], Vec::as_slice)
    }

    /// What keeps every release to a target waiting now, with when that ends in the window's own time zone.
    pub fn frozen(&self, target: &TargetName, now: Timestamp) -> Option<Hold> {
        let windows = self.of(target);
        let (window, why) = closed_by(windows, now)?;
        let until = free_from(windows, now);
        let when = until.map_or("without an end".to_owned(), |at| format!("until {}", window.tell(at)));
        Some(Hold { kind: HoldKind::Freeze, reason: format!("frozen {when}: {why}"), until })
    }

    /// The next freeze of a target that is free now.
    pub fn coming(&self, target: &TargetName, now: Timestamp) -> Option<Coming> {
        let windows = self.of(target);
        if closed_by(windows, now).is_some() {
            return None;
        }
        let at = closes_at(windows, now)?;
        let (window, why) = closed_by(windows, at)?;
        let end = free_from(windows, at).map(|at| format!(" until {}", window.tell(at))).unwrap_or_default();
        Some(Coming { at, told: format!("frozen from {}{end}: {why}", window.tell(at)) })
    }

    /// Whether a target is frozen and stays so.
    pub fn is_always_frozen(&self, target: &TargetName, now: Timestamp) -> bool {
        let windows = self.of(target);
        closed_by(windows, now).is_some() && free_from(windows, now).is_none()
    }
}

/// The end of the time that windows keep quiet, where they do now. One that follows at once belongs to it.
pub(super) fn quiet_until(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    closed_by(windows, now).map(|_| free_from(windows, now).unwrap_or(Timestamp::MAX))
}

fn of_kind(windows: &[Window], kind: WindowKind) -> impl Iterator<Item = &Window> {
    windows.iter().filter(move |it| it.kind == kind)
}

/// What freezes at a moment: a window that denies, or that none is open of those that allow.
fn closed_by(windows: &[Window], now: Timestamp) -> Option<(&Window, String)> {
    let is_open = |it: &&Window| it.open_until(now).is_some();
    if let Some(deny) = of_kind(windows, WindowKind::Deny).find(is_open) {
        return Some((deny, deny.reason.clone().unwrap_or_else(|| "a freeze window is open".into())));
    }
    let first = of_kind(windows, WindowKind::Allow).next()?;
    if of_kind(windows, WindowKind::Allow).any(|it| is_open(&it)) {
        return None;
    }
    let reason = of_kind(windows, WindowKind::Allow).find_map(|it| it.reason.clone());
    Some((first, reason.unwrap_or_else(|| "outside of the windows that allow releases".into())))
}

/// The first moment from now on at which nothing freezes; nothing where that is farther away than anybody waits.
fn free_from(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    let mut at = now;
    for _ in 0..LOOKED_AT {
        if at.duration_since(now) > FOR_EVER {
            return None;
        }
        let denied = of_kind(windows, WindowKind::Deny).filter_map(|it| it.open_until(at)).max();
        at = match denied {
            Some(closes) => closes,
            None if closed_by(windows, at).is_none() => return Some(at),
            None => of_kind(windows, WindowKind::Allow).filter_map(|it| it.next(at)).min()?,
        };
    }
    None
}

/// When something freezes next, where nothing does now.
fn closes_at(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    let denies = of_kind(windows, WindowKind::Deny).filter_map(|it| it.next(now)).min();
    let mut at = now;
    let mut allows = None;
    for _ in 0..LOOKED_AT {
        let Some(closes) = of_kind(windows, WindowKind::Allow).filter_map(|it| it.open_until(at)).max() else { break };
        (at, allows) = (closes, Some(closes));
    }
    [denies, allows].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kind: WindowKind, cron: &str, hours: i64, reason: Option<&str>) -> Window {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let (opens, long) = (Cron::parse(cron).unwrap(), SignedDuration::from_hours(hours));
        Window { kind, opens, long, zone, reason: reason.map(str::to_owned) }
    }

    fn calendar(windows: Vec<Window>) -> (Calendar, TargetName) {
        let name = TargetName::parse("shop").unwrap();
        (Calendar(BTreeMap::from([(name.clone(), windows)])), name)
    }

    /// What holds at each moment, and what comes.
    fn check(windows: Vec<Window>, moments: &[(&str, &str)]) {
        let (calendar, name) = calendar(windows);
        for (moment, expected) in moments {
            let now = moment.parse().unwrap();
            let frozen = calendar.frozen(&name, now).map(|it| it.reason);
            let coming = || calendar.coming(&name, now).map_or("free".to_owned(), |it| it.told);
            assert_eq!(frozen.unwrap_or_else(coming), *expected, "{moment}");
        }
    }

    #[test]
    fn a_window_that_denies_freezes_by_its_own_clock() {
        let weekend = window(WindowKind::Deny, "0 17 * * 5", 60, Some("the weekend"));
        check(
            vec![weekend],
            &[
                (
                    "2026-11-27T15:59:59Z",
                    "frozen from Fri 2026-11-27 17:00 CET until Mon 2026-11-30 05:00 CET: the weekend",
                ),
                ("2026-11-27T16:00:00Z", "frozen until Mon 2026-11-30 05:00 CET: the weekend"),
                ("2026-11-30T03:59:59Z", "frozen until Mon 2026-11-30 05:00 CET: the weekend"),
                (
                    "2026-11-30T04:00:00Z",
                    "frozen from Fri 2026-12-04 17:00 CET until Mon 2026-12-07 05:00 CET: the weekend",
                ),
                // Clocks are set back on the 25th of October and forward on the 29th of March: Monday 05:00 all the same.
                ("2026-10-24T12:00:00Z", "frozen until Mon 2026-10-26 05:00 CET: the weekend"),
                ("2026-03-28T12:00:00Z", "frozen until Mon 2026-03-30 05:00 CEST: the weekend"),
            ],
        );
    }

    #[test]
    fn outside_of_windows_that_allow_all_is_frozen() {
        let hours = window(WindowKind::Allow, "0 9 * * mon-thu", 7, Some("only in office hours"));
        check(
            vec![hours.clone()],
            &[
                ("2026-11-22T12:00:00Z", "frozen until Mon 2026-11-23 09:00 CET: only in office hours"),
                (
                    "2026-11-23T08:00:00Z",
                    "frozen from Mon 2026-11-23 16:00 CET until Tue 2026-11-24 09:00 CET: only in office hours",
                ),
                ("2026-11-26T15:00:00Z", "frozen until Mon 2026-11-30 09:00 CET: only in office hours"),
            ],
        );
        // What denies goes before what allows, and where one begins as the other ends, both are one wait.
        let monday = window(WindowKind::Deny, "0 8 23 11 *", 4, None);
        check(
            vec![hours, monday],
            &[
                ("2026-11-22T12:00:00Z", "frozen until Mon 2026-11-23 12:00 CET: only in office hours"),
                ("2026-11-23T08:30:00Z", "frozen until Mon 2026-11-23 12:00 CET: a freeze window is open"),
                (
                    "2026-11-23T11:00:00Z",
                    "frozen from Mon 2026-11-23 16:00 CET until Tue 2026-11-24 09:00 CET: only in office hours",
                ),
            ],
        );
    }

    #[test]
    fn a_target_that_is_never_free_and_a_window_that_never_opens_are_known() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let always = window(WindowKind::Deny, "0 * * * *", 1, None);
        let (calendar, name) = calendar(vec![always.clone()]);
        assert!(calendar.is_always_frozen(&name, now));
        assert!(calendar.frozen(&name, now).unwrap().reason.starts_with("frozen without an end"));
        assert!(always.ever_opens(now));
        let never = window(WindowKind::Allow, "0 0 31 2 *", 1, None);
        assert!(!never.ever_opens(now));
        assert!(super::tests::calendar(vec![never]).0.is_always_frozen(&name, now));
        assert!(!Calendar::default().is_always_frozen(&name, now));
    }
}
