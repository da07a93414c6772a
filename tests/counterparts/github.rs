//! Counterpart: github.
