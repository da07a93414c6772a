//! The runs of the index, and how few are made of many. Each was made in one turn, or of several made before.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sled::IVec;

use super::blocks::Blocks;
use super::error::LedgerError;
use super::merged::{Merged, Way, all_of_run};
use super::run::{Entry, Run, turns_of};
use super::run_writer::{self, HALF};

/// How many runs of one width become one: more would leave more files to look at, fewer write everything more often.
const TOGETHER: usize = 8;

/// All runs, the oldest first. Between them they have every turn once.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    all: Vec<Arc<Run>>,
    blocks: Arc<Blocks>,
}

impl Runs {
    /// Opens those of so many turns. What a turn or a merge that was cut short left is removed; where one is missing or
    /// altered, that is told.
    pub(super) fn open(dir: &Path, turns: u64) -> Result<Self, String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match turns_of(name) {
                Some(its) => found.push((its, path)),
                None if name.ends_with(HALF) => fs::remove_file(&path).map_err(|error| error.to_string())?,
                None => {}
            }
        }
        // Of those that begin with the same turn, the widest has all that the others have.
        found.sort_by_key(|(its, _)| (*its.start(), std::cmp::Reverse(*its.end())));
        let (mut this, mut reached) = (Self { all: Vec::new(), blocks: Arc::default() }, 0);
        for (its, path) in found {
            if *its.end() <= reached || *its.end() > turns {
                fs::remove_file(&path).map_err(|error| error.to_string())?;
                continue;
            }
            if *its.start() != reached + 1 {
                return Err(format!("what was moved out of it in turn {} is missing", reached + 1));
            }
            reached = *its.end();
            let run = Run::open(&path, its, this.blocks.clone());
            this.all.push(Arc::new(run.map_err(|error| format!("`{}`: {error}", path.display()))?));
        }
        if reached < turns {
            return Err(format!("what was moved out of it in turn {turns} is missing"));
        }
        Ok(this)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many turns went into them.
    pub(super) fn turns(&self) -> u64 {
        self.all.last().map_or(0, |run| *run.turns.end())
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.all.iter().rev()
    }

    /// The newest value under a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, LedgerError> {
        self.newest_first().find_map(|run| run.get(key).transpose()).transpose()
    }

    /// These and one more, of the next turn.
    pub(super) fn and(
        mut self,
        dir: &Path,
        entries: impl Iterator<Item = Result<Entry, LedgerError>>,
    ) -> Result<Self, LedgerError> {
        let turn = self.turns() + 1;
        self.all.push(Arc::new(run_writer::write(dir, turn..=turn, entries, &self.blocks)?));
        Ok(self)
    }

    /// The oldest neighbours of one width that are enough to become one.
    pub(super) fn to_merge(&self) -> Option<Vec<Arc<Run>>> {
        let mut groups = self.all.chunk_by(|one, other| one.width() == other.width());
        groups.find(|group| group.len() >= TOGETHER).map(|group| group[..TOGETHER].to_vec())
    }

    /// Makes one run of neighbours; nothing where it was stopped.
    pub(super) fn merge(
        dir: &Path,
        group: &[Arc<Run>],
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<Run>>, LedgerError> {
        let (Some(oldest), Some(newest)) = (group.first(), group.last()) else { return Ok(None) };
        let lists = group.iter().rev().map(|run| all_of_run(run.clone())).collect();
        let stopped = || LedgerError::Closed { why: "the program is ending".into() };
        let entries = Merged::new(lists, Way::Forwards).map(|entry| if stop() { Err(stopped()) } else { entry });
        let turns = *oldest.turns.start()..=*newest.turns.end();
        match run_writer::write(dir, turns, entries, &oldest.blocks()) {
            Ok(run) => Ok(Some(Arc::new(run))),
            Err(LedgerError::Closed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes one in the place of those that it was made of.
    pub(super) fn replace(&mut self, group: &[Arc<Run>], merged: Arc<Run>) {
        let is_first = |run: &Arc<Run>| group.first().is_some_and(|first| Arc::ptr_eq(first, run));
        if let Some(at) = self.all.iter().position(is_first) {
            self.all.splice(at..at + group.len(), [merged]);
        }
    }
}
