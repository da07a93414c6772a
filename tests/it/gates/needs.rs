//! What need not be deployed: paths that no rule names, where the payload tells them and where GitHub has to be asked, and
//! commits whose message asks to be left out.

use landfall::domain::State;
use serde_json::{Value, json};

use super::Gated;
use crate::bot;
use crate::worlds::push;

const ZEROS: &str = "0000000000000000000000000000000000000000";
const PAGE: &str = "paths = [\"index.html\"]";

impl Gated {
    /// Commits something that no path rule names, and pushes it to GitHub's `main`; nothing is delivered.
    fn push_docs(&self, files: usize) -> String {
        for n in 0..files {
            self.bot.repo.write(&format!("docs/{n}.md"), "prose", 0o644);
        }
        self.bot.repo.git(&["add", "--all"]);
        self.bot.repo.git(&["commit", "--quiet", "--message", "docs"]);
        self.to_github();
        self.bot.repo.head().to_string()
    }

    fn to_github(&self) {
        self.bot.repo.git(&["push", "--quiet", self.repository.bare().to_str().unwrap(), "+HEAD:main"]);
    }

    /// A push of `main` from one commit to another, of which the payload tells no more than `more`.
    fn moved(&self, id: &str, before: &str, after: &str, more: Value) -> Value {
        let mut payload = push::payload("acme/site", after);
        payload["before"] = json!(before);
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.bot.runtime.block_on(bot::deliver(&self.bot.url(), id, &payload));
        assert_eq!(status, 202, "{answer}");
        answer
    }

    /// What the newest deployment came to, in a word and its reason.
    fn came_to(&self) -> String {
        self.bot.settle();
        let newest = self.newest();
        let doubt = newest.weighed().and_then(|it| it.doubt.clone()).map(|it| format!(" in doubt: {it}"));
        if let State::Skipped { reason } = newest.state() {
            return format!("skipped: {reason}");
        }
        format!("{}{}", newest.state().name(), doubt.unwrap_or_default())
    }
}

pub(super) fn without_shas(text: &str) -> String {
    let is_sha = |word: &str| word.len() == 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(' ').map(|word| if is_sha(word) { "SHA" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_the_payload_does_not_tell_is_asked_of_github() {
    let it = Gated::new(PAGE);
    let came_to = || without_shas(&it.came_to());
    let one = it.push("one");
    it.moved("delivery-1", ZEROS, &one, json!({ "created": true }));
    assert_eq!(came_to(), "succeeded in doubt: there is nothing to compare its paths with");
    // More commits than the payload lists, and none of them touches the page.
    let docs = it.push_docs(1);
    it.moved("delivery-2", &one, &docs, json!({}));
    assert_eq!(came_to(), "skipped: no path of the rule changed since SHA");
    it.bot.settle_and_tell();
    let told = it.github.statuses().pop().unwrap();
    assert_eq!((told.sha, told.state), (docs.clone(), "success".to_owned()));
    assert!(told.description.starts_with("Not deployed: no path of the rule changed"), "{}", told.description);
    // A merge tells nothing of what it brings.
    let empty = json!({ "added": [], "removed": [], "modified": [] });
    let two = it.push("two");
    it.moved("delivery-3", &docs, &two, json!({ "commits": [empty] }));
    assert_eq!(came_to(), "succeeded");
    // History is rewritten: what is gone has changed, though nothing new touches the page.
    it.bot.repo.git(&["reset", "--quiet", "--hard", &docs]);
    let back = it.push_docs(2);
    it.moved("delivery-4", &two, &back, json!({ "forced": true }));
    assert_eq!((came_to().as_str(), it.bot.page().as_str()), ("succeeded", "one"));
    // More files than GitHub names.
    let many = it.push_docs(320);
    it.moved("delivery-5", &back, &many, json!({}));
    assert_eq!(came_to(), "succeeded in doubt: 300 files or more lie between SHA and SHA");
    // A commit to compare with that nobody has any more.
    let last = it.push_docs(321);
    it.moved("delivery-6", "0123456789012345678901234567890123456789", &last, json!({ "forced": true }));
    assert!(came_to().starts_with("succeeded in doubt: GitHub has nothing to compare"), "{}", it.came_to());
}

#[test]
fn whether_a_commit_is_needed_is_asked_once_however_often_its_checks_are_looked_at() {
    let it = Gated::new(&format!("{PAGE}\n{}", super::BUILD));
    let one = it.push("one");
    it.github.run_check(&one, "build", "success");
    it.moved("delivery-1", ZEROS, &one, json!({ "created": true }));
    it.bot.settle();
    let two = it.push("two");
    it.github.run_check(&two, "build", "in_progress");
    it.moved("delivery-2", &one, &two, json!({}));
    it.waits("waiting for check `build`");
    let looks = || it.github.requests().iter().filter(|it| it.contains(&format!("/commits/{two}/check-runs"))).count();
    for _ in 0..2 {
        let before = looks();
        assert_eq!(it.hint(&two, "build").0, 200);
        it.bot.wait_for("the next look", |_| looks() > before);
    }
    it.green(&two, "build");
    assert_eq!(it.came_to(), "succeeded");
    let compared = format!("/compare/{one}...{two}");
    let asked = it.github.requests().iter().filter(|it| it.contains(&compared)).count();
    // Once for its paths; and at each look whether it descends from what is live, which is not counted.
    let asked_for_files = asked - looks();
    assert_eq!(asked_for_files, 1, "{:#?}", it.github.requests());
}

#[test]
fn a_new_branch_is_compared_with_what_is_live() {
    let mut it = Gated::asleep(PAGE);
    it.bot.take("[\"main\", \"release/*\"]");
    it.bot.start();
    let one = it.push("one");
    it.moved("delivery-1", ZEROS, &one, json!({ "created": true }));
    it.bot.settle();
    let docs = it.push_docs(1);
    it.bot.repo.git(&["push", "--quiet", it.repository.bare().to_str().unwrap(), "HEAD:refs/heads/release/1"]);
    it.moved("delivery-2", ZEROS, &docs, json!({ "created": true, "ref": "refs/heads/release/1" }));
    assert_eq!(without_shas(&it.came_to()), "skipped: no path of the rule changed since SHA");
}

#[test]
fn what_a_rule_leaves_out_is_not_found_again() {
    let mut it = Gated::new(PAGE);
    let one = it.push("one");
    let page = json!({ "commits": [{ "added": ["index.html"], "removed": [], "modified": [] }] });
    it.moved("delivery-1", &one, &one, page.clone());
    it.bot.settle();
    let docs = it.push_docs(1);
    let answer =
        it.moved("d-2", &one, &docs, json!({ "commits": [{ "added": ["docs/0.md"], "removed": [], "modified": [] }] }));
    assert_eq!(answer["plans"][0]["reason"], "no path of the rule changed");
    let skipped = it.push("two [skip deploy]");
    let message = json!({ "head_commit": { "message": "two [skip deploy]" }, "commits": page["commits"] });
    let answer = it.moved("d-3", &docs, &skipped, message);
    assert_eq!(answer["plans"][0]["reason"], "the commit says `[skip deploy]`");
    assert!(answer["plans"][0]["deployment"].is_null());
    it.bot.stop();
    let asked = || it.github.requests().iter().filter(|it| it.contains("/git/ref/heads/main")).count();
    let before = asked();
    it.bot.start();
    it.bot.wait_for("the heads to be compared", |_| asked() > before);
    // The next push goes its way, and nothing came between.
    let three = it.push("three");
    it.moved("d-4", &skipped, &three, page);
    it.bot.settle();
    assert_eq!((it.bot.deployments().len(), it.bot.page().as_str()), (2, "three"), "{}", it.bot.story());
}

#[test]
fn a_lost_push_is_found_although_the_one_after_it_was_left_out() {
    let mut it = Gated::new(PAGE);
    let page = json!({ "commits": [{ "added": ["index.html"], "removed": [], "modified": [] }] });
    let one = it.push("one");
    it.moved("delivery-1", &one, &one, page);
    it.bot.settle();
    let lost = it.push("two");
    let docs = it.push_docs(1);
    it.moved("d-3", &lost, &docs, json!({ "commits": [{ "added": ["docs/0.md"], "removed": [], "modified": [] }] }));
    assert_eq!(it.bot.deployments().len(), 1);
    it.bot.stop();
    it.bot.start();
    it.bot.wait_for("the push to be found", |bot| bot.deployments().len() == 2);
    assert_eq!((it.came_to().as_str(), it.bot.page().as_str()), ("succeeded", "two"), "{}", it.bot.story());
}

#[test]
fn a_change_is_not_lost_under_a_newer_push_that_a_rule_leaves_out() {
    let it = Gated::new(PAGE);
    let one = it.push("one");
    let docs = it.push_docs(1);
    it.moved("d-2", &one, &docs, json!({ "commits": [{ "added": ["docs/0.md"], "removed": [], "modified": [] }] }));
    it.moved("d-1", ZEROS, &one, json!({ "commits": [{ "added": ["index.html"], "removed": [], "modified": [] }] }));
    it.bot.settle();
    assert_eq!(it.bot.page(), "one", "{}", it.bot.story());
    assert_eq!(it.newest().order().sha.as_str(), docs, "the head is deployed, with the change in it");
}

#[test]
fn the_commit_before_one_that_asks_to_be_left_out_is_deployed() {
    let it = Gated::new("");
    let one = it.push("one");
    it.push("two [skip deploy]");
    it.bot.deliver("delivery-1", &one);
    it.bot.settle();
    assert_eq!(it.bot.page(), "one", "{}", it.bot.story());
    assert_eq!(it.bot.deployments().len(), 1, "{}", it.bot.story());
}

#[test]
fn a_lost_push_that_asks_to_be_left_out_is_found_and_left_out() {
    let mut it = Gated::new("skip_ci = true");
    let one = it.push("one");
    it.bot.deliver("delivery-1", &one);
    it.bot.settle();
    it.bot.stop();
    it.push("two [skip ci]");
    it.bot.start();
    it.bot.wait_for("the push to be found", |bot| bot.deployments().len() == 2);
    assert_eq!(it.came_to(), "skipped: the commit says `[skip ci]`");
    assert_eq!(it.bot.page(), "one");
}
