//! Check runs: findings beside their lines, by an App alone.

use landfall::clients::github::GitHubClients;
use landfall::domain::{DeploymentEvent as E, Failure, Finding, Findings, Place};
use landfall::report::{Reports, Sink};

use super::World;
use crate::worlds::github::{Route, Trouble};

impl World {
    /// Reports in the name of an App that may do this.
    fn as_an_app(&self, permissions: &[(&str, &str)]) -> Reports {
        let config = self.app(permissions);
        self.reports_to(Sink::all(&GitHubClients::new(&config, self.clock.clone()).unwrap()))
    }
}

fn at(line: u32) -> Place {
    Place { file: "web/appspec.yml".into(), line, column: 3, length: 4 }
}

fn refused(count: u32) -> Failure {
    let error = |line| Finding::error("appspec/unknown-key", "unknown key `hook`").at(at(line)).help("write `hooks`");
    let mut all: Vec<Finding> = vec![Finding::warning("bundle/large", "the bundle is large")];
    all.extend((1..=count).map(error));
    Failure::revision("steps/broken-appspec", "`web/appspec.yml`: unknown key").findings(&Findings(all))
}

const MAY: &[(&str, &str)] =
    &[("contents", "read"), ("statuses", "write"), ("checks", "write"), ("deployments", "write")];

#[tokio::test]
async fn findings_stand_beside_their_lines() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.append(id, E::Refused { failure: refused(2) }).await;
    world.github.script(Route::OwnCheck, [Trouble::None, Trouble::AnswerLost]);
    let mut reports = world.as_an_app(MAY);
    reports.run_to_idle().await.unwrap();
    world.seconds(5);
    reports.run_to_idle().await.unwrap();
    let [check] = &world.github.our_check_runs()[..] else { panic!("one, although an answer was lost") };
    assert_eq!(check.body["head_sha"], sha.as_str());
    assert_eq!(check.body["details_url"], format!("https://deploy.example.com/deployments/{id}"));
    let mut body = check.body.clone();
    for key in ["head_sha", "external_id", "details_url"] {
        body.as_object_mut().unwrap().remove(key);
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "conclusion": "failure",
      "name": "landfall/blog findings",
      "output": {
        "annotations": [
          {
            "annotation_level": "failure",
            "end_line": 1,
            "message": "unknown key `hook`\nwrite `hooks`",
            "path": "web/appspec.yml",
            "start_line": 1,
            "title": "appspec/unknown-key"
          },
          {
            "annotation_level": "failure",
            "end_line": 2,
            "message": "unknown key `hook`\nwrite `hooks`",
            "path": "web/appspec.yml",
            "start_line": 2,
            "title": "appspec/unknown-key"
          }
        ],
        "summary": "    the bundle is large",
        "title": "2 errors and 1 more finding"
      },
      "status": "completed"
    }
    "#);
}

#[tokio::test]
async fn more_findings_than_github_takes_are_counted() {
    let world = World::new();
    let (_, id) = world.pushed("first").await;
    world.append(id, E::Refused { failure: refused(80) }).await;
    world.as_an_app(MAY).run_to_idle().await.unwrap();
    let [check] = &world.github.our_check_runs()[..] else { panic!("one") };
    assert_eq!(check.body["output"]["annotations"].as_array().unwrap().len(), Failure::FINDINGS);
}

#[tokio::test]
async fn what_deploys_with_findings_is_neutral_and_what_has_none_says_nothing() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    let (other, clean) = world.pushed("second").await;
    world.run(clean, &other).await;
    world.run_with(id, &sha, vec![Finding::warning("bundle/script-mode", "it is not executable").at(at(1))]).await;
    let mut reports = world.as_an_app(MAY);
    reports.run_to_idle().await.unwrap();
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    let [check] = &world.github.our_check_runs()[..] else { panic!("one") };
    let output = &check.body["output"];
    assert_eq!((&check.body["conclusion"], &output["title"]), (&"neutral".into(), &"1 finding".into()));
    assert_eq!(world.written("github-check").len(), 1, "and is said once");
    let environments = world.github.deployments().len();
    assert_eq!(environments, 2, "an App shows deployments on the page of environments unless told not to");
}

#[tokio::test]
async fn other_findings_are_another_check_run_so_that_none_stands_there_twice() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.run_with(id, &sha, vec![Finding::warning("bundle/script-mode", "it is not executable").at(at(1))]).await;
    let mut reports = world.as_an_app(MAY);
    reports.run_to_idle().await.unwrap();
    world.github.script(Route::OwnCheck, [Trouble::None, Trouble::AnswerLost]);
    world.append(id, E::Failed { failure: refused(1) }).await;
    reports.run_to_idle().await.unwrap();
    world.seconds(5);
    reports.run_to_idle().await.unwrap();
    let conclusions: Vec<_> = world.github.our_check_runs().iter().map(|it| it.body["conclusion"].clone()).collect();
    assert_eq!(conclusions, ["neutral", "failure"]);
}

#[tokio::test]
async fn a_token_makes_no_check_runs_and_asks_for_none() {
    let world = World::new();
    let (_, id) = world.pushed("first").await;
    world.append(id, E::Refused { failure: refused(1) }).await;
    world.reports().run_to_idle().await.unwrap();
    assert_eq!(world.written("github-check").len(), 0);
    assert!(world.github.requests().iter().all(|it| it.contains("/statuses/")), "{:?}", world.github.requests());
}
