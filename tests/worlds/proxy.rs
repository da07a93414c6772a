//! A TCP proxy between a client and a world, that breaks what it is told to break: one HTTP request at a time, known by
//! a name that the test gives it. It knows no service.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Nobody listens for this long, from the moment on when the request before it was answered.
    RefusedAfterwards(Duration),
    /// The connection is reset before the request is read whole, and nobody behind hears of it.
    CutBefore,
    /// The request arrives and is carried out; the connection is reset before the answer.
    CutAfter,
    /// It is carried out, and answered this much later.
    Slow(Duration),
    /// It is not carried out, and answered so.
    Answer {
        /// The HTTP status.
        status: u16,
        /// `application/x-amz-json-1.1` and the like.
        content_type: &'static str,
        /// The body.
        body: String,
    },
}

/// The head of a request, as far as names are made of it.
pub(crate) struct Head<'a> {
    /// `POST`.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    text: &'a str,
}

impl Head<'_> {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// How a request is called.
type Namer = fn(&Head<'_>) -> String;

struct Shared {
    world: SocketAddr,
    namer: Namer,
    rules: Mutex<Vec<(String, VecDeque<Break>)>>,
    seen: Mutex<Vec<String>>,
    /// Nobody listens until then.
    deaf_until: Mutex<Option<tokio::time::Instant>>,
    opens: Notify,
}

/// A proxy on a port of its own. It ends with its runtime.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// A proxy before `world`, whose requests are named by `namer`. It runs in `runtime`.
    pub(crate) fn start(runtime: &Runtime, world: &str, namer: Namer) -> Self {
        let world = world.trim_start_matches("http://").trim_end_matches('/').parse().expect("a world has an address");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let (rules, seen, deaf_until) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { world, namer, rules, seen, deaf_until, opens: Notify::new() });
        runtime.spawn(listen(Arc::clone(&shared), listener, port));
        Self { shared, port }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next requests of this name go wrong like this, one after the other.
    pub(crate) fn script(&self, name: &str, breaks: impl IntoIterator<Item = Break>) {
        let mut rules = lock(&self.shared.rules);
        let at = rules.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            rules.push((name.to_owned(), VecDeque::new()));
            rules.len() - 1
        });
        rules[at].1.extend(breaks);
    }

    /// Nothing more goes wrong with requests of this name.
    pub(crate) fn forget(&self, name: &str) {
        lock(&self.shared.rules).retain(|(known, _)| known != name);
    }

    /// Nobody listens for so long, from now on.
    pub(crate) fn refuse_for(&self, long: Duration) {
        *lock(&self.shared.deaf_until) = Some(tokio::time::Instant::now() + long);
        // Wakes the listener, so that it hears of it before the next client does.
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
    }

    /// Somebody listens again.
    pub(crate) fn open(&self) {
        self.shared.opens.notify_one();
    }

    /// The names of the requests, in order, broken ones included.
    pub(crate) fn seen(&self) -> Vec<String> {
        lock(&self.shared.seen).clone()
    }
}

/// Takes connections; closes its socket while nobody is to listen.
async fn listen(shared: Arc<Shared>, listener: std::net::TcpListener, port: u16) {
    let open = |listener: std::net::TcpListener| {
        listener.set_nonblocking(true).expect("a socket can be told");
        TcpListener::from_std(listener).expect("the runtime takes it")
    };
    let mut listener = Some(open(listener));
    loop {
        let deaf_until = lock(&shared.deaf_until).take_if(|_| true);
        if let Some(until) = deaf_until.filter(|until| *until > tokio::time::Instant::now()) {
            listener = None;
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = shared.opens.notified() => {}
            }
        }
        let listening = listener.get_or_insert_with(|| {
            open(std::net::TcpListener::bind(("127.0.0.1", port)).expect("nobody took the port meanwhile"))
        });
        let accepted = tokio::time::timeout(Duration::from_millis(5), listening.accept()).await;
        let Ok(Ok((client, _))) = accepted else { continue };
        if lock(&shared.deaf_until).is_some() {
            let _ = reset(client);
            continue;
        }
        let shared = Arc::clone(&shared);
        // What breaks here is what was to be broken, or a client that went away.
        tokio::spawn(async move { drop(serve(&shared, client).await) });
    }
}

/// One connection, which is one request.
async fn serve(shared: &Shared, mut client: TcpStream) -> io::Result<()> {
    let mut kept = Vec::new();
    let Some(length) = head_of(&mut client, &mut kept).await? else { return Ok(()) };
    let text = String::from_utf8_lossy(&kept[..length]).into_owned();
    let mut words = text.split_whitespace();
    let head = Head { method: words.next().unwrap_or_default(), path: words.next().unwrap_or_default(), text: &text };
    let name = (shared.namer)(&head);
    lock(&shared.seen).push(name.clone());
    let breaks = lock(&shared.rules).iter_mut().find(|(known, _)| *known == name).and_then(|(_, it)| it.pop_front());
    if breaks == Some(Break::CutBefore) {
        return reset(client);
    }
    if head.header("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue")) {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = body_of(&mut client, &head, kept.split_off(length)).await?;
    if let Some(Break::Answer { status, content_type, body: answer }) = &breaks {
        let error = answer.split("\"__type\":\"").nth(1).and_then(|it| it.split('"').next()).unwrap_or_default();
        let named = if error.is_empty() { String::new() } else { format!("x-amzn-errortype: {error}\r\n") };
        let answer = if head.method == "HEAD" { "" } else { answer };
        let text = format!(
            "HTTP/1.1 {status} Broken\r\ncontent-type: {content_type}\r\n{named}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        );
        client.write_all(text.as_bytes()).await?;
        return client.shutdown().await;
    }
    let answer = pass_on(shared.world, &text, &body).await?;
    match breaks {
        Some(Break::CutAfter) => return reset(client),
        Some(Break::Slow(long)) => tokio::time::sleep(long).await,
        Some(Break::RefusedAfterwards(long)) => {
            *lock(&shared.deaf_until) = Some(tokio::time::Instant::now() + long);
            // The listener looks every few milliseconds.
            tokio::time::sleep(Duration::from_millis(12)).await;
        }
        Some(Break::CutBefore | Break::Answer { .. }) | None => {}
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

/// Reads to the end of a request's head; gives its length. Nothing where the client has gone.
async fn head_of(client: &mut TcpStream, kept: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(at) = kept.windows(4).position(|it| it == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        if client.read_buf(kept).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads a request's body, as it came.
async fn body_of(client: &mut TcpStream, head: &Head<'_>, mut body: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = head.header("content-length").and_then(|it| it.parse::<usize>().ok());
    let chunked = head.header("transfer-encoding").is_some();
    let is_whole = |body: &[u8]| match length {
        Some(length) => body.len() >= length,
        None => !chunked || body.ends_with(b"0\r\n\r\n"),
    };
    while !is_whole(&body) {
        if client.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}

/// Has the world carry a request out. Gives its whole answer, as it came.
async fn pass_on(world: SocketAddr, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut world = TcpStream::connect(world).await?;
    let kept = head.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !line.is_empty() && name != "connection" && name != "expect"
    });
    let head = kept.chain(["connection: close", "", ""]).collect::<Vec<_>>().join("\r\n");
    world.write_all(head.as_bytes()).await?;
    world.write_all(body).await?;
    let mut answer = Vec::new();
    world.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Ends a connection so that the other side sees it break.
fn reset(client: TcpStream) -> io::Result<()> {
    #[expect(deprecated, reason = "a zero linger does not block: it is what makes the kernel send a reset")]
    client.set_linger(Some(Duration::ZERO))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
