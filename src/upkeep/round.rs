//! One round of upkeep: every target in turn, each revision looked at once more before it goes. What was deleted is
//! written down before the next is touched. May run twice, and be killed anywhere.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::history::{self, History};
use super::judge::{Rules, Verdict, judge};
use crate::asking::{Deleted, LedgerReport, TargetReport, UpkeepReport};
use crate::domain::{EngineSpec, Failure, Location, Stream, Target, TargetEvent};
use crate::ledger::{Append, Keep, Ledger, LedgerError, Retired};
use crate::revisions::{Recorded, Removed, Store};
use crate::steps::World;

/// How old an unfinished upload is before nobody can still be at it.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// How many revisions of a target one round deletes: what is left is deleted the next day.
const AT_MOST: usize = 200;
/// After how many deletions deployment groups are asked again what they need: some seconds of work.
const BETWEEN_QUESTIONS: usize = 25;
/// How many deployments of each target stay in the ledger, however old they are.
const NEWEST: usize = 100;
/// When rounds are made.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long after the start: a bot that starts again and again has better things to do first.
    pub first: Duration,
    /// From one to the next.
    pub every: Duration,
    /// How much later at random, so that many bots do not ask at once.
    pub jitter: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self { first: minutes(2), every: minutes(24 * 60), jitter: minutes(10) }
    }
}

/// Takes away what nobody needs.
#[derive(Clone)]
pub struct Upkeep {
    ledger: Ledger,
    world: Arc<World>,
    targets: Arc<[Arc<Target>]>,
    tended: Arc<[Arc<Target>]>,
    rules: Arc<Rules>,
    pace: Pace,
    /// One round at a time: the daily one and a person's would delete the same.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Upkeep {
    /// Of these targets.
    pub fn new(ledger: Ledger, world: Arc<World>, targets: Arc<[Arc<Target>]>, mut rules: Rules, pace: Pace) -> Self {
        for target in targets.iter() {
            rules.configured.insert(target.name.clone());
            rules.promotions.extend(target.promote_to.iter().map(|to| (target.name.clone(), to.clone())));
        }
        let tended = targets.iter().filter(|it| rules.retention.contains_key(&it.name)).cloned().collect();
        Self { ledger, world, targets, tended, rules: Arc::new(rules), pace, turn: Arc::default() }
    }

    /// Makes a round soon and then daily, until `stop`. An error means that the ledger is closed.
    pub async fn run(self, stop: CancellationToken) -> Result<(), LedgerError> {
        let mut wait = self.pace.first;
        loop {
            // The fraction of a second at which it begins is as good as a die.
            let part = f64::from(self.world.clock.now().subsec_nanosecond().unsigned_abs()) / 1e9;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait + self.pace.jitter.mul_f64(part)) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                round = self.round(false) => match round {
                    Ok(_) => {}
                    // What was deleted and could not be written down is found gone by the next round.
                    Err(error @ LedgerError::Full { .. }) => warn!("upkeep makes its round another time: {error}"),
                    Err(error) => return Err(error),
                },
            }
            wait = self.pace.every;
        }
    }

    /// Makes one round. A dry one deletes nothing and tells everything.
    pub async fn round(&self, dry_run: bool) -> Result<UpkeepReport, LedgerError> {
        let _turn = self.turn.lock().await;
        let (ledger, tended, all) = (self.ledger.clone(), self.tended.clone(), self.targets.clone());
        let mut history = blocking(move || History::read(&ledger, &tended, &all)).await?;
        let mut report = UpkeepReport { dry_run, ..UpkeepReport::default() };
        for target in self.targets.iter() {
            let tended = self.tend(target, &mut history, dry_run).await?;
            if !dry_run {
                self.tell(&tended).await?;
            }
            report.targets.push(tended);
        }
        report.ledger = self.retire(dry_run).await?;
        Ok(report)
    }

    /// Lets the ledger go of what is old. What goes wrong there is told, and tried again in the next round: it is as whole as
    /// before.
    async fn retire(&self, dry_run: bool) -> Result<LedgerReport, LedgerError> {
        let Some(days) = self.rules.ledger_days else { return Ok(LedgerReport::default()) };
        let age = SignedDuration::from_hours(24 * i64::from(days));
        let since = self.world.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        let (ledger, keep) = (self.ledger.clone(), Keep { since, newest: NEWEST });
        let mut report = LedgerReport { retention: true, ..LedgerReport::default() };
        match blocking(move || ledger.retire(keep, dry_run)).await {
            Ok(Some(Retired { before, bytes, kept })) => {
                (report.before, report.bytes, report.kept) = (Some(before), bytes, kept);
                if !dry_run {
                    info!(%before, bytes, kept, "the ledger let go of what is old");
                }
            }
            Ok(None) => {}
            Err(closed @ LedgerError::Closed { .. }) => return Err(closed),
            Err(error) => {
                warn!(%error, "the ledger could not let go of what is old");
                report.failures.push(error.failure());
            }
        }
        Ok(report)
    }

    async fn tend(&self, target: &Target, history: &mut History, dry_run: bool) -> Result<TargetReport, LedgerError> {
        let mut report = TargetReport::of(target.name.clone(), self.rules.retention.contains_key(&target.name));
        let store = match self.world.stores.of(&target.revisions) {
            Ok(store) => store,
            Err(error) => {
                report.failures.push(error.failure());
                return Ok(report);
            }
        };
        if !dry_run {
            let before = self.world.clock.now().checked_sub(STALE).unwrap_or_default();
            match store.sweep(&target.name, before).await {
                Ok(uploads) => report.uploads = uploads,
                Err(error) => report.failures.push(error.failure()),
            }
        }
        if report.retention {
            while self.prune(target, &store, history, dry_run, &mut report).await? {}
        }
        Ok(report)
    }

    /// Deletes some of a target's revisions. Whether there are more, for which the groups are to be asked again.
    async fn prune(
        &self,
        target: &Target,
        store: &Store,
        history: &mut History,
        dry_run: bool,
        report: &mut TargetReport,
    ) -> Result<bool, LedgerError> {
        history.needed.engines.clear();
        if self.verdicts(target, history).iter().any(|it| it.kept.is_none()) {
            match self.engines(target, history).await {
                Ok(engines) => history.needed.engines = engines,
                Err(failure) => {
                    report.failures.push(failure);
                    return Ok(false);
                }
            }
        }
        report.kept.clear();
        let mut touched = 0;
        for verdict in self.verdicts(target, history) {
            let object = verdict.newest.location.to_string();
            match &verdict.kept {
                Some(why) => report.keep(&object, why),
                None if report.deleted.len() >= AT_MOST => report.more = true,
                None if dry_run => {
                    report.deleted.push(Deleted { object, deployment: verdict.newest.deployment.to_string() })
                }
                None if touched >= BETWEEN_QUESTIONS => return Ok(true),
                None => {
                    touched += 1;
                    if !self.delete(target, store, verdict, history, report).await? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The verdicts on what lies under a target's name.
    fn verdicts(&self, target: &Target, history: &History) -> Vec<Verdict> {
        let all = judge(&history.uses, &history.needed, &self.rules, self.world.clock.now());
        all.into_iter().filter(|it| it.newest.owner == target.name).collect()
    }

    /// What the deployment groups that use a target's bucket say that they may still fetch: those configured, and those
    /// that ever did. One that cannot be asked may need anything.
    async fn engines(&self, target: &Target, history: &History) -> Result<Vec<Location>, Failure> {
        let Some(bucket) = history::bucket(&target.revisions) else { return Ok(vec![]) };
        let by_codedeploy = |it: &&Arc<Target>| matches!(it.engine, EngineSpec::CodeDeploy(_));
        let uses_it = |it: &&Arc<Target>| history::bucket(&it.revisions) == Some(bucket);
        let mut asked = HashSet::new();
        let mut needed = Vec::new();
        for group in self.targets.iter().filter(by_codedeploy).filter(uses_it) {
            asked.insert(group.destination());
            needed.extend(self.world.engines.of(group).needed().await?.ok_or_else(|| no_group(group))?);
        }
        for (destination, group) in history.groups.get(bucket).into_iter().flatten() {
            if asked.insert(destination.clone()) {
                // One that left the configuration and is no more needs nothing.
                needed.extend(self.world.engines.of(group).needed().await?.unwrap_or_default());
            }
        }
        Ok(needed)
    }

    /// Deletes one revision, unless somebody wants it since the history was read. Whether it is worth going on.
    async fn delete(
        &self,
        target: &Target,
        store: &Store,
        verdict: Verdict,
        history: &mut History,
        report: &mut TargetReport,
    ) -> Result<bool, LedgerError> {
        let (location, deployment) = (verdict.newest.location.clone(), verdict.newest.deployment);
        let (sha256, bytes) = &verdict.newest.recorded;
        // Who prepares it claims it first, and says so in the ledger before it lets go.
        let Some(closed) = store.close(&location) else {
            report.keep(&location, &"a deployment is preparing it");
            history.forget(&location);
            return Ok(true);
        };
        if self.is_wanted_now(&verdict, history).await? {
            report.keep(&location, &"a deployment that is not over wants it");
            history.forget(&location);
            return Ok(true);
        }
        let removed = store.remove(&location, Recorded { sha256, bytes: *bytes }).await;
        (self.world.probe)("upkeep:deleted");
        history.forget(&location);
        let gone = match removed {
            Ok(Removed::Deleted) => false,
            Ok(Removed::Gone) => true,
            Ok(Removed::Foreign) => {
                report.keep(&location, &"another object is in its place, and that is not ours");
                return Ok(true);
            }
            Err(error) => {
                report.failures.push(error.failure());
                return Ok(false);
            }
        };
        let object = location.to_string();
        self.write(target, TargetEvent::Pruned { location, deployment, gone }).await?;
        drop(closed);
        if !gone {
            info!(target.name = %target.name, object, "deleted by retention");
            report.deleted.push(Deleted { object, deployment: deployment.to_string() });
        }
        Ok(true)
    }

    /// Whether the ledger has come to want a revision since the history was read.
    async fn is_wanted_now(&self, verdict: &Verdict, history: &mut History) -> Result<bool, LedgerError> {
        let (ledger, from) = (self.ledger.clone(), history.read_to);
        let look = move || Ok((history::wanted(&ledger)?, history::prepared_since(&ledger, from)?));
        let (wanted, (prepared, read_to)) = blocking(look).await?;
        history.read_to = read_to;
        history.prepared.extend(prepared);
        let used_again = history.prepared.contains(&verdict.newest.location);
        Ok(used_again || verdict.users.iter().any(|it| wanted.contains(it)))
    }

    async fn write(&self, target: &Target, event: TargetEvent) -> Result<(), LedgerError> {
        self.written(Stream::Target(target.name.clone()), event).await
    }

    async fn written(&self, stream: Stream, event: TargetEvent) -> Result<(), LedgerError> {
        self.ledger.append(Append { stream, expect: None, event: event.into(), births: vec![] }).await.map(|_| ())
    }

    /// Tells what went wrong, each trouble of a target once until it is over: a right that is missing is missing every
    /// day, and after every start.
    async fn tell(&self, report: &TargetReport) -> Result<(), LedgerError> {
        let TargetReport { target, uploads, failures, .. } = report;
        if !uploads.is_empty() {
            info!(target.name = %target, count = uploads.len(), "took back uploads that a killed process left");
        }
        let (ledger, name) = (self.ledger.clone(), target.clone());
        let known = blocking(move || ledger.target(&name)).await?.upkeep;
        let event = match (failures.first(), known) {
            (Some(failure), Some(known)) if failure.code == known.code => return Ok(()),
            (Some(failure), _) => {
                let help = failure.help.as_deref().unwrap_or_default();
                warn!(target.name = %target, code = failure.code, help, "upkeep is not whole: {}", failure.message);
                TargetEvent::UpkeepFailed { failure: failure.clone() }
            }
            (None, Some(_)) => TargetEvent::UpkeepMended,
            (None, None) => return Ok(()),
        };
        self.written(Stream::Target(target.clone()), event).await
    }
}

/// A group that is configured and not there is more likely elsewhere than gone.
fn no_group(target: &Target) -> Failure {
    let text = format!(
        "nothing is deleted: {}, to which `{}` deploys, is not there to say what it needs",
        target.destination().as_str(),
        target.name
    );
    Failure::setup("upkeep/no-group", text).help("correct `[target.engine]`, or take the target out")
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    tokio::task::spawn_blocking(read).await.expect("a read of the ledger does not panic")
}
