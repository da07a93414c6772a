//! Locks, pauses and their ends: what is written for them, and the words that say what comes of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::asks::{AskError, Asks, Meaning};
use super::desk::{held, is_held_on_its_own, queues_all};
use super::jobs::blocking;
use crate::domain::{
    Deployment, DeploymentEvent, Event, Failure, HoldKind, Lock, Order, Releases, Request, State, Stream, TargetEvent,
    TargetName, TargetState,
};

impl Asks {
    /// A lock of one target.
    pub(super) async fn lock(
        &self,
        request: &Request,
        name: &TargetName,
        (reason, until, warns): (Option<String>, Option<Timestamp>, bool),
    ) -> Result<Meaning, AskError> {
        let (_, state) = self.standing(name).await?;
        self.may_replace(state.lock.as_ref(), request, &format!("`{name}`"), &format!("landfall unlock {name}"))?;
        let actor = request.actor.clone();
        let locked = TargetEvent::Locked { actor, reason, until, warns, after: None };
        Ok(Meaning { consequences: vec![(Stream::Target(name.clone()), locked.into())], ..Meaning::default() })
    }

    /// The end of all locks of one target.
    pub(super) async fn unlock(&self, request: &Request, name: &TargetName) -> Result<Meaning, AskError> {
        let ((releases, state), now) = (self.standing(name).await?, self.world.clock.now());
        let locks: Vec<&Lock> = state.locks(now).collect();
        let was: Vec<String> = locks.iter().map(|it| it.by()).collect();
        let mut told = match was.is_empty() {
            true => format!("`{name}` was not locked"),
            false => format!("`{name}` is unlocked; it was locked {}", was.join(", and ")),
        };
        let others = releases.holds(name, &TargetState::default(), false, now);
        for hold in others.into_iter().chain(self.world.calendar.frozen(name, now)) {
            told += &format!("\nheld still: {}", hold.reason);
        }
        let premise = format!("{locks:?}");
        let unlocked = TargetEvent::Unlocked { actor: request.actor.clone() };
        let consequences = vec![(Stream::Target(name.clone()), unlocked.into())];
        Ok(Meaning { consequences, told: Some(told), premise, ..Meaning::default() })
    }

    /// A lock of all targets: the request itself is what is folded.
    pub(super) async fn lock_all(&self, request: &Request) -> Result<Meaning, AskError> {
        let releases = self.releases().await?;
        self.may_replace(releases.lock.as_ref(), request, "every target", "landfall unlock --all")?;
        Ok(Meaning::default())
    }

    /// The end of that one.
    pub(super) async fn unlock_all(&self) -> Result<Meaning, AskError> {
        let releases = self.releases().await?;
        let lock = releases.lock.filter(|it| it.lasts(self.world.clock.now()));
        let premise = format!("{lock:?}");
        let mut told = lock.map_or("not everything was locked".to_owned(), |lock| {
            format!("the lock of every target is off; it was set {}; locks of single targets stay", lock.by())
        });
        if let Some(pause) = &releases.paused {
            told += &format!("\nheld still: releases are paused {}", pause.by());
        }
        Ok(Meaning { told: Some(told), premise, ..Meaning::default() })
    }

    /// What goes on now, and what older ones of the same target and ref give their place to it: of a backlog the newest
    /// is wanted. A target that queues all keeps all.
    pub(super) async fn resume(&self) -> Result<Meaning, AskError> {
        let ledger = self.ledger.clone();
        let (mut releases, open, states) = blocking(move || {
            let (mut open, mut states) = (Vec::new(), BTreeMap::new());
            for id in ledger.unfinished()? {
                open.extend(ledger.deployment(id)?.filter(|it| it.state().is_before_release()));
            }
            for it in &open {
                let name = it.order().target.name.clone();
                states.insert(name.clone(), ledger.target(&name)?);
            }
            open.sort_by_key(Deployment::id);
            Ok((ledger.releases()?, open, states))
        })
        .await?;
        let Some(pause) = releases.paused.take() else {
            return Ok(Meaning { told: Some("releases were not paused".into()), ..Meaning::default() });
        };
        let mut passed = Vec::new();
        for older in &open {
            if let Some(newest) = open.iter().rev().find(|it| replaces(it, older)) {
                let superseded =
                    DeploymentEvent::Superseded { by: newest.commit().clone(), deployment: Some(newest.id()) };
                passed.push((Stream::Deployment(older.id()), Event::from(superseded), short(older)));
            }
        }
        let is_passed = |it: &Deployment| passed.iter().any(|(stream, ..)| *stream == Stream::Deployment(it.id()));
        let (mut going, mut waiting) = (vec![], vec![]);
        for it in open.iter().filter(|it| !is_passed(it)) {
            match self.still_holds(it, (&releases, &states[&it.order().target.name])) {
                Some(reason) => waiting.push(format!("\nwaits still: {}: {reason}", short(it))),
                None => going.push(short(it)),
            }
        }
        let mut told = format!("resumed; releases were paused {}", pause.by());
        told += &match (going.is_empty(), waiting.is_empty()) {
            (true, true) => "\nnothing waits".to_owned(),
            (true, false) => String::new(),
            (false, _) => format!("\ngoing on: {}", going.join(", ")),
        };
        told += &waiting.concat();
        if !passed.is_empty() {
            let names: Vec<&str> = passed.iter().map(|(.., name)| name.as_str()).collect();
            told += &format!("\nsuperseded by newer pushes: {}", names.join(", "));
        }
        let premise = format!("{pause:?} {:?}", passed.iter().map(|(stream, ..)| stream).collect::<Vec<_>>());
        let consequences = passed.into_iter().map(|(stream, event, _)| (stream, event)).collect();
        Ok(Meaning { consequences, told: Some(told), premise, ..Meaning::default() })
    }

    /// What holds a deployment besides what was just taken away.
    fn still_holds(&self, it: &Deployment, standing: (&Releases, &TargetState)) -> Option<String> {
        if let State::Held { hold } = it.state() {
            return Some(hold.reason.clone());
        }
        held(it, standing, &self.world.calendar, self.world.clock.now()).map(|hold| hold.reason)
    }

    /// What still holds a deployment once this was said of it; approvals that are missing are told with that.
    pub(super) async fn holds_after(
        &self,
        mut it: Deployment,
        event: &DeploymentEvent,
    ) -> Result<Option<String>, AskError> {
        let now = self.world.clock.now();
        if !it.state().is_before_release() || it.apply(now, event).is_err() {
            return Ok(None);
        }
        let (ledger, name) = (self.ledger.clone(), it.order().target.name.clone());
        let (releases, state) = blocking(move || Ok((ledger.releases()?, ledger.target(&name)?))).await?;
        let hold = held(&it, (&releases, &state), &self.world.calendar, now);
        Ok(hold.filter(|it| it.kind != HoldKind::Approval).map(|it| it.reason))
    }

    /// What a deployment to this target will wait for, besides what every deployment does.
    pub(super) async fn will_wait(&self, order: &Order) -> Result<Option<String>, AskError> {
        let name = &order.target.name;
        let (releases, state) = self.standing(name).await?;
        let now = self.world.clock.now();
        let frozen = self.world.calendar.frozen(name, now).filter(|_| order.options.override_freeze.is_none());
        if let Some(hold) = releases.holds(name, &state, order.is_rollback(), now).first().or(frozen.as_ref()) {
            return Ok(Some(format!("it waits: {}", hold.reason)));
        }
        Ok(releases.warning(&state, now))
    }

    async fn standing(&self, name: &TargetName) -> Result<(Releases, TargetState), AskError> {
        self.configured(name)?;
        let (ledger, name) = (self.ledger.clone(), name.clone());
        Ok(blocking(move || Ok((ledger.releases()?, ledger.target(&name)?))).await?)
    }

    async fn releases(&self) -> Result<Releases, AskError> {
        let ledger = self.ledger.clone();
        Ok(blocking(move || ledger.releases()).await?)
    }

    /// Nobody's lock is replaced by somebody else's: it would end with that one's time.
    fn may_replace(&self, lock: Option<&Lock>, request: &Request, what: &str, verb: &str) -> Result<(), AskError> {
        let others = lock.filter(|it| it.lasts(self.world.clock.now()) && it.actor != request.actor);
        others.map_or(Ok(()), |lock| {
            let failure = Failure::setup("conductor/locked-already", format!("{what} is locked {} already", lock.by()));
            Err(AskError::Refused(failure.help(format!("ask {}, or end that lock first: `{verb}`", lock.actor))))
        })
    }
}

/// Whether a newer deployment takes the place of an older one when a backlog is worked off.
fn replaces(newer: &Deployment, older: &Deployment) -> bool {
    let (one, other) = (newer.order(), older.order());
    let is_same = one.target.name == other.target.name && one.reference == other.reference;
    let goes = newer.stop_asked_by().is_none() && !is_held_on_its_own(newer) && !one.is_repair();
    is_same && goes && newer.id() > older.id() && !other.is_repair() && !queues_all(older)
}

fn short(it: &Deployment) -> String {
    format!("{} {} ({})", it.order().target.name, it.commit().short(), it.id())
}
