//! Rows 52 and 53: a person lets traffic move, and the old instances end; early, late, twice.

use landfall::conductor::AskError;
use landfall::domain::{Approval, Ask, Deployment, State, SubState};

use super::Line;
use crate::worlds::codedeploy::{Fault, Moves, Scenario};

fn waiting() -> Line {
    let line = Line::new();
    line.outside.codedeploy.blue_green("shop", "production");
    line.outside.codedeploy.script(Scenario { waits_for_traffic: true, ..Scenario::default() });
    line
}

fn push(line: &Line) {
    let sha = line.outside.push("hello");
    let (status, answer) = line.bot.deliver("delivery-1", &sha);
    assert_eq!(status, 202, "{answer}");
}

fn only(line: &Line) -> Deployment {
    line.bot.deployments()[0].clone()
}

fn sub_state(deployment: &Deployment) -> Option<SubState> {
    let State::Running { running } = deployment.state() else { return None };
    running.progress.sub_state
}

fn approve(line: &Line, key: &str, of: Option<Approval>) -> Result<String, String> {
    match line.bot.ask(key, Ask::Approve { deployment: only(line).id(), of, reason: None }) {
        Ok(asked) => Ok(asked.told.unwrap_or_default()),
        Err(AskError::Refused(failure)) => Err(failure.code),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn traffic_moves_once_somebody_says_so_row_52() {
    let line = waiting();
    push(&line);
    line.bot.wait_for("the wait", |_| sub_state(&only(&line)) == Some(SubState::ReadyForTraffic));
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 0);
    assert_eq!(approve(&line, "no", Some(Approval::Termination)), Err("conductor/other-approval".into()));
    let told = approve(&line, "yes", Some(Approval::Traffic)).unwrap();
    assert_eq!(told, "approved the move of traffic: it moves traffic to what was deployed");
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 1, "what is taken is not said twice");
    assert_eq!((only(&line).state().name(), only(&line).approved_by()), ("succeeded", Some("ada")));
    assert_eq!(approve(&line, "late", None), Err("conductor/already-over".into()));
}

#[test]
fn an_approval_that_comes_early_is_kept_until_it_is_wanted_row_52() {
    let line = waiting();
    line.outside.codedeploy.moves(Moves::WhenTold);
    push(&line);
    line.bot.wait_for("the deployment to run", |_| only(&line).run().is_some());
    let told = approve(&line, "early", None).unwrap();
    assert!(told.contains("before its time"), "{told}");
    assert_eq!(approve(&line, "twice", None), Err("conductor/approved-before".into()));
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 0);
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 1);
    assert_eq!(only(&line).state().name(), "succeeded", "{}", line.bot.story());
}

#[test]
fn an_approval_that_codedeploy_does_not_take_is_said_again_row_52() {
    for (exception, calls) in [
        ("DeploymentIsNotInReadyStateException", 2),
        // Somebody was quicker, in the console: what came of it is seen by watching.
        ("DeploymentAlreadyCompletedException", 1),
    ] {
        let line = waiting();
        line.outside.codedeploy.fault("ContinueDeployment", Fault::Exception(exception, "a test says so"));
        push(&line);
        line.bot.wait_for("the wait", |_| sub_state(&only(&line)) == Some(SubState::ReadyForTraffic));
        approve(&line, "yes", None).unwrap();
        line.bot.wait_for("the calls", |_| line.outside.codedeploy.count("ContinueDeployment") == calls);
        if calls == 1 {
            line.bot.ask("stop", Ask::Stop { deployment: only(&line).id(), rollback: false }).unwrap();
        }
        line.bot.settle_and_tell();
        assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), calls, "{exception}");
    }
}

#[test]
fn a_bot_that_starts_again_carries_an_approval_out() {
    let mut line = waiting();
    line.outside.codedeploy.moves(Moves::WhenTold);
    push(&line);
    line.bot.wait_for("the deployment to run", |_| only(&line).run().is_some());
    approve(&line, "early", None).unwrap();
    line.bot.stop();
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.start();
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 1);
    assert_eq!(only(&line).state().name(), "succeeded", "{}", line.bot.story());
}

#[test]
fn an_approval_that_aws_denies_is_told_once_with_the_permission_row_52() {
    let line = waiting();
    let denied = Fault::Exception("AccessDeniedException", "the role may not");
    line.outside.codedeploy.fault("ContinueDeployment", denied);
    push(&line);
    line.bot.wait_for("the wait", |_| sub_state(&only(&line)) == Some(SubState::ReadyForTraffic));
    approve(&line, "yes", None).unwrap();
    let words = "the approval of the move of traffic was not taken: AWS denies codedeploy:ContinueDeployment";
    line.bot.wait_for(words, |_| only(&line).reason().is_some_and(|it| it.starts_with(words)));
    // It is tried again ten seconds later, and taken then: nobody has to approve it twice.
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.count("ContinueDeployment"), 2);
    let story = line.bot.story();
    assert_eq!((story.matches("d1  declined").count(), story.matches("d1  taken").count()), (1, 1), "{story}");
}
