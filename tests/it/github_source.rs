//! Tests of github source.
