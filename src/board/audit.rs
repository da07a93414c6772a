//! The audit trail as readers are shown it: what people did, whether of deployments or of the bot itself.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::event_view::EventView;
use super::sentence::{asked, did};
use crate::domain::{BotEvent, DeploymentId, Event, Offset, Record};

/// A page of the audit trail, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AuditPage {
    /// What people did.
    pub entries: Vec<AuditEntry>,
    /// What to ask the next page with; nothing on the last one.
    pub cursor: Option<Offset>,
}

/// Something that somebody did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AuditEntry {
    /// Its place in the ledger.
    pub offset: Offset,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as the rest of a sentence that begins with who.
    pub text: String,
    /// The deployments that were born of it.
    pub deployments: Vec<DeploymentId>,
    /// The event as the ledger holds it.
    pub event: Map<String, Value>,
}

impl AuditEntry {
    /// The view of a record; nothing for one that nobody is behind.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let (actor, text, deployments) = match &record.event {
            Event::Bot(BotEvent::Requested { request, deployments }) => {
                (&request.actor, asked(&request.what), deployments.clone())
            }
            Event::Bot(BotEvent::Administered { actor, act }) => (actor, did(act), vec![]),
            Event::Bot(BotEvent::Started { .. } | BotEvent::Stopping) => return None,
            Event::Delivery(_) | Event::Deployment(_) | Event::Target(_) | Event::Sink(_) => return None,
        };
        let EventView { event, .. } = EventView::of(record);
        Some(Self { offset: record.offset, at: record.at, actor: actor.clone(), text, deployments, event })
    }
}
