//! Entries of the young part and of runs as one list, in either direction: where several have a key, the newest tells.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use sled::IVec;

use super::error::LedgerError;
use super::keys::Key;
use super::run::{Entry, Run, entries};

/// Entries in order.
pub(super) type Entries = Box<dyn Iterator<Item = Result<Entry, LedgerError>>>;

/// Which way a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Forwards,
    Backwards,
}

/// A run's entries within a range of keys, read a block at a time.
pub(super) fn of_run(run: Arc<Run>, keys: Range<Key>, way: Way) -> Entries {
    let first = run.block_of(&keys.start).unwrap_or(0);
    let blocks = first..run.block_of(&keys.end).map_or(0, |last| last + 1);
    let in_block = move |number: usize| -> Vec<Result<Entry, LedgerError>> {
        match run.block(number) {
            Ok(block) => entries(&block)
                .filter(|(key, _)| *key >= &keys.start[..] && *key < &keys.end[..])
                .map(|(key, value)| Ok((IVec::from(key), IVec::from(value))))
                .collect(),
            Err(error) => vec![Err(error)],
        }
    };
    match way {
        Way::Forwards => Box::new(blocks.flat_map(in_block)),
        Way::Backwards => Box::new(blocks.rev().flat_map(move |number| in_block(number).into_iter().rev())),
    }
}

/// All entries of a run, from the first to the last, without a place among the blocks that are remembered.
pub(super) fn all_of_run(run: Arc<Run>) -> Entries {
    let blocks = 0..run.len();
    Box::new(blocks.flat_map(move |number| -> Vec<Result<Entry, LedgerError>> {
        match run.read_block(number) {
            Ok(block) => entries(&block).map(|(key, value)| Ok((key.into(), value.into()))).collect(),
            Err(error) => vec![Err(error)],
        }
    }))
}

/// Lists as one. `lists` are the newest first.
pub(super) struct Merged {
    lists: Vec<Peekable<Entries>>,
    way: Way,
}

impl Merged {
    pub(super) fn new(lists: Vec<Entries>, way: Way) -> Self {
        Self { lists: lists.into_iter().map(Iterator::peekable).collect(), way }
    }
}

impl Iterator for Merged {
    type Item = Result<Entry, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next: Option<(usize, IVec)> = None;
        for (number, list) in self.lists.iter_mut().enumerate() {
            match list.peek() {
                None => {}
                Some(Err(_)) => return list.next(),
                Some(Ok((key, _))) => {
                    let is_nearer = next.as_ref().is_none_or(|(_, nearest)| match self.way {
                        Way::Forwards => key < nearest,
                        Way::Backwards => key > nearest,
                    });
                    if is_nearer {
                        next = Some((number, key.clone()));
                    }
                }
            }
        }
        let (newest, key) = next?;
        for list in self.lists.iter_mut().skip(newest + 1) {
            list.next_if(|older| older.as_ref().is_ok_and(|(older, _)| *older == key));
        }
        self.lists[newest].next()
    }
}
