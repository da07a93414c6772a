//! What people ask for in words: from Slack and in comments, and whether they may. A test is a dialogue with a bot.

mod comments;
mod slack;

use landfall::domain::{Act, BotEvent, Event};

use super::bot::Bot;

/// The audit trail, oldest first: who asked for what, and what came of it.
fn trail(bot: &Bot) -> Vec<String> {
    let mut lines = vec![];
    for record in bot.records() {
        if let Event::Bot(BotEvent::Requested { request, deployments }) = &record.event {
            let what = serde_json::to_value(&request.what).unwrap();
            lines.push(format!("{}: {}, {} born", request.actor, what["ask"].as_str().unwrap(), deployments.len()));
        }
        if let Event::Bot(BotEvent::Administered { actor, act: Act::Commanded { words, refused } }) = &record.event {
            lines.push(format!("{actor}: `{words}`{}", if refused.is_some() { " was refused" } else { "" }));
        }
    }
    lines
}
