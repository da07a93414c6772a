//! Who comes to the bot besides those who push: forgers, readers of pages and figures, and readers of the event stream
//! that stall, break off, or say their request a byte at a time. Nobody of them must be taken for GitHub.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::held::Figures;
use crate::apply::things::Dice;
use crate::crash::storm::Stage;
use crate::worlds::push;

/// What a visitor comes for.
#[derive(Clone, Copy)]
pub(super) enum Visitor {
    Forger,
    Reader,
    Stalls,
    Dawdles,
}

/// All that are there at once.
pub(super) const ALL: &[Visitor] =
    &[Visitor::Forger, Visitor::Reader, Visitor::Stalls, Visitor::Stalls, Visitor::Dawdles, Visitor::Dawdles];

const PAGES: &[&str] = &[
    "/",
    "/metrics",
    "/readyz",
    "/api/v1/targets",
    "/api/v1/deployments?limit=100",
    "/api/v1/deliveries",
    "/api/v1/why/0000000",
    "/deployments/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/nothing",
];

/// Comes again and again until all is over.
pub(super) fn come(visitor: Visitor, stage: &Stage, over: &AtomicBool) {
    let mut dice = Dice(visitor as u64);
    while !over.load(Ordering::Relaxed) {
        // Whoever is turned away or cut off comes again.
        let _ = match visitor {
            Visitor::Forger => forge(stage, &mut dice),
            Visitor::Reader => read(stage, &mut dice),
            Visitor::Stalls => stall(stage, &mut dice, over),
            Visitor::Dawdles => dawdle(stage, &mut dice, over),
        };
        std::thread::sleep(Duration::from_millis(dice.below(300)));
    }
}

fn token(stage: &Stage) -> String {
    std::fs::read_to_string(stage.dir.join("data/token")).unwrap_or_default().trim().to_owned()
}

fn connect(stage: &Stage) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", stage.port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// The whole answer to a request, which asks to be the last of its connection.
fn answered(stage: &Stage, head: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = connect(stage)?;
    let head = format!("{head}Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    // Who is refused before the end of the body has not written all of it.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A push that nobody signed who may.
fn forge(stage: &Stage, dice: &mut Dice) -> std::io::Result<()> {
    let sha = format!("{:040x}", dice.below(u64::MAX));
    let mut body = push::payload("acme/site", &sha);
    body["padding"] = Value::String("x".repeat(usize::try_from(dice.of(&[0, 9_000, 90_000, 2 << 20])).unwrap()));
    let body = body.to_string();
    let signature = push::signature("a guess", body.as_bytes());
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: forged-{sha}\r\n\
         X-Hub-Signature-256: {signature}\r\nContent-Type: application/json\r\n"
    );
    let answer = answered(stage, &head, body.as_bytes())?;
    assert!(!answer.starts_with("HTTP/1.1 2"), "a forgery is taken: {answer}");
    Ok(())
}

fn read(stage: &Stage, dice: &mut Dice) -> std::io::Result<()> {
    let (page, token) = (dice.of(PAGES), token(stage));
    let token = if dice.one_in(8) { "wrong" } else { &token };
    let answer = answered(stage, &format!("GET {page} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n"), b"")?;
    assert!(!answer.starts_with("HTTP/1.1 500"), "{page}: {answer}");
    Ok(())
}

/// Opens the event stream, reads some of it or nothing, waits, and is gone.
fn stall(stage: &Stage, dice: &mut Dice, over: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(stage)?;
    let from = if dice.one_in(2) { "?from=0" } else { "" };
    let token = token(stage);
    write!(stream, "GET /api/v1/events{from} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")?;
    let mut some = vec![0; usize::try_from(1 + dice.below(100_000)).unwrap()];
    if dice.one_in(2) {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.read_exact(&mut some)?;
    }
    wait(dice.below(10_000), over);
    Ok(())
}

/// Says a request a few bytes at a time, and does not always come to its end.
fn dawdle(stage: &Stage, dice: &mut Dice, over: &AtomicBool) -> std::io::Result<()> {
    let mut stream = connect(stage)?;
    let signature = push::signature("a guess", b"");
    let text = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {signature}\r\n\
         Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{{\"ref\":"
    );
    let end = usize::try_from(dice.below(text.len() as u64)).unwrap();
    for piece in text.as_bytes()[..end].chunks(1 + end / 20) {
        stream.write_all(piece)?;
        wait(dice.below(200), over);
    }
    wait(dice.below(8_000), over);
    Ok(())
}

/// Waits, unless all is over.
fn wait(millis: u64, over: &AtomicBool) {
    for _ in 0..millis / 100 {
        if !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What the bot counts at `/metrics`.
pub(super) fn figures(stage: &Stage) -> Figures {
    let head = format!("GET /metrics HTTP/1.1\r\nAuthorization: Bearer {}\r\n", token(stage));
    let text = answered(stage, &head, b"").unwrap_or_default();
    let sum = |name: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    Figures {
        records: sum("landfall_ledger_records"),
        ended: sum("landfall_deployments_ended_total"),
        answers: sum("landfall_http_answers_total"),
    }
}
