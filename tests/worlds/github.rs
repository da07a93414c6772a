//! A GitHub world over HTTP.
