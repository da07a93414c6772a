//! What a place in chat hears of deployments, in which order, and what becomes of it where the service is down.

use std::sync::Arc;
use std::time::Duration;

use landfall::board::Outages;
use landfall::clients::github::GitHubClients;
use landfall::domain::{
    Cause, CommitSha, DeploymentEvent as E, DeploymentId, Failure, Hold, HoldKind, Lifecycle, Order, Progress,
    SinkEvent, StepStatus,
};
use landfall::report::{ChatPlace, Reports, Sink, Turn as Reported};
use landfall::source::Sources;
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::worlds::chat::{Told, Turn};
use crate::worlds::deployments::World;

/// A place in chat, and a ledger of whose deployments it hears.
pub(super) struct Heard {
    pub(super) world: World,
    pub(super) place: Place,
}

impl Heard {
    pub(super) fn by(place: Place) -> Self {
        Self { world: World::new(), place }
    }

    pub(super) fn reports(&self) -> Reports {
        let github = GitHubClients::new(&self.world.github.config(), self.world.clock.clone()).unwrap();
        let sources = Sources::new(self.world.dir.path(), github);
        let chat = ChatPlace::new(&self.place.chat, &sources, &self.world.clock, "https://github.com");
        self.world.reports_to(vec![Sink::Chat(Arc::new(chat))])
    }

    /// An order that the place hears of.
    pub(super) fn order(&self, sha: &CommitSha, cause: Cause) -> Order {
        let mut order = self.world.order("refs/heads/main", sha, cause);
        Arc::make_mut(&mut order.target).notify = vec!["ops".into()];
        order
    }

    pub(super) async fn pushed(&self, title: &str) -> (CommitSha, DeploymentId) {
        let sha = self.world.repository.commit_and_push(title, &[("title", title)]);
        let id = self.world.plan_with("refs/heads/main", &sha, |it| it.notify = vec!["ops".into()]).await;
        (sha, id)
    }

    /// A deployment that began: what everybody is told.
    pub(super) async fn began(&self, title: &str) -> DeploymentId {
        let (sha, id) = self.pushed(title).await;
        self.world.append(id, E::Weighing).await;
        let (head, commit) = (sha.clone(), sha);
        self.world.append(id, E::Weighed { head, commit, forced: false, doubt: None }).await;
        id
    }

    pub(super) async fn fail(&self, id: DeploymentId) {
        self.world
            .append(id, E::Failed { failure: Failure::revision("host/script-failed", "no").help("mend it") })
            .await;
    }

    /// What was told since the last time: how, and the line of its notification.
    pub(super) fn told(&self) -> Vec<String> {
        let line = |it: Told| {
            let way = it.path.rsplit('/').next().unwrap_or_default().to_owned();
            let beneath = if it.body["thread_ts"].is_null() { "" } else { " beneath" };
            format!("{way}{beneath}: {}", it.body["text"].as_str().unwrap())
        };
        self.place.chats.take().into_iter().map(line).collect()
    }
}

fn webhook() -> Heard {
    Heard::by(Place::of("slack", "U012AB3CD"))
}

fn bot() -> Heard {
    Heard::by(super::slack::bot())
}

pub(super) async fn steps(world: &World, id: DeploymentId, names: &[&str]) {
    let step = |name: &&str| Lifecycle {
        name: (*name).into(),
        status: StepStatus::Succeeded,
        instance: None,
        script: None,
        took_ms: Some(1500),
    };
    let progress =
        Progress { phase: Some("Install".into()), lifecycle: names.iter().map(step).collect(), ..Progress::default() };
    world.append(id, E::Progressed { progress }).await;
}

#[tokio::test]
async fn who_cannot_edit_hears_of_the_beginning_and_of_the_end() {
    let heard = webhook();
    let mut reports = heard.reports();
    let (sha, id) = heard.pushed("first").await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(heard.told(), [""; 0], "what is merely planned is no news");
    heard.world.append(id, E::Weighing).await;
    let (head, commit) = (sha.clone(), sha.clone());
    heard.world.append(id, E::Weighed { head, commit, forced: false, doubt: None }).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(heard.told(), [format!("xxxxxxxx: ⏳ blog: deploying {}: Preparing the revision", sha.short())]);
    heard.fail(id).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(heard.told(), [format!("xxxxxxxx: ❌ blog failed {}: Failed: no", sha.short())]);
}

#[tokio::test]
async fn who_can_edit_has_one_message_and_the_steps_beneath_it_once() {
    let heard = bot();
    let mut reports = heard.reports();
    let (sha, id) = heard.pushed("first").await;
    heard.world.run(id, &sha).await;
    steps(&heard.world, id, &["BeforeInstall"]).await;
    reports.run_to_idle().await.unwrap();
    let first = heard.told();
    assert!(first[0].starts_with("chat.postMessage: ⏳ blog: deploying"), "{first:?}");
    assert_eq!(first[1], "chat.postMessage beneath: ✓ BeforeInstall done after 1.5 s");
    steps(&heard.world, id, &["BeforeInstall", "Install"]).await;
    // Another life of the bot knows what stands there.
    let mut reports = heard.reports();
    heard.world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    let then = heard.told();
    assert!(then[0].starts_with("chat.update: ✅ blog is live"), "{then:?}");
    assert_eq!(then[1..], ["chat.postMessage beneath: ✓ Install done after 1.5 s"]);
    assert!(matches!(heard.world.written("chat-ops").last(), Some(SinkEvent::Sent { steps: 2, .. })));
}

#[tokio::test]
async fn after_a_failure_a_success_is_a_recovery_and_says_what_changed() {
    let heard = webhook();
    let mut reports = heard.reports();
    let (_, live) = heard.pushed("live").await;
    heard.world.run(live, &heard.world.repository.head()).await;
    heard.world.succeed(live).await;
    heard.world.seconds(1);
    let (sha, id) = heard.pushed("breaks <it>").await;
    heard.world.run(id, &sha).await;
    heard.fail(id).await;
    heard.world.seconds(1);
    let (sha, id) = heard.pushed("mends it").await;
    heard.world.run(id, &sha).await;
    heard.world.succeed(id).await;
    reports.run_to_idle().await.unwrap();
    let told = heard.place.chats.take();
    let last = told.iter().find(|it| it.body["text"].as_str().unwrap().contains("has recovered")).unwrap();
    let changes = &last.body["attachments"][0]["blocks"][0]["elements"];
    let list = changes.as_array().unwrap().iter().find(|it| it["type"] == "rich_text_list").unwrap().to_string();
    let at = |title: &str| list.find(title).unwrap_or_else(|| panic!("{title} in {list}"));
    assert!(at("mends it") < at("breaks <it>"), "the newest first, and none that was live: {list}");
    assert!(!list.contains("\"live\""), "{list}");
}

#[tokio::test]
async fn a_service_that_is_down_for_an_hour_loses_no_last_word() {
    let heard = webhook();
    let mut reports = heard.reports();
    let (sha, id) = heard.pushed("first").await;
    heard.world.run(id, &sha).await;
    heard.world.succeed(id).await;
    let mut tries = 0;
    let began = heard.world.clock.now();
    while heard.world.clock.now().duration_since(began).as_secs() < 3600 {
        heard.place.chats.turn(if tries % 3 == 0 { Turn::Busy(20) } else { Turn::Says(503, "") });
        let Reported::Until(next) = reports.run_to_idle().await.unwrap() else { panic!("it waits") };
        let wait = u64::try_from(next.duration_since(heard.world.clock.now()).as_secs()).unwrap() + 1;
        heard.world.seconds(wait);
        tries += 1;
    }
    assert!((10..60).contains(&tries), "it is asked again, and not all the time: {tries}");
    heard.place.chats.take();
    assert_eq!(reports.run_to_idle().await.unwrap(), Reported::Idle);
    let told = heard.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("is live"), "{told:?}");
}

#[tokio::test]
async fn the_end_of_the_program_waits_once_for_a_place_that_hangs() {
    let heard = webhook();
    heard.place.chats.mood(Some(Turn::Hangs));
    heard.began("first").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(heard.reports().run(stop.clone()));
    let asked = async {
        while heard.place.chats.heard() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap();
    heard.began("second").await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(heard.place.chats.heard(), 1, "the second would hang as the first one did");
    heard.place.chats.mood(None);
    heard.place.chats.take();
    heard.reports().run_to_idle().await.unwrap();
    assert_eq!(heard.told().len(), 2, "both are told by the next life");
}

#[tokio::test]
async fn what_ended_while_a_place_was_down_is_told_by_another_life_of_the_bot_hours_later() {
    let heard = webhook();
    let mut reports = heard.reports();
    let first = heard.began("first").await;
    heard.place.chats.mood(Some(Turn::Says(503, "")));
    reports.run_to_idle().await.unwrap();
    let second = heard.began("second").await;
    heard.fail(first).await;
    heard.fail(second).await;
    drop(reports);
    heard.place.chats.mood(None);
    heard.place.chats.take();
    heard.world.seconds(5 * 60 * 60);
    heard.reports().run_to_idle().await.unwrap();
    let told = heard.told();
    assert_eq!(told.iter().filter(|it| it.contains("blog failed")).count(), 2, "{told:?}");
}

/// The only place that is shown to be down: since when, why, and how much waits.
fn shown(outages: &Outages) -> (i64, String, usize) {
    let [outage] = &outages.now()[..] else { panic!("one place is down: {outages:?}") };
    assert_eq!(outage.place, "chat-ops");
    (outage.since.as_second(), outage.failure.code.clone(), outage.waiting)
}

#[tokio::test]
async fn a_place_that_is_down_is_shown_until_it_takes_a_message_across_a_restart() {
    let heard = webhook();
    let outages = Outages::default();
    let mut reports = heard.reports().showing(outages.clone());
    assert_eq!(outages.all().into_iter().collect::<Vec<_>>(), [("chat-ops".to_owned(), None)]);
    let began = heard.world.clock.now().as_second();
    heard.began("first").await;
    heard.place.chats.turn(Turn::Says(503, ""));
    reports.run_to_idle().await.unwrap();
    assert_eq!(shown(&outages), (began, "chat/down".into(), 1));
    heard.world.seconds(600);
    heard.place.chats.turn(Turn::Says(404, ""));
    reports.run_to_idle().await.unwrap();
    heard.began("second").await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(shown(&outages), (began, "chat/denied".into(), 2), "as it was found last");
    drop(reports);
    let outages = Outages::default();
    let mut reports = heard.reports().showing(outages.clone());
    heard.place.chats.turn(Turn::Says(404, ""));
    reports.run_to_idle().await.unwrap();
    assert_eq!(shown(&outages), (began, "chat/denied".into(), 2), "another life of the bot knows since when");
    heard.place.chats.take();
    heard.world.seconds(600);
    reports.run_to_idle().await.unwrap();
    assert_eq!(outages.now(), [], "it is back");
    assert_eq!(heard.told().len(), 2, "both deployments began");
}

#[tokio::test]
async fn who_is_busy_once_is_shown_nowhere_and_who_is_again_and_again_is() {
    let heard = webhook();
    let outages = Outages::default();
    let mut reports = heard.reports().showing(outages.clone());
    heard.began("first").await;
    heard.place.chats.mood(Some(Turn::Busy(20)));
    reports.run_to_idle().await.unwrap();
    assert_eq!(outages.now(), []);
    heard.world.seconds(21);
    reports.run_to_idle().await.unwrap();
    assert_eq!(shown(&outages).1, "chat/busy");
}

#[tokio::test]
async fn a_place_for_which_nothing_waits_any_more_is_not_said_to_be_down_after_a_restart() {
    let heard = webhook();
    let mut reports = heard.reports();
    let id = heard.began("first").await;
    heard.place.chats.turn(Turn::Says(503, ""));
    reports.run_to_idle().await.unwrap();
    heard.fail(id).await;
    heard.world.seconds(3 * 24 * 60 * 60);
    heard.place.chats.turn(Turn::Says(503, ""));
    reports.run_to_idle().await.unwrap();
    assert!(matches!(heard.world.written("chat-ops").last(), Some(SinkEvent::GaveUp { .. })));
    let outages = Outages::default();
    heard.reports().showing(outages.clone()).run_to_idle().await.unwrap();
    assert_eq!(outages.now(), []);
}

#[tokio::test]
async fn who_was_told_that_something_waits_is_told_that_it_was_passed_over() {
    let heard = webhook();
    let mut reports = heard.reports();
    let (_, id) = heard.pushed("waits").await;
    let hold = Hold { kind: HoldKind::Lock, reason: "locked by ada".into(), until: None };
    heard.world.append(id, E::Held { hold }).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(heard.told().len(), 1);
    let (by, unheard) = heard.pushed("newer").await;
    heard.world.append(id, E::Superseded { by: by.clone(), deployment: Some(unheard) }).await;
    heard.world.append(unheard, E::Superseded { by, deployment: None }).await;
    reports.run_to_idle().await.unwrap();
    let told = heard.told();
    assert!(told.len() == 1 && told[0].contains("blog was superseded"), "and nothing of what was never told: {told:?}");
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_told() {
    let place = Place::written("slack", "U012AB3CD", |_| {
        "webhook = { file = \"hook\" }\non = [\"failed\", \"recovered\"]".into()
    });
    let heard = Heard::by(place);
    let mut reports = heard.reports();
    let (sha, id) = heard.pushed("first").await;
    heard.world.run(id, &sha).await;
    heard.world.succeed(id).await;
    let other = heard.world.repository.commit_and_push("other", &[("title", "other")]);
    heard.world.plan("refs/heads/main", &other).await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(heard.told(), [""; 0]);
}
