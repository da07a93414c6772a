//! Reads a script's stdout and stderr line by line, and tells who still holds them when the script is gone (R38, R41).

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Longer lines are cut into several, so that no output can fill the memory.
const LONGEST_LINE: u64 = 16 * 1024;

/// What a script says.
pub(super) enum Said {
    /// A line on `stdout` or `stderr`, without its end.
    Line(&'static str, String),
    /// One of the two was closed by everyone who held it.
    Closed(&'static str),
}

/// The two streams of one script.
pub(super) struct Outputs {
    said: Receiver<Said>,
    open: Vec<(&'static str, String)>,
}

impl Outputs {
    /// Begins to read. The threads end when the streams do.
    pub(super) fn read(stdout: ChildStdout, stderr: ChildStderr) -> Self {
        let (say, said) = channel();
        let open = vec![("stdout", pipe_name(&stdout)), ("stderr", pipe_name(&stderr))];
        follow("stdout", stdout, say.clone());
        follow("stderr", stderr, say);
        Self { said, open }
    }

    /// The next thing said, if it comes within this time.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Said> {
        match self.said.recv_timeout(wait) {
            Ok(Said::Closed(stream)) => {
                self.open.retain(|(name, _)| *name != stream);
                Some(Said::Closed(stream))
            }
            Ok(line @ Said::Line(..)) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.open.clear();
                None
            }
        }
    }

    /// Whether both are closed.
    pub(super) fn all_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// The streams that are open still, and who holds them: `stdout (held by sleep, process 4711)`.
    pub(super) fn holders(&self) -> String {
        let held = |(stream, pipe): &(&str, String)| match holder(pipe) {
            Some((pid, name)) => format!("{stream} (held by {name}, process {pid})"),
            None => (*stream).to_owned(),
        };
        self.open.iter().map(held).collect::<Vec<_>>().join(" and ")
    }
}

fn follow(stream: &'static str, from: impl Read + Send + 'static, say: Sender<Said>) {
    let body = move || {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    let text = String::from_utf8_lossy(&line).into_owned();
                    if say.send(Said::Line(stream, text)).is_err() {
                        return;
                    }
                }
            }
        }
        // Nobody listens any more once the script was given up.
        let _ = say.send(Said::Closed(stream));
    };
    thread::spawn(body);
}

/// The kernel's name of a pipe, `pipe:[4711]`, the same at both its ends.
fn pipe_name(end: &impl AsRawFd) -> String {
    fs::read_link(format!("/proc/self/fd/{}", end.as_raw_fd()))
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A process other than this one that has the pipe open, as far as we may see.
fn holder(pipe: &str) -> Option<(u32, String)> {
    let own = std::process::id();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |it: fs::DirEntry| fs::read_link(it.path()).is_ok_and(|name| name.to_string_lossy() == pipe);
        if pid != own && !pipe.is_empty() && descriptors.flatten().any(holds) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}
