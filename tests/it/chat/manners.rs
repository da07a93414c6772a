//! What a place is spared: quiet hours, and one message for many.

use std::time::Duration;

use landfall::domain::{DeploymentEvent as E, Failure, SinkEvent};
use landfall::report::Turn as Reported;

use super::Place;
use super::outbox::Heard;
use crate::worlds::chat::{Turn, slack};

/// An incoming webhook of Slack's with these keys.
fn place(keys: &'static str) -> Heard {
    Heard::by(Place::written("slack", "U012AB3CD", move |_| format!("webhook = {{ file = \"hook\" }}\n{keys}")))
}

/// What people read of the messages since the last time, without what only programs see.
fn read(heard: &Heard) -> Vec<String> {
    heard.place.chats.take().iter().map(|it| slack::read(&it.body).text.replace('\n', "")).collect()
}

async fn refuse(heard: &Heard, title: &str, why: &str) {
    let (_, id) = heard.pushed(title).await;
    heard.world.append(id, E::Refused { failure: Failure::revision("steps/no-appspec", why) }).await;
}

#[tokio::test]
async fn above_so_many_an_hour_one_message_tells_of_all_that_ended_meanwhile() {
    let heard = place("digest_above = 3\non = [\"refused\"]");
    let mut reports = heard.reports();
    for at in 0..8 {
        refuse(&heard, &format!("{at}"), &format!("no AppSpec in <!channel> {at}")).await;
        reports.run_to_idle().await.unwrap();
        heard.world.seconds(2);
    }
    assert_eq!(read(&heard).len(), 3, "so many stand alone");
    let Reported::Until(next) = reports.run_to_idle().await.unwrap() else { panic!("the rest waits") };
    let wait = next.duration_since(heard.world.clock.now()).as_secs();
    assert!((800..=900).contains(&wait), "{wait}");
    heard.world.seconds(u64::try_from(wait).unwrap() + 1);
    assert_eq!(reports.run_to_idle().await.unwrap(), Reported::Idle);
    let told = read(&heard);
    let [digest] = told.as_slice() else { panic!("{told:?}") };
    assert!(digest.contains("5 deployments"), "{digest}");
    assert!(digest.contains("5 refused"), "{digest}");
    assert!((3..8).all(|at| digest.contains(&format!("no AppSpec in <!channel> {at}"))), "{digest}");
    // Of each it is on record that it was told: another life of the bot says nothing again.
    let sent = heard.world.written("chat-ops").into_iter().filter(|it| matches!(it, SinkEvent::Sent { .. }));
    assert_eq!(sent.count(), 8);
    heard.reports().run_to_idle().await.unwrap();
    assert_eq!(read(&heard), [""; 0]);
}

#[tokio::test]
async fn what_was_gathered_when_the_bot_ended_or_the_place_was_down_is_told_all_the_same() {
    let heard = place("digest_above = 1\non = [\"refused\"]");
    let mut reports = heard.reports();
    for at in 0..4 {
        refuse(&heard, &format!("{at}"), &format!("reason {at}")).await;
        reports.run_to_idle().await.unwrap();
        heard.world.seconds(2);
    }
    assert_eq!(read(&heard).len(), 1);
    heard.world.seconds(1000);
    heard.place.chats.turn(Turn::Says(503, ""));
    reports.run_to_idle().await.unwrap();
    assert_eq!(read(&heard).len(), 1, "the digest that was not taken");
    // Killed now: what was held back was told to nobody, and is told by another life of the bot.
    let mut reports = heard.reports();
    let mut told = vec![];
    for _ in 0..4 {
        reports.run_to_idle().await.unwrap();
        told.extend(read(&heard));
        heard.world.seconds(1000);
    }
    assert!((1..4).all(|at| told.iter().any(|it| it.contains(&format!("reason {at}")))), "{told:?}");
}

#[tokio::test]
async fn in_quiet_hours_only_what_cannot_wait_is_told_and_in_the_morning_the_rest_in_one_message() {
    // The worlds' clock says which hour it is; the hours are its own and the two after it.
    let heard = place("quiet = [{ cron = \"0 * * * *\", for = \"40m\" }]\nurgent = [\"failed\"]");
    let now = heard.world.clock.now().to_zoned(jiff::tz::TimeZone::UTC);
    let to_next_hour = 3600 - i64::from(now.minute()) * 60 - i64::from(now.second());
    heard.world.seconds(u64::try_from(to_next_hour).unwrap() + 60);
    let mut reports = heard.reports();
    for title in ["first", "second"] {
        let (sha, id) = heard.pushed(title).await;
        heard.world.run(id, &sha).await;
        heard.world.succeed(id).await;
        reports.run_to_idle().await.unwrap();
        heard.world.seconds(60);
    }
    assert_eq!(read(&heard), [""; 0], "it is quiet");
    let id = heard.began("third").await;
    heard.fail(id).await;
    reports.run_to_idle().await.unwrap();
    let urgent = read(&heard);
    assert!(urgent.len() == 1 && urgent[0].contains("blog failed"), "{urgent:?}");
    heard.world.seconds(40 * 60);
    reports.run_to_idle().await.unwrap();
    let morning = read(&heard);
    let [digest] = morning.as_slice() else { panic!("{morning:?}") };
    assert!(digest.contains("2 deployments") && digest.contains("2 succeeded"), "{digest}");
}

#[tokio::test]
async fn a_digest_that_a_service_refuses_is_told_one_by_one() {
    let heard = place("digest_above = 1\non = [\"refused\"]");
    let mut reports = heard.reports();
    for at in 0..3 {
        refuse(&heard, &format!("{at}"), &format!("reason {at}")).await;
        reports.run_to_idle().await.unwrap();
        heard.world.seconds(2);
    }
    read(&heard);
    heard.world.seconds(1000);
    heard.place.chats.turn(Turn::Says(400, "invalid_blocks"));
    reports.run_to_idle().await.unwrap();
    let told = read(&heard);
    assert_eq!(told.len(), 3, "the digest, and then both: {told:?}");
    assert!(told[1].contains("reason") && told[2].contains("reason"), "{told:?}");
    refuse(&heard, "3", "reason 3").await;
    reports.run_to_idle().await.unwrap();
    assert_eq!(read(&heard), [""; 0], "what follows is gathered again");
}

#[tokio::test]
async fn a_night_is_slept_through_and_nothing_is_done_for_what_waits() {
    let heard = place("quiet = [{ cron = \"0 0 * * *\", for = \"10h\" }]");
    let now = heard.world.clock.now().as_second();
    heard.world.seconds(u64::try_from(86_400 - now % 86_400 + 60).unwrap());
    let mut reports = heard.reports();
    let (sha, id) = heard.pushed("first").await;
    heard.world.run(id, &sha).await;
    heard.world.succeed(id).await;
    for hour in 0..10 {
        let turn = tokio::time::timeout(Duration::from_secs(20), reports.run_to_idle()).await;
        let Ok(Ok(Reported::Until(next))) = turn else { panic!("{hour}: {turn:?}") };
        assert!(next > heard.world.clock.now(), "{hour}");
        assert_eq!(read(&heard), [""; 0], "{hour}");
        heard.world.seconds(60 * 60);
    }
    reports.run_to_idle().await.unwrap();
    assert_eq!(read(&heard).len(), 1);
}

#[tokio::test]
async fn what_is_held_back_is_not_put_off_by_what_is_told_meanwhile() {
    let heard = place("digest_above = 1\nurgent = [\"failed\"]\non = [\"refused\", \"failed\"]");
    let mut reports = heard.reports();
    for (title, minutes) in [("first", 14), ("second", 2)] {
        let id = heard.began(title).await;
        heard.fail(id).await;
        refuse(&heard, &format!("{title} refused"), "reason").await;
        reports.run_to_idle().await.unwrap();
        assert_eq!(read(&heard).len(), 1, "{title}: what cannot wait");
        heard.world.seconds(minutes * 60);
    }
    reports.run_to_idle().await.unwrap();
    assert_eq!(read(&heard).len(), 1, "one quarter of an hour after the first was held back, and a minute");
}

#[tokio::test]
async fn many_that_a_place_did_not_take_are_known_by_the_next_life_of_the_bot_hours_later() {
    let heard = place("digest_above = 1\non = [\"refused\"]");
    let mut reports = heard.reports();
    for at in 0..4 {
        refuse(&heard, &format!("{at}"), &format!("reason {at}")).await;
        reports.run_to_idle().await.unwrap();
        heard.world.seconds(2);
    }
    heard.world.seconds(1000);
    heard.place.chats.turn(Turn::Says(503, ""));
    reports.run_to_idle().await.unwrap();
    read(&heard);
    heard.world.seconds(5 * 60 * 60);
    let mut reports = heard.reports();
    let mut told = vec![];
    for _ in 0..4 {
        reports.run_to_idle().await.unwrap();
        told.extend(read(&heard));
        heard.world.seconds(1000);
    }
    assert!((1..4).all(|at| told.iter().any(|it| it.contains(&format!("reason {at}")))), "{told:?}");
}

#[tokio::test]
async fn what_is_gathered_is_told_when_the_bot_ends() {
    let heard = place("digest_above = 1\non = [\"refused\"]");
    let mut reports = heard.reports();
    for at in 0..3 {
        refuse(&heard, &format!("{at}"), &format!("reason {at}")).await;
        reports.run_to_idle().await.unwrap();
    }
    assert_eq!(read(&heard).len(), 1);
    reports.flush(Duration::from_secs(5)).await.unwrap();
    let told = read(&heard);
    assert!(told.len() == 1 && told[0].contains("2 deployments"), "{told:?}");
}

#[tokio::test]
async fn what_goes_in_the_place_of_a_message_is_never_held_back() {
    let heard = Heard::by(super::slack::bot_with("digest_above = 1"));
    let mut reports = heard.reports();
    let id = heard.began("first").await;
    reports.run_to_idle().await.unwrap();
    heard.fail(id).await;
    reports.run_to_idle().await.unwrap();
    let told = heard.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("chat.update: ❌"), "{told:?}");
}
