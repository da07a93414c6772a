//! AWS CodeDeploy: `CreateDeployment` by the marker protocol, and one batched poller for an account and region.
//!
//! Why so much about one call: `CreateDeployment` takes no idempotency token. What makes it survivable is that the
//! description carries our marker, that the SDK's own retries are off for it, that every failure is sorted by whether
//! anything was sent, and that an unknown outcome is looked for before anybody calls again.
//!
//! Read [`CodeDeployEngine`] first, then `release` (start and find), `poller` (one loop for all runs of an account),
//! `watched`, `budget` and `hints` (when it looks at what, and what that may cost), `known` (what is asked once in a
//! while), `fitness` (whether what is chosen fits it), `admission` (both, before anything is made), `checkup` and
//! `group` (both, for `doctor`), `options` (what is chosen for a deployment), `reading` (what a deployment says, as we understand it),
//! `details` and `target` (the instances, and which event and script failed), `reasons` and `signs` (what CodeDeploy's
//! codes and known words in its logs mean to people) and `trouble` (what went wrong with a call).

mod account;
mod admission;
mod budget;
mod checkup;
mod details;
mod engine;
mod fitness;
mod group;
mod hints;
mod known;
mod needs;
mod options;
mod poller;
mod reading;
mod reasons;
mod release;
mod signs;
mod target;
mod trouble;
mod watched;

pub use account::{Accounts, Connect, Pace};
pub use engine::CodeDeployEngine;
