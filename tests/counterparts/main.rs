//! The same program against real software that we did not write. `tests/run` installs and starts it.

mod codedeploy_world;
mod github;
mod moto;
mod octokit;
mod s3;
