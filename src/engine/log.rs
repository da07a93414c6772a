//! What is asked of an engine about a run's log, and what it answers: a piece at a time, however long the log is.

use crate::domain::LogLine;

/// How many bytes of a log are read at a time: what an answer holds at most.
pub const PIECE: u64 = 256 << 10;

/// From where a piece is wanted, in bytes from the log's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFrom {
    /// The lines that follow this place: the next of a piece before, or the first.
    Byte(u64),
    /// The lines that end at this place, or the newest where the log is not so long.
    Before(u64),
}

/// Which piece of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// From where.
    pub from: LogFrom,
    /// How many lines at most.
    pub lines: usize,
    /// Whether nobody writes any more: then a last line counts that has no end.
    pub is_over: bool,
}

/// A piece of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPiece {
    /// Its lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Where the first one begins.
    pub begins: u64,
    /// Where the next piece begins.
    pub next: u64,
    /// How long the log is, in bytes.
    pub length: u64,
    /// Whether there are lines after these already.
    pub more: bool,
}

/// What an engine has of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// It keeps none that could be read from here.
    NotKept,
    /// There is none: nothing was said yet, or it was deleted.
    Absent,
    /// A piece of it.
    Piece(LogPiece),
}
