//! Whether a store would take revisions, and give them back. It writes nothing but the probe, where it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::error::RevisionError;
use super::s3::Bucket;
use super::store::{Kind, Store};
use crate::domain::{Checkup, Finding};

/// What the probe holds.
const PROBE: &[u8] = b"landfall doctor was here; this may be deleted\n";
/// S3 refuses requests whose time is further off than 15 minutes; a third of it is near enough to say so.
const SKEW_AT_MOST_S: i64 = 5 * 60;
const CLOCK: &str = "clock";

/// An object that is put to see whether it can be.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its path in the store.
    pub path: String,
    /// Whether it has to go again: where bundles are deleted, the bot must be able to.
    pub must_go: bool,
}

impl Store {
    /// Looks at the store. With a `probe` it also writes one, looks for it and removes it. `now` is what
    /// this machine's clock says.
    pub async fn checkup(&self, probe: Option<&Probe>, now: impl Fn() -> Timestamp) -> Vec<Checkup> {
        match &self.kind {
            Kind::S3(bucket) => bucket.checkup(probe, &now).await,
            Kind::Directory(path) => {
                vec![Checkup::ok("revisions", format!("they are kept in `{}`", path.display()))]
            }
        }
    }
}

impl Bucket {
    async fn checkup(&self, probe: Option<&Probe>, now: &dyn Fn() -> Timestamp) -> Vec<Checkup> {
        let client = self.client().await;
        let mut seen = Vec::new();
        match self.there(client, now).await {
            Ok(checkups) => seen.extend(checkups),
            Err(checkup) => return vec![checkup],
        }
        seen.push(self.versions(client).await);
        seen.push(self.encryption(client).await);
        seen.push(match probe {
            Some(Probe { path, must_go }) => self.probe(client, &self.key(path), *must_go).await,
            None => Checkup::skipped("writing", "not tried: `--write` puts an object there and removes it"),
        });
        seen
    }

    /// Whether it is there, in its region, for us.
    async fn there(&self, client: &Client, now: &dyn Fn() -> Timestamp) -> Result<Vec<Checkup>, Checkup> {
        const ABOUT: &str = "bucket";
        let date = Date::default();
        let call = client
            .head_bucket()
            .bucket(self.name())
            .set_expected_bucket_owner(self.owner())
            .customize()
            .interceptor(date.clone())
            .send()
            .await;
        let name = self.name();
        let answer = call.map_err(|error| {
            let failed = self.doing("", "s3:ListBucket").failed(error);
            // An answer without a body says only that it is not there.
            let absent = matches!(failed, RevisionError::Gone { .. });
            refused(ABOUT, if absent { RevisionError::NoSuchBucket { bucket: name.to_owned() } } else { failed })
        })?;
        let region = answer.bucket_region().unwrap_or(self.spec.region.as_str());
        if region != self.spec.region {
            let (bucket, actual) = (name.to_owned(), Some(region.to_owned()));
            let wrong = RevisionError::WrongRegion { bucket, region: self.spec.region.clone(), actual };
            return Err(refused(ABOUT, wrong));
        }
        let there = Checkup::ok(ABOUT, format!("`{name}` is in {region}")).answered();
        Ok([Some(there), date.told().map(|theirs| clock(theirs, now()))].into_iter().flatten().collect())
    }

    async fn versions(&self, client: &Client) -> Checkup {
        const ABOUT: &str = "versions";
        match client.get_bucket_versioning().bucket(self.name()).set_expected_bucket_owner(self.owner()).send().await {
            Ok(answer) if answer.status() == Some(&BucketVersioningStatus::Enabled) => {
                Checkup::ok(ABOUT, "they are kept: a deployment names the very one").answered()
            }
            Ok(_) => {
                let text =
                    format!("`{}` keeps no versions: a bundle that is overwritten is lost to rollbacks", self.name());
                let help = format!(
                    "run `aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled`",
                    self.name()
                );
                Checkup::found(ABOUT, Finding::warning("revisions/no-versions", text).help(help)).answered()
            }
            Err(error) => refused(ABOUT, self.doing("", "s3:GetBucketVersioning").failed(error)),
        }
    }

    /// How objects are encrypted. The bot works without knowing, so that a refusal is no fault.
    async fn encryption(&self, client: &Client) -> Checkup {
        const ABOUT: &str = "encryption";
        let answer = match client
            .get_bucket_encryption()
            .bucket(self.name())
            .set_expected_bucket_owner(self.owner())
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error) => {
                let none = error.code() == Some("ServerSideEncryptionConfigurationNotFoundError");
                if none {
                    let text = format!("`{}` encrypts nothing by itself", self.name());
                    let help = "set its default encryption, such as AES256";
                    let finding = Finding::warning("revisions/no-encryption", text).help(help);
                    return Checkup::found(ABOUT, finding).answered();
                }
                let failed = self.doing("", "s3:GetEncryptionConfiguration").failed(error);
                if matches!(failed, RevisionError::AccessDenied { .. }) {
                    let why = "may not be asked: `landfall aws policy --doctor` has s3:GetEncryptionConfiguration";
                    return Checkup::skipped(ABOUT, why).answered();
                }
                return refused(ABOUT, failed);
            }
        };
        let rules = answer.server_side_encryption_configuration().map(|it| it.rules()).unwrap_or_default();
        let rule = rules.iter().find_map(|it| it.apply_server_side_encryption_by_default());
        let how = rule.map_or("by its default".into(), |it| match it.kms_master_key_id() {
            Some(key) => format!("{} with `{key}`", it.sse_algorithm()),
            None => it.sse_algorithm().to_string(),
        });
        Checkup::ok(ABOUT, how).answered()
    }

    /// Puts a small object, looks for it and removes it. That it may not be removed is as it should be, unless bundles are
    /// deleted: else the bot's policy allows no deletion, and the next probe takes the same place.
    async fn probe(&self, client: &Client, key: &str, must_go: bool) -> Checkup {
        const ABOUT: &str = "writing";
        let put = client.put_object().bucket(self.name()).key(key).body(ByteStream::from_static(PROBE));
        let put = put
            .set_server_side_encryption(self.encryption_wanted())
            .set_ssekms_key_id(self.spec.kms_key.clone())
            .set_bucket_key_enabled(self.bucket_key())
            .set_tagging(self.tagging())
            .set_expected_bucket_owner(self.owner());
        let version = match put.send().await {
            Ok(answer) => answer.version_id().filter(|it| *it != "null").map(str::to_owned),
            Err(error) => return refused(ABOUT, self.doing(key, self.writing()).failed(error)),
        };
        let head = client.head_object().bucket(self.name()).key(key).set_version_id(version.clone());
        if let Err(error) = head.set_expected_bucket_owner(self.owner()).send().await {
            return refused(ABOUT, self.doing(key, "s3:GetObject").failed(error));
        }
        let right = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let delete = client.delete_object().bucket(self.name()).key(key).set_version_id(version);
        match delete.set_expected_bucket_owner(self.owner()).send().await {
            Ok(_) => Checkup::ok(ABOUT, format!("`{key}` was put, found and removed")).answered(),
            Err(error) if must_go => refused("deleting", self.doing(key, right).failed(error)),
            Err(_) => {
                let said = format!("`{key}` was put and found; it stays, because the bot may delete nothing");
                Checkup::ok(ABOUT, said).answered()
            }
        }
    }
}

/// What a refusal means, whether anybody answered, and which action was not allowed.
fn refused(about: &str, error: RevisionError) -> Checkup {
    let denied =
        if let RevisionError::AccessDenied { permission, .. } = &error { Some((*permission).to_owned()) } else { None };
    let silent = matches!(error, RevisionError::Unavailable { .. });
    let mut failure = error.failure();
    if silent {
        failure = failure.help("check the network, `s3.endpoint_url`, and proxies and firewalls on the way");
    }
    let checkup = Checkup::failed(about, failure).denied(denied);
    if silent { checkup.silent() } else { checkup.answered() }
}

/// How far our clock is from theirs.
fn clock(theirs: Timestamp, ours: Timestamp) -> Checkup {
    let off = ours.duration_since(theirs).as_secs();
    if off.abs() <= SKEW_AT_MOST_S {
        return Checkup::ok(CLOCK, format!("it is {} s from AWS's", off.abs())).answered();
    }
    let way = if off > 0 { "ahead of" } else { "behind" };
    let text = format!("this machine's clock is {} s {way} AWS's, which takes 15 minutes at most", off.abs());
    let help = "set the clock, and keep it right with chrony or systemd-timesyncd";
    Checkup::found(CLOCK, Finding::error("revisions/clock", text).help(help)).answered()
}

/// The time that the answer to one call was sent at.
#[derive(Clone, Debug, Default)]
struct Date(Arc<Mutex<Option<Timestamp>>>);

impl Date {
    fn told(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "landfall date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let date = context.response().headers().get("date");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            date.and_then(|it| rfc2822::parse(it).ok()).map(|it| it.timestamp());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Standing;

    #[test]
    fn a_clock_that_s3_would_refuse_is_told_before() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (theirs, near, far) = (at("2026-01-02T03:00:00Z"), at("2026-01-02T03:02:00Z"), at("2026-01-02T02:40:00Z"));
        assert_eq!(clock(theirs, near).said, "it is 120 s from AWS's");
        let told = clock(theirs, far);
        assert_eq!(told.standing, Standing::Failed);
        assert!(told.said.starts_with("this machine's clock is 1200 s behind AWS's"), "{}", told.said);
    }
}
