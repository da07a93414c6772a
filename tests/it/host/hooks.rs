//! What hooks of the bot's own runs find, how long they may take, who they run as; and two groups at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall::clients::Clock;
use landfall::domain::{EngineSpec, Location, Mask, Progress, Revision, RunId, StepStatus, Verdict};
use landfall::engine::host::{Account, BundleType, GroupId, Means, RunDir, RunIntent, Story, carry_out, prepare_run};
use landfall::engine::{Engine, Found, Intent};

use super::{Host, LANDFALL, since};
use landfall::clients::process::blocking_program;

/// The host's bundle unpacked, with more in its AppSpec and other scripts, as a run of its own.
pub(super) fn changed(host: &Host, run: &str, change: impl Fn(&str) -> String, scripts: &[(&str, &str)]) -> RunDir {
    let folder = host.path(run);
    fs::create_dir(&folder).unwrap();
    let bundle = host.path("bundle.tgz");
    assert!(blocking_program("tar").arg("xzf").arg(bundle).arg("-C").arg(&folder).status().unwrap().success());
    let appspec = fs::read_to_string(folder.join("appspec.yml")).unwrap();
    fs::write(folder.join("appspec.yml"), change(&appspec)).unwrap();
    for (name, text) in scripts {
        fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
    }
    let spec = match &host.intent.order.target.engine {
        EngineSpec::Host(spec) => spec.clone(),
        EngineSpec::CodeDeploy(_) => unreachable!("it is a host's"),
    };
    let run = RunId::parse(run).unwrap();
    let intent = RunIntent {
        marker: run.to_string(),
        run,
        application: spec.application.clone(),
        deployment_group: spec.deployment_group.clone(),
        group: GroupId::of(&spec.application, &spec.deployment_group),
        root: spec.root,
        bundle: folder,
        bundle_type: BundleType::Directory,
        sha256: None,
        commit: None,
        object: None,
        options: landfall::engine::host::RunOptions { max_revisions: 5, ..Default::default() },
    };
    prepare_run(&intent).unwrap()
}

fn carried_out(dir: &RunDir, means: Means) -> Story {
    carry_out(dir, &means).unwrap().unwrap()
}

pub(super) fn means() -> Means {
    Means { program: LANDFALL.into(), kill_after: Duration::from_millis(200), ..Means::own() }
}

fn code(story: &Story) -> String {
    story.end.as_ref().and_then(|end| end.failure.as_ref()).map_or_else(String::new, |failure| failure.code.clone())
}

#[tokio::test]
async fn hooks_of_a_bot_find_where_the_bundle_came_from_and_nothing_of_the_bots() {
    let host = Host::new("env > {HERE}/env");
    let path = host.path("bundle.tgz");
    let Revision::Bundle { format, sha256, bytes, files, .. } = host.intent.revision.clone() else {
        panic!("a bundle")
    };
    let s3 = |version: Option<&str>| Location::S3 {
        bucket: "revisions".into(),
        key: "site/b.tgz".into(),
        region: "eu-west-1".into(),
        version: version.map(str::to_owned),
        etag: Some("e7a6".into()),
    };
    let intent = |version| {
        let revision = Revision::Bundle { format, location: s3(version), sha256: sha256.clone(), bytes, files };
        Intent { revision, bundle: Some(path.clone()), ..host.intent.clone() }
    };
    // After a crash the run is looked for without the file at hand.
    assert_eq!(host.engine.find(&Intent { bundle: None, ..intent(None) }, since()).await, Ok(Found::Absent));
    host.engine.start(&intent(None)).await.unwrap();
    assert_eq!(host.end().await.1.verdict, Verdict::Succeeded);
    assert!(matches!(host.engine.find(&Intent { bundle: None, ..intent(None) }, since()).await, Ok(Found::Run(_))));
    let env = fs::read_to_string(host.path("env")).unwrap();
    let has = |line: String| env.lines().any(|it| it == line);
    assert!(has("BUNDLE_BUCKET=revisions".into()) && has("BUNDLE_KEY=site/b.tgz".into()), "H21: {env}");
    assert!(has("BUNDLE_ETAG=e7a6".into()) && has(format!("BUNDLE_COMMIT={}", host.intent.commit)), "H20 H21: {env}");
    assert!(!env.contains("BUNDLE_VERSION"), "H21: {env}");
    // The test's own variables stand for a bot's: none of them comes through.
    assert!(!env.contains("CARGO") && !env.contains("LANDFALL"), "H22: {env}");
}

#[test]
fn without_a_word_of_its_own_a_script_may_take_as_long_as_its_event() {
    assert_eq!(Means::own().event_time, Duration::from_secs(3600), "H16 D1");
    let host = Host::new("true");
    let short = Means { event_time: Duration::from_secs(1), ..means() };
    let dir = changed(&host, "d-ONE", str::to_owned, &[("a.sh", "sleep 30")]);
    assert_eq!(code(&carried_out(&dir, short.clone())), "host/script-timed-out", "H16");
    let two = |text: &str| text.replace("location: a.sh\n", "location: a.sh\n    - location: b.sh\n");
    let scripts = [("a.sh", "sleep 0.6"), ("b.sh", "sleep 0.6; touch never")];
    let dir = changed(&host, "d-TWO", two, &scripts);
    let story = carried_out(&dir, short);
    assert_eq!(code(&story), "host/script-timed-out", "H19: two that fit alone, and not together");
    assert!(!dir.path().join("deployment-archive/never").exists(), "H19");
    let after = story.events.iter().find(|event| event.name == "AfterInstall").unwrap();
    assert!(after.took_ms.unwrap() < 5000 && after.scripts.len() == 2, "H19: {after:?}");
}

#[test]
fn two_groups_deploy_at_once() {
    let host = Host::new("true");
    let wait = |own: &str, other: &str| {
        let (own, other) = (host.path(own), host.path(other));
        format!(
            "touch {}; for i in $(seq 500); do test -e {} && exit 0; sleep 0.02; done; exit 1",
            own.display(),
            other.display()
        )
    };
    let first = changed(&host, "d-FIRST", str::to_owned, &[("a.sh", &wait("one", "two"))]);
    let second =
        changed(&host, "d-SECOND", |text| text.replace("/site\n", "/other\n"), &[("a.sh", &wait("two", "one"))]);
    // The second one's group is another: its directory is made anew beneath that group.
    let mut intent = RunIntent::read(&second).unwrap();
    intent.group = GroupId::of("shop", "production");
    intent.marker = "another group".into();
    let second = prepare_run(&intent).unwrap();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| carried_out(&first, means()));
        let second = scope.spawn(|| carried_out(&second, means()));
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(
        (code(&first).as_str(), code(&second).as_str()),
        ("", ""),
        "B12: each waited for the other to be at work"
    );
}

#[tokio::test]
async fn a_targets_user_is_who_hooks_run_as() {
    let host = Host::new("id -un > {HERE}/who/name; id -G > {HERE}/who/groups");
    fs::create_dir(host.path("who")).unwrap();
    let own = Account::own();
    let user = if Account::can_change() { "daemon".to_owned() } else { own.name };
    if Account::can_change() {
        use std::os::unix::fs::PermissionsExt;
        for folder in ["", "who"] {
            fs::set_permissions(host.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
        }
    } else {
        println!("another user than the bot's needs root: `user` is the present one");
    }
    let mut intent = host.intent.clone();
    let mut target = (*intent.order.target).clone();
    let EngineSpec::Host(spec) = &mut target.engine else { panic!("it is a host's") };
    spec.user = Some(user.clone());
    intent.order.target = target.into();
    host.engine.start(&intent).await.unwrap();
    let (_, outcome) = host.end().await;
    assert_eq!(outcome.verdict, Verdict::Succeeded, "{outcome:?}");
    assert_eq!(read(&host.path("who/name")), user);
    if Account::can_change() {
        assert!(!read(&host.path("who/groups")).split(' ').any(|group| group == "0"), "no group of root's is left");
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[tokio::test]
async fn what_a_script_says_is_told_while_it_runs_without_secrets() {
    let host = Host::new("echo the word is hunter2-and-more; until test -f {HERE}/go; do sleep 0.02; done; exit 4");
    let masked = host.engine.clone().masked(Mask::new(["hunter2-and-more".to_owned()]));
    masked.start(&host.intent).await.unwrap();
    let run = host.intent.run.as_ref().unwrap();
    let mut last = Progress::default();
    let deadline = Clock::system().now() + Duration::from_secs(30);
    while last.said.is_none() && Clock::system().now() < deadline {
        last = masked.observe(run, &last).await.unwrap().progress;
    }
    assert_eq!(last.said.as_deref(), Some("the word is [secret]"));
    let at_work = last.lifecycle.iter().find(|it| it.status == StepStatus::InProgress).unwrap();
    assert_eq!(at_work.script.as_deref(), Some("a.sh"));
    fs::write(host.path("go"), "").unwrap();
    let mut outcome = None;
    while outcome.is_none() && Clock::system().now() < deadline {
        outcome = masked.observe(run, &last).await.unwrap().outcome;
    }
    let failure = outcome.unwrap().failure.unwrap();
    assert_eq!(failure.detail.as_deref(), Some("[stdout]the word is [secret]"));
    let log: PathBuf = masked.run_dir(run).unwrap().scripts_log();
    assert!(fs::read_to_string(log).unwrap().contains("hunter2-and-more"), "the log on the host is the host's own");
}
