//! Why a revision could not be stored or read, by cause.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::Failure;

/// Why a revision could not be stored or read.
#[derive(Debug, Error)]
pub enum RevisionError {
    /// The bot may not do this.
    #[error("bucket `{bucket}` refused `{permission}` on `{key}`: {said}")]
    AccessDenied {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// What the bot's role lacks.
        permission: &'static str,
        /// What S3 said.
        said: String,
    },
    /// There is no such bucket.
    #[error("there is no bucket `{bucket}`")]
    NoSuchBucket {
        /// Its name in the configuration.
        bucket: String,
    },
    /// The bucket lies elsewhere.
    #[error("bucket `{bucket}` is not in {region}{}", actual.as_ref().map(|it| format!(", but in {it}")).unwrap_or_default())]
    WrongRegion {
        /// The bucket.
        bucket: String,
        /// The region in the configuration.
        region: String,
        /// The region that S3 names.
        actual: Option<String>,
    },
    /// There are no credentials, or S3 does not know them.
    #[error("AWS credentials do not work: {said}")]
    Credentials {
        /// What was said about them.
        said: String,
    },
    /// The credentials ran out, and nobody has renewed them yet.
    #[error("AWS credentials ran out: {said}")]
    Expired {
        /// What S3 said.
        said: String,
    },
    /// The revision is not there any more.
    #[error("revision `{what}` is gone")]
    Gone {
        /// Which.
        what: String,
    },
    /// There is something else in its place.
    #[error("revision `{what}` was replaced: expected {expected}, but {found} came")]
    Replaced {
        /// Which.
        what: String,
        /// The eTag or digest that was expected.
        expected: String,
        /// The one that came.
        found: String,
    },
    /// The store cannot be reached, or asks for patience.
    #[error("`{what}` cannot be reached: {said}")]
    Unavailable {
        /// The bucket.
        what: String,
        /// What went wrong.
        said: String,
    },
    /// The store says no for another reason.
    #[error("`{what}` was refused: {said}")]
    Refused {
        /// Bucket and key.
        what: String,
        /// What S3 said.
        said: String,
    },
    /// The disk.
    #[error("`{}` cannot be {action}: {}", path.display(), crate::domain::plainly(source))]
    Disk {
        /// Where.
        path: PathBuf,
        /// `written` or `read`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The place is of another kind than the store.
    #[error("revision `{what}` lies in another kind of store than the one configured")]
    Elsewhere {
        /// Which.
        what: String,
    },
}

impl RevisionError {
    /// The same, for the person who has to act.
    pub fn failure(&self) -> Failure {
        let says = self.to_string();
        match self {
            Self::AccessDenied { said, .. } if said.contains("kms:") => Failure::setup("revisions/access-denied", says)
                .help("give the bot's role kms:GenerateDataKey and kms:Decrypt on the bucket's key"),
            Self::AccessDenied { bucket, key, permission, .. } => Failure::setup("revisions/access-denied", says)
                .help(format!("give the bot's role {permission} on arn:aws:s3:::{bucket}/{key}, and look for a Deny in the bucket's policy")),
            Self::NoSuchBucket { .. } => Failure::setup("revisions/no-such-bucket", says)
                .help("create the bucket, or correct `s3.bucket` in [target.revisions]"),
            Self::WrongRegion { actual, .. } => {
                let region = actual.as_deref().unwrap_or("the bucket's own");
                Failure::setup("revisions/wrong-region", says)
                    .help(format!("set `s3.region` in [target.revisions] to {region}; CodeDeploy's agents must be there too"))
            }
            Self::Credentials { .. } => Failure::setup("revisions/credentials", says)
                .help("give the bot a role (instance profile, container role) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
            Self::Expired { .. } => Failure::passing("revisions/credentials-expired", says)
                .help("renew the session that the bot's credentials are of, or give it a role that renews them by itself"),
            Self::Gone { .. } => Failure::setup("revisions/gone", says)
                .help("deploy the commit again, and let lifecycle rules keep revisions longer"),
            Self::Replaced { .. } => Failure::setup("revisions/replaced", says)
                .help("deploy the commit again, and find out who else writes to this place"),
            Self::Unavailable { .. } => Failure::passing("revisions/unavailable", says),
            Self::Refused { .. } => Failure::setup("revisions/refused", says),
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Failure::passing("revisions/disk-full", says).help("make room, or keep revisions elsewhere")
            }
            Self::Disk { path, .. } => Failure::setup("revisions/disk", says)
                .help(format!("let the bot's user read and write `{}`", path.display())),
            Self::Elsewhere { .. } => Failure::setup("revisions/elsewhere", says)
                .help("deploy the commit again: `revisions` was changed since it was stored"),
        }
    }
}

impl From<RevisionError> for Failure {
    fn from(error: RevisionError) -> Self {
        error.failure()
    }
}
