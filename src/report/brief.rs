//! What is to be said of one deployment at one sink, as the ledger stands: read once, decided there. Says nothing.

use std::collections::BTreeSet;

use super::sink::{Matter, Message, Sink};
use crate::domain::{CommitSha, Deployment, DeploymentId, Notice, SinkEvent};
use crate::ledger::{Filter, Ledger, LedgerError};

/// Among how many deployments of a commit to a target one is looked for that speaks for it.
const NEWER: usize = 10;

/// A deployment, and what is to be said of it, if anything.
pub(super) struct Brief {
    pub(super) deployment: Deployment,
    pub(super) message: Option<Message>,
    /// What the sink was told last, or why not.
    pub(super) last: Option<SinkEvent>,
}

/// Reads it. `known` is what was last said, or will never be said; links lead to `public_url`. A deployment that is not
/// there has no brief.
pub(super) fn read(
    ledger: &Ledger,
    sink: &Sink,
    id: DeploymentId,
    known: Option<&Notice>,
    public_url: Option<&str>,
) -> Result<Option<Brief>, LedgerError> {
    let Some(deployment) = ledger.deployment(id)? else { return Ok(None) };
    let last = ledger.sent(sink.name(), id)?;
    let notice = sink.notice(ledger, &deployment, last.as_ref())?.filter(|it| known != Some(it));
    let message = match (notice, status_sha(&deployment)) {
        (Some(notice), Some(sha)) => {
            let remote_id = last.as_ref().and_then(|it| it.remote_id()).map(str::to_owned);
            let url = public_url.map(|url| format!("{}/deployments/{id}", url.trim_end_matches('/')));
            let (context, matter) = (sink.context(deployment.order()), Matter::Nothing);
            let message = Message { context, sha, notice, url, remote_id, stand: 0, matter };
            weighed(ledger, sink, &deployment, message)?
        }
        (Some(_) | None, _) => None,
    };
    Ok(Some(Brief { deployment, message, last }))
}

/// The message, less what others say of the same commit.
fn weighed(
    ledger: &Ledger,
    sink: &Sink,
    deployment: &Deployment,
    message: Message,
) -> Result<Option<Message>, LedgerError> {
    if is_silent(ledger, deployment)? {
        return Ok(None);
    }
    let (id, mut stand) = (deployment.id(), 0);
    for other in of_same_commit(ledger, deployment, &message.sha)? {
        // A redeploy, a branch and a tag: the newer one speaks for both.
        if other.id() > id && !sink.keeps_apart() && !is_silent(ledger, &other)? {
            return Ok(None);
        }
        stand = stand.max(ledger.sent(sink.name(), other.id())?.map_or(0, |it| it.nth()));
    }
    if stand >= sink.only_ends_from() && !deployment.state().is_over() {
        return Ok(None);
    }
    let matter = sink.matter(ledger, deployment, &message)?;
    Ok(matter.map(|matter| Message { stand, matter, ..message }))
}

/// The newest deployments of a commit to its target.
fn of_same_commit(ledger: &Ledger, of: &Deployment, sha: &CommitSha) -> Result<Vec<Deployment>, LedgerError> {
    let (order, mut found) = (of.order(), Vec::new());
    for looked_for in BTreeSet::from([sha.as_str(), order.sha.as_str()]) {
        let (target, looked_for) = (Some(order.target.name.clone()), Some(looked_for.to_owned()));
        found.extend(ledger.deployments(&Filter { target, sha: looked_for, limit: NEWER, ..Filter::default() })?);
    }
    let is_same = |it: &Deployment| {
        it.order().target.repository == order.target.repository && status_sha(it).as_ref() == Some(sha)
    };
    found.retain(is_same);
    Ok(found)
}

/// Whether nothing is said of it: it follows the engine's own rollback to a revision that is none of ours, or to the very
/// commit that failed, which never turns green (row 56). The one that failed says what became of it.
fn is_silent(ledger: &Ledger, deployment: &Deployment) -> Result<bool, LedgerError> {
    let order = deployment.order();
    let (Some(_), Some(parent)) = (order.adopts(), order.parent) else { return Ok(false) };
    let failed = ledger.deployment(parent)?.and_then(|it| status_sha(&it));
    Ok(order.restores().is_none() || failed == status_sha(deployment))
}

/// The commit whose status it is. A tag may be an annotated one, which has no status: only weighing tells its commit.
fn status_sha(deployment: &Deployment) -> Option<CommitSha> {
    let peeled = deployment.weighed().map(|weighed| weighed.commit.clone());
    let may_be_a_tag_object = deployment.order().reference.tag().is_some() && deployment.ended_at().is_none();
    peeled.or_else(|| (!may_be_a_tag_object).then(|| deployment.order().sha.clone()))
}
