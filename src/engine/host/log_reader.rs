//! Reads `scripts.log` piece by piece, forwards and backwards. It never holds more of it than a piece.
//!
//! A piece amid the log has to say under which event and script its lines were said, and the lines that tell may lie
//! any length before it. So the headings of the logs that are being read are remembered, and each part of a log is looked
//! through for them once, whoever pages through it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::domain::{LogReading, Mask, RunId};
use crate::engine::{LogFrom, LogPart, LogPiece, PIECE};

/// The headings of how many logs are remembered: more than people read at a time.
const REMEMBERED: usize = 16;

/// The headings of the logs read last.
#[derive(Debug, Default)]
pub(super) struct LogReader {
    known: Mutex<BTreeMap<RunId, Headings>>,
}

/// The headings of one log, as far as it was looked through.
#[derive(Debug, Default)]
struct Headings {
    looked_to: u64,
    /// By where each begins.
    found: Vec<(u64, String)>,
}

impl LogReader {
    /// A piece of a run's log; nothing where there is none.
    pub(super) fn read(&self, run: &RunId, path: &Path, part: LogPart, mask: &Mask) -> io::Result<Option<LogPiece>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let block = match part.from {
            LogFrom::Byte(from) => Block::after(&mut file, from, length)?,
            LogFrom::Before(until) => Block::before(&mut file, until.min(length))?,
        };
        let Block { begins, bytes } = block.whole_lines(length, part);
        let mut reading = self.reading(run, &mut file, begins)?;
        let mut next = begins;
        let mut lines = Vec::new();
        for bytes in bytes.split_inclusive(|it| *it == b'\n') {
            let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes));
            lines.push(reading.line(next, &mask.apply(&text)));
            next += bytes.len() as u64;
        }
        Ok(Some(LogPiece { lines, begins, next, length, more: next < length }))
    }

    /// What is known where the line at this byte begins.
    fn reading(&self, run: &RunId, file: &mut File, at: u64) -> io::Result<LogReading> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        while known.len() >= REMEMBERED && !known.contains_key(run) {
            known.pop_first();
        }
        let headings = known.entry(run.clone()).or_default();
        headings.look(file, at)?;
        let mut reading = LogReading::default();
        for (begins, line) in headings.found.iter().filter(|(begins, _)| *begins < at) {
            reading.line(*begins, line);
        }
        Ok(reading)
    }
}

impl Headings {
    /// Looks through what was not looked through yet, up to the line that begins there.
    fn look(&mut self, file: &mut File, to: u64) -> io::Result<()> {
        if self.looked_to >= to {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.looked_to))?;
        let mut reader = BufReader::with_capacity(64 << 10, file).take(to - self.looked_to);
        let mut line = Vec::new();
        while reader.by_ref().take(PIECE).read_until(b'\n', &mut line)? > 0 {
            if LogReading::is_heading(&line) {
                self.found.push((self.looked_to, String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned()));
            }
            self.looked_to += line.len() as u64;
            line.clear();
        }
        Ok(())
    }
}

/// Bytes of a log that begin where a line does.
struct Block {
    begins: u64,
    bytes: Vec<u8>,
}

impl Block {
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

    const DAY: &str = "2026-01-02 03:04:05.678";

    /// A log in a directory that stays while it is read.
    struct Place {
        kept: tempfile::TempDir,
        reader: LogReader,
        run: RunId,
    }

    impl Place {
        fn new(log: &str) -> Self {
            let kept = tempfile::tempdir().unwrap();
            fs::write(kept.path().join("scripts.log"), log).unwrap();
            Self { kept, reader: LogReader::default(), run: RunId::parse("d-1").unwrap() }
        }

        fn read(&self, from: LogFrom, lines: usize, is_over: bool) -> LogPiece {
            let part = LogPart { from, lines, is_over };
            let path = self.kept.path().join("scripts.log");
            self.reader.read(&self.run, &path, part, &Mask::new(["hunter2!".to_owned()])).unwrap().unwrap()
        }
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
        let place = Place::new(&text);
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
