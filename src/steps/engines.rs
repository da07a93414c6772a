//! The engines in use, one for each engine configuration. It makes them when first asked for and never forgets one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{EngineSpec, Target};
use crate::engine::Engine;

type Make = Box<dyn Fn(&EngineSpec) -> Arc<dyn Engine> + Send + Sync>;

/// Finds the engine of a target.
pub struct Engines {
    make: Make,
    made: Mutex<HashMap<String, Arc<dyn Engine>>>,
}

impl Engines {
    /// Engines as `make` makes them.
    pub fn new(make: impl Fn(&EngineSpec) -> Arc<dyn Engine> + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), made: Mutex::default() }
    }

    /// The engine of a target, as its deployment stored it.
    pub fn of(&self, target: &Target) -> Arc<dyn Engine> {
        let key = serde_json::to_string(&target.engine).expect("engine specs have string keys only");
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(key).or_insert_with(|| (self.make)(&target.engine)).clone()
    }
}
