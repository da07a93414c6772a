//! Objects on their way into a bucket. Small ones go in one request, others in parts while they are made; an upload that
//! does not end well is aborted. How the server encrypts and tags an object is said where it begins, once.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::domain::Location;

use super::error::RevisionError;
use super::fault::chain;
use super::s3::Bucket;
use super::sweep::Mark;

/// S3 takes 10,000 parts, so this is enough for 80 GiB; its least is 5 MiB.
const PART: usize = 8 << 20;
/// One travels while the other is answered; with the one being filled, 24 MiB an upload.
const IN_FLIGHT: usize = 2;
/// Where the digest of the whole stands on objects that were sent in one request.
pub(super) const DIGEST: &str = "landfall-sha256";

/// A part that S3 has.
struct Sent {
    part: CompletedPart,
    digest: [u8; 32],
}

/// A multipart upload that S3 knows. Dropped before its end, it is aborted.
struct Open {
    bucket: Arc<Bucket>,
    key: String,
    id: String,
    parts: JoinSet<Result<Sent, RevisionError>>,
    sent: Vec<Sent>,
    next: i32,
    ended: bool,
    /// Keeps the sweep's hands off it.
    _mark: Mark,
}

impl Open {
    /// Takes one more part when fewer than two are on their way.
    async fn send(&mut self, bytes: Bytes) -> Result<(), RevisionError> {
        while self.parts.len() >= IN_FLIGHT {
            self.landed().await?;
        }
        let (bucket, key, id, number) = (Arc::clone(&self.bucket), self.key.clone(), self.id.clone(), self.next);
        self.next += 1;
        self.parts.spawn(async move {
            let digest: [u8; 32] = Sha256::digest(&bytes).into();
            let checksum = BASE64.encode(digest);
            let part = bucket.client().await.upload_part().bucket(bucket.name()).key(&key).upload_id(id);
            let part = part.set_expected_bucket_owner(bucket.owner());
            let part = part
                .part_number(number)
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .checksum_sha256(&checksum)
                .body(ByteStream::from(bytes))
                .send()
                .await
                .map_err(|error| bucket.doing(&key, "s3:PutObject").failed(error))?;
            let done = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).checksum_sha256(checksum);
            Ok(Sent { part: done.build(), digest })
        });
        Ok(())
    }

    /// Waits for one part; nothing when none is on its way.
    async fn landed(&mut self) -> Result<Option<()>, RevisionError> {
        let Some(done) = self.parts.join_next().await else { return Ok(None) };
        let unavailable =
            |error| RevisionError::Unavailable { what: self.bucket.name().to_owned(), said: chain(&error) };
        self.sent.push(done.map_err(unavailable)??);
        Ok(Some(()))
    }

    async fn complete(mut self) -> Result<Location, RevisionError> {
        while self.landed().await?.is_some() {}
        self.sent.sort_by_key(|sent| sent.part.part_number());
        let mut whole = Sha256::new();
        self.sent.iter().for_each(|sent| whole.update(sent.digest));
        let expected = BASE64.encode(whole.finalize());
        let parts = self.sent.iter().map(|sent| sent.part.clone()).collect();
        let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
        let doing = bucket.doing(&key, "s3:PutObject");
        let done = bucket
            .client()
            .await
            .complete_multipart_upload()
            .bucket(bucket.name())
            .key(&key)
            .upload_id(&self.id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_expected_bucket_owner(bucket.owner())
            .send()
            .await
            .map_err(|error| doing.failed(error))?;
        self.ended = true;
        // Servers that keep no checksums answer none; the others say what they put together.
        let found = done.checksum_sha256().map(|it| it.split('-').next().unwrap_or_default());
        if let Some(found) = found.filter(|found| *found != expected) {
            let (what, found) = (format!("s3://{}/{key}", bucket.name()), found.to_owned());
            return Err(RevisionError::Replaced { what, expected, found });
        }
        Ok(bucket.location(key, done.version_id(), done.e_tag()))
    }

    async fn abort(mut self) {
        self.parts.shutdown().await;
        self.ended = true;
        abort(Arc::clone(&self.bucket), self.key.clone(), self.id.clone()).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.parts.abort_all();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(abort(Arc::clone(&self.bucket), self.key.clone(), self.id.clone()));
        }
    }
}

async fn abort(bucket: Arc<Bucket>, key: String, id: String) {
    let call = bucket.client().await.abort_multipart_upload().bucket(bucket.name()).key(&key).upload_id(id);
    if let Err(error) = call.set_expected_bucket_owner(bucket.owner()).send().await {
        let error = bucket.doing(&key, "s3:AbortMultipartUpload").failed(error);
        tracing::warn!(
            s3.bucket = bucket.name(),
            s3.key = key,
            %error,
            "an unfinished upload stays in the bucket until a lifecycle rule removes it"
        );
    }
}

/// An object on its way.
pub(super) struct S3Upload {
    bucket: Arc<Bucket>,
    key: String,
    buffer: BytesMut,
    open: Option<Open>,
}

impl S3Upload {
    pub(super) fn new(bucket: Arc<Bucket>, key: String) -> Self {
        Self { bucket, key, buffer: BytesMut::new(), open: None }
    }

    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<(), RevisionError> {
        while !bytes.is_empty() {
            if self.buffer.len() == PART {
                let part = std::mem::take(&mut self.buffer).freeze();
                self.opened().await?.send(part).await?;
            }
            if self.open.is_some() && self.buffer.capacity() < PART {
                self.buffer = BytesMut::with_capacity(PART);
            }
            let room = PART - self.buffer.len();
            let piece = bytes.split_to(bytes.len().min(room));
            self.buffer.extend_from_slice(&piece);
        }
        Ok(())
    }

    async fn opened(&mut self) -> Result<&mut Open, RevisionError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.begin().await?,
        };
        Ok(self.open.insert(open))
    }

    async fn begin(&self) -> Result<Open, RevisionError> {
        let (bucket, key) = (Arc::clone(&self.bucket), self.key.clone());
        let begun = bucket
            .client()
            .await
            .create_multipart_upload()
            .bucket(bucket.name())
            .key(&key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_server_side_encryption(bucket.encryption_wanted())
            .set_ssekms_key_id(bucket.spec.kms_key.clone())
            .set_bucket_key_enabled(bucket.bucket_key())
            .set_tagging(bucket.tagging())
            .set_expected_bucket_owner(bucket.owner())
            .send()
            .await
            .map_err(|error| bucket.doing(&key, bucket.writing()).failed(error))?;
        let Some(id) = begun.upload_id else {
            let said = "it began an upload without naming it".to_owned();
            return Err(RevisionError::Refused { what: format!("s3://{}/{key}", bucket.name()), said });
        };
        let (parts, sent) = (JoinSet::new(), Vec::new());
        let mark = bucket.open.mark(&id);
        Ok(Open { bucket, key, id, parts, sent, next: 1, ended: false, _mark: mark })
    }

    pub(super) async fn finish(mut self, sha256: &str) -> Result<Location, RevisionError> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        if let Some(mut open) = self.open.take() {
            open.send(rest).await?;
            return open.complete().await;
        }
        let (bucket, key) = (self.bucket, self.key);
        let put = bucket
            .client()
            .await
            .put_object()
            .bucket(bucket.name())
            .key(&key)
            .checksum_sha256(BASE64.encode(Sha256::digest(&rest)))
            .metadata(DIGEST, sha256)
            .set_server_side_encryption(bucket.encryption_wanted())
            .set_ssekms_key_id(bucket.spec.kms_key.clone())
            .set_bucket_key_enabled(bucket.bucket_key())
            .set_tagging(bucket.tagging())
            .set_expected_bucket_owner(bucket.owner())
            .body(ByteStream::from(rest))
            .send()
            .await
            .map_err(|error| bucket.doing(&key, bucket.writing()).failed(error))?;
        Ok(bucket.location(key, put.version_id(), put.e_tag()))
    }

    pub(super) async fn abort(self) {
        if let Some(open) = self.open {
            open.abort().await;
        }
    }
}
