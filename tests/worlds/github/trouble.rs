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
}

impl Shared {
    /// What the script says, or what was asked for.
    pub(super) fn trouble(&self, route: Route, work: Work) -> Answer {
        let trouble = self.state.lock().unwrap().script.get_mut(&route).and_then(VecDeque::pop_front);
        match trouble.unwrap_or(Trouble::None) {
            Trouble::None => work(),
            Trouble::Status(status) => Answer::json(status, json!({ "message": "as the script says" })),
            Trouble::RateLimited { retry_after } => {
                Answer::json(403, json!({ "message": "You have exceeded a secondary rate limit." }))
                    .with("retry-after", retry_after.to_string())
            }
            Trouble::CutAfter(bytes) => Answer { cut_after: Some(bytes), ..work() },
            Trouble::AnswerLost => {
                work();
                Answer::json(502, json!({ "message": "Server Error" }))
            }
        }
    }
}
