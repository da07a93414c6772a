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
use crate::domain::{Hint, RunId};

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
                self.take_hints(&mut watched, now);
                watched.due(now)
            };
            match due {
                Due::Now(runs) => self.look(&runs).await,
                Due::At(at) => tokio::select! {
                    () = self.clock.sleep_until(self.or_the_next_hint(at)) => {}
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
                let known = lock(&self.watched).rolls_back_on(&reading.id);
                reading.rolls_back_on = Some(match known {
                    Some(events) => events,
                    None => self.group_rolls_back_on(&reading).await,
                });
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

    /// The next look at this run comes at once.
    pub(super) fn wake(&mut self, id: &RunId, now: Timestamp) {
        if let Some(run) = self.runs.get_mut(id) {
            run.next_at = run.next_at.min(now);
        }
    }

    /// The runs that a hint speaks of: the one it names or, where that is none of ours, those of its group.
    pub(super) fn meant_by(&self, hint: &Hint) -> Vec<RunId> {
        if let Some((id, run)) = hint.run.as_ref().and_then(|id| self.runs.get_key_value(id)) {
            return if run.settled { vec![] } else { vec![id.clone()] };
        }
        let Some((application, group)) = &hint.group else { return vec![] };
        let is_in_it = |run: &Run| match &*run.told.borrow() {
            Some(Look::Seen { reading, .. }) => {
                (reading.application.as_ref(), reading.group.as_ref()) == (Some(application), Some(group))
            }
            Some(Look::Gone | Look::Failed(_)) | None => false,
        };
        self.runs.iter().filter(|(_, run)| !run.settled && is_in_it(run)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether CodeDeploy throttled lately.
    pub(super) fn is_slowed(&self) -> bool {
        self.slowness > 0
    }

    /// What was found out about an ended run's group, at its last look.
    fn rolls_back_on(&self, id: &str) -> Option<HashSet<String>> {
        let run = self.runs.iter().find(|(run, _)| run.as_str() == id)?.1;
        match &*run.told.borrow() {
            Some(Look::Seen { reading, .. }) => reading.rolls_back_on.clone(),
            Some(Look::Gone | Look::Failed(_)) | None => None,
        }
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

    /// Sets the next look of runs that were asked for together, so that they stay together.
    fn reschedule(&mut self, ids: &[RunId], pace: &Pace, now: Timestamp) {
        let stretch = 2_f64.powf(f64::from(self.slowness)) * jitter(pace.jitter_percent);
        for id in ids {
            let Some(run) = self.runs.get_mut(id) else { continue };
            let base = match run.ended_at {
                Some(_) => pace.grace_look,
                None if run.looks < pace.quick_looks => pace.quick,
                None => pace.steady,
            };
            let after =
                SignedDuration::try_from(base.mul_f64(stretch).min(pace.slowest)).unwrap_or(SignedDuration::MAX);
            run.next_at = now.saturating_add(after).unwrap_or(now);
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

/// A factor near 1, so that several bots do not ask at once.
fn jitter(percent: u32) -> f64 {
    let share = getrandom::u32().map_or(0.5, |it| f64::from(it) / f64::from(u32::MAX));
    (1.0 + f64::from(percent) / 100.0 * (2.0 * share - 1.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_filled_up_with_the_runs_that_are_due_next() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut watched = Watched::default();
        let mut listeners = Vec::new();
        for number in 0..60_u32 {
            let told = watch::channel(None).0;
            listeners.push(told.subscribe());
            let next_at = now + SignedDuration::from_secs(i64::from(number));
            let run = Run { told, first_at: now, next_at, looks: 9, ended_at: None, settled: false };
            watched.runs.insert(RunId::parse(format!("d-{number:02}")).unwrap(), run);
        }
        let due = |watched: &Watched, now| match watched.due(now) {
            Due::Now(runs) => runs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            Due::At(at) => vec![at.to_string()],
        };
        let first = due(&watched, now);
        assert_eq!((first.len(), first[24].as_str()), (25, "d-24"));
        assert_eq!(due(&watched, now + SignedDuration::from_secs(25)).len(), 50);
        assert_eq!(due(&watched, now - SignedDuration::from_secs(5)), ["2026-01-02T03:04:05Z"]);
        // Nobody listens to the first any more, the second has ended.
        drop(listeners.remove(0));
        watched.runs.get_mut(&RunId::parse("d-01").unwrap()).unwrap().settled = true;
        assert_eq!(due(&watched, now + SignedDuration::from_secs(2))[0], "d-02");
    }

    #[test]
    fn ticks_are_quick_at_first_and_double_under_throttling_up_to_a_limit() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let pace = Pace { jitter_percent: 0, ..Pace::default() };
        let id = RunId::parse("d-1").unwrap();
        let mut watched = Watched::default();
        let mut after = |looks, slowness| {
            let run = Run {
                told: watch::channel(None).0,
                first_at: now,
                next_at: now,
                looks,
                ended_at: None,
                settled: false,
            };
            watched.runs.insert(id.clone(), run);
            watched.slowness = slowness;
            watched.reschedule(std::slice::from_ref(&id), &pace, now);
            watched.runs[&id].next_at.duration_since(now).as_secs()
        };
        assert_eq!([after(1, 0), after(4, 0), after(5, 0), after(500, 0)], [2, 2, 15, 15]);
        assert_eq!([after(5, 1), after(5, 2), after(5, 3), after(5, 6)], [30, 60, 120, 120]);
    }
}
