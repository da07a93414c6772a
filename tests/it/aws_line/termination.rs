//! Row 53: traffic has moved, and what served before lives on for a while. What counts as a success, until when it lasts,
//! and who ends it before its time.

use landfall::domain::{Deployment, State, SubState};
use serde_json::Value;

use super::platforms::{ECS, line};
use super::{APPSPEC, Line};
use crate::worlds::codedeploy::{Course, Minimum, Plan, Scenario};

/// Longer than any test looks.
const LONG: usize = 600;

const FILES: &[(&str, &str)] = &[("appspec.yml", APPSPEC), ("index.html", "hello")];

/// A line to a group that replaces two instances, and lets the old ones live for ten hours.
fn replacing(engine: &str) -> Line {
    let line = line("shop", "Server", engine);
    let course = Course::BlueGreen { termination_wait: LONG };
    line.outside.codedeploy.blue_green("shop", "production");
    line.outside.codedeploy.script(Scenario::of(Plan { course, ..Plan::of(2, Minimum::AllAtOnce) }));
    line
}

/// A line to an ECS service whose old tasks live for ten hours.
fn serving(engine: &str) -> (Line, [(&'static str, String); 1]) {
    let line = line("web", "ECS", engine);
    line.outside.codedeploy.script(Scenario { old_tasks_stay: LONG, ..Scenario::default() });
    (line, [("appspec.yaml", ECS.replace("\"${PORT}\"", "8080"))])
}

fn push(line: &Line, files: &[(&str, &str)]) {
    let sha = line.outside.repository.commit_and_push("change", files).to_string();
    let (status, answer) = line.bot.deliver("delivery-1", &sha);
    assert_eq!(status, 202, "{answer}");
}

fn only(line: &Line) -> Deployment {
    line.bot.deployments()[0].clone()
}

fn is_terminating(line: &Line) -> bool {
    let State::Running { running } = only(line).state().clone() else { return false };
    running.progress.sub_state == Some(SubState::WaitingForTermination)
}

/// Waits until the old ones wait for their end; has them ended by a person at the terminal, who is told what that means.
fn ended_by_hand(line: &Line) {
    line.bot.wait_for("the wait", |_| is_terminating(line));
    let told = |line: &Line| line.outside.statuses().last().map(|it| (it.state.clone(), it.description.clone()));
    let lives_on =
        |it: (String, String)| it.0 == "pending" && it.1.contains("raffic moved, the old ones live on until ");
    line.bot.wait_for("GitHub to be told", |_| told(line).is_some_and(lives_on));
    let id = only(line).id().to_string();
    let detail: Value = serde_json::from_str(&line.get(&format!("/api/v1/deployments/{id}"))).unwrap();
    let deed = "ends the old instances now: there is no quick way back to them";
    assert_eq!((&detail["approval"]["of"], &detail["approval"]["deed"]), (&"termination".into(), &deed.into()));
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 0, "nobody ends them by themselves");
    let ran = line.landfall(&["approve", &id]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let said =
        "approved the end of the old instances: it ends the old instances now: there is no quick way back to them\n";
    assert_eq!(ran.talk, said);
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.deployments()[0].waits_ended, ["TERMINATION_WAIT"]);
    assert_eq!(line.outside.last_word().state, "success");
    assert!(line.told().contains(&"admin approved the end of the old instances".to_owned()), "{:#?}", line.told());
    let ran = line.landfall(&["approve", &id]);
    assert_eq!(ran.exit, 2, "{}", ran.talk);
    assert!(ran.talk.contains(&format!("{id} is over already: it succeeded")), "{}", ran.talk);
}

#[test]
fn a_success_waits_for_the_old_instances_and_a_person_ends_them_row_53() {
    let line = replacing("success_on = \"complete\"");
    push(&line, FILES);
    ended_by_hand(&line);
}

/// Surprise 10: on ECS the target has succeeded long before the deployment has, and no flag says that traffic has moved.
#[test]
fn on_ecs_the_target_tells_that_traffic_moved_and_a_person_ends_the_old_tasks_row_53() {
    let (line, files) = serving("success_on = \"complete\"");
    push(&line, &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    ended_by_hand(&line);
}

#[test]
fn a_success_may_be_that_traffic_has_moved_row_53() {
    let line = replacing("success_on = \"traffic-shifted\"");
    assert_eq!(line.push(FILES), None);
    assert_eq!(line.outside.codedeploy.deployments()[0].status, "InProgress", "the old ones live on");
    assert_eq!(line.outside.last_word().state, "success");
    let (line, files) = serving("success_on = \"traffic-shifted\"");
    assert_eq!(line.push(&files.each_ref().map(|(name, text)| (*name, text.as_str()))), None);
    assert_eq!(line.outside.codedeploy.deployments()[0].status, "InProgress", "surprise 10");
    assert_eq!(line.outside.last_word().state, "success");
}

/// The group is CodeDeploy's until the old ones have ended: the next push waits, and says for what.
#[test]
fn the_next_push_waits_until_the_old_instances_have_ended_row_53() {
    let line = replacing("success_on = \"traffic-shifted\"");
    assert_eq!(line.push(FILES), None);
    let busy = line.outside.codedeploy.deployments()[0].id.clone();
    let sha = line.outside.push("again");
    line.bot.deliver("delivery-2", &sha);
    let waits = |line: &Line| only(line).reason().unwrap_or_default();
    line.bot.wait_for("the wait", |_| waits(&line).contains(&format!("busy with {busy}")));
    let shown: Value = serde_json::from_str(&line.landfall(&["status", "site", "--json"]).out).unwrap();
    let reason = shown["deployments"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains(&busy), "{shown:#}");
    line.outside.codedeploy.finish(&busy);
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.deployments().len(), 2, "{}", line.bot.story());
    assert_eq!(only(&line).state().name(), "succeeded");
}
