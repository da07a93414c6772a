//! Deployments at CodeDeploy that are not ours, or do not look like ours: named and waited for (rows 6, 59 and 60),
//! known by their revision where their description was taken away (row 47), and never made a second time.

use std::time::Duration;

use landfall::app::Parts;
use landfall::domain::{Ask, DeploymentEvent, Event, Record, State};
use landfall::engine::codedeploy::Pace;

use super::{LIVE, Line, Outside, bot_at};
use crate::worlds::codedeploy::{Fault, Moves};

#[test]
fn a_deployment_of_somebody_elses_is_named_and_waited_for_rows_6_60() {
    for (creator, why) in [
        ("user", ""),
        ("autoscaling", ": an instance that Auto Scaling launched"),
        ("CloudFormation", ""),
        ("CodeDeployAutoUpdate", ": CodeDeploy brings outdated instances to the revision"),
    ] {
        let line = Line::new();
        line.outside.codedeploy.moves(Moves::WhenTold);
        let foreign = line.outside.codedeploy.foreign("production", creator, "by hand");
        let sha = line.outside.push("hello");
        line.bot.deliver("delivery-1", &sha);
        let busy = format!("group `production` is busy with {foreign}, not started by Landfall (creator `{creator}`)");
        let held = format!("d1  held: {busy}{why}\n");
        line.bot.wait_for(&held, |bot| bot.story().contains(&held));
        let status = format!("Waiting: {busy}");
        line.bot.wait_for(&status, |_| {
            line.outside.statuses().iter().any(|it| it.state == "pending" && it.description.starts_with(&status))
        });
        assert_eq!(line.bot.deployments().len(), 1, "it is none of ours");
        assert_eq!(line.outside.codedeploy.count("StopDeployment"), 0);
    }
}

/// Row 59: what CodeDeploy begins after a deployment is told with it, and is no deployment of ours.
#[test]
fn an_update_of_outdated_instances_is_told_with_what_it_follows_row_59() {
    let line = Line::new();
    line.outside.codedeploy.moves(Moves::WhenTold);
    let sha = line.outside.push("one");
    line.bot.deliver("delivery-1", &sha);
    line.bot.wait_for("the deployment to run", |bot| bot.story().contains("released"));
    let root = line.outside.codedeploy.deployments()[0].id.clone();
    let follow_on = line.outside.codedeploy.follow_on("production");
    line.outside.codedeploy.moves(Moves::AtEachLook);
    line.bot.settle_and_tell();
    let said = format!("CodeDeploy brings outdated instances up to date with {follow_on}");
    let last = line.outside.last_word();
    assert!(last.state == "success" && last.description.ends_with(&said), "{last:?}");
    let ended = |it: Record| {
        let Event::Deployment(DeploymentEvent::Ended { outcome }) = it.event else { return None };
        Some(outcome.followed_by)
    };
    let followed_by = line.bot.records().into_iter().find_map(ended).unwrap();
    assert_eq!(followed_by[0].as_str(), follow_on);
    assert_eq!(line.bot.deployments().len(), 1, "no second status is made for it");
    // Nobody looks at it, so that it goes on: the next push names it, and what it follows.
    line.bot.deliver("delivery-2", &line.outside.push("two"));
    let held = format!("is busy with {follow_on}, not started by Landfall (creator `CodeDeployAutoUpdate`)");
    line.bot.wait_for(&held, |bot| bot.story().contains(&held));
    assert!(line.bot.story().contains(&format!("to the revision of {root}")), "{}", line.bot.story());
}

#[test]
fn a_lost_call_whose_description_was_taken_away_is_known_by_its_revision_row_47() {
    let line = Line::new();
    line.outside.codedeploy.strip_descriptions();
    line.outside.codedeploy.fault("CreateDeployment", Fault::CutBeforeAnswering);
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    assert_eq!(line.bot.story(), LIVE.replace("released", "released, adopted"));
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 1);
    assert_eq!(line.outside.last_word().state, "success");

    // The same commit again, lost before it arrived: the first run is known to be another deployment's.
    line.outside.codedeploy.fault("CreateDeployment", Fault::CutBeforeActing);
    let deployment = line.bot.deployments()[0].id();
    line.bot.ask("again", Ask::Redeploy { deployment, options: Default::default() }).unwrap();
    line.bot.settle();
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 3);
    let runs: Vec<_> = line.bot.deployments().iter().map(|it| it.run().unwrap().to_string()).collect();
    let made: Vec<_> = line.outside.codedeploy.deployments().into_iter().rev().map(|it| it.id).collect();
    assert_eq!((runs.len(), runs), (2, made), "{}", line.bot.story());
}

#[test]
fn a_lost_call_that_two_runs_may_be_is_a_persons_to_judge_row_47() {
    let outside = Outside::new();
    let mut bot = bot_at(outside.dir.path());
    bot.parts = |parts| {
        let looks = [10, 20, 2000].map(Duration::from_millis);
        Parts { pace: Pace { looks, ..crate::codedeploy::hurried() }, ..parts }
    };
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    let line = Line { bot, outside };
    line.outside.codedeploy.strip_descriptions();
    line.outside.codedeploy.fault("CreateDeployment", Fault::CutBeforeAnswering);
    let sha = line.outside.push("hello");
    line.bot.deliver("delivery-1", &sha);
    line.bot.wait_for("the lost call", |_| line.outside.codedeploy.deployments().len() == 1);
    let other = line.outside.codedeploy.again_by_hand("production");
    line.bot.settle_and_tell();
    let State::Failed { failure } = line.bot.deployments()[0].state().clone() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.code, "codedeploy/ambiguous");
    let ours = &line.outside.codedeploy.deployments()[0].id;
    assert!(failure.message.contains(ours) && failure.message.contains(&other), "{failure:?}");
    assert!(failure.help.unwrap().contains("landfall redeploy"));
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 1, "there is no second one");
    assert_eq!(line.outside.last_word().state, "error");
}
