//! The straight road, and the bends that everyone meets.

use landfall::domain::State;

use crate::bot::{Bot, Extra};
use crate::worlds::github::{GitHubWorld, Route, Trouble};

#[test]
fn a_push_goes_live() {
    let bot = Bot::new();
    let sha = bot.commit("hello");
    let (status, answer) = bot.deliver("delivery-1", &sha);
    assert_eq!(status, 202, "{answer}");
    bot.settle_and_tell();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    ");
    assert_eq!(std::fs::read_to_string(bot.www().join("index.html")).unwrap(), "hello");
    assert_eq!(bot.runs(), 1);
}

#[test]
fn a_redelivery_deploys_nothing_twice() {
    let bot = Bot::new();
    let sha = bot.commit("hello");
    let (_, first) = bot.deliver("delivery-1", &sha);
    let (status, again) = bot.deliver("delivery-1", &sha);
    assert_eq!(status, 200);
    assert_eq!(again["repeat"], true);
    assert_eq!(again["plans"], first["plans"]);
    bot.settle();
    assert_eq!((bot.deployments().len(), bot.runs()), (1, 1));
}

#[test]
fn a_failing_hook_fails_the_deployment_and_says_which() {
    let bot = Bot::new();
    bot.write_site("echo no title >&2; exit 3");
    let sha = bot.commit("broken");
    bot.deliver("delivery-1", &sha);
    bot.settle_and_tell();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended failed
    d1  failed: `scripts/validate.sh` ended with exit code 3 in ValidateService
    ");
}

#[test]
fn a_commit_without_an_appspec_is_refused_before_anything_is_stored() {
    let bot = Bot::new();
    bot.repo.git(&["rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "."]);
    std::fs::remove_file(bot.dir.join("repo/site/appspec.yml")).unwrap();
    let sha = bot.commit("no appspec");
    bot.deliver("delivery-1", &sha);
    bot.settle_and_tell();
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  refused: there is no `appspec.yml` in c1
    ");
    assert!(!bot.dir.join("data/revisions/site").exists());
}

#[test]
fn the_same_commit_again_is_not_sent_again() {
    let bot = Bot::new();
    let sha = bot.commit("hello");
    bot.deliver("delivery-1", &sha);
    bot.settle();
    let id = bot.deployments()[0].id();
    let request = landfall::domain::Request {
        actor: "ada".into(),
        key: "again".into(),
        what: landfall::domain::Ask::Redeploy { deployment: id, options: Default::default() },
    };
    bot.runtime.block_on(bot.app().asks.ask(request)).unwrap();
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
    d2  planned c1 by branch main
    d2  weighing
    d2  weighed c1
    d2  prepared before
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
    assert_eq!(bot.runs(), 2);
}

#[test]
fn a_push_that_nobody_delivered_is_found_at_the_next_start() {
    let mut bot = Bot::new();
    let first = bot.commit("one");
    bot.deliver("delivery-1", &first);
    bot.settle();
    bot.stop();
    let second = bot.commit("two");
    bot.start();
    bot.wait_for("the second deployment", |bot| bot.deployments().len() == 2);
    bot.settle();
    let (status, answer) = bot.deliver("delivery-2", &second);
    assert_eq!(status, 202);
    assert!(answer["plans"][0]["reason"].as_str().unwrap().starts_with("already planned as"), "{answer}");
    insta::assert_snapshot!(bot.story(), @r"
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
    d2  weighed c2
    d2  prepared
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  succeeded
    ");
}

#[test]
fn branches_that_only_a_pattern_names_are_watched_too() {
    let mut bot = Bot::asleep(&Extra { target: "deploy_on_start = true".into(), ..Extra::default() });
    bot.take(r#"["release/*"]"#);
    bot.commit("one");
    let lying = ["HEAD:release/1", "HEAD:release/2", "HEAD:release/deep/er", "HEAD:topic"];
    let lying = lying.map(|it| it.replace(':', ":refs/heads/"));
    bot.repo.git(&[&["push", "--quiet", "origin"][..], &lying.each_ref().map(String::as_str)].concat());
    bot.start();
    bot.wait_for("the first sight", |bot| bot.story().matches("seen").count() == 2);
    assert!(bot.deployments().is_empty(), "what lay there before is not deployed, whatever `deploy_on_start` says");
    bot.stop();
    let moved = bot.commit("two");
    bot.repo.git(&["push", "--quiet", "origin", "HEAD:refs/heads/release/2", "HEAD:refs/heads/topic"]);
    bot.start();
    bot.wait_for("the deployment", |bot| bot.deployments().len() == 1);
    bot.settle();
    let found = &bot.deployments()[0];
    assert_eq!((found.order().reference.short(), found.order().sha.as_str()), ("release/2", moved.as_str()));
    assert_eq!(found.order().rule, "branch release/*");
}

#[test]
fn the_first_sight_of_a_branch_deploys_nothing_until_it_is_pushed() {
    let mut bot = Bot::asleep(&Extra::default());
    let sha = bot.commit("old");
    bot.start();
    bot.wait_for("the first sight", |bot| bot.story().contains("seen"));
    assert_eq!(bot.deployments().len(), 0);
    bot.deliver("delivery-1", &sha);
    bot.settle();
    insta::assert_snapshot!(bot.story(), @r"
    site  seen c1
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    ");
}

#[test]
fn a_locked_target_waits_until_it_is_unlocked() {
    let bot = Bot::new();
    let ask = |key: &str, what| {
        let request = landfall::domain::Request { actor: "ada".into(), key: key.into(), what };
        bot.runtime.block_on(bot.app().asks.ask(request)).unwrap();
    };
    let target = || landfall::domain::TargetName::parse("site").unwrap();
    ask("1", landfall::domain::Ask::Lock { target: target(), reason: Some("fair".into()), until: None, warns: false });
    let sha = bot.commit("hello");
    bot.deliver("delivery-1", &sha);
    bot.wait_for("it to be held", |bot| bot.story().contains("held"));
    ask("2", landfall::domain::Ask::Unlock { target: target() });
    bot.settle();
    insta::assert_snapshot!(bot.story(), @r"
    site  locked by ada
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  held: `site` is locked by ada: fair
    site  unlocked by ada
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    ");
}

#[test]
fn what_github_refuses_for_a_moment_is_asked_again() {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    let push = |bot: &Bot, page: &str| {
        let sha = bot.commit(page);
        bot.repo.git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main"]);
        sha
    };
    push(&bot, "before");
    bot.start();
    bot.wait_for("the first sight", |bot| bot.story().contains("seen"));
    github.script(Route::Ref, [Trouble::Status(502)]);
    github.script(Route::Contents, [Trouble::Status(500)]);
    github.script(Route::Archive, [Trouble::CutAfter(60), Trouble::Status(503)]);
    bot.deliver("delivery-1", &push(&bot, "one"));
    bot.settle();
    assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    // A token can be renewed, and a repository be shown again: nobody is told «failed» for a moment's refusal.
    for (n, status) in [(2, 401), (3, 404)] {
        github.script(Route::Ref, [Trouble::Status(status)]);
        github.script(Route::Repository, [Trouble::Status(status)]);
        bot.deliver(&format!("delivery-{n}"), &push(&bot, &format!("page {n}")));
        bot.settle();
        assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    }
    // The same refusals after weighing, while the revision is made.
    for (n, status) in [(4, 401), (5, 403)] {
        github.script(Route::Contents, [Trouble::Status(status)]);
        github.script(Route::Tarball, [Trouble::Status(status)]);
        bot.deliver(&format!("delivery-{n}"), &push(&bot, &format!("page {n}")));
        bot.settle();
        assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    }
    assert_eq!(bot.runs(), 5);
    bot.settle_and_tell();
}

#[test]
fn a_token_that_stays_refused_is_given_up_in_the_end() {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let mut bot = Bot::asleep(&Extra { target: "give_up_after = \"2s\"".into(), ..Extra::default() });
    bot.ask_github(&github);
    bot.start();
    github.script(Route::Contents, [Trouble::Status(401); 9]);
    let sha = bot.commit("hello");
    bot.repo.git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main"]);
    bot.deliver("delivery-1", &sha);
    bot.settle();
    let State::Failed { failure } = bot.deployments()[0].state().clone() else { panic!("{}", bot.story()) };
    assert_eq!((failure.code.as_str(), failure.passing), ("source/unauthorized", false));
    assert!(failure.message.starts_with("gave up after 2 s: "), "{failure:?}");
    assert_eq!(bot.runs(), 0);
}

#[test]
fn an_outage_is_told_as_one_wait() {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    bot.start();
    github.script(Route::Ref, [Trouble::Status(503), Trouble::Status(503), Trouble::Status(503)]);
    let sha = bot.commit("hello");
    bot.repo.git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main"]);
    bot.deliver("delivery-1", &sha);
    bot.settle_and_tell();
    assert_eq!(bot.story().matches("weighing").count(), 1, "{}", bot.story());
    let mut told: Vec<String> = github.statuses().into_iter().map(|it| it.description).collect();
    told.retain(|it| it.starts_with("Checking") || it.starts_with("Waiting"));
    let waited = "Waiting: order unproven: `acme/site` cannot be reached: status 503";
    // What passed too fast to be told is not told; nothing is told twice.
    assert!(matches!(&told[..], [.., last] if last == waited), "{told:#?}");
    assert_eq!(told.iter().filter(|it| *it == waited).count(), 1, "{told:#?}");
}

#[test]
fn an_appspec_that_lies_elsewhere_is_named() {
    let bot = Bot::new();
    bot.repo.write("web/appspec.yml", "version: 0.0\nos: linux\n", 0o644);
    bot.repo.git(&["rm", "--quiet", "--force", "--ignore-unmatch", "appspec.yml"]);
    std::fs::remove_file(bot.dir.join("repo/site/appspec.yml")).unwrap_or_default();
    bot.deliver("delivery-1", &bot.commit("nested"));
    bot.settle();
    let State::Refused { failure } = bot.deployments()[0].state().clone() else { panic!("{}", bot.story()) };
    assert!(failure.message.ends_with(", but there is `web/appspec.yml`"), "{failure:?}");
    assert_eq!(failure.help.as_deref(), Some("set `root = \"web\"` under the target's `bundle`, or move the file"));
}
