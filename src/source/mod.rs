//! Where commits come from: GitHub or a git repository. Head, relation, peek, archive; never writes.

mod between;
mod changes;
mod checks;
mod checkup;
mod error;
mod git;
mod git_command;
mod github;
mod kind;
mod moved;
mod since;

pub use between::Between;
pub use changes::Changed;
pub use error::SourceError;
pub use kind::{ByteStream, RefHead, Source, Sources};
pub use since::{Since, Written};
