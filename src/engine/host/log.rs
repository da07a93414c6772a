//! `scripts.log` and its copy for all runs, in the documented shapes (R9). It keeps a script's last lines at hand.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::common_log::CommonLog;
use super::error::HostError;
use super::layout::{Layout, RunDir};
use crate::clients::Clock;
use crate::domain::RunId;

/// More than a failure carries (4 KiB), so that it can cut at a line.
const KEPT: usize = 8 * 1024;
/// The length of a line's date and time, with the space after it.
const STAMP: usize = 24;

/// Writes one run's script output.
pub(super) struct ScriptLog {
    run: RunId,
    own: File,
    all: Option<CommonLog>,
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
            all: CommonLog::open(&layout.deployments_log(), clock.now()).ok(),
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
        let at = self.clock.now();
        let now = at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        // A log that cannot be written must not fail a deployment that works.
        let _ = self.own.write_all(format!("{now} {text}\n").as_bytes());
        if let Some(all) = &mut self.all {
            all.write(format!("[{now}] [{}]{text}\n", self.run).as_bytes(), at);
        }
    }
}

/// The last line that the script at work wrote, as much of it as a person reads at a glance.
pub(super) fn last_said(path: &Path) -> Option<String> {
    const LOOKED_AT: u64 = 4096;
    const LONGEST: usize = 200;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOKED_AT))).ok()?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // A line at work may be half written.
    let whole = &text[..text.rfind('\n')?];
    for line in whole.lines().rev() {
        let line = line.get(STAMP..).unwrap_or_default();
        if line.starts_with("Script - ") || line.starts_with("LifecycleEvent - ") {
            return None;
        }
        let said = line.strip_prefix("[stdout]").or(line.strip_prefix("[stderr]"));
        if let Some(said) = said.map(str::trim).filter(|said| !said.is_empty()) {
            return Some(said.chars().take(LONGEST).collect());
        }
    }
    None
}

/// Opens a log, and makes its directory.
pub(super) fn append_to(path: &Path) -> Result<File, HostError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
    }
    OpenOptions::new().create(true).append(true).open(path).map_err(HostError::on("open", path))
}
