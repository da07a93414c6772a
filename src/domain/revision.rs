//! The commit as it is stored, pinned, ready to deploy.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ids::CommitSha;

/// The format of a bundle, as CodeDeploy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleFormat {
    /// A gzip-compressed tar: the default for `os: linux`, keeps modes.
    Tgz,
    /// A plain tar.
    Tar,
    /// A zip: the only one that Windows agents read.
    Zip,
}

impl BundleFormat {
    /// The extension of its object's key, and CodeDeploy's `bundleType`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Tgz => "tgz",
            Self::Tar => "tar",
            Self::Zip => "zip",
        }
    }
}

/// Where a revision's bytes lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "kebab-case")]
pub enum Location {
    /// An object in S3, pinned by version (where the bucket keeps versions) and eTag (without its quotes).
    S3 {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// The bucket's region.
        region: String,
        /// The object's version, where the bucket keeps versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The object's eTag without its quotes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etag: Option<String>,
    },
    /// A file on this machine.
    File {
        /// Its absolute path.
        path: PathBuf,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key, version: Some(version), .. } => {
                write!(f, "s3://{bucket}/{key}?versionId={version}")
            }
            Self::S3 { bucket, key, .. } => write!(f, "s3://{bucket}/{key}"),
            Self::File { path } => write!(f, "{}", path.display()),
        }
    }
}

/// How long revisions that succeeded are kept, besides those that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many of the newest that succeeded.
    pub keep: u32,
    /// For how many days after a revision was last used.
    pub keep_days: u32,
}

/// What an engine is given to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case")]
pub enum Revision {
    /// A bundle with its AppSpec at the root.
    Bundle {
        /// Its format.
        format: BundleFormat,
        /// Where it lies.
        location: Location,
        /// SHA-256 of its bytes, hex.
        sha256: String,
        /// Its length in bytes.
        bytes: u64,
        /// How many files it holds.
        files: u64,
    },
    /// The AppSpec itself, for Lambda and ECS.
    AppSpec {
        /// Its exact text.
        content: String,
        /// SHA-256 of the text, hex.
        sha256: String,
    },
    /// The commit on GitHub, fetched by CodeDeploy's own link.
    GitHub {
        /// `owner/name`.
        repository: String,
        /// The commit.
        commit: CommitSha,
    },
}

impl Revision {
    /// What tells it from every other, in the words that an engine has for it too: `s3://bucket/key#version`,
    /// `sha256:…` of an AppSpec, `github:owner/name@commit`.
    pub fn identity(&self) -> String {
        match self {
            Self::Bundle { location: Location::S3 { bucket, key, version, etag, region: _ }, .. } => {
                Self::identity_of_object(bucket, key, version.as_deref().or(etag.as_deref()))
            }
            Self::Bundle { location: Location::File { path }, .. } => format!("file:{}", path.display()),
            Self::AppSpec { sha256, .. } => format!("sha256:{sha256}"),
            Self::GitHub { repository, commit } => format!("github:{repository}@{commit}"),
        }
    }

    /// The same of an object in S3, pinned by its version or else its eTag.
    pub fn identity_of_object(bucket: &str, key: &str, pin: Option<&str>) -> String {
        format!("s3://{bucket}/{key}#{}", pin.unwrap_or_default().trim_matches('"'))
    }
}

/// What passed through on the way from archive to bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFacts {
    /// The archive's length as it came, in bytes.
    pub bytes: u64,
    /// The archive's length decompressed, in bytes.
    pub unpacked_bytes: u64,
    /// Files in the archive, before rules.
    pub files: u64,
    /// Whether the store already held the very same bundle, so that nothing was sent.
    #[serde(default)]
    pub reused: bool,
}
