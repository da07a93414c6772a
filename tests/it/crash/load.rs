//! What happens to a bot while it is killed again and again: pushes, good ones and bad ones, repeats, and requests of
//! people. Whoever sends insists until he is answered, or gives up and does not know what came of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::storm::Stage;
use crate::apply::things::Dice;
use crate::bot::MAIN;
use crate::worlds::codedeploy::Scenario;
use crate::worlds::push::{self, SECRET};

/// Somebody who pushes and asks.
pub(crate) struct Load<'a> {
    stage: &'a Stage,
    dice: Dice,
    runtime: Runtime,
    client: reqwest::Client,
    sent: Vec<(String, Value)>,
    number: usize,
    /// Deliveries that were answered 202 or 200.
    pub(super) accepted: BTreeSet<String>,
    /// Requests that were answered so.
    pub(super) asked: BTreeSet<String>,
    /// Whether it may leave it at a request whose answer never came.
    gives_up: bool,
}

impl<'a> Load<'a> {
    pub(crate) fn new(stage: &'a Stage, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        let (sent, accepted, asked) = (vec![], BTreeSet::new(), BTreeSet::new());
        Self { stage, dice: Dice(seed), runtime, client, sent, number: 0, accepted, asked, gives_up: true }
    }

    /// One thing happens, and then nothing for a moment.
    pub(crate) fn something_happens(&mut self, over: &AtomicBool) {
        match self.dice.below(20) {
            0..6 => self.push_site(over),
            6..11 => self.push_shop(over),
            11..13 => self.repeat(over),
            13..15 => self.lock(over),
            18 => self.stop(over),
            other => {
                let ask = match other {
                    15 => json!({ "ask": "rollback", "target": "site" }),
                    16 => json!({ "ask": "deploy", "target": "site", "ref": "refs/heads/main" }),
                    17 => json!({ "ask": "rollback", "target": "shop" }),
                    _ => json!({ "ask": "deploy", "target": "shop", "ref": "refs/heads/main" }),
                };
                self.ask(ask, over);
            }
        }
        let pause = self.dice.below(200);
        std::thread::sleep(Duration::from_millis(pause));
    }

    /// Nothing is left that waits for a person.
    pub(crate) fn comes_to_rest(&mut self) {
        let never = AtomicBool::new(false);
        self.gives_up = false;
        for target in ["site", "shop", "world"] {
            let answer = self.ask(json!({ "ask": "unlock", "target": target }), &never);
            assert!(matches!(answer, Some((200 | 202, _))), "{target} is not unlocked: {answer:?}");
        }
    }

    fn push_site(&mut self, over: &AtomicBool) {
        self.number += 1;
        let page = format!("{}{}", if self.dice.one_in(5) { "bad" } else { "page" }, self.number);
        let sha = self.stage.site.commit(&page, &[("index.html", &page)]);
        self.stage.site.push(MAIN);
        self.deliver(push::payload("acme/site", sha.as_str()), over);
    }

    fn push_shop(&mut self, over: &AtomicBool) {
        self.number += 1;
        if self.dice.one_in(6) {
            self.stage.codedeploy.script(Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom"));
        }
        let page = format!("page{}", self.number);
        let sha = self.stage.shop.commit(&page, &[("index.html", &page)]);
        self.stage.shop.push(MAIN);
        let mut payload = push::payload("acme/shop", sha.as_str());
        payload["repository"]["id"] = json!(1001);
        self.deliver(payload, over);
    }

    fn deliver(&mut self, payload: Value, over: &AtomicBool) {
        let id = format!("delivery-{}", self.number);
        self.sent.push((id.clone(), payload.clone()));
        // One in eight never comes.
        if !self.dice.one_in(8) {
            self.send(&id, &payload, over);
        }
    }

    fn repeat(&mut self, over: &AtomicBool) {
        if !self.sent.is_empty() {
            let (id, payload) = self.dice.of(&self.sent);
            self.send(&id, &payload, over);
        }
    }

    fn lock(&mut self, over: &AtomicBool) {
        let target = self.dice.of(&["site", "shop", "world"]);
        self.ask(json!({ "ask": "lock", "target": target, "reason": "a look" }), over);
        // Somebody pushes against it.
        if target == "site" {
            self.push_site(over)
        } else {
            self.push_shop(over)
        }
        let long = self.dice.below(700);
        std::thread::sleep(Duration::from_millis(long));
        self.ask(json!({ "ask": "unlock", "target": target }), over);
    }

    /// Stops what is under way at CodeDeploy, if anything is.
    fn stop(&mut self, over: &AtomicBool) {
        let url = format!("http://127.0.0.1:{}/api/v1/deployments?target=shop&limit=1", self.stage.port);
        let Some((200, answer)) = self.insist(|load| load.client.get(&url).bearer_auth(load.token()), over) else {
            return;
        };
        if let Some(id) = answer["deployments"][0]["id"].as_str() {
            self.ask(json!({ "ask": "stop", "deployment": id }), over);
        }
    }

    fn send(&mut self, id: &str, payload: &Value, over: &AtomicBool) {
        let url = format!("http://127.0.0.1:{}", self.stage.port);
        let body = payload.to_string();
        let answer = self.insist(|load| push::delivery(&load.client, &url, SECRET, id, body.clone()), over);
        if let Some((status @ (200 | 202), _)) = answer {
            let is_new = self.accepted.insert(id.to_owned());
            assert!(is_new || status == 200, "{id} was taken twice");
        }
    }

    fn ask(&mut self, what: Value, over: &AtomicBool) -> Option<(u16, Value)> {
        self.number += 1;
        let key = format!("key-{}", self.number);
        let url = format!("http://127.0.0.1:{}/api/v1/requests", self.stage.port);
        let body = json!({ "key": key, "what": what });
        let answer = self.insist(|load| load.client.post(&url).bearer_auth(load.token()).json(&body), over);
        // What is not possible as things stand is refused, and that is that.
        if let Some((200 | 202, _)) = &answer {
            self.asked.insert(key);
        }
        answer
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.stage.dir.join("data/token")).unwrap_or_default().trim().to_owned()
    }

    /// Sends until there is an answer, as senders do; one in four gives up where the connection broke.
    fn insist(
        &mut self,
        request: impl Fn(&Self) -> reqwest::RequestBuilder,
        over: &AtomicBool,
    ) -> Option<(u16, Value)> {
        while !over.load(Ordering::Relaxed) {
            let request = request(self);
            let sent = self.runtime.block_on(async {
                let answer = request.send().await?;
                let status = answer.status().as_u16();
                answer.json().await.map(|body| (status, body))
            });
            match sent {
                // A bot that is on its way down, or has no token yet, says so.
                Ok((401 | 503, _)) => {}
                Ok(answer) => return Some(answer),
                Err(error) if !error.is_connect() && self.gives_up && self.dice.one_in(4) => return None,
                Err(_) => {}
            }
            std::thread::sleep(Duration::from_millis(15));
        }
        None
    }
}
