//! Lists of deliveries, newest first: by repository, by time. Never reads more of history than it is asked for.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{DeliveryEvent, Event, Offset, Record, RepositoryName};

use super::error::LedgerError;
use super::handle::Ledger;
use super::keys;
use super::read::LOOKED_AT;

/// How far the times of deliveries may be out of the order in which they were written: a body is long on its way, a clock
/// is set.
const DISORDER: SignedDuration = SignedDuration::from_mins(10);

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this repository.
    pub repository: Option<RepositoryName>,
    /// Received at this time or later.
    pub since: Option<Timestamp>,
    /// Received before this time.
    pub until: Option<Timestamp>,
    /// Written before this one: the last of the page before.
    pub before: Option<Offset>,
    /// At most so many.
    pub limit: usize,
}

impl DeliveryFilter {
    fn takes(&self, record: &Record) -> bool {
        let Self { repository, since, until, before: _, limit: _ } = self;
        since.is_none_or(|it| it <= record.at)
            && until.is_none_or(|it| record.at < it)
            && repository.as_ref().is_none_or(|it| is_of(record, it))
    }

    /// Whether all that was written before this one is too old.
    fn ends_at(&self, record: &Record) -> bool {
        self.since.is_some_and(|since| record.at < moved(since, -DISORDER))
    }
}

impl Ledger {
    /// The deliveries before an offset, newest first, as they came in.
    pub fn deliveries(&self, before: Option<Offset>, limit: usize) -> Result<Vec<Record>, LedgerError> {
        Ok(self.look_through(&DeliveryFilter { before, limit, ..DeliveryFilter::default() }, usize::MAX)?.0)
    }

    /// Those that the filter takes among so many at most, for a reader who can ask again. Where there are more to look at,
    /// the last one that was.
    pub fn deliveries_among(&self, filter: &DeliveryFilter) -> Result<(Vec<Record>, Option<Offset>), LedgerError> {
        self.look_through(filter, LOOKED_AT)
    }

    fn look_through(&self, filter: &DeliveryFilter, most: usize) -> Result<(Vec<Record>, Option<Offset>), LedgerError> {
        let (mut found, mut last) = (Vec::new(), None);
        let begin = filter.until.map(|until| self.behind_deliveries_until(moved(until, DISORDER))).transpose()?;
        let before = begin.into_iter().chain(filter.before).min();
        for (looked_at, offset) in self.delivered_before(before)?.enumerate() {
            if found.len() >= filter.limit {
                break;
            }
            if looked_at == most {
                return Ok((found, last));
            }
            let record = self.0.index.record(offset?)?;
            if filter.ends_at(&record) {
                break;
            }
            last = Some(record.offset);
            found.extend(Some(record).filter(|record| filter.takes(record)));
        }
        Ok((found, None))
    }

    /// The offsets of deliveries, from before one on, newest first.
    fn delivered_before(&self, before: Option<Offset>) -> Result<Offsets, LedgerError> {
        let below = move |offset: &Offset| before.is_none_or(|before| *offset < before);
        let entries = self.0.index.backwards(keys::DELIVERIES, before.map(keys::after_delivered))?;
        Ok(Box::new(entries.flat_map(move |entry| match entry {
            Ok((key, bits)) => keys::deliveries_in(&key, &bits).into_iter().rev().filter(below).map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })))
    }

    /// An offset behind which all deliveries are younger than a time: found by halving, as they lie about in order.
    fn behind_deliveries_until(&self, time: Timestamp) -> Result<Offset, LedgerError> {
        let (mut low, mut high) = (0, self.end().0);
        while low < high {
            let middle = low + (high - low) / 2;
            let newest = self.delivered_before(Some(Offset(middle)))?.next().transpose()?;
            let newest = newest.map(|offset| self.0.index.record(offset)).transpose()?;
            match newest.filter(|record| record.at > time) {
                Some(younger) => high = younger.offset.0,
                None => low = middle + 1,
            }
        }
        Ok(Offset(high))
    }
}

type Offsets = Box<dyn Iterator<Item = Result<Offset, LedgerError>>>;

fn is_of(record: &Record, repository: &RepositoryName) -> bool {
    match &record.event {
        Event::Delivery(DeliveryEvent::Received { push, .. }) => push.repository.name.is_same(repository),
        Event::Delivery(DeliveryEvent::Replayed { .. }) => false,
        Event::Deployment(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => false,
    }
}

/// A time moved as far as there is time.
fn moved(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(at)
}
