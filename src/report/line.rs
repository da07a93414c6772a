//! The way to one sink: what waits to be said there, and when. Decides from what it is told alone; it says nothing.
//!
//! A burst of pushes leaves thousands of deployments that are merely planned. Of those it keeps the ids, so that memory
//! and time go by what happens, not by what waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::pace::{self, Pace};
use super::unsaid::Unsaid;
use super::way::Way;
use crate::domain::{DeploymentId, Failure, Notice, SinkEvent};

/// What is held back for long is looked at after so long: sooner than a time that only a wrong clock can have named.
const LOOKED_AT_AGAIN: Duration = Duration::from_hours(1);

/// What waits for a sink.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Everything that went on and is not over, and what is over and not told.
    open: BTreeMap<DeploymentId, Open>,
    /// The ones of these that go on and have something to say, by when.
    agenda: BTreeSet<(Timestamp, DeploymentId)>,
    /// The ones of these that are over, by when their end is told.
    ends: BTreeSet<(Timestamp, DeploymentId)>,
    /// What is merely planned, and was not mentioned yet.
    planned: BTreeSet<DeploymentId>,
    /// None of these is mentioned sooner.
    planned_after: Option<Timestamp>,
}

/// What is known of a deployment at a sink.
#[derive(Debug, Default)]
struct Open {
    /// When there is something to say.
    due: Option<Timestamp>,
    /// Whether `due` is when to try again.
    retries: bool,
    /// Until when it is held back, to be told together with others then.
    held: Option<Timestamp>,
    /// Whether it is told by itself, whatever else there is.
    stands_alone: bool,
    /// Whether it is over.
    is_over: bool,
    attempts: u32,
    stumbles_since: Option<Timestamp>,
    /// What it was last told, or will never be told.
    settled: Option<Notice>,
    told_at: Option<Timestamp>,
    /// How often it was told, since the program started.
    told: u32,
}

/// A deployment to speak of, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    pub(super) id: DeploymentId,
    /// Whether it is over.
    pub(super) is_end: bool,
}

/// What came of a message that could not be said.
pub(super) enum Stumbled {
    /// It is tried again then, for that many tries.
    Again(Timestamp, u32),
    /// It is never tried again.
    GaveUp,
}

impl Line {
    /// A deployment was born.
    pub(super) fn born(&mut self, id: DeploymentId) {
        if !self.open.contains_key(&id) {
            self.planned.insert(id);
        }
    }

    /// Takes a deployment of which the ledger says that the sink was last told this.
    pub(super) fn remember(&mut self, id: DeploymentId, last: Option<SinkEvent>) {
        self.planned.remove(&id);
        let open = self.open.entry(id).or_default();
        match last {
            Some(SinkEvent::Sent { state, text, .. }) => open.settled = Some(Notice { state, text }),
            Some(SinkEvent::Stumbled { attempt, next_at, .. }) => {
                (open.attempts, open.retries) = (attempt, true);
                self.schedule(id, Some(next_at));
            }
            // What made it give up may be mended by now, or the message another: one more try a start.
            Some(SinkEvent::GaveUp { .. }) | None => {}
        }
    }

    /// A deployment went on, perhaps to its end. Gives whether it is known here.
    pub(super) fn went_on(&mut self, id: DeploymentId, is_end: bool, now: Timestamp, pace: &Pace) -> bool {
        let known = self.planned.remove(&id) || self.open.contains_key(&id);
        if known {
            let open = self.open.entry(id).or_default();
            let soonest = open.told_at.filter(|_| !is_end).map(|at| pace::after(at, pace::interval(pace, open.told)));
            let due = open.due.filter(|_| open.retries).or(Some(soonest.unwrap_or(now).max(now)));
            self.schedule(id, None);
            self.open.entry(id).or_default().is_over |= is_end;
            self.schedule(id, due);
        }
        known
    }

    /// The next deployments to speak of, and when: one that goes on, and one that is over, which goes before.
    pub(super) fn next(&self, pace: &Pace) -> impl Iterator<Item = Due> {
        let planned = self.planned.first().map(|id| {
            let settled = pace::after(id.born_at(), pace.planned);
            (settled.max(self.planned_after.unwrap_or(settled)), *id)
        });
        let going = self.agenda.first().copied().into_iter().chain(planned).min();
        let due = |is_end| move |(at, id)| Due { at, id, is_end };
        going.map(due(false)).into_iter().chain(self.ends.first().copied().map(due(true)))
    }

    /// The next deployment of which something waits for its pace only.
    pub(super) fn ready(&self, now: Timestamp) -> Option<DeploymentId> {
        let waits = |open: &Open| open.retries || open.held.is_some_and(|until| until > now);
        let may_wait = |id: &DeploymentId| self.open.get(id).is_some_and(waits);
        let waiting = self.ends.iter().chain(&self.agenda).map(|(_, id)| *id).find(|id| !may_wait(id));
        waiting.or_else(|| self.planned.first().copied())
    }

    /// Of how many deployments there may be something to say, besides those that are merely planned.
    pub(super) fn waiting(&self) -> usize {
        self.agenda.len() + self.ends.len()
    }

    /// It is about to be spoken of.
    pub(super) fn begin(&mut self, id: DeploymentId, now: Timestamp, pace: &Pace) {
        if self.planned.remove(&id) {
            self.open.insert(id, Open::default());
            self.planned_after = Some(pace::after(now, pace.planned));
        }
    }

    /// The last thing said of it, or that will never be said.
    pub(super) fn settled(&self, id: DeploymentId) -> Option<Notice> {
        self.open.get(&id).and_then(|open| open.settled.clone())
    }

    /// Nothing more is to be said of it until something happens; nothing ever, if it is over.
    pub(super) fn settle(&mut self, id: DeploymentId, is_over: bool, notice: Option<Notice>, now: Timestamp) {
        self.schedule(id, None);
        if is_over {
            self.open.remove(&id);
            return;
        }
        let Some(open) = self.open.get_mut(&id) else { return };
        (open.retries, open.attempts, open.stumbles_since) = (false, 0, None);
        (open.held, open.stands_alone) = (None, false);
        if let Some(notice) = notice {
            (open.settled, open.told_at, open.told) = (Some(notice), Some(now), open.told + 1);
        }
    }

    /// There is more to say of it at once.
    pub(super) fn goes_on(&mut self, id: DeploymentId, now: Timestamp) {
        self.schedule(id, Some(now));
    }

    /// Until when it is held back, where it is.
    pub(super) fn held(&self, id: DeploymentId) -> Option<Timestamp> {
        self.open.get(&id).and_then(|open| open.held)
    }

    /// It is held back until then, or until the time that was said before; a longer wait is looked at again and again.
    /// Nothing is that stands alone.
    pub(super) fn hold_back(&mut self, id: DeploymentId, until: Timestamp, now: Timestamp) -> bool {
        let Some(open) = self.open.get_mut(&id).filter(|open| !open.stands_alone) else { return false };
        let until = open.held.filter(|before| *before > now).map_or(until, |before| before.min(until));
        open.held = Some(until);
        self.schedule(id, Some(until.min(pace::after(now, LOOKED_AT_AGAIN))));
        true
    }

    /// What was held back and may be told now, the oldest first.
    pub(super) fn gathered(&self, now: Timestamp) -> Vec<DeploymentId> {
        let is_ready = |open: &Open| open.held.is_some_and(|until| until <= now);
        self.open.iter().filter(|(_, open)| is_ready(open)).map(|(id, _)| *id).collect()
    }

    /// For what is held back only because there is much, the time has come.
    pub(super) fn release(&mut self, now: Timestamp) {
        let held: Vec<_> =
            self.open.iter().filter(|(_, it)| it.held.is_some() && !it.retries).map(|it| *it.0).collect();
        for id in held {
            self.open.entry(id).or_default().held = Some(now);
            self.schedule(id, Some(now));
        }
    }

    /// What was held back is told by itself after all.
    pub(super) fn stand_alone(&mut self, id: DeploymentId) {
        if let Some(open) = self.open.get_mut(&id) {
            (open.held, open.stands_alone) = (None, true);
        }
    }

    /// It could not be said together with that one, which waits: so does it. Gives whether that is news.
    pub(super) fn stumble_with(&mut self, id: DeploymentId, first: DeploymentId) -> bool {
        let Some(Open { attempts, stumbles_since, due, .. }) = self.open.get(&first) else { return false };
        let (attempts, stumbles_since, due) = (*attempts, *stumbles_since, *due);
        let Some(open) = self.open.get_mut(&id) else { return false };
        let is_news = !std::mem::replace(&mut open.retries, true);
        (open.attempts, open.stumbles_since) = (attempts, stumbles_since);
        self.schedule(id, due);
        is_news
    }

    /// What comes of a message that could not be said. One that is given up is [settled](Self::settle) by the caller.
    pub(super) fn stumble(
        &mut self,
        id: DeploymentId,
        unsaid: &Unsaid,
        now: Timestamp,
        pace: &Pace,
        way: Option<&mut Way>,
    ) -> Stumbled {
        let Unsaid { failure: Failure { passing, .. }, until, for_all, .. } = unsaid;
        let Some(open) = self.open.get_mut(&id) else { return Stumbled::GaveUp };
        open.attempts += 1;
        let since = *open.stumbles_since.get_or_insert(now);
        if !passing || now > pace::after(since, pace.patience) {
            return Stumbled::GaveUp;
        }
        open.retries = true;
        let mut way = way.filter(|_| *for_all);
        let attempt = open.attempts.max(way.as_mut().map_or(0, |way| way.stumble(unsaid, now)));
        let next_at = pace::next_try(now, id, attempt).max(until.unwrap_or(now));
        if let Some(way) = way {
            way.down_until(next_at);
        }
        self.schedule(id, Some(next_at));
        Stumbled::Again(next_at, attempt)
    }

    fn schedule(&mut self, id: DeploymentId, due: Option<Timestamp>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let agenda = if open.is_over { &mut self.ends } else { &mut self.agenda };
        if let Some(before) = std::mem::replace(&mut open.due, due) {
            agenda.remove(&(before, id));
        }
        agenda.extend(due.map(|due| (due, id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NoticeState;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(born: i64, name: &str) -> DeploymentId {
        DeploymentId::derive(second(born), &[name])
    }

    #[test]
    fn of_a_burst_one_a_second_is_mentioned_and_what_goes_on_comes_first() {
        let (pace, mut line) = (Pace { planned: Duration::from_secs(1), ..Pace::default() }, Line::default());
        let mut burst: Vec<_> = (0..1000).map(|n| id(100, &n.to_string())).collect();
        burst.sort();
        burst.iter().for_each(|id| line.born(*id));
        let next = |line: &Line| line.next(&pace).map(|it| (it.at, it.id)).collect::<Vec<_>>();
        assert_eq!(next(&line), [(second(101), burst[0])]);
        assert!(line.went_on(burst[999], false, second(100), &pace));
        assert_eq!(next(&line), [(second(100), burst[999])], "at once");
        line.begin(burst[999], second(100), &pace);
        let notice = Notice { state: NoticeState::Pending, text: "Checking".into() };
        line.settle(burst[999], false, Some(notice), second(100));
        line.begin(burst[0], second(101), &pace);
        line.settle(burst[0], false, None, second(101));
        assert_eq!(next(&line), [(second(102), burst[1])]);
        assert_eq!(line.open.len(), 2, "the others are ids alone");
    }

    #[test]
    fn what_is_over_and_told_is_forgotten() {
        let (pace, mut line, id) = (Pace::default(), Line::default(), id(100, "a"));
        assert!(!line.went_on(id, true, second(100), &pace), "a stranger");
        line.born(id);
        assert!(line.went_on(id, true, second(100), &pace));
        line.settle(id, true, None, second(100));
        assert_eq!((line.next(&pace).count(), line.open.len(), line.agenda.len(), line.ends.len()), (0, 0, 0, 0));
    }

    #[test]
    fn an_end_is_told_beside_what_goes_on_and_one_that_is_tried_again_keeps_its_time() {
        let (pace, mut line) = (Pace::default(), Line::default());
        let [first, second_one] = [id(100, "a"), id(100, "b")];
        [first, second_one].into_iter().for_each(|id| line.born(id));
        line.went_on(first, false, second(100), &pace);
        line.went_on(second_one, false, second(101), &pace);
        let down = Failure::passing("report/unavailable", "GitHub is down");
        let unsaid =
            Unsaid { failure: down, until: Some(second(130)), for_all: false, may_be_taken: false, is_denied: false };
        assert!(
            matches!(line.stumble(second_one, &unsaid, second(101), &pace, None), Stumbled::Again(at, 1) if at == second(130))
        );
        line.went_on(second_one, true, second(102), &pace);
        let next: Vec<_> = line.next(&pace).collect();
        let due = |at, id, is_end| Due { at: second(at), id, is_end };
        assert_eq!(next, [due(100, first, false), due(130, second_one, true)]);
        assert_eq!(line.ready(second(102)), Some(first), "the other one waits for GitHub");
    }
}
