//! What the ledger says that sinks should hear of: at the start, and of deployments that nobody knows here. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::sink::Sink;
use super::way::{Down, Voice};
use crate::domain::{Deployment, DeploymentId, Event, NoticeState, Offset, Record, SinkEvent, Stream};
use crate::ledger::{Filter, Ledger, LedgerError};

/// Records or deployments read at a time.
const BATCH: usize = 500;
/// After so many in a row that are told, older ones are too: looking at all of history would grow with it.
const SETTLED_IN_A_ROW: usize = 1000;
/// The end of the log that is looked at in any case: an old deployment may have ended last.
const TAIL: u64 = 10_000;
/// For how long an end is news to a place that missed it.
const MISSED: SignedDuration = SignedDuration::from_hours(24);
/// Budgets of writes go back so far.
const COUNTED: SignedDuration = SignedDuration::from_hours(1);
/// Successes of a target read at a time, until the one before is found.
const SUCCESSES: usize = 50;

/// A sink, a deployment that it takes, and what it was last told of it.
pub(super) type Heard = (usize, Deployment, Option<SinkEvent>);

/// These deployments as they stand, for each sink that takes them.
pub(super) fn look_up(ledger: &Ledger, sinks: &[Sink], ids: BTreeSet<DeploymentId>) -> Result<Vec<Heard>, LedgerError> {
    let mut heard = Vec::new();
    for id in ids {
        let Some(deployment) = ledger.deployment(id)? else { continue };
        for (index, sink) in sinks.iter().enumerate().filter(|(_, sink)| sink.takes(deployment.order())) {
            heard.push((index, deployment.clone(), ledger.sent(sink.name(), id)?));
        }
    }
    Ok(heard)
}

/// What the sinks were not told before the program last ended, when they last spoke in which name, and who was down.
#[derive(Default)]
pub(super) struct Untold {
    pub(super) heard: Vec<Heard>,
    pub(super) writes: Vec<(Voice, Timestamp)>,
    pub(super) outages: Vec<(Voice, Down)>,
}

/// Looks for it: in what is unfinished, in the newest deployments, and at the end of the log.
pub(super) fn untold(ledger: &Ledger, sinks: &[Sink], end: Offset, now: Timestamp) -> Result<Untold, LedgerError> {
    let mut looked_at = BTreeSet::new();
    let silent = sinks.iter().map(|sink| silent_since(ledger, sink)).collect::<Result<Vec<_>, _>>()?;
    let Untold { heard: mut untold, mut writes, .. } = Untold::default();
    let mut look = |deployment: Deployment| -> Result<bool, LedgerError> {
        let mut all = true;
        if !looked_at.insert(deployment.id()) {
            return Ok(all);
        }
        for (index, sink) in sinks.iter().enumerate().filter(|(_, sink)| sink.takes(deployment.order())) {
            let last = ledger.sent(sink.name(), deployment.id())?;
            if !is_told(ledger, (sink, silent[index]), &deployment, last.as_ref(), now)? {
                untold.push((index, deployment.clone(), last));
                all = false;
            }
        }
        Ok(all)
    };
    for id in ledger.unfinished()? {
        ledger.deployment(id)?.map(&mut look).transpose()?;
    }
    let (mut before, mut in_a_row) = (None, 0);
    while in_a_row < SETTLED_IN_A_ROW {
        let page = ledger.deployments(&Filter { before, limit: BATCH, ..Filter::default() })?;
        let Some(oldest) = page.last() else { break };
        before = Some(oldest.id());
        for deployment in page {
            in_a_row = if look(deployment)? { in_a_row + 1 } else { 0 };
        }
    }
    let mut from = Offset(end.0.saturating_sub(TAIL));
    while from < end {
        let records = ledger.read(from, BATCH)?;
        let Some(last) = records.last() else { break };
        from = last.offset.next();
        for record in records.iter().filter(|it| now.duration_since(it.at) < COUNTED) {
            writes.extend(voice_of(ledger, sinks, record)?.map(|voice| (voice, record.at)));
        }
        for id in records.iter().filter_map(|record| deployment_of(&record.stream)).collect::<BTreeSet<_>>() {
            ledger.deployment(id)?.map(&mut look).transpose()?;
        }
    }
    Ok(Untold { heard: untold, writes, outages: outages(ledger, sinks)? })
}

/// Since when a place in chat that was told of deployments before heard nothing: it was down, or we were.
fn silent_since(ledger: &Ledger, sink: &Sink) -> Result<Option<Timestamp>, LedgerError> {
    if !matches!(sink, Sink::Chat(_)) {
        return Ok(None);
    }
    let last = ledger.latest(&Stream::Sink(sink.name().into()), None, 1)?.into_iter().next();
    Ok(last.map(|record| match record.event {
        Event::Sink(SinkEvent::Stumbled { down_since: Some(since), .. }) => since,
        Event::Sink(_) | Event::Delivery(_) | Event::Deployment(_) | Event::Target(_) | Event::Bot(_) => record.at,
    }))
}

/// Who was down, by what came of the last message in each name.
fn outages(ledger: &Ledger, sinks: &[Sink]) -> Result<Vec<(Voice, Down)>, LedgerError> {
    let mut last = Vec::new();
    for sink in sinks {
        last.extend(ledger.latest(&Stream::Sink(sink.name().into()), None, 1)?);
    }
    last.sort_by_key(|record| record.offset);
    let mut voices = BTreeMap::new();
    for record in last {
        let Some(voice) = voice_of(ledger, sinks, &record)? else { continue };
        let down = match record.event {
            Event::Sink(SinkEvent::Stumbled { failure, down_since, .. }) => {
                down_since.map(|since| Down { since, failure })
            }
            Event::Sink(_) | Event::Delivery(_) | Event::Deployment(_) | Event::Target(_) | Event::Bot(_) => None,
        };
        voices.insert(voice, down);
    }
    Ok(voices.into_iter().filter_map(|(voice, down)| Some((voice, down?))).collect())
}

/// In whose name a message was sent, whatever came of it, where a record tells of one.
fn voice_of(ledger: &Ledger, sinks: &[Sink], record: &Record) -> Result<Option<Voice>, LedgerError> {
    let (Stream::Sink(name), Event::Sink(event)) = (&record.stream, &record.event) else { return Ok(None) };
    let Some(sink) = sinks.iter().find(|sink| sink.name() == name) else { return Ok(None) };
    let deployment = ledger.deployment(event.deployment())?;
    Ok(deployment.and_then(|it| sink.voice(&it.order().target.repository)))
}

/// Whether a deployment is over and a sink knows how it ended, or never heard of it and it is no news any more. What ended
/// after the sink fell silent was missed, and is news for a day.
fn is_told(
    ledger: &Ledger,
    (sink, silent): (&Sink, Option<Timestamp>),
    deployment: &Deployment,
    last: Option<&SinkEvent>,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let Some(ended_at) = deployment.ended_at() else { return Ok(false) };
    let is_missed = silent.is_some_and(|silent| silent <= ended_at) && now.duration_since(ended_at) <= MISSED;
    Ok(match last {
        Some(SinkEvent::Sent { state, text, .. }) => {
            sink.notice(ledger, deployment, last)?.is_none_or(|it| (it.state, &it.text) == (*state, text))
        }
        Some(SinkEvent::Stumbled { .. }) => false,
        Some(SinkEvent::GaveUp { .. }) | None => now > sink.is_news_until(ended_at) && !is_missed,
    })
}

/// What this one replaced at its target, as far as a sink still says that it is live there.
pub(super) fn replaced(ledger: &Ledger, sinks: &[Sink], by: DeploymentId) -> Result<Vec<Heard>, LedgerError> {
    let mut heard = Vec::new();
    for (index, sink) in sinks.iter().enumerate().filter(|(_, sink)| sink.says_what_is_gone()) {
        let Some(newer) = ledger.deployment(by)?.filter(|it| sink.takes(it.order())) else { continue };
        heard.extend(standing(ledger, sink, &newer)?.map(|(older, last)| (index, older, Some(last))));
    }
    Ok(heard)
}

/// The newest success of the target besides this one that stands at a sink, not said to be over. Where one before it was said
/// to be, those before that one were too.
fn standing(ledger: &Ledger, sink: &Sink, by: &Deployment) -> Result<Option<(Deployment, SinkEvent)>, LedgerError> {
    let (target, mut before) = (&by.order().target.name, None);
    loop {
        let (target, state) = (Some(target.clone()), Some("succeeded".to_owned()));
        let page = ledger.deployments(&Filter { target, state, before, limit: SUCCESSES, ..Filter::default() })?;
        let Some(oldest) = page.last() else { return Ok(None) };
        before = Some(oldest.id());
        for older in page.into_iter().filter(|it| it.id() != by.id()) {
            match ledger.sent(sink.name(), older.id())? {
                Some(SinkEvent::Sent { state: NoticeState::Inactive, .. }) => return Ok(None),
                // What was given up later stands there all the same.
                Some(last) if last.remote_id().is_some() => return Ok(Some((older, last))),
                Some(_) | None => {}
            }
        }
    }
}

fn deployment_of(stream: &Stream) -> Option<DeploymentId> {
    match stream {
        Stream::Deployment(id) => Some(*id),
        Stream::Delivery(_) | Stream::Target(_) | Stream::Sink(_) | Stream::Bot => None,
    }
}
