//! Writing to the terminal: data to stdout, talk to stderr, columns, times. Colours are left out where nobody sees them.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const BUSY: Style = AnsiColor::Cyan.on_default();
pub(super) const WAITS: Style = AnsiColor::Yellow.on_default();

/// Writes data. A reader that has gone away is no error of ours.
pub(super) fn say(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes talk.
pub(super) fn talk(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes JSON as data.
pub(super) fn say_json(value: &Value) {
    say(&format!("{value:#}\n"));
}

/// `text` in a style.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of a deployment's state; the word itself stands beside it.
pub(super) fn of_state(state: &str) -> Style {
    match state {
        "succeeded" => GOOD,
        "failed" | "refused" => BAD,
        "held" | "superseded" | "stopped" | "skipped" | "not-planned" => WAITS,
        _ => BUSY,
    }
}

/// A cell of a table.
pub(super) struct Cell(Style, String);

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(Style::new(), text.into())
    }

    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self(style, text.into())
    }
}

/// Lines of cells under a heading, each column as wide as its widest cell.
pub(super) fn table(heading: &[&str], lines: &[Vec<Cell>]) -> String {
    let long = |text: &str| text.chars().count();
    let widths: Vec<usize> = heading
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = lines.iter().filter_map(|line| line.get(at)).map(|cell| long(&cell.1));
            cells.chain([long(name)]).max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    let mut add = |line: &mut dyn Iterator<Item = (Style, &str)>| {
        let mut written = String::new();
        let mut gap = 0;
        for ((style, cell), width) in line.zip(&widths) {
            written += &" ".repeat(gap);
            written += &styled(style, cell);
            gap = width.saturating_sub(long(cell)) + 2;
        }
        text += &written;
        text.push('\n');
    };
    add(&mut heading.iter().map(|name| (DIM, *name)));
    for line in lines {
        add(&mut line.iter().map(|Cell(style, cell)| (*style, cell.as_str())));
    }
    text
}

/// How long ago, as people say it.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..5 => "just now".into(),
        5..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86400),
    }
}

/// The time of day in UTC, for lists of events.
pub(super) fn clock_time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [vec![Cell::new("é"), Cell::new("x")], vec![Cell::new("long"), Cell::new("y")]];
        let plain = anstream::adapter::strip_str(&table(&["A", "B"], &lines)).to_string();
        assert_eq!(plain, "A     B\né     x\nlong  y\n");
    }

    #[test]
    fn times_are_told_as_people_say_them() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let then = |text: &str| ago(text.parse().unwrap(), now);
        assert_eq!(then("2026-01-02T03:04:04Z"), "just now");
        assert_eq!(then("2026-01-02T03:01:00Z"), "3 min ago");
        assert_eq!(then("2025-12-31T03:04:05Z"), "2 days ago");
        assert_eq!(then("2027-01-01T00:00:00Z"), "just now");
    }
}
