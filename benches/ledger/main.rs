//! A ledger of a million deployments under the shipped program: how long it takes to start, what it has resident, what a
//! page and a push cost. Ends with 1 where a bound is missed.
//!
//! The ledger is written once below `target/`, as the ledger itself writes it, and used again by the next run with the same number.
//!
//! `cargo bench --bench ledger -- [--deployments N] [--targets N]`

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

mod bot;
mod worlds;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use landfall::clients::Clock;

use bot::{Bot, SECRET, fill, mib, ms};
use worlds::push;
use worlds::years::{Years, sha, target_name};

/// How long a start may take, a page, and what may be resident.
const START: Duration = Duration::from_secs(2);
const PAGE: Duration = Duration::from_millis(50);
const RESIDENT: u64 = 150 << 20;
/// How often each question is asked.
const TIMES: u64 = 20;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    let (deployments, targets) = (number("--deployments", 1_000_000), number("--targets", 50));
    let (until, segment_bytes) = (Clock::system().now(), 64 << 20);
    let years = Years { deployments, targets, until, segment_bytes };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-of-{}", years.deployments));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    fill(&years, &dir);
    let ledger = dir.join("data/ledger");

    let bot = Bot::start(&dir, years.targets, runtime);
    let mut bounds = vec![("start", bot.took, START)];
    println!("{} deployments of {} targets", years.deployments, years.targets);
    println!("log                   {:>9.1} MiB", mib(bytes_in(&ledger.join("log"))));
    println!("index                 {:>9.1} MiB", mib(bytes_in(&ledger.join("index"))));
    println!("start                 {:>9.0} ms of {}", ms(bot.took), START.as_millis());
    println!("resident then         {:>9.1} MiB of {}", mib(bot.memory("VmRSS:")), RESIDENT >> 20);
    let step = (years.deployments / TIMES).max(1);
    let some = |at: u64| sha((at * step).min(years.deployments - 1));
    let status = ask(&bot, "status", |_| "/api/v1/targets".into());
    let first = ask(&bot, "dashboard", |_| "/".into());
    bounds.extend([("status", status, PAGE), ("dashboard", first, PAGE)]);
    ask(&bot, "list", |_| "/api/v1/deployments".into());
    ask(&bot, "list of a target", |at| format!("/api/v1/deployments?target={}", target_name(at % years.targets)));
    ask(&bot, "list of failures", |_| "/api/v1/deployments?state=failed".into());
    ask(&bot, "list of none", |_| "/api/v1/deployments?state=refused".into());
    ask(&bot, "list of a commit", |at| format!("/api/v1/deployments?sha={}", some(at)));
    let ids: Vec<String> = (0..TIMES).map(|at| deployment_of(&bot, &some(at).to_string())).collect();
    ask(&bot, "a deployment", |at| format!("/deployments/{}", ids[usize::try_from(at).unwrap()]));
    ask(&bot, "why", |at| format!("/api/v1/why/{}", some(at)));
    ask(&bot, "deliveries", |_| "/api/v1/deliveries".into());
    accept(&bot, years.deployments);
    println!("most resident         {:>9.1} MiB of {}", mib(bot.memory("VmHWM:")), RESIDENT >> 20);

    let missed = bounds.iter().filter(|(_, took, bound)| took > bound).map(|(what, ..)| *what);
    let fat = Some("resident").filter(|_| bot.memory("VmHWM:") > RESIDENT);
    let missed: Vec<&str> = missed.chain(fat).collect();
    if !missed.is_empty() {
        eprintln!("bounds missed: {}", missed.join(", "));
        drop(bot);
        std::process::exit(1);
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|it| if it.path().is_dir() { bytes_in(&it.path()) } else { it.metadata().unwrap().len() }).sum()
}

fn deployment_of(bot: &Bot, sha: &str) -> String {
    let page = bot.get(&format!("/api/v1/deployments?sha={sha}")).unwrap();
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    page["deployments"][0]["id"].as_str().unwrap_or_else(|| panic!("no deployment of {sha}")).to_owned()
}

/// Asks some times, and gives how long the first answer took, when nothing was remembered of it.
fn ask(bot: &Bot, what: &str, path: impl Fn(u64) -> String) -> Duration {
    let ask = |at| {
        let began = Instant::now();
        let answer = bot.get(&path(at)).unwrap_or_else(|| panic!("no answer to {}", path(at)));
        (began.elapsed(), answer.len())
    };
    let all: Vec<(Duration, usize)> = (0..TIMES).map(ask).collect();
    print(what, all.iter().map(|(took, _)| *took).collect(), &format!("{} bytes", all[0].1));
    all[0].0
}

/// Pushes of new commits, each answered before the next is sent.
fn accept(bot: &Bot, from: u64) {
    let deliver = |at: u64| {
        let number = from + at + u64::from(std::process::id()) * TIMES;
        let payload = push::payload("acme/shop", sha(number).as_str());
        let id = format!("bench-{number}");
        let request = push::delivery(&bot.client, &bot.url, SECRET, &id, payload.to_string());
        let began = Instant::now();
        let answer = bot.runtime.block_on(request.send()).unwrap();
        assert_eq!(answer.status(), 202, "a push was not taken");
        began.elapsed()
    };
    print("a push", (0..TIMES).map(deliver).collect(), "one after the other");
}

fn print(what: &str, mut took: Vec<Duration>, more: &str) {
    let first = took[0];
    took.sort_unstable();
    let (middle, most) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "{what:<21} {:>9.2} ms first, {:.2} in the middle, {:.2} at most; {more}",
        ms(first),
        ms(middle),
        ms(most)
    );
}
