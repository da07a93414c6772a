//! The single instances of a run, asked for sparingly and told in short. What it cannot find out hides no outcome.

use aws_sdk_codedeploy::types::{DeploymentTarget, TargetFilterName};

use super::account::Account;
use super::poller::once;
use super::reading::Reading;
use super::target::Target;
use super::trouble::Trouble;
use crate::domain::{Fleet, InstanceState, Lifecycle, RunId, StepStatus, Traffic};

/// How many targets one call may name (row 49).
const BATCH: usize = 25;

/// How the instances of a run stand.
#[derive(Debug, Default)]
pub(super) struct Details {
    /// All of them, as a grid.
    pub(super) fleet: Fleet,
    /// The lifecycle of the one that a person wants to see: the first that failed, or that is at work.
    pub(super) lifecycle: Vec<Lifecycle>,
    /// The lifecycle event at which most of those at work are.
    pub(super) phase: Option<String>,
    /// The first that failed: one with a failed event explains more than one whose events were all skipped.
    pub(super) culprit: Option<Target>,
    /// How far traffic has moved, for Lambda and ECS, which have one target.
    pub(super) traffic: Option<Traffic>,
    /// Whether each has succeeded, whatever the deployment still waits for.
    pub(super) all_succeeded: bool,
}

/// What came of asking.
pub(super) enum Closer {
    /// This, and the ids of all instances where they are few.
    Seen(Box<Details>, Vec<String>),
    /// There are none yet.
    NotBegun,
    /// The calls of this tick are spent.
    OutOfCalls,
}

/// The instances of a run: all of a small fleet, and of a large one those that failed or are at work. `known` are their
/// ids, where all were few and named before.
pub(super) async fn ask(
    account: &Account,
    run: &RunId,
    reading: &Reading,
    known: Vec<String>,
) -> Result<Closer, Trouble> {
    let all = reading.instances.map_or(0, |it| it.total());
    let few = all <= Fleet::NAMED as u64;
    let is_known = few && !known.is_empty() && (all == 0 || known.len() as u64 == all);
    let listed = if is_known { Some(known) } else { list(account, run, few).await.or_else(not_begun)? };
    let Some(mut ids) = listed else { return Ok(Closer::OutOfCalls) };
    if ids.is_empty() {
        return Ok(Closer::NotBegun);
    }
    let (mut targets, mut asked) = (Vec::new(), 0);
    while asked < ids.len() {
        let batch = &ids[asked..ids.len().min(asked + BATCH)];
        if !account.may_ask_closer() {
            return Ok(Closer::OutOfCalls);
        }
        match get(account, run, batch).await {
            Ok(got) => {
                targets.extend(got.iter().map(Target::of));
                asked += batch.len();
            }
            // One that vanished is passed over, and the others are asked for again.
            Err(trouble) => match vanished(&trouble, batch) {
                Some(gone) => ids.retain(|id| *id != gone),
                None => return Err(trouble),
            },
        }
    }
    let kept = if few { ids } else { vec![] };
    Ok(Closer::Seen(Box::new(Details::of(targets, all)), kept))
}

/// The ids of at most as many instances as are named. Nothing where the calls are spent.
async fn list(account: &Account, run: &RunId, few: bool) -> Result<Option<Vec<String>>, Trouble> {
    if few {
        return pages(account, run, &[], Fleet::NAMED).await;
    }
    let mut ids: Vec<String> = Vec::new();
    for statuses in [&["Failed"][..], &["InProgress", "Ready", "Unknown"], &[]] {
        let room = Fleet::NAMED - ids.len();
        // Those that wait or are done are of interest where there are no others.
        if room == 0 || (statuses.is_empty() && !ids.is_empty()) {
            break;
        }
        let Some(more) = pages(account, run, statuses, room).await? else { return Ok(None) };
        ids.extend(more);
    }
    Ok(Some(ids))
}

async fn pages(account: &Account, run: &RunId, statuses: &[&str], room: usize) -> Result<Option<Vec<String>>, Trouble> {
    let (mut ids, mut token) = (Vec::new(), None);
    loop {
        if !account.may_ask_closer() {
            return Ok(None);
        }
        let mut call = account.client().await.list_deployment_targets().deployment_id(run.as_str());
        if !statuses.is_empty() {
            let statuses = statuses.iter().map(|it| (*it).to_owned()).collect();
            call = call.target_filters(TargetFilterName::TargetStatus, statuses);
        }
        let sent = call.set_next_token(token).customize().config_override(once()).send().await;
        let page = sent.map_err(|error| Trouble::of("ListDeploymentTargets", &error))?;
        ids.extend(page.target_ids.unwrap_or_default());
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() || ids.len() >= room {
            ids.truncate(room);
            return Ok(Some(ids));
        }
    }
}

async fn get(account: &Account, run: &RunId, ids: &[String]) -> Result<Vec<DeploymentTarget>, Trouble> {
    let call = account.client().await.batch_get_deployment_targets().deployment_id(run.as_str());
    let call = call.set_target_ids(Some(ids.to_vec()));
    let sent = call.customize().config_override(once()).send().await;
    let got = sent.map_err(|error| Trouble::of("BatchGetDeploymentTargets", &error))?;
    Ok(got.deployment_targets.unwrap_or_default())
}

/// Before a deployment has begun it has no instances, which is no trouble.
fn not_begun(trouble: Trouble) -> Result<Option<Vec<String>>, Trouble> {
    if trouble.code() == Some("DeploymentNotStartedException") { Ok(Some(vec![])) } else { Err(trouble) }
}

/// The id of a target that was listed and is not there any more.
fn vanished(trouble: &Trouble, asked: &[String]) -> Option<String> {
    let gone =
        matches!(trouble.code(), Some("DeploymentTargetDoesNotExistException" | "InstanceDoesNotExistException"));
    let text = trouble.to_string();
    asked.iter().find(|id| gone && text.contains(id.as_str())).cloned()
}

impl Details {
    /// In short; `all` is how many instances there are, 0 where nobody says.
    pub(super) fn of(mut targets: Vec<Target>, all: u64) -> Self {
        let first = |fits: &dyn Fn(&Target) -> bool| targets.iter().position(fits);
        let explains = first(&Target::has_failed_event)
            .or_else(|| first(&|it| it.status == StepStatus::Failed))
            .or_else(|| first(&Target::is_mute));
        let at_work = first(&|it| it.status == StepStatus::InProgress);
        let lead = explains.or(at_work).or_else(|| targets.len().checked_sub(1));
        let lifecycle = lead.map(|at| targets[at].lifecycle.clone()).unwrap_or_default();
        let phase = phase(&targets);
        let all_succeeded = !targets.is_empty() && targets.iter().all(|it| it.status == StepStatus::Succeeded);
        let traffic = targets.iter().find_map(|it| it.traffic.clone());
        let fleet = fleet(&targets, all.max(targets.len() as u64));
        let culprit = explains.map(|at| targets.swap_remove(at));
        Self { fleet, lifecycle, phase, culprit, traffic, all_succeeded }
    }
}

fn fleet(targets: &[Target], all: u64) -> Fleet {
    let mut names: Vec<&str> = Vec::new();
    for name in targets.iter().flat_map(|it| &it.lifecycle).map(|it| it.name.as_str()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    super::target::in_run_order(&mut names, |name| name);
    let rows = targets.iter().map(|it| {
        let steps = it.lifecycle.iter().map(|step| (step.name.clone(), step.status)).collect();
        let (id, label) = (it.id.clone(), it.label.clone());
        (InstanceState { id, status: it.status, steps: String::new(), label }, steps)
    });
    Fleet::of(names.into_iter().map(str::to_owned).collect(), rows, all)
}

/// The event at which most instances are; among equals the one that comes first.
fn phase(targets: &[Target]) -> Option<String> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let at_work = targets.iter().flat_map(|it| &it.lifecycle).filter(|it| it.status == StepStatus::InProgress);
    for name in at_work.map(|it| it.name.as_str()) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    super::target::in_run_order(&mut counts, |(name, _)| name);
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).to_owned())
}
