//! The webhooks of a GitHub world, of its repositories, organisations and Apps: what happens is sent once to where they
//! lead, as GitHub does it, and what became of it is kept. What was sent is sent again only where somebody asks.

use landfall::clients::Clock;
use serde_json::{Value, json};

use super::super::push;
use super::{Answer, Asked, GitHubWorld, Route, Work};

/// Where every webhook leads, as GitHub's pages show it: the bot itself listens where the test says.
pub(crate) const LEADS_TO: &str = "https://deploy.example.com/webhooks/github";

/// All webhooks.
#[derive(Default)]
pub(super) struct Hooks {
    all: Vec<TheirHook>,
    attempts: Vec<Attempt>,
}

struct TheirHook {
    /// A repository by its name, an organisation by its own, an App by its number.
    owner: String,
    number: u64,
    secret: String,
    /// As the API tells it.
    shape: Value,
}

/// A webhook as it should be.
pub(crate) fn well(url: &str) -> Value {
    json!({
        "id": 7, "type": "Repository", "name": "web", "active": true, "events": ["push"],
        "config": { "url": url, "content_type": "json", "insecure_ssl": "0", "secret": "********" },
    })
}

/// One attempt to deliver something.
#[derive(Clone)]
struct Attempt {
    owner: String,
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

    /// A webhook of a repository, an organisation or an App that leads anywhere.
    pub(crate) fn hook_to(&self, owner: &str, secret: &str, leads_to: &str) -> u64 {
        let hooks = &mut self.shared.state.lock().unwrap().hooks;
        let number = 500 + hooks.all.len() as u64;
        let mut shape = well(leads_to);
        shape["id"] = json!(number);
        hooks.all.push(TheirHook { owner: owner.to_owned(), number, secret: secret.to_owned(), shape });
        number
    }

    /// The only webhook of a repository, an organisation or an App.
    pub(crate) fn set_hook(&self, owner: &str, shape: Value) {
        let hooks = &mut self.shared.state.lock().unwrap().hooks;
        hooks.all.retain(|it| it.owner != owner);
        let number = shape["id"].as_u64().unwrap();
        hooks.all.push(TheirHook { owner: owner.to_owned(), number, secret: String::new(), shape });
    }

    /// What became of the last thing that the only webhook of somebody sent.
    pub(crate) fn set_delivery(&self, owner: &str, code: u16, status: &str) {
        let hooks = &mut self.shared.state.lock().unwrap().hooks;
        let hook = hooks.all.iter().find(|it| it.owner == owner).unwrap().number;
        hooks.attempts.push(Attempt {
            owner: owner.to_owned(),
            hook,
            guid: "0b989ba4-242f-11e5-81e1-c7b6966d2516".to_owned(),
            delivered_at: "2026-11-21T11:58:00Z".to_owned(),
            code,
            status: status.to_owned(),
            event: "push".to_owned(),
            payload: Value::Null,
            is_gone: false,
            again: false,
        });
    }

    /// Sends an event to a webhook, whose server listens at `url` or nowhere. Gives the answer's status.
    pub(crate) async fn send(&self, hook: u64, url: Option<&str>, guid: &str, event: &str, payload: &Value) -> u16 {
        let secret = self.shared.state.lock().unwrap().hooks.numbered(hook).secret.clone();
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
        let hooks = &mut self.shared.state.lock().unwrap().hooks;
        let owner = hooks.numbered(hook).owner.clone();
        hooks.attempts.push(Attempt {
            owner,
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

impl Hooks {
    fn numbered(&self, number: u64) -> &TheirHook {
        self.all.iter().find(|it| it.number == number).unwrap()
    }

    /// The route of a request beneath `/hooks` of a repository or an organisation, with what is answered where nothing
    /// goes wrong. Whoever has none that anybody set up is shown an empty list.
    pub(super) fn route<'a>(&mut self, asked: &Asked, owner: &str, rest: &[&str]) -> Option<(Route, Work<'a>)> {
        let (route, answer) = match rest {
            ["hooks"] if asked.method == "GET" => (Route::Hooks, self.list(owner)),
            ["hooks", hook, rest @ ..] => self.of_hook(owner, hook.parse().ok()?, asked, rest)?,
            _ => return None,
        };
        Some((route, Box::new(move || answer)))
    }

    /// What is answered of an App's own webhook; nothing where it has none.
    pub(super) fn of_app(&mut self, app: u32, asked: &Asked, rest: &[&str]) -> Option<Answer> {
        let owner = app.to_string();
        let TheirHook { number, shape, .. } = self.all.iter().find(|it| it.owner == owner)?;
        match rest {
            ["config"] if asked.method == "GET" => Some(Answer::json(200, shape["config"].clone())),
            rest => {
                let number = *number;
                self.of_hook(&owner, number, asked, rest).map(|(_, answer)| answer)
            }
        }
    }

    /// The events that an App's webhook is sent.
    pub(super) fn events_of_app(&self, app: u32) -> Value {
        let owner = app.to_string();
        self.all.iter().find(|it| it.owner == owner).map_or(json!([]), |it| it.shape["events"].clone())
    }

    /// Whether an organisation has any.
    pub(super) fn has(&self, owner: &str) -> bool {
        self.all.iter().any(|it| it.owner == owner)
    }

    fn of_hook(&mut self, owner: &str, hook: u64, asked: &Asked, rest: &[&str]) -> Option<(Route, Answer)> {
        Some(match (asked.method.as_str(), rest) {
            ("GET", ["deliveries"]) => (Route::Hooks, self.attempts(asked, owner, hook)),
            ("GET", ["deliveries", attempt]) => (Route::Hooks, self.attempt(attempt)),
            ("POST", ["deliveries", attempt, "attempts"]) => (Route::Redelivery, self.again(attempt)),
            _ => return None,
        })
    }

    fn list(&self, owner: &str) -> Answer {
        Answer::json(200, self.all.iter().filter(|it| it.owner == owner).map(|it| it.shape.clone()).collect())
    }

    /// Newest first. A page's cursor is the number of the attempt that it begins with.
    fn attempts(&self, asked: &Asked, owner: &str, hook: u64) -> Answer {
        let number = |key: &str| asked.query.get(key).and_then(|it| it.parse::<usize>().ok());
        let (size, from) = (number("per_page").unwrap_or(30).min(PAGE), number("cursor").unwrap_or(usize::MAX));
        let is_its = |it: &Attempt| it.hook == hook && it.owner == owner;
        let of = self.attempts.iter().enumerate().rev().filter(|(at, it)| is_its(it) && *at <= from);
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
