//! What the bot may do, and no more: for its own role, and for roles of other accounts that it takes. Pure.

use std::collections::BTreeSet;

use super::document::{Node, map};
use super::statement::{Place, Statement, one_or_many};
use crate::domain::{CodeDeploySpec, EngineSpec, Platform, RevisionsSpec, S3Spec, Target};

/// What CodeDeploy is asked about an application.
const OF_APPLICATIONS: &[&str] = &[
    "codedeploy:GetApplication",
    "codedeploy:RegisterApplicationRevision",
    "codedeploy:GetApplicationRevision",
    "codedeploy:ListApplicationRevisions",
    "codedeploy:BatchGetApplicationRevisions",
    "codedeploy:ListDeploymentGroups",
];
/// What CodeDeploy is asked about a deployment group, and told to do there.
const OF_GROUPS: &[&str] = &[
    "codedeploy:CreateDeployment",
    "codedeploy:GetDeployment",
    "codedeploy:BatchGetDeployments",
    "codedeploy:ListDeployments",
    "codedeploy:GetDeploymentGroup",
    "codedeploy:BatchGetDeploymentGroups",
];
/// Actions that IAM knows no resource for; the region is what can be held fast.
const WITHOUT_RESOURCES: &[&str] = &[
    "codedeploy:ListDeploymentTargets",
    "codedeploy:GetDeploymentTarget",
    "codedeploy:BatchGetDeploymentTargets",
    "codedeploy:StopDeployment",
    "codedeploy:ContinueDeployment",
];
/// What is done with bundles.
const OF_OBJECTS: &[&str] =
    &["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
/// What is asked about their bucket.
const OF_BUCKETS: &[&str] =
    &["s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketMultipartUploads"];
/// A bucket that encrypts with a key of its own: `Decrypt` is for uploads in parts.
const OF_KEYS: &[&str] = &["kms:GenerateDataKey", "kms:Decrypt"];

/// What is wanted besides what the targets need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// The key that buckets encrypt with.
    pub(super) kms_key: Option<String>,
    /// Whether `landfall doctor` may ask all that it would like to.
    pub(super) doctor: bool,
}

/// A bucket as a target uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bucket: String,
    /// What every key begins with: never nothing, so that nobody gets a whole bucket.
    pub(super) prefix: String,
    pub(super) region: String,
    /// Whether objects are tagged.
    pub(super) tagged: bool,
    /// The key that objects are encrypted with, where the target names it by its ARN: a policy takes no alias.
    pub(super) key: Option<String>,
    /// The role that the bucket is reached by, where it has one of its own (row 24).
    pub(super) role: Option<String>,
}

impl Kept {
    /// Where a target's revisions are kept, if that is S3.
    pub(super) fn of(target: &Target) -> Option<Self> {
        // For Lambda and ECS the AppSpec is the whole revision, and is sent as it is.
        let platform = codedeploy(target).and_then(|it| it.platform);
        if matches!(platform, Some(Platform::Lambda | Platform::Ecs)) {
            return None;
        }
        let RevisionsSpec::S3(spec) = &target.revisions else { return None };
        let S3Spec { bucket, prefix, region, kms_key, assume_role: role, .. } = spec.clone();
        let prefix = if prefix.is_empty() { target.name.to_string() } else { prefix };
        let key = kms_key.filter(|it| it.contains(":key/"));
        Some(Self { bucket, prefix, region, tagged: !spec.all_tags().is_empty(), key, role })
    }

    /// A target's own objects there: no other target's.
    pub(super) fn objects_of(target: &Target, place: &Place) -> Option<(Self, String)> {
        let kept = Self::of(target)?;
        let RevisionsSpec::S3(spec) = &target.revisions else { return None };
        let below =
            if spec.prefix.is_empty() { target.name.to_string() } else { format!("{}/{}", spec.prefix, target.name) };
        let objects = place.bucket(&format!("{}/{below}/*", kept.bucket));
        Some((kept, objects))
    }

    /// Its objects.
    pub(super) fn objects(&self, place: &Place) -> String {
        place.bucket(&format!("{}/{}/*", self.bucket, self.prefix))
    }
}

/// The CodeDeploy side of a target, if it has one.
pub(super) fn codedeploy(target: &Target) -> Option<&CodeDeploySpec> {
    match &target.engine {
        EngineSpec::CodeDeploy(spec) => Some(spec),
        EngineSpec::Host(_) => None,
    }
}

/// What deploying to these groups takes.
pub(super) fn to_deploy(specs: &[&CodeDeploySpec], place: &Place, extras: &Extras) -> Vec<Statement> {
    if specs.is_empty() {
        return vec![];
    }
    let named = |resource: &dyn Fn(&CodeDeploySpec) -> String| -> Vec<String> {
        specs.iter().map(|spec| place.arn("codedeploy", &spec.region, &resource(spec))).collect()
    };
    let own = specs.iter().filter_map(|spec| Some((&spec.region, spec.deployment_config.as_ref()?)));
    let own = own.filter(|(_, name)| !name.starts_with("CodeDeployDefault."));
    let own = own.map(|(region, name)| place.arn("codedeploy", region, &format!("deploymentconfig:{name}")));
    let predefined = named(&|_| "deploymentconfig:CodeDeployDefault.*".into());
    let mut statements = vec![
        Statement::allow("Apps", OF_APPLICATIONS, named(&|it| format!("application:{}", it.application))),
        Statement::allow(
            "Groups",
            OF_GROUPS,
            named(&|it| format!("deploymentgroup:{}/{}", it.application, it.deployment_group)),
        ),
        Statement::allow("Configs", &["codedeploy:GetDeploymentConfig"], predefined.into_iter().chain(own)),
        Statement::allow("NoResourceLevel", WITHOUT_RESOURCES, ["*"]).when(in_regions(specs)),
    ];
    // Other alarms than the group's are, for IAM, a change of the group (row 34).
    let overriding: Vec<String> = specs
        .iter()
        .filter(|it| it.override_alarms.is_some())
        .map(|it| (&it.region, format!("deploymentgroup:{}/{}", it.application, it.deployment_group)))
        .map(|(region, group)| place.arn("codedeploy", region, &group))
        .collect();
    if !overriding.is_empty() {
        statements.push(Statement::allow("AlarmOverride", &["codedeploy:UpdateDeploymentGroup"], overriding));
    }
    if extras.doctor {
        let asks = ["codedeploy:ListApplications", "codedeploy:ListDeploymentConfigs"];
        statements.push(Statement::allow("Suggestions", &asks, ["*"]).when(in_regions(specs)));
    }
    statements
}

/// What keeping bundles takes.
pub(super) fn to_keep(places: &[Kept], place: &Place, extras: &Extras) -> Vec<Statement> {
    if places.is_empty() {
        return vec![];
    }
    let buckets = || places.iter().map(|it| place.bucket(&it.bucket));
    let mut statements = vec![
        Statement::allow("Upload", OF_OBJECTS, places.iter().map(|it| it.objects(place))),
        Statement::allow("BucketMeta", OF_BUCKETS, buckets()),
    ];
    let tagged: Vec<_> = places.iter().filter(|it| it.tagged).map(|it| it.objects(place)).collect();
    if !tagged.is_empty() {
        statements.push(Statement::allow("Tag", &["s3:PutObjectTagging"], tagged));
    }
    let keys: BTreeSet<&String> = extras.kms_key.iter().chain(places.iter().filter_map(|it| it.key.as_ref())).collect();
    if !keys.is_empty() {
        statements.push(Statement::allow("Key", OF_KEYS, keys));
    }
    if extras.doctor {
        statements.push(Statement::allow("BucketEncryption", &["s3:GetEncryptionConfiguration"], buckets()));
    }
    statements
}

/// What deleting bundles takes that nobody can want back (row 25). Versions are deleted by their ids.
pub(super) fn to_prune(objects: &[String]) -> Vec<Statement> {
    if objects.is_empty() {
        return vec![];
    }
    vec![Statement::allow("Prune", &["s3:DeleteObject", "s3:DeleteObjectVersion"], objects.iter().cloned())]
}

/// Taking these roles.
pub(super) fn to_become(roles: &[&str]) -> Vec<Statement> {
    if roles.is_empty() {
        return vec![];
    }
    vec![Statement::allow("Become", &["sts:AssumeRole"], roles.iter().copied())]
}

fn in_regions(specs: &[&CodeDeploySpec]) -> Node {
    let mut regions: Vec<String> = specs.iter().map(|it| it.region.clone()).collect();
    regions.sort();
    regions.dedup();
    map([("StringEquals", map([("aws:RequestedRegion", one_or_many(&regions))]))])
}
