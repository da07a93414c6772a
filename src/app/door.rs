//! What faces the network: how many may come in, how long they may take, and what every request passes. It knows no answer.
//!
//! What is bounded, and what happens there:
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | connections | half of the descriptors that the process may have, 2048 at most | new ones wait until another ends |
//! | connections of one source that has proven nothing, from which nobody was let in | an eighth of them | closed at once |
//! | a request's head | 5 s, 128 KiB | 408, closed |
//! | a request's body | 30 s, 6 s of silence (the web: 35 s, 8 s; 64 KiB) | 408 or 400, closed |
//! | bodies of webhooks under way | 64 KiB each, `server.bodies_in_flight` for all above | the worst makes room, or 503 |
//! | an answer that nobody reads | 30 s | closed |
//! | a connection without a request | 5 s | closed |
//! | event streams | five eighths of all connections | 503 |
//! | writes that wait for the ledger | one for each request and each task that waits for its answer | they wait |
//! | what was heard for the conductor | as many words as a channel of it holds | dropped: what they bring comes later, too |
//!
//! Why a connection is kept for its next request only after one that proved something: the time for a head is counted for
//! the first one alone, so that whoever is a stranger has one.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServerHandle, Service, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Compress;
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, Data};
use actix_web::{App as HttpApp, HttpMessage, HttpServer};
use futures_util::{StreamExt, stream};
use nix::sys::resource::{Resource, getrlimit};
use socket2::SockRef;
use tokio::time::{Instant, timeout_at};

use super::AppError;
use crate::board::Figures;
use crate::intake::slack::{self, SlackState};
use crate::intake::sns::{self, SnsState};
use crate::intake::{self, IntakeState};
use crate::web::{self, WebState};

/// Threads that take requests. They never read the ledger, so that two are enough for any rate that a disk can bear.
const WORKERS: usize = 2;
/// The most connections at a time. GitHub's are a handful, and each may hold some 200 KiB.
const CONNECTIONS: usize = 2048;
/// How long a head may take, and how long a connection may wait for its next request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a body may take, and how long it may say nothing. Webhooks, which say so in words, have less.
const BODY_WITHIN: Duration = Duration::from_secs(35);
const SILENT: Duration = Duration::from_secs(8);
/// How long what was sent may lie unread at the other side.
pub(super) const UNREAD: Duration = Duration::from_secs(30);

/// What the network reaches.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) intake: IntakeState,
    pub(super) sns: SnsState,
    pub(super) slack: SlackState,
    pub(super) web: Data<WebState>,
    pub(super) figures: Figures,
    pub(super) unread: Duration,
}

impl Door {
    /// Takes the port.
    pub(super) fn open(self, address: SocketAddr) -> Result<(SocketAddr, ServerHandle), AppError> {
        let listen = |source| AppError::Listen { address, source };
        let (most, sources, unread) = (connections(), self.intake.sources(), self.unread);
        let seen = sources.clone();
        let routes = move || {
            let seen = seen.clone();
            let Self { intake, sns, slack, web, figures, unread: _ } = self.clone();
            let public_reads = web.public_reads;
            HttpApp::new()
                // What is written as it happens says of itself that it is not to be held back for this.
                .wrap(Compress::default())
                .wrap_fn(move |mut request, service| {
                    let (figures, door) = (figures.clone(), Part::of(request.path()));
                    let (seen, peer) = (seen.clone(), request.peer_addr());
                    let body = hasten(&mut request);
                    let answer = service.call(request);
                    async move {
                        let answer = answer.await;
                        let status = match &answer {
                            Ok(answer) => answer.status(),
                            Err(error) => error.as_response_error().status_code(),
                        };
                        figures.answered(door.name(), status.as_u16());
                        let stays = status.is_success() && door.proves(public_reads);
                        if let Some(peer) = peer.filter(|_| stays && door.is_for_readers()) {
                            seen.welcome(peer.ip());
                        }
                        answer.map(|answer| leaving(answer.map_into_boxed_body(), body, stays))
                    }
                })
                .configure(|routes| intake::routes(routes, intake))
                .configure(|routes| sns::routes(routes, sns))
                .configure(|routes| slack::routes(routes, slack))
                .configure(|routes| web::routes(routes, web))
        };
        let server = HttpServer::new(routes)
            .workers(WORKERS)
            .disable_signals()
            .shutdown_timeout(5)
            .max_connections(most / WORKERS)
            .client_request_timeout(HEAD_WITHIN)
            .keep_alive(HEAD_WITHIN)
            .on_connect(move |connection, kept| {
                let Some(connection) = connection.downcast_ref::<TcpStream>() else { return };
                let socket = SockRef::from(connection);
                // Where the system has no such setting, whoever reads nothing is bounded by the number of connections.
                let _ = socket.set_tcp_user_timeout(Some(unread));
                let Ok(peer) = connection.peer_addr() else { return };
                match sources.enter(peer.ip(), most / 8) {
                    Some(visit) => drop(kept.insert(visit)),
                    None => drop(socket.shutdown(std::net::Shutdown::Both)),
                }
            })
            .bind(address)
            .map_err(listen)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        Ok((address, handle))
    }
}

/// How many connections there may be: the ledger and the deployments need descriptors, too, and a ledger that gets none
/// is closed.
fn connections() -> usize {
    let (descriptors, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    usize::try_from(descriptors / 2).unwrap_or(CONNECTIONS).clamp(16, CONNECTIONS)
}

/// How many of the connections may be event streams: a thousand, where there are descriptors enough.
pub(super) fn streams() -> usize {
    connections() / 8 * 5
}

/// A part of the bot.
#[derive(Clone, Copy)]
enum Part {
    GitHub,
    Sns,
    Slack,
    Api,
    Probes,
    /// What a page needs before anybody is signed in.
    Front,
    Pages,
}

impl Part {
    fn of(path: &str) -> Self {
        match path.trim_start_matches('/').split('/').next().unwrap_or_default() {
            "webhooks" if path == "/webhooks/github" => Self::GitHub,
            "webhooks" if path == "/webhooks/sns" => Self::Sns,
            "webhooks" if path == "/webhooks/slack" => Self::Slack,
            "api" => Self::Api,
            "healthz" | "readyz" | "metrics" => Self::Probes,
            "login" | "logout" | "assets" | "badge" => Self::Front,
            _ => Self::Pages,
        }
    }

    /// What the figures call it.
    fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Sns => "sns",
            Self::Slack => "slack",
            Self::Api => "api",
            Self::Probes => "probes",
            Self::Front | Self::Pages => "pages",
        }
    }

    /// Whether people and programs look at something here.
    fn is_for_readers(self) -> bool {
        match self {
            Self::Api | Self::Pages => true,
            Self::GitHub | Self::Sns | Self::Slack | Self::Probes | Self::Front => false,
        }
    }

    /// Whether who gets what they asked for here has proven who they are.
    fn proves(self, public_reads: bool) -> bool {
        match self {
            Self::GitHub | Self::Sns | Self::Slack => true,
            Self::Api | Self::Pages => !public_reads,
            Self::Probes | Self::Front => false,
        }
    }
}

/// A request's body where it comes from, shared with the answer.
type Unread = Rc<RefCell<Payload>>;

/// Gives a request's body its time. What is left of it is to be held until the answer is on its way: the server would
/// otherwise read the rest of it, however long that takes.
fn hasten(request: &mut ServiceRequest) -> Option<Unread> {
    let headers = request.headers();
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    let body = Rc::new(RefCell::new(request.take_payload()));
    let until = Instant::now() + BODY_WITHIN;
    let pieces = stream::unfold(Some(body.clone()), move |body| async move {
        let body = body?;
        let next = std::future::poll_fn(|cx| body.borrow_mut().poll_next_unpin(cx));
        let piece = match timeout_at(until.min(Instant::now() + SILENT), next).await {
            Ok(piece) => piece?,
            Err(_) => return Some((Err(PayloadError::Io(io::ErrorKind::TimedOut.into())), None)),
        };
        Some((piece, Some(body)))
    });
    request.set_payload(Payload::Stream { payload: Box::pin(pieces) });
    Some(body)
}

/// An answer on its way; the connection ends with it, unless it is to stay.
fn leaving(mut answer: ServiceResponse, unread: Option<Unread>, stays: bool) -> ServiceResponse {
    if !stays {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    match unread {
        None => answer,
        Some(unread) => answer.map_body(|_, body| BoxBody::new(Holding { body, _unread: unread })),
    }
}

/// An answer's body, with the request's.
struct Holding {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
