//! What a run is to do, as it stands in its directory. Everything is in it: the child asks nobody.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::HostError;
use super::layout::{GroupId, Layout, RunDir};
use crate::appspec::{LIFECYCLE, PREVIOUS_EVENTS};
use crate::domain::{BundleFormat, CommitSha, FileExists, Location, RunId};

/// One run, as intended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIntent {
    /// Whose run it is: another marker in the same directory is another run.
    pub marker: String,
    /// The run's id, `DEPLOYMENT_ID` for hooks.
    pub run: RunId,
    /// `APPLICATION_NAME` for hooks.
    pub application: String,
    /// `DEPLOYMENT_GROUP_NAME` for hooks.
    pub deployment_group: String,
    /// `DEPLOYMENT_GROUP_ID` for hooks, and the group's directory.
    pub group: GroupId,
    /// The engine's root.
    pub root: PathBuf,
    /// The bundle's absolute path.
    pub bundle: PathBuf,
    /// What lies there.
    pub bundle_type: BundleType,
    /// SHA-256 of the bundle, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `BUNDLE_COMMIT` for hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSha>,
    /// The object in S3 that the bundle came from: `BUNDLE_BUCKET` and its like for hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<BundleObject>,
    /// How.
    pub options: RunOptions,
}

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version, where the bucket keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The eTag, without its quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl BundleObject {
    /// The object that a location names, if it is one.
    pub fn at(location: &Location) -> Option<Self> {
        match location {
            Location::S3 { bucket, key, region: _, version, etag } => {
                Some(Self { bucket: bucket.clone(), key: key.clone(), version: version.clone(), etag: etag.clone() })
            }
            Location::File { .. } => None,
        }
    }
}

/// What a bundle can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleType {
    /// A gzip-compressed tar.
    Tgz,
    /// A tar.
    Tar,
    /// A zip.
    Zip,
    /// A directory.
    Directory,
}

/// The options of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// The user for hooks without `runas`; nothing means the engine's own.
    #[serde(default)]
    pub user: Option<String>,
    /// What to do with files that exist already; the AppSpec's word beats it (R66).
    #[serde(default)]
    pub file_exists_behavior: Option<FileExists>,
    /// Whether failures of hooks of the previous revision are passed over (D12).
    #[serde(default)]
    pub ignore_application_stop_failures: bool,
    /// Whether the traffic hooks run (D26).
    #[serde(default)]
    pub traffic_hooks: bool,
    /// Whether it fails where AWS's agent would, although it could go on: the previous revision's directory is gone (R17).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// How many archives are kept besides the current one (D9).
    #[serde(default)]
    pub max_revisions: u32,
    /// The AppSpec's name, where it is not `appspec.yml` or `appspec.yaml`.
    #[serde(default)]
    pub appspec: Option<String>,
    /// The events to run instead of the usual ones (R105).
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// The earlier run of the group whose state shall be again, where this run rolls back to it: foreign files that
    /// later runs replaced return to their paths (R64, R93). The revision to deploy is this run's own bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back_to: Option<RunId>,
}

impl From<BundleFormat> for BundleType {
    fn from(format: BundleFormat) -> Self {
        match format {
            BundleFormat::Tgz => Self::Tgz,
            BundleFormat::Tar => Self::Tar,
            BundleFormat::Zip => Self::Zip,
        }
    }
}

impl RunIntent {
    /// The engine's layout.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.root)
    }

    /// The run's directory.
    pub fn dir(&self) -> RunDir {
        self.layout().run(&self.group, &self.run)
    }

    /// Reads the intent of a run's directory.
    pub fn read(dir: &RunDir) -> Result<Self, HostError> {
        let path = dir.intent();
        let text = fs::read(&path).map_err(HostError::on("read", &path))?;
        serde_json::from_slice(&text).map_err(|error| HostError::Unreadable {
            path,
            expected: "what a run is to do",
            detail: error.to_string(),
        })
    }

    /// The lifecycle events to run, in order; an error says why they cannot be run so.
    pub fn events(&self) -> Result<Vec<String>, String> {
        // There is no load balancer here, so that traffic itself is neither blocked nor allowed.
        let usual = LIFECYCLE.iter().filter(|it| match **it {
            "BlockTraffic" | "AllowTraffic" => false,
            event => self.options.traffic_hooks || !event.ends_with("Traffic"),
        });
        self.options.events.as_deref().map_or_else(|| Ok(usual.map(|it| (*it).to_owned()).collect()), in_order)
    }
}

/// The order of R105: the two events that bring the revision run first unless they are named, and what stands before
/// them must be able to run without it.
fn in_order(asked: &[String]) -> Result<Vec<String>, String> {
    let mut events: Vec<String> = Vec::new();
    for event in asked {
        if events.contains(event) {
            return Err(format!("`{event}` is named twice"));
        }
        events.push(event.clone());
    }
    let named = |name: &str| events.iter().any(|event| event == name);
    let (download, install) = (named("DownloadBundle"), named("Install"));
    if !install {
        let after = if download { position(&events, "DownloadBundle") + 1 } else { 0 };
        events.insert(after, "Install".into());
    }
    if !download {
        events.insert(0, "DownloadBundle".into());
    }
    let (download, install) = (position(&events, "DownloadBundle"), position(&events, "Install"));
    for (at, event) in events.iter().enumerate() {
        let early = PREVIOUS_EVENTS.contains(&event.as_str());
        if at < download && !early {
            return Err(format!("`{event}` cannot run before DownloadBundle"));
        }
        if at < install && !early && event != "DownloadBundle" && event != "BeforeInstall" {
            return Err(format!("`{event}` cannot run before Install"));
        }
    }
    Ok(events)
}

fn position(events: &[String], name: &str) -> usize {
    events.iter().position(|event| event == name).unwrap_or(events.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(asked: &str) -> Result<String, String> {
        let asked: Vec<String> = asked.split(',').map(str::to_owned).collect();
        in_order(&asked).map(|events| events.join(","))
    }

    #[test]
    fn asked_events_replace_the_usual_ones_but_the_revision_is_always_brought() {
        assert_eq!(
            order("BeforeInstall,ApplicationStart").unwrap(),
            "DownloadBundle,Install,BeforeInstall,ApplicationStart"
        );
        assert_eq!(order("ApplicationStop").unwrap(), "DownloadBundle,Install,ApplicationStop");
        let whole = "ApplicationStop,DownloadBundle,BeforeInstall,Install,AfterInstall";
        assert_eq!(order(whole).unwrap(), whole);
        assert_eq!(order("DownloadBundle,HealthCheck").unwrap(), "DownloadBundle,Install,HealthCheck");
        assert_eq!(
            order("AfterInstall,DownloadBundle").unwrap_err(),
            "`AfterInstall` cannot run before DownloadBundle"
        );
        assert_eq!(
            order("DownloadBundle,AfterInstall,Install").unwrap_err(),
            "`AfterInstall` cannot run before Install"
        );
    }
}
