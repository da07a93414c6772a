//! The same program against real software that we did not write. `tests/run` installs and starts it.

#![expect(clippy::unwrap_used, reason = "clippy's allowance covers `#[test]` functions, not what they share")]

mod building;
mod chat;
mod codedeploy_world;
mod dashboard;
mod emulate;
mod figures;
mod github;
mod github_hooks;
mod github_sayings;
mod mail;
mod moto;
mod octokit;
mod recorded;
mod s3;
mod sandbox;
mod schemathesis;
mod setup;
mod shipped;
mod slack;
mod sns;
mod terminal;
mod walkthrough;

#[path = "../it/worlds.rs"]
#[expect(dead_code, unused_imports, reason = "the bot's own tests use the rest")]
mod worlds;

/// Where `tests/run` put a counterpart.
#[expect(clippy::disallowed_methods, reason = "what `tests/run` started is known by its environment")]
fn counterpart(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("`tests/run` sets {variable}: run that"))
}
