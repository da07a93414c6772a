//! The line to AWS: a push to GitHub becomes a bundle in S3 and a deployment at CodeDeploy, and GitHub is told of it.
//! A whole bot, with GitHub, S3 and CodeDeploy as worlds that misbehave when they are told to.

mod accounts;
mod again;
mod approval;
mod bucket;
mod crashes;
mod crowd;
mod foreign;
mod matrix;
mod news;
mod options;
mod platforms;
mod promotion;
mod readme;
mod restart;
mod rollback;
mod serverless;
mod stops;
mod termination;
mod upkeep;
mod verified;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use landfall::clients::Clock;
use landfall::domain::{Ask, DeploymentEvent, Event, Record, Request, State};
use serde_json::json;
use tempfile::TempDir;

use crate::bot::Bot;
use crate::cli::{Ran, landfall_with};
use crate::worlds::codedeploy::{Fault, Moves, Scenario, World};
use crate::worlds::github::{GitHubWorld, Route, Status, Trouble};
use crate::worlds::push::SECRET;
use crate::worlds::repository::Repository;
use crate::worlds::s3::Buckets;

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/site\n";

/// The bot's outside: GitHub, S3 and CodeDeploy, each on a thread of its own.
struct Outside {
    github: GitHubWorld,
    repository: Repository,
    s3: Buckets,
    codedeploy: World,
    dir: TempDir,
}

impl Outside {
    fn new() -> Self {
        let github = GitHubWorld::start();
        let repository = github.repository("acme/site");
        let (s3, codedeploy) = (Buckets::start(), World::start(Clock::system()));
        let dir = tempfile::tempdir().unwrap();
        let this = Self { github, repository, s3, codedeploy, dir };
        fs::write(this.dir.path().join("secret"), SECRET).unwrap();
        fs::write(this.dir.path().join("landfall.toml"), this.configuration()).unwrap();
        this
    }

    fn configuration(&self) -> String {
        let (dir, github) = (self.dir.path().display(), self.github.config());
        let (api, token) = (github.api_url, self.github.token_file());
        format!(
            "data_dir = \"{dir}/data\"\npublic_url = \"https://deploy.example.com\"\n\
             [server]\nlisten = \"127.0.0.1:0\"\n\
             [github]\napi_url = \"{api}\"\nwebhook_secrets = [{{ file = \"{dir}/secret\" }}]\n\
             token = {{ file = \"{}\" }}\n\
             [[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\n\
             [target.revisions]\ns3 = {{ bucket = \"revisions\", prefix = \"shop\", region = \"eu-west-1\", \
             endpoint_url = \"{}\", force_path_style = true }}\n\
             [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"production\"\n\
             region = \"eu-west-1\"\nendpoint_url = \"{}\"\n",
            token.display(),
            self.s3.url(),
            self.codedeploy.url(),
        )
    }

    /// Commits and pushes the site with this page. Gives the sha; nothing is delivered.
    fn push(&self, page: &str) -> String {
        self.repository.commit_and_push(page, &[("appspec.yml", APPSPEC), ("index.html", page)]).to_string()
    }

    /// The same with a file in it that no compression makes shorter.
    fn push_large(&self, mebibytes: usize) -> String {
        fs::write(self.repository.work().join("large"), noise(mebibytes << 20)).unwrap();
        self.push("large")
    }

    /// The statuses of the target's context, which are the only ones, without what stands in all of them.
    fn statuses(&self) -> Vec<Status> {
        let statuses = self.github.statuses();
        assert!(
            statuses.iter().all(|it| it.context == "landfall/site" && it.repository == "acme/site"),
            "{statuses:?}"
        );
        assert!(statuses.iter().all(|it| it.description.chars().count() <= 140), "{statuses:?}");
        statuses
    }

    /// The last status, and that none came after the one which was the last word.
    fn last_word(&self) -> Status {
        let statuses = self.statuses();
        let last = statuses.last().expect("GitHub was told").clone();
        let first_final = statuses.iter().position(|it| it.state != "pending").expect("one is final");
        assert!(statuses[first_final..].iter().all(|it| *it == last), "{statuses:#?}");
        last
    }
}

/// A bot with its outside. The bot is named first, so that it ends first.
struct Line {
    bot: Bot,
    outside: Outside,
}

impl Line {
    fn new() -> Self {
        Self::of(Outside::new())
    }

    /// The same with an outside, and a configuration, that somebody else has made.
    fn of(outside: Outside) -> Self {
        let mut bot = bot_at(outside.dir.path());
        bot.start();
        // The first look at the heads is over: what is scripted from now on meets the push.
        bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
        Self { bot, outside }
    }

    /// Delivers a push, and waits for its end and for the last word to GitHub.
    fn deploy(&self, sha: &str) {
        let (status, answer) = self.bot.deliver("delivery-1", sha);
        assert_eq!(status, 202, "{answer}");
        self.bot.settle_and_tell();
    }

    /// What is to be told of everything that happened, a sentence each.
    fn told(&self) -> Vec<String> {
        self.bot.records().iter().map(landfall::board::sentence).collect()
    }

    fn token(&self) -> String {
        fs::read_to_string(self.outside.dir.path().join("data/token")).unwrap().trim().to_owned()
    }

    /// What the server answers at a path.
    fn get(&self, path: &str) -> String {
        let request = reqwest::Client::new().get(format!("{}{path}", self.bot.url())).bearer_auth(self.token());
        self.bot.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    }

    /// Runs the shipped program, which asks this bot.
    fn landfall(&self, words: &[&str]) -> Ran {
        let server = [("LANDFALL_URL", self.bot.url()), ("LANDFALL_TOKEN", self.token())];
        let server = server.each_ref().map(|(name, value)| (*name, value.as_str()));
        landfall_with(self.outside.dir.path(), words, &server)
    }

    /// The failures that a deployment ended with or stumbled over, in order.
    fn failures(&self) -> Vec<String> {
        use DeploymentEvent::{Failed, Refused, Stumbled, Unsent};
        let failure = |record: Record| {
            let Event::Deployment(event) = record.event else { return None };
            if let Stumbled { failure, .. } | Unsent { failure, .. } = event {
                Some(format!("again: {}", failure.code))
            } else if let Failed { failure } | Refused { failure } = event {
                Some(format!("ended: {}", failure.code))
            } else {
                None
            }
        };
        self.bot.records().into_iter().filter_map(failure).collect()
    }
}

/// One more target of `shop`, by its name and group, with these lines in it.
fn more(configuration: &str, name: &str, group: &str, lines: &str) -> String {
    let first = configuration.find("[[target]]").unwrap();
    let target = configuration[first..].split("[[target]]").nth(1).unwrap();
    let target = target
        .replace("name = \"site\"", &format!("name = \"{name}\""))
        .replace("branches = [\"main\"]\n", lines)
        .replace("deployment_group = \"production\"", &format!("deployment_group = \"{group}\""));
    format!("{configuration}[[target]]{target}")
}

fn bot_at(dir: &Path) -> Bot {
    let text = fs::read_to_string(dir.join("landfall.toml")).unwrap();
    Bot::configured(dir, Repository::lasting(dir), text)
}

/// A clock that runs so many times as fast, until it is dropped.
pub(crate) struct Fast(Arc<AtomicBool>);

impl Fast {
    pub(crate) fn run(clock: &Clock, times: u32) -> Self {
        let (ends, clock) = (Arc::new(AtomicBool::new(false)), clock.clone());
        let end = Arc::clone(&ends);
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
                clock.advance(Duration::from_millis(10) * times);
            }
        });
        Self(ends)
    }
}

impl Drop for Fast {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes without any pattern, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

const LIVE: &str = "d1  planned c1 by branch main
d1  weighing
d1  weighed c1
d1  prepared
d1  releasing
d1  released
d1  ended succeeded
d1  succeeded
";

#[test]
fn a_push_goes_live_at_codedeploy_and_github_is_told() {
    let line = Line::new();
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    assert_eq!(line.bot.story(), LIVE);

    let keys = line.outside.s3.keys();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    assert!(key.starts_with(&format!("shop/site/{sha}-")) && key.ends_with(".tgz"), "{key}");
    let bytes = line.outside.s3.object(key).len();
    let deployments = line.outside.codedeploy.deployments();
    let [made] = &deployments[..] else { panic!("{deployments:?}") };
    let pinned = json!({ "revisionType": "S3", "s3Location": {
        "bucket": "revisions", "key": key, "bundleType": "tgz", "version": "v1", "eTag": format!("etag-{bytes}") } });
    assert_eq!(made.input["revision"], pinned);
    let deployment = &line.bot.deployments()[0];
    let description = made.input["description"].as_str().unwrap();
    assert!(
        description.starts_with(&format!("landfall:{} acme/site@{}", deployment.id(), &sha[..12])),
        "{description}"
    );
    assert_eq!(deployment.run().unwrap().as_str(), made.id);

    let last = line.outside.last_word();
    assert_eq!((last.state.as_str(), last.sha.as_str()), ("success", sha.as_str()));
    let url = format!("https://deploy.example.com/deployments/{}", deployment.id());
    assert_eq!(last.target_url, Some(url));
    assert_eq!(line.outside.statuses()[0].state, "pending");
}

#[test]
fn the_bundle_in_the_bucket_holds_what_was_pushed() {
    let line = Line::new();
    let sha = line.outside.push_large(17);
    line.deploy(&sha);
    assert_eq!(line.bot.story(), LIVE);
    let (calls, key) = (line.outside.s3.calls(), &line.outside.s3.keys()[0]);
    assert_eq!(calls.iter().filter(|it| it.starts_with("part ")).count(), 3, "{calls:?}");
    let packed = line.outside.s3.object(key);
    let mut files = tar::Archive::new(flate2::read::GzDecoder::new(&packed[..]));
    let files = files.entries().unwrap().map(|it| {
        let it = it.unwrap();
        (it.path().unwrap().display().to_string(), it.size())
    });
    assert_eq!(
        files.filter(|(_, size)| *size > 0).collect::<Vec<_>>(),
        [("appspec.yml".into(), APPSPEC.len() as u64), ("index.html".into(), 5), ("large".into(), 17 << 20)]
    );
}

#[test]
fn a_failure_names_instance_event_and_script() {
    let line = Line::new();
    let scenario = Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", "migrating\nboom\n");
    line.outside.codedeploy.script(scenario);
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    let last = line.outside.last_word();
    assert_eq!(last.state, "failure");
    for word in ["i-0b", "AfterInstall", "scripts/migrate.sh"] {
        assert!(last.description.contains(word), "no {word} in: {}", last.description);
    }
    let deployment = &line.bot.deployments()[0];
    let State::Failed { failure } = deployment.state() else { panic!("{}", line.bot.story()) };
    assert!(failure.detail.as_deref().unwrap_or_default().contains("boom"), "{failure:?}");
}

#[test]
fn a_call_that_was_cut_makes_one_deployment() {
    for (fault, adopted) in [
        (Fault::CutBeforeActing, false),
        (Fault::CutBeforeAnswering, true),
        (Fault::Throttled, false),
        (Fault::Status(502), false),
    ] {
        let line = Line::new();
        line.outside.codedeploy.fault("CreateDeployment", fault.clone());
        let sha = line.outside.push("hello");
        line.deploy(&sha);
        let story = line.bot.story();
        assert_eq!(line.outside.codedeploy.deployments().len(), 1, "{fault:?}:\n{story}");
        assert_eq!(story.contains("released, adopted"), adopted, "{fault:?}:\n{story}");
        assert_eq!(line.outside.last_word().state, "success", "{fault:?}:\n{story}");
        assert_eq!(line.outside.s3.keys().len(), 1, "{fault:?}:\n{story}");
    }
}

#[test]
fn a_stop_reaches_codedeploy() {
    let line = Line::new();
    line.outside.codedeploy.moves(Moves::WhenTold);
    let sha = line.outside.push("hello");
    line.bot.deliver("delivery-1", &sha);
    line.bot.wait_for("the deployment to run", |bot| bot.story().contains("released"));
    line.outside.codedeploy.tick();
    let id = line.bot.deployments()[0].id();
    let what = Ask::Stop { deployment: id, rollback: false };
    let request = Request { actor: "ada".into(), key: "stop".into(), what };
    line.bot.runtime.block_on(line.bot.app().asks.ask(request)).unwrap();
    line.bot.settle_and_tell();
    assert_eq!(line.outside.codedeploy.deployments()[0].status, "Stopped");
    assert_eq!(line.outside.codedeploy.count("StopDeployment"), 1);
    assert!(line.bot.story().contains("stopped by ada"), "{}", line.bot.story());
    let last = line.outside.last_word();
    assert_eq!(last.state, "error", "{last:?}");
}

#[test]
fn a_source_that_stumbles_holds_the_push_and_then_lets_it_go() {
    let line = Line::new();
    line.outside.github.script(Route::Ref, [Trouble::Status(503), Trouble::Status(503)]);
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    assert_eq!(line.bot.story(), LIVE);
    let statuses = line.outside.statuses();
    let held = statuses.iter().any(|it| it.description.starts_with("Waiting: order unproven"));
    assert!(held, "{statuses:#?}");
    assert_eq!(line.outside.last_word().state, "success");
}

#[test]
fn an_archive_that_cannot_be_had_yet_is_asked_for_again() {
    for (route, trouble, code) in [
        // Right after a push the archives may not know the commit that the API knows.
        (Route::Archive, Trouble::Status(404), "source/unknown-commit"),
        (Route::Tarball, Trouble::Status(404), "source/unknown-commit"),
        (Route::Contents, Trouble::Status(503), "source/unavailable"),
        (Route::Archive, Trouble::Status(502), "source/unavailable"),
        (Route::Archive, Trouble::CutAfter(100), "source/cut"),
        // Somebody on the way answered instead.
        (Route::Contents, Trouble::Spoiled("{\"what\":"), "source/unavailable"),
        (Route::Archive, Trouble::Spoiled("<h1>Welcome to the guests' network</h1>"), "bundle/unreadable"),
    ] {
        let line = Line::new();
        line.outside.github.script(route, [trouble]);
        let sha = line.outside.push("hello");
        line.deploy(&sha);
        assert_eq!(line.bot.story(), LIVE, "{route:?} {trouble:?}");
        assert_eq!(line.failures(), [format!("again: {code}")], "{route:?} {trouble:?}");
        assert_eq!(line.outside.last_word().state, "success");
        assert_eq!((line.outside.s3.keys().len(), line.outside.s3.unfinished()), (1, 0));
    }
}

#[test]
fn a_large_archive_that_is_cut_leaves_nothing_and_is_asked_for_again() {
    let line = Line::new();
    line.outside.github.script(Route::Archive, [Trouble::CutAfter(12 << 20)]);
    let sha = line.outside.push_large(17);
    line.deploy(&sha);
    assert_eq!(line.failures(), ["again: source/cut"]);
    let calls = line.outside.s3.calls();
    let count = |what: &str| calls.iter().filter(|it| it.starts_with(what)).count();
    assert_eq!((count("begin"), count("abort"), count("complete")), (2, 1, 1), "{calls:?}");
    assert_eq!((line.outside.s3.keys().len(), line.outside.s3.unfinished()), (1, 0));
    assert_eq!(line.outside.last_word().state, "success");
}

#[test]
fn a_token_that_github_refuses_holds_the_push_until_it_is_renewed() {
    let line = Line::new();
    line.outside.github.script(Route::Tarball, [Trouble::Status(401), Trouble::Status(401)]);
    let sha = line.outside.push("hello");
    line.deploy(&sha);
    assert_eq!(line.bot.story(), LIVE);
    assert_eq!(line.failures(), ["again: source/unauthorized"; 2]);
    let statuses = line.outside.statuses();
    let said = statuses.iter().any(|it| it.state == "pending" && it.description.contains("credentials"));
    assert!(said, "{statuses:#?}");
    assert_eq!(line.outside.last_word().state, "success");
}

#[test]
fn a_bucket_that_refuses_is_said_and_nothing_stays_in_it() {
    for (call, mebibytes) in
        [("put", 1), ("begin", 17), ("part 1", 17), ("part 2", 17), ("part 3", 17), ("complete", 17)]
    {
        let line = Line::new();
        line.outside.s3.fails(call, 403, "AccessDenied", 1);
        let sha = line.outside.push_large(mebibytes);
        line.deploy(&sha);
        assert_eq!(line.failures(), ["ended: revisions/access-denied"], "{call}:\n{}", line.bot.story());
        let last = line.outside.last_word();
        assert_eq!(last.state, "error", "{call}: {last:?}");
        assert!(last.description.contains("revisions"), "{call}: {last:?}");
        line.bot.wait_for("the upload to be aborted", |_| line.outside.s3.unfinished() == 0);
        assert_eq!((line.outside.s3.keys().len(), line.outside.codedeploy.deployments().len()), (0, 0), "{call}");
    }
}

#[test]
fn credentials_that_ran_out_hold_a_push_until_they_are_renewed() {
    for (call, mebibytes) in [("put", 1), ("part 2", 17), ("complete", 17)] {
        let line = Line::new();
        line.outside.s3.fails(call, 400, "ExpiredToken", 1);
        let sha = line.outside.push_large(mebibytes);
        line.deploy(&sha);
        assert_eq!(line.failures(), ["again: revisions/credentials-expired"], "{call}:\n{}", line.bot.story());
        assert_eq!((line.outside.s3.keys().len(), line.outside.s3.unfinished()), (1, 0), "{call}");
        assert_eq!(line.outside.last_word().state, "success", "{call}");
    }
}

#[test]
fn a_bucket_that_stumbles_is_asked_again() {
    let line = Line::new();
    // More often than the SDK itself tries.
    line.outside.s3.fails("part 2", 503, "SlowDown", 4);
    let sha = line.outside.push_large(17);
    line.deploy(&sha);
    assert_eq!(line.failures(), ["again: revisions/unavailable"]);
    assert_eq!((line.outside.s3.keys().len(), line.outside.s3.unfinished()), (1, 0));
    assert_eq!(line.outside.last_word().state, "success");
}
