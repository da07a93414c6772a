//! What is live at each target, how that stands to the newest commit, and what goes on in its lane. It reads, and never
//! decides: the order of a lane is told as the conductor will see it.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::distances::Distance;
use super::reading::{Answer, Inside};
use super::views::{HoldView, LiveView, TargetView, TargetsPage, commit_url, rules};
use crate::domain::{
    Cause, CommitSha, Deployment, DeploymentId, Hold, Live, Notice, OnNewPush, Releases, State, Target, TargetName,
    TargetState,
};
use crate::ledger::Filter;

/// How what is live at a target stands to the newest commit that was heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DriftView {
    /// The newest commit: one that is on its way, or else the newest that was handled.
    pub sha: CommitSha,
    /// Its title.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The deployment that brings it, or was to; nothing where it was only seen.
    pub deployment: Option<DeploymentId>,
    /// That deployment's state; `seen` where there is none.
    pub state: &'static str,
    /// How many commits what is live is behind it; nothing where that is not known, or where it does not come after.
    pub behind: Option<usize>,
    /// Whether it is known not to come after what is live, as after a forced push, or where it is of an older line.
    pub aside: bool,
    /// Why it is not live, in words.
    pub text: String,
}

/// A deployment in a target's lane: the one that runs, or one that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneView {
    /// Its id.
    pub deployment: DeploymentId,
    /// The commit.
    pub sha: CommitSha,
    /// Of which ref, in full.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit's title.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The state's name.
    pub state: &'static str,
    /// When it was born.
    pub created_at: Timestamp,
    /// Since when it waits for what it waits for now.
    pub held_since: Option<Timestamp>,
    /// Until when that is, or when it is looked at again, at the latest.
    pub until: Option<Timestamp>,
    /// How it goes, or why it waits, in words.
    pub text: String,
}

impl Inside {
    pub(super) fn targets(&self) -> Answer<TargetsPage> {
        let open = self.open()?;
        let releases = self.ledger.releases()?;
        let targets = self.targets.iter().map(|target| self.target(target, &open, &releases)).collect::<Answer<_>>()?;
        let lock = releases.lock.filter(|it| it.lasts(self.clock.now()));
        let (paused, pause, outages) = (releases.paused.is_some(), releases.paused, self.outages.now());
        Ok(TargetsPage { paused, pause, lock, outages, targets })
    }

    /// One target; nothing where none is configured by that name.
    pub(super) fn target_named(&self, name: &TargetName) -> Answer<Option<TargetView>> {
        let Some(target) = self.targets.iter().find(|it| it.name == *name) else { return Ok(None) };
        self.target(target, &self.open()?, &self.ledger.releases()?).map(Some)
    }

    /// The deployments that are not over, oldest first.
    fn open(&self) -> Answer<Vec<Deployment>> {
        let mut open = Vec::new();
        for id in self.ledger.unfinished()? {
            open.extend(self.ledger.deployment(id)?);
        }
        open.sort_by_key(Deployment::id);
        Ok(open)
    }

    fn target(&self, target: &Arc<Target>, open: &[Deployment], releases: &Releases) -> Answer<TargetView> {
        let state = self.ledger.target(&target.name)?;
        let now = self.clock.now();
        let mine: Vec<&Deployment> = open.iter().filter(|it| it.order().target.name == target.name).collect();
        let running = mine.iter().max_by_key(|it| (nearness(it), Reverse(it.id())));
        let running = running.filter(|it| nearness(it) > 0).map(|it| it.id());
        let waiting = mine.iter().map(|it| it.id()).filter(|id| Some(*id) != running).collect();
        let said = releases.holdings(&target.name, &state, now).into_iter().map(HoldView::said);
        let frozen = self.calendar.frozen(&target.name, now).map(HoldView::of_all);
        let holds = said.chain(frozen).chain(mine.iter().filter_map(|it| hold_of(it))).collect();
        let bringer = state.live.as_ref().map(|live| self.ledger.deployment(live.deployment)).transpose()?.flatten();
        let left_by = match &state.left_by {
            Some(left) => Some(self.live(left, self.ledger.deployment(left.deployment)?.as_ref())),
            None => None,
        };
        Ok(TargetView {
            name: target.name.clone(),
            repository: target.repository.to_string(),
            called_now: state.called_now(target).map(ToString::to_string),
            environment: target.environment.clone(),
            engine: target.engine.kind(),
            locked: state.locks(now).any(|it| !it.warns),
            locks: state.locks(now).cloned().collect(),
            warning: releases.warning(&state, now),
            next_freeze: self.calendar.coming(&target.name, now).map(|it| it.told),
            rules: rules(target),
            seen: state.seen.clone(),
            live: state.live.as_ref().map(|live| self.live(live, bringer.as_ref())),
            drift: self.drift(target, &state, &mine, bringer.as_ref())?,
            left_by,
            upkeep: state.upkeep.clone(),
            running,
            waiting,
            lane: lane(target.on_new_push, mine),
            holds,
        })
    }

    pub(super) fn live(&self, live: &Live, bringer: Option<&Deployment>) -> LiveView {
        let order = bringer.map(Deployment::order);
        LiveView {
            sha: live.sha.clone(),
            deployment: live.deployment,
            at: live.at,
            title: order.and_then(|it| it.title.clone()),
            author: order.and_then(|it| it.author.clone()),
            commit_url: order.and_then(|it| commit_url(it, &live.sha, &self.github)),
        }
    }

    /// Nothing where the newest commit is live.
    fn drift(
        &self,
        target: &Arc<Target>,
        state: &TargetState,
        open: &[&Deployment],
        bringer: Option<&Deployment>,
    ) -> Answer<Option<DriftView>> {
        let live = state.live.as_ref().map(|it| &it.sha);
        let brings_news = |it: &&&Deployment| !it.order().is_rollback() && Some(it.commit()) != live;
        let mut drift = match open.iter().rev().find(brings_news) {
            Some(coming) => DriftView::of(coming, coming.commit().clone(), None),
            None => {
                let Some(seen) = state.seen.clone().filter(|seen| Some(seen) != live) else { return Ok(None) };
                match self.handled_by(target, state, &seen)? {
                    Some(handled) => DriftView::of(&handled, seen, bringer),
                    None => DriftView::only_seen(seen),
                }
            }
        };
        // What is on its way is there in a moment: nobody has to be asked how far that is.
        let moves = !matches!(drift.state, "held" | "seen") && drift.is_coming(open);
        if let Some(live) = live.filter(|_| !moves) {
            let home = state.at_home(target);
            match self.distances.behind(&home, (live, &drift.sha), self.clock.now()) {
                Some(Distance::Behind(commits)) => drift.behind = Some(commits),
                Some(Distance::Aside) => drift.aside = true,
                None => {}
            }
        }
        Ok(Some(drift))
    }

    /// The deployment after which a commit counts as handled; nothing where it was only seen.
    fn handled_by(&self, target: &Target, state: &TargetState, seen: &CommitSha) -> Answer<Option<Deployment>> {
        if let Some(left) = state.left_by.as_ref().filter(|left| left.sha == *seen) {
            return Ok(self.ledger.deployment(left.deployment)?);
        }
        let (target, sha) = (Some(target.name.clone()), Some(seen.to_string()));
        Ok(self.ledger.deployments(&Filter { target, sha, limit: 1, ..Filter::default() })?.pop())
    }
}

impl DriftView {
    fn of(deployment: &Deployment, sha: CommitSha, live_by: Option<&Deployment>) -> Self {
        let order = deployment.order();
        let text = match (deployment.state(), live_by) {
            (State::Succeeded { .. }, Some(later)) => instead(&later.order().cause),
            _ => Notice::of(deployment).text,
        };
        Self {
            sha,
            title: order.title.clone(),
            author: order.author.clone(),
            deployment: Some(deployment.id()),
            state: deployment.state().name(),
            behind: None,
            aside: false,
            text,
        }
    }

    fn only_seen(sha: CommitSha) -> Self {
        let text = "Seen at the first look at its ref, and not deployed".to_owned();
        Self { sha, title: None, author: None, deployment: None, state: "seen", behind: None, aside: false, text }
    }

    fn is_coming(&self, open: &[&Deployment]) -> bool {
        open.iter().any(|it| Some(it.id()) == self.deployment)
    }
}

/// Why a commit that was live is not any more.
fn instead(cause: &Cause) -> String {
    match cause {
        Cause::Rollback { actor: Some(actor), .. } => format!("It was live, and {actor} rolled it back"),
        Cause::Rollback { actor: None, .. } => "It was live, and rolled back after a failure".into(),
        Cause::Chosen { actor, .. } | Cause::Redeploy { actor, .. } | Cause::Replay { actor, .. } => {
            format!("It was live, and {actor} asked for what is live now")
        }
        Cause::Push { .. } | Cause::CatchUp | Cause::Request { .. } => "It was live before what is live now".into(),
        Cause::Promotion { .. } | Cause::Restart { .. } => "It was live before what is live now".into(),
    }
}

/// A lane in the order in which it goes: what is at the engine, what mends, then as the target has it.
fn lane(on_new_push: OnNewPush, mut open: Vec<&Deployment>) -> Vec<LaneView> {
    if on_new_push != OnNewPush::QueueAll {
        open.reverse();
    }
    open.sort_by_key(|it| (it.state().is_before_release(), !it.order().is_repair()));
    open.into_iter().map(LaneView::of).collect()
}

impl LaneView {
    fn of(deployment: &Deployment) -> Self {
        let order = deployment.order();
        let hold = awaited(deployment);
        Self {
            deployment: deployment.id(),
            sha: deployment.commit().clone(),
            reference: order.reference.to_string(),
            title: order.title.clone(),
            author: order.author.clone(),
            state: deployment.state().name(),
            created_at: deployment.created_at(),
            held_since: hold.map(|_| deployment.changed_at()),
            until: hold.and_then(|it| it.until),
            text: Notice::of(deployment).text,
        }
    }
}

/// How near to the engine an unfinished deployment is; 0 while it only waits.
fn nearness(deployment: &Deployment) -> u8 {
    match deployment.state() {
        State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => 3,
        State::Preparing { .. } | State::Ready { .. } => 2,
        State::Weighing => 1,
        State::Planned | State::Held { .. } | State::ReadyHeld { .. } => 0,
        State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => 0,
        State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => 0,
    }
}

fn awaited(deployment: &Deployment) -> Option<&Hold> {
    let (State::Held { hold } | State::ReadyHeld { hold, .. }) = deployment.state() else { return None };
    Some(hold)
}

fn hold_of(deployment: &Deployment) -> Option<HoldView> {
    let hold = awaited(deployment)?.clone();
    let (id, since) = (Some(deployment.id()), Some(deployment.changed_at()));
    Some(HoldView { deployment: id, since, ..HoldView::of_all(hold) })
}
