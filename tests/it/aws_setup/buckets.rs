//! What is printed for buckets: who deletes, who has a role of its own, and that no lifecycle rule knows better.

use serde_json::{Value, json};

use super::{ACCOUNT, KEEPING, ROLE, Shop, actions, aws, configured, printed, refused, statement};

const KEEPER: &str = "arn:aws:iam::777788889999:role/keeper";

fn sids(policy: &Value) -> Vec<&str> {
    policy["Statement"].as_array().unwrap().iter().filter_map(|it| it["Sid"].as_str()).collect()
}

/// Row 25: the right to delete is granted only where it is used, and below the target's own name.
#[test]
fn only_a_target_that_deletes_may_delete_row_25() {
    let dir = configured(&[
        Shop { revisions: KEEPING, ..Shop::default() },
        Shop { name: "shop-staging", group: "staging", ..Shop::default() },
    ]);
    let policy = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(
        statement(&policy, "Prune"),
        &json!({"Sid": "Prune", "Effect": "Allow", "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
            "Resource": "arn:aws:s3:::acme-revisions/shop/shop-production/*"})
    );
    let other = printed(&dir, &format!("policy shop-staging --account {ACCOUNT}"));
    assert!(actions(&other).iter().all(|it| !it.contains("Delete")), "{other:#}");
    let bot = &printed(&dir, "template --json")["Resources"]["BotPolicy"]["Properties"]["PolicyDocument"];
    assert_eq!(actions(bot), actions(&policy));
    let bare = KEEPING.replace("prefix = \"shop\", ", "").replace("keep = 10", "keep_days = 30");
    let dir = configured(&[Shop { revisions: &bare, ..Shop::default() }]);
    let policy = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(statement(&policy, "Prune")["Resource"], "arn:aws:s3:::acme-revisions/shop-production/*");
}

/// Rows 10 and 24: a bucket that is reached by a role of its own is that role's, and the bot's is to take it.
#[test]
fn a_buckets_own_role_gets_what_the_bucket_needs_rows_10_and_24() {
    let revisions = KEEPING.replace("region", &format!("assume_role = \"{KEEPER}\", external_id = \"keep-7\", region"));
    let dir = configured(&[Shop { revisions: &revisions, ..Shop::default() }]);
    let home = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(statement(&home, "Become")["Resource"], KEEPER);
    assert!(actions(&home).iter().all(|it| !it.starts_with("s3:")), "{home:#}");
    let there = printed(&dir, "policy --of assumed-role");
    assert_eq!(sids(&there), ["Upload", "BucketMeta", "Prune"]);
    assert_eq!(statement(&there, "Upload")["Resource"], "arn:aws:s3:::acme-revisions/shop/*");
    let trust = printed(&dir, "policy --of assumed-role-trust --bot-role arn:aws:iam::123456789012:role/bot");
    assert_eq!(trust["Statement"][0]["Condition"], json!({"StringEquals": {"sts:ExternalId": "keep-7"}}));
    let instances = printed(&dir, "policy --of instance");
    assert!(statement(&instances, "ReadBundles")["Resource"].to_string().contains("acme-revisions/shop/*"));
    let template = aws(&dir, "template");
    assert!(template.talk.contains(&format!("`acme-revisions` is reached by `{KEEPER}`")), "{}", template.talk);
    assert!(!template.out.contains("AWS::S3::Bucket\n"), "the bucket is made in its own account: {}", template.out);

    // One role deploys and another keeps: which is meant has to be said.
    let more = format!("assume_role = \"{ROLE}\"\nexternal_id = \"landfall-7\"");
    let dir = configured(&[Shop { more: &more, revisions: &revisions, ..Shop::default() }]);
    assert_eq!(statement(&printed(&dir, "policy"), "Become")["Resource"], json!([ROLE, KEEPER]));
    let talk = refused(&dir, "policy --of assumed-role");
    assert!(talk.contains("take 2 roles") && talk.contains(KEEPER) && talk.contains("--role ARN"), "{talk}");
    let of = |role: &str| printed(&dir, &format!("policy --of assumed-role --role {role}"));
    assert!(actions(&of(ROLE)).iter().all(|it| it.starts_with("codedeploy:")));
    assert_eq!(sids(&of(KEEPER)), ["Upload", "BucketMeta", "Prune"]);
    let talk = refused(&dir, "policy --of assumed-role --role arn:aws:iam::123456789012:role/other");
    assert!(talk.contains("none of these targets takes the role"), "{talk}");
}

/// Row 25: a version that is not the newest may be what an instance fetches that is launched next year.
#[test]
fn no_lifecycle_rule_of_the_template_ends_versions_and_it_says_what_does_row_25() {
    for (revisions, says) in [(KEEPING, "Landfall alone deletes bundles"), ("", "Nothing deletes bundles")] {
        let shop = Shop::default();
        let shop = if revisions.is_empty() { shop } else { Shop { revisions, ..shop } };
        let template = printed(&configured(&[shop]), "template --json");
        let rules = &template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"];
        let ids: Vec<_> = rules.as_array().unwrap().iter().map(|it| it["Id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["cut-uploads"], "{rules:#}");
        let description = template["Description"].as_str().unwrap();
        assert!(description.contains(says) && description.contains("`keep`"), "{description}");
        assert!(description.len() <= 1024, "CloudFormation takes 1024 bytes");
    }
}
