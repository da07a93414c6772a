//! What a write means, given what is in the ledger: repeats, births, records. Touches no file.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{
    BodyAt, BotEvent, CaughtUp, Cause, DeliveryEvent, DeliveryId, DeploymentEvent, DeploymentId, Event, Misplaced,
    NoDeployment, Offset, Order, Outcome, Plan, PlanLine, Push, Record, Repository, Request, Stream, TargetEvent,
    TargetState,
};

use super::draft::Draft;
use super::error::LedgerError;
use super::keys;

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Whether it was here before, and nothing changed.
    pub repeat: bool,
    /// The delivery: of a repeat, the first one.
    pub delivery: DeliveryId,
    /// What it means.
    pub plans: Vec<PlanLine>,
}

/// A deployment to be born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// With what.
    pub order: Order,
    /// Of what kind: `rollback`, `promotion`. Part of what its id derives from.
    pub kind: String,
}

/// One more event of one stream, together with the deployments that are born of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: Stream,
    /// How many events of the deployment the writer has seen; nothing for other streams.
    pub expect: Option<u64>,
    /// The event.
    pub event: Event,
    /// The deployments.
    pub births: Vec<Birth>,
}

/// What was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The event's offset.
    pub offset: Offset,
    /// The deployments that were born, or had been born before. A catch-up that found its commit planned is left out.
    pub births: Vec<DeploymentId>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Whether it was asked before under this key, and nothing changed.
    pub repeat: bool,
    /// The request's offset.
    pub offset: Offset,
    /// The deployments that were born of it.
    pub deployments: Vec<DeploymentId>,
}

/// A delivery whose body has its place.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) id: DeliveryId,
    pub(super) event: String,
    pub(super) digest: String,
    pub(super) body: BodyAt,
    pub(super) push: Push,
    pub(super) caught_up: Option<CaughtUp>,
    pub(super) received_at: Timestamp,
    pub(super) plans: Vec<Plan>,
}

/// What came of a decision.
#[derive(Debug)]
pub(super) enum Decided<T> {
    /// This is to be answered once what was composed is durable.
    Write(T),
    /// The record at this offset has the answer.
    Repeat(Offset),
}

/// One commit in the making. Each record is applied to the draft as it is added, so that the next one can see it.
pub(super) struct Commit<'d, 'i> {
    draft: &'d mut Draft<'i>,
    at: Timestamp,
    next: Offset,
    pub(super) records: Vec<Record>,
}

impl<'d, 'i> Commit<'d, 'i> {
    pub(super) fn new(draft: &'d mut Draft<'i>, at: Timestamp, next: Offset) -> Self {
        Self { draft, at, next, records: Vec::new() }
    }

    fn add(&mut self, stream: Stream, event: Event) -> Result<Offset, LedgerError> {
        if event.stream_kind() != stream.kind() {
            return Err(LedgerError::Mismatched { stream });
        }
        let record = Record { offset: self.next, at: self.at, stream, event };
        self.draft.apply(&record)?;
        self.records.push(record);
        self.next = self.next.next();
        Ok(Offset(self.next.0 - 1))
    }

    /// A delivery, what it means, and the deployments planned from it.
    pub(super) fn accept(&mut self, arrival: Arrival) -> Result<Decided<Vec<PlanLine>>, LedgerError> {
        let Arrival { id, event, digest, body, push, caught_up, received_at: _, plans } = arrival;
        for known in [keys::delivery(&id), keys::body(&digest, push.after.as_ref())] {
            if let Some(offset) = self.draft.delivery(&known)? {
                return Ok(Decided::Repeat(offset));
            }
        }
        let mut lines = Vec::with_capacity(plans.len());
        let mut events = Vec::with_capacity(plans.len());
        for plan in plans {
            let known = self.draft.target(&plan.target)?;
            let pinned = known
                .pin_of(&push.repository.name)
                .or(known.repository_id.filter(|it| Some(*it) == push.repository.id));
            events.extend(
                of_repository(&known, pinned, &push.repository)
                    .map(|it| (Stream::Target(plan.target.clone()), it.into())),
            );
            let (line, order) = self.line(&id, &push, pinned, plan)?;
            if let (Some(deployment), Some(order)) = (line.deployment, order) {
                let planned = Event::Deployment(DeploymentEvent::Planned { order });
                events.push((Stream::Deployment(deployment), planned));
            }
            lines.push(line);
        }
        let plans = lines.clone();
        let received = DeliveryEvent::Received { event, digest, body, push: Box::new(push), plans, caught_up };
        self.add(Stream::Delivery(id), Event::Delivery(received))?;
        for (stream, event) in events {
            self.add(stream, event)?;
        }
        Ok(Decided::Write(lines))
    }

    /// A plan's line, with the order where there is a deployment.
    fn line(
        &mut self,
        id: &DeliveryId,
        push: &Push,
        pinned: Option<u64>,
        plan: Plan,
    ) -> Result<(PlanLine, Option<Arc<Order>>), LedgerError> {
        let Plan { target, outcome } = plan;
        let order = match outcome {
            Outcome::Deploy(order) => order,
            Outcome::Nothing(why) => {
                return Ok((PlanLine { target, deployment: None, rule: None, nothing: Some(why) }, None));
            }
        };
        let other = pinned.zip(push.repository.id).filter(|(pinned, found)| pinned != found);
        let planned = self.draft.head(&target, &order.reference)?.planned.filter(|(sha, _)| *sha == order.sha);
        let nothing = match (other, planned) {
            (Some((pinned, found)), _) => Some(NoDeployment::OtherRepository { pinned, found }),
            (None, Some((_, deployment))) => Some(NoDeployment::AlreadyPlanned { deployment }),
            (None, None) => self.draft.live_by(&order)?.map(|deployment| NoDeployment::AlreadyLive { deployment }),
        };
        if nothing.is_some() {
            return Ok((PlanLine { target, deployment: None, rule: None, nothing }, None));
        }
        let deployment = DeploymentId::derive(self.at, &[id.as_str(), target.as_str()]);
        let rule = Some(order.rule.clone());
        Ok((PlanLine { target, deployment: Some(deployment), rule, nothing: None }, Some(order)))
    }

    /// One more event of a stream that has begun, and what is born of it.
    pub(super) fn append(&mut self, write: Append) -> Result<Decided<Appended>, LedgerError> {
        let Append { stream, expect, event, births } = write;
        let unknown = |event| LedgerError::Unknown { stream: stream.clone(), event };
        match (&stream, &event) {
            (Stream::Deployment(id), Event::Deployment(event)) => {
                let known = self.draft.deployment(*id)?.ok_or_else(|| unknown(event.kind()))?.deployment;
                let found = known.events();
                if let DeploymentEvent::Planned { .. } = event {
                    let (event, state) = (event.kind().into(), known.state().name().into());
                    return Err(Misplaced { id: *id, event, state }.into());
                }
                if expect != Some(found) {
                    return Err(LedgerError::Overtaken { id: *id, expected: expect, found });
                }
            }
            (Stream::Delivery(id), Event::Delivery(event)) => {
                let known = self.draft.delivery(&keys::delivery(id))?;
                match (event, known) {
                    (DeliveryEvent::Replayed { .. }, Some(_)) => {}
                    (DeliveryEvent::Replayed { .. }, None) => return Err(unknown("replayed")),
                    (DeliveryEvent::Received { .. }, _) => return Err(unknown("received")),
                }
            }
            (Stream::Delivery(_) | Stream::Deployment(_) | Stream::Target(_) | Stream::Sink(_) | Stream::Bot, _) => {}
        }
        let births = self.births(&stream.to_string(), births)?;
        let offset = self.add(stream, event)?;
        let births = self.bear(births)?;
        Ok(Decided::Write(Appended { offset, births }))
    }

    /// What somebody asks for, what comes of it, and what is born of it.
    pub(super) fn request(
        &mut self,
        request: Request,
        consequences: Vec<(Stream, Event)>,
        births: Vec<Birth>,
    ) -> Result<Decided<Requested>, LedgerError> {
        let known = keys::request(&request.actor, &request.key);
        if let Some(offset) = self.draft.offset(&known)? {
            return Ok(Decided::Repeat(offset));
        }
        let births = self.births(&format!("{} {} {}", Stream::Bot, request.actor, request.key), births)?;
        let deployments: Vec<_> = births.iter().map(|(id, _)| *id).collect();
        let event = BotEvent::Requested { request, deployments: deployments.clone() };
        let offset = self.add(Stream::Bot, Event::Bot(event))?;
        for (stream, event) in consequences {
            self.add(stream, with_births(event, &births))?;
        }
        self.bear(births)?;
        Ok(Decided::Write(Requested { repeat: false, offset, deployments }))
    }

    /// The births that are to be, with their ids; the order is missing where the deployment exists already.
    fn births(&mut self, origin: &str, births: Vec<Birth>) -> Result<Vec<(DeploymentId, Option<Order>)>, LedgerError> {
        let mut found: Vec<(DeploymentId, Option<Order>)> = Vec::with_capacity(births.len());
        for Birth { order, kind } in births {
            let planned = self.draft.head(&order.target.name, &order.reference)?.planned;
            if order.cause == Cause::CatchUp && planned.is_some_and(|(sha, _)| sha == order.sha) {
                continue;
            }
            let parent = order.parent.map_or_else(|| origin.to_owned(), |parent| parent.to_string());
            let id = DeploymentId::derive(self.at, &[&parent, &kind, order.target.name.as_str()]);
            let exists = found.iter().any(|(it, _)| *it == id) || self.draft.deployment(id)?.is_some();
            found.push((id, Some(order).filter(|_| !exists)));
        }
        Ok(found)
    }

    fn bear(&mut self, births: Vec<(DeploymentId, Option<Order>)>) -> Result<Vec<DeploymentId>, LedgerError> {
        let mut ids = Vec::with_capacity(births.len());
        for (id, order) in births {
            if let Some(order) = order {
                let planned = DeploymentEvent::Planned { order: Arc::new(order) };
                self.add(Stream::Deployment(id), Event::Deployment(planned))?;
            }
            ids.push(id);
        }
        ids.dedup();
        Ok(ids)
    }
}

/// What a push says of a target's repository that was not known: its number, or that it is called otherwise now. The
/// name of before may still stand in a push that is late: it leads to the same repository, and is nothing new.
fn of_repository(known: &TargetState, pinned: Option<u64>, repository: &Repository) -> Option<TargetEvent> {
    let (id, name) = (repository.id?, &repository.name);
    let is_known = [&known.pinned_as, &known.followed_to].into_iter().flatten().any(|it| it.is_same(name));
    match pinned {
        None => Some(TargetEvent::Pinned { repository_id: id, repository: Some(name.clone()) }),
        Some(pinned) if pinned == id && known.pinned_as.is_some() && !is_known => {
            Some(TargetEvent::Followed { repository: name.clone() })
        }
        Some(_) => None,
    }
}

/// A replay's plans with the deployments that are born of it, whose ids nobody knows before.
fn with_births(mut event: Event, births: &[(DeploymentId, Option<Order>)]) -> Event {
    if let Event::Delivery(DeliveryEvent::Replayed { plans, .. }) = &mut event {
        for line in plans.iter_mut().filter(|line| line.nothing.is_none()) {
            let is_it = |order: &Option<Order>| order.as_ref().is_some_and(|it| it.target.name == line.target);
            line.deployment = births.iter().find(|(_, order)| is_it(order)).map(|(id, _)| *id);
        }
    }
    event
}
