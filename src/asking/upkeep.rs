//! What a round of upkeep did, or would do. Only words: it decides nothing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Failure, Offset, TargetName};

/// What a round did, or would do.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct UpkeepReport {
    /// Whether nothing was really deleted.
    pub dry_run: bool,
    /// Target by target.
    pub targets: Vec<TargetReport>,
    /// What the ledger let go of, or would.
    pub ledger: LedgerReport,
}

/// What a round did for the ledger.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct LedgerReport {
    /// Whether it lets go of anything at all.
    pub retention: bool,
    /// Everything before this offset was looked at; nothing where too little is old enough.
    pub before: Option<Offset>,
    /// How many records of that stay.
    pub kept: u64,
    /// How many bytes were freed.
    pub bytes: u64,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// What a round did for a target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetReport {
    /// The target.
    pub target: TargetName,
    /// Whether revisions are deleted at all.
    pub retention: bool,
    /// What was deleted, or would be.
    pub deleted: Vec<Deleted>,
    /// What stays, and why.
    pub kept: Vec<Kept>,
    /// The keys of the unfinished uploads that were taken back.
    pub uploads: Vec<String>,
    /// Whether more may go, and is left for the next round.
    pub more: bool,
    /// What could not be done.
    pub failures: Vec<Failure>,
}

/// A revision that went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Deleted {
    /// Where it lay.
    pub object: String,
    /// The newest deployment that used it.
    pub deployment: String,
}

/// A revision that stays.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Kept {
    /// Where it lies.
    pub object: String,
    /// Why.
    pub why: String,
}

impl TargetReport {
    /// Of a target for which nothing was done yet.
    pub fn of(target: TargetName, retention: bool) -> Self {
        let (deleted, kept, uploads, failures) = (vec![], vec![], vec![], vec![]);
        Self { target, retention, deleted, kept, uploads, more: false, failures }
    }

    /// Notes that a revision stays.
    pub fn keep(&mut self, object: &impl ToString, why: &impl ToString) {
        self.kept.push(Kept { object: object.to_string(), why: why.to_string() });
    }
}
