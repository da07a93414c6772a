//! In several names: each App keeps GitHub's limits for itself, and what holds one of them up holds up no other.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::clients::github::GitHubClients;
use landfall::config::{GitHub, GitHubApp, SecretRef};
use landfall::domain::{
    CommitSha, DeploymentEvent as E, DeploymentId, Failure, RepositoryName, SinkEvent, Target, TargetName,
};
use landfall::report::{Pace, Reports, Sink, Turn};

use super::{World, start};
use crate::worlds::github::{Deployment, Route, Trouble};
use crate::worlds::repository::Repository;

const MAY: &[(&str, &str)] = &[("contents", "read"), ("statuses", "write"), ("deployments", "write")];

/// A world with `acme/blog` and `zeta/shop`, each the matter of an App of its own.
struct Two {
    world: World,
    shop: Repository,
    config: GitHub,
    reports: Reports,
    /// When each repository was written to.
    writes: BTreeMap<&'static str, Vec<Timestamp>>,
}

fn paced(world: &World, config: &GitHub) -> Reports {
    let sinks = Sink::all(&GitHubClients::new(config, world.clock.clone()).unwrap());
    world.reports_to(sinks).paced(Pace { planned: Duration::ZERO, ..Pace::default() })
}

impl Two {
    fn new() -> Self {
        let world = World::new();
        let shop = world.github.repository("zeta/shop");
        world.github.live_by(&world.clock);
        let app = |id, owner: &str| {
            let private_key = SecretRef::File(world.github.app(id));
            world.github.install(id, owner, MAY);
            GitHubApp { id, private_key, repositories: vec![format!("{owner}/*")], installation: None }
        };
        let config = GitHub { apps: vec![app(1, "acme"), app(2, "zeta")], ..world.github.config() };
        let reports = paced(&world, &config);
        Self { world, shop, config, reports, writes: BTreeMap::new() }
    }

    /// Killed and started again: what is in memory is gone.
    fn restart(&mut self) {
        self.reports = paced(&self.world, &self.config);
    }

    async fn blog(&self, title: &str) -> (CommitSha, DeploymentId) {
        self.world.pushed(title).await
    }

    async fn shop(&self, title: &str) -> (CommitSha, DeploymentId) {
        let sha = self.shop.commit_and_push(title, &[("title", title)]);
        let of_shop = |target: &mut Target| {
            target.name = TargetName::parse("shop").unwrap();
            target.repository = RepositoryName::parse("zeta/shop").unwrap();
        };
        let id = self.world.plan_with("refs/heads/main", &sha, of_shop).await;
        (sha, id)
    }

    /// Turns until nothing is to be done for so long, with the clock moved on to each thing that is.
    async fn seconds(&mut self, seconds: u64) {
        let end = self.world.clock.now() + SignedDuration::try_from(Duration::from_secs(seconds)).unwrap();
        loop {
            let before = self.world.github.requests().len();
            let turn = self.reports.advance().await.unwrap();
            let now = self.world.clock.now();
            for request in &self.world.github.requests()[before..] {
                let is_of = |name: &&str| request.starts_with("POST") && request.contains(name);
                for name in ["acme/blog", "zeta/shop"].into_iter().filter(is_of) {
                    self.writes.entry(name).or_default().push(now);
                }
            }
            let next = match turn {
                Turn::Did => continue,
                Turn::Until(at) => at.min(end),
                Turn::Idle => end,
            };
            self.world.clock.advance(Duration::try_from(next.duration_since(now)).unwrap());
            if next == end {
                return;
            }
        }
    }

    /// How long after the start each repository was written to.
    fn written(&self, name: &str) -> Vec<i64> {
        let since = |at: &Timestamp| at.duration_since(start()).as_secs();
        self.writes.get(name).map_or(vec![], |all| all.iter().map(since).collect())
    }
}

#[tokio::test]
async fn one_app_is_limited_for_an_hour_and_the_other_ones_statuses_arrive_at_once() {
    let mut two = Two::new();
    two.blog("first").await;
    two.world.github.script(Route::Status, [Trouble::RateLimited { retry_after: 3600 }]);
    two.seconds(1).await;
    for title in ["one", "two", "three"] {
        let (sha, id) = two.shop(title).await;
        two.world.run(id, &sha).await;
        let (sha, of_blog) = two.blog(title).await;
        two.world.run(of_blog, &sha).await;
        let failure = Failure::revision("x/y", "no");
        two.world.append(of_blog, E::Failed { failure }).await;
        two.world.succeed(id).await;
        two.seconds(10).await;
    }
    let of_shop = |two: &Two| two.world.github.statuses().iter().filter(|it| it.repository == "zeta/shop").count();
    assert_eq!((of_shop(&two), two.written("acme/blog")), (3, vec![0]), "{:#?}", two.world.github.requests());
    let first: Vec<i64> = [1, 11, 21].to_vec();
    assert!(first.iter().all(|at| two.written("zeta/shop").contains(at)), "at once: {:?}", two.written("zeta/shop"));
    two.seconds(3_700).await;
    assert_eq!(two.written("acme/blog")[1], 3600, "to the second");
    for (name, all) in &two.writes {
        let apart = all.windows(2).all(|it| it[1].duration_since(it[0]) >= SignedDuration::from_secs(1));
        assert!(apart, "{name}: one a second: {all:?}");
    }
    let stumbles = two.world.written("github-status").into_iter().filter(|it| matches!(it, SinkEvent::Stumbled { .. }));
    assert_eq!(stumbles.count(), 1, "the others waited without asking");
    assert_eq!(two.world.github.statuses().iter().filter(|it| it.state == "failure").count(), 3);
}

#[tokio::test]
async fn two_apps_write_in_one_second_and_a_restart_knows_who_wrote_last() {
    let mut two = Two::new();
    two.blog("first").await;
    two.seconds(0).await;
    two.restart();
    for title in ["one", "two"] {
        two.blog(title).await;
        two.shop(title).await;
    }
    two.seconds(0).await;
    assert_eq!((two.written("acme/blog"), two.written("zeta/shop")), (vec![0], vec![0]));
    two.seconds(10).await;
    assert_eq!(two.written("acme/blog")[..3], [0, 1, 2]);
    assert_eq!(two.written("zeta/shop")[..2], [0, 1]);
}

#[tokio::test]
async fn messages_mind_what_github_says_is_left_and_ends_go_before() {
    let mut two = Two::new();
    let (sha, ending) = two.blog("ending").await;
    two.world.run(ending, &sha).await;
    two.world.github.count(5_000, 203, start() + SignedDuration::from_mins(30));
    two.seconds(60).await;
    assert!(two.world.github.remaining() <= 200, "{}", two.world.github.remaining());
    let (_, going) = two.blog("going").await;
    two.seconds(60).await;
    let told = |two: &Two| two.world.told().join(", ");
    let before = told(&two);
    two.world.succeed(ending).await;
    two.seconds(60).await;
    assert_eq!(told(&two), format!("{before}, success Live after 2 min 0 s"), "the last two hundred are for ends");
    let page: Vec<_> = two.world.github.deployments().iter().map(Deployment::told).collect();
    assert_eq!(page, [["success: Live after 2 min 0 s"]], "what an end has to know first is read from the same budget");
    two.seconds(30 * 60).await;
    assert!(told(&two).ends_with("pending Planned"), "{going}: {}", told(&two));
}
