//! The only place that starts programs. It never uses a shell.

use std::ffi::OsStr;

/// A program to run to its end from asynchronous code; it is killed when its future is dropped.
#[expect(clippy::disallowed_methods, reason = "this is the process client")]
pub fn program(name: impl AsRef<OsStr>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(name);
    command.kill_on_drop(true);
    command
}

/// A program to run from blocking code.
#[expect(clippy::disallowed_methods, reason = "this is the process client")]
pub fn blocking_program(name: impl AsRef<OsStr>) -> std::process::Command {
    std::process::Command::new(name)
}
