//! One record of the ledger, for readers: those who are known, and those who are not.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::sentence::sentence;
use crate::domain::{Offset, Record, Stream};

/// One record, for readers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EventView {
    /// Its place in the ledger.
    pub offset: Offset,
    /// When it was written.
    pub at: Timestamp,
    /// What it belongs to, `deployment/ID`.
    pub stream: String,
    /// What happened, in one sentence.
    pub text: String,
    /// The event itself: `kind`, and what belongs to it. The raw body of a delivery is left out, and of an order's
    /// target all but the name.
    #[serde(flatten)]
    #[schemars(with = "Kind")]
    pub event: Map<String, Value>,
}

/// What every event says of itself, beside what belongs to its kind.
#[derive(JsonSchema)]
struct Kind {
    /// Its name on the wire: `planned`, `weighed`, `failed` and so on.
    #[expect(dead_code, reason = "it only has a shape")]
    kind: String,
}

impl EventView {
    /// The view of a record.
    pub fn of(record: &Record) -> Self {
        let mut event = match serde_json::to_value(&record.event) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        };
        event.remove("body");
        // The target as resolved is long, and it names roles and paths that are no reader's business.
        if let Some(target) = event.get_mut("order").and_then(|order| order.get_mut("target")) {
            *target = target.get("name").cloned().unwrap_or(Value::Null);
        }
        Self { offset: record.offset, at: record.at, stream: record.stream.to_string(), text: sentence(record), event }
    }

    /// The same for whoever may read freely, without being known: nothing of the bot's own stream, which is the audit
    /// trail, and nothing that scripts said.
    pub fn hushed(mut self) -> Option<Self> {
        if self.stream == Stream::Bot.to_string() {
            return None;
        }
        if let Some(Value::String(said)) =
            self.event.get_mut("progress").and_then(|it| it.as_object_mut()?.remove("said"))
        {
            self.text = self.text.strip_suffix(&format!(": {said}")).unwrap_or(&self.text).to_owned();
        }
        self.event.values_mut().for_each(hush);
        Some(self)
    }

    /// Whether that says less.
    pub fn has_more(&self) -> bool {
        self.clone().hushed().is_none_or(|it| it.event != self.event)
    }

    /// The event's name on the wire.
    pub fn kind(&self) -> &str {
        self.event.get("kind").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Takes away what failures quote of scripts.
fn hush(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("detail");
            fields.values_mut().for_each(hush);
        }
        Value::Array(values) => values.iter_mut().for_each(hush),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
