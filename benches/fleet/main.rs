//! A thousand deployments at once, through the shipped program: what CodeDeploy is asked in a tick, and what that takes of
//! the machine. GitHub, S3 and CodeDeploy stand in this process, the bot is one of its own. Ends with 1 where a
//! deployment did not end as it had to, or where a bound is missed.
//!
//! Each of a thousand targets has a branch and a deployment group of its own, with 1 to 200 instances. All are pushed by
//! signed webhooks; once all are at CodeDeploy they move together, a step every few seconds: most succeed, some bake,
//! some fail on an instance, some wait to be approved, some are stopped by a person.
//!
//! `cargo bench --profile dist --bench fleet -- [--targets N] [--step SECONDS]`

#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the time and starts programs")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its numbers are for a terminal")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where it stopped")]

mod worlds;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use landfall::clients::Clock;
use landfall::domain::{Ask, DeploymentId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use worlds::crowd::{Crowd, Ticks, WATCHING, born};
use worlds::push::{self, SECRET};

/// The span in which a tick's calls are counted, and how many of them watching may cost an account.
const TICK: Duration = Duration::from_secs(15);
const CALLS: usize = 60;

/// What the bot may have resident at most.
const RESIDENT: u64 = 100 << 20;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    let (targets, step) = (usize::try_from(number("--targets", 1000)).unwrap(), number("--step", 8));

    let crowd = Crowd::gather(targets, &Clock::system());
    let bot = Bot::start(&crowd);
    println!("{targets} targets; the bot is ready with {:.1} MiB resident", mib(bot.peak_bytes()));
    crowd.push();
    let (began, cpu) = (Instant::now(), bot.cpu());
    let ids = bot.deliver(&crowd);
    println!("all delivered after {:.1} s", began.elapsed().as_secs_f64());
    crowd.drive(Duration::from_secs(step), &ids, |what| bot.ask(&what));
    let (whole, cpu, peak) = (began.elapsed(), bot.cpu() - cpu, bot.peak_bytes());

    let mut wrongs = crowd.wrongs();
    let states = bot.states();
    if states.iter().map(|(name, state)| (name, state.as_str())).ne(crowd.states().iter().map(|(n, s)| (n, *s))) {
        wrongs.push(format!("the ledger says otherwise: {states:?}"));
    }
    let watching = crowd.ticks(TICK, |call| WATCHING.contains(&call));
    print(&crowd, whole, cpu, peak, watching);
    wrongs.iter().take(20).for_each(|it| eprintln!("WRONG: {it}"));
    let missed = watching.most > CALLS || peak > RESIDENT;
    if !wrongs.is_empty() || missed {
        eprintln!("{} wrong; bounds {}", wrongs.len(), if missed { "missed" } else { "kept" });
        drop(bot);
        std::process::exit(1);
    }
}

fn print(crowd: &Crowd, whole: Duration, cpu: Duration, peak: u64, watching: Ticks) {
    let all = crowd.ticks(TICK, |_| true);
    let mut of = BTreeMap::<String, usize>::new();
    for call in crowd.codedeploy.calls() {
        *of.entry(call).or_default() += 1;
    }
    println!("deployments           {}", crowd.codedeploy.deployments().len());
    println!("wall time             {:.1} s", whole.as_secs_f64());
    println!("processor time        {:.1} s", cpu.as_secs_f64());
    println!("peak resident         {:.1} MiB of {}", mib(peak), RESIDENT >> 20);
    println!(
        "watching, in {} s     {} at most of {CALLS}, {} in the middle",
        TICK.as_secs(),
        watching.most,
        watching.median
    );
    println!("all calls, in {} s    {} at most, {} in the middle", TICK.as_secs(), all.most, all.median);
    println!("commit statuses       {}", crowd.github.statuses().len());
    of.iter().for_each(|(call, count)| println!("    {call:<28} {count}"));
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The shipped program, at work on a disk of its own.
struct Bot {
    child: Child,
    url: String,
    token: String,
    folder: TempDir,
    runtime: Runtime,
    client: reqwest::Client,
}

impl Bot {
    fn start(crowd: &Crowd) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let file = folder.path().join("landfall.toml");
        fs::write(&file, crowd.configuration(folder.path(), &format!("127.0.0.1:{port}"))).unwrap();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .arg("serve")
            .arg("-c")
            .arg(file)
            .envs([("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S"), ("LANDFALL_LOG", "warn")])
            // As the systemd unit and the image have it.
            .envs([
                ("MALLOC_ARENA_MAX", "2"),
                ("MALLOC_MMAP_THRESHOLD_", "131072"),
                ("MALLOC_TRIM_THRESHOLD_", "131072"),
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Another part of this process may have been first, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (url, client) = (format!("http://127.0.0.1:{port}"), reqwest::Client::new());
        let mut bot = Self { child, url, token: String::new(), folder, runtime, client };
        let deadline = Instant::now() + Duration::from_secs(60);
        while bot.get("/readyz").is_none() {
            assert!(Instant::now() < deadline, "the bot does not answer:\n{}", bot.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        bot.token = fs::read_to_string(bot.folder.path().join("data/token")).unwrap().trim().to_owned();
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

    /// Delivers all pushes, one after the other. The deployments planned, in the members' order.
    fn deliver(&self, crowd: &Crowd) -> Vec<DeploymentId> {
        let deliver = |(id, payload): (String, Value)| {
            let request = push::delivery(&self.client, &self.url, SECRET, &id, payload.to_string());
            let answer = self.runtime.block_on(async { request.send().await.unwrap().json().await.unwrap() });
            born(&answer)
        };
        crowd.deliveries().into_iter().map(deliver).collect()
    }

    fn ask(&self, what: &Ask) {
        let (Ask::Stop { deployment, .. } | Ask::Approve { deployment, .. }) = what else { panic!("{what:?}") };
        let body = json!({ "key": format!("for {deployment}"), "what": what });
        let request = self.client.post(format!("{}/api/v1/requests", self.url)).bearer_auth(&self.token);
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let answer = self.runtime.block_on(request.send()).unwrap();
        assert!(answer.status().is_success(), "{what:?}: {answer:?}");
    }

    /// The states of all deployments, by target, as the bot's API tells them.
    fn states(&self) -> BTreeMap<String, String> {
        let (mut states, mut cursor) = (BTreeMap::new(), String::new());
        loop {
            let page = self.get(&format!("/api/v1/deployments?limit=200{cursor}")).unwrap();
            let page: Value = serde_json::from_str(&page).unwrap();
            for it in page["deployments"].as_array().unwrap() {
                let text = |key: &str| it[key].as_str().unwrap().to_owned();
                let before = states.insert(text("target"), text("state"));
                assert_eq!(before, None, "two deployments of {}", text("target"));
            }
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return states,
            }
        }
    }

    /// The most memory that it ever had resident.
    fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok());
        kilobytes.unwrap_or_else(|| panic!("the bot is gone:\n{}", self.log())) * 1024
    }

    /// Its processor time so far, by `/proc/PID/stat`: user and system, in ticks of which Linux counts 100 a second.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
