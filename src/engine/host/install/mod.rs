//! Install: copies what `files` names and removes what the group's last Install wrote and this one does not (R47-R70).
//!
//! Everything that can be known to fail is found before anything is touched. New files are then staged beside their
//! places and renamed over them, so that a failure up to that moment leaves the old revision as it was, and each path
//! is at any moment the old file or the new one. AWS's agent removes first and copies then.

mod acl;
mod copying;
mod displaced;
mod label;
mod manifest;
mod patterns;
mod permissions;
mod plan;
mod room;
mod staging;
mod tree;

use std::path::Path;

pub(super) use acl::is_supported as keeps_access_lists;
pub(super) use copying::rename_to_nothing;
pub(super) use displaced::keeps_foreign;
use displaced::{returning, want_directories};
use manifest::Manifest;
use plan::{Host, Plan};

use super::error::HostError;
use super::intent::RunIntent;
use super::probe::Probe;
use crate::appspec::ServerSpec;
use crate::domain::{Failure, FileExists};

/// What speaks against an Install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The revision does not fit together.
    Revision(String),
    /// A file is there that is not ours.
    Exists {
        /// Where.
        path: String,
        /// Who installed it, if it was another group of this engine.
        by: Option<String>,
    },
    /// The machine is not as it should be.
    Machine(String),
    /// A user or group is not there.
    Unknown(String),
}

/// The problems of the revision alone, to be found before any hook runs (R2).
pub(super) fn check_sources(spec: &ServerSpec, archive: &Path) -> Result<(), Failure> {
    let mut problems = Vec::new();
    tree::expand(spec, archive, &mut problems);
    fail_of(&problems)
}

/// Installs the revision unpacked in `archive`, and returns what a person should know.
pub(super) fn install(
    intent: &RunIntent,
    spec: &ServerSpec,
    archive: &Path,
    probe: &Probe,
) -> Result<Vec<String>, Failure> {
    let layout = intent.layout();
    let manifest_path = layout.manifest(&intent.group);
    let before = Manifest::read(&manifest_path).map_err(|error| error.failure())?;
    let standing = before.as_ref().map(Manifest::standing).unwrap_or_default();
    let mut warnings = Vec::new();
    let back_to = intent.options.rolls_back_to.as_ref();
    let returning = back_to.map(|run| returning(&standing, run, &mut warnings)).unwrap_or_default();
    let behavior = spec.file_exists_behavior.or(intent.options.file_exists_behavior).unwrap_or(FileExists::Disallow);
    let mut problems = Vec::new();
    let mut tree = tree::expand(spec, archive, &mut problems);
    want_directories(&returning, &mut tree, &mut problems);
    let host = Host { owned: &standing.owned, returning: &returning, behavior };
    let plan = Plan::against_host(tree, host, &mut problems);
    let changes = permissions::resolve(spec, &plan, &mut problems, &mut warnings);
    for problem in &mut problems {
        if let Problem::Exists { path, by } = problem {
            *by = manifest::other_owner(&layout, &intent.group, Path::new(path));
        }
    }
    fail_of(&problems)?;
    let mut staging = staging::Staging::new(intent, &plan, &changes, before, &standing, &manifest_path, probe);
    warnings.extend(staging.carry_out().map_err(|error| failed(&error))?);
    Ok(warnings)
}

fn failed(error: &HostError) -> Failure {
    let failure = error.failure();
    if failure.code == "host/disk-full" {
        return failure;
    }
    Failure::setup("host/install-failed", failure.message).help("see that the engine's user may write there")
}

/// One failure that names every problem.
fn fail_of(problems: &[Problem]) -> Result<(), Failure> {
    let text = |problem: &Problem| match problem {
        Problem::Revision(text) | Problem::Machine(text) | Problem::Unknown(text) => text.clone(),
        Problem::Exists { path, by: None } => path.clone(),
        Problem::Exists { path, by: Some(by) } => format!("{path} (installed by {by})"),
    };
    let Some(first) = problems.iter().min_by_key(|problem| rank(problem)) else { return Ok(()) };
    let more = match problems.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let all = problems.iter().map(text).collect::<Vec<_>>().join("\n");
    let first_text = text(first);
    let failure = match first {
        Problem::Revision(_) => Failure::revision("host/install-plan", format!("{first_text}{more}"))
            .help("correct `files` in the AppSpec; nothing was changed on the host"),
        Problem::Unknown(_) => Failure::setup("host/unknown-user", format!("{first_text}{more}"))
            .help("create it beforehand or in a BeforeInstall hook; nothing was changed on the host"),
        Problem::Machine(_) => Failure::setup("host/install-refused", format!("{first_text}{more}"))
            .help("nothing was changed on the host"),
        Problem::Exists { .. } => Failure::setup(
            "host/files-exist",
            format!(
                "a specified file already exists at this location and was not installed by this deployment group: {first_text}{more}"
            ),
        )
        .help("remove it, or set `file_exists_behavior` to OVERWRITE or RETAIN; nothing was changed on the host"),
    };
    Err(failure.detail(&all))
}

/// The faults of the revision come first: they are there on every host.
fn rank(problem: &Problem) -> u8 {
    match problem {
        Problem::Revision(_) => 0,
        Problem::Unknown(_) => 1,
        Problem::Machine(_) => 2,
        Problem::Exists { .. } => 3,
    }
}
