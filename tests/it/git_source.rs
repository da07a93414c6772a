//! Tests of git source.
