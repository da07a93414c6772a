//! GitHub's page of environments: what stands there of each deployment, through failures and crashes.

use std::sync::Arc;

use landfall::domain::{DeploymentEvent as E, DeploymentId, Failure, SinkEvent, Target, TargetName};
use landfall::report::Turn;
use serde_json::json;

use super::World;
use crate::worlds::github::{Route, Trouble};

const SINK: &str = "github-deployment";

fn on(target: &mut Target) {
    target.github.deployments = Some(true);
    target.environment = "production".into();
    target.github.environment_url = Some("https://{target}.example.com/{short_sha}".into());
}

impl World {
    /// A push to a target whose deployments stand on the page of environments.
    async fn shown(&self, title: &str) -> (landfall::domain::CommitSha, DeploymentId) {
        let sha = self.repository.commit_and_push(title, &[("title", title)]);
        let id = self.plan_with("refs/heads/main", &sha, on).await;
        (sha, id)
    }

    /// What the page says of each deployment, in order.
    fn page(&self) -> Vec<Vec<String>> {
        self.github.deployments().iter().map(crate::worlds::github::Deployment::told).collect()
    }
}

#[tokio::test]
async fn a_deployment_passes_through_its_states_and_the_next_one_retires_it() {
    let world = World::new();
    let (sha, id) = world.shown("first").await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    world.run(id, &sha).await;
    world.seconds(1);
    reports.run_to_idle().await.unwrap();
    for phase in ["Install", "AfterInstall"] {
        world.progress(id, phase).await;
        world.seconds(1);
        reports.run_to_idle().await.unwrap();
    }
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.page(), [["queued: Queued", "in_progress: Under way", "success: Live after 3 s"]]);
    let [first] = &world.github.deployments()[..] else { panic!("one") };
    assert_eq!((first.sha.as_str(), first.environment.as_str()), (sha.as_str(), "production"));
    assert_eq!(first.body["payload"], json!({ "landfall": id }));
    assert_eq!(first.body["production_environment"], true);
    assert_eq!(first.body["transient_environment"], false);
    let log = format!("https://deploy.example.com/deployments/{id}");
    assert_eq!((&first.states[0]["log_url"], &first.states[0]["environment_url"]), (&json!(log), &json!(null)));
    assert_eq!(first.states[2]["environment_url"], format!("https://blog.example.com/{}", sha.short()));
    let (next, second) = world.shown("second").await;
    world.run(second, &next).await;
    world.succeed(second).await;
    reports.run_to_idle().await.unwrap();
    world.seconds(1);
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.page()[1], ["success: Live after 0 s"]);
    assert_eq!(world.page()[0].last().unwrap(), "inactive: Replaced by a newer deployment");
    assert_eq!(world.reports().run_to_idle().await.unwrap(), Turn::Idle, "nor is anything left for the next start");
}

#[tokio::test]
async fn what_fails_leaves_the_one_before_active_and_what_was_passed_over_was_never_there() {
    let world = World::new();
    let (sha, id) = world.shown("first").await;
    world.run(id, &sha).await;
    world.succeed(id).await;
    let (bad, failing) = world.shown("bad").await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    world.run(failing, &bad).await;
    world.append(failing, E::Failed { failure: Failure::revision("x/y", "`a.sh` ended with exit code 1") }).await;
    let (_, over) = world.shown("over").await;
    world.append(over, E::Superseded { by: bad.clone(), deployment: None }).await;
    let (_, left_out) = world.shown("docs").await;
    world.append(left_out, E::Skipped { reason: "no path of the rule changed".into() }).await;
    reports.run_to_idle().await.unwrap();
    let (first, second) =
        (vec!["success: Live after 0 s"], vec!["queued: Queued", "failure: Failed: `a.sh` ended with exit code 1"]);
    assert_eq!(world.page(), [first, second]);
    assert!(world.told().contains(&format!("error Not deployed: superseded by {}", bad.short())));
    assert!(world.told().contains(&"success Not deployed: no path of the rule changed".to_owned()));
}

#[tokio::test]
async fn a_target_retires_its_own_and_nobody_elses() {
    let world = World::new();
    let sha = world.repository.commit_and_push("first", &[]);
    let mut reports = world.reports();
    for name in ["web", "worker"] {
        let named = |target: &mut Target| {
            on(target);
            target.name = TargetName::parse(name).unwrap();
        };
        let id = world.plan_with("refs/heads/main", &sha, named).await;
        world.run(id, &sha).await;
        world.succeed(id).await;
        reports.run_to_idle().await.unwrap();
    }
    assert_eq!(world.page(), vec![vec!["success: Live after 0 s"]; 2], "one environment, two targets");
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_makes_no_second_one() {
    for seam in ["report-before-send", "report-sent", "report-recorded"] {
        let world = World::new();
        let (sha, id) = world.shown("first").await;
        world.run(id, &sha).await;
        world.github.script(Route::Status, std::iter::repeat_n(Trouble::Status(422), 5));
        let mut dying = world.reports().probed(Arc::new({
            let seen = std::sync::atomic::AtomicUsize::new(0);
            move |at| {
                // The first message is the status's.
                if at == seam && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                    std::panic::resume_unwind(Box::new("killed"));
                }
            }
        }));
        assert!(tokio::spawn(async move { dying.run_to_idle().await }).await.is_err(), "{seam}");
        world.succeed(id).await;
        world.reports().run_to_idle().await.unwrap();
        assert_eq!(world.page(), [["success: Live after 0 s"]], "{seam}");
    }
    let world = World::new();
    let (sha, id) = world.shown("first").await;
    world.run(id, &sha).await;
    // GitHub is asked whether it is there first.
    world.github.script(Route::Deployment, [Trouble::None, Trouble::AnswerLost]);
    let mut reports = world.reports();
    for _ in 0..4 {
        reports.run_to_idle().await.unwrap();
        world.seconds(5);
    }
    assert_eq!(world.page(), [["in_progress: Under way"]]);
}

#[tokio::test]
async fn whatever_a_crash_leaves_of_a_deployment_that_is_passed_over_afterwards_becomes_final() {
    for seam in ["report-before-send", "report-sent", "report-recorded"] {
        for nth in 1..=4 {
            let world = World::new();
            let (sha, id) = world.shown("first").await;
            let seen = std::sync::atomic::AtomicUsize::new(0);
            let mut dying = world.reports().probed(Arc::new(move |at| {
                if at == seam && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == nth {
                    std::panic::resume_unwind(Box::new("killed"));
                }
            }));
            let died = tokio::spawn(async move { dying.run_to_idle().await }).await.is_err();
            world.append(id, E::Superseded { by: sha, deployment: None }).await;
            for _ in 0..2 {
                world.reports().run_to_idle().await.unwrap();
                world.seconds(1);
            }
            let is_final = |states: &Vec<String>| states.last().is_some_and(|it| it.starts_with("inactive: "));
            let page = world.page();
            assert!(page.len() <= 1 && page.iter().all(is_final), "{seam} {nth} {died}: {page:?}");
        }
    }
}

#[tokio::test]
async fn the_one_before_is_retired_however_many_successes_lie_between() {
    let world = World::new();
    let mut reports = world.reports();
    for number in 0..70 {
        if number == 1 {
            world.github.script(Route::Deployment, std::iter::repeat_n(Trouble::Status(403), 200));
            world.github.script(Route::DeploymentState, std::iter::repeat_n(Trouble::Status(403), 200));
        }
        if number == 69 {
            world.github.mend(Route::Deployment);
            world.github.mend(Route::DeploymentState);
            world.seconds(3601);
        }
        let (sha, id) = world.shown(&number.to_string()).await;
        world.run(id, &sha).await;
        world.succeed(id).await;
        reports.run_to_idle().await.unwrap();
    }
    world.seconds(1);
    reports.run_to_idle().await.unwrap();
    let last = |states: &Vec<String>| states.last().unwrap().split(':').next().unwrap().to_owned();
    assert_eq!(world.page().iter().map(last).collect::<Vec<_>>(), ["inactive", "success"]);
}

#[tokio::test]
async fn a_token_that_may_not_is_tried_once_and_every_deployment_tells_of_it() {
    let world = World::new();
    world.github.script(Route::Deployment, std::iter::repeat_n(Trouble::Status(403), 20));
    let mut reports = world.reports();
    for title in ["one", "two", "three"] {
        let (sha, id) = world.shown(title).await;
        world.run(id, &sha).await;
        world.succeed(id).await;
        reports.run_to_idle().await.unwrap();
    }
    let tried = world.github.requests().iter().filter(|it| it.contains("/deployments")).count();
    let written = world.written(SINK);
    let gave_up = |it: &&SinkEvent| matches!(it, SinkEvent::GaveUp { .. });
    assert_eq!((tried, written.iter().filter(gave_up).count()), (1, 3), "{written:?}");
    let Some(SinkEvent::GaveUp { failure, .. }) = written.last() else { panic!("{written:?}") };
    assert_eq!(failure.code, "report/forbidden");
    assert!(failure.help.as_deref().unwrap().contains("Deployments: write"), "{failure:?}");
    assert_eq!(world.told().len(), 3);
    world.github.mend(Route::Deployment);
    world.seconds(3601);
    let (sha, id) = world.shown("later").await;
    world.run(id, &sha).await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.page(), [["success: Live after 0 s"]], "after an hour it is tried again");
}

#[tokio::test]
async fn a_token_shows_nothing_on_the_page_unless_asked_to() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.run(id, &sha).await;
    world.succeed(id).await;
    world.reports().run_to_idle().await.unwrap();
    assert_eq!((world.page().len(), world.written(SINK).len()), (0, 0));
}
