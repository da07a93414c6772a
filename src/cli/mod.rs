//! The words typed, one file a verb. Reading verbs are clients of the API.
//!
//! A verb is one file with its arguments and a `run`, and one variant and one arm in `words`. Data goes to stdout, talk
//! to stderr; nothing is said by colour alone; the last line of a failure is what to do.

mod apply;
mod ask;
mod audit;
mod aws;
mod bundle;
mod check;
mod completions;
mod configuration;
mod deliveries;
mod demo;
mod doctor;
mod exec_as;
mod exit;
mod explain;
mod export;
mod findings;
mod history;
mod hold;
mod import;
mod init;
mod live;
mod log;
mod logs;
mod man;
mod nearby;
mod notify;
mod pushed;
mod send;
mod serve;
mod server;
mod status;
mod terminal;
mod token;
mod upkeep;
mod why;
mod words;
mod worktree;

pub use configuration::ConfigArgs;
pub use exit::{Exit, Trouble};
pub use words::{Cli, run};
