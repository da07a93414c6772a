//! The thread that decides: it takes what has gathered, decides it, renders it, and hands it over to be kept. It runs one
//! group ahead of the disk, and tells nobody anything.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::domain::{Event, Offset, PlanLine, Record, Request, Stream};

use super::decide::{Append, Appended, Arrival, Birth, Commit, Decided, Requested};
use super::draft::{Changes, Draft};
use super::error::LedgerError;
use super::frame::{Header, encode};
use super::health::{Door, Space, Urgency};
use super::index::Index;
use super::keeper::{Keeper, Tell, ToKeep};
use super::log::{Ahead, Place};

/// How many wait for one sync at most: beyond this, a longer group makes the first one wait for nothing.
const LONGEST_GROUP: usize = 512;
/// The way back to whoever waits.
pub(super) type Answer<T> = oneshot::Sender<Result<Decided<T>, LedgerError>>;

/// A request, with what comes of it.
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) consequences: Vec<(Stream, Event)>,
    pub(super) births: Vec<Birth>,
}

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
    /// Where the log will be.
    pub(super) ahead: Ahead,
    pub(super) index: Index,
    pub(super) door: Arc<Door>,
    pub(super) now: Now,
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
    ///
    /// Two threads: while one group is synced and put into the index, the next is decided. A group waits for the one
    /// before it, so that what is on its way to the disk and into the index is one group at most.
    pub(super) fn run(mut self, keeper: Keeper, jobs: &Receiver<Job>) {
        let (hand_over, handed_over) = sync_channel(0);
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("ledger-keeper".into());
            match thread.spawn_scoped(scope, move || keeper.run(&handed_over)) {
                Ok(_) => self.work(jobs, &hand_over),
                Err(error) => self.door.close(&format!("cannot start the thread that keeps what is written: {error}")),
            }
            drop(hand_over);
        });
    }

    fn work(&mut self, jobs: &Receiver<Job>, hand_over: &SyncSender<ToKeep>) {
        let mut before = Arc::default();
        while let Ok(first) = jobs.recv() {
            let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(LONGEST_GROUP - 1)).collect();
            let closing = group.iter().any(|job| matches!(job, Job::Close));
            // Once the door is closed, what was on its way to the index is there or lost.
            let upon_index = self.door.check_open().is_err();
            if upon_index {
                before = Arc::default();
            }
            let decided = self.decide_all(group, &before, upon_index);
            before = decided.changes.clone();
            if hand_over.send(decided).is_err() {
                self.door.close("the thread that keeps what is written has ended");
                return;
            }
            if closing {
                return;
            }
        }
    }

    /// Decides one group.
    fn decide_all(&mut self, jobs: Vec<Job>, before: &Arc<Changes>, upon_index: bool) -> ToKeep {
        let index = self.index.clone();
        let mut draft = Draft::new(&index, before.clone());
        self.ahead.roll();
        let mut group = Group::new(self.ahead.end);
        jobs.into_iter().for_each(|job| self.take(job, &mut draft, &mut group));
        let Group { bytes, records, next: end, commits, last, answers, space: _ } = group;
        self.ahead.go_on(bytes.len(), end);
        ToKeep { bytes, changes: Arc::new(draft.into_changes()), records, commits, last, end, answers, upon_index }
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
            let place = Place { byte: self.ahead.place.byte + group.bytes.len() as u64, ..self.ahead.place };
            let before = group.bytes.len();
            let header = encode(&records, self.ahead.end, &mut group.bytes);
            draft.placed(header.offset, place, (group.bytes.len() - before) as u64);
            draft.settle();
            group.next = Offset(group.next.0 + header.records);
            group.commits += 1;
            group.last = Some((place, header));
            group.records.extend(records);
        }
        Ok(decided)
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
