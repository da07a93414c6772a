//! The outbox: what the world should know of each deployment, less what the ledger says that it knows. It sends one
//! message at a time, passes over what is out of date, and never sends what a newer deployment has already replaced.

mod gather;
mod outages;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::brief::{self, Brief};
use super::line::{Due, Line};
use super::pace::{self, Pace};
use super::sink::{Message, Sink};
use super::untold::{self, Heard, Untold};
use super::way::{Voice, Way};
use crate::board::Outages;
use crate::clients::{Clock, span};
use crate::domain::{
    Deployment, DeploymentEvent, DeploymentId, Event, Failure, NoticeState, Offset, Order, Record, RepositoryName,
    SinkEvent, State, Stream, due,
};
use crate::ledger::{Append, Ledger, LedgerError, Probe};

/// Records read at a time.
const BATCH: usize = 500;
/// How long a running request may still take once the program is asked to end, and how long the rest may.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// A token may be given a right while the bot runs.
const DENIED_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a full disk is waited for.
const FULL_WAIT: Duration = Duration::from_secs(10);

/// Why reports cannot go on.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A thread that read the ledger ended in a bug.
    #[error("reading the ledger broke off: {0}")]
    BrokeOff(#[from] tokio::task::JoinError),
}

impl ReportError {
    /// What a person reads.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Ledger(error) => error.failure(),
            Self::BrokeOff(_) => Failure::setup("report/broke-off", self.to_string()),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        error.failure()
    }
}

/// What came of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done; there may be more.
    Did,
    /// Nothing is to be done before this time.
    Until(Timestamp),
    /// Nothing is to be done until something happens.
    Idle,
}

/// A sink, and in whose name it speaks, where that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    sink: usize,
    voice: Option<Voice>,
}

/// Tells the world how deployments go. It follows the ledger, and is the only one that writes to `sink/…`.
pub struct Reports {
    ledger: Ledger,
    sinks: Vec<Sink>,
    clock: Clock,
    public_url: Option<String>,
    pace: Pace,
    probe: Probe,
    outages: Outages,
    /// Whom a message is under way to: that stays where it is broken off.
    under_way: Option<Voice>,
    /// Read up to here; nothing before the first turn.
    next: Option<Offset>,
    /// What waits for each sink.
    lines: BTreeMap<Place, Line>,
    /// To GitHub, which bears one writer in each name: all sinks share it.
    ways: BTreeMap<Voice, Way>,
    /// What a token may not do in a repository, and until when it is not tried again. Commit statuses are always tried, and
    /// comments, for which it depends on where they stand.
    denied: BTreeMap<(usize, RepositoryName), (Timestamp, Failure)>,
}

impl Reports {
    /// Reports of what stands in `ledger`, to `sinks`. Links lead to `public_url`.
    pub fn new(ledger: Ledger, sinks: Vec<Sink>, clock: Clock, public_url: Option<String>) -> Self {
        let (pace, probe): (_, Probe) = (Pace::default(), Arc::new(|_| ()));
        Self {
            ledger,
            sinks,
            clock,
            public_url,
            pace,
            probe,
            outages: Outages::default(),
            under_way: None,
            next: None,
            lines: BTreeMap::new(),
            ways: BTreeMap::new(),
            denied: BTreeMap::new(),
        }
    }

    /// The same, at another pace.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same, telling `probe` of each seam: `report-before-send`, `report-sent`, `report-recorded`.
    #[must_use]
    pub fn probed(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// The same, saying in `outages` which places take no message.
    #[must_use]
    pub fn showing(mut self, outages: Outages) -> Self {
        self.sinks.iter().filter(|sink| matches!(sink, Sink::Chat(_))).for_each(|sink| outages.set(sink.name(), None));
        self.outages = outages;
        self
    }

    /// Follows the ledger until `stop`, then sends what is left, for some seconds at most.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ReportError> {
        let mut end = self.ledger.follow();
        while !stop.is_cancelled() {
            end.borrow_and_update();
            let overtime = async {
                stop.cancelled().await;
                tokio::time::sleep(FLUSH_WITHIN).await;
            };
            let turn = tokio::select! {
                turn = self.advance() => turn,
                () = overtime => break,
            };
            let until = match turn {
                Ok(Turn::Did) => continue,
                Ok(Turn::Until(at)) => at,
                Ok(Turn::Idle) => Timestamp::MAX,
                Err(ReportError::Ledger(LedgerError::Full { free, reserve })) => {
                    tracing::warn!(free, reserve, "what was reported cannot be written down: the disk is full");
                    pace::after(self.clock.now(), FULL_WAIT)
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = end.changed() => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
        self.flush(FLUSH_WITHIN).await
    }

    /// One turn: hears what happened, and sends at most one message.
    pub async fn advance(&mut self) -> Result<Turn, ReportError> {
        self.catch_up().await?;
        let now = self.clock.now();
        // Of all that may be said now, what is over goes first: it is what people wait for.
        let next = self.waiting(now).min_by_key(|(_, due)| (due.at.max(now), !due.is_end, due.at, due.id));
        match next.map(|(place, due)| (place.clone(), due)) {
            None => Ok(Turn::Idle),
            Some((_, due)) if due.at > now => Ok(Turn::Until(due.at)),
            Some((place, due)) => self.tell(&place, due.id).await.map(|()| Turn::Did),
        }
    }

    /// What waits for each sink, by when it may be said there.
    fn waiting(&self, now: Timestamp) -> impl Iterator<Item = (&Place, Due)> {
        self.lines.iter().flat_map(move |(place, line)| {
            line.next(&self.pace).map(move |next| {
                let at = due(next.at, now);
                let at = self.free_at(place, next.is_end, now).map_or(at, |free| free.max(at));
                (place, Due { at, ..next })
            })
        })
    }

    /// When a sink may speak next: of what is over, or of what goes on.
    fn free_at(&self, Place { sink, voice }: &Place, is_end: bool, now: Timestamp) -> Option<Timestamp> {
        let voice = voice.as_ref()?;
        let paced = self.ways.get(voice).and_then(|way| way.free_at(is_end, &self.pace, now));
        paced.max(self.sinks[*sink].held_until(voice, is_end))
    }

    /// Turns until there is nothing to do now. What is due later comes back as the time.
    pub async fn run_to_idle(&mut self) -> Result<Turn, ReportError> {
        loop {
            match self.advance().await? {
                Turn::Did => {}
                turn @ (Turn::Until(_) | Turn::Idle) => return Ok(turn),
            }
        }
    }

    /// Sends everything that waits for its pace or for more of its kind only, for as long as `within`. What is being tried
    /// again, or waits for the end of quiet hours, is left: it is found in the ledger at the next start.
    pub async fn flush(&mut self, within: Duration) -> Result<(), ReportError> {
        let all = async {
            self.catch_up().await?;
            self.tell_ready().await?;
            // What was held back by now is told together.
            let now = self.clock.now();
            self.lines.values_mut().for_each(|line| line.release(now));
            self.tell_ready().await
        };
        tokio::time::timeout(within, all).await.unwrap_or_else(|_| {
            tracing::warn!("not everything was reported in time: the rest follows at the next start");
            Ok(())
        })
    }

    async fn tell_ready(&mut self) -> Result<(), ReportError> {
        while let Some((place, id)) = self.ready() {
            self.tell(&place, id).await?;
        }
        Ok(())
    }

    /// What waits for its pace only, and can be said where nothing is down and no message was broken off.
    fn ready(&self) -> Option<(Place, DeploymentId)> {
        let is_open = |Place { sink, voice }: &Place| {
            let Some(voice) = voice else { return true };
            let is_up = self.ways.get(voice).is_none_or(Way::seems_up) && self.under_way.as_ref() != Some(voice);
            is_up && self.sinks[*sink].held_until(voice, true).is_none()
        };
        let mut open = self.lines.iter().filter(|(place, _)| is_open(place));
        open.find_map(|(place, line)| line.ready(self.clock.now()).map(|id| (place.clone(), id)))
    }

    /// Hears what happened since the last turn. The first time: what was not told before the last end.
    async fn catch_up(&mut self) -> Result<(), ReportError> {
        if self.next.is_none() {
            let end = self.ledger.end();
            let (sinks, now) = (self.sinks.clone(), self.clock.now());
            let untold = self.read(move |ledger| untold::untold(ledger, &sinks, end, now)).await?;
            let Untold { heard, writes, outages } = untold;
            heard.into_iter().for_each(|heard| self.remember(heard));
            let mut of_voices: BTreeMap<Voice, Vec<Timestamp>> = BTreeMap::new();
            writes.into_iter().for_each(|(voice, at)| of_voices.entry(voice).or_default().push(at));
            self.ways = of_voices.into_iter().map(|(voice, writes)| (voice, Way::after(writes))).collect();
            outages.into_iter().for_each(|(voice, down)| self.was_down(voice, down));
            self.next = Some(end);
        }
        while let Some(from) = self.next.filter(|next| *next < self.ledger.end()) {
            let (records, next) = self.ledger.news(from, BATCH).await?;
            let strangers: BTreeSet<_> = records.iter().filter_map(|record| self.hear(record)).collect();
            if !strangers.is_empty() {
                let sinks = self.sinks.clone();
                let known = self.read(move |ledger| untold::look_up(ledger, &sinks, strangers)).await?;
                known.into_iter().for_each(|heard| self.remember(heard));
            }
            let risen: Vec<_> = records.iter().filter_map(|record| rises(record)).collect();
            if !risen.is_empty() && self.sinks.iter().any(Sink::says_what_is_gone) {
                let sinks = self.sinks.clone();
                let replaced = move |ledger: &Ledger| {
                    risen.into_iter().try_fold(vec![], |mut all, id| {
                        all.extend(untold::replaced(ledger, &sinks, id)?);
                        Ok(all)
                    })
                };
                self.read(replaced).await?.into_iter().for_each(|heard| self.remember(heard));
            }
            self.next = Some(next);
        }
        self.show();
        Ok(())
    }

    /// Takes one more record. Gives the deployment where it goes on and is not known here.
    fn hear(&mut self, record: &Record) -> Option<DeploymentId> {
        let (Stream::Deployment(id), Event::Deployment(event)) = (&record.stream, &record.event) else { return None };
        if let DeploymentEvent::Planned { order } = event {
            let takers: Vec<usize> = (0..self.sinks.len()).filter(|it| self.sinks[*it].takes(order)).collect();
            takers.into_iter().for_each(|sink| self.line(sink, order).born(*id));
            return None;
        }
        let (now, is_end) = (self.clock.now(), event.is_end());
        let mut known = false;
        for line in self.lines.values_mut() {
            known |= line.went_on(*id, is_end, now, &self.pace);
        }
        (!known).then_some(*id)
    }

    /// Takes a deployment that was read from the ledger.
    fn remember(&mut self, (sink, deployment, last): Heard) {
        let (id, now, pace) = (deployment.id(), self.clock.now(), self.pace);
        let line = self.line(sink, deployment.order());
        if last.is_none() && matches!(deployment.state(), State::Planned) {
            line.born(id);
            return;
        }
        line.remember(id, last);
        line.went_on(id, deployment.state().is_over(), now, &pace);
    }

    /// Where what is to be said of such a deployment at a sink waits.
    fn line(&mut self, sink: usize, order: &Order) -> &mut Line {
        let voice = self.sinks[sink].voice(&order.target.repository);
        self.lines.entry(Place { sink, voice }).or_default()
    }

    /// Says what is to be said of one deployment at one sink, and writes down what came of it.
    async fn tell(&mut self, place: &Place, id: DeploymentId) -> Result<(), ReportError> {
        let (index, now) = (place.sink, self.clock.now());
        let line = self.lines.entry(place.clone()).or_default();
        line.begin(id, now, &self.pace);
        let (sink, known, url) = (self.sinks[index].clone(), line.settled(id), self.public_url.clone());
        let read = move |ledger: &Ledger| brief::read(ledger, &sink, id, known.as_ref(), url.as_deref());
        let brief = self.read(read).await?;
        let is_over = brief.as_ref().is_none_or(|it| it.deployment.state().is_over());
        let denied = brief.as_ref().and_then(|it| self.denied(index, &it.deployment)).cloned();
        let (deployment, message) = match (brief, denied) {
            (Some(Brief { deployment, message: Some(message), last }), None) => {
                if last.is_none() && self.sinks[index].looks_for_its_own() {
                    self.write_down(index, being_made(id, &message)).await?;
                }
                (deployment, message)
            }
            (Some(Brief { message: Some(message), last, .. }), Some(failure))
                if !matches!(last, Some(SinkEvent::GaveUp { .. })) =>
            {
                self.lines.entry(place.clone()).or_default().settle(id, is_over, None, now);
                let Message { remote_id, stand: nth, .. } = message;
                return self.write_down(index, SinkEvent::GaveUp { deployment: id, failure, remote_id, nth }).await;
            }
            _ => {
                self.lines.entry(place.clone()).or_default().settle(id, is_over, None, now);
                return Ok(());
            }
        };
        if self.hold_back(place, id, &message) {
            return Ok(());
        }
        let gathered = self.gathered_with(place, id);
        if !gathered.is_empty() {
            return self.tell_together(place, gathered).await;
        }
        let span = span::of(&deployment);
        self.say(place, deployment, message).instrument(span).await
    }

    /// Says it, and writes down what came of it.
    async fn say(&mut self, place: &Place, deployment: Deployment, message: Message) -> Result<(), ReportError> {
        let sink = &self.sinks[place.sink];
        (self.probe)("report-before-send");
        self.under_way.clone_from(&place.voice);
        let said = sink.say(&deployment, &message, self.clock.now()).await;
        self.under_way = None;
        (self.probe)("report-sent");
        if let Some(voice) = &place.voice {
            self.ways.entry(voice.clone()).or_default().write(self.clock.now());
        }
        let event = match said {
            Ok(said) => {
                if message.remote_id.is_none() || message.remote_id != said.remote_id {
                    self.count(place);
                }
                self.was_said(place, &deployment, message, said)
            }
            Err(unsaid) => self.stumble(place, &deployment, message, unsaid),
        };
        self.show();
        self.write_down(place.sink, event).await
    }

    /// What is in memory is right already: where the ledger is full, nothing is said twice for it.
    async fn write_down(&self, sink: usize, event: SinkEvent) -> Result<(), ReportError> {
        let stream = Stream::Sink(self.sinks[sink].name().into());
        self.ledger.append(Append { stream, expect: None, event: Event::Sink(event), births: vec![] }).await?;
        (self.probe)("report-recorded");
        Ok(())
    }

    /// Why such a thing need not be tried, where the token is known not to be allowed it.
    fn denied(&self, sink: usize, deployment: &Deployment) -> Option<&Failure> {
        let (until, failure) = self.denied.get(&(sink, deployment.order().target.repository.clone()))?;
        Some(failure).filter(|_| self.clock.now() < *until)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ReportError> {
        let ledger = self.ledger.clone();
        Ok(span::blocking(move || read(&ledger)).await??)
    }
}

/// What makes something of its own at the other side is written down before: killed then, it is looked for there, and
/// never left as it was made.
fn being_made(deployment: DeploymentId, message: &Message) -> SinkEvent {
    let Message { context, sha, stand: nth, .. } = message.clone();
    let (state, text) = (NoticeState::Pending, "Being made".into());
    SinkEvent::Sent { deployment, context, sha, state, text, remote_id: None, nth, steps: 0 }
}

/// The deployment that something else at its target makes room for, where the record tells of it.
fn rises(record: &Record) -> Option<DeploymentId> {
    match (&record.stream, &record.event) {
        (Stream::Deployment(id), Event::Deployment(DeploymentEvent::Succeeded { .. })) => Some(*id),
        _ => None,
    }
}
