//! What came with a deployment that was not live before it: how many commits, and the newest of them.
//!
//! The source is asked once for a deployment, and its answer is kept in memory: what lies between two commits never
//! changes, and a restart asks again. A page waits for it a moment at most. It is not stored: nothing depends on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::reading::{Answer, Board, Inside, event_of};
use super::views::{commit_url, repository_url};
use crate::domain::{CommitSha, Deployment, DeploymentEvent, DeploymentId, Order, Record, Stream};
use crate::source::Since;

/// How long a page waits for the source.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long it takes until a source that did not answer is asked again.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Of so many deployments the answers are kept, some hundred kilobytes.
const REMEMBERED: usize = 256;

/// What is known of the commits that a deployment brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changes {
    /// These were not live before.
    Came(CommitsView),
    /// The very commit was live before.
    Same,
    /// It does not come after what was live before, as after a rollback or a forced push.
    Aside(CommitSha),
    /// Why it is not known, in words.
    Unknown(String),
}

/// Commits since what was live before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommitsView {
    /// What was live before.
    pub base: CommitSha,
    /// How many came since.
    pub count: usize,
    /// The newest of them, newest first.
    pub newest: Vec<CommitView>,
    /// Where all of it can be read.
    pub url: Option<String>,
}

/// A commit in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommitView {
    /// Which.
    pub sha: CommitSha,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it.
    pub author: String,
    /// Where it can be read.
    pub url: Option<String>,
}

/// The answers of sources, and when each was asked. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<BTreeMap<DeploymentId, Answered>>>);

/// What was answered: since which commit, and when that was asked.
#[derive(Debug)]
struct Answered {
    base: CommitSha,
    at: Timestamp,
    changes: Changes,
}

impl Asked {
    /// What is known since this commit, unless it is time to ask.
    fn known(&self, id: DeploymentId, base: &CommitSha, now: Timestamp) -> Option<Changes> {
        let all = self.all();
        let Answered { at, changes, .. } = all.get(&id).filter(|it| it.base == *base)?;
        let is_settled = !matches!(changes, Changes::Unknown(_)) || now.duration_since(*at) < ASKED_AGAIN;
        is_settled.then(|| changes.clone())
    }

    fn keep(&self, id: DeploymentId, base: &CommitSha, at: Timestamp, changes: Changes) {
        let mut all = self.all();
        while all.len() >= REMEMBERED && !all.contains_key(&id) {
            all.pop_first();
        }
        all.insert(id, Answered { base: base.clone(), at, changes });
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<DeploymentId, Answered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// What a deployment brings that was not live before; nothing where nothing was, or where the source would have to be
    /// asked and `may_ask` says no: who is unknown spends nobody's budget.
    pub async fn changes(&self, id: DeploymentId, may_ask: bool) -> Answer<Option<Changes>> {
        let now = self.now();
        let Some((deployment, base)) = self.ask(move |inside| inside.compared(id)).await? else { return Ok(None) };
        if let Some(known) = self.inside.asked.known(id, &base, now) {
            return Ok(Some(known));
        }
        if !may_ask {
            return Ok(None);
        }
        let unknown = || Changes::Unknown("the source has not answered yet: load the page again".into());
        self.inside.asked.keep(id, &base, now, unknown());
        let board = self.clone();
        // A task of its own: the answer is kept although the reader does not wait for it.
        let asking = tokio::spawn(async move {
            let changes = board.compare(&deployment, &base).await;
            board.inside.asked.keep(id, &base, board.now(), changes.clone());
            changes
        });
        let answered = tokio::time::timeout(PATIENCE, asking).await;
        Ok(Some(answered.ok().and_then(Result::ok).unwrap_or_else(unknown)))
    }

    async fn compare(&self, deployment: &Deployment, base: &CommitSha) -> Changes {
        let (order, head) = (deployment.order(), deployment.commit());
        if base == head {
            return Changes::Same;
        }
        let Some(sources) = &self.inside.sources else { return Changes::Unknown("no source can be asked".into()) };
        match sources.of(&order.target).since(base, head).await {
            Ok(Some(since)) => Changes::Came(self.inside.came(order, base, head, since)),
            Ok(None) => Changes::Aside(base.clone()),
            Err(error) => Changes::Unknown(error.to_string()),
        }
    }
}

impl Inside {
    /// A deployment, and the commit that was live before it: when it was released, or when it ended without that, or now.
    fn compared(&self, id: DeploymentId) -> Answer<Option<(Deployment, CommitSha)>> {
        let Some(deployment) = self.ledger.deployment(id)? else { return Ok(None) };
        let story = self.ledger.story(&Stream::Deployment(id))?;
        let is_release = |it: &&Record| matches!(event_of(it), Some(DeploymentEvent::Releasing { .. }));
        let released = story.iter().find(is_release).map(|it| it.at).or(deployment.ended_at());
        let before = self.live_at(&deployment.order().target.name, released.unwrap_or(self.clock.now()))?;
        Ok(before.live.map(|before| (deployment, before.sha)))
    }

    fn came(&self, order: &Order, base: &CommitSha, head: &CommitSha, since: Since) -> CommitsView {
        let url = repository_url(order, &self.github).map(|it| format!("{it}/compare/{base}...{head}"));
        let view = |it: crate::source::Written| CommitView {
            url: commit_url(order, &it.sha, &self.github),
            sha: it.sha,
            title: it.title,
            author: it.author,
        };
        CommitsView {
            base: base.clone(),
            count: since.count,
            newest: since.newest.into_iter().map(view).collect(),
            url,
        }
    }
}
