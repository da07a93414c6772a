//! Gates on GitHub: required checks, from the push to the end, against a GitHub world.

mod crashes;
mod lost;
mod needs;
mod refs;

use landfall::domain::{Ask, DeployOptions, Deployment, State};

use serde_json::{Value, json};

use crate::bot::{Bot, Extra};
use crate::crash::{child, log, orders, side_by_side};
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::push::{self, SECRET};
use crate::worlds::repository::Repository;

/// A bot whose site waits for checks.
struct Gated {
    github: GitHubWorld,
    repository: Repository,
    bot: Bot,
}

impl Gated {
    fn new(target: &str) -> Self {
        let mut this = Self::asleep(target);
        this.bot.start();
        this
    }

    fn asleep(target: &str) -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let mut bot = Bot::asleep(&Extra { target: target.into(), ..Extra::default() });
        bot.ask_github(&github);
        Self { github, repository, bot }
    }

    /// Commits a page and pushes it to GitHub's `main`; nothing is delivered.
    fn push(&self, page: &str) -> String {
        let sha = self.bot.commit(page);
        self.bot.repo.git(&["push", "--quiet", self.repository.bare().to_str().unwrap(), "HEAD:main"]);
        sha
    }

    /// The same, delivered.
    fn deliver(&self, id: &str, page: &str) -> String {
        let sha = self.push(page);
        self.bot.deliver(id, &sha);
        sha
    }

    fn waits(&self, reason: &str) {
        self.bot.wait_for(reason, |bot| bot.story().ends_with(&format!("held: {reason}\n")));
    }

    /// GitHub says that a check run has ended, signed. Gives the answer.
    fn hint(&self, sha: &str, check: &str) -> (u16, Value) {
        let run = json!({ "head_sha": sha, "name": check, "status": "completed", "conclusion": "failure" });
        let payload = json!({ "action": "completed", "check_run": run, "repository": { "full_name": "acme/site" } });
        self.bot.runtime.block_on(tell(&self.bot.url(), "check_run", &payload))
    }

    /// A check run ends well, and GitHub says so.
    fn green(&self, sha: &str, check: &str) {
        self.github.run_check(sha, check, "success");
        let (status, answer) = self.hint(sha, check);
        assert_eq!((status, &answer["reason"]), (200, &json!("deployments that wait for it look at its checks now")));
    }

    fn newest(&self) -> Deployment {
        self.bot.deployments().remove(0)
    }
}

/// Delivers another event than a push.
async fn tell(url: &str, event: &str, payload: &Value) -> (u16, Value) {
    let body = payload.to_string();
    let request = push::delivery(&reqwest::Client::new(), url, SECRET, "delivery-of-a-check", body).build().unwrap();
    let mut request = request;
    request.headers_mut().insert("X-GitHub-Event", event.parse().unwrap());
    let answer = reqwest::Client::new().execute(request).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

const BUILD: &str = "require_checks = [\"build\"]";

#[test]
fn a_push_waits_for_its_checks_and_then_goes_live() {
    let it = Gated::new("require_checks = [\"build\", \"ci/*\"]");
    let sha = it.deliver("delivery-1", "hello");
    it.waits("waiting for checks `build` and `ci/*`");
    it.github.run_check(&sha, "build", "in_progress");
    it.github.say_status(&sha, "ci/lint", "success");
    it.github.say_status(&sha, "ci/test", "pending");
    it.waits("waiting for checks `build` and `ci/test`");
    it.github.run_check(&sha, "build", "neutral");
    it.github.say_status(&sha, "ci/test", "success");
    it.bot.settle_and_tell();
    insta::assert_snapshot!(it.bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  held: waiting for checks `build` and `ci/*`
    d1  held: waiting for checks `build` and `ci/test`
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  succeeded
    ");
    // What was waited for was told once each, in its own words.
    let told: Vec<String> = it.github.statuses().into_iter().map(|it| it.description).collect();
    let waited = |text: &str| told.iter().filter(|it| *it == text).count();
    assert_eq!(waited("Waiting for checks `build` and `ci/test`"), 1, "{told:#?}");
}

#[test]
fn a_red_check_refuses_the_commit_and_is_named_with_its_link() {
    let it = Gated::asleep(BUILD);
    let sha = it.push("hello");
    let mut it = it;
    it.bot.start();
    it.github.run_check(&sha, "build", "failure");
    it.bot.deliver("delivery-1", &sha);
    it.bot.settle_and_tell();
    let State::Refused { failure } = it.newest().state().clone() else { panic!("{}", it.bot.story()) };
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("conductor/check-red", "check `build` is red: `failure`")
    );
    let help = failure.help.unwrap();
    assert!(help.starts_with("look at https://github.example.com/acme/site/runs/9000; push a fix"), "{help}");
    let told = it.github.statuses().pop().unwrap();
    assert_eq!(
        (told.state.as_str(), told.description.as_str()),
        ("error", "Not deployed: check `build` is red: `failure`")
    );
    // A person goes past it.
    let options = DeployOptions::default();
    it.bot.ask("again", Ask::Redeploy { deployment: it.newest().id(), options }).unwrap();
    it.bot.settle();
    assert_eq!((it.newest().state().name(), it.bot.page().as_str()), ("succeeded", "hello"));
}

#[test]
fn a_check_that_never_comes_ends_the_wait_in_time() {
    let it = Gated::new("require_checks = [\"build\"]\nchecks_within = \"1s\"");
    it.deliver("delivery-1", "hello");
    it.bot.settle_and_tell();
    let State::Refused { failure } = it.newest().state().clone() else { panic!("{}", it.bot.story()) };
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("conductor/checks-late", "check `build` was not green within 1 s")
    );
    assert_eq!(it.github.statuses().pop().unwrap().state, "error");
    assert_eq!(it.bot.runs(), 0);
}

#[test]
fn the_newest_green_commit_goes_and_not_the_newest() {
    let it = Gated::new(BUILD);
    let one = it.deliver("delivery-1", "one");
    it.waits("waiting for check `build`");
    let two = it.deliver("delivery-2", "two");
    it.bot.wait_for("both to wait", |bot| bot.story().matches("held: waiting for check `build`").count() == 2);
    it.green(&one, "build");
    it.bot.wait_for("the older one to go live", |bot| bot.page() == "one");
    it.green(&two, "build");
    it.bot.settle_and_tell();
    assert_eq!(it.bot.page(), "two");
    let states: Vec<_> = it.bot.deployments().iter().map(|it| it.state().name()).collect();
    assert_eq!(states, ["succeeded", "succeeded"], "{}", it.bot.story());
}

#[test]
fn an_older_commit_that_is_still_red_or_late_is_superseded_by_a_newer_green_one() {
    let it = Gated::new(BUILD);
    it.deliver("delivery-1", "one");
    it.waits("waiting for check `build`");
    let two = it.push("two");
    it.github.run_check(&two, "build", "success");
    it.bot.deliver("delivery-2", &two);
    it.bot.settle_and_tell();
    let states: Vec<_> = it.bot.deployments().iter().map(|it| it.state().name()).collect();
    assert_eq!(states, ["succeeded", "superseded"], "{}", it.bot.story());
    assert_eq!((it.bot.page().as_str(), it.bot.runs()), ("two", 1));
}

#[test]
fn a_check_that_runs_again_before_the_release_is_waited_for_again() {
    let it = Gated::new(BUILD);
    let lock = |key: &str, what| it.bot.ask(key, what).unwrap();
    let site = || landfall::domain::TargetName::parse("site").unwrap();
    lock("1", Ask::Lock { target: site(), reason: None, until: None, warns: false });
    let sha = it.push("hello");
    it.github.run_check(&sha, "build", "success");
    it.bot.deliver("delivery-1", &sha);
    it.waits("`site` is locked by ada");
    it.github.run_check(&sha, "build", "in_progress");
    lock("2", Ask::Unlock { target: site() });
    it.waits("waiting for check `build`");
    assert_eq!(it.bot.runs(), 0);
    it.green(&sha, "build");
    it.bot.settle();
    assert_eq!(it.newest().state().name(), "succeeded", "{}", it.bot.story());
}

#[test]
fn checks_that_cannot_be_read_are_waited_for_and_said_to_be_unknown() {
    let it = Gated::new(BUILD);
    let sha = it.push("hello");
    it.github.run_check(&sha, "build", "success");
    it.github.script(Route::Statuses, [Trouble::Status(403)]);
    it.bot.deliver("delivery-1", &sha);
    it.waits("the checks are not known: `acme/site` may not be read: as the script says");
    it.hint(&sha, "build");
    it.bot.settle();
    assert_eq!(it.newest().state().name(), "succeeded", "{}", it.bot.story());
}

#[test]
fn a_hint_is_never_believed_and_only_one_of_a_required_check_is_taken() {
    let it = Gated::new(BUILD);
    let sha = it.deliver("delivery-1", "hello");
    it.waits("waiting for check `build`");
    let (_, answer) = it.hint(&sha, "lint");
    assert_eq!(answer["reason"], "no target requires this check");
    let looks = || it.github.requests().iter().filter(|it| it.contains("/check-runs")).count();
    let before = looks();
    // What it says of itself (`failure`) is not what GitHub's API says.
    it.hint(&sha, "build");
    it.bot.wait_for("another look", |_| looks() > before);
    assert_eq!(it.newest().state().name(), "held", "{}", it.bot.story());
    it.green(&sha, "build");
    it.bot.settle();
    assert_eq!(it.bot.story().matches("held").count(), 1, "{}", it.bot.story());
    let unsigned = it.bot.runtime.block_on(async {
        let request = reqwest::Client::new().post(format!("{}/webhooks/github", it.bot.url()));
        request.header("X-GitHub-Event", "status").body("{}").send().await.unwrap().status().as_u16()
    });
    assert_eq!(unsigned, 401);
}

#[test]
fn a_wait_goes_on_after_a_restart_with_what_is_left_of_its_time() {
    let mut it = Gated::new(BUILD);
    let sha = it.deliver("delivery-1", "hello");
    it.waits("waiting for check `build`");
    it.bot.stop();
    it.bot.start();
    it.green(&sha, "build");
    it.bot.settle();
    assert_eq!(it.bot.story().matches("held").count(), 1, "{}", it.bot.story());
    assert_eq!(it.newest().state().name(), "succeeded");
}

/// Seams while a deployment waits for its checks, and the passings of a whole life that lie there.
const SEAMS: &[&str] = &["before-append", "after-append", "before-effect", "after-sync"];

#[test]
fn a_crash_while_checks_are_waited_for_changes_nothing() {
    let cases: Vec<String> = SEAMS.iter().flat_map(|seam| (1..=4).map(move |nth| format!("{seam} {nth}"))).collect();
    let crashes = side_by_side(&cases, |orders| {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let kept = tempfile::tempdir().unwrap();
        let dir = kept.path();
        let bot = Bot::asleep_at(dir, &Extra::default());
        let sha = bot.commit("hello");
        bot.repo.git(&["push", "--quiet", repository.bare().to_str().unwrap(), "HEAD:main"]);
        std::fs::write(dir.join("sha"), &sha).unwrap();
        std::fs::write(dir.join("api"), github.config().api_url).unwrap();
        std::fs::write(dir.join("token"), std::fs::read_to_string(github.token_file()).unwrap()).unwrap();
        let died = !child(CHILD, dir, orders).success();
        assert!(child(CHILD, dir, "").success(), "after {orders}:\n{}", log(dir));
        let story = std::fs::read_to_string(dir.join("story")).unwrap();
        let held = story.matches("held: waiting for check `ci/build`").count();
        assert!(held == 1 && story.ends_with("d1  succeeded\n"), "after {orders}:\n{story}{}", log(dir));
        let last = github.statuses().into_iter().rfind(|it| it.context == "landfall/site").unwrap();
        assert_eq!(last.state, "success", "after {orders}:\n{story}");
        died
    });
    assert!(crashes > SEAMS.len() * 2, "only {crashes} of {} crashes came about", cases.len());
}

const CHILD: &str = "gates::child_of_the_crash_test";

/// Not a test of its own: a push, the wait, and whoever runs the checks, who says through the API that all is well.
#[test]
fn child_of_the_crash_test() {
    let Some((dir, probe)) = orders() else { return };
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let gated = Extra { target: "require_checks = [\"ci/build\"]".into(), ..Extra::default() };
    let mut bot = Bot::asleep_at(&dir, &gated);
    bot.change(&format!("source = {{ git = \"file://{}\" }}", bot.repo.bare().display()), "");
    let github = format!("[github]\napi_url = \"{}\"\ntoken = {{ file = \"{}/token\" }}", read("api"), dir.display());
    bot.change("[github]", &github);
    bot.start_with(probe);
    let sha = read("sha");
    bot.deliver("delivery-1", &sha);
    bot.wait_for("the wait", |bot| {
        bot.story().contains("held: waiting for check") || bot.story().contains("succeeded")
    });
    let said = json!({ "state": "success", "context": "ci/build" });
    let url = format!("{}/repos/acme/site/statuses/{sha}", read("api"));
    bot.runtime.block_on(async {
        let request = reqwest::Client::new().post(url).bearer_auth(read("token").trim()).json(&said);
        let request = request.header("User-Agent", "ci").header("X-GitHub-Api-Version", "2022-11-28");
        assert_eq!(request.send().await.unwrap().status(), 201);
        let event = json!({ "sha": sha, "context": "ci/build", "state": "success",
                            "repository": { "full_name": "acme/site" } });
        assert_eq!(tell(&bot.url(), "status", &event).await.0, 200);
    });
    bot.settle_and_tell();
    std::fs::write(dir.join("story"), bot.story()).unwrap();
    bot.stop();
}
