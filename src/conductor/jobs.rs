//! One step of one deployment: run it, append what came of it. A job that was overtaken by another event looks again at
//! where the deployment stands before it says anything.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::clients::span;
use crate::domain::{
    CommitSha, Deployment, DeploymentEvent, DeploymentId, Failure, Hold, HoldKind, Observation, Order, Progress, Ready,
    Revision, RunId, RunOutcome, Running, Step, StepName, Stream, Target, Weighed, backoff,
};
use crate::engine::{Found, Intent, StartError};
use crate::ledger::{Append, Birth, Filter, Ledger, LedgerError};
use crate::steps::{self, Prepared, Tried, World, release};

use super::hint::with_hint;
use super::looks::Look;
use super::weighing::Word;
use super::{promotion, rollback};

/// How soon a group that a foreign deployment keeps busy is looked at again.
const BUSY_AGAIN: Duration = Duration::from_secs(15);
/// The least time between two told steps of progress of one deployment.
const BETWEEN_TOLD: Duration = Duration::from_secs(1);

/// One deployment at work.
pub(super) struct Job {
    pub(super) ledger: Ledger,
    pub(super) world: Arc<World>,
    /// The targets as configured.
    pub(super) targets: Arc<[Arc<Target>]>,
    pub(super) deployment: Deployment,
    /// The last look at its checks.
    pub(super) looked: Option<Look>,
}

/// Why a job ended without saying what came of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobError {
    /// The ledger cannot be written or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The deployment went another way meanwhile.
    #[error("the deployment went on without this step")]
    WentOn,
    /// The engine was told to stop or to go on, and did not take it.
    #[error("the engine did not take it")]
    NotTaken {
        /// When it is told again.
        again: Timestamp,
    },
    /// It waits for something outside that is looked at again.
    #[error("it waits for what is looked at again")]
    LooksAgain(Look),
    /// Its ref may be gone, and the source does not answer.
    #[error("nobody can say now whether its ref is gone")]
    StillDoubted {
        /// When it is asked again.
        again: Timestamp,
    },
    /// It has a bug.
    #[error("the step panicked")]
    Panicked,
}

pub(super) type Done = Result<(), JobError>;

impl Job {
    /// Runs one step to its end.
    pub(super) async fn run(mut self, step: Step) -> Done {
        self.at("before-effect");
        tracing::debug!(state = self.deployment.state().name(), "a step begins");
        self.tell_of_beginning().await?;
        self.lock_after_rollback().await?;
        // Apart from the task itself: one that watches for hours must not keep room for all that the others need.
        match step {
            Step::Adopt(run) => Box::pin(self.adopt(run)).await,
            Step::Weigh => Box::pin(self.weigh()).await,
            Step::Prepare(weighed) => Box::pin(self.prepare(weighed)).await,
            Step::Release(ready) => Box::pin(self.release(ready)).await,
            Step::Find { ready, marker: _, run, since } => Box::pin(self.find(ready, run, since)).await,
            Step::Watch(running) => self.watch(running).await,
            Step::Verify(outcome) => self.verify(outcome).await,
        }
    }

    /// Writes one event that was decided without a step.
    pub(super) async fn write(mut self, event: DeploymentEvent) -> Done {
        self.append(event, vec![]).await
    }

    /// Has a deployment whose step panicked tried again later, and given up on in the end, like any other trouble.
    pub(super) async fn back_off_after_panic(mut self) -> Done {
        let step = match self.deployment.next_step() {
            Some(Step::Weigh) | None => StepName::Weigh,
            Some(Step::Prepare(_)) => StepName::Prepare,
            Some(Step::Release(_) | Step::Find { .. } | Step::Adopt(_)) => StepName::Release,
            Some(Step::Watch(_)) => StepName::Watch,
            Some(Step::Verify(_)) => StepName::Verify,
        };
        let failure = Failure::passing("conductor/bug", "a step of ours ended in a panic")
            .help("report it with the lines around it in the bot's log");
        let event = self.stumble(step, failure);
        self.append(event, vec![]).await
    }

    pub(super) fn at(&self, seam: &'static str) {
        (self.world.probe)(seam);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub(super) fn order(&self) -> &Order {
        self.deployment.order()
    }

    pub(super) fn id(&self) -> DeploymentId {
        self.deployment.id()
    }

    /// Appends an event and takes it in. Overtaken, it reads on and tries again: what a step found stays true.
    pub(super) async fn append(&mut self, event: DeploymentEvent, births: Vec<Birth>) -> Done {
        self.at("before-append");
        self.tell_of_end(&event).await?;
        loop {
            let write = Append {
                stream: Stream::Deployment(self.id()),
                expect: Some(self.deployment.events()),
                event: event.clone().into(),
                births: births.clone(),
            };
            match self.ledger.append(write).await {
                Ok(_) => break,
                Err(LedgerError::Overtaken { .. }) => self.read_on().await?,
                Err(error) => return Err(error.into()),
            }
        }
        self.at("after-append");
        let now = self.now();
        self.deployment.apply(now, &event).map_err(|_| JobError::WentOn)
    }

    /// Reads where the deployment stands now; it may have ended, or gone back, without us.
    async fn read_on(&mut self) -> Done {
        let (ledger, id) = (self.ledger.clone(), self.id());
        let before = self.deployment.state().name();
        let found = blocking(move || ledger.deployment(id)).await?;
        self.deployment = found.ok_or(JobError::WentOn)?;
        if self.deployment.state().name() == before { Ok(()) } else { Err(JobError::WentOn) }
    }

    async fn prepare(&mut self, weighed: Weighed) -> Done {
        let order = self.order();
        let prepared = match (order.restores(), order.promotes(), order.restarts()) {
            (Some(to), _, _) => self.restore(to, &weighed).await?,
            (None, Some(from), _) => self.promote(from, &weighed).await?,
            (None, None, Some(of)) => self.restart(of).await?,
            (None, None, None) => {
                let known = self.known_revisions(&weighed.commit).await?;
                steps::prepare(&self.world, self.order(), &weighed, &known).await
            }
        };
        match prepared {
            Ok(it) => {
                let Prepared { revision, archive, findings, claim: _claim } = it;
                self.append(DeploymentEvent::Prepared { revision, archive, findings }, vec![]).await
            }
            Err(failure) if failure.passing => {
                let event = self.stumble(StepName::Prepare, failure);
                self.append(event, vec![]).await
            }
            // What the revision itself is to blame for is refused: nothing was tried yet.
            Err(failure) if failure.blame == crate::domain::Blame::Revision => {
                self.append(DeploymentEvent::Refused { failure }, vec![]).await
            }
            Err(failure) => self.append(DeploymentEvent::Failed { failure }, vec![]).await,
        }
    }

    /// The failure of a revision that cannot be had, with the day on which retention deleted it, where it did.
    async fn since_pruned(&self, failure: Failure, revision: &Revision) -> Result<Failure, JobError> {
        let Revision::Bundle { location, .. } = revision else { return Ok(failure) };
        let (ledger, location) = (self.ledger.clone(), location.clone());
        let Some(at) = blocking(move || ledger.pruned(&location)).await? else { return Ok(failure) };
        let message = format!("{} (its bundle was deleted by retention on {})", failure.message, at.strftime("%F"));
        Ok(Failure { message, ..failure })
    }

    /// The revision of an earlier deployment.
    async fn restore(&self, to: DeploymentId, weighed: &Weighed) -> Result<Result<Prepared, Failure>, JobError> {
        Ok(match self.revision_of(to).await? {
            Ok(revision) => match steps::restore(&self.world, self.order(), weighed, to, &revision).await {
                Err(failure) => Err(self.since_pruned(failure, &revision).await?),
                restored => restored,
            },
            Err(failure) => Err(failure.help("deploy a commit that works")),
        })
    }

    /// The revision that is live.
    async fn restart(&self, of: DeploymentId) -> Result<Result<Prepared, Failure>, JobError> {
        Ok(match self.revision_of(of).await? {
            Ok(revision) => steps::restart(&self.world, self.order(), &revision).await,
            Err(failure) => Err(failure.help("deploy a commit that works")),
        })
    }

    /// The revision that succeeded at the target before.
    async fn promote(&self, from: DeploymentId, weighed: &Weighed) -> Result<Result<Prepared, Failure>, JobError> {
        let ledger = self.ledger.clone();
        let found = blocking(move || ledger.deployment(from)).await?;
        Ok(match found.as_ref().and_then(Tried::of) {
            Some(tried) => steps::promote(&self.world, self.order(), weighed, tried).await,
            None => Err(Failure::setup("conductor/nothing-to-promote", format!("nothing is known of {from} any more"))
                .help("deploy the commit to this target by itself")),
        })
    }

    async fn revision_of(&self, id: DeploymentId) -> Result<Result<Revision, Failure>, JobError> {
        let ledger = self.ledger.clone();
        let found = blocking(move || ledger.deployment(id)).await?.and_then(|it| it.revision().cloned());
        let unknown = || Failure::setup("conductor/nothing-before", format!("nothing is known of {id} any more"));
        Ok(found.ok_or_else(unknown))
    }

    async fn known_revisions(&self, commit: &CommitSha) -> Result<Vec<Revision>, JobError> {
        let filter = Filter {
            target: Some(self.order().target.name.clone()),
            sha: Some(commit.as_str().to_owned()),
            limit: 5,
            ..Filter::default()
        };
        let ledger = self.ledger.clone();
        let found = blocking(move || ledger.deployments(&filter)).await?;
        Ok(found.iter().filter_map(|it| it.revision().cloned()).collect())
    }

    /// Weighs once more, writes the intent, calls the engine, writes what it said.
    async fn release(&mut self, ready: Ready) -> Done {
        match self.weighing().await? {
            Word::Go(weighed) if weighed.commit == ready.commit => {}
            Word::Go(weighed) => {
                let by = weighed.commit;
                return self.append(DeploymentEvent::Superseded { by, deployment: None }, vec![]).await;
            }
            other @ (Word::Write(..) | Word::Wait(..) | Word::Unproven(..)) => return self.conclude(other).await,
        }
        let engine = release::engine(&self.world, self.order());
        let run = engine.choose_run(self.id());
        let marker = release::marker(self.id());
        let warning = self.warning().await?;
        self.append(DeploymentEvent::Releasing { marker, run: run.clone(), warning }, vec![]).await?;
        self.at("release:before-start");
        let intent = release::intent(self.id(), self.order(), &ready, run);
        let started = release::start(&self.world, intent).await;
        self.at("release:after-start");
        let event = match started {
            Ok(it) => DeploymentEvent::Released { run: it.run, adopted: false, url: it.url },
            Err(StartError::NotSent(failure)) => self.unsent(failure),
            Err(StartError::Refused(failure)) => DeploymentEvent::Failed { failure },
            Err(StartError::Busy(failure)) => DeploymentEvent::Held {
                hold: Hold { kind: HoldKind::EngineBusy, reason: failure.message, until: Some(self.after(BUSY_AGAIN)) },
            },
            Err(StartError::Unknown(failure)) => self.stumble_for(StepName::Release, failure, Duration::from_secs(1)),
        };
        self.append(event, vec![]).await
    }

    /// Looks whether the engine was called.
    async fn find(&mut self, ready: Ready, run: Option<RunId>, since: Timestamp) -> Done {
        let taken = self.runs_of_others().await?;
        let intent = Intent { taken, ..release::intent(self.id(), self.order(), &ready, run) };
        let event = match release::find(&self.world, &intent, since).await {
            Ok(Found::Run(it)) => DeploymentEvent::Released { run: it.run, adopted: true, url: it.url },
            Ok(Found::Absent) => {
                let failure = Failure::passing("conductor/never-arrived", "the engine was never called");
                DeploymentEvent::Unsent { failure, next_at: self.now() }
            }
            Ok(Found::NotYet(wait)) => {
                let message = "it is not known whether the engine was called: looking for the deployment";
                self.stumble_for(StepName::Release, Failure::passing("conductor/unknown-outcome", message), wait)
            }
            Err(failure) => self.failed(StepName::Release, failure),
        };
        self.append(event, vec![]).await
    }

    /// Follows the engine to its end. Tells progress at most once a second, and the end at once.
    async fn watch(&mut self, running: Running) -> Done {
        let engine = release::engine(&self.world, self.order());
        let Running { run, progress: mut told, .. } = running;
        if self.deployment.wants_rollback() {
            // A stop with rollback may have been asked for before a restart.
            engine.expect_rollback(&run);
        }
        let mut news: Option<Progress> = None;
        let mut may_tell_at = Instant::now();
        loop {
            let last = news.clone().unwrap_or_else(|| told.clone());
            let observed = tokio::select! {
                observed = engine.observe(&run, &last) => observed,
                () = tokio::time::sleep_until(may_tell_at), if news.is_some() => {
                    told = last;
                    news = None;
                    may_tell_at = Instant::now() + BETWEEN_TOLD;
                    self.append(DeploymentEvent::Progressed { progress: told.clone() }, vec![]).await?;
                    continue;
                }
            };
            match observed {
                Ok(Observation { progress, outcome: None }) => news = Some(progress).filter(|it| *it != told),
                Ok(Observation { progress, outcome: Some(outcome) }) => {
                    let outcome = with_hint(self.id(), &progress, outcome);
                    if progress != told {
                        self.append(DeploymentEvent::Progressed { progress }, vec![]).await?;
                    }
                    return self.append(DeploymentEvent::Ended { outcome }, vec![]).await;
                }
                Err(failure) => {
                    let event = self.failed(StepName::Watch, failure);
                    return self.append(event, vec![]).await;
                }
            }
        }
    }

    /// What whoever deploys to this target is warned of at present.
    async fn warning(&self) -> Result<Option<String>, LedgerError> {
        let (ledger, name, now) = (self.ledger.clone(), self.order().target.name.clone(), self.now());
        blocking(move || Ok(ledger.releases()?.warning(&ledger.target(&name)?, now))).await
    }

    async fn verify(&mut self, mut outcome: RunOutcome) -> Done {
        outcome.warnings.splice(..0, self.deployment.warning().map(str::to_owned));
        let outcome = self.verified(outcome).await?;
        let event = rollback::with_the_engines_words(outcome.conclusion(self.deployment.stop_asked_by()), &outcome);
        if let Some(run) = outcome.rolled_back_by.clone() {
            let (ledger, ended, to) = (self.ledger.clone(), self.deployment.clone(), outcome.rolled_back_to.clone());
            let good = blocking(move || rollback::brought_by_engine(&ledger, &ended, to.as_deref())).await?;
            let birth = rollback::of_engine(&self.deployment, good.as_ref(), run.clone());
            return self.append(rollback::told_of_engine(event, good.as_ref(), &run), vec![birth]).await;
        }
        if !rollback::is_due(&self.deployment, &outcome) {
            let births = if let DeploymentEvent::Succeeded { .. } = event { self.promotions().await? } else { vec![] };
            return self.append(event, births).await;
        }
        let (ledger, ended) = (self.ledger.clone(), self.deployment.clone());
        let good = blocking(move || rollback::last_good(&ledger, &ended)).await?;
        let births = good.iter().map(|good| rollback::of_failure(&self.deployment, good)).collect();
        self.append(rollback::told(event, good.as_ref()), births).await
    }

    /// What is born of its success.
    async fn promotions(&self) -> Result<Vec<Birth>, LedgerError> {
        let (ledger, done, targets) = (self.ledger.clone(), self.deployment.clone(), self.targets.clone());
        blocking(move || promotion::of_success(&ledger, &done, &targets)).await
    }

    pub(super) fn after(&self, wait: Duration) -> Timestamp {
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        self.now().saturating_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// The event for a step that failed: another try while there is reason to hope.
    fn failed(&self, step: StepName, failure: Failure) -> DeploymentEvent {
        if failure.passing { self.stumble(step, failure) } else { DeploymentEvent::Failed { failure } }
    }

    fn attempts(&self) -> u32 {
        self.deployment.stumble().map_or(0, |it| it.attempts)
    }

    pub(super) fn stumble(&self, step: StepName, failure: Failure) -> DeploymentEvent {
        let wait = backoff(self.attempts() + 1, &self.id().to_string());
        self.stumble_for(step, failure, wait)
    }

    fn stumble_for(&self, step: StepName, failure: Failure, wait: Duration) -> DeploymentEvent {
        let same = self.deployment.stumble().filter(|it| it.step == step);
        let attempt = same.map_or(1, |it| it.attempts + 1);
        DeploymentEvent::Stumbled { step, failure, attempt, next_at: self.after(wait) }
    }

    fn unsent(&self, failure: Failure) -> DeploymentEvent {
        let wait = backoff(self.attempts() + 1, &self.id().to_string());
        DeploymentEvent::Unsent { failure, next_at: self.after(wait) }
    }
}

/// Reads the ledger away from the threads that drive everything else.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    span::blocking(read).await.expect("a read of the ledger does not panic")
}
