//! Rows 54 and 55: a stop is asked once and followed; on Lambda it brings the last good revision back by itself.

use std::fs;

use landfall::domain::{Ask, DeploymentEvent, Event, State};

use super::{Line, Outside, bot_at};
use crate::bot::Bot;
use crate::codedeploy::world::LAMBDA;
use crate::worlds::codedeploy::{Fault, Moves, Scenario};
use crate::worlds::github::Status;

/// Pushes, and waits until the deployment is with CodeDeploy and has begun.
fn begin(line: &Line, page: &str, files: &[(&str, &str)]) -> landfall::domain::DeploymentId {
    line.outside.codedeploy.moves(Moves::WhenTold);
    let sha = line.outside.repository.commit_and_push(page, files).to_string();
    line.bot.deliver(&format!("delivery-{page}"), &sha);
    line.bot.wait_for("the deployment to run", |bot| {
        bot.deployments().first().is_some_and(|it| it.order().sha.as_str() == sha && it.run().is_some())
    });
    line.outside.codedeploy.tick();
    line.bot.deployments()[0].id()
}

const SITE: &[(&str, &str)] = &[("appspec.yml", super::APPSPEC), ("index.html", "hello")];

#[test]
fn a_stop_that_codedeploy_has_taken_is_not_asked_for_again_row_54() {
    let line = Line::new();
    let id = begin(&line, "hello", SITE);
    // The first one is lost on its way: nothing was taken, so it is asked for again.
    line.outside.codedeploy.fault("StopDeployment", Fault::Exception("ThrottlingException", "a test says so"));
    let asked = line.bot.ask("stop", Ask::Stop { deployment: id, rollback: false }).unwrap();
    assert_eq!(asked.told, None, "a plain stop needs no words");
    line.bot.settle_and_tell();
    let calls = line.outside.codedeploy.count("StopDeployment");
    assert!((1..=3).contains(&calls), "{calls}");
    assert_eq!(line.bot.deployments()[0].state().name(), "stopped", "{}", line.bot.story());
}

#[test]
fn a_stop_that_comes_too_late_is_told_the_true_end_row_54() {
    let line = Line::new();
    let id = begin(&line, "hello", SITE);
    let done = "DeploymentAlreadyCompletedException";
    line.outside.codedeploy.fault("StopDeployment", Fault::Exception(done, "a test says so"));
    line.bot.ask("stop", Ask::Stop { deployment: id, rollback: false }).unwrap();
    line.bot.wait_for("the stop", |_| line.outside.codedeploy.count("StopDeployment") == 1);
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle_and_tell();
    assert_eq!(line.bot.deployments()[0].state().name(), "succeeded", "{}", line.bot.story());
    assert_eq!(line.outside.last_word().state, "success");
}

#[test]
fn a_stop_on_lambda_brings_the_last_good_revision_back_row_55() {
    let outside = Outside::new();
    outside.codedeploy.add("login", "Lambda", &["production"]);
    let text = outside.configuration().replace("application = \"shop\"", "application = \"login\"");
    fs::write(outside.dir.path().join("landfall.toml"), text).unwrap();
    let mut bot = bot_at(outside.dir.path());
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    let line = Line { bot, outside };
    let id = begin(&line, "hello", &[("appspec.yml", LAMBDA)]);
    let asked = line.bot.ask("stop", Ask::Stop { deployment: id, rollback: false }).unwrap();
    let told = asked.told.unwrap_or_default();
    assert!(told.contains("bring the last good revision back") && told.contains("split over two versions"), "{told}");
    let rolls_back =
        |event: &Event| matches!(event, Event::Deployment(DeploymentEvent::StopAsked { rollback: true, .. }));
    assert!(line.bot.records().iter().any(|it| rolls_back(&it.event)), "{}", line.bot.story());
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle();
    let states: Vec<_> = line.bot.deployments().iter().map(|it| it.state().name()).collect();
    assert_eq!(states, ["succeeded", "stopped"], "{}", line.bot.story());
    let creators: Vec<_> = line.outside.codedeploy.deployments().into_iter().map(|it| it.creator).collect();
    assert_eq!(creators, ["user", "codeDeployRollback"], "CodeDeploy carries it out");
}

/// The deployment goes on for a while: the stop is pending, and is not repeated meanwhile.
#[test]
fn a_stop_that_is_pending_is_waited_for_and_told_row_54() {
    let line = Line::new();
    line.outside.codedeploy.script(Scenario { stops_after: 40, lingers: true, ..Scenario::default() });
    let id = begin(&line, "hello", SITE);
    line.bot.ask("stop", Ask::Stop { deployment: id, rollback: false }).unwrap();
    line.bot.wait_for("the stop", |_| line.outside.codedeploy.count("StopDeployment") == 1);
    let stopping = |it: &Status| it.state == "pending" && it.description.starts_with("Stopping for ada");
    line.bot.wait_for("the word on it", |_| line.outside.statuses().iter().any(stopping));
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.count("StopDeployment"), 1, "pending is followed, not repeated");
    assert_eq!(line.outside.last_word().description, "Stopped by ada: somebody stopped it in CodeDeploy");
}

/// What a person asked for and AWS does not let us do is told once, with the permission that lacks; once that is given,
/// the person asks again, or it is tried again after a while.
#[test]
fn a_stop_that_aws_denies_is_told_once_with_the_permission_rows_52_54() {
    let line = Line::new();
    let id = begin(&line, "hello", SITE);
    let denied = Fault::Exception("AccessDeniedException", "the role may not");
    line.outside.codedeploy.fault("StopDeployment", denied.clone());
    line.outside.codedeploy.fault("StopDeployment", denied);
    let stop = Ask::Stop { deployment: id, rollback: false };
    line.bot.ask("stop", stop.clone()).unwrap();
    let words = "The stop was not taken: AWS denies codedeploy:StopDeployment";
    let told = |it: &Status| it.state == "pending" && it.description.starts_with(words);
    line.bot.wait_for(words, |_| line.outside.statuses().iter().any(told));
    let reason = line.bot.deployments()[0].reason().unwrap();
    assert!(reason.contains("AWS denies codedeploy:StopDeployment"), "{reason}");
    let declined = |bot: &Bot| bot.story().matches("declined: codedeploy/access-denied").count();
    assert_eq!((declined(&line.bot), line.outside.codedeploy.count("StopDeployment")), (1, 1), "and not at once again");
    let helps = line.bot.records().into_iter().filter_map(|it| match it.event {
        Event::Deployment(DeploymentEvent::Declined { failure, .. }) => failure.help,
        Event::Deployment(_) | Event::Delivery(_) | Event::Target(_) | Event::Sink(_) | Event::Bot(_) => None,
    });
    assert!(helps.last().unwrap().contains("allow codedeploy:StopDeployment"));

    line.bot.ask("still", stop.clone()).unwrap();
    line.bot.wait_for("the second try", |_| line.outside.codedeploy.count("StopDeployment") == 2);
    line.bot.ask("and again", stop).unwrap();
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle_and_tell();
    assert_eq!(declined(&line.bot), 1, "{}", line.bot.story());
    assert!(line.bot.story().contains("d1  taken\n"), "{}", line.bot.story());
    assert_eq!(line.bot.deployments()[0].state().name(), "stopped");
}

/// CodeDeploy says how it ended, and ours says how to pass over it: once.
#[test]
fn a_failure_at_the_earlier_revisions_scripts_says_once_how_to_pass_over_them_rows_29_61() {
    let line = Line::new();
    line.outside.codedeploy.script(Scenario::script_fails("i-0a", "ApplicationStop", "scripts/stop.sh", "boom"));
    line.deploy(&line.outside.push("hello"));
    let State::Failed { failure } = line.bot.deployments()[0].state().clone() else { panic!("{}", line.bot.story()) };
    let help = failure.help.unwrap();
    assert_eq!(help.matches("ignore").count(), 1, "{help}");
    assert!(help.contains("--ignore-application-stop-failures"), "{help}");
}
