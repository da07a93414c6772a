//! The world out: commit statuses, GitHub deployments, check runs and comments, by a durable outbox. Never decides what happens to a deployment.
//!
//! Why there is no queue of messages: what the world should be told of a deployment follows from the deployment, and
//! what it was told stands in the ledger under `sink/NAME`. The difference is the outbox. Killed anywhere, it is found
//! again; what was passed over in between needs no telling.

mod brief;
mod chat;
mod check_run;
mod comment;
mod environments;
mod line;
mod outbox;
mod pace;
mod sink;
mod status;
mod unsaid;
mod untold;
mod way;

pub use chat::ChatPlace;
pub use outbox::{ReportError, Reports, Turn};
pub use pace::Pace;
pub use sink::Sink;
