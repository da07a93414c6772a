//! What people and programs look at, with a million deployments in the ledger: how soon the first page is there and how
//! much of it goes over the wire, what a thousand open event streams cost, and how soon an event reaches them. Ends with 1
//! where a bound is missed.
//!
//! The ledger is that of `cargo bench --bench ledger` with the same numbers, and written where it is not there.
//!
//! `cargo bench --bench surface -- [--deployments N] [--targets N] [--streams N] [--events N]`

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

#[path = "../ledger/bot.rs"]
mod bot;
mod crowd;
#[path = "../ledger/worlds.rs"]
mod worlds;

use std::path::Path;
use std::time::{Duration, Instant};

use landfall::clients::Clock;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use bot::{Bot, fill, mib, ms};
use crowd::Crowd;
use worlds::years::Years;

/// How long the first page may take at the 99th percentile, and how long an event until every open page has it.
const PAGE: Duration = Duration::from_millis(50);
const EVENT: Duration = Duration::from_millis(200);
/// How much the first page may be with all that it loads, and what the streams may cost, in bytes.
const FIRST_PAGE: u64 = 60 << 10;
const STREAMS: u64 = 100 << 20;
/// How often the first page is asked for.
const TIMES: usize = 1000;
/// Descriptors for the streams on both sides.
const DESCRIPTORS: u64 = 16_384;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    let (deployments, targets) = (number("--deployments", 1_000_000), number("--targets", 50));
    let (streams, events) = (number("--streams", 1000), number("--events", 50));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(most), most).unwrap();
    let years = Years { deployments, targets, until: Clock::system().now(), segment_bytes: 64 << 20 };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-of-{deployments}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    fill(&years, &dir);
    let bot = Bot::start(&dir, targets, runtime);
    println!("{deployments} deployments of {targets} targets");
    let mut limits = Limits::default();
    first_page(&bot, &mut limits);
    streaming(&bot, streams, events, &mut limits);
    if !limits.missed.is_empty() {
        eprintln!("bounds missed: {}", limits.missed.join(", "));
        drop(bot);
        std::process::exit(1);
    }
}

/// What was held against a bound.
#[derive(Default)]
struct Limits {
    missed: Vec<String>,
}

impl Limits {
    fn hold(&mut self, what: &str, found: f64, bound: f64, unit: &str) {
        println!("{what:<42} {found:>9.1} {unit} of {bound:.0}, {:.2} of the bound", found / bound);
        if found > bound {
            self.missed.push(what.to_owned());
        }
    }
}

/// The first page of whoever is signed in: how soon, and how large with all that it loads.
fn first_page(bot: &Bot, limits: &mut Limits) {
    bot.get("/").unwrap();
    let mut took: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let began = Instant::now();
            bot.get("/").unwrap();
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("{:<42} {:>9.1} ms", "first page, in the middle", ms(took[TIMES / 2]));
    limits.hold("first page, 99th percentile", ms(took[TIMES * 99 / 100]), ms(PAGE), "ms");
    let html = bot.get("/").unwrap();
    let assets = html.split('"').filter(|part| part.starts_with("/assets/"));
    let parts: std::collections::BTreeSet<&str> = std::iter::once("/").chain(assets).collect();
    let bytes = |encoding: &str| parts.iter().map(|path| bytes_of(bot, path, encoding)).sum::<u64>();
    println!(
        "{:<42} {:>9.1} KiB in {} answers",
        "first page, as it is",
        bytes("identity") as f64 / 1024.0,
        parts.len()
    );
    let compressed = bytes("gzip") as f64 / 1024.0;
    limits.hold("first page, as a browser asks for it", compressed, FIRST_PAGE as f64 / 1024.0, "KiB");
}

/// How many bytes of an answer go over the wire.
fn bytes_of(bot: &Bot, path: &str, encoding: &str) -> u64 {
    let request = bot.client.get(format!("{}{path}", bot.url)).bearer_auth(&bot.token);
    bot.runtime.block_on(async {
        let answer = request.header("Accept-Encoding", encoding).send().await.unwrap().error_for_status().unwrap();
        answer.bytes().await.unwrap().len() as u64
    })
}

/// A thousand open pages: what they cost while nothing happens and while much does, and how soon they hear of it.
fn streaming(bot: &Bot, streams: u64, events: u64, limits: &mut Limits) {
    let before = bot.memory("VmRSS:");
    let crowd = Crowd::open(bot, usize::try_from(streams).unwrap());
    std::thread::sleep(Duration::from_secs(2));
    let idle = bot.memory("VmRSS:");
    let mut most = idle;
    let mut reached = Vec::new();
    for number in 0..events {
        reached.extend(crowd.hears_of(bot, number));
        most = most.max(bot.memory("VmRSS:"));
    }
    reached.sort_unstable();
    let at = |part: usize| ms(reached[(reached.len() * part / 1000).min(reached.len() - 1)]);
    println!("{:<42} {:>9.1} MiB resident", "without streams", mib(before));
    println!(
        "{:<42} {:>9.1} MiB more",
        format!("with {streams}, while nothing happens"),
        mib(idle.saturating_sub(before))
    );
    limits.hold(
        &format!("with {streams}, while {events} events flow"),
        mib(most.saturating_sub(before)),
        mib(STREAMS),
        "MiB more",
    );
    println!("{:<42} {:>9.1} ms", "an event reaches a page, in the middle", at(500));
    println!("{:<42} {:>9.1} ms", "an event reaches a page, 99th percentile", at(990));
    limits.hold("an event has reached the last page", at(1000), ms(EVENT), "ms");
}
