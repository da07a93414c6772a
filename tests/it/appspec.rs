//! Tests of appspec.
