//! How the deployments of a target went over a month, with the month before: the four figures by which people judge how well
//! they deliver. It looks at so many deployments at most, says where those were not all, and keeps what it found a minute.
//!
//! What counts, in these words on the page too ([`DEFINITIONS`]): a *change* is a deployment that its engine began and that
//! is no rollback, redeployment of what was live, or restart. It *failed* where it ended so, or where somebody rolled it
//! back after it had succeeded. The *lead time* of a push goes from when it was received to when it was live. A target is
//! *restored* by the first success after a failure, a rollback's too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::reading::{Answer, Board, Inside};
use crate::domain::{Cause, Deployment, DeploymentId, State, TargetName};
use crate::ledger::Filter;

/// How many days a period has.
const DAYS: i64 = 30;
/// How many deployments are looked at: a tenth of a second, and more than thirty a day.
const LOOKED_AT: usize = 2000;
/// How many of them at a time.
const AT_ONCE: usize = 200;
/// How long what was found is shown.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// What each figure is, for people.
pub const DEFINITIONS: [(&str, &str); 4] = [
    ("Deployment frequency", "changes that became live; rollbacks, redeployments and restarts are no changes"),
    ("Lead time", "from when a push was received to when it was live; the median"),
    (
        "Change failure rate",
        "changes that their engine had begun and that failed, or that were rolled back after they had succeeded, of all that ended so or so",
    ),
    (
        "Time to restore",
        "from a failure, or from the wish to roll back, to the next success, a rollback's too; the median",
    ),
];

/// A target's figures.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrendView {
    /// The target.
    pub target: TargetName,
    /// The last 30 days.
    pub now: Period,
    /// The 30 days before.
    pub before: Period,
    /// Each of the last 30 days, by UTC, oldest first.
    pub days: Vec<Day>,
    /// How many deployments were looked at.
    pub looked_at: usize,
    /// Whether those are all of the 60 days.
    pub complete: bool,
}

/// The figures of a period.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Period {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// How many changes became live.
    pub deployments: usize,
    /// The same, a day.
    pub per_day: f64,
    /// The median lead time, in seconds; nothing where no push became live.
    pub lead_time_s: Option<i64>,
    /// How many changes failed.
    pub failures: usize,
    /// Of all changes that ended, which share failed, from 0 to 1; nothing where none ended.
    pub change_failure_rate: Option<f64>,
    /// How many failures were restored from.
    pub restored: usize,
    /// The median time that took, in seconds; nothing where there was nothing to restore.
    pub time_to_restore_s: Option<i64>,
}

/// A day of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Day {
    /// Which.
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: Date,
    /// How many changes became live and stayed so until another took their place.
    pub succeeded: usize,
    /// How many failed or were rolled back.
    pub failed: usize,
}

/// What was found lately, and what the target's newest deployment was then. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trends(Arc<Mutex<BTreeMap<TargetName, Found>>>);

#[derive(Clone, Debug)]
struct Found {
    at: Timestamp,
    newest: Newest,
    trend: TrendView,
}

/// A target's newest deployment and the name of its state: what changes them is worth another look.
type Newest = Option<(DeploymentId, &'static str)>;

impl Trends {
    fn of(&self, target: &TargetName, now: Timestamp, newest: Newest) -> Option<TrendView> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(target)?;
        let is_young = found.at <= now && now.duration_since(found.at) < KEPT;
        (is_young && found.newest == newest).then(|| found.trend.clone())
    }

    fn keep(&self, trend: &TrendView, now: Timestamp, newest: Newest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(trend.target.clone(), Found { at: now, newest, trend: trend.clone() });
    }
}

impl Board {
    /// The figures of a target; nothing where none is configured by that name.
    pub async fn trend(&self, name: &TargetName) -> Answer<Option<TrendView>> {
        let name = name.clone();
        self.ask(move |inside| {
            let known = inside.targets.iter().any(|it| it.name == name);
            known.then(|| inside.trend(&name)).transpose()
        })
        .await
    }
}

impl Inside {
    fn trend(&self, target: &TargetName) -> Answer<TrendView> {
        let now = self.clock.now();
        let newest = Filter { target: Some(target.clone()), limit: 1, ..Filter::default() };
        let newest = self.ledger.deployments(&newest)?.first().map(|it| (it.id(), it.state().name()));
        if let Some(trend) = self.trends.of(target, now, newest) {
            return Ok(trend);
        }
        let (found, complete) = self.since(target, ago(now, 2 * DAYS))?;
        let trend = TrendView::of(target, &found, complete, now);
        self.trends.keep(&trend, now, newest);
        Ok(trend)
    }

    /// The deployments of a target that were born since, newest first, and whether those are all.
    fn since(&self, target: &TargetName, since: Timestamp) -> Answer<(Vec<Deployment>, bool)> {
        let mut found: Vec<Deployment> = Vec::new();
        while found.len() < LOOKED_AT {
            let before = found.last().map(Deployment::id);
            let filter = Filter { target: Some(target.clone()), before, limit: AT_ONCE, ..Filter::default() };
            let page = self.ledger.deployments(&filter)?;
            let is_last = page.len() < AT_ONCE;
            let many = page.len();
            let young = page.into_iter().take_while(|it| it.created_at() >= since);
            let before = found.len();
            found.extend(young);
            if is_last || found.len() - before < many {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }
}

/// A change that ended.
struct Change {
    ended: Timestamp,
    became_live: bool,
    /// When it failed, where it did: at its end, or when somebody wanted it away.
    failed: Option<Timestamp>,
    lead: Option<SignedDuration>,
}

impl TrendView {
    fn of(target: &TargetName, found: &[Deployment], complete: bool, now: Timestamp) -> Self {
        let taken_back: BTreeMap<DeploymentId, Timestamp> = found.iter().filter_map(takes_back).collect();
        let changes: Vec<Change> = found.iter().filter_map(|it| Change::of(it, taken_back.get(&it.id()))).collect();
        let good = |it: &&Deployment| it.run().is_some() && matches!(it.state(), State::Succeeded { .. });
        let successes: BTreeSet<Timestamp> = found.iter().filter(good).filter_map(Deployment::ended_at).collect();
        let period = |from, to| Period::of((from, to), &changes, &successes);
        let middle = ago(now, DAYS);
        Self {
            target: target.clone(),
            now: period(middle, now),
            before: period(ago(now, 2 * DAYS), middle),
            days: days(now, &changes),
            looked_at: found.len(),
            complete,
        }
    }
}

impl Change {
    fn of(deployment: &Deployment, taken_back: Option<&Timestamp>) -> Option<Self> {
        let (ended, _) = (deployment.ended_at()?, deployment.run()?);
        let is_push = match deployment.order().cause {
            Cause::Push { .. } | Cause::CatchUp => true,
            Cause::Request { .. } | Cause::Chosen { .. } | Cause::Replay { .. } | Cause::Promotion { .. } => false,
            Cause::Redeploy { .. } | Cause::Rollback { .. } | Cause::Restart { .. } => return None,
        };
        let lead = is_push.then(|| ended.duration_since(deployment.created_at()));
        match deployment.state() {
            State::Succeeded { .. } => Some(Self { ended, became_live: true, failed: taken_back.copied(), lead }),
            State::Failed { .. } => Some(Self { ended, became_live: false, failed: Some(ended), lead: None }),
            State::Stopped { .. } | State::Superseded { .. } | State::Skipped { .. } | State::Refused { .. } => None,
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } => None,
            State::Ready { .. } | State::ReadyHeld { .. } | State::Releasing { .. } => None,
            State::Running { .. } | State::Verifying { .. } => None,
        }
    }
}

/// Which deployment a rollback that its engine began takes back by somebody's wish, and when that was wished.
fn takes_back(rollback: &Deployment) -> Option<(DeploymentId, Timestamp)> {
    let order = rollback.order();
    rollback.run()?;
    let Cause::Rollback { key: Some(_), .. } = &order.cause else { return None };
    Some((order.parent?, rollback.created_at()))
}

impl Period {
    fn of((from, to): (Timestamp, Timestamp), changes: &[Change], successes: &BTreeSet<Timestamp>) -> Self {
        let within = |at: Timestamp| from < at && at <= to;
        let ended: Vec<&Change> = changes.iter().filter(|it| within(it.ended)).collect();
        let live: Vec<&&Change> = ended.iter().filter(|it| it.became_live).collect();
        let failures = ended.iter().filter(|it| it.failed.is_some()).count();
        let restore = |failed: Timestamp| successes.range(failed..).next().map(|good| good.duration_since(failed));
        let mut outages: Vec<Timestamp> = changes.iter().filter_map(|it| it.failed).filter(|at| within(*at)).collect();
        outages.sort_unstable();
        // A failure before a target is restored is of the same outage.
        outages.dedup_by(|later, first| successes.range(*first..*later).next().is_none());
        let mut times: Vec<SignedDuration> = outages.into_iter().filter_map(restore).collect();
        let mut leads: Vec<SignedDuration> = live.iter().filter_map(|it| it.lead).collect();
        Self {
            from,
            to,
            deployments: live.len(),
            per_day: share(live.len(), usize::try_from(DAYS).unwrap_or(1)),
            lead_time_s: median(&mut leads),
            failures,
            change_failure_rate: (!ended.is_empty()).then(|| share(failures, ended.len())),
            restored: times.len(),
            time_to_restore_s: median(&mut times),
        }
    }
}

/// Three digits are more than anybody reads.
#[expect(clippy::cast_precision_loss, reason = "there are at most two thousand")]
fn share(part: usize, all: usize) -> f64 {
    (part as f64 / all as f64 * 1000.0).round() / 1000.0
}

fn median(times: &mut [SignedDuration]) -> Option<i64> {
    times.sort_unstable();
    let (low, high) = (times.get(times.len().checked_sub(1)? / 2)?, times.get(times.len() / 2)?);
    Some((low.as_secs() + high.as_secs()) / 2)
}

fn ago(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN)
}

fn days(now: Timestamp, changes: &[Change]) -> Vec<Day> {
    let date = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    for back in 0..DAYS {
        let date = date(ago(now, back));
        days.insert(date, Day { date, succeeded: 0, failed: 0 });
    }
    for change in changes {
        let Some(day) = days.get_mut(&date(change.ended)) else { continue };
        if change.failed.is_some() { day.failed += 1 } else { day.succeeded += 1 }
    }
    days.into_values().collect()
}

impl TrendView {
    /// Both periods as CSV, with a header line.
    pub fn csv(&self) -> String {
        let mut text = "period,from,to,deployments,per_day,lead_time_s,failures,change_failure_rate,restored,\
                        time_to_restore_s,complete\n"
            .to_owned();
        for (name, it) in [("now", &self.now), ("before", &self.before)] {
            let number = |it: Option<i64>| it.map(|it| it.to_string()).unwrap_or_default();
            let rate = it.change_failure_rate.map(|it| it.to_string()).unwrap_or_default();
            text += &format!(
                "{name},{},{},{},{},{},{},{rate},{},{},{}\n",
                it.from,
                it.to,
                it.deployments,
                it.per_day,
                number(it.lead_time_s),
                it.failures,
                it.restored,
                number(it.time_to_restore_s),
                self.complete,
            );
        }
        text
    }
}
