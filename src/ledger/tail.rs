//! What was written last, still in memory: followers that keep up read it here, and the disk is for those that fell
//! behind. It holds nothing before it is durable, and never what deliveries said, which is most of the bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Offset, Record, StreamKind};

/// How many records are kept: a megabyte or two.
const KEPT: usize = 1024;

/// The end of the log.
#[derive(Debug)]
pub(super) struct Tail(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// Every record from here on is at hand, but for the deliveries.
    from: Offset,
    /// The offset after the last durable record.
    end: Offset,
    records: VecDeque<Arc<Record>>,
}

impl Tail {
    /// The empty end of a log.
    pub(super) fn new(end: Offset) -> Self {
        Self(Mutex::new(Kept { from: end, end, records: VecDeque::new() }))
    }

    /// Takes what has become durable.
    pub(super) fn push(&self, records: Vec<Record>, end: Offset) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.records.extend(records.into_iter().filter(is_heard).map(Arc::new));
        kept.end = end;
        while kept.records.len() > KEPT {
            kept.from = kept.records.pop_front().map_or(end, |gone| gone.offset.next());
        }
    }

    /// The records from an offset on, at most `limit`, and the offset to go on from; nothing where some are not at
    /// hand.
    pub(super) fn read(&self, from: Offset, limit: usize) -> Option<(Vec<Arc<Record>>, Offset)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if from < kept.from {
            return None;
        }
        let first = kept.records.partition_point(|record| record.offset < from);
        let found: Vec<_> = kept.records.iter().skip(first).take(limit).cloned().collect();
        let is_cut = first + found.len() < kept.records.len();
        let next = found.last().filter(|_| is_cut).map_or(kept.end, |last| last.offset.next());
        Some((found, next.max(from)))
    }
}

/// Whether followers hear of it.
fn is_heard(record: &Record) -> bool {
    record.stream.kind() != StreamKind::Delivery
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{BotEvent, DeliveryEvent, DeliveryId, Event, Stream};

    fn record(offset: u64) -> Record {
        let event = Event::Bot(BotEvent::Stopping);
        Record { offset: Offset(offset), at: Timestamp::UNIX_EPOCH, stream: Stream::Bot, event }
    }

    fn delivery(offset: u64) -> Record {
        let id = DeliveryId::parse(format!("delivery-{offset}")).unwrap();
        let event = DeliveryEvent::Replayed { actor: "ada".into(), key: "k".into(), plans: vec![] };
        Record { stream: Stream::Delivery(id), event: Event::Delivery(event), ..record(offset) }
    }

    fn read(tail: &Tail, from: u64, limit: usize) -> Option<(Vec<u64>, u64)> {
        let (found, next) = tail.read(Offset(from), limit)?;
        Some((found.iter().map(|it| it.offset.0).collect(), next.0))
    }

    #[test]
    fn followers_read_what_is_new_in_parts_and_no_deliveries() {
        let tail = Tail::new(Offset(10));
        assert_eq!(read(&tail, 10, 9), Some((vec![], 10)));
        tail.push(vec![delivery(10), record(11), record(12), delivery(13)], Offset(14));
        assert_eq!(read(&tail, 10, 9), Some((vec![11, 12], 14)));
        assert_eq!(read(&tail, 10, 1), Some((vec![11], 12)));
        assert_eq!(read(&tail, 12, 1), Some((vec![12], 14)));
        assert_eq!(read(&tail, 13, 9), Some((vec![], 14)));
        assert_eq!(read(&tail, 9, 9), None, "what was written before is on disk alone");
    }

    #[test]
    fn the_oldest_are_let_go_and_then_asked_for_in_vain() {
        let tail = Tail::new(Offset(0));
        let all = KEPT as u64 + 5;
        tail.push((0..all).map(record).collect(), Offset(all));
        assert_eq!(read(&tail, 4, 1), None);
        assert_eq!(read(&tail, 5, 1), Some((vec![5], 6)));
        assert_eq!(read(&tail, 5, usize::MAX).map(|(found, next)| (found.len(), next)), Some((KEPT, all)));
    }
}
