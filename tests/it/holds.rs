//! Holds: what keeps a release waiting, who said so and why, and what ends the wait.

mod approvals;
mod freezes;
pub(crate) mod verification;

use std::time::Duration;

use landfall::conductor::{AskError, Asked};
use landfall::domain::{Ask, DeployOptions, TargetName};

use crate::bot::{Bot, Extra};

pub(crate) fn site() -> TargetName {
    TargetName::parse("site").unwrap()
}

/// Asks as somebody.
pub(crate) fn ask(bot: &Bot, actor: &str, key: &str, what: Ask) -> Result<Asked, AskError> {
    let request = landfall::domain::Request { actor: actor.into(), key: key.into(), what };
    bot.runtime.block_on(bot.app().asks.ask(request))
}

pub(crate) fn told(asked: Result<Asked, AskError>) -> String {
    asked.unwrap().told.unwrap_or_default()
}

/// What a refusal says, with its code and its help.
pub(crate) fn refusal(asked: Result<Asked, AskError>) -> String {
    match asked {
        Err(AskError::Refused(it)) => format!("{}: {}; {}", it.code, it.message, it.help.unwrap_or_default()),
        other => panic!("it is not refused: {other:?}"),
    }
}

fn lock(reason: &str) -> Ask {
    Ask::Lock { target: site(), reason: Some(reason.into()), until: None, warns: false }
}

pub(crate) fn holds(bot: &Bot) -> Vec<String> {
    let page = bot.runtime.block_on(bot.app().board.targets()).unwrap();
    page.targets[0].holds.iter().map(|it| it.reason.clone()).collect()
}

/// Delivers a push and waits until it is held.
pub(crate) fn waiting(bot: &Bot, page: &str) -> String {
    let before = bot.story().matches("held").count();
    let sha = bot.commit(page);
    // A clock that stands leaves a ref at rest that was just weighed.
    bot.clock.advance(Duration::from_secs(1));
    bot.deliver(&format!("delivery-{page}"), &sha);
    bot.wait_for("it to be held", |bot| bot.story().matches("held").count() > before);
    sha
}

/// One dialogue: nobody's lock is replaced by another's, an unlock says whose it was, a lock of all stands beside those
/// of single targets, and one that only warns holds nothing and is shown with the deployment.
#[test]
fn a_key_that_was_used_takes_no_other_request() {
    let bot = Bot::new();
    let first = ask(&bot, "ada", "k", lock("the fair is on")).unwrap();
    let mut later = lock("the fair is on");
    let Ask::Lock { until, .. } = &mut later else { unreachable!("it is a lock") };
    *until = Some("2999-01-01T00:00:00Z".parse().unwrap());
    let again = ask(&bot, "ada", "k", later).unwrap();
    assert!(again.repeat && again.offset == first.offset, "a lock for some hours, asked for again");
    assert_eq!(
        refusal(ask(&bot, "ada", "k", Ask::Unlock { target: site() })),
        "conductor/key-reused: another request was made under the same key, and this one was not; ask again with a new key"
    );
    assert!(told(ask(&bot, "ada", "l", Ask::Unlock { target: site() })).contains("it was locked by ada"));
    assert!(ask(&bot, "bob", "k", Ask::Unlock { target: site() }).is_ok(), "everybody has keys of their own");
}

#[test]
fn locks_say_whose_they_are_and_warnings_go_along() {
    let bot = Bot::new();
    ask(&bot, "ada", "1", lock("the fair is on")).unwrap();
    assert_eq!(
        refusal(ask(&bot, "bob", "2", lock("mine"))),
        "conductor/locked-already: `site` is locked by ada: the fair is on already; ask ada, or end that lock first: \
         `landfall unlock site`"
    );
    ask(&bot, "ada", "3", lock("the fair is long")).unwrap();
    let all = Ask::LockAll { reason: Some("the network moves".into()), until: None, warns: false };
    ask(&bot, "bob", "4", all).unwrap();
    waiting(&bot, "one");
    assert_eq!(
        holds(&bot)[..2],
        ["every target is locked by bob: the network moves", "`site` is locked by ada: the fair is long"]
    );
    let off = told(ask(&bot, "ada", "5", Ask::UnlockAll {}));
    assert_eq!(
        off,
        "the lock of every target is off; it was set by bob: the network moves; locks of single targets stay"
    );
    let off = told(ask(&bot, "bob", "6", Ask::Unlock { target: site() }));
    assert_eq!(off, "`site` is unlocked; it was locked by ada: the fair is long");
    bot.settle();
    assert_eq!(told(ask(&bot, "bob", "7", Ask::Unlock { target: site() })), "`site` was not locked");

    let warning = Ask::Lock { target: site(), reason: Some("read the notes".into()), until: None, warns: true };
    ask(&bot, "ada", "8", warning).unwrap();
    let sha = bot.commit("two");
    bot.deliver("delivery-two", &sha);
    bot.settle();
    let last = bot.deployments().remove(0);
    assert_eq!((bot.page(), last.reason()), ("two".into(), Some("warning by ada: read the notes".into())));
    let again = Ask::Redeploy { deployment: last.id(), options: DeployOptions::default() };
    assert_eq!(told(ask(&bot, "ada", "9", again)), "warning by ada: read the notes");
    bot.settle();
}

/// A lock is freed when its time ends, with nobody there and nothing pushed.
#[test]
fn a_lock_ends_with_its_time() {
    let bot = Bot::new();
    let until = Some(landfall::clients::Clock::system().now() + jiff::SignedDuration::from_millis(1500));
    bot.ask("1", Ask::Lock { target: site(), reason: None, until, warns: false }).unwrap();
    waiting(&bot, "one");
    assert_eq!(holds(&bot), ["`site` is locked by ada", "`site` is locked by ada"]);
    bot.settle();
    assert_eq!((bot.page().as_str(), holds(&bot).len()), ("one", 0));
}

/// A crash or a restart leaves no lock of a run behind and loses none of a person's: what runs holds its lane alone.
#[test]
fn locks_and_pauses_survive_a_restart() {
    let mut bot = Bot::new();
    bot.ask("1", lock("the fair is on")).unwrap();
    bot.ask("2", Ask::Pause { reason: Some("the network moves".into()) }).unwrap();
    waiting(&bot, "one");
    bot.stop();
    bot.start();
    assert_eq!(
        holds(&bot)[..2],
        ["releases are paused by ada: the network moves", "`site` is locked by ada: the fair is on"]
    );
    let resumed = told(bot.ask("3", Ask::Resume {}));
    let (one, id) = (bot.deployments()[0].commit().short().to_owned(), bot.deployments()[0].id());
    assert_eq!(
        resumed,
        format!(
            "resumed; releases were paused by ada: the network moves\nwaits still: site {one} ({id}): `site` is locked \
             by ada: the fair is on"
        ),
        "what the lock holds does not go on"
    );
    bot.wait_for("the lock to hold it", |bot| bot.story().contains("held: `site` is locked by ada: the fair is on"));
    bot.ask("4", Ask::Unlock { target: site() }).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "one");
}

/// A pause takes and prepares, releases nothing, and leaves of its backlog the newest of each target and ref.
#[test]
fn a_pause_keeps_the_newest_of_its_backlog() {
    let bot = Bot::new();
    bot.ask("1", Ask::Pause { reason: Some("the network moves".into()) }).unwrap();
    for page in ["one", "two"] {
        waiting(&bot, page);
    }
    let told = told(bot.ask("2", Ask::Resume {}));
    bot.settle();
    let [two, one] = &bot.deployments()[..] else { panic!("{}", bot.story()) };
    assert_eq!(
        told,
        format!(
            "resumed; releases were paused by ada: the network moves\ngoing on: site {} ({})\nsuperseded by newer \
             pushes: site {} ({})",
            two.commit().short(),
            two.id(),
            one.commit().short(),
            one.id()
        )
    );
    assert_eq!((one.state().name(), two.state().name(), bot.runs()), ("superseded", "succeeded", 1));
    assert_eq!(crate::holds::told(bot.ask("3", Ask::Resume {})), "releases were not paused");
}

/// Where every push is wanted, all of a backlog are, in their order.
#[test]
fn a_pause_of_a_target_that_queues_all_leaves_all() {
    let bot = Bot::with(&Extra { target: "on_new_push = \"queue-all\"".into(), ..Extra::default() });
    bot.ask("1", Ask::Pause { reason: None }).unwrap();
    for page in ["one", "two"] {
        // The head has moved on when the older one is weighed again: this is what `queue-all` passes over.
        waiting(&bot, page);
    }
    let told = told(bot.ask("2", Ask::Resume {}));
    assert!(!told.contains("superseded"), "{told}");
    bot.settle();
    assert_eq!(bot.page(), "two");
}

/// After a rollback nothing new goes until a person has looked, whoever began it; the rollback itself goes.
#[test]
fn a_rollback_locks_its_target_where_that_is_configured() {
    let extra =
        Extra { target: "lock_after_rollback = true".into(), engine: "auto_rollback = true", ..Extra::default() };
    let bot = Bot::with(&extra);
    let good = bot.commit("good");
    bot.deliver("delivery-good", &good);
    bot.settle();
    bot.write_site("exit 3");
    let bad = bot.commit("bad");
    bot.deliver("delivery-bad", &bad);
    bot.settle();
    assert_eq!(bot.page(), "good");
    let failed = bot.deployments().into_iter().find(|it| it.order().sha.as_str() == bad).unwrap();
    bot.write_site("exit 0");
    waiting(&bot, "next");
    let why = format!(
        "`site` is locked by the bot: {} was brought back in place of {}; `landfall unlock site` ends it",
        &good[..7],
        failed.id()
    );
    assert_eq!(holds(&bot), [why.clone(), why]);
    let back = Ask::Rollback { target: site(), to: None, options: DeployOptions::default() };
    assert!(ask(&bot, "ada", "1", back).is_err(), "nothing was live before, and it is not the lock that refuses it");
    bot.ask("2", Ask::Unlock { target: site() }).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "next");
}
