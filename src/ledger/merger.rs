//! The thread that merges runs of the index: in the background, because the widest take a minute. What goes wrong there is
//! told, and tried again after the next turn: a question then looks at more files, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::health::Probe;
use super::index::Index;

/// The thread, which ends with this.
pub(super) struct Merger {
    wake: Option<SyncSender<()>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Merger {
    /// Starts it, and has it look at once: the program may have ended within a merge.
    pub(super) fn start(index: Index, probe: Probe) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("ledger-merger".into());
        let thread = thread.spawn(move || work(&index, &woken, &probe, &stopped))?;
        let this = Self { wake: Some(wake), stop, thread: Some(thread) };
        this.wake();
        Ok(this)
    }

    /// Has it look whether there is something to merge.
    pub(super) fn wake(&self) {
        // One that is awake already looks again.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.wake.take());
        // Its panic was told when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn work(index: &Index, woken: &Receiver<()>, probe: &Probe, stopped: &AtomicBool) {
    let stop = || stopped.load(Ordering::Relaxed);
    while woken.recv().is_ok() {
        loop {
            match index.merge(&**probe, &stop) {
                Ok(true) if !stop() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the ledger's index was not tidied up: it is tried again later");
                    break;
                }
            }
        }
    }
}
