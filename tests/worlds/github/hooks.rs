//! The webhooks of a GitHub world: what happens is sent once to where they lead, as GitHub does it, and what became of it
//! is kept. What was sent is sent again only where somebody asks.

use std::collections::BTreeMap;

use landfall::clients::Clock;
use serde_json::{Value, json};

use super::super::push;
use super::{Answer, Asked, GitHubWorld, Route, State, Work};

/// Where every webhook leads, as GitHub's pages show it: the bot itself listens where the test says.
pub(crate) const LEADS_TO: &str = "https://deploy.example.com/webhooks/github";

/// The number of the webhook that an App has.
pub(crate) const OF_APP: u64 = 1;

/// All webhooks.
#[derive(Default)]
pub(super) struct Hooks {
    by_id: BTreeMap<u64, TheirHook>,
    attempts: Vec<Attempt>,
}

struct TheirHook {
    repository: String,
    leads_to: String,
    secret: String,
}

/// One attempt to deliver something.
#[derive(Clone)]
struct Attempt {
    hook: u64,
    guid: String,
    delivered_at: String,
    code: u16,
    status: String,
    event: String,
    payload: Value,
    /// GitHub has its list, and not what was in it any more.
    is_gone: bool,
    /// Somebody asked for it to be sent again.
    again: bool,
}

impl GitHubWorld {
    /// A webhook of a repository that leads to the bot. Gives its number.
    pub(crate) fn hook(&self, repository: &str, secret: &str) -> u64 {
        self.hook_to(repository, secret, LEADS_TO)
    }

    /// A webhook of a repository that leads anywhere.
    pub(crate) fn hook_to(&self, repository: &str, secret: &str, leads_to: &str) -> u64 {
        let hooks = &mut self.shared.state.lock().unwrap().hooks;
        let number = 500 + hooks.by_id.len() as u64;
        let (repository, secret, leads_to) = (repository.to_owned(), secret.to_owned(), leads_to.to_owned());
        hooks.by_id.insert(number, TheirHook { repository, leads_to, secret });
        number
    }

    /// Sends an event to a webhook, whose server listens at `url` or nowhere. Gives the answer's status.
    pub(crate) async fn send(&self, hook: u64, url: Option<&str>, guid: &str, event: &str, payload: &Value) -> u16 {
        let secret = self.shared.state.lock().unwrap().hooks.by_id[&hook].secret.clone();
        let request =
            url.map(|url| push::event(&reqwest::Client::new(), url, &secret, event, guid, payload.to_string()).send());
        let code = match request {
            Some(request) => request.await.map_or(0, |answer| answer.status().as_u16()),
            None => 0,
        };
        self.note(hook, code, guid, event, payload);
        code
    }

    /// Keeps an attempt that ended so, without one being made.
    pub(crate) fn note(&self, hook: u64, code: u16, guid: &str, event: &str, payload: &Value) {
        let status = match code {
            0 => "failed to connect to host".to_owned(),
            200..300 => "OK".to_owned(),
            code => format!("Invalid HTTP Response: {code}"),
        };
        self.shared.state.lock().unwrap().hooks.attempts.push(Attempt {
            hook,
            guid: guid.to_owned(),
            delivered_at: Clock::system().now().to_string(),
            code,
            status,
            event: event.to_owned(),
            payload: payload.clone(),
            is_gone: false,
            again: false,
        });
    }

    /// GitHub forgets what was in every attempt so far.
    pub(crate) fn forget_payloads(&self) {
        self.shared.state.lock().unwrap().hooks.attempts.iter_mut().for_each(|it| it.is_gone = true);
    }

    /// Sends again what somebody asked for. Gives how many there were.
    pub(crate) async fn send_again(&self, url: &str) -> usize {
        let mut asked = Vec::new();
        for attempt in &mut self.shared.state.lock().unwrap().hooks.attempts {
            if std::mem::take(&mut attempt.again) {
                asked.push(attempt.clone());
            }
        }
        for Attempt { hook, guid, event, payload, .. } in &asked {
            self.send(*hook, Some(url), guid, event, payload).await;
        }
        asked.len()
    }
}

impl State {
    /// What is answered of an App's own webhook, which it alone may ask for.
    pub(super) fn of_app_hook(&mut self, asked: &Asked, bearer: &str) -> Option<Answer> {
        let path: Vec<&str> = asked.path.iter().skip(2).map(String::as_str).collect();
        let ["app", "hook", rest @ ..] = path.as_slice() else { return None };
        self.apps.signed_by(bearer).ok()?;
        if !self.hooks.attempts.iter().any(|it| it.hook == OF_APP) {
            return None;
        }
        self.hooks.of_hook(OF_APP, asked, rest).map(|(_, answer)| answer)
    }
}

impl Hooks {
    /// The route of a request about a repository's webhooks, with what is answered where nothing goes wrong.
    pub(super) fn route<'a>(&mut self, asked: &Asked, repository: &str, rest: &[&str]) -> Option<(Route, Work<'a>)> {
        let (route, answer) = match rest {
            _ if !self.by_id.values().any(|it| it.repository == repository) => return None,
            ["hooks"] if asked.method == "GET" => (Route::Hooks, self.list(repository)),
            ["hooks", hook, rest @ ..] => self.of_hook(hook.parse().ok()?, asked, rest)?,
            _ => return None,
        };
        Some((route, Box::new(move || answer)))
    }

    fn of_hook(&mut self, hook: u64, asked: &Asked, rest: &[&str]) -> Option<(Route, Answer)> {
        Some(match (asked.method.as_str(), rest) {
            ("GET", ["deliveries"]) => (Route::Hooks, self.attempts(asked, hook)),
            ("GET", ["deliveries", attempt]) => (Route::Hooks, self.attempt(attempt)),
            ("POST", ["deliveries", attempt, "attempts"]) => (Route::Redelivery, self.again(attempt)),
            _ => return None,
        })
    }

    fn list(&self, repository: &str) -> Answer {
        let of = self.by_id.iter().filter(|(_, it)| it.repository == repository);
        let shape = |(number, it): (&u64, &TheirHook)| {
            let config =
                json!({ "url": it.leads_to, "content_type": "json", "insecure_ssl": "0", "secret": "********" });
            json!({ "type": "Repository", "id": number, "name": "web", "active": true, "events": ["push"], "config": config })
        };
        Answer::json(200, of.map(shape).collect())
    }

    /// Newest first. A page's cursor is the number of the attempt that it begins with.
    fn attempts(&self, asked: &Asked, hook: u64) -> Answer {
        let number = |key: &str| asked.query.get(key).and_then(|it| it.parse::<usize>().ok());
        let (size, from) = (number("per_page").unwrap_or(30).min(PAGE), number("cursor").unwrap_or(usize::MAX));
        let of = self.attempts.iter().enumerate().rev().filter(|(at, it)| it.hook == hook && *at <= from);
        let mut page: Vec<_> = of.take(size + 1).collect();
        let next = (page.len() > size).then(|| page.pop()).flatten();
        let shape = |(at, it): (usize, &Attempt)| {
            json!({
                "id": at + 1, "guid": it.guid, "delivered_at": it.delivered_at, "redelivery": false, "duration": 0.27,
                "status": it.status, "status_code": it.code, "event": it.event, "action": null,
                "installation_id": null, "repository_id": 1, "throttled_at": null,
            })
        };
        let answer = Answer::json(200, page.into_iter().map(shape).collect());
        match next {
            Some((at, _)) => {
                let link = format!("<https://api.example.com/x?per_page={size}&cursor={at}>; rel=\"next\"");
                answer.with("link", link)
            }
            None => answer,
        }
    }

    fn attempt(&self, attempt: &str) -> Answer {
        let found = attempt.parse::<usize>().ok().and_then(|id| self.attempts.get(id.checked_sub(1)?));
        let Some(it) = found.filter(|it| !it.is_gone) else { return Answer::not_found() };
        let request = json!({ "headers": { "X-GitHub-Delivery": it.guid }, "payload": it.payload });
        Answer::json(200, json!({ "id": 0, "guid": it.guid, "event": it.event, "request": request, "response": {} }))
    }

    fn again(&mut self, attempt: &str) -> Answer {
        let Some(it) = attempt.parse::<usize>().ok().and_then(|id| self.attempts.get_mut(id.checked_sub(1)?)) else {
            return Answer::not_found();
        };
        it.again = true;
        Answer::json(202, json!({}))
    }
}

/// Small pages, so that a test of a few deliveries turns them.
const PAGE: usize = 5;
