//! The blocks of runs that were read last, still in memory: a list or a story asks for the same ones again and again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept: two megabytes or three.
const AT_MOST: usize = 128;

/// The blocks that were read last, the newest first.
#[derive(Debug, Default)]
pub(super) struct Blocks(Mutex<VecDeque<Kept>>);

/// A block, and of which run it is the how-manieth.
type Kept = (PathBuf, usize, Arc<[u8]>);

impl Blocks {
    /// A block of a run, from memory or as it is read now.
    pub(super) fn get<E>(
        &self,
        run: &Path,
        number: usize,
        read: impl FnOnce() -> Result<Arc<[u8]>, E>,
    ) -> Result<Arc<[u8]>, E> {
        let known = |(of, at, _): &Kept| *at == number && of == run;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.iter().position(known).and_then(|at| kept.remove(at)) {
            let block = found.2.clone();
            kept.push_front(found);
            return Ok(block);
        }
        // Others may look for theirs while this one is read.
        drop(kept);
        let block = read()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((run.to_owned(), number, block.clone()));
        kept.truncate(AT_MOST);
        Ok(block)
    }
}
