//! `landfall apply` as people run it: real bundles, real scripts, a root of its own each time, as the present user.

mod catalogue;
mod cleanup;
mod content;
mod files;
mod hooks;
mod killed;
mod permissions;
mod random;
mod remote;
mod revisions;
mod room;
mod samples;
mod stand;
pub(crate) mod things;
