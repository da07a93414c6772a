//! What the CodeDeploy world says of Lambda and ECS, and what it refuses: the engine's tests lean on both.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::operation::create_deployment::builders::CreateDeploymentFluentBuilder;
use aws_sdk_codedeploy::types::{
    Alarm, AlarmConfiguration, AppSpecContent, AutoRollbackConfiguration, AutoScalingGroupProcess, DeploymentTarget,
    Ec2DeploymentOptions, Ec2TagFilter, FileExistsBehavior, GitHubLocation, RevisionLocation, RevisionLocationType,
    S3Location, TargetInstances,
};
use aws_sdk_codedeploy::types::{BundleType, Ec2TagFilterType};
use landfall::clients::Clock;
use landfall::clients::aws::{Account, Aws};
use sha2::{Digest, Sha256};

use crate::worlds::codedeploy::{Moves, Scenario, World};

/// A Lambda AppSpec that holds what it needs.
pub(crate) const LAMBDA: &str = "version: 0.0\nResources:\n  - login:\n      Type: AWS::Lambda::Function\n      \
    Properties:\n        Name: login\n        Alias: live\n        CurrentVersion: \"7\"\n        TargetVersion: \"8\"\n";
/// An ECS AppSpec that holds what it needs.
pub(crate) const ECS: &str = r#"{"version":0.0,"resources":[{"TargetService":{"type":"AWS::ECS::Service","properties":{
    "taskDefinition":"arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:3",
    "loadBalancerInfo":{"containerName":"web","containerPort":8080}}}}]}"#;

pub(crate) fn inline(content: &str) -> RevisionLocation {
    let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
    let content = AppSpecContent::builder().content(content).sha256(sha256).build();
    RevisionLocation::builder().revision_type(RevisionLocationType::AppSpecContent).app_spec_content(content).build()
}

fn stored() -> RevisionLocation {
    let object = S3Location::builder().bucket("b").key("k.tgz").bundle_type(BundleType::TarGZip).build();
    RevisionLocation::builder().revision_type(RevisionLocationType::S3).s3_location(object).build()
}

fn on_github(commit: &str) -> RevisionLocation {
    let commit = GitHubLocation::builder().repository("acme/shop").commit_id(commit).build();
    RevisionLocation::builder().revision_type(RevisionLocationType::GitHub).git_hub_location(commit).build()
}

/// A world with `shop` (servers), `login` (Lambda) and `web` (ECS), each with its group `production`.
async fn served() -> (World, Client) {
    let world = World::start(Clock::system());
    world.add("login", "Lambda", &["production"]);
    world.add("web", "ECS", &["production"]);
    world.moves(Moves::WhenTold);
    let account = Account {
        region: "eu-west-1".into(),
        endpoint_url: Some(world.url()),
        assume_role: None,
        external_id: None,
        session: None,
    };
    let client = Aws::with_keys("A", "S").codedeploy(&account).await;
    (world, client)
}

fn create(client: &Client, application: &str, revision: RevisionLocation) -> CreateDeploymentFluentBuilder {
    client.create_deployment().application_name(application).deployment_group_name("production").revision(revision)
}

/// The exception that a call ends with.
async fn exception(call: CreateDeploymentFluentBuilder) -> String {
    let error = call.send().await.expect_err("the world refuses").into_service_error();
    error.meta().code().unwrap_or_default().to_owned()
}

async fn target(client: &Client, deployment: &str) -> DeploymentTarget {
    let listed = client.list_deployment_targets().deployment_id(deployment).send().await.unwrap();
    let all = client.batch_get_deployment_targets().deployment_id(deployment);
    let answer = all.set_target_ids(listed.target_ids).send().await.unwrap();
    answer.deployment_targets.unwrap_or_default().remove(0)
}

#[tokio::test]
async fn a_function_has_one_target_whose_weight_grows_row_63() {
    let (world, client) = served().await;
    world.script(Scenario { shifts: vec![10.0, 50.0, 100.0], ..Scenario::default() });
    let id = create(&client, "login", inline(LAMBDA)).send().await.unwrap().deployment_id.unwrap();
    let mut seen = vec![];
    for _ in 0..8 {
        world.tick();
        let status = world.deployments()[0].status.clone();
        if status == "Queued" {
            continue;
        }
        let target = target(&client, &id).await.lambda_target.unwrap();
        let function = target.lambda_function_info().unwrap();
        assert_eq!((target.target_id(), function.target_version()), (Some("login"), Some("8")));
        let events = target.lifecycle_events().iter();
        let at = events.filter(|it| it.status().is_some_and(|it| it.as_str() == "InProgress"));
        let at: Vec<_> = at.filter_map(|it| it.lifecycle_event_name()).collect();
        seen.push((status, at.join(" "), function.target_version_weight()));
    }
    let expected = [
        ("InProgress", "BeforeAllowTraffic", 0.0),
        ("InProgress", "AllowTraffic", 0.1),
        ("InProgress", "AllowTraffic", 0.5),
        ("InProgress", "AllowTraffic", 1.0),
        ("InProgress", "AfterAllowTraffic", 1.0),
        ("Succeeded", "", 1.0),
        ("Succeeded", "", 1.0),
    ];
    assert_eq!(seen.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_service_waits_before_traffic_and_its_target_is_done_before_the_deployment_row_53() {
    let (world, client) = served().await;
    world.script(Scenario { waits_for_traffic: true, old_tasks_stay: 2, ..Scenario::default() });
    let id = create(&client, "web", inline(ECS)).send().await.unwrap().deployment_id.unwrap();
    (0..20).for_each(|_| world.tick());
    assert_eq!(world.deployments()[0].status, "Ready");
    let weights = |target: &DeploymentTarget| -> Vec<f64> {
        target.ecs_target().unwrap().task_sets_info().iter().map(|it| it.traffic_weight()).collect()
    };
    assert_eq!(weights(&target(&client, &id).await), [100.0, 0.0]);
    client.continue_deployment().deployment_id(&id).send().await.unwrap();
    assert_eq!(weights(&target(&client, &id).await), [90.0, 10.0]);
    (0..3).for_each(|_| world.tick());
    let done = target(&client, &id).await;
    assert_eq!(done.ecs_target().unwrap().target_id(), Some("cluster:production"));
    assert_eq!(done.ecs_target().unwrap().status().unwrap().as_str(), "Succeeded");
    assert_eq!(world.deployments()[0].status, "InProgress");
    (0..2).for_each(|_| world.tick());
    assert_eq!(world.deployments()[0].status, "Succeeded");
}

#[tokio::test]
async fn revisions_of_another_platform_or_of_no_sense_are_refused_rows_12_20_21() {
    let (world, client) = served().await;
    let commit = "4f2c1e9a4f2c1e9a4f2c1e9a4f2c1e9a4f2c1e9a";
    let forged = inline(LAMBDA);
    let forged = AppSpecContent::builder().content(ECS).sha256(forged.app_spec_content.unwrap().sha256.unwrap());
    let forged = RevisionLocation::builder()
        .revision_type(RevisionLocationType::AppSpecContent)
        .app_spec_content(forged.build())
        .build();
    for (application, revision, refused) in [
        ("shop", inline(LAMBDA), "InvalidRevisionException"),
        ("login", inline(ECS), "InvalidRevisionException"),
        ("web", inline(LAMBDA), "InvalidRevisionException"),
        ("web", forged, "InvalidRevisionException"),
        ("web", inline(&ECS.replace("8080", "\"8080\"")), "InvalidRevisionException"),
        ("login", inline(&LAMBDA.replace("Alias: live", "Alias:")), "InvalidRevisionException"),
        ("login", stored(), "InvalidRevisionException"),
        ("login", on_github(commit), "InvalidRevisionException"),
        ("shop", on_github(&commit[..7]), "InvalidRevisionException"),
        ("shop", on_github(commit), "InvalidGitHubAccountTokenException"),
    ] {
        assert_eq!(exception(create(&client, application, revision.clone())).await, refused, "{revision:?}");
    }
    world.link_to_github("shop");
    create(&client, "shop", on_github(commit)).send().await.unwrap();
}

#[tokio::test]
async fn options_that_the_service_refuses_are_refused_rows_27_to_36() {
    let (world, client) = served().await;
    let (shop, login) = (|| create(&client, "shop", stored()), || create(&client, "login", inline(LAMBDA)));
    let rollback = AutoRollbackConfiguration::builder().enabled(true).build();
    let alarm = |name: String| Alarm::builder().name(name).build();
    let alarms = (0..11).map(|n| alarm(n.to_string())).collect();
    let suspended = |name: &str| {
        let process = AutoScalingGroupProcess::from(name);
        Ec2DeploymentOptions::builder().auto_scaling_group_processes_to_suspend(process).build()
    };
    let filter = Ec2TagFilter::builder().key("Env").r#type(Ec2TagFilterType::KeyOnly).build();
    let green = TargetInstances::builder().tag_filters(filter).build();
    world.add_config("slow", "Server");
    for (call, refused) in [
        (shop().deployment_config_name("slaw"), "DeploymentConfigDoesNotExistException"),
        (login().deployment_config_name("slow"), "InvalidComputePlatformException"),
        (login().ignore_application_stop_failures(true), "InvalidIgnoreApplicationStopFailuresValueException"),
        (login().update_outdated_instances_only(true), "InvalidUpdateOutdatedInstancesOnlyValueException"),
        (login().file_exists_behavior(FileExistsBehavior::Retain), "InvalidFileExistsBehaviorException"),
        (shop().file_exists_behavior("KEEP".into()), "InvalidFileExistsBehaviorException"),
        (shop().auto_rollback_configuration(rollback), "InvalidAutoRollbackConfigException"),
        (
            shop().override_alarm_configuration(AlarmConfiguration::builder().set_alarms(Some(alarms)).build()),
            "AlarmsLimitExceededException",
        ),
        (
            shop().override_alarm_configuration(AlarmConfiguration::builder().enabled(true).build()),
            "InvalidAlarmConfigException",
        ),
        (shop().ec2_deployment_options(suspended("Launch")), "InvalidAutoScalingGroupProcessToSuspendException"),
        (login().ec2_deployment_options(suspended("Terminate")), "InvalidComputePlatformException"),
        (shop().target_instances(green.clone()), "InvalidTargetInstancesException"),
        (login().target_instances(green.clone()), "InvalidTargetInstancesException"),
    ] {
        assert_eq!(exception(call).await, refused);
    }
    world.blue_green("shop", "production");
    let call =
        shop().target_instances(green).deployment_config_name("slow").ec2_deployment_options(suspended("Terminate"));
    call.override_alarm_configuration(AlarmConfiguration::builder().enabled(true).alarms(alarm("a".into())).build())
        .send()
        .await
        .unwrap();
    let names = client.list_deployment_configs().send().await.unwrap().deployment_configs_list.unwrap();
    assert!(names.contains(&"slow".to_owned()) && names.contains(&"CodeDeployDefault.ECSAllAtOnce".to_owned()));
    let call = client.register_application_revision().application_name("shop").revision(stored());
    call.description("acme/shop@4f2c1e9").send().await.unwrap();
    assert_eq!(world.registered("shop")[0].1.as_deref(), Some("acme/shop@4f2c1e9"));
}
