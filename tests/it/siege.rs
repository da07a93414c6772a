//! The door under siege: senders that are slow, silent, many or forging, beside real deliveries, which all are taken.
//!
//! `LANDFALL_SIEGE=long` also waits for what takes half a minute: a byte a second.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]
#![expect(clippy::disallowed_methods, reason = "a test looks at how long it takes, and asks how long it may")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use landfall::app::Parts;

use crate::bot::{Bot, Extra};
use crate::worlds::push::{self, SECRET, signature};

fn bot(bodies_in_flight: &'static str) -> Bot {
    let mut bot = Bot::asleep(&Extra::default());
    let server = format!("[server]\nbodies_in_flight = \"{bodies_in_flight}\"");
    bot.change("[server]", &server);
    bot.start();
    bot
}

/// A connection, with what was sent on it so far.
fn connect(bot: &Bot, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(bot.app().address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

fn head(method: &str, path: &str, more: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n").into_bytes()
}

/// The head of a delivery whose signature is well-formed, and of nothing.
fn forged(length: usize) -> Vec<u8> {
    let signature = signature(SECRET, b"");
    head("POST", "/webhooks/github", &format!("X-Hub-Signature-256: {signature}\r\nContent-Length: {length}\r\n"))
}

/// What is answered until the connection ends, and how long that takes.
fn until_the_end(mut stream: TcpStream) -> (String, Duration) {
    let (begun, mut answer) = (Instant::now(), Vec::new());
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert!(matches!(error.kind(), ErrorKind::ConnectionReset), "{error}: not cut off"),
    }
    (String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

#[test]
fn who_falls_silent_is_cut_off_wherever() {
    let bot = bot("30MiB");
    let silent = [
        ("nothing at all", vec![], "408", 7),
        ("half a head", b"GET /healthz HTTP/1.1\r\nHo".to_vec(), "408", 7),
        ("half a webhook", [&forged(1000)[..], b"{"].concat(), "408", 9),
        ("half a form", [&head("POST", "/login", "Content-Length: 100\r\n")[..], b"token"].concat(), "40", 11),
        ("an endless body that nobody wants", head("GET", "/healthz", "Transfer-Encoding: chunked\r\n"), "200", 4),
        ("a long body that nobody wants", head("GET", "/healthz", "Content-Length: 9999\r\n"), "200", 4),
        ("a stranger's second request", [head("GET", "/healthz", ""), b"GET /hea".to_vec()].concat(), "200", 4),
    ];
    std::thread::scope(|threads| {
        for (what, sent, status, within) in silent {
            let stream = connect(&bot, &sent);
            threads.spawn(move || {
                let (answer, took) = until_the_end(stream);
                assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
                assert!(took < Duration::from_secs(within), "{what}: {took:?}");
            });
        }
    });
    assert_eq!(bot.deliver("d-1", &"1".repeat(40)).0, 202);
}

#[test]
fn what_trickles_is_cut_off_in_half_a_minute() {
    if std::env::var("LANDFALL_SIEGE").is_err() {
        eprintln!("left out: it takes half a minute (LANDFALL_SIEGE=long)");
        return;
    }
    let bot = bot("30MiB");
    let trickles = [
        (b"GET /healthz HTTP/1.1\r\nX: ".to_vec(), 7),
        (forged(1000), 33),
        (head("POST", "/login", "Content-Length: 1000\r\n"), 38),
    ];
    std::thread::scope(|threads| {
        for (sent, within) in trickles {
            let mut stream = connect(&bot, &sent);
            threads.spawn(move || {
                let begun = Instant::now();
                while stream.write_all(b"x").is_ok() {
                    assert!(begun.elapsed() < Duration::from_secs(within), "{}", String::from_utf8_lossy(&sent));
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
        }
    });
}

#[test]
fn who_never_reads_an_answer_is_cut_off() {
    let mut bot = Bot::asleep(&Extra::default());
    bot.parts = |parts| Parts { unread: Duration::from_secs(2), ..parts };
    bot.start();
    let token = std::fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&bot.app().address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Answers of which each is asked for once the one before lies there, until no more is heard.
    let ask = head("GET", "/api/v1/targets", &format!("Authorization: Bearer {}\r\n", token.trim()));
    let asked = std::iter::repeat_with(|| stream.write_all(&ask)).take_while(Result::is_ok).count();
    assert!(asked > 1000, "{asked}");
    let (client, server) = (stream.local_addr().unwrap().port(), bot.app().address.port());
    bot.wait_for("the connection to be given up", |_| !is_open(server, client));
    assert_eq!(bot.deliver("d-1", &"1".repeat(40)).0, 202);
}

/// Whether the system knows an open connection from one port of this machine to another.
fn is_open(from: u16, to: u16) -> bool {
    let ends = format!("0100007F:{from:04X} 0100007F:{to:04X} 01 ");
    std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&ends)
}

#[test]
fn one_source_has_its_share_of_connections_until_it_has_proven_itself() {
    let bot = bot("30MiB");
    let mut kept = connect(&bot, b"");
    let mut open = Vec::new();
    let is_closed = |stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        matches!((&*stream).read(&mut [0]), Ok(0)) || stream.take_error().unwrap().is_some()
    };
    let closed = loop {
        assert!(open.len() < 300, "nobody is refused");
        let stream = connect(&bot, b"");
        if open.len() % 16 == 15 && is_closed(&stream) {
            break open.len();
        }
        open.push(stream);
    };
    // Whoever is in is heard, and from then on the source has what it needs.
    let body = push::payload("acme/site", &"1".repeat(40)).to_string();
    let headers = format!(
        "X-Hub-Signature-256: {}\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: d-1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        signature(SECRET, body.as_bytes()),
        body.len()
    );
    kept.write_all(&head("POST", "/webhooks/github", &headers)).unwrap();
    kept.write_all(body.as_bytes()).unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202", "with {closed} open");
    assert_eq!(bot.deliver("d-1", &"1".repeat(40)).0, 200, "over a new connection");
}

/// A stalled body makes room for one that comes, and its sender is told to come again.
#[test]
fn a_body_that_stalls_makes_room() {
    let bot = bot("3MiB");
    let mut slow = connect(&bot, &forged(4 << 20));
    slow.write_all(&vec![b'x'; 3 << 20]).unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    let mut payload = push::payload("acme/site", &"1".repeat(40));
    payload["padding"] = "x".repeat(2 << 20).into();
    let (status, told) = bot.runtime.block_on(crate::bot::deliver(&bot.url(), "d-1", &payload));
    assert_eq!(status, 202, "{told}");
    let (answer, _) = until_the_end(slow);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 10"), "{answer}");
    assert!(answer.contains("intake/busy"), "{answer}");
}

/// A flood of forgeries, fast and slow, small and large, from the address of the real ones and from others: every real
/// delivery is taken.
#[test]
fn no_real_delivery_is_dropped_for_forged_ones() {
    let bot = bot("4MiB");
    let (address, is_over) = (bot.app().address, AtomicBool::new(false));
    let forgeries: usize = std::thread::scope(|threads| {
        let _over = Over(&is_over);
        let forgers: Vec<_> = (0..12)
            .map(|number: u8| {
                let is_over = &is_over;
                // Of three, one comes from where the real ones come from.
                let from = IpAddr::from([127, 0, 0, 1 + number % 3]);
                let length = [200, 60_000, 1_000_000, 3_000_000][usize::from(number / 3) % 4];
                threads.spawn(move || forge(address, from, length, number.is_multiple_of(2), is_over))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        for number in 0..24 {
            let sha = format!("{number:040x}");
            let mut payload = push::payload("acme/site", &sha);
            if number % 6 == 5 {
                // From a source that has proven itself, and whose neighbour forges: large ones have their room, too.
                payload["padding"] = "x".repeat(500_000).into();
            }
            let (status, told) = bot.runtime.block_on(deliver_from([127, 0, 0, 9], address, &sha, payload));
            assert_eq!(status, 202, "{number}: {told}");
        }
        for number in 100..112 {
            assert_eq!(bot.deliver(&format!("same-{number}"), &format!("{number:040x}")).0, 202, "{number}");
        }
        is_over.store(true, Ordering::Relaxed);
        forgers.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert!(forgeries > 100, "{forgeries}");
    let deliveries = bot.records().iter().filter(|it| format!("{:?}", it.event).starts_with("Delivery")).count();
    assert_eq!(deliveries, 36, "and nothing else is kept");
}

/// Ends the forgers also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends forgeries from an address until it is over; how many.
fn forge(to: SocketAddr, from: IpAddr, length: usize, slowly: bool, is_over: &AtomicBool) -> usize {
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = connect_from(from, to);
        sent += 1;
        let mut send = || -> std::io::Result<()> {
            stream.write_all(&forged(length))?;
            for piece in vec![b'x'; length].chunks(length.div_ceil(8)) {
                if slowly && !is_over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(200));
                }
                stream.write_all(piece)?;
            }
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.read(&mut [0; 16]).map(|_| ())
        };
        // Whoever forges may be cut off at any point.
        let _ = send();
    }
    sent
}

fn connect_from(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

async fn deliver_from(from: [u8; 4], to: SocketAddr, id: &str, payload: serde_json::Value) -> (u16, String) {
    let client = reqwest::Client::builder().local_address(IpAddr::from(from)).build().unwrap();
    let answer =
        push::delivery(&client, &format!("http://{to}"), SECRET, id, payload.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
