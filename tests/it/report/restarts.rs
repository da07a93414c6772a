//! What is left to say when the program ends, and what of it is said after the next start.

use std::time::Duration;

use landfall::domain::SinkEvent;
use landfall::report::{Pace, Turn};
use tokio_util::sync::CancellationToken;

use super::{World, open};
use crate::worlds::github::{Route, Trouble};

#[tokio::test]
async fn a_stumble_is_remembered_over_a_restart() {
    let world = World::new();
    world.pushed("first").await;
    world.github.script(Route::Status, [Trouble::Status(500), Trouble::Status(500), Trouble::Status(500)]);
    let mut reports = world.reports();
    let Turn::Until(at) = reports.run_to_idle().await.unwrap() else { panic!("it waits") };
    assert_eq!(world.reports().run_to_idle().await.unwrap(), Turn::Until(at));
    world.seconds(1);
    world.reports().run_to_idle().await.unwrap();
    let written = world.written("github-status");
    assert!(matches!(written[1], SinkEvent::Stumbled { attempt: 2, .. }), "{written:?}");
}

#[tokio::test]
async fn the_outbox_survives_a_restart_of_everything() {
    let mut world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.reports().run_to_idle().await.unwrap();
    world.run(id, &sha).await;
    world.succeed(id).await;
    world.ledger.close().await;
    world.ledger = open(world.dir.path(), &world.clock);
    world.reports().run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["pending Planned", "success Live after 0 s"]);
}

#[tokio::test]
async fn a_new_sink_does_not_tell_of_times_long_gone() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    world.run(id, &sha).await;
    world.succeed(id).await;
    world.seconds(25 * 60 * 60);
    let (_, waiting) = world.pushed("second").await;
    world.reports().run_to_idle().await.unwrap();
    assert_eq!(world.told(), ["pending Planned"]);
    assert!(
        matches!(&world.written("github-status")[..], [SinkEvent::Sent { deployment, .. }] if *deployment == waiting)
    );
}

#[tokio::test]
async fn the_program_ends_when_the_last_status_is_out() {
    let world = World::new();
    let (sha, id) = world.pushed("first").await;
    let stop = CancellationToken::new();
    let pace = Pace { between: Duration::from_secs(1), planned: Duration::ZERO, ..Pace::default() };
    let running = tokio::spawn(world.reports().paced(pace).run(stop.clone()));
    let mut end = world.ledger.follow();
    end.wait_for(|_| world.written("github-status").len() == 1).await.unwrap();
    // The clock stands: both the pace and the second of coalescing would hold these back.
    world.run(id, &sha).await;
    world.pushed("second").await;
    world.succeed(id).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["pending Planned", "pending Planned", "success Live after 0 s"]);
}
