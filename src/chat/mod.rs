//! What people read of a deployment in chat and by mail, in each service's own form, and how it gets there. It never
//! decides what is told, and when: the room `report` does, by the same outbox as commit statuses.
//!
//! Three forms, each made of the one before, so that a new service needs the last one only:
//!
//! * a [`Bulletin`] is what there is to say, as data: templates are filled from it, and a generic webhook sends it as it is;
//! * a [`Card`] is how it is said: a title, facts, commits, the log of what failed, links. Its [`Span`]s know what came
//!   from outside, which no service may take for formatting, a link or the name of somebody to call;
//! * a [`Service`] writes a card in its own form within its own limits, sends it, and edits what stands there where it can.

mod bulletin;
mod card;
mod digest;
mod discord;
mod email;
mod fit;
mod markdown;
mod mattermost;
mod mrkdwn;
mod outlet;
mod post;
mod sample;
mod slack;
mod slack_answer;
mod teams;
mod template;
mod webhook;

pub use bulletin::{Bulletin, Changes, Commit, Links, Place, Step, Trouble};
pub use card::{Act, Card, Fact, Link, Mood, Span, step_line, text_of};
pub use digest::digest;
pub use markdown::github_comment;
pub use outlet::{Abilities, ChatError, Posted, Service, open};
pub use sample::sample;
pub use slack_answer::{answer_in_slack, slack_answer};
pub use template::{Unsaid, check_templates};
