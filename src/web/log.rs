//! A deployment's log as people read it: the section of its page, and the whole as plain text. Views of the board.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::WebState;
use super::door::Reader;
use super::forms::Fields;
use super::respond::{Refusal, Sorry, answer};
use crate::board::{Board, BoardError, LogHits, LogPage, LogQuery};
use crate::domain::{DeploymentId, LogLine, Role};
use crate::engine::LogFrom;

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 200;

/// The log on a deployment's page.
pub(super) struct LogSheet {
    /// What is searched for; empty where nothing is.
    pub(super) wanted: String,
    /// What was found.
    pub(super) hits: Option<LogHits>,
    /// The lines, where nothing is searched for.
    pub(super) page: LogPage,
    /// Whether they are the newest ones, which a script may add to.
    pub(super) is_newest: bool,
}

impl LogSheet {
    /// What a page's address asks for. A log that cannot be read is no reason to show nothing of its deployment.
    pub(super) async fn of(board: &Board, id: DeploymentId, request: &HttpRequest) -> Result<Self, Refusal> {
        let wanted = form_urlencoded::parse(request.query_string().as_bytes()).find(|(key, _)| key == "q");
        let wanted: String =
            wanted.map(|(_, text)| text.trim().chars().take(LONGEST_SEARCH).collect()).unwrap_or_default();
        let query = LogQuery::parse(Fields::of(request).pairs(), LogQuery::NEWEST.from)?;
        let noted = |error: BoardError| LogPage { note: Some(error.to_string()), ..LogPage::default() };
        let (mut hits, mut page) = (None, LogPage::default());
        if wanted.is_empty() {
            page = board.log(id, query).await.map_or_else(noted, Option::unwrap_or_default);
        } else {
            match board.search_log(id, &wanted).await {
                Ok(found) => hits = Some(found),
                Err(error) => page = noted(error),
            }
        }
        let is_newest = wanted.is_empty() && query.from == LogQuery::NEWEST.from;
        Ok(Self { wanted, hits, page, is_newest })
    }

    /// What is shown: what was found, or the page.
    pub(super) fn lines(&self) -> &[LogLine] {
        self.hits.as_ref().map_or(&self.page.lines, |hits| &hits.lines)
    }

    /// Why there is less than all of it, in words.
    pub(super) fn note(&self) -> Option<&str> {
        self.hits.as_ref().map_or(&self.page.note, |hits| &hits.note).as_deref()
    }

    /// Whether what is shown lies in a log that is read from here, and can be linked to.
    pub(super) fn is_kept(&self) -> bool {
        self.note().is_none()
    }

    /// Where a script goes on; nothing where nothing more comes, or something else than the newest is shown.
    pub(super) fn goes_on(&self) -> Option<u64> {
        self.page.cursor.filter(|_| self.is_newest && self.is_kept())
    }

    /// Whether an open page keeps this as it is when all around it is shown anew: what a script goes along with, what
    /// somebody reads, and what was searched for, which is never searched for again unasked.
    pub(super) fn stays(&self) -> bool {
        self.goes_on().is_some() || !self.lines().is_empty() || !self.wanted.is_empty()
    }
}

/// Whether a line is the first of its event and script among these, and no heading of the same event follows at once.
pub(super) fn turns(lines: &[LogLine], at: &usize) -> bool {
    let under = |it: &LogLine| (it.event.clone(), it.script.clone());
    let at = *at;
    let Some(line) = lines.get(at) else { return false };
    let is_first = at.checked_sub(1).and_then(|before| lines.get(before)).is_none_or(|it| under(it) != under(line));
    let next = lines.get(at + 1).filter(|next| line.heading && next.heading && next.event == line.event);
    is_first && line.event.is_some() && next.is_none()
}

/// Under which event and script the last line was said, for a script that goes on.
pub(super) fn last_under(lines: &[LogLine]) -> String {
    let name = |it: &Option<String>| it.clone().unwrap_or_default();
    lines.last().map(|it| format!("{} {}", name(&it.event), name(&it.script))).unwrap_or_default()
}

/// A line's text with what is searched for marked; everything is escaped.
pub(super) fn marked(text: &str, wanted: &str) -> String {
    let (folded, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    // Letters whose small form is of another length would shift what is marked: such a line is shown without.
    if wanted.is_empty() || folded.len() != text.len() {
        return escape(text);
    }
    let (mut html, mut from) = (String::with_capacity(text.len() + 16), 0);
    for (at, hit) in folded.match_indices(&wanted) {
        let Some((before, found)) = text.get(from..at).zip(text.get(at..at + hit.len())) else { continue };
        html += &format!("{}<mark>{}</mark>", escape(before), escape(found));
        from = at + hit.len();
    }
    html + &escape(text.get(from..).unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// `GET /deployments/{id}/log`: the whole of it as plain text, as far as it is written. Free reading does not reach it.
pub(super) async fn whole(reader: Reader, state: Data<WebState>, id: Path<String>) -> Result<HttpResponse, Sorry> {
    reader.reaches(Role::Read)?;
    let id = DeploymentId::parse(&id)?;
    let from = |place| LogQuery { from: LogFrom::Byte(place), limit: usize::MAX };
    let first = state.board.log(id, from(0)).await?;
    let first = first.ok_or_else(|| Refusal::new(404, format!("there is no deployment `{id}`")))?;
    let board = state.board.clone();
    let body = stream::try_unfold(Some(first), move |page| {
        let board = board.clone();
        async move {
            let Some(page) = page else { return Ok::<_, BoardError>(None) };
            let next = match page.cursor.filter(|_| !page.lines.is_empty()) {
                Some(cursor) => board.log(id, from(cursor)).await?,
                None => None,
            };
            Ok(Some((plain(&page), next)))
        }
    });
    Ok(answer(StatusCode::OK).content_type("text/plain; charset=utf-8").streaming(body))
}

/// A page as lines of text.
fn plain(page: &LogPage) -> Bytes {
    let note = page.note.iter().map(|note| format!("[landfall]{note}\n"));
    note.chain(page.lines.iter().map(|it| it.plain() + "\n")).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_marked_in_whatever_case_and_nothing_gets_through() {
        assert_eq!(marked("An <Error>: ERROR", "error"), "An &lt;<mark>Error</mark>&gt;: <mark>ERROR</mark>");
        assert_eq!(marked("a<b", ""), "a&lt;b");
        assert_eq!(marked("İ error <", "error"), "İ error &lt;");
        assert_eq!(marked("größer", "ß"), "grö<mark>ß</mark>er");
    }
}
