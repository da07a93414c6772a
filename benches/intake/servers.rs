//! The servers under load, each a child process with a folder of its own on a real disk, ended by its id.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Landfall,
    /// Landfall with no target for the repository that is pushed to: the door and the ledger, nothing to plan or do.
    Unmapped,
    Webhook,
    BareFile,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Landfall => "landfall",
            Self::Unmapped => "unmapped",
            Self::Webhook => "webhook",
            Self::BareFile => "bare file",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Landfall | Self::Unmapped | Self::BareFile => "/webhooks/github",
            Self::Webhook => "/hooks/github",
        }
    }

    /// Why it cannot be measured here.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let there = Command::new("webhook").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match self {
            Self::Landfall | Self::Unmapped | Self::BareFile => None,
            Self::Webhook => there.is_err().then_some("`webhook` is not installed: apt-get install webhook"),
        }
    }

    fn command(self, port: u16, folder: &Path) -> Command {
        match self {
            Self::Landfall | Self::Unmapped => {
                let repository = if self == Self::Landfall { "acme/shop" } else { "acme/other" };
                let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
                fs::write(folder.join("secret"), super::SECRET).unwrap();
                fs::write(folder.join("landfall.toml"), configuration(port, folder, repository)).unwrap();
                command.arg("serve").arg("-c").arg(folder.join("landfall.toml"));
                command
            }
            Self::Webhook => {
                let mut command = Command::new("webhook");
                fs::write(folder.join("hooks.json"), rule()).unwrap();
                command.arg("-hooks").arg(folder.join("hooks.json"));
                command.args(["-ip", "127.0.0.1", "-port", &port.to_string()]);
                command
            }
            Self::BareFile => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg("bare-server").arg(port.to_string()).arg(folder);
                command
            }
        }
    }
}

/// One repository, one target; its commits come from a repository that the benchmark leaves alone.
fn configuration(port: u16, folder: &Path, repository: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
data_dir = "{folder}/data"
[server]
listen = "127.0.0.1:{port}"
[github]
webhook_secrets = [{{ file = "{folder}/secret" }}]
[[target]]
name = "shop"
repository = "{repository}"
branches = ["main"]
source = {{ git = "file://{folder}/shop.git" }}
[target.engine]
kind = "host"
"#
    )
}

fn rule() -> String {
    let secret = serde_json::Value::from(super::SECRET);
    format!(
        r#"[{{"id": "github", "execute-command": "/bin/true", "trigger-rule": {{"match": {{
            "type": "payload-hmac-sha256", "secret": {secret},
            "parameter": {{"source": "header", "name": "X-Hub-Signature-256"}}}}}}}}]"#
    )
}

/// A server that answers.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Server {
    /// Starts it and waits until it takes connections.
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = kind.command(port, folder.path());
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let server = Self { child: command.spawn().unwrap(), port, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{} does not answer:\n{}", kind.name(), server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The most memory that it ever had resident; not that of what it started.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<u64>().ok());
        kilobytes.unwrap_or_else(|| panic!("the server is gone:\n{}", self.log())) * 1024
    }

    /// The processor time that it has had so far, its own threads' alone.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.child.id().to_string())
    }

    /// Ends it.
    pub(crate) fn end(self) {}

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The processor time of a process, by `/proc/PID/stat`: user and system, in ticks of which Linux counts 100 a second.
pub(crate) fn cpu_of(pid: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
