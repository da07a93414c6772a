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
use tokio_util::sync::CancellationToken;

use super::WebState;
use super::door::Reader;
use super::feed::Feed;
use super::forms::Fields;
use super::parameters::{STREAM, parameters};
use super::respond::{Problem, Refusal, answer};
use crate::board::{Board, parse_offset};
use crate::clients::Clock;
use crate::domain::{Offset, Stream};

/// The longest id of an event, in digits.
pub(super) const LONGEST_ID: usize = 20;
/// Proxies cut connections that are silent for a minute, some for half of one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /api/v1/events`: from `Last-Event-ID` (the first after it), from `?from=` (that one first), or what comes from
/// now on. `?stream=deployment/ID`, as often as wanted, leaves out all other streams.
pub(super) async fn events(
    _: Reader,
    state: Data<WebState>,
    feed: Data<Feed>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut ends = state.board.follow();
    let end = *ends.borrow_and_update();
    let query = parameters(&request, &["from", STREAM])?;
    let next = last_seen(request.headers())?.map(Offset::next).or(from(&query)?).unwrap_or(end);
    let only = only(&query)?;
    let permit = Arc::clone(&state.streams)
        .try_acquire_owned()
        .map_err(|_| Refusal::new(503, "too many event streams are open").help("close some of them").retry_after(10))?;
    let greeting = greeting(&state.board, next).await?;
    let (clock, stop) = (state.clock.clone(), state.stop.clone());
    let following = Following {
        feed: feed.into_inner(),
        clock,
        stop,
        ends,
        next: next.min(end),
        only,
        greeting: Some(greeting),
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

/// What a reader is told first: when to come again, and where records that it asked for are there no more.
async fn greeting(board: &Board, next: Offset) -> Result<Bytes, Refusal> {
    let (kept_from, end) = (board.kept_from().await?, board.end());
    let gap = if next > end {
        Some((end, next, format!("the ledger ends at {end}: what was read before is not of this one")))
    } else if next < kept_from {
        Some((next, kept_from, "retention has deleted records in between".to_owned()))
    } else {
        None
    };
    let gap = gap.map_or_else(String::new, |(from, until, text)| {
        let gap = serde_json::to_string(&GapView { from, until, text }).unwrap_or_default();
        format!("event: gap\ndata: {gap}\n\n")
    });
    Ok(format!("retry: 2000\n\n{gap}").into())
}

/// The `data` of an event of the type `gap`: records that were asked for are there no more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub(super) struct GapView {
    /// The offset from which on records may be missing.
    from: Offset,
    /// The offset up to which they may; the stream goes on with it, or with the ledger's end where that is before it.
    until: Offset,
    /// Why, in words.
    text: String,
}

/// One reader of the stream.
struct Following {
    feed: Arc<Feed>,
    clock: Clock,
    stop: CancellationToken,
    ends: watch::Receiver<Offset>,
    next: Offset,
    only: HashSet<Stream>,
    greeting: Option<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Following {
    /// What to send next; nothing when the stream is over.
    async fn chunk(&mut self) -> Option<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            let piece = match self.feed.from(self.next).await {
                Ok(piece) => piece,
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends early; its reader will come again");
                    return None;
                }
            };
            if piece.next() > self.next {
                let text = piece.text(self.next, &self.only);
                self.next = piece.next();
                if !text.is_empty() {
                    return Some(text);
                }
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.ends.changed() => changed.ok()?,
                () = self.clock.sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}
