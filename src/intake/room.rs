//! How many bytes of bodies may be under way in the whole process, and who makes room when there is none left.
//!
//! The first [`SMALL`] bytes of every body are free: as many as there are connections, so that what GitHub mostly sends
//! is never refused for room, whoever else sends what. Of the rest there is so much, and where it is taken, the body of
//! whoever has proven least, and of those the slowest, makes room for a better one. GitHub sends 25 MiB in seconds;
//! whoever makes them last only holds on to room. A body whose signature was checked makes room for nobody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sources::Standing;

/// Up to here a body is not worth a file, and has its place.
pub(super) const SMALL: u64 = 64 << 10;
/// How long a body waits for room before its sender is told to come again. GitHub waits 10 s for the whole.
const WAITS: Duration = Duration::from_secs(3);
/// How long a body is under way before it is called slow.
const GRACE: Duration = Duration::from_secs(1);

/// The room, and where the large bodies go. Clones share it.
#[derive(Clone)]
pub(super) struct Room(Arc<Inner>);

struct Inner {
    spool: PathBuf,
    bodies: Mutex<Bodies>,
    freed: Notify,
}

struct Bodies {
    free: u64,
    /// At most one for each connection.
    large: Vec<Large>,
    next: u64,
}

/// A body under way that holds more than the small ones do.
struct Large {
    number: u64,
    standing: Standing,
    since: Instant,
    bytes: u64,
    cut: CancellationToken,
}

/// A body's share of the room, given back when it is dropped.
pub(super) struct Share {
    room: Room,
    standing: Standing,
    since: Instant,
    bytes: u64,
    number: Option<u64>,
    cut: CancellationToken,
}

impl Room {
    pub(super) fn new(bytes: u64, spool: PathBuf) -> Self {
        let bodies = Mutex::new(Bodies { free: bytes, large: vec![], next: 0 });
        Self(Arc::new(Inner { spool, bodies, freed: Notify::new() }))
    }

    pub(super) fn share(&self, standing: Standing) -> Share {
        let (since, cut) = (Instant::now(), CancellationToken::new());
        Share { room: self.clone(), standing, since, bytes: 0, number: None, cut }
    }

    // A panic while it was locked leaves it whole: nothing in there can.
    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        self.0.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Where a large body goes.
    pub(super) fn spool(&self) -> &Path {
        &self.room.0.spool
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns when it has to make room.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Takes more of the room; false where none was to be had in time.
    pub(super) async fn grow(&mut self, by: u64) -> bool {
        let until = Instant::now() + WAITS;
        loop {
            let room = self.room.clone();
            let mut freed = std::pin::pin!(room.0.freed.notified());
            // Whatever is given back from here on is heard.
            freed.as_mut().enable();
            if self.try_grow(by) {
                return true;
            }
            tokio::select! {
                () = freed => {}
                // Who waits may have to make room itself.
                () = self.cut.cancelled() => return false,
                () = tokio::time::sleep_until(until) => return false,
            }
        }
    }

    /// The same at once. Where there is none, somebody may have been told to make some.
    fn try_grow(&mut self, by: u64) -> bool {
        let more = (self.bytes + by).saturating_sub(SMALL) - self.bytes.saturating_sub(SMALL);
        let mut bodies = self.room.bodies();
        if let Some(free) = bodies.free.checked_sub(more) {
            bodies.free = free;
            self.bytes += by;
            if more > 0 {
                self.number = Some(bodies.note(self));
            }
            return true;
        }
        let now = Instant::now();
        if let Some(one) = bodies.makes_room(self.number, (self.standing, self.since, self.bytes + by), now) {
            one.cut.cancel();
        }
        false
    }

    /// Its signature was checked: from here on it makes room for nobody.
    pub(super) fn keep(&self) {
        let mut bodies = self.room.bodies();
        bodies.large.retain(|it| Some(it.number) != self.number);
    }
}

impl Bodies {
    /// Notes how much a body holds; the number that it has here.
    fn note(&mut self, share: &Share) -> u64 {
        let Share { room: _, standing, since, bytes, number, cut } = share;
        if let Some(known) = self.large.iter_mut().find(|it| Some(it.number) == *number) {
            known.bytes = *bytes;
            return known.number;
        }
        self.next += 1;
        let (standing, since, cut) = (*standing, *since, cut.clone());
        self.large.push(Large { number: self.next, standing, since, bytes: *bytes, cut });
        self.next
    }

    /// The body that makes room for this one: the worst of all, where it is worse. One that was told already is still
    /// the one.
    fn makes_room(
        &self,
        own: Option<u64>,
        (standing, since, bytes): (Standing, Instant, u64),
        now: Instant,
    ) -> Option<&Large> {
        let others = self.large.iter().filter(|it| Some(it.number) != own);
        let worst = others
            .max_by(|a, b| rank(a.standing, a.since, a.bytes, now).cmp(&rank(b.standing, b.since, b.bytes, now)))?;
        (rank(worst.standing, worst.since, worst.bytes, now) > rank(standing, since, bytes, now)).then_some(worst)
    }
}

/// What makes a body worse than another: the standing of its source, then how long a megabyte of it takes. One that has
/// only begun is not slow.
fn rank(standing: Standing, since: Instant, bytes: u64, now: Instant) -> (Standing, u128) {
    let took = now.saturating_duration_since(since);
    let pace = if took < GRACE { 0 } else { took.as_micros() * (1 << 20) / u128::from(bytes.max(1)) };
    (standing, pace)
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut bodies = self.room.bodies();
        bodies.free += self.bytes.saturating_sub(SMALL);
        bodies.large.retain(|it| Some(it.number) != self.number);
        drop(bodies);
        self.room.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: u64 = SMALL + 1000;

    fn room() -> Room {
        Room::new(1500, PathBuf::new())
    }

    /// A share that began so long ago.
    fn begun(room: &Room, standing: Standing, ago: Duration) -> Share {
        let mut share = room.share(standing);
        share.since = Instant::now().checked_sub(ago).unwrap();
        share
    }

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn small_bodies_always_have_their_place() {
        let room = room();
        let mut large = room.share(Standing::Unknown);
        assert!(large.grow(SMALL + 1500).await);
        let mut small: Vec<_> = (0..100).map(|_| room.share(Standing::Forging)).collect();
        for share in &mut small {
            assert!(share.grow(SMALL).await);
        }
        assert!(!small[0].grow(1).await, "and no more than that");
        drop(large);
        assert!(small[0].grow(1).await);
        drop(small);
        let left = room.bodies();
        assert_eq!((left.free, left.large.len()), (1500, 0));
    }

    /// Whether one of these, so long under way, makes room for another that has just begun.
    async fn makes_room(holds: (Standing, Duration), comes: Standing) -> bool {
        let room = room();
        let mut held = begun(&room, holds.0, holds.1);
        assert!(held.grow(LARGE).await);
        let asked = room.clone();
        let wish = tokio::spawn(async move { asked.share(comes).grow(LARGE).await });
        let cut = tokio::time::timeout(Duration::from_millis(100), held.cut()).await.is_ok();
        drop(held);
        assert!(wish.await.unwrap(), "it is there now");
        cut
    }

    #[tokio::test]
    async fn who_has_proven_less_makes_room_and_then_who_is_slower() {
        use Standing::{Forging, Proven, Unknown};
        let fresh = Duration::ZERO;
        assert!(makes_room((Forging, fresh), Unknown).await && makes_room((Unknown, fresh), Proven).await);
        assert!(makes_room((Unknown, LONG), Unknown).await && makes_room((Proven, LONG), Proven).await);
        for (holds, comes) in [((Unknown, fresh), Unknown), ((Proven, LONG), Unknown), ((Unknown, LONG), Forging)] {
            assert!(!makes_room(holds, comes).await, "{holds:?} for {comes:?}");
        }
    }

    #[tokio::test]
    async fn what_was_signed_makes_room_for_nobody() {
        let room = room();
        let mut held = begun(&room, Standing::Forging, LONG);
        assert!(held.grow(LARGE).await);
        held.keep();
        assert!(!room.share(Standing::Proven).grow(LARGE).await);
        drop(held);
        assert!(room.share(Standing::Proven).grow(LARGE).await);
    }

    #[tokio::test]
    async fn who_waits_for_room_makes_room_for_a_better_one() {
        let room = room();
        let mut slow = begun(&room, Standing::Forging, LONG);
        assert!(slow.grow(SMALL + 1500).await);
        let waits = tokio::spawn(async move { slow.grow(1).await });
        assert!(room.share(Standing::Unknown).grow(LARGE).await);
        assert!(!waits.await.unwrap());
    }

    #[tokio::test]
    async fn a_body_that_stalls_while_it_waits_gives_up() {
        let room = room();
        let mut held = begun(&room, Standing::Forging, LONG);
        assert!(held.grow(LARGE).await);
        // It was told, and does not hear.
        let asked = Instant::now();
        assert!(!room.share(Standing::Unknown).grow(LARGE).await);
        assert!(asked.elapsed() >= WAITS);
    }
}
