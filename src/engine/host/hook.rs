//! Runs one hook script to its end (R27-R45): directly, with its own environment and user, within its time.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::account::Account;
use super::journal::ScriptTold;
use super::log::ScriptLog;
use super::outputs::{Outputs, Said};
use super::unpack_entries::stays_inside;
use crate::clients::{Clock, process};
use crate::domain::{Failure, plainly};

/// How often an ending is looked for.
const TICK: Duration = Duration::from_millis(20);

/// One script, ready to run.
pub(super) struct HookScript<'a> {
    /// The event.
    pub(super) event: &'a str,
    /// The location, as the AppSpec names it.
    pub(super) location: &'a str,
    /// The unpacked revision it comes from, which is also where it runs (D15).
    pub(super) archive: &'a Path,
    /// The user.
    pub(super) account: &'a Account,
    /// Its environment.
    pub(super) variables: Vec<(String, String)>,
    /// How long it may take.
    pub(super) timeout: Duration,
    /// The program whose `exec-as` becomes other users.
    pub(super) program: &'a Path,
    /// How long a script may go on after TERM.
    pub(super) kill_after: Duration,
    /// The time.
    pub(super) clock: &'a Clock,
}

/// How a script's process ended.
enum Ending {
    Exit(ExitStatus),
    TimeUp,
    OutputsHeld(String),
}

/// Runs it. What is told is told also of a script that failed; a warning is pushed where something was mended.
pub(super) fn run(
    hook: &HookScript<'_>,
    log: &mut ScriptLog,
    warnings: &mut Vec<String>,
) -> (ScriptTold, Option<Failure>) {
    let began = hook.clock.now();
    log.script(hook.location);
    let mut told = ScriptTold { location: hook.location.to_owned(), ..ScriptTold::default() };
    let failure = match ready(hook, log, warnings).and_then(|command| start(hook, command)) {
        Ok(child) => attend(hook, child, began, log, &mut told),
        Err(failure) => Some(failure),
    };
    if let Some(failure) = &failure {
        log.note(&failure.message);
    }
    told.seconds = hook.clock.now().duration_since(began).as_secs_f64();
    (told, failure)
}

/// Looks at the file before it runs: the system's own answers to these faults mislead.
fn ready(hook: &HookScript<'_>, log: &mut ScriptLog, warnings: &mut Vec<String>) -> Result<Command, Failure> {
    let path = script_path(hook.archive, hook.location);
    let named = format!("`{}`", hook.location);
    let Ok(about) = fs::metadata(&path) else {
        return Err(missing(hook.event, hook.location, &path));
    };
    let name = path.strip_prefix(hook.archive).unwrap_or(&path);
    if !stays_inside(hook.archive, name) {
        return Err(Failure::revision("host/script-missing", format!("{named} in {} leaves the bundle", hook.event)));
    }
    if !about.is_file() {
        return Err(Failure::revision("host/script-not-executable", format!("{named} in {} is no file", hook.event)));
    }
    if about.permissions().mode() & 0o111 == 0 {
        let mode = about.permissions().mode() | 0o111;
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(|error| {
            Failure::revision("host/script-not-executable", format!("{named} is not executable: {}", plainly(&error)))
        })?;
        let text = format!("{named} was not executable and was made so");
        log.note(&text);
        warnings.push(format!("{text}: run `git update-index --chmod=+x {}`", name.display()));
    }
    let direct = has_interpreter(hook, &path, &named, log, warnings)?;
    let (program, first): (&OsStr, Option<&Path>) =
        if direct { (path.as_os_str(), None) } else { (OsStr::new("/bin/sh"), Some(&path)) };
    let mut command = if hook.account.is_own() {
        process::blocking_program(program)
    } else {
        let mut command = process::blocking_program(hook.program);
        command.arg("exec-as").arg(&hook.account.name).arg("--").arg(program);
        command
    };
    command.args(first);
    Ok(command)
}

/// Where a location lies: always in the archive, a leading `/` or not (R27).
pub(super) fn script_path(archive: &Path, location: &str) -> PathBuf {
    let parts = location.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.fold(archive.to_owned(), |path, part| path.join(part))
}

/// The failure of a script that is not there (R29).
pub(super) fn missing(event: &str, location: &str, path: &Path) -> Failure {
    Failure::revision(
        "host/script-missing",
        format!("`{location}` in {event} is not in the bundle: looked for `{}`", path.display()),
    )
    .help("commit the script; `location` is a path inside the bundle, not a command")
}

/// Whether the system can start the file itself; without `#!` it is the shell's (R31).
fn has_interpreter(
    hook: &HookScript<'_>,
    path: &Path,
    named: &str,
    log: &mut ScriptLog,
    warnings: &mut Vec<String>,
) -> Result<bool, Failure> {
    let wrong = |text: String, help: &str| Failure::revision("host/script-not-executable", text).help(help);
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.map_err(|error| wrong(format!("{named} is not readable: {}", plainly(&error)), "check its mode"))?;
    if head.starts_with(b"\x7fELF") {
        return Ok(true);
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        return Err(wrong(format!("{named} begins with a byte-order mark"), "save it as UTF-8 without BOM"));
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        let text = format!("{named} in {} has no `#!` line and is run by /bin/sh", hook.event);
        log.note(&text);
        warnings.push(text);
        return Ok(false);
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let interpreter = text.split_whitespace().next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Err(wrong(
            format!("{named} has Windows line endings (CR after #!{})", text.trim()),
            "convert it, and write `*.sh text eol=lf` into .gitattributes",
        ));
    }
    if interpreter.starts_with('/') && !Path::new(interpreter).exists() {
        return Err(wrong(
            format!("{named} wants the interpreter `{interpreter}`, which is not on this host"),
            "install it, or change the script's first line",
        ));
    }
    Ok(true)
}

fn start(hook: &HookScript<'_>, mut command: Command) -> Result<Child, Failure> {
    command
        .env_clear()
        .envs(hook.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(hook.archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // A script that was just written can be busy for a moment: another thread's child may hold it open until it execs.
    for _ in 0..50 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(TICK),
            other => return other.map_err(|error| not_started(hook, &error)),
        }
    }
    command.spawn().map_err(|error| not_started(hook, &error))
}

fn not_started(hook: &HookScript<'_>, error: &io::Error) -> Failure {
    Failure::revision(
        "host/script-not-executable",
        format!("`{}` in {} could not be started: {}", hook.location, hook.event, plainly(error)),
    )
}

fn attend(
    hook: &HookScript<'_>,
    mut child: Child,
    began: Timestamp,
    log: &mut ScriptLog,
    told: &mut ScriptTold,
) -> Option<Failure> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both were asked for");
    };
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id is positive and small"));
    let mut outputs = Outputs::read(stdout, stderr);
    let deadline = began + SignedDuration::try_from(hook.timeout).unwrap_or(SignedDuration::MAX);
    let ending = wait(hook, &mut child, &mut outputs, deadline, log, told);
    let failure = match ending {
        Ending::Exit(status) => of_status(hook, status)?,
        Ending::TimeUp => {
            told.timed_out = true;
            let status = end_group(hook, &mut child, group, &mut outputs, log);
            told.exit_code = status.and_then(|it| it.code());
            told.signal = status.and_then(|it| it.signal());
            Failure::revision(
                "host/script-timed-out",
                format!(
                    "`{}` failed to complete in {} seconds in {}",
                    hook.location,
                    hook.timeout.as_secs(),
                    hook.event
                ),
            )
            .help("raise its `timeout`, or start what runs long in the background with its outputs redirected")
        }
        Ending::OutputsHeld(holders) => {
            told.timed_out = true;
            Failure::revision(
                "host/outputs-left-open",
                format!(
                    "`{}` ended in {}, but its {holders} stayed open for {} seconds",
                    hook.location,
                    hook.event,
                    hook.timeout.as_secs()
                ),
            )
            .help("start background programs with `> /dev/null 2> /dev/null < /dev/null &`")
        }
    };
    Some(failure.detail(&log.tail()))
}

/// Listens until the script has ended and its outputs are closed, or its time is up.
fn wait(
    hook: &HookScript<'_>,
    child: &mut Child,
    outputs: &mut Outputs,
    deadline: Timestamp,
    log: &mut ScriptLog,
    told: &mut ScriptTold,
) -> Ending {
    /// What a script that failed may still have to say once it is gone.
    const LAST_WORDS: SignedDuration = SignedDuration::from_millis(500);
    let mut ended: Option<(ExitStatus, Timestamp)> = None;
    loop {
        if outputs.all_closed() {
            std::thread::sleep(if ended.is_none() { TICK } else { Duration::ZERO });
        } else if let Some(Said::Line(stream, text)) = outputs.next(TICK) {
            log.output(stream, &text);
            if hook.clock.now() < deadline {
                continue;
            }
        }
        let now = hook.clock.now();
        if ended.is_none() {
            ended = child.try_wait().ok().flatten().map(|status| (status, now));
        }
        match ended {
            Some((status, at)) => {
                (told.exit_code, told.signal) = (status.code(), status.signal());
                let given_up = !status.success() && now.duration_since(at) > LAST_WORDS;
                if outputs.all_closed() || given_up {
                    return Ending::Exit(status);
                }
                if now >= deadline {
                    return Ending::OutputsHeld(outputs.holders());
                }
            }
            None if now >= deadline => return Ending::TimeUp,
            None => {}
        }
    }
}

/// Ends the script and everything of its process group: TERM, a grace, KILL (R40).
fn end_group(
    hook: &HookScript<'_>,
    child: &mut Child,
    group: Pid,
    outputs: &mut Outputs,
    log: &mut ScriptLog,
) -> Option<ExitStatus> {
    // The group may be gone already: that is what is wanted.
    let _ = killpg(group, Signal::SIGTERM);
    let grace_ends = hook.clock.now() + SignedDuration::try_from(hook.kill_after).unwrap_or_default();
    let mut status = None;
    while hook.clock.now() < grace_ends {
        if outputs.all_closed() {
            std::thread::sleep(TICK);
        } else if let Some(Said::Line(stream, text)) = outputs.next(TICK) {
            log.output(stream, &text);
        }
        status = status.or_else(|| child.try_wait().ok().flatten());
        if status.is_some() && killpg(group, None).is_err() {
            return status;
        }
    }
    let _ = killpg(group, Signal::SIGKILL);
    status.or_else(|| child.wait().ok())
}

/// The failure of an exit status, if it is one.
fn of_status(hook: &HookScript<'_>, status: ExitStatus) -> Option<Failure> {
    if status.success() {
        return None;
    }
    let (location, event) = (hook.location, hook.event);
    if let Some(number) = status.signal() {
        let name = Signal::try_from(number).map_or("unknown", Signal::as_str);
        return Some(Failure::revision(
            "host/script-killed",
            format!("`{location}` was killed by signal {number} ({name}) in {event}"),
        ));
    }
    let code = status.code().unwrap_or(-1);
    let failure =
        Failure::revision("host/script-failed", format!("`{location}` ended with exit code {code} in {event}"));
    Some(match code {
        126 => failure.help("126 means: a command in it is not executable"),
        127 => failure.help("127 means: a command in it was not found"),
        _ => failure,
    })
}
