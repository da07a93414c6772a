//! `landfall check`: what is wrong with a configuration or an AppSpec, all at once. It changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome, Trouble};
use super::findings::{Format, count, render};
use super::terminal::{GOOD, say, styled, talk};
use crate::config::{Config, Environment};
use crate::domain::{Finding, Findings, plainly};

/// The names that an AppSpec may have.
const APPSPECS: &[&str] = &["appspec.yml", "appspec.yaml"];

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// An AppSpec, or a directory with an appspec.yml or a landfall.toml
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,

    /// How findings are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Exit with 2 for any finding, not only for errors
    #[arg(long)]
    strict: bool,
}

/// What there is to check.
#[derive(Default)]
struct Subjects {
    config: Option<PathBuf>,
    appspec: Option<PathBuf>,
}

pub(super) fn run(args: &CheckArgs, environment: &Environment) -> Outcome {
    let subjects = subjects(args)?;
    let mut findings = Findings::default();
    let mut checked = Vec::new();
    if let Some(path) = &subjects.config {
        checked.push(path.display().to_string());
        let found = match Config::load(path, environment) {
            Ok(config) => config.warnings,
            Err(findings) => findings,
        };
        findings.0.extend(found.0);
    }
    if let Some(path) = &subjects.appspec {
        checked.push(path.display().to_string());
        findings.0.extend(appspec(path).0);
    }
    say(&render(&findings, args.format, &|file| fs::read_to_string(file).ok()));
    if args.format == Format::Human {
        let style = if findings.0.is_empty() { GOOD } else { anstyle::Style::new() };
        talk(&format!("{}: {}\n", checked.join(", "), styled(style, &count(&findings))));
    }
    let refused = if args.strict { !findings.0.is_empty() } else { findings.refuse() };
    Ok(if refused { Exit::Wrong } else { Exit::Done })
}

fn subjects(args: &CheckArgs) -> Result<Subjects, Trouble> {
    let mut subjects = Subjects { config: args.config.config.clone(), appspec: None };
    match &args.path {
        Some(path) if path.is_dir() => {
            subjects.config = subjects.config.or_else(|| existing(path.join("landfall.toml")));
            subjects.appspec = APPSPECS.iter().find_map(|name| existing(path.join(name)));
        }
        Some(path) if path.extension().is_some_and(|it| it == "toml") => subjects.config = Some(path.clone()),
        Some(path) => subjects.appspec = Some(path.clone()),
        None => {
            subjects.config = subjects.config.or_else(|| existing(args.config.path()));
            subjects.appspec = APPSPECS.iter().find_map(|name| existing(PathBuf::from(name)));
        }
    }
    if subjects.config.is_none() && subjects.appspec.is_none() {
        let place = args.path.as_ref().map_or("here".to_owned(), |path| format!("in `{}`", path.display()));
        return Err(Trouble::wrong(format!("there is neither a landfall.toml nor an appspec.yml {place}"))
            .help("name one, as in `landfall check -c FILE` or `landfall check PATH`; `landfall init` writes both"));
    }
    Ok(subjects)
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

fn appspec(path: &Path) -> Findings {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => crate::appspec::parse(&text, &name).1,
        Err(error) => {
            let finding = Finding::error("cli/unreadable", format!("`{name}` cannot be read: {}", plainly(&error)));
            Findings(vec![finding.help("name an AppSpec, or a directory with an appspec.yml")])
        }
    }
}
