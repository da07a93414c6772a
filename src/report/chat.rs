//! What one place in chat is told of a deployment: read from the ledger, said by its service. Where the service can edit,
//! one message says how the deployment stands, with its lifecycle events beneath it; where it cannot, it says when it
//! begins and how it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::sink::{Message, Said};
use crate::board::{ApprovalView, commit_url, repository_url};
use crate::chat::{
    self, Bulletin, Card, Changes, ChatError, Commit, Links, Place, Service, Step, Trouble, digest, step_line,
};
use crate::clients::Clock;
use crate::config::Chat;
use crate::domain::{
    Blame, Cause, CommitSha, Deployment, DeploymentEvent, DeploymentId, Event, Failure, Lifecycle, News, Notice, Order,
    Record, SinkEvent, State, StepStatus, Stream, in_chat,
};
use crate::ledger::{Filter, Ledger, LedgerError};
use crate::source::{Since, Sources};

/// Among how many of a target's deployments the one before is looked for.
const EARLIER: usize = 20;
/// Of so many deployments what changed is remembered, so that it is asked once for each.
const REMEMBERED: usize = 64;
/// More lines beneath a message help nobody.
const MOST_STEPS: usize = 30;

/// One place in chat.
pub struct ChatPlace {
    name: String,
    chat: Chat,
    service: Arc<dyn Service>,
    sources: Sources,
    /// GitHub's pages, without a slash at the end.
    github: String,
    changes: Mutex<BTreeMap<DeploymentId, Option<Changes>>>,
    /// Whether it was logged that a template fails.
    is_unsaid: AtomicBool,
}

impl fmt::Debug for ChatPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChatPlace({})", self.name)
    }
}

/// What there is to say, but for what only the source knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tidings {
    bulletin: Bulletin,
    /// The last success before it, since which commits are told.
    since: Option<CommitSha>,
    /// How many lifecycle events were told beneath it.
    told: usize,
}

impl ChatPlace {
    /// The place that the configuration names. Titles of commits are asked of `sources`; links lead to `github`'s pages.
    pub fn new(chat: &Chat, sources: &Sources, clock: &Clock, github: &str) -> Self {
        Self {
            name: in_chat(&chat.name),
            chat: chat.clone(),
            service: chat::open(chat, clock),
            sources: sources.clone(),
            github: github.to_owned(),
            changes: Mutex::default(),
            is_unsaid: AtomicBool::default(),
        }
    }

    /// Under which name the ledger keeps what it was told.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn takes(&self, order: &Order) -> bool {
        order.target.notify.contains(&self.chat.name)
    }

    /// What should stand there now. `last`: what it was last told.
    pub(super) fn notice(
        &self,
        ledger: &Ledger,
        deployment: &Deployment,
        last: Option<&SinkEvent>,
    ) -> Result<Option<Notice>, LedgerError> {
        let Some(news) = news(ledger, deployment)? else { return Ok(None) };
        let (edits, stands) = (self.service.abilities().edits, last.is_some_and(|it| it.remote_id().is_some()));
        let notice = Notice::of(deployment);
        if edits && stands {
            return Ok(Some(notice));
        }
        let is_told = self.chat.on.contains(&news) && (edits || news != News::Progressing);
        let is_told = is_told || is_left_open(last, news);
        Ok(is_told.then(|| if edits { notice } else { Notice { text: news.as_str().into(), ..notice } }))
    }

    /// Reads what there is to say.
    pub(super) fn tidings(
        &self,
        ledger: &Ledger,
        deployment: &Deployment,
        url: Option<&str>,
    ) -> Result<Option<Tidings>, LedgerError> {
        let Some(news) = news(ledger, deployment)? else { return Ok(None) };
        let (order, records) = (deployment.order(), ledger.story(&Stream::Deployment(deployment.id()))?);
        let lifecycle = records.iter().rev().find_map(lifecycle).unwrap_or_default();
        let live = live(ledger, deployment)?;
        let since = last_success(ledger, deployment)?.map(|it| it.commit().clone());
        let failure = deployment.state().failure();
        let told = match ledger.sent(&self.name, deployment.id())? {
            Some(SinkEvent::Sent { steps, .. }) => steps as usize,
            Some(SinkEvent::Stumbled { .. } | SinkEvent::GaveUp { .. }) | None => 0,
        };
        let bulletin = Bulletin {
            deployment: deployment.id(),
            news,
            at: deployment.changed_at(),
            is_test: false,
            place: Place {
                target: order.target.name.to_string(),
                environment: order.target.environment.clone(),
                repository: order.repository.name.to_string(),
                reference: short_ref(order),
            },
            commit: self.commit(deployment),
            text: Notice::of(deployment).text,
            actor: actor(order),
            cause: cause(&order.cause).map(str::to_owned),
            seconds: seconds(deployment),
            live: live.as_ref().map(|it| self.commit(it)),
            changes: None,
            steps: steps(&lifecycle),
            trouble: failure.map(|it| trouble(it, &lifecycle)),
            approval: ApprovalView::of(deployment).map(|it| it.of),
            links: Links {
                deployment: url.map(str::to_owned),
                dashboard: url.and_then(|it| it.split_once("/deployments/")).map(|(root, _)| format!("{root}/")),
                engine: deployment.engine_url().map(str::to_owned),
            },
        };
        Ok(Some(Tidings { bulletin, since, told }))
    }

    /// Before when it is not told this. What goes in the place of something else disturbs nobody.
    pub(super) fn held_back(
        &self,
        tidings: &Tidings,
        stands: bool,
        posts: &[Timestamp],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let disturbs = !(stands && self.service.abilities().edits);
        disturbs.then(|| self.chat.manners.held_until(tidings.bulletin.news, posts, now)).flatten()
    }

    /// Until when it may be told nothing of what happened then.
    pub(super) fn spared_until(&self, then: Timestamp) -> Timestamp {
        self.chat.manners.spared_until(then)
    }

    /// Says several things in one message, which nothing is edited in later.
    pub(super) async fn say_together(&self, tidings: &[&Tidings]) -> Result<(), ChatError> {
        let bulletins: Vec<&Bulletin> = tidings.iter().map(|it| &it.bulletin).collect();
        let Some((newest, card)) = bulletins.last().zip(digest(&bulletins)) else { return Ok(()) };
        self.service.post(newest, &card).await.map(|_| ())
    }

    /// Says it: in place of what stands there, or anew. Steps beneath it are told as far as that works: what counts is the
    /// message.
    pub(super) async fn say(
        &self,
        deployment: &Deployment,
        message: &Message,
        tidings: &Tidings,
    ) -> Result<Said, ChatError> {
        let mut bulletin = tidings.bulletin.clone();
        bulletin.changes = self.changes(deployment, tidings).await;
        let card = self.card(&bulletin);
        let stands = message.remote_id.as_ref().filter(|_| self.service.abilities().edits);
        let (remote_id, told) = match stands {
            None => (self.service.post(&bulletin, &card).await?, 0),
            Some(id) => match self.service.edit(id, &card).await {
                Ok(()) => (Some(id.clone()), tidings.told),
                // Somebody deleted it; what there is to tell is told again.
                Err(ChatError::Gone { .. }) => (self.service.post(&bulletin, &card).await?, 0),
                Err(error) => return Err(error),
            },
        };
        let steps = self.tell_steps(remote_id.as_deref(), &bulletin.steps, told).await;
        let said = Said::all(remote_id, message);
        Ok(Said { steps: u32::try_from(steps).unwrap_or(u32::MAX), ..said })
    }

    /// The message in the words of the configuration's templates. Of those that fail the first is logged.
    fn card(&self, bulletin: &Bulletin) -> Card {
        let (card, unsaid) = Card::worded(bulletin, &self.chat);
        if let Some(why) = unsaid
            && !self.is_unsaid.swap(true, Ordering::Relaxed)
        {
            let why = why.message;
            tracing::warn!(sink = self.name, "a template says nothing, and the usual words are told instead: {why}");
        }
        card
    }

    /// Adds what is over and not told yet. Gives how many are told.
    async fn tell_steps(&self, standing: Option<&str>, steps: &[Step], told: usize) -> usize {
        let Some(standing) = standing.filter(|_| self.service.abilities().threads) else { return told };
        let lines: Vec<_> = steps.iter().filter_map(step_line).take(MOST_STEPS).collect();
        for (at, line) in lines.iter().enumerate().skip(told) {
            if let Err(error) = self.service.reply(standing, line).await {
                tracing::debug!(sink = self.name, "a step was not told: {error}");
                return at;
            }
        }
        lines.len().max(told)
    }

    /// What changed since the last success, asked once. A source that does not tell leaves the message as it is.
    async fn changes(&self, deployment: &Deployment, tidings: &Tidings) -> Option<Changes> {
        let (id, base) = (deployment.id(), tidings.since.as_ref()?);
        if let Some(known) = self.remembered().get(&id) {
            return known.clone();
        }
        let since = self.sources.of(&deployment.order().target).since(base, deployment.commit()).await;
        let changes = match since {
            Ok(since) => since.map(|it| self.told_changes(deployment, base, it)),
            Err(error) => {
                tracing::debug!(sink = self.name, "what changed is not known: {error}");
                return None;
            }
        };
        let mut remembered = self.remembered();
        while remembered.len() >= REMEMBERED {
            remembered.pop_first();
        }
        remembered.insert(id, changes.clone());
        changes
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeploymentId, Option<Changes>>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told_changes(&self, deployment: &Deployment, base: &CommitSha, since: Since) -> Changes {
        let order = deployment.order();
        let more = since.count.saturating_sub(since.newest.len());
        let commits = since.newest.into_iter().map(|it| Commit {
            short: it.sha.short().to_owned(),
            url: commit_url(order, &it.sha, &self.github),
            title: Some(it.title),
            author: Some(it.author).filter(|it| !it.is_empty()),
            sha: it.sha.to_string(),
        });
        let url =
            repository_url(order, &self.github).map(|it| format!("{it}/compare/{base}...{}", deployment.commit()));
        Changes { commits: commits.collect(), more, url }
    }

    fn commit(&self, deployment: &Deployment) -> Commit {
        let (order, sha) = (deployment.order(), deployment.commit());
        let (title, author, url) = (order.title.clone(), order.author.clone(), commit_url(order, sha, &self.github));
        Commit { sha: sha.to_string(), short: sha.short().to_owned(), title, author, url }
    }
}

/// Whether a place heard that it began or waits, and nothing of how it was passed over: nobody waits for it any more.
fn is_left_open(last: Option<&SinkEvent>, news: News) -> bool {
    let Some(SinkEvent::Sent { text, .. }) = last else { return false };
    let is_open = [News::Held, News::Started].iter().any(|it| it.as_str() == text);
    is_open && matches!(news, News::Superseded | News::Skipped)
}

/// What is news about it.
fn news(ledger: &Ledger, deployment: &Deployment) -> Result<Option<News>, LedgerError> {
    let succeeded = matches!(deployment.state(), State::Succeeded { .. });
    let failed_before = succeeded && failed_before(ledger, deployment)?;
    Ok(News::of(deployment, failed_before))
}

/// Whether the one before it that reached the engine, or should have, failed.
fn failed_before(ledger: &Ledger, deployment: &Deployment) -> Result<bool, LedgerError> {
    let before = before(ledger, deployment, None)?;
    let counts = |it: &&Deployment| {
        let is_refused = matches!(it.state(), State::Refused { failure } if failure.blame == Blame::Revision);
        is_refused || matches!(it.state(), State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. })
    };
    let ended = before.iter().find(counts);
    Ok(ended.is_some_and(|it| it.state().failure().is_some()))
}

fn last_success(ledger: &Ledger, deployment: &Deployment) -> Result<Option<Deployment>, LedgerError> {
    Ok(before(ledger, deployment, Some("succeeded"))?.into_iter().next())
}

/// The target's deployments before this one, the newest first.
fn before(ledger: &Ledger, deployment: &Deployment, state: Option<&str>) -> Result<Vec<Deployment>, LedgerError> {
    let (target, before) = (Some(deployment.order().target.name.clone()), Some(deployment.id()));
    ledger.deployments(&Filter { target, before, state: state.map(str::to_owned), limit: EARLIER, ..Filter::default() })
}

/// What is live at its target now.
fn live(ledger: &Ledger, deployment: &Deployment) -> Result<Option<Deployment>, LedgerError> {
    let target = Some(deployment.order().target.name.clone());
    let newest = Filter { target, state: Some("succeeded".into()), limit: 1, ..Filter::default() };
    Ok(ledger.deployments(&newest)?.into_iter().next())
}

fn lifecycle(record: &Record) -> Option<Vec<Lifecycle>> {
    let Event::Deployment(DeploymentEvent::Progressed { progress }) = &record.event else { return None };
    Some(progress.lifecycle.clone()).filter(|it| !it.is_empty())
}

/// The steps that are told: of many instances only what failed.
fn steps(lifecycle: &[Lifecycle]) -> Vec<Step> {
    let first = lifecycle.first().and_then(|it| it.instance.as_ref());
    let is_fleet = lifecycle.iter().any(|it| it.instance.as_ref() != first);
    let told = lifecycle.iter().filter(|it| !is_fleet || it.status == StepStatus::Failed);
    let step = |it: &Lifecycle| Step {
        name: it.name.clone(),
        status: it.status,
        instance: it.instance.clone().filter(|_| is_fleet),
        took_ms: it.took_ms,
    };
    told.map(step).collect()
}

fn trouble(failure: &Failure, lifecycle: &[Lifecycle]) -> Trouble {
    let step = lifecycle.iter().find(|it| it.status == StepStatus::Failed);
    Trouble {
        code: failure.code.clone(),
        message: failure.message.clone(),
        hint: failure.help.clone(),
        event: step.map(|it| it.name.clone()),
        instance: step.and_then(|it| it.instance.clone()),
        script: step.and_then(|it| it.script.clone()),
        exit_code: failure.exit_code(),
        log: failure.detail.clone(),
    }
}

/// The branch or tag as people say it.
fn short_ref(order: &Order) -> String {
    let (branch, tag) = (order.reference.branch(), order.reference.tag());
    branch.or(tag).unwrap_or(order.reference.as_str()).to_owned()
}

/// Who pushed it, or asked for it.
fn actor(order: &Order) -> Option<String> {
    match &order.cause {
        Cause::Push { .. } | Cause::CatchUp => order.pusher.clone().or_else(|| order.author.clone()),
        Cause::Request { actor, .. } | Cause::Chosen { actor, .. } | Cause::Redeploy { actor, .. } => {
            Some(actor.clone())
        }
        Cause::Replay { actor, .. } | Cause::Restart { actor, .. } => Some(actor.clone()),
        Cause::Rollback { actor, .. } | Cause::Promotion { actor, .. } => actor.clone(),
    }
}

/// Why it was made, where that is no push.
fn cause(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Push { .. } | Cause::CatchUp => None,
        Cause::Request { .. } | Cause::Chosen { .. } => Some("deploy"),
        Cause::Redeploy { .. } => Some("redeploy"),
        Cause::Replay { .. } => Some("replay"),
        Cause::Rollback { .. } => Some("rollback"),
        Cause::Promotion { .. } => Some("promotion"),
        Cause::Restart { .. } => Some("restart"),
    }
}

fn seconds(deployment: &Deployment) -> u64 {
    let took = deployment.changed_at().duration_since(deployment.created_at());
    u64::try_from(took.as_secs()).unwrap_or_default()
}
