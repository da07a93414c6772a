//! Counterpart: octokit.
