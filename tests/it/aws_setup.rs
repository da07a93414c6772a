//! What `landfall aws` prints for a configuration: policies, trusts, templates. Whether real validators and emulators
//! take them is asked in `tests/counterparts`.
#![expect(clippy::unwrap_used, reason = "a test stops where its premises fail")]

mod buckets;
mod promoted;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use expect_test::expect;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli::{Ran, landfall};

const ACCOUNT: &str = "123456789012";
/// Revisions of which the newest ten are kept.
const KEEPING: &str =
    "[target.revisions]\nkeep = 10\ns3 = { bucket = \"acme-revisions\", prefix = \"shop\", region = \"eu-west-1\" }";
const ROLE: &str = "arn:aws:iam::111122223333:role/teams/deployer";

/// A target of a configuration, and what differs from the usual one.
struct Shop<'a> {
    name: &'a str,
    group: &'a str,
    region: &'a str,
    /// More lines of `[target.engine]`.
    more: &'a str,
    /// `[target.revisions]`, or what stands in its place.
    revisions: &'a str,
}

impl Default for Shop<'_> {
    fn default() -> Self {
        let revisions =
            "[target.revisions]\ns3 = { bucket = \"acme-revisions\", prefix = \"shop\", region = \"eu-west-1\" }";
        Self { name: "shop-production", group: "production", region: "eu-west-1", more: "", revisions }
    }
}

impl Shop<'_> {
    fn text(&self) -> String {
        let Self { name, group, region, more, revisions } = self;
        let appspec = if revisions.is_empty() { "revision = \"appspec\"\n" } else { "" };
        format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n{appspec}{revisions}\n\
             [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"{group}\"\n\
             region = \"{region}\"\n{more}\n"
        )
    }
}

/// A directory with a configuration. None of its secrets is there: nothing here needs one.
fn configured(shops: &[Shop]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let head = "data_dir = \"data\"\npublic_url = \"https://deploy.example.com\"\n[github]\n\
                webhook_secrets = [{ file = \"nowhere\" }]\ntoken = { env = \"NO_SUCH_TOKEN\" }\n";
    let text: String = shops.iter().map(Shop::text).collect();
    fs::write(dir.path().join("landfall.toml"), format!("{head}{text}")).unwrap();
    dir
}

fn aws(dir: &TempDir, words: &str) -> Ran {
    let words: Vec<&str> = ["aws"].into_iter().chain(words.split_whitespace()).collect();
    landfall(dir.path(), &words)
}

/// What was printed, which is one document and nothing else.
fn printed(dir: &TempDir, words: &str) -> Value {
    let ran = aws(dir, words);
    assert_eq!(ran.exit, 0, "{words}: {}", ran.talk);
    serde_json::from_str(&ran.out).unwrap_or_else(|why| panic!("{words}: {why}\n{}", ran.out))
}

/// What was said where nothing could be printed.
fn refused(dir: &TempDir, words: &str) -> String {
    let ran = aws(dir, words);
    assert_eq!((ran.exit, ran.out.as_str()), (2, ""), "{words}: {}", ran.talk);
    ran.talk
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let of = |value: &Value| -> Vec<String> {
        let many = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        many.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    policy["Statement"].as_array().unwrap().iter().flat_map(|it| of(&it["Action"])).collect()
}

fn statement<'a>(policy: &'a Value, sid: &str) -> &'a Value {
    let found = policy["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == sid);
    found.unwrap_or_else(|| panic!("no `{sid}` in {policy:#}"))
}

#[test]
fn the_bots_policy_has_what_a_server_target_needs_and_no_more() {
    let dir = configured(&[Shop::default()]);
    let expected = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Apps", "Effect": "Allow", "Action": ["codedeploy:GetApplication",
            "codedeploy:RegisterApplicationRevision", "codedeploy:GetApplicationRevision",
            "codedeploy:ListApplicationRevisions", "codedeploy:BatchGetApplicationRevisions",
            "codedeploy:ListDeploymentGroups"],
         "Resource": "arn:aws:codedeploy:eu-west-1:123456789012:application:shop"},
        {"Sid": "Groups", "Effect": "Allow", "Action": ["codedeploy:CreateDeployment", "codedeploy:GetDeployment",
            "codedeploy:BatchGetDeployments", "codedeploy:ListDeployments", "codedeploy:GetDeploymentGroup",
            "codedeploy:BatchGetDeploymentGroups"],
         "Resource": "arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:shop/production"},
        {"Sid": "Configs", "Effect": "Allow", "Action": "codedeploy:GetDeploymentConfig",
         "Resource": "arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:CodeDeployDefault.*"},
        {"Sid": "NoResourceLevel", "Effect": "Allow", "Action": ["codedeploy:ListDeploymentTargets",
            "codedeploy:GetDeploymentTarget", "codedeploy:BatchGetDeploymentTargets", "codedeploy:StopDeployment",
            "codedeploy:ContinueDeployment"],
         "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}},
        {"Sid": "Upload", "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion",
            "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
         "Resource": "arn:aws:s3:::acme-revisions/shop/*"},
        {"Sid": "BucketMeta", "Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:GetBucketVersioning",
            "s3:ListBucket", "s3:ListBucketMultipartUploads"],
         "Resource": "arn:aws:s3:::acme-revisions"},
    ]});
    assert_eq!(printed(&dir, &format!("policy --account {ACCOUNT}")), expected);
    let ran = aws(&dir, "policy --account 1234-5678-9012");
    assert_eq!((ran.exit, ran.talk.as_str()), (0, ""), "talk is for what is left to do, and there is nothing");
}

/// Calls of the AWS SDKs in our code, by what they are called there, with the action that IAM asks for.
const CALLS: &[(&str, &[&str])] = &[
    ("get_application", &["codedeploy:GetApplication"]),
    ("get_deployment_group", &["codedeploy:GetDeploymentGroup"]),
    ("get_deployment_config", &["codedeploy:GetDeploymentConfig"]),
    ("get_deployment", &["codedeploy:GetDeployment"]),
    ("batch_get_deployments", &["codedeploy:BatchGetDeployments"]),
    ("list_deployments", &["codedeploy:ListDeployments"]),
    ("list_deployment_targets", &["codedeploy:ListDeploymentTargets"]),
    ("batch_get_deployment_targets", &["codedeploy:BatchGetDeploymentTargets"]),
    ("list_applications", &["codedeploy:ListApplications"]),
    ("list_deployment_groups", &["codedeploy:ListDeploymentGroups"]),
    ("list_deployment_configs", &["codedeploy:ListDeploymentConfigs"]),
    ("register_application_revision", &["codedeploy:RegisterApplicationRevision"]),
    (
        "create_deployment",
        &["codedeploy:CreateDeployment", "codedeploy:GetDeploymentConfig", "codedeploy:GetApplicationRevision"],
    ),
    ("stop_deployment", &["codedeploy:StopDeployment"]),
    ("continue_deployment", &["codedeploy:ContinueDeployment"]),
    ("put_object", &["s3:PutObject"]),
    ("get_object", &["s3:GetObject", "s3:GetObjectVersion"]),
    // Without ListBucket an object that is not there is a refusal.
    ("head_object", &["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]),
    ("create_multipart_upload", &["s3:PutObject"]),
    ("upload_part", &["s3:PutObject"]),
    ("complete_multipart_upload", &["s3:PutObject"]),
    ("abort_multipart_upload", &["s3:AbortMultipartUpload"]),
    ("list_multipart_uploads", &["s3:ListBucketMultipartUploads"]),
    // Only where bundles are deleted: the probe of `doctor --write` may stay where it is.
    ("delete_object", &["s3:DeleteObject", "s3:DeleteObjectVersion"]),
    ("head_bucket", &["s3:ListBucket"]),
    ("get_bucket_versioning", &["s3:GetBucketVersioning"]),
    ("get_bucket_encryption", &["s3:GetEncryptionConfiguration"]),
];
const VERBS: &[&str] = &[
    "get",
    "list",
    "batch",
    "create",
    "stop",
    "continue",
    "register",
    "put",
    "update",
    "delete",
    "head",
    "abort",
    "upload",
    "complete",
    "copy",
    "skip",
    "add",
    "remove",
    "tag",
    "untag",
    "deregister",
    "restore",
    "select",
];

/// The calls in the files of a folder that are made on a client: a word of the SDKs' with nothing in its brackets.
fn calls_in(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            calls_in(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let own: BTreeSet<&str> = text.split("fn ").skip(1).filter_map(|it| it.split('(').next()).collect();
        for (at, _) in text.match_indices("()") {
            let before = &text[..at];
            let name = before.rsplit(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
            let of_client = before[..before.len() - name.len()].ends_with('.');
            let verb = name.split_once('_').map(|(verb, _)| verb);
            if of_client && verb.is_some_and(|it| VERBS.contains(&it)) && !own.contains(name) {
                found.insert(name.to_owned(), path.display().to_string());
            }
        }
    }
}

#[test]
fn every_call_to_aws_that_our_code_makes_is_in_the_policy() {
    let dir = configured(&[Shop { revisions: KEEPING, ..Shop::default() }]);
    let allowed = actions(&printed(&dir, &format!("policy --doctor --account {ACCOUNT}")));
    let mut found = BTreeMap::new();
    for folder in ["src/engine/codedeploy", "src/revisions"] {
        calls_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    assert!(found.contains_key("create_deployment") && found.contains_key("put_object"), "{found:?}");
    /// Methods of ours and of others that look like calls and are none.
    const NONE: &[&str] = &["get_ref", "get_or_init", "abort_all", "create_time"];
    for (call, file) in found.iter().filter(|(call, _)| !NONE.contains(&call.as_str())) {
        let needed = CALLS.iter().find(|(name, _)| name == call);
        let (_, needed) = needed.unwrap_or_else(|| panic!("{file} calls `{call}`: which action does IAM ask for?"));
        for action in *needed {
            assert!(allowed.contains(*action), "{file} calls `{call}`, and the policy lacks `{action}`");
        }
    }
}

#[test]
fn an_accounts_number_is_asked_for_and_never_made_up() {
    let dir = configured(&[Shop::default()]);
    expect![[r#"
        landfall: the number of the account that holds `shop-production` is not known
          help: add `--account $(aws sts get-caller-identity --query Account --output text)`
    "#]]
    .assert_eq(&refused(&dir, "policy"));
    let talk = refused(&dir, "policy --account 12345");
    assert!(talk.contains("expected the 12 digits"), "{talk}");
    let talk = refused(&dir, "bucket-policy --bot-role arn:aws:iam::123456789012:instance-profile/bot");
    assert!(talk.contains("an instance profile is no principal"), "{talk}");
}

#[test]
fn optional_rights_are_there_only_where_they_are_asked_for() {
    let dir = configured(&[Shop { more: "deployment_config = \"slowly\"", ..Shop::default() }]);
    let plain = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(
        statement(&plain, "Configs")["Resource"][1],
        "arn:aws:codedeploy:eu-west-1:123456789012:deploymentconfig:slowly"
    );
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd";
    let more = printed(&dir, &format!("policy --account {ACCOUNT} --doctor --kms-key {key}"));
    let news: Vec<String> = actions(&more).difference(&actions(&plain)).cloned().collect();
    assert_eq!(
        news,
        [
            "codedeploy:ListApplications",
            "codedeploy:ListDeploymentConfigs",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "s3:GetEncryptionConfiguration"
        ]
    );
    assert_eq!(statement(&more, "Key")["Resource"], key);
    let dir = configured(&[Shop { more: "override_alarms = { names = [\"high-5xx\"] }", ..Shop::default() }]);
    let alarms = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(statement(&alarms, "AlarmOverride")["Action"], "codedeploy:UpdateDeploymentGroup", "row 34");
    let dir = configured(&[Shop { revisions: "", ..Shop::default() }]);
    let lambda = actions(&printed(&dir, &format!("policy --account {ACCOUNT}")));
    assert!(lambda.iter().all(|it| it.starts_with("codedeploy:")), "an AppSpec alone needs no bucket: {lambda:?}");
}

#[test]
fn targets_of_one_account_share_statements_and_regions_keep_to_themselves() {
    let shops = [
        Shop::default(),
        Shop { name: "shop-us", group: "america", region: "us-east-1", revisions: "", ..Shop::default() },
        Shop {
            name: "shop-staging",
            group: "staging",
            revisions: "[target.revisions]\ns3 = { bucket = \"other\", region = \"eu-west-1\" }",
            ..Shop::default()
        },
    ];
    let dir = configured(&shops);
    let policy = printed(&dir, &format!("policy --account {ACCOUNT}"));
    let arn = |region: &str, rest: &str| format!("arn:aws:codedeploy:{region}:{ACCOUNT}:{rest}");
    assert_eq!(
        statement(&policy, "Apps")["Resource"],
        json!([arn("eu-west-1", "application:shop"), arn("us-east-1", "application:shop")])
    );
    assert_eq!(
        statement(&policy, "NoResourceLevel")["Condition"]["StringEquals"]["aws:RequestedRegion"],
        json!(["eu-west-1", "us-east-1"])
    );
    // Where the configuration names no prefix the target's own does: nobody gets a whole bucket.
    assert_eq!(
        statement(&policy, "Upload")["Resource"],
        json!(["arn:aws:s3:::acme-revisions/shop/*", "arn:aws:s3:::other/shop-staging/*"])
    );
    let one = printed(&dir, &format!("policy shop-us --account {ACCOUNT}"));
    assert_eq!(statement(&one, "Groups")["Resource"], arn("us-east-1", "deploymentgroup:shop/america"));
    let talk = refused(&dir, "policy shop-uss");
    assert!(talk.contains("no target is called `shop-uss`") && talk.contains("did you mean `shop-us`?"), "{talk}");
    let talk = refused(&dir, "bucket-policy");
    assert!(talk.contains("these targets use acme-revisions, other"), "{talk}");
    let talk = refused(&dir, "template");
    assert!(talk.contains("these targets are in eu-west-1, us-east-1"), "{talk}");
}

#[test]
fn each_world_of_aws_has_its_own_arns() {
    for (region, world) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-iso-east-1", "aws-iso")] {
        let revisions =
            format!("[target.revisions]\ns3 = {{ bucket = \"b-1\", prefix = \"p\", region = \"{region}\" }}");
        let dir = configured(&[Shop { region, revisions: &revisions, ..Shop::default() }]);
        let policy = printed(&dir, &format!("policy --account {ACCOUNT}"));
        assert_eq!(
            statement(&policy, "Apps")["Resource"],
            format!("arn:{world}:codedeploy:{region}:{ACCOUNT}:application:shop")
        );
        assert_eq!(statement(&policy, "Upload")["Resource"], format!("arn:{world}:s3:::b-1/p/*"));
    }
    let china = Shop { name: "shop-cn", group: "china", region: "cn-north-1", revisions: "", ..Shop::default() };
    let talk = refused(&configured(&[Shop::default(), china]), &format!("policy --account {ACCOUNT}"));
    assert!(talk.contains("separate worlds of AWS (cn-north-1, eu-west-1)"), "{talk}");
}

/// Row 10: the bot takes a role of the other account, and has at home only the right to do so, and the bucket.
#[test]
fn deploying_into_another_account_is_two_policies_and_a_trust() {
    let more = format!("assume_role = \"{ROLE}\"\nexternal_id = \"landfall-7\"");
    let dir = configured(&[Shop { more: &more, ..Shop::default() }]);
    let home = printed(&dir, "policy");
    assert_eq!(
        statement(&home, "Become"),
        &json!({"Sid": "Become", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE})
    );
    assert!(actions(&home).iter().all(|it| !it.starts_with("codedeploy:")), "{home:#}");
    let talk = aws(&dir, "policy").talk;
    assert!(talk.contains("--of assumed-role`") && talk.contains("--of assumed-role-trust --bot-role ARN"), "{talk}");
    let there = printed(&dir, "policy --of assumed-role");
    assert_eq!(
        statement(&there, "Groups")["Resource"],
        "arn:aws:codedeploy:eu-west-1:111122223333:deploymentgroup:shop/production",
        "the role's ARN says whose account it is"
    );
    assert!(actions(&there).iter().all(|it| it.starts_with("codedeploy:")), "{there:#}");
    let trust = printed(&dir, "policy --of assumed-role-trust --bot-role arn:aws:iam::123456789012:role/bot");
    assert_eq!(
        trust["Statement"],
        json!([{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:role/bot"},
            "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "landfall-7"}}}])
    );
    assert!(refused(&dir, "policy --of assumed-role-trust").contains("`--bot-role ARN`"));
    assert!(refused(&dir, "policy --of assumed-role --account 999900001111").contains("belongs to 111122223333"));
    assert!(refused(&dir, "template").contains("`--part home`"));
    assert!(refused(&configured(&[Shop::default()]), "policy --of assumed-role").contains("add `assume_role`"));
    assert!(refused(&configured(&[Shop::default()]), "template --part home").contains("leave `--part` out"));
}

#[test]
fn services_and_instances_are_trusted_no_further_than_they_need() {
    let dir = configured(&[Shop::default()]);
    let service = printed(&dir, &format!("policy --of service-trust --account {ACCOUNT}"));
    assert_eq!(
        service["Statement"],
        json!([{"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn":
                "arn:aws:codedeploy:eu-west-1:123456789012:deploymentgroup:shop/*"}}}])
    );
    let instance = printed(&dir, "policy --of instance");
    assert_eq!(
        instance["Statement"],
        json!([{"Sid": "ReadBundles", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": ["arn:aws:s3:::acme-revisions/shop/*", "arn:aws:s3:::aws-codedeploy-eu-west-1/*"]}])
    );
    let asking = printed(&dir, "policy --of instance --agent-under-iam");
    assert_eq!(statement(&asking, "AgentUnderIam")["Action"].as_array().unwrap().len(), 4);
    let trust = printed(&dir, "policy --of instance-trust");
    assert_eq!(trust["Statement"][0]["Principal"], json!({"Service": "ec2.amazonaws.com"}));
    let topic = printed(&dir, &format!("policy --of topic --account {ACCOUNT}"));
    assert_eq!(
        topic["Statement"],
        json!([{"Sid": "RulePublishes", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish", "Resource": "arn:aws:sns:eu-west-1:123456789012:landfall",
            "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/landfall"}}}])
    );
}

/// Row 24: a bucket whose readers are in another account.
#[test]
fn a_buckets_policy_names_writers_and_readers_and_wants_tls() {
    let dir = configured(&[Shop::default()]);
    let (bot, web) = ("arn:aws:iam::123456789012:role/bot", "arn:aws:iam::111122223333:role/web");
    let policy = printed(&dir, &format!("bucket-policy --bot-role {bot} --instance-role {web}"));
    let objects = "arn:aws:s3:::acme-revisions/shop/*";
    assert_eq!(
        policy["Statement"],
        json!([
            {"Sid": "BotWrites", "Effect": "Allow", "Principal": {"AWS": bot}, "Action": ["s3:PutObject",
                "s3:GetObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload"], "Resource": objects},
            {"Sid": "InstancesRead", "Effect": "Allow", "Principal": {"AWS": web},
                "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": objects},
            {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                "Resource": ["arn:aws:s3:::acme-revisions", "arn:aws:s3:::acme-revisions/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ])
    );
    let ran = aws(&dir, "bucket-policy");
    assert!(ran.exit == 0 && ran.talk.contains("without `--bot-role` and `--instance-role`"), "{}", ran.talk);
}

#[test]
fn a_configuration_without_aws_has_nothing_to_print() {
    let dir = TempDir::new().unwrap();
    let text = "data_dir = \"d\"\n[github]\nwebhook_secrets = [{ env = \"NONE\" }]\n[[target]]\nname = \"blog\"\n\
                repository = \"acme/blog\"\nbranches = [\"main\"]\n[target.engine]\nkind = \"host\"\n";
    fs::write(dir.path().join("landfall.toml"), text).unwrap();
    for verb in ["policy", "bucket-policy", "template"] {
        assert!(refused(&dir, verb).contains("none of these targets uses AWS"));
    }
}
