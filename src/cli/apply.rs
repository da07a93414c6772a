//! `landfall apply`: runs one bundle with the host engine, with the options of `codedeploy-local`. It fetches nothing.
//!
//! With the hidden `--run-dir` it is the child that a host engine started: the run is written down there already.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{say, talk};
use crate::domain::{FileExists, RunId, StepStatus, Verdict, plainly};
use crate::engine::host::{
    Account, BundleType, End, EventTold, GroupId, HostError, Means, RunDir, RunIntent, RunOptions, Story, carry_out,
    prepare_run,
};

/// What `apply` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct ApplyArgs {
    /// The bundle: an archive or a directory of this machine [default: the current directory]
    #[arg(short = 'l', long, value_name = "PATH")]
    bundle_location: Option<String>,
    /// What it is
    #[arg(short = 't', long = "type", value_enum, default_value = "directory")]
    bundle_type: BundleTypeArg,
    /// What to do with files that exist already and are not this group's; the AppSpec's word beats it
    #[arg(short = 'b', long, value_enum, ignore_case = true, value_name = "BEHAVIOR")]
    file_exists_behavior: Option<FileExistsArg>,
    /// The deployment group, which is also its directory's name under the root
    #[arg(short = 'g', long, default_value = "default-local-deployment-group", value_name = "GROUP")]
    deployment_group: String,
    /// `DEPLOYMENT_GROUP_NAME` for hooks [default: the deployment group]
    #[arg(short = 'd', long, value_name = "NAME")]
    deployment_group_name: Option<String>,
    /// The lifecycle events to run, in this order; DownloadBundle and Install run first unless they are named
    #[arg(short = 'e', long, value_delimiter = ',', value_name = "EVENT,…")]
    events: Vec<String>,
    /// The AppSpec's name [default: appspec.yml or appspec.yaml]
    #[arg(short = 'A', long, value_name = "NAME")]
    appspec_filename: Option<String>,
    /// An agent's configuration file, of which the root directory and the number of kept archives are read
    #[arg(short = 'c', long, value_name = "FILE")]
    agent_configuration_file: Option<PathBuf>,
    /// Prints the version
    #[arg(short = 'v', long)]
    version: bool,
    /// `APPLICATION_NAME` for hooks [default: the bundle's location]
    #[arg(short = 'a', long, alias = "application-name", value_name = "NAME")]
    application: Option<String>,
    /// The engine's directory [default: landfall/deployment-root where the user keeps state]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Goes on when a script of the previous revision fails
    #[arg(long)]
    ignore_application_stop_failures: bool,
    /// Runs the traffic hooks too
    #[arg(long)]
    traffic_hooks: bool,
    /// Prints one JSON object at the end
    #[arg(long)]
    json: bool,
    /// The directory of a run that stands written down
    #[arg(long, hide = true)]
    run_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BundleTypeArg {
    Tgz,
    Tar,
    Zip,
    Directory,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum FileExistsArg {
    Disallow,
    Overwrite,
    Retain,
}

/// Runs it.
pub(super) fn run(args: &ApplyArgs) -> Outcome {
    if let Some(dir) = &args.run_dir {
        return as_child(dir);
    }
    if args.version {
        say(concat!("landfall ", env!("CARGO_PKG_VERSION"), "\n"));
        return Ok(Exit::Done);
    }
    let intent = intent(args)?;
    let dir = prepare_run(&intent).map_err(unusable)?;
    let story = follow(&dir, args.json)?;
    if args.json {
        say(&format!("{}\n", as_json(&intent, &story)));
    } else {
        tell_end(&intent, &dir, &story);
    }
    Ok(exit_of(&story))
}

/// The host engine's child: in a session of its own, so that the end of the bot is not its end.
fn as_child(dir: &Path) -> Outcome {
    // It is one already where something else made it one.
    let _ = nix::unistd::setsid();
    let story = carry_out(&RunDir::at(dir), &Means::own()).map_err(unusable)?;
    Ok(story.map_or(Exit::Done, |story| exit_of(&story)))
}

fn unusable(error: HostError) -> Trouble {
    Trouble::unreachable(error.to_string())
}

fn exit_of(story: &Story) -> Exit {
    match story.end.as_ref().map(|end| end.verdict) {
        Some(Verdict::Succeeded) => Exit::Done,
        Some(Verdict::Failed | Verdict::Stopped) | None => Exit::DeploymentFailed,
    }
}

/// Carries the run out, and tells each event as it ends. Ctrl-C lets the event at work end and stops then.
fn follow(dir: &RunDir, quiet: bool) -> Result<Story, Trouble> {
    const TICK: Duration = Duration::from_millis(40);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let deaf = |error| Trouble::unreachable(format!("cannot wait for signals: {}", plainly(&error)));
    let runtime = runtime.map_err(deaf)?;
    // Before the run begins, so that no Ctrl-C can end it in the middle.
    let (mut interrupt, mut end) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(deaf)?, signal(SignalKind::terminate()).map_err(deaf)?)
    };
    let worker = {
        let dir = dir.clone();
        std::thread::spawn(move || carry_out(&dir, &Means::own()))
    };
    let mut told = Vec::new();
    runtime.block_on(async {
        while !worker.is_finished() {
            tokio::select! {
                _ = interrupt.recv() => ask_to_stop(dir),
                _ = end.recv() => ask_to_stop(dir),
                () = tokio::time::sleep(TICK) => {}
            }
            if !quiet && let Ok(story) = Story::read(dir) {
                tell_events(&story, &mut told);
            }
        }
    });
    let story = match worker.join() {
        Ok(story) => story.map_err(unusable)?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let story = story.ok_or_else(|| Trouble::unreachable("another process carries this run out"))?;
    if !quiet {
        tell_events(&story, &mut told);
    }
    Ok(story)
}

fn ask_to_stop(dir: &RunDir) {
    let _ = fs::write(dir.stop(), "");
    talk("stopping after the event at work\n");
}

fn tell_events(story: &Story, told: &mut Vec<String>) {
    for event in &story.events {
        let ended = matches!(event.status, StepStatus::Succeeded | StepStatus::Failed);
        if !ended || told.contains(&event.name) {
            continue;
        }
        told.push(event.name.clone());
        let word = if event.status == StepStatus::Succeeded { "ok" } else { "failed" };
        let seconds = Duration::from_millis(event.took_ms.unwrap_or(0)).as_secs_f64();
        let scripts: Vec<&str> = event.scripts.iter().map(|script| script.location.as_str()).collect();
        let scripts = if scripts.is_empty() { String::new() } else { format!("  {}", scripts.join(", ")) };
        say(&format!("{:<20} {word:<7} {seconds:.1} s{scripts}\n", event.name));
    }
}

fn tell_end(intent: &RunIntent, dir: &RunDir, story: &Story) {
    for warning in &story.warnings {
        talk(&format!("warning: {warning}\n"));
    }
    let Some(End { verdict, failure, .. }) = &story.end else { return };
    let word = match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Failed => "failed",
        Verdict::Stopped => "stopped",
    };
    say(&format!("{} {word}\n", intent.run));
    let Some(failure) = failure else { return };
    talk(&format!("{failure}\n"));
    if let Some(detail) = &failure.detail {
        talk(&format!("{detail}\n"));
    }
    talk(&format!("the whole output is in {}\n", dir.scripts_log().display()));
    if let Some(help) = &failure.help {
        talk(&format!("{help}\n"));
    }
}

fn as_json(intent: &RunIntent, story: &Story) -> serde_json::Value {
    let end = story.end.as_ref();
    let failure = end.and_then(|end| end.failure.as_ref());
    let status = match end.map(|end| end.verdict) {
        Some(Verdict::Succeeded) => "Succeeded",
        Some(Verdict::Stopped) => "Stopped",
        Some(Verdict::Failed) | None => "Failed",
    };
    json!({
        "deployment_id": intent.run.as_str(),
        "deployment_group": intent.group.as_str(),
        "status": status,
        "failed_event": end.and_then(|end| end.failed_event.as_ref()),
        "code": failure.map(|failure| &failure.code),
        "message": failure.map(|failure| &failure.message),
        "help": failure.and_then(|failure| failure.help.as_ref()),
        "detail": failure.and_then(|failure| failure.detail.as_ref()),
        "events": story.events.iter().map(event_json).collect::<Vec<_>>(),
        "warnings": story.warnings,
        "log": intent.dir().scripts_log().display().to_string(),
    })
}

fn event_json(event: &EventTold) -> serde_json::Value {
    let status = match event.status {
        StepStatus::Succeeded => "Succeeded",
        StepStatus::Failed => "Failed",
        StepStatus::Pending | StepStatus::InProgress | StepStatus::Skipped | StepStatus::Unknown => "Skipped",
    };
    let scripts: Vec<_> = event
        .scripts
        .iter()
        .map(|script| {
            json!({
                "location": script.location,
                "exit_code": script.exit_code,
                "signal": script.signal,
                "timed_out": script.timed_out,
                "seconds": script.seconds,
            })
        })
        .collect();
    json!({ "name": event.name, "status": status, "ignored": event.ignored, "scripts": scripts })
}

/// What is to be run, of the words typed.
fn intent(args: &ApplyArgs) -> Result<RunIntent, Trouble> {
    let agent = args.agent_configuration_file.as_deref().map(AgentFile::read).transpose()?.unwrap_or_default();
    let location = args.bundle_location.clone().unwrap_or_else(|| ".".into());
    let (bundle, bundle_type) = bundle(&location, args.bundle_type)?;
    let group = GroupId::parse(&args.deployment_group).ok_or_else(|| {
        Trouble::wrong(format!("`{}` is no name for a group: it becomes a directory's name", args.deployment_group))
    })?;
    let root = args.root.clone().or(agent.root_dir).unwrap_or_else(usual_root);
    let root = std::path::absolute(&root).map_err(|error| Trouble::unreachable(error.to_string()))?;
    let run = drawn_run_id().map_err(Trouble::unreachable)?;
    let intent = RunIntent {
        marker: format!("landfall apply {run}"),
        run,
        application: args.application.clone().unwrap_or(location),
        deployment_group: args.deployment_group_name.clone().unwrap_or_else(|| args.deployment_group.clone()),
        group,
        root,
        bundle,
        bundle_type,
        sha256: None,
        commit: None,
        options: RunOptions {
            user: None,
            file_exists_behavior: args.file_exists_behavior.map(|it| match it {
                FileExistsArg::Disallow => FileExists::Disallow,
                FileExistsArg::Overwrite => FileExists::Overwrite,
                FileExistsArg::Retain => FileExists::Retain,
            }),
            ignore_application_stop_failures: args.ignore_application_stop_failures,
            traffic_hooks: args.traffic_hooks,
            max_revisions: agent.max_revisions.unwrap_or(5),
            appspec: args.appspec_filename.clone(),
            events: Some(args.events.clone()).filter(|events| !events.is_empty()),
            rolls_back_to: None,
        },
    };
    intent.events().map_err(Trouble::wrong)?;
    Ok(intent)
}

fn unreadable(name: &str, error: &std::io::Error) -> Trouble {
    Trouble::unreachable(format!("`{name}` cannot be read: {}", plainly(error)))
}

fn bundle(location: &str, kind: BundleTypeArg) -> Result<(PathBuf, BundleType), Trouble> {
    if location.contains("://") {
        return Err(Trouble::wrong(format!("`{location}` is not on this machine")).help("fetch it first"));
    }
    let path = fs::canonicalize(location).map_err(|error| unreadable(location, &error))?;
    let kind = match kind {
        BundleTypeArg::Tgz => BundleType::Tgz,
        BundleTypeArg::Tar => BundleType::Tar,
        BundleTypeArg::Zip => BundleType::Zip,
        BundleTypeArg::Directory => BundleType::Directory,
    };
    match (kind, path.is_dir()) {
        (BundleType::Directory, false) => {
            Err(Trouble::wrong(format!("`{location}` is a file")).help("say what it is with `--type`"))
        }
        (BundleType::Tgz | BundleType::Tar | BundleType::Zip, true) => {
            Err(Trouble::wrong(format!("`{location}` is a directory")).help("leave `--type` out"))
        }
        (BundleType::Directory, true) | (BundleType::Tgz | BundleType::Tar | BundleType::Zip, false) => {
            Ok((path, kind))
        }
    }
}

/// Where the engine's directory is when nobody says: never the CodeDeploy agent's.
fn usual_root() -> PathBuf {
    let account = Account::own();
    let state = if account.uid == 0 { PathBuf::from("/var/lib") } else { account.home.join(".local/state") };
    state.join("landfall/deployment-root")
}

/// `d-XXXXXXXXX-local` (R104).
fn drawn_run_id() -> Result<RunId, String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut random = [0; 9];
    getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
    let letters: String = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    RunId::parse(format!("d-{letters}-local")).map_err(|error| error.to_string())
}

/// What is used of a CodeDeploy agent's configuration file.
#[derive(Default)]
struct AgentFile {
    root_dir: Option<PathBuf>,
    max_revisions: Option<u32>,
}

impl AgentFile {
    fn read(path: &Path) -> Result<Self, Trouble> {
        let text = fs::read_to_string(path).map_err(|error| unreadable(&path.display().to_string(), &error))?;
        let mut file = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().strip_prefix(':').and_then(|line| line.split_once(": ")) else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim_end_matches(':') {
                "root_dir" => file.root_dir = Some(value.into()),
                "max_revisions" => {
                    let number = value.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                        let text = format!("`max_revisions` in `{}` must be above 0, and is `{value}`", path.display());
                        Trouble::wrong(text)
                    })?;
                    file.max_revisions = Some(number);
                }
                _ => {}
            }
        }
        Ok(file)
    }
}
