//! What happened, in order, on disk. The log and sled live here only; nothing of them shows at the door.
//!
//! Why a log of our own with sled as its index, and not sled alone: sled's `flush_async` deadlocks at eight callers,
//! its `flush` is not safe against a power cut, its values of 128 KB and more are never synced, and it gives no space
//! back. So the truth is text in segment files, written by one thread that syncs once for all who wait, and sled holds
//! only what can be made again from it, and only the young part of that: see the room `index`.
//!
//! How it lies on disk, below the directory that [`Ledger::open`] is given:
//!
//! * `log/00000000000000000000.log`, named by its first offset. A commit is one header line and one line per record,
//!   all of it JSON, so that `less`, `grep` and `jq` read it. A commit is there whole or not at all. Where retention let go
//!   of what is old, the first one holds what stayed of that, with the offsets that it always had: see the room `retire`.
//! * `bodies/DIGEST`, the bodies too long for a line.
//! * `index/CUT/`, sled in `young-N/` and runs in `FROM-TO.run`. Delete it while the program is stopped, and the next start
//!   makes it again.
//! * `lock`, with the process id of its holder.

mod blocks;
mod bodies;
mod checkup;
mod decide;
mod deliveries;
mod draft;
mod error;
mod export;
mod frame;
mod handle;
mod health;
mod import;
mod index;
mod keeper;
mod keys;
mod log;
mod merged;
mod merger;
mod opening;
mod read;
mod reader;
mod retire;
mod run;
mod run_writer;
mod runs;
mod scan;
mod sieve;
mod tail;
mod writer;
mod young;

pub use checkup::checkup;
pub use decide::{Accepted, Append, Appended, Birth, Requested};
pub use deliveries::DeliveryFilter;
pub use error::LedgerError;
pub use export::{Counts, export};
pub use handle::{Ledger, Options};
pub use health::{Health, Probe, Seams};
pub use import::import;
pub use read::Filter;
pub use retire::{Keep, Retired};
