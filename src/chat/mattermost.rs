//! Mattermost: an incoming webhook, which posts one attachment in Slack's manner, written in Mattermost's Markdown. It calls
//! those whom the configuration names, in the line above the attachment, and never edits.
//!
//! Limits: 16,383 characters in a post, by its documentation; 7,900 in the attachments as JSON for older servers, which
//! is enough for the others too. Of a `\` before a sign its Markdown takes away the meaning for some signs only;
//! names, tags and addresses it finds afterwards in what is text already, and they are parted by what nobody sees.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};

use super::bulletin::Bulletin;
use super::card::{Card, text_of};
use super::fit::{fitted, units};
use super::markdown::{Dialect, parted};
use super::outlet::{ChatError, Posted, Service};
use super::post;
use crate::clients::Clock;
use crate::config::SecretRef;

const LONGEST_ATTACHMENT: usize = 7_500;
/// Names are of 64 characters at most, so that these leave room in the post.
const MOST_CALLED: usize = 80;
/// What a server says with 400 where the webhook, or its person, is no longer there.
const GONE: [&str; 2] = ["web.incoming_webhook.invalid.app_error", "web.incoming_webhook.user.app_error"];

const DIALECT: Dialect = Dialect { escape: parted, call };

/// An incoming webhook.
pub(super) struct Mattermost {
    webhook: SecretRef,
    clock: Clock,
}

impl Mattermost {
    pub(super) fn new(webhook: SecretRef, clock: Clock) -> Self {
        Self { webhook, clock }
    }

    async fn send(&self, card: &Card) -> Result<Posted, ChatError> {
        let url = post::address(&self.webhook)?;
        let sent = post::json(Method::POST, url, vec![], &message(card), &self.clock).await;
        sent.map(|_| None).map_err(denied)
    }
}

impl Service for Mattermost {
    fn post<'a>(&'a self, _: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        self.send(card).boxed()
    }
}

/// A webhook that is gone is for a person to mend, and no fault of the message.
fn denied(error: ChatError) -> ChatError {
    if let ChatError::Refused { host, why } = &error
        && GONE.iter().any(|it| why.contains(it))
    {
        return ChatError::Denied { host: host.clone(), why: why.clone() };
    }
    error
}

fn call(name: &str) -> Option<String> {
    let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'.' | b'-' | b'_');
    let is_all = matches!(name, "all" | "channel" | "here");
    let is_person = (1..=64).contains(&name.len()) && name.bytes().all(fits) && !is_all;
    is_person.then(|| format!("@{name}"))
}

fn message(card: &Card) -> Value {
    let called: Vec<String> = card.called().filter_map(|(_, id)| call(id)).take(MOST_CALLED).collect();
    let attachment = fitted(card, attachment, |it| units(&it.to_string()) <= LONGEST_ATTACHMENT);
    json!({ "text": called.join(" "), "attachments": [attachment] })
}

fn attachment(card: &Card) -> Value {
    let fields = card.facts.iter().filter(|it| !text_of(&it.value).trim().is_empty());
    let fields: Vec<Value> =
        fields.map(|it| json!({ "title": it.name, "value": DIALECT.line(&it.value), "short": true })).collect();
    json!({
        "fallback": card.line(),
        "color": card.mood.color(),
        "title": DIALECT.title(card),
        "text": DIALECT.body(card, "\n\n"),
        "fields": fields,
    })
}
