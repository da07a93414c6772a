//! `landfall exec-as USER -- PROGRAM …`: becomes a hook's user and then the program. Hidden: the host engine calls it.
//!
//! A program of its own, because changing users between fork and exec wants unsafe code, and after a thread began
//! it wants luck. It reads nothing and prints nothing unless it cannot do its one thing.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use clap::Args;

use super::exit::Outcome;
use super::terminal::talk;
use crate::clients::process;
use crate::domain::plainly;
use crate::engine::host::{Account, become_user};

/// What `exec-as` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct ExecAsArgs {
    /// The user.
    user: String,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Becomes the user, then the program. It comes back only where it could not: 126 and 127 mean what they mean to `env`,
/// since 3 could be the program's own.
pub(super) fn run(args: &ExecAsArgs) -> Outcome {
    let (text, code) = match try_run(args) {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    };
    talk(&format!("landfall exec-as: {text}\n"));
    std::process::exit(code)
}

fn try_run(args: &ExecAsArgs) -> Result<std::convert::Infallible, (String, i32)> {
    let account = Account::named(&args.user).ok_or_else(|| (format!("there is no user `{}`", args.user), 126))?;
    become_user(&account).map_err(|error| (format!("cannot become `{}`: {}", args.user, plainly(&error)), 126))?;
    let [program, rest @ ..] = args.command.as_slice() else { return Err(("no program was named".into(), 126)) };
    let error = process::blocking_program(program).args(rest).exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    Err((format!("cannot start `{}`: {}", program.display(), plainly(&error)), code))
}
