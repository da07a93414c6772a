//! Upkeep of a bucket: what CodeDeploy may still fetch stays, what nobody needs goes, and what is refused is said.

use std::fs;
use std::time::Duration;

use aws_sdk_codedeploy::types::{BundleType, RevisionLocation, RevisionLocationType, S3Location};
use landfall::app::Parts;
use landfall::asking::{TargetReport, UpkeepReport};
use landfall::clients::aws::{Account, Aws};
use landfall::upkeep::Pace;

use super::{Line, Outside, bot_at, more};
use crate::bot::Bot;
use crate::worlds::codedeploy::{Fault, Scenario};

const SPARING: &str = "[target.revisions]\nkeep = 1\n";

/// A line whose bucket keeps the newest revision alone.
fn sparing() -> Line {
    let outside = Outside::new();
    let bot = started(&outside, |bot| bot.change("[target.revisions]\n", SPARING));
    Line { bot, outside }
}

fn started(outside: &Outside, change: impl FnOnce(&mut Bot)) -> Bot {
    let mut bot = bot_at(outside.dir.path());
    change(&mut bot);
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    bot
}

fn round(bot: &Bot, dry_run: bool) -> UpkeepReport {
    bot.runtime.block_on(bot.app().upkeep.round(dry_run)).unwrap()
}

/// Whys and places of what stays for a target.
fn kept(report: &TargetReport) -> Vec<&str> {
    report.kept.iter().map(|it| it.why.as_str()).collect()
}

impl Line {
    fn push_three(&self) -> Vec<String> {
        for page in ["one", "two", "three"] {
            let sha = self.outside.push(page);
            assert_eq!(self.bot.deliver(page, &sha).0, 202);
            self.bot.settle();
        }
        puts(&self.outside)
    }

    /// Somebody deploys an object from the console.
    fn deploy_from_the_console(&self, group: &str, key: &str) {
        let url = Some(self.outside.codedeploy.url());
        let account = Account { region: "eu-west-1".into(), endpoint_url: url, ..Account::default() };
        let object = S3Location::builder().bucket("revisions").key(key).bundle_type(BundleType::TarGZip).build();
        let revision = RevisionLocation::builder().revision_type(RevisionLocationType::S3).s3_location(object).build();
        self.bot.runtime.block_on(async {
            let client = Aws::with_keys("A", "S").codedeploy(&account).await;
            let call = client.create_deployment().application_name("shop").deployment_group_name(group);
            call.revision(revision).send().await.unwrap();
        });
    }
}

/// The keys that were put, oldest first.
fn puts(outside: &Outside) -> Vec<String> {
    outside.s3.calls().iter().filter_map(|it| it.strip_prefix("put ")).map(str::to_owned).collect()
}

/// Row 25: what the group says counts as much as what we remember.
#[test]
fn what_the_group_may_still_fetch_stays_and_the_rest_goes_row_25() {
    let line = sparing();
    let keys = line.push_three();
    line.deploy_from_the_console("production", &keys[0]);
    let report = round(&line.bot, false);
    let [site] = &report.targets[..] else { panic!("{report:?}") };
    assert_eq!(line.outside.s3.keys().len(), 2, "{report:?}");
    assert!(!line.outside.s3.keys().contains(&keys[1]), "{report:?}");
    assert_eq!(kept(site), ["it is live at site", "a deployment group may still fetch it"]);
    assert_eq!(site.deleted[0].object, format!("s3://revisions/{}?versionId=v2", keys[1]), "the very version");
    let is_of_objects = |it: &String| !it.starts_with("uploads ");
    let calls = || line.outside.s3.calls().into_iter().filter(is_of_objects).count();
    let before = calls();
    assert_eq!(round(&line.bot, false).targets[0].deleted.len(), 0);
    assert_eq!(calls(), before, "what is gone costs no call any more");
}

/// Row 25.
#[test]
fn a_bucket_without_keep_loses_nothing_and_a_group_that_does_not_answer_neither() {
    let line = Line::new();
    line.push_three();
    let report = round(&line.bot, false);
    assert!(!report.targets[0].retention && line.outside.s3.keys().len() == 3, "{report:?}");
    let line = sparing();
    line.push_three();
    line.outside.codedeploy.fault("GetDeploymentGroup", Fault::Status(500));
    line.outside.codedeploy.forget("shop");
    let report = round(&line.bot, false);
    assert_eq!(report.targets[0].failures.len(), 1, "{report:?}");
    assert_eq!(line.outside.s3.keys().len(), 3);
}

/// Row 25: a group that left the configuration launches instances all the same; one that is no more needs nothing.
#[test]
fn a_group_that_left_the_configuration_is_asked_too() {
    let outside = Outside::new();
    outside.codedeploy.add_group("canary");
    let with_two = more(&outside.configuration(), "canary", "canary", "branches = [\"main\"]\n");
    let text = with_two.replace("[target.revisions]\n", SPARING);
    fs::write(outside.dir.path().join("landfall.toml"), &text).unwrap();
    let mut line = Line { bot: started(&outside, |_| ()), outside };
    let of_site = |keys: Vec<String>| keys.into_iter().filter(|it| it.contains("/site/")).collect::<Vec<_>>();
    let keys = of_site(line.push_three());
    line.deploy_from_the_console("canary", &keys[0]);
    // `canary` fetched from `site` once, which the ledger knows of its own deployments in that bucket.
    line.bot.stop();
    let one = line.outside.configuration().replace("[target.revisions]\n", SPARING);
    fs::write(line.outside.dir.path().join("landfall.toml"), one).unwrap();
    line.bot = started(&line.outside, |_| ());
    let report = round(&line.bot, false);
    let [site] = &report.targets[..] else { panic!("{report:?}") };
    assert_eq!(kept(site), ["it is live at site", "a deployment group may still fetch it"], "{report:?}");
    assert_eq!(of_site(line.outside.s3.keys()).len(), 2);
    // What lies under the name of a target that is not configured is left alone: nobody says how long it is kept.
    assert_eq!(line.outside.s3.keys().iter().filter(|it| it.contains("/canary/")).count(), 3);
}

/// Rows 4 and 25: production runs staging's very object; staging's upkeep knows.
#[test]
fn what_was_promoted_stays_for_as_long_as_it_is_live_there() {
    let outside = Outside::new();
    outside.codedeploy.add_group("second");
    let shop = more(&outside.configuration(), "shop", "second", "branches = [\"never\"]\n");
    let text = shop.replacen(
        "branches = [\"main\"]\n",
        "branches = [\"main\"]\npromote_to = \"shop\"\npromote = \"automatic\"\n",
        1,
    );
    let text = text.replace("[target.revisions]\n", SPARING);
    fs::write(outside.dir.path().join("landfall.toml"), text).unwrap();
    let line = Line { bot: started(&outside, |_| ()), outside };
    for (page, fails) in [("one", false), ("two", false), ("three", true), ("four", true)] {
        if fails {
            line.outside
                .codedeploy
                .script_for("second", Scenario::script_fails("i-0b", "AfterInstall", "x.sh", "boom\n"));
        }
        let sha = line.outside.push(page);
        assert_eq!(line.bot.deliver(page, &sha).0, 202);
        line.bot.settle();
    }
    let keys = puts(&line.outside);
    assert!(keys.len() == 4 && keys.iter().all(|it| it.contains("/site/")), "{keys:?}");
    let report = round(&line.bot, false);
    let [site, shop] = &report.targets[..] else { panic!("{report:?}") };
    let promised = "shop, to which it is promoted, has not had it yet";
    assert_eq!(kept(site), ["it is live at site", promised, "it is live at shop"], "{report:?}");
    assert_eq!((site.deleted.len(), shop.deleted.len(), shop.kept.len()), (1, 0, 0), "{report:?}");
    assert_eq!(line.outside.s3.keys().len(), 3);
}

#[test]
fn an_object_that_is_not_ours_any_more_stays() {
    let line = sparing();
    let keys = line.push_three();
    line.outside.s3.replace(&keys[0], b"by somebody else, and longer than what was there");
    let report = round(&line.bot, false);
    assert!(report.targets[0].kept.iter().any(|it| it.why.contains("that is not ours")), "{report:?}");
    let mut left = vec![keys[0].clone(), keys[2].clone()];
    left.sort();
    assert_eq!(line.outside.s3.keys(), left);
}

/// A right that is missing is missing every day, and after every start: it is told once, shown as long as it is so, and
/// its end is told.
#[test]
fn a_missing_right_is_named_once_and_shown_until_it_is_given() {
    let mut line = sparing();
    line.push_three();
    line.outside.s3.fails("delete", 403, "AccessDenied", 2);
    let report = round(&line.bot, false);
    let help = report.targets[0].failures[0].help.as_deref().unwrap();
    assert!(
        help.starts_with("give the bot's role s3:DeleteObjectVersion on arn:aws:s3:::revisions/shop/site/"),
        "{help}"
    );
    line.bot.stop();
    line.bot.start();
    assert_eq!(round(&line.bot, false).targets[0].failures.len(), 1);
    let shown = || line.bot.runtime.block_on(line.bot.app().board.targets()).unwrap().targets[0].upkeep.clone();
    assert_eq!(shown().unwrap().code, "revisions/access-denied");
    assert_eq!(round(&line.bot, false).targets[0].deleted.len(), 2);
    assert!(shown().is_none());
    let told: Vec<String> =
        line.bot.story().lines().filter(|it| it.starts_with("site  upkeep")).map(str::to_owned).collect();
    assert_eq!(told, ["site  upkeep failed: revisions/access-denied", "site  upkeep mended"]);
}

#[test]
fn uploads_that_a_killed_bot_left_are_taken_back_soon_after_the_next_start() {
    let outside = Outside::new();
    let key = "shop/site/0123456789abcdef0123456789abcdef01234567-00112233aabbccdd.tgz";
    outside.s3.left_unfinished(key, "2026-01-01T00:00:00Z");
    outside.s3.left_unfinished("shop/site/somebody-elses", "2026-01-01T00:00:00Z");
    let mut bot = bot_at(outside.dir.path());
    bot.parts = |parts| {
        let pace = Pace { first: Duration::ZERO, jitter: Duration::ZERO, ..Pace::default() };
        Parts { upkeep_pace: pace, ..parts }
    };
    bot.start();
    bot.wait_for("the sweep", |_| outside.s3.unfinished_keys() == ["shop/site/somebody-elses"]);
    drop(bot);
}
