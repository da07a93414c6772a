//! Moves deployments forward: lanes, the next step, what came of it. Holds no truth: the ledger does.
//!
//! One task, the [`Conductor`], follows the ledger and keeps a [`desk`] of the deployments that are not over. For each
//! that is touched it decides, purely ([`desk::Desk::decide`]), what is to be done now: nothing, wait, write an event,
//! or run one step. Steps run as tasks of their own and append what came of them; the record comes back to the desk
//! through the ledger, like everybody else's.
//!
//! Why a follower and not calls: after a crash, and after an event that somebody else wrote (a stop, a lock), the same
//! path runs as on any other day.

mod adopt;
mod approval;
mod asks;
mod catch_up;
pub mod desk;
mod gate;
mod hint;
mod holding;
mod jobs;
mod looks;
mod promotion;
mod replay;
mod restart;
mod rollback;
mod run;
mod steer;
mod stop;
mod verifying;
mod weighing;

pub use asks::{AskError, Asked, Asks, Foreseen};
pub use catch_up::{Before, CatchUp};
pub use run::Conductor;
