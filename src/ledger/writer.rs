//! The one thread that writes: it takes what has gathered, decides it, writes and syncs once, and answers all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::domain::{Event, Offset, PlanLine, Record, Request, Stream};

use super::decide::{Append, Appended, Arrival, Birth, Commit, Decided, Requested};
use super::draft::Draft;
use super::error::LedgerError;
use super::frame::{Header, encode};
use super::health::{Door, Seams, Space, Urgency};
use super::index::Index;
use super::log::{Log, Place};
use super::tail::Tail;

/// How many wait for one sync at most: beyond this, a longer group makes the first one wait for nothing.
const LONGEST_GROUP: usize = 512;
/// How long the index's buffers may wait to be written out: what is lost of them is read from the log again.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How many commits may pass in the meantime.
const FLUSH_AFTER: u64 = 20_000;

/// The way back to whoever waits.
pub(super) type Answer<T> = oneshot::Sender<Result<Decided<T>, LedgerError>>;

/// A request, with what comes of it.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) consequences: Vec<(Stream, Event)>,
    pub(super) births: Vec<Birth>,
}

/// Tells whoever waits how it went; with a reason, that nothing was kept.
type Tell = Box<dyn FnOnce(Option<&str>) + Send>;

/// What the writer is asked to do.
pub(super) enum Job {
    Accept(Box<Arrival>, Answer<Vec<PlanLine>>),
    Append(Box<Append>, Answer<Appended>),
    Request(Box<Asked>, Answer<Requested>),
    Close,
}

/// What time it is.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The writer's own things.
pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) index: Index,
    pub(super) door: Arc<Door>,
    pub(super) end: Arc<watch::Sender<Offset>>,
    pub(super) tail: Arc<Tail>,
    pub(super) now: Now,
    pub(super) seams: Seams,
}

/// A group of commits in the making.
struct Group {
    bytes: Vec<u8>,
    records: Vec<Record>,
    next: Offset,
    commits: u64,
    last: Option<(Place, Header)>,
    answers: Vec<Tell>,
    space: Space,
}

impl Writer {
    /// Works until nobody is left to ask, or somebody closes the ledger.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let (mut unflushed, mut flushed_at) = (0, (self.now)());
        loop {
            let first = match jobs.recv_timeout(FLUSH_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let idle = first.is_none();
            let mut group: Vec<Job> = first.into_iter().collect();
            group.extend(jobs.try_iter().take(LONGEST_GROUP - 1));
            let closing = group.iter().any(|job| matches!(job, Job::Close));
            unflushed += self.write(group);
            let late = (self.now)().duration_since(flushed_at).unsigned_abs() >= FLUSH_EVERY;
            if unflushed > 0 && (idle || late || unflushed >= FLUSH_AFTER) {
                self.flush();
                (unflushed, flushed_at) = (0, (self.now)());
            }
            if closing {
                break;
            }
        }
        self.flush();
    }

    fn flush(&self) {
        if let Err(error) = self.index.flush() {
            self.door.close(&error.to_string());
        }
    }

    /// Writes one group. Gives how many commits it had.
    fn write(&mut self, jobs: Vec<Job>) -> u64 {
        let index = self.index.clone();
        let mut draft = Draft::new(&index);
        if let Err(error) = self.log.roll() {
            self.close(&error);
        }
        let mut group = Group::new(self.log.end());
        jobs.into_iter().for_each(|job| self.take(job, &mut draft, &mut group));
        let commits = group.commits;
        let answers = std::mem::take(&mut group.answers);
        let kept = self.keep(draft, group);
        if let Err(error) = &kept {
            self.close(error);
        }
        let why = kept.err().map(|error| error.to_string());
        answers.into_iter().for_each(|answer| answer(why.as_deref()));
        commits
    }

    fn close(&self, error: &LedgerError) {
        tracing::error!(%error, "the ledger is closed until the program starts again");
        self.door.close(&error.to_string());
    }

    fn take(&self, job: Job, draft: &mut Draft<'_>, group: &mut Group) {
        match job {
            Job::Accept(arrival, answer) => {
                let at = arrival.received_at;
                let result = self.decide(at, Urgency::New, draft, group, |commit| commit.accept(*arrival));
                group.answer(answer, result);
            }
            Job::Append(append, answer) => {
                let result =
                    self.decide((self.now)(), Urgency::UnderWay, draft, group, |commit| commit.append(*append));
                group.answer(answer, result);
            }
            Job::Request(asked, answer) => {
                let Asked { request, consequences, births } = *asked;
                let result = self.decide((self.now)(), Urgency::UnderWay, draft, group, |commit| {
                    commit.request(request, consequences, births)
                });
                group.answer(answer, result);
            }
            Job::Close => {}
        }
    }

    /// Decides one commit, and adds it to the group where there is something to write.
    fn decide<T>(
        &self,
        at: Timestamp,
        urgency: Urgency,
        draft: &mut Draft<'_>,
        group: &mut Group,
        what: impl FnOnce(&mut Commit<'_, '_>) -> Result<Decided<T>, LedgerError>,
    ) -> Result<Decided<T>, LedgerError> {
        let mut commit = Commit::new(draft, at, group.next);
        let decided = what(&mut commit).and_then(|decided| {
            if commit.records.is_empty() {
                return Ok((decided, Vec::new()));
            }
            self.door.check_open()?;
            group.space.check(&self.door, group.bytes.len() as u64, urgency)?;
            Ok((decided, std::mem::take(&mut commit.records)))
        });
        let (decided, records) = decided.inspect_err(|_| draft.discard())?;
        if !records.is_empty() {
            let place = Place { byte: self.log.place().byte + group.bytes.len() as u64, ..self.log.place() };
            let before = group.bytes.len();
            let header = encode(&records, self.log.end(), &mut group.bytes);
            draft.placed(header.offset, place, (group.bytes.len() - before) as u64);
            draft.settle();
            group.next = Offset(group.next.0 + header.records);
            group.commits += 1;
            group.last = Some((place, header));
            group.records.extend(records);
        }
        Ok(decided)
    }

    /// Makes a group durable, then visible.
    fn keep(&mut self, draft: Draft<'_>, group: Group) -> Result<(), LedgerError> {
        let Group { bytes, records, next: end, last: Some(last), .. } = group else { return Ok(()) };
        self.log.write(&bytes, end, &self.seams)?;
        (self.seams.probe)("before-index");
        self.index.write(draft.into_batch(last, self.log.place()))?;
        (self.seams.probe)("after-index");
        self.tail.push(records, end);
        self.end.send_replace(end);
        Ok(())
    }
}

impl Group {
    fn new(next: Offset) -> Self {
        let (bytes, records, answers, space) = (Vec::new(), Vec::new(), Vec::new(), Space::default());
        Self { bytes, records, next, commits: 0, last: None, answers, space }
    }

    /// Keeps an answer until the group is durable: also a repeat may be one of a commit of this very group.
    fn answer<T: Send + 'static>(&mut self, to: Answer<T>, result: Result<Decided<T>, LedgerError>) {
        self.answers.push(Box::new(move |closed| {
            let closed = closed.map(|why| Err(LedgerError::Closed { why: why.to_owned() }));
            // Whoever asked may have gone; what was written stays written.
            let _ = to.send(closed.unwrap_or(result));
        }));
    }
}
