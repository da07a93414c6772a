//! Reports: what GitHub is told of deployments, through failures and crashes.

mod checks;
mod comments;
mod environments;
mod limits;
mod restarts;
mod voices;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use landfall::board::Outages;
use landfall::clients::github::GitHubClients;
use landfall::config::GitHub;
use landfall::domain::{Blame, Cause, CommitSha, DeploymentEvent as E, Failure, SinkEvent, SourceSpec};
use landfall::ledger::Birth;
use landfall::report::{Sink, Turn};

use crate::worlds::deployments::{World, open, start};
use crate::worlds::github::{Route, Trouble};

#[tokio::test]
async fn a_commit_gets_its_statuses() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    let mut reports = world.reports();
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    world.seconds(1);
    world.run(id, &sha).await;
    world.progress(id, "AfterInstall").await;
    reports.run_to_idle().await.unwrap();
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["pending Planned", "pending AfterInstall", "success Live after 1 s"]);
    let last = world.github.statuses().pop().unwrap();
    assert_eq!((last.sha.as_str(), last.context.as_str()), (sha.as_str(), "landfall/blog"));
    assert_eq!(last.target_url, Some(format!("https://deploy.example.com/deployments/{id}")));
    let written = world.written("github-status");
    assert_eq!(written.len(), 3);
    assert!(matches!(&written[2], SinkEvent::Sent { remote_id: Some(remote), .. } if remote == "3"), "{written:?}");
}

#[tokio::test]
async fn a_github_that_is_down_is_shown_until_it_takes_a_status_and_trouble_with_one_commit_is_not() {
    let (world, outages) = (World::new(), Outages::default());
    let mut reports = world.reports().showing(outages.clone());
    let (sha, id) = world.pushed("first").await;
    world.github.script(Route::Status, [Trouble::Status(422)]);
    reports.run_to_idle().await.unwrap();
    assert_eq!(outages.now(), [], "it refuses one message");
    world.run(id, &sha).await;
    world.github.script(Route::Status, [Trouble::Status(503)]);
    world.seconds(1);
    reports.run_to_idle().await.unwrap();
    let [outage] = &outages.now()[..] else { panic!("{outages:?}") };
    assert_eq!((outage.place.as_str(), outage.waiting), ("github", 1));
    assert_eq!((outage.failure.code.as_str(), outage.since), ("report/unavailable", world.clock.now()));
    world.seconds(60);
    reports.run_to_idle().await.unwrap();
    assert_eq!(outages.all().into_iter().collect::<Vec<_>>(), [("github".to_owned(), None)]);
}

#[tokio::test]
async fn what_happens_within_a_second_is_one_status_and_the_end_is_told_at_once() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    world.run(id, &sha).await;
    for phase in ["ApplicationStop", "BeforeInstall", "Install"] {
        world.progress(id, phase).await;
        assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Until(start() + SignedDuration::from_secs(1)));
    }
    world.seconds(1);
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    world.progress(id, "ApplicationStart").await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["pending Planned", "pending Install", "success Live after 1 s"]);
}

#[tokio::test]
async fn a_failing_github_is_asked_again_until_it_takes_the_newest() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.github.script(Route::Status, [Trouble::Status(503), Trouble::Status(502), Trouble::None]);
    let mut reports = world.reports();
    let Turn::Until(first) = reports.run_to_idle().await.unwrap() else { panic!("it waits") };
    assert!(first > start() && first <= start() + SignedDuration::from_secs(1), "{first}");
    world.run(id, &sha).await;
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Until(first), "news does not shorten the wait");
    world.seconds(1);
    let Turn::Until(second) = reports.run_to_idle().await.unwrap() else { panic!("it waits") };
    assert!(second > world.clock.now() + SignedDuration::from_millis(900), "the wait doubles: {second}");
    world.succeed(id).await;
    world.seconds(2);
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told(), ["success Live after 1 s"], "what is out of date is passed over");
    let written = world.written("github-status");
    let attempts: Vec<_> = written
        .iter()
        .map(|it| match it {
            SinkEvent::Stumbled { attempt, failure, .. } => (*attempt, failure.code.as_str()),
            SinkEvent::Sent { .. } => (0, "sent"),
            SinkEvent::GaveUp { .. } => (0, "gave up"),
        })
        .collect();
    assert_eq!(attempts, [(1, "report/unavailable"), (2, "report/unavailable"), (0, "sent")]);
}

#[tokio::test]
async fn a_rate_limit_holds_all_and_is_kept_to_the_second() {
    let world = World::new();
    world.pushed("first").await;
    world.pushed("second").await;
    world.github.script(Route::Status, [Trouble::RateLimited { retry_after: 30 }]);
    let mut reports = world.reports();
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Until(start() + SignedDuration::from_secs(30)));
    assert_eq!(world.github.requests().len(), 1);
    world.seconds(30);
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told(), ["pending Planned", "pending Planned"]);
}

#[tokio::test]
async fn what_github_will_never_take_is_given_up_and_what_follows_is_tried() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.github.script(Route::Status, [Trouble::Status(422)]);
    let mut reports = world.reports();
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    let written = world.written("github-status");
    assert!(
        matches!(written.as_slice(), [SinkEvent::GaveUp { deployment, failure, .. }]
            if *deployment == id && failure.code == "report/refused" && failure.help.is_some()),
        "{written:?}"
    );
    world.run(id, &sha).await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["success Live after 0 s"]);
}

#[tokio::test]
async fn a_token_that_may_not_write_is_told_with_what_to_do() {
    let world = World::new();
    world.pushed("first").await;
    // GitHub's «not found» may mean that it does not know the commit yet, right after the push, or not the right.
    world.github.script(Route::Status, std::iter::repeat_n(Trouble::Status(404), 20));
    let mut reports = world.reports();
    while let Turn::Until(at) = reports.run_to_idle().await.unwrap() {
        assert!(world.clock.now() < start() + SignedDuration::from_mins(5));
        world.clock.advance(Duration::try_from(at.duration_since(world.clock.now())).unwrap());
    }
    let Some(SinkEvent::GaveUp { failure, .. }) = world.written("github-status").pop() else { panic!("it gives up") };
    assert_eq!(failure.code, "report/not-found");
    assert!(failure.help.unwrap().contains("Commit statuses: write"));
}

#[tokio::test]
async fn a_renewed_token_lets_the_statuses_through() {
    let world = World::new();
    world.pushed("first").await;
    world.github.set_token("ghp_second");
    let mut reports = world.reports();
    assert!(matches!(reports.run_to_idle().await.unwrap(), Turn::Until(_)));
    std::fs::write(world.github.token_file(), "ghp_second\n").unwrap();
    world.seconds(2);
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told(), ["pending Planned"]);
}

#[tokio::test]
async fn a_crash_between_sending_and_writing_sends_once_more_at_most() {
    for seam in ["report-before-send", "report-sent", "report-recorded"] {
        let world = World::new();
        let (sha, id) = world.pushed("first").await;
        world.run(id, &sha).await;
        world.succeed(id).await;
        // The process dies at the seam: what is in memory is gone, what is on disk and at GitHub stays.
        let mut dying = world.reports().probed(Arc::new(move |at| {
            if at == seam {
                std::panic::resume_unwind(Box::new("killed"));
            }
        }));
        assert!(tokio::spawn(async move { dying.run_to_idle().await }).await.is_err(), "{seam}");
        let mut reports = world.reports();
        assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
        let sends = if seam == "report-sent" { 2 } else { 1 };
        assert_eq!(world.told(), vec!["success Live after 0 s"; sends], "{seam}");
        assert_eq!(world.written("github-status").len(), 1, "{seam}");
        assert_eq!(world.reports().run_to_idle().await.unwrap(), Turn::Idle);
        assert_eq!(world.told().len(), sends, "{seam}: a further start says nothing");
    }
}

#[tokio::test]
async fn a_lost_answer_is_sent_once_more() {
    let world = World::new();
    world.pushed("first").await;
    world.github.script(Route::Status, [Trouble::AnswerLost]);
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    world.seconds(1);
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told(), ["pending Planned", "pending Planned"]);
}

#[tokio::test]
async fn a_redeploy_speaks_for_its_commit_and_the_older_one_is_silent() {
    let world = World::new();
    let (sha, first) = world.pushed("first").await;
    world.run(first, &sha).await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    world.seconds(60);
    let order = world.order("refs/heads/main", &sha, Cause::Redeploy { actor: "ada".into(), key: "k".into() });
    let birth = Birth { order, kind: "redeploy".into() };
    let failure = Failure { blame: Blame::Revision, ..Failure::setup("x/y", "`start.sh` ended with 1") };
    let stop = E::StopAsked { actor: "ada".into(), rollback: false };
    let second = world.append_with(first, stop, vec![birth]).await[0];
    reports.run_to_idle().await.unwrap();
    world.run(second, &sha).await;
    world.succeed(second).await;
    world.append(first, E::Failed { failure }).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["pending The engine works", "pending Planned", "success Live after 0 s"]);
    assert_eq!(world.reports().run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told().len(), 3, "nor after a restart");
}

#[tokio::test]
async fn a_superseded_commit_is_told_so() {
    let world = World::new();
    let (old, first) = world.pushed("first").await;
    let (new, second) = world.pushed("second").await;
    world.append(first, E::Superseded { by: new.clone(), deployment: Some(second) }).await;
    let mut reports = world.reports();
    reports.run_to_idle().await.unwrap();
    let of = |sha: &CommitSha| -> Vec<String> {
        let statuses = world.github.statuses();
        statuses
            .iter()
            .filter(|it| it.sha == sha.as_str())
            .map(|it| format!("{} {}", it.state, it.description))
            .collect()
    };
    assert_eq!(of(&old), [format!("error Not deployed: superseded by {}", new.short())]);
    assert_eq!(of(&new), ["pending Planned"]);
}

#[tokio::test]
async fn an_annotated_tags_status_stands_at_its_commit() {
    let world = World::new();
    let commit = world.repository.commit_and_push("first", &[]);
    world.repository.git(&["tag", "--annotate", "--message", "one", "v1"]);
    world.repository.push(&["--tags"]);
    let object = CommitSha::parse(world.repository.git(&["rev-parse", "v1"])).unwrap();
    let id = world.plan("refs/tags/v1", &object).await;
    let mut reports = world.reports();
    assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
    assert_eq!(world.told(), [""; 0], "a tag object has no status");
    world.run(id, &commit).await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.github.statuses()[0].sha, commit.as_str());
    assert_eq!(world.told(), ["success Live after 0 s"]);
}

#[tokio::test]
async fn without_a_token_statuses_are_shown_and_written_down() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    let config = GitHub { token: None, ..world.github.config() };
    let sinks = Sink::all(&GitHubClients::new(&config, world.clock.clone()).unwrap());
    let mut reports = world.reports_to(sinks);
    reports.run_to_idle().await.unwrap();
    world.run(id, &sha).await;
    world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.github.requests(), [""; 0]);
    let [SinkEvent::Sent { context, text, .. }, SinkEvent::Sent { text: last, .. }] = &world.written("shown")[..]
    else {
        panic!("two statuses");
    };
    assert_eq!((context.as_str(), text.as_str(), last.as_str()), ("landfall/blog", "Planned", "Live after 0 s"));
}

#[tokio::test]
async fn a_commit_that_github_does_not_have_is_not_told_there() {
    let mut world = World::new();
    world.source = SourceSpec::Git { url: "file:///srv/blog.git".into() };
    world.pushed("first").await;
    world.reports().run_to_idle().await.unwrap();
    assert_eq!(world.github.requests(), [""; 0]);
    assert_eq!(world.written("shown").len(), 1);
}
