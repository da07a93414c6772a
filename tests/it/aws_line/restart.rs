//! Restarts (row 35): what is live is started anew by CodeDeploy, with no revision sent; and whom that is refused.

use landfall::conductor::AskError;
use landfall::domain::{Ask, DeployOptions, EngineSpec, FileExists, State, TargetName};
use serde_json::json;

use super::platforms::line;
use super::{APPSPEC, Line};
use crate::bot::Bot;
use crate::worlds::codedeploy::{Fault, Moves, Scenario};

const FILES: &[(&str, &str)] = &[("appspec.yml", APPSPEC), ("index.html", "hello")];

fn restart() -> Ask {
    Ask::Restart { target: TargetName::parse("site").unwrap(), options: DeployOptions::default() }
}

/// The code of a refusal, and its help.
fn refused(bot: &Bot, ask: Ask) -> (String, String) {
    let Err(AskError::Refused(failure)) = bot.ask("no", ask) else { panic!("{}", bot.story()) };
    (failure.code, failure.help.unwrap_or_default())
}

#[test]
fn what_is_live_restarts_without_a_revision_row_35() {
    let line = line("shop", "Server", "update_outdated_only = true\nfile_exists_behavior = \"RETAIN\"\n");
    assert_eq!(line.push(FILES), None, "{}", line.bot.story());
    let live = line.bot.deployments()[0].clone();
    let options = DeployOptions { ignore_application_stop_failures: true, ..DeployOptions::default() };
    let again = Ask::Restart { target: TargetName::parse("site").unwrap(), options };
    let asked = line.bot.ask("again", again.clone()).unwrap();
    line.bot.settle_and_tell();
    let restarted = line.bot.deployments()[0].clone();
    assert_eq!(asked.deployments, [restarted.id()]);
    assert!(matches!(restarted.state(), State::Succeeded { .. }), "{}", line.bot.story());
    let sent = line.sent();
    let description = sent["description"].as_str().unwrap();
    assert!(description.starts_with(&format!("landfall:{}", restarted.id())), "{description}");
    assert_eq!(
        sent,
        json!({
            "applicationName": "shop", "deploymentGroupName": "production", "deploymentMode": "RESTART",
            "description": description, "ignoreApplicationStopFailures": true,
        })
    );
    // It is the same commit, and a success of its own, of which the next restart comes.
    assert_eq!(
        (restarted.order().sha.as_str(), restarted.order().restarts()),
        (live.order().sha.as_str(), Some(live.id()))
    );
    assert_eq!(restarted.revision(), live.revision());
    let last = line.outside.statuses().last().unwrap().clone();
    assert!(last.state == "success" && last.description.starts_with("Restarted, and live"), "{last:?}");
    assert!(line.bot.ask("again", again).unwrap().repeat, "once for its key");
    line.bot.ask("once more", restart()).unwrap();
    line.bot.settle_and_tell();
    let once_more = line.bot.deployments()[0].clone();
    assert_eq!((once_more.state().name(), once_more.order().restarts()), ("succeeded", Some(restarted.id())));
    assert_eq!(line.outside.s3.keys().len(), 1, "nothing was stored for it");
}

/// A restart is as likely to be lost on its way as a deployment is, and is found by its marker.
#[test]
fn a_restart_whose_answer_was_lost_is_found_and_made_once_row_35() {
    let line = line("shop", "Server", "");
    assert_eq!(line.push(FILES), None, "{}", line.bot.story());
    line.outside.codedeploy.record();
    line.outside.codedeploy.fault("CreateDeployment", Fault::CutBeforeAnswering);
    line.bot.ask("again", restart()).unwrap();
    line.bot.settle_and_tell();
    let said = line.outside.codedeploy.exchanges();
    assert_eq!(said.iter().filter(|it| it["operation"] == "CreateDeployment").count(), 1, "{said:#?}");
    assert_eq!(line.outside.codedeploy.deployments().len(), 2);
    assert!(line.bot.story().contains("released, adopted"), "{}", line.bot.story());
}

#[test]
fn whom_a_restart_is_not_for_is_told_before_anything_is_sent_row_35() {
    let again = "`landfall redeploy ID`";
    let nothing = line("shop", "Server", "");
    assert_eq!(refused(&nothing.bot, restart()).0, "conductor/nothing-live");
    let chosen = |options| Ask::Restart { target: TargetName::parse("site").unwrap(), options };
    for options in [
        DeployOptions { outdated_only: true, ..DeployOptions::default() },
        DeployOptions { file_exists_behavior: Some(FileExists::Retain), ..DeployOptions::default() },
    ] {
        assert_eq!(refused(&nothing.bot, chosen(options)).0, "conductor/option-not-taken");
    }
    for (application, platform, engine) in [
        ("login", "Lambda", "platform = \"lambda\"\n"),
        ("web", "ECS", "platform = \"ecs\"\n"),
        ("shop", "Server", "target_instances = { auto_scaling_groups = [\"green\"] }\n"),
    ] {
        let line = line(application, platform, engine);
        let (code, help) = refused(&line.bot, restart());
        assert!(code == "conductor/no-restart" && help.contains(again), "{application}: {code}: {help}");
        assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 0, "{application}");
    }
    let host = Bot::new();
    let (code, help) = refused(&host, restart());
    assert!(code == "conductor/no-restart" && help.contains(again), "{code}: {help}");
    assert!(matches!(host.deployments()[..], []));
}

/// What the configuration does not say, the group does: it is asked before the call.
#[test]
fn a_group_that_replaces_its_instances_restarts_nothing_row_35() {
    let line: Line = line("shop", "Server", "");
    line.outside.codedeploy.blue_green("shop", "production");
    assert_eq!(line.push(FILES), None, "{}", line.bot.story());
    let EngineSpec::CodeDeploy(_) = &line.bot.deployments()[0].order().target.engine else { panic!("no AWS") };
    line.bot.ask("again", restart()).unwrap();
    line.bot.settle_and_tell();
    let last = line.bot.deployments()[0].clone();
    let State::Failed { failure } = last.state() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.code, "codedeploy/no-restart", "{failure:?}");
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 1);
}

#[test]
fn a_restart_can_be_stopped_row_35() {
    let line = line("shop", "Server", "");
    assert_eq!(line.push(FILES), None, "{}", line.bot.story());
    line.outside.codedeploy.script(Scenario { lingers: true, ..Scenario::default() });
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.ask("again", restart()).unwrap();
    line.bot.wait_for("it to run", |bot| matches!(bot.deployments()[0].state(), State::Running { .. }));
    let deployment = line.bot.deployments()[0].id();
    line.bot.ask("enough", Ask::Stop { deployment, rollback: false }).unwrap();
    line.bot.settle_and_tell();
    assert_eq!(line.bot.deployments()[0].state().name(), "stopped");
}
