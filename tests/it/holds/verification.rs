//! Verification after a release: what answers is looked at until its time is over, and what is not as wanted fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use landfall::domain::Ask;

use crate::bot::{Bot, Extra};

/// A site that answers what the page says that was deployed to it.
pub(crate) struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Site {
    /// Answers with the status and the headers that `says` has for the nth request.
    pub(crate) fn new(says: impl Fn(usize) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 4096]);
                let (status, headers) = says(count.fetch_add(1, Ordering::SeqCst));
                let body = "the page is up";
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} OK\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/healthz", self.address)
    }

    fn bot(&self, more: &str) -> Bot {
        let verify = format!("verify = {{ url = \"{}\", for = \"300ms\", every = \"100ms\", {more} }}", self.url());
        Bot::with(&Extra { target: verify, engine: "auto_rollback = true", ..Extra::default() })
    }
}

fn push(bot: &Bot, page: &str) {
    let sha = bot.commit(page);
    bot.deliver(&format!("delivery-{page}"), &sha);
    bot.settle();
}

/// A release that comes up late is waited for, one bad answer later is passed over, and what was found is told once.
#[test]
fn what_becomes_and_stays_as_wanted_is_live() {
    let site = Site::new(|nth| (if [0, 2].contains(&nth) { 503 } else { 200 }, String::new()));
    let bot = site.bot("allow_private = true, body_contains = \"is up\"");
    push(&bot, "one");
    insta::assert_snapshot!(bot.story(), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  verified bad: answers 503, expected 200
    d1  verified good: answers 200
    d1  verified bad: answers 503, expected 200
    d1  verified good: answers 200
    d1  succeeded
    ");
    assert!(site.asked.load(Ordering::SeqCst) >= 4);
}

/// What answers badly fails with its answer and is rolled back; the rollback is verified too.
#[test]
fn what_is_not_as_wanted_fails_and_is_rolled_back() {
    // The second deployment, and only that, answers badly: its looks come after those of the first.
    let bad = Arc::new(AtomicUsize::new(0));
    let says = bad.clone();
    let site = Site::new(move |_| (if says.load(Ordering::SeqCst) == 1 { 500 } else { 200 }, String::new()));
    let bot = site.bot("allow_private = true");
    push(&bot, "one");
    bad.store(1, Ordering::SeqCst);
    let sha = bot.commit("two");
    bot.deliver("delivery-two", &sha);
    bot.wait_for("it to fail", |bot| bot.story().contains("d2  failed"));
    bad.store(0, Ordering::SeqCst);
    bot.settle();
    let failed = bot.deployments().into_iter().find(|it| it.order().sha.as_str() == sha).unwrap();
    let failure = failed.state().failure().unwrap();
    assert_eq!(failure.code, "conductor/not-verified");
    assert!(failure.message.ends_with("after the release: answers 500, expected 200"), "{}", failure.message);
    assert_eq!(failure.detail.as_deref(), Some("the page is up"));
    assert_eq!(bot.page(), "one");
}

/// This machine's own addresses take the target's permission, and where clouds tell machines their secrets nobody is asked,
/// not even by a redirect; a redirect is an answer unless it is followed.
#[test]
fn nobody_is_asked_whom_the_guard_refuses() {
    let site = Site::new(|_| (302, "location: http://169.254.169.254/latest/meta-data\r\n".into()));
    for (more, why) in [
        ("follow = false", "`127.0.0.1` is 127.0.0.1, an address of a private network or of this machine"),
        ("allow_private = true", "answers 302 and leads to `http://169.254.169.254/latest/meta-data`, expected 200"),
        (
            "allow_private = true, follow = true",
            "`169.254.169.254` is 169.254.169.254, a link-local address, where clouds tell machines their secrets",
        ),
    ] {
        let bot = site.bot(more);
        push(&bot, "one");
        let reason = bot.deployments()[0].reason().unwrap();
        assert!(reason.ends_with(why), "{more}: {reason}");
    }
    assert!(site.asked.load(Ordering::SeqCst) > 0);
}

/// A bot that is ended in the middle begins again, and a stop ends it.
#[test]
fn a_restart_begins_again_and_a_stop_ends_it() {
    let site = Site::new(|_| (503, String::new()));
    let verify =
        format!("verify = {{ url = \"{}\", for = \"10min\", every = \"100ms\", allow_private = true }}", site.url());
    let mut bot = Bot::with(&Extra { target: verify, ..Extra::default() });
    let sha = bot.commit("one");
    bot.deliver("delivery-one", &sha);
    let is_looked_at = |bot: &Bot| bot.deployments()[0].verified().is_some();
    bot.wait_for("it to be looked at", is_looked_at);
    bot.stop();
    let before = site.asked.load(Ordering::SeqCst);
    bot.start();
    bot.wait_for("it to be looked at again", |_| site.asked.load(Ordering::SeqCst) > before);
    let id = bot.deployments()[0].id();
    assert_eq!(bot.deployments()[0].state().name(), "verifying");
    bot.ask("stop", Ask::Stop { deployment: id, rollback: false }).unwrap();
    bot.settle();
    assert_eq!(bot.deployments()[0].state().name(), "stopped");
}

/// A script of the bundle says whether it works, with what it wrote; one that takes too long is ended with its children.
#[test]
fn a_script_of_the_bundle_says_whether_it_works() {
    let target = "verify = { command = [\"scripts/smoke.sh\", \"--fast\"], for = \"100ms\", every = \"100ms\", timeout = \"1s\" }";
    let bot = Bot::with(&Extra { target: target.into(), ..Extra::default() });
    let smoke = |text: &str| bot.repo.write("scripts/smoke.sh", &format!("#!/bin/sh\n{text}\n"), 0o755);
    smoke("test \"$1\" = --fast && test \"$LIFECYCLE_EVENT\" = Verify && test -f appspec.yml");
    push(&bot, "one");
    assert_eq!(bot.deployments()[0].state().name(), "succeeded", "{}", bot.story());
    smoke("echo nothing answers >&2; exit 4");
    push(&bot, "two");
    let failed = bot.deployments()[0].state().failure().unwrap().clone();
    assert!(failed.message.ends_with("`scripts/smoke.sh` ended with exit code 4 in Verify"), "{}", failed.message);
    assert!(failed.detail.unwrap().contains("nothing answers"));
    let left = bot.dir.join("left");
    smoke(&format!("(sleep 3; touch {}) & sleep 60", left.display()));
    push(&bot, "three");
    let late = bot.deployments()[0].reason().unwrap();
    assert!(late.contains("failed to complete in 1 seconds in Verify"), "{late}");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!left.exists(), "what it had started is ended with it");
}

/// A stop ends the script at once with all that it had started, and so does the end of the bot.
#[test]
fn a_stop_and_the_end_of_the_bot_end_a_script() {
    let target = "verify = { command = [\"scripts/smoke.sh\"], timeout = \"50s\" }";
    let mut bot = Bot::with(&Extra { target: target.into(), ..Extra::default() });
    let at = bot.dir.clone();
    bot.repo.write("scripts/smoke.sh", &format!("#!/bin/sh\necho $$ >> {}/pids\nsleep 50\n", at.display()), 0o755);
    let begun = |count: usize| {
        let text = std::fs::read_to_string(at.join("pids")).unwrap_or_default();
        let pids: Vec<i32> = text.lines().map(|it| it.parse().unwrap()).collect();
        (pids.len() == count).then(|| pids[count - 1])
    };
    // One that ended and that nobody has fetched yet does not live.
    let lives =
        |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|it| !it.contains("State:\tZ"));
    let sha = bot.commit("one");
    bot.deliver("delivery-one", &sha);
    bot.wait_for("the script to run", |_| begun(1).is_some());
    let first = begun(1).unwrap();
    assert!(lives(first));
    bot.stop();
    // Nothing that begins later ends it: the bot that is started again is only the one who waits.
    bot.start();
    bot.wait_for("the script to run again", |_| begun(2).is_some());
    bot.wait_for("the first script to be gone, as the bot that began it is", |_| !lives(first));
    let second = begun(2).unwrap();
    bot.ask("stop", Ask::Stop { deployment: bot.deployments()[0].id(), rollback: false }).unwrap();
    bot.settle();
    bot.wait_for("the script to be gone", |_| !lives(second));
    assert_eq!(bot.deployments()[0].state().name(), "stopped");
}

const CHILD: &str = "holds::verification::child_of_the_crash_test";

/// Whenever the bot dies while it looks, the good one is live in the end, and the bad one failed.
#[test]
fn a_crash_around_a_look_changes_no_outcome() {
    let cases = crate::crash::each_passing(&[("verify:after-look", 3)]);
    let crashes = crate::crash::side_by_side(&cases, |orders| {
        let kept = tempfile::tempdir().unwrap();
        let died = !crate::crash::child(CHILD, kept.path(), orders).success();
        assert!(crate::crash::child(CHILD, kept.path(), "").success(), "{}", crate::crash::log(kept.path()));
        let outcome = std::fs::read_to_string(kept.path().join("outcome")).unwrap();
        assert_eq!(outcome, "good live: succeeded failed succeeded", "after {orders}");
        died
    });
    assert_eq!(crashes, cases.len());
}

/// Not a test of its own: a good page, a bad one, and the rollback of it.
#[test]
fn child_of_the_crash_test() {
    let Some((dir, probe)) = crate::crash::orders() else { return };
    let target = "verify = { command = [\"scripts/smoke.sh\"], for = \"100ms\", every = \"100ms\" }";
    let mut bot =
        Bot::asleep_at(&dir, &Extra { target: target.into(), engine: "auto_rollback = true", ..Extra::default() });
    bot.repo.write("scripts/smoke.sh", "#!/bin/sh\ngrep -q good index.html\n", 0o755);
    bot.start_with(probe);
    for page in ["good", "bad"] {
        let noted = dir.join(page);
        let sha = std::fs::read_to_string(&noted).unwrap_or_else(|_| {
            let sha = bot.commit(page);
            std::fs::write(&noted, &sha).unwrap();
            sha
        });
        bot.deliver(&format!("delivery-{page}"), &sha);
        bot.settle();
    }
    let mut all = bot.deployments();
    all.sort_by_key(landfall::domain::Deployment::id);
    let states: Vec<&str> = all.iter().map(|it| it.state().name()).collect();
    std::fs::write(dir.join("outcome"), format!("{} live: {}", bot.page(), states.join(" "))).unwrap();
}
