//! One loop for all runs of an account and region: `BatchGetDeployments`, 25 at a time. It ends when nobody listens.
//!
//! Why one: CodeDeploy throttles at some forty calls a minute, and a fleet of targets must not add up to that.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_codedeploy::config::retry::RetryConfig;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::account::{Account, Pace, lock};
use super::reading::{Reading, rollback_events};
use super::trouble::Trouble;
use crate::domain::RunId;

/// How many deployments one call may name.
const BATCH: usize = 25;
/// How often a tick may double before `slowest` caps it anyway.
const SLOWEST: u32 = 6;

/// What a look at a run found.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// This, and whether nothing more will change: it ended, and CodeDeploy's rollback has begun or will not come.
    Seen { reading: Arc<Reading>, settled: bool },
    /// CodeDeploy does not know it any more.
    Gone,
    /// It could not be asked. Says nothing about the run.
    Failed(Arc<Trouble>),
}

/// Hears of every look at one run.
pub(super) type Looks = watch::Receiver<Option<Look>>;

/// The runs that somebody listens to.
#[derive(Default)]
pub(super) struct Watched {
    runs: BTreeMap<RunId, Run>,
    worker: Option<JoinHandle<()>>,
    /// How often in a row CodeDeploy throttled: each doubles the tick.
    slowness: u32,
}

struct Run {
    told: watch::Sender<Option<Look>>,
    first_at: Timestamp,
    next_at: Timestamp,
    looks: u32,
    ended_at: Option<Timestamp>,
    settled: bool,
}

impl Account {
    /// Listens to a run. Its last look, if there was one, can be read at once.
    pub(super) fn watch(self: &Arc<Self>, run: &RunId) -> Looks {
        let now = self.clock.now();
        let mut watched = lock(&self.watched);
        let entry = watched.runs.entry(run.clone()).or_insert_with(|| Run {
            told: watch::channel(None).0,
            first_at: now,
            next_at: now,
            looks: 0,
            ended_at: None,
            settled: false,
        });
        let looks = entry.told.subscribe();
        if watched.worker.as_ref().is_none_or(JoinHandle::is_finished) {
            watched.worker = Some(tokio::spawn(Arc::clone(self).work()));
        }
        self.nudge.notify_one();
        looks
    }

    async fn work(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let due = {
                let mut watched = lock(&self.watched);
                watched.forget_the_unheard(now, self.pace.slowest);
                if watched.runs.is_empty() {
                    watched.worker = None;
                    return;
                }
                watched.due(now)
            };
            match due {
                Due::Now(runs) => self.look(&runs).await,
                Due::At(at) => tokio::select! {
                    () = self.clock.sleep_until(at) => {}
                    () = self.nudge.notified() => {}
                },
            }
        }
    }

    /// One tick: every batch once. Throttled, the rest waits for the next one.
    async fn look(&self, runs: &[RunId]) {
        for (at, batch) in runs.chunks(BATCH).enumerate() {
            match self.ask(batch).await {
                Ok(readings) => {
                    self.tell(batch, readings).await;
                    if at == 0 {
                        let mut watched = lock(&self.watched);
                        watched.slowness = watched.slowness.saturating_sub(1);
                    }
                }
                Err(trouble) => {
                    let throttled = matches!(trouble, Trouble::Throttled { .. });
                    tracing::warn!(error = %trouble, runs = batch.len(), "could not look at deployments");
                    let trouble = Arc::new(trouble);
                    let mut watched = lock(&self.watched);
                    watched.slowness = if throttled { (watched.slowness + 1).min(SLOWEST) } else { watched.slowness };
                    let rest = if throttled { &runs[at * BATCH..] } else { batch };
                    watched.reschedule(rest, &self.pace, self.clock.now());
                    // Throttling passes: nobody needs to hear of it.
                    if !throttled {
                        batch.iter().for_each(|run| watched.tell(run, Look::Failed(Arc::clone(&trouble))));
                    } else {
                        return;
                    }
                }
            }
        }
    }

    /// Asks once, without the SDK's own retries: the next tick is the retry.
    async fn ask(&self, runs: &[RunId]) -> Result<Vec<Reading>, Trouble> {
        let ids = runs.iter().map(|run| run.as_str().to_owned()).collect();
        let once = aws_sdk_codedeploy::config::Builder::new().retry_config(RetryConfig::disabled());
        let call = self.client().await.batch_get_deployments().set_deployment_ids(Some(ids));
        match call.customize().config_override(once).send().await {
            Ok(answer) => Ok(answer.deployments_info().iter().map(Reading::from).collect()),
            Err(error) => match Trouble::of("BatchGetDeployments", &error) {
                // One unknown id must not hide the others.
                trouble if is_about_an_id(&trouble) && runs.len() > 1 => self.ask_each(runs).await,
                trouble if is_about_an_id(&trouble) => Ok(vec![]),
                trouble => Err(trouble),
            },
        }
    }

    async fn ask_each(&self, runs: &[RunId]) -> Result<Vec<Reading>, Trouble> {
        let mut readings = Vec::new();
        for run in runs {
            match self.client().await.get_deployment().deployment_id(run.as_str()).send().await {
                Ok(answer) => readings.extend(answer.deployment_info().map(Reading::from)),
                Err(error) => match Trouble::of("GetDeployment", &error) {
                    trouble if is_about_an_id(&trouble) => {}
                    trouble => return Err(trouble),
                },
            }
        }
        Ok(readings)
    }

    async fn tell(&self, batch: &[RunId], readings: Vec<Reading>) {
        let mut missing: HashSet<&RunId> = batch.iter().collect();
        for mut reading in readings {
            if reading.verdict().is_some() && reading.may_roll_back().is_none() {
                reading.rolls_back_on = Some(self.group_rolls_back_on(&reading).await);
            }
            if let Some(run) = batch.iter().find(|run| run.as_str() == reading.id) {
                missing.remove(run);
                lock(&self.watched).see(run, reading, &self.pace, self.clock.now());
            }
        }
        let now = self.clock.now();
        let mut watched = lock(&self.watched);
        missing.into_iter().for_each(|run| watched.miss(run, &self.pace, now));
        watched.reschedule(batch, &self.pace, now);
    }

    /// On which events the group rolls back. Where it does not say: on all, so that a rollback is waited for.
    async fn group_rolls_back_on(&self, reading: &Reading) -> HashSet<String> {
        let all = || ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"].map(str::to_owned).into();
        let (Some(application), Some(group)) = (&reading.application, &reading.group) else { return all() };
        let call = self.client().await.get_deployment_group().application_name(application);
        match call.deployment_group_name(group).send().await {
            Ok(answer) => answer
                .deployment_group_info()
                .and_then(|it| it.auto_rollback_configuration())
                .map(rollback_events)
                .unwrap_or_default(),
            Err(_) => all(),
        }
    }
}

fn is_about_an_id(trouble: &Trouble) -> bool {
    matches!(trouble.code(), Some("DeploymentDoesNotExistException" | "InvalidDeploymentIdException"))
}

enum Due {
    Now(Vec<RunId>),
    At(Timestamp),
}

impl Watched {
    /// The runs to ask for now, filled up to whole batches with those that are due soonest: a call costs the same
    /// for one as for 25.
    fn due(&self, now: Timestamp) -> Due {
        let heard = |run: &Run| !run.settled && run.told.receiver_count() > 0;
        let mut runs: Vec<_> = self.runs.iter().filter(|(_, run)| heard(run)).collect();
        runs.sort_by_key(|(_, run)| run.next_at);
        let due = runs.iter().take_while(|(_, run)| run.next_at <= now).count();
        if due == 0 {
            // Without anybody to ask for there is nothing to do until somebody comes, or is forgotten.
            let idle = now.saturating_add(SignedDuration::from_secs(5)).unwrap_or(now);
            return Due::At(runs.first().map_or(idle, |(_, run)| run.next_at));
        }
        Due::Now(runs.iter().take(due.next_multiple_of(BATCH)).map(|(id, _)| (*id).clone()).collect())
    }

    fn see(&mut self, id: &RunId, reading: Reading, pace: &Pace, now: Timestamp) {
        let Some(run) = self.runs.get_mut(id) else { return };
        if reading.verdict().is_some() {
            let ended_at = *run.ended_at.get_or_insert(now);
            let waited = Duration::try_from(now.duration_since(ended_at)).unwrap_or_default();
            run.settled = reading.may_roll_back() != Some(true) || waited >= pace.grace;
        }
        let settled = run.settled;
        run.looks += 1;
        self.tell(id, Look::Seen { reading: Arc::new(reading), settled });
    }

    /// A run that was asked for and did not come. CodeDeploy forgets a deployment with its group; at first it may
    /// not know one yet.
    fn miss(&mut self, id: &RunId, pace: &Pace, now: Timestamp) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let waited = Duration::try_from(now.duration_since(run.first_at)).unwrap_or_default();
        run.looks += 1;
        if waited >= pace.looks[2] {
            run.settled = true;
            self.tell(id, Look::Gone);
        }
    }

    fn reschedule(&mut self, ids: &[RunId], pace: &Pace, now: Timestamp) {
        let slowness = self.slowness;
        for id in ids {
            let Some(run) = self.runs.get_mut(id) else { continue };
            let base = match run.ended_at {
                Some(_) => pace.grace_look,
                None if run.looks < pace.quick_looks => pace.quick,
                None => pace.steady,
            };
            run.next_at = later(now, (base * 2_u32.pow(slowness)).min(pace.slowest), pace.jitter_percent);
        }
    }

    fn tell(&self, id: &RunId, look: Look) {
        if let Some(run) = self.runs.get(id) {
            run.told.send_replace(Some(look));
        }
    }

    /// A run that nobody has listened to for a while is dropped; a listener who comes back soon finds its last look.
    fn forget_the_unheard(&mut self, now: Timestamp, after: Duration) {
        self.runs.retain(|_, run| {
            let since = Duration::try_from(now.duration_since(run.next_at)).unwrap_or_default();
            run.told.receiver_count() > 0 || since < after
        });
    }
}

/// `after` from now, a little earlier or later.
fn later(now: Timestamp, after: Duration, jitter_percent: u32) -> Timestamp {
    let share = getrandom::u32().map_or(0.5, |it| f64::from(it) / f64::from(u32::MAX));
    let percent = f64::from(jitter_percent) * (2.0 * share - 1.0);
    let after = after.mul_f64((1.0 + percent / 100.0).max(0.0));
    now.saturating_add(SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX)).unwrap_or(now)
}
