//! The CloudFormation templates that `landfall aws template` prints, by what is in them.

use std::fs;

use expect_test::expect;
use serde_json::{Value, json};

use super::{ACCOUNT, ROLE, Shop, actions, aws, configured, printed, refused};

fn kinds(template: &Value) -> Vec<String> {
    let resources = template["Resources"].as_object().unwrap();
    resources.iter().map(|(id, it)| format!("{id}: {}", it["Type"].as_str().unwrap())).collect()
}

#[test]
fn a_template_makes_everything_that_an_empty_account_lacks() {
    let dir = configured(&[Shop::default()]);
    let template = printed(&dir, "template --json --wake-ups");
    expect![[r#"
        BotInstanceProfile: AWS::IAM::InstanceProfile
        BotPolicy: AWS::IAM::ManagedPolicy
        BotRole: AWS::IAM::Role
        Bucket: AWS::S3::Bucket
        BucketPolicy: AWS::S3::BucketPolicy
        InstanceProfile: AWS::IAM::InstanceProfile
        InstanceRole: AWS::IAM::Role
        ServerServiceRole: AWS::IAM::Role
        ShopApplication: AWS::CodeDeploy::Application
        ShopProductionGroup: AWS::CodeDeploy::DeploymentGroup
        WakeUpRule: AWS::Events::Rule
        WakeUps: AWS::SNS::Topic
        WakeUpsPolicy: AWS::SNS::TopicPolicy
        WakeUpsSubscription: AWS::SNS::Subscription"#]]
    .assert_eq(&kinds(&template).join("\n"));
    let of = |id: &str| &template["Resources"][id]["Properties"];
    assert_eq!(of("Bucket")["BucketName"], "acme-revisions");
    assert_eq!(of("Bucket")["VersioningConfiguration"]["Status"], "Enabled");
    assert_eq!(of("WakeUpsSubscription")["Endpoint"], "https://deploy.example.com/webhooks/sns");
    assert_eq!(of("ShopProductionGroup")["ServiceRoleArn"], json!({"Fn::GetAtt": ["ServerServiceRole", "Arn"]}));
    let trust = &of("ServerServiceRole")["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Condition"]["StringEquals"]["aws:SourceAccount"], json!({"Fn::Sub": "${AWS::AccountId}"}));
    // What the stack gives the bot is what `policy` prints, but for the account, which only the stack knows.
    let policy = printed(&dir, &format!("policy --account {ACCOUNT}"));
    assert_eq!(actions(&of("BotPolicy")["PolicyDocument"]), actions(&policy));
    assert!(!kinds(&printed(&dir, "template --json")).iter().any(|it| it.contains("SNS") || it.contains("Events")));
    let text = fs::read_to_string(dir.path().join("landfall.toml")).unwrap();
    let sns = "[sns]\ntopics = [\"arn:aws:sns:eu-west-1:123456789012:news\"]\n[[target]]";
    fs::write(dir.path().join("landfall.toml"), text.replacen("[[target]]", sns, 1)).unwrap();
    let heard = printed(&dir, "template --json");
    assert_eq!(heard["Resources"]["WakeUps"]["Properties"]["TopicName"], "news", "a topic that is heard is made");
    let existing = kinds(&printed(&dir, "template --json --existing-bucket"));
    assert!(existing.iter().all(|it| !it.contains("AWS::S3")), "{existing:?}");
    let yaml = aws(&dir, "template").out;
    assert!(yaml.starts_with("AWSTemplateFormatVersion: \"2010-09-09\"\n"), "{yaml}");
}

/// Rows 1 and 8: Lambda and ECS are blue/green, and have neither bucket nor instances.
#[test]
fn a_template_for_lambda_or_ecs_has_no_bucket() {
    let dir = configured(&[Shop { revisions: "", ..Shop::default() }]);
    let talk = refused(&dir, "template");
    assert!(talk.contains("add `--platform lambda` or `--platform ecs`"), "{talk}");
    let configured_so = configured(&[Shop { revisions: "", more: "platform = \"ecs\"", ..Shop::default() }]);
    let template = printed(&configured_so, "template --json");
    assert_eq!(template["Resources"]["ShopApplication"]["Properties"]["ComputePlatform"], "ECS");
    for (platform, name) in [("lambda", "Lambda"), ("ecs", "ECS")] {
        let template = printed(&dir, &format!("template --json --platform {platform}"));
        let kinds = kinds(&template);
        assert!(kinds.iter().all(|it| !it.contains("S3") && !it.contains("InstanceRole")), "{kinds:?}");
        assert_eq!(template["Resources"]["ShopApplication"]["Properties"]["ComputePlatform"], name);
        let style = &template["Resources"]["ShopProductionGroup"]["Properties"]["DeploymentStyle"];
        assert_eq!(style, &json!({"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"}));
    }
}

#[test]
fn a_template_of_each_account_holds_its_side() {
    let more = format!("assume_role = \"{ROLE}\"\nexternal_id = \"landfall-7\"");
    let dir = configured(&[Shop { more: &more, ..Shop::default() }]);
    let home = printed(&dir, "template --json --part home");
    let expected = [
        "BotInstanceProfile: AWS::IAM::InstanceProfile",
        "BotPolicy: AWS::IAM::ManagedPolicy",
        "BotRole: AWS::IAM::Role",
        "Bucket: AWS::S3::Bucket",
    ];
    assert_eq!(kinds(&home), expected);
    let there = printed(&dir, "template --json --part account");
    let role = &there["Resources"]["DeployRole"]["Properties"];
    assert_eq!((&role["RoleName"], &role["Path"]), (&json!("deployer"), &json!("/teams/")));
    assert_eq!(there["Parameters"]["BotRoleArn"]["Type"], "String");
    let kinds = kinds(&there);
    assert!(kinds.iter().any(|it| it == "ShopProductionGroup: AWS::CodeDeploy::DeploymentGroup"), "{kinds:?}");
    assert!(kinds.iter().all(|it| !it.contains("S3") && !it.contains("Bot")), "{kinds:?}");
}
