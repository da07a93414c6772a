//! Upkeep: what goes, what stays and why, and that what went can come back.

mod needed;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use landfall::app::Parts;
use landfall::asking::UpkeepReport;
use landfall::domain::{Ask, DeployOptions, DeploymentId, State, TargetName};
use landfall::upkeep::Pace;
use serde_json::Value;

use crate::bot::{Bot, Extra};
use crate::cli::landfall_with;

const ONE: &str = "[target.revisions]\nkeep = 1\n";

fn small() -> Bot {
    Bot::with(&Extra { target: format!("give_up_after = \"1s\"\n{ONE}"), ..Extra::default() })
}

fn push(bot: &Bot, page: &str) {
    let sha = bot.commit(page);
    assert_eq!(bot.deliver(page, &sha).0, 202);
    bot.settle();
    assert_eq!(bot.page(), page);
}

fn round(bot: &Bot, dry_run: bool) -> UpkeepReport {
    bot.runtime.block_on(bot.app().upkeep.round(dry_run)).unwrap()
}

fn stored(bot: &Bot) -> Vec<PathBuf> {
    let listed = fs::read_dir(bot.dir.join("data/revisions/site")).unwrap();
    let mut paths: Vec<_> = listed.map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Takes away the bundles that the engine keeps of earlier deployments.
fn forget_engines_copies(bot: &Bot) {
    let mut below = vec![bot.dir.join("data/deployment-root")];
    while let Some(dir) = below.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true if entry.file_name() != "deployment-archive" => below.push(entry.path()),
                false if entry.file_name() == "bundle.tar" => fs::remove_file(entry.path()).unwrap(),
                _ => {}
            }
        }
    }
}

fn site() -> TargetName {
    TargetName::parse("site").unwrap()
}

fn back(to: DeploymentId) -> Ask {
    Ask::Rollback { target: site(), to: Some(to), options: DeployOptions::default() }
}

/// Row 25.
#[test]
fn old_revisions_go_and_a_dry_round_says_which_and_why_the_others_stay() {
    let bot = small();
    ["one", "two", "three"].iter().for_each(|page| push(&bot, page));
    let dry = round(&bot, true);
    let [site] = &dry.targets[..] else { panic!("{dry:?}") };
    assert_eq!((site.deleted.len(), site.kept.len(), stored(&bot).len()), (2, 1, 3), "{dry:?}");
    assert_eq!(site.kept[0].why, "it is live at site");
    let done = round(&bot, false);
    assert_eq!(done.targets[0].deleted.len(), 2, "{done:?}");
    assert_eq!(
        stored(&bot).iter().map(|it| it.display().to_string()).collect::<Vec<_>>(),
        [site.kept[0].object.clone()]
    );
    assert_eq!(bot.story().matches("site  pruned\n").count(), 2, "{}", bot.story());
    // What is gone is not looked at again.
    let again = round(&bot, false);
    assert_eq!((again.targets[0].deleted.len(), again.targets[0].kept.len()), (0, 1), "{again:?}");
    // Files that nobody here wrote are nobody's to delete, even one with a name like ours.
    let ours = stored(&bot)[0].file_name().unwrap().to_str().unwrap().replace(|it: char| it.is_ascii_digit(), "0");
    fs::write(bot.dir.join("data/revisions/site/backup.tgz"), "mine").unwrap();
    fs::write(bot.dir.join("data/revisions/site").join(ours), "mine, too").unwrap();
    round(&bot, false);
    assert_eq!(stored(&bot).len(), 3);
}

#[test]
fn a_directory_keeps_the_newest_ten_unless_told_otherwise() {
    let bot = Bot::new();
    (1..=12).for_each(|number| push(&bot, &format!("page-{number}")));
    let report = round(&bot, false);
    assert_eq!((report.targets[0].deleted.len(), stored(&bot).len()), (2, 10), "{report:?}");
}

#[test]
fn a_file_that_somebody_changed_stays_and_one_that_somebody_deleted_is_found_gone() {
    let bot = small();
    ["one", "two"].iter().for_each(|page| push(&bot, page));
    let paths = |bot: &Bot| round(bot, true).targets[0].deleted.iter().map(|it| it.object.clone()).collect::<Vec<_>>();
    let [first] = &paths(&bot)[..] else { panic!() };
    fs::write(first, "by somebody else, and of another length").unwrap();
    let report = round(&bot, false);
    assert!(report.targets[0].kept.iter().any(|it| it.why.contains("is not ours")), "{report:?}");
    assert!(fs::exists(first).unwrap());
    fs::remove_file(first).unwrap();
    let report = round(&bot, false);
    assert_eq!(report.targets[0].deleted.len(), 0, "{report:?}");
    assert!(bot.story().ends_with("site  found gone\n"), "{}", bot.story());
}

/// What was deleted is made again from its commit, and where that is gone, too, the failure says so before the engine is
/// called.
#[test]
fn a_deleted_revision_comes_back_from_its_commit_or_says_when_it_was_deleted() {
    let bot = small();
    ["one", "two", "three"].iter().for_each(|page| push(&bot, page));
    round(&bot, false);
    // The engine's own copies are gone, too.
    forget_engines_copies(&bot);
    let first = bot.deployments()[2].id();
    bot.ask("back", back(first)).unwrap();
    bot.settle();
    assert_eq!(bot.page(), "one", "{}", bot.story());
    // It lies there again, and is what is live.
    let kept = round(&bot, true).targets[0].kept.clone();
    assert!(kept.iter().any(|it| it.why == "it is live at site"), "{kept:?}");

    let second = bot.deployments()[2].id();
    forget_engines_copies(&bot);
    fs::rename(bot.repo.bare(), bot.dir.join("away")).unwrap();
    bot.ask("again", back(second)).unwrap();
    bot.settle();
    let State::Failed { failure } = bot.deployments()[0].state().clone() else { panic!("{}", bot.story()) };
    assert!(bot.deployments()[0].run().is_none(), "nothing was released");
    assert_eq!(failure.code, "steps/revision-gone");
    assert!(failure.message.contains("its bundle was deleted by retention on 20"), "{failure}");
    assert_eq!(bot.page(), "one");
}

/// A kill between deletion and record: the next round finds it gone, and says so.
#[test]
fn a_kill_after_a_deletion_costs_nothing() {
    let extra = Extra { target: ONE.into(), ..Extra::default() };
    let mut bot = Bot::asleep(&extra);
    bot.start();
    ["one", "two", "three"].iter().for_each(|page| push(&bot, page));
    bot.stop();
    // As good as a kill: the round dies with its thread at the first deletion, before the record.
    bot.start_with(Arc::new(|seam| assert_ne!(seam, "upkeep:deleted", "killed here")));
    let upkeep = bot.app().upkeep.clone();
    let ended = bot.runtime.block_on(bot.runtime.spawn(async move { upkeep.round(false).await.is_ok() }));
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!((stored(&bot).len(), bot.story().matches("pruned").count()), (2, 0));
    bot.stop();
    bot.start();
    let report = round(&bot, false);
    assert_eq!(report.targets[0].deleted.len(), 1, "{report:?}");
    assert_eq!(stored(&bot).len(), 1);
    let told = |what: &str| bot.story().matches(what).count();
    assert_eq!((told("site  pruned\n"), told("site  found gone\n")), (1, 1), "{}", bot.story());
    push(&bot, "four");
}

#[test]
fn the_bot_makes_its_rounds_by_itself() {
    let mut bot = Bot::asleep(&Extra { target: ONE.into(), ..Extra::default() });
    bot.parts = |parts| {
        let soon = Duration::from_millis(20);
        Parts { upkeep_pace: Pace { first: soon, every: soon, jitter: soon }, ..parts }
    };
    bot.start();
    ["one", "two", "three"].iter().for_each(|page| push(&bot, page));
    bot.wait_for("two deletions", |bot| bot.story().matches("site  pruned\n").count() == 2);
    assert_eq!(stored(&bot).len(), 1);
}

#[test]
fn landfall_upkeep_says_what_would_go_and_takes_it_away() {
    let bot = small();
    ["one", "two", "three"].iter().for_each(|page| push(&bot, page));
    let token = fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let url = bot.url();
    let run =
        |words: &[&str]| landfall_with(&bot.dir, words, &[("LANDFALL_URL", &url), ("LANDFALL_TOKEN", token.trim())]);
    let dry = run(&["upkeep", "--dry-run"]);
    assert_eq!((dry.exit, dry.talk.as_str(), stored(&bot).len()), (0, "", 3));
    let lines = |text: &str, what: &str| text.lines().filter(|it| it.contains(what)).count();
    assert_eq!((lines(&dry.out, "site  would go  /"), lines(&dry.out, "site  stays  /")), (2, 1), "{}", dry.out);
    assert!(dry.out.ends_with(": it is live at site\n"), "{}", dry.out);
    let done = run(&["upkeep"]);
    assert_eq!((done.exit, lines(&done.out, "site  deleted  /"), stored(&bot).len()), (0, 2, 1), "{}", done.out);
    let json: Value = serde_json::from_str(&run(&["upkeep", "--json"]).out).unwrap();
    assert_eq!(json["targets"][0]["deleted"], Value::Array(vec![]), "{json}");
    // Each deletion is on record where people look.
    let first = bot.deployments()[2].clone();
    let why = run(&["why", first.order().sha.as_str()]);
    assert!(why.out.contains("its bundle was deleted on 20"), "{}", why.out);
    let story = run(&["status", &first.id().to_string()]);
    assert!(story.out.contains("bundle  deleted by retention"), "{}", story.out);
    let page = reqwest::Client::new().get(format!("{url}/deployments/{}", first.id())).bearer_auth(token.trim());
    let page = bot.runtime.block_on(async { page.send().await.unwrap().text().await.unwrap() });
    assert!(page.contains("<dt>Bundle</dt><dd>deleted by retention"), "{page}");
    let live = run(&["why", bot.deployments()[0].order().sha.as_str()]);
    assert!(!live.out.contains("deleted"), "{}", live.out);
    // Reading is not enough to have something deleted.
    let asked = landfall_with(&bot.dir, &["upkeep"], &[("LANDFALL_URL", &url), ("LANDFALL_TOKEN", "wrong")]);
    assert_ne!(asked.exit, 0);
}

#[test]
fn the_ledger_is_looked_after_where_the_configuration_says_so() {
    let bot = Bot::with(&Extra { top: "[ledger]\nkeep_days = 1\n", ..Extra::default() });
    push(&bot, "one");
    let report = round(&bot, false).ledger;
    assert!(report.retention && report.before.is_none() && report.failures.is_empty(), "{report:?}");
    let token = fs::read_to_string(bot.dir.join("data/token")).unwrap();
    let (url, words) = (bot.url(), ["upkeep", "--dry-run"]);
    let told = landfall_with(&bot.dir, &words, &[("LANDFALL_URL", &url), ("LANDFALL_TOKEN", token.trim())]);
    assert!(told.out.ends_with("ledger  too little is old enough to go\n"), "{}", told.out);
    assert!(!round(&small(), true).ledger.retention, "nothing goes unless it is written");
}
