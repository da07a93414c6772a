//! Repositories that get another name or another owner, and strangers that take the name: the number decides.

use landfall::domain::{Ask, DeliveryId, DeployOptions, RefName, TargetName};
use serde_json::{Value, json};

use crate::bot::{Bot, Extra, deliver};
use crate::worlds::github::GitHubWorld;
use crate::worlds::push::{self, SECRET};

const ID: u64 = 1_000;

/// A bot whose target is configured with `acme/site`, of which a first push was accepted.
fn settled() -> (GitHubWorld, Bot) {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let mut bot = Bot::asleep(&Extra::default());
    bot.ask_github(&github);
    bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
    bot.start();
    let sha = committed(&bot, "one");
    assert_eq!(pushed(&bot, "delivery-1", "acme/site", ID, &sha).0, 202);
    bot.settle_and_tell();
    (github, bot)
}

/// A commit of this page that `acme/site` has.
fn committed(bot: &Bot, page: &str) -> String {
    let sha = bot.commit(page);
    bot.repo.git(&["push", "--quiet", "github", "HEAD:main"]);
    sha
}

/// The same after `acme/site` was renamed.
fn committed_at(bot: &Bot, github: &GitHubWorld, name: &str, page: &str) -> String {
    let sha = bot.commit(page);
    bot.repo.git(&["push", "--quiet", github.bare(name).to_str().unwrap(), "HEAD:main"]);
    sha
}

fn pushed(bot: &Bot, id: &str, name: &str, number: u64, sha: &str) -> (u16, Value) {
    let mut payload = push::payload(name, sha);
    payload["repository"]["id"] = json!(number);
    bot.runtime.block_on(deliver(&bot.url(), id, &payload))
}

fn renamed(bot: &Bot, secret: &str, action: &str, name: &str) -> (u16, Value) {
    let body = json!({ "action": action, "repository": { "id": ID, "full_name": name } }).to_string();
    let request = push::event(&reqwest::Client::new(), &bot.url(), secret, "repository", "delivery-r", body);
    bot.runtime.block_on(async {
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

#[test]
fn a_renamed_repository_is_followed_by_its_number_and_a_stranger_under_its_name_is_refused() {
    let (github, mut bot) = settled();
    github.rename("acme/site", "acme/journal");
    let stranger = github.repository("acme/site");
    let sha = committed_at(&bot, &github, "acme/journal", "two");
    let (status, answer) = pushed(&bot, "delivery-2", "acme/journal", ID, &sha);
    assert!(status == 202 && answer["plans"][0]["deployment"].is_string(), "{answer}");
    bot.settle_and_tell();
    assert_eq!(bot.page(), "two");
    assert_eq!(github.statuses().last().unwrap().repository, "acme/journal", "statuses go where the commits are");

    bot.repo.git(&["checkout", "--quiet", "--orphan", "other"]);
    let theirs = bot.repo.commit("theirs", &[("index.html", "theirs")]).to_string();
    bot.repo.git(&["push", "--quiet", stranger.bare().to_str().unwrap(), "HEAD:main"]);
    let (status, answer) = pushed(&bot, "delivery-3", "acme/site", ID + 1, &theirs);
    let reason = "repository id 1001 is not 1000, which was first accepted under this name";
    assert!(status == 202 && answer["plans"][0]["deployment"].is_null(), "{answer}");
    assert_eq!(answer["plans"][0]["reason"], reason);

    // Heads are compared at the repository itself, although the stranger has the configured name.
    bot.stop();
    bot.repo.git(&["checkout", "--quiet", "--force", "main"]);
    committed_at(&bot, &github, "acme/journal", "three");
    bot.start();
    bot.wait_for("the third page", |bot| bot.page() == "three");
    // A newer deployment of a commit speaks for the older one, whose end would not be told then.
    bot.settle_and_tell();
    let ask = Ask::Deploy {
        target: TargetName::parse("site").unwrap(),
        reference: Some(RefName::parse("refs/heads/main").unwrap()),
        sha: None,
        options: DeployOptions::default(),
    };
    assert_eq!(bot.ask("by-hand", ask).unwrap().deployments.len(), 1);
    bot.settle_and_tell();
    let last = &bot.deployments()[0];
    assert_eq!(last.order().repository.name.as_str(), "acme/journal");
    assert_eq!(bot.story().matches("followed to acme/journal").count(), 1, "{}", bot.story());
    assert_eq!(bot.page(), "three");
}

#[test]
fn a_delivery_under_the_old_name_is_replayed_from_the_repository_itself_and_not_from_a_stranger() {
    let (github, bot) = settled();
    github.rename("acme/site", "acme/journal");
    github.repository("acme/site");
    let sha = committed_at(&bot, &github, "acme/journal", "two");
    pushed(&bot, "delivery-2", "acme/journal", ID, &sha);
    bot.settle_and_tell();
    let ask = Ask::Replay { delivery: DeliveryId::parse("delivery-1").unwrap() };
    assert_eq!(bot.ask("again", ask).unwrap().deployments.len(), 1);
    bot.settle_and_tell();
    assert_eq!((bot.page().as_str(), bot.runs()), ("one", 3), "{}", bot.story());
    let replayed = bot.deployments().remove(0);
    assert_eq!(replayed.order().repository.name.as_str(), "acme/journal");
    assert_eq!(github.statuses().last().unwrap().repository, "acme/journal");
}

#[test]
fn a_rename_is_followed_before_anybody_pushes() {
    let (github, mut bot) = settled();
    github.rename("acme/site", "acme/journal");
    let (status, answer) = renamed(&bot, SECRET, "renamed", "acme/journal");
    assert_eq!(status, 200, "{answer}");
    let reason = answer["reason"].as_str().unwrap();
    assert!(reason.starts_with("followed to `acme/journal` by site: "), "{reason}");
    // Told once; transfers are told in the same way, and other news of a repository mean nothing.
    let (_, answer) = renamed(&bot, SECRET, "renamed", "acme/journal");
    assert_eq!(answer["reason"], "no target knew `acme/journal` under another name");
    let (_, answer) = renamed(&bot, SECRET, "archived", "acme/other");
    assert_eq!(answer["reason"], "landfall deploys on `push` and `deployment`, and has no use for this event");
    github.rename("acme/journal", "globex/journal");
    renamed(&bot, SECRET, "transferred", "globex/journal");
    let status = bot.runtime.block_on(bot.app().board.targets()).unwrap();
    assert_eq!(status.targets[0].called_now.as_deref(), Some("globex/journal"));
    // The compared heads follow by themselves, too: a rename of which nobody told.
    bot.stop();
    github.rename("globex/journal", "globex/diary");
    bot.start();
    bot.wait_for("the last name", |bot| bot.story().contains("followed to globex/diary"));
    assert_eq!(renamed(&bot, "a stranger's", "renamed", "acme/x").0, 401);
}

#[test]
fn a_stranger_that_takes_the_name_while_nobody_looks_is_not_deployed() {
    let (github, mut bot) = settled();
    bot.stop();
    github.rename("acme/site", "acme/journal");
    let stranger = github.repository("acme/site");
    bot.repo.git(&["checkout", "--quiet", "--orphan", "other"]);
    bot.repo.commit("theirs", &[("index.html", "theirs")]);
    bot.repo.git(&["push", "--quiet", stranger.bare().to_str().unwrap(), "HEAD:main"]);
    let before = github.requests().len();
    bot.start();
    bot.wait_for("the name to be looked at", |_| {
        github.requests()[before..].iter().any(|it| it == "GET /api/v3/repos/acme/site: 200")
    });
    bot.settle();
    assert_eq!((bot.page().as_str(), bot.runs()), ("one", 1), "{}", bot.story());
}
