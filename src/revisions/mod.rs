//! Where a revision lies: an S3 bucket or a directory. Never looks inside one.
//!
//! An upload takes bytes while they are made and either ends whole, under a name that says what it is made of, or
//! leaves nothing: a refused, dropped or interrupted upload is taken back. Writing the same key twice is harmless.

mod checkup;
mod directory;
mod error;
mod fault;
mod s3;
mod store;
mod sweep;
mod upload;

pub use error::RevisionError;
pub use store::{ObjectKey, Store, Stores, Upload};
