//! How many signed pushes a second the door takes, beside a rival and beside the limit. Prints ratios; judges nothing.
//!
//! The servers, each a process of its own on loopback, take turns under the same load: 64 connections, push bodies of
//! 8 KiB, every one with its own delivery id, commit and signature.
//!
//! * `landfall`: `landfall serve` with one mapped target: verified, planned, durable in the ledger, then answered.
//! * `unmapped`: the same with no target for what is pushed: durable, with nothing to plan and nothing to do after.
//! * `webhook`: Debian's `webhook` (adnanh/webhook) with the same HMAC rule, running `/bin/true`; it keeps nothing.
//! * `bare file`: the limit: the same verification in front of a file with group-committed `fdatasync`, nothing else.
//!
//! `cargo bench --profile dist --bench intake -- [--seconds N] [--rounds N] [--only NAME]` measures the program as it is
//! shipped; `--siege` measures real deliveries alone and beside a flood of forged ones; «cpu» is the server's own processor time for a request. `webhook` comes from `apt-get install
//! webhook`, and is left out, saying so, where it is missing.

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

mod bare;
mod load;
mod servers;
mod siege;

use std::time::Duration;

use load::{Load, Tally};
use servers::{Kind, Server};

/// As many as GitHub's deliveries would hardly ever keep open to one bot.
const CONNECTIONS: usize = 64;

/// A push of a few commits.
const BODY_BYTES: usize = 8192;

/// What all servers know.
pub(crate) const SECRET: &str = "a secret that only the benchmark knows";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, port, folder] = &words[..]
        && word == "bare-server"
    {
        return bare::serve(port.parse().unwrap(), folder.as_ref());
    }
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    let (seconds, rounds) = (number("--seconds", 5), number("--rounds", 3));
    if words.iter().any(|word| word == "--siege") {
        return siege::run(rounds, Duration::from_secs(seconds));
    }
    let only = value("--only");

    let mut rows: Vec<(Kind, Vec<Tally>)> = Vec::new();
    for kind in [Kind::Landfall, Kind::Unmapped, Kind::Webhook, Kind::BareFile] {
        if only.is_some_and(|only| only != kind.name()) {
            continue;
        }
        match kind.missing() {
            Some(why) => eprintln!("left out: {}: {why}", kind.name()),
            None => rows.push((kind, Vec::new())),
        }
    }
    println!(
        "{CONNECTIONS} connections, {BODY_BYTES}-byte pushes, all distinct; {rounds} rounds of {seconds} s each\n"
    );
    for round in 1..=rounds {
        for (kind, tallies) in &mut rows {
            let tally = measure(*kind, round, Duration::from_secs(seconds));
            println!("round {round}  {:<10} {}", kind.name(), tally.line());
            tallies.push(tally);
        }
    }
    summarize(&rows);
}

/// One server, started, loaded and ended.
fn measure(kind: Kind, round: u64, long: Duration) -> Tally {
    let server = Server::start(kind);
    let load = Load { port: server.port(), path: kind.path(), connections: CONNECTIONS, body_bytes: BODY_BYTES, round };
    load.run(Duration::from_millis(300)); // the first connections, pages and files are not what is measured
    let (server_before, own_before) = (server.cpu(), servers::cpu_of("self"));
    let mut tally = load.run(long);
    (tally.server_cpu, tally.load_cpu) = (server.cpu() - server_before, servers::cpu_of("self") - own_before);
    tally.peak_bytes = server.peak_bytes();
    server.end();
    tally
}

fn summarize(rows: &[(Kind, Vec<Tally>)]) {
    println!(
        "\n{:<10} {:>10} {:>9} {:>9} {:>10} {:>10} {:>8}",
        "median", "req/s", "p50 ms", "p99 ms", "peak MiB", "cpu us", "refused"
    );
    let median = |tallies: &[Tally], of: fn(&Tally) -> f64| {
        let mut all: Vec<f64> = tallies.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    for (kind, tallies) in rows {
        let refused: u64 = tallies.iter().map(|tally| tally.refused).sum();
        println!(
            "{:<10} {:>10.0} {:>9.2} {:>9.2} {:>10.1} {:>10.1} {refused:>8}",
            kind.name(),
            median(tallies, Tally::per_second),
            median(tallies, Tally::p50_ms),
            median(tallies, Tally::p99_ms),
            median(tallies, Tally::peak_mib),
            median(tallies, Tally::server_cpu_us),
        );
    }
    let Some((_, ours)) = rows.iter().find(|(kind, _)| *kind == Kind::Landfall) else { return };
    println!();
    for (kind, theirs) in rows.iter().filter(|(kind, _)| *kind != Kind::Landfall) {
        println!(
            "landfall : {:<10} {:>6.2} x the requests a second, {:>6.3} x the memory",
            kind.name(),
            median(ours, Tally::per_second) / median(theirs, Tally::per_second),
            median(ours, Tally::peak_mib) / median(theirs, Tally::peak_mib),
        );
    }
}
