//! What a group of commits will change in the index, seen as if it had happened. Never writes by itself.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::{
    BotEvent, Cause, DeliveryEvent, Deployment, DeploymentEvent, DeploymentId, Event, Head, NoDeployment, Offset,
    Order, PlanLine, Push, Record, RefName, Releases, SinkEvent, Stream, TargetEvent, TargetName, TargetState,
};

use super::error::LedgerError;
use super::frame::{Header, Known};
use super::index::{Index, Reached, place_value, value_of};
use super::keys::{self, Key};
use super::log::Place;

/// One mark in the index for about this many bytes of the log: what is read in vain to find one record.
const MARK_EVERY: u64 = 16 * 1024;

/// A deployment and the offset of its birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) birth: Offset,
    pub(super) deployment: Deployment,
}

/// What commits change in the index.
#[derive(Debug, Default)]
pub(super) struct Changes {
    keys: HashMap<Key, Option<Vec<u8>>>,
    deployments: HashMap<DeploymentId, Snapshot>,
    heads: HashMap<Key, Head>,
    targets: HashMap<Key, TargetState>,
}

/// The index as it will be after the commits of a group that were settled, and the one that is being tried.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    index: &'a Index,
    /// What is on its way into the index.
    before: Arc<Changes>,
    settled: Changes,
    tried: Changes,
    /// What was read of the index, so that it is read once.
    read: Changes,
    /// Whether deployments may be missing that retention let go of: what happened to them later means nothing.
    is_cut: bool,
}

impl<'a> Draft<'a> {
    /// A draft upon the index and what is on its way there.
    pub(super) fn new(index: &'a Index, before: Arc<Changes>) -> Self {
        Self {
            index,
            before,
            settled: Changes::default(),
            tried: Changes::default(),
            read: Changes::default(),
            is_cut: false,
        }
    }

    /// The same of a log that retention may have cut off.
    pub(super) fn of_cut_log(self, is_cut: bool) -> Self {
        Self { is_cut, ..self }
    }

    /// Takes what was known where the log was cut off.
    pub(super) fn know(&mut self, Known { key, value }: Known) -> Result<(), LedgerError> {
        let unreadable = |what| move |source| LedgerError::Entry { what, source };
        match key.as_bytes() {
            [b'h', ..] => {
                let head = serde_json::from_str(&value).map_err(unreadable("head"))?;
                self.tried.heads.insert(key.into(), head);
            }
            [b't', ..] => {
                let state = serde_json::from_str(&value).map_err(unreadable("target"))?;
                self.tried.targets.insert(key.into(), state);
            }
            _ => self.put(key.into(), value.into()),
        }
        Ok(())
    }

    /// Keeps what was tried.
    pub(super) fn settle(&mut self) {
        let Changes { keys, deployments, heads, targets } = &mut self.tried;
        self.settled.keys.extend(keys.drain());
        self.settled.deployments.extend(deployments.drain());
        self.settled.heads.extend(heads.drain());
        self.settled.targets.extend(targets.drain());
    }

    /// Forgets what was tried.
    pub(super) fn discard(&mut self) {
        self.tried = Changes::default();
    }

    /// From the newest to the oldest.
    fn layers(&self) -> [&Changes; 4] {
        [&self.tried, &self.settled, &self.before, &self.read]
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        match self.layers().iter().find_map(|it| it.keys.get(key)) {
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

    /// The first record of a delivery, by its id or its body.
    pub(super) fn delivery(&self, key: &[u8]) -> Result<Option<Offset>, LedgerError> {
        Ok(self.get(key)?.map(|value| keys::birth_in(&value)))
    }

    /// The offset that stands under a key.
    pub(super) fn offset(&self, key: &[u8]) -> Result<Option<Offset>, LedgerError> {
        Ok(self.get(key)?.map(|value| keys::offset_in(&value)))
    }

    pub(super) fn head(&mut self, target: &TargetName, reference: &RefName) -> Result<Head, LedgerError> {
        let key = keys::head(target, reference);
        if let Some(head) = self.layers().iter().find_map(|it| it.heads.get(&key)) {
            return Ok(head.clone());
        }
        let head: Head = self.index.json("head", &key)?.unwrap_or_default();
        self.read.heads.insert(key, head.clone());
        Ok(head)
    }

    pub(super) fn target(&mut self, target: &TargetName) -> Result<TargetState, LedgerError> {
        let key = keys::target(target);
        if let Some(state) = self.layers().iter().find_map(|it| it.targets.get(&key)) {
            return Ok(state.clone());
        }
        let state: TargetState = self.index.json("target", &key)?.unwrap_or_default();
        self.read.targets.insert(key, state.clone());
        Ok(state)
    }

    pub(super) fn deployment(&self, id: DeploymentId) -> Result<Option<Snapshot>, LedgerError> {
        match self.drafted(id) {
            Some(found) => Ok(Some(found)),
            None => self.index.deployment(id),
        }
    }

    /// The deployment by which an order's commit is live already, as the newest of its ref that was handled, while
    /// nothing else is under way at its target: a push of it that comes late changes nothing.
    pub(super) fn live_by(&mut self, order: &Order) -> Result<Option<DeploymentId>, LedgerError> {
        let name = &order.target.name;
        let Head { seen, seen_by, .. } = self.head(name, &order.reference)?;
        let TargetState { live, left_by, .. } = self.target(name)?;
        let live = live.filter(|it| left_by.is_none() && it.sha == order.sha && seen_by == Some(it.deployment));
        match live.filter(|it| seen.as_ref() == Some(&it.sha)) {
            Some(live) if self.is_idle(name)? => Ok(Some(live.deployment)),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether no deployment of a target is under way.
    fn is_idle(&self, target: &TargetName) -> Result<bool, LedgerError> {
        let is_unfinished = |key: &&Key| key.starts_with(keys::UNFINISHED);
        let mut found: Vec<Key> =
            self.layers().iter().flat_map(|it| it.keys.keys()).filter(is_unfinished).cloned().collect();
        for entry in self.index.forwards(keys::UNFINISHED)? {
            found.push(entry?.0.to_vec());
        }
        for key in found {
            if self.get(&key)?.is_some_and(|value| keys::is_of_target(&value, target)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn drafted(&self, id: DeploymentId) -> Option<Snapshot> {
        self.layers().iter().find_map(|it| it.deployments.get(&id)).cloned()
    }

    /// Takes a record that is, or will be, in the log. Refuses what cannot follow.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), LedgerError> {
        let offset = record.offset;
        let is_birth = matches!(record.event, Event::Deployment(DeploymentEvent::Planned { .. }));
        if let (true, false, Stream::Deployment(id)) = (self.is_cut, is_birth, &record.stream)
            && self.deployment(*id)?.is_none()
        {
            return Ok(());
        }
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
            (Stream::Bot, Event::Bot(event)) => self.bot(record, event),
            (stream, _) => Err(LedgerError::Mismatched { stream: stream.clone() }),
        }
    }

    fn delivered(&mut self, key: &Key, offset: Offset, event: &DeliveryEvent) -> Result<(), LedgerError> {
        let mut offsets = self.get(key)?.unwrap_or_default();
        offsets.extend_from_slice(&offset.0.to_be_bytes());
        self.put(key.clone(), offsets);
        match event {
            DeliveryEvent::Received { digest, push, plans, .. } => {
                self.pass_over(push, plans)?;
                self.put(keys::body(digest, push.after.as_ref()), offset.0.to_be_bytes().to_vec());
                let (listed, byte, bit) = keys::delivered(offset);
                let mut bits = self.get(&listed)?.unwrap_or_else(|| vec![0; 32]);
                bits[byte] |= bit;
                self.put(listed, bits);
            }
            DeliveryEvent::Replayed { .. } => {}
        }
        Ok(())
    }

    /// A commit that a rule leaves out is handled by that: nobody has to find it again. Only where it follows on what is
    /// known, though: else a push between them is lost, which is found by what is not handled.
    fn pass_over(&mut self, push: &Push, plans: &[PlanLine]) -> Result<(), LedgerError> {
        let Some(commit) = &push.after else { return Ok(()) };
        for line in plans {
            let Some(NoDeployment::PathsUntouched | NoDeployment::SkipAsked { .. }) = line.nothing else { continue };
            let mut head = self.head(&line.target, &push.reference)?;
            let planned = head.planned.as_ref().map(|(sha, _)| sha);
            if push.before.as_ref().is_some_and(|before| [planned, head.seen.as_ref()].contains(&Some(before))) {
                (head.seen, head.seen_by) = (Some(commit.clone()), None);
                self.tried.heads.insert(keys::head(&line.target, &push.reference), head);
                let state = TargetState { seen: Some(commit.clone()), ..self.target(&line.target)? };
                self.tried.targets.insert(keys::target(&line.target), state);
            }
        }
        Ok(())
    }

    fn deployed(&mut self, id: DeploymentId, record: &Record, event: &DeploymentEvent) -> Result<(), LedgerError> {
        // An id derives from what it is born of, which is written once: at a birth nothing has to be looked up on disk.
        let is_birth = matches!(event, DeploymentEvent::Planned { .. });
        let known = if is_birth { self.drafted(id) } else { self.deployment(id)? };
        let snapshot = match known {
            None => {
                let snapshot = Snapshot { birth: record.offset, deployment: Deployment::born(id, record.at, event)? };
                self.born(&snapshot)?;
                snapshot
            }
            Some(mut snapshot) => {
                if snapshot.deployment.events() == 1 {
                    self.note(keys::in_target(&snapshot.deployment.order().target.name, id));
                }
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
        // What is told of a rollback afterwards concludes nothing again.
        if event.is_end() {
            self.ended(&snapshot.deployment)?;
        }
        self.tried.deployments.insert(id, snapshot);
        Ok(())
    }

    fn born(&mut self, Snapshot { birth, deployment }: &Snapshot) -> Result<(), LedgerError> {
        let (id, order) = (deployment.id(), deployment.order());
        self.put(keys::unfinished(id), keys::unfinished_value(*birth, &order.target.name));
        match order.cause {
            // The delivery's own key leads to it.
            Cause::Push { .. } => {}
            Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } | Cause::Replay { .. } => {
                self.note(keys::deployment_of(&order.sha, id));
            }
            Cause::Rollback { .. } | Cause::Promotion { .. } | Cause::Restart { .. } | Cause::Chosen { .. } => {
                self.note(keys::deployment_of(&order.sha, id));
            }
        }
        // A person who insists on a commit says nothing about which one is newest.
        if !order.is_insisted() {
            let mut head = self.head(&order.target.name, &order.reference)?;
            head.planned = Some((order.sha.clone(), id));
            self.tried.heads.insert(keys::head(&order.target.name, &order.reference), head);
        }
        Ok(())
    }

    fn ended(&mut self, deployment: &Deployment) -> Result<(), LedgerError> {
        let (name, reference) = (&deployment.order().target.name, &deployment.order().reference);
        self.remove(keys::unfinished(deployment.id()));
        let mut state = self.target(name)?;
        state.conclude(deployment.changed_at(), deployment);
        if let Some(commit) = deployment.handled() {
            let mut head = self.head(name, reference)?;
            // One that went because its head need not: that head stays the newest that is handled.
            let is_past =
                deployment.weighed().is_some_and(|it| it.head != *commit && head.seen.as_ref() == Some(&it.head));
            if !is_past {
                (head.seen, head.seen_by) = (Some(commit.clone()), Some(deployment.id()));
                state.seen = Some(commit.clone());
            }
            self.tried.heads.insert(keys::head(name, reference), head);
        }
        self.tried.targets.insert(keys::target(name), state);
        Ok(())
    }

    fn targeted(&mut self, name: &TargetName, record: &Record, event: &TargetEvent) -> Result<(), LedgerError> {
        let mut state = self.target(name)?;
        state.apply(record.at, event);
        self.tried.targets.insert(keys::target(name), state);
        match event {
            TargetEvent::Seen { reference, sha } => {
                let mut head = self.head(name, reference)?;
                (head.seen, head.seen_by) = (Some(sha.clone()), None);
                self.tried.heads.insert(keys::head(name, reference), head);
            }
            TargetEvent::Found { .. } | TargetEvent::Pinned { .. } | TargetEvent::Followed { .. } => {}
            TargetEvent::Locked { .. } | TargetEvent::Unlocked { .. } => {}
            TargetEvent::UpkeepFailed { .. } | TargetEvent::UpkeepMended => {}
            TargetEvent::Pruned { location, .. } => {
                self.put(keys::pruned(location), record.offset.0.to_be_bytes().to_vec());
            }
        }
        Ok(())
    }

    fn bot(&mut self, record: &Record, event: &BotEvent) -> Result<(), LedgerError> {
        match event {
            BotEvent::Requested { request, deployments: _ } => {
                self.put(keys::request(&request.actor, &request.key), record.offset.0.to_be_bytes().to_vec());
                let before = keys::releases_in(self.get(keys::RELEASES)?.as_deref());
                let mut releases = before.clone();
                releases.apply(record.at, request);
                if releases == Releases::default() {
                    self.remove(keys::RELEASES.to_vec());
                } else if releases != before {
                    self.put(keys::RELEASES.to_vec(), json(&releases));
                }
            }
            BotEvent::Administered { .. } | BotEvent::Started { .. } | BotEvent::Stopping => {}
        }
        Ok(())
    }

    /// Takes the place of a commit whose records were applied.
    pub(super) fn placed(&mut self, offset: Offset, place: Place, bytes: u64) {
        if place.byte.next_multiple_of(MARK_EVERY) < place.byte + bytes {
            self.put(keys::mark(offset), place_value(place));
        }
    }

    /// Everything that was settled.
    pub(super) fn into_changes(self) -> Changes {
        self.settled
    }
}

impl Changes {
    /// These as the index takes them, with how far it has come by it: its last commit and where the next one begins.
    pub(super) fn entries(&self, last: (Place, Header), next: Place) -> Vec<(Key, Option<Vec<u8>>)> {
        let (place, header) = last;
        let end = Offset(header.offset.0 + header.records);
        let reached = Reached::new(end, next, Some((header.offset, place, header.crc32)));
        let keys = self.keys.iter().map(|(key, value)| (key.clone(), value.clone()));
        // One that was only born stands in the log, and among the unfinished.
        let deployments = self.deployments.iter().filter(|(_, it)| it.deployment.events() > 1);
        let deployments = deployments.map(|(id, it)| (keys::deployment(*id), Some(value_of(it))));
        let heads = self.heads.iter().map(|(key, head)| (key.clone(), Some(json(head))));
        let targets = self.targets.iter().map(|(key, state)| (key.clone(), Some(json(state))));
        let reached = [(keys::REACHED.to_vec(), Some(json(&reached)))];
        keys.chain(deployments).chain(heads).chain(targets).chain(reached).collect()
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what the index keeps has string keys only")
}
