//! A ledger of many deployments, and the shipped program at work on it, for the benchmarks that look at both.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use landfall::clients::Clock;
use landfall::ledger::{Ledger, Options};
use tokio::runtime::Runtime;

use crate::worlds::years::{Years, target_name};

/// What signs its webhooks.
pub(crate) const SECRET: &str = "a secret for a benchmark";

/// Writes the ledger, unless it was written before.
pub(crate) fn fill(years: &Years, dir: &Path) {
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
pub(crate) fn memory(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Bytes, for people.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A time, for people.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The shipped program, at work on the ledger.
pub(crate) struct Bot {
    child: Child,
    pub(crate) took: Duration,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) runtime: Runtime,
    pub(crate) client: reqwest::Client,
}

impl Bot {
    /// Starts it, and waits until it takes pushes.
    pub(crate) fn start(dir: &Path, targets: u64, runtime: Runtime) -> Self {
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
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        self.runtime.block_on(async {
            let answer = request.send().await.ok()?.error_for_status().ok()?;
            answer.text().await.ok()
        })
    }

    /// What it has resident, by the name that `/proc/PID/status` has for it, in bytes.
    pub(crate) fn memory(&self, what: &str) -> u64 {
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
