//! Reads `scripts.log` piece by piece, forwards and backwards. It never holds more of it than a piece, remembers nothing,
//! and never looks further back than another piece.
//!
//! A piece amid the log has to say under which event and script its lines were said, and the headings that tell may lie
//! any length before it. What began before the piece in front of it stands in the run's journal, with its time. So the
//! newest lines of a log of any length come at once, and no reader waits for another.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};

use jiff::Timestamp;

use super::journal::{self, Line};
use super::layout::RunDir;
use super::trial;
use crate::domain::{LogReading, Mask};
use crate::engine::{LogFrom, LogPart, LogPiece, PIECE};

/// A piece of a run's log; nothing where there is none.
pub(super) fn read(dir: &RunDir, part: LogPart, mask: &Mask) -> io::Result<Option<LogPiece>> {
    let mut file = match File::open(dir.scripts_log()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    let block = match part.from {
        LogFrom::Byte(from) => Block::after(&mut file, from, length)?,
        LogFrom::Before(until) => Block::before(&mut file, until.min(length))?,
    };
    let block = block.whole_lines(length, part);
    let mut reading = reading(dir, &mut file, &block, mask)?;
    let mut next = block.begins;
    let mut lines = Vec::new();
    for bytes in block.lines() {
        lines.push(reading.line(next, &text_of(bytes, mask)));
        next += bytes.len() as u64;
    }
    Ok(Some(LogPiece { lines, begins: block.begins, next, length, more: next < length }))
}

/// What is known where a block begins: from the piece before it, and from the journal where that does not tell.
fn reading(dir: &RunDir, file: &mut File, block: &Block, mask: &Mask) -> io::Result<LogReading> {
    let before = Block::before(file, block.begins)?;
    let mut reading = LogReading::default();
    if before.begins > 0 {
        // A line that was cut has no time: that of one nearby is as good.
        let said_at = block.lines().chain(before.lines().rev()).find_map(LogReading::said_at);
        reading = said_at.map_or(Ok(reading), |at| at_work(dir, at, mask))?;
    }
    for heading in before.lines().filter(|line| LogReading::is_heading(line)) {
        reading.line(0, &text_of(heading, mask));
    }
    Ok(reading)
}

/// The event and the script that the journal says were at work when a line was said that lies far behind their headings.
fn at_work(dir: &RunDir, said_at: Timestamp, mask: &Mask) -> io::Result<LogReading> {
    let journal = match fs::read(dir.journal()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LogReading::default()),
        read => read?,
    };
    // A log's times are whole milliseconds. What began within that of the line cannot have said so much before it.
    let is_before = |at: Timestamp| at.as_millisecond() < said_at.as_millisecond();
    let (mut event, mut script) = (None, None);
    for line in journal::lines(&journal) {
        match line {
            Line::EventBegan { at, event: began } if is_before(at) => (event, script) = (Some(began), None),
            Line::ScriptBegan { at, location, .. } if is_before(at) => script = Some(location),
            // Whoever speaks after the end tries out what was deployed.
            Line::Ended { at, .. } if is_before(at) => (event, script) = (Some(trial::EVENT.to_owned()), None),
            Line::Started { .. }
            | Line::EventBegan { .. }
            | Line::ScriptBegan { .. }
            | Line::ScriptEnded { .. }
            | Line::EventEnded { .. }
            | Line::Warned { .. }
            | Line::Ended { .. } => {}
        }
    }
    let masked = |name: Option<String>| name.map(|it| mask.apply(&it));
    Ok(LogReading::under(masked(event).as_deref(), masked(script).as_deref()))
}

/// A line's text, without its end and without secrets.
fn text_of(line: &[u8], mask: &Mask) -> String {
    mask.apply(&String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line)))
}

/// Bytes of a log that begin where a line does.
struct Block {
    begins: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// Its lines, each with its end.
    fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bytes.split_inclusive(|it| *it == b'\n')
    }

    /// What follows a place; the line that it lies in is left out, unless it begins there.
    fn after(file: &mut File, from: u64, length: u64) -> io::Result<Self> {
        let from = from.min(length);
        let block = Self::at(file, from.saturating_sub(1), PIECE + 1)?;
        Ok(if from == 0 { block } else { block.without_first_line() })
    }

    /// What ends at a place.
    fn before(file: &mut File, until: u64) -> io::Result<Self> {
        let from = until.saturating_sub(PIECE);
        let block = Self::at(file, from, until - from)?;
        Ok(if from == 0 { block } else { block.without_first_line() })
    }

    fn at(file: &mut File, begins: u64, most: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(begins))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Self { begins, bytes })
    }

    /// Without what belongs to a line that begins before it; of one that fills all of it, the rest is taken for a line.
    fn without_first_line(mut self) -> Self {
        let end = self.bytes.iter().position(|it| *it == b'\n');
        let left_out = match end {
            Some(end) => end + 1,
            None if self.bytes.len() as u64 >= PIECE => 1,
            None => self.bytes.len(),
        };
        self.bytes.drain(..left_out);
        self.begins += left_out as u64;
        self
    }

    /// Its lines that are whole, as many as are wanted.
    fn whole_lines(mut self, length: u64, part: LogPart) -> Self {
        let reaches_the_end = self.begins + self.bytes.len() as u64 >= length;
        let is_last = reaches_the_end && part.is_over;
        if !is_last {
            match self.bytes.iter().rposition(|it| *it == b'\n') {
                Some(end) => self.bytes.truncate(end + 1),
                // A line without an end that fills a whole piece is cut.
                None if self.bytes.len() as u64 >= PIECE => {}
                None => self.bytes.clear(),
            }
        }
        let ends: Vec<usize> = self.bytes.split_inclusive(|it| *it == b'\n').map(<[u8]>::len).collect();
        let (wanted, all) = (part.lines.min(ends.len()), ends.len());
        match part.from {
            LogFrom::Byte(_) => self.bytes.truncate(ends[..wanted].iter().sum()),
            LogFrom::Before(_) => {
                let left_out: usize = ends[..all - wanted].iter().sum();
                self.bytes.drain(..left_out);
                self.begins += left_out as u64;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;

    use super::*;
    use crate::engine::host::journal::{End, Journal};

    const DAY: &str = "2026-01-02 03:04:05.678";

    /// A run that has a log, in a directory that stays while it is read.
    struct Place {
        _kept: tempfile::TempDir,
        dir: RunDir,
    }

    impl Place {
        fn new(log: &str) -> Self {
            let kept = tempfile::tempdir().unwrap();
            let dir = RunDir::at(kept.path());
            fs::create_dir_all(dir.scripts_log().parent().unwrap()).unwrap();
            fs::write(dir.scripts_log(), log).unwrap();
            Self { _kept: kept, dir }
        }

        /// The same, with what its journal says.
        fn with_journal(self, lines: &[Line]) -> Self {
            let mut journal = Journal::open(&self.dir).unwrap();
            lines.iter().for_each(|line| journal.tell(line).unwrap());
            self
        }

        fn read(&self, from: LogFrom, lines: usize, is_over: bool) -> LogPiece {
            let part = LogPart { from, lines, is_over };
            read(&self.dir, part, &Mask::new(["hunter2!".to_owned()])).unwrap().unwrap()
        }
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-01-02T{time}Z").parse().unwrap()
    }

    fn began(time: &str, event: &str) -> Line {
        Line::EventBegan { at: at(time), event: event.into() }
    }

    fn script(time: &str, event: &str, location: &str) -> Line {
        Line::ScriptBegan { at: at(time), event: event.into(), location: location.into() }
    }

    fn ended(time: &str) -> Line {
        Line::Ended { at: at(time), end: End::stopped() }
    }

    /// Some lines of two events.
    fn log(lines: usize) -> String {
        let mut log = format!("{DAY} LifecycleEvent - BeforeInstall\n{DAY} Script - a.sh\n");
        for number in 0..lines {
            writeln!(log, "{DAY} [stdout]line {number}").unwrap();
        }
        log + &format!("{DAY} LifecycleEvent - AfterInstall\n{DAY} Script - b.sh\n{DAY} [stderr]hunter2!\n")
    }

    #[test]
    fn pieces_from_the_beginning_and_from_the_end_are_the_whole_log_and_each_knows_its_script() {
        let text = log(20_000);
        let told = [began("03:04:05", "BeforeInstall"), script("03:04:05.1", "BeforeInstall", "a.sh")];
        let place = Place::new(&text).with_journal(&told);
        let (mut there, mut at) = (vec![], 0);
        loop {
            let piece = place.read(LogFrom::Byte(at), 700, true);
            there.extend(piece.lines);
            at = piece.next;
            if !piece.more {
                break;
            }
        }
        let (mut back, mut at) = (vec![], u64::MAX);
        while at > 0 {
            let piece = place.read(LogFrom::Before(at), usize::MAX, true);
            back.splice(0..0, piece.lines);
            at = piece.begins;
        }
        assert_eq!(there, back);
        let plain: String = there.iter().map(|line| line.plain() + "\n").collect();
        assert_eq!(plain, text.replace("hunter2!", "[secret]"));
        let of = |number: usize| (there[number].event.as_deref().unwrap(), there[number].script.as_deref());
        assert_eq!((of(0), of(15_000)), (("BeforeInstall", None), ("BeforeInstall", Some("a.sh"))));
        assert_eq!(of(20_004), ("AfterInstall", Some("b.sh")));
    }

    /// Lines of one time, more of them than a piece holds.
    fn many(time: &str) -> String {
        format!("2026-01-02 {time} [stdout]what a build says\n").repeat(8000)
    }

    #[test]
    fn lines_far_behind_their_headings_are_of_the_event_and_the_script_that_were_at_work() {
        let told = [
            began("03:04:05.1", "BeforeInstall"),
            script("03:04:05.1005", "BeforeInstall", "hunter2!.sh"),
            script("03:04:07.2", "BeforeInstall", "b.sh"),
            began("03:04:09.3", "AfterInstall"),
            ended("03:04:11.4"),
        ];
        let parts = [
            (vec!["LifecycleEvent - BeforeInstall", "Script - hunter2!.sh"], "03:04:05.101", "03:04:06.000"),
            (vec!["Script - b.sh"], "03:04:07.200", "03:04:09.300"),
            (vec!["LifecycleEvent - AfterInstall"], "03:04:09.300", "03:04:10.000"),
            (vec!["LifecycleEvent - Verify", "Script - check.sh"], "03:04:12.000", "03:04:13.000"),
        ];
        let (mut log, mut ends) = (String::new(), vec![]);
        for (headings, begins, goes_on) in parts {
            headings.iter().for_each(|it| writeln!(log, "2026-01-02 {begins} {it}").unwrap());
            log += &many(goes_on);
            ends.push(log.len() as u64);
        }
        let place = Place::new(&log).with_journal(&told);
        let of = |from| {
            let line = place.read(from, 1, true).lines.remove(0);
            (line.event.unwrap(), line.script)
        };
        let under = |event: &str, script: Option<&str>| (event.to_owned(), script.map(str::to_owned));
        let expected = [
            under("BeforeInstall", Some("[secret].sh")),
            under("BeforeInstall", Some("b.sh")),
            under("AfterInstall", None),
            // After the end nobody notes down which script is tried: its heading tells that, as far as it is near.
            under("Verify", None),
        ];
        assert_eq!(ends.iter().map(|end| of(LogFrom::Before(*end))).collect::<Vec<_>>(), expected);
        // Where a line's own heading is near, that tells: also within a millisecond, and without a journal.
        fs::remove_file(place.dir.journal()).unwrap();
        assert_eq!(of(LogFrom::Byte(ends[2] + 200)), under("Verify", Some("check.sh")));
    }

    #[test]
    fn no_more_is_read_of_a_long_log_than_two_pieces() {
        let place = Place::new("");
        // A hole: whoever read all of it would read for minutes.
        let file = File::options().write(true).open(place.dir.scripts_log()).unwrap();
        file.set_len(1 << 36).unwrap();
        let lines = many("03:04:06.000");
        std::os::unix::fs::FileExt::write_all_at(&file, lines.as_bytes(), (1 << 36) - lines.len() as u64).unwrap();
        let place = place.with_journal(&[began("03:04:05", "BeforeInstall")]);
        let piece = place.read(LogFrom::Before(u64::MAX), 10, true);
        assert_eq!((piece.lines.len(), piece.lines[0].event.as_deref()), (10, Some("BeforeInstall")));
    }

    #[test]
    fn a_line_that_is_being_written_waits_for_its_end_unless_nobody_writes() {
        let place = Place::new(&format!("{DAY} [stdout]whole\n{DAY} [stdout]half"));
        let told = |piece: &LogPiece| piece.lines.iter().map(|it| it.text.clone()).collect::<Vec<_>>();
        let first = place.read(LogFrom::Byte(0), 10, false);
        assert_eq!((told(&first), first.next), (vec!["whole".to_owned()], 38));
        assert!(place.read(LogFrom::Byte(first.next), 10, false).lines.is_empty());
        assert_eq!(told(&place.read(LogFrom::Byte(first.next), 10, true)), ["half"]);
        assert_eq!(told(&place.read(LogFrom::Before(u64::MAX), 1, false)), ["whole"]);
        // A place amid a line is taken for the next line's.
        assert_eq!(told(&place.read(LogFrom::Byte(3), 10, true)), ["half"]);
        assert!(place.read(LogFrom::Byte(u64::MAX), 10, true).lines.is_empty());
    }

    #[test]
    fn a_line_longer_than_a_piece_is_cut_and_passed() {
        let long = "x".repeat(600 << 10);
        let place = Place::new(&format!("{long}\n{DAY} [stdout]after\n"));
        let (mut at, mut texts) = (0, vec![]);
        loop {
            let piece = place.read(LogFrom::Byte(at), 10, true);
            assert!(piece.next > at || !piece.more, "{at}");
            texts.extend(piece.lines.into_iter().map(|it| it.text));
            at = piece.next;
            if !piece.more {
                break;
            }
        }
        assert_eq!(texts.last().map(String::as_str), Some("after"));
    }
}
