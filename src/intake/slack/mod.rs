//! What people say in Slack: `POST /webhooks/slack`, by its slash command and by the buttons of messages. Slack signs what
//! it sends; who it names is believed, and what they may is found out by whoever carries it out.

mod door;
mod form;
mod refusal;
mod signature;

pub use door::{SlackState, routes};
