//! Crashes on the way through the gates: whatever the moment, what is found, left out or ended reads the same after it.

use std::path::{Path, PathBuf};

use landfall::domain::{Ask, DeploymentEvent, Event, State, TargetName};
use landfall::steps::Probe;
use serde_json::{Value, json};

use crate::bot::{self, Bot, Extra};
use crate::crash::{child, log, orders, side_by_side};
use crate::worlds::github::GitHubWorld;
use crate::worlds::push;

const ZEROS: &str = "0000000000000000000000000000000000000000";

/// Lets two children live one after the other, of which the first dies as ordered, and compares how it ended. Gives
/// whether the first one died, once `begun` had come about.
fn lives(name: &str, orders: &str, begun: &str, expected: &str) -> bool {
    let github = GitHubWorld::start();
    let repository = github.repository("acme/site");
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    for (file, text) in [
        ("api", github.config().api_url),
        ("token", std::fs::read_to_string(github.token_file()).unwrap()),
        ("bare", repository.bare().display().to_string()),
    ] {
        std::fs::write(dir.join(file), text).unwrap();
    }
    let died = !child(name, dir, orders).success();
    let counts = died && dir.join(begun).exists();
    assert!(child(name, dir, "").success(), "after {orders}:\n{}", log(dir));
    let outcome = std::fs::read_to_string(dir.join("outcome")).unwrap();
    assert_eq!(outcome, expected, "after {orders}:\n{}", log(dir));
    counts
}

/// Orders for a crash at these passings of each seam.
fn cases(seams: &[(&str, &[usize])]) -> Vec<String> {
    seams.iter().flat_map(|(seam, passings)| passings.iter().map(move |nth| format!("{seam} {nth}"))).collect()
}

/// The child's bot, which asks the world that its parent keeps.
struct Life {
    dir: PathBuf,
    bot: Bot,
}

impl Life {
    fn begin(dir: &Path, probe: Probe, top: &'static str, target: &str) -> Self {
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        let mut bot = Bot::asleep_at(dir, &Extra { top, target: target.into(), ..Extra::default() });
        bot.change(&format!("source = {{ git = \"file://{}\" }}", bot.repo.bare().display()), "");
        let github =
            format!("[github]\napi_url = \"{}\"\ntoken = {{ file = \"{}/token\" }}", read("api"), dir.display());
        bot.change("[github]", &github);
        bot.start_with(probe);
        Self { dir: dir.to_owned(), bot }
    }

    /// Does something that no crash may do twice, and keeps what it gives. A crash comes from the bot's own threads at
    /// any time: what was begun and not noted is done on top of what there is.
    fn once(&self, name: &str, act: impl FnOnce() -> String) -> String {
        let file = self.dir.join(name);
        if !file.exists() {
            let new = self.dir.join(format!("{name}.new"));
            std::fs::write(&new, act()).unwrap();
            std::fs::rename(new, &file).unwrap();
        }
        std::fs::read_to_string(file).unwrap()
    }

    fn push_refs(&self, refspec: &str) {
        let bare = std::fs::read_to_string(self.dir.join("bare")).unwrap();
        self.bot.repo.git(&["push", "--quiet", "--force", &bare, refspec]);
    }

    fn moved(&self, id: &str, before: &str, after: &str, more: &Value) {
        let mut payload = push::payload("acme/site", after);
        payload["before"] = json!(before);
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.bot.runtime.block_on(bot::deliver(&self.bot.url(), id, &payload));
        assert!(matches!(status, 200 | 202), "{status}: {answer}");
    }

    /// How each deployment ended and in what doubt, oldest first, and what is live.
    fn end(mut self) {
        self.bot.settle_and_tell();
        let mut deployments = self.bot.deployments();
        deployments.sort_by_key(landfall::domain::Deployment::id);
        let mut outcome = String::new();
        for it in &deployments {
            let doubt = it.weighed().and_then(|it| it.doubt.clone()).map(|it| format!(" in doubt: {it}"));
            let refused = it.state().failure().map(ToString::to_string);
            let left_out = if let State::Skipped { reason } = it.state() { Some(reason.clone()) } else { None };
            let why = refused.or(left_out).map(|why| format!(": {why}")).unwrap_or_default();
            let line = format!("{}{why}{}", it.state().name(), doubt.unwrap_or_default());
            outcome += &format!("{}\n", super::needs::without_shas(&line));
        }
        outcome += &format!("page {}, runs {}\n", self.bot.page(), self.bot.runs());
        self.bot.stop();
        std::fs::write(self.dir.join("outcome"), outcome).unwrap();
    }
}

const NEEDS: &str = "succeeded in doubt: there is nothing to compare its paths with
skipped: no path of the rule changed since SHA
skipped: the commit says `[skip deploy]`; SHA before it goes instead
succeeded
page two, runs 2
";

#[test]
fn a_crash_while_it_is_found_out_what_need_not_be_deployed_changes_nothing() {
    // The doubt is written second; what need not be deployed, and what is found, from the eighth passing on.
    let late: &[usize] = &[2, 8, 9, 10, 11, 12, 13];
    let cases = cases(&[("before-append", late), ("after-append", late), ("after-sync", &[12, 16, 20, 24])]);
    let crashes = side_by_side(&cases, |orders| lives(NEEDS_CHILD, orders, "one", NEEDS));
    assert!(crashes > cases.len() / 2, "only {crashes} of {} crashes came about", cases.len());
}

const NEEDS_CHILD: &str = "gates::crashes::child_of_the_needs_test";

/// Not a test of its own: a commit in doubt, one that `paths` leaves out, a lost one and one that asks to be left out.
#[test]
fn child_of_the_needs_test() {
    let Some((dir, probe)) = orders() else { return };
    let life = Life::begin(&dir, probe, "catch_up_every = \"1s\"", "paths = [\"index.html\"]");
    let commit = |page: &str| {
        let sha = life.bot.commit(page);
        life.push_refs("+HEAD:main");
        sha
    };
    let one = life.once("one", || commit("one"));
    life.moved("delivery-1", ZEROS, &one, &json!({ "created": true }));
    life.bot.settle();
    let docs = life.once("docs", || {
        let sha = life.bot.repo.commit("docs", &[("docs/a.md", "prose")]);
        life.push_refs("+HEAD:main");
        sha.to_string()
    });
    life.moved("delivery-2", &one, &docs, &json!({}));
    life.bot.settle();
    life.once("lost", || {
        life.bot.commit("two");
        life.bot.repo.git(&["commit", "--quiet", "--allow-empty", "--message", "three [skip deploy]"]);
        life.push_refs("+HEAD:main");
        String::new()
    });
    life.bot.wait_for("what was lost to be found", |bot| bot.deployments().len() == 4);
    life.end();
}

const GONE: &str = "refused: `main` is gone (steps/ref-gone)\npage , runs 0\n";

#[test]
fn a_deleted_ref_ends_what_waits_whenever_the_bot_dies_after_it_was_told() {
    // Weighed and prepared, it waits: the third effect looks for the ref, and the fifth event is the end.
    let told: &[usize] = &[7, 8, 9, 10, 11, 12];
    let cases =
        cases(&[("before-effect", &[3]), ("before-append", &[5]), ("after-append", &[5]), ("after-sync", told)]);
    let crashes = side_by_side(&cases, |orders| lives(GONE_CHILD, orders, "gone", GONE));
    assert!(crashes >= 2, "only {crashes} of {} crashes came after the ref was gone", cases.len());
}

const GONE_CHILD: &str = "gates::crashes::child_of_the_gone_test";

/// Not a test of its own: a push that waits for a lock, and its branch, which is deleted. That is told once, as by GitHub.
#[test]
fn child_of_the_gone_test() {
    let Some((dir, probe)) = orders() else { return };
    let life = Life::begin(&dir, probe, "", "");
    let site = TargetName::parse("site").unwrap();
    life.bot.ask("lock", Ask::Lock { target: site, reason: None, until: None, warns: false }).unwrap();
    let one = life.once("one", || {
        let sha = life.bot.commit("one");
        life.push_refs("+HEAD:main");
        sha
    });
    life.moved("delivery-1", ZEROS, &one, &json!({ "created": true }));
    life.bot.wait_for("the lock to hold it", |bot| bot.story().contains("held: `site` is locked by ada"));
    let mut tells = false;
    life.once("gone", || {
        tells = true;
        life.push_refs(":refs/heads/main");
        String::new()
    });
    if tells {
        life.moved("delivery-2", &one, ZEROS, &json!({ "deleted": true, "head_commit": null }));
    }
    let over = |bot: &Bot| {
        let ends = |event: &Event| matches!(event, Event::Deployment(DeploymentEvent::Refused { .. }));
        bot.records().iter().any(|it| ends(&it.event))
    };
    life.bot.wait_for("the end of what waits", over);
    life.end();
}
