//! A ledger of a million deployments under the shipped program: how long it takes to start, what it has resident, what a
//! page and a push cost. Ends with 1 where a bound is missed.
//!
//! The ledger is written once below `target/`, as the ledger itself writes it, and used again by the next run with the same number.
//!
//! `cargo bench --bench ledger -- [--deployments N] [--targets N]`

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

mod worlds;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use landfall::clients::Clock;
use landfall::ledger::{Ledger, Options};
use tokio::runtime::Runtime;

use worlds::push;
use worlds::years::{Years, sha, target_name};

/// How long a start may take, a page, and what may be resident.
const START: Duration = Duration::from_secs(2);
const PAGE: Duration = Duration::from_millis(50);
const RESIDENT: u64 = 150 << 20;
/// How often each question is asked.
const TIMES: u64 = 20;
const SECRET: &str = "a secret for a benchmark";

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
    let status = bot.ask("status", |_| "/api/v1/targets".into());
    let first = bot.ask("dashboard", |_| "/".into());
    bounds.extend([("status", status, PAGE), ("dashboard", first, PAGE)]);
    bot.ask("list", |_| "/api/v1/deployments".into());
    bot.ask("list of a target", |at| format!("/api/v1/deployments?target={}", target_name(at % years.targets)));
    bot.ask("list of failures", |_| "/api/v1/deployments?state=failed".into());
    bot.ask("list of none", |_| "/api/v1/deployments?state=refused".into());
    bot.ask("list of a commit", |at| format!("/api/v1/deployments?sha={}", some(at)));
    let ids: Vec<String> = (0..TIMES).map(|at| bot.deployment_of(&some(at).to_string())).collect();
    bot.ask("a deployment", |at| format!("/deployments/{}", ids[usize::try_from(at).unwrap()]));
    bot.ask("why", |at| format!("/api/v1/why/{}", some(at)));
    bot.ask("deliveries", |_| "/api/v1/deliveries".into());
    bot.accept(years.deployments);
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

/// Writes the ledger, unless it was written before.
fn fill(years: &Years, dir: &Path) {
    let whole = dir.join("whole");
    if whole.exists() {
        return;
    }
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir.join("data")).unwrap();
    let began = Instant::now();
    years.write(&dir.join("data/ledger"));
    let wrote = began.elapsed();
    let clock = Clock::system();
    let now = Arc::new(move || clock.now());
    drop(Ledger::open(&dir.join("data/ledger"), Options::default(), now).unwrap());
    println!("written               {:>9.0} s", wrote.as_secs_f64());
    println!("index made            {:>9.0} s", (began.elapsed() - wrote).as_secs_f64());
    println!("resident for that     {:>9.1} MiB at most", mib(memory(std::process::id(), "VmHWM:")));
    fs::write(whole, "").unwrap();
}

/// What a process has resident, by the name that `/proc/PID/status` has for it.
fn memory(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|it| if it.path().is_dir() { bytes_in(&it.path()) } else { it.metadata().unwrap().len() }).sum()
}

/// The shipped program, at work on the ledger.
struct Bot {
    child: Child,
    took: Duration,
    url: String,
    token: String,
    runtime: Runtime,
    client: reqwest::Client,
}

impl Bot {
    fn start(dir: &Path, targets: u64, runtime: Runtime) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let file = configure(dir, port, targets);
        let log = fs::File::create(dir.join("bot.log")).unwrap();
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["serve", "-c"])
            .arg(file)
            // As the systemd unit and the image have it.
            .envs([
                ("MALLOC_ARENA_MAX", "2"),
                ("MALLOC_MMAP_THRESHOLD_", "131072"),
                ("MALLOC_TRIM_THRESHOLD_", "131072"),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        // Another part of this process may have been first, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (url, client) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
        let mut bot = Self { child, took: Duration::ZERO, url, token: String::new(), runtime, client };
        while bot.get("/readyz").is_none() {
            let gone = bot.child.try_wait().unwrap();
            let log = || fs::read_to_string(dir.join("bot.log")).unwrap_or_default();
            assert!(gone.is_none() && began.elapsed() < Duration::from_secs(3600), "it does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        bot.took = began.elapsed();
        bot.token = fs::read_to_string(dir.join("data/token")).unwrap().trim().to_owned();
        bot
    }

    /// An answer that says yes.
    fn get(&self, path: &str) -> Option<String> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        self.runtime.block_on(async {
            let answer = request.send().await.ok()?.error_for_status().ok()?;
            answer.text().await.ok()
        })
    }

    fn deployment_of(&self, sha: &str) -> String {
        let page = self.get(&format!("/api/v1/deployments?sha={sha}")).unwrap();
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        page["deployments"][0]["id"].as_str().unwrap_or_else(|| panic!("no deployment of {sha}")).to_owned()
    }

    /// Asks some times, and gives how long the first answer took, when nothing was remembered of it.
    fn ask(&self, what: &str, path: impl Fn(u64) -> String) -> Duration {
        let ask = |at| {
            let began = Instant::now();
            let answer = self.get(&path(at)).unwrap_or_else(|| panic!("no answer to {}", path(at)));
            (began.elapsed(), answer.len())
        };
        let all: Vec<(Duration, usize)> = (0..TIMES).map(ask).collect();
        print(what, all.iter().map(|(took, _)| *took).collect(), &format!("{} bytes", all[0].1));
        all[0].0
    }

    /// Pushes of new commits, each answered before the next is sent.
    fn accept(&self, from: u64) {
        let deliver = |at: u64| {
            let number = from + at + u64::from(std::process::id()) * TIMES;
            let payload = push::payload("acme/shop", sha(number).as_str());
            let id = format!("bench-{number}");
            let request = push::delivery(&self.client, &self.url, SECRET, &id, payload.to_string());
            let began = Instant::now();
            let answer = self.runtime.block_on(request.send()).unwrap();
            assert_eq!(answer.status(), 202, "a push was not taken");
            began.elapsed()
        };
        print("a push", (0..TIMES).map(deliver).collect(), "one after the other");
    }

    fn memory(&self, what: &str) -> u64 {
        memory(self.child.id(), what)
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // One that has ended by itself is as good.
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
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

/// Targets that nothing can come of: their repository is empty, and no GitHub is asked.
fn configure(dir: &Path, port: u16, targets: u64) -> PathBuf {
    let repository = dir.join("shop.git");
    let made = Command::new("git").args(["init", "--quiet", "--bare"]).arg(&repository).status().unwrap();
    assert!(made.success());
    fs::write(dir.join("secret"), SECRET).unwrap();
    let here = dir.display();
    let mut text = format!(
        "data_dir = \"{here}/data\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n[github]\n\
         api_url = \"http://127.0.0.1:9\"\nwebhook_secrets = [{{ file = \"{here}/secret\" }}]\n"
    );
    for number in 0..targets {
        let name = target_name(number);
        text += &format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n\
             source = {{ git = \"file://{here}/shop.git\" }}\n[target.engine]\nkind = \"host\"\n\
             application = \"shop\"\ndeployment_group = \"{name}\"\n"
        );
    }
    let file = dir.join("landfall.toml");
    fs::write(&file, text).unwrap();
    file
}
