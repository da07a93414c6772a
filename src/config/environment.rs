//! The environment, read once. It never changes it.

use std::collections::BTreeMap;

/// What the `LANDFALL_…` variables are called; anything else by that prefix is told.
pub(super) const KNOWN: &[&str] = &[
    "LANDFALL_CONFIG",
    "LANDFALL_DATA_DIR",
    "LANDFALL_LISTEN",
    "LANDFALL_LOG",
    "LANDFALL_PUBLIC_URL",
    "LANDFALL_TOKEN",
    "LANDFALL_URL",
];

/// The environment's variables as they were when the program started.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own. Variables that are not UTF-8 are none of ours.
    pub fn of_process() -> Self {
        let text = |it: std::ffi::OsString| it.into_string().ok();
        Self(std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// Exactly these variables.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A variable, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What programs that a person starts with us may see: everything but what is meant for us.
    pub fn for_others(&self) -> Vec<(String, String)> {
        let theirs = self.0.iter().filter(|(name, _)| !name.starts_with("LANDFALL_"));
        theirs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The names that begin with `LANDFALL_` and mean nothing to us.
    ///
    /// Kubernetes and Docker links make such names by themselves for a service called `landfall`; tests have theirs.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        let made_by_others = |name: &str| {
            let rest = &name["LANDFALL_".len()..];
            rest.starts_with("TEST_") || rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_")
        };
        self.0
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with("LANDFALL_") && !KNOWN.contains(name))
            .filter(move |name| !made_by_others(name))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}
