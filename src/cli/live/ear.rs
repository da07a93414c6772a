//! The server's event stream as a hint to look again. It keeps nothing of what it hears but where it was.

use std::io;
use std::time::Duration;

use futures_util::TryStreamExt;
use reqwest::RequestBuilder;
use reqwest::header::HeaderName;
use tokio::io::AsyncBufReadExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::io::StreamReader;
use tokio_util::task::AbortOnDropHandle;

use super::super::server::Server;

/// How soon to look again where no stream is to be had, and to ask for one.
const GLANCE: Duration = Duration::from_millis(500);
/// A server that has not begun to answer within this does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server says every 15 s that it is still there.
const SILENCE: Duration = Duration::from_secs(40);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Listens as long as it lives.
pub(super) struct Ear {
    hint: watch::Receiver<()>,
    _listening: AbortOnDropHandle<()>,
}

impl Ear {
    /// One for the events of these streams: a query of `GET /api/v1/events`.
    pub(super) fn open(server: &Server, query: &str) -> Self {
        let (tell, hint) = watch::channel(());
        let ask = server.listener(&format!("/api/v1/events{query}"));
        Self { hint, _listening: AbortOnDropHandle::new(tokio::spawn(listen(ask, tell))) }
    }

    /// Waits until something has happened, or may have.
    pub(super) async fn news(&mut self) {
        if self.hint.changed().await.is_err() {
            sleep(GLANCE).await;
        }
    }
}

/// Listens again wherever a stream ends, from where it was.
async fn listen(ask: impl Fn() -> RequestBuilder, tell: watch::Sender<()>) {
    let mut last = None;
    loop {
        let request = match &last {
            Some(id) => ask().header(LAST_EVENT_ID, id),
            None => ask(),
        };
        // Whether the server is away is found out by whoever looks.
        let _ = hear(request, &mut last, &tell).await;
        sleep(GLANCE).await;
        tell.send_replace(());
    }
}

async fn hear(request: RequestBuilder, last: &mut Option<String>, tell: &watch::Sender<()>) -> anyhow::Result<()> {
    let answer = timeout(PATIENCE, request.send()).await??.error_for_status()?;
    let mut lines = StreamReader::new(answer.bytes_stream().map_err(io::Error::other)).lines();
    // What happened before the stream began is not in it.
    tell.send_replace(());
    while let Some(line) = timeout(SILENCE, lines.next_line()).await?? {
        if let Some(id) = line.strip_prefix("id:") {
            *last = Some(id.trim().to_owned());
        } else if line.starts_with("data:") {
            tell.send_replace(());
        }
    }
    Ok(())
}
