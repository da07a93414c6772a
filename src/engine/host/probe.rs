//! A seam for tests: production hands over one that does nothing.

use std::fmt;
use std::sync::Arc;

/// Called with the name of each place where a crash would matter.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn(&'static str) + Send + Sync>);

impl Probe {
    /// A probe that calls this.
    pub fn new(called: impl Fn(&'static str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(called))
    }

    /// Passes a seam.
    pub(super) fn at(&self, seam: &'static str) {
        (self.0)(seam);
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}
