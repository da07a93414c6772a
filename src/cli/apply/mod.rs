//! `landfall apply`: runs one bundle with the host engine, with the options of `codedeploy-local`.
//!
//! With the hidden `--run-dir` it is the child that a host engine started: the run is written down there already.

mod agent_file;
mod bundle;
mod telling;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Outcome, Trouble};
use super::terminal::{say, talk};
use crate::config::Environment;
use crate::domain::{FileExists, Mask, RunId, Verdict, plainly};
use crate::engine::host::{
    Account, GroupId, HostError, Means, RunDir, RunIntent, RunOptions, Story, carry_out, prepare_run,
};
use agent_file::AgentFile;
use bundle::BundleTypeArg;
use telling::{Teller, as_json, tell_end};

/// What `apply` is told.
#[derive(Clone, Debug, Args)]
pub(super) struct ApplyArgs {
    /// The bundle: a path, an object in S3 by its `s3` address, or a repository or archive at GitHub by its address
    /// [default: the current directory]
    #[arg(short = 'l', long, value_name = "LOCATION")]
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
    /// Fails where AWS's agent would, although it could go on: when the previous revision's directory is gone
    #[arg(long)]
    strict: bool,
    /// Prints one JSON object at the end
    #[arg(long)]
    json: bool,
    /// The directory of a run that stands written down
    #[arg(long, hide = true)]
    run_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum FileExistsArg {
    Disallow,
    Overwrite,
    Retain,
}

impl From<FileExistsArg> for FileExists {
    fn from(it: FileExistsArg) -> Self {
        match it {
            FileExistsArg::Disallow => Self::Disallow,
            FileExistsArg::Overwrite => Self::Overwrite,
            FileExistsArg::Retain => Self::Retain,
        }
    }
}

/// Runs it.
pub(super) fn run(args: &ApplyArgs, environment: &Environment) -> Outcome {
    if let Some(dir) = &args.run_dir {
        return as_child(dir);
    }
    if args.version {
        say(concat!("landfall ", env!("CARGO_PKG_VERSION"), "\n"));
        return Ok(Exit::Done);
    }
    // What was fetched stays until the run is over.
    let (intent, _fetched) = intent(args, environment)?;
    let dir = prepare_run(&intent).map_err(unusable)?;
    let means = Means::own().with_environment(environment.for_others());
    let story = follow(&dir, means, args.json)?.masked(&own_secrets(environment));
    if args.json {
        say(&format!("{}\n", as_json(&intent, &story)));
    } else {
        tell_end(&intent, &dir, &story);
    }
    Ok(exit_of(&story))
}

/// What it was given itself to fetch bundles with, and what a hook could print. The log on this machine has it all.
fn own_secrets(environment: &Environment) -> Mask {
    let names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN"];
    Mask::new(names.iter().filter_map(|name| environment.get(name)).map(str::to_owned))
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
fn follow(dir: &RunDir, means: Means, quiet: bool) -> Result<Story, Trouble> {
    const TICK: Duration = Duration::from_millis(40);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let deaf = |error| Trouble::unreachable(format!("cannot wait for signals: {}", plainly(&error)));
    let runtime = runtime.map_err(deaf)?;
    // Before the run begins, so that no Ctrl-C can end it in the middle.
    let (mut interrupt, mut end) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(deaf)?, signal(SignalKind::terminate()).map_err(deaf)?)
    };
    let (done, mut ended) = tokio::sync::oneshot::channel::<()>();
    let worker = {
        let dir = dir.clone();
        std::thread::spawn(move || {
            // Dropped when the run is over, however it ends.
            let _done = done;
            carry_out(&dir, &means)
        })
    };
    let mut teller = Teller::default();
    runtime.block_on(async {
        loop {
            tokio::select! {
                _ = &mut ended => break,
                _ = interrupt.recv() => ask_to_stop(dir),
                _ = end.recv() => ask_to_stop(dir),
                () = tokio::time::sleep(TICK) => {}
            }
            if !quiet && let Ok(story) = Story::read(dir) {
                teller.look(&story, TICK);
            }
        }
    });
    let story = match worker.join() {
        Ok(story) => story.map_err(unusable)?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let story = story.ok_or_else(|| Trouble::unreachable("another process carries this run out"))?;
    if !quiet {
        teller.look(&story, TICK);
    }
    Ok(story)
}

fn ask_to_stop(dir: &RunDir) {
    let _ = fs::write(dir.stop(), "");
    talk("stopping after the event at work\n");
}

/// What is to be run, of the words typed.
fn intent(args: &ApplyArgs, environment: &Environment) -> Result<(RunIntent, Option<TempDir>), Trouble> {
    let agent = args.agent_configuration_file.as_deref().map(AgentFile::read).transpose()?.unwrap_or_default();
    let location = args.bundle_location.clone().unwrap_or_else(|| ".".into());
    let group = GroupId::parse(&args.deployment_group).ok_or_else(|| {
        Trouble::wrong(format!("`{}` is no name for a group: it becomes a directory's name", args.deployment_group))
    })?;
    let root = args.root.clone().or(agent.root_dir.clone()).unwrap_or_else(usual_root);
    let root = std::path::absolute(&root).map_err(|error| Trouble::unreachable(error.to_string()))?;
    for warning in &agent.warnings {
        talk(&format!("warning: {warning}\n"));
    }
    let bundle = bundle::bring(&location, args.bundle_type, &root, environment)?;
    let run = drawn_run_id().map_err(Trouble::unreachable)?;
    let intent = RunIntent {
        marker: format!("landfall apply {run}"),
        run,
        application: args.application.clone().unwrap_or(location),
        deployment_group: args.deployment_group_name.clone().unwrap_or_else(|| args.deployment_group.clone()),
        group,
        root,
        bundle: bundle.path,
        bundle_type: bundle.kind,
        sha256: None,
        commit: bundle.commit,
        object: bundle.object,
        options: RunOptions {
            user: None,
            file_exists_behavior: args.file_exists_behavior.map(FileExists::from),
            ignore_application_stop_failures: args.ignore_application_stop_failures,
            traffic_hooks: args.traffic_hooks,
            strict: args.strict,
            max_revisions: agent.max_revisions.unwrap_or(5),
            appspec: args.appspec_filename.clone(),
            events: Some(args.events.clone()).filter(|events| !events.is_empty()),
            rolls_back_to: None,
        },
    };
    intent.events().map_err(Trouble::wrong)?;
    Ok((intent, bundle.fetched))
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
