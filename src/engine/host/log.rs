//! `scripts.log` and its copy for all runs, in the documented shapes (R9). It keeps a script's last lines at hand.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::error::HostError;
use super::layout::{Layout, RunDir};
use crate::clients::Clock;
use crate::domain::RunId;

/// More than a failure carries (4 KiB), so that it can cut at a line.
const KEPT: usize = 8 * 1024;

/// Writes one run's script output.
pub(super) struct ScriptLog {
    run: RunId,
    own: File,
    all: Option<File>,
    clock: Clock,
    tail: VecDeque<String>,
    tail_bytes: usize,
}

impl ScriptLog {
    /// Opens both logs. The common one may be missing: it is a copy.
    pub(super) fn open(layout: &Layout, dir: &RunDir, run: &RunId, clock: &Clock) -> Result<Self, HostError> {
        let own = append_to(&dir.scripts_log())?;
        Ok(Self {
            run: run.clone(),
            own,
            all: append_to(&layout.deployments_log()).ok(),
            clock: clock.clone(),
            tail: VecDeque::new(),
            tail_bytes: 0,
        })
    }

    /// An event begins.
    pub(super) fn event(&mut self, name: &str) {
        self.write(&format!("LifecycleEvent - {name}"));
    }

    /// A script begins; the tail is its own.
    pub(super) fn script(&mut self, location: &str) {
        self.tail.clear();
        self.tail_bytes = 0;
        self.write(&format!("Script - {location}"));
    }

    /// A line of a script's output; `stream` is `stdout` or `stderr`.
    pub(super) fn output(&mut self, stream: &str, text: &str) {
        let line = format!("[{stream}]{text}");
        self.write(&line);
        self.tail_bytes += line.len() + 1;
        self.tail.push_back(line);
        while self.tail_bytes > KEPT && self.tail.len() > 1 {
            self.tail_bytes -= self.tail.pop_front().map_or(0, |line| line.len() + 1);
        }
    }

    /// Something the engine has to say among the output.
    pub(super) fn note(&mut self, text: &str) {
        self.write(&format!("[landfall]{text}"));
    }

    /// The last lines of the script at work.
    pub(super) fn tail(&self) -> String {
        self.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    fn write(&mut self, text: &str) {
        let now = self.clock.now().strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        // A log that cannot be written must not fail a deployment that works.
        let _ = self.own.write_all(format!("{now} {text}\n").as_bytes());
        if let Some(all) = &mut self.all {
            let _ = all.write_all(format!("[{now}] [{}]{text}\n", self.run).as_bytes());
        }
    }
}

fn append_to(path: &Path) -> Result<File, HostError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(HostError::on("open", path))
}
