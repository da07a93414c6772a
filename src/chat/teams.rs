//! Microsoft Teams: the webhook of a workflow, which posts one Adaptive Card. Whatever comes from outside stands in
//! `TextRun`s, which are never read as Markdown; those whom the configuration names are called in a block of their own. It
//! never edits.
//!
//! Limits: 28 KB for the whole, by Microsoft's documentation; six actions, of which its clients show no more.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};

use super::bulletin::Bulletin;
use super::card::{Card, Fact, Mood, Span};
use super::fit::{fitted, web_address};
use super::markdown::APART;
use super::outlet::{ChatError, Posted, Service};
use super::post;
use crate::clients::Clock;
use crate::config::SecretRef;

/// 28 KB, and something for what the workflow adds.
const LONGEST_MESSAGE: usize = 27_000;
const MOST_ACTIONS: usize = 6;
const MOST_CALLED: usize = 20;

/// A workflow's webhook.
pub(super) struct Teams {
    webhook: SecretRef,
    clock: Clock,
}

impl Teams {
    pub(super) fn new(webhook: SecretRef, clock: Clock) -> Self {
        Self { webhook, clock }
    }

    async fn send(&self, card: &Card) -> Result<Posted, ChatError> {
        let url = post::address(&self.webhook)?;
        let message = fitted(card, message, |it| it.to_string().len() <= LONGEST_MESSAGE);
        post::json(Method::POST, url, vec![], &message, &self.clock).await.map(|_| None)
    }
}

impl Service for Teams {
    fn post<'a>(&'a self, _: &'a Bulletin, card: &'a Card) -> BoxFuture<'a, Result<Posted, ChatError>> {
        self.send(card).boxed()
    }
}

fn message(card: &Card) -> Value {
    let called: Vec<(String, &str)> = card.called().filter_map(|(name, id)| Some((tag(name)?, id))).collect();
    let called = &called[..called.len().min(MOST_CALLED)];
    let mut body = body(card);
    if !called.is_empty() {
        let tags: Vec<&str> = called.iter().map(|(tag, _)| tag.as_str()).collect();
        body.push(json!({ "type": "TextBlock", "text": tags.join(" "), "wrap": true }));
    }
    let entities = called.iter().map(|(tag, id)| {
        let name = tag.trim_start_matches("<at>").trim_end_matches("</at>");
        json!({ "type": "mention", "text": tag, "mentioned": { "id": id, "name": name } })
    });
    let links = card.links.iter().filter_map(|it| Some((it.text, open(&it.url)?)));
    let actions: Vec<Value> = links
        .map(|(text, mut action)| {
            action["title"] = text.into();
            action
        })
        .take(MOST_ACTIONS)
        .collect();
    let content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
        "msteams": { "width": "Full", "entities": entities.collect::<Vec<_>>() },
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": content,
    });
    json!({ "type": "message", "attachments": [attachment] })
}

/// How somebody is called within a `TextBlock`, which is read as Markdown: by letters, digits and `-`, as names at GitHub
/// are.
fn tag(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|it| it.is_alphanumeric() || *it == '-').collect();
    (!name.is_empty()).then(|| format!("<at>{name}</at>"))
}

fn body(card: &Card) -> Vec<Value> {
    let mut body = vec![title(card), block(&card.text)];
    body.extend(card.facts.iter().map(fact).map(|it| close(block(&it))));
    let bullet = |it: &Vec<Span>| [&[Span::plain("• ")], it.as_slice()].concat();
    body.extend(card.changes.iter().map(|it| close(block(&bullet(it)))));
    if let Some(log) = &card.log {
        let lines: Vec<Value> = log.lines().map(|it| close(block(&[Span::Code(it.to_owned())]))).collect();
        body.push(json!({ "type": "Container", "style": "emphasis", "items": lines }));
    }
    if let Some(hint) = &card.hint {
        body.push(block(&[Span::Strong("What to do: ".into()), Span::Said(hint.clone())]));
    }
    body
}

fn title(card: &Card) -> Value {
    let color = match card.mood {
        Mood::Going => "Accent",
        Mood::Waiting => "Warning",
        Mood::Good => "Good",
        Mood::Bad => "Attention",
    };
    let line = [&[Span::plain(format!("{} ", card.mood.sign()))], card.title.as_slice()].concat();
    let mut title = block(&line);
    for run in title["inlines"].as_array_mut().into_iter().flatten() {
        (run["size"], run["weight"], run["color"]) = ("Large".into(), "Bolder".into(), color.into());
    }
    title
}

fn fact(fact: &Fact) -> Vec<Span> {
    [&[Span::Strong(format!("{}: ", fact.name))], fact.value.as_slice()].concat()
}

fn block(line: &[Span]) -> Value {
    let runs: Vec<Value> = line.iter().filter(|it| !it.text().is_empty()).map(run).collect();
    // A block without any is refused.
    let runs = if runs.is_empty() { vec![run(&Span::plain(" "))] } else { runs };
    json!({ "type": "RichTextBlock", "inlines": runs })
}

/// The same without a gap above it.
fn close(mut block: Value) -> Value {
    block["spacing"] = "None".into();
    block
}

fn run(span: &Span) -> Value {
    // A name in it that is called elsewhere on the card stays a text.
    let text = span.text().replace("<at>", &format!("<{APART}at>"));
    let mut run = json!({ "type": "TextRun", "text": text });
    match span {
        Span::Plain(_) | Span::Said(_) | Span::Marked(_) | Span::Person { .. } => {}
        Span::Strong(_) => run["weight"] = "Bolder".into(),
        Span::Code(_) => run["fontType"] = "Monospace".into(),
        Span::Link { url, .. } => {
            if let Some(action) = open(url) {
                run["selectAction"] = action;
            }
        }
    }
    run
}

fn open(url: &str) -> Option<Value> {
    Some(json!({ "type": "Action.OpenUrl", "url": web_address(url)?.as_str() }))
}
