//! What scripts say while they run, line by line, in the shapes that the CodeDeploy agent gives its logs. Pure: files are
//! read elsewhere.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::plain::harmless;

/// How long a line's date and time are, with the space after them, in bytes.
const STAMP: usize = 24;
const EVENT: &str = "LifecycleEvent - ";
const SCRIPT: &str = "Script - ";

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// A script, on its standard output.
    Stdout,
    /// A script, on its standard error.
    Stderr,
    /// The engine, among the output.
    Landfall,
}

impl LogStream {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Landfall => "landfall",
        }
    }
}

/// A line of a deployment's log. Scripts wrote it: its text does nothing to who reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogLine {
    /// Where it begins in the log, in bytes.
    pub offset: u64,
    /// When it was said; nothing where only the last lines are known.
    pub at: Option<Timestamp>,
    /// The lifecycle event at work.
    pub event: Option<String>,
    /// The script at work.
    pub script: Option<String>,
    /// Who says it.
    pub stream: LogStream,
    /// What, without its date and its stream.
    pub text: String,
    /// Whether it only says that its event or script begins.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub heading: bool,
}

impl LogLine {
    /// The line as logs have it: date and time, who says it, what.
    pub fn plain(&self) -> String {
        let at = self.at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S%.3f ").to_string()).unwrap_or_default();
        let text = &self.text;
        if self.heading { format!("{at}{text}") } else { format!("{at}[{}]{text}", self.stream.as_str()) }
    }
}

/// Reads lines one after the other, and knows under which event and script each was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReading {
    event: Option<String>,
    script: Option<String>,
}

impl LogReading {
    /// Amid a log, where this event and this script are at work.
    pub fn under(event: Option<&str>, script: Option<&str>) -> Self {
        Self { event: event.map(harmless), script: script.map(harmless) }
    }

    /// When a line was said, as it lies in the log, to the millisecond; nothing where it has no time.
    pub fn said_at(line: &[u8]) -> Option<Timestamp> {
        stamped(std::str::from_utf8(line.get(..STAMP)?).ok()?).0
    }

    /// Whether a line, as it lies in the log, begins an event or a script: the lines after it are read by it.
    pub fn is_heading(line: &[u8]) -> bool {
        line.get(STAMP..).is_some_and(|it| it.starts_with(EVENT.as_bytes()) || it.starts_with(SCRIPT.as_bytes()))
    }

    /// The next line, which begins at this byte of the log, without its end.
    pub fn line(&mut self, offset: u64, line: &str) -> LogLine {
        let (at, said) = stamped(line);
        let heading = self.turns(said);
        let (stream, text) = match (said.strip_prefix("[stdout]"), said.strip_prefix("[stderr]")) {
            (Some(text), _) => (LogStream::Stdout, text),
            (None, Some(text)) => (LogStream::Stderr, text),
            (None, None) => (LogStream::Landfall, said.strip_prefix("[landfall]").unwrap_or(said)),
        };
        let (event, script) = (self.event.clone(), self.script.clone());
        // A program that draws a bar goes back to the line's beginning: what it wrote last is what stands there.
        let text = text.trim_end_matches('\r');
        let text = harmless(text.rsplit('\r').next().unwrap_or(text));
        LogLine { offset, at, event, script, stream, text, heading }
    }

    /// All lines of a text, such as the last ones that a failure keeps.
    pub fn all(text: &str) -> Vec<LogLine> {
        let (mut reading, mut offset) = (Self::default(), 0);
        let mut line = |line: &str| {
            let begins = offset;
            offset += line.len() as u64 + 1;
            reading.line(begins, line)
        };
        text.lines().map(&mut line).collect()
    }

    /// Takes the beginning of an event or a script.
    fn turns(&mut self, said: &str) -> bool {
        if let Some(event) = said.strip_prefix(EVENT) {
            (self.event, self.script) = (Some(harmless(event)), None);
        } else if let Some(script) = said.strip_prefix(SCRIPT) {
            self.script = Some(harmless(script));
        } else {
            return false;
        }
        true
    }
}

/// A line's time, where it has one, and the rest of it.
fn stamped(line: &str) -> (Option<Timestamp>, &str) {
    let Some((stamp, rest)) = line.split_at_checked(STAMP) else { return (None, line) };
    let Some(stamp) = stamp.strip_suffix(' ') else { return (None, line) };
    let time = stamp.parse::<DateTime>().ok().and_then(|it| it.to_zoned(TimeZone::UTC).ok());
    time.map_or((None, line), |time| (Some(time.timestamp()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> Vec<String> {
        let name = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".into());
        let line = |it: LogLine| {
            let (event, script, stream) = (name(&it.event), name(&it.script), it.stream.as_str());
            format!("{} {event} {script} {stream} {}{}", it.offset, it.text, if it.heading { " #" } else { "" })
        };
        LogReading::all(log).into_iter().map(line).collect()
    }

    #[test]
    fn every_line_knows_its_event_its_script_and_who_said_it() {
        let log = "\
2026-01-02 03:04:05.678 LifecycleEvent - BeforeInstall
2026-01-02 03:04:05.678 Script - a b.sh
2026-01-02 03:04:05.678 [stdout]LifecycleEvent - Forged
2026-01-02 03:04:05.679 [stderr][stdout]10%\r\u{1b}[1m20%\r
2026-01-02 03:04:05.679 LifecycleEvent - Install
2026-01-02 03:04:05.679 [landfall]copied
of two lines";
        assert_eq!(
            told(log),
            [
                "0 BeforeInstall - landfall LifecycleEvent - BeforeInstall #",
                "55 BeforeInstall a b.sh landfall Script - a b.sh #",
                "95 BeforeInstall a b.sh stdout LifecycleEvent - Forged",
                "151 BeforeInstall a b.sh stderr [1m20%",
                "203 Install - landfall LifecycleEvent - Install #",
                "252 Install - landfall copied",
                "293 Install - landfall of two lines",
            ]
        );
    }

    #[test]
    fn a_line_is_written_again_as_it_was() {
        for line in ["2026-01-02 03:04:05.678 [stderr]no", "2026-01-02 03:04:05.678 Script - x", "[stdout]last words"] {
            assert_eq!(LogReading::default().line(0, line).plain(), line);
        }
        assert_eq!(told("2026-13-02 03:04:05.678 é"), ["0 - - landfall 2026-13-02 03:04:05.678 é"]);
    }
}
