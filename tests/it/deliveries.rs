//! Deliveries as people see and use them: listed, told, planned again, and caught up where they never came.

mod chosen;
mod down;
mod missed;
mod renamed;
mod replay;
mod rounds;

use crate::bot::Bot;
use crate::cli::{Ran, landfall_with};

/// `landfall WORDS…` as its administrator types it.
fn typed(bot: &Bot, words: &[&str]) -> Ran {
    let token = std::fs::read_to_string(bot.dir.join("data/token")).unwrap();
    landfall_with(&bot.dir, words, &[("LANDFALL_URL", &bot.url()), ("LANDFALL_TOKEN", token.trim())])
}
