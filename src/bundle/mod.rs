//! An archive stream in, a bundle stream out, in one pass. Never talks to the network.
//!
//! Archives come from outside, so that every name, link and size in them is a claim to be checked. What is refused is
//! named, all of it at once, and the bundle is then not finished: whoever stores it throws it away.
//!
//! Why one pass: the bundle is on its way to the store while the archive still arrives, and memory does not depend on
//! the repository's size. Why the commit's own time on every entry, and not a constant: web servers make `ETag`s of
//! modification time and length, so that a constant would let browsers keep stale pages.

mod archive;
mod error;
mod inspect;
mod landing;
mod pack;
mod path;
mod rebundle;
mod refusals;
mod request;
mod script;
mod shell;
mod survey;
mod tree;

pub use error::BundleError;
pub use inspect::{Inspected, Seen, inspect};
pub use rebundle::rebundle;
pub use request::{BUNDLER, Bundled, Limits, Request, rules_digest};
