//! A bucket of revisions: whether one is there, and bringing it. Every call names the account that the bucket must
//! belong to, where the configuration does. It writes nothing: `upload` does; and
//! deletes nothing: `removal` does.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumMode, ServerSideEncryption, StorageClass};
use tokio::sync::OnceCell;
use url::form_urlencoded::Serializer;

use crate::clients::aws::{Account, Aws};
use crate::domain::{Encryption, Location, S3Spec};

use super::directory::Landing;
use super::error::RevisionError;
use super::fault::{Doing, chain};
use super::sweep::OpenUploads;

/// A bucket, and how to reach it.
#[derive(Debug)]
pub(super) struct Bucket {
    aws: Aws,
    pub(super) spec: S3Spec,
    pub(super) open: OpenUploads,
    client: OnceCell<Client>,
    seen: OnceCell<()>,
}

impl Bucket {
    pub(super) fn new(aws: Aws, spec: S3Spec, open: OpenUploads) -> Self {
        Self { aws, spec, open, client: OnceCell::new(), seen: OnceCell::new() }
    }

    pub(super) async fn client(&self) -> &Client {
        let set_up = || async { self.aws.s3(&self.account(), self.spec.force_path_style).await };
        self.client.get_or_init(set_up).await
    }

    /// As whom it is reached: its own role where it has one, since it may be another account's than the engine (row 24).
    fn account(&self) -> Account {
        let S3Spec { region, assume_role, external_id, endpoint_url, .. } = self.spec.clone();
        Account { region, assume_role, external_id, endpoint_url, session: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.bucket
    }

    /// The account that it must belong to.
    pub(super) fn owner(&self) -> Option<String> {
        self.spec.expected_bucket_owner.clone()
    }

    pub(super) fn encryption_wanted(&self) -> Option<ServerSideEncryption> {
        self.spec.sse.map(|it| match it {
            Encryption::S3 => ServerSideEncryption::Aes256,
            Encryption::Kms => ServerSideEncryption::AwsKms,
        })
    }

    pub(super) fn bucket_key(&self) -> Option<bool> {
        self.spec.bucket_key.then_some(true)
    }

    /// The tags as their header wants them: `key=value&…`, percent-encoded.
    pub(super) fn tagging(&self) -> Option<String> {
        let encoded = Serializer::new(String::new()).extend_pairs(self.spec.all_tags()).finish();
        // The header is no form: a space as `+` would be kept as a plus.
        Some(encoded.replace('+', "%20")).filter(|it| !it.is_empty())
    }

    /// What writing an object needs, for the sentence that says that it is missing.
    pub(super) fn writing(&self) -> &'static str {
        if self.tagging().is_some() { "s3:PutObject and s3:PutObjectTagging" } else { "s3:PutObject" }
    }

    pub(super) fn key(&self, path: &str) -> String {
        let prefix = &self.spec.prefix;
        if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") }
    }

    pub(super) fn doing(&self, key: &str, permission: &'static str) -> Doing {
        let S3Spec { bucket, region, expected_bucket_owner: owner, .. } = self.spec.clone();
        Doing { bucket, region, key: key.to_owned(), permission, owner }
    }

    /// Whether the bucket is there, in its region, and whose it should be: asked once, before anything is made for it
    /// (row 16).
    pub(super) async fn first_look(&self) -> Result<(), RevisionError> {
        self.seen.get_or_try_init(|| self.look()).await.copied()
    }

    async fn look(&self) -> Result<(), RevisionError> {
        let head = self.client().await.head_bucket().bucket(self.name()).set_expected_bucket_owner(self.owner());
        let Err(error) = head.send().await else { return Ok(()) };
        let failed = self.doing("", "s3:ListBucket").failed(error);
        // An answer without a body says only that it is not there.
        if matches!(failed, RevisionError::Gone { .. }) {
            return Err(RevisionError::NoSuchBucket { bucket: self.name().to_owned() });
        }
        // A role that may only put and get objects may not ask; whether it may do so is seen when it does. A bucket whose
        // owner is named may be somebody else's.
        let may_not_ask = matches!(failed, RevisionError::AccessDenied { .. }) && self.owner().is_none();
        if may_not_ask { Ok(()) } else { Err(failed) }
    }

    /// Whether the object is there as it was written.
    pub(super) async fn holds(
        &self,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
    ) -> Result<bool, RevisionError> {
        let head = self.client().await.head_object().bucket(self.name()).key(key);
        let head = head.set_version_id(version.map(Into::into)).set_expected_bucket_owner(self.owner());
        match head.send().await {
            Ok(object) if is_archived(object.storage_class(), object.restore()) => Ok(false),
            Ok(object) => Ok(etag.is_none_or(|etag| object.e_tag().map(unquoted) == Some(etag))),
            Err(error) => {
                // Without s3:ListBucket an object that is not there is a refusal, too.
                let failed = self.doing(key, "s3:GetObject and s3:ListBucket").failed(error);
                if matches!(failed, RevisionError::Gone { .. }) { Ok(false) } else { Err(failed) }
            }
        }
    }

    /// Brings the object to a file, and says which it was.
    pub(super) async fn fetch(
        &self,
        key: &str,
        version: Option<&str>,
        etag: Option<&str>,
        sha256: Option<&str>,
        to: &Path,
    ) -> Result<Location, RevisionError> {
        let get = self.client().await.get_object().bucket(self.name()).key(key);
        let object = get
            .set_version_id(version.map(Into::into))
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")))
            .checksum_mode(ChecksumMode::Enabled)
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
            .map_err(|error| self.doing(key, "s3:GetObject").failed(error))?;
        let found = self.location(key.to_owned(), object.version_id(), object.e_tag());
        let mut landing = Landing::at(to);
        let mut body = object.body;
        while let Some(bytes) = body.next().await {
            let said = |error| RevisionError::Unavailable { what: self.name().to_owned(), said: chain(&error) };
            landing.write(bytes.map_err(said)?).await?;
        }
        landing.finish(format!("s3://{}/{key}", self.name()), sha256).await?;
        Ok(found)
    }

    pub(super) fn location(&self, key: String, version: Option<&str>, etag: Option<&str>) -> Location {
        Location::S3 {
            bucket: self.spec.bucket.clone(),
            key,
            region: self.spec.region.clone(),
            // A bucket that never kept versions says nothing, and one whose versioning is suspended says `null`.
            version: version.filter(|version| *version != "null").map(Into::into),
            etag: etag.map(|etag| unquoted(etag).to_owned()),
        }
    }
}

/// Whether the object is there in name only: nobody can read it before it is restored, CodeDeploy's agents neither.
fn is_archived(class: Option<&StorageClass>, restore: Option<&str>) -> bool {
    let cold = matches!(class, Some(StorageClass::Glacier | StorageClass::DeepArchive));
    cold && !restore.is_some_and(|it| it.contains("ongoing-request=\"false\""))
}

pub(super) fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}
