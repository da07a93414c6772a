//! What a reader may ask for in a list of deployments: text to query, or what was expected. It never reads anything.

use thiserror::Error;

use crate::domain::{DeploymentId, TargetName, Unfit};

/// How many deployments a page holds unless the reader says otherwise.
const USUAL: usize = 30;
/// Every state's name on the wire.
const STATES: [&str; 13] = [
    "planned",
    "weighing",
    "held",
    "preparing",
    "releasing",
    "running",
    "verifying",
    "succeeded",
    "failed",
    "stopped",
    "superseded",
    "skipped",
    "refused",
];

/// Which deployments to list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentsQuery {
    /// Only of this target.
    pub target: Option<TargetName>,
    /// Only of commits that begin with this.
    pub sha: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only those born before this one: the cursor of the page before.
    pub before: Option<DeploymentId>,
    /// At most this many.
    pub limit: usize,
}

/// A query that cannot be understood.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{key}`: {why}")]
pub struct BadQuery {
    /// The parameter's name.
    pub key: &'static str,
    /// What was expected and what came.
    pub why: String,
}

impl Default for DeploymentsQuery {
    fn default() -> Self {
        Self { target: None, sha: None, state: None, before: None, limit: USUAL }
    }
}

impl DeploymentsQuery {
    /// How many deployments a page holds at most: some 100 KB of JSON.
    pub const MOST: usize = 200;

    /// Every state's name, for those who choose.
    pub fn states() -> &'static [&'static str] {
        &STATES
    }

    /// Reads the parameters of a URL; empty ones count as absent, unknown ones are left to others.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            match key {
                "target" => query.target = Some(TargetName::parse(value).map_err(bad("target"))?),
                "sha" => query.sha = Some(prefix(value)?),
                "state" => query.state = Some(state(value)?),
                "cursor" => query.before = Some(DeploymentId::parse(value).map_err(bad("cursor"))?),
                "limit" => query.limit = limit(value, Self::MOST)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

fn bad(key: &'static str) -> impl Fn(Unfit) -> BadQuery {
    move |unfit| BadQuery { key, why: unfit.to_string() }
}

/// The beginning of a commit hash, in lowercase.
fn prefix(text: &str) -> Result<String, BadQuery> {
    let fits = (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let cut: String = text.chars().take(80).collect();
    fits.then(|| text.to_ascii_lowercase())
        .ok_or_else(|| BadQuery { key: "sha", why: format!("`{cut}` is not 4 to 64 hex digits of a commit hash") })
}

fn state(text: &str) -> Result<String, BadQuery> {
    let cut: String = text.chars().take(80).collect();
    STATES
        .contains(&text)
        .then(|| text.to_owned())
        .ok_or_else(|| BadQuery { key: "state", why: format!("`{cut}` is not one of {}", STATES.join(", ")) })
}

/// How many of something a page holds.
pub(super) fn limit(text: &str, most: usize) -> Result<usize, BadQuery> {
    let cut: String = text.chars().take(80).collect();
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| BadQuery { key: "limit", why: format!("`{cut}` is not a number from 1 to {most}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_was_expected() {
        let why = |key, value| DeploymentsQuery::parse([(key, value)]).unwrap_err().to_string();
        assert_eq!(why("limit", "0"), "`limit`: `0` is not a number from 1 to 200");
        assert_eq!(why("sha", "xyz"), "`sha`: `xyz` is not 4 to 64 hex digits of a commit hash");
        assert!(why("state", "done").ends_with("superseded, skipped, refused"));
        assert_eq!(why("cursor", "1"), "`cursor`: `1` is not a deployment id of 26 letters and digits");
        assert_eq!(DeploymentsQuery::parse([("sha", ""), ("x", "y")]).unwrap(), DeploymentsQuery::default());
        assert_eq!(DeploymentsQuery::parse([("sha", "4F2C")]).unwrap().sha.as_deref(), Some("4f2c"));
    }
}
