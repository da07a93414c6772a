//! The log's way to stderr: an event is a line, and nothing in it is more than text, whoever wrote it. What is logged is
//! said elsewhere.

use std::io::{self, Write};

use crate::domain::escaped;

/// Where events go. Each comes in one piece.
pub(super) struct Lines {
    /// Whether the escapes in it are the log's own colours: those of others were taken out before.
    pub(super) coloured: bool,
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(tamed(&String::from_utf8_lossy(event), self.coloured).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The event as a line, in which all that does something is escaped.
fn tamed(event: &str, coloured: bool) -> String {
    let said = event.strip_suffix('\n').unwrap_or(event).replace('\n', "\\n");
    if !coloured {
        return escaped(&said) + "\n";
    }
    said.split('\u{1b}').map(escaped).collect::<Vec<_>>().join("\u{1b}") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_that_does_nothing() {
        let event = "said: \u{202e}a\u{9b}2J\u{1b}[31m\n2026 INFO forged\r\n";
        assert_eq!(tamed(event, false), "said: \\u202ea\\u009b2J\\u001b[31m\\n2026 INFO forged\\u000d\n");
        assert_eq!(tamed("\u{1b}[2mé 🚢\u{1b}[0m\n", true), "\u{1b}[2mé 🚢\u{1b}[0m\n", "the log's own colours");
    }
}
