//! Who is at which revision: what is being prepared is not deleted, and what is being deleted is not relied upon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The revisions that somebody is at. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<String, Arc<RwLock<()>>>>>);

/// As long as it is held, the revision is not deleted. Several may hold one.
#[derive(Clone, Debug)]
pub struct Claim {
    _held: Arc<OwnedRwLockReadGuard<()>>,
}

/// As long as it is held, nobody begins to rely on the revision.
#[derive(Debug)]
pub struct Closed {
    _held: OwnedRwLockWriteGuard<()>,
}

impl Claims {
    fn of(&self, revision: &str) -> Arc<RwLock<()>> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is at one holds it too: what only the table knows is nobody's.
        claims.retain(|_, it| Arc::strong_count(it) > 1);
        Arc::clone(claims.entry(revision.to_owned()).or_default())
    }

    /// Waits while it is being deleted.
    pub(super) async fn claim(&self, revision: &str) -> Claim {
        Claim { _held: Arc::new(self.of(revision).read_owned().await) }
    }

    /// Nothing where somebody is at it.
    pub(super) fn close(&self, revision: &str) -> Option<Closed> {
        self.of(revision).try_write_owned().ok().map(|held| Closed { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_somebody_is_at_is_not_deleted_and_the_other_way_round() {
        let claims = Claims::default();
        let (one, other) = (claims.claim("a").await, claims.claim("a").await);
        assert!(claims.close("a").is_none());
        assert!(claims.close("b").is_some());
        drop(one);
        assert!(claims.close("a").is_none());
        drop(other);
        let closed = claims.close("a").unwrap();
        let waiting = tokio::spawn({
            let claims = claims.clone();
            async move { claims.claim("a").await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(closed);
        waiting.await.unwrap();
        claims.of("c");
        assert_eq!(claims.0.lock().unwrap().len(), 1, "the table forgets what nobody is at");
    }
}
