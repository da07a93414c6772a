//! Approvals: several people, never the one who pushed, in time or not at all.

use std::time::Duration;

use landfall::clients::Clock;
use landfall::domain::{Ask, DeployOptions};

use super::{ask, holds, refusal, told, waiting};
use crate::bot::{Bot, Extra};

/// A bot whose releases so many people have to approve. Pushes are Ada's.
fn bot(approvals: usize) -> Bot {
    let people = "people = { ada = \"ada\", admin = \"Ada\", bob = \"bob\", cyd = \"cyd\", rob = \"Bob\" }";
    let target = format!("approvals = {approvals}\napprove_within = \"2h\"");
    let mut bot = Bot::asleep(&Extra { top: people, target, ..Extra::default() });
    bot.clock = Clock::manual("2026-11-27T17:30:00Z".parse().unwrap());
    bot.start();
    bot
}

fn approve(bot: &Bot) -> Ask {
    Ask::Approve { deployment: bot.deployments()[0].id(), of: None, reason: None }
}

fn is_held(bot: &Bot, reason: &str) -> bool {
    bot.deployments()[0].reason().as_deref() == Some(reason)
}

/// One dialogue: who pushed does not count under any name, nor who cannot be told from them, nor the same person twice.
#[test]
fn two_people_approve_and_neither_is_the_one_who_pushed() {
    let mut bot = bot(2);
    waiting(&bot, "one");
    assert_eq!(holds(&bot), ["waiting for the approval of 2 people, not `ada`"]);
    let refused = |actor: &str, key: &str| refusal(ask(&bot, actor, key, approve(&bot)));
    let code = |text: String| text.split(':').next().unwrap().to_owned();
    assert_eq!(code(refused("ada", "1")), "domain/approver-barred");
    assert_eq!(code(refused("admin", "2")), "domain/approver-barred");
    assert_eq!(
        refused("eve", "3"),
        "domain/approver-unknown: `eve` cannot be told from whoever pushed, so this approval does not count; say who \
         that is in the configuration: `[people]` with `eve = \"login-at-github\"`"
    );
    let first = told(ask(&bot, "bob", "4", approve(&bot)));
    assert_eq!(first, "approved the release: 1 of 2 approvals are missing");
    assert_eq!(code(refused("rob", "5")), "domain/approved-already");
    bot.wait_for("one to be awaited", |bot| {
        is_held(bot, "waiting for the approval of 1 person, not `ada`; bob approved")
    });
    bot.stop();
    bot.start();
    let lock = Ask::Lock { target: super::site(), reason: None, until: None, warns: false };
    ask(&bot, "bob", "lock", lock).unwrap();
    assert_eq!(
        told(ask(&bot, "cyd", "6", approve(&bot))),
        "approved the release: it releases it to `site`\nwaits still: `site` is locked by bob"
    );
    ask(&bot, "bob", "unlock", Ask::Unlock { target: super::site() }).unwrap();
    bot.settle();
    assert_eq!((bot.page().as_str(), bot.deployments()[0].approvers()), ("one", &["bob".into(), "cyd".into()][..]));
}

/// A newer push takes the place of one that waits, as ever; and what nobody approves in time is refused.
#[test]
fn what_waits_is_superseded_rejected_or_too_late() {
    let bot = bot(1);
    waiting(&bot, "one");
    waiting(&bot, "two");
    bot.wait_for("the older one to end", |bot| bot.deployments()[1].state().name() == "superseded");
    let reject = Ask::Reject { deployment: bot.deployments()[0].id(), reason: Some("not today".into()) };
    ask(&bot, "ada", "1", reject.clone()).unwrap();
    bot.settle();
    assert_eq!(bot.deployments()[0].reason().as_deref(), Some("rejected by ada: not today"));
    let again = refusal(ask(&bot, "ada", "2", reject));
    assert!(again.starts_with("conductor/nothing-to-reject: "), "{again}");

    // Who asks for it again cannot approve it either.
    let redeploy = Ask::Redeploy { deployment: bot.deployments()[0].id(), options: DeployOptions::default() };
    bot.clock.advance(Duration::from_secs(1));
    ask(&bot, "bob", "3", redeploy).unwrap();
    bot.wait_for("it to be held", |bot| is_held(bot, "waiting for the approval of 1 person, not `ada` or `bob`"));
    let barred = refusal(ask(&bot, "bob", "4", approve(&bot)));
    assert!(barred.starts_with("domain/approver-barred: "), "{barred}");
    bot.clock.advance(Duration::from_secs(2 * 3600));
    bot.settle();
    let late = bot.deployments()[0].state().failure().unwrap().clone();
    assert_eq!(
        (late.code.as_str(), late.message.as_str()),
        ("domain/not-approved", "not approved within 120 min: 1 of 1 approvals missing")
    );
    assert_eq!(bot.runs(), 0);
}

/// A commit that was found by comparing heads may be anybody's, so that it takes one more: one of them is not the pusher.
#[test]
fn what_nobody_knows_the_pusher_of_takes_one_more() {
    let mut bot = bot(1);
    waiting(&bot, "one");
    bot.stop();
    bot.commit("two");
    bot.clock.advance(Duration::from_secs(1));
    bot.start();
    bot.wait_for("it to be found and held", |bot| {
        // A clock that stands leaves a ref at rest that was just weighed.
        bot.clock.advance(Duration::from_secs(1));
        is_held(bot, "waiting for the approval of 2 people, one more as nobody knows who pushed")
    });
    ask(&bot, "ada", "1", approve(&bot)).unwrap();
    ask(&bot, "bob", "2", approve(&bot)).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "two");
}
