//! Landfall: a push makes landfall.
//!
//! A self-hosted, webhook-driven push-to-deploy bot. Read the rooms in this order, which is also that of their floors;
//! a room uses the floors below its own, and no neighbour (`tests/it/tidy.rs` holds the table against the code):
//!
//! * [`domain`] says what a push, a plan and a deployment are, and what may happen next. It touches nothing.
//! * [`appspec`] reads AppSpecs; [`config`] reads the configuration.
//! * [`ledger`] keeps what happened; [`bundle`] makes bundles of archives; [`clients`] is the rim to the outside.
//! * [`source`], [`revisions`] and [`engine`] are where commits come from, where they lie, and who deploys them; [`chat`] is
//!   how people are told.
//! * [`steps`] are the effects, one each; [`board`] is what can be read.
//! * [`asking`] is what people want, in words or by buttons, and whether they may.
//! * [`intake`], [`conductor`], [`report`] and [`web`] face the world.
//! * [`app`] puts them together; [`cli`] is the words typed.

pub mod app;
pub mod appspec;
pub mod asking;
pub mod board;
pub mod bundle;
pub mod chat;
pub mod cli;
pub mod clients;
pub mod conductor;
pub mod config;
pub mod domain;
pub mod engine;
pub mod intake;
pub mod ledger;
pub mod report;
pub mod revisions;
pub mod source;
pub mod steps;
pub mod upkeep;
pub mod web;
