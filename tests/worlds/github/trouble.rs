//! What goes wrong at a GitHub world, as its scripts say.

use std::collections::VecDeque;

use serde_json::json;

use super::{Answer, Route, Shared, Work};

/// What goes wrong with the next request of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// Nothing: a gap in a script.
    None,
    /// This status, and nothing else.
    Status(u16),
    /// 403, and when to come back.
    RateLimited { retry_after: u64 },
    /// The connection ends after this many bytes of the body.
    CutAfter(usize),
    /// What was asked for happens, and the answer is lost.
    AnswerLost,
    /// It is done, and the answer is replaced by this text on its way: by a page where it begins as one.
    Spoiled(&'static str),
    /// This status, and this message.
    Says(u16, &'static str),
    /// A redirect to there.
    LeadsTo(&'static str),
    /// This status, and what was shown for it (else the token) in all that comes with it, as a proxy may answer that tells
    /// what it was asked.
    Echo(u16),
}

impl Shared {
    /// What the script says, or what was asked for.
    pub(super) fn trouble(&self, route: Route, shown: Option<&str>, work: Work) -> Answer {
        let trouble = {
            let mut state = self.state.lock().unwrap();
            let trouble = state.script.get_mut(&route).and_then(VecDeque::pop_front);
            trouble.map(|it| (it, state.token.clone()))
        };
        let Some((trouble, token)) = trouble else { return work() };
        let shown = shown.unwrap_or(&token);
        match trouble {
            Trouble::None => work(),
            Trouble::Echo(status) => echo(status, shown),
            Trouble::Status(status) => Answer::json(status, json!({ "message": "as the script says" })),
            Trouble::Says(status, message) => Answer::json(status, json!({ "message": message })),
            Trouble::LeadsTo(address) => Answer::json(302, json!({})).with("location", address.to_owned()),
            Trouble::RateLimited { retry_after } => {
                Answer::json(403, json!({ "message": "You have exceeded a secondary rate limit." }))
                    .with("retry-after", retry_after.to_string())
            }
            Trouble::Spoiled(text) => {
                work();
                let kind = if text.starts_with('<') { "text/html; charset=utf-8" } else { "application/json" };
                Answer::bytes(kind, text.into())
            }
            Trouble::CutAfter(bytes) => Answer { cut_after: Some(bytes), ..work() },
            Trouble::AnswerLost => {
                work();
                Answer::json(502, json!({ "message": "Server Error" }))
            }
        }
    }
}

fn echo(status: u16, token: &str) -> Answer {
    let shown = format!("Authorization: Bearer {token}");
    let body = match status {
        // What was asked for is no text.
        200 => json!(shown),
        _ => json!({ "message": shown, "errors": [{ "message": token }] }),
    };
    Answer::json(status, body).with("location", format!("http://127.0.0.1:9/{token}")).with("x-shown", shown)
}
