//! The thread that keeps: it writes each group to the log and syncs it, puts it into the index, shows it to all, and then
//! answers. It decides nothing.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{Offset, Record};

use super::draft::Changes;
use super::error::LedgerError;
use super::frame::Header;
use super::health::{Door, Seams};
use super::index::Index;
use super::log::{Log, Place};
use super::merger::Merger;
use super::tail::Tail;
use super::writer::Now;

/// How long the index's buffers may wait to be written out: what is lost of them is read from the log again.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How many commits may pass in the meantime.
const FLUSH_AFTER: u64 = 20_000;

/// Tells whoever waits how it went; with a reason, that nothing was kept.
pub(super) type Tell = Box<dyn FnOnce(Option<&str>) + Send>;

/// A group that was decided.
pub(super) struct ToKeep {
    pub(super) bytes: Vec<u8>,
    pub(super) changes: Arc<Changes>,
    pub(super) records: Vec<Record>,
    pub(super) commits: u64,
    /// Its last commit; nothing where there is none.
    pub(super) last: Option<(Place, Header)>,
    /// The offset after it.
    pub(super) end: Offset,
    pub(super) answers: Vec<Tell>,
    /// Whether it was decided upon the index alone, and not upon a group on its way there.
    pub(super) upon_index: bool,
}

/// The thread's own things.
pub(super) struct Keeper {
    pub(super) log: Log,
    pub(super) index: Index,
    pub(super) door: Arc<Door>,
    pub(super) end: Arc<watch::Sender<Offset>>,
    pub(super) tail: Arc<Tail>,
    pub(super) now: Now,
    pub(super) seams: Seams,
    /// Held while something is written: retention takes it for its last step.
    pub(super) gate: Arc<Mutex<()>>,
}

impl Keeper {
    /// Works until the writer has ended.
    pub(super) fn run(mut self, groups: &Receiver<ToKeep>) {
        let (mut unflushed, mut flushed_at) = (0, (self.now)());
        let merger = match Merger::start(self.index.clone(), self.seams.probe.clone()) {
            Ok(merger) => merger,
            Err(error) => return self.door.close(&format!("cannot start the thread that merges the index: {error}")),
        };
        loop {
            let idle = match groups.recv_timeout(FLUSH_EVERY) {
                Ok(group) => {
                    unflushed += group.commits;
                    let gate = self.gate.clone();
                    let _gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
                    self.settle(group);
                    false
                }
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let late = (self.now)().duration_since(flushed_at).unsigned_abs() >= FLUSH_EVERY;
            if unflushed > 0 && (idle || late || unflushed >= FLUSH_AFTER) {
                let gate = self.gate.clone();
                let _gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
                self.flush();
                self.turn(&merger);
                (unflushed, flushed_at) = (0, (self.now)());
            }
        }
        self.flush();
    }

    /// Keeps a group, and answers for it. What wrote nothing is answered in its turn too: whoever was told that somebody
    /// was quicker finds what that one wrote.
    fn settle(&mut self, mut group: ToKeep) {
        let answers = std::mem::take(&mut group.answers);
        // A group that was decided upon one that could not be kept cannot be kept either, nor believed.
        let sound = if group.upon_index { Ok(()) } else { self.door.check_open() };
        let kept = sound.and_then(|()| self.keep(group));
        let why = match kept {
            Ok(()) => None,
            Err(LedgerError::Closed { why }) => Some(why),
            Err(error) => {
                tracing::error!(%error, "the ledger is closed until the program starts again");
                self.door.close(&error.to_string());
                Some(error.to_string())
            }
        };
        answers.into_iter().for_each(|answer| answer(why.as_deref()));
    }

    /// Makes a group durable, then visible.
    fn keep(&mut self, group: ToKeep) -> Result<(), LedgerError> {
        let ToKeep { bytes, changes, records, last, end, .. } = group;
        let Some(last) = last else { return Ok(()) };
        self.log.roll()?;
        self.log.write(&bytes, end, &self.seams)?;
        (self.seams.probe)("before-index");
        self.index.write(changes.entries(last, self.log.place()))?;
        (self.seams.probe)("after-index");
        self.tail.push(records, end);
        self.end.send_replace(end);
        Ok(())
    }

    /// Makes the young part of the index anew where it is due. What goes wrong is tried again later: until then the index
    /// is larger than it should be, and as right.
    fn turn(&self, merger: &Merger) {
        let turned = self.index.is_turn_due().and_then(|due| match due {
            true => self.index.turn(&*self.seams.probe).map(|()| merger.wake()),
            false => Ok(()),
        });
        if let Err(error) = turned {
            tracing::warn!(%error, "the ledger's index was not made smaller: it is tried again later");
        }
    }

    fn flush(&self) {
        if let Err(error) = self.index.flush() {
            self.door.close(&error.to_string());
        }
    }
}
