//! Many deployments at once, through the whole bot: each ends right and once, and watching all of them costs an account
//! no more calls in a tick than one would. `benches/fleet.rs` does the same with a thousand and the shipped binary.

use std::collections::BTreeMap;
use std::time::Duration;

use landfall::app::Parts;
use landfall::clients::Clock;
use landfall::domain::{Ask, DeploymentId, Request};
use landfall::engine::codedeploy::Pace;

use crate::bot::{Bot, deliver};
use crate::worlds::crowd::{Crowd, WATCHING, born};
use crate::worlds::push::SECRET;
use crate::worlds::repository::Repository;

/// The bot's own tick, in the time of a clock that runs ten times as fast.
const TICK: Duration = Duration::from_secs(15);

/// How much later a call may come to CodeDeploy than it was counted by the bot, on a machine with much else to do.
const LATE: Duration = Duration::from_secs(3);

#[test]
fn a_hundred_deployments_at_once_end_right_and_once_within_sixty_calls_a_tick() {
    let clock = Clock::manual(Clock::system().now());
    let (crowd, dir) = (Crowd::gather(100, &clock), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("secret"), SECRET).unwrap();
    let text = crowd.configuration(dir.path(), "127.0.0.1:0");
    let mut bot = Bot::configured(dir.path(), Repository::lasting(dir.path()), text);
    bot.clock = clock.clone();
    bot.parts = |parts| Parts { pace: Pace::default(), ..parts };
    bot.start();
    let _fast = super::Fast::run(&clock, 10);
    crowd.push();
    let delivered = crowd.deliveries().into_iter().map(|(id, payload)| {
        let (status, answer) = bot.runtime.block_on(deliver(&bot.url(), &id, &payload));
        assert_eq!(status, 202, "{id}: {answer}");
        born(&answer)
    });
    let ids: Vec<DeploymentId> = delivered.collect();
    crowd.drive(Duration::from_secs(10), &ids, |what| {
        let (Ask::Stop { deployment, .. } | Ask::Approve { deployment, .. }) = &what else { panic!("{what:?}") };
        let request = Request { actor: "ada".into(), key: format!("for {deployment}"), what };
        bot.runtime.block_on(bot.app().asks.ask(request)).unwrap();
    });
    bot.settle();

    assert_eq!(crowd.wrongs(), [""; 0]);
    let states = bot.deployments().into_iter().map(|it| (it.order().target.name.to_string(), it.state().name()));
    assert_eq!(states.collect::<BTreeMap<_, _>>(), crowd.states());
    assert_eq!(bot.deployments().len(), crowd.members.len());
    let ticks = crowd.ticks(TICK - LATE, |call| WATCHING.contains(&call));
    assert!(ticks.most <= 60, "{ticks:?}");
    assert_eq!(crowd.codedeploy.count("CreateDeployment"), crowd.members.len());
}
