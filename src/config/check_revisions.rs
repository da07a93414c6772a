//! Checks `[target.revisions]`: where bundles are kept, and for a bucket, as whom and how they are written into it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::check::{Checker, flag};
use super::raw::{Raw, RawS3, RawTarget};
use super::values::web_address;
use super::written::Written;
use crate::domain::{
    Encryption, EngineSpec, Finding, Platform, Retention, RevisionForm, RevisionsSpec, S3Spec, TargetName,
};

const SSE: &[(&str, Encryption)] = &[("s3", Encryption::S3), ("kms", Encryption::Kms)];
/// S3 takes ten tags an object, with keys of 128 and values of 256 characters.
const TAGS: usize = 10;
const TAG_KEY: usize = 128;
const TAG_VALUE: usize = 256;
/// How many bundles of a target are kept, where any are deleted and the file does not say.
const KEEP: u32 = 10;

impl Checker<'_> {
    pub(super) fn revisions(
        &mut self,
        raw: &RawTarget,
        span: &Range<usize>,
        data_dir: &Path,
        engine: Option<&EngineSpec>,
    ) -> Option<RevisionsSpec> {
        let usual = || RevisionsSpec::Directory { path: data_dir.join("revisions") };
        let spec = raw.revisions.as_ref().map(|it| &it.value);
        match (spec.and_then(|it| it.s3.as_ref()), spec.and_then(|it| it.directory.as_ref())) {
            (Some(s3), Some(_)) => {
                self.bad(&s3.span, "revisions lie in one place, `s3` or `directory`", "take one of them out");
                None
            }
            (Some(s3), None) => {
                let spec = self.s3(s3)?;
                if engine.is_some_and(needs_bucket) {
                    self.one_region(&s3.value, &spec, engine);
                }
                Some(RevisionsSpec::S3(spec))
            }
            (None, directory) => {
                if engine.is_some_and(needs_bucket) {
                    let span = directory.map_or(span, |it| &it.span);
                    let help = "add `[target.revisions]` with `s3 = { bucket = \"…\", region = \"…\" }`; for Lambda and \
                                ECS, whose revision is the AppSpec itself, write `platform = \"lambda\"` or \
                                `platform = \"ecs\"` under `[target.engine]`";
                    let message = "CodeDeploy fetches revisions from S3, and this target keeps none there";
                    self.reader.find(Finding::error("config/no-bucket", message).help(help), span);
                }
                Some(directory.map_or_else(usual, |it| RevisionsSpec::Directory { path: self.path(&it.value) }))
            }
        }
    }

    /// How long revisions are kept. In a directory they do not pile up unasked: nobody else looks after it, and it is on
    /// the disk that the bot needs. In a bucket they do, unless it is written: deleting takes a right of its own.
    pub(super) fn retentions(&mut self, raw: &Raw) -> BTreeMap<TargetName, Retention> {
        let targets = raw.target.iter().flat_map(|it| &it.value);
        targets.filter_map(|target| self.retention(&target.value)).collect()
    }

    fn retention(&mut self, target: &RawTarget) -> Option<(TargetName, Retention)> {
        let name = TargetName::parse(&target.name.as_ref()?.value).ok()?;
        let revisions = target.revisions.as_ref().map(|it| &it.value);
        let (keep, days) = (revisions.and_then(|it| it.keep.as_ref()), revisions.and_then(|it| it.keep_days.as_ref()));
        if let Some(keep) = keep.filter(|it| it.value == 0) {
            self.bad(&keep.span, "`keep` is 0", "write at least 1: how many of the newest that succeeded are kept");
        }
        let is_asked = keep.is_some() || days.is_some();
        let is_directory = revisions.is_none_or(|it| it.s3.is_none());
        let retention = Retention { keep: keep.map_or(KEEP, |it| it.value), keep_days: days.map_or(0, |it| it.value) };
        (is_asked || is_directory).then_some((name, retention))
    }

    fn s3(&mut self, written: &Written<RawS3>) -> Option<S3Spec> {
        let Written { value: raw, span } = written;
        let bucket = self.required(raw.bucket.as_ref(), "bucket", "target.revisions.s3", span);
        let region = self.required(raw.region.as_ref(), "region", "target.revisions.s3", span);
        let endpoint_url = self.parsed(raw.endpoint_url.as_ref(), "s3.endpoint_url", web_address);
        if let Some(it) = bucket.as_ref().filter(|it| !is_bucket(&it.value)) {
            let help = "write the bucket's name alone, without `s3://` and without a path";
            self.bad(&it.span, format!("`{}` is not the name of a bucket", it.value), help);
        }
        let sse = self.word(raw.sse.as_ref(), "s3.sse", SSE);
        self.key(raw, sse);
        let tags = self.object_tags(raw);
        self.whose(raw);
        let text = |written: Option<&Written<String>>| written.map(|it| it.value.clone());
        Some(S3Spec {
            bucket: bucket?.value,
            prefix: raw.prefix.as_ref().map_or("", |it| it.value.trim_matches('/')).to_owned(),
            region: region?.value,
            endpoint_url,
            force_path_style: flag(raw.force_path_style.as_ref()),
            sse,
            kms_key: text(raw.kms_key.as_ref()),
            bucket_key: flag(raw.bucket_key.as_ref()),
            tags,
            tag_for_codedeploy: flag(raw.tag_for_codedeploy.as_ref()),
            expected_bucket_owner: text(raw.expected_bucket_owner.as_ref()),
            assume_role: text(raw.assume_role.as_ref()),
            external_id: text(raw.external_id.as_ref()),
        })
    }

    /// Finds a bucket in another region than its deployment group: the agents look in their own (row 16). A server that is
    /// not AWS's calls its regions as it likes.
    fn one_region(&mut self, raw: &RawS3, spec: &S3Spec, engine: Option<&EngineSpec>) {
        let (Some(EngineSpec::CodeDeploy(engine)), None, Some(written)) = (engine, &spec.endpoint_url, &raw.region)
        else {
            return;
        };
        if engine.region != spec.region {
            let message = format!(
                "the bucket is in {}, but the deployment group in {}: its agents cannot fetch from there",
                spec.region, engine.region
            );
            let finding = Finding::error("config/region-mismatch", message);
            let help =
                format!("name a bucket in {}; each region needs a bucket and a target of its own", engine.region);
            self.reader.find(finding.help(help), &written.span);
        }
    }

    /// Finds a key that nothing would be encrypted with, and one that is none.
    fn key(&mut self, raw: &RawS3, sse: Option<Encryption>) {
        let spans = [raw.kms_key.as_ref().map(|it| &it.span), raw.bucket_key.as_ref().map(|it| &it.span)];
        let is_misread = raw.sse.is_some() && sse.is_none();
        if sse != Some(Encryption::Kms) && !is_misread {
            for (name, span) in ["kms_key", "bucket_key"].into_iter().zip(spans) {
                let Some(span) = span else { continue };
                let help = "add `sse = \"kms\"`, or take it out";
                self.bad(span, format!("`{name}` has no effect without `sse = \"kms\"`"), help);
            }
        }
        if let Some(it) = raw.kms_key.as_ref().filter(|it| !is_key(&it.value)) {
            let help = "write its ARN, as in `arn:aws:kms:eu-west-1:123456789012:key/…`, its id, or `alias/NAME`";
            self.bad(&it.span, format!("`{}` is not the name of a KMS key", it.value), help);
        }
    }

    fn object_tags(&mut self, raw: &RawS3) -> BTreeMap<String, String> {
        let Some(Written { value: tags, span }) = &raw.tags else { return BTreeMap::new() };
        let own = usize::from(flag(raw.tag_for_codedeploy.as_ref()));
        if tags.len() + own > TAGS {
            let message = format!("an object takes {TAGS} tags, and these are {}", tags.len() + own);
            self.bad(span, message, "leave some out; `tag_for_codedeploy` counts as one");
        }
        for (key, value) in tags {
            let (long, wide) = (key.chars().count(), value.value.chars().count());
            if key.is_empty() || long > TAG_KEY || key.starts_with("aws:") {
                let message = format!("`{key}` is not the key of a tag");
                self.bad(&value.span, message, "write 1 to 128 characters that do not begin with `aws:`");
            }
            if wide > TAG_VALUE {
                let message =
                    format!("the value of the tag `{key}` has {wide} characters, expected at most {TAG_VALUE}");
                self.bad(&value.span, message, "shorten it");
            }
        }
        tags.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect()
    }

    /// Finds an owner that is no account, and an external id that nobody is shown.
    fn whose(&mut self, raw: &RawS3) {
        if let Some(it) = raw.expected_bucket_owner.as_ref().filter(|it| !is_account(&it.value)) {
            let message = format!("`{}` is not an AWS account", it.value);
            self.bad(&it.span, message, "write the twelve digits of the account that owns the bucket");
        }
        if let (Some(external_id), None) = (&raw.external_id, &raw.assume_role) {
            let help = "add `assume_role`, or take it out";
            self.bad(&external_id.span, "`external_id` without `assume_role` has no effect", help);
        }
        if let Some(role) = raw.assume_role.as_ref().filter(|it| !is_role(&it.value)) {
            let message = format!("`{}` is not the ARN of a role", role.value);
            self.bad(&role.span, message, "write it as in `arn:aws:iam::123456789012:role/revisions`");
        }
    }
}

/// Whether revisions have to lie in S3: servers fetch them there, unless they fetch from GitHub.
fn needs_bucket(engine: &EngineSpec) -> bool {
    match engine {
        EngineSpec::CodeDeploy(it) => match it.revision {
            Some(RevisionForm::AppSpec | RevisionForm::GitHub) => false,
            Some(RevisionForm::Bundle) => true,
            None => it.platform.is_none_or(|it| it == Platform::Server),
        },
        EngineSpec::Host(_) => false,
    }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|it| it.is_ascii_digit())
}

fn is_role(text: &str) -> bool {
    text.starts_with("arn:") && text.contains(":iam::") && text.contains(":role/")
}

/// An ARN of a key or an alias, an alias, or a key's id.
fn is_key(text: &str) -> bool {
    let is_arn =
        text.starts_with("arn:") && text.contains(":kms:") && (text.contains(":key/") || text.contains(":alias/"));
    let is_id = text.len() >= 36 && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_arn || is_id || text.strip_prefix("alias/").is_some_and(|it| !it.is_empty())
}
