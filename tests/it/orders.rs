//! Pushes in any order: the ref's head is live in the end, and nothing runs twice.

use landfall::domain::State;

use crate::bot::{Bot, Extra, MAIN};

#[test]
fn pushes_delivered_in_any_order_end_with_the_head_live() {
    // Every order of four deliveries, one of them a forced push back, in four bots side by side would be 24 stories:
    // these are the ones that differ in what is newest first and last.
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let bot = Bot::new();
        let one = bot.commit("one");
        let two = bot.commit("two");
        bot.commit("three");
        bot.repo.git(&["reset", "--quiet", "--hard", &one]);
        bot.repo.push(MAIN);
        let back = bot.commit("back and on");
        let shas = [one.clone(), two, bot.repo.git(&["rev-parse", "ORIG_HEAD"]), back.clone()];
        for number in order {
            let (status, answer) = bot.deliver(&format!("delivery-{number}"), &shas[number]);
            assert_eq!(status, 202, "{answer}");
        }
        bot.settle();
        let page = std::fs::read_to_string(bot.www().join("index.html")).unwrap();
        assert_eq!(page, "back and on", "in order {order:?}\n{}", bot.story());
        let live: Vec<String> = bot
            .deployments()
            .iter()
            .filter(|it| matches!(it.state(), State::Succeeded { .. }) && it.run().is_some())
            .map(|it| it.weighed().unwrap().commit.to_string())
            .collect();
        assert_eq!(live.iter().filter(|sha| **sha == back).count(), 1, "in order {order:?}\n{}", bot.story());
        assert_eq!(bot.runs(), live.len(), "in order {order:?}\n{}", bot.story());
    }
}

#[test]
fn an_older_push_is_superseded_by_the_head() {
    let bot = Bot::new();
    let one = bot.commit("one");
    let two = bot.commit("two");
    bot.deliver("delivery-1", &one);
    bot.settle();
    bot.deliver("delivery-2", &two);
    bot.settle_and_tell();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  superseded by c2
    d2  planned c2 by branch main
    d2  weighing
    d2  weighed c2
    d2  prepared
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
    assert_eq!(bot.runs(), 1);
}

#[test]
fn a_commit_that_was_rewritten_away_is_refused() {
    let bot = Bot::new();
    let one = bot.commit("one");
    let two = bot.commit("two");
    bot.repo.git(&["reset", "--quiet", "--hard", &one]);
    let other = bot.commit("another two");
    bot.deliver("delivery-1", &two);
    bot.settle();
    bot.deliver("delivery-2", &other);
    bot.settle();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  refused: c1 is no longer part of `main`, which is at another
    d2  planned c2 by branch main
    d2  weighing
    d2  weighed c2
    d2  prepared
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
}

#[test]
fn a_forced_push_can_be_forbidden() {
    let bot = Bot::with(&Extra { target: "allow_forced = false".into(), ..Extra::default() });
    let one = bot.commit("one");
    let two = bot.commit("two");
    bot.deliver("delivery-1", &two);
    bot.settle();
    bot.repo.git(&["reset", "--quiet", "--hard", &one]);
    bot.repo.push(MAIN);
    bot.deliver("delivery-2", &one);
    bot.settle();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    d2  planned c2 by branch main
    d2  weighing
    d2  refused: `main` was forced to c2, and `allow_forced` is false
    ");
}

#[test]
fn a_push_while_another_runs_waits_for_it() {
    let bot = Bot::new();
    let gate = bot.dir.join("gate");
    bot.write_site(&format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display()));
    let one = bot.commit("one");
    bot.deliver("delivery-1", &one);
    bot.wait_for("the first to run", |bot| bot.runs() == 1);
    let two = bot.commit("two");
    bot.deliver("delivery-2", &two);
    bot.wait_for("the second to wait (B11)", |bot| bot.story().contains("held: waiting for d1"));
    std::fs::write(&gate, "").unwrap();
    bot.settle();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d2  planned c2 by branch main
    d2  weighing
    d2  weighed c2
    d2  prepared
    d2  held: waiting for d1
    d1  ended succeeded
    d1  succeeded
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
    assert_eq!(bot.runs(), 2);
}
