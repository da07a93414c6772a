//! Attends a script: reads its stdout and stderr line by line, hears of its end, and tells who still holds its outputs
//! when it is gone (R38, R41). It never polls: a script that ends is seen to end at once.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::processes::{Process, holding};

/// Longer lines are cut into several, so that no output can fill the memory.
const LONGEST_LINE: u64 = 16 * 1024;
/// How many lines may wait to be written down; a script that says more waits.
const AHEAD: usize = 256;

/// What is heard of a script.
pub(super) enum Said {
    /// A line on `stdout` or `stderr`, without its end.
    Line(&'static str, String),
    /// One of the two was closed by everyone who held it.
    Closed(&'static str),
    /// Its own process ended.
    Ended(ExitStatus),
}

/// The two streams of one script, and its end.
pub(super) struct Outputs {
    said: Receiver<Said>,
    open: Vec<(&'static str, String)>,
}

impl Outputs {
    /// Begins to listen. The threads end when the streams and the process do.
    pub(super) fn of(mut child: Child) -> Self {
        let (say, said) = sync_channel(AHEAD);
        let mut open = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            open.push(("stdout", pipe_name(&stdout)));
            follow("stdout", stdout, say.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            open.push(("stderr", pipe_name(&stderr)));
            follow("stderr", stderr, say.clone());
        }
        thread::spawn(move || {
            if let Ok(status) = child.wait() {
                // Nobody listens any more once the script was given up.
                let _ = say.send(Said::Ended(status));
            }
        });
        Self { said, open }
    }

    /// The next thing heard, if it comes within this time.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Said> {
        match self.said.recv_timeout(wait) {
            Ok(Said::Closed(stream)) => {
                self.open.retain(|(name, _)| *name != stream);
                Some(Said::Closed(stream))
            }
            Ok(said) => Some(said),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.open.clear();
                thread::sleep(wait);
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
        let held = |(stream, pipe): &(&str, String)| match holding(pipe) {
            Some(Process { pid, name }) => format!("{stream} (held by {name}, process {pid})"),
            None => (*stream).to_owned(),
        };
        self.open.iter().map(held).collect::<Vec<_>>().join(" and ")
    }
}

fn follow(stream: &'static str, from: impl Read + Send + 'static, say: SyncSender<Said>) {
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
        let _ = say.send(Said::Closed(stream));
    };
    thread::spawn(body);
}

/// The kernel's name of a pipe, `pipe:[4711]`, the same at both its ends.
fn pipe_name(end: &impl AsRawFd) -> String {
    std::fs::read_link(format!("/proc/self/fd/{}", end.as_raw_fd()))
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
