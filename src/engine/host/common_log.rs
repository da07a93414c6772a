//! The log of all runs of this engine (R9), a file a day (R10): at the first line of a new day, by local time, the day
//! before gets its date for an ending, and what is older than a week goes.
//!
//! Several runs write it at once, and none asks another: a day's file gets its name from whoever comes first, and what
//! cannot be renamed or removed stays, for a log must not fail a deployment that works.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::error::HostError;
use super::install::rename_to_nothing;
use super::log::append_to;

/// How many days' files stay.
const DAYS: i64 = 7;

/// The log, open for the present day.
pub(super) struct CommonLog {
    path: PathBuf,
    file: File,
    day: Date,
}

impl CommonLog {
    /// Opens it for what is written now.
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self, HostError> {
        let day = day_of(now);
        turn_over(path, day);
        Ok(Self { path: path.to_owned(), file: append_to(path)?, day })
    }

    /// Writes one line that is whole already.
    pub(super) fn write(&mut self, line: &[u8], now: Timestamp) {
        let day = day_of(now);
        if day != self.day {
            turn_over(&self.path, day);
            self.day = day;
            if let Ok(file) = append_to(&self.path) {
                self.file = file;
            }
        }
        let _ = self.file.write_all(line);
    }
}

/// The day by this machine's own time.
fn day_of(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::system()).date()
}

/// Gives a file that was last written on another day that day's name, and removes those that are too old.
fn turn_over(path: &Path, today: Date) {
    let written = fs::metadata(path).and_then(|it| it.modified()).ok().and_then(|it| Timestamp::try_from(it).ok());
    let Some(day) = written.map(day_of).filter(|day| *day < today) else { return };
    // If another run gave it its name meanwhile, what stands here now is of today.
    let _ = rename_to_nothing(path, &dated(path, day));
    let _ = remove_old(path, today);
}

/// `….log.20261121`.
fn dated(path: &Path, day: Date) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(day.strftime(".%Y%m%d").to_string());
    name.into()
}

fn remove_old(path: &Path, today: Date) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|it| it.to_str())) else {
        return Ok(());
    };
    let Ok(oldest) = today.checked_sub(DAYS.days()) else { return Ok(()) };
    for found in fs::read_dir(folder)?.flatten() {
        let found_name = found.file_name();
        let ending = found_name.to_str().and_then(|it| it.strip_prefix(name)?.strip_prefix('.'));
        let day = ending.and_then(|it| Date::strptime("%Y%m%d", it).ok());
        if day.is_some_and(|day| day < oldest) {
            let _ = fs::remove_file(found.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Clock;

    /// A file whose last line was written so many days ago.
    fn written(path: &Path, text: &str, now: Timestamp, days: i64) {
        fs::write(path, text).unwrap();
        let time = now.to_zoned(TimeZone::system()).checked_sub(days.days()).unwrap().timestamp();
        File::options().append(true).open(path).unwrap().set_modified(time.into()).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_day_has_a_file_and_a_week_of_them_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let now = Clock::system().now();
        let of = |days: i64| {
            let day = day_of(now).checked_sub(days.days()).unwrap();
            dated(&path, day).file_name().unwrap().to_str().unwrap().to_owned()
        };
        for days in [2, 7, 8, 400] {
            fs::write(dir.path().join(of(days)), "old").unwrap();
        }
        fs::write(dir.path().join("a.log.mine"), "a person's").unwrap();
        written(&path, "yesterday\n", now, 1);
        let mut log = CommonLog::open(&path, now).unwrap();
        log.write(b"today\n", now);
        assert_eq!(names(dir.path()), ["a.log", &of(7), &of(2), &of(1), "a.log.mine"], "R10");
        assert_eq!(fs::read_to_string(dir.path().join(of(1))).unwrap(), "yesterday\n");
        // Another run opens it on the same day: nothing turns.
        CommonLog::open(&path, now).unwrap().write(b"another\n", now);
        assert_eq!(fs::read_to_string(&path).unwrap(), "today\nanother\n");
    }

    #[test]
    fn a_run_that_lasts_beyond_midnight_goes_on_in_the_new_days_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let now = Clock::system().now();
        let mut log = CommonLog::open(&path, now).unwrap();
        log.write(b"before\n", now);
        let after = now.to_zoned(TimeZone::system()).checked_add(1.day()).unwrap().timestamp();
        log.write(b"after\n", after);
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n", "R10");
        assert_eq!(fs::read_to_string(dated(&path, day_of(now))).unwrap(), "before\n", "R10");
    }
}
