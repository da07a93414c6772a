//! The load: pushes over kept connections, each signed anew. It spends far less on one than any server does.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What is sent, and where to.
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) body_bytes: usize,
    /// Keeps the pushes of one round apart from another's.
    pub(crate) round: u64,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Tally {
    micros: Vec<u32>,
    pub(crate) refused: u64,
    took: Duration,
    pub(crate) peak_bytes: u64,
    pub(crate) server_cpu: Duration,
    pub(crate) load_cpu: Duration,
}

impl Tally {
    pub(crate) fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn p50_ms(&self) -> f64 {
        self.percentile(0.50)
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        self.percentile(0.99)
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_bytes as f64 / 1024.0 / 1024.0
    }

    /// The server's own processor time for a request: unlike the rate, hardly touched by what else a machine does.
    pub(crate) fn server_cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.micros.len() as f64
    }

    fn load_cpu_us(&self) -> f64 {
        self.load_cpu.as_secs_f64() * 1e6 / self.micros.len() as f64
    }

    fn percentile(&self, part: f64) -> f64 {
        let at = (self.micros.len() as f64 * part) as usize;
        self.micros.get(at.min(self.micros.len().saturating_sub(1))).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{:>9.0} req/s   p50 {:>7.2} ms   p99 {:>8.2} ms   peak {:>7.1} MiB   cpu {:>6.1} us (load {:.1} us)   {} \
             refused",
            self.per_second(),
            self.p50_ms(),
            self.p99_ms(),
            self.peak_mib(),
            self.server_cpu_us(),
            self.load_cpu_us(),
            self.refused
        )
    }
}

impl Load {
    /// Sends for this long, on one thread: the other is the server's.
    pub(crate) fn run(&self, long: Duration) -> Tally {
        let pushes = Rc::new(Pushes::new(self.body_bytes));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let started = Instant::now();
            let until = started + long;
            let mut senders = Vec::new();
            for connection in 0..self.connections {
                // Unlike any other of this or an earlier run against this server.
                let first = (self.round << 56) | ((connection as u64) << 40) | (fresh() << 24);
                let request = Request::new(self.path, &pushes);
                senders.push(tokio::task::spawn_local(send(self.port, request, pushes.clone(), first, until)));
            }
            let mut whole = Tally::default();
            for sender in senders {
                let part = sender.await.unwrap();
                whole.micros.extend(part.micros);
                whole.refused += part.refused;
            }
            whole.took = started.elapsed();
            whole.micros.sort_unstable();
            whole
        })
    }
}

/// A number that differs from run to run: 16 bits of the clock's milliseconds.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() & 0xffff) as u64
}

/// Push bodies that differ only in their last field, so that signing one hashes three blocks and not the whole.
struct Pushes {
    head: Vec<u8>,
    signed_head: Hmac<Sha256>,
}

/// `"after":"` is in the head; this ends the body.
const TAIL_BYTES: usize = 40 + 2;

impl Pushes {
    fn new(body_bytes: usize) -> Self {
        let before = "1".repeat(40);
        let start = format!(
            r#"{{"ref":"refs/heads/main","before":"{before}","created":false,"deleted":false,"forced":false,"repository":{{"id":1296269,"full_name":"acme/shop","default_branch":"main"}},"pusher":{{"name":"mona"}},"sender":{{"login":"mona"}},"commits":[],"padding":""#
        );
        let end = r#"","after":""#;
        let padding = body_bytes - start.len() - end.len() - TAIL_BYTES;
        let head = format!("{start}{}{end}", "x".repeat(padding)).into_bytes();
        let mut signed_head = Hmac::<Sha256>::new_from_slice(super::SECRET.as_bytes()).unwrap();
        signed_head.update(&head);
        Self { head, signed_head }
    }
}

/// One connection's request, written once and changed in place.
struct Request {
    bytes: Vec<u8>,
    delivery_at: usize,
    signature_at: usize,
}

impl Request {
    fn new(path: &str, pushes: &Pushes) -> Self {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: GitHub-Hookshot/benchmark\r\nContent-Type: \
             application/json\r\nX-GitHub-Event: push\r\nContent-Length: {}\r\nX-GitHub-Delivery: ",
            pushes.head.len() + TAIL_BYTES
        );
        let delivery_at = head.len();
        head += &format!("{:032x}\r\nX-Hub-Signature-256: sha256=", 0);
        let signature_at = head.len();
        head += &format!("{:064x}\r\n\r\n", 0);
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&pushes.head);
        bytes.extend_from_slice(format!("{:040x}\"}}", 0).as_bytes());
        Self { bytes, delivery_at, signature_at }
    }

    /// Makes it the push of number `number`.
    fn become_number(&mut self, number: u64, pushes: &Pushes) {
        let (digits, tail_at) = (hex::encode(number.to_be_bytes()), self.bytes.len() - TAIL_BYTES);
        self.bytes[self.delivery_at + 16..self.delivery_at + 32].copy_from_slice(digits.as_bytes());
        self.bytes[tail_at + 24..tail_at + 40].copy_from_slice(digits.as_bytes());
        let mut mac = pushes.signed_head.clone();
        mac.update(&self.bytes[tail_at..]);
        let signature = hex::encode(mac.finalize().into_bytes());
        self.bytes[self.signature_at..self.signature_at + 64].copy_from_slice(signature.as_bytes());
    }
}

async fn send(port: u16, mut request: Request, pushes: Rc<Pushes>, first: u64, until: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut stream = connect(port).await;
    let mut answer = Vec::with_capacity(4096);
    for number in first.. {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        request.become_number(number + 1, &pushes);
        match ask(&mut stream, &request.bytes, &mut answer).await {
            Some(status) if (200..300).contains(&status) => {
                tally.micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Some(_) => tally.refused += 1,
            None => {
                tally.refused += 1;
                stream = connect(port).await;
            }
        }
    }
    tally
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One request and its whole answer; `None` where the connection ended.
async fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> Option<u16> {
    stream.write_all(request).await.ok()?;
    answer.clear();
    loop {
        if stream.read_buf(answer).await.ok()? == 0 {
            return None;
        }
        if let Some((status, length)) = measure(answer)
            && answer.len() >= length
        {
            return Some(status);
        }
    }
}

/// An answer's status and whole length, once its head is there.
fn measure(answer: &[u8]) -> Option<(u16, usize)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + 4 + length.unwrap_or(0)))
}
