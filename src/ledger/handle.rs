//! The ledger as others hold it: opened once, cloned freely, written to by three verbs. It decides nothing itself.

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use crate::domain::{BodyAt, BotEvent, Delivery, DeliveryEvent, Event, Offset, Plan, Record, Request, Stream};

use super::bodies::Bodies;
use super::decide::{Accepted, Append, Appended, Arrival, Birth, Decided, Requested};
use super::error::LedgerError;
use super::health::{Door, Health, Seams, Space, Urgency};
use super::index::Index;
use super::keeper::Keeper;
use super::keys;
use super::log::sync_dir;
use super::opening::{lock, open_files};
use super::tail::Tail;
use super::writer::{Answer, Asked, Job, Now, Writer};

/// What the configuration says of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the disk that stay free: deliveries are refused before.
    pub reserve_bytes: u64,
    /// The length from which on a segment is followed by a new one.
    pub segment_bytes: u64,
    /// The length from which on sled's file is made anew, without what only grows.
    pub index_bytes: u64,
}

/// How long sled's file becomes: an empty one has half a megabyte, and what it holds is in memory, too.
const INDEX_BYTES: RangeInclusive<u64> = 4 << 20..=64 << 20;

impl Options {
    /// With an index whose file becomes as long as a segment, as far as that is good for it.
    pub fn of(reserve_bytes: u64, segment_bytes: u64) -> Self {
        let index_bytes = segment_bytes.clamp(*INDEX_BYTES.start(), *INDEX_BYTES.end());
        Self { reserve_bytes, segment_bytes, index_bytes }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::of(256 << 20, 64 << 20)
    }
}

/// What happened, in order, on disk. Clones share one writer.
///
/// Every verb that writes returns only after what it wrote would survive a power cut. Writing is asynchronous; reading
/// blocks for the disk, so asynchronous callers read by `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Ledger(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) index: Index,
    pub(super) index_bytes: u64,
    pub(super) bodies: Bodies,
    pub(super) seams: Seams,
    gate: Arc<Mutex<()>>,
    door: Arc<Door>,
    end: Arc<watch::Sender<Offset>>,
    tail: Arc<Tail>,
    jobs: Mutex<Option<Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<File>>,
}

impl Ledger {
    /// Opens the ledger that lies in `dir` (the program's is `data_dir/ledger`), or begins one.
    pub fn open(dir: &Path, options: Options, now: Now) -> Result<Self, LedgerError> {
        Self::open_with(dir, options, now, Seams::default())
    }

    /// The same, with places for tests to take hold of.
    pub fn open_with(dir: &Path, options: Options, now: Now, seams: impl Into<Seams>) -> Result<Self, LedgerError> {
        let logs = dir.join("log");
        fs::create_dir_all(&logs).map_err(LedgerError::storage("create", &logs))?;
        let lock = lock(dir)?;
        let bodies = Bodies::open(&dir.join("bodies"))?;
        sync_dir(dir)?;
        let (index, log) = open_files(&logs, &dir.join("index"), options)?;
        let door = Arc::new(Door::new(dir, options.reserve_bytes));
        let end = Arc::new(watch::channel(log.end()).0);
        let (jobs, queue) = channel();
        let seams = seams.into();
        let tail = Arc::new(Tail::new(log.end()));
        let writer = Writer { ahead: log.ahead(), index: index.clone(), door: door.clone(), now: now.clone() };
        let (of_index, of_door, of_end, of_tail) = (index.clone(), door.clone(), end.clone(), tail.clone());
        let gate = Arc::new(Mutex::new(()));
        let keeper = Keeper {
            log,
            index: of_index,
            door: of_door,
            end: of_end,
            tail: of_tail,
            now,
            seams: seams.clone(),
            gate: gate.clone(),
        };
        let guard = ClosesOnPanic(door.clone());
        let writer = std::thread::Builder::new().name("ledger".into()).spawn(move || {
            let _guard = guard;
            writer.run(keeper, &queue);
        });
        let writer = Mutex::new(Some(writer.map_err(LedgerError::storage("start the writer of", dir))?));
        let (jobs, lock) = (Mutex::new(Some(jobs)), Mutex::new(Some(lock)));
        let (dir, index_bytes) = (dir.to_owned(), options.index_bytes);
        Ok(Self(Arc::new(Inner { dir, index, index_bytes, bodies, seams, gate, door, end, tail, jobs, writer, lock })))
    }

    /// Writes a delivery down together with everything planned from it, once. A repeat gets the first one's answer.
    pub async fn accept(&self, delivery: Delivery, plans: Vec<Plan>) -> Result<Accepted, LedgerError> {
        let Delivery { id, event, digest, body, received_at, push, caught_up } = delivery;
        let body = match Bodies::inline(body) {
            Ok(body) => body,
            Err(body) => {
                let (inner, digest) = (self.0.clone(), digest.clone());
                let known = (keys::delivery(&id), keys::body(&digest, push.after.as_ref()));
                blocking(move || inner.keep_body(&known.into(), &digest, &body)).await?
            }
        };
        let arrival = Arrival { id: id.clone(), event, digest, body, push, caught_up, received_at, plans };
        match self.ask(|answer| Job::Accept(Box::new(arrival), answer)).await? {
            Decided::Write(plans) => Ok(Accepted { repeat: false, delivery: id, plans }),
            Decided::Repeat(offset) => {
                let inner = self.0.clone();
                match blocking(move || inner.index.record(offset)).await? {
                    Record {
                        stream: Stream::Delivery(delivery),
                        event: Event::Delivery(DeliveryEvent::Received { plans, .. }),
                        ..
                    } => Ok(Accepted { repeat: true, delivery, plans }),
                    record => {
                        Err(LedgerError::Gone { what: format!("the first delivery, at offset {}", record.offset) })
                    }
                }
            }
        }
    }

    /// Writes one more event of one stream together with the deployments that are born of it. Refused if somebody was
    /// quicker.
    pub async fn append(&self, write: Append) -> Result<Appended, LedgerError> {
        match self.ask(|answer| Job::Append(Box::new(write), answer)).await? {
            Decided::Write(appended) => Ok(appended),
            Decided::Repeat(offset) => Ok(Appended { offset, births: Vec::new() }),
        }
    }

    /// Writes down who asked for what, what comes of it at once, and what is born of it. Asked again under the same key,
    /// it gets the first answer.
    pub async fn request(
        &self,
        request: Request,
        consequences: Vec<(Stream, Event)>,
        births: Vec<Birth>,
    ) -> Result<Requested, LedgerError> {
        let asked = Asked { request, consequences, births };
        match self.ask(|answer| Job::Request(Box::new(asked), answer)).await? {
            Decided::Write(requested) => Ok(requested),
            Decided::Repeat(offset) => {
                let inner = self.0.clone();
                let record = blocking(move || inner.index.record(offset)).await?;
                let Event::Bot(BotEvent::Requested { deployments, .. }) = record.event else {
                    return Err(LedgerError::Gone { what: format!("the first request, at offset {offset}") });
                };
                Ok(Requested { repeat: true, offset, deployments })
            }
        }
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<Decided<T>, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| LedgerError::Closed { why: self.0.why_closed() };
        let jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        jobs.ok_or_else(|| LedgerError::Closed { why: self.0.why_closed() })?
            .send(job(answer))
            .map_err(|_| LedgerError::Closed { why: self.0.why_closed() })?;
        answered.await.map_err(gone)?
    }

    /// The offset after the last durable record.
    pub fn end(&self) -> Offset {
        *self.0.end.borrow()
    }

    /// Tells of every new durable end. A follower that is slow misses ends, never records: it reads from where it was.
    pub fn follow(&self) -> watch::Receiver<Offset> {
        self.0.end.subscribe()
    }

    /// What was written from an offset on, about so many records, without what deliveries said; and the offset to go on
    /// from. Followers that keep up read no disk.
    pub async fn news(&self, from: Offset, limit: usize) -> Result<(Vec<Arc<Record>>, Offset), LedgerError> {
        if let Some(found) = self.0.tail.read(from, limit) {
            return Ok(found);
        }
        let this = self.clone();
        let (records, next) = blocking(move || this.read_on(from, limit)).await?;
        Ok((records.into_iter().map(Arc::new).collect(), next))
    }

    /// Whether it takes writes.
    pub fn health(&self) -> Health {
        if self.0.is_shut() { Health::Closed { why: self.0.why_closed() } } else { self.0.door.health() }
    }

    /// Returns once a storage error has closed it, with the reason: the program then has to end.
    pub async fn closed(&self) -> String {
        let mut closed = self.0.door.watch();
        match closed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Writes what is under way, then gives the files free. Later writes and reads are refused.
    pub async fn close(&self) {
        let inner = self.0.clone();
        // A panic of the writer was told when it happened.
        let _ = tokio::task::spawn_blocking(move || inner.shut()).await;
    }
}

impl Inner {
    fn is_shut(&self) -> bool {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Where the log lies.
    pub(super) fn logs(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Refuses where so many bytes more would reach into the reserve.
    pub(super) fn check_space(&self, bytes: u64) -> Result<(), LedgerError> {
        Space::default().check(&self.door, bytes, Urgency::New)
    }

    /// Refuses once it is closed.
    pub(super) fn may_go_on(&self) -> Result<(), LedgerError> {
        if self.is_shut() { Err(LedgerError::Closed { why: self.why_closed() }) } else { self.door.check_open() }
    }

    /// The offset after the last durable record.
    pub(super) fn log_end(&self) -> Offset {
        *self.end.borrow()
    }

    /// Puts the log's new beginning in the old one's place, and an index of that in the old one's, while nothing is
    /// written. `bring` brings the index to the log's end. Gives the directory of the old index.
    pub(super) fn exchange(
        &self,
        next: &Index,
        bring: impl FnOnce(Offset) -> Result<(), LedgerError>,
        change: impl FnOnce() -> Result<(), LedgerError>,
    ) -> Result<PathBuf, LedgerError> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.may_go_on()?;
        bring(*self.end.borrow())?;
        self.index.take_over(next, change)
    }

    fn why_closed(&self) -> String {
        match self.door.check_open() {
            Err(LedgerError::Closed { why }) => why,
            Ok(()) | Err(_) => "the program is ending".into(),
        }
    }

    /// Keeps a long body in a file, unless its delivery is a repeat, whose body is not asked for.
    fn keep_body(&self, known: &[keys::Key; 2], digest: &str, body: &[u8]) -> Result<BodyAt, LedgerError> {
        for key in known {
            if self.index.get(key)?.is_some() {
                return Ok(BodyAt::File { bytes: body.len() as u64 });
            }
        }
        self.door.check_open()?;
        Space::default().check(&self.door, body.len() as u64, Urgency::New)?;
        self.bodies.keep(digest, body)
    }

    fn shut(&self) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(jobs) = jobs {
            // A writer that has gone needs no word.
            let _ = jobs.send(Job::Close);
        }
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Its panic was told when it happened.
            let _ = writer.join();
        }
        // A retention that has come to its last step is let finish.
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.index.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Closes the door where the writer's thread ends in a way that it should not.
struct ClosesOnPanic(Arc<Door>);

impl Drop for ClosesOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close("the writer's thread panicked");
        }
    }
}

/// Runs what waits for the disk where waiting is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(LedgerError::Closed { why: "the program is ending".into() }))
}
