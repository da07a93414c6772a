//! What happens, rendered once for all who follow it at its end. It keeps a little of the newest; the ledger has the rest.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::Bytes;

use crate::board::{Board, BoardError, EventView};
use crate::domain::{Offset, Record, Stream, escaped};

/// How many pieces are kept: who is slower than that reads the ledger.
const KEPT: usize = 8;
/// How far behind the end a follower may be to share what others read, in records.
pub(super) const NEAR: u64 = 200;

/// What all who follow share.
pub(super) struct Feed {
    board: Board,
    newest: Mutex<VecDeque<Arc<Piece>>>,
    /// Held by the one who reads for all.
    reading: tokio::sync::Mutex<()>,
}

/// Some records in a row, as they go over the wire.
pub(super) struct Piece {
    from: Offset,
    next: Offset,
    text: Bytes,
    blocks: Vec<Block>,
}

struct Block {
    offset: Offset,
    stream: Stream,
    bytes: Range<usize>,
    /// What strangers are told instead, where that is less.
    hushed: Option<String>,
}

/// What a reader is told of what happens.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// Only these streams; all, where none are named.
    pub(super) only: HashSet<Stream>,
    /// Whether somebody reads who is not known.
    pub(super) is_stranger: bool,
}

impl Feed {
    pub(super) fn new(board: Board) -> Self {
        Self { board, newest: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// What was written from an offset on, as much as one look takes; an empty piece where that is nothing yet.
    pub(super) async fn from(&self, at: Offset) -> Result<Arc<Piece>, BoardError> {
        let end = self.board.end();
        if at >= end {
            return Ok(Arc::new(Piece::of(at, &[])));
        }
        if end.0 - at.0 > NEAR {
            return self.read(at).await;
        }
        if let Some(known) = self.known(at) {
            return Ok(known);
        }
        let _for_all = self.reading.lock().await;
        if let Some(known) = self.known(at) {
            return Ok(known);
        }
        let piece = self.read(at).await?;
        let mut newest = self.newest();
        newest.push_front(piece.clone());
        newest.truncate(KEPT);
        Ok(piece)
    }

    async fn read(&self, at: Offset) -> Result<Arc<Piece>, BoardError> {
        Ok(Arc::new(Piece::of(at, &self.board.records(at).await?)))
    }

    fn known(&self, at: Offset) -> Option<Arc<Piece>> {
        self.newest().iter().find(|piece| piece.from <= at && at < piece.next).cloned()
    }

    // A panic while it was locked leaves it whole: each change is one insertion.
    fn newest(&self) -> MutexGuard<'_, VecDeque<Arc<Piece>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    fn of(from: Offset, records: &[Record]) -> Self {
        let (mut text, mut blocks) = (String::new(), Vec::new());
        for record in records {
            let (begin, event) = (text.len(), EventView::of(record));
            text += &block(&event);
            let hushed = event.has_more().then(|| event.hushed().as_ref().map(block).unwrap_or_default());
            let (offset, stream, bytes) = (record.offset, record.stream.clone(), begin..text.len());
            blocks.push(Block { offset, stream, bytes, hushed });
        }
        let next = records.last().map_or(from, |last| last.offset.next());
        Self { from, next, text: text.into(), blocks }
    }

    /// The offset to go on from; the one that it begins at where it is empty.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// What it has from an offset on, for these readers.
    pub(super) fn text(&self, at: Offset, audience: &Audience) -> Bytes {
        let Audience { only, is_stranger } = audience;
        let unread = &self.blocks[self.blocks.partition_point(|block| block.offset < at)..];
        if only.is_empty() && !is_stranger {
            return unread.first().map_or_else(Bytes::new, |first| self.text.slice(first.bytes.start..));
        }
        let wanted = unread.iter().filter(|block| only.is_empty() || only.contains(&block.stream));
        let told = |block: &Block| match &block.hushed {
            Some(hushed) if *is_stranger => hushed.as_bytes().to_vec(),
            Some(_) | None => self.text[block.bytes.clone()].to_vec(),
        };
        Bytes::from(wanted.flat_map(told).collect::<Vec<u8>>())
    }
}

/// One event on the wire. JSON has no line ends of its own.
fn block(event: &EventView) -> String {
    let data = escaped(&serde_json::to_string(event).unwrap_or_default());
    format!("id: {}\ndata: {data}\n\n", event.offset)
}
