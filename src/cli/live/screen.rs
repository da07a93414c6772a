//! Drawing in place on stderr: the lines of before are overwritten. It moves the cursor and changes nothing else of the
//! terminal, so that nothing has to be put back when the program is ended.

use std::io::{IsTerminal, Write, stderr};

use anstream::{AutoStream, ColorChoice};
use unicode_width::UnicodeWidthStr;

use crate::config::Environment;

/// What is on the screen.
#[derive(Default)]
pub(super) struct Screen {
    drawn: Vec<String>,
}

/// How large a terminal is, in columns and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Screen {
    /// The terminal behind stderr, if there is one that can be drawn on.
    pub(super) fn of_stderr(environment: &Environment) -> Option<Self> {
        let can_be_drawn_on = environment.get("TERM").is_some_and(|it| it != "dumb");
        (stderr().is_terminal() && can_be_drawn_on).then(Self::default)
    }

    /// What there is room for. The last column stays free, for not all terminals agree on what writing there does.
    pub(super) fn size() -> Size {
        let (width, height) = terminal_size::terminal_size_of(stderr())
            .map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        Size { width: width.max(2) - 1, height: height.max(2) - 1 }
    }

    /// Draws these lines in place of those drawn last.
    pub(super) fn draw(&mut self, lines: Vec<String>, size: Size) {
        let mut lines = fitted(lines, size.height);
        if AutoStream::choice(&stderr()) == ColorChoice::Never {
            lines.iter_mut().for_each(|line| *line = plain(line));
        }
        if lines == self.drawn {
            return;
        }
        let _ = stderr().write_all(frame(&self.drawn, &lines, size.width).as_bytes());
        self.drawn = lines;
    }
}

/// As many lines as there is room for; how many more there are is said.
fn fitted(mut lines: Vec<String>, height: usize) -> Vec<String> {
    if lines.len() > height {
        let more = lines.len() - (height - 1);
        lines.truncate(height - 1);
        lines.push(format!("… {more} more lines: make the terminal higher"));
    }
    lines
}

fn plain(line: &str) -> String {
    anstream::adapter::strip_str(line).to_string()
}

/// What the terminal is sent. Lines that are wider than it is now take several of its own.
fn frame(before: &[String], lines: &[String], width: usize) -> String {
    let rows = |line: &String| plain(line).width().div_ceil(width + 1).max(1);
    let up: usize = before.iter().map(rows).sum();
    let mut frame = if up > 0 { format!("\x1b[{up}A\r") } else { String::new() };
    for line in lines {
        frame += &format!("{line}\x1b[K\n");
    }
    frame + "\x1b[J"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(all: &[&str]) -> Vec<String> {
        all.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_frame_overwrites_the_one_before_also_where_the_terminal_became_narrower() {
        let (one, two) = (lines(&["a", "bb"]), lines(&["c"]));
        assert_eq!(frame(&[], &one, 79), "a\x1b[K\nbb\x1b[K\n\x1b[J");
        assert_eq!(frame(&one, &two, 79), "\x1b[2A\rc\x1b[K\n\x1b[J");
        let wide = lines(&["1234567890", "\x1b[1m日本語日\x1b[0m", ""]);
        assert_eq!(frame(&wide, &two, 4), "\x1b[5A\rc\x1b[K\n\x1b[J", "2 rows, 2 rows, and an empty one");
    }

    #[test]
    fn what_has_no_room_is_counted() {
        assert_eq!(fitted(lines(&["a", "b", "c"]), 3), lines(&["a", "b", "c"]));
        assert_eq!(
            fitted(lines(&["a", "b", "c", "d"]), 3),
            lines(&["a", "b", "… 2 more lines: make the terminal higher"])
        );
    }
}
