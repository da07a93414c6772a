//! Verify: one look at what was released. May run any number of times: it only reads, as far as a program of the revision
//! does.

use super::World;
use super::release;
use crate::clients::guard::{self, Guarded};
use crate::domain::{Order, RunId, Verify, VerifyBy};

/// How much of a body is read: what it has to contain stands in it.
const BODY: usize = 256 << 10;
/// How much of a body is shown.
const SHOWN: usize = 200;

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Whether it is as wanted.
    pub good: bool,
    /// What was found, in words: the same words are no news.
    pub said: String,
    /// More of it, masked.
    pub detail: Option<String>,
}

/// Looks once.
pub async fn verify(world: &World, order: &Order, run: Option<&RunId>, verify: &Verify) -> Looked {
    let looked = match &verify.by {
        VerifyBy::Url { url, status, body_contains, allow_private, follow } => {
            let Ok(url) = url.parse() else { return bad(format!("`{url}` is no address")) };
            let (allow_private, follow, within) = (*allow_private, *follow, verify.timeout());
            match guard::get(&Guarded { url, allow_private, follow, within, limit: BODY }).await {
                Ok(answered) => judge(&answered, *status, body_contains.as_deref()),
                Err(error) => bad(error.to_string()),
            }
        }
        VerifyBy::Command { command } => {
            let Some(run) = run else { return bad("there is no run that it could look at".into()) };
            match release::engine(world, order).try_out(run, command, verify.timeout()).await {
                Ok(()) => Looked { good: true, said: "ended with exit code 0".into(), detail: None },
                Err(failure) => Looked { detail: failure.detail, ..bad(failure.message) },
            }
        }
    };
    Looked { said: world.mask.apply(&looked.said), detail: looked.detail.map(|it| world.mask.apply(&it)), ..looked }
}

fn bad(said: String) -> Looked {
    Looked { good: false, said, detail: None }
}

fn judge(answered: &guard::Answered, status: u16, contains: Option<&str>) -> Looked {
    let body = String::from_utf8_lossy(&answered.body);
    let found = answered.status;
    if found != status {
        let to = answered.leads_to.as_ref().map(|to| format!(" and leads to `{to}`")).unwrap_or_default();
        let shown: String = body.chars().take(SHOWN).collect();
        return Looked { detail: Some(shown), ..bad(format!("answers {found}{to}, expected {status}")) };
    }
    match contains.filter(|text| !body.contains(text)) {
        Some(text) => {
            let shown: String = body.chars().take(SHOWN).collect();
            Looked { detail: Some(shown), ..bad(format!("answers {found} without `{text}`")) }
        }
        None => Looked { good: true, said: format!("answers {found}"), detail: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_by_status_and_body() {
        let answered = |status, body: &str, to: Option<&str>| guard::Answered {
            status,
            body: body.into(),
            leads_to: to.map(str::to_owned),
        };
        let said = |it: guard::Answered, text| judge(&it, 200, text).said;
        assert!(judge(&answered(200, "up", None), 200, Some("up")).good);
        assert_eq!(said(answered(503, "starting", None), None), "answers 503, expected 200");
        assert_eq!(judge(&answered(503, "starting", None), 200, None).detail.as_deref(), Some("starting"));
        assert_eq!(said(answered(302, "", Some("/login")), None), "answers 302 and leads to `/login`, expected 200");
        assert_eq!(said(answered(200, "down", None), Some("up")), "answers 200 without `up`");
    }
}
