//! What a deployment's scripts said, for readers: a page of its log, and what is found in it. It asks the engine where
//! that keeps a log, and shows the last lines that the ledger has where it does not. It never holds a log as a whole.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::query::{BadQuery, limit};
use super::reading::{Answer, Board, BoardError, Inside};
use crate::domain::{Deployment, DeploymentId, LogLine, LogReading, Target};
use crate::engine::{Engine, Log, LogFrom, LogPart, LogPiece};

/// Finds the engine of a target, as its deployment stored it.
pub type EngineOf = Arc<dyn Fn(&Target) -> Arc<dyn Engine> + Send + Sync>;

/// How many lines a page holds unless the reader says otherwise.
const USUAL: usize = 200;
/// How much of a log is searched, in bytes from its end: some second's work.
const SEARCHED: u64 = 64 << 20;
/// How many of the lines that are found are shown: the newest ones.
const SHOWN: usize = 200;
/// How long a search waits for those before it: for some of them.
const TURN: Duration = Duration::from_secs(5);

/// Which page of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// From where.
    pub from: LogFrom,
    /// At most so many lines.
    pub limit: usize,
}

/// A page of a log, oldest line first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// What to ask with for what comes next; nothing where nothing will.
    pub cursor: Option<u64>,
    /// What to ask with for what came before; nothing on the first page.
    pub before: Option<u64>,
    /// Whether nothing more will come than this: the deployment has ended, and this is its log's end.
    pub over: bool,
    /// Why there is less than all of it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was found in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogHits {
    /// How many lines have it.
    pub count: usize,
    /// The newest of them, oldest first.
    pub lines: Vec<LogLine>,
    /// Whether the log is longer than what was searched.
    pub cut: bool,
    /// Why there is less than all of it, in words.
    pub note: Option<String>,
}

impl LogQuery {
    /// How many lines a page holds at most.
    pub const MOST: usize = 1000;
    /// The parameters that there are.
    pub const PARAMETERS: &'static [&'static str] = &["cursor", "before", "limit"];
    /// The newest lines.
    pub const NEWEST: Self = Self { from: LogFrom::Before(u64::MAX), limit: USUAL };

    /// Reads the parameters of a URL; without a place among them, `or` is it.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, or: LogFrom) -> Result<Self, BadQuery> {
        let mut query = Self { from: or, limit: USUAL };
        for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            match key {
                "cursor" => query.from = LogFrom::Byte(place("cursor", value)?),
                "before" => query.from = LogFrom::Before(place("before", value)?),
                "limit" => query.limit = limit(value, Self::MOST)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

fn place(key: &'static str, text: &str) -> Result<u64, BadQuery> {
    let cut: String = text.chars().take(80).collect();
    let why = || format!("`{cut}` is not a place in a log, a whole number from 0");
    text.parse().map_err(|_| BadQuery { key, why: why() })
}

impl Board {
    /// A page of what a deployment's scripts said; nothing where there is no such deployment.
    pub async fn log(&self, id: DeploymentId, query: LogQuery) -> Answer<Option<LogPage>> {
        self.ask(move |inside| {
            let Some(deployment) = inside.ledger.deployment(id)? else { return Ok(None) };
            inside.log(&deployment, query).map(Some)
        })
        .await
    }

    /// The lines of a deployment's log that have this text, in whatever case. One search runs at a time, since each reads
    /// much: [`BoardError::Busy`] where it does not get its turn soon.
    pub async fn search_log(&self, id: DeploymentId, text: &str) -> Answer<LogHits> {
        let text = text.to_lowercase();
        let alone = self.inside.turn_to_search().await?;
        self.ask(move |inside| {
            // Whoever asked may have gone away: until this search is over, no other begins.
            let _alone = alone;
            let Some(deployment) = inside.ledger.deployment(id)? else { return Ok(LogHits::default()) };
            inside.search_log(&deployment, &text)
        })
        .await
    }
}

impl Inside {
    async fn turn_to_search(&self) -> Answer<OwnedMutexGuard<()>> {
        timeout(TURN, Arc::clone(&self.searching).lock_owned()).await.map_err(|_| BoardError::Busy)
    }

    fn log(&self, deployment: &Deployment, query: LogQuery) -> Answer<LogPage> {
        // It was read before the log is: where it is over, the log is whole.
        let is_over = deployment.state().is_over();
        let LogQuery { from, limit } = query;
        let kept = match (&self.engines, deployment.run()) {
            (Some(engines), Some(run)) => {
                let engine = engines(&deployment.order().target);
                engine.log(run, LogPart { from, lines: limit, is_over }).map_err(BoardError::Log)?
            }
            (Some(_), None) => Log::Absent,
            (None, _) => Log::NotKept,
        };
        let note = match &kept {
            Log::Piece(_) => None,
            Log::NotKept if failed_with(deployment).is_empty() => {
                Some("the engine keeps what scripts say on its instances")
            }
            Log::NotKept => {
                Some("the engine keeps what scripts say on its instances: of what failed, the last lines are here")
            }
            Log::Absent if is_over && deployment.run().is_some() => {
                Some("the log was deleted with what was unpacked for it, as `max_revisions` says")
            }
            Log::Absent => None,
        };
        let piece = match kept {
            Log::Piece(piece) => piece,
            Log::NotKept | Log::Absent => last_lines(deployment, from),
        };
        let LogPiece { lines, begins, next, length: _, more } = piece;
        let over = is_over && !more;
        let (cursor, before) = ((!over).then_some(next), (begins > 0).then_some(begins));
        Ok(LogPage { lines, cursor, before, over, note: note.map(str::to_owned) })
    }

    fn search_log(&self, deployment: &Deployment, text: &str) -> Answer<LogHits> {
        let mut hits = LogHits::default();
        let newest = self.log(deployment, LogQuery { from: LogFrom::Before(u64::MAX), limit: 1 })?;
        let begins = newest.before.unwrap_or_default().saturating_sub(SEARCHED);
        (hits.cut, hits.note) = (begins > 0, newest.note);
        let mut from = begins;
        loop {
            let page = self.log(deployment, LogQuery { from: LogFrom::Byte(from), limit: usize::MAX })?;
            let nothing_came = page.lines.is_empty();
            let found = page.lines.into_iter().filter(|it| it.text.to_lowercase().contains(text));
            found.for_each(|it| hits.take(it));
            match page.cursor.filter(|_| !nothing_came) {
                Some(cursor) => from = cursor,
                None => return Ok(hits),
            }
        }
    }
}

impl LogHits {
    fn take(&mut self, line: LogLine) {
        self.count += 1;
        if self.lines.len() == SHOWN {
            self.lines.remove(0);
        }
        self.lines.push(line);
    }
}

/// What the ledger has of the log of a run that failed.
fn failed_with(deployment: &Deployment) -> &str {
    deployment.state().failure().and_then(|it| it.detail.as_deref()).unwrap_or_default()
}

/// The same as a piece of a log.
fn last_lines(deployment: &Deployment, from: LogFrom) -> LogPiece {
    let detail = failed_with(deployment);
    let end = detail.len() as u64;
    match from {
        LogFrom::Byte(0) | LogFrom::Before(1..) => {
            LogPiece { lines: LogReading::all(detail), begins: 0, next: end, length: end, more: false }
        }
        LogFrom::Byte(_) | LogFrom::Before(0) => LogPiece { next: end, length: end, ..LogPiece::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_log_is_a_number_and_a_page_has_an_end() {
        let parse = |key, value| LogQuery::parse([(key, value)], LogFrom::Byte(0)).map_err(|it| it.to_string());
        assert_eq!(parse("cursor", "12").unwrap().from, LogFrom::Byte(12));
        assert_eq!(parse("before", "12").unwrap().from, LogFrom::Before(12));
        assert_eq!(parse("cursor", "-1").unwrap_err(), "`cursor`: `-1` is not a place in a log, a whole number from 0");
        assert_eq!(parse("limit", "1001").unwrap_err(), "`limit`: `1001` is not a number from 1 to 1000");
    }
}
