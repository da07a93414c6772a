//! Pushes that nobody told us of, below a newer one that asks not to be deployed: they are found, and the newest of them
//! goes.

use landfall::domain::{Deployment, State, TargetName};

use super::Gated;
use crate::bot::{Bot, Extra};

impl Gated {
    /// A bot that deployed `one` and is stopped, and what that one is.
    fn live(target: &str) -> (Self, String) {
        let mut it = Self::new(target);
        let one = it.push("one");
        it.bot.deliver("delivery-1", &one);
        it.bot.settle();
        it.bot.stop();
        (it, one)
    }

    /// Starts it, waits for so many deployments in all, and gives what the page shows then.
    fn found(&mut self, deployments: usize) -> String {
        self.bot.start();
        found(&self.bot, deployments)
    }

    fn skips(&self) -> Vec<String> {
        skips(&self.bot)
    }
}

fn found(bot: &Bot, deployments: usize) -> String {
    bot.wait_for("what was lost to be found", |bot| bot.deployments().len() == deployments);
    bot.settle();
    bot.page()
}

/// What was left out, newest first, with the commits' ids left out.
fn skips(bot: &Bot) -> Vec<String> {
    let skipped = |it: &Deployment| {
        let State::Skipped { reason } = it.state() else { return None };
        Some(super::needs::without_shas(reason))
    };
    bot.deployments().iter().filter_map(skipped).collect()
}

const BEFORE_IT: &str = "the commit says `[skip deploy]`; SHA before it goes instead";

#[test]
fn a_lost_push_is_deployed_although_a_newer_one_asks_to_be_left_out() {
    let (mut it, _) = Gated::live("");
    it.push("two");
    it.push("three");
    it.push("four [skip deploy]");
    let head = it.push("five [skip deploy]");
    assert_eq!(it.found(3), "three", "{}", it.bot.story());
    assert_eq!(it.skips(), [BEFORE_IT]);
    it.bot.settle_and_tell();
    let state = it.bot.app().ledger.target(&TargetName::parse("site").unwrap()).unwrap();
    assert_eq!(state.seen.unwrap().as_str(), head, "the newest that is handled is the one that was left out");
    let told = it.github.statuses().into_iter().rfind(|it| it.sha == head).unwrap();
    assert!(told.state == "success" && told.description.starts_with("Not deployed: the commit says"), "{told:?}");
    insta::assert_snapshot!(it.bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    site  found c2
    d2  planned c2 by branch main
    d2  weighing
    d2  skipped: the commit says `[skip deploy]`; another before it goes instead
    d3  planned c3 by branch main
    d3  weighing
    d3  weighed c3
    d3  prepared
    d3  releasing
    d3  released
    d3  ended succeeded
    d3  succeeded
    ");
    // Neither is found again.
    it.bot.stop();
    let asked = || it.github.requests().iter().filter(|it| it.contains("/git/ref/heads/main")).count();
    let before = asked();
    it.bot.start();
    it.bot.wait_for("the heads to be compared", |_| asked() > before);
    let six = it.push("six");
    it.bot.deliver("delivery-6", &six);
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.bot.deployments().len()), ("six", 4), "{}", it.bot.story());
}

#[test]
fn where_every_lost_push_asks_to_be_left_out_nothing_is_deployed() {
    let (mut it, _) = Gated::live("");
    it.push("two [skip deploy]");
    it.push("three [no deploy]");
    assert_eq!(it.found(2), "one", "{}", it.bot.story());
    assert_eq!(it.skips(), ["the commit says `[no deploy]`"]);
}

#[test]
fn what_a_merge_brought_is_no_push_of_its_own() {
    let (mut it, one) = Gated::live("");
    it.bot.repo.git(&["checkout", "--quiet", "-b", "topic"]);
    it.push("never on main by itself");
    it.bot.repo.git(&["checkout", "--quiet", "--detach", &one]);
    it.bot.repo.git(&["merge", "--quiet", "--no-ff", "--message", "merged [skip deploy]", "topic"]);
    it.bot.repo.git(&["push", "--quiet", it.repository.bare().to_str().unwrap(), "+HEAD:main"]);
    assert_eq!(it.found(2), "one", "{}", it.bot.story());
    assert_eq!(it.skips(), ["the commit says `[skip deploy]`"]);
}

#[test]
fn what_is_older_than_what_is_handled_is_never_brought_back() {
    let (mut it, one) = Gated::live("");
    it.bot.start();
    let two = it.push("two");
    it.bot.deliver("delivery-2", &two);
    it.bot.settle();
    it.bot.stop();
    // History is rewritten from the first commit on.
    it.bot.repo.git(&["reset", "--quiet", "--hard", &one]);
    it.bot.repo.git(&["commit", "--quiet", "--allow-empty", "--message", "instead [skip deploy]"]);
    it.bot.repo.git(&["push", "--quiet", it.repository.bare().to_str().unwrap(), "+HEAD:main"]);
    assert_eq!(it.found(3), "two", "{}", it.bot.story());
    assert_eq!(it.skips(), ["the commit says `[skip deploy]`"]);
}

#[test]
fn where_nobody_can_say_what_was_lost_the_head_is_deployed_and_the_doubt_is_told() {
    let (mut it, _) = Gated::live("");
    for _ in 0..300 {
        it.bot.repo.git(&["commit", "--quiet", "--allow-empty", "--message", "prose [skip deploy]"]);
    }
    it.push("last [skip deploy]");
    assert_eq!(it.found(2), "last [skip deploy]", "{}", it.bot.story());
    let doubt = it.newest().weighed().unwrap().doubt.clone().unwrap();
    let told = "the commit says `[skip deploy]`, but 300 commits or more between SHA and SHA ask not to be deployed";
    assert_eq!(super::needs::without_shas(&doubt), told);
}

#[test]
fn a_git_repository_is_walked_in_the_same_way() {
    let mut bot = Bot::with(&Extra::default());
    let one = bot.commit("one");
    bot.deliver("delivery-1", &one);
    bot.settle();
    bot.stop();
    bot.commit("two");
    bot.commit("three [skip deploy]");
    bot.start();
    assert_eq!(found(&bot, 3), "two", "{}", bot.story());
    assert_eq!(skips(&bot), [BEFORE_IT]);
}
