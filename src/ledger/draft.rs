//! What a group of commits will change in the index, seen as if it had happened. Never writes by itself.

use std::collections::HashMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::Batch;

use crate::domain::{
    Ask, BotEvent, Cause, DeliveryEvent, Deployment, DeploymentEvent, DeploymentId, Event, Head, Offset, Record,
    RefName, SinkEvent, Stream, TargetEvent, TargetName, TargetState,
};

use super::error::LedgerError;
use super::frame::Header;
use super::index::{Index, Reached, place_value, value_of};
use super::keys::{self, Key};
use super::log::Place;

/// One mark in the index for about this many bytes of the log: what is read in vain to find one record.
const MARK_EVERY: u64 = 32 * 1024;

/// A deployment and the offset of its birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) birth: Offset,
    pub(super) deployment: Deployment,
}

#[derive(Debug, Default)]
struct Changes {
    keys: HashMap<Key, Option<Vec<u8>>>,
    deployments: HashMap<DeploymentId, Snapshot>,
}

/// The index as it will be after the commits of a group that were settled, and the one that is being tried.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    index: &'a Index,
    settled: Changes,
    tried: Changes,
}

impl<'a> Draft<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, settled: Changes::default(), tried: Changes::default() }
    }

    /// Keeps what was tried.
    pub(super) fn settle(&mut self) {
        self.settled.keys.extend(self.tried.keys.drain());
        self.settled.deployments.extend(self.tried.deployments.drain());
    }

    /// Forgets what was tried.
    pub(super) fn discard(&mut self) {
        self.tried = Changes::default();
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.tried.keys.get(key).or_else(|| self.settled.keys.get(key)) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.index.get(key)?.map(|it| it.to_vec())),
        }
    }

    fn put(&mut self, key: Key, value: Vec<u8>) {
        self.tried.keys.insert(key, Some(value));
    }

    fn note(&mut self, key: Key) {
        self.put(key, Vec::new());
    }

    fn remove(&mut self, key: Key) {
        self.tried.keys.insert(key, None);
    }

    fn json<T: DeserializeOwned + Default>(&self, what: &'static str, key: &[u8]) -> Result<T, LedgerError> {
        match self.get(key)? {
            Some(value) => serde_json::from_slice(&value).map_err(|source| LedgerError::Entry { what, source }),
            None => Ok(T::default()),
        }
    }

    fn put_json(&mut self, key: Key, value: &impl Serialize) {
        self.put(key, serde_json::to_vec(value).expect("what the index keeps has string keys only"));
    }

    /// The first record of a delivery, by its id.
    pub(super) fn delivery(&self, key: &[u8]) -> Result<Option<Offset>, LedgerError> {
        Ok(self.get(key)?.map(|value| keys::offset_in(&value[..8.min(value.len())])))
    }

    /// The offset that stands under a key.
    pub(super) fn offset(&self, key: &[u8]) -> Result<Option<Offset>, LedgerError> {
        Ok(self.get(key)?.map(|value| keys::offset_in(&value)))
    }

    pub(super) fn head(&self, target: &TargetName, reference: &RefName) -> Result<Head, LedgerError> {
        self.json("head", &keys::head(target, reference))
    }

    pub(super) fn target(&self, target: &TargetName) -> Result<TargetState, LedgerError> {
        self.json("target", &keys::target(target))
    }

    pub(super) fn deployment(&self, id: DeploymentId) -> Result<Option<Snapshot>, LedgerError> {
        match self.tried.deployments.get(&id).or_else(|| self.settled.deployments.get(&id)) {
            Some(found) => Ok(Some(found.clone())),
            None => self.index.deployment(id),
        }
    }

    /// Takes a record that is, or will be, in the log. Refuses what cannot follow.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), LedgerError> {
        let offset = record.offset;
        match (&record.stream, &record.event) {
            (Stream::Delivery(_), _) | (_, Event::Deployment(DeploymentEvent::Planned { .. })) => {}
            (stream, _) => self.note(keys::in_stream(stream, offset)),
        }
        match (&record.stream, &record.event) {
            (Stream::Delivery(id), Event::Delivery(event)) => self.delivered(&keys::delivery(id), offset, event),
            (Stream::Deployment(id), Event::Deployment(event)) => self.deployed(*id, record, event),
            (Stream::Target(name), Event::Target(event)) => self.targeted(name, record, event),
            (Stream::Sink(name), Event::Sink(event)) => {
                let (SinkEvent::Sent { deployment, .. }
                | SinkEvent::Stumbled { deployment, .. }
                | SinkEvent::GaveUp { deployment, .. }) = event;
                self.put(keys::sent(name, *deployment), offset.0.to_be_bytes().to_vec());
                Ok(())
            }
            (Stream::Bot, Event::Bot(event)) => {
                self.bot(offset, event);
                Ok(())
            }
            (stream, _) => Err(LedgerError::Mismatched { stream: stream.clone() }),
        }
    }

    fn delivered(&mut self, key: &Key, offset: Offset, event: &DeliveryEvent) -> Result<(), LedgerError> {
        let mut offsets = self.get(key)?.unwrap_or_default();
        offsets.extend_from_slice(&offset.0.to_be_bytes());
        self.put(key.clone(), offsets);
        match event {
            DeliveryEvent::Received { digest, push, .. } => {
                self.put(keys::digest(digest), offset.0.to_be_bytes().to_vec());
                self.note(keys::delivered(offset));
                if let Some(sha) = &push.after {
                    self.note(keys::delivery_of(sha, offset));
                }
            }
            DeliveryEvent::Replayed { .. } => {}
        }
        Ok(())
    }

    fn deployed(&mut self, id: DeploymentId, record: &Record, event: &DeploymentEvent) -> Result<(), LedgerError> {
        let snapshot = match self.deployment(id)? {
            None => {
                let deployment = Deployment::born(id, record.at, event)?;
                self.born(&deployment)?;
                Snapshot { birth: record.offset, deployment }
            }
            Some(mut snapshot) => {
                snapshot.deployment.apply(record.at, event)?;
                snapshot
            }
        };
        let order = snapshot.deployment.order();
        if let DeploymentEvent::Weighed { commit, .. } = event
            && *commit != order.sha
        {
            self.note(keys::deployment_of(commit, id));
        }
        if snapshot.deployment.state().is_over() {
            self.ended(&snapshot.deployment)?;
        }
        self.tried.deployments.insert(id, snapshot);
        Ok(())
    }

    fn born(&mut self, deployment: &Deployment) -> Result<(), LedgerError> {
        let (id, order) = (deployment.id(), deployment.order());
        self.note(keys::unfinished(id));
        self.note(keys::in_target(&order.target.name, id));
        match order.cause {
            // The delivery's own key leads to it.
            Cause::Push { .. } => {}
            Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } | Cause::Replay { .. } => {
                self.note(keys::deployment_of(&order.sha, id));
            }
            Cause::Rollback { .. } | Cause::Promotion { .. } => self.note(keys::deployment_of(&order.sha, id)),
        }
        // A person who insists on a commit says nothing about which one is newest.
        if !order.is_insisted() {
            let mut head = self.head(&order.target.name, &order.reference)?;
            head.planned = Some((order.sha.clone(), id));
            self.put_json(keys::head(&order.target.name, &order.reference), &head);
        }
        Ok(())
    }

    fn ended(&mut self, deployment: &Deployment) -> Result<(), LedgerError> {
        let (name, reference) = (&deployment.order().target.name, &deployment.order().reference);
        self.remove(keys::unfinished(deployment.id()));
        let mut state = self.target(name)?;
        state.conclude(deployment.changed_at(), deployment);
        self.put_json(keys::target(name), &state);
        if let Some(commit) = deployment.handled() {
            let mut head = self.head(name, reference)?;
            (head.seen, head.seen_by) = (Some(commit.clone()), Some(deployment.id()));
            self.put_json(keys::head(name, reference), &head);
        }
        Ok(())
    }

    fn targeted(&mut self, name: &TargetName, record: &Record, event: &TargetEvent) -> Result<(), LedgerError> {
        let mut state = self.target(name)?;
        state.apply(record.at, event);
        self.put_json(keys::target(name), &state);
        match event {
            TargetEvent::Seen { reference, sha } => {
                let mut head = self.head(name, reference)?;
                (head.seen, head.seen_by) = (Some(sha.clone()), None);
                self.put_json(keys::head(name, reference), &head);
            }
            TargetEvent::Found { .. } | TargetEvent::Pinned { .. } => {}
            TargetEvent::Locked { .. } | TargetEvent::Unlocked { .. } => {}
        }
        Ok(())
    }

    fn bot(&mut self, offset: Offset, event: &BotEvent) {
        match event {
            BotEvent::Requested { request, deployments: _ } => {
                self.put(keys::request(&request.actor, &request.key), offset.0.to_be_bytes().to_vec());
                match request.what {
                    Ask::Pause => self.note(keys::PAUSED.to_vec()),
                    Ask::Resume => self.remove(keys::PAUSED.to_vec()),
                    Ask::Deploy { .. } | Ask::Redeploy { .. } | Ask::Rollback { .. } | Ask::Replay { .. } => {}
                    Ask::Stop { .. } | Ask::Approve { .. } | Ask::Lock { .. } | Ask::Unlock { .. } => {}
                }
            }
            BotEvent::Started { .. } | BotEvent::Stopping => {}
        }
    }

    /// Takes the place of a commit whose records were applied.
    pub(super) fn placed(&mut self, offset: Offset, place: Place, bytes: u64) {
        if place.byte.next_multiple_of(MARK_EVERY) < place.byte + bytes {
            self.put(keys::mark(offset), place_value(place));
        }
    }

    /// Everything that was settled as one batch, with how far the index has come by it: its last commit and where the
    /// next one begins.
    pub(super) fn into_batch(self, last: (Place, Header), next: Place) -> Batch {
        let (place, header) = last;
        let end = Offset(header.offset.0 + header.records);
        let reached = Reached::new(end, next, Some((header.offset, place, header.crc32)));
        let mut batch = Batch::default();
        for (key, value) in self.settled.keys {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        for (id, snapshot) in &self.settled.deployments {
            batch.insert(keys::deployment(*id), value_of(snapshot));
        }
        batch.insert(keys::REACHED, serde_json::to_vec(&reached).expect("a fixed shape"));
        batch
    }
}
