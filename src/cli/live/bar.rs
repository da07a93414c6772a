//! Marks, bars and lengths of time, as live views show them. None of them means anything by its colour alone.

use std::time::Duration;

use anstyle::Style;

use super::super::terminal::{BAD, BUSY, Cell, DIM, GOOD, WAITS};
use crate::domain::StepStatus;

/// How many columns a bar takes.
const LONG: u64 = 20;

/// How far something is, as one sign and its style.
pub(in crate::cli) fn mark(status: StepStatus) -> (Style, &'static str) {
    match status {
        StepStatus::Pending => (DIM, "·"),
        StepStatus::InProgress => (BUSY, "▸"),
        StepStatus::Succeeded => (GOOD, "✓"),
        StepStatus::Failed => (BAD, "✗"),
        StepStatus::Skipped => (DIM, "–"),
        StepStatus::Unknown => (WAITS, "?"),
    }
}

/// `done` of `all`, as a bar.
pub(super) fn bar(done: u64, all: u64) -> Cell {
    let full = (done.min(all) * LONG).checked_div(all).unwrap_or(0);
    let part = |sign: &str, many: u64| sign.repeat(usize::try_from(many).unwrap_or(0));
    Cell::styled(BUSY, part("█", full) + &part("░", LONG - full))
}

/// How long something took: `120 ms`, `1.2 s`, `3 min 20 s`.
pub(super) fn took(long: Duration) -> String {
    match long.as_secs() {
        0 => format!("{} ms", long.as_millis()),
        1..60 => format!("{:.1} s", long.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// How long something has taken so far, which is seen to grow by whole seconds.
pub(super) fn taking(long: Duration) -> String {
    match long.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::line_within;

    #[test]
    fn a_bar_is_as_full_as_what_it_shows() {
        let shown = |done, all| anstream::adapter::strip_str(&line_within(&[bar(done, all)], 40)).to_string();
        assert_eq!(shown(0, 3), "░".repeat(20));
        assert_eq!(shown(1, 4), "█".repeat(5) + &"░".repeat(15));
        assert_eq!(shown(9, 4), "█".repeat(20));
        assert_eq!(shown(0, 0), "░".repeat(20), "of nothing, nothing is done");
    }

    #[test]
    fn lengths_of_time_are_told_as_people_say_them() {
        let told = |millis| (took(Duration::from_millis(millis)), taking(Duration::from_millis(millis)));
        assert_eq!(told(120), ("120 ms".into(), "0 s".into()));
        assert_eq!(told(1_240), ("1.2 s".into(), "1 s".into()));
        assert_eq!(told(200_900), ("3 min 20 s".into(), "3 min 20 s".into()));
    }
}
