//! The same program against real software that we did not write. `tests/run` installs and starts it.

#![expect(clippy::unwrap_used, reason = "clippy's allowance covers `#[test]` functions, not what they share")]

mod codedeploy_world;
mod github;
mod moto;
mod octokit;
mod s3;
