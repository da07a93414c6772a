//! A bucket for revisions, as meant: where it is, as whom it is reached, and how objects are written into it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A bucket, as whom it is reached, and how objects are written into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct S3Spec {
    /// The bucket.
    pub bucket: String,
    /// What every key begins with, without slashes at its ends.
    #[serde(default)]
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// Another address than AWS's, for S3-compatible servers.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// Whether the bucket is named in the path instead of the host name, as most other servers want it.
    #[serde(default)]
    pub force_path_style: bool,
    /// How the server encrypts objects; nothing leaves it to the bucket's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sse: Option<Encryption>,
    /// The key of `sse = "kms"`: its ARN, id or alias; nothing means the account's own `aws/s3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Whether the bucket's own key spares calls to KMS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bucket_key: bool,
    /// What objects are tagged with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether objects carry the tag that AWS's own instance and ECS policies look for (guide, section 5.4).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tag_for_codedeploy: bool,
    /// The account that the bucket must belong to: every call says so, and S3 refuses where it is not true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<String>,
    /// A role to assume for the bucket alone, where it is another account's than the deployment group (row 24).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<String>,
    /// The external id for that role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// How S3 encrypts an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// With S3's own keys.
    S3,
    /// With a key of AWS KMS.
    Kms,
}

/// What AWS's managed instance policy for CodeDeploy, and its limited ECS policy, let through.
const CODEDEPLOY_TAG: &str = "UseWithCodeDeploy";

impl S3Spec {
    /// All tags that an object gets, with CodeDeploy's where it is wanted.
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let wanted = self.tag_for_codedeploy.then(|| (CODEDEPLOY_TAG.to_owned(), "true".to_owned()));
        self.tags.clone().into_iter().chain(wanted).collect()
    }
}
