//! Tests of revisions.
