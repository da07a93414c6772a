//! How many commits what is live is behind the newest one. The source is asked once for each pair, after somebody looked
//! and while nobody waits; the answer is kept in memory. It never asks for what nobody looks at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clients::Clock;
use crate::domain::{CommitSha, Target, TargetName};
use crate::source::Sources;

/// After how long a source that did not answer is asked again, where somebody looks then.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// The distances of all targets, as far as they are known. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Distances(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    pairs: Mutex<BTreeMap<TargetName, Pair>>,
    wanted: Notify,
}

/// Two commits of a target.
#[derive(Clone, Debug)]
struct Pair {
    target: Arc<Target>,
    live: CommitSha,
    newest: CommitSha,
    known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Somebody wants to know it.
    Wanted,
    /// The source did not answer, and is not asked before then.
    NotBefore(Timestamp),
    /// The answer.
    Told(Distance),
}

/// How the newest commit lies to what is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distance {
    /// What is live is so many commits behind it.
    Behind(usize),
    /// It does not come after what is live, as after a forced push, or where it is of an older line.
    Aside,
}

impl Distances {
    /// How `newest` lies to `live`; nothing where that is not known. What is not known is asked for, and may be known at
    /// the next look.
    pub(super) fn behind(
        &self,
        target: &Arc<Target>,
        (live, newest): (&CommitSha, &CommitSha),
        now: Timestamp,
    ) -> Option<Distance> {
        let mut pairs = self.pairs();
        match pairs.get(&target.name).filter(|it| it.live == *live && it.newest == *newest).map(|it| it.known) {
            Some(Known::Told(distance)) => return Some(distance),
            Some(Known::Wanted) => return None,
            Some(Known::NotBefore(at)) if now < at => return None,
            Some(Known::NotBefore(_)) | None => {}
        }
        let (target, live, newest) = (target.clone(), live.clone(), newest.clone());
        pairs.insert(target.name.clone(), Pair { target, live, newest, known: Known::Wanted });
        self.0.wanted.notify_one();
        None
    }

    /// Asks for what somebody wants to know, one after the other, until it is told to stop.
    pub async fn measure(self, sources: Sources, clock: Clock, stop: CancellationToken) {
        loop {
            let Some(pair) = self.next() else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.0.wanted.notified() => continue,
                }
            };
            let source = sources.of(&pair.target);
            let since = tokio::select! {
                () = stop.cancelled() => return,
                since = source.since(&pair.live, &pair.newest) => since,
            };
            let known = match since {
                Ok(since) => Known::Told(since.map_or(Distance::Aside, |it| Distance::Behind(it.count))),
                Err(error) => {
                    tracing::debug!(target.name = %pair.target.name, "how far behind it is, is not known: {error}");
                    Known::NotBefore(clock.now().saturating_add(AGAIN_AFTER).unwrap_or(Timestamp::MAX))
                }
            };
            self.keep(&pair, known);
        }
    }

    fn next(&self) -> Option<Pair> {
        self.pairs().values().find(|it| it.known == Known::Wanted).cloned()
    }

    /// Keeps an answer, unless another pair is looked at by now.
    fn keep(&self, asked: &Pair, known: Known) {
        if let Some(pair) = self.pairs().get_mut(&asked.target.name)
            && pair.live == asked.live
            && pair.newest == asked.newest
        {
            pair.known = known;
        }
    }

    fn pairs(&self) -> MutexGuard<'_, BTreeMap<TargetName, Pair>> {
        self.0.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
