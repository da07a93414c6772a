//! `landfall check`: what is wrong with a configuration, an AppSpec or a whole bundle, all at once. It changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::configuration::ConfigArgs;
use super::exit::{Exit, Outcome, Trouble};
use super::findings::{Format, count, render};
use super::terminal::{GOOD, say, styled, talk};
use super::worktree::Worktree;
use crate::appspec::{AppSpec, Os, parse_bytes, parse_what_can_be};
use crate::bundle::{Inspected, inspect};
use crate::chat::check_templates;
use crate::config::{Config, Environment};
use crate::domain::{BundleFormat, Finding, Findings, Severity, plainly};

/// The names that an AppSpec may have.
const APPSPECS: &[&str] = &["appspec.yml", "appspec.yaml", "appspec.json"];

/// The arguments.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// An AppSpec; or a directory with a landfall.toml, or with an appspec.yml and what is deployed with it
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigArgs,

    /// How findings are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Exit with 2 for warnings and portability notes too, not only for errors
    #[arg(long)]
    strict: bool,
}

/// What there is to check.
#[derive(Default)]
struct Subjects {
    config: Option<PathBuf>,
    appspec: Option<PathBuf>,
    /// The directory that becomes a bundle.
    bundle: Option<PathBuf>,
}

/// What was checked, and what came of it.
#[derive(Default)]
struct Report {
    checked: Vec<String>,
    findings: Findings,
}

pub(super) fn run(args: &CheckArgs, environment: &Environment) -> Outcome {
    let subjects = subjects(args)?;
    let mut report = Report::default();
    if let Some(path) = &subjects.config {
        report.checked.push(shown(path));
        let found = match Config::load(path, environment) {
            Ok(config) => Findings([config.warnings.0.clone(), check_templates(&config).0].concat()),
            Err(findings) => findings,
        };
        report.findings.0.extend(found.0);
    }
    match (&subjects.bundle, &subjects.appspec) {
        (Some(dir), _) => check_bundle(dir, &mut report)?,
        (None, Some(path)) => check_appspec(path, &mut report),
        (None, None) => {}
    }
    let Report { checked, mut findings } = report;
    findings.0.sort_by_key(|it| order(it, &checked));
    say(&render(&findings, args.format, &|file| fs::read_to_string(file).ok()));
    if args.format == Format::Human {
        let style = if findings.0.is_empty() { GOOD } else { anstyle::Style::new() };
        talk(&format!("{}: {}\n", checked.join(", "), styled(style, &count(&findings))));
    }
    let minded = |it: &Finding| it.severity == Severity::Error || (args.strict && it.severity != Severity::Style);
    Ok(if findings.0.iter().any(minded) { Exit::Wrong } else { Exit::Done })
}

/// The files in the order they were checked in, then those they led to; in each from top to bottom. What has no place
/// comes last.
fn order(finding: &Finding, checked: &[String]) -> (usize, String, u32, u32) {
    let Some(place) = &finding.place else { return (usize::MAX, String::new(), 0, 0) };
    let file = checked.iter().position(|it| *it == place.file).unwrap_or(checked.len());
    (file, place.file.clone(), place.line, place.column)
}

fn subjects(args: &CheckArgs) -> Result<Subjects, Trouble> {
    let mut subjects = Subjects { config: args.config.config.clone(), ..Subjects::default() };
    match &args.path {
        Some(path) if !path.is_dir() => {
            if path.extension().is_some_and(|it| it == "toml") {
                subjects.config = Some(path.clone());
            } else {
                subjects.appspec = Some(path.clone());
            }
            return Ok(subjects);
        }
        Some(dir) => {
            let within = PathBuf::from(shown(&dir.join("landfall.toml")));
            subjects.config = subjects.config.or_else(|| existing(within));
        }
        None => subjects.config = subjects.config.or_else(|| existing(args.config.path())),
    }
    let dir = args.path.clone().unwrap_or_else(|| PathBuf::from("."));
    // In a repository whose AppSpec lies elsewhere, the tree says where.
    let somewhere = || subjects.config.is_none() && dir.join(".git").exists();
    if APPSPECS.iter().any(|name| dir.join(name).exists()) || somewhere() {
        subjects.bundle = Some(dir);
    }
    if subjects.config.is_none() && subjects.bundle.is_none() {
        let place = args.path.as_ref().map_or("here".to_owned(), |path| format!("in `{}`", path.display()));
        return Err(Trouble::wrong(format!("there is neither a landfall.toml nor an appspec.yml {place}"))
            .help("name one, as in `landfall check -c FILE` or `landfall check PATH`; `landfall init` writes both"));
    }
    Ok(subjects)
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

/// A path as people and GitHub write it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    text.strip_prefix("./").map(str::to_owned).unwrap_or(text)
}

fn check_appspec(path: &Path, report: &mut Report) {
    let name = shown(path);
    report.checked.push(name.clone());
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let finding = Finding::error("cli/unreadable", format!("`{name}` cannot be read: {}", plainly(&error)));
            return report.findings.push(finding.help("name an AppSpec, or a directory with an appspec.yml"));
        }
    };
    let (spec, findings) = parse_bytes(&bytes, &name);
    report.findings.0.extend(findings.0);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if spec.is_some_and(|spec| spec.server().is_some()) && file != APPSPECS[0] {
        let message = format!("CodeDeploy looks for `{}` in the bundle's root, and this is `{file}`", APPSPECS[0]);
        let finding = if file == APPSPECS[1] {
            Finding::portability("cli/appspec-name", message)
                .help("rename it: agents before 1.3.2 know only the one name")
        } else {
            Finding::warning("cli/appspec-name", message).help("rename it, or let the build copy it to that name")
        };
        report.findings.push(finding);
    }
}

/// The AppSpec of a directory, and everything that would be deployed with it.
fn check_bundle(dir: &Path, report: &mut Report) -> Result<(), Trouble> {
    let root = match shown(dir).trim_end_matches('/') {
        "." => String::new(),
        root => root.to_owned(),
    };
    let mut spec = None;
    if let Some(path) = APPSPECS.iter().find_map(|name| existing(dir.join(name))) {
        let name = shown(&path);
        let bytes = fs::read(&path).map_err(|error| {
            Trouble::unreachable(format!("`{name}` cannot be read: {}", plainly(&error))).help("let this user read it")
        })?;
        let (parsed, findings) = parse_what_can_be(&bytes, &name);
        report.findings.0.extend(findings.0);
        match parsed {
            Some(AppSpec::Server(it)) => spec = Some(it),
            // Nothing else is deployed with these.
            Some(AppSpec::Lambda(_) | AppSpec::Ecs(_)) => {
                report.checked.push(name);
                return Ok(());
            }
            None => {}
        }
        report.checked.push(name);
    }
    let tree = Worktree::list(dir)?;
    let format = match spec.as_ref().map(|it| it.os) {
        Some(Os::Windows) => BundleFormat::Zip,
        Some(Os::Linux) | None => BundleFormat::Tgz,
    };
    let Inspected { files, findings } =
        inspect(spec.as_ref(), format, &root, tree.seen.clone(), |path| tree.open(path));
    let told: Vec<_> =
        report.findings.0.iter().map(|it| (it.code.replace("appspec/", "bundle/"), it.place.clone())).collect();
    // Two items that surely overlap were told already, without what exactly they meet at.
    let news = |it: &Finding| !told.contains(&(it.code.clone(), it.place.clone()));
    report.findings.0.extend(findings.0.into_iter().filter(news));
    let whose = if tree.by_git { "git has" } else { "the disk has" };
    report.checked.push(format!("{files} file{} that {whose}", if files == 1 { "" } else { "s" }));
    Ok(())
}
