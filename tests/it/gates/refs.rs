//! Refs that move, end or change their name while something waits, and the proof of order right before the release, by
//! GitHub's refs and comparisons.

use jiff::SignedDuration;
use landfall::domain::{Ask, DeploymentEvent, Event, Record, State, TargetName};
use serde_json::{Value, json};

use super::Gated;
use crate::bot;
use crate::worlds::github::{Route, Trouble};
use crate::worlds::push;

impl Gated {
    fn lock(&self) {
        self.ask(
            "lock",
            Ask::Lock { target: TargetName::parse("site").unwrap(), reason: None, until: None, warns: false },
        );
    }

    fn unlock(&self) {
        self.ask("unlock", Ask::Unlock { target: TargetName::parse("site").unwrap() });
    }

    fn ask(&self, key: &str, what: Ask) {
        self.bot.ask(key, what).unwrap();
    }

    /// Pushes these refspecs of the working copy to GitHub.
    fn refs(&self, refspecs: &[&str]) {
        let bare = self.repository.bare().to_str().unwrap();
        self.bot.repo.git(&[&["push", "--quiet", "--force", bare], refspecs].concat());
    }

    /// Delivers a push of any ref.
    fn moved_ref(&self, id: &str, reference: &str, after: &str, more: Value) {
        let mut payload = push::payload("acme/site", after);
        payload["ref"] = json!(reference);
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.bot.runtime.block_on(bot::deliver(&self.bot.url(), id, &payload));
        assert_eq!(status, 202, "{answer}");
    }

    /// Starts the bot again while GitHub does not tell where refs are, and waits until it has asked.
    fn restart_into_an_outage(&mut self) {
        self.bot.stop();
        self.github.script(Route::Ref, [Trouble::Status(502); 50]);
        let asked = || self.github.requests().iter().filter(|it| it.ends_with("/git/ref/heads/main: 502")).count();
        self.bot.start();
        // What waits, and the comparison of heads.
        self.bot.wait_for("GitHub to be asked", |_| asked() >= 2);
    }

    fn stumbles(&self) -> usize {
        let stumbled = |it: &&Record| matches!(it.event, Event::Deployment(DeploymentEvent::Stumbled { .. }));
        self.bot.records().iter().filter(stumbled).count()
    }

    /// The last refusal, with its code and help.
    fn refusal(&self) -> String {
        self.bot.settle();
        let State::Refused { failure } = self.newest().state().clone() else { panic!("{}", self.bot.story()) };
        format!("{failure}; {}", failure.help.clone().unwrap_or_default())
    }
}

fn gone() -> Value {
    json!({ "deleted": true, "head_commit": null })
}

const ZEROS: &str = "0000000000000000000000000000000000000000";

#[test]
fn the_order_is_proven_again_right_before_the_release() {
    let it = Gated::new("");
    it.lock();
    let one = it.deliver("delivery-1", "one");
    it.waits("`site` is locked by ada");
    // A push that nobody has delivered yet.
    let two = it.push("two");
    let before = it.github.requests().len();
    it.unlock();
    it.bot.settle();
    let asked = it.github.requests().split_off(before);
    assert!(asked[0].contains("/git/ref/heads/main: 200"), "{asked:#?}");
    assert!(asked[1].contains(&format!("/compare/{one}...{two}: 200")), "{asked:#?}");
    assert_eq!((it.bot.page().as_str(), it.bot.runs()), ("two", 1), "{}", it.bot.story());
    let states: Vec<_> = it.bot.deployments().iter().map(|it| it.state().name()).collect();
    assert_eq!(states, ["succeeded", "superseded"]);
}

#[test]
fn a_push_back_to_what_is_live_is_planned_while_another_is_under_way() {
    let it = Gated::new("");
    let one = it.deliver("delivery-1", "one");
    it.bot.settle();
    it.lock();
    let two = it.deliver("delivery-2", "two");
    it.waits("`site` is locked by ada");
    let waits = it.newest().id();
    it.refs(&[&format!("{one}:refs/heads/main")]);
    it.moved_ref("delivery-3", "refs/heads/main", &one, json!({ "forced": true, "before": two }));
    // What is live may be another one by the time it is its turn.
    assert_eq!((it.bot.deployments().len(), it.newest().order().sha.as_str()), (3, one.as_str()));
    it.unlock();
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.newest().state().name()), ("one", "succeeded"), "{}", it.bot.story());
    // GitHub does not merely lag behind: a push says that the branch was moved away from the one that waited.
    let waited = it.bot.deployments().into_iter().find(|it| it.id() == waits).unwrap();
    let State::Refused { failure } = waited.state() else { panic!("{}", it.bot.story()) };
    assert_eq!(failure.code, "steps/rewritten-away");
}

#[test]
fn a_deleted_branch_ends_what_waits_for_a_lock() {
    let it = Gated::new("");
    it.lock();
    let one = it.deliver("delivery-1", "one");
    it.waits("`site` is locked by ada");
    // One that was deleted and is there again waits on.
    it.moved_ref("delivery-2", "refs/heads/main", ZEROS, gone());
    it.refs(&[":refs/heads/main"]);
    it.moved_ref(
        "delivery-3",
        "refs/heads/main",
        ZEROS,
        json!({ "deleted": true, "head_commit": null, "before": one }),
    );
    assert_eq!(it.refusal(), "`main` is gone (steps/ref-gone); push the branch or tag again to deploy it");
    assert_eq!(it.bot.runs(), 0);
}

#[test]
fn a_deleted_branch_of_which_nobody_tells_ends_what_waits_too() {
    let mut it = Gated::asleep("");
    it.bot.change("data_dir =", "catch_up_every = \"1s\"\ndata_dir =");
    it.bot.start();
    it.lock();
    it.deliver("delivery-1", "one");
    it.waits("`site` is locked by ada");
    it.refs(&[":refs/heads/main"]);
    assert_eq!(it.refusal(), "`main` is gone (steps/ref-gone); push the branch or tag again to deploy it");
}

#[test]
fn what_is_said_under_a_new_name_is_heard_by_what_was_planned_under_the_old_one() {
    let it = Gated::new(super::BUILD);
    let sha = it.deliver("delivery-1", "one");
    it.waits("waiting for check `build`");
    it.github.rename("acme/site", "acme/journal");
    it.github.run_check(&sha, "build", "success");
    let run = json!({ "head_sha": sha, "name": "build", "status": "completed", "conclusion": "success" });
    let repository = json!({ "id": 1_000, "full_name": "acme/journal" });
    let payload = json!({ "action": "completed", "check_run": run, "repository": repository });
    let (status, answer) = it.bot.runtime.block_on(super::tell(&it.bot.url(), "check_run", &payload));
    assert_eq!((status, &answer["reason"]), (200, &json!("deployments that wait for it look at its checks now")));
    // The next look by the clock would come ten seconds later.
    it.bot.settle();
    let deployment = it.newest();
    let took = deployment.changed_at().duration_since(deployment.created_at());
    assert!(took < SignedDuration::from_secs(9) && it.bot.page() == "one", "{took}: {}", it.bot.story());
}

#[test]
fn a_source_that_is_down_at_the_start_is_no_news_to_what_waits_for_something_else() {
    let mut it = Gated::new("");
    it.lock();
    it.deliver("delivery-1", "one");
    it.waits("`site` is locked by ada");
    it.restart_into_an_outage();
    assert_eq!(it.bot.story().matches("held").count(), 1, "{}", it.bot.story());
    assert!(it.stumbles() == 0 && it.newest().state().name() == "held");
    it.github.mend(Route::Ref);
    it.unlock();
    it.bot.settle();
    assert_eq!(it.bot.page(), "one");
}

#[test]
fn a_source_that_is_down_puts_nothing_off_that_waits_for_its_checks() {
    let mut it = Gated::new(super::BUILD);
    let sha = it.deliver("delivery-1", "one");
    it.waits("waiting for check `build`");
    it.restart_into_an_outage();
    it.bot.wait_for("the outage to be told", |bot| bot.story().contains("held: `acme/site` cannot be reached"));
    it.github.mend(Route::Ref);
    it.green(&sha, "build");
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.stumbles()), ("one", 0), "{}", it.bot.story());
    let records = it.bot.records();
    let deadline = |it: &Record| {
        let Event::Deployment(DeploymentEvent::Held { hold }) = &it.event else { return None };
        Some((hold.kind, hold.until))
    };
    let deadlines: Vec<_> = records.iter().filter_map(deadline).collect();
    assert!(deadlines.len() > 1 && deadlines.iter().all(|it| *it == deadlines[0]), "{deadlines:?}");
}

#[test]
fn that_github_is_asked_less_for_a_while_is_no_news_to_what_waits_for_its_checks() {
    let it = Gated::new(super::BUILD);
    let sha = it.deliver("delivery-1", "one");
    it.waits("waiting for check `build`");
    it.github.script(Route::CheckRuns, [Trouble::RateLimited { retry_after: 3 }]);
    let refused = || it.github.requests().iter().filter(|it| it.ends_with("/check-runs: 403")).count();
    it.hint(&sha, "build");
    it.bot.wait_for("GitHub to want less", |_| refused() == 1);
    it.green(&sha, "build");
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.stumbles()), ("one", 0));
    assert_eq!(it.bot.story().matches("held").count(), 1, "{}", it.bot.story());
}

#[test]
fn a_branch_that_was_renamed_is_named() {
    let it = Gated::new("");
    it.lock();
    it.deliver("delivery-1", "one");
    it.waits("`site` is locked by ada");
    it.refs(&["HEAD:refs/heads/trunk", ":refs/heads/main"]);
    crate::worlds::repository::git(it.repository.bare(), &["config", "branch.main.renamed", "trunk"]);
    it.moved_ref("delivery-2", "refs/heads/main", ZEROS, gone());
    let told = "`main` is gone: it is called `trunk` now (steps/ref-renamed); \
                name `trunk` in the target's `branches`, and push or `landfall deploy` it";
    assert_eq!(it.refusal(), told);
}

#[test]
fn tags_are_peeled_may_move_and_go_in_the_order_in_which_they_came() {
    let mut it = Gated::asleep("tags = [\"v*\"]");
    it.bot.change("branches = [\"main\"]", "branches = [\"main\", \"release/*\"]");
    it.bot.start();
    let tag = |name: &str| it.bot.repo.git(&["tag", "--annotate", "--force", "--message", name, name]);
    let one = it.push("one");
    tag("v1");
    let object = it.bot.repo.git(&["rev-parse", "v1"]);
    it.refs(&["refs/tags/v1"]);
    it.moved_ref("delivery-1", "refs/tags/v1", &object, json!({ "created": true }));
    it.bot.settle();
    let live = it.newest();
    assert_eq!((live.weighed().unwrap().commit.as_str(), live.order().rule.as_str()), (one.as_str(), "tag v*"));
    // The tag moves, and what it named before comes late.
    let two = it.push("two");
    tag("v1");
    let moved = it.bot.repo.git(&["rev-parse", "v1"]);
    it.refs(&["refs/tags/v1"]);
    it.lock();
    it.moved_ref("delivery-2", "refs/tags/v1", &moved, json!({ "forced": true, "before": object }));
    it.waits("`site` is locked by ada");
    // A newer tag of the same target takes its place, and so does one that is older by its commits.
    it.bot.repo.git(&["checkout", "--quiet", "--detach", &one]);
    tag("v0");
    let older = it.bot.repo.git(&["rev-parse", "v0"]);
    it.refs(&["refs/tags/v0"]);
    it.moved_ref("delivery-3", "refs/tags/v0", &older, json!({ "created": true }));
    it.bot.wait_for("both to wait", |bot| bot.story().matches("held").count() == 2);
    it.unlock();
    it.bot.settle();
    assert_eq!(it.bot.page(), "one", "the last that was accepted: {}", it.bot.story());
    // A branch that another pattern of the rule takes.
    it.refs(&[&format!("{two}:refs/heads/release/2")]);
    it.moved_ref("delivery-4", "refs/heads/release/2", &two, json!({ "created": true }));
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.newest().order().rule.as_str()), ("two", "branch release/*"));
    let states: Vec<_> = it.bot.deployments().iter().map(|it| it.state().name()).collect();
    assert_eq!(states, ["succeeded", "succeeded", "superseded", "succeeded"], "{}", it.bot.story());
}

#[test]
fn a_deleted_tag_ends_what_waits() {
    let mut it = Gated::asleep("tags = [\"v*\"]");
    it.bot.start();
    it.lock();
    let one = it.push("one");
    it.refs(&["HEAD:refs/tags/v1"]);
    it.moved_ref("delivery-1", "refs/tags/v1", &one, json!({ "created": true }));
    it.waits("`site` is locked by ada");
    it.refs(&[":refs/tags/v1"]);
    it.moved_ref("delivery-2", "refs/tags/v1", ZEROS, gone());
    assert_eq!(it.refusal(), "`v1` is gone (steps/ref-gone); push the branch or tag again to deploy it");
}
