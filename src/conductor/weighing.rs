//! Weighing a deployment, before it is prepared and again right before its release: what the source says of its order,
//! what the ledger says of its commit, what others say in their checks. It writes what came of that.

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::desk::is_held_on_its_own;
use super::jobs::{Done, Job, JobError, blocking};
use super::looks::Look;
use super::rollback;
use crate::domain::{
    CommitSha, Deployment, DeploymentEvent, DeploymentId, Failure, Head, Hold, HoldKind, Order, State, StepName,
    Weighed,
};
use crate::ledger::{Birth, Filter, Ledger, LedgerError};
use crate::source::{RefHead, SourceError};
use crate::steps::{self, Known, Need, Weighing};

/// When one whose ref may be gone is looked at again, where the source does not answer.
const DOUBTS_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// What weighing came to.
pub(super) enum Word {
    /// It may go.
    Go(Weighed),
    /// This is to be written, with what is born of it.
    Write(DeploymentEvent, Vec<Birth>),
    /// It waits for something outside, which is looked at again.
    Wait(Hold, Look),
    /// Nobody can say now, and when to ask again, where that is known.
    Unproven(Failure, Option<Timestamp>),
}

impl Word {
    fn refused(failure: Failure) -> Self {
        Self::Write(DeploymentEvent::Refused { failure }, vec![])
    }
}

impl Job {
    pub(super) async fn weigh(&mut self) -> Done {
        // One that is held stays so while it is weighed again: nobody is told «checking» at each try of an outage.
        if let State::Planned = self.deployment.state() {
            self.append(DeploymentEvent::Weighing, vec![]).await?;
        }
        if let State::ReadyHeld { .. } = self.deployment.state() {
            // It is weighed between its times, because its ref may be gone: that it may still go is no news, nor that
            // nobody can say.
            return match self.ordering().await? {
                Word::Go(_) => Ok(()),
                Word::Unproven(_, retry_at) => Err(self.still_doubted(retry_at)),
                other @ (Word::Write(..) | Word::Wait(..)) => self.conclude(other).await,
            };
        }
        let word = self.weighing().await?;
        self.conclude(word).await
    }

    /// Writes what weighing came to. A wait that is the same as before is no news.
    pub(super) async fn conclude(&mut self, word: Word) -> Done {
        match word {
            Word::Go(Weighed { commit, head, forced, doubt }) => {
                self.append(DeploymentEvent::Weighed { head, commit, forced, doubt }, vec![]).await
            }
            Word::Write(event, births) => self.append(event, births).await,
            Word::Wait(hold, look) => {
                if self.hold() != Some(&hold) {
                    self.append(DeploymentEvent::Held { hold }, vec![]).await?;
                }
                Err(JobError::LooksAgain(look))
            }
            Word::Unproven(failure, _) => {
                let stumbled = self.stumble(StepName::Weigh, failure);
                self.append(stumbled, vec![]).await
            }
        }
    }

    /// What weighing says: go, or why not.
    pub(super) async fn weighing(&self) -> Result<Word, JobError> {
        let mut word = self.ordering().await?;
        // Once that is settled, it stays so: the commit is the same.
        if let Word::Go(weighed) = word {
            let is_settled = self.deployment.weighed().is_some() || self.order().is_insisted();
            word = match self.found_before(&weighed.commit) {
                _ if is_settled => Word::Go(weighed),
                Some(Weighed { doubt, .. }) => Word::Go(Weighed { doubt: doubt.clone(), ..weighed }),
                None => self.needed(weighed).await?,
            };
        }
        Ok(match word {
            Word::Go(weighed) if self.order().waits_for_checks() => self.gate(weighed).await,
            // What waits for its checks goes on waiting: its time runs, whether the source answers or not.
            Word::Unproven(failure, retry_at) if self.waits_for_checks() => {
                self.wait_for_source(failure, retry_at, None)
            }
            word @ (Word::Go(_) | Word::Write(..) | Word::Wait(..) | Word::Unproven(..)) => word,
        })
    }

    /// What the last look found of a commit before its checks.
    fn found_before(&self, commit: &CommitSha) -> Option<&Weighed> {
        let last = self.looked.as_ref().filter(|look| look.commit == *commit);
        last.and_then(|look| look.weighed.as_ref())
    }

    fn still_doubted(&self, retry_at: Option<Timestamp>) -> JobError {
        let soonest = self.now().saturating_add(DOUBTS_AGAIN).unwrap_or(Timestamp::MAX);
        JobError::StillDoubted { again: retry_at.unwrap_or(soonest).max(soonest) }
    }

    /// Whether a commit that is the newest has to be deployed.
    async fn needed(&self, weighed: Weighed) -> Result<Word, JobError> {
        let (ledger, name) = (self.ledger.clone(), self.order().target.name.clone());
        let mut base = self.order().before.clone();
        if base.is_none() && self.order().paths_unknown {
            base = blocking(move || ledger.target(&name)).await?.live.map(|it| it.sha);
        }
        Ok(match steps::need(&self.world, self.order(), base.as_ref(), &weighed.commit).await {
            Ok(Need::Yes) => Word::Go(weighed),
            Ok(Need::Unsure(why)) => {
                info!(deployment.id = %self.deployment.id(), "deployed, for nobody can say whether it need not be: {why}");
                Word::Go(Weighed { doubt: Some(why), ..weighed })
            }
            Ok(Need::No(reason, lost)) => {
                let births = lost.map(|lost| super::catch_up::birth_below(self.order(), lost));
                Word::Write(DeploymentEvent::Skipped { reason }, births.into_iter().collect())
            }
            Err(error) => unasked(error),
        })
    }

    /// What is known of its order: that it is the newest, or why it is not.
    async fn ordering(&self) -> Result<Word, JobError> {
        if self.order().restores().or(self.order().restarts()).is_some() {
            // It was weighed when it came, and its order names the commit. The source may be down as well.
            let commit = self.order().sha.clone();
            return Ok(Word::Go(Weighed::alone(commit)));
        }
        let (ledger, order) = (self.ledger.clone(), self.order().clone());
        let known = blocking(move || ledger.head(&order.target.name, &order.reference)).await?;
        if self.order().promotes().is_some() {
            return self.weighing_promotion(known).await;
        }
        if let Some(newer) = self.newer_than_asked(&known).await? {
            return Ok(Word::refused(came_late(newer)));
        }
        let moved_to = self.moved_to(&known).await?;
        let of_ref = Known { seen: known.seen.as_ref(), moved_to: moved_to.as_ref() };
        let weighing = steps::weigh(&self.world, self.order(), of_ref).await;
        Ok(match weighing {
            Ok(Weighing::Newest(weighed)) => match self.handled_before(&known, &weighed).await? {
                Some(end) => Word::Write(end, vec![]),
                None => Word::Go(weighed),
            },
            Ok(Weighing::Superseded(head)) => return self.superseded(head).await,
            Ok(Weighing::Refused(failure)) => Word::refused(failure),
            Ok(Weighing::Unproven(failure)) => Word::Unproven(failure, None),
            // Whatever keeps the source from being asked, a token that ran out too: the push is kept, and asked again.
            Err(error) => unasked(error),
        })
    }

    /// What was planned or deployed since this one was asked for, where we heard of that late.
    async fn newer_than_asked(&self, known: &Head) -> Result<Option<DeploymentId>, JobError> {
        let Some(asked_at) = self.order().asked_at() else { return Ok(None) };
        let (ledger, name) = (self.ledger.clone(), self.order().target.name.clone());
        let live = blocking(move || ledger.target(&name)).await?.live.map(|it| it.deployment);
        let planned = known.planned.as_ref().map(|(_, id)| *id);
        Ok([planned, live].into_iter().flatten().find(|it| it.born_at() > asked_at))
    }

    /// Where the push after this one moved the ref, by its own word.
    async fn moved_to(&self, known: &Head) -> Result<Option<CommitSha>, JobError> {
        let Some((_, newest)) = known.planned.as_ref().filter(|(_, it)| *it != self.deployment.id()) else {
            return Ok(None);
        };
        let (ledger, newest) = (self.ledger.clone(), *newest);
        let newest = blocking(move || ledger.deployment(newest)).await?;
        let is_next = |it: &Deployment| it.order().before.as_ref() == Some(&self.order().sha);
        Ok(newest.filter(is_next).map(|it| it.order().sha.clone()))
    }

    /// What weighing says of a promotion: what counts is what its target has handled, and not where the ref is now.
    async fn weighing_promotion(&self, known: Head) -> Result<Word, JobError> {
        let weighing = steps::weigh_promotion(&self.world, self.order(), known.seen.as_ref()).await;
        let weighed = match weighing {
            Ok(Weighing::Newest(weighed)) => weighed,
            Ok(Weighing::Superseded(head)) => {
                let superseded = DeploymentEvent::Superseded { by: head.commit, deployment: known.seen_by };
                return Ok(Word::Write(superseded, vec![]));
            }
            Ok(Weighing::Refused(failure)) => return Ok(Word::refused(failure)),
            Ok(Weighing::Unproven(failure)) => return Ok(Word::Unproven(failure, None)),
            Err(error) => return Ok(unasked(error)),
        };
        let (ledger, name) = (self.ledger.clone(), self.order().target.name.clone());
        let live = blocking(move || ledger.target(&name)).await?.live;
        Ok(match live.filter(|it| it.sha == weighed.commit) {
            Some(live) => Word::Write(DeploymentEvent::AlreadyLive { deployment: live.deployment }, vec![]),
            None => Word::Go(weighed),
        })
    }

    /// The end of a deployment whose commit an earlier one has handled, with nothing after it: a push that came late
    /// or twice, by ways that the ledger could not tell when it was accepted. What a person asks for is done again.
    async fn handled_before(&self, known: &Head, weighed: &Weighed) -> Result<Option<DeploymentEvent>, JobError> {
        let by = known.seen_by.filter(|_| known.seen.as_ref() == Some(&weighed.commit) && !self.order().is_forced());
        let Some(deployment) = by else { return Ok(None) };
        let (ledger, name) = (self.ledger.clone(), self.order().target.name.clone());
        let read = move || {
            Ok((ledger.deployment(deployment)?, ledger.target(&name)?.live, rollback::at_engine(&ledger, &name)?))
        };
        let (before, live, at_engine) = blocking(read).await?;
        // While another one is with the engine, nobody knows what will be live after it.
        let Some(before) = before.filter(|_| !at_engine) else { return Ok(None) };
        if let State::Succeeded { .. } = before.state() {
            let is_live = live.is_some_and(|it| it.sha == weighed.commit);
            return Ok(is_live.then_some(DeploymentEvent::AlreadyLive { deployment }));
        }
        let why = before.reason().unwrap_or_else(|| before.state().name().to_owned());
        let failure = Failure::revision("conductor/already-tried", format!("tried before as {deployment}: {why}"))
            .help("push a new commit, or try this one again with `landfall redeploy`");
        Ok(Some(DeploymentEvent::Refused { failure }))
    }

    /// The head takes this one's place: as the deployment it is planned as, or as one born now. Only where that one
    /// is held on its own (by its checks, by an approval) does this one go all the same.
    async fn superseded(&self, head: RefHead) -> Result<Word, JobError> {
        let (ledger, order, of) = (self.ledger.clone(), self.order().clone(), head.clone());
        let newer = blocking(move || planned_as(&ledger, &order, &of)).await?;
        let goes = Weighed { commit: self.order().sha.clone(), head: head.commit.clone(), forced: false, doubt: None };
        if newer.is_none() {
            let source = self.world.sources.of(&self.order().target);
            match steps::asked_to_skip(&source, self.order(), &head.commit).await {
                Ok(None) => {}
                // What came after this one is not to be deployed: this one is what remains.
                Ok(Some(_)) => return Ok(Word::Go(goes)),
                Err(error) => return Ok(unasked(error)),
            }
        }
        if let Some(newer) = &newer
            && (is_held_on_its_own(newer) || self.outwaits(newer))
            && self.order().reference.branch().is_some()
        {
            return Ok(Word::Go(goes));
        }
        let (by, deployment) = (head.commit.clone(), newer.as_ref().map(Deployment::id));
        let births = if newer.is_some() { vec![] } else { vec![super::catch_up::birth(self.order(), head.object)] };
        Ok(Word::Write(DeploymentEvent::Superseded { by, deployment }, births))
    }

    /// Whether this one, which waits for its checks, stays until more is known of a newer one: its checks may take long.
    fn outwaits(&self, newer: &Deployment) -> bool {
        self.waits_for_checks()
            && newer.order().waits_for_checks()
            && matches!(newer.state(), State::Planned | State::Weighing)
    }

    /// Whether it is held by its checks.
    pub(super) fn waits_for_checks(&self) -> bool {
        self.hold().is_some_and(|it| it.kind == HoldKind::Checks)
    }

    pub(super) fn hold(&self) -> Option<&Hold> {
        match self.deployment.state() {
            State::Held { hold } | State::ReadyHeld { hold, .. } => Some(hold),
            State::Planned | State::Weighing | State::Preparing { .. } | State::Ready { .. } => None,
            State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => None,
            State::Succeeded { .. } | State::Failed { .. } | State::Stopped { .. } => None,
            State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => None,
        }
    }
}

fn unasked(error: SourceError) -> Word {
    let retry_at = error.retry_at();
    Word::Unproven(error.into(), retry_at)
}

fn came_late(newer: DeploymentId) -> Failure {
    let text = format!("GitHub could not tell of it in time, and {newer} was planned since");
    Failure::setup("conductor/came-late", text).help("make the deployment at GitHub again if it is still wanted")
}

/// The deployment of a ref's head: one that is not over, or else the newest planned, if it is of that commit, or else
/// the one that has handled it. Where that one was left out, what came before it may still have to go.
fn planned_as(ledger: &Ledger, order: &Order, head: &RefHead) -> Result<Option<Deployment>, LedgerError> {
    let (target, reference) = (&order.target.name, &order.reference);
    for sha in [&head.object, &head.commit] {
        let filter =
            Filter { target: Some(target.clone()), sha: Some(sha.as_str().to_owned()), limit: 20, ..Filter::default() };
        let of_ref = |it: &Deployment| it.order().reference == *reference && !it.state().is_over();
        if let Some(found) = ledger.deployments(&filter)?.into_iter().find(of_ref) {
            return Ok(Some(found));
        }
    }
    let Head { seen, seen_by, planned } = ledger.head(target, reference)?;
    if let Some((_, id)) = planned.filter(|(sha, _)| *sha == head.object || *sha == head.commit) {
        return ledger.deployment(id);
    }
    let Some(id) = seen_by.filter(|_| seen.as_ref() == Some(&head.commit)) else { return Ok(None) };
    Ok(ledger.deployment(id)?.filter(|it| !matches!(it.state(), State::Skipped { .. })))
}
