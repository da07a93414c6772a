//! Slack's mrkdwn, which only templates write. It knows no sign that makes text of its signs, so that those in anybody
//! else's words are others that look like them, or are parted by what nobody sees.
//!
//! Limits: 3,000 characters in a section; with `verbatim` Slack looks for no addresses and names in what is text.

use serde_json::{Value, json};

use super::card::Span;
use super::fit::web_address;
use super::markdown::APART;

const LONGEST_SECTION: usize = 3_000;

/// A line as a block of its own.
pub(super) fn section(line: &[Span]) -> Value {
    let text: String = line.iter().map(span).collect();
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

/// Whether every such block of a message is short enough.
pub(super) fn fits(message: &Value) -> bool {
    let blocks = message["attachments"][0]["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let texts = blocks.iter().filter_map(|it| it["text"]["text"].as_str());
    texts.map(|it| it.chars().count()).all(|it| it <= LONGEST_SECTION)
}

fn span(span: &Span) -> String {
    match span {
        Span::Marked(it) => it.clone(),
        Span::Plain(it) | Span::Said(it) => words(it),
        Span::Strong(it) if it.trim().is_empty() => words(it),
        Span::Strong(it) => format!("*{}*", words(it)),
        Span::Code(it) if it.trim().is_empty() => words(it),
        Span::Code(it) => format!("`{}`", words(it)),
        Span::Link { text, url } => match web_address(url) {
            Some(url) => format!("<{}|{}>", url.as_str().replace('|', "%7C").replace('&', "&amp;"), words(text)),
            None => words(text),
        },
        Span::Person { name, id } => id.as_ref().map_or_else(|| words(name), |id| format!("<@{}>", words(id))),
    }
}

/// Somebody's words.
fn words(text: &str) -> String {
    let mut written = String::new();
    for it in text.chars() {
        match it {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            // At the beginning of a line it would be a quotation.
            '>' => written.extend([APART].into_iter().chain("&gt;".chars())),
            '*' => written.push('∗'),
            '_' => written.push('ˍ'),
            '~' => written.push('∼'),
            '`' => written.push('ˋ'),
            ':' | '@' | '#' => written.extend([it, APART]),
            _ => written.push(it),
        }
    }
    written
}
