//! Where a revision lies: an S3 bucket or a directory. Never looks inside one.
