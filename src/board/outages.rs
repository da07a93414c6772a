//! Which places that are told of deployments take no message now. Kept in memory by who tells them, and read by whoever
//! shows it; what outlasts a restart stands in the ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::Outage;

/// The places that are told, and which of them are down. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Outages(Arc<Mutex<BTreeMap<String, Option<Outage>>>>);

impl Outages {
    /// How a place is now.
    pub fn set(&self, place: &str, outage: Option<Outage>) {
        self.places().insert(place.to_owned(), outage);
    }

    /// Every place that is told, by name, and its outage where it is down.
    pub fn all(&self) -> BTreeMap<String, Option<Outage>> {
        self.places().clone()
    }

    /// The places that are down, by name.
    pub fn now(&self) -> Vec<Outage> {
        self.places().values().flatten().cloned().collect()
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Option<Outage>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
