//! Writing to the terminal: data to stdout, talk to stderr, columns, times. Colours are left out where nobody sees them.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const BUSY: Style = AnsiColor::Cyan.on_default();
pub(super) const WAITS: Style = AnsiColor::Yellow.on_default();

/// Why data could not be written, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes data. What goes wrong is told at the program's end, by [`unwritten`].
pub(super) fn say(text: &str) {
    let mut out = anstream::stdout().lock();
    keep_error(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Keeps why data could not be written. A reader that has gone away has read what it wanted.
pub(super) fn keep_error(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = UNWRITTEN.set(error);
    }
}

/// Why not all data was written, if it was not.
pub(super) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// Whether more data is of no use: it cannot be written, or its reader has gone away, which is seen without writing.
pub(super) fn nobody_reads() -> bool {
    let out = io::stdout();
    let mut ends = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let asked = poll(&mut ends, PollTimeout::ZERO);
    let gone = ends[0].revents().is_some_and(|it| it.intersects(PollFlags::POLLERR | PollFlags::POLLHUP));
    unwritten().is_some() || asked.is_ok() && gone
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

/// How many columns the terminal has that data goes to; nothing where it goes elsewhere, and is never cut.
pub(super) fn room() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into())
}

/// A cell of a table, or a part of a line.
pub(super) struct Cell {
    style: Style,
    text: String,
    /// What is of no use when a part of it is missing: an id, a hash.
    is_whole: bool,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::styled(Style::new(), text)
    }

    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        // A line end would be one of the table.
        Self { style, text: text.into().replace(['\n', '\t'], " "), is_whole: false }
    }

    /// One that is never cut.
    pub(super) fn whole(text: impl Into<String>) -> Self {
        Self { is_whole: true, ..Self::new(text) }
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The same, written within so many columns.
    fn within(&self, width: usize) -> String {
        styled(self.style, &if self.is_whole { self.text.clone() } else { cut(&self.text, width) })
    }
}

/// The narrowest that a column becomes: a few letters and the sign that there were more.
const NARROWEST: usize = 6;

/// A text within so many columns of a terminal; `…` says that there was more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| match left.checked_sub(letter.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    text.chars().take_while(fits).chain(if width > 0 { Some('…') } else { None }).collect()
}

/// Parts one after the other, within so many columns.
pub(super) fn line_within(parts: &[Cell], mut width: usize) -> String {
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.text.is_empty()) {
        if width == 0 {
            break;
        }
        line += &styled(part.style, &cut(&part.text, width));
        width = width.saturating_sub(part.text.width());
    }
    line
}

/// Lines of cells under a heading, as wide as the terminal at most.
pub(super) fn table(heading: &[&str], lines: &[Vec<Cell>]) -> String {
    table_within(room(), heading, lines)
}

/// The same within so many columns, where that matters: the widest columns are cut first, ids and hashes never.
pub(super) fn table_within(room: Option<usize>, heading: &[&str], lines: &[Vec<Cell>]) -> String {
    let heading: Vec<Cell> = heading.iter().map(|name| Cell::styled(DIM, *name)).collect();
    let all = || std::iter::once(&heading).chain(lines);
    let width = |line: &Vec<Cell>, at: usize| line.get(at).map_or(0, |cell| cell.text.width());
    let widest = |at| all().map(|line| width(line, at)).max().unwrap_or_default();
    let mut widths: Vec<usize> = (0..heading.len()).map(widest).collect();
    let may_shrink = |at: &usize| !lines.iter().any(|line| line.get(*at).is_some_and(|cell| cell.is_whole));
    let gaps = 2 * widths.len().saturating_sub(1);
    while room.is_some_and(|room| widths.iter().sum::<usize>() + gaps > room) {
        let candidates = (0..widths.len()).filter(may_shrink).filter(|at| widths[*at] > NARROWEST);
        let Some(at) = candidates.max_by_key(|at| widths[*at]) else { break };
        widths[at] -= 1;
    }
    let mut text = String::new();
    for line in all() {
        let mut gap = 0;
        for (cell, width) in line.iter().zip(&widths) {
            text += &" ".repeat(gap);
            text += &cell.within(*width);
            gap = width.saturating_sub(cell.text.width()) + 2;
        }
        text.push('\n');
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
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [vec![Cell::new("é"), Cell::new("x")], vec![Cell::new("long"), Cell::new("y")]];
        let plain = anstream::adapter::strip_str(&table_within(None, &["A", "B"], &lines)).to_string();
        assert_eq!(plain, "A     B\né     x\nlong  y\n");
    }

    #[test]
    fn the_widest_column_is_cut_and_no_id_ever() {
        let id = "01KDZ9AVJQ0000000000000001";
        let line = |title: &str| vec![Cell::new("site"), Cell::whole(id), Cell::new(title)];
        let lines = [line("Say hello to the whole world"), line("挨拶は世界のみんなに"), line("Short")];
        let at = |room| {
            let table = table_within(room, &["TARGET", "DEPLOYMENT", "COMMIT"], &lines);
            anstream::adapter::strip_str(&table).to_string()
        };
        expect![[r"
            TARGET  DEPLOYMENT                  COMMIT
            site    01KDZ9AVJQ0000000000000001  Say hello to the whole world
            site    01KDZ9AVJQ0000000000000001  挨拶は世界のみんなに
            site    01KDZ9AVJQ0000000000000001  Short
        "]]
        .assert_eq(&at(None));
        expect![[r"
            TARGET  DEPLOYMENT                  COMMIT
            site    01KDZ9AVJQ0000000000000001  Say hello t…
            site    01KDZ9AVJQ0000000000000001  挨拶は世界…
            site    01KDZ9AVJQ0000000000000001  Short
        "]]
        .assert_eq(&at(Some(48)));
        assert!(at(Some(20)).lines().all(|line| line.contains(id) || line.contains("DEPLOYMENT")));
    }

    #[test]
    fn a_cut_is_seen_and_never_wider_than_its_room() {
        for (text, width, told) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 4, "日…"),
            ("日本語", 6, "日本語"),
            ("e\u{301}tude", 3, "e\u{301}t…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(cut(text, width), told);
            assert!(cut(text, width).width() <= width);
        }
        let parts = [Cell::styled(GOOD, "done"), Cell::new(" "), Cell::new("after all")];
        assert_eq!(anstream::adapter::strip_str(&line_within(&parts, 9)).to_string(), "done aft…");
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
