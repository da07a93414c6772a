//! Discord: a webhook of a channel, which posts one embed and edits it. Embeds call nobody: those whom the configuration
//! names are called in the line above, and nobody else can be, since `allowed_mentions` names them one by one.
//!
//! Limits, by Discord's reference of messages: 2,000 characters above the embed; within it 256 for the title, 4,096 for the
//! description, 25 fields of 256 and 1,024, and 6,000 altogether.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::bulletin::Bulletin;
use super::card::{Card, text_of};
use super::fit::{fitted, units, web_address};
use super::markdown::Dialect;
use super::outlet::{Abilities, ChatError, Posted, Service};
use super::post;
use crate::clients::Clock;
use crate::config::SecretRef;

/// With less than 25 characters for each, they fit into the 2,000 of the line above.
const MOST_CALLED: usize = 80;
const LONGEST_TITLE: usize = 256;
const LONGEST_DESCRIPTION: usize = 4096;
const LONGEST_VALUE: usize = 1024;
const LONGEST_EMBED: usize = 6000;

const DIALECT: Dialect = Dialect { escape, call };

/// A channel's webhook.
pub(super) struct Discord {
    webhook: SecretRef,
    clock: Clock,
}

impl Discord {
    pub(super) fn new(webhook: SecretRef, clock: Clock) -> Self {
        Self { webhook, clock }
    }

    async fn send(&self, method: Method, url: Url, card: &Card) -> Result<Value, ChatError> {
        let answer = post::json(method, url, vec![], &message(card), &self.clock).await?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

impl Service for Discord {
    fn abilities(&self) -> Abilities {
        Abilities { edits: true, threads: false }
    }

    fn post<'a>(&'a self, _: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        async move {
            let mut url = post::address(&self.webhook)?;
            // Without it Discord answers before it knows whether it takes the message, and with no name for it.
            url.query_pairs_mut().append_pair("wait", "true");
            let told = self.send(Method::POST, url, card).await?;
            Ok(told["id"].as_str().map(str::to_owned))
        }
        .boxed()
    }

    fn edit<'a>(&'a self, standing: &'a str, card: &'a Card) -> BoxFuture<'a, Result<(), ChatError>> {
        async move {
            let mut url = post::address(&self.webhook)?;
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["messages", standing]);
            }
            self.send(Method::PATCH, url, card).await.map(|_| ())
        }
        .boxed()
    }
}

/// Every sign that begins something in Discord's Markdown loses that by the `\` before it.
fn escape(it: char, written: &mut String) {
    if "\\`*_~|<>[]()#-+.:@!".contains(it) {
        written.push('\\');
    }
    written.push(it);
}

fn call(id: &str) -> Option<String> {
    is_person(id).then(|| format!("<@{id}>"))
}

/// Whether it can be Discord's name for somebody: a number.
fn is_person(id: &str) -> bool {
    (1..=20).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_digit())
}

fn message(card: &Card) -> Value {
    let called: Vec<&str> = card.called().map(|(_, id)| id).filter(|it| is_person(it)).take(MOST_CALLED).collect();
    let content: Vec<String> = called.iter().filter_map(|it| call(it)).collect();
    json!({
        "content": content.join(" "),
        "embeds": [fitted(card, embed, fits)],
        "allowed_mentions": { "parse": [], "users": called },
    })
}

fn embed(card: &Card) -> Value {
    let color = u32::from_str_radix(card.mood.color().trim_start_matches('#'), 16).unwrap_or_default();
    let fields = card.facts.iter().filter(|it| !text_of(&it.value).trim().is_empty());
    let fields: Vec<Value> =
        fields.map(|it| json!({ "name": it.name, "value": DIALECT.line(&it.value), "inline": true })).collect();
    let mut embed = json!({
        "title": DIALECT.title(card),
        "description": DIALECT.body(card, "\n"),
        "color": color,
        "fields": fields,
    });
    if let Some(url) = card.links.first().and_then(|it| web_address(&it.url)) {
        embed["url"] = url.as_str().into();
    }
    embed
}

fn fits(embed: &Value) -> bool {
    let of = |it: &Value| units(it.as_str().unwrap_or_default());
    let fields = embed["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let values = fields.iter().map(|it| of(&it["value"]));
    let all = fields.iter().map(|it| of(&it["name"]) + of(&it["value"])).sum::<usize>();
    let (title, description) = (of(&embed["title"]), of(&embed["description"]));
    title <= LONGEST_TITLE
        && description <= LONGEST_DESCRIPTION
        && values.max().unwrap_or_default() <= LONGEST_VALUE
        && title + description + all <= LONGEST_EMBED
}
