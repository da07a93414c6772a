//! Lambda, ECS and commits on GitHub: what the whole line makes of them, and what it refuses before anything is made.

use std::fs;

use landfall::domain::{Ask, DeployOptions, DeploymentEvent, Event, FileExists, State, TargetName};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{APPSPEC, Line, Outside};
use crate::worlds::codedeploy::Scenario;

pub(super) const LAMBDA: &str = "version: 0.0\nresources:\n  - login:\n      type: AWS::Lambda::Function\n      properties:\n        \
    name: login\n        alias: ${ALIAS}\n        currentversion: \"7\"\n        targetversion: ${VERSION}\nhooks:\n  \
    - BeforeAllowTraffic: CodeDeployHook_check\n";
pub(super) const ECS: &str = r#"{"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
    "TaskDefinition": "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:3",
    "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": "${PORT}"}}}}]}"#;
const VARIABLES: &str = "[target.engine.variables]\nALIAS = \"live-${branch}\"\nVERSION = { file = \"DIR/version\" }\n\
    PORT = \"8080\"\nTITLE = \"$${kept}\"\n";

/// A line whose application and engine are these. The bucket stays only for servers.
pub(super) fn line(application: &str, platform: &str, engine: &str) -> Line {
    let outside = Outside::new();
    outside.codedeploy.add(application, platform, &["production"]);
    let file = outside.dir.path().join("landfall.toml");
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace("application = \"shop\"", &format!("application = \"{application}\""));
    let (before, after) = text.split_once("[target.revisions]").unwrap();
    let (revisions, after) = after.split_once("[target.engine]").unwrap();
    let revisions = if platform == "Server" { format!("[target.revisions]{revisions}") } else { String::new() };
    let engine = engine.replace("DIR", &outside.dir.path().display().to_string());
    // Without a bucket the configuration has to say that none is needed.
    let said = platform == "Server" || engine.contains("platform =");
    let engine = if said { engine } else { format!("platform = \"{}\"\n{engine}", platform.to_lowercase()) };
    fs::write(outside.dir.path().join("version"), "8\n").unwrap();
    fs::write(file, format!("{before}{revisions}[target.engine]{after}{engine}\n")).unwrap();
    Line::of(outside)
}

impl Line {
    /// Pushes these files and waits for what comes of them. Gives the failure, if it ended with one.
    pub(super) fn push(&self, files: &[(&str, &str)]) -> Option<String> {
        let sha = self.outside.repository.commit_and_push("change", files).to_string();
        self.deploy(&sha);
        let deployment = self.bot.deployments()[0].clone();
        if let State::Failed { failure } | State::Refused { failure } | State::Stopped { failure: Some(failure), .. } =
            deployment.state()
        {
            let help = failure.help.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
            return Some(format!("{}{help}", failure.message));
        }
        assert_eq!(deployment.state().name(), "succeeded", "{}", self.bot.story());
        None
    }

    /// The messages of what was found while preparing.
    pub(super) fn findings(&self) -> Vec<String> {
        let found = self.bot.records().into_iter().filter_map(|record| {
            let Event::Deployment(DeploymentEvent::Prepared { findings, .. }) = record.event else { return None };
            Some(findings)
        });
        found.flatten().map(|it| it.message).collect()
    }

    /// What the last deployment was created with.
    pub(super) fn sent(&self) -> Value {
        self.outside.codedeploy.deployments().last().expect("one was created").input.clone()
    }
}

#[test]
fn a_function_is_deployed_by_its_appspec_without_a_bucket_rows_1_21() {
    let line = line("login", "Lambda", VARIABLES);
    assert_eq!(line.push(&[("appspec.yaml", LAMBDA)]), None, "{}", line.bot.story());
    let revision = line.sent()["revision"]["appSpecContent"].clone();
    let content = revision["content"].as_str().unwrap();
    let properties = json!({ "name": "login", "alias": "live-main", "currentversion": "7", "targetversion": "8" });
    let expected = json!({ "version": 0.0, "resources": [{ "login": {
        "type": "AWS::Lambda::Function", "properties": properties } }],
        "hooks": [{ "BeforeAllowTraffic": "CodeDeployHook_check" }] });
    assert_eq!(serde_json::from_str::<Value>(content).unwrap(), expected);
    assert!(content.starts_with(r#"{"version":0.0,"resources":[{"login":"#), "the order stays: {content}");
    assert_eq!(revision["sha256"], hex::encode(Sha256::digest(content)));
    assert_eq!(line.outside.s3.calls(), [""; 0]);
    assert_eq!(line.outside.last_word().state, "success");

    // The same content again, although the file holds another version by now.
    fs::write(line.outside.dir.path().join("version"), "9\n").unwrap();
    let first = line.bot.deployments()[0].id();
    let to = Ask::Rollback {
        target: TargetName::parse("site").unwrap(),
        to: Some(first),
        options: DeployOptions::default(),
    };
    line.bot.ask("back", to).unwrap();
    line.bot.settle_and_tell();
    let deployments = line.outside.codedeploy.deployments();
    assert_eq!((deployments.len(), line.sent()["revision"]["appSpecContent"]["content"].as_str()), (2, Some(content)));
}

#[test]
fn a_service_is_deployed_by_json_and_a_number_stays_one_7_2_and_7_4() {
    let engine =
        format!("deployment_config = \"CodeDeployDefault.ECSAllAtOnce\"\nappspec = \"deploy/web.json\"\n{VARIABLES}");
    let line = line("web", "ECS", &engine);
    assert_eq!(line.push(&[("deploy/web.json", ECS)]), None, "{}", line.bot.story());
    let sent = line.sent();
    let content: Value = serde_json::from_str(sent["revision"]["appSpecContent"]["content"].as_str().unwrap()).unwrap();
    let properties = &content["Resources"][0]["TargetService"]["Properties"];
    assert_eq!(properties["LoadBalancerInfo"]["ContainerPort"], 8080);
    assert_eq!(sent["deploymentConfigName"], "CodeDeployDefault.ECSAllAtOnce");
    let untested =
        "all traffic moves at once and nothing tests the new tasks before, so that a success may be an outage";
    assert_eq!(line.findings(), [untested]);
}

#[test]
fn what_cannot_be_filled_in_is_refused_in_its_line_7_2() {
    for (appspec, said) in [
        (LAMBDA.replace("${ALIAS}", "${ALIAZ}"), "`appspec.yaml`: no variable is called `ALIAZ`"),
        (LAMBDA.replace("${ALIAS}", "${tag}"), "`appspec.yaml`: nothing stands for `${tag}`: `main` is none"),
        (LAMBDA.replace("${ALIAS}", "${ALIAS"), "`appspec.yaml`: `${` is not closed"),
        (
            LAMBDA.replace("${VERSION}", "${branch}"),
            "`appspec.yaml`: `TargetVersion` must be a positive whole number, and this is `main`",
        ),
    ] {
        let line = line("login", "Lambda", VARIABLES);
        let refused = line.push(&[("appspec.yaml", &appspec)]).expect("it is refused");
        assert!(refused.starts_with(said), "{refused}");
        let State::Refused { failure } = line.bot.deployments()[0].state().clone() else { panic!("{refused}") };
        let detail = failure.detail.unwrap_or_default();
        let place = if said.contains("TargetVersion") { "appspec.yaml:9:" } else { "appspec.yaml:7:" };
        assert!(detail.contains(place), "{detail}");
        assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 0);
    }
}

#[test]
fn another_platform_is_refused_with_both_named_before_anything_is_made_row_1() {
    for (application, platform, engine, file, text, said) in [
        (
            "login",
            "Lambda",
            "platform = \"ecs\"",
            "appspec.yaml",
            ECS,
            "the target is configured for ECS, and application `login` is for Lambda",
        ),
        (
            "login",
            "Lambda",
            "",
            "appspec.yml",
            APPSPEC,
            "`appspec.yml` is for servers, and application `login` is for Lambda",
        ),
        (
            "web",
            "ECS",
            VARIABLES,
            "appspec.yaml",
            LAMBDA,
            "`appspec.yaml` is for Lambda, and application `web` is for ECS",
        ),
        ("shop", "Server", "", "appspec.yml", ECS, "`appspec.yml` is for ECS, and application `shop` is for servers"),
    ] {
        let line = line(application, platform, engine);
        let refused = line.push(&[(file, &text.replace("\"${PORT}\"", "8080"))]).expect("it is refused");
        assert!(refused.starts_with(said), "{refused}");
        assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 0, "{said}");
        assert_eq!(line.outside.s3.keys(), [""; 0], "{said}");
    }
}

#[test]
fn a_commit_on_github_needs_neither_archive_nor_bucket_row_20() {
    let outside = Outside::new();
    let file = outside.dir.path().join("landfall.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("[target.revisions]").unwrap();
    let (_, after) = after.split_once("[target.engine]").unwrap();
    fs::write(&file, format!("{before}revision = \"github\"\n[target.engine]{after}")).unwrap();
    outside.codedeploy.link_to_github("shop");
    let line = Line::of(outside);
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    assert_eq!(line.outside.last_word().state, "success", "{}", line.bot.story());
    let expected =
        json!({ "revisionType": "GitHub", "gitHubLocation": { "repository": "acme/site", "commitId": sha } });
    assert_eq!(line.sent()["revision"], expected);
    assert_eq!(line.outside.s3.calls(), [""; 0]);
    assert!(line.outside.github.requests().iter().all(|it| !it.contains("tarball")));
}

#[test]
fn windows_takes_a_zip_and_refuses_to_be_sent_a_tar_row_13() {
    let appspec = "version: 0.0\nos: windows\nfiles:\n  - source: \\site\n    destination: c:\\inetpub\n";
    let files = [("appspec.yml", appspec), ("site/index.html", "hello")];
    let zip = line("shop", "Server", "");
    assert_eq!(zip.push(&files), None);
    assert_eq!(zip.sent()["revision"]["s3Location"]["bundleType"], "zip");
    let tar = line("shop", "Server", "[target.bundle]\nformat = \"tgz\"");
    assert_eq!(
        tar.push(&files).as_deref(),
        Some(
            "`appspec.yml` is for Windows, where CodeDeploy's agent unpacks zip only, and the target asks for tgz \
             (set `format = \"zip\"` under `[target.bundle]`, or take it out)"
        )
    );
    assert!(tar.outside.codedeploy.deployments().is_empty());
}

#[test]
fn a_revision_is_listed_and_what_may_not_be_listed_deploys_all_the_same_row_18() {
    let line = Line::new();
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    let registered = line.outside.codedeploy.registered("shop");
    let description = format!("acme/site@{}: A page", &sha[..12]);
    assert_eq!(registered, [(line.sent()["revision"].clone(), Some(description))]);
    let line = Line::new();
    let denied = crate::worlds::codedeploy::Fault::Exception("AccessDeniedException", "not authorized");
    line.outside.codedeploy.fault("RegisterApplicationRevision", denied);
    line.deploy(&line.outside.push("hello"));
    assert_eq!(line.outside.last_word().state, "success", "{}", line.bot.story());
    let [finding] = &line.findings()[..] else { panic!("{:?}", line.findings()) };
    assert!(finding.starts_with("the revision is not listed in CodeDeploy: AWS denies"), "{finding}");
}

#[test]
fn what_a_person_chooses_is_sent_and_told_rows_27_29_30_32_34() {
    let line = Line::new();
    let scenario = Scenario::script_fails("i-0b", "ApplicationStop", "scripts/stop.sh", "boom\n");
    line.outside.codedeploy.script(scenario);
    line.deploy(&line.outside.push("hello"));
    let failed = line.bot.deployments()[0].clone();
    let State::Failed { failure } = failed.state() else { panic!("{}", line.bot.story()) };
    let hint = format!("`landfall redeploy {} --ignore-application-stop-failures`", failed.id());
    assert!(failure.help.as_deref().is_some_and(|it| it.contains(&hint)), "{failure:?}");
    let options = DeployOptions {
        deployment_config: Some("CodeDeployDefault.AllAtOnce".into()),
        ignore_application_stop_failures: true,
        file_exists_behavior: Some(FileExists::Retain),
        outdated_only: true,
        ignore_alarms: true,
        override_freeze: None,
    };
    let ask = |key: &str, options| line.bot.ask(key, Ask::Redeploy { deployment: failed.id(), options }).unwrap();
    let again = ask("again", options.clone()).deployments[0];
    line.bot.settle_and_tell();
    let sent = line.sent();
    for (key, value) in [
        ("deploymentConfigName", json!("CodeDeployDefault.AllAtOnce")),
        ("ignoreApplicationStopFailures", json!(true)),
        ("fileExistsBehavior", json!("RETAIN")),
        ("updateOutdatedInstancesOnly", json!(true)),
        ("overrideAlarmConfiguration", json!({ "enabled": false, "ignorePollAlarmFailure": false })),
    ] {
        assert_eq!(sent[key], value, "{key}");
    }
    let kept = line.bot.deployments().into_iter().find(|it| it.id() == again).unwrap();
    assert_eq!(kept.order().options, options);
    let told = line.told();
    let chosen = "with `CodeDeployDefault.AllAtOnce`, passing over failures of ApplicationStop, with files that exist: \
                  RETAIN, to outdated instances only, whatever alarms say";
    assert!(told.iter().any(|it| it.starts_with("planned") && it.ends_with(chosen)), "{told:#?}");
    // The next one is as the configuration has it.
    ask("plain", DeployOptions::default());
    line.bot.settle_and_tell();
    assert_eq!(
        (&line.sent()["ignoreApplicationStopFailures"], line.sent().get("deploymentConfigName")),
        (&json!(false), None)
    );
    // A configuration that is not there is known before anything is made.
    let slip =
        DeployOptions { deployment_config: Some("CodeDeployDefault.AllAtOnse".into()), ..DeployOptions::default() };
    let slipped = ask("slip", slip).deployments[0];
    line.bot.settle_and_tell();
    let slipped = line.bot.deployments().into_iter().find(|it| it.id() == slipped).unwrap();
    let State::Failed { failure } = slipped.state() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.help.as_deref(), Some("did you mean `CodeDeployDefault.AllAtOnce`?"), "{failure:?}");
}

#[test]
fn an_option_for_servers_is_refused_for_a_function_row_29() {
    let line = line("login", "Lambda", VARIABLES);
    assert_eq!(line.push(&[("appspec.yaml", LAMBDA)]), None);
    let options = DeployOptions { ignore_application_stop_failures: true, ..DeployOptions::default() };
    let deployment = line.bot.deployments()[0].id();
    let refused = line.bot.ask("again", Ask::Redeploy { deployment, options }).unwrap_err().to_string();
    assert_eq!(
        refused,
        "`ignore_application_stop_failures` is for servers, and this target is for functions or services"
    );
}
