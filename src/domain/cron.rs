//! Times that come back, as crontab writes them: `0 17 * * 5`. Five fields, read by the wall clock of one time zone. Pure.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, tz};

/// How far a time that comes back is looked for: the 29th of February of a leap year comes within eight years.
const HORIZON_DAYS: i32 = 8 * 366;
/// A clock that is set back shows up to so much twice.
const SET_BACK: SignedDuration = SignedDuration::from_hours(3);

/// Minutes, hours, days of the month, months and days of the week, a bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day has to be one of both, and not of either.
    both: bool,
}

/// One field: its name, its numbers, and the names that some of them have.
struct Field {
    name: &'static str,
    from: u8,
    to: u8,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: [Field; 5] = [
    Field { name: "minute", from: 0, to: 59, words: &[] },
    Field { name: "hour", from: 0, to: 23, words: &[] },
    Field { name: "day of the month", from: 1, to: 31, words: &[] },
    Field { name: "month", from: 1, to: 12, words: &MONTHS },
    // Sunday is 0 and 7, as everywhere.
    Field { name: "day of the week", from: 0, to: 7, words: &WEEKDAYS },
];

impl Cron {
    /// Reads five fields, or says which one is none, what came and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let (found, expected) = (fields.len(), "minute, hour, day of the month, month, day of the week");
            return Err(format!("it has {found} fields, expected 5: {expected}"));
        };
        let [minutes, hours, days, months, weekdays] = [minute, hour, day, month, weekday];
        let read = |nth: usize, text| FIELDS[nth].read(text);
        let weekdays_read = read(4, weekdays)?;
        // Crontab's own rule: where both are restricted, one of them is enough.
        let both = days.starts_with('*') || weekdays.starts_with('*');
        Ok(Self {
            minutes: read(0, minutes)?,
            hours: read(1, hours)?,
            days: read(2, days)?,
            months: read(3, months)?,
            weekdays: weekdays_read | weekdays_read >> 7 & 1,
            both,
        })
    }

    fn is_day(&self, date: Date) -> bool {
        let has = |bits: u64, number: i8| bits >> number & 1 == 1;
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month()) && if self.both { day && weekday } else { day || weekday }
    }

    /// The first time of a day from a minute on.
    fn first_in(&self, date: Date, from: Time) -> Option<Time> {
        let start = i16::from(from.hour()) * 60 + i16::from(from.minute());
        self.is_day(date).then(|| (start..24 * 60).find_map(|it| self.time(it))).flatten()
    }

    /// The last time of a day up to a minute.
    fn last_in(&self, date: Date, to: Time) -> Option<Time> {
        let end = i16::from(to.hour()) * 60 + i16::from(to.minute());
        self.is_day(date).then(|| (0..=end).rev().find_map(|it| self.time(it))).flatten()
    }

    fn time(&self, minute_of_day: i16) -> Option<Time> {
        let (hour, minute) = ((minute_of_day / 60) as i8, (minute_of_day % 60) as i8);
        let is_it = self.hours >> hour & 1 == 1 && self.minutes >> minute & 1 == 1;
        is_it.then(|| Time::new(hour, minute, 0, 0).expect("a minute of a day is a time"))
    }

    /// The first one after a moment; nothing where none ever comes.
    pub fn next(&self, after: Timestamp, zone: &tz::TimeZone) -> Option<DateTime> {
        let from = (after - SET_BACK).to_zoned(zone.clone()).datetime();
        let (mut date, mut time) = (from.date(), from.time());
        for _ in 0..HORIZON_DAYS {
            while let Some(found) = self.first_in(date, time) {
                let at = date.to_datetime(found);
                if starts(at, zone).is_some_and(|it| it > after) {
                    return Some(at);
                }
                let Ok(later) = found.checked_add(SignedDuration::from_mins(1)) else { break };
                time = later;
            }
            (date, time) = (date.tomorrow().ok()?, Time::midnight());
        }
        None
    }

    /// The last one up to a moment, from so long before it on.
    pub fn last(&self, until: Timestamp, within: SignedDuration, zone: &tz::TimeZone) -> Option<DateTime> {
        let to = until.saturating_add(SET_BACK).unwrap_or(until).to_zoned(zone.clone()).datetime();
        let first = until.saturating_sub(within).ok()?.saturating_sub(SET_BACK).ok()?.to_zoned(zone.clone()).date();
        let (mut date, mut time) = (to.date(), to.time());
        while date >= first {
            while let Some(found) = self.last_in(date, time) {
                let at = date.to_datetime(found);
                if starts(at, zone).is_some_and(|it| it <= until) {
                    return Some(at);
                }
                let Ok(earlier) = found.checked_sub(SignedDuration::from_mins(1)) else { break };
                time = earlier;
            }
            (date, time) = (date.yesterday().ok()?, Time::constant(23, 59, 0, 0));
        }
        None
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, String> {
        let mut parts = text.split(',').map(|part| self.part(part).ok_or_else(|| self.unfit(text)));
        parts.try_fold(0, |bits, part| Ok(bits | part?))
    }

    /// `*`, `5`, `1-5`, `*/15`, `mon`, `8-18/2`.
    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|it| (1..=self.to).contains(it))?),
            None => (text, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.from, self.to),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            // A step from one number on goes to the end.
            None if step > 1 => (self.number(range)?, self.to),
            None => (self.number(range)?, self.number(range)?),
        };
        let all = (from..=to).step_by(step.into());
        (from <= to).then(|| all.fold(0, |bits, number| bits | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u8> {
        let by_name = self.words.iter().position(|word| word.eq_ignore_ascii_case(text));
        let number = match by_name {
            Some(at) => u8::try_from(at).ok()? + self.from,
            None => text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok())??,
        };
        (self.from..=self.to).contains(&number).then_some(number)
    }

    fn unfit(&self, text: &str) -> String {
        let names = self.words.first().zip(self.words.last());
        let names = names.map(|(first, last)| format!(" or `{first}` to `{last}`")).unwrap_or_default();
        let (name, from, to) = (self.name, self.from, self.to);
        format!("its {name} is `{text}`, expected {from} to {to}{names}, as in `*`, `1`, `1-5`, `1,3` or `*/15`")
    }
}

/// When a clock on the wall first shows this time: where it is set forward past it, the moment of that; where it shows it
/// twice, the first.
pub(super) fn starts(at: DateTime, zone: &tz::TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(at).offset() {
        tz::AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok(),
        tz::AmbiguousOffset::Gap { after, .. } => set_forward(at, after, zone),
        tz::AmbiguousOffset::Fold { before, .. } => before.to_timestamp(at).ok(),
    }
}

/// When it shows it for the last time.
pub(super) fn ends(at: DateTime, zone: &tz::TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(at).offset() {
        tz::AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok(),
        tz::AmbiguousOffset::Gap { after, .. } => set_forward(at, after, zone),
        tz::AmbiguousOffset::Fold { after, .. } => after.to_timestamp(at).ok(),
    }
}

fn set_forward(at: DateTime, after: tz::Offset, zone: &tz::TimeZone) -> Option<Timestamp> {
    // By the later offset such a time lies before the clock is set.
    let before = after.to_timestamp(at).ok()?;
    zone.following(before).next().map(|it| it.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> tz::TimeZone {
        tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The next three after a moment, and the last one up to it.
    fn check(cron: &str, moment: &str, next: &[&str], last: &str) {
        let (cron, zone, now) = (Cron::parse(cron).unwrap(), berlin(), at(moment));
        let mut after = now;
        let mut found = Vec::new();
        for _ in next {
            let it = cron.next(after, &zone).unwrap();
            after = starts(it, &zone).unwrap();
            found.push(it.to_string());
        }
        assert_eq!(found, next, "{cron:?} after {moment}");
        let before = cron.last(now, SignedDuration::from_hours(24 * 1100), &zone).unwrap();
        assert_eq!(before.to_string(), last, "{cron:?} before {moment}");
    }

    #[test]
    fn times_come_back_by_the_wall_clock() {
        let friday = ["2026-11-27T17:00:00", "2026-12-04T17:00:00", "2026-12-11T17:00:00"];
        check("0 17 * * 5", "2026-11-22T12:00:00Z", &friday, "2026-11-20T17:00:00");
        check("0 17 * * FRI", "2026-11-22T12:00:00Z", &friday, "2026-11-20T17:00:00");
        check(
            "*/30 8-9 1 jan *",
            "2026-01-01T07:10:00Z",
            &["2026-01-01T08:30:00", "2026-01-01T09:00:00"],
            "2026-01-01T08:00:00",
        );
        // Where day and weekday are both restricted, either will do.
        check(
            "0 0 1 * 7",
            "2026-11-27T12:00:00Z",
            &["2026-11-29T00:00:00", "2026-12-01T00:00:00"],
            "2026-11-22T00:00:00",
        );
        check("0 0 29 2 *", "2026-11-22T12:00:00Z", &["2028-02-29T00:00:00"], "2024-02-29T00:00:00");
        // The moment itself has come.
        check("0 13 * * *", "2026-11-22T12:00:00Z", &["2026-11-23T13:00:00"], "2026-11-22T13:00:00");
    }

    #[test]
    fn a_clock_that_is_set_forward_and_back_has_each_time_once() {
        let zone = berlin();
        // 02:00 to 03:00 does not exist on the 29th of March: what would begin in it begins when it is skipped.
        let skipped = "2026-03-29T02:30:00".parse().unwrap();
        assert_eq!(starts(skipped, &zone), Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(ends(skipped, &zone), Some(at("2026-03-29T01:00:00Z")));
        // 02:00 to 03:00 comes twice on the 25th of October: from the first to the last.
        let twice = "2026-10-25T02:30:00".parse().unwrap();
        assert_eq!(starts(twice, &zone), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(ends(twice, &zone), Some(at("2026-10-25T01:30:00Z")));
        let days = ["2026-10-25T02:30:00", "2026-10-26T02:30:00"];
        check("30 2 * * *", "2026-10-24T12:00:00Z", &days, "2026-10-24T02:30:00");
        // While the clock shows it again it is over already.
        check("30 2 * * *", "2026-10-25T01:10:00Z", &days[1..], days[0]);
        check(
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T02:30:00", "2026-03-30T02:30:00"],
            "2026-03-28T02:30:00",
        );
    }

    #[test]
    fn what_is_no_cron_says_its_field_and_what_is_allowed() {
        let wrong = |text: &str| Cron::parse(text).unwrap_err();
        assert_eq!(
            wrong("0 17 * *"),
            "it has 4 fields, expected 5: minute, hour, day of the month, month, day of the week"
        );
        assert_eq!(
            wrong("60 17 * * *"),
            "its minute is `60`, expected 0 to 59, as in `*`, `1`, `1-5`, `1,3` or `*/15`"
        );
        assert_eq!(
            wrong("0 17 * * friday"),
            "its day of the week is `friday`, expected 0 to 7 or `sun` to `sat`, as in `*`, `1`, `1-5`, `1,3` or `*/15`"
        );
        for text in ["@daily", "0 24 * * *", "0 5-3 * * *", "*/0 * * * *", "0 0 0 * *", "0 0 * 13 *", "+1 * * * *", ""]
        {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
        assert_eq!(Cron::parse("0 0 31 2 *").unwrap().next(at("2026-01-01T00:00:00Z"), &berlin()), None);
    }
}
