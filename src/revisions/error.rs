//! Why a revision could not be stored or read, by cause.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::Failure;

/// Why a revision could not be stored or read.
#[derive(Debug, Error)]
pub enum RevisionError {
    /// The bot may not do this.
    #[error("bucket `{bucket}` refused `{permission}`{}: {said}", if key.is_empty() { String::new() } else { format!(" on `{key}`") })]
    AccessDenied {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// What the bot's role lacks.
        permission: &'static str,
        /// The account that the bucket was said to belong to.
        owner: Option<String>,
        /// What S3 said.
        said: String,
    },
    /// The bot may not use the key that the bucket's objects are encrypted with.
    #[error("the key of bucket `{bucket}` refused `{permission}` for `{key}`: {said}")]
    KeyDenied {
        /// The bucket.
        bucket: String,
        /// The object's key.
        key: String,
        /// What the bot's role lacks, as S3 names it.
        permission: String,
        /// What S3 said.
        said: String,
    },
    /// Nobody can use that key: it is disabled, is about to be deleted, or never was.
    #[error("the key of bucket `{bucket}` cannot be used: {said}")]
    KeyUnusable {
        /// The bucket.
        bucket: String,
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
    /// This machine's clock and the server's are too far apart for a signature.
    #[error("this machine's clock is wrong: {}", times.as_ref().map_or_else(|| said.clone(), |(ours, theirs)| format!("it said {ours} when the server's said {theirs}")))]
    Clock {
        /// When the request was signed, and when the server had it.
        times: Option<(String, String)>,
        /// What S3 said.
        said: String,
    },
    /// It is larger than the store takes.
    #[error("`{what}` is larger than its bucket takes: {said}")]
    TooLarge {
        /// Bucket and key.
        what: String,
        /// What S3 said.
        said: String,
    },
    /// It was moved to an archive, where nobody can read it.
    #[error("revision `{what}` was moved to an archive (Glacier) and cannot be read from there")]
    Archived {
        /// Which.
        what: String,
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
            Self::AccessDenied { bucket, key, permission, owner, .. } => {
                Failure::setup("revisions/access-denied", says).help(allow(bucket, key, permission, owner.as_deref()))
            }
            Self::KeyDenied { .. } => Failure::setup("revisions/kms-denied", says).help(
                "give the bot's role kms:GenerateDataKey and kms:Decrypt on that key, in its own policy and, for another \
                 account's key, in the key's; `landfall aws policy` prints the statement",
            ),
            Self::KeyUnusable { .. } => Failure::setup("revisions/kms-unusable", says)
                .help("enable the key, or name another as `s3.kms_key` in [target.revisions]"),
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
            Self::Clock { .. } => Failure::passing("revisions/clock-skew", says)
                .help("set the machine's clock, as with `timedatectl set-ntp true`: AWS takes a quarter of an hour's difference"),
            Self::TooLarge { .. } => Failure::setup("revisions/too-large", says)
                .help("leave files out with `exclude` in [target.bundle], or raise the server's limit"),
            Self::Archived { .. } => Failure::setup("revisions/archived", says)
                .help("deploy the commit again, and take the prefix out of the lifecycle rule that archives it"),
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

/// How a missing right is given: to whom, what, on what, and where else a refusal may come from.
fn allow(bucket: &str, key: &str, permission: &str, owner: Option<&str>) -> String {
    let resource =
        if key.is_empty() { format!("arn:aws:s3:::{bucket}") } else { format!("arn:aws:s3:::{bucket}/{key}") };
    let owner = owner.map(|it| format!(", and see whether the bucket belongs to {it} as `expected_bucket_owner` says"));
    format!(
        "give the bot's role {permission} on {resource} (`landfall aws policy` prints the statement), and look for a Deny \
         in the bucket's policy{}",
        owner.unwrap_or_default()
    )
}

impl From<RevisionError> for Failure {
    fn from(error: RevisionError) -> Self {
        error.failure()
    }
}
