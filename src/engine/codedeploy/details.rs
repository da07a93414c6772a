//! The single instances of a run, asked for sparingly and told in short. What it cannot find out hides no outcome.

use std::collections::VecDeque;

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
    /// The calls of this tick are spent. What was found so far is kept, and the next tick goes on from there.
    OutOfCalls,
}

/// How far the instances of a run have been asked for: all of a small fleet, and of a large one those that failed or are
/// at work. Very many runs at once leave each of them a call now and then, so that nothing found may be thrown away.
#[derive(Debug)]
pub(super) struct Asking {
    /// How many there are, 0 where nobody says.
    all: u64,
    /// The lists still to be read, by status; an empty one is for all, where there are none of the others.
    lists: VecDeque<&'static [&'static str]>,
    /// Where the first of them goes on.
    token: Option<String>,
    ids: Vec<String>,
    targets: Vec<Target>,
    /// How many of the ids have been asked for.
    asked: usize,
}

/// The next call.
enum Next {
    Page(&'static [&'static str]),
    Batch(Vec<String>),
}

impl Asking {
    /// Nothing asked yet. `known` are the ids, where all were few and named before.
    pub(super) fn of(reading: &Reading, known: &[String]) -> Self {
        let count = reading.instances;
        let all = count.map_or(0, |it| it.total());
        let few = all <= Fleet::NAMED as u64;
        let is_known = few && !known.is_empty() && (all == 0 || known.len() as u64 == all);
        let lists = match (is_known, few) {
            (true, _) => VecDeque::new(),
            (false, true) => VecDeque::from([&[][..]]),
            (false, false) => {
                let failed = count.is_some_and(|it| it.failed > 0).then_some(&["Failed"][..]);
                let at_work = &["InProgress", "Ready", "Unknown"][..];
                let at_work = reading.verdict().is_none().then_some(at_work);
                failed.into_iter().chain(at_work).chain([&[][..]]).collect()
            }
        };
        let ids = if is_known { known.to_vec() } else { vec![] };
        Self { all, lists, token: None, ids, targets: vec![], asked: 0 }
    }

    fn next(&mut self) -> Option<Next> {
        // Those that wait or are done are of interest where there are no others.
        while let Some(statuses) = self.lists.front() {
            let room = Fleet::NAMED.saturating_sub(self.ids.len());
            let is_wanted = room > 0 && (self.token.is_some() || !statuses.is_empty() || self.ids.is_empty());
            if is_wanted {
                return Some(Next::Page(statuses));
            }
            self.lists.pop_front();
            self.token = None;
        }
        let batch = &self.ids[self.asked..self.ids.len().min(self.asked + BATCH)];
        (!batch.is_empty()).then(|| Next::Batch(batch.to_vec()))
    }

    /// Makes as many calls as are left in this tick.
    pub(super) async fn go_on(&mut self, account: &Account, run: &RunId) -> Result<Closer, Trouble> {
        while let Some(next) = self.next() {
            if !account.may_ask_closer() {
                return Ok(Closer::OutOfCalls);
            }
            match next {
                Next::Page(statuses) => self.list(account, run, statuses).await?,
                Next::Batch(ids) => self.get(account, run, &ids).await?,
            }
        }
        if self.ids.is_empty() {
            return Ok(Closer::NotBegun);
        }
        let kept = if self.all <= Fleet::NAMED as u64 { std::mem::take(&mut self.ids) } else { vec![] };
        Ok(Closer::Seen(Box::new(Details::of(std::mem::take(&mut self.targets), self.all)), kept))
    }

    async fn list(&mut self, account: &Account, run: &RunId, statuses: &[&str]) -> Result<(), Trouble> {
        match page(account, run, statuses, self.token.take()).await {
            Ok((ids, token)) => {
                self.ids.extend(ids);
                self.ids.truncate(Fleet::NAMED);
                self.token = token;
                if self.token.is_none() {
                    self.lists.pop_front();
                }
                Ok(())
            }
            // Before a deployment has begun it has no instances, which is no trouble.
            Err(trouble) if trouble.code() == Some("DeploymentNotStartedException") => {
                self.lists.clear();
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn get(&mut self, account: &Account, run: &RunId, ids: &[String]) -> Result<(), Trouble> {
        match get(account, run, ids).await {
            Ok(got) => {
                self.targets.extend(got.iter().map(Target::of));
                self.asked += ids.len();
                Ok(())
            }
            // One that vanished is passed over, and the others are asked for again.
            Err(trouble) => match vanished(&trouble, ids) {
                Some(gone) => {
                    self.ids.retain(|id| *id != gone);
                    Ok(())
                }
                None => Err(trouble),
            },
        }
    }
}

/// A page of the ids of a run's instances, and where the next one begins.
async fn page(
    account: &Account,
    run: &RunId,
    statuses: &[&str],
    token: Option<String>,
) -> Result<(Vec<String>, Option<String>), Trouble> {
    let mut call = account.client().await.list_deployment_targets().deployment_id(run.as_str());
    if !statuses.is_empty() {
        let statuses = statuses.iter().map(|it| (*it).to_owned()).collect();
        call = call.target_filters(TargetFilterName::TargetStatus, statuses);
    }
    let sent = call.set_next_token(token).customize().config_override(once()).send().await;
    account.answered();
    let page = sent.map_err(|error| Trouble::of("ListDeploymentTargets", &error))?;
    Ok((page.target_ids.unwrap_or_default(), page.next_token.filter(|token| !token.is_empty())))
}

async fn get(account: &Account, run: &RunId, ids: &[String]) -> Result<Vec<DeploymentTarget>, Trouble> {
    let call = account.client().await.batch_get_deployment_targets().deployment_id(run.as_str());
    let call = call.set_target_ids(Some(ids.to_vec()));
    let sent = call.customize().config_override(once()).send().await;
    account.answered();
    let got = sent.map_err(|error| Trouble::of("BatchGetDeploymentTargets", &error))?;
    Ok(got.deployment_targets.unwrap_or_default())
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
