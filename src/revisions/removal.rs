//! Deleting revisions: only what bears a name that we alone would choose, and only while it is what was written. What
//! else lies in a store is somebody's, and stays.

use std::io;
use std::path::Path;

use crate::clients::span;
use crate::domain::{Location, RevisionsSpec, TargetName};

use super::claims::{Claim, Closed};
use super::directory::{self, disk};
use super::error::RevisionError;
use super::s3::{Bucket, unquoted};
use super::store::{Kind, ObjectKey, Store};
use super::upload::DIGEST;

/// What came of deleting a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone now.
    Deleted,
    /// It was gone already.
    Gone,
    /// Something else lies in its place, which stays.
    Foreign,
}

/// What a revision was recorded with when it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// SHA-256 of its bytes, hex.
    pub sha256: &'a str,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Store {
    /// Whether what lies there has the name of a revision of this target in the store described.
    pub fn is_named_by(spec: &RevisionsSpec, target: &TargetName, location: &Location) -> bool {
        let path = match (spec, location) {
            (RevisionsSpec::S3(spec), Location::S3 { bucket, key, .. }) if *bucket == spec.bucket => {
                match spec.prefix.as_str() {
                    "" => Some(key.as_str()),
                    prefix => key.strip_prefix(prefix).and_then(|it| it.strip_prefix('/')),
                }
            }
            (RevisionsSpec::Directory { path: root }, Location::File { path }) => {
                path.strip_prefix(root).ok().and_then(Path::to_str)
            }
            (RevisionsSpec::S3(_) | RevisionsSpec::Directory { .. }, Location::S3 { .. } | Location::File { .. }) => {
                None
            }
        };
        path.is_some_and(|it| ObjectKey::is_path_of(target, it))
    }

    /// Keeps the revision of this name from being deleted, until the claim is dropped. Waits while it is.
    pub async fn claim(&self, key: &ObjectKey) -> Claim {
        let path = key.path();
        let name = match &self.kind {
            Kind::S3(bucket) => format!("s3://{}/{}", bucket.name(), bucket.key(&path)),
            Kind::Directory(root) => root.join(path).display().to_string(),
        };
        self.claims.claim(&name).await
    }

    /// The same for a revision that lies somewhere.
    pub async fn claim_at(&self, location: &Location) -> Claim {
        self.claims.claim(&name_of(location)).await
    }

    /// Keeps a revision from being claimed, until it is dropped; nothing where somebody is at it.
    pub fn close(&self, location: &Location) -> Option<Closed> {
        self.claims.close(&name_of(location))
    }

    /// Deletes a revision: the very version, and only while it is what was written. May run twice.
    pub async fn remove(&self, location: &Location, recorded: Recorded<'_>) -> Result<Removed, RevisionError> {
        match (&self.kind, location) {
            (Kind::S3(store), Location::S3 { bucket, key, version, etag, .. }) if bucket == store.name() => {
                store.remove(key, version.as_deref(), etag.as_deref(), recorded).await
            }
            (Kind::Directory(root), Location::File { path }) if path.starts_with(root) => {
                remove_file(path, recorded.bytes).await
            }
            (Kind::S3(_) | Kind::Directory(_), Location::S3 { .. } | Location::File { .. }) => {
                Err(RevisionError::Elsewhere { what: location.to_string() })
            }
        }
    }
}

/// What a revision is claimed by: its place, whatever its version.
fn name_of(location: &Location) -> String {
    match location {
        Location::S3 { bucket, key, .. } => format!("s3://{bucket}/{key}"),
        Location::File { path } => path.display().to_string(),
    }
}

async fn remove_file(path: &Path, bytes: u64) -> Result<Removed, RevisionError> {
    let (of, from) = (path.to_owned(), path.to_owned());
    let removed = span::blocking(move || {
        let found = match std::fs::symlink_metadata(&of) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::Gone),
            found => found?,
        };
        if !found.is_file() || found.len() != bytes {
            return Ok(Removed::Foreign);
        }
        std::fs::remove_file(&of)?;
        directory::sync_directory(of.parent().unwrap_or(Path::new("."))).map(|()| Removed::Deleted)
    });
    removed.await.map_err(io::Error::other).and_then(|it| it).map_err(|error| disk(&from, "deleted", error))
}

impl Bucket {
    async fn remove(
        &self,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
        recorded: Recorded<'_>,
    ) -> Result<Removed, RevisionError> {
        let head = self.client().await.head_object().bucket(self.name()).key(key);
        let head = head.set_version_id(version.map(Into::into)).set_expected_bucket_owner(self.owner());
        let found = match head.send().await {
            Ok(found) => found,
            Err(error) => {
                let failed = self.doing(key, "s3:GetObject and s3:ListBucket").failed(error);
                return if matches!(failed, RevisionError::Gone { .. }) { Ok(Removed::Gone) } else { Err(failed) };
            }
        };
        let digest = found.metadata().and_then(|it| it.get(DIGEST));
        let same_digest = digest.map(|it| it == recorded.sha256);
        let same_etag = etag.map(|etag| found.e_tag().map(unquoted) == Some(etag));
        let same_length = found.content_length().and_then(|it| u64::try_from(it).ok()) == Some(recorded.bytes);
        // Uploads in parts bear no digest, and old records no eTag: one of the two has to say that it is ours.
        let ours = same_digest.or(same_etag) == Some(true) && same_etag != Some(false) && same_length;
        if !ours {
            return Ok(Removed::Foreign);
        }
        // The very version that was looked at: a bucket that keeps versions would else only hide it, and go on keeping it.
        let version = version.or(found.version_id()).map(str::to_owned);
        let right = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let delete = self.client().await.delete_object().bucket(self.name()).key(key);
        let delete = delete.set_version_id(version).set_expected_bucket_owner(self.owner());
        delete.send().await.map_err(|error| self.doing(key, right).failed(error))?;
        Ok(Removed::Deleted)
    }
}
