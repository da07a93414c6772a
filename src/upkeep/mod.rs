//! Upkeep: some minutes after the start and then daily, what nobody needs any more is taken away: uploads that killed
//! processes left in a bucket, revisions that no target can want back, and, where `[ledger] keep_days` says so, what is old
//! in the ledger. It never touches what the ledger does not know, and deletes nothing from a bucket while a deployment group that uses it cannot say what it still needs.
//!
//! Why the ledger and not a listing of the store: an object that we did not write is somebody's, whatever its name. Why
//! on for a directory and off for a bucket unless `keep` or `keep_days` is written: the directory is on the disk that the
//! bot needs to take pushes, and nobody else looks after it; a bucket has lifecycle rules and other readers, and deleting
//! from it takes a right that the bot does not have by itself. A deleted revision can still come back where the source
//! has its commit: a rollback makes it anew.
//!
//! Why deletion comes before its record: a record without its deletion would leave a file that nobody looks at again; a
//! deletion without its record is found gone in the next round, and recorded then.

mod history;
mod judge;
mod round;

pub use judge::{Needed, Rules, Standing, Use, Verdict, Why, judge};
pub use round::{Pace, Upkeep};
