//! Tests of engines.
