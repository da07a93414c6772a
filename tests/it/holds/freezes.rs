//! Freeze windows: held until the window closes, or until a person says why it goes all the same.

use std::time::Duration;

use landfall::clients::Clock;
use landfall::domain::{Approval, Ask, DeployOptions, RefName};

use super::{ask, holds, refusal, site, told, waiting};
use crate::bot::{Bot, Extra};

/// A bot on a Friday evening, with a weekend in which nothing is released.
fn friday() -> Bot {
    let freeze = "freeze = [{ cron = \"0 17 * * fri\", for = \"60h\", timezone = \"CET-1CEST,M3.5.0,M10.5.0/3\", \
                  reason = \"the weekend\" }]";
    let mut bot = Bot::asleep(&Extra { target: freeze.into(), ..Extra::default() });
    bot.clock = Clock::manual("2026-11-27T17:30:00Z".parse().unwrap());
    bot.start();
    bot
}

const FROZEN: &str = "frozen until Mon 2026-11-30 05:00 CET: the weekend";

/// It is told everywhere with its end, survives a restart, and ends by itself.
#[test]
fn a_push_at_the_weekend_goes_on_monday() {
    let mut bot = friday();
    waiting(&bot, "one");
    assert_eq!(holds(&bot), [FROZEN, FROZEN]);
    assert_eq!(bot.deployments()[0].reason().as_deref(), Some(FROZEN));
    bot.stop();
    bot.start();
    bot.clock.advance(Duration::from_secs(58 * 3600));
    assert_eq!((holds(&bot).len(), bot.runs()), (2, 0));
    bot.clock.advance(Duration::from_secs(2 * 3600));
    bot.settle();
    assert_eq!(bot.page(), "one");
    let page = bot.runtime.block_on(bot.app().board.targets()).unwrap();
    let next = "frozen from Fri 2026-12-04 17:00 CET until Mon 2026-12-07 05:00 CET: the weekend";
    assert_eq!(page.targets[0].next_freeze.as_deref(), Some(next));
}

/// Who releases all the same says why, and that stands in the story with the name.
#[test]
fn a_person_releases_in_spite_of_a_freeze_and_says_why() {
    let bot = friday();
    waiting(&bot, "one");
    let id = bot.deployments()[0].id();
    let approve = |of, reason: Option<&str>| Ask::Approve { deployment: id, of, reason: reason.map(str::to_owned) };
    assert_eq!(
        refusal(ask(&bot, "ada", "1", approve(None, None))),
        format!(
            "conductor/nothing-to-approve: {id} waits for no approval: it is held: {FROZEN}; to release it all the \
             same: `landfall approve {id} --override REASON`"
        )
    );
    let bare = refusal(ask(&bot, "ada", "2", approve(Some(Approval::Freeze), None)));
    assert!(bare.starts_with("conductor/reason-missing: "), "{bare}");
    let said = told(ask(&bot, "ada", "3", approve(Some(Approval::Freeze), Some("the fix for the outage"))));
    assert_eq!(said, "approved the release in spite of the freeze: it releases it to `site` in spite of the freeze");
    bot.settle();
    assert_eq!(bot.page(), "one");
    let detail = bot.runtime.block_on(bot.app().board.deployment(id)).unwrap().unwrap();
    let texts: Vec<_> = detail.events.iter().map(|it| it.text.clone()).collect();
    let word = "ada approved the release in spite of the freeze: the fix for the outage";
    assert!(texts.iter().any(|it| it == word), "{texts:?}");

    let deploy = |why: Option<&str>| {
        let options = DeployOptions { override_freeze: why.map(str::to_owned), ..DeployOptions::default() };
        let reference = Some(RefName::parse("refs/heads/main").unwrap());
        Ask::Deploy { target: site(), reference, sha: None, options }
    };
    bot.commit("two");
    bot.clock.advance(Duration::from_secs(1));
    assert_eq!(told(ask(&bot, "ada", "4", deploy(None))), format!("it waits: {FROZEN}"));
    bot.wait_for("it to be held", |bot| bot.deployments()[0].reason().as_deref() == Some(FROZEN));
    bot.clock.advance(Duration::from_secs(1));
    assert_eq!(told(ask(&bot, "ada", "5", deploy(Some("the second fix")))), "");
    bot.settle();
    assert_eq!(bot.page(), "two");
    let early = refusal(ask(&bot, "ada", "6", approve(Some(Approval::Freeze), Some("once more"))));
    assert!(early.starts_with("conductor/already-over: "), "{early}");
}
