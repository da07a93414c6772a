//! What was live at a moment, from the successes in the ledger. It looks at so many deployments at most, and says where it
//! found none among them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::query::BadQuery;
use super::reading::{Answer, Board, Inside};
use super::views::LiveView;
use crate::domain::{Deployment, DeploymentId, Live, Offset, TargetName};
use crate::ledger::Filter;

/// Among how many successes born before a moment the last one to end by then is looked for: they end in about the order
/// in which they were born, since a lane runs one at a time.
const SUCCESSES: usize = 50;

/// What was live at a target at a moment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MomentView {
    /// The target.
    pub target: TargetName,
    /// The moment.
    pub at: Timestamp,
    /// What was live; nothing where nothing was, or where it is not known.
    pub live: Option<LiveView>,
    /// Whether `live` is the whole truth: not where nothing was found among the deployments that were looked at, where
    /// retention may have deleted what was live, nor where the engine had brought back what was never deployed from here.
    pub known: bool,
}

/// Reads a moment as people write it: `14:05` is the last time that it was so late, `2026-11-22 14:05` and RFC 3339 say it
/// all. What names no zone is UTC. A moment that is yet to come is none.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp, BadQuery> {
    let bad = |why: String| BadQuery { key: "at", why };
    let cut: String = text.chars().take(80).collect();
    let at = whole(text.trim(), now).ok_or_else(|| {
        bad(format!("`{cut}` is not a time such as `14:05`, `2026-11-22 14:05` or `2026-11-22T14:05:00Z`"))
    })?;
    if at > now { Err(bad(format!("`{cut}` is yet to come"))) } else { Ok(at) }
}

fn whole(text: &str, now: Timestamp) -> Option<Timestamp> {
    let in_utc = |it: DateTime| it.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Some(at) = text.parse::<DateTime>().ok().filter(|_| text.contains(':')) {
        return in_utc(at);
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let at = in_utc(today.to_datetime(text.parse::<Time>().ok().filter(|_| text.contains(':'))?))?;
    if at > now { at.checked_sub(SignedDuration::from_hours(24)).ok() } else { Some(at) }
}

impl Board {
    /// What was live at a target at a moment; nothing where no target is configured by that name.
    pub async fn live_at(&self, name: &TargetName, at: Timestamp) -> Answer<Option<MomentView>> {
        let name = name.clone();
        self.ask(move |inside| {
            let known = inside.targets.iter().any(|it| it.name == name);
            known.then(|| inside.live_at(&name, at)).transpose()
        })
        .await
    }

    /// The same of all targets.
    pub async fn all_live_at(&self, at: Timestamp) -> Answer<Vec<MomentView>> {
        self.ask(move |inside| inside.targets.iter().map(|it| inside.live_at(&it.name, at)).collect()).await
    }
}

impl Inside {
    pub(super) fn live_at(&self, target: &TargetName, at: Timestamp) -> Answer<MomentView> {
        let next = at.saturating_add(SignedDuration::from_millis(1)).unwrap_or(at);
        let filter = Filter {
            target: Some(target.clone()),
            state: Some("succeeded".into()),
            before: Some(DeploymentId::first_at(next)),
            limit: SUCCESSES,
            ..Filter::default()
        };
        let (found, looked_to) = self.ledger.deployments_among(&filter)?;
        // A success without a run is another deployment's.
        let ended = found.iter().filter(|it| it.run().is_some() && it.ended_at().is_some_and(|end| end <= at));
        let last = ended.max_by_key(|it| it.ended_at());
        let live = last.and_then(|it| Some(self.live(&brought(it)?, Some(it))));
        let known = match last {
            Some(it) => live.is_some() && self.nothing_is_gone_since(it)?,
            None => looked_to.is_none() && found.len() < SUCCESSES && self.is_whole()?,
        };
        Ok(MomentView { target: target.clone(), at, live, known })
    }

    /// Whether retention has deleted nothing yet.
    fn is_whole(&self) -> Answer<bool> {
        Ok(self.ledger.kept_from()? == Offset::default())
    }

    /// Whether every success of the target that ended after this one is still in the ledger: retention keeps single old
    /// deployments among those that it deletes.
    fn nothing_is_gone_since(&self, success: &Deployment) -> Answer<bool> {
        let is_live =
            self.ledger.target(&success.order().target.name)?.live.is_some_and(|it| it.deployment == success.id());
        if is_live || self.is_whole()? {
            return Ok(true);
        }
        let oldest = self.ledger.read(self.ledger.kept_from()?, 1)?;
        Ok(oldest.first().is_some_and(|it| success.ended_at().is_some_and(|end| it.at <= end)))
    }
}

/// What a success brought; nothing where that is no commit that is known.
fn brought(it: &Deployment) -> Option<Live> {
    let weighed = it.weighed()?;
    Some(Live { sha: weighed.commit.clone(), deployment: it.id(), at: it.ended_at()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_people_write_it() {
        let now = "2026-11-22T15:00:00Z".parse().unwrap();
        let read = |text| moment(text, now).map(|it| it.to_string()).map_err(|it| it.to_string());
        for (text, at) in [
            ("14:05", "2026-11-22T14:05:00Z"),
            (" 14:05:30 ", "2026-11-22T14:05:30Z"),
            ("15:01", "2026-11-21T15:01:00Z"),
            ("2026-11-22 14:05", "2026-11-22T14:05:00Z"),
            ("2026-11-22T14:05", "2026-11-22T14:05:00Z"),
            ("2026-11-22T14:05:00+02:00", "2026-11-22T12:05:00Z"),
            ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
        }
        for text in ["", "noon", "2026-11-22", "14", "25:00"] {
            assert!(read(text).unwrap_err().contains("is not a time such as `14:05`"), "{text}");
        }
        assert_eq!(read("2026-11-23 09:00").unwrap_err(), "`at`: `2026-11-23 09:00` is yet to come");
    }
}
