//! Rollbacks: which earlier revision is brought back, and what the deployment that brings it is born with (R85-R91).
//!
//! A rollback is a deployment of its own: it runs the whole AppSpec of the earlier revision, hooks too, and the one that
//! failed stays failed. Born of a failure, it is written together with that failure, so that no crash can lose it or
//! make two. It never reverts what scripts did, and a rollback that fails is not rolled back.

use crate::domain::{
    Cause, DeployOptions, Deployment, DeploymentEvent, DeploymentId, EngineSpec, Failure, Order, Request, RollbackOn,
    RunId, RunOutcome, State, Target, TargetName, Verdict,
};
use crate::ledger::{Birth, Filter, Ledger, LedgerError};

/// How many deployments are looked at for an earlier one that succeeded.
const LOOKED_AT: usize = 200;

/// What is brought back after a deployment that ended badly. The very commit that failed is not, unless a person wants
/// it: a success of it would read as if it had not failed.
pub(super) fn last_good(ledger: &Ledger, ended: &Deployment) -> Result<Option<Deployment>, LedgerError> {
    let good = live(ledger, &ended.order().target)?;
    Ok(good.filter(|good| ended.wants_rollback() || good.commit() != ended.commit()))
}

/// The deployment that brought what is live at a target, where its engine still deploys to the same place.
pub(super) fn live(ledger: &Ledger, target: &Target) -> Result<Option<Deployment>, LedgerError> {
    let Some(live) = ledger.target(&target.name)?.live else { return Ok(None) };
    let found = ledger.deployment(live.deployment)?;
    Ok(found.filter(|it| brought_something(it) && it.order().target.destination() == target.destination()))
}

/// Whether a deployment of the target is with the engine, or may be.
pub(super) fn at_engine(ledger: &Ledger, target: &TargetName) -> Result<bool, LedgerError> {
    for id in ledger.unfinished()? {
        let deployment = ledger.deployment(id)?;
        if deployment.is_some_and(|it| it.order().target.name == *target && !it.state().is_before_release()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the end of a run is one after which the last good revision is wanted back (R86).
pub(super) fn is_due(ended: &Deployment, outcome: &RunOutcome) -> bool {
    let order = ended.order();
    if order.is_rollback() || outcome.untouched || outcome.rolled_back_by.is_some() {
        return false;
    }
    let failed = match outcome.verdict {
        Verdict::Failed if is_unverified(outcome) => wants_rollback(order),
        Verdict::Failed => order.target.engine.rolls_back(),
        Verdict::Succeeded | Verdict::Stopped => false,
    };
    failed || ended.wants_rollback()
}

/// Whether the engine is done well and what it brought is not as wanted: of that it knows nothing.
fn is_unverified(outcome: &RunOutcome) -> bool {
    outcome.failure.as_ref().is_some_and(|it| it.code == super::verifying::NOT_VERIFIED)
}

/// Whether a failure at CodeDeploy is to be rolled back by the target's own setting.
fn wants_rollback(order: &Order) -> bool {
    match &order.target.engine {
        EngineSpec::Host(it) => it.auto_rollback,
        EngineSpec::CodeDeploy(it) => it.auto_rollback.as_ref().is_some_and(|it| it.contains(&RollbackOn::Failure)),
    }
}

/// What is born of a run that ended badly: the last good revision again, in that deployment's stead.
pub(super) fn of_failure(ended: &Deployment, good: &Deployment) -> Birth {
    let actor = ended.stop_asked_by().filter(|_| ended.wants_rollback()).map(str::to_owned);
    let cause = Cause::Rollback { actor, key: None, to: Some(good.id()), run: None };
    // Whoever passed over failing stop scripts on the way there passes over them on the way back.
    let options = DeployOptions { file_exists_behavior: None, override_freeze: None, ..ended.order().options.clone() };
    Birth { order: order(good, &ended.order().target, cause, Some(ended.id()), options), kind: "rollback".into() }
}

/// The end of a deployment with a word on its rollback, for the person who looks at it.
pub(super) fn told(event: DeploymentEvent, good: Option<&Deployment>) -> DeploymentEvent {
    let note = match good {
        Some(good) => format!("{} is brought back", good.commit().short()),
        None => "nothing is brought back: no other commit was live before".to_owned(),
    };
    noted(event, note)
}

/// The end of a deployment with what its engine says of a rollback that did not come (row 56).
pub(super) fn with_the_engines_words(event: DeploymentEvent, outcome: &RunOutcome) -> DeploymentEvent {
    match &outcome.rollback_said {
        Some(said) => noted(event, format!("the engine says of its rollback: {said}")),
        None => event,
    }
}

/// The same end, with one more thing to know about it.
fn noted(event: DeploymentEvent, note: String) -> DeploymentEvent {
    let with = |failure: Failure| {
        let help = failure.help.as_ref().map_or_else(|| note.clone(), |help| format!("{help}; {note}"));
        failure.help(help)
    };
    if let DeploymentEvent::Failed { failure } = event {
        DeploymentEvent::Failed { failure: with(failure) }
    } else if let DeploymentEvent::Stopped { actor, failure } = event {
        DeploymentEvent::Stopped { actor, failure: failure.map(with) }
    } else {
        event
    }
}

/// What the engine's own rollback brings back (row 56): the deployment whose revision it names. Nothing where that
/// revision is none of ours.
pub(super) fn brought_by_engine(
    ledger: &Ledger,
    ended: &Deployment,
    identity: Option<&str>,
) -> Result<Option<Deployment>, LedgerError> {
    let (target, Some(identity)) = (&ended.order().target, identity) else { return Ok(None) };
    let is_it = |it: &Deployment| it.revision().is_some_and(|it| it.identity() == identity);
    if let Some(live) = live(ledger, target)?.filter(is_it) {
        return Ok(Some(live));
    }
    let filter = Filter { target: Some(target.name.clone()), limit: LOOKED_AT, ..Filter::default() };
    let known = ledger.deployments(&filter)?;
    Ok(known.into_iter().find(|it| brought_something(it) && is_it(it)))
}

/// What is born of the engine's own rollback: a deployment that follows its run, so that the lane is held until its end.
/// Where it brings a revision that is none of ours, it names the commit that it takes away.
pub(super) fn of_engine(ended: &Deployment, good: Option<&Deployment>, run: RunId) -> Birth {
    let cause = Cause::Rollback { actor: None, key: None, to: good.map(Deployment::id), run: Some(run) };
    let (target, options) = (&ended.order().target, DeployOptions::default());
    Birth { order: order(good.unwrap_or(ended), target, cause, Some(ended.id()), options), kind: "rollback".into() }
}

/// The end of a deployment with a word on the engine's own rollback.
pub(super) fn told_of_engine(event: DeploymentEvent, good: Option<&Deployment>, run: &RunId) -> DeploymentEvent {
    let note = match good {
        Some(good) => format!("the engine brings {} back by itself, as {run}", good.commit().short()),
        None => format!("the engine brings a revision of somebody else's back by itself, as {run}"),
    };
    noted(event, note)
}

/// What is born of a person's wish (R91): `to`, or the one before what is there now.
pub(super) fn of_request(
    ledger: &Ledger,
    request: &Request,
    target: &Target,
    to: Option<DeploymentId>,
    options: &DeployOptions,
) -> Result<Result<Birth, Failure>, LedgerError> {
    let filter = Filter { target: Some(target.name.clone()), limit: LOOKED_AT, ..Filter::default() };
    let known = ledger.deployments(&filter)?;
    let there_now = known.iter().find(|it| it.run().is_some());
    let good = match to {
        Some(id) => match ledger.deployment(id)? {
            Some(found) => chosen(found, target),
            None => Err(Failure::setup("conductor/nothing-before", format!("there is no deployment `{id}`"))),
        },
        None => before(&known, there_now, live(ledger, target)?, target),
    };
    let parent = there_now.map(Deployment::id);
    Ok(good.map(|good| {
        let (actor, key) = (Some(request.actor.clone()), Some(request.key.clone()));
        let cause = Cause::Rollback { actor, key, to: Some(good.id()), run: None };
        Birth { order: order(&good, target, cause, parent, options.clone()), kind: format!("rollback {}", request.key) }
    }))
}

/// A deployment that a person named, if it can be brought back.
fn chosen(found: Deployment, target: &Target) -> Result<Deployment, Failure> {
    let (id, of) = (found.id(), &found.order().target);
    if of.name != target.name {
        let text = format!("{id} is a deployment of `{}`, not of `{}`", of.name, target.name);
        return Err(Failure::setup("conductor/other-target", text).help("name one of the target's own deployments"));
    }
    if of.destination() != target.destination() {
        let text = format!("{id} went to another place than `{}` deploys to now", target.name);
        return Err(
            Failure::setup("conductor/other-target", text).help("deploy its commit again with `landfall redeploy`")
        );
    }
    if brought_something(&found) {
        return Ok(found);
    }
    let text = format!("{id} never was live: it is {}", found.state().name());
    Err(Failure::setup("conductor/never-live", text)
        .help("name one that succeeded, or try it again with `landfall redeploy`"))
}

/// The one before what is there now: what is live, where something else was tried since, or else the commit before it.
fn before(
    known: &[Deployment],
    there_now: Option<&Deployment>,
    live: Option<Deployment>,
    target: &Target,
) -> Result<Deployment, Failure> {
    let Some(live) = live else { return Err(nothing_before(&target.name)) };
    if there_now.is_some_and(|it| it.id() != live.id()) {
        return Ok(live);
    }
    let earlier = known.iter().find(|it| {
        it.id() < live.id()
            && brought_something(it)
            && it.commit() != live.commit()
            && it.order().target.destination() == target.destination()
    });
    earlier.cloned().ok_or_else(|| nothing_before(&target.name))
}

fn nothing_before(target: &TargetName) -> Failure {
    Failure::setup("conductor/nothing-before", format!("no earlier deployment of `{target}` succeeded"))
        .help("push or deploy a commit that works")
}

/// Whether a deployment put its revision in place, and its revision is known.
fn brought_something(deployment: &Deployment) -> bool {
    let succeeded = matches!(deployment.state(), State::Succeeded { .. });
    succeeded && deployment.run().is_some() && deployment.revision().is_some()
}

/// The order of a rollback: the earlier commit to the target as it is now, with the earlier word for files that exist
/// already (R87), unless a person chose another.
fn order(
    good: &Deployment,
    target: &Target,
    cause: Cause,
    parent: Option<DeploymentId>,
    options: DeployOptions,
) -> Order {
    let behavior = options.file_exists_behavior.or(good.order().target.engine.file_exists_behavior());
    let engine = target.engine.clone().with_file_exists_behavior(behavior);
    let sha = good.commit().clone();
    let target = Target { engine, ..target.clone() };
    Order { target: target.into(), cause, parent, sha, before: None, options, ..good.order().clone() }
}
