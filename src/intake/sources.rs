//! Where requests come from, and what each source has proven so far. Nothing of it is kept over a restart, and nothing is
//! refused for it alone that may be GitHub's.
//!
//! Why no source is ever refused for what it sent before: behind a reverse proxy all of them look like one, and GitHub's
//! own addresses change. So a forgery costs its sender its rank, not its neighbours their deliveries. All bodies are read
//! side by side; where there is not room for all, who has proven least and is slowest makes room (`room`). What bounds
//! the rest is the number of connections: one source has an eighth of them, unless it has delivered what was signed or
//! somebody was let in from there, such as a proxy behind which many look at pages.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clients::Clock;
use crate::config::source_of;

/// How long a signed delivery speaks for its source.
const PROVEN_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How long somebody who was let in speaks for their source.
const WELCOME_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How many forgeries in a minute make a forger: fewer are a secret that somebody just changed.
const FORGERIES: u32 = 10;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many sources are remembered for each of these.
const REMEMBERED: usize = 4096;

/// What a source has proven, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Signed deliveries came from it, and hardly a forgery.
    Proven,
    /// Nothing, or both.
    Unknown,
    /// Forgeries came from it.
    Forging,
}

/// All sources. Clones share what is known.
#[derive(Clone)]
pub struct Sources(Arc<Inner>);

struct Inner {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    open: HashMap<IpAddr, usize>,
    proven: HashMap<IpAddr, Timestamp>,
    welcome: HashMap<IpAddr, Timestamp>,
    forged: HashMap<IpAddr, Forged>,
}

struct Forged {
    times: u32,
    since: Timestamp,
}

/// One open connection, until it is dropped.
pub struct Visit {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// None is known yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, known: Mutex::default() }))
    }

    /// A connection is made; nothing where its source has so many already and has proven nothing.
    pub fn enter(&self, address: IpAddr, most_each: usize) -> Option<Visit> {
        let (source, now) = (source_of(address), self.0.clock.now());
        let mut known = self.known();
        let is_bounded = !known.is_proven(source, now) && !known.is_welcome(source, now);
        let open = known.open.entry(source).or_default();
        if *open >= most_each && is_bounded {
            return None;
        }
        *open += 1;
        Some(Visit { sources: self.clone(), source })
    }

    /// What came from there was signed.
    pub(super) fn prove(&self, address: IpAddr) {
        let now = self.0.clock.now();
        let mut known = self.known();
        forget(&mut known.proven, |at| now.duration_since(*at) < PROVEN_FOR);
        known.proven.insert(source_of(address), now);
    }

    /// Somebody from there was let in. It says nothing of what else comes from there.
    pub fn welcome(&self, address: IpAddr) {
        let now = self.0.clock.now();
        let mut known = self.known();
        forget(&mut known.welcome, |at| now.duration_since(*at) < WELCOME_FOR);
        known.welcome.insert(source_of(address), now);
    }

    /// What came from there was signed by nobody.
    pub(super) fn suspect(&self, address: IpAddr) {
        let now = self.0.clock.now();
        let mut known = self.known();
        forget(&mut known.forged, |it| now.duration_since(it.since) < MINUTE);
        let forged = known.forged.entry(source_of(address)).or_insert(Forged { times: 0, since: now });
        if now.duration_since(forged.since) >= MINUTE {
            *forged = Forged { times: 0, since: now };
        }
        forged.times = forged.times.saturating_add(1);
    }

    pub(super) fn standing(&self, address: IpAddr) -> Standing {
        let (source, now) = (source_of(address), self.0.clock.now());
        let known = self.known();
        let is_forging = known
            .forged
            .get(&source)
            .is_some_and(|it| it.times > FORGERIES && now.duration_since(it.since) < 2 * MINUTE);
        match (known.is_proven(source, now), is_forging) {
            (true, false) => Standing::Proven,
            (false, true) => Standing::Forging,
            (true, true) | (false, false) => Standing::Unknown,
        }
    }

    // A panic while it was locked leaves it whole: each change is one insertion or removal.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_proven(&self, source: IpAddr, now: Timestamp) -> bool {
        self.proven.get(&source).is_some_and(|at| now.duration_since(*at) < PROVEN_FOR)
    }

    fn is_welcome(&self, source: IpAddr, now: Timestamp) -> bool {
        self.welcome.get(&source).is_some_and(|at| now.duration_since(*at) < WELCOME_FOR)
    }
}

/// Makes room for one more: what is over goes, and where that is not enough, everything. Whoever is forgotten is a source
/// like any other.
fn forget<T>(remembered: &mut HashMap<IpAddr, T>, still: impl Fn(&T) -> bool) {
    if remembered.len() >= REMEMBERED {
        remembered.retain(|_, it| still(it));
    }
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut known = self.sources.known();
        if let Some(open) = known.open.get_mut(&self.source) {
            *open -= 1;
            if *open == 0 {
                known.open.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> (Sources, Clock) {
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        (Sources::new(clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_share_of_connections_and_a_proven_one_what_it_needs() {
        let (sources, clock) = sources();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let open: Vec<_> = (0..2).map(|_| sources.enter(one, 2).unwrap()).collect();
        assert!(sources.enter(one, 2).is_none() && sources.enter(other, 2).is_some());
        sources.prove(one);
        assert!(sources.enter(one, 2).is_some());
        let visits: Vec<_> = (0..3).map(|_| sources.enter(other, 2)).collect();
        assert!(visits.iter().any(Option::is_none));
        sources.welcome(other);
        assert!(sources.enter(other, 2).is_some(), "somebody there was let in");
        assert_eq!(sources.standing(other), Standing::Unknown, "and nothing there was signed");
        clock.advance(std::time::Duration::from_secs(3600));
        assert!(sources.enter(other, 1).is_none(), "for an hour");
        drop((open, visits));
        assert!(sources.known().open.is_empty(), "nothing is remembered of who has left");
    }

    #[test]
    fn forgeries_cost_a_source_its_standing_for_a_while() {
        let (sources, clock) = sources();
        let it = address("192.0.2.1");
        (0..FORGERIES).for_each(|_| sources.suspect(it));
        assert_eq!(sources.standing(it), Standing::Unknown, "a secret that was just changed");
        sources.suspect(it);
        assert_eq!(sources.standing(it), Standing::Forging);
        sources.prove(it);
        assert_eq!(sources.standing(it), Standing::Unknown, "a proxy, behind which there are both");
        clock.advance(std::time::Duration::from_secs(180));
        assert_eq!(sources.standing(it), Standing::Proven);
        clock.advance(std::time::Duration::from_secs(24 * 3600));
        assert_eq!(sources.standing(it), Standing::Unknown);
    }

    #[test]
    fn sources_do_not_fill_the_memory() {
        let (sources, _) = sources();
        for number in 0..3 * u32::try_from(REMEMBERED).unwrap() {
            sources.suspect(IpAddr::from(number.to_be_bytes()));
            sources.prove(IpAddr::from(number.to_be_bytes()));
            sources.welcome(IpAddr::from(number.to_be_bytes()));
        }
        let known = sources.known();
        assert!([known.forged.len(), known.proven.len(), known.welcome.len()].iter().all(|it| *it <= REMEMBERED));
    }
}
