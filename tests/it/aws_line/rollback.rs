//! CodeDeploy's own rollbacks, told truly: found seconds after the failure, followed as deployments of their own, and
//! the failed commit says what is live now (rows 55 and 56).

use std::fs;
use std::time::Duration;

use landfall::app::Parts;
use landfall::domain::{Ask, Cause, Deployment, State, TargetState};
use landfall::engine::codedeploy::Pace;
use serde_json::Value;

use super::{Line, Outside, bot_at};
use crate::worlds::codedeploy::{Moves, Scenario};

fn fails() -> Scenario {
    Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom")
}

/// Live, and then a push that fails; its rollback goes like `rollback`. The commits of both.
fn fails_after_a_success(line: &Line, rollback: Scenario) -> (String, String) {
    let good = line.outside.push("one");
    line.deploy(&good);
    line.outside.codedeploy.script(fails());
    line.outside.codedeploy.script(rollback);
    let bad = line.outside.push("two");
    assert_eq!(line.bot.deliver("delivery-2", &bad).0, 202);
    line.bot.settle();
    (good, bad)
}

/// A line whose group rolls back some time after a failure.
fn rolling_back() -> Line {
    let line = Line::new();
    line.outside.codedeploy.roll_back_after("shop", "production", Duration::from_millis(500));
    line
}

/// The last words on a commit, in order.
fn words_for(line: &Line, sha: &str) -> Vec<String> {
    let of = line.outside.statuses().into_iter().filter(|it| it.sha == sha && it.state != "pending");
    of.map(|it| format!("{}: {}", it.state, it.description)).collect()
}

fn wait_for_word(line: &Line, sha: &str, word: &str) -> Vec<String> {
    line.bot.wait_for(word, |_| words_for(line, sha).last().is_some_and(|it| it.contains(word)));
    words_for(line, sha)
}

fn target(line: &Line) -> TargetState {
    let name = line.bot.deployments()[0].order().target.name.clone();
    line.bot.app().ledger.target(&name).unwrap()
}

fn creators(line: &Line) -> Vec<String> {
    line.outside.codedeploy.deployments().into_iter().map(|it| it.creator).collect()
}

/// A line whose bot waits for a rollback for a second only, the `parts` of which are these.
fn impatient() -> Line {
    let outside = Outside::new();
    let mut bot = bot_at(outside.dir.path());
    bot.parts = |parts| Parts { pace: Pace { grace: Duration::from_secs(1), ..crate::codedeploy::hurried() }, ..parts };
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    Line { bot, outside }
}

fn read(line: &Line, path: &str) -> Value {
    let token = fs::read_to_string(line.outside.dir.path().join("data/token")).unwrap();
    let url = format!("{}/api/v1/{path}", line.bot.url());
    line.bot.runtime.block_on(async {
        let answer = reqwest::Client::new().get(url).bearer_auth(token.trim()).send().await.unwrap();
        answer.json().await.unwrap()
    })
}

#[test]
fn the_services_own_rollback_is_followed_and_the_failed_commit_stays_red_rows_55_56() {
    let line = rolling_back();
    let (good, bad) = fails_after_a_success(&line, Scenario::default());
    let words = wait_for_word(&line, &bad, "; rolled back to");
    let told = |word: &str| format!("failure: Failed; {word} {}: AfterInstall failed on i-0a", &good[..7]);
    assert!(words.iter().all(|it| it.starts_with("failure: ")), "{words:#?}");
    assert!(words.last().unwrap().starts_with(&told("rolled back to")), "{words:#?}");
    assert!(words.iter().any(|it| it.starts_with(&told("rolling back to"))), "{words:#?}");
    insta::assert_snapshot!(line.bot.story().split_once("d2  released\n").unwrap().1, @r"
    d2  ended failed
    d2  failed: AfterInstall failed on i-0a: ScriptFailed scripts/migrate.sh
    d3  planned c1 by branch main
    d2  rollback to c1 begun by d3
    d3  adopted
    d3  ended succeeded
    d2  rollback to c1 by d3 succeeded
    d3  succeeded
    ");
    let deployments = line.bot.deployments();
    let [back, failed, first] = &deployments[..] else { panic!("{}", line.bot.story()) };
    assert!(matches!(&back.order().cause, Cause::Rollback { run: Some(_), .. }));
    assert_eq!((back.order().parent, back.order().restores()), (Some(failed.id()), Some(first.id())));
    assert_eq!(back.run().unwrap().as_str(), line.outside.codedeploy.deployments()[2].id);
    assert!(back.engine_url().unwrap().contains(back.run().unwrap().as_str()));
    let live = target(&line).live.unwrap();
    assert_eq!((live.sha.as_str(), live.deployment), (good.as_str(), back.id()));
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 2, "nothing was created for it");
}

/// What stands in the API, and with that on the dashboard and in `landfall status` and `why`.
#[test]
fn the_failed_deployment_and_its_rollback_are_shown_linked_row_56() {
    let line = rolling_back();
    let (good, bad) = fails_after_a_success(&line, Scenario::default());
    let [back, failed, _] = &line.bot.deployments()[..] else { panic!("{}", line.bot.story()) };
    let shown = read(&line, &format!("deployments/{}", failed.id()));
    assert_eq!(shown["children"][0]["id"], back.id().to_string(), "{shown:#}");
    assert_eq!(shown["state"], "failed");
    let child = read(&line, &format!("deployments/{}", back.id()));
    assert_eq!((&child["parent"], &child["sha"]), (&Value::from(failed.id().to_string()), &Value::from(good.clone())));
    let why = read(&line, &format!("why/{bad}"));
    let reason = why["plans"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with(&format!("Failed; rolled back to {}: AfterInstall failed", &good[..7])), "{reason}");
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.ends_with(&format!("rolled back to {} by {}", &good[..7], back.id())), "{reason}");
    let live = &read(&line, "targets")["targets"][0]["live"];
    assert_eq!((&live["sha"], &live["deployment"]), (&Value::from(good), &Value::from(back.id().to_string())));
}

#[test]
fn a_rollback_that_fails_says_so_loudly_row_56() {
    let line = rolling_back();
    let back = Scenario::script_fails("i-0a", "ApplicationStart", "scripts/start.sh", "boom");
    let (good, bad) = fails_after_a_success(&line, back);
    let last = wait_for_word(&line, &bad, "ROLLBACK").pop().unwrap();
    assert!(last.starts_with(&format!("failure: Failed; ROLLBACK FAILED, to {}", &good[..7])), "{last}");
    let target = target(&line);
    assert_eq!(target.left_by.unwrap().deployment, line.bot.deployments()[0].id(), "it is not known what is there");
    assert_eq!(creators(&line), ["user", "user", "codeDeployRollback"], "a rollback is not rolled back");
}

#[test]
fn the_lane_waits_for_the_services_own_rollback_row_56() {
    let line = Line::new();
    let good = line.outside.push("one");
    line.deploy(&good);
    line.outside.codedeploy.roll_back("shop", "production", 1);
    line.outside.codedeploy.script(fails());
    line.outside.codedeploy.script(Scenario { waits_for_traffic: true, ..Scenario::default() });
    let bad = line.outside.push("two");
    line.bot.deliver("delivery-2", &bad);
    let follows = |it: &Deployment| it.order().adopts().is_some() && matches!(it.state(), State::Running { .. });
    line.bot.wait_for("the rollback to be followed", |bot| bot.deployments().iter().any(follows));
    let next = line.outside.push("three");
    line.bot.deliver("delivery-3", &next);
    line.bot.wait_for("the next push to wait", |bot| bot.story().contains("held: waiting for"));
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 2, "the next one is not even tried");
    let back = line.bot.deployments().into_iter().find(follows).unwrap().id();
    line.bot.ask("go on", Ask::Approve { deployment: back, of: None, reason: None }).unwrap();
    line.bot.settle();
    assert!(matches!(line.bot.deployments()[0].state(), State::Succeeded { .. }), "{}", line.bot.story());
    assert_eq!(creators(&line), ["user", "user", "codeDeployRollback", "user"]);
}

#[test]
fn a_rollback_that_only_names_itself_is_found_by_listing_rows_47_56() {
    let line = impatient();
    line.outside.codedeploy.roll_back("shop", "production", 1);
    line.outside.codedeploy.hide_rollbacks();
    let (good, bad) = fails_after_a_success(&line, Scenario::default());
    let last = wait_for_word(&line, &bad, "; rolled back to").pop().unwrap();
    assert!(last.contains(&good[..7]), "{last}");
    assert_eq!(line.outside.codedeploy.count("ListDeployments"), 1, "it is looked for once");
    assert_eq!(creators(&line), ["user", "user", "codeDeployRollback"]);
}

/// What was there before was deployed by hand: the rollback is followed all the same, and no commit is told of it.
#[test]
fn a_rollback_to_somebody_elses_revision_is_followed_and_told_row_56() {
    let line = rolling_back();
    line.outside.codedeploy.foreign_revision("production", "by-hand.zip");
    line.outside.codedeploy.moves(Moves::WhenTold);
    (0..12).for_each(|_| line.outside.codedeploy.tick());
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.outside.codedeploy.script(fails());
    let bad = line.outside.push("one");
    line.bot.deliver("delivery-1", &bad);
    line.bot.settle();
    let words = wait_for_word(&line, &bad, "rolled back to another revision");
    assert!(words.iter().all(|it| it.starts_with("failure: ")), "{words:#?}");
    let deployments = line.bot.deployments();
    let [back, failed] = &deployments[..] else { panic!("{}", line.bot.story()) };
    assert_eq!((back.order().parent, back.order().restores()), (Some(failed.id()), None));
    assert!(matches!(back.state(), State::Succeeded { .. }), "{}", line.bot.story());
    assert!(back.revision().is_none());
    let target = target(&line);
    assert_eq!((target.live, target.left_by), (None, None), "of what is there, no commit is known");
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 1);
}

#[test]
fn a_first_deployment_has_nothing_to_go_back_to_and_says_so_row_56() {
    let line = impatient();
    let said = "No previous successful revision was found to roll back to";
    line.outside.codedeploy.has_nothing_to_roll_back_to("shop", "production", said);
    line.outside.codedeploy.script(fails());
    let bad = line.outside.push("one");
    line.deploy(&bad);
    let [only] = &line.bot.deployments()[..] else { panic!("{}", line.bot.story()) };
    let State::Failed { failure } = only.state() else { panic!("{}", line.bot.story()) };
    assert!(failure.help.as_deref().unwrap_or_default().contains(said), "{failure:?}");
    assert_eq!(line.outside.last_word().state, "failure");
}

/// The very revision that is live is deployed again, fails, and is what CodeDeploy goes back to.
#[test]
fn a_commit_that_is_brought_back_after_itself_stays_red_row_56() {
    let line = Line::new();
    let sha = line.outside.push("one");
    line.deploy(&sha);
    line.outside.codedeploy.roll_back("shop", "production", 1);
    line.outside.codedeploy.script(fails());
    let deployment = line.bot.deployments()[0].id();
    line.bot.ask("again", Ask::Redeploy { deployment, options: Default::default() }).unwrap();
    line.bot.settle();
    let words = wait_for_word(&line, &sha, "; rolled back to");
    assert!(words[0].starts_with("success: "), "of the first deployment: {words:#?}");
    assert!(words[1..].iter().all(|it| it.starts_with("failure: ")), "{words:#?}");
    assert_eq!(target(&line).live.unwrap().deployment, line.bot.deployments()[0].id());
}

/// A deployment that runs until it is stopped, after one that is live. The commit that is live.
fn linger(line: &Line) -> (String, String) {
    let good = line.outside.push("one");
    line.deploy(&good);
    line.outside.codedeploy.script(Scenario { lingers: true, ..Scenario::default() });
    let bad = line.outside.push("two");
    line.bot.deliver("delivery-2", &bad);
    let runs = |it: &Deployment| matches!(it.state(), State::Running { .. });
    line.bot.wait_for("the deployment to run", |bot| bot.deployments().iter().any(runs));
    (good, bad)
}

#[test]
fn a_stop_with_rollback_is_the_services_to_carry_out_row_55() {
    let line = Line::new();
    let (good, bad) = linger(&line);
    let id = line.bot.deployments()[0].id();
    line.bot.ask("stop", Ask::Stop { deployment: id, rollback: true }).unwrap();
    line.bot.settle();
    let last = wait_for_word(&line, &bad, "; rolled back to").pop().unwrap();
    assert!(last.starts_with(&format!("error: Stopped by ada; rolled back to {}", &good[..7])), "{last}");
    assert_eq!(creators(&line), ["user", "user", "codeDeployRollback"]);
    assert_eq!(line.outside.codedeploy.count("StopDeployment"), 1);
}

/// The group rolls nothing back by itself, so that only the wish says that a rollback is to come; and that is in the
/// ledger.
#[test]
fn a_stop_with_rollback_survives_a_restart_row_55() {
    let mut line = Line::new();
    let (_, bad) = linger(&line);
    line.outside.codedeploy.put_rollbacks_off("shop", "production", Duration::from_secs(3));
    let id = line.bot.deployments()[0].id();
    line.bot.ask("stop", Ask::Stop { deployment: id, rollback: true }).unwrap();
    line.bot.wait_for("the stop", |_| line.outside.codedeploy.deployments()[1].status == "Stopped");
    line.bot.stop();
    line.bot.start();
    line.bot.settle();
    wait_for_word(&line, &bad, "; rolled back to");
    assert_eq!(creators(&line), ["user", "user", "codeDeployRollback"], "{}", line.bot.story());
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 2);
}
