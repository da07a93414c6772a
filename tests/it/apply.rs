//! `landfall apply` as people run it: real bundles, real scripts, a root of its own each time, as the present user.

mod files;
mod hooks;
mod revisions;
mod stand;
