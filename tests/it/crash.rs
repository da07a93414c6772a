//! Whatever the moment of the crash, the story after it reads the same.
//!
//! The test executable runs the bot in a child of itself. A probe kills that child at the n-th passing of a seam; the
//! next child opens what lay on disk, and the sender sends again, as senders do.

mod judge;
pub(crate) mod load;
pub(crate) mod storm;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall::clients::process::blocking_program;
use landfall::steps::Probe;

use crate::bot::{Bot, Extra};

/// The child's orders: `SEAM N`, or nothing for a calm life.
const ORDERS: &str = "LANDFALL_TEST_CRASH_AT";
/// Where the child finds the repository and keeps its data.
const DIR: &str = "LANDFALL_TEST_CRASH_DIR";

/// Seams of the line, and how often at most one deployment passes each.
const SEAMS: &[(&str, usize)] = &[
    ("before-effect", 6),
    ("before-append", 12),
    ("after-append", 12),
    ("release:before-start", 1),
    ("release:after-start", 1),
    ("prepare:mid-upload", 1),
    ("before-write", 12),
    ("after-write", 12),
    ("after-sync", 12),
    ("before-index", 12),
];

#[test]
fn a_crash_at_any_seam_changes_nothing() {
    let calm = tempfile::tempdir().unwrap();
    prepare(calm.path());
    assert!(child(CHILD, calm.path(), "").success(), "{}", log(calm.path()));
    let expected = fs::read_to_string(calm.path().join("outcome")).unwrap();

    let cases = each_passing(SEAMS);
    let crashes = side_by_side(&cases, |orders| crash_at(orders, &expected));
    assert!(crashes > SEAMS.len() * 3, "only {crashes} of {} crashes came about", cases.len());
}

/// Orders for a crash at each passing of these seams.
pub(crate) fn each_passing(seams: &[(&str, usize)]) -> Vec<String> {
    seams.iter().flat_map(|(seam, most)| (1..=*most).map(move |nth| format!("{seam} {nth}"))).collect()
}

/// Tries all orders, some at a time. Gives how often the crash came about.
pub(crate) fn side_by_side(cases: &[String], crash_at: impl Fn(&str) -> bool + Sync) -> usize {
    let (next, crashes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(orders) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    crashes.fetch_add(usize::from(crash_at(orders)), Ordering::Relaxed);
                }
            });
        }
    });
    crashes.into_inner()
}

/// Runs a child that dies there, then one that does not. Gives whether the first one died.
fn crash_at(orders: &str, expected: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let died = !child(CHILD, dir.path(), orders).success();
    assert!(child(CHILD, dir.path(), "").success(), "after {orders}:\n{}", log(dir.path()));
    let outcome = fs::read_to_string(dir.path().join("outcome")).unwrap();
    let reason = fs::read_to_string(dir.path().join("reason")).unwrap();
    assert_eq!(outcome, expected, "after {orders}: {reason}\n{}", log(dir.path()));
    died
}

/// Stands before the real program: the first child dies before it can say that it began.
const FIRST_CHILD_DIES: &str = "if mkdir HERE/first 2> /dev/null; then kill -9 $$; fi";
/// The first child waits before it begins, until there is a second.
const FIRST_CHILD_WAITS: &str = "echo child >> HERE/children
for i in $(seq 1500); do [ $(wc -l < HERE/children) -ge 2 ] && break; sleep 0.02; done";
/// A hook that kills the program which runs it.
const HOOK_KILLS: &str = "kill -9 $PPID; sleep 0.2";
const LIVE: &str = "succeeded runs 1\n[Success]\n";
const INTERRUPTED: &str = "failed runs 1\n[Error]\n";

#[test]
fn whoever_dies_while_a_host_run_begins_or_works_it_runs_once_and_is_told() {
    let bot_dies = "release:after-start 1";
    for (before, hook, orders, expected) in [
        (FIRST_CHILD_DIES, "exit 0", "", LIVE),
        (FIRST_CHILD_DIES, "exit 0", bot_dies, LIVE),
        (FIRST_CHILD_WAITS, "exit 0", bot_dies, LIVE),
        ("", HOOK_KILLS, "", INTERRUPTED),
        ("", HOOK_KILLS, bot_dies, INTERRUPTED),
    ] {
        let kept = tempfile::tempdir().unwrap();
        let dir = kept.path();
        let here = dir.display().to_string();
        let program = format!("#!/bin/sh\n{before}\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_landfall"));
        fs::write(dir.join("program"), program.replace("HERE", &here)).unwrap();
        fs::set_permissions(dir.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
        let bot = Bot::asleep_at(dir, &Extra::default());
        bot.write_site(hook);
        fs::write(dir.join("sha"), bot.commit("hello")).unwrap();
        let told = || format!("{before} / {hook} / {orders}:\n{}", log(dir));
        assert_eq!(child(CHILD, dir, orders).success(), orders.is_empty(), "{}", told());
        // Once more in any case: what is over stays over.
        assert!(child(CHILD, dir, "").success(), "{}", told());
        assert_eq!(fs::read_to_string(dir.join("outcome")).unwrap(), expected, "{}", told());
        let interrupted = fs::read_to_string(dir.join("reason")).unwrap();
        let reason = if expected == LIVE { "" } else { "the engine was ended during ValidateService" };
        assert_eq!(interrupted, reason, "{}", told());
    }
}

/// A hook that kills the bot whose deployment it is part of, once.
const HOOK_KILLS_BOT: &str = "if mkdir HERE/killed 2> /dev/null; then kill -9 $(cat HERE/bot); sleep 0.2; fi";

#[test]
fn a_hook_that_ends_the_bot_itself_is_still_run_to_its_end_and_told() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path();
    let bot = Bot::asleep_at(dir, &Extra::default());
    bot.write_site(&HOOK_KILLS_BOT.replace("HERE", &dir.display().to_string()));
    fs::write(dir.join("sha"), bot.commit("hello")).unwrap();
    assert!(!child(CHILD, dir, "").success(), "the hook ends the bot: {}", log(dir));
    assert!(child(CHILD, dir, "").success(), "{}", log(dir));
    assert_eq!(fs::read_to_string(dir.join("outcome")).unwrap(), LIVE, "{}", log(dir));
}

/// Seams around the moment at which a failure and its rollback become one fact.
const ROLLBACK_SEAMS: &[&str] = &["before-append", "after-append", "after-write", "after-sync", "release:after-start"];

#[test]
fn whatever_the_moment_of_the_crash_a_failure_is_rolled_back_once() {
    let cases: Vec<String> = ROLLBACK_SEAMS.iter().flat_map(|seam| passings(seam)).collect();
    let crashes = side_by_side(&cases, |orders| {
        let kept = tempfile::tempdir().unwrap();
        let dir = kept.path();
        let died = !child(ROLLBACK_CHILD, dir, orders).success();
        assert!(child(ROLLBACK_CHILD, dir, "").success(), "after {orders}:\n{}", log(dir));
        let outcome = fs::read_to_string(dir.join("outcome")).unwrap();
        assert_eq!(outcome, "succeeded failed succeeded, runs 3, page one", "after {orders}:\n{}", log(dir));
        died
    });
    assert!(crashes > 10, "only {crashes} of {} crashes came about", cases.len());
}

/// The passings that lie at the end of the second deployment and in the third.
fn passings(seam: &str) -> Vec<String> {
    let passings = if seam == "release:after-start" { 2..=3 } else { 14..=17 };
    passings.map(|nth| format!("{seam} {nth}")).collect()
}

const ROLLBACK_CHILD: &str = "crash::child_of_the_rollback_test";

/// Not a test of its own: a good push, a bad one, and what comes of it.
#[test]
fn child_of_the_rollback_test() {
    let Some((dir, probe)) = orders() else { return };
    let dir = &dir;
    let is_new = !dir.join("repo").exists();
    let mut bot = Bot::asleep_at(dir, &Extra { engine: "auto_rollback = true", ..Extra::default() });
    if is_new {
        fs::write(dir.join("good"), bot.commit("one")).unwrap();
    }
    bot.start_with(probe);
    let good = fs::read_to_string(dir.join("good")).unwrap();
    bot.deliver("delivery-1", &good);
    bot.settle();
    if !dir.join("bad").exists() {
        bot.write_site("exit 1");
        fs::write(dir.join("bad.new"), bot.commit("two")).unwrap();
        fs::rename(dir.join("bad.new"), dir.join("bad")).unwrap();
    }
    bot.deliver("delivery-2", &fs::read_to_string(dir.join("bad")).unwrap());
    bot.settle_and_tell();
    let mut deployments = bot.deployments();
    deployments.sort_by_key(landfall::domain::Deployment::id);
    let states: Vec<&str> = deployments.iter().map(|it| it.state().name()).collect();
    let outcome = format!("{}, runs {}, page {}", states.join(" "), bot.runs(), bot.page());
    bot.stop();
    fs::write(dir.join("outcome"), outcome).unwrap();
}

pub(crate) fn log(dir: &Path) -> String {
    fs::read_to_string(dir.join("log")).unwrap_or_default()
}

/// A repository with one pushed commit.
fn prepare(dir: &Path) {
    let bot = Bot::asleep_at(dir, &Extra::default());
    let sha = bot.commit("hello");
    fs::write(dir.join("sha"), sha).unwrap();
}

/// Runs this executable again, as the child whose life is the test `name`.
pub(crate) fn child(name: &str, dir: &Path, orders: &str) -> ExitStatus {
    child_begins(name, dir, orders).wait().unwrap()
}

/// Begins such a life, and leaves its end to the caller.
pub(crate) fn child_begins(name: &str, dir: &Path, orders: &str) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
    blocking_program(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ORDERS, orders)
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// In a child: where it lives, and the probe that carries out its orders.
pub(crate) fn orders() -> Option<(PathBuf, Probe)> {
    let dir = std::env::var_os(DIR)?;
    Some((dir.into(), killer(std::env::var_os(ORDERS).unwrap().to_str().unwrap())))
}

const CHILD: &str = "crash::child_of_the_crash_test";

/// Not a test of its own: the life of the child. Run without orders, it has nothing to do.
#[test]
fn child_of_the_crash_test() {
    let Some((dir, probe)) = orders() else { return };
    let dir = &dir;
    fs::write(dir.join("bot"), std::process::id().to_string()).unwrap();
    let mut bot = Bot::asleep_at(dir, &Extra::default());
    bot.start_with(probe);
    let sha = fs::read_to_string(dir.join("sha")).unwrap();
    let (status, answer) = bot.deliver("delivery-1", &sha);
    assert!(status == 202 || status == 200, "{status}: {answer}");
    bot.settle_and_tell();
    let deployments = bot.deployments();
    let [only] = &deployments[..] else { panic!("one push, one deployment:\n{}", bot.story()) };
    let outcome = format!(
        "{} runs {}\n{:?}\n",
        only.state().name(),
        bot.runs(),
        bot.last_statuses().values().collect::<Vec<_>>()
    );
    fs::write(dir.join("reason"), only.reason().unwrap_or_default()).unwrap();
    bot.stop();
    fs::write(dir.join("outcome"), outcome).unwrap();
}

/// A probe that kills this very process at the n-th passing of a seam: nothing is flushed, nothing is dropped.
fn killer(orders: &str) -> Probe {
    let Some((seam, nth)) = orders.split_once(' ') else { return Arc::new(|_| ()) };
    let (seam, nth, passed) = (seam.to_owned(), nth.parse::<usize>().unwrap(), AtomicUsize::new(0));
    Arc::new(move |here| {
        if here == seam && passed.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    })
}
