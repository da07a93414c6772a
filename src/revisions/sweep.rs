//! What killed processes left in a bucket: multipart uploads that nobody will end, which S3 keeps and bills for ever. Only
//! uploads of keys that we alone would choose are looked at, and none that this process has open.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::types::MultipartUpload;
use jiff::Timestamp;

use crate::domain::TargetName;

use super::error::RevisionError;
use super::s3::Bucket;
use super::store::ObjectKey;

/// The multipart uploads that this process has open, by their ids. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenUploads(Arc<Mutex<HashSet<String>>>);

/// One of them; dropped, it is open no more.
pub(super) struct Mark {
    all: OpenUploads,
    id: String,
}

impl OpenUploads {
    pub(super) fn mark(&self, id: &str) -> Mark {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        Mark { all: self.clone(), id: id.to_owned() }
    }

    fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Bucket {
    /// Aborts a target's uploads that were begun before then, and gives their keys.
    pub(super) async fn sweep(&self, target: &TargetName, before: Timestamp) -> Result<Vec<String>, RevisionError> {
        let mut swept = Vec::new();
        for (key, id) in self.stale(target, before).await? {
            let call = self.client().await.abort_multipart_upload().bucket(self.name()).key(&key).upload_id(id);
            match call.set_expected_bucket_owner(self.owner()).send().await {
                Ok(_) => swept.push(key),
                // Somebody else was quicker.
                Err(error) if error.as_service_error().is_some_and(|it| it.is_no_such_upload()) => {}
                Err(error) => return Err(self.doing(&key, "s3:AbortMultipartUpload").failed(error)),
            }
        }
        Ok(swept)
    }

    async fn stale(&self, target: &TargetName, before: Timestamp) -> Result<Vec<(String, String)>, RevisionError> {
        let prefix = self.key(&format!("{target}/"));
        let mut stale = Vec::new();
        let (mut after_key, mut after_id) = (None, None);
        loop {
            let list = self.client().await.list_multipart_uploads().bucket(self.name()).prefix(&prefix);
            let page = list
                .set_key_marker(after_key.take())
                .set_upload_id_marker(after_id.take())
                .set_expected_bucket_owner(self.owner())
                .send()
                .await
                .map_err(|error| self.doing("", "s3:ListBucketMultipartUploads").failed(error))?;
            let ours = page.uploads().iter().filter(|it| self.is_stale(it, target, before));
            stale.extend(ours.filter_map(|it| it.key.clone().zip(it.upload_id.clone())));
            if page.is_truncated() != Some(true) || page.next_key_marker().is_none() {
                return Ok(stale);
            }
            (after_key, after_id) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    fn is_stale(&self, upload: &MultipartUpload, target: &TargetName, before: Timestamp) -> bool {
        let old = upload.initiated().is_some_and(|at| at.secs() < before.as_second());
        let ours = upload.key().is_some_and(|key| {
            let path = key.strip_prefix(&self.key("")).unwrap_or(key);
            ObjectKey::is_path_of(target, path)
        });
        old && ours && upload.upload_id.as_ref().is_some_and(|id| !self.open.has(id))
    }
}
