//! Our CodeDeploy world, driven by the AWS CLI: what the CLI takes for CodeDeploy, our engine's tests may too.

use landfall::clients::{Clock, process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

/// A world with an application of this platform and its group, both made by the CLI.
fn of_platform(platform: &str, application: &str) -> World {
    let world = World::serve(0, Clock::system());
    world.moves(Moves::WhenTold);
    let words = ["create-application", "--application-name", application, "--compute-platform", platform];
    aws(&world, &words).unwrap();
    let names = ["--application-name", application, "--deployment-group-name", "production"];
    aws(&world, &[&["create-deployment-group", "--service-role-arn", ROLE], &names[..]].concat()).unwrap();
    world
}

fn inline(appspec: &Value) -> String {
    let content = appspec.to_string();
    let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
    json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": content, "sha256": sha256 } }).to_string()
}

fn create_of(world: &World, application: &str, revision: &str, more: &[&str]) -> Result<String, String> {
    let words = ["create-deployment", "--application-name", application, "--deployment-group-name", "production"];
    let words = [&words[..], &["--revision", revision], more].concat();
    aws(world, &words).map(|it| it["deploymentId"].as_str().unwrap().to_owned())
}

#[test]
fn a_function_is_deployed_by_its_appspec_rows_21_63() {
    let world = of_platform("Lambda", "login");
    let properties = json!({ "Name": "login", "Alias": "live", "CurrentVersion": "7", "TargetVersion": "8" });
    let resource = json!({ "login": { "Type": "AWS::Lambda::Function", "Properties": properties } });
    let appspec = json!({ "version": 0.0, "Resources": [resource] });
    let config = ["--deployment-config-name", "CodeDeployDefault.LambdaCanary10Percent5Minutes"];
    let id = create_of(&world, "login", &inline(&appspec), &config).unwrap();
    (0..4).for_each(|_| world.tick());
    let words = ["batch-get-deployment-targets", "--deployment-id", &id, "--target-ids", "login"];
    let target = aws(&world, &words).unwrap()["deploymentTargets"][0].clone();
    assert_eq!(target["deploymentTargetType"], "LambdaTarget");
    let function = &target["lambdaTarget"]["lambdaFunctionInfo"];
    assert_eq!((&function["functionAlias"], &function["targetVersionWeight"]), (&json!("live"), &json!(1.0)));
    let info = aws(&world, &["get-deployment", "--deployment-id", &id]).unwrap()["deploymentInfo"].clone();
    assert_eq!((&info["computePlatform"], &info["deploymentConfigName"]), (&json!("Lambda"), &json!(config[1])));
    assert_eq!(info["revision"]["appSpecContent"].get("content"), None, "CodeDeploy gives the digest alone");
    let odd = inline(&json!({ "version": 0.0, "Resources": [] }));
    let refused = create_of(&world, "login", &odd, &[]).unwrap_err();
    assert!(refused.contains("(InvalidRevisionException)"), "{refused}");
}

#[test]
fn a_service_shows_both_its_task_sets_row_63() {
    let world = of_platform("ECS", "web");
    let balancer = json!({ "ContainerName": "web", "ContainerPort": 8080 });
    let task = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3";
    let properties = json!({ "TaskDefinition": task, "LoadBalancerInfo": balancer });
    let resource = json!({ "TargetService": { "Type": "AWS::ECS::Service", "Properties": properties } });
    let appspec = json!({ "version": 0.0, "Resources": [resource] });
    let id = create_of(&world, "web", &inline(&appspec), &[]).unwrap();
    (0..9).for_each(|_| world.tick());
    let listed = aws(&world, &["list-deployment-targets", "--deployment-id", &id]).unwrap();
    let name = listed["targetIds"][0].as_str().unwrap().to_owned();
    let words = ["batch-get-deployment-targets", "--deployment-id", &id, "--target-ids", &name];
    let target = aws(&world, &words).unwrap()["deploymentTargets"][0]["ecsTarget"].clone();
    let weights: Vec<_> = (0..2).map(|at| target["taskSetsInfo"][at]["trafficWeight"].as_f64().unwrap()).collect();
    assert_eq!(weights, [0.0, 100.0], "{target}");
    assert_eq!(target["taskSetsInfo"][1]["identifer"], "ecs-svc/Green", "botocore knows the misspelt name");
}

#[test]
fn options_go_through_botocores_own_checks_rows_27_to_34() {
    let world = served();
    let config = ["create-deployment-config", "--deployment-config-name", "slow", "--minimum-healthy-hosts"];
    aws(&world, &[&config[..], &["type=HOST_COUNT,value=1"]].concat()).unwrap();
    let got = aws(&world, &["get-deployment-config", "--deployment-config-name", "slow"]).unwrap();
    assert_eq!(got["deploymentConfigInfo"]["computePlatform"], "Server");
    let listed = aws(&world, &["list-deployment-configs"]).unwrap();
    assert!(listed["deploymentConfigsList"].as_array().unwrap().contains(&json!("slow")), "{listed}");
    let green = ["--target-instances", "tagFilters=[{Key=Env,Value=green,Type=KEY_AND_VALUE}]"];
    let refused = create_of(&world, "shop", REVISION, &green).unwrap_err();
    assert!(refused.contains("(InvalidTargetInstancesException)"), "{refused}");
    world.blue_green("shop", "production");
    let more = [
        "--deployment-config-name",
        "slow",
        "--file-exists-behavior",
        "OVERWRITE",
        "--ignore-application-stop-failures",
        "--update-outdated-instances-only",
        "--auto-rollback-configuration",
        "enabled=true,events=DEPLOYMENT_FAILURE,DEPLOYMENT_STOP_ON_ALARM",
        "--override-alarm-configuration",
        "enabled=true,ignorePollAlarmFailure=true,alarms=[{name=errors}]",
    ];
    let id = create_of(&world, "shop", REVISION, &[&more[..], &green].concat()).unwrap();
    let info = aws(&world, &["get-deployment", "--deployment-id", &id]).unwrap()["deploymentInfo"].clone();
    let events = json!(["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]);
    assert_eq!(info["autoRollbackConfiguration"], json!({ "enabled": true, "events": events }));
    assert_eq!(info["overrideAlarmConfiguration"]["alarms"], json!([{ "name": "errors" }]));
    assert_eq!(
        (&info["fileExistsBehavior"], &info["updateOutdatedInstancesOnly"]),
        (&json!("OVERWRITE"), &json!(true))
    );
    let unlinked = r#"{"revisionType":"GitHub","gitHubLocation":{"repository":"acme/shop","commitId":"4f2c1e9a4f2c1e9a4f2c1e9a4f2c1e9a4f2c1e9a"}}"#;
    world.add_group("other");
    let words = ["create-deployment", "--application-name", "shop", "--deployment-group-name", "other", "--revision"];
    let refused = aws(&world, &[&words[..], &[unlinked]].concat()).unwrap_err();
    assert!(refused.contains("(InvalidGitHubAccountTokenException)"), "{refused}");
}
