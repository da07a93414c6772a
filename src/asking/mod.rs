//! What people ask for: the port to whoever carries it out, and commands in words, from chat and from comments; and who is
//! let in to ask because GitHub says who they are.
//!
//! A command comes with proof of who said it, from a door that checked a signature. What it means, whether that person may,
//! and what is answered is the same whichever way it came. Each is in the audit trail with its person: what changes
//! something as the request that it becomes, all else by its words.

mod admission;
mod answers;
mod commands;
mod permits;
mod person;
mod port;
mod pull;
mod thread;
mod upkeep;
mod words;

pub use admission::{Admissions, NotAdmitted};
pub use commands::{Commands, Home, Place, Reply, Said};
pub use person::Person;
pub use port::{AskError, Asked, Asks, Foreseen};
pub use upkeep::{Deleted, Kept, LedgerReport, TargetReport, UpkeepReport};
