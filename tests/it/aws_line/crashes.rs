//! The bot is killed at each seam of the line to AWS. GitHub, S3 and CodeDeploy live on, and remember what reached them.

use std::fs;

use std::time::Duration;

use landfall::domain::{Event, Record, SinkEvent};

use super::{LIVE, Outside, bot_at};
use crate::crash::{child, child_begins, each_passing, log, orders, side_by_side};
use crate::worlds::codedeploy::{Fault, Scenario};

/// Seams of the line, and how often at most one deployment passes each.
const SEAMS: &[(&str, usize)] = &[
    ("before-effect", 5),
    ("before-append", 9),
    ("after-append", 9),
    ("prepare:mid-upload", 1),
    ("release:before-start", 1),
    ("release:after-start", 1),
    ("report-before-send", 3),
    ("report-sent", 3),
    ("report-recorded", 3),
];

/// Moments of an upload of three parts: nothing sent yet, one part begun, two.
const OF_A_LARGE_UPLOAD: &[&str] = &["prepare:mid-upload 1", "prepare:mid-upload 110", "prepare:mid-upload 175"];

#[test]
fn a_crash_at_any_seam_makes_one_deployment_and_one_last_word() {
    let cases = each_passing(SEAMS);
    let crashes = side_by_side(&cases, |orders| crash_at(orders, 0));
    assert!(crashes >= SEAMS.len() * 2, "only {crashes} of {} crashes came about", cases.len());
}

#[test]
fn a_crash_amid_a_large_upload_leaves_one_object() {
    let cases: Vec<String> = OF_A_LARGE_UPLOAD.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(side_by_side(&cases, |orders| crash_at(orders, 17)), cases.len());
}

#[test]
fn a_crash_while_codedeploy_is_being_called_makes_one_deployment() {
    for (fault, arrives_late, adopted) in [
        (Fault::Held, false, false),
        // The request was on its way when the bot died, and CodeDeploy took it all the same.
        (Fault::Held, true, true),
        (Fault::Silence, false, true),
    ] {
        let outside = Outside::new();
        let sha = outside.push("hello");
        let dir = outside.dir.path();
        fs::write(dir.join("sha"), &sha).unwrap();
        outside.codedeploy.fault("CreateDeployment", fault.clone());
        let mut first = child_begins(CHILD, dir, "");
        while outside.codedeploy.count("CreateDeployment") == 0 {
            assert!(first.try_wait().unwrap().is_none(), "{}", log(dir));
            std::thread::sleep(Duration::from_millis(2));
        }
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(outside.codedeploy.deployments().len(), usize::from(fault == Fault::Silence), "{fault:?}");
        if arrives_late {
            outside.codedeploy.let_through();
        }
        ends_well(&outside, &sha, &format!("{fault:?}, late: {arrives_late}"));
        assert_eq!(outside.codedeploy.count("CreateDeployment"), if adopted { 1 } else { 2 });
        let story = fs::read_to_string(dir.join("story")).unwrap();
        assert_eq!(story.contains("d1  released, adopted\n"), adopted, "{fault:?}, late: {arrives_late}\n{story}");
        assert_eq!(story.matches("releasing").count(), if adopted { 1 } else { 2 }, "{story}");
    }
}

/// Seams around the moment at which CodeDeploy's own rollback becomes a deployment of its own, and to its end.
const ROLLBACK_SEAMS: &[&str] = &["before-append", "after-append", "before-tell", "after-tell", "after-sync"];

#[test]
fn whatever_the_moment_of_the_crash_the_services_rollback_is_followed_once_row_56() {
    let passings = |seam: &&str| {
        let passings = if seam.ends_with("-tell") { 1..=2 } else { 14..=21 };
        let seam = (*seam).to_owned();
        passings.map(move |nth| format!("{seam} {nth}"))
    };
    let cases: Vec<String> = ROLLBACK_SEAMS.iter().flat_map(passings).collect();
    let crashes = side_by_side(&cases, |orders| {
        let outside = Outside::new();
        outside.codedeploy.roll_back_after("shop", "production", Duration::from_millis(300));
        let fails = Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom");
        [Scenario::default(), fails].into_iter().for_each(|it| outside.codedeploy.script(it));
        let dir = outside.dir.path();
        let good = outside.push("one");
        fs::write(dir.join("good"), &good).unwrap();
        let died = !rollback_child(&outside, orders);
        assert!(rollback_child(&outside, ""), "after {orders}:\n{}", log(dir));
        let story = fs::read_to_string(dir.join("story")).unwrap();
        let told = || format!("after {orders}:\n{story}\n{}", log(dir));
        let made: Vec<String> = outside.codedeploy.deployments().into_iter().map(|it| it.creator).collect();
        assert_eq!(made, ["user", "user", "codeDeployRollback"], "{}", told());
        assert_eq!(outside.codedeploy.count("CreateDeployment"), 2, "{}", told());
        assert_eq!((story.matches("  planned ").count(), story.matches("  adopted").count()), (3, 1), "{}", told());
        assert!(story.trim_end().ends_with("d3  succeeded"), "{}", told());
        let bad = fs::read_to_string(dir.join("bad")).unwrap();
        let last = outside.statuses().into_iter().rfind(|it| it.sha == bad).unwrap();
        let expected = format!("Failed; rolled back to {}", &good[..7]);
        assert!(last.state == "failure" && last.description.starts_with(&expected), "{last:?} {}", told());
        died
    });
    assert!(crashes > 12, "only {crashes} of {} crashes came about", cases.len());
}

/// Lets a child live there. The bad commit is pushed from here, once the child has delivered the good one. Gives
/// whether it lived to its end.
fn rollback_child(outside: &Outside, orders: &str) -> bool {
    let dir = outside.dir.path();
    let mut child = child_begins(ROLLBACK_CHILD, dir, orders);
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            return ended.success();
        }
        if dir.join("live").exists() && !dir.join("bad").exists() {
            fs::write(dir.join("bad.new"), outside.push("two")).unwrap();
            fs::rename(dir.join("bad.new"), dir.join("bad")).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

const ROLLBACK_CHILD: &str = "aws_line::crashes::child_of_the_rollback_test";

/// Not a test of its own: a good push, a bad one, and what comes of it.
#[test]
fn child_of_the_rollback_test() {
    let Some((dir, probe)) = orders() else { return };
    let mut bot = bot_at(&dir);
    bot.start_with(probe);
    if !dir.join("bad").exists() {
        bot.deliver("delivery-1", &fs::read_to_string(dir.join("good")).unwrap());
        bot.settle_and_tell();
        fs::write(dir.join("live"), "").unwrap();
    }
    bot.wait_for("the bad commit", |_| dir.join("bad").exists());
    bot.deliver("delivery-2", &fs::read_to_string(dir.join("bad")).unwrap());
    bot.settle_and_tell();
    let is_last = |it: &SinkEvent| matches!(it, SinkEvent::Sent { text, .. } if text.contains("; rolled back to"));
    let told = |it: Record| matches!(it.event, Event::Sink(said) if is_last(&said));
    bot.wait_for("the last word", |bot| bot.records().into_iter().any(told));
    fs::write(dir.join("story"), bot.story()).unwrap();
    bot.stop();
}

/// Kills the bot there, starts another in its place, and looks at what it all came to. Gives whether the first died.
fn crash_at(orders: &str, mebibytes: usize) -> bool {
    let outside = Outside::new();
    let sha = if mebibytes == 0 { outside.push("hello") } else { outside.push_large(mebibytes) };
    let dir = outside.dir.path();
    fs::write(dir.join("sha"), &sha).unwrap();
    let died = !child(CHILD, dir, orders).success();
    ends_well(&outside, &sha, orders);
    let story = fs::read_to_string(dir.join("story")).unwrap();
    let story = story.replace("released, adopted", "released");
    assert!(story == LIVE || died, "{story}");
    died
}

/// Starts a bot in the place of the one that died, and looks at what it all came to: one deployment, told once.
fn ends_well(outside: &Outside, sha: &str, orders: &str) {
    let dir = outside.dir.path();
    assert!(child(CHILD, dir, "").success(), "after {orders}:\n{}", log(dir));
    let told = || {
        format!("after {orders}:\n{}\n{:#?}\n{}", log(dir), outside.statuses(), outside.codedeploy.calls().join("\n"))
    };

    let made: Vec<String> = outside.codedeploy.deployments().into_iter().map(|it| it.status).collect();
    assert_eq!(made, ["Succeeded"], "{}", told());
    let keys = outside.s3.keys();
    assert!(keys.len() == 1 && keys[0].starts_with(&format!("shop/site/{sha}-")), "{keys:?} {}", told());
    let last = outside.last_word();
    assert_eq!((last.state.as_str(), last.sha.as_str()), ("success", sha), "{}", told());
    // Killed between GitHub's answer and the ledger, the bot says the last word again.
    let words = outside.statuses().iter().filter(|it| it.state == "success").count();
    assert!(words == 1 || (words == 2 && orders.starts_with("report-sent")), "{words} {}", told());
    // Nobody is left to abort what a killed bot had begun: a lifecycle rule of the bucket removes it.
    let begun = outside.s3.calls().iter().filter(|it| it.starts_with("begin ")).count();
    assert_eq!(outside.s3.unfinished(), begun.saturating_sub(1), "{}", told());
}

const CHILD: &str = "aws_line::crashes::child_of_the_crash_test";

/// Not a test of its own: the life of the child. Run without orders, it has nothing to do.
#[test]
fn child_of_the_crash_test() {
    let Some((dir, probe)) = orders() else { return };
    let mut bot = bot_at(&dir);
    bot.start_with(probe);
    let sha = fs::read_to_string(dir.join("sha")).unwrap();
    let (status, answer) = bot.deliver("delivery-1", &sha);
    assert!(status == 202 || status == 200, "{status}: {answer}");
    bot.settle_and_tell();
    fs::write(dir.join("story"), bot.story()).unwrap();
    bot.stop();
}
