//! What a target and a person choose for a deployment, as CodeDeploy gets it to the byte; and what is refused here before
//! anything is made, with what to do.

use std::fs;

use landfall::domain::{Ask, DeployOptions, State};
use serde_json::{Value, json};

use super::platforms::line;
use super::{APPSPEC, Line};
use crate::worlds::codedeploy::{Ending, Fault, Moves, Scenario};

const FILES: &[(&str, &str)] = &[("appspec.yml", APPSPEC), ("index.html", "hello")];
const CHOICES: [&str; 7] = [
    "deploymentConfigName",
    "fileExistsBehavior",
    "autoRollbackConfiguration",
    "targetInstances",
    "overrideAlarmConfiguration",
    "ec2DeploymentOptions",
    "deploymentMode",
];

/// A line to servers that replaces its instances, whose target says this besides.
fn choosing(engine: &str) -> Line {
    let line = line("shop", "Server", engine);
    line.outside.codedeploy.blue_green("shop", "production");
    line
}

/// What of all that may be chosen is in the last call, by name.
fn chosen(line: &Line) -> Value {
    let sent = line.sent();
    let set = CHOICES.iter().filter_map(|name| Some(((*name).to_owned(), sent.get(*name)?.clone())));
    Value::Object(set.collect())
}

/// The code of the last deployment's failure, with its help.
fn refused(line: &Line) -> (String, String) {
    let deployment = line.bot.deployments()[0].clone();
    let (State::Failed { failure } | State::Refused { failure } | State::Stopped { failure: Some(failure), .. }) =
        deployment.state()
    else {
        panic!("{}", line.bot.story());
    };
    (failure.code.clone(), failure.help.clone().unwrap_or_default())
}

#[test]
fn what_the_target_chooses_is_sent_rows_27_30_31_33_34_36() {
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value, "Type": "KEY_AND_VALUE" });
    for (engine, expected) in [
        // What is not said is not sent: the group decides.
        ("", json!({})),
        (
            "deployment_config = \"CodeDeployDefault.HalfAtATime\"\nfile_exists_behavior = \"OVERWRITE\"\n\
             auto_rollback = [\"failure\", \"alarm\", \"stop\"]\noverride_alarms = { names = [\"errors\", \"late\"], \
             ignore_poll_failure = true }\nsuspend_processes = [\"Terminate\", \"AZRebalance\", \"InstanceRefresh\", \
             \"ScheduledActions\"]\ntarget_instances = { tags = [{ key = \"Env\", value = \"green\" }, { key = \"New\" }, \
             { value = \"web*\" }], auto_scaling_groups = [\"green\"] }",
            json!({
                "deploymentConfigName": "CodeDeployDefault.HalfAtATime",
                "fileExistsBehavior": "OVERWRITE",
                "autoRollbackConfiguration": { "enabled": true, "events":
                    ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"] },
                "overrideAlarmConfiguration": { "enabled": true, "ignorePollAlarmFailure": true,
                    "alarms": [{ "name": "errors" }, { "name": "late" }] },
                "ec2DeploymentOptions": { "autoScalingGroupProcessesToSuspend":
                    ["Terminate", "AZRebalance", "InstanceRefresh", "ScheduledActions"] },
                "targetInstances": {
                    "tagFilters": [tag("Env", "green"), { "Key": "New", "Type": "KEY_ONLY" },
                        { "Value": "web*", "Type": "VALUE_ONLY" }],
                    "autoScalingGroups": ["green"] },
            }),
        ),
        (
            "auto_rollback = false\noverride_alarms = { enabled = false }\ntarget_instances = { tag_groups = \
             [[{ key = \"Env\", value = \"green\" }], [{ key = \"Role\", value = \"web\" }, { key = \"Role\", value = \"api\" }]] }",
            json!({
                "autoRollbackConfiguration": { "enabled": false },
                "overrideAlarmConfiguration": { "enabled": false, "ignorePollAlarmFailure": false },
                "targetInstances": { "ec2TagSet": { "ec2TagSetList":
                    [[tag("Env", "green")], [tag("Role", "web"), tag("Role", "api")]] } },
            }),
        ),
        (
            "auto_rollback = true",
            json!({ "autoRollbackConfiguration": { "enabled": true, "events": ["DEPLOYMENT_FAILURE"] } }),
        ),
    ] {
        let line = choosing(engine);
        assert_eq!(line.push(FILES), None, "{}", line.bot.story());
        assert_eq!(chosen(&line), expected, "{engine}");
    }
}

#[test]
fn a_person_lets_no_alarm_stop_a_deployment_rows_34_and_61() {
    let line = choosing("override_alarms = { names = [\"errors\"] }");
    let ending = Ending::GivesUp("ALARM_ACTIVE", "One or more alarms have been activated");
    line.outside.codedeploy.script(Scenario { ending, ..Scenario::default() });
    line.push(FILES).expect("an alarm stopped it");
    let stopped = line.bot.deployments()[0].id();
    let told = line.outside.last_word();
    let expected = ("failure", "Stopped: the CloudWatch alarm `errors` is active");
    assert_eq!((told.state.as_str(), told.description.as_str()), expected);
    let (code, help) = refused(&line);
    assert_eq!(code, "codedeploy/alarm");
    assert!(help.ends_with(&format!("`landfall redeploy {stopped} --ignore-alarms` lets no alarm stop it")), "{help}");
    let options = DeployOptions { ignore_alarms: true, ..DeployOptions::default() };
    line.bot.ask("again", Ask::Redeploy { deployment: stopped, options }).unwrap();
    line.bot.settle_and_tell();
    assert_eq!(line.bot.deployments()[0].state().name(), "succeeded", "{}", line.bot.story());
    let off = json!({ "enabled": false, "ignorePollAlarmFailure": false });
    assert_eq!(line.sent()["overrideAlarmConfiguration"], off);
    assert!(line.told().iter().any(|it| it.ends_with(", whatever alarms say")), "{:#?}", line.told());
}

#[test]
fn the_alarms_of_a_group_are_named_when_one_stops_a_deployment_row_61() {
    let line = choosing("");
    line.outside.codedeploy.alarms("shop", "production", &["high-5xx", "slow"]);
    let ending = Ending::GivesUp("ALARM_ACTIVE", "One or more alarms have been activated");
    line.outside.codedeploy.script(Scenario { ending, ..Scenario::default() });
    line.push(FILES);
    let told = line.outside.last_word();
    let expected = ("failure", "Stopped: one of the CloudWatch alarms `high-5xx`, `slow` is active");
    assert_eq!((told.state.as_str(), told.description.as_str()), expected);
}

#[test]
fn what_cannot_go_there_is_refused_before_anything_is_made_rows_3_20_33() {
    for (from, to, code, help) in [
        (
            "deployment_group = \"production\"",
            "deployment_group = \"prodution\"",
            "codedeploy/no-deployment-group",
            "did you mean `production`?",
        ),
        ("application = \"shop\"", "application = \"Shopp\"", "codedeploy/no-application", "did you mean `shop`?"),
        (
            "kind = \"codedeploy\"",
            "kind = \"codedeploy\"\ntarget_instances = { auto_scaling_groups = [\"green\"] }",
            "codedeploy/not-blue-green",
            "take it out, or make the group blue/green with instances that exist already",
        ),
        (
            "branches = [\"main\"]",
            "branches = [\"main\"]\nrevision = \"github\"",
            "codedeploy/not-linked",
            "link it once: in the console, create a deployment of a revision on GitHub, and connect the account",
        ),
        (
            "kind = \"codedeploy\"",
            "kind = \"codedeploy\"\ndeployment_config = \"CodeDeployDefault.ECSAllAtOnce\"",
            "codedeploy/config-of-other-platform",
            "name one for the application's platform, or leave it to the deployment group",
        ),
    ] {
        let line = line_with(from, to);
        line.push(FILES).expect("it is refused");
        assert_eq!(refused(&line), (code.to_owned(), help.to_owned()));
        assert_eq!((line.outside.codedeploy.count("CreateDeployment"), line.outside.s3.calls()), (0, vec![]), "{code}");
        let last = line.outside.last_word();
        assert_eq!(last.state, "error", "{last:?}");
    }
}

/// A line with these words in the configuration instead of those.
fn line_with(from: &str, to: &str) -> Line {
    let outside = super::Outside::new();
    let file = outside.dir.path().join("landfall.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&file, text.replace(from, to)).unwrap();
    Line::of(outside)
}

#[test]
fn what_was_mended_at_codedeploy_is_believed_at_once_row_33() {
    let line = line("shop", "Server", "target_instances = { auto_scaling_groups = [\"green\"] }");
    line.push(FILES).expect("the group is in-place");
    let deployment = line.bot.deployments()[0].id();
    line.outside.codedeploy.blue_green("shop", "production");
    line.bot.ask("again", Ask::Redeploy { deployment, options: DeployOptions::default() }).unwrap();
    line.bot.settle_and_tell();
    assert_eq!(line.bot.deployments()[0].state().name(), "succeeded", "{}", line.bot.story());
}

#[test]
fn what_hardly_ever_changes_is_asked_once_for_several_deployments() {
    let line = line("shop", "Server", "deployment_config = \"CodeDeployDefault.HalfAtATime\"");
    for (at, page) in ["one", "two", "three"].into_iter().enumerate() {
        let sha = line.outside.push(page);
        line.bot.deliver(&format!("delivery-{at}"), &sha);
        line.bot.settle_and_tell();
    }
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 3);
    for call in ["GetApplication", "GetDeploymentGroup", "GetDeploymentConfig"] {
        assert_eq!(line.outside.codedeploy.count(call), 1, "{call}");
    }
}

#[test]
fn what_may_not_be_asked_keeps_nobody_from_deploying() {
    let line = line("shop", "Server", "");
    for call in ["GetApplication", "GetDeploymentGroup"] {
        line.outside.codedeploy.fault(call, Fault::Exception("AccessDeniedException", "not authorized"));
    }
    assert_eq!(line.push(FILES), None, "{}", line.bot.story());
    let found = line.findings();
    let [application, group] = &found[..] else { panic!("{found:?}") };
    assert!(application.starts_with("not everything could be checked: CodeDeploy refuses GetApplication"), "{found:?}");
    assert!(group.starts_with("not everything could be checked: CodeDeploy refuses GetDeploymentGroup"), "{found:?}");
}

#[test]
fn a_minimum_of_healthy_hosts_without_room_is_a_warning_before_the_deployment_row_42() {
    for own in ["deployment_config = \"keep-95-percent\"", ""] {
        let line = line("shop", "Server", own);
        let world = &line.outside.codedeploy;
        world.add_config("keep-95-percent", "Server");
        if own.is_empty() {
            world.usual_config("shop", "production", "keep-95-percent");
        }
        world.moves(Moves::WhenTold);
        world.foreign("production", "user", "from the console");
        (0..20).for_each(|_| world.tick());
        world.moves(Moves::AtEachLook);
        // How many instances there will be is a guess, so that CodeDeploy is asked all the same.
        assert_eq!(line.push(FILES), None, "{}", line.bot.story());
        let text = "`keep-95-percent` keeps 2 of 2 instances healthy, and leaves none to be updated";
        assert_eq!(line.findings(), [text]);
    }
}

/// Row 30: the AppSpec's word beats the call's, and whoever wrote both hears of it wherever a deployment is told.
#[test]
fn an_appspec_that_overrules_the_option_is_told_on_page_api_and_terminal_row_30() {
    let line = line("shop", "Server", "file_exists_behavior = \"OVERWRITE\"");
    let appspec = format!("{APPSPEC}file_exists_behavior: RETAIN\n");
    assert_eq!(line.push(&[("appspec.yml", &appspec), ("index.html", "hello")]), None, "{}", line.bot.story());
    let text = "`appspec.yml` says RETAIN for files that exist, which beats the OVERWRITE asked for";
    assert_eq!(line.findings(), [text]);
    let id = line.bot.deployments()[0].id();
    let detail: Value = serde_json::from_str(&line.get(&format!("/api/v1/deployments/{id}"))).unwrap();
    assert_eq!(detail["findings"][0]["message"], text);
    assert_eq!(detail["findings"][0]["severity"], "warning");
    assert!(line.get(&format!("/deployments/{id}")).contains("which beats the OVERWRITE asked for"));
    let ran = line.landfall(&["status", &id.to_string()]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    assert!(ran.out.contains(&format!("warning  {text}")), "{}", ran.out);
}

/// The words typed against a whole bot: what they print where, and how they exit.
#[test]
fn what_is_typed_exits_by_what_came_of_it() {
    let line = line("shop", "Server", "");
    let sha = line.outside.push("hello");
    line.bot.deliver("delivery-1", &sha);
    line.bot.settle_and_tell();
    let id = line.bot.deployments()[0].id().to_string();
    let typed = |words: &[&str], exit: i32| {
        let ran = line.landfall(words);
        assert_eq!(ran.exit, exit, "{words:?}: {}{}", ran.out, ran.talk);
        ran
    };
    let ran = typed(&["redeploy", &id, "--outdated-only", "--ignore-alarms", "--wait"], 0);
    assert!(ran.talk.ends_with("site succeeded: live\n") || ran.talk.ends_with("site succeeded\n"), "{}", ran.talk);
    assert_eq!(line.sent()["updateOutdatedInstancesOnly"], true);
    assert_eq!(ran.out.trim(), line.bot.deployments()[0].id().to_string(), "data to stdout, talk to stderr");

    let failing = Scenario::script_fails("i-0b", "AfterInstall", "up.sh", "boom");
    line.outside.codedeploy.script(failing);
    let ran = typed(&["deploy", "site", "--wait", "--json"], 1);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["state"], &told["failure"]["code"]), (&"failed".into(), &"codedeploy/script-failed".into()));

    let ran = typed(&["rollback", "site", "--to", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], 2);
    assert!(ran.talk.contains("01ARZ3NDEKTSV4RRFFQ69G5FAV"), "{}", ran.talk);
    typed(&["stop", &id], 2);
    let ran = typed(&["approve", &id, "--json"], 2);
    assert!(ran.out.is_empty() && ran.talk.contains("is over already"), "{}{}", ran.out, ran.talk);
    let long = "x".repeat(101);
    let ran = typed(&["redeploy", &id, "--deployment-config", &long], 2);
    assert!(ran.talk.contains("is not a name of 1 to 100 characters"), "{}", ran.talk);
}
