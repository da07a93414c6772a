//! Our CodeDeploy world, driven by the AWS CLI: what the CLI takes for CodeDeploy, our engine's tests may too.

use landfall::clients::{Clock, process};
use serde_json::{Value, json};

use crate::worlds::codedeploy::{Moves, Scenario, World};

const ROLE: &str = "arn:aws:iam::123456789012:role/CodeDeployServiceRole";
const REVISION: &str = r#"{"revisionType":"S3","s3Location":{"bucket":"acme-revisions","key":"shop.tgz","bundleType":"tgz","eTag":"9b1d","version":"v7"}}"#;

/// `aws deploy WORDS…` against the world: its answer, or what it says of the error.
fn aws(world: &World, words: &[&str]) -> Result<Value, String> {
    let output = process::blocking_program(crate::counterpart("LANDFALL_TEST_AWS_CLI"))
        .args(["--endpoint-url", &world.url(), "--region", "eu-west-1", "--output", "json", "deploy"])
        .args(words)
        .envs([("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_MAX_ATTEMPTS", "1")])
        .envs([("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("NO_PROXY", "*")])
        .output()
        .unwrap();
    let (out, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if !output.status.success() {
        return Err(talk.trim().to_owned());
    }
    Ok(if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out).unwrap() })
}

fn served() -> World {
    let world = World::serve(0, Clock::system());
    world.moves(Moves::WhenTold);
    aws(&world, &["create-application", "--application-name", "shop"]).unwrap();
    let group = ["--application-name", "shop", "--deployment-group-name", "production", "--service-role-arn", ROLE];
    aws(&world, &[&["create-deployment-group"], &group[..]].concat()).unwrap();
    world
}

fn create(world: &World) -> Result<String, String> {
    let words = ["--application-name", "shop", "--deployment-group-name", "production", "--revision", REVISION];
    let words = [&["create-deployment", "--description", "landfall:01A acme/shop"], &words[..]].concat();
    aws(world, &words).map(|it| it["deploymentId"].as_str().unwrap().to_owned())
}

#[test]
fn applications_and_groups_are_made_and_listed() {
    let world = served();
    let again = aws(&world, &["create-application", "--application-name", "shop"]).unwrap_err();
    assert!(again.contains("(ApplicationAlreadyExistsException)"), "{again}");
    assert_eq!(aws(&world, &["list-applications"]).unwrap(), json!({ "applications": ["shop"] }));
    let shop = aws(&world, &["get-application", "--application-name", "shop"]).unwrap();
    assert_eq!(shop["application"]["computePlatform"], "Server");
    let groups = aws(&world, &["list-deployment-groups", "--application-name", "shop"]).unwrap();
    assert_eq!(groups["deploymentGroups"], json!(["production"]));
    let words = ["get-deployment-group", "--application-name", "shop", "--deployment-group-name", "production"];
    let group = aws(&world, &words).unwrap();
    assert_eq!(group["deploymentGroupInfo"]["serviceRoleArn"], ROLE);
    assert_eq!(group["deploymentGroupInfo"]["autoRollbackConfiguration"], json!({ "enabled": false }));
    let nowhere = aws(&world, &["get-application", "--application-name", "blog"]).unwrap_err();
    assert!(nowhere.contains("(ApplicationDoesNotExistException)"), "{nowhere}");
}

#[test]
fn a_deployment_goes_its_way_and_keeps_others_out() {
    let world = served();
    let words = ["register-application-revision", "--application-name", "shop", "--revision", REVISION];
    assert_eq!(aws(&world, &words).unwrap(), Value::Null);
    let id = create(&world).unwrap();
    let busy = create(&world).unwrap_err();
    assert!(busy.contains("(DeploymentLimitExceededException)") && busy.contains(&format!("'{id}'")), "{busy}");
    let get = || aws(&world, &["get-deployment", "--deployment-id", &id]).unwrap()["deploymentInfo"].clone();
    let created = get();
    assert_eq!((&created["status"], &created["creator"]), (&json!("Created"), &json!("user")));
    assert_eq!(created["revision"], serde_json::from_str::<Value>(REVISION).unwrap());
    assert!(created["createTime"].as_f64().is_some_and(|it| it > 1.7e9), "{created}");
    let early = aws(&world, &["list-deployment-targets", "--deployment-id", &id]).unwrap_err();
    assert!(early.contains("(DeploymentNotStartedException)"), "{early}");
    (0..4).for_each(|_| world.tick());
    assert_eq!(get()["deploymentOverview"]["InProgress"], 2);
    let targets = aws(&world, &["list-deployment-targets", "--deployment-id", &id]).unwrap();
    assert_eq!(targets, json!({ "targetIds": ["i-0a", "i-0b"] }));
    let early = aws(&world, &["continue-deployment", "--deployment-id", &id]).unwrap_err();
    assert!(early.contains("(DeploymentIsNotInReadyStateException)"), "{early}");
    let stopped = aws(&world, &["stop-deployment", "--deployment-id", &id]).unwrap();
    assert_eq!(stopped["status"], "Succeeded");
    let again = aws(&world, &["stop-deployment", "--deployment-id", &id]).unwrap_err();
    assert!(again.contains("(DeploymentAlreadyCompletedException)"), "{again}");
    assert_eq!(get()["errorInformation"]["code"], "MANUAL_STOP");
    let words = ["list-deployments", "--application-name", "shop", "--deployment-group-name", "production"];
    assert_eq!(aws(&world, &words).unwrap(), json!({ "deployments": [id] }));
    let stopped = [&words[..], &["--include-only-statuses", "Succeeded"]].concat();
    assert_eq!(aws(&world, &stopped).unwrap(), json!({ "deployments": [] }));
}

#[test]
fn a_failure_shows_its_event_script_and_log() {
    let world = served();
    world.script(Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", "boom"));
    let id = create(&world).unwrap();
    (0..10).for_each(|_| world.tick());
    let words = ["batch-get-deployments", "--deployment-ids", &id];
    let info = aws(&world, &words).unwrap()["deploymentsInfo"][0].clone();
    assert_eq!((&info["status"], &info["errorInformation"]["code"]), (&json!("Failed"), &json!("HEALTH_CONSTRAINTS")));
    let words = ["list-deployment-targets", "--deployment-id", &id, "--target-filters", "TargetStatus=Failed"];
    assert_eq!(aws(&world, &words).unwrap(), json!({ "targetIds": ["i-0b"] }));
    let words = ["batch-get-deployment-targets", "--deployment-id", &id, "--target-ids", "i-0b"];
    let target = aws(&world, &words).unwrap()["deploymentTargets"][0]["instanceTarget"].clone();
    let failed = target["lifecycleEvents"].as_array().unwrap().iter().find(|it| it["status"] == "Failed").unwrap();
    assert_eq!(failed["lifecycleEventName"], "AfterInstall");
    let expected = json!({ "errorCode": "ScriptFailed", "scriptName": "scripts/migrate.sh",
        "message": "Script at specified location failed with exit code 1", "logTail": "boom" });
    assert_eq!(failed["diagnostics"], expected);
}

#[test]
fn a_deployment_left_alone_succeeds_for_the_clis_own_waiter() {
    let world = served();
    world.moves(Moves::EveryMillis(1));
    let id = create(&world).unwrap();
    aws(&world, &["wait", "deployment-successful", "--deployment-id", &id]).unwrap();
}

#[test]
fn a_deployment_that_waits_for_traffic_is_continued() {
    let world = served();
    world.script(Scenario { waits_for_traffic: true, ..Scenario::default() });
    let id = create(&world).unwrap();
    (0..20).for_each(|_| world.tick());
    let status =
        || aws(&world, &["get-deployment", "--deployment-id", &id]).unwrap()["deploymentInfo"]["status"].clone();
    assert_eq!(status(), "Ready");
    aws(&world, &["continue-deployment", "--deployment-id", &id, "--deployment-wait-type", "READY_WAIT"]).unwrap();
    assert_eq!(status(), "Succeeded");
}
