//! Where a revision lies: an S3 bucket or a directory. Never looks inside one.
//!
//! An upload takes bytes while they are made and either ends whole, under a name that says what it is made of, or
//! leaves nothing: a refused, dropped or interrupted upload is taken back. Writing the same key twice is harmless.

mod checkup;
mod claims;
mod directory;
mod error;
mod fault;
mod removal;
mod s3;
mod store;
mod sweep;
mod upload;

pub use checkup::Probe;
pub use claims::{Claim, Closed};
pub use error::RevisionError;
pub use removal::{Recorded, Removed};
pub use store::{ObjectKey, Store, Stores, Upload};
