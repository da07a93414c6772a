//! Real deliveries beside a flood of forged ones: how much later they are answered, in the same run. It judges nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::load::{Load, Tally};
use super::servers::{Kind, Server};

/// Real senders: as many deliveries as GitHub would make at once.
const CONNECTIONS: usize = 8;
/// Forgers, and how long their bodies are: most are small and many, some large and slow.
const FORGERS: usize = 32;
const FORGED: [usize; 4] = [200, 8 << 10, 8 << 10, 2 << 20];

/// Prints the latency of real deliveries alone and under siege, and the ratio.
pub(crate) fn run(rounds: u64, long: Duration) {
    println!("{CONNECTIONS} real senders of 8 KiB pushes, alone and beside {FORGERS} forgers; {rounds} rounds\n");
    for round in 1..=rounds {
        let server = Server::start(Kind::Unmapped);
        let load = |part: u64| Load {
            port: server.port(),
            path: Kind::Unmapped.path(),
            connections: CONNECTIONS,
            body_bytes: 8 << 10,
            round: round * 8 + part,
        };
        load(0).run(Duration::from_millis(300));
        let alone = load(1).run(long);
        let (is_over, forged) = (AtomicBool::new(false), AtomicU64::new(0));
        let besieged = std::thread::scope(|threads| {
            for number in 0..FORGERS {
                let (is_over, forged, port) = (&is_over, &forged, server.port());
                threads.spawn(move || forge(port, number, is_over, forged));
            }
            let tally = load(2).run(long);
            is_over.store(true, Ordering::Relaxed);
            tally
        });
        let told = |name: &str, tally: &Tally| println!("round {round}  {name:<9} {}", tally.line());
        told("alone", &alone);
        told("besieged", &besieged);
        println!(
            "round {round}  {} forgeries a second beside them: p50 {:.1} x, p99 {:.1} x; peak {:.1} MiB\n",
            forged.load(Ordering::Relaxed) / long.as_secs().max(1),
            besieged.p50_ms() / alone.p50_ms(),
            besieged.p99_ms() / alone.p99_ms(),
            server.peak_bytes() as f64 / 1024.0 / 1024.0,
        );
        server.end();
    }
}

/// Sends forgeries, each over a connection of its own, as one of seven sources.
fn forge(port: u16, number: usize, is_over: &AtomicBool, forged: &AtomicU64) {
    let body = vec![b'x'; FORGED[number % FORGED.len()]];
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={}\r\nContent-Length: {}\r\n\r\n",
        "0".repeat(64),
        body.len()
    );
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2 + (number % 7) as u8), 0));
    while !is_over.load(Ordering::Relaxed) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        if socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).is_err() {
            continue;
        }
        let mut stream = TcpStream::from(socket);
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        // Whoever forges may be cut off at any point.
        let _ = sent.and_then(|()| stream.read(&mut [0; 64]));
        forged.fetch_add(1, Ordering::Relaxed);
    }
}
