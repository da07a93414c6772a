//! Row 4: what succeeded at one target goes to the next, as the same object, once somebody says so or at once; never
//! twice, never of an older commit, never of a rollback.

use std::fs;

use landfall::conductor::AskError;
use landfall::domain::{Approval, Ask, Cause, Deployment, DeploymentId, State, TargetName};

use super::{Outside, bot_at, more};
use crate::bot::Bot;
use crate::crash::{child, each_passing, log, orders, side_by_side};
use crate::worlds::codedeploy::{Moves, Scenario};

/// `site` is promoted to `shop`, and `shop` to `world`; what each says of it, and the rule of `shop`.
struct Chain {
    first: &'static str,
    second: &'static str,
    rule: &'static str,
}

const ON_APPROVAL: Chain = Chain { first: "promote_to = \"shop\"", second: "", rule: "" };
const AUTOMATIC: Chain = Chain {
    first: "promote_to = [\"shop\"]\npromote = \"automatic\"",
    second: "promote_to = \"world\"\npromote = \"automatic\"",
    rule: "",
};

struct Line {
    bot: Bot,
    outside: Outside,
}

impl Line {
    fn new(chain: &Chain) -> Self {
        let outside = configured(chain);
        let mut bot = bot_at(outside.dir.path());
        bot.start();
        bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
        Self { bot, outside }
    }

    /// Pushes and delivers a page; gives the sha.
    fn push(&self, page: &str) -> String {
        let sha = self.outside.push(page);
        let (status, answer) = self.bot.deliver(&format!("delivery-{page}"), &sha);
        assert_eq!(status, 202, "{answer}");
        sha
    }

    /// The newest deployment of a target for a commit.
    fn at(&self, target: &str, sha: &str) -> Option<Deployment> {
        let fits = |it: &Deployment| it.order().target.name.as_str() == target && it.order().sha.as_str() == sha;
        self.bot.deployments().into_iter().find(fits)
    }

    fn wait_for_promotion(&self, target: &str, sha: &str) -> Deployment {
        let is_held = |it: &Deployment| it.waits_for().is_some() && it.state().name() == "held";
        self.bot.wait_for("the promotion to be held", |_| self.at(target, sha).is_some_and(|it| is_held(&it)));
        self.at(target, sha).unwrap()
    }

    fn approve(&self, key: &str, id: DeploymentId) -> Result<Option<String>, String> {
        match self.bot.ask(key, Ask::Approve { deployment: id, of: None, reason: None }) {
            Ok(asked) => Ok(asked.told),
            Err(AskError::Refused(failure)) => Err(failure.code),
            Err(error) => panic!("{error}"),
        }
    }

    /// The last commit status of each context, for a commit.
    fn told(&self, context: &str, sha: &str) -> (String, String) {
        let statuses = self.outside.github.statuses();
        let last = statuses.iter().rfind(|it| it.context == context && it.sha == sha);
        last.map(|it| (it.state.clone(), it.description.clone())).unwrap_or_default()
    }
}

fn configured(chain: &Chain) -> Outside {
    let outside = Outside::new();
    let own = |lines: &str| format!("branches = [\"main\"]\n{lines}\n");
    let text = outside.configuration();
    let text = more(&text, "shop", "shop", &format!("{}\n{}\n", chain.rule, chain.second));
    let text = if chain.second.is_empty() { text } else { more(&text, "world", "world", "") };
    let text = text.replacen("branches = [\"main\"]\n", &own(chain.first), 1);
    fs::write(outside.dir.path().join("landfall.toml"), text).unwrap();
    outside.codedeploy.add_group("shop");
    outside.codedeploy.add_group("world");
    outside
}

/// The deployments that reached CodeDeploy: group and revision.
fn made(outside: &Outside) -> Vec<(String, serde_json::Value)> {
    let all = outside.codedeploy.deployments().into_iter();
    all.map(|it| (it.input["deploymentGroupName"].as_str().unwrap().to_owned(), it.input["revision"].clone())).collect()
}

#[test]
fn a_success_is_promoted_once_it_is_approved_as_the_same_object_row_4() {
    let line = Line::new(&ON_APPROVAL);
    let sha = line.push("hello");
    let held = line.wait_for_promotion("shop", &sha);
    assert_eq!(held.reason().as_deref(), Some("waits for approval of the promotion from site"));
    line.bot.wait_for("the wait to be told", |_| line.told("landfall/shop", &sha).1.contains("waits for approval"));
    assert_eq!(line.told("landfall/site", &sha).0, "success");
    assert_eq!(made(&line.outside).len(), 1, "nothing goes on by itself");

    let told = line.approve("yes", held.id()).unwrap();
    assert_eq!(told.as_deref(), Some("approved the promotion: it releases it to `shop`"));
    line.bot.settle_and_tell();
    let made = made(&line.outside);
    let [(first, tried), (second, promoted)] = &made[..] else { panic!("{made:?}") };
    assert_eq!((first.as_str(), second.as_str(), tried), ("production", "shop", promoted));
    assert_eq!(line.outside.s3.keys().len(), 1, "nothing is uploaded again");
    assert_eq!(line.told("landfall/shop", &sha).0, "success");
    let site = line.at("site", &sha).unwrap();
    assert_eq!(held.order().parent, Some(site.id()));
    assert!(line.bot.story().contains("d2  approved"), "{}", line.bot.story());
    assert_eq!(line.bot.deployments()[0].approved_by(), Some("ada"), "who approved is on record");

    assert_eq!(line.approve("again", held.id()), Err("conductor/already-over".into()));
    assert_eq!(line.approve("yes", held.id()), Ok(None), "a key counts once");
}

#[test]
fn both_ends_of_a_promotion_are_linked_in_the_api_and_on_the_page() {
    let line = Line::new(&ON_APPROVAL);
    let sha = line.push("hello");
    let held = line.wait_for_promotion("shop", &sha);
    let site = line.at("site", &sha).unwrap().id();
    let token = fs::read_to_string(line.outside.dir.path().join("data/token")).unwrap();
    let get = |path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", line.bot.url())).bearer_auth(token.trim());
        line.bot.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    let detail = |id: DeploymentId| -> serde_json::Value {
        serde_json::from_str(&get(&format!("/api/v1/deployments/{id}"))).unwrap()
    };
    let (parent, child) = (detail(site), detail(held.id()));
    assert_eq!(parent["children"][0]["id"], held.id().to_string());
    assert_eq!(parent["children"][0]["target"], "shop");
    assert_eq!(child["parent"], site.to_string());
    assert_eq!(
        (&child["approval"]["of"], &child["approval"]["deed"]),
        (&"promotion".into(), &"releases it to `shop`".into())
    );
    let link = |id: DeploymentId| format!("href=\"/deployments/{id}\"");
    assert!(get(&format!("/deployments/{site}")).contains(&link(held.id())));
    assert!(get(&format!("/deployments/{}", held.id())).contains(&link(site)));
    line.bot.ask("no", Ask::Stop { deployment: held.id(), rollback: false }).unwrap();
    line.bot.settle();
    assert_eq!(line.approve("late", held.id()), Err("conductor/already-over".into()));
    assert_eq!(made(&line.outside).len(), 1);
}

#[test]
fn a_chain_goes_on_by_itself_where_that_is_wanted_row_4() {
    let line = Line::new(&AUTOMATIC);
    let sha = line.push("hello");
    line.bot.settle_and_tell();
    line.bot.wait_for("the chain", |bot| bot.deployments().len() == 3);
    line.bot.settle_and_tell();
    let made = made(&line.outside);
    let groups: Vec<&str> = made.iter().map(|(group, _)| group.as_str()).collect();
    assert_eq!(groups, ["production", "shop", "world"], "{}", line.bot.story());
    assert!(made.iter().all(|(_, revision)| *revision == made[0].1));
    for context in ["landfall/site", "landfall/shop", "landfall/world"] {
        assert_eq!(line.told(context, &sha).0, "success", "{context}");
    }
}

#[test]
fn a_failure_is_promoted_nowhere() {
    let line = Line::new(&AUTOMATIC);
    line.outside.codedeploy.script(Scenario::script_fails("i-0b", "AfterInstall", "up.sh", "boom"));
    line.push("hello");
    line.bot.settle_and_tell();
    assert_eq!(line.bot.deployments().len(), 1, "{}", line.bot.story());
}

#[test]
fn a_newer_success_takes_the_place_of_a_promotion_that_still_waits() {
    let line = Line::new(&ON_APPROVAL);
    let old = line.push("one");
    let first = line.wait_for_promotion("shop", &old).id();
    let new = line.push("two");
    let second = line.wait_for_promotion("shop", &new);
    line.bot.wait_for("the older to make way", |_| line.at("shop", &old).is_some_and(|it| it.state().is_over()));
    let State::Superseded { by, deployment } = line.at("shop", &old).unwrap().state().clone() else {
        panic!("{first}")
    };
    assert_eq!((by.as_str(), deployment), (new.as_str(), Some(second.id())));
    line.approve("yes", second.id()).unwrap();
    line.bot.settle_and_tell();
    assert_eq!(made(&line.outside).len(), 3, "{}", line.bot.story());
}

#[test]
fn a_promotion_of_what_the_next_target_has_left_behind_is_superseded() {
    // `shop` takes pushes too, so that it can be ahead.
    let chain = Chain {
        first: "promote_to = \"shop\"\npromote = \"automatic\"\non_new_push = \"queue-all\"",
        rule: "branches = [\"main\"]",
        ..ON_APPROVAL
    };
    let line = Line::new(&chain);
    line.outside.codedeploy.moves(Moves::WhenTold);
    let lock = |key: &str, what| line.bot.ask(key, what).unwrap();
    let shop = TargetName::parse("shop").unwrap();
    lock("lock", Ask::Lock { target: shop.clone(), reason: None, until: None, warns: false });
    let old = line.push("one");
    line.bot.wait_for("site to run", |_| line.at("site", &old).is_some_and(|it| it.run().is_some()));
    // The newer one goes to `shop` by its own rule, and takes the older one's place there.
    let new = line.push("two");
    line.bot.wait_for("shop to be held", |_| line.at("shop", &new).is_some_and(|it| it.state().name() == "held"));
    lock("unlock", Ask::Unlock { target: shop });
    line.bot.wait_for("shop to be live", |_| {
        if line.at("shop", &new).is_some_and(|it| it.run().is_some()) {
            line.outside.codedeploy.moves(Moves::AtEachLook);
        }
        line.at("shop", &new).is_some_and(|it| it.state().is_over())
    });
    line.bot.settle_and_tell();
    let promotions: Vec<_> =
        line.bot.deployments().into_iter().filter(|it| matches!(it.order().cause, Cause::Promotion { .. })).collect();
    let ended: Vec<_> =
        promotions.iter().map(|it| (it.order().sha.as_str(), it.state().name(), it.run().is_some())).collect();
    // Newest first: the newer is live there already, the older is left behind, or both ended before `shop` was ahead.
    assert!(ended.iter().all(|(_, _, ran)| !ran), "{ended:?}\n{}", line.bot.story());
    assert!(ended.contains(&(old.as_str(), "superseded", false)), "{ended:?}\n{}", line.bot.story());
    assert_eq!(made(&line.outside).iter().filter(|(group, _)| group == "shop").count(), 1);
}

#[test]
fn neither_a_rollback_nor_an_older_commit_deployed_again_goes_further() {
    let line = Line::new(&ON_APPROVAL);
    let old = line.push("one");
    let first = line.wait_for_promotion("shop", &old).id();
    line.approve("yes", first).unwrap();
    line.bot.settle();
    let new = line.push("two");
    let second = line.wait_for_promotion("shop", &new).id();
    line.approve("also", second).unwrap();
    line.bot.settle();
    let count = |line: &Line| line.bot.deployments().len();
    let before = count(&line);
    let site = line.at("site", &old).unwrap().id();
    line.bot.ask("redeploy", Ask::Redeploy { deployment: site, options: Default::default() }).unwrap();
    line.bot.settle();
    line.bot
        .ask(
            "back",
            Ask::Rollback { target: TargetName::parse("site").unwrap(), to: Some(site), options: Default::default() },
        )
        .unwrap();
    line.bot.settle();
    assert_eq!(count(&line), before + 2, "{}", line.bot.story());
    // The newest commit again does: but it is live at the next target already.
    let newest = line.at("site", &new).unwrap().id();
    line.bot.ask("newest", Ask::Redeploy { deployment: newest, options: Default::default() }).unwrap();
    line.bot.settle();
    line.bot.wait_for("its promotion", |_| count(&line) == before + 4);
    line.bot.settle();
    assert_eq!(line.bot.deployments()[0].reason(), Some(format!("already live by {second}")));
}

#[test]
fn an_object_that_is_gone_is_made_again_only_as_it_was() {
    let line = Line::new(&ON_APPROVAL);
    let sha = line.outside.push("hello");
    // While nothing may be released the promotion is not born, and what was tried can be spoiled.
    line.outside.codedeploy.moves(Moves::WhenTold);
    line.bot.deliver("delivery-1", &sha);
    line.bot.wait_for("site to run", |_| line.at("site", &sha).is_some_and(|it| it.run().is_some()));
    let key = line.outside.s3.keys()[0].clone();
    line.outside.s3.replace(&key, b"other bytes");
    line.outside.codedeploy.moves(Moves::AtEachLook);
    let held = line.wait_for_promotion("shop", &sha);
    line.approve("yes", held.id()).unwrap();
    line.bot.settle_and_tell();
    let made = made(&line.outside);
    let object = |at: usize| made[at].1["s3Location"]["key"].as_str().unwrap().to_owned();
    assert_ne!(object(0), object(1), "the spoiled one is not used");
    let digest = |deployment: &Deployment| match deployment.revision() {
        Some(landfall::domain::Revision::Bundle { sha256, .. }) => sha256.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(digest(&line.at("site", &sha).unwrap()), digest(&line.at("shop", &sha).unwrap()));
}

#[test]
fn what_waits_for_nobody_cannot_be_approved() {
    let line = Line::new(&ON_APPROVAL);
    let sha = line.push("hello");
    let held = line.wait_for_promotion("shop", &sha);
    let traffic = Ask::Approve { deployment: held.id(), of: Some(Approval::Traffic), reason: None };
    let Err(AskError::Refused(failure)) = line.bot.ask("other", traffic) else { panic!("it is not what waits") };
    assert_eq!(failure.code, "conductor/other-approval");
    line.bot.ask("stop", Ask::Stop { deployment: held.id(), rollback: false }).unwrap();
    line.bot.settle();
}

/// Seams around the success that is promoted, and those of the promotion itself.
const SEAMS: &[(&str, usize)] =
    &[("before-append", 16), ("after-append", 16), ("release:before-start", 2), ("release:after-start", 2)];

#[test]
fn a_crash_at_any_seam_promotes_once() {
    let cases = each_passing(SEAMS);
    let crashes = side_by_side(&cases, |orders| {
        let outside = configured(&Chain { second: "", ..AUTOMATIC });
        let sha = outside.push("hello");
        let dir = outside.dir.path();
        fs::write(dir.join("sha"), &sha).unwrap();
        let died = !child(CHILD, dir, orders).success();
        assert!(child(CHILD, dir, "").success(), "after {orders}:\n{}", log(dir));
        let groups: Vec<String> = made(&outside).into_iter().map(|(group, _)| group).collect();
        assert_eq!(groups, ["production", "shop"], "after {orders}:\n{}", log(dir));
        let story = fs::read_to_string(dir.join("story")).unwrap();
        assert_eq!(story.matches("planned").count(), 2, "after {orders}:\n{story}");
        died
    });
    assert!(crashes >= 30, "only {crashes} of {} crashes came about", cases.len());
}

const CHILD: &str = "aws_line::promotion::child_of_the_crash_test";

/// Not a test of its own: the life of the child. Run without orders, it has nothing to do.
#[test]
fn child_of_the_crash_test() {
    let Some((dir, probe)) = orders() else { return };
    let mut bot = bot_at(&dir);
    bot.start_with(probe);
    let sha = fs::read_to_string(dir.join("sha")).unwrap();
    let (status, answer) = bot.deliver("delivery-1", &sha);
    assert!(status == 202 || status == 200, "{status}: {answer}");
    bot.wait_for("the promotion", |bot| bot.deployments().len() == 2);
    bot.settle_and_tell();
    fs::write(dir.join("story"), bot.story()).unwrap();
    bot.stop();
}
