//! One binary for all tests that need more than one room: fast to link, and one place to look.

#![expect(clippy::unwrap_used, reason = "clippy's allowance covers `#[test]` functions, not what they share")]

mod apply;
mod appspec;
mod aws_line;
mod aws_setup;
mod bot;
mod bundle;
mod bundle_verb;
mod check;
mod cli;
mod clock;
mod codedeploy;
mod config;
mod crash;
mod deliveries;
mod demo;
mod doctor;
mod door;
mod engines;
mod gates;
mod git_source;
mod github_budget;
mod github_identity;
mod github_source;
mod golden;
mod holds;
mod host;
mod intake;
mod ledger;
mod mutations;
mod orders;
mod own_server;
mod program;
mod push_to_deploy;
mod report;
mod revisions;
mod rollback;
mod send;
mod sns;
mod soak;
mod tidy;
mod upkeep;
mod web;
mod worlds;
