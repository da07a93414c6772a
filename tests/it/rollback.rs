//! Rollbacks: a failure brings the last good revision back, a person any kept one, and nothing else is lost by it.

use std::fs;
use std::path::PathBuf;

use landfall::clients::process::blocking_program;
use landfall::conductor::{AskError, Asked};
use landfall::domain::{Ask, Cause, Deployment, DeploymentId, NoticeState, State, TargetName};

use crate::bot::{Bot, Extra};

const BROKEN: &str = "echo it is broken >&2; exit 3";

fn automatic() -> Bot {
    Bot::with(&Extra { engine: "auto_rollback = true", ..Extra::default() })
}

fn site() -> TargetName {
    TargetName::parse("site").unwrap()
}

/// Pushes a page whose `ValidateService` ends with this line, and waits for the end of everything.
fn push(bot: &Bot, page: &str, validate: &str) -> String {
    bot.write_site(validate);
    let sha = bot.commit(page);
    bot.deliver(&format!("delivery-{page}"), &sha);
    bot.settle();
    sha
}

fn roll_back(bot: &Bot, key: &str, to: Option<DeploymentId>) -> Result<Asked, AskError> {
    bot.ask(key, Ask::Rollback { target: site(), to, options: Default::default() })
}

/// The code of a refusal.
fn refusal(asked: Result<Asked, AskError>) -> String {
    match asked {
        Err(AskError::Refused(failure)) => failure.code,
        other => panic!("it is not refused: {other:?}"),
    }
}

fn find<'a>(deployments: &'a [Deployment], sha: &str, is_rollback: bool) -> &'a Deployment {
    let fits = |it: &&Deployment| it.order().sha.as_str() == sha && it.order().is_rollback() == is_rollback;
    deployments.iter().find(fits).expect("there is one")
}

#[test]
fn a_failure_brings_the_last_good_revision_back() {
    let bot = automatic();
    let good = push(&bot, "one", "exit 0");
    let bad = push(&bot, "two", BROKEN);
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
    d2  planned c2 by branch main
    d2  weighing
    d2  weighed c2
    d2  prepared
    d2  releasing
    d2  released
    d2  ended failed
    d2  failed: `scripts/validate.sh` ended with exit code 3 in ValidateService
    d3  planned c1 by branch main
    d2  rollback to c1 begun by d3
    d3  weighing
    d3  weighed c1
    d3  prepared before
    d3  releasing
    d3  released
    d3  ended succeeded
    d2  rollback to c1 by d3 succeeded
    d3  succeeded
    ");
    assert_eq!(bot.page(), "one", "B01");
    let deployments = bot.deployments();
    let (failed, back) = (find(&deployments, &bad, false), find(&deployments, &good, true));
    assert_eq!(back.order().parent, Some(failed.id()), "B01");
    let State::Failed { failure } = failed.state() else { panic!("{failed:?}") };
    assert_eq!(failure.help.as_deref(), Some(&*format!("{} is brought back", &good[..7])), "B01");
    let told = bot.last_statuses();
    assert_eq!((told[&failed.id()], told[&back.id()]), (NoticeState::Failure, NoticeState::Success), "B01");
    let live = bot.app().ledger.target(&site()).unwrap();
    assert_eq!(live.live.map(|it| it.sha.to_string()), Some(good), "B01");
    assert_eq!(live.seen.map(|it| it.to_string()), Some(bad.clone()), "the failed commit stays the newest handled");
    bot.deliver("delivery-again", &bad);
    assert_eq!(bot.deployments().len(), 3, "the failed commit is not planned anew");
}

#[test]
fn without_the_setting_a_failure_stays_as_it_is() {
    let bot = Bot::new();
    push(&bot, "one", "exit 0");
    push(&bot, "two", BROKEN);
    assert_eq!((bot.deployments().len(), bot.page().as_str()), (2, "two"), "B02");
}

#[test]
fn what_a_failure_left_there_is_told_until_something_succeeds() {
    let bot = Bot::new();
    let good = push(&bot, "one", "exit 0");
    let left = |bot: &Bot| bot.app().ledger.target(&site()).unwrap().left_by.map(|it| it.sha.to_string());
    assert_eq!(left(&bot), None);
    // Refused before it touched anything: what was live runs on as it was.
    bot.repo.write("appspec.yml", "version: 0.0\nos: linux\nhooks:\n  AfterInstall:\n    - location: scripts/validate.sh\n      runas: nobody-of-this-name\n", 0o644);
    bot.deliver("delivery-untouched", &bot.commit("untouched"));
    bot.settle();
    assert_eq!((bot.deployments()[0].state().name(), left(&bot)), ("failed", None));
    let bad = push(&bot, "two", BROKEN);
    assert_eq!(
        (bot.page().as_str(), left(&bot)),
        ("two", Some(bad.clone())),
        "B02: the files on disk are the failed one's"
    );
    let token = fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let read = |path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", bot.url())).bearer_auth(token.trim());
        bot.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    let targets: serde_json::Value = serde_json::from_str(&read("/api/v1/targets")).unwrap();
    let target = &targets["targets"][0];
    assert_eq!((target["live"]["sha"].as_str(), target["left_by"]["sha"].as_str()), (Some(&*good), Some(&*bad)));
    let short = &bad[..7];
    assert!(read("/").contains(&format!("files of <code>{short}</code> may be there")));
    assert!(read("/targets/site").contains("which did not become live, may be there ("));
    let status = blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(["status", "--url", &bot.url(), "--token", token.trim()])
        .output()
        .unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains(&format!("site: files of {short}, which did not become live, may be there")), "{status}");
    push(&bot, "three", "exit 0");
    assert_eq!((bot.page().as_str(), left(&bot)), ("three", None));
}

#[test]
fn a_first_failure_has_nothing_to_go_back_to_and_says_so() {
    let bot = automatic();
    let bad = push(&bot, "one", BROKEN);
    let deployments = bot.deployments();
    assert_eq!(deployments.len(), 1, "B03");
    let State::Failed { failure } = find(&deployments, &bad, false).state().clone() else { panic!("B03") };
    assert_eq!(failure.help.as_deref(), Some("nothing is brought back: no other commit was live before"), "B03");
    // The same commit again: were it brought back, it would turn green.
    let broken = bot.dir.join("broken");
    push(&bot, "two", &format!("test ! -e {}", broken.display()));
    let last = bot.deployments()[0].id();
    fs::write(broken, "").unwrap();
    bot.ask("again", Ask::Redeploy { deployment: last, options: Default::default() }).unwrap();
    bot.settle();
    let deployments = bot.deployments();
    assert_eq!((deployments.len(), deployments[0].state().name()), (3, "failed"), "{}", bot.story());
}

#[test]
fn a_rollback_that_fails_is_not_rolled_back() {
    let bot = automatic();
    let gate = bot.dir.join("down").display().to_string();
    let good = push(&bot, "one", &format!("test ! -e {gate}"));
    let bad = push(&bot, "two", &format!("touch {gate}; exit 1"));
    bot.settle_and_tell();
    let deployments = bot.deployments();
    assert_eq!(deployments.len(), 3, "B06: {}", bot.story());
    let told = bot.last_statuses();
    let (failed, back) = (find(&deployments, &bad, false), find(&deployments, &good, true));
    assert_eq!((told[&failed.id()], told[&back.id()]), (NoticeState::Failure, NoticeState::Failure), "B06");
}

#[test]
fn what_scripts_made_and_how_files_were_treated_stays_as_it_was() {
    let engine = "auto_rollback = true\nfile_exists_behavior = \"OVERWRITE\"";
    let mut bot = Bot::with(&Extra { engine, ..Extra::default() });
    fs::create_dir_all(bot.www()).unwrap();
    fs::write(bot.www().join("index.html"), "foreign").unwrap();
    push(&bot, "one", "exit 0");
    bot.stop();
    bot.change("OVERWRITE", "DISALLOW");
    bot.start();
    push(&bot, "two", &format!("echo made > {}/made.txt; exit 1", bot.www().display()));
    assert_eq!(bot.page(), "one", "B05");
    let back = &bot.deployments()[0];
    let behavior = back.order().target.engine.file_exists_behavior();
    assert_eq!(behavior, Some(landfall::domain::FileExists::Overwrite), "B05");
    assert!(bot.www().join("made.txt").exists(), "B07");
}

#[test]
fn a_person_brings_back_the_one_before_or_any_kept_one() {
    let bot = Bot::new();
    assert_eq!(refusal(roll_back(&bot, "0", None)), "conductor/nothing-before");
    push(&bot, "one", "exit 0");
    assert_eq!(refusal(roll_back(&bot, "1", None)), "conductor/nothing-before");
    let first = bot.deployments()[0].id();
    push(&bot, "two", "exit 0");
    push(&bot, "three", "exit 0");
    // Neither the source nor the store is needed: the engine kept the archive.
    fs::rename(bot.repo.bare(), bot.dir.join("away")).unwrap();
    fs::remove_dir_all(bot.dir.join("data/revisions")).unwrap();
    let asked = roll_back(&bot, "2", None).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "two", "R91: {}", bot.story());
    let born = bot.deployments().into_iter().find(|it| Some(&it.id()) == asked.deployments.first()).unwrap();
    assert!(matches!(&born.order().cause, Cause::Rollback { actor: Some(who), .. } if who == "ada"));
    assert!(roll_back(&bot, "2", None).unwrap().repeat, "a key counts once");
    roll_back(&bot, "3", Some(first)).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "one", "R91");
    // What is there now came by a rollback: the one before it is the other commit.
    roll_back(&bot, "4", None).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "two", "R91");
}

#[test]
fn a_person_goes_back_to_what_was_live_after_a_failure() {
    let bot = Bot::new();
    push(&bot, "one", "exit 0");
    push(&bot, "two", BROKEN);
    let failed = bot.deployments()[0].id();
    assert_eq!(refusal(roll_back(&bot, "1", Some(failed))), "conductor/never-live");
    roll_back(&bot, "2", None).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "one");
    let nobody = DeploymentId::derive(jiff::Timestamp::UNIX_EPOCH, &["nobody"]);
    assert_eq!(refusal(roll_back(&bot, "3", Some(nobody))), "conductor/nothing-before");
}

/// Every bundle of the engine's own, and every one of the store.
fn kept_and_stored(bot: &Bot) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let below = |name: &str, depth: usize| {
        let mut found = vec![bot.dir.join(name)];
        for _ in 0..depth {
            let listings = found.iter().filter_map(|folder| fs::read_dir(folder).ok());
            found = listings.flatten().map(|it| it.unwrap().path()).collect();
        }
        found
    };
    let kept = below("data/deployment-root", 3).into_iter().filter(|path| path.ends_with("bundle.tar"));
    (kept.collect(), below("data/revisions", 2))
}

/// Writes over a file and leaves its other names alone.
fn spoil(paths: &[PathBuf]) {
    assert!(!paths.is_empty());
    for path in paths {
        fs::remove_file(path).unwrap();
        fs::write(path, "spoiled").unwrap();
    }
}

#[test]
fn a_kept_archive_that_is_spoiled_or_gone_is_looked_for_elsewhere() {
    let bot = Bot::new();
    push(&bot, "one", "exit 0");
    push(&bot, "two", "exit 0");
    let page_after = |key: &str| {
        roll_back(&bot, key, None).unwrap();
        bot.settle();
        assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{key}: {}", bot.story());
        bot.page()
    };
    // The store has it where the engine's is spoiled, and the engine where the store's is.
    spoil(&kept_and_stored(&bot).0);
    assert_eq!(page_after("kept"), "one", "R88");
    spoil(&kept_and_stored(&bot).1);
    assert_eq!(page_after("stored"), "two", "R88");
    // Where both are, the source has the commit still.
    let (kept, stored) = kept_and_stored(&bot);
    spoil(&kept);
    spoil(&stored);
    assert_eq!(page_after("neither"), "one", "R88");
    fs::remove_dir_all(bot.dir.join("data/revisions")).unwrap();
    for path in kept_and_stored(&bot).0 {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(page_after("gone"), "two", "R88");
}

#[test]
fn a_revision_that_nobody_has_any_more_cannot_come_back() {
    let bot = Bot::with(&Extra { target: "give_up_after = \"1s\"".into(), ..Extra::default() });
    push(&bot, "one", "exit 0");
    push(&bot, "two", "exit 0");
    fs::remove_dir_all(bot.dir.join("data/revisions")).unwrap();
    fs::remove_dir_all(bot.dir.join("data/deployment-root")).unwrap();
    fs::rename(bot.repo.bare(), bot.dir.join("away")).unwrap();
    roll_back(&bot, "1", None).unwrap();
    bot.settle();
    let State::Failed { failure } = bot.deployments()[0].state().clone() else { panic!("{}", bot.story()) };
    assert_eq!(failure.code, "steps/revision-gone");
    assert!(failure.message.contains("is no longer kept, and cannot be made anew: "), "{failure}");
    assert_eq!(bot.page(), "two");
}

#[test]
fn a_push_that_waits_while_the_failed_one_ran_goes_after_the_rollback() {
    for policy in ["queue-latest", "queue-all"] {
        let target = format!("on_new_push = \"{policy}\"");
        let bot = Bot::with(&Extra { target, engine: "auto_rollback = true", ..Extra::default() });
        push(&bot, "one", "exit 0");
        let gate = bot.dir.join("gate").display().to_string();
        bot.write_site(&format!("while [ ! -e {gate} ]; do sleep 0.05; done; exit 1"));
        let bad = bot.commit("two");
        bot.deliver("delivery-two", &bad);
        bot.wait_for("the second to run", |bot| bot.runs() == 2);
        bot.write_site("exit 0");
        let fixed = bot.commit("three");
        bot.deliver("delivery-three", &fixed);
        bot.wait_for("the third to wait", |bot| bot.story().contains("held: waiting for d2"));
        fs::write(&gate, "").unwrap();
        bot.settle();
        let ended = bot.story().lines().filter(|line| line.contains("  ended")).collect::<Vec<_>>().join(", ");
        assert_eq!(
            ended, "d1  ended succeeded, d2  ended failed, d4  ended succeeded, d3  ended succeeded",
            "{policy}"
        );
        assert_eq!(bot.page(), "three", "{policy}");
    }
}

#[test]
fn a_stop_can_ask_for_the_last_good_revision() {
    let bot = Bot::new();
    push(&bot, "one", "exit 0");
    let gate = bot.dir.join("gate").display().to_string();
    bot.write_site(&format!("while [ ! -e {gate} ]; do sleep 0.05; done"));
    let sha = bot.commit("two");
    bot.deliver("delivery-two", &sha);
    bot.wait_for("the second to run", |bot| bot.runs() == 2);
    let second = bot.deployments()[0].id();
    bot.ask("stop", Ask::Stop { deployment: second, rollback: true }).unwrap();
    fs::write(&gate, "").unwrap();
    bot.settle();
    assert_eq!(bot.page(), "one", "{}", bot.story());
    assert_eq!(bot.deployments()[0].order().parent, Some(second));
    let late = bot.ask("late", Ask::Stop { deployment: second, rollback: false });
    assert_eq!(refusal(late), "conductor/already-over", "B09");
}

#[test]
fn what_was_refused_before_it_touched_anything_is_not_rolled_back() {
    let bot = automatic();
    push(&bot, "one", "exit 0");
    let runs = bot.runs();
    let www = bot.www().display().to_string();
    // It parses, but its script is not there: found before the first event.
    bot.repo.write("appspec.yml", &format!("version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: {www}\nhooks:\n  AfterInstall:\n    - location: scripts/validate.sh\n      runas: nobody-of-this-name\n"), 0o644);
    let sha = bot.commit("two");
    bot.deliver("delivery-two", &sha);
    bot.settle();
    assert_eq!((bot.deployments().len(), bot.runs(), bot.page().as_str()), (2, runs, "one"), "{}", bot.story());
}

#[test]
fn a_rollback_gives_the_files_of_others_back() {
    // The guide's own story (B04): the user's file, kept by the first revision, replaced by the second, is lost there.
    let engine = "auto_rollback = true\nfile_exists_behavior = \"RETAIN\"";
    let mut bot = Bot::with(&Extra { engine, ..Extra::default() });
    fs::create_dir_all(bot.www()).unwrap();
    fs::write(bot.www().join("index.html"), "the user's own").unwrap();
    push(&bot, "one", "exit 0");
    assert_eq!(bot.page(), "the user's own", "B04");
    bot.stop();
    bot.change("RETAIN", "OVERWRITE");
    bot.start();
    let seen = bot.dir.join("seen");
    push(&bot, "two", &format!("cat {} >> {}; exit 1", bot.www().join("index.html").display(), seen.display()));
    assert_eq!(fs::read_to_string(seen).unwrap(), "two", "B04");
    assert_eq!(bot.page(), "the user's own", "B04: {}", bot.story());
}

#[test]
fn the_api_and_the_dashboard_ask_for_a_rollback() {
    let bot = Bot::new();
    push(&bot, "one", "exit 0");
    let first = bot.deployments()[0].id();
    push(&bot, "two", "exit 0");
    let token = fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let (api, url) = (reqwest::Client::new(), bot.url());
    let ask = |body: &str| {
        let request = api.post(format!("{url}/api/v1/requests")).bearer_auth(token.trim()).body(body.to_owned());
        let request = request.header("Content-Type", "application/json");
        bot.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    };
    let (status, answer) = ask(r#"{"key":"k1","what":{"ask":"rollback","target":"site"}}"#);
    assert_eq!(status, 202, "{answer}");
    bot.settle();
    assert_eq!(bot.page(), "one");
    let nowhere = format!(r#"{{"key":"k2","what":{{"ask":"rollback","target":"nowhere","to":"{first}"}}}}"#);
    assert_eq!(ask(&nowhere).0, 404);
    let page = api.get(format!("{url}/deployments/{first}")).bearer_auth(token.trim());
    let page = bot.runtime.block_on(async { page.send().await.unwrap().text().await.unwrap() });
    assert!(!page.contains("Roll back to this"), "only who signed in has buttons");
}
