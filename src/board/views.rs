//! What readers are shown, as it goes over the wire: fields may be added, never renamed. Built from the ledger's own
//! types; nothing here reads or decides.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::approving::ApprovalView;
use super::event_view::EventView;
use super::places::{DriftView, LaneView};
use super::query::DeploymentsQuery;
use super::sentence::sentence;
use super::stages::Stage;
use crate::domain::{
    CommitSha, DeliveryEvent, DeliveryId, Deployment, DeploymentId, Event, Failure, Finding, Fleet, Hold, HoldKind,
    Holding, Lifecycle, Lock, Offset, Order, Outage, Pattern, Pause, PlanLine, Record, SinkEvent, SourceSpec, Target,
    TargetName,
};

/// All targets, in the configuration's order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetsPage {
    /// Whether a person paused all releases.
    pub paused: bool,
    /// Who did, when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// The lock of all targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// The places that take no message now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outages: Vec<Outage>,
    /// The targets.
    pub targets: Vec<TargetView>,
}

/// A target, and what goes on there.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetView {
    /// Its name.
    pub name: TargetName,
    /// The repository whose pushes it takes.
    pub repository: String,
    /// What the repository is called now, where it was renamed or transferred: it is followed by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_now: Option<String>,
    /// The environment's name.
    pub environment: String,
    /// `codedeploy` or `host`.
    pub engine: &'static str,
    /// What runs there.
    pub live: Option<LiveView>,
    /// How that stands to the newest commit that was heard of; nothing where that one is live.
    pub drift: Option<DriftView>,
    /// What failed or was stopped there since, and may have left its files there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_by: Option<LiveView>,
    /// The newest commit handled with any outcome.
    pub seen: Option<CommitSha>,
    /// The deployment under way.
    pub running: Option<DeploymentId>,
    /// Deployments that wait, oldest first.
    pub waiting: Vec<DeploymentId>,
    /// What runs and what waits, in the order in which it goes.
    pub lane: Vec<LaneView>,
    /// Why they wait.
    pub holds: Vec<HoldView>,
    /// What keeps upkeep from looking after its revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upkeep: Option<Failure>,
    /// Whether a person locked it.
    pub locked: bool,
    /// Its own locks, with who, why and until when; those that only warn, too.
    pub locks: Vec<Lock>,
    /// What whoever deploys to it is warned of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The freeze that comes next, in words, where none is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_freeze: Option<String>,
    /// The rule in words, pattern by pattern: `branch main`.
    pub rules: Vec<String>,
}

/// What runs at a target.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LiveView {
    /// The commit.
    pub sha: CommitSha,
    /// The deployment that brought it.
    pub deployment: DeploymentId,
    /// Since when.
    pub at: Timestamp,
    /// The commit's title.
    pub title: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Where the commit can be read.
    pub commit_url: Option<String>,
}

/// One reason why something waits.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HoldView {
    /// What kind of wait.
    pub kind: HoldKind,
    /// In words.
    pub reason: String,
    /// Who said so, where it was a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it ends, or is looked at again, at the latest.
    pub until: Option<Timestamp>,
    /// The deployment that waits; nothing where all of the target does.
    pub deployment: Option<DeploymentId>,
}

impl TargetView {
    /// Whether nothing is on its way that will be live: then what keeps it behind stands nowhere else.
    pub fn has_settled(&self) -> bool {
        self.drift.as_ref().is_some_and(|drift| self.lane.iter().all(|it| Some(it.deployment) != drift.deployment))
    }
}

impl HoldView {
    /// A hold of everything that goes to a target.
    pub(super) fn of_all(Hold { kind, reason, until }: Hold) -> Self {
        Self { kind, reason, by: None, since: None, until, deployment: None }
    }

    /// The same, by somebody's word.
    pub(super) fn said(Holding { hold, actor, at }: Holding) -> Self {
        Self { by: Some(actor), since: at, ..Self::of_all(hold) }
    }
}

/// A page of deployments, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeploymentsPage {
    /// The deployments.
    pub deployments: Vec<DeploymentView>,
    /// What to ask the next page with; nothing on the last one.
    pub cursor: Option<DeploymentId>,
}

/// A deployment in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeploymentView {
    /// Our id.
    pub id: DeploymentId,
    /// Where to.
    pub target: TargetName,
    /// Of which repository.
    pub repository: String,
    /// Of which ref, in full.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit; the push's own name for it until weighing has peeled an annotated tag.
    pub sha: CommitSha,
    /// Who wrote it.
    pub author: Option<String>,
    /// The state's name.
    #[schemars(extend("enum" = DeploymentsQuery::states()))]
    pub state: &'static str,
    /// Why it waits or how it ended, where the state does not say it all.
    pub reason: Option<String>,
    /// The engine's id for it.
    pub engine_id: Option<String>,
    /// The deployment it was born of.
    pub parent: Option<DeploymentId>,
    /// When it was born.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its page here, or its path where no public URL is configured.
    pub url: String,
    /// The commit's title.
    pub title: Option<String>,
    /// The environment's name.
    pub environment: String,
    /// The state and reason in one line.
    pub text: String,
}

/// A deployment with all that happened to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeploymentDetail {
    /// What a list shows too.
    #[serde(flatten)]
    pub summary: DeploymentView,
    /// When retention deleted its bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle_deleted_at: Option<Timestamp>,
    /// How it ended badly, where it did.
    pub failure: Option<Failure>,
    /// What it stumbles over at present.
    pub stumble: Option<Failure>,
    /// When that is tried again.
    pub next_at: Option<Timestamp>,
    /// The rule that took it.
    pub rule: String,
    /// `codedeploy` or `host`.
    pub engine: &'static str,
    /// Where the engine shows it.
    pub engine_url: Option<String>,
    /// Where the commit can be read.
    pub commit_url: Option<String>,
    /// Who asked to stop it.
    pub stop_asked_by: Option<String>,
    /// What it waits for a person to approve.
    pub approval: Option<ApprovalView>,
    /// Who approved something of it last.
    pub approved_by: Option<String>,
    /// The deployments that were born of it, oldest first: rollbacks, redeployments, promotions.
    pub children: Vec<ChildView>,
    /// The deployment that took its place.
    pub superseded_by: Option<DeploymentId>,
    /// The delivery that it was planned from.
    pub delivery: Option<DeliveryId>,
    /// How it was found, where no webhook brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caught_up: Option<String>,
    /// The five stages.
    pub stages: Vec<Stage>,
    /// The engine's lifecycle events, as last told.
    pub lifecycle: Vec<Lifecycle>,
    /// How far the single instances are, as last told: a grid of instances and lifecycle events.
    pub fleet: Option<Fleet>,
    /// What its author should change although it deploys.
    pub findings: Vec<Finding>,
    /// What the world was told of it last, place by place.
    pub reports: Vec<ReportView>,
    /// Its events, oldest first.
    pub events: Vec<EventView>,
}

/// A deployment that was born of another.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ChildView {
    /// Its id.
    pub id: DeploymentId,
    /// Where to.
    pub target: TargetName,
    /// The commit.
    pub sha: CommitSha,
    /// The state's name.
    #[schemars(extend("enum" = DeploymentsQuery::states()))]
    pub state: &'static str,
}

/// What one place was told of a deployment last.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReportView {
    /// The place: `github-status`, `chat-ops`, or `shown` where there is nothing to tell it with.
    pub sink: String,
    /// The status's state, or `stumbled`, or `gave-up`.
    pub state: &'static str,
    /// In which words, or why not.
    pub text: String,
}

/// Why a commit runs somewhere, or does not.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WhyPage {
    /// The commit.
    pub sha: CommitSha,
    /// What was planned for it, oldest first.
    pub plans: Vec<PlanView>,
}

/// What one push meant for one target, and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanView {
    /// The delivery; nothing where it was planned without one.
    pub delivery: Option<DeliveryId>,
    /// The target.
    pub target: TargetName,
    /// The deployment, or none.
    pub deployment: Option<DeploymentId>,
    /// The deployment's state, or `not-planned`.
    pub state: &'static str,
    /// Why, in words.
    pub reason: String,
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeliveriesPage {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// What to ask the next page with; nothing on the last one.
    pub cursor: Option<Offset>,
}

/// A delivery in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeliveryView {
    /// GitHub's name for it.
    pub id: DeliveryId,
    /// Its place in the ledger.
    pub offset: Offset,
    /// When it was written.
    pub at: Timestamp,
    /// The value of `X-GitHub-Event`.
    pub event: String,
    /// Of which repository.
    pub repository: String,
    /// Which ref moved, in full.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where it was.
    pub before: Option<CommitSha>,
    /// Where it is now; nothing for a deleted ref.
    pub after: Option<CommitSha>,
    /// Who pushed.
    pub pusher: Option<String>,
    /// The head commit's title.
    pub title: Option<String>,
    /// What it meant for each target, with what came of it.
    pub plans: Vec<PlanView>,
    /// All that in one sentence.
    pub text: String,
}

/// A delivery with all that happened to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeliveryDetail {
    /// What a list shows too.
    #[serde(flatten)]
    pub summary: DeliveryView,
    /// SHA-256 of the raw body, hex.
    pub digest: String,
    /// Its events, oldest first.
    pub events: Vec<EventView>,
}

impl DeploymentView {
    /// The view of a deployment; `base` is the public URL without its last slash, or empty.
    pub(crate) fn of(deployment: &Deployment, base: &str) -> Self {
        let order = deployment.order();
        let id = deployment.id();
        let state = deployment.state().name();
        let reason = deployment.reason();
        Self {
            id,
            target: order.target.name.clone(),
            repository: order.repository.name.to_string(),
            reference: order.reference.to_string(),
            sha: deployment.commit().clone(),
            author: order.author.clone(),
            state,
            engine_id: deployment.run().map(ToString::to_string),
            parent: order.parent,
            created_at: deployment.created_at(),
            ended_at: deployment.ended_at(),
            url: format!("{base}/deployments/{id}"),
            title: order.title.clone(),
            environment: order.target.environment.clone(),
            text: crate::domain::Notice::of(deployment).text,
            reason,
        }
    }

    /// Whether nothing more can happen.
    pub fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }
}

/// The rule in words, pattern by pattern.
pub(crate) fn rules(target: &Target) -> Vec<String> {
    let rule = &target.rule;
    let said = |kind: &'static str| move |pattern: &Pattern| format!("{kind} {pattern}");
    let refs = rule.branches.iter().map(said("branch")).chain(rule.tags.iter().map(said("tag")));
    refs.chain(rule.paths.iter().map(said("path"))).collect()
}

/// Where a repository can be read; nothing for a git repository of one's own.
pub(crate) fn repository_url(order: &Order, github: &str) -> Option<String> {
    match order.target.source {
        SourceSpec::GitHub => Some(format!("{github}/{}", order.repository.name)),
        SourceSpec::Git { .. } => None,
    }
}

/// Where a commit of it can be read.
pub(crate) fn commit_url(order: &Order, sha: &CommitSha, github: &str) -> Option<String> {
    repository_url(order, github).map(|it| format!("{it}/commit/{sha}"))
}

impl ChildView {
    /// The view of a deployment as another's child.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let (sha, target) = (deployment.commit().clone(), deployment.order().target.name.clone());
        Self { id: deployment.id(), target, sha, state: deployment.state().name() }
    }
}

impl ReportView {
    /// The view of what a sink was told last.
    pub(crate) fn of(sink: String, event: SinkEvent) -> Self {
        match event {
            SinkEvent::Sent { state, text, .. } => Self { sink, state: state.as_str(), text },
            SinkEvent::Stumbled { failure, .. } => Self { sink, state: "stumbled", text: failure.message },
            SinkEvent::GaveUp { failure, .. } => Self { sink, state: "gave-up", text: failure.message },
        }
    }
}

impl DeploymentDetail {
    /// The same for whoever may read freely, without being known: what scripts said may be nobody else's business.
    #[must_use]
    pub fn hushed(mut self) -> Self {
        for failure in [&mut self.failure, &mut self.stumble].into_iter().flatten() {
            failure.detail = None;
        }
        self.events = self.events.into_iter().filter_map(EventView::hushed).collect();
        self
    }
}

impl PlanView {
    /// What a plan meant, and what came of it.
    pub(crate) fn of(delivery: Option<DeliveryId>, line: &PlanLine, deployment: Option<&Deployment>) -> Self {
        Self {
            delivery,
            target: line.target.clone(),
            deployment: line.deployment,
            state: deployment
                .map_or(if line.deployment.is_some() { "planned" } else { "not-planned" }, |it| it.state().name()),
            reason: deployment.map_or_else(|| line.reason(), |it| crate::domain::Notice::of(it).text),
        }
    }
}

impl DeliveryView {
    /// The view of a delivery's first record; nothing for any other record.
    pub(crate) fn of(id: &DeliveryId, record: &Record, plans: Vec<PlanView>) -> Option<Self> {
        let Event::Delivery(DeliveryEvent::Received { event, push, .. }) = &record.event else { return None };
        Some(Self {
            id: id.clone(),
            offset: record.offset,
            at: record.at,
            event: event.clone(),
            repository: push.repository.name.to_string(),
            reference: push.reference.to_string(),
            before: push.before.clone(),
            after: push.after.clone(),
            pusher: push.pusher.clone(),
            title: push.title.clone(),
            plans,
            text: sentence(record),
        })
    }
}
