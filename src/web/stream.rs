//! The event stream: every record from an offset on, as it becomes durable. It skips nothing and invents nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentEncoding, HeaderMap};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::WebState;
use super::access::Pass;
use super::door::Reader;
use super::feed::{Audience, Feed, NEAR};
use super::forms::Fields;
use super::parameters::{STREAM, parameters};
use super::respond::{Problem, Refusal, answer};
use crate::board::{Board, BoardError, parse_offset};
use crate::domain::{Offset, Role, Stream};

/// The longest id of an event, in digits.
pub(super) const LONGEST_ID: usize = 20;
/// Proxies cut connections that are silent for a minute, some for half of one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /api/v1/events`: from `Last-Event-ID` (the first after it), from `?from=` (that one first), or what comes from
/// now on. `?stream=deployment/ID`, as often as wanted, leaves out all other streams.
pub(super) async fn events(
    reader: Reader,
    state: Data<WebState>,
    feed: Data<Feed>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut ends = state.board.follow();
    let end = *ends.borrow_and_update();
    let query = parameters(&request, &["from", STREAM])?;
    let next = last_seen(request.headers())?.map(Offset::next).or(from(&query)?).unwrap_or(end);
    let audience = Audience { only: only(&query)?, is_stranger: reader.grant().is_none() };
    if audience.only.contains(&Stream::Bot) {
        // What people asked for is the audit trail: free reading does not reach it.
        reader.reaches(Role::Read)?;
    }
    let permit = Arc::clone(&state.streams)
        .try_acquire_owned()
        .map_err(|_| Refusal::new(503, "too many event streams are open").help("close some of them").retry_after(10))?;
    let gap = gap(&state.board, next).await?;
    let following = Following {
        feed: feed.into_inner(),
        ends,
        next: next.min(end),
        audience,
        pass: reader.pass(),
        greeting: Some(format!("retry: 2000\n\n{}", gap.as_ref().map(GapView::event).unwrap_or_default()).into()),
        told_until: gap.map_or(next.min(end), |gap| gap.until),
        state,
        _permit: permit,
    };
    let body = stream::unfold(following, |mut it| async {
        it.chunk().await.map(|chunk| (Ok::<_, std::convert::Infallible>(chunk), it))
    });
    Ok(answer(StatusCode::OK)
        .content_type("text/event-stream")
        // nginx would otherwise keep events back until its buffer is full.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header(ContentEncoding::Identity)
        .streaming(body))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<Offset>, Refusal> {
    let Some(value) = headers.get("Last-Event-ID").filter(|it| !it.is_empty()) else { return Ok(None) };
    let is_id = |text: &&str| text.len() <= LONGEST_ID && text.bytes().all(|it| it.is_ascii_digit());
    let text = value.to_str().ok().filter(is_id);
    let bad = || Refusal::new(400, format!("`Last-Event-ID` is not an offset, 1 to {LONGEST_ID} digits"));
    // Digits of which there are too many for an offset are of no ledger: they are behind the end of any.
    text.map(|text| Some(Offset(text.parse().unwrap_or(u64::MAX)))).ok_or_else(bad)
}

fn from(query: &Fields) -> Result<Option<Offset>, Refusal> {
    Ok(query.get("from").map(|value| parse_offset("from", value)).transpose()?)
}

fn only(query: &Fields) -> Result<HashSet<Stream>, Refusal> {
    let wanted = query.pairs().filter(|(key, _)| *key == STREAM);
    wanted.map(|(_, name)| Stream::parse(name).map_err(Refusal::from)).collect()
}

/// Where records that a reader asked for are there no more.
async fn gap(board: &Board, next: Offset) -> Result<Option<GapView>, Refusal> {
    let (kept_from, end) = (board.kept_from().await?, board.end());
    if next > end {
        let text = format!("the ledger ends at {end}: what was read before is not of this one");
        return Ok(Some(GapView { from: kept_from, until: end, text }));
    }
    let text = || "retention has deleted records in between".to_owned();
    Ok((next < kept_from).then(|| GapView { from: next, until: kept_from, text: text() }))
}

/// The `data` of an event of the type `gap`: records that were to come are not sent, or are there no more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub(super) struct GapView {
    /// The offset from which on records may be missing.
    from: Offset,
    /// The offset up to which they may: from there on the stream has everything.
    until: Offset,
    /// Why, in words.
    text: String,
}

impl GapView {
    fn event(&self) -> String {
        format!("event: gap\ndata: {}\n\n", serde_json::to_string(self).unwrap_or_default())
    }
}

/// One reader of the stream.
struct Following {
    state: Data<WebState>,
    feed: Arc<Feed>,
    ends: watch::Receiver<Offset>,
    next: Offset,
    audience: Audience,
    /// By what the reader is known; nothing where nobody has to be.
    pass: Option<Pass>,
    greeting: Option<Bytes>,
    /// Up to which offset the reader knows that records may be missing.
    told_until: Offset,
    _permit: OwnedSemaphorePermit,
}

impl Following {
    /// What to send next; nothing when the stream is over.
    async fn chunk(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if self.is_over() {
                return None;
            }
            let step = self.step().await.inspect_err(|error| {
                tracing::warn!(%error, "an event stream ends early; its reader will come again");
            });
            match step.ok()? {
                Some(text) if !text.is_empty() => return Some(text),
                Some(_) => continue,
                None => {}
            }
            tokio::select! {
                () = self.state.stop.cancelled() => return None,
                changed = self.ends.changed() => changed.ok()?,
                () = self.state.clock.sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    /// Whether the bot ends, or the reader may read no more: a token was revoked, a session is over.
    fn is_over(&self) -> bool {
        let now = self.state.clock.now();
        self.state.stop.is_cancelled() || self.pass.as_ref().is_some_and(|it| !self.state.tokens.still_know(it, now))
    }

    /// What there is to read, which may be nothing for this reader; nothing at all at the end.
    async fn step(&mut self) -> Result<Option<Bytes>, BoardError> {
        if self.state.board.end().0.saturating_sub(self.next.0) > NEAR {
            let kept_from = self.state.board.kept_from().await?;
            if self.told_until.max(self.next) < kept_from {
                // Retention was faster than this reader.
                self.told_until = kept_from;
                let text = "retention has deleted records in between".to_owned();
                return Ok(Some(GapView { from: self.next, until: kept_from, text }.event().into()));
            }
        }
        let piece = self.feed.from(self.next).await?;
        if piece.next() <= self.next {
            return Ok(None);
        }
        let text = piece.text(self.next, &self.audience);
        self.next = piece.next();
        Ok(Some(text))
    }
}
