//! The rate limit of a GitHub world: how many requests are left, said with each answer; and the tags of answers, with which
//! what has not changed is not counted.

use sha2::{Digest, Sha256};

use super::{Answer, Asked, GitHubWorld};

/// What is left, once a test has set it.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    limit: u32,
    remaining: u32,
    /// As a Unix time.
    resets: i64,
}

impl GitHubWorld {
    /// Counts requests from now on, and tags answers. Before, nothing is said of either.
    pub(crate) fn count(&self, limit: u32, remaining: u32, resets: jiff::Timestamp) {
        let resets = resets.as_second();
        self.shared.state.lock().unwrap().limit = Some(Limit { limit, remaining, resets });
    }

    /// How many requests are left.
    pub(crate) fn remaining(&self) -> u32 {
        self.shared.state.lock().unwrap().limit.unwrap().remaining
    }
}

impl Limit {
    /// Counts an answer, unless it says that nothing has changed.
    pub(super) fn counted(&mut self, asked: &Asked, mut answer: Answer) -> Answer {
        if asked.method == "GET" && answer.status == 200 {
            let tag = format!("W/\"{}\"", hex::encode(Sha256::digest(&answer.body)));
            let known = asked.headers.get("if-none-match").and_then(|it| it.to_str().ok());
            if known == Some(tag.as_str()) {
                (answer.status, answer.body) = (304, Vec::new());
            }
            answer = answer.with("etag", tag);
        }
        if answer.status != 304 {
            self.remaining = self.remaining.saturating_sub(1);
        }
        let Self { limit, remaining, resets } = self;
        let told = [("x-ratelimit-limit", limit.to_string()), ("x-ratelimit-remaining", remaining.to_string())];
        let resets = [("x-ratelimit-reset", resets.to_string()), ("x-ratelimit-resource", "core".to_owned())];
        told.into_iter().chain(resets).fold(answer, |answer, (name, value)| answer.with(name, value))
    }
}
