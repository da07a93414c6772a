//! What GitHub lets us ask in an hour: what has not changed is not counted, what can wait waits, and the last fifth is for
//! telling how deployments ended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::clients::Clock;
use landfall::clients::github::{GitHubClient, GitHubClients, GitHubError, Hook};
use landfall::config::{GitHub, GitHubApp, SecretRef};
use landfall::domain::{CommitSha, RefName, Relation, RepositoryName, SourceSpec};
use landfall::source::{Source, SourceError, Sources};
use serde_json::{Value, json};

use crate::git_source::target;
use crate::worlds::github::GitHubWorld;
use crate::worlds::repository::Repository;

struct World {
    github: GitHubWorld,
    repository: Repository,
    clock: Clock,
    client: GitHubClient,
    source: Source,
    commit: CommitSha,
}

impl World {
    /// A repository with a commit, asked for with the token.
    fn new() -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/blog");
        let commit = repository.commit_and_push("first", &[("a", "1")]);
        let clock = Clock::manual("2026-11-21T12:00:00Z".parse().unwrap());
        github.live_by(&clock);
        let clients = GitHubClients::new(&github.config(), clock.clone()).unwrap();
        let client = clients.of(&blog());
        let source = Sources::new("/nowhere", clients).of(&target(SourceSpec::GitHub));
        Self { github, repository, clock, client, source, commit }
    }

    /// So many of 5000 requests are left for an hour.
    fn left(&self, remaining: u32) -> Timestamp {
        let resets = self.clock.now() + SignedDuration::from_hours(1);
        self.github.count(5_000, remaining, resets);
        resets
    }

    async fn head(&self) -> Result<CommitSha, SourceError> {
        let main = RefName::parse("refs/heads/main").unwrap();
        Ok(self.source.head(&main).await?.unwrap().commit)
    }

    async fn set_status(&self) -> Result<Value, GitHubError> {
        let body = json!({ "state": "success", "context": "landfall/blog" });
        self.client.post(&format!("/repos/acme/blog/statuses/{}", self.commit), &body).await
    }
}

fn blog() -> RepositoryName {
    RepositoryName::parse("acme/blog").unwrap()
}

#[tokio::test]
async fn a_head_that_has_not_moved_is_not_counted() {
    let world = World::new();
    world.left(5_000);
    for _ in 0..100 {
        assert_eq!(world.head().await.unwrap(), world.commit);
    }
    assert_eq!(world.github.remaining(), 4_999, "the first alone");
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    assert_eq!(world.head().await.unwrap(), second);
    assert_eq!(world.head().await.unwrap(), second);
    assert_eq!(world.github.remaining(), 4_998);
}

#[tokio::test]
async fn comparisons_and_lists_of_deliveries_that_have_not_changed_are_not_counted() {
    let world = World::new();
    let second = world.repository.commit_and_push("second", &[("a", "2")]);
    let number = world.github.hook("acme/blog", "secret");
    for n in 0..7 {
        world.github.note(number, 202, &format!("delivery-{n}"), "push", &json!({}));
    }
    let hook = Hook::OfRepository { repository: blog(), number };
    world.left(5_000);
    for _ in 0..10 {
        assert_eq!(world.source.relation(&world.commit, &second).await.unwrap(), Relation::Ancestor);
        let first = world.client.attempts(&hook, None).await.unwrap();
        assert_eq!(first.attempts.len(), 5);
        assert!(first.older.is_some(), "where the older ones are is known, too");
    }
    assert_eq!(world.github.remaining(), 4_998);
}

#[tokio::test]
async fn of_the_last_fifth_nothing_is_read_and_statuses_are_still_set() {
    let world = World::new();
    let resets = world.left(1_001);
    world.head().await.unwrap();
    let asked = world.github.requests().len();
    let refused = world.head().await.unwrap_err();
    assert_eq!((refused.retry_at(), refused.is_passing()), (Some(resets), true));
    assert!(world.source.peek(&world.commit, "a").await.is_err(), "what a deployment is made of waits, too");
    assert_eq!(world.github.requests().len(), asked, "GitHub was not asked at all");
    for _ in 0..20 {
        world.set_status().await.unwrap();
    }
    world.clock.advance(Duration::from_hours(1));
    world.left(5_000);
    assert_eq!(world.head().await.unwrap(), world.commit);
}

#[tokio::test]
async fn the_end_of_githubs_hour_is_told_by_our_clock_and_silences_nobody_for_longer() {
    let world = World::new();
    // GitHub's clock is ten minutes ahead of ours.
    world.github.live_by(&Clock::manual(world.clock.now() + SignedDuration::from_mins(10)));
    world.github.count(5_000, 900, world.clock.now() + SignedDuration::from_mins(30));
    world.head().await.unwrap();
    let in_twenty_minutes = world.clock.now() + SignedDuration::from_mins(20);
    assert_eq!(world.head().await.unwrap_err().retry_at(), Some(in_twenty_minutes));
    world.clock.advance(Duration::from_mins(20));
    // Nobody's hour ends in a month.
    world.github.live_by(&world.clock);
    world.github.count(5_000, 900, world.clock.now() + SignedDuration::from_hours(24 * 30));
    world.head().await.unwrap();
    let in_an_hour = world.clock.now() + SignedDuration::from_hours(1);
    assert_eq!(world.head().await.unwrap_err().retry_at(), Some(in_an_hour));
}

#[tokio::test]
async fn polls_are_slowed_before_they_are_refused() {
    let world = World::new();
    world.left(2_401);
    world.head().await.unwrap();
    world.head().await.unwrap();
    let (next, peeked) = (world.head(), world.source.peek(&world.commit, "a"));
    tokio::pin!(next);
    tokio::select! {
        biased;
        _ = &mut next => panic!("it came at once, though little is left"),
        peeked = peeked => assert!(peeked.unwrap().is_some(), "what a deployment waits for goes first"),
    }
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(next.await.unwrap(), world.commit);
}

#[tokio::test]
async fn each_identity_has_a_budget_of_its_own() {
    let world = World::new();
    let key = world.github.app(5);
    world.github.install(5, "acme", &[("contents", "read")]);
    let private_key = SecretRef::File(key);
    let app = GitHubApp { repositories: vec!["acme/*".into()], id: 5, private_key, installation: None };
    let clients =
        GitHubClients::new(&GitHub { apps: vec![app], ..world.github.config() }, world.clock.clone()).unwrap();
    world.left(900);
    world.head().await.unwrap();
    assert!(world.head().await.is_err());
    let by_app = Sources::new("/nowhere", clients).of(&target(SourceSpec::GitHub));
    let main = RefName::parse("refs/heads/main").unwrap();
    assert!(by_app.head(&main).await.is_ok(), "nothing is known yet of what the App may ask");
    assert!(by_app.head(&main).await.is_err());
}
