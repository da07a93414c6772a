//! Commits that somebody names: by hand, by the API, or by a deployment made at GitHub. Each must be part of a branch or
//! tag that the target takes, whatever GitHub shows under the repository's name.

use landfall::domain::{Ask, Deployment, DeploymentId, State};
use serde_json::{Value, json};

use super::typed;
use crate::bot::{Bot, Extra, deliver};
use crate::cli::Ran;
use crate::worlds::github::GitHubWorld;
use crate::worlds::push::{self, SECRET};

/// Two more targets: one for the same environment, and one that takes tags.
const OTHERS: &str = r#"
file_exists_behavior = "OVERWRITE"
[[target]]
name = "twin"
repository = "acme/site"
branches = ["release/*"]
environment = "production"
[target.engine]
kind = "host"
file_exists_behavior = "OVERWRITE"
[[target]]
name = "tagged"
repository = "acme/site"
tags = ["v*"]
environment = "archive"
[target.engine]
kind = "host"
file_exists_behavior = "OVERWRITE"
"#;

/// A bot whose commits come from GitHub.
struct Stand {
    github: GitHubWorld,
    bot: Bot,
}

impl Stand {
    /// It has deployed three pushes. Gives their commits.
    fn new(engine: &'static str) -> (Self, [String; 3]) {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let target = "environment = \"production\"".to_owned();
        let mut bot = Bot::asleep(&Extra { engine, target, ..Extra::default() });
        bot.ask_github(&github);
        bot.repo.git(&["remote", "add", "github", repository.bare().to_str().unwrap()]);
        bot.start();
        let this = Self { github, bot };
        let pushed = ["one", "two", "three"].map(|page| this.push(page));
        (this, pushed)
    }

    /// A push of this page, deployed.
    fn push(&self, page: &str) -> String {
        let sha = self.bot.commit(page);
        self.bot.repo.git(&["push", "--quiet", "--force", "github", "HEAD:main"]);
        assert_eq!(self.bot.deliver(&format!("delivery-{page}"), &sha).0, 202);
        self.bot.settle();
        assert_eq!(self.bot.page(), page, "{}", self.bot.story());
        sha
    }

    /// A commit that GitHub shows under the repository's name and that no branch of it has, as those of forks are.
    fn forked(&self) -> String {
        let sha = self.bot.repo.commit("from a fork", &[("index.html", "evil")]).to_string();
        self.bot.repo.git(&["push", "--quiet", "github", "HEAD:refs/pull/7/head"]);
        self.bot.repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        sha
    }

    fn deploy(&self, what: &str) -> Ran {
        typed(&self.bot, &["deploy", "site", what, "--wait"])
    }

    /// Somebody makes a deployment at GitHub, and GitHub tells of it. Gives its number, and the answer.
    fn wish(&self, sha: &str, reference: &str, environment: &str) -> (u64, (u16, Value)) {
        let number = self.github.deployment_of_others(sha, environment);
        (number, self.tell(&format!("event-{number}"), created(number, sha, reference, environment)))
    }

    fn tell(&self, delivery: &str, payload: Value) -> (u16, Value) {
        let (client, url, body) = (reqwest::Client::new(), self.bot.url(), payload.to_string());
        self.bot.runtime.block_on(async {
            let answer = push::event(&client, &url, SECRET, "deployment", delivery, body).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap())
        })
    }

    /// The states of GitHub's deployment of this number, in order.
    fn states(&self, number: u64) -> Vec<String> {
        let all = self.github.deployments();
        let states = &all.iter().find(|it| it.id == number).unwrap().states;
        states.iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    }

    fn born(&self, answer: &Value) -> Deployment {
        let id: DeploymentId = answer["plans"][0]["deployment"].as_str().unwrap().parse().unwrap();
        self.bot.app().ledger.deployment(id).unwrap().unwrap()
    }
}

pub(super) fn created(number: u64, sha: &str, reference: &str, environment: &str) -> Value {
    json!({
        "action": "created",
        "deployment": {
            "id": number, "sha": sha, "ref": reference, "task": "deploy", "environment": environment,
            "payload": {}, "creator": { "login": "grace" },
        },
        "workflow": null, "workflow_run": null,
        "repository": { "id": 1000, "full_name": "acme/site" },
    })
}

#[test]
fn an_older_commit_is_deployed_by_its_hash_and_the_next_push_deploys_as_ever() {
    let (mut stand, [one, two, three]) = Stand::new("");
    let ran = stand.deploy(&one[..7]);
    assert_eq!((ran.exit, stand.bot.page().as_str()), (0, "one"), "{}", ran.talk);
    assert!(stand.bot.story().contains("weighed c1"), "{}", stand.bot.story());
    // It says nothing of which commit is the newest: heads that are compared find nothing new.
    stand.bot.stop();
    stand.bot.start();
    stand.bot.settle();
    let ran = stand.deploy(&two);
    assert_eq!((ran.exit, stand.bot.page().as_str()), (0, "two"), "{}", ran.talk);
    let stood = stand.bot.runs();
    // Another webhook tells of the newest push once more.
    let mut again = push::payload("acme/site", &three);
    again["pusher"]["name"] = json!("another webhook");
    assert_eq!(stand.bot.runtime.block_on(deliver(&stand.bot.url(), "late", &again)).0, 202);
    stand.bot.settle();
    assert_eq!((stand.bot.page().as_str(), stand.bot.runs()), ("two", stood), "{}", stand.bot.story());
    stand.push("four");
    assert!(stand.bot.deployments().iter().all(|it| it.state().is_over()));

    let why = typed(&stand.bot, &["why", &one]).out;
    assert!(why.contains("succeeded"), "{why}");
    let story: String = stand.bot.deployments().iter().map(|it| format!("{:?}", it.order().cause)).collect();
    assert_eq!(story.matches("Chosen").count(), 2, "{story}");
}

#[test]
fn a_forks_commit_is_refused_however_it_is_named() {
    let (stand, [_, two, _]) = Stand::new("");
    let forked = stand.forked();
    let runs = stand.bot.runs();
    for named in [&forked[..7], &forked] {
        let ran = stand.deploy(named);
        let text = format!("no branch or tag that the rule of `site` takes leads to {}", &forked[..7]);
        assert!(ran.exit != 0 && ran.talk.contains(&text) && ran.talk.contains("fork"), "{}", ran.talk);
    }
    let asked = |reference: &str, sha: &str| {
        let what = json!({ "ask": "deploy", "target": "site", "ref": reference, "sha": sha });
        let what: Ask = serde_json::from_value(what).unwrap();
        stand.bot.ask(&format!("{reference} {sha}"), what).map_err(|error| error.to_string())
    };
    assert!(asked("refs/heads/main", &forked).unwrap_err().contains("leads to"));
    assert!(asked("refs/pull/7/head", &forked).unwrap_err().contains("does not take"));
    assert_eq!(asked("refs/heads/main", &two).unwrap().deployments.len(), 1);
    stand.bot.settle();

    // What is made at GitHub is proven when it is weighed: nobody is asked at the door.
    let (number, (status, answer)) = stand.wish(&forked, "main", "production");
    assert_eq!(status, 202, "{answer}");
    stand.bot.settle();
    let State::Refused { failure } = stand.born(&answer).state().clone() else { panic!("{}", stand.bot.story()) };
    assert_eq!(failure.code, "steps/not-reachable");
    stand.bot.wait_for("the last state", |_| stand.states(number).last().is_some_and(|it| it != "queued"));
    assert!(matches!(stand.states(number).last().unwrap().as_str(), "error" | "failure"));
    let again = typed(&stand.bot, &["redeploy", &stand.born(&answer).id().to_string()]);
    assert!(again.exit != 0 && again.talk.contains("leads to"), "{}", again.talk);
    assert_eq!((stand.bot.runs(), stand.bot.page().as_str()), (runs + 1, "two"));
}

#[test]
fn what_no_commit_or_several_begin_with_is_said_to_be_so() {
    let (stand, [one, ..]) = Stand::new("");
    let ran = stand.deploy("0000000");
    assert!(ran.exit != 0 && ran.talk.contains("not one commit that begins with `0000000`"), "{}", ran.talk);
    let ran = stand.deploy(&"0".repeat(40));
    assert!(ran.exit != 0 && ran.talk.contains("has no commit"), "{}", ran.talk);
    // Six digits are a branch's name, and a branch that is called like a commit does not pass for one.
    let ran = stand.deploy(&one[..6]);
    assert!(ran.exit != 0 && ran.talk.contains("does not take"), "{}", ran.talk);
    stand.bot.repo.git(&["push", "--quiet", "github", "HEAD:refs/heads/feedbee"]);
    let ran = stand.deploy("feedbee");
    assert!(ran.exit != 0 && ran.talk.contains("begins with `feedbee`"), "{}", ran.talk);
    let neither = serde_json::from_value(json!({ "ask": "deploy", "target": "site" })).unwrap();
    assert!(stand.bot.ask("neither", neither).unwrap_err().to_string().contains("neither a ref nor a commit"));
}

#[test]
fn a_deployment_made_at_github_is_carried_out_once_and_told_there() {
    let (stand, [one, ..]) = Stand::new("");
    let (number, (status, answer)) = stand.wish(&one, &one, "Production");
    assert_eq!((status, answer["plans"][0]["target"].as_str()), (202, Some("site")), "{answer}");
    let (again, repeated) = stand.tell("another-webhook", created(number, &one, &one, "production"));
    assert_eq!((again, repeated["repeat"].as_bool()), (200, Some(true)), "{repeated}");
    assert_eq!(repeated["plans"][0]["deployment"], answer["plans"][0]["deployment"]);
    stand.bot.settle();
    assert_eq!((stand.bot.page().as_str(), stand.bot.runs()), ("one", 4));
    stand.bot.wait_for("its success", |_| stand.states(number).last().is_some_and(|it| it == "success"));
    assert_eq!(stand.github.deployments().len(), 1, "no second one is made: {:#?}", stand.github.deployments());
    let story = typed(&stand.bot, &["status", &stand.born(&answer).id().to_string()]);
    assert!(story.out.contains("grace on GitHub asked for this very commit"), "{}{}", story.out, story.talk);

    // What is ours, a workflow's own, of another task or for no environment of ours is no wish.
    let number = stand.github.deployment_of_others(&one, "production");
    let but = |key: &str, value: Value| {
        let mut payload = created(number, &one, "main", "production");
        *payload.pointer_mut(key).unwrap() = value;
        stand.tell(&format!("no-wish{}", key.replace('/', "-")), payload)
    };
    for (key, value, why) in [
        ("/deployment/payload", json!({ "landfall": "01J" }), "landfall created it itself"),
        ("/deployment/payload", json!("{\"landfall\":\"01J\"}"), "landfall created it itself"),
        ("/workflow_run", json!({ "id": 1 }), "a workflow created it for its own job, and deploys by itself"),
        ("/deployment/task", json!("migrate"), "its task is not `deploy`"),
        ("/deployment/environment", json!("moon"), "no target is for the environment `moon`"),
        ("/action", json!("edited"), "only a deployment that was created is carried out"),
    ] {
        let (status, answer) = but(key, value);
        assert_eq!((status, answer["reason"].as_str()), (200, Some(why)), "{key}");
    }
    stand.bot.settle();
    assert_eq!(stand.bot.runs(), 4);
    // Another repository that took the name over is a stranger.
    let mut strange = created(number, &one, "main", "production");
    strange["repository"]["id"] = json!(4711);
    let (_, answer) = stand.tell("stranger", strange);
    assert!(answer["plans"][0]["deployment"].is_null(), "{answer}");
    assert!(answer["plans"][0]["reason"].as_str().unwrap().contains("4711"), "{answer}");
}

#[test]
fn an_environment_of_two_targets_and_one_of_tags() {
    let (stand, [one, two, three]) = Stand::new(OTHERS);
    stand.bot.repo.git(&["push", "--quiet", "github", &format!("{two}:refs/heads/release/1")]);
    stand.bot.repo.git(&["push", "--quiet", "github", &format!("{one}:refs/tags/v1")]);

    // `main` is none of the twin's branches, and the release branch none of the site's.
    let (number, (status, answer)) = stand.wish(&two, "release/1", "production");
    let reasons = |answer: &Value| -> Vec<(String, bool, String)> {
        let plans = answer["plans"].as_array().unwrap().iter();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        plans.map(|it| (text(it, "target"), it["deployment"].is_string(), text(it, "reason"))).collect()
    };
    assert_eq!(status, 202);
    let told = reasons(&answer);
    assert_eq!(
        (told[0].0.as_str(), told[0].1, told[1].0.as_str(), told[1].1),
        ("site", false, "twin", true),
        "{told:?}"
    );
    assert_eq!(told[0].2, "`release/1` is not mapped to this target");
    stand.bot.settle();
    stand.bot.wait_for("the twin's success", |_| stand.states(number).last().is_some_and(|it| it == "success"));

    // A tag's target takes the tag, and what leads to it; not what came after.
    let (_, (_, answer)) = stand.wish(&one, "v1", "archive");
    stand.bot.settle();
    assert!(matches!(stand.born(&answer).state(), State::Succeeded { .. }), "{}", stand.bot.story());
    let (_, (_, answer)) = stand.wish(&three, "v1", "archive");
    stand.bot.settle();
    assert!(matches!(stand.born(&answer).state(), State::Refused { .. }), "{}", stand.bot.story());
    let (_, (_, answer)) = stand.wish(&three, &three, "archive");
    assert!(!reasons(&answer)[0].1, "a bare commit names no tag: {answer}");

    // By hand a pattern's branch is found, and a tag is named.
    let ran = typed(&stand.bot, &["deploy", "twin", &one[..9], "--wait"]);
    assert_eq!(ran.exit, 0, "{}", ran.talk);
    let ran = typed(&stand.bot, &["deploy", "twin", &three[..9]]);
    assert!(ran.exit != 0 && ran.talk.contains("leads to"), "{}", ran.talk);
}
