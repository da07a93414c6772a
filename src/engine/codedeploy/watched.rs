//! The runs that somebody listens to: when each is looked at next, and what its listeners hear. Pure but for the
//! channels: it makes no call and asks no clock.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Span;

use super::account::Pace;
use super::budget::{Budget, For};
use super::details::{Asking, Details};
use super::poller::{Look, Looks};
use super::reading::Reading;
use super::trouble::Trouble;
use crate::domain::{Hint, RunId, Verdict};

/// How many deployments one call may name.
pub(super) const BATCH: usize = 25;
/// How often a tick may double before `slowest` caps it anyway.
const SLOWEST: u32 = 6;
/// After so many ticks in a row without throttling, ticks halve once.
const CALM: u32 = 4;
/// A look at the instances of a run takes at least this many calls.
const DETAILS_TAKE: usize = 2;
/// How often in a row the instances are asked for in vain before an end is told without them.
const TRIES: u32 = 3;
/// A run that has not changed for so long is looked at as rarely as one that waits for a person.
const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// All of them, in one account and region.
#[derive(Default)]
pub(super) struct Watched {
    runs: BTreeMap<RunId, Run>,
    pub(super) worker: Option<JoinHandle<()>>,
    pub(super) budget: Budget,
    /// How often in a row CodeDeploy throttled, less what has been calm since: each doubles the tick.
    slowness: u32,
    /// Ticks since it throttled last.
    calm: u32,
    /// No instance is asked for before this, for throttling.
    closer_at: Option<Timestamp>,
}

/// Why the instances of a run are wanted; the first is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Want {
    /// It ended badly, or well with failed instances: its end waits for them a while.
    Failure,
    /// It went on, or ended well.
    Change,
    /// They were not asked for in a while.
    Refresh,
}

struct Run {
    /// The deployment that it is of, for the log.
    span: Span,
    told: watch::Sender<Option<Look>>,
    first_at: Timestamp,
    next_at: Timestamp,
    changed_at: Timestamp,
    looks: u32,
    reading: Option<Arc<Reading>>,
    details: Option<Arc<Details>>,
    details_at: Option<Timestamp>,
    /// Its instances, where all are known by name.
    instances: Vec<String>,
    want: Option<Want>,
    /// How far they were asked for, when the calls of a tick ran out.
    asking: Option<Asking>,
    /// How often in a row its instances were asked for in vain.
    tries: u32,
    ended_at: Option<Timestamp>,
    /// Somebody of ours had it stopped and rolled back, whatever its group does by itself.
    rolls_back: bool,
    /// Its rollback was looked for among its group's deployments.
    listed: bool,
    untold: bool,
    settled: bool,
}

/// What to do next.
pub(super) enum Due {
    /// Look at these runs.
    Looks(Vec<RunId>),
    /// Look at the instances of those that want it.
    Details,
    /// Nothing before this.
    At(Timestamp),
}

impl Run {
    fn new(now: Timestamp) -> Self {
        Self {
            span: Span::current(),
            told: watch::channel(None).0,
            first_at: now,
            next_at: now,
            changed_at: now,
            looks: 0,
            reading: None,
            details: None,
            details_at: None,
            instances: vec![],
            want: None,
            asking: None,
            tries: 0,
            ended_at: None,
            rolls_back: false,
            listed: false,
            untold: false,
            settled: false,
        }
    }

    fn is_heard(&self) -> bool {
        !self.settled && self.told.receiver_count() > 0
    }

    /// Whether CodeDeploy is still to be asked how it stands: not after its end, unless a rollback may follow.
    fn is_looked_at(&self) -> bool {
        self.is_heard() && (self.ended_at.is_none() || self.may_roll_back())
    }

    fn may_roll_back(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| self.may_roll_back_after(reading))
    }

    fn may_roll_back_after(&self, reading: &Reading) -> bool {
        let asked = self.rolls_back && matches!(reading.verdict(), Some(Verdict::Failed | Verdict::Stopped));
        (asked && reading.rolled_back_by.is_none()) || reading.may_roll_back() == Some(true)
    }

    fn since_its_end(&self, now: Timestamp) -> Duration {
        let ended_at = self.ended_at.unwrap_or(now);
        Duration::try_from(now.duration_since(ended_at)).unwrap_or_default()
    }

    /// Decides whether nothing more will change.
    fn judge(&mut self, pace: &Pace, now: Timestamp) {
        if self.ended_at.is_some() {
            let details = self.want == Some(Want::Failure) && self.since_its_end(now) < pace.details_within;
            // The last look in that time is for one that the deployment itself does not name.
            let rollback = self.may_roll_back() && (!self.listed || self.since_its_end(now) < pace.grace);
            self.settled = !details && !rollback;
        }
    }

    /// Why its instances are wanted after this reading, if they are.
    fn wanted(&self, reading: &Reading, changed: bool, pace: &Pace, now: Timestamp) -> Option<Want> {
        let failed = reading.instances.is_some_and(|it| it.failed > 0);
        match reading.verdict() {
            // One that was looked at after its end has been asked for then.
            Some(_) if self.ended_at.is_some() => None,
            Some(Verdict::Succeeded | Verdict::Stopped) if !failed => Some(Want::Change),
            Some(_) => Some(Want::Failure),
            None if !reading.has_begun() => None,
            None if changed => Some(Want::Change),
            None => {
                let every = if reading.is_on_servers() { pace.details_every } else { pace.steady };
                let since = self.details_at.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
                since.is_none_or(|since| since >= every).then_some(Want::Refresh)
            }
        }
    }

    /// How long until it is looked at again.
    fn rest(&self, pace: &Pace, now: Timestamp) -> Duration {
        let waits = self.reading.as_ref().is_some_and(|it| it.is_waiting());
        let quiet = now.duration_since(self.changed_at) >= QUIET;
        match self.ended_at {
            Some(_) => pace.grace_look,
            None if self.looks < pace.quick_looks => pace.quick,
            None if waits || quiet => pace.waiting,
            None => pace.steady,
        }
    }

    fn tell(&mut self) {
        let Some(reading) = self.reading.clone() else { return };
        let (details, settled) = (self.details.clone(), self.settled);
        self.told.send_replace(Some(Look::Seen { reading, details, settled, since: self.changed_at }));
        self.untold = false;
    }
}

impl Watched {
    /// Listens to a run.
    pub(super) fn listen(&mut self, id: &RunId, now: Timestamp) -> Looks {
        self.runs.entry(id.clone()).or_insert_with(|| Run::new(now)).told.subscribe()
    }

    /// What stands in the log beside what is told of a run.
    pub(super) fn span(&self, id: &RunId) -> Span {
        self.runs.get(id).map_or_else(Span::none, |run| run.span.clone())
    }

    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// A run was told to do something: what comes of it is looked for at once.
    pub(super) fn hurry(&mut self, id: &RunId, now: Timestamp) {
        if let Some(run) = self.runs.get_mut(id) {
            (run.looks, run.next_at) = (0, now);
        }
    }

    /// The end of this run waits for a rollback, whatever its group does by itself.
    pub(super) fn expect_rollback(&mut self, id: &RunId, now: Timestamp) {
        self.runs.entry(id.clone()).or_insert_with(|| Run::new(now)).rolls_back = true;
    }

    /// Whether the rollback of an ended run, that it does not name in time, is to be looked for among its group's
    /// deployments now. That is done once.
    pub(super) fn wants_listing(&mut self, id: &RunId, reading: &Reading, pace: &Pace, now: Timestamp) -> bool {
        let Some(run) = self.runs.get_mut(id) else { return false };
        let is_due = run.may_roll_back_after(reading) && run.since_its_end(now) >= pace.grace && !run.listed;
        run.listed |= is_due;
        is_due
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
        let is_in_it = |run: &Run| {
            let seen = run.reading.as_ref();
            seen.is_some_and(|it| it.application.as_ref() == Some(application) && it.group.as_ref() == Some(group))
        };
        self.runs.iter().filter(|(_, run)| !run.settled && is_in_it(run)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether CodeDeploy throttled lately.
    pub(super) fn is_slowed(&self) -> bool {
        self.slowness > 0
    }

    /// What to do next. Runs to look at are filled up to whole batches with those that are due soonest: a call costs
    /// the same for one as for 25.
    pub(super) fn due(&mut self, now: Timestamp, pace: &Pace) -> Due {
        let mut runs: Vec<_> = self.runs.iter().filter(|(_, run)| run.is_looked_at()).collect();
        runs.sort_by_key(|(_, run)| run.next_at);
        let due = runs.iter().take_while(|(_, run)| run.next_at <= now).count();
        let calls = self.budget.left(now, pace.steady, pace.tick_calls, For::Looks);
        if due > 0 && calls > 0 {
            let taken = due.next_multiple_of(BATCH).min(calls * BATCH);
            return Due::Looks(runs.iter().take(taken).map(|(id, _)| (*id).clone()).collect());
        }
        let look = match due {
            0 => runs.first().map(|(_, run)| run.next_at),
            _ => self.budget.free_at(pace.steady, For::Looks),
        };
        let wanting = self.runs.values().any(|run| run.is_heard() && run.want.is_some());
        let rests = self.closer_at.filter(|at| now < *at);
        let room = self.budget.left(now, pace.steady, pace.tick_calls, For::Details) >= DETAILS_TAKE;
        let details = match (wanting, rests) {
            (false, _) => None,
            (true, Some(at)) => Some(at),
            (true, None) if room => return Due::Details,
            (true, None) => self.budget.free_at(pace.steady, For::Details),
        };
        // Without anybody to ask for there is nothing to do until somebody comes, or is forgotten.
        let idle = now.saturating_add(SignedDuration::from_secs(5)).unwrap_or(now);
        let next = look.into_iter().chain(details).min().unwrap_or(idle);
        Due::At(next.max(now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(now)))
    }

    /// The run whose instances are wanted most urgently, with how far they were asked for; nothing where none may be. One
    /// that was begun is brought to its end before another like it.
    pub(super) fn next_wanting(&mut self, now: Timestamp, pace: &Pace) -> Option<(RunId, Asking)> {
        if self.closer_at.is_some_and(|at| now < at) {
            return None;
        }
        if self.budget.left(now, pace.steady, pace.tick_calls, For::Details) < DETAILS_TAKE {
            return None;
        }
        let wanting = self.runs.iter_mut().filter(|(_, run)| run.is_heard() && run.want.is_some());
        let urgency = |run: &Run| (run.want, run.asking.is_none(), run.tries, run.ended_at, run.details_at);
        let (id, run) = wanting.min_by_key(|(_, run)| urgency(run))?;
        let reading = run.reading.as_ref()?;
        Some((id.clone(), run.asking.take().unwrap_or_else(|| Asking::of(reading, &run.instances))))
    }

    /// The calls of this tick are spent: the next one goes on from here.
    pub(super) fn keep(&mut self, id: &RunId, asking: Asking) {
        if let Some(run) = self.runs.get_mut(id) {
            run.asking = Some(asking);
        }
    }

    /// Whether one more call for details may be made; it counts as made.
    pub(super) fn may_ask_closer(&mut self, now: Timestamp, pace: &Pace) -> bool {
        let may = self.budget.left(now, pace.steady, pace.tick_calls, For::Details) > 0;
        if may {
            self.budget.spend(now, For::Details);
        }
        may
    }

    /// What was found out about an ended run's group, at its last look.
    pub(super) fn rolls_back_on(&self, id: &str) -> Option<HashSet<String>> {
        let run = self.runs.iter().find(|(run, _)| run.as_str() == id)?.1;
        run.reading.as_ref()?.rolls_back_on.clone()
    }

    /// Takes in how a run stands. Its listeners hear of it at the end of the tick.
    pub(super) fn see(&mut self, id: &RunId, reading: Reading, pace: &Pace, now: Timestamp) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let before = run.reading.as_ref();
        let changed = before.is_none_or(|it| (&it.status, it.instances) != (&reading.status, reading.instances));
        let wanted = run.wanted(&reading, changed, pace, now);
        run.want = run.want.into_iter().chain(wanted).min();
        if changed {
            run.changed_at = now;
        }
        if reading.verdict().is_some() && run.ended_at.is_none() {
            // How its instances stood before says nothing about how it ended.
            (run.ended_at, run.asking) = (Some(now), None);
        }
        run.looks += 1;
        run.reading = Some(Arc::new(reading));
        run.untold = true;
        run.judge(pace, now);
    }

    /// Takes in how a run's instances stand, or that nothing is known of them yet.
    pub(super) fn see_closer(&mut self, id: &RunId, seen: Option<(Details, Vec<String>)>, pace: &Pace, now: Timestamp) {
        let Some(run) = self.runs.get_mut(id) else { return };
        if let Some((details, instances)) = seen {
            run.details = Some(Arc::new(details));
            run.instances = instances;
        }
        (run.want, run.tries, run.details_at, run.untold) = (None, 0, Some(now), true);
        run.judge(pace, now);
    }

    /// The instances could not be asked for. They are asked for again, unless CodeDeploy refused.
    pub(super) fn stumble_closer(&mut self, id: &RunId, trouble: &Trouble, pace: &Pace, now: Timestamp) {
        let throttled = matches!(trouble, Trouble::Throttled { .. });
        if throttled {
            self.slow_down();
            self.closer_at = Some(after(now, self.stretched(pace.steady, pace)));
        }
        let Some(run) = self.runs.get_mut(id) else { return };
        run.tries += u32::from(!throttled);
        run.instances.clear();
        if matches!(trouble, Trouble::Refused { .. }) || run.tries >= TRIES {
            (run.want, run.tries, run.details_at, run.untold) = (None, 0, Some(now), true);
        }
        run.judge(pace, now);
    }

    /// A run that was asked for and did not come. CodeDeploy forgets a deployment with its group; at first it may
    /// not know one yet.
    pub(super) fn miss(&mut self, id: &RunId, pace: &Pace, now: Timestamp) {
        let Some(run) = self.runs.get_mut(id) else { return };
        let waited = Duration::try_from(now.duration_since(run.first_at)).unwrap_or_default();
        run.looks += 1;
        if waited >= pace.looks[2] {
            run.settled = true;
            run.told.send_replace(Some(Look::Gone));
        }
    }

    /// Tells the listeners of a run that it could not be looked at.
    pub(super) fn fail(&self, ids: &[RunId], trouble: &Arc<Trouble>) {
        for run in ids.iter().filter_map(|id| self.runs.get(id)) {
            run.told.send_replace(Some(Look::Failed(Arc::clone(trouble))));
        }
    }

    /// Tells everything that was not told yet: a tick is over. An end that waited long enough for its instances is
    /// told without them.
    pub(super) fn tell(&mut self, pace: &Pace, now: Timestamp) {
        for run in self.runs.values_mut() {
            let was_settled = run.settled;
            run.judge(pace, now);
            if run.untold || run.settled != was_settled {
                run.tell();
            }
        }
    }

    /// CodeDeploy throttled.
    pub(super) fn slow_down(&mut self) {
        (self.slowness, self.calm) = ((self.slowness + 1).min(SLOWEST), 0);
    }

    /// A tick went by without throttling.
    pub(super) fn calm_down(&mut self) {
        self.calm += 1;
        if self.calm >= CALM {
            (self.slowness, self.calm) = (self.slowness.saturating_sub(1), 0);
        }
    }

    fn stretched(&self, rest: Duration, pace: &Pace) -> Duration {
        let stretch = 2_f64.powf(f64::from(self.slowness)) * jitter(pace.jitter_percent);
        rest.mul_f64(stretch).min(pace.slowest)
    }

    /// Sets the next look of runs that were asked for together, so that they stay together.
    pub(super) fn reschedule(&mut self, ids: &[RunId], pace: &Pace, now: Timestamp) {
        let stretched = self.stretched(Duration::from_secs(1), &Pace { slowest: Duration::MAX, ..pace.clone() });
        for id in ids {
            let Some(run) = self.runs.get_mut(id) else { continue };
            let rest = run.rest(pace, now).mul_f64(stretched.as_secs_f64());
            run.next_at = after(now, rest.min(pace.slowest));
        }
    }

    /// A run that nobody has listened to for a while is dropped; a listener who comes back soon finds its last look.
    pub(super) fn forget_the_unheard(&mut self, now: Timestamp, after: Duration) {
        self.runs.retain(|_, run| {
            let since = Duration::try_from(now.duration_since(run.next_at)).unwrap_or_default();
            run.told.receiver_count() > 0 || since < after
        });
    }
}

fn after(now: Timestamp, rest: Duration) -> Timestamp {
    now.saturating_add(SignedDuration::try_from(rest).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

/// A factor near 1, so that several bots do not ask at once.
fn jitter(percent: u32) -> f64 {
    let share = getrandom::u32().map_or(0.5, |it| f64::from(it) / f64::from(u32::MAX));
    (1.0 + f64::from(percent) / 100.0 * (2.0 * share - 1.0)).max(0.0)
}

#[cfg(test)]
mod tests;
