//! Asks the ledger on blocking threads and makes views of what it says. It keeps nothing between two questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;

use super::approving::ApprovalView;
use super::audit::AuditPage;
use super::changes::Asked;
use super::distances::Distances;
use super::event_view::EventView;
use super::log::EngineOf;
use super::outages::Outages;
use super::query::{AuditQuery, DeliveriesQuery, DeploymentsQuery};
use super::stages::stages;
use super::trend::Trends;
use super::views::{
    ChildView, DeliveriesPage, DeliveryDetail, DeliveryView, DeploymentDetail, DeploymentView, DeploymentsPage,
    PlanView, ReportView, TargetView, TargetsPage, WhyPage, commit_url,
};
use crate::clients::Clock;
use crate::config::GitHub;
use crate::domain::{
    Calendar, Cause, CommitSha, DeliveryEvent, DeliveryId, Deployment, DeploymentEvent, DeploymentId, Event, Failure,
    Finding, Fleet, Lifecycle, Offset, Order, PlanLine, Record, Revision, State, Stream, Target, TargetName, in_chat,
};
use crate::ledger::{Filter, Health, Ledger, LedgerError};
use crate::source::Sources;

/// How many records one look at the ledger takes: some 100 KB.
const RECORDS_AT_ONCE: usize = 200;
/// How many commits are named where a beginning fits several.
const NAMED_AT_MOST: usize = 8;
/// Among how many deployments of a target a deployment's children are looked for.
const KIN: usize = 200;
/// Where commit statuses go, by the names that `report` gives these places in the ledger.
const SINKS: [&str; 5] = ["github-status", "github-deployment", "github-check", "github-comment", "shown"];

/// The read model. Clones are cheap and share the ledger.
#[derive(Clone)]
pub struct Board {
    pub(super) inside: Arc<Inside>,
}

#[derive(Clone)]
pub(super) struct Inside {
    pub(super) ledger: Ledger,
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) clock: Clock,
    pub(super) calendar: Arc<Calendar>,
    pub(super) base: String,
    pub(super) github: String,
    pub(super) outages: Outages,
    pub(super) engines: Option<EngineOf>,
    pub(super) sources: Option<Sources>,
    pub(super) asked: Asked,
    pub(super) searching: Arc<Mutex<()>>,
    pub(super) distances: Distances,
    pub(super) findings: BTreeMap<TargetName, Vec<Finding>>,
    pub(super) trends: Trends,
}

/// Why nothing could be shown.
#[derive(Debug, Error)]
pub enum BoardError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The reading thread ended early: the program is stopping, or has a bug.
    #[error("reading was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
    /// A search did not get its turn: others are under way.
    #[error("other logs are being searched: search again in some seconds")]
    Busy,
    /// The engine's log could not be read.
    #[error("{}", .0.message)]
    Log(Failure),
    /// Several commits begin like that.
    #[error("`{prefix}` is the beginning of several commits: {}", .commits.join(", "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// What fits.
        commits: Vec<String>,
    },
}

pub(super) type Answer<T> = Result<T, BoardError>;

impl Board {
    /// The board over a ledger. `public_url` is where the dashboard is reached, `github_api` names the GitHub whose
    /// pages commits are linked to; `outside` finds the engines that keep logs, and the sources.
    pub fn new(
        ledger: Ledger,
        targets: Vec<Arc<Target>>,
        clock: Clock,
        calendar: Arc<Calendar>,
        public_url: Option<&str>,
        github_api: &str,
        outside: Option<(EngineOf, Sources)>,
    ) -> Self {
        let base = public_url.unwrap_or_default().trim_end_matches('/').to_owned();
        let (engines, sources) = outside.unzip();
        let inside = Inside {
            ledger,
            targets,
            clock,
            calendar,
            base,
            github: GitHub::site_of(github_api),
            outages: Outages::default(),
            engines,
            sources,
            asked: Asked::default(),
            searching: Arc::default(),
            distances: Distances::default(),
            findings: BTreeMap::new(),
            trends: Trends::default(),
        };
        Self { inside: Arc::new(inside) }
    }

    /// The same, with what was found in the configuration of each target. Whoever has the one before keeps that.
    #[must_use]
    pub fn with_findings(self, findings: BTreeMap<TargetName, Vec<Finding>>) -> Self {
        Self { inside: Arc::new(Inside { findings, ..(*self.inside).clone() }) }
    }

    /// Runs a question on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Inside) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let inside = Arc::clone(&self.inside);
        spawn_blocking(move || question(&inside)).await?
    }

    /// All targets.
    pub async fn targets(&self) -> Answer<TargetsPage> {
        self.ask(Inside::targets).await
    }

    /// One target; nothing where none is configured by that name.
    pub async fn target(&self, name: &TargetName) -> Answer<Option<TargetView>> {
        let name = name.clone();
        self.ask(move |inside| inside.target_named(&name)).await
    }

    /// A page of deployments.
    pub async fn deployments(&self, query: DeploymentsQuery) -> Answer<DeploymentsPage> {
        self.ask(move |inside| inside.deployments(query)).await
    }

    /// One deployment with its events.
    pub async fn deployment(&self, id: DeploymentId) -> Answer<Option<DeploymentDetail>> {
        self.ask(move |inside| inside.deployment(id)).await
    }

    /// Why a commit, given by its hash or the beginning of it, runs somewhere or does not. Nothing where no commit that
    /// was pushed or deployed begins like that.
    pub async fn why(&self, sha: &str) -> Answer<Option<WhyPage>> {
        let sha = sha.to_ascii_lowercase();
        self.ask(move |inside| inside.why(&sha)).await
    }

    /// A page of deliveries.
    pub async fn deliveries(&self, query: DeliveriesQuery) -> Answer<DeliveriesPage> {
        self.ask(move |inside| inside.deliveries(query)).await
    }

    /// One delivery with its events.
    pub async fn delivery(&self, id: &DeliveryId) -> Answer<Option<DeliveryDetail>> {
        let id = id.clone();
        self.ask(move |inside| inside.delivery(&id)).await
    }

    /// Who asked for what, newest first.
    pub async fn audit(&self, query: AuditQuery) -> Answer<AuditPage> {
        self.ask(move |inside| inside.audit(&query)).await
    }

    /// The target of a deployment; nothing where there is no such deployment.
    pub async fn target_of(&self, id: DeploymentId) -> Answer<Option<TargetName>> {
        self.ask(move |inside| Ok(inside.ledger.deployment(id)?.map(|it| it.order().target.name.clone()))).await
    }

    /// Records from an offset on, as many as one look takes.
    pub async fn records(&self, from: Offset) -> Answer<Vec<Record>> {
        self.ask(move |inside| Ok(inside.ledger.read(from, RECORDS_AT_ONCE)?)).await
    }

    /// Where the ledger ends: the offset of the record that will be written next. It changes after each commit.
    pub fn follow(&self) -> watch::Receiver<Offset> {
        self.inside.ledger.follow()
    }

    /// Where the ledger ends now.
    pub fn end(&self) -> Offset {
        self.inside.ledger.end()
    }

    /// The offset before which retention may have deleted records.
    pub async fn kept_from(&self) -> Answer<Offset> {
        self.ask(|inside| Ok(inside.ledger.kept_from()?)).await
    }

    /// Whether the ledger can be written.
    pub fn health(&self) -> Health {
        self.inside.ledger.health()
    }

    /// Which places take no message now: who tells them says so here.
    pub fn outages(&self) -> &Outages {
        &self.inside.outages
    }

    /// How far what is live is behind, as far as anybody looked: who asks the sources is set to work with it.
    pub fn distances(&self) -> &Distances {
        &self.inside.distances
    }

    /// A deployment's page, or its path where no public URL is configured.
    pub fn page_of(&self, id: DeploymentId) -> String {
        format!("{}/deployments/{id}", self.inside.base)
    }

    /// The time, by the bot's clock.
    pub fn now(&self) -> Timestamp {
        self.inside.clock.now()
    }
}

impl Inside {
    fn deployment(&self, id: DeploymentId) -> Answer<Option<DeploymentDetail>> {
        let Some(deployment) = self.ledger.deployment(id)? else { return Ok(None) };
        let story = self.ledger.story(&Stream::Deployment(id))?;
        let events = || story.iter().filter_map(|record| event_of(record).map(|event| (record.at, event)));
        let order = deployment.order();
        let summary = DeploymentView::of(&deployment, &self.base);
        Ok(Some(DeploymentDetail {
            bundle_deleted_at: self.bundle_deleted_at(&deployment)?,
            failure: deployment.state().failure().cloned(),
            stumble: deployment.stumble().map(|it| it.failure.clone()),
            next_at: deployment.stumble().map(|it| it.next_at),
            rule: order.rule.clone(),
            engine: order.target.engine.kind(),
            engine_url: deployment.engine_url().map(str::to_owned),
            commit_url: commit_url(order, &summary.sha, &self.github),
            stop_asked_by: deployment.stop_asked_by().map(str::to_owned),
            approval: ApprovalView::of(&deployment),
            approved_by: deployment.approved_by().map(str::to_owned),
            children: self.children(&deployment)?,
            superseded_by: superseded_by(&deployment),
            delivery: delivery_of(&order.cause).cloned(),
            caught_up: self.caught_up(delivery_of(&order.cause), Some(&deployment))?,
            stages: stages(events(), self.clock.now()),
            lifecycle: lifecycle(events().map(|(_, event)| event)),
            fleet: fleet(events().map(|(_, event)| event)),
            reports: self.reports(id, deployment.order())?,
            findings: events().flat_map(|(_, event)| findings(event)).cloned().collect(),
            events: story.iter().map(EventView::of).collect(),
            summary,
        }))
    }

    /// When retention deleted the bundle of a deployment, unless it was made again for that one since.
    fn bundle_deleted_at(&self, deployment: &Deployment) -> Answer<Option<Timestamp>> {
        let Some(Revision::Bundle { location, .. }) = deployment.revision() else { return Ok(None) };
        let deleted = self.ledger.pruned(location)?;
        Ok(deleted.filter(|at| deployment.state().is_over() && *at >= deployment.changed_at()))
    }

    /// The deployments born of one. They are of its commit (redeployments, promotions), or of its target and not much
    /// younger (rollbacks).
    fn children(&self, parent: &Deployment) -> Answer<Vec<ChildView>> {
        let order = parent.order();
        let commit = parent.commit();
        let mut found = BTreeMap::new();
        let of_target = Filter { target: Some(order.target.name.clone()), limit: KIN, ..Filter::default() };
        for filter in [of_target, of_commit(commit.as_str()), of_commit(order.sha.as_str())] {
            let born =
                self.ledger.deployments(&filter)?.into_iter().filter(|it| it.order().parent == Some(parent.id()));
            found.extend(born.map(|it| (it.id(), ChildView::of(&it))));
        }
        Ok(found.into_values().collect())
    }

    fn reports(&self, id: DeploymentId, order: &Order) -> Answer<Vec<ReportView>> {
        let mut reports = Vec::new();
        let places = order.target.notify.iter().map(|name| in_chat(name));
        for sink in SINKS.map(str::to_owned).into_iter().chain(places) {
            reports.extend(self.ledger.sent(&sink, id)?.map(|told| ReportView::of(sink, told)));
        }
        Ok(reports)
    }

    fn why(&self, text: &str) -> Answer<Option<WhyPage>> {
        let Some(sha) = self.whole(text)? else { return Ok(None) };
        let mut plans = Vec::new();
        for (delivery, line) in self.ledger.plans_of(&sha)? {
            let deployment = line.deployment.map(|id| self.ledger.deployment(id)).transpose()?.flatten();
            plans.push(PlanView::of(Some(delivery), &line, deployment.as_ref()));
        }
        // Deployments that no delivery planned: found by comparing heads, asked for by a person, born of another.
        let others = self.ledger.deployments(&of_commit(sha.as_str()))?;
        for deployment in others.iter().rev() {
            if !plans.iter().any(|plan| plan.deployment == Some(deployment.id())) {
                let (target, rule) = (deployment.order().target.name.clone(), deployment.order().rule.clone());
                let line = PlanLine { target, deployment: Some(deployment.id()), rule: Some(rule), nothing: None };
                plans.push(PlanView::of(delivery_of(&deployment.order().cause).cloned(), &line, Some(deployment)));
            }
        }
        for plan in &mut plans {
            let deployment = plan.deployment.map(|id| self.ledger.deployment(id)).transpose()?.flatten();
            if let Some(how) = self.caught_up(plan.delivery.as_ref(), deployment.as_ref())? {
                plan.reason += &format!("; {how}");
            }
            let deleted = deployment.map(|it| self.bundle_deleted_at(&it)).transpose()?.flatten();
            if let Some(at) = deleted {
                plan.reason += &format!("; its bundle was deleted on {}", at.strftime("%F"));
            }
        }
        Ok(Some(WhyPage { sha, plans }))
    }

    /// How something was found that no webhook brought.
    fn caught_up(&self, delivery: Option<&DeliveryId>, planned: Option<&Deployment>) -> Answer<Option<String>> {
        if planned.is_some_and(|it| it.order().cause == Cause::CatchUp) {
            return Ok(Some("found by comparing heads: no delivery of it had come in".into()));
        }
        let record = delivery.map(|id| self.ledger.delivery(id)).transpose()?.flatten();
        let Some(Event::Delivery(DeliveryEvent::Received { caught_up, .. })) = record.map(|it| it.event) else {
            return Ok(None);
        };
        Ok(caught_up.map(|it| it.to_string()))
    }

    /// The commit that a text names: a whole hash is itself, a beginning must fit one commit that was pushed or deployed.
    fn whole(&self, text: &str) -> Answer<Option<CommitSha>> {
        if let Ok(sha) = CommitSha::parse(text) {
            return Ok(Some(sha));
        }
        let mut found = self.ledger.commits(text, NAMED_AT_MOST)?;
        if found.len() > 1 {
            let commits = found.iter().map(ToString::to_string).collect();
            return Err(BoardError::Ambiguous { prefix: text.to_owned(), commits });
        }
        Ok(found.pop())
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<Option<DeliveryDetail>> {
        let Some(record) = self.ledger.delivery(id)? else { return Ok(None) };
        let Some(summary) = self.delivery_of(&record)? else { return Ok(None) };
        let digest = match &record.event {
            Event::Delivery(DeliveryEvent::Received { digest, .. }) => digest.clone(),
            Event::Delivery(DeliveryEvent::Replayed { .. }) => String::new(),
            Event::Deployment(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => String::new(),
        };
        let events = self.ledger.story(&Stream::Delivery(id.clone()))?.iter().map(EventView::of).collect();
        Ok(Some(DeliveryDetail { summary, digest, events }))
    }

    pub(super) fn delivery_of(&self, record: &Record) -> Answer<Option<DeliveryView>> {
        let (Stream::Delivery(id), Event::Delivery(DeliveryEvent::Received { plans, .. })) =
            (&record.stream, &record.event)
        else {
            return Ok(None);
        };
        let mut views = Vec::new();
        for line in plans {
            let deployment = line.deployment.map(|id| self.ledger.deployment(id)).transpose()?.flatten();
            views.push(PlanView::of(Some(id.clone()), line, deployment.as_ref()));
        }
        Ok(DeliveryView::of(id, record, views))
    }
}

fn superseded_by(deployment: &Deployment) -> Option<DeploymentId> {
    let State::Superseded { deployment, .. } = deployment.state() else { return None };
    *deployment
}

fn delivery_of(cause: &Cause) -> Option<&DeliveryId> {
    match cause {
        Cause::Push { delivery } | Cause::Replay { delivery, .. } => Some(delivery),
        Cause::CatchUp | Cause::Request { .. } | Cause::Redeploy { .. } => None,
        Cause::Rollback { .. } | Cause::Promotion { .. } | Cause::Restart { .. } | Cause::Chosen { .. } => None,
    }
}

pub(super) fn event_of(record: &Record) -> Option<&DeploymentEvent> {
    match &record.event {
        Event::Deployment(event) => Some(event),
        Event::Delivery(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => None,
    }
}

/// The lifecycle events as the engine told them last.
fn lifecycle<'a>(events: impl Iterator<Item = &'a DeploymentEvent>) -> Vec<Lifecycle> {
    let told = events.filter_map(|event| {
        let DeploymentEvent::Progressed { progress } = event else { return None };
        Some(&progress.lifecycle).filter(|it| !it.is_empty())
    });
    told.last().cloned().unwrap_or_default()
}

/// The instances as the engine told them last.
fn fleet<'a>(events: impl Iterator<Item = &'a DeploymentEvent>) -> Option<Fleet> {
    let told = events.filter_map(|event| {
        let DeploymentEvent::Progressed { progress } = event else { return None };
        progress.fleet.as_ref()
    });
    told.last().cloned()
}

fn findings(event: &DeploymentEvent) -> &[Finding] {
    let DeploymentEvent::Prepared { findings, .. } = event else { return &[] };
    findings
}

fn of_commit(prefix: &str) -> Filter {
    Filter { sha: Some(prefix.to_owned()), limit: 100, ..Filter::default() }
}
