//! Answers to commands in Slack: lines in `rich_text`, which all in the channel see, or only whoever asked.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::card::{Span, text_of};
use super::outlet::ChatError;
use super::post;
use super::slack::{escaped, rich, section};
use crate::clients::Clock;

/// How long is waited before it is tried once more, and again.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// An answer, as Slack takes it from a slash command or at the address that came with one. `for_all`: all in the channel
/// see it.
pub fn slack_answer(lines: &[Vec<Span>], for_all: bool) -> Value {
    let text: Vec<String> = lines.iter().map(|it| escaped(&text_of(it))).collect();
    let mut elements = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let line: Vec<Span> = match at {
            0 => line.clone(),
            // Sections stand side by side otherwise.
            _ => [&[Span::plain("\n")], line.as_slice()].concat(),
        };
        elements.push(section(&line));
    }
    json!({
        "response_type": if for_all { "in_channel" } else { "ephemeral" },
        "replace_original": false,
        "text": text.join("\n"),
        "blocks": [rich(elements)],
    })
}

/// Sends it to the address that came with a command, which takes it for half an hour.
pub async fn answer_in_slack(url: Url, lines: &[Vec<Span>], for_all: bool, clock: &Clock) -> Result<(), ChatError> {
    let body = slack_answer(lines, for_all);
    let mut again = AGAIN.iter();
    loop {
        let sent = post::json(Method::POST, url.clone(), vec![], &body, clock).await;
        match (sent, again.next()) {
            (Ok(_), _) => return Ok(()),
            (Err(error), Some(rest)) if error.may_be_taken() => tokio::time::sleep(*rest).await,
            (Err(error), _) => return Err(error),
        }
    }
}
