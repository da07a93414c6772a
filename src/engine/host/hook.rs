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
use super::processes::of_group;
use super::unpack_entries::stays_inside;
use crate::clients::{Clock, process};
use crate::config::nearest;
use crate::domain::{Failure, plainly};

/// How often the time is looked at while nothing is heard.
const TICK: Duration = Duration::from_millis(20);

/// One script, ready to run.
pub(super) struct HookScript<'a> {
    /// The event.
    pub(super) event: &'a str,
    /// The location, as the AppSpec names it.
    pub(super) location: &'a str,
    /// What it is called with; hooks are called with nothing.
    pub(super) arguments: &'a [String],
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
    /// Who holds on to it, where somebody does.
    pub(super) keeper: Option<&'a dyn Keeper>,
}

/// Whoever has to know of a script's process, and may want it ended before its time.
pub(super) trait Keeper {
    /// It has begun, as the first of a process group of this id.
    fn begun(&self, group: u32);
    /// Whether nobody wants its answer any more.
    fn lets_go(&self) -> bool;
}

/// How a script's process ended.
enum Ending {
    Exit(ExitStatus),
    TimeUp,
    OutputsHeld(String),
    LetGo,
}

/// Runs it. What is told is told also of a script that failed; a warning is pushed where something was mended.
pub(super) fn run(
    hook: &HookScript<'_>,
    log: &mut ScriptLog,
    warnings: &mut Vec<String>,
) -> (ScriptTold, Option<Failure>) {
    let began = hook.clock.now();
    log.script(hook.location);
    log.note(&header(hook));
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

/// What differs most often between a script that works by hand and fails in a deployment (E77).
fn header(hook: &HookScript<'_>) -> String {
    let path = variable(hook, "PATH").unwrap_or_default();
    format!("runs as {} in {} with PATH={path}", hook.account.name, hook.archive.display())
}

fn variable<'a>(hook: &'a HookScript<'_>, name: &str) -> Option<&'a str> {
    hook.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Looks at the file before it runs: the system's own answers to these faults mislead.
fn ready(hook: &HookScript<'_>, log: &mut ScriptLog, warnings: &mut Vec<String>) -> Result<Command, Failure> {
    let path = script_path(hook.archive, hook.location);
    let named = format!("`{}`", hook.location);
    let Ok(about) = fs::metadata(&path) else {
        let like = alike(hook.archive, hook.location);
        return Err(missing(hook.event, hook.location, &path, like.as_deref()));
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
    command.args(first).args(hook.arguments);
    Ok(command)
}

/// Where a location lies: always in the archive, a leading `/` or not (R27).
pub(super) fn script_path(archive: &Path, location: &str) -> PathBuf {
    let parts = location.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    parts.fold(archive.to_owned(), |path, part| path.join(part))
}

/// The failure of a script that is not there (R29).
pub(super) fn missing(event: &str, location: &str, path: &Path, like: Option<&str>) -> Failure {
    let text = format!("`{location}` in {event} is not in the bundle: looked for `{}`", path.display());
    let help = match like {
        Some(like) => format!("did you mean `{like}`? Names differ by upper and lower case, too"),
        None => "commit the script; `location` is a path inside the bundle, not a command".to_owned(),
    };
    Failure::revision("host/script-missing", text).help(help)
}

/// A file beside a script that is not there, whose name is nearly its own (E61).
pub(super) fn alike(archive: &Path, location: &str) -> Option<String> {
    let path = script_path(archive, location);
    let name = path.file_name()?.to_str()?.to_owned();
    let listing = fs::read_dir(path.parent()?).ok()?;
    let there: Vec<String> = listing.flatten().filter_map(|it| it.file_name().into_string().ok()).collect();
    let same = there.iter().map(String::as_str).find(|it| it.eq_ignore_ascii_case(&name));
    let near = same.or_else(|| nearest(&name, there.iter().map(String::as_str)))?;
    let folder = path.parent()?.strip_prefix(archive).ok()?;
    Some(folder.join(near).display().to_string())
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
    if line.ends_with(b"\r") {
        return Err(wrong(
            format!("{named} has Windows line endings (CR after #!{})", text.trim()),
            "convert it, and write `*.sh text eol=lf` into .gitattributes",
        ));
    }
    if let Some(absent) = absent_interpreter(&text, variable(hook, "PATH").unwrap_or_default()) {
        return Err(wrong(
            format!("{named} wants the interpreter `{absent}`, which is not on this host"),
            "install it, or change the script's first line",
        ));
    }
    Ok(true)
}

/// The program that a first line asks for and that is not there (E63), be it by way of `env`, which would only say so
/// with a number. All that follows `env` is one word to the system, unless `-S` splits it.
fn absent_interpreter<'a>(line: &'a str, path: &str) -> Option<&'a str> {
    let line = line.trim();
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if first.starts_with('/') && !Path::new(first).exists() {
        return Some(first);
    }
    if Path::new(first).file_name() != Some(OsStr::new("env")) {
        return None;
    }
    let rest = rest.trim_start();
    let program = rest.strip_prefix("-S").map_or(rest, |split| split.split_whitespace().next().unwrap_or_default());
    // Options and variables, such as another PATH, are for `env` to understand.
    if program.is_empty() || program.starts_with('-') || program.contains('=') {
        return None;
    }
    let is_there = match program.contains('/') {
        // One that is relative depends on where it runs.
        true => !program.starts_with('/') || Path::new(program).exists(),
        false => path.split(':').any(|folder| Path::new(folder).join(program).exists()),
    };
    (!is_there).then_some(program)
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
    child: Child,
    began: Timestamp,
    log: &mut ScriptLog,
    told: &mut ScriptTold,
) -> Option<Failure> {
    let group = child.id();
    if let Some(keeper) = hook.keeper {
        keeper.begun(group);
    }
    let mut outputs = Outputs::of(child);
    let deadline = began + SignedDuration::try_from(hook.timeout).unwrap_or(SignedDuration::MAX);
    let ending = wait(hook, &mut outputs, deadline, log, told);
    let failure = match ending {
        Ending::Exit(status) => of_status(hook, status)?,
        ending @ (Ending::TimeUp | Ending::LetGo) => {
            told.timed_out = matches!(ending, Ending::TimeUp);
            let ended = if told.timed_out { too_late(hook, group) } else { let_go(hook) };
            let status = end_group(hook, group, &mut outputs, log);
            told.exit_code = status.and_then(|it| it.code());
            told.signal = status.and_then(|it| it.signal());
            ended
        }
        Ending::OutputsHeld(holders) => {
            told.timed_out = true;
            let (location, event, seconds) = (hook.location, hook.event, hook.timeout.as_secs());
            Failure::revision(
                "host/outputs-left-open",
                format!("`{location}` ended in {event}, but its {holders} stayed open for {seconds} seconds"),
            )
            .help("start background programs with `> /dev/null 2> /dev/null < /dev/null &`")
        }
    };
    Some(failure.detail(&log.tail()))
}

/// The failure of a script that was ended because nobody waits for it.
fn let_go(hook: &HookScript<'_>) -> Failure {
    let text = format!("`{}` was ended in {}: nobody waits for it any more", hook.location, hook.event);
    Failure::setup("host/script-let-go", text).help("nothing to do: the deployment was stopped, or the bot was ended")
}

/// The failure of a script whose time is up, with what it is waiting for (R39).
fn too_late(hook: &HookScript<'_>, group: u32) -> Failure {
    const NAMED: usize = 5;
    let running = of_group(group).into_iter().filter(|it| it.pid != group);
    let running: Vec<String> = running.take(NAMED).map(|it| format!("{} ({})", it.name, it.pid)).collect();
    let running = if running.is_empty() { String::new() } else { format!(", and still runs {}", running.join(", ")) };
    let (location, event, seconds) = (hook.location, hook.event, hook.timeout.as_secs());
    let text = format!("`{location}` failed to complete in {seconds} seconds in {event}{running}");
    Failure::revision("host/script-timed-out", text)
        .help("raise its `timeout`, or start what runs long in the background with its outputs redirected")
}

/// Listens until the script has ended and its outputs are closed, or its time is up.
fn wait(
    hook: &HookScript<'_>,
    outputs: &mut Outputs,
    deadline: Timestamp,
    log: &mut ScriptLog,
    told: &mut ScriptTold,
) -> Ending {
    /// What a script that failed may still have to say once it is gone.
    const LAST_WORDS: SignedDuration = SignedDuration::from_millis(500);
    let mut ended: Option<(ExitStatus, Timestamp)> = None;
    loop {
        let now = hook.clock.now();
        if hook.keeper.is_some_and(Keeper::lets_go) {
            return Ending::LetGo;
        }
        if let Some((status, at)) = ended {
            let given_up = !status.success() && now.duration_since(at) > LAST_WORDS;
            if outputs.all_closed() || given_up {
                return Ending::Exit(status);
            }
            if now >= deadline {
                return Ending::OutputsHeld(outputs.holders());
            }
        } else if now >= deadline {
            return Ending::TimeUp;
        }
        match outputs.next(TICK) {
            Some(Said::Line(stream, text)) => log.output(stream, &text),
            Some(Said::Ended(status)) => {
                (told.exit_code, told.signal) = (status.code(), status.signal());
                ended = Some((status, hook.clock.now()));
            }
            Some(Said::Closed(_)) | None => {}
        }
    }
}

/// Ends the script and everything of its process group: TERM, a grace, KILL (R40).
fn end_group(hook: &HookScript<'_>, group: u32, outputs: &mut Outputs, log: &mut ScriptLog) -> Option<ExitStatus> {
    /// A process that was killed is gone within this time, unless the system holds it.
    const LAST_BREATH: SignedDuration = SignedDuration::from_secs(2);
    let group = Pid::from_raw(i32::try_from(group).expect("a process id is positive and small"));
    let mut status = None;
    let grace = SignedDuration::try_from(hook.kill_after).unwrap_or_default();
    for (signal, grace) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, LAST_BREATH)] {
        // The group may be gone already: that is what is wanted.
        let _ = killpg(group, signal);
        let grace_ends = hook.clock.now() + grace;
        while hook.clock.now() < grace_ends {
            match outputs.next(TICK) {
                Some(Said::Line(stream, text)) => log.output(stream, &text),
                Some(Said::Ended(ended)) => status = Some(ended),
                Some(Said::Closed(_)) | None => {}
            }
            if status.is_some() && killpg(group, None).is_err() {
                return status;
            }
        }
    }
    status
}

/// The failure of an exit status, if it is one.
fn of_status(hook: &HookScript<'_>, status: ExitStatus) -> Option<Failure> {
    if status.success() {
        return None;
    }
    let (location, event) = (hook.location, hook.event);
    if let Some(number) = status.signal() {
        let name = Signal::try_from(number).map_or("unknown", Signal::as_str);
        return Some(
            Failure::revision(
                "host/script-killed",
                format!("`{location}` was killed by signal {number} ({name}) in {event}"),
            )
            .help("see who ended it: when memory runs out, the kernel's log says so"),
        );
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
