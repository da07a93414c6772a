//! Where everything lies inside the engine's root: the CodeDeploy agent's own names (R4-R7).

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::HostError;
use crate::domain::RunId;

/// A deployment group's directory name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(String);

/// What a group's pointer files point to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pointer {
    /// The last run whose bundle was unpacked.
    MostRecentInstall,
    /// The last run whose files were copied.
    LastSuccessfulInstall,
    /// The last run that succeeded as a whole (D7).
    LastSuccessfulDeployment,
}

/// The engine's root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// One run's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl GroupId {
    /// The id of a group by its names: the same again when both are created anew (R68).
    pub fn of(application: &str, deployment_group: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["landfall deployment group", application, deployment_group] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hex = hex::encode(&hash.finalize()[..16]);
        Self(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
    }

    /// Takes a name as the id, as `codedeploy-local` does; nothing where it is no plain directory name.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' '));
        let fits = plain && (1..=100).contains(&text.len()) && !text.starts_with(['.', ' ']);
        (fits && !text.starts_with("deployment-instructions") && !text.starts_with("deployment-logs"))
            .then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for GroupId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no name for a group's directory"))
    }
}

impl From<GroupId> for String {
    fn from(id: GroupId) -> String {
        id.0
    }
}

impl Layout {
    /// The layout under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A group's directory.
    pub fn group(&self, group: &GroupId) -> PathBuf {
        self.root.join(group.as_str())
    }

    /// A run's directory.
    pub fn run(&self, group: &GroupId, run: &RunId) -> RunDir {
        RunDir(self.group(group).join(run.as_str()))
    }

    /// The directory of a run whose group is not at hand.
    pub fn find_run(&self, run: &RunId) -> Option<RunDir> {
        let groups = fs::read_dir(&self.root).ok()?;
        groups.flatten().map(|group| RunDir(group.path().join(run.as_str()))).find(|run| run.intent().is_file())
    }

    /// The log of all runs (R9).
    pub(super) fn deployments_log(&self) -> PathBuf {
        self.root.join("deployment-logs/codedeploy-agent-deployments.log")
    }

    fn instruction(&self, group: &GroupId, ending: &str) -> PathBuf {
        self.root.join("deployment-instructions").join(format!("{group}{ending}"))
    }

    /// What the group's last Install wrote.
    pub(super) fn manifest(&self, group: &GroupId) -> PathBuf {
        self.instruction(group, "-cleanup")
    }

    /// What the latest run was told to do.
    pub(super) fn install_json(&self, group: &GroupId) -> PathBuf {
        self.instruction(group, "-install.json")
    }

    /// Held while a run of the group works.
    pub(super) fn group_lock(&self, group: &GroupId) -> PathBuf {
        self.instruction(group, ".lock")
    }

    fn pointer(&self, group: &GroupId, pointer: Pointer) -> PathBuf {
        let ending = match pointer {
            Pointer::MostRecentInstall => "_most_recent_install",
            Pointer::LastSuccessfulInstall => "_last_successful_install",
            Pointer::LastSuccessfulDeployment => "_last_successful_deployment",
        };
        self.instruction(group, ending)
    }

    /// The run directory that a pointer names.
    pub(super) fn pointed(&self, group: &GroupId, pointer: Pointer) -> Option<RunDir> {
        let text = fs::read_to_string(self.pointer(group, pointer)).ok()?;
        Some(RunDir(PathBuf::from(text.trim_end_matches('\n'))))
    }

    /// Turns a pointer to a run directory. Whose scripts run next must outlive a power cut; the other two are for people
    /// and for scripts written for AWS, and each sync costs a deployment milliseconds.
    pub(super) fn point(&self, group: &GroupId, pointer: Pointer, to: &RunDir) -> Result<(), HostError> {
        let (path, bytes) = (self.pointer(group, pointer), to.path().as_os_str().as_encoded_bytes());
        match pointer {
            Pointer::LastSuccessfulDeployment => write_durably(&path, bytes),
            Pointer::MostRecentInstall | Pointer::LastSuccessfulInstall => write_whole(&path, bytes),
        }
    }
}

impl RunDir {
    /// A run's directory at a known place.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the run is to do.
    pub fn intent(&self) -> PathBuf {
        self.0.join("intent.json")
    }

    /// Held by the one who works.
    pub fn lock(&self) -> PathBuf {
        self.0.join("run.lock")
    }

    /// What happened so far.
    pub fn journal(&self) -> PathBuf {
        self.0.join("progress.jsonl")
    }

    /// There when somebody asked to stop.
    pub fn stop(&self) -> PathBuf {
        self.0.join("stop")
    }

    /// The unpacked bundle.
    pub fn archive(&self) -> PathBuf {
        self.0.join("deployment-archive")
    }

    /// The output of its scripts.
    pub fn scripts_log(&self) -> PathBuf {
        self.0.join("logs/scripts.log")
    }

    /// The process of a script that is being tried out.
    pub(super) fn trial(&self) -> PathBuf {
        self.0.join("trial")
    }

    /// What the child itself says, when it cannot say it in the journal.
    pub(super) fn output(&self) -> PathBuf {
        self.0.join("logs/child.log")
    }

    /// The bundle while it is checked: `deployment-archive` is there only once it may be used.
    pub(super) fn unpacking(&self) -> PathBuf {
        self.0.join("unpacking")
    }

    /// The bundle as it came (D28: whatever its format).
    pub(super) fn bundle(&self) -> PathBuf {
        self.0.join("bundle.tar")
    }

    /// Foreign files that this run replaced (R64).
    pub(super) fn displaced(&self) -> PathBuf {
        self.0.join("displaced")
    }
}

/// Writes a whole file so that every reader finds the old one or the new one. A power cut may lose it.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, bytes).map_err(HostError::on("write", &new))?;
    fs::rename(&new, path).map_err(HostError::on("write", path))
}

/// Writes a whole file so that after a crash it is the old one or the new one.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(HostError::on("create", folder))?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(HostError::on("write", &new))?;
    fs::rename(&new, path).map_err(HostError::on("write", path))?;
    sync_directory(folder)
}

/// Makes a directory's entries durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), HostError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(HostError::on("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_created_anew_keeps_its_id() {
        let id = GroupId::of("blog", "production");
        assert_eq!(id, GroupId::of("blog", "production"));
        assert_ne!(id, GroupId::of("blogp", "roduction"));
        assert_eq!(id.as_str().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_group_is_one_directory_under_the_root() {
        for wrong in ["", ".", "..", "a/b", "deployment-instructions", "deployment-logs", " x", "é"] {
            assert!(GroupId::parse(wrong).is_none(), "{wrong}");
        }
        assert!(GroupId::parse("default-local-deployment-group").is_some());
    }
}
