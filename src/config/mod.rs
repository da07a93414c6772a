//! Configuration: as written, checked, as meant. The only reader of configuration files and of the environment.
//!
//! Why two shapes: `raw` mirrors the file, with the place of every value, so that all that is wrong is said at once
//! and where; [`Config`] has only what the program uses, everything parsed, so that nobody checks twice. The reading is
//! done by hand over the parsed table instead of by a derive, because a derive stops at the first thing it dislikes.

/// The code of a finding about a secret that stands in the file itself: whoever shows findings shows no such line.
pub const INLINE_SECRET: &str = "config/inline-secret";

mod as_meant;
mod check;
mod check_chat;
mod check_codedeploy;
mod check_commands;
mod check_freeze;
mod check_gates;
mod check_github;
mod check_login;
mod check_mail;
mod check_on_github;
mod check_promotions;
mod check_revisions;
mod check_sns;
mod check_target;
mod check_verify;
mod checkup;
mod environment;
mod mail;
mod owners;
mod proxies;
mod raw;
mod raw_login;
mod secret;
mod topic;
mod values;
mod whereabouts;
mod written;

pub use as_meant::{
    Chat, ChatKind, Commands, Config, GitHub, GitHubApp, Hook, LedgerOptions, Login, Server, Sns, Worded, Words,
};
pub use check::EXAMPLE;
pub use environment::Environment;
pub use mail::{Cover, Mail, MailLogin, MailServer};
pub use proxies::{Proxies, source_of};
pub use secret::{Secret, SecretError, SecretRef, Stamp, veiled};
pub use topic::Topic;
pub use values::{duration, size};
pub use whereabouts::Whereabouts;
pub use written::nearest;
