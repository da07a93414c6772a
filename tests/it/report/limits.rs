//! GitHub's limits: what reaches it while it is down, while it is slow to forgive, and once a commit has been told much.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfall::domain::{
    Cause, CommitSha, DeploymentEvent as E, DeploymentId, Event, Failure, NoticeState, SinkEvent, Stream, TargetName,
};
use landfall::ledger::{Append, Birth};
use landfall::report::{Pace, Reports, Turn};

use super::{World, start};
use crate::worlds::github::{Route, Trouble};

/// When GitHub was written to, by the world's clock.
#[derive(Default)]
struct Writes(Vec<Timestamp>);

impl Writes {
    /// Turns until nothing is to be done before `end`, with the clock moved on to each thing that is.
    async fn until(&mut self, world: &World, reports: &mut Reports, end: Timestamp) {
        loop {
            let before = world.github.requests().len();
            let turn = reports.advance().await.unwrap();
            let sent = world.github.requests().len() - before;
            assert!(sent <= 1, "one message, one request");
            self.0.extend(std::iter::repeat_n(world.clock.now(), sent));
            let next = match turn {
                Turn::Did => continue,
                Turn::Until(at) => at.min(end),
                Turn::Idle => end,
            };
            world.clock.advance(Duration::try_from(next.duration_since(world.clock.now())).unwrap());
            if next == end {
                return;
            }
        }
    }

    /// The most that fell into any span of this length.
    fn most_within(&self, span: SignedDuration) -> usize {
        let within = |from: &Timestamp| self.0.iter().filter(|at| (*from..*from + span).contains(*at)).count();
        self.0.iter().map(within).max().unwrap_or_default()
    }
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

impl World {
    /// Reports as they are paced in production.
    fn slow_reports(&self) -> Reports {
        self.reports().paced(Pace::default())
    }

    /// A deployment of a commit to a target of its own.
    async fn to_target(&self, name: &str, sha: &CommitSha) -> DeploymentId {
        self.plan_with("refs/heads/main", sha, |target| target.name = TargetName::parse(name).unwrap()).await
    }

    /// The last state of each commit and context.
    fn last_states(&self) -> BTreeMap<(String, String), String> {
        self.github.statuses().into_iter().map(|it| ((it.sha, it.context), it.state)).collect()
    }
}

#[tokio::test]
async fn github_is_down_for_an_hour_the_bot_is_killed_and_nothing_stays_pending() {
    let world = World::new();
    let mut reports = world.slow_reports();
    let (mut writes, mut under_way) = (Writes::default(), vec![]);
    for _ in 0..4 {
        let (sha, id) = world.pushed("before").await;
        world.run(id, &sha).await;
        under_way.push(id);
    }
    writes.until(&world, &mut reports, after(60)).await;
    assert_eq!(world.last_states().into_values().collect::<Vec<_>>(), ["pending"; 4]);
    world.github.script(Route::Status, std::iter::repeat_n(Trouble::Status(502), 10_000));
    for minute in 2..=61 {
        let (sha, id) = world.pushed("meanwhile").await;
        world.run(id, &sha).await;
        under_way.push(id);
        if minute % 3 == 0 {
            world.succeed(under_way.remove(0)).await;
        }
        if minute == 30 {
            // Killed: what is in memory is gone.
            reports = world.slow_reports();
        }
        writes.until(&world, &mut reports, after(60 * minute)).await;
    }
    let tried = writes.0.len();
    assert!((20..60).contains(&tried), "it is asked less and less often: {tried}");
    world.github.mend(Route::Status);
    for id in under_way {
        world.succeed(id).await;
    }
    writes.until(&world, &mut reports, after(2 * 60 * 60)).await;
    assert_eq!(reports.advance().await.unwrap(), Turn::Idle);
    assert_eq!(world.last_states().into_values().collect::<Vec<_>>(), vec!["success"; 64]);
    assert_eq!(writes.most_within(SignedDuration::from_secs(1)), 1);
    assert_eq!(world.slow_reports().advance().await.unwrap(), Turn::Idle, "nor is anything left for the next start");
}

#[tokio::test]
async fn an_hour_that_is_full_holds_back_what_goes_on_first_and_loses_no_end() {
    let world = World::new();
    // A tenth of what GitHub bears.
    let reports_anew = || world.reports().paced(Pace { per_hour: 50, ..Pace::default() });
    let mut reports = reports_anew();
    let mut writes = Writes::default();
    let mut ids = vec![];
    for title in 0..6 {
        let sha = world.repository.commit_and_push(&title.to_string(), &[]);
        for number in 0..10 {
            let id = world.to_target(&format!("t{number}"), &sha).await;
            world.run(id, &sha).await;
            ids.push(id);
        }
    }
    writes.until(&world, &mut reports, after(30 * 60)).await;
    assert_eq!(writes.0.len(), 40, "what goes on leaves a fifth of the hour to what ends");
    for id in ids {
        world.succeed(id).await;
    }
    // Killed: how much the hour holds already is in the ledger.
    reports = reports_anew();
    writes.until(&world, &mut reports, after(45 * 60)).await;
    let ended = |world: &World| world.last_states().values().filter(|state| *state == "success").count();
    assert_eq!((writes.0.len(), ended(&world)), (50, 10));
    writes.until(&world, &mut reports, after(3 * 60 * 60)).await;
    assert_eq!(ended(&world), 60);
    assert_eq!(writes.0.len(), 100, "nobody is told of what was over meanwhile");
    assert_eq!(writes.most_within(SignedDuration::from_mins(60)), 50);
}

/// As if the last of so many statuses of a commit had just been sent.
async fn stand(world: &World, id: DeploymentId, sha: &CommitSha, nth: u32) {
    let event = SinkEvent::Sent {
        deployment: id,
        context: "landfall/blog".into(),
        sha: sha.clone(),
        state: NoticeState::Pending,
        text: "Install".into(),
        remote_id: None,
        nth,
        steps: 0,
    };
    let stream = Stream::Sink("github-status".into());
    world.ledger.append(Append { stream, expect: None, event: Event::Sink(event), births: vec![] }).await.unwrap();
}

#[tokio::test]
async fn after_nine_hundred_statuses_of_a_commit_only_ends_are_told() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.run(id, &sha).await;
    stand(&world, id, &sha, 899).await;
    let mut reports = world.reports();
    for phase in ["Install", "AfterInstall", "ApplicationStart"] {
        world.progress(id, phase).await;
        reports.run_to_idle().await.unwrap();
        world.seconds(600);
    }
    assert_eq!(world.told(), ["pending AfterInstall"], "the nine hundredth");
    let order = world.order("refs/heads/main", &sha, Cause::Redeploy { actor: "ada".into(), key: "k".into() });
    let stop = E::StopAsked { actor: "ada".into(), rollback: false };
    let again = world.append_with(id, stop, vec![Birth { order, kind: "redeploy".into() }]).await[0];
    world.run(again, &sha).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told().len(), 1, "a redeploy of the commit counts on");
    world.succeed(again).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(world.told()[1..], ["success Live after 0 s"]);
    let nth: Vec<u32> = world.written("github-status").iter().map(SinkEvent::nth).collect();
    assert_eq!(nth, [899, 900, 901]);
}

#[tokio::test]
async fn a_lost_answer_counts_as_a_status_that_may_stand() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.run(id, &sha).await;
    world.github.script(Route::Status, [Trouble::AnswerLost, Trouble::RateLimited { retry_after: 5 }]);
    let mut reports = world.reports();
    for _ in 0..3 {
        reports.run_to_idle().await.unwrap();
        world.seconds(10);
    }
    let nth: Vec<u32> = world.written("github-status").iter().map(SinkEvent::nth).collect();
    assert_eq!(nth, [1, 1, 2], "a refusal leaves nothing there");
}

#[tokio::test]
async fn an_answer_that_was_spoiled_on_its_way_loses_no_status() {
    for spoiled in ["{\"what\":", "", "<h1>Welcome to the guests' network</h1>"] {
        let world = World::new();
        let (sha, id) = world.pushed("first").await;
        world.seconds(60 * 60);
        world.run(id, &sha).await;
        world.succeed(id).await;
        world.github.script(Route::Status, [Trouble::Spoiled(spoiled)]);
        let mut reports = world.reports();
        let Turn::Until(again) = reports.run_to_idle().await.unwrap() else { panic!("it waits: {spoiled}") };
        world.clock.advance(Duration::try_from(again.duration_since(world.clock.now())).unwrap());
        assert_eq!(reports.run_to_idle().await.unwrap(), Turn::Idle);
        let written = world.written("github-status");
        let [SinkEvent::Stumbled { failure, .. }, SinkEvent::Sent { .. }] = &written[..] else {
            panic!("{spoiled}: {written:?}")
        };
        assert!(failure.message.contains("no JSON"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_name_that_others_used_up_is_told_with_what_to_do() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.reports().run_to_idle().await.unwrap();
    world.github.fill_statuses(&world.github.statuses()[0], 999);
    world.run(id, &sha).await;
    world.append(id, E::Failed { failure: Failure::setup("x/y", "no") }).await;
    assert_eq!(world.reports().run_to_idle().await.unwrap(), Turn::Idle);
    let Some(SinkEvent::GaveUp { failure, remote_id, .. }) = world.written("github-status").pop() else {
        panic!("it gives up")
    };
    assert_eq!((failure.code.as_str(), remote_id.as_deref()), ("report/too-many", Some("1")));
    assert!(failure.help.unwrap().contains("`context` under `[target.github]`"));
}
