//! The dashboard in a real browser: each button of holds and approvals does what it says, a page of somebody else's
//! presses none of them, and what was smuggled into a page does not run.

use std::path::PathBuf;

use landfall::clients::process;
use serde_json::Value;

use crate::shipped::Shipped;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/dashboard.js");
/// Frozen from each January on, but for its last hour of the year.
const TARGET: &str = "approvals = 1\nfreeze = [{ cron = \"0 0 1 1 *\", for = \"8759h\", reason = \"the fair\" }]";

/// Somebody at a browser.
struct Person<'a> {
    bot: &'a Shipped,
    shots: PathBuf,
}

impl Person<'_> {
    /// Plays a scene: what was seen.
    fn plays(&self, words: &[&str]) -> Value {
        let playwright = format!("{}/node_modules/playwright-core", crate::counterpart("LANDFALL_TEST_NODE_DIR"));
        let output = process::blocking_program("node")
            .arg(SCRIPT)
            .args(words)
            .env("PLAYWRIGHT", playwright)
            .env("CHROMIUM", crate::counterpart("LANDFALL_TEST_CHROMIUM"))
            .env("SHOTS", &self.shots)
            .env("LANDFALL_URL", self.bot.url())
            .env("LANDFALL_TOKEN", self.bot.token())
            .output()
            .unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {talk}\n{}", self.bot.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Plays a scene, and finds these words on the page that it ends with.
    fn sees(&self, words: &[&str], parts: &[&str]) {
        let seen = self.plays(words);
        let main = seen["main"].as_str().unwrap();
        for part in parts {
            assert!(main.contains(part), "{words:?}: `{part}` is not in\n{main}");
        }
    }
}

/// The newest deployment, once it is held for this.
fn held(bot: &Shipped, reason: &str) -> String {
    let mut id = String::new();
    bot.waits(reason, |bot| {
        let site = bot.asked(&["status", "site"]);
        let newest = &site["deployments"][0];
        id = newest["id"].as_str().unwrap_or_default().to_owned();
        newest["reason"].as_str().is_some_and(|it| it.contains(reason))
    });
    id
}

#[test]
fn the_buttons_of_holds_do_what_they_say_and_only_here() {
    let mut bot = Shipped::configured("[people]\nadmin = \"mia\"\n", TARGET);
    bot.serve();
    let shots = bot.shots("buttons");
    let person = Person { bot: &bot, shots };
    let seen = person.plays(&["login"]);
    assert!(seen["at"].as_str().unwrap().ends_with("/targets/site"), "{seen}");

    // Nobody else's page does it for them.
    let foreign = person.plays(&["foreign"]);
    assert_eq!(foreign["site"]["status"], 401, "{foreign}");
    assert_eq!((&foreign["site"]["cookie"], &foreign["port"]["cookie"]), (&false.into(), &true.into()), "{foreign}");
    assert_eq!((&foreign["port"]["status"], &foreign["login"]["status"]), (&403.into(), &403.into()), "{foreign}");
    assert_eq!(foreign["framed"], false, "{foreign}");
    assert_eq!(bot.asked(&["status"])["targets"][0]["locks"].as_array().map_or(0, Vec::len), 0);

    person.sees(&["act", "/targets/site", "Lock", "the fair is on"], &["locked by admin: the fair is on", "Unlock"]);
    let evil = "</title><script>window.ran = 'message'</script> & `<b>one</b>`";
    let sha = bot.push(evil);
    let id = held(&bot, "waiting for the approval of 1 person");
    // Each press leads to a page at once; what the bot makes of it may be on the next one only.
    let page = format!("/deployments/{id}");
    person.sees(&["see", &page], &["<script>window.ran = 'message'</script>", "Approve the release…"]);
    let said = person.plays(&["act", &page, "Approve the release"]);
    assert!(said["said"].as_str().unwrap().contains("What will happen"), "{said}");
    assert!(said["main"].as_str().unwrap().contains("approved by admin"), "{said}");
    held(&bot, "locked by admin: the fair is on");
    person.sees(&["act", "/targets/site", "Unlock"], &["Lock…"]);
    held(&bot, "frozen until");
    let freeze = ["act", &page, "Release in spite of the freeze", "the fix for the fair"];
    person.sees(&freeze, &["the fix for the fair"]);
    bot.goes_live(&sha);

    let paused = ["Releases are paused by admin: the network moves", "Resume releases"];
    person.sees(&["act", "/", "Pause releases", "the network moves"], &paused);
    bot.push("two");
    let id = held(&bot, "waiting for the approval of");
    let page = format!("/deployments/{id}");
    person.sees(&["act", &page, "Reject", "not today"], &["rejected by admin: not today"]);
    person.sees(&["act", "/", "Resume releases"], &["Pause releases"]);
    person.sees(&["see", "/audit"], &["rejected", "asked to pause: the network moves", "approved the release"]);

    let seen = person.plays(&["injected", "/targets/site"]);
    assert_eq!((&seen["ran"], &seen["shown"], &seen["live"]), (&Value::Null, &true.into(), &true.into()), "{seen}");
    assert!(seen["refused"].as_u64().unwrap() >= 5 && seen["at"].as_str().unwrap().starts_with(&bot.url()), "{seen}");
    assert_eq!(bot.ends(), Some(0));
}

#[test]
fn every_page_is_good_to_look_at_and_to_hear_and_whole_without_script() {
    let mut bot = Shipped::new();
    bot.serve();
    let person = Person { bot: &bot, shots: bot.shots("pages") };
    person.plays(&["login"]);
    let good = bot.push("one");
    bot.goes_live(&good);
    bot.repo.write("check.sh", "#!/bin/sh\necho looking at the page\necho it has no title >&2\nexit 3\n", 0o755);
    bot.push("two");
    let newest = |bot: &Shipped| bot.asked(&["status", "site"])["deployments"][0].clone();
    bot.waits("the second push has failed", |bot| newest(bot)["state"] == "failed");
    let failed = format!("/deployments/{}", newest(&bot)["id"].as_str().unwrap());
    let deliveries = bot.asked(&["deliveries"]);
    let delivery = format!("/deliveries/{}", deliveries["deliveries"][0]["id"].as_str().unwrap());
    let searched = format!("{failed}?q=title");
    let (again, replay) = (format!("{failed}/redeploy"), format!("{delivery}/replay"));
    let pages = [
        "/",
        "/targets/site",
        "/targets/site/lock",
        "/targets/site/deploy?ref=main",
        "/targets/site/rollback",
        "/live",
        "/live?at=00:00",
        "/targets/site?at=00:00",
        "/deployments",
        "/deployments?state=failed&since=2026-01-01",
        &failed,
        &searched,
        &again,
        "/deliveries",
        &delivery,
        &replay,
        "/audit",
        "/releases/pause",
        "/login",
        "/nowhere",
    ];
    let seen = person.plays(&[&["tour"], &pages[..]].concat());
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), pages.len() * 4);
    for page in seen {
        assert_eq!(page["faults"], serde_json::json!([]), "{page}");
        assert!(page["rules"].as_u64().unwrap() >= 10, "axe-core has looked: {page}");
        assert_eq!(page["wide"], false, "{page}");
        assert!(page["bytes"].as_u64().unwrap() < 60 << 10, "{page}");
        assert_eq!(page["skips"], true, "the first key leads to the content: {page}");
    }
    let timeless = |text: &Value| {
        let words = text.as_str().unwrap().split_whitespace().filter(|it| !it.chars().any(|it| it.is_ascii_digit()));
        words.collect::<Vec<_>>().join(" ").replace("just now", "s ago")
    };
    for page in person.plays(&[&["plain"], &pages[..]].concat()).as_array().unwrap() {
        assert_eq!(timeless(&page["without"]), timeless(&page["withScript"]), "{page}");
    }
    assert_eq!(bot.ends(), Some(0));
}

#[test]
fn what_happens_shows_on_an_open_page_by_itself() {
    let mut bot = Shipped::new();
    bot.serve();
    let person = Person { bot: &bot, shots: bot.shots("live") };
    person.plays(&["login"]);
    let took =
        person.plays(&["live", "first reason", "second reason", "third reason", "fourth reason", "fifth reason"]);
    assert_eq!(took.as_array().unwrap().len(), 5, "{took}");
    println!("an event was on an open page after so many milliseconds: {took}");
    assert_eq!(bot.ends(), Some(0));
}

#[test]
fn an_open_page_comes_back_misses_nothing_and_leaves_the_keyboard_where_it_was() {
    let mut bot = Shipped::new();
    bot.serve();
    let person = Person { bot: &bot, shots: bot.shots("returns") };
    person.plays(&["login"]);
    let seen = person.plays(&["returns"]);
    assert_eq!((&seen["refused"], &seen["back"], &seen["late"]), (&3.into(), &true.into(), &true.into()), "{seen}");
    assert_eq!((&seen["seen"], &seen["before"]), (&true.into(), &seen["after"]), "{seen}");
    assert_eq!((&seen["before"], &seen["ended"]), (&"/targets/site".into(), &"/login?next=%2F".into()), "{seen}");
    assert_eq!(bot.ends(), Some(0));
}

/// Pushes a page whose script says much and waits for a file: the deployment's page, and its log.
fn speaks(bot: &Shipped, title: &str) -> (String, String) {
    let _ = std::fs::remove_file(bot.path("go"));
    bot.push(title);
    let mut newest = Value::Null;
    let mut log = PathBuf::new();
    bot.waits("the script has spoken", |bot| {
        newest = bot.asked(&["status", "site"])["deployments"][0].clone();
        let run = newest["engine_id"].as_str().unwrap_or("none");
        let groups = std::fs::read_dir(bot.path("state/deployment-root")).into_iter().flatten();
        let logs = groups.map(|it| it.unwrap().path().join(run).join("logs/scripts.log"));
        log = logs.into_iter().find(|it| it.exists()).unwrap_or_default();
        newest["state"] != "succeeded" && std::fs::read_to_string(&log).is_ok_and(|it| it.contains("line 400 of many"))
    });
    (format!("/deployments/{}", newest["id"].as_str().unwrap()), log.display().to_string())
}

#[test]
fn a_log_stays_where_somebody_reads_it_is_not_searched_unasked_and_comes_when_it_can_be_read() {
    let mut bot = Shipped::new();
    bot.serve();
    let go = bot.path("go").display().to_string();
    let script = format!(
        "#!/bin/sh\nseq -f 'line %g of many' 400\nuntil [ -e {go} ]; do sleep 0.05; done\necho the end\nexit 0\n"
    );
    bot.repo.write("check.sh", &script, 0o755);
    let person = Person { bot: &bot, shots: bot.shots("log") };
    person.plays(&["login"]);

    let (page, _) = speaks(&bot, "one");
    let seen = person.plays(&["reads", &page, &go]);
    assert_eq!((&seen["before"], &seen["same"]), (&seen["after"], &true.into()), "{seen}");
    assert!(seen["before"].as_str().unwrap().contains("of many") && seen["newest"] == "1 new line", "{seen}");
    assert_eq!(seen["twice"], serde_json::json!([]), "{seen}");

    let seen = person.plays(&["searched", &page, "LINE 399"]);
    assert_eq!(seen["asked"], serde_json::json!([page]), "{seen}");
    assert!(seen["log"].as_str().unwrap().contains("1 line has “LINE 399”"), "{seen}");
    bot.types(&["unlock", "site", "--url", &bot.url(), "--token", &bot.token()]);

    let (page, log) = speaks(&bot, "two");
    let seen = person.plays(&["mended", &page, &log, &go]);
    let said = seen["said"].as_str().unwrap();
    assert!(said.contains("scripts.log") && !said.contains("Nothing was said"), "{seen}");
    assert_eq!(bot.ends(), Some(0));
}
