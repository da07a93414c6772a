//! `landfall completions`, and what it leads to at TAB: verbs, options, and the names and ids that the server knows now.
//! At TAB nothing fails, and nobody waits longer than it takes to notice.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use serde_json::Value;

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome};
use super::server::ServerArgs;
use super::status::short;
use super::terminal::say;
use super::words::Cli;
use crate::clients::Clock;
use crate::config::{Config, Environment};
use crate::domain::{DeliveryId, DeploymentId, TargetName};

/// What a shell sets where it asks for completions; its value is the shell's name.
const VARIABLE: &str = "_LANDFALL_COMPLETE";
/// Longer than this, a key that was pressed seems to have done nothing.
const PATIENCE: Duration = Duration::from_millis(300);

const HOW: &str = "\
bash:  echo 'source <(landfall completions bash)' >> ~/.bashrc
zsh:   echo 'source <(landfall completions zsh)' >> ~/.zshrc
fish:  echo 'landfall completions fish | source' >> ~/.config/fish/config.fish

Targets and ids are the server's: it is asked for them at TAB, and where none answers at once, the targets of the
configuration are taken.";

/// The arguments.
#[derive(Debug, Args)]
#[command(after_help = HOW)]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(Shells::builtins().names()))]
    shell: String,
}

/// Prints the shell's script.
pub(super) fn run(args: &CompletionsArgs) -> Outcome {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).expect("clap takes no other words");
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "landfall", "landfall", &own_name(), &mut script)
        .map_err(anyhow::Error::from)?;
    say(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// What the shell calls to ask: the name that it found us by, or the path, from wherever it is called.
fn own_name() -> String {
    let typed = std::env::args_os().next().unwrap_or_default();
    let path = Path::new(&typed);
    match std::path::absolute(path) {
        Ok(absolute) if path.components().count() > 1 => absolute.display().to_string(),
        Ok(_) | Err(_) => "landfall".to_owned(),
    }
}

/// Answers a shell that asks what may follow; nothing where a person typed.
pub(super) fn at_tab() -> Option<Exit> {
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    match asked.try_complete(std::env::args_os(), here.as_deref()) {
        Ok(false) => None,
        Ok(true) => std::io::stdout().flush().ok().map(|()| Exit::Done),
        Err(_) => Some(Exit::Wrong),
    }
}

/// Targets.
pub(super) fn targets() -> ArgValueCandidates {
    ArgValueCandidates::new(|| known_targets(PATIENCE))
}

/// Deployments, the newest first.
pub(super) fn deployments() -> ArgValueCandidates {
    ArgValueCandidates::new(|| known_deployments(PATIENCE))
}

/// Targets, then deployments.
pub(super) fn targets_and_deployments() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let clock = Clock::system();
        let began = clock.now();
        let targets = known_targets(PATIENCE);
        let gone = clock.now().duration_since(began).try_into().unwrap_or(PATIENCE);
        in_order(targets.into_iter().chain(known_deployments(PATIENCE.saturating_sub(gone))))
    })
}

/// Deliveries, the newest first.
pub(super) fn deliveries() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        told(PATIENCE, "/api/v1/deliveries", "deliveries", |it| {
            let id = DeliveryId::parse(it["id"].as_str()?).ok()?;
            Some(candidate(id.as_str(), it["text"].as_str()?.to_owned()))
        })
        .unwrap_or_default()
    })
}

fn known_targets(patience: Duration) -> Vec<CompletionCandidate> {
    let of_server = told(patience, "/api/v1/targets", "targets", |it| {
        let name = TargetName::parse(it["name"].as_str()?).ok()?;
        Some(candidate(name.as_str(), it["repository"].as_str().unwrap_or_default().to_owned()))
    });
    of_server.unwrap_or_else(configured_targets)
}

fn known_deployments(patience: Duration) -> Vec<CompletionCandidate> {
    told(patience, "/api/v1/deployments?limit=50", "deployments", |it| {
        let said = |key: &str| it[key].as_str().unwrap_or_default();
        let help = format!("{} {} {} {}", said("target"), said("state"), short(said("sha")), said("title"));
        Some(candidate(&DeploymentId::parse(it["id"].as_str()?).ok()?.to_string(), help))
    })
    .unwrap_or_default()
}

/// A shell takes a value into its line: each was parsed, and is what it is said to be.
fn candidate(value: &str, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.into()))
}

/// What the server lists there, in its order; nothing where none answers in time.
fn told(
    patience: Duration,
    path: &str,
    key: &str,
    candidate: impl Fn(&Value) -> Option<CompletionCandidate>,
) -> Option<Vec<CompletionCandidate>> {
    let environment = Environment::of_process();
    let server = usual(&environment).find_silently(&environment)?;
    let answer = server.get_within(patience, path);
    // Its end would wait for a name that is still being looked up.
    std::mem::forget(server);
    let answer = answer.ok()?;
    Some(in_order(answer[key].as_array()?.iter().filter_map(candidate)))
}

/// As they come, and not by the alphabet.
fn in_order(all: impl Iterator<Item = CompletionCandidate>) -> Vec<CompletionCandidate> {
    all.enumerate().map(|(at, it)| it.display_order(Some(at))).collect()
}

fn configured_targets() -> Vec<CompletionCandidate> {
    let environment = Environment::of_process();
    let config = Config::load_without_secrets(&usual(&environment).config.path(), &environment);
    let targets = config.map(|config| config.targets).unwrap_or_default();
    targets.iter().map(|it| CompletionCandidate::new(it.name.as_str())).collect()
}

/// The server that the environment and the usual places name: what else was typed is not known at TAB.
fn usual(environment: &Environment) -> ServerArgs {
    let config = ConfigArgs { config: environment.get("LANDFALL_CONFIG").map(PathBuf::from) };
    ServerArgs::of(config, environment)
}
