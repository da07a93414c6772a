//! Tests of bundle.
