//! What can be asked of the ledger. All of it blocks for the disk, and all of it sees only what is durable.

use std::collections::BTreeSet;
use std::iter::Peekable;

use bytes::Bytes;

use jiff::Timestamp;

use crate::domain::{
    BodyAt, CommitSha, DeliveryEvent, DeliveryId, Deployment, DeploymentId, Event, Head, Location, Offset, PlanLine,
    Record, RefName, Releases, RepositoryName, SinkEvent, Stream, TargetName, TargetState,
};

use super::error::LedgerError;
use super::handle::Ledger;
use super::keys::{self, OfCommit};

/// Among how many deployments or deliveries a page is looked for: some fifty milliseconds.
pub(super) const LOOKED_AT: usize = 1000;

/// Which deployments to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this target.
    pub target: Option<TargetName>,
    /// Of this repository.
    pub repository: Option<RepositoryName>,
    /// Of a commit whose hash begins so.
    pub sha: Option<String>,
    /// In the state of this name on the wire.
    pub state: Option<String>,
    /// Born no sooner than this one.
    pub from: Option<DeploymentId>,
    /// Born before this one: the last of the page before.
    pub before: Option<DeploymentId>,
    /// At most so many.
    pub limit: usize,
}

impl Filter {
    fn takes(&self, deployment: &Deployment) -> bool {
        let Self { target, repository, sha, state, from, before, limit: _ } = self;
        let order = deployment.order();
        let commits = [Some(&order.sha), deployment.weighed().map(|it| &it.commit)];
        target.as_ref().is_none_or(|it| *it == order.target.name)
            && repository.as_ref().is_none_or(|it| it.is_same(&order.repository.name))
            && sha.as_ref().is_none_or(|it| commits.iter().flatten().any(|sha| sha.as_str().starts_with(it)))
            && state.as_ref().is_none_or(|it| it == deployment.state().name())
            && from.is_none_or(|it| it <= deployment.id())
            && before.is_none_or(|it| deployment.id() < it)
    }
}

impl Ledger {
    /// A deployment as it stands.
    pub fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, LedgerError> {
        Ok(self.0.index.deployment(id)?.map(|it| it.deployment))
    }

    /// What is known of a target; of one that was never heard of, nothing is.
    pub fn target(&self, name: &TargetName) -> Result<TargetState, LedgerError> {
        Ok(self.0.index.json("target", &keys::target(name))?.unwrap_or_default())
    }

    /// What is known of a ref at a target.
    pub fn head(&self, target: &TargetName, reference: &RefName) -> Result<Head, LedgerError> {
        Ok(self.0.index.json("head", &keys::head(target, reference))?.unwrap_or_default())
    }

    /// The deployments that are not over, oldest first.
    pub fn unfinished(&self) -> Result<Vec<DeploymentId>, LedgerError> {
        let found = self.0.index.forwards(keys::UNFINISHED)?;
        found.filter_map(|entry| entry.map(|(key, _)| keys::deployment_in(&key)).transpose()).collect()
    }

    /// The deployments that the filter takes, newest first.
    pub fn deployments(&self, filter: &Filter) -> Result<Vec<Deployment>, LedgerError> {
        Ok(self.look(filter, usize::MAX)?.0)
    }

    /// The same among so many at most, for a reader who can ask again: what only few deployments are would else be looked
    /// for in all of history. Where there are more to look at, the last one that was.
    pub fn deployments_among(&self, filter: &Filter) -> Result<(Vec<Deployment>, Option<DeploymentId>), LedgerError> {
        self.look(filter, LOOKED_AT)
    }

    fn look(&self, filter: &Filter, most: usize) -> Result<(Vec<Deployment>, Option<DeploymentId>), LedgerError> {
        let (mut found, mut last) = (Vec::new(), None);
        for (looked_at, id) in self.candidates(filter)?.enumerate() {
            if found.len() >= filter.limit {
                break;
            }
            if looked_at == most {
                return Ok((found, last));
            }
            let id = id?;
            last = Some(id);
            found.extend(self.deployment(id)?.filter(|deployment| filter.takes(deployment)));
        }
        Ok((found, None))
    }

    /// The ids among which the filter has to look, newest first, by the list that is probably the shortest.
    fn candidates(&self, filter: &Filter) -> Result<Ids, LedgerError> {
        const OVER: [&str; 6] = ["succeeded", "failed", "stopped", "superseded", "skipped", "refused"];
        // A prefix so short names no commit; a list by time finds its newest ones sooner.
        const SHORTEST_PREFIX: usize = 4;
        if let Some(prefix) = filter.sha.as_ref().filter(|it| it.len() >= SHORTEST_PREFIX) {
            return self.ids_of_commits(prefix, filter);
        }
        let list = match &filter.target {
            _ if filter.state.as_deref().is_some_and(|state| !OVER.contains(&state)) => None,
            Some(target) => Some(keys::of_target(target)),
            None => Some(keys::DEPLOYMENTS.to_vec()),
        };
        let unfinished = self.listed(keys::UNFINISHED, filter)?;
        Ok(match list {
            None => unfinished,
            Some(list) => {
                Box::new(Merged { one: self.listed(&list, filter)?.peekable(), other: unfinished.peekable() })
            }
        })
    }

    /// The deployments of commits that begin so, newest first, between the filter's bounds.
    fn ids_of_commits(&self, prefix: &str, filter: &Filter) -> Result<Ids, LedgerError> {
        let mut ids = BTreeSet::new();
        if !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Box::new(std::iter::empty()));
        }
        for entry in self.0.index.forwards(&keys::commits(prefix))? {
            let (key, value) = entry?;
            match keys::of_commit(&key, &value) {
                Some(OfCommit::Deployment(id)) => ids.extend([id]),
                Some(OfCommit::Delivery(offset)) => ids.extend(self.planned_at(offset)?),
                None => {}
            }
        }
        let (from, before) = (filter.from, filter.before);
        let within = move |id: &DeploymentId| from.is_none_or(|it| it <= *id) && before.is_none_or(|it| *id < it);
        Ok(Box::new(ids.into_iter().rev().filter(within).map(Ok)))
    }

    /// The deployments of a list, newest first, between the filter's bounds. Of the unfinished, which tell their
    /// target, the filter's only.
    fn listed(&self, list: &[u8], filter: &Filter) -> Result<Ids, LedgerError> {
        let before = filter.before.map(|id| [list, &id.to_bytes()].concat());
        let target = filter.target.clone().filter(|_| list == keys::UNFINISHED);
        let found = self.0.index.backwards(list, before)?;
        let ids = found.filter_map(move |entry| {
            let of_target = |value: &[u8]| target.as_ref().is_none_or(|it| keys::is_of_target(value, it));
            entry.map(|(key, value)| keys::deployment_in(&key).filter(|_| of_target(&value))).transpose()
        });
        let from = filter.from;
        Ok(Box::new(ids.take_while(move |id| from.is_none_or(|from| id.as_ref().map_or(true, |id| from <= *id)))))
    }

    /// The deployments that were planned from the delivery at an offset.
    fn planned_at(&self, offset: Offset) -> Result<Vec<DeploymentId>, LedgerError> {
        match self.0.index.record(offset)?.event {
            Event::Delivery(DeliveryEvent::Received { plans, .. } | DeliveryEvent::Replayed { plans, .. }) => {
                Ok(plans.into_iter().filter_map(|line| line.deployment).collect())
            }
            Event::Deployment(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => Ok(Vec::new()),
        }
    }

    /// All records of a stream, oldest first.
    pub fn story(&self, stream: &Stream) -> Result<Vec<Record>, LedgerError> {
        let index = &self.0.index;
        if let Stream::Delivery(id) = stream {
            let offsets = index.get(&keys::delivery(id))?.unwrap_or_default();
            return offsets.chunks(8).map(|offset| index.record(keys::offset_in(offset))).collect();
        }
        let birth = match stream {
            Stream::Deployment(id) => match index.get(&keys::deployment(*id))? {
                Some(value) => Some(value),
                None => index.get(&keys::unfinished(*id))?,
            },
            Stream::Delivery(_) | Stream::Target(_) | Stream::Sink(_) | Stream::Bot => None,
        };
        let birth = birth.map(|value| Ok(keys::birth_in(&value)));
        let others = index.forwards(&keys::stream(stream))?.map(|entry| entry.map(|(key, _)| keys::offset_in(&key)));
        birth.into_iter().chain(others).map(|offset| index.record(offset?)).collect()
    }

    /// The records of a stream before an offset, newest first: of a stream that is no delivery's, and no births.
    pub fn latest(&self, stream: &Stream, before: Option<Offset>, limit: usize) -> Result<Vec<Record>, LedgerError> {
        let index = &self.0.index;
        let before = before.map(|offset| keys::in_stream(stream, offset));
        let entries = index.backwards(&keys::stream(stream), before)?.take(limit);
        entries.map(|entry| index.record(keys::offset_in(&entry?.0))).collect()
    }

    /// A delivery as it came in.
    pub fn delivery(&self, id: &DeliveryId) -> Result<Option<Record>, LedgerError> {
        let Some(offsets) = self.0.index.get(&keys::delivery(id))? else { return Ok(None) };
        self.0.index.record(keys::birth_in(&offsets)).map(Some)
    }

    /// The raw body of a delivery.
    pub fn body(&self, id: &DeliveryId) -> Result<Option<Bytes>, LedgerError> {
        let Some(record) = self.delivery(id)? else { return Ok(None) };
        match record.event {
            Event::Delivery(DeliveryEvent::Received { body: BodyAt::Inline { text }, .. }) => Ok(Some(text.into())),
            Event::Delivery(DeliveryEvent::Received { body: BodyAt::File { .. }, digest, .. }) => {
                self.0.bodies.read(&digest).map(Some)
            }
            Event::Delivery(DeliveryEvent::Replayed { .. }) => Ok(None),
            Event::Deployment(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => Ok(None),
        }
    }

    /// The commits that were pushed or deployed and whose hash begins so, in order, at most so many.
    pub fn commits(&self, beginning: &str, limit: usize) -> Result<Vec<CommitSha>, LedgerError> {
        let mut found: Vec<CommitSha> = Vec::new();
        for entry in self.0.index.forwards(&keys::commits(beginning))? {
            let (key, _) = entry?;
            let Some(commit) = keys::commit_in(&key).filter(|it| it.as_str().starts_with(beginning)) else { continue };
            // A commit's entries stand side by side.
            if found.last() == Some(&commit) {
                continue;
            }
            if found.len() == limit {
                break;
            }
            found.push(commit);
        }
        Ok(found)
    }

    /// What the deliveries that pushed a commit meant, oldest first.
    pub fn plans_of(&self, sha: &CommitSha) -> Result<Vec<(DeliveryId, PlanLine)>, LedgerError> {
        let mut found = Vec::new();
        let entries = self.0.index.forwards(&keys::deliveries_of(sha))?;
        let offsets = entries.map(|entry| entry.map(|(_, value)| keys::offset_in(&value)));
        for offset in offsets.collect::<Result<BTreeSet<_>, _>>()? {
            let Stream::Delivery(id) = self.0.index.record(offset)?.stream else { continue };
            for record in self.story(&Stream::Delivery(id.clone()))? {
                if let Event::Delivery(DeliveryEvent::Received { plans, .. } | DeliveryEvent::Replayed { plans, .. }) =
                    record.event
                {
                    found.extend(plans.into_iter().map(|line| (id.clone(), line)));
                }
            }
        }
        Ok(found)
    }

    /// The records from an offset on, at most so many.
    pub fn read(&self, from: Offset, limit: usize) -> Result<Vec<Record>, LedgerError> {
        let end = self.end();
        if from >= end || limit == 0 {
            return Ok(Vec::new());
        }
        self.0.index.read(from, end, limit)
    }

    /// The offset before which retention may have deleted records.
    pub fn kept_from(&self) -> Result<Offset, LedgerError> {
        self.0.index.reader.cut()
    }

    /// What was written from an offset on, at least so many if there are, without what deliveries said; and the offset
    /// to go on from.
    pub(super) fn read_on(&self, from: Offset, limit: usize) -> Result<(Vec<Record>, Offset), LedgerError> {
        let end = self.end();
        if from >= end {
            return Ok((Vec::new(), from));
        }
        self.0.index.read_on(from, end, limit)
    }

    /// Whether somebody asked for something under this key before.
    pub fn was_asked(&self, actor: &str, key: &str) -> Result<bool, LedgerError> {
        Ok(self.0.index.get(&keys::request(actor, key))?.is_some())
    }

    /// When retention deleted what lay at this place, the last time that it did.
    pub fn pruned(&self, location: &Location) -> Result<Option<Timestamp>, LedgerError> {
        let Some(offset) = self.0.index.get(&keys::pruned(location))? else { return Ok(None) };
        Ok(Some(self.0.index.record(keys::offset_in(&offset))?.at))
    }

    /// What holds of all targets at once.
    pub fn releases(&self) -> Result<Releases, LedgerError> {
        Ok(keys::releases_in(self.0.index.get(keys::RELEASES)?.as_deref()))
    }

    /// What a sink was last told, or could not be told, of a deployment.
    pub fn sent(&self, sink: &str, id: DeploymentId) -> Result<Option<SinkEvent>, LedgerError> {
        let Some(offset) = self.0.index.get(&keys::sent(sink, id))? else { return Ok(None) };
        match self.0.index.record(keys::offset_in(&offset))?.event {
            Event::Sink(event) => Ok(Some(event)),
            Event::Delivery(_) | Event::Deployment(_) | Event::Target(_) | Event::Bot(_) => Ok(None),
        }
    }
}

type Ids = Box<dyn Iterator<Item = Result<DeploymentId, LedgerError>>>;

/// Two lists of deployments as one, newest first; what stands in both comes once.
struct Merged {
    one: Peekable<Ids>,
    other: Peekable<Ids>,
}

impl Iterator for Merged {
    type Item = Result<DeploymentId, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.one.peek(), self.other.peek()) {
            (Some(Ok(one)), Some(Ok(other))) if one == other => {
                self.other.next();
                self.one.next()
            }
            (Some(Ok(one)), Some(Ok(other))) if one < other => self.other.next(),
            (None, _) => self.other.next(),
            (Some(_), _) => self.one.next(),
        }
    }
}
