//! What a reader may ask for in a list: text to query, or what was expected. It never reads anything.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::domain::{DeploymentId, Offset, RepositoryName, TargetName, Unfit};

/// How many deployments, deliveries and entries of the audit trail a page holds unless the reader says otherwise.
const DEPLOYMENTS: usize = 30;
const DELIVERIES: usize = 50;
const AUDITED: usize = 100;
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
    /// Only of this repository.
    pub repository: Option<RepositoryName>,
    /// Only of commits that begin with this.
    pub sha: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only those born then or later.
    pub since: Option<Moment>,
    /// Only those born before.
    pub until: Option<Moment>,
    /// Only those born before this one: the cursor of the page before.
    pub before: Option<DeploymentId>,
    /// At most this many.
    pub limit: usize,
}

/// Which deliveries to list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveriesQuery {
    /// Only of this repository.
    pub repository: Option<RepositoryName>,
    /// Only those received then or later.
    pub since: Option<Moment>,
    /// Only those received before.
    pub until: Option<Moment>,
    /// Only those written before this one: the cursor of the page before.
    pub before: Option<Offset>,
    /// At most this many.
    pub limit: usize,
}

/// Which entries of the audit trail to list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those written before this one: the cursor of the page before.
    pub before: Option<Offset>,
    /// At most this many.
    pub limit: usize,
}

/// A time that bounds a list, with the words in which the reader gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// As it was written.
    pub written: String,
    /// The time.
    pub at: Timestamp,
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
        let (target, repository, sha, state) = (None, None, None, None);
        Self { target, repository, sha, state, since: None, until: None, before: None, limit: DEPLOYMENTS }
    }
}

impl Default for DeliveriesQuery {
    fn default() -> Self {
        Self { repository: None, since: None, until: None, before: None, limit: DELIVERIES }
    }
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self { before: None, limit: AUDITED }
    }
}

impl DeploymentsQuery {
    /// How many deployments, deliveries or entries a page holds at most: some 100 KB of JSON.
    pub const MOST: usize = 200;
    /// The parameters that there are.
    pub const PARAMETERS: &'static [&'static str] =
        &["target", "repository", "sha", "state", "since", "until", "limit", "cursor"];

    /// Every state's name, for those who choose.
    pub fn states() -> &'static [&'static str] {
        &STATES
    }

    /// Reads the parameters of a URL; empty ones count as absent, unknown ones are left to others.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        for (key, value) in filled(pairs) {
            match key {
                "target" => query.target = Some(TargetName::parse(value).map_err(bad("target"))?),
                "repository" => query.repository = Some(RepositoryName::parse(value).map_err(bad("repository"))?),
                "sha" => query.sha = Some(prefix(value)?),
                "state" => query.state = Some(state(value)?),
                "since" => query.since = Some(Moment::first_of(value)?),
                "until" => query.until = Some(Moment::last_of(value)?),
                "cursor" => query.before = Some(DeploymentId::parse(value).map_err(bad("cursor"))?),
                "limit" => query.limit = limit(value, Self::MOST)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

impl DeliveriesQuery {
    /// The parameters that there are.
    pub const PARAMETERS: &'static [&'static str] = &["repository", "since", "until", "limit", "cursor"];

    /// Reads the parameters of a URL; empty ones count as absent, unknown ones are left to others.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        for (key, value) in filled(pairs) {
            match key {
                "repository" => query.repository = Some(RepositoryName::parse(value).map_err(bad("repository"))?),
                "since" => query.since = Some(Moment::first_of(value)?),
                "until" => query.until = Some(Moment::last_of(value)?),
                "cursor" => query.before = Some(parse_offset("cursor", value)?),
                "limit" => query.limit = limit(value, DeploymentsQuery::MOST)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

impl AuditQuery {
    /// The parameters that there are.
    pub const PARAMETERS: &'static [&'static str] = &["limit", "cursor"];

    /// Reads the parameters of a URL; empty ones count as absent, unknown ones are left to others.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadQuery> {
        let mut query = Self::default();
        for (key, value) in filled(pairs) {
            match key {
                "cursor" => query.before = Some(parse_offset("cursor", value)?),
                "limit" => query.limit = limit(value, DeploymentsQuery::MOST)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

impl Moment {
    /// A time, or the beginning of a day.
    fn first_of(text: &str) -> Result<Self, BadQuery> {
        Self::parse("since", text, Some)
    }

    /// A time, or the end of a day, which belongs to what is asked for.
    fn last_of(text: &str) -> Result<Self, BadQuery> {
        Self::parse("until", text, |day| day.tomorrow().ok())
    }

    fn parse(key: &'static str, text: &str, of_day: impl Fn(Date) -> Option<Date>) -> Result<Self, BadQuery> {
        let midnight = |day: Date| Some(of_day(day)?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        // A date's own reader would take a time, and drop it.
        let day = if text.len() == "2026-01-31".len() { Date::from_str(text).ok().and_then(midnight) } else { None };
        let at = day.or_else(|| text.parse().ok()).ok_or_else(|| {
            let expected = "is neither a day such as 2026-01-31 nor a time such as 2026-01-31T12:00:00Z";
            BadQuery { key, why: format!("`{}` {expected}", cut(text)) }
        })?;
        Ok(Self { written: text.to_owned(), at })
    }
}

/// Reads an offset among the parameters of a URL.
pub fn parse_offset(key: &'static str, text: &str) -> Result<Offset, BadQuery> {
    let bad = || BadQuery { key, why: format!("`{}` is not an offset, a whole number from 0", cut(text)) };
    text.parse().map(Offset).map_err(|_| bad())
}

fn filled<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.into_iter().filter(|(_, value)| !value.is_empty())
}

fn bad(key: &'static str) -> impl Fn(Unfit) -> BadQuery {
    move |unfit| BadQuery { key, why: unfit.to_string() }
}

/// The beginning of a commit hash, in lowercase.
fn prefix(text: &str) -> Result<String, BadQuery> {
    let fits = (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase()).ok_or_else(|| BadQuery {
        key: "sha",
        why: format!("`{}` is not 4 to 64 hex digits of a commit hash", cut(text)),
    })
}

fn state(text: &str) -> Result<String, BadQuery> {
    STATES
        .contains(&text)
        .then(|| text.to_owned())
        .ok_or_else(|| BadQuery { key: "state", why: format!("`{}` is not one of {}", cut(text), STATES.join(", ")) })
}

/// How many of something a page holds.
pub(super) fn limit(text: &str, most: usize) -> Result<usize, BadQuery> {
    text.parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| BadQuery { key: "limit", why: format!("`{}` is not a number from 1 to {most}", cut(text)) })
}

/// As much of what came as an answer repeats.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
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
        assert_eq!(why("repository", "shop"), "`repository`: `shop` is not a repository as `owner/name`");
        let neither = "is neither a day such as 2026-01-31 nor a time such as 2026-01-31T12:00:00Z";
        assert_eq!(why("since", "yesterday"), format!("`since`: `yesterday` {neither}"));
        assert_eq!(why("until", "2026-02-30"), format!("`until`: `2026-02-30` {neither}"));
        let why = |key, value| DeliveriesQuery::parse([(key, value)]).unwrap_err().to_string();
        assert_eq!(why("cursor", "-1"), "`cursor`: `-1` is not an offset, a whole number from 0");
        assert_eq!(DeploymentsQuery::parse([("sha", ""), ("x", "y")]).unwrap(), DeploymentsQuery::default());
        assert_eq!(DeploymentsQuery::parse([("sha", "4F2C")]).unwrap().sha.as_deref(), Some("4f2c"));
    }

    #[test]
    fn a_day_is_the_whole_of_it() {
        let query = DeploymentsQuery::parse([("since", "2026-01-31"), ("until", "2026-01-31")]).unwrap();
        let times = [query.since, query.until].map(|it| it.unwrap().at.to_string());
        assert_eq!(times, ["2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"]);
        let query = DeliveriesQuery::parse([("until", "2026-01-31T12:00:00.5+02:00")]).unwrap();
        assert_eq!(query.until.unwrap().at.to_string(), "2026-01-31T10:00:00.5Z");
    }
}
