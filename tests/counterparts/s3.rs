//! Counterpart: s3.
