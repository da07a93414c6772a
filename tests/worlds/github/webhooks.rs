//! The webhooks of a GitHub world's repositories and Apps, as its API tells of them. It sends nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, GitHubWorld};

/// Whom a webhook belongs to: a repository by its name, or an App by its number.
pub(crate) type Owner = String;

#[derive(Default)]
pub(super) struct Webhooks {
    /// By the owner, in the order of their making.
    hooks: BTreeMap<Owner, Vec<Value>>,
    /// By the owner: what was sent, the newest first.
    deliveries: BTreeMap<Owner, Vec<Value>>,
}

/// A webhook as it should be.
pub(crate) fn well(url: &str) -> Value {
    json!({
        "id": 7, "type": "Repository", "name": "web", "active": true, "events": ["push"],
        "config": { "url": url, "content_type": "json", "insecure_ssl": "0", "secret": "********" },
    })
}

impl GitHubWorld {
    /// The only webhook of a repository, or (by its number) of an App.
    pub(crate) fn set_hook(&self, owner: &str, hook: Value) {
        self.shared.state.lock().unwrap().webhooks.hooks.insert(owner.to_owned(), vec![hook]);
    }

    /// What became of the last thing that a webhook sent.
    pub(crate) fn set_delivery(&self, owner: &str, status_code: u16, status: &str) {
        let delivery = json!({
            "id": 1, "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516", "event": "push", "redelivery": false,
            "delivered_at": "2026-11-21T11:58:00Z", "duration": 0.1, "status": status, "status_code": status_code,
        });
        self.shared.state.lock().unwrap().webhooks.deliveries.insert(owner.to_owned(), vec![delivery]);
    }
}

impl Webhooks {
    pub(super) fn of_repository(&self, name: &str) -> Answer {
        Answer::json(200, json!(self.hooks.get(name).cloned().unwrap_or_default()))
    }

    pub(super) fn deliveries(&self, owner: &str) -> Answer {
        Answer::json(200, json!(self.deliveries.get(owner).cloned().unwrap_or_default()))
    }

    /// What an App's webhook is; nothing where it has none.
    pub(super) fn of_app(&self, id: u32) -> Option<&Value> {
        self.hooks.get(&id.to_string())?.first()
    }
}
