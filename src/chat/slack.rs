//! Slack: an incoming webhook, which only posts, and a bot, which edits its message and writes a thread beneath it. What
//! comes from outside stands in `rich_text`, whose texts Slack never reads as formatting, links or names.
//!
//! Limits, by Slack's Block Kit reference: 50 blocks, 3,000 characters in a section, 75 in a button, 3,000 in an address;
//! `text` is what notifications show, and is read as mrkdwn, of which `&`, `<` and `>` are escaped.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::bulletin::Bulletin;
use super::card::{Act, Card, Fact, Span};
use super::fit::{fitted, web_address};
use super::mrkdwn;
use super::outlet::{Abilities, ChatError, Posted, Service};
use super::post::{self, host};
use crate::clients::Clock;
use crate::config::SecretRef;

/// Longer texts are cut: Slack refuses the whole message otherwise.
const LONGEST_TEXT: usize = 2_900;

/// Slack refuses blocks of some 13,000 characters (`msg_blocks_too_long`); a third of the JSON is text.
const LONGEST_MESSAGE: usize = 36_000;

/// An incoming webhook.
pub(super) struct SlackWebhook {
    webhook: SecretRef,
    /// Whether somebody hears of its buttons.
    buttons: bool,
    clock: Clock,
}

impl SlackWebhook {
    pub(super) fn new(webhook: SecretRef, buttons: bool, clock: Clock) -> Self {
        Self { webhook, buttons, clock }
    }

    async fn send(&self, card: &Card) -> Result<Posted, ChatError> {
        let url = post::address(&self.webhook)?;
        post::json(Method::POST, url, vec![], &message(card, self.buttons), &self.clock).await.map(|_| None)
    }
}

impl Service for SlackWebhook {
    fn post<'a>(&'a self, _: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        self.send(card).boxed()
    }
}

/// A bot of a Slack app, with the scope `chat:write`.
pub(super) struct SlackBot {
    token: SecretRef,
    channel: String,
    api: Url,
    /// Whether somebody hears of its buttons.
    buttons: bool,
    clock: Clock,
}

impl SlackBot {
    pub(super) fn new(token: SecretRef, (channel, api): (String, Url), buttons: bool, clock: Clock) -> Self {
        Self { token, channel, api, buttons, clock }
    }

    /// Calls a method. Slack says in the body whether it did it, whatever the status.
    async fn call(&self, method: &str, body: Value) -> Result<Value, ChatError> {
        let token = post::read(&self.token)?;
        let authorization = post::hidden(AUTHORIZATION, &format!("Bearer {}", token.expose()))?;
        let mut url = self.api.clone();
        url.set_path(&format!("{}/{method}", url.path().trim_end_matches('/')));
        let host = host(&url);
        let answer = post::json(Method::POST, url, vec![authorization], &body, &self.clock).await?;
        let Ok(told) = serde_json::from_slice::<Value>(&answer.body) else {
            return Err(ChatError::Down { host, status: answer.status, why: "what came is no JSON".into() });
        };
        match told["ok"].as_bool() {
            Some(true) => Ok(told),
            _ => Err(refused(host, told["error"].as_str().unwrap_or("no reason"), self.clock.now())),
        }
    }

    /// Where a message stands: the channel's own id, which Slack wants for edits, and its time.
    fn place<'a>(&'a self, standing: &'a str) -> (&'a str, &'a str) {
        standing.split_once(' ').unwrap_or((&self.channel, standing))
    }
}

impl Service for SlackBot {
    fn abilities(&self) -> Abilities {
        Abilities { edits: true, threads: true }
    }

    fn post<'a>(&'a self, _: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        async move {
            let mut body = message(card, self.buttons);
            body["channel"] = self.channel.clone().into();
            body["unfurl_links"] = false.into();
            body["unfurl_media"] = false.into();
            let told = self.call("chat.postMessage", body).await?;
            let (channel, at) = (told["channel"].as_str().unwrap_or(&self.channel), told["ts"].as_str());
            Ok(at.map(|at| format!("{channel} {at}")))
        }
        .boxed()
    }

    fn edit<'a>(&'a self, standing: &'a str, card: &'a Card) -> BoxFuture<'a, Result<(), ChatError>> {
        async move {
            let (channel, at) = self.place(standing);
            let mut body = message(card, self.buttons);
            (body["channel"], body["ts"]) = (channel.into(), at.into());
            self.call("chat.update", body).await.map(|_| ())
        }
        .boxed()
    }

    fn reply<'a>(&'a self, standing: &'a str, line: &'a [Span]) -> BoxFuture<'a, Result<(), ChatError>> {
        async move {
            let (channel, at) = self.place(standing);
            let blocks = [rich(vec![section(line)])];
            let text = escaped(&super::card::text_of(line));
            let body = json!({
                "channel": channel, "thread_ts": at, "text": text, "blocks": blocks,
                "unfurl_links": false, "unfurl_media": false,
            });
            self.call("chat.postMessage", body).await.map(|_| ())
        }
        .boxed()
    }
}

/// What one of Slack's words for an error means.
fn refused(host: String, error: &str, now: Timestamp) -> ChatError {
    match error {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            ChatError::Busy { host, until: post::after(now, post::REST) }
        }
        "message_not_found" | "cant_update_message" | "edit_window_closed" | "thread_not_found" => {
            ChatError::Gone { host }
        }
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            ChatError::Down { host, status: 200, why: error.into() }
        }
        "invalid_blocks"
        | "invalid_blocks_format"
        | "msg_too_long"
        | "no_text"
        | "invalid_arguments"
        | "invalid_attachments"
        | "too_many_attachments"
        | "msg_blocks_too_long" => ChatError::Refused { host, why: error.into() },
        // The token, the channel, or the scopes: a person mends it while the bot runs.
        other => ChatError::Denied { host, why: other.into() },
    }
}

/// The message, cut until it fits.
fn message(card: &Card, buttons: bool) -> Value {
    let card = &if buttons { card.clone() } else { Card { acts: vec![], ..card.clone() } };
    fitted(card, form, |it| it.to_string().len() <= LONGEST_MESSAGE && mrkdwn::fits(it))
}

/// What notifications show, and a coloured bar with everything beside it.
fn form(card: &Card) -> Value {
    json!({
        "text": cut(&escaped(&card.line())),
        "attachments": [{ "color": card.mood.color(), "fallback": cut(&escaped(&card.line())), "blocks": blocks(card) }],
    })
}

fn blocks(card: &Card) -> Vec<Value> {
    let mut blocks = Vec::new();
    let mut elements = Vec::new();
    for line in [title(card), card.text.clone()] {
        // Only there is read what a template wrote.
        if line.iter().any(|it| matches!(it, Span::Marked(_))) {
            blocks.push(mrkdwn::section(&line));
        } else if blocks.is_empty() {
            elements.push(section(&line));
        } else {
            blocks.push(rich(vec![section(&line)]));
        }
    }
    elements.extend(card.facts.iter().map(|it| section(&fact(it))));
    if !card.changes.is_empty() {
        let items: Vec<Value> = card.changes.iter().map(|it| section(it)).collect();
        elements.push(json!({ "type": "rich_text_list", "style": "bullet", "elements": items }));
    }
    if let Some(log) = &card.log {
        let text = json!({ "type": "text", "text": cut(log) });
        elements.push(json!({ "type": "rich_text_preformatted", "elements": [text] }));
    }
    if let Some(hint) = &card.hint {
        elements.push(section(&[Span::Strong("What to do: ".into()), Span::Said(hint.clone())]));
    }
    if !elements.is_empty() {
        blocks.push(rich(elements));
    }
    let links = card.links.iter().filter(|it| web_address(&it.url).is_some());
    let buttons: Vec<Value> = card.acts.iter().map(act).chain(links.map(|it| button(it.text, &it.url))).collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    blocks
}

fn title(card: &Card) -> Vec<Span> {
    let mut title = vec![Span::plain(format!("{} ", card.mood.sign()))];
    title.extend(card.title.iter().cloned());
    title
}

fn fact(fact: &Fact) -> Vec<Span> {
    let mut line = vec![Span::Strong(format!("{}: ", fact.name))];
    line.extend(fact.value.iter().cloned());
    line
}

pub(super) fn rich(elements: Vec<Value>) -> Value {
    json!({ "type": "rich_text", "elements": elements })
}

pub(super) fn section(line: &[Span]) -> Value {
    // An empty text is refused, and so is a section without any.
    let spans: Vec<Value> = line.iter().filter(|it| !it.text().is_empty()).map(span).collect();
    let spans = if spans.is_empty() { vec![json!({ "type": "text", "text": " " })] } else { spans };
    json!({ "type": "rich_text_section", "elements": spans })
}

fn span(span: &Span) -> Value {
    let text = |text: &str| json!({ "type": "text", "text": cut(text) });
    let styled = |words: &str, style: &str| {
        let mut it = text(words);
        it["style"] = json!({ style: true });
        it
    };
    match span {
        Span::Plain(it) | Span::Said(it) | Span::Marked(it) => text(it),
        Span::Strong(it) => styled(it, "bold"),
        Span::Code(it) => styled(it, "code"),
        Span::Link { text, url } if web_address(url).is_some() => {
            json!({ "type": "link", "text": cut(text), "url": url })
        }
        Span::Link { text: it, .. } => text(it),
        Span::Person { id: Some(id), .. } => json!({ "type": "user", "user_id": id }),
        Span::Person { name, id: None } => text(name),
    }
}

/// A button that is a command. Slack asks whether it was meant.
fn act(act: &Act) -> Value {
    let plain = |text: &str| json!({ "type": "plain_text", "text": text });
    let verb = act.words.split(' ').next().unwrap_or_default();
    let mut button = json!({
        "type": "button", "action_id": verb, "value": act.words, "text": plain(act.text),
        "confirm": {
            "title": plain(act.text), "text": plain(&format!("This asks landfall to: {}", act.words)),
            "confirm": plain(act.text), "deny": plain("Do nothing"),
        },
    });
    if act.is_grave {
        button["style"] = "danger".into();
    }
    button
}

fn button(text: &str, url: &str) -> Value {
    let action = format!("open-{}", text.to_lowercase());
    json!({ "type": "button", "action_id": action, "url": url, "text": { "type": "plain_text", "text": text } })
}

/// Text for where Slack reads mrkdwn.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()
}
