//! What every service can do, and how it fails.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use thiserror::Error;

use super::bulletin::Bulletin;
use super::card::{Card, Span};
use super::discord::Discord;
use super::email::Email;
use super::mattermost::Mattermost;
use super::slack::{SlackBot, SlackWebhook};
use super::teams::Teams;
use super::webhook::Webhook;
use crate::clients::Clock;
use crate::config::{Chat, ChatKind};
use crate::domain::Failure;

/// What a service can do with what it was told before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// It can put another message in the place of one that stands.
    pub edits: bool,
    /// It takes lines beneath a message.
    pub threads: bool,
}

/// What a service says of a message that it took: its name for it, by which it is edited and answered to; nothing where it
/// has none.
pub type Posted = Option<String>;

/// Why a message could not be said. It never holds an address with a secret in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChatError {
    /// The secret cannot be read.
    #[error("{why}")]
    NoSecret {
        /// Why.
        why: String,
    },
    /// It could not be reached, or not in time.
    #[error("`{host}` could not be asked: {why}")]
    Unreachable {
        /// Whom.
        host: String,
        /// Why.
        why: String,
    },
    /// It is down, or answers nonsense.
    #[error("`{host}` answered {status}: {why}")]
    Down {
        /// Who.
        host: String,
        /// What.
        status: u16,
        /// In its words.
        why: String,
    },
    /// It was told too much.
    #[error("`{host}` takes no more until {until:.0}")]
    Busy {
        /// Who.
        host: String,
        /// When to come again.
        until: Timestamp,
    },
    /// It does not let us: the secret is wrong, or the channel is gone.
    #[error("`{host}` does not take it: {why}")]
    Denied {
        /// Who.
        host: String,
        /// In its words.
        why: String,
    },
    /// The message that is to be edited or answered to is gone.
    #[error("`{host}` does not find the message")]
    Gone {
        /// Where.
        host: String,
    },
    /// It would refuse the same again.
    #[error("`{host}` refuses the message: {why}")]
    Refused {
        /// Who.
        host: String,
        /// In its words.
        why: String,
    },
}

impl ChatError {
    /// What a person reads. All that a person can mend while the bot runs is passing.
    pub fn failure(&self) -> Failure {
        let (code, help) = match self {
            Self::NoSecret { .. } => ("chat/no-secret", "put the secret where the configuration says it is"),
            Self::Unreachable { .. } => ("chat/unreachable", "wait, or check the address and the network"),
            Self::Down { .. } => ("chat/down", "wait, or look at the service's status page"),
            Self::Busy { .. } => ("chat/busy", "wait: it is told when the service allows it"),
            Self::Denied { .. } => {
                ("chat/denied", "do as its words say, or put a new webhook, token or password where the old one is")
            }
            Self::Gone { .. } => ("chat/gone", "nothing: it is told anew"),
            Self::Refused { .. } => ("chat/refused", "look at the service's words, and at your template"),
        };
        let failure = Failure::setup(code, self.to_string());
        Failure { passing: !matches!(self, Self::Refused { .. }), ..failure }.help(help)
    }

    /// Before when it is of no use to ask again.
    pub fn until(&self) -> Option<Timestamp> {
        if let Self::Busy { until, .. } = self { Some(*until) } else { None }
    }

    /// Whether any other message would meet with the same.
    pub fn is_for_all(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Gone { .. })
    }

    /// Whether it may stand there all the same: the answer was lost.
    pub fn may_be_taken(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Down { .. })
    }
}

/// A service that takes messages. It sends one at a time, and keeps nothing.
pub trait Service: Send + Sync {
    /// What it can do: post alone, unless it says more.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// Says something new. May run twice: a card of the same [`Card::id`] says the same.
    fn post<'a>(&'a self, bulletin: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>>;

    /// Puts this in the place of what stands under its name, where it can.
    fn edit<'a>(&'a self, _standing: &'a str, _card: &'a Card) -> BoxFuture<'a, Result<(), ChatError>> {
        async { Ok(()) }.boxed()
    }

    /// Adds a line beneath what stands under its name, where it can.
    fn reply<'a>(&'a self, _standing: &'a str, _line: &'a [Span]) -> BoxFuture<'a, Result<(), ChatError>> {
        async { Ok(()) }.boxed()
    }
}

/// The service that a configuration names.
pub fn open(chat: &Chat, clock: &Clock) -> Arc<dyn Service> {
    match &chat.kind {
        ChatKind::Slack { webhook } => Arc::new(SlackWebhook::new(webhook.clone(), chat.buttons, clock.clone())),
        ChatKind::SlackBot { token, channel, api_url } => {
            Arc::new(SlackBot::new(token.clone(), (channel.clone(), api_url.clone()), chat.buttons, clock.clone()))
        }
        ChatKind::Discord { webhook } => Arc::new(Discord::new(webhook.clone(), clock.clone())),
        ChatKind::Mattermost { webhook } => Arc::new(Mattermost::new(webhook.clone(), clock.clone())),
        ChatKind::Teams { webhook } => Arc::new(Teams::new(webhook.clone(), clock.clone())),
        ChatKind::Email(mail) => Arc::new(Email::new((**mail).clone(), clock.clone())),
        ChatKind::Webhook { webhook, secret } => Arc::new(Webhook::new(webhook.clone(), secret.clone(), clock.clone())),
    }
}
