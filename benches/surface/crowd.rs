//! Many readers of the event stream, each on a connection of its own, that say when they have read what.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::bot::Bot;

/// How long an event may take before nobody waits for it any longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Readers that are there.
pub(crate) struct Crowd {
    size: usize,
    heard: Mutex<UnboundedReceiver<(u64, Instant)>>,
}

impl Crowd {
    /// Opens so many streams, and waits until each has its first bytes.
    pub(crate) fn open(bot: &Bot, size: usize) -> Self {
        let (say, heard) = unbounded_channel();
        bot.runtime.block_on(async {
            for _ in 0..size {
                let stream = greeted(bot).await;
                tokio::spawn(read(stream, say.clone()));
            }
        });
        Self { size, heard: Mutex::new(heard) }
    }

    /// Has something written, and gives how long after the bot's answer, which comes once it is durable, each reader had it.
    pub(crate) fn hears_of(&self, bot: &Bot, number: u64) -> Vec<Duration> {
        let ask = if number.is_multiple_of(2) { "lock" } else { "unlock" };
        let key = format!("surface-{}-{number}", std::process::id());
        let body = serde_json::json!({ "key": key, "what": { "ask": ask, "target": "shop-00" } });
        bot.runtime.block_on(async {
            let request = bot.client.post(format!("{}/api/v1/requests", bot.url)).bearer_auth(&bot.token);
            let answer = request.json(&body).send().await.unwrap();
            let answered = Instant::now();
            assert_eq!(answer.status(), 202, "it was not taken");
            let answer: serde_json::Value = answer.json().await.unwrap();
            let offset = answer["request"].as_u64().unwrap();
            let mut heard = self.heard.lock().await;
            let mut took = Vec::new();
            while took.len() < self.size {
                let next = tokio::time::timeout(PATIENCE, heard.recv()).await;
                let (what, at) =
                    next.unwrap_or_else(|_| panic!("{} of {} heard of it", took.len(), self.size)).unwrap();
                if what == offset {
                    took.push(at.saturating_duration_since(answered));
                }
            }
            took
        })
    }
}

/// A stream whose head and first lines have come.
async fn greeted(bot: &Bot) -> TcpStream {
    let address = bot.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n", bot.token);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(6).any(|it| it == b"retry:") {
        let mut bytes = [0; 2048];
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0 && seen.len() < 8192, "no stream: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..count]);
    }
    stream
}

/// Says each id that comes, and when it came.
async fn read(mut stream: TcpStream, say: UnboundedSender<(u64, Instant)>) {
    let mut line = Vec::new();
    let mut bytes = vec![0; 8192];
    loop {
        let count = stream.read(&mut bytes).await.unwrap_or_default();
        let at = Instant::now();
        if count == 0 {
            return;
        }
        for byte in &bytes[..count] {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let id = std::str::from_utf8(&line).ok().and_then(|it| it.strip_prefix("id: ")?.trim().parse().ok());
            if let Some(id) = id
                && say.send((id, at)).is_err()
            {
                return;
            }
            line.clear();
        }
    }
}
