//! Stores by their description, and uploads into them. It knows no store's ways.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::clients::aws::Aws;
use crate::domain::{BundleFormat, CommitSha, Location, RevisionsSpec, S3Spec, TargetName};

use super::claims::Claims;
use super::directory::{self, FileUpload};
use super::error::RevisionError;
use super::s3::Bucket;
use super::sweep::OpenUploads;
use super::upload::S3Upload;

/// What a revision is named after: everything that decides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey {
    /// The target.
    pub target: TargetName,
    /// The commit.
    pub commit: CommitSha,
    /// `bundle::rules_digest`.
    pub rules: String,
    /// The format.
    pub format: BundleFormat,
}

impl ObjectKey {
    /// Its path in every store: `TARGET/SHA-RULES.EXT`.
    pub fn path(&self) -> String {
        let Self { target, commit, rules, format } = self;
        format!("{target}/{commit}-{rules}.{}", format.extension())
    }

    /// Whether a path is one that a revision of this target has: nobody else would choose it.
    pub(super) fn is_path_of(target: &TargetName, path: &str) -> bool {
        let name = path.strip_prefix(target.as_str()).and_then(|it| it.strip_prefix('/'));
        let Some((stem, extension)) = name.and_then(|it| it.split_once('.')) else { return false };
        let known = [BundleFormat::Tgz, BundleFormat::Tar, BundleFormat::Zip].map(BundleFormat::extension);
        let Some((commit, rules)) = stem.split_once('-') else { return false };
        let is_rules = rules.len() == 16 && rules.bytes().all(|it| it.is_ascii_hexdigit());
        known.contains(&extension) && is_rules && CommitSha::parse(commit).is_ok()
    }
}

/// All stores of the bot. Clones share what was set up.
#[derive(Clone, Debug)]
pub struct Stores {
    aws: Aws,
    buckets: Arc<Mutex<HashMap<S3Spec, Arc<Bucket>>>>,
    open: OpenUploads,
    claims: Claims,
    swept: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Stores {
    /// None is opened before it is asked for.
    pub fn new(aws: Aws) -> Self {
        Self {
            aws,
            buckets: Arc::default(),
            open: OpenUploads::default(),
            claims: Claims::default(),
            swept: Arc::default(),
        }
    }

    /// The bucket, with its client and credentials as they were set up at its first use.
    fn bucket(&self, spec: &S3Spec) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Bucket::new(self.aws.clone(), spec.clone(), self.open.clone()));
        let bucket = buckets.entry(spec.clone()).or_insert_with(new);
        Arc::clone(bucket)
    }

    /// The store that a target describes. Cheap; nothing is called. The first look into a directory removes what a
    /// killed process left unfinished there.
    pub fn of(&self, spec: &RevisionsSpec) -> Result<Store, RevisionError> {
        let kind = match spec {
            RevisionsSpec::S3(spec) => Kind::S3(self.bucket(spec)),
            RevisionsSpec::Directory { path } => {
                let new = self.swept.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
                if new {
                    directory::sweep(path);
                }
                Kind::Directory(path.clone())
            }
        };
        Ok(Store { kind, claims: self.claims.clone() })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    S3(Arc<Bucket>),
    Directory(PathBuf),
}

/// One store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) kind: Kind,
    pub(super) claims: Claims,
}

impl Store {
    /// Begins an upload. Nothing is sent before the first bytes.
    pub fn begin(&self, key: &ObjectKey) -> Upload {
        let way = match &self.kind {
            Kind::S3(bucket) => Way::S3(Box::new(S3Upload::new(Arc::clone(bucket), bucket.key(&key.path())))),
            Kind::Directory(root) => Way::File(FileUpload::new(root.join(key.path()))),
        };
        Upload { way, hash: Sha256::new(), name: key.path() }
    }

    /// Whether the store is there for us, asked at its first use: before an archive is fetched for it. A directory is made
    /// when it is needed.
    pub async fn first_look(&self) -> Result<(), RevisionError> {
        match &self.kind {
            Kind::S3(bucket) => bucket.first_look().await,
            Kind::Directory(_) => Ok(()),
        }
    }

    /// Takes back what killed processes left half-written for a target before then, and names it. In a directory that is
    /// done by itself, see [`Stores::of`].
    pub async fn sweep(&self, target: &TargetName, before: Timestamp) -> Result<Vec<String>, RevisionError> {
        match &self.kind {
            Kind::S3(bucket) => bucket.sweep(target, before).await,
            Kind::Directory(_) => Ok(vec![]),
        }
    }

    /// Whether the revision still lies there as it was written: for S3, the version and eTag recorded.
    pub async fn holds(&self, location: &Location) -> Result<bool, RevisionError> {
        match (&self.kind, location) {
            (Kind::S3(store), Location::S3 { bucket, key, version, etag, .. }) if bucket == store.name() => {
                store.holds(key, version.as_deref(), etag.as_deref()).await
            }
            (Kind::Directory(_), Location::File { path }) => {
                Ok(tokio::fs::metadata(path).await.is_ok_and(|it| it.is_file()))
            }
            (Kind::S3(_) | Kind::Directory(_), Location::S3 { .. } | Location::File { .. }) => Ok(false),
        }
    }

    /// Brings what somebody else stored, whose digest nobody told us, to the file `to`. Gives the place as it was found:
    /// with its version and eTag.
    pub async fn fetch_unseen(&self, location: &Location, to: &Path) -> Result<Location, RevisionError> {
        match (&self.kind, location) {
            (Kind::S3(store), Location::S3 { bucket, key, version, etag, .. }) if bucket == store.name() => {
                store.fetch(key, version.as_deref(), etag.as_deref(), None, to).await
            }
            (Kind::S3(_) | Kind::Directory(_), Location::S3 { key: what, .. }) => {
                Err(RevisionError::Elsewhere { what: what.clone() })
            }
            (Kind::S3(_) | Kind::Directory(_), Location::File { path }) => {
                Err(RevisionError::Elsewhere { what: path.display().to_string() })
            }
        }
    }

    /// Brings a revision to the file `to`, which is there whole and with this SHA-256 afterwards, or not at all.
    pub async fn fetch(&self, location: &Location, sha256: &str, to: &Path) -> Result<(), RevisionError> {
        match (&self.kind, location) {
            (Kind::S3(store), Location::S3 { bucket, key, version, etag, .. }) if bucket == store.name() => {
                store.fetch(key, version.as_deref(), etag.as_deref(), Some(sha256), to).await.map(drop)
            }
            (Kind::Directory(_), Location::File { path }) => directory::fetch(path, sha256, to).await,
            (Kind::S3(_) | Kind::Directory(_), Location::S3 { key, .. }) => {
                Err(RevisionError::Elsewhere { what: key.clone() })
            }
            (Kind::S3(_), Location::File { path }) => {
                Err(RevisionError::Elsewhere { what: path.display().to_string() })
            }
        }
    }
}

enum Way {
    S3(Box<S3Upload>),
    File(FileUpload),
}

/// A revision on its way into a store. Dropped, aborted or failed, it leaves nothing there.
pub struct Upload {
    way: Way,
    hash: Sha256,
    name: String,
}

impl Upload {
    /// Takes the next bytes; waits while the store is slower than they come.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), RevisionError> {
        self.hash.update(&bytes);
        match &mut self.way {
            Way::S3(upload) => upload.write(bytes).await,
            Way::File(upload) => upload.write(&bytes).await,
        }
    }

    /// Ends it, if what was written has this SHA-256 (hex): from now on the revision is there.
    pub async fn finish(self, sha256: &str) -> Result<Location, RevisionError> {
        let found = hex::encode(self.hash.clone().finalize());
        if found != sha256 {
            let what = self.name.clone();
            self.abort().await;
            return Err(RevisionError::Replaced { what, expected: sha256.into(), found });
        }
        match self.way {
            Way::S3(upload) => upload.finish(sha256).await,
            Way::File(upload) => upload.finish().await,
        }
    }

    /// Takes it back.
    pub async fn abort(self) {
        match self.way {
            Way::S3(upload) => upload.abort().await,
            Way::File(upload) => drop(upload),
        }
    }
}
