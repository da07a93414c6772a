//! A machine's clock that turns out to have been wrong: nothing waits for years, and a newer push goes live.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use landfall::clients::Clock;

use crate::aws_line::Fast;
use crate::bot::{Bot, Extra};

const NOW: &str = "2026-11-22T12:00:00Z";
const YEARS_AHEAD: &str = "2031-01-01T00:00:00Z";
const AN_HOUR_AGO: &str = "2026-11-22T11:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A bot by this clock, which goes on faster than the machine's: once a minute it is looked at in any case.
fn bot_by(clock: &Clock) -> (Bot, Fast) {
    let mut bot = Bot::asleep(&Extra::default());
    bot.clock = clock.clone();
    bot.start();
    (bot, Fast::run(clock, 20))
}

#[test]
fn what_waits_for_a_time_that_a_wrong_clock_told_is_tried_when_the_clock_is_right() {
    let clock = Clock::manual(at(YEARS_AHEAD));
    let (mut bot, _going) = bot_by(&clock);
    let sha = bot.commit("one");
    let (bare, away) = (bot.repo.bare().to_owned(), bot.dir.join("away"));
    fs::rename(&bare, &away).unwrap();
    bot.deliver("delivery-1", &sha);
    bot.wait_for("the source to be missed", |bot| bot.deployments().iter().any(|it| it.stumble().is_some()));
    // While it runs, and once more over a restart.
    clock.set(at(NOW));
    bot.wait_for("another try", |bot| bot.deployments()[0].stumble().is_some_and(|it| it.next_at < at(YEARS_AHEAD)));
    bot.stop();
    clock.set(at(YEARS_AHEAD));
    bot.start();
    bot.wait_for("another try", |bot| bot.deployments()[0].stumble().is_some_and(|it| it.next_at > at(YEARS_AHEAD)));
    bot.stop();
    clock.set(at(NOW));
    fs::rename(&away, &bare).unwrap();
    bot.start();
    bot.settle_and_tell();
    assert_eq!((bot.page().as_str(), bot.runs()), ("one", 1), "{}", bot.story());
}

#[test]
fn after_a_clock_was_set_back_a_newer_push_goes_live_all_the_same() {
    let clock = Clock::manual(at(NOW));
    let (bot, _going) = bot_by(&clock);
    for (number, page) in ["one", "two", "three"].into_iter().enumerate() {
        let sha = bot.commit(page);
        bot.deliver(&format!("delivery-{number}"), &sha);
        bot.settle_and_tell();
        assert_eq!((bot.page().as_str(), bot.runs()), (page, number + 1), "{}", bot.story());
        clock.set(at(AN_HOUR_AGO) - Duration::from_secs(number as u64 * 3600));
    }
}
