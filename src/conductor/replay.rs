//! Replays: what a known delivery means today, planned again although it is known. From the ledger alone: it asks no
//! source, and brings the delivery's own commit, as a person insists on it.

use std::sync::Arc;

use crate::domain::{
    Cause, DeliveryEvent, DeliveryId, DeploymentId, Event, Failure, NoDeployment, Order, Outcome, Plan, PlanLine, Push,
    Record, Repository, Request, Stream, Target, plan,
};
use crate::ledger::{Birth, Ledger, LedgerError};

use super::asks::AskError;

/// What a replay comes to: what is written of the delivery, what is born, and all that in words.
pub(super) struct Replay {
    pub(super) consequence: (Stream, Event),
    pub(super) births: Vec<Birth>,
    pub(super) told: String,
}

/// Plans a delivery again. Where nothing would be deployed it is refused, with what keeps each target from it.
pub(super) fn of_request(
    ledger: &Ledger,
    targets: &[Arc<Target>],
    request: &Request,
    id: &DeliveryId,
) -> Result<Replay, AskError> {
    let story = ledger.story(&Stream::Delivery(id.clone()))?;
    let Some(push) = story.iter().find_map(pushed) else {
        return Err(AskError::Unknown { kind: "delivery", name: id.to_string() });
    };
    let (actor, key) = (request.actor.clone(), request.key.clone());
    let cause = Cause::Replay { delivery: id.clone(), actor: actor.clone(), key: key.clone() };
    let (mut lines, mut births) = (Vec::new(), Vec::new());
    for Plan { target, outcome } in plans(ledger, targets, push, &cause)? {
        let line = |nothing| PlanLine { target: target.clone(), deployment: None, rule: None, nothing };
        match unless_needless(ledger, push, &story, outcome)? {
            Ok(order) => {
                lines.push(PlanLine { rule: Some(order.rule.clone()), ..line(None) });
                births.push(Birth { order: Arc::unwrap_or_clone(order), kind: format!("replay {key}") });
            }
            Err(why) => lines.push(line(Some(why))),
        }
    }
    let told: Vec<String> = lines.iter().map(|line| format!("{}: {}", line.target, line.reason())).collect();
    if births.is_empty() {
        return Err(AskError::Refused(needless(push, &told)));
    }
    let replayed = DeliveryEvent::Replayed { actor, key, plans: lines };
    Ok(Replay { consequence: (Stream::Delivery(id.clone()), replayed.into()), births, told: told.join("; ") })
}

/// What the push means for the targets of its repository, under the name that it has now: whoever has the old one may be
/// a stranger.
fn plans(ledger: &Ledger, targets: &[Arc<Target>], push: &Push, cause: &Cause) -> Result<Vec<Plan>, LedgerError> {
    let mut found = Vec::new();
    for target in targets {
        let state = ledger.target(&target.name)?;
        if state.takes(target, &push.repository) {
            let home = state.at_home(target);
            let repository = Repository { name: home.repository.clone(), ..push.repository.clone() };
            found.extend(plan(&Push { repository, ..push.clone() }, cause, &[home]));
        }
    }
    Ok(found)
}

fn pushed(record: &Record) -> Option<&Push> {
    match &record.event {
        Event::Delivery(DeliveryEvent::Received { push, .. }) => Some(push),
        Event::Delivery(DeliveryEvent::Replayed { .. }) => None,
        Event::Deployment(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => None,
    }
}

/// The order of a plan, unless its target takes another repository, or has one of this delivery under way.
fn unless_needless(
    ledger: &Ledger,
    push: &Push,
    story: &[Record],
    outcome: Outcome,
) -> Result<Result<Arc<Order>, NoDeployment>, LedgerError> {
    let order = match outcome {
        Outcome::Deploy(order) => order,
        Outcome::Nothing(why) => return Ok(Err(why)),
    };
    let pinned = ledger.target(&order.target.name)?.pin_of(&push.repository.name);
    if let (Some(pinned), Some(found)) = (pinned, push.repository.id)
        && pinned != found
    {
        return Ok(Err(NoDeployment::OtherRepository { pinned, found }));
    }
    for id in story.iter().flat_map(planned).filter(|(line, _)| line.target == order.target.name).map(|(_, id)| id) {
        if ledger.deployment(id)?.is_some_and(|it| !it.state().is_over()) {
            return Ok(Err(NoDeployment::AlreadyPlanned { deployment: id }));
        }
    }
    Ok(Ok(order))
}

/// The deployments that a delivery was planned as, here or by another delivery.
fn planned(record: &Record) -> Vec<(&PlanLine, DeploymentId)> {
    let Event::Delivery(DeliveryEvent::Received { plans, .. } | DeliveryEvent::Replayed { plans, .. }) = &record.event
    else {
        return Vec::new();
    };
    let id = |line: &PlanLine| match line.nothing {
        Some(NoDeployment::AlreadyPlanned { deployment }) => Some(deployment),
        Some(_) | None => line.deployment,
    };
    plans.iter().filter_map(|line| Some((line, id(line)?))).collect()
}

fn needless(push: &Push, told: &[String]) -> Failure {
    const CODE: &str = "conductor/nothing-to-replay";
    if told.is_empty() {
        let text = format!("no target is configured for `{}`", push.repository.name);
        return Failure::setup(CODE, text).help("add a target for this repository, then replay the delivery");
    }
    Failure::setup(CODE, format!("it would deploy nothing: {}", told.join("; ")))
        .help("wait for what is under way, or deploy a ref by hand: `landfall deploy TARGET REF`")
}
