//! The conductor's loop: read what is new, decide, start steps, wait. It is the only one that starts steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, info, warn};

use crate::clients::span;
use crate::domain::{
    BotEvent, DeploymentEvent, DeploymentId, Event, Hearsay, Offset, Record, Step, Stream, StreamKind, Target,
    TargetName, due,
};
use crate::ledger::{Ledger, LedgerError};
use crate::steps::World;

use super::desk::{Decision, Desk};
use super::jobs::{Job, JobError, blocking};
use super::steer::{self, Steered};

/// How long running steps may go on once the bot is told to end.
const GRACE: Duration = Duration::from_secs(20);
/// How many records are read at once.
const PAGE: usize = 512;
/// How many words may wait to be heard.
const WORDS: usize = 1024;
/// When a step that could not be written down is tried again.
const LOOKS_UP_EVERY: SignedDuration = SignedDuration::from_mins(1);
const UNWRITTEN_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Moves every deployment forward until it is over.
pub struct Conductor {
    ledger: Ledger,
    world: Arc<World>,
    /// The targets as configured.
    targets: Arc<[Arc<Target>]>,
    desk: Desk,
    /// Everything before this offset lies on the desk.
    read: Offset,
    /// What was said outside.
    hearsay: mpsc::Receiver<Hearsay>,
    jobs: JoinSet<Result<(), JobError>>,
    at_work: BTreeMap<Id, (DeploymentId, Work)>,
    handles: BTreeMap<DeploymentId, AbortHandle>,
    due: BTreeSet<(Timestamp, DeploymentId)>,
    /// What engines were told to do with runs.
    steered: BTreeMap<DeploymentId, Steered>,
    /// Runs that a newer push wants out of the way, so that each is told once.
    sent_away: BTreeSet<DeploymentId>,
}

/// What a task of ours does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A step that may be dropped at any time.
    Step,
    /// The step that must not be dropped between its intent and its answer.
    Release,
    /// Following the engine.
    Watch,
    /// Looking at what was released.
    Verify,
    /// Asking the engine to stop or to go on.
    Stop,
}

impl Conductor {
    /// A conductor for the deployments that the ledger says are not over.
    pub async fn open(ledger: Ledger, world: Arc<World>, targets: &[Arc<Target>]) -> Result<Self, LedgerError> {
        let names: Vec<TargetName> = targets.iter().map(|it| it.name.clone()).collect();
        let (reader, calendar) = (ledger.clone(), world.calendar.clone());
        let (desk, read) = blocking(move || {
            // The end is read first: what is written meanwhile is on the desk already, and applying it again is refused
            // by the fold, so `take` passes over what a snapshot has seen.
            let read = reader.end();
            let mut desk = Desk::new(names.iter().cloned()).heeding(calendar);
            for id in reader.unfinished()? {
                if let Some(deployment) = reader.deployment(id)? {
                    desk.put(deployment);
                }
            }
            for name in names {
                let state = reader.target(&name)?;
                desk.know(name, state);
            }
            desk.know_all(reader.releases()?);
            // Whatever was said of their refs before was not kept: all that wait are looked at once.
            desk.doubt(|_| true);
            Ok((desk, read))
        })
        .await?;
        let (_, hearsay) = mpsc::channel(1);
        let (jobs, at_work, handles) = (JoinSet::new(), BTreeMap::new(), BTreeMap::new());
        let (due, steered, sent_away) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let targets = targets.into();
        Ok(Self { ledger, world, targets, desk, read, hearsay, jobs, at_work, handles, due, steered, sent_away })
    }

    /// The same, and who calls what is given here makes it look at what was said. A word too many is dropped: what it
    /// would bring comes later as well.
    pub fn hearing(mut self) -> (Self, impl Fn(Hearsay) + Clone + Send + Sync + 'static) {
        let (tell, hearsay) = mpsc::channel(WORDS);
        self.hearsay = hearsay;
        (self, move |word| drop(tell.try_send(word)))
    }

    /// Works until `stop`, then lets running steps end within their grace. An error means that the ledger is closed.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), LedgerError> {
        let mut follow = self.ledger.follow();
        let mut touched: BTreeSet<DeploymentId> = self.desk.ids().into_iter().collect();
        loop {
            touched.extend(self.take_news().await?);
            touched.extend(self.wake().await?);
            self.decide(std::mem::take(&mut touched));
            let next = self.due.first().map_or(Timestamp::MAX, |(at, _)| (*at).min(self.looks_up_at()));
            let clock = self.world.clock.clone();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = follow.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                Some(word) = self.hearsay.recv() => touched.extend(self.desk.hear(&word)),
                Some(ended) = self.jobs.join_next_with_id() => touched.extend(self.ended(ended)?),
                () = clock.sleep_until(next) => touched.extend(self.now_due()),
            }
        }
        self.drain().await
    }

    /// Puts what was written since on the desk, and says whom it touches.
    async fn take_news(&mut self) -> Result<BTreeSet<DeploymentId>, LedgerError> {
        let mut touched = BTreeSet::new();
        while self.read < self.ledger.end() {
            let (records, next) = self.ledger.news(self.read, PAGE).await?;
            for record in records {
                self.take(&record, &mut touched).await?;
            }
            self.read = next;
        }
        Ok(touched)
    }

    /// Reads the sleepers again whose time has come.
    async fn wake(&mut self) -> Result<Vec<DeploymentId>, LedgerError> {
        let woken = self.desk.wakes();
        for id in &woken {
            self.fetch(*id).await?;
        }
        Ok(woken)
    }

    /// Puts a deployment on the desk as the ledger has it.
    async fn fetch(&mut self, id: DeploymentId) -> Result<(), LedgerError> {
        let ledger = self.ledger.clone();
        if let Some(deployment) = blocking(move || ledger.deployment(id)).await? {
            self.desk.put_awake(deployment);
        }
        Ok(())
    }

    async fn take(&mut self, record: &Record, touched: &mut BTreeSet<DeploymentId>) -> Result<(), LedgerError> {
        match (&record.stream, &record.event) {
            (Stream::Deployment(id), Event::Deployment(event)) => {
                let id = *id;
                if self.desk.wake(id) {
                    // Read as it stands after this event.
                    touched.insert(id);
                    return self.fetch(id).await;
                }
                // One that is over has left its lane after this event. A birth touches nobody else.
                let (mates, before) = (self.desk.mates(id), self.desk.get(id).map(span::of));
                if let Err(misplaced) = self.desk.apply(id, record.at, event) {
                    self.reload(id, &misplaced.to_string()).await?;
                }
                touched.extend(mates);
                touched.insert(id);
                // A birth is known only now, and what is over no longer.
                let span = before.or_else(|| self.desk.get(id).map(span::of)).unwrap_or_else(Span::none);
                span.in_scope(|| self.note(id, event));
            }
            (Stream::Target(name), Event::Target(_)) => {
                let (ledger, of) = (self.ledger.clone(), name.clone());
                let state = blocking(move || ledger.target(&of)).await?;
                touched.extend(self.desk.of_target(name));
                self.desk.know(name.clone(), state);
            }
            (Stream::Bot, Event::Bot(BotEvent::Requested { .. })) => {
                let ledger = self.ledger.clone();
                if self.desk.know_all(blocking(move || ledger.releases()).await?) {
                    touched.extend(self.desk.ids());
                }
            }
            (stream, _) => debug_assert!(
                matches!(stream.kind(), StreamKind::Delivery | StreamKind::Sink | StreamKind::Bot),
                "a record lies in the stream of its kind"
            ),
        }
        Ok(())
    }

    /// The desk and the ledger disagree, which only a bug or a read between two writes can cause: the ledger is right.
    async fn reload(&mut self, id: DeploymentId, why: &str) -> Result<(), LedgerError> {
        warn!(deployment.id = %id, why, "read a deployment again");
        self.fetch(id).await
    }

    /// Says in the log what happened, once, and lets go of what no longer matters.
    fn note(&mut self, id: DeploymentId, event: &DeploymentEvent) {
        // What every push passes through stands in the ledger; the log is for what a person looks for in it.
        let is_usual = matches!(
            event,
            DeploymentEvent::Planned { .. } | DeploymentEvent::Weighing | DeploymentEvent::Progressed { .. }
        );
        if is_usual {
            debug!(deployment.id = %id, event = event.kind(), "deployment went on");
        } else {
            info!(deployment.id = %id, event = event.kind(), "deployment went on");
        }
        if let DeploymentEvent::StopAsked { .. } | DeploymentEvent::Approved { .. } = event {
            // Who asks again for what was not taken may know that it can work now.
            if self.desk.get(id).is_some_and(|it| it.declined().is_some()) {
                self.steered.remove(&id);
            }
        }
        if let DeploymentEvent::StopAsked { .. } = event {
            let drops = self.at_work.values().any(|(of, work)| *of == id && matches!(work, Work::Step | Work::Verify));
            if let Some(handle) = self.handles.get(&id).filter(|_| drops) {
                handle.abort();
            }
        }
    }

    fn now_due(&mut self) -> Vec<DeploymentId> {
        let now = self.world.clock.now();
        let (now_due, later) = std::mem::take(&mut self.due).into_iter().partition(|(at, _)| due(*at, now) <= now);
        self.due = later;
        let now_due: BTreeSet<_> = now_due;
        now_due.into_iter().map(|(_, id)| id).collect()
    }

    /// When it looks at the clock at the latest, which may have been set back.
    fn looks_up_at(&self) -> Timestamp {
        self.world.clock.now().saturating_add(LOOKS_UP_EVERY).unwrap_or(Timestamp::MAX)
    }

    fn decide(&mut self, touched: BTreeSet<DeploymentId>) {
        let now = self.world.clock.now();
        // Newest first: it decides whether older ones of its lane still matter.
        for id in touched.into_iter().rev() {
            if let Some(holder) = self.desk.in_the_way_of(id).filter(|holder| self.sent_away.insert(*holder)) {
                let event = DeploymentEvent::StopAsked { actor: "a newer push".into(), rollback: false };
                self.start(holder, Work::Stop, move |job| Box::pin(job.write(event)));
            }
            self.steer(id, now);
            match self.desk.decide(id, now) {
                Decision::Rest => {}
                Decision::Wait(until) => {
                    self.due.insert((until, id));
                }
                Decision::Write(event) => self.start(id, Work::Step, move |job| Box::pin(job.write(*event))),
                Decision::Run(step) => {
                    if *step == Step::Weigh {
                        self.desk.weighs(id, now);
                    }
                    let work = match *step {
                        Step::Release(_) | Step::Find { .. } => Work::Release,
                        Step::Watch(_) => Work::Watch,
                        Step::Verify(_) => Work::Verify,
                        Step::Weigh | Step::Prepare(_) | Step::Adopt(_) => Work::Step,
                    };
                    self.start(id, work, move |job| Box::pin(job.run(*step)));
                }
            }
        }
    }

    /// Asks the engine to stop a run, or to let it go on, where somebody asked us to. An approval that came early stays
    /// here until the engine waits for it (row 52). What the engine has taken it is told once: a stop that it answers
    /// with «pending» is followed, not repeated (row 54).
    fn steer(&mut self, id: DeploymentId, now: Timestamp) {
        let Some((what, running)) = self.desk.get(id).and_then(steer::wanted) else { return };
        let before = self.steered.get(&id).filter(|it| it.what == what);
        if before.is_some_and(|it| now < it.again) {
            return;
        }
        let (run, tries) = (running.run.clone(), before.map_or(0, |it| it.tries) + 1);
        self.steered.insert(id, Steered { what, tries, again: Timestamp::MAX });
        self.start(id, Work::Stop, move |job| Box::pin(job.steer(what, run, tries)));
    }

    fn start<F>(&mut self, id: DeploymentId, work: Work, run: F)
    where
        F: FnOnce(Job) -> std::pin::Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>,
    {
        let Some(deployment) = self.desk.get(id).cloned() else { return };
        let (ledger, world, targets) = (self.ledger.clone(), self.world.clone(), self.targets.clone());
        let job = Job { ledger, world, targets, deployment, looked: self.desk.last_look(id).cloned() };
        let span = span::of(&job.deployment);
        let handle = self.jobs.spawn(run(job).instrument(span));
        self.at_work.insert(handle.id(), (id, work));
        if work != Work::Stop {
            self.desk.begin(id, work == Work::Release);
            self.handles.insert(id, handle);
        }
    }

    /// A task ended: its deployment is idle again, and so may be its lane.
    fn ended(
        &mut self,
        ended: Result<(Id, Result<(), JobError>), JoinError>,
    ) -> Result<Vec<DeploymentId>, LedgerError> {
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some((id, work)) = self.at_work.remove(&task) else { return Ok(vec![]) };
        let _within = self.desk.get(id).map_or_else(Span::none, span::of).entered();
        let done = match ended {
            Ok((_, done)) => done,
            Err(lost) if lost.is_panic() => {
                error!(deployment.id = %id, "a step ended in a panic, which is a bug of ours: {lost}");
                Err(JobError::Panicked)
            }
            Err(_aborted) => Ok(()),
        };
        if work != Work::Stop {
            self.desk.end(id);
            self.handles.remove(&id);
        }
        match done {
            Ok(()) | Err(JobError::WentOn) => {}
            Err(JobError::Ledger(LedgerError::Misplaced(misplaced))) => {
                warn!(deployment.id = %id, "a step came too late: {misplaced}");
            }
            Err(JobError::Ledger(error @ LedgerError::Closed { .. })) => return Err(error),
            Err(JobError::Ledger(error)) => {
                error!(deployment.id = %id, "a step could not be written down, and is tried again: {error}");
                let again = self.world.clock.now().saturating_add(UNWRITTEN_AGAIN).unwrap_or(Timestamp::MAX);
                self.steered.remove(&id);
                self.due.insert((again, id));
                return Ok(vec![]);
            }
            Err(JobError::NotTaken { again }) => {
                self.steered.entry(id).and_modify(|it| it.again = again);
                self.due.extend(Some((again, id)).filter(|_| again < Timestamp::MAX));
            }
            Err(JobError::LooksAgain(look)) => self.desk.looked(id, look),
            Err(JobError::StillDoubted { again }) => self.desk.doubt_again(id, again),
            Err(JobError::Panicked) => self.start(id, Work::Step, |job| Box::pin(job.back_off_after_panic())),
        }
        if self.desk.get(id).is_none() {
            self.steered.remove(&id);
            self.sent_away.remove(&id);
        }
        let mut touched = self.desk.mates(id);
        touched.push(id);
        Ok(touched)
    }

    /// No new step; running ones get their grace. What is cut goes on from the ledger at the next start.
    async fn drain(mut self) -> Result<(), LedgerError> {
        for (id, work) in self.at_work.values() {
            if matches!(work, Work::Watch | Work::Verify)
                && let Some(handle) = self.handles.get(id)
            {
                handle.abort();
            }
        }
        let all = async {
            while let Some(ended) = self.jobs.join_next().await {
                if let Ok(Err(JobError::Ledger(error))) = ended {
                    warn!("a step could not be written down while ending: {error}");
                }
            }
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            warn!("some steps did not end in time: they go on at the next start");
        }
        Ok(())
    }
}
