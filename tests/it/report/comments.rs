//! Comments on failures: where they stand, what is in them, and what cannot get out of them.

use landfall::domain::{
    CommitSha, DeploymentEvent as E, DeploymentId, Failure, Lifecycle, Mask, Progress, SinkEvent, StepStatus, Target,
};

use super::World;
use crate::worlds::github::{Route, Trouble};
use landfall::clients::github::GitHubClients;
use landfall::report::Sink;

fn on(target: &mut Target) {
    target.github.comments = true;
}

fn failure() -> Failure {
    let said = "building\n```\n</details> @everyone <script>alert(1)</script>\n![x](https://evil.example/x.png)\n";
    let failure = Failure::revision("host/script-failed", "`check.sh` ended with exit code 7 in ValidateService");
    failure.help("read what it said").detail(said)
}

impl World {
    async fn commented(&self, title: &str) -> (CommitSha, DeploymentId) {
        let sha = self.repository.commit_and_push(title, &[("title", title)]);
        let id = self.plan_with("refs/heads/main", &sha, on).await;
        (sha, id)
    }

    async fn fail(&self, id: DeploymentId, sha: &CommitSha, failure: Failure) {
        self.run(id, sha).await;
        let step = Lifecycle {
            name: "ValidateService".into(),
            status: StepStatus::Failed,
            instance: Some("i-0a`b".into()),
            script: Some("scripts/check.sh".into()),
            took_ms: None,
        };
        let progress = Progress { lifecycle: vec![step], ..Progress::default() };
        self.append(id, E::Progressed { progress }).await;
        self.append(id, E::Failed { failure }).await;
    }
}

#[tokio::test]
async fn a_failure_is_told_on_the_open_pull_request_and_nothing_in_it_means_anything() {
    let world = World::new();
    let (sha, id) = world.commented("first").await;
    world.github.pull(11, "closed", &[sha.as_str()]);
    world.github.pull(7, "open", &[sha.as_str()]);
    world.fail(id, &sha, failure()).await;
    world.reports().run_to_idle().await.unwrap();
    let [comment] = &world.github.comments()[..] else { panic!("one") };
    assert_eq!(comment.thread, "issues/7");
    let body = comment.body.replace(&id.to_string(), "ID").replace(sha.short(), "SHA");
    insta::assert_snapshot!(body, @r"
    <!-- landfall ID -->
    ### The deployment of `SHA` to `blog` failed

    - Event: `ValidateService`
    - Instance: `` i-0a`b ``
    - Script: `scripts/check.sh`
    - Exit code: `7`

    ```text
    Failed: `check.sh` ended with exit code 7 in ValidateService
    read what it said
    ```

    <details><summary>The last lines of its log</summary>

    ````text
    building
    ```
    </details> @everyone <script>alert(1)</script>
    ![x](https://evil.example/x.png)
    ````

    </details>

    [The whole story](https://deploy.example.com/deployments/ID)
    ");
}

#[tokio::test]
async fn a_commit_without_a_pull_request_is_told_itself_and_a_redeploy_edits_what_stands_there() {
    let world = World::new();
    let (sha, id) = world.commented("first").await;
    world.fail(id, &sha, failure()).await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.github.comments()[0].thread, format!("commits/{sha}"));
    world.append(id, E::RollbackBegun { by: id, to: Some(sha.clone()) }).await;
    reports.run_to_idle().await.unwrap();
    let comments = world.github.comments();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].body.contains("rolling back"), "{}", comments[0].body);
    world.github.delete_comments();
    world.append(id, E::RollbackEnded { by: id, to: Some(sha), verdict: landfall::domain::Verdict::Succeeded }).await;
    world.reports().run_to_idle().await.unwrap();
    assert!(world.github.comments()[0].body.contains("rolled back"), "what was deleted is told anew");
}

#[tokio::test]
async fn the_next_failure_of_a_pull_request_takes_the_place_of_the_one_before() {
    let world = World::new();
    let mut reports = world.reports();
    let mut last = String::new();
    for title in ["one", "two"] {
        let (sha, id) = world.commented(title).await;
        world.github.pull(7, "open", &[sha.as_str()]);
        world.fail(id, &sha, failure()).await;
        reports.run_to_idle().await.unwrap();
        last = sha.short().to_owned();
    }
    let [comment] = &world.github.comments()[..] else { panic!("one") };
    assert!(comment.body.contains(&last));
    let (sha, id) = world.commented("three").await;
    world.run(id, &sha).await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.github.comments().len(), 1, "a success of another commit says nothing");
}

#[tokio::test]
async fn a_lost_answer_leaves_one_comment() {
    let world = World::new();
    let (sha, id) = world.commented("first").await;
    world.fail(id, &sha, failure()).await;
    world.github.script(Route::CommitComment, [Trouble::AnswerLost]);
    world.reports().run_to_idle().await.unwrap();
    world.seconds(5);
    world.reports().run_to_idle().await.unwrap();
    assert_eq!(world.github.comments().len(), 1);
    assert_eq!(world.written("github-comment").len(), 2);
}

#[tokio::test]
async fn the_longest_log_fits_and_secrets_are_out_of_it() {
    let world = World::new();
    let (sha, id) = world.commented("first").await;
    let mask = Mask::new(["hunter2hunter2".to_owned()]);
    let mut failure = failure().masked(&mask);
    failure.message = "é".repeat(50_000);
    failure.detail = Some("`".repeat(40) + &"ü".repeat(80_000) + " the last words");
    world.fail(id, &sha, failure).await;
    world.reports().run_to_idle().await.unwrap();
    let [comment] = &world.github.comments()[..] else { panic!("one") };
    let length = comment.body.chars().count();
    assert!((60_000..=65_536).contains(&length), "{length}");
    assert!(comment.body.contains("the last words"));
}

/// The tokens of an App are narrowed to what is of use: writing contents is far more than a comment is worth.
#[tokio::test]
async fn an_app_comments_on_pull_requests_alone_and_says_of_the_rest_why_not() {
    let world = World::new();
    let may = [("contents", "write"), ("statuses", "write"), ("pull_requests", "write")];
    let clients = GitHubClients::new(&world.app(&may), world.clock.clone()).unwrap();
    let mut reports = world.reports_to(Sink::all(&clients));
    for pull in [None, Some(7)] {
        let (sha, id) = world.commented(&format!("{pull:?}")).await;
        if let Some(pull) = pull {
            world.github.pull(pull, "open", &[sha.as_str()]);
        }
        world.fail(id, &sha, failure()).await;
        // The push is young: GitHub is asked for some minutes whether it knows the commit by now.
        world.seconds(300);
        reports.run_to_idle().await.unwrap();
    }
    let [SinkEvent::GaveUp { failure, .. }, SinkEvent::Sent { context, .. }] = &world.written("github-comment")[..]
    else {
        panic!("{:#?}", world.written("github-comment"));
    };
    assert_eq!(failure.code, "report/forbidden");
    let help = failure.help.as_deref().unwrap();
    assert!(
        help.contains("Pull requests: write") && help.contains("Contents: write where no pull request is"),
        "{help}"
    );
    assert_eq!(context, "pull/7");
}
