//! The host engine: runs an `appspec.yml` on this machine as the CodeDeploy agent would.
//!
//! Why a child of its own for each run: a deployment outlives a restart of the bot, even one that its own hooks cause.
//! What holds the bot and the child together is the run's directory and nothing else: [`RunIntent`] in, a journal out,
//! a lock that says who works, a file that asks to stop. [`carry_out()`] is that child's work and `landfall apply`'s.
//!
//! Why plan first, touch afterwards: AWS's agent removes the old revision and then finds that the new one does not fit.

mod account;
mod bot_side;
mod carry_out;
mod checkup;
mod common_log;
mod course;
mod environment;
mod error;
mod hook;
mod install;
mod intent;
mod journal;
mod layout;
mod limits;
mod log;
mod log_reader;
mod outputs;
mod probe;
mod processes;
mod trial;
mod unpack;
mod unpack_entries;
mod unpack_tar;

pub use account::{Account, become_user};
pub use bot_side::HostEngine;
pub use carry_out::{Means, carry_out, prepare_run};
pub use checkup::checkup;
pub use error::HostError;
pub use intent::{BundleObject, BundleType, RunIntent, RunOptions};
pub use journal::{End, EventTold, ScriptTold, Story};
pub use layout::{GroupId, Layout, RunDir};
pub use probe::Probe;
pub use unpack::unpack_archive;
