//! One loop for all runs of an account and region: `BatchGetDeployments`, 25 at a time, and the instances of the runs
//! that changed, as far as the calls of a tick reach. It ends when nobody listens.
//!
//! Why one: CodeDeploy throttles at some forty calls a minute, and a fleet of targets must not add up to that. What the
//! schedule is stands in `watched`; what a call may cost stands in `budget`.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_codedeploy::config::retry::RetryConfig;
use aws_sdk_codedeploy::primitives::DateTime;
use aws_sdk_codedeploy::types::TimeRange;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::account::{Account, lock};
use super::budget::For;
use super::details::{Closer, Details};
use super::reading::{Reading, rollback_events};
use super::trouble::Trouble;
use super::watched::{BATCH, Due};
use crate::domain::RunId;

/// What a look at a run found.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// This.
    Seen {
        /// How it stands.
        reading: Arc<Reading>,
        /// How its instances stand, once they were asked for.
        details: Option<Arc<Details>>,
        /// Whether nothing more will change: it ended, and CodeDeploy's rollback has begun or will not come.
        settled: bool,
        /// Since when it stands so.
        since: Timestamp,
    },
    /// CodeDeploy does not know it any more.
    Gone,
    /// It could not be asked. Says nothing about the run.
    Failed(Arc<Trouble>),
}

/// Hears of every look at one run.
pub(super) type Looks = watch::Receiver<Option<Look>>;

impl Account {
    /// Listens to a run. Its last look, if there was one, can be read at once.
    pub(super) fn watch(self: &Arc<Self>, run: &RunId) -> Looks {
        let mut watched = lock(&self.watched);
        let looks = watched.listen(run, self.clock.now());
        if watched.worker.as_ref().is_none_or(JoinHandle::is_finished) {
            watched.worker = Some(tokio::spawn(Arc::clone(self).work()));
        }
        self.nudge.notify_one();
        looks
    }

    /// A run was told to stop or to go on: what comes of it is looked for at once.
    pub(super) fn hurry(&self, run: &RunId) {
        lock(&self.watched).hurry(run, self.clock.now());
        self.nudge.notify_one();
    }

    /// The end of this run waits for a rollback, whatever its group does by itself.
    pub(super) fn expect_rollback(&self, run: &RunId) {
        lock(&self.watched).expect_rollback(run, self.clock.now());
    }

    async fn work(self: Arc<Self>) {
        loop {
            let now = self.clock.now();
            let due = {
                let mut watched = lock(&self.watched);
                watched.tell(&self.pace, now);
                watched.forget_the_unheard(now, self.pace.slowest);
                if watched.is_empty() {
                    watched.worker = None;
                    return;
                }
                self.take_hints(&mut watched, now);
                watched.due(now, &self.pace)
            };
            match due {
                Due::Looks(runs) => {
                    self.look(&runs).await;
                    self.look_closer().await;
                }
                Due::Details => self.look_closer().await,
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
                    self.take_in(batch, readings).await;
                    if at == 0 {
                        lock(&self.watched).calm_down();
                    }
                }
                Err(trouble) => {
                    let throttled = matches!(trouble, Trouble::Throttled { .. });
                    tracing::warn!(error = %trouble, runs = batch.len(), "could not look at deployments");
                    let mut watched = lock(&self.watched);
                    if throttled {
                        watched.slow_down();
                    }
                    let rest = if throttled { &runs[at * BATCH..] } else { batch };
                    watched.reschedule(rest, &self.pace, self.clock.now());
                    if throttled {
                        // It passes: nobody needs to hear of it.
                        return;
                    }
                    watched.fail(batch, &Arc::new(trouble));
                }
            }
        }
    }

    /// The instances of the runs that want it, the most urgent first, as long as calls are left.
    async fn look_closer(&self) {
        loop {
            let next = lock(&self.watched).next_wanting(self.clock.now(), &self.pace);
            let Some((run, mut asking)) = next else { return };
            let found = asking.go_on(self, &run).await;
            let mut watched = lock(&self.watched);
            let now = self.clock.now();
            match found {
                Ok(Closer::Seen(details, known)) => watched.see_closer(&run, Some((*details, known)), &self.pace, now),
                Ok(Closer::NotBegun) => watched.see_closer(&run, None, &self.pace, now),
                Ok(Closer::OutOfCalls) => return watched.keep(&run, asking),
                Err(trouble) => {
                    let of = watched.span(&run);
                    of.in_scope(|| tracing::warn!(error = %trouble, run = %run, "could not look at the instances"));
                    watched.stumble_closer(&run, &trouble, &self.pace, now);
                }
            }
        }
    }

    /// Whether one more call about instances fits in this tick; it counts as made.
    pub(super) fn may_ask_closer(&self) -> bool {
        lock(&self.watched).may_ask_closer(self.clock.now(), &self.pace)
    }

    /// The call that was made last was answered: only from now on may its place in a tick be another's, since on its way
    /// it may have taken longer than that other one will.
    pub(super) fn answered(&self) {
        lock(&self.watched).budget.answered(self.clock.now());
    }

    fn spend(&self) {
        lock(&self.watched).budget.spend(self.clock.now(), For::Looks);
    }

    /// Asks once, without the SDK's own retries: the next tick is the retry.
    async fn ask(&self, runs: &[RunId]) -> Result<Vec<Reading>, Trouble> {
        let ids = runs.iter().map(|run| run.as_str().to_owned()).collect();
        self.spend();
        let call = self.client().await.batch_get_deployments().set_deployment_ids(Some(ids));
        let sent = call.customize().config_override(once()).send().await;
        self.answered();
        match sent {
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
            self.spend();
            let call = self.client().await.get_deployment().deployment_id(run.as_str());
            let sent = call.customize().config_override(once()).send().await;
            self.answered();
            match sent {
                Ok(answer) => readings.extend(answer.deployment_info().map(Reading::from)),
                Err(error) => match Trouble::of("GetDeployment", &error) {
                    trouble if is_about_an_id(&trouble) => {}
                    trouble => return Err(trouble),
                },
            }
        }
        Ok(readings)
    }

    async fn take_in(&self, batch: &[RunId], readings: Vec<Reading>) {
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
                if lock(&self.watched).wants_listing(run, &reading, &self.pace, self.clock.now()) {
                    reading.rolled_back_by = self.listed_rollback(&reading).await.unwrap_or_else(|trouble| {
                        let of = lock(&self.watched).span(run);
                        of.in_scope(|| tracing::warn!(error = %trouble, run = %run, "could not look for its rollback"));
                        None
                    });
                }
                lock(&self.watched).see(run, reading, &self.pace, self.clock.now());
            }
        }
        let now = self.clock.now();
        let mut watched = lock(&self.watched);
        missing.into_iter().for_each(|run| watched.miss(run, &self.pace, now));
        watched.reschedule(batch, &self.pace, now);
    }

    /// What a run deploys, as [`Revision::identity`](crate::domain::Revision::identity) names it; nothing where CodeDeploy
    /// does not say.
    pub(super) async fn revision_of(&self, run: &RunId) -> Result<Option<String>, Trouble> {
        let readings = self.ask(std::slice::from_ref(run)).await?;
        Ok(readings.into_iter().find(|it| it.id == run.as_str()).and_then(|it| it.revision))
    }

    /// The rollback of an ended run that does not name it, found among its group's deployments by what it names itself.
    async fn listed_rollback(&self, ended: &Reading) -> Result<Option<String>, Trouble> {
        let (Some(application), Some(group)) = (&ended.application, &ended.group) else { return Ok(None) };
        let start = ended.created_at.map(|at| DateTime::from_secs(at.as_second()));
        let mut next = None;
        loop {
            self.spend();
            let call = self.client().await.list_deployments().application_name(application);
            let call = call.deployment_group_name(group).set_next_token(next);
            let call = call.create_time_range(TimeRange::builder().set_start(start).build());
            let page = call.customize().config_override(once()).send().await;
            self.answered();
            let page = page.map_err(|error| Trouble::of("ListDeployments", &error))?;
            let ids: Vec<RunId> = page.deployments().iter().filter_map(|id| RunId::parse(id).ok()).collect();
            for batch in ids.chunks(BATCH) {
                let found = self.ask(batch).await?.into_iter().find(|it| it.is_rollback_of(&ended.id));
                if found.is_some() {
                    return Ok(found.map(|it| it.id));
                }
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    /// On which events the group rolls back. Where it does not say: on all, so that a rollback is waited for.
    async fn group_rolls_back_on(&self, reading: &Reading) -> HashSet<String> {
        let all = || ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"].map(str::to_owned).into();
        let (Some(application), Some(group)) = (&reading.application, &reading.group) else { return all() };
        self.spend();
        let call = self.client().await.get_deployment_group().application_name(application);
        let sent = call.deployment_group_name(group).customize().config_override(once()).send().await;
        self.answered();
        match sent {
            Ok(answer) => answer
                .deployment_group_info()
                .and_then(|it| it.auto_rollback_configuration())
                .map(rollback_events)
                .unwrap_or_default(),
            Err(_) => all(),
        }
    }
}

/// Without the SDK's own retries: the next tick is the retry, and every call counts.
pub(super) fn once() -> aws_sdk_codedeploy::config::Builder {
    aws_sdk_codedeploy::config::Builder::new().retry_config(RetryConfig::disabled())
}

fn is_about_an_id(trouble: &Trouble) -> bool {
    matches!(trouble.code(), Some("DeploymentDoesNotExistException" | "InvalidDeploymentIdException"))
}
