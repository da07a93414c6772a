//! The CodeDeploy engine against a CodeDeploy world over HTTP, with the real AWS SDK: deployments begun, and found.

mod fleet;
mod watch;
pub(crate) mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::config::{BehaviorVersion, Region};
use jiff::Timestamp;
use landfall::clients::Clock;
use landfall::clients::aws::{self, Aws};
use landfall::domain::{BundleFormat, CodeDeploySpec, EngineSpec, FileExists, Location, Revision};
use landfall::engine::codedeploy::{Accounts, CodeDeployEngine, Connect, Pace};
use landfall::engine::{Engine, Found, Intent, StartError, Started};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::engines::{Bench, Course};
use crate::worlds::codedeploy::{Fault, Moves, Scenario, World};

/// An engine, its world, and the time in both.
pub(crate) struct CodeDeployBench {
    world: World,
    clock: Clock,
    pace: Pace,
    intents: AtomicUsize,
}

impl CodeDeployBench {
    /// In a hurry, by the machine's own clock.
    pub(crate) fn new() -> Self {
        Self::at(Clock::system(), hurried())
    }

    /// At CodeDeploy's pace, by a clock that the test moves.
    fn standing() -> Self {
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        Self::at(clock, Pace { jitter_percent: 0, create_within: Duration::from_secs(20), ..Pace::default() })
    }

    fn at(clock: Clock, pace: Pace) -> Self {
        Self { world: World::start(clock.clone()), clock, pace, intents: AtomicUsize::new(0) }
    }

    fn codedeploy(&self, change: impl FnOnce(&mut CodeDeploySpec)) -> CodeDeployEngine {
        let mut spec = spec(&self.world.url());
        change(&mut spec);
        CodeDeployEngine::new(&spec, &self.accounts())
    }

    fn accounts(&self) -> Accounts {
        Accounts::paced(Aws::with_keys("A", "S"), self.pace.clone(), self.clock.clone())
    }

    fn next_intent(&self) -> Intent {
        let number = self.intents.fetch_add(1, Ordering::SeqCst);
        crate::engines::intent(&format!("intent {number}"), EngineSpec::CodeDeploy(spec("")), bundle())
    }

    /// Carries an intent through, as the conductor does, and moves the clock where it would wait.
    async fn carry_out(&self, engine: &dyn Engine, intent: &Intent) -> (Started, Vec<&'static str>) {
        let (since, mut story) = (self.clock.now(), vec![]);
        for _ in 0..10 {
            match engine.start(intent).await {
                Ok(started) => {
                    story.push("started");
                    return (started, story);
                }
                Err(StartError::NotSent(_)) => story.push("not sent"),
                Err(StartError::Unknown(_)) => {
                    story.push("unknown");
                    if let Some(started) = self.search(engine, intent, since, &mut story).await {
                        return (started, story);
                    }
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("it does not end: {story:?}")
    }

    async fn search(
        &self,
        engine: &dyn Engine,
        intent: &Intent,
        since: Timestamp,
        story: &mut Vec<&'static str>,
    ) -> Option<Started> {
        loop {
            match engine.find(intent, since).await.unwrap() {
                Found::Run(started) => {
                    story.push("found");
                    return Some(started);
                }
                Found::Absent => {
                    story.push("absent");
                    return None;
                }
                Found::NotYet(rest) => {
                    story.push("not yet");
                    self.clock.advance(rest);
                }
            }
        }
    }
}

impl Bench for CodeDeployBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.codedeploy(|_| ()))
    }

    fn intent(&self, course: Course) -> Intent {
        match course {
            Course::Succeeds => {}
            Course::FailsAt(event) => {
                self.world.script(Scenario::script_fails("i-0a", event, "scripts/migrate.sh", "migrating\nboom\n"));
            }
            Course::Lingers => self.world.moves(Moves::WhenTold),
        }
        self.next_intent()
    }

    fn runs(&self) -> usize {
        self.world.deployments().len()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// CodeDeploy's pace for tests that do not wait.
pub(crate) fn hurried() -> Pace {
    let millis = Duration::from_millis;
    Pace {
        quick: millis(2),
        steady: millis(5),
        slowest: millis(50),
        grace: Duration::from_secs(20),
        grace_look: millis(5),
        answer_within: millis(500),
        looks: [10, 20, 30].map(millis),
        ..Pace::default()
    }
}

fn spec(url: &str) -> CodeDeploySpec {
    CodeDeploySpec {
        application: "shop".into(),
        deployment_group: "production".into(),
        region: "eu-west-1".into(),
        endpoint_url: Some(url.into()),
        ..CodeDeploySpec::default()
    }
}

fn bundle() -> Revision {
    let location = Location::S3 {
        bucket: "acme-revisions".into(),
        key: "shop/shop-production/4f2c1e9.tgz".into(),
        region: "eu-west-1".into(),
        version: Some("v7".into()),
        etag: Some("\"9b1d\"".into()),
    };
    Revision::Bundle { format: BundleFormat::Tgz, location, sha256: "00".into(), bytes: 7, files: 1 }
}

#[tokio::test]
async fn a_deployment_carries_its_marker_its_pins_and_its_options() {
    let bench = CodeDeployBench::new();
    let engine = bench.codedeploy(|spec| {
        spec.file_exists_behavior = Some(FileExists::Overwrite);
        spec.deployment_config = Some("CodeDeployDefault.AllAtOnce".into());
        spec.ignore_application_stop_failures = true;
    });
    let intent = bench.next_intent();
    let started = engine.start(&intent).await.unwrap();
    let made = &bench.world.deployments()[0];
    assert_eq!(made.id, started.run.as_str());
    let url = "https://eu-west-1.console.aws.amazon.com/codesuite/codedeploy/deployments/d-000000001?region=eu-west-1";
    assert_eq!(started.url.as_deref(), Some(url));
    let expected = json!({
        "applicationName": "shop", "deploymentGroupName": "production",
        "description": format!("{} acme/shop@4f2c1e9a4f2c octo", intent.marker),
        "revision": { "revisionType": "S3", "s3Location": {
            "bucket": "acme-revisions", "key": "shop/shop-production/4f2c1e9.tgz", "bundleType": "tgz",
            "version": "v7", "eTag": "9b1d" } },
        "deploymentConfigName": "CodeDeployDefault.AllAtOnce", "fileExistsBehavior": "OVERWRITE",
        "ignoreApplicationStopFailures": true, "updateOutdatedInstancesOnly": false,
    });
    assert_eq!(made.input, expected);
}

#[tokio::test]
async fn whatever_happens_to_the_call_there_is_one_deployment() {
    let gone = ["unknown", "not yet", "not yet", "not yet", "absent", "started"].as_slice();
    let done = ["unknown", "found"].as_slice();
    for (fault, expected) in [
        (Fault::CutBeforeActing, gone),
        (Fault::CutBeforeAnswering, done),
        (Fault::Silence, done),
        (Fault::Status(500), gone),
        (Fault::Status(503), gone),
        (Fault::Throttled, ["not sent", "started"].as_slice()),
        (Fault::Exception("ExpiredTokenException", "expired"), ["not sent", "started"].as_slice()),
    ] {
        let mut bench = CodeDeployBench::standing();
        bench.pace.create_within = Duration::from_millis(300);
        let engine = bench.engine();
        bench.world.fault("CreateDeployment", fault.clone());
        let (started, story) = bench.carry_out(&*engine, &bench.next_intent()).await;
        assert_eq!(story, expected, "{fault:?}");
        let made = bench.world.deployments();
        assert_eq!(made.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [started.run.as_str()], "{fault:?}");
    }
}

#[tokio::test]
async fn a_connection_cut_before_anything_is_read_leaves_one_deployment() {
    let bench = CodeDeployBench::standing();
    let engine = bench.engine();
    bench.world.cut_connections(1);
    let (_, story) = bench.carry_out(&*engine, &bench.next_intent()).await;
    assert_eq!(story, ["unknown", "not yet", "not yet", "not yet", "absent", "started"]);
    assert_eq!((bench.runs(), bench.world.count("CreateDeployment")), (1, 1));
}

#[tokio::test]
async fn a_call_cut_again_and_again_still_makes_one_deployment() {
    let bench = CodeDeployBench::standing();
    let engine = bench.engine();
    bench.world.moves(Moves::WhenTold);
    for fault in [Fault::CutBeforeActing, Fault::Throttled, Fault::CutBeforeAnswering] {
        bench.world.fault("CreateDeployment", fault);
    }
    let (_, story) = bench.carry_out(&*engine, &bench.next_intent()).await;
    assert_eq!(story.last(), Some(&"found"), "{story:?}");
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn a_machine_that_cannot_be_reached_was_sent_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bench = CodeDeployBench::new();
    let engine = bench.codedeploy(|spec| spec.endpoint_url = Some(format!("http://127.0.0.1:{port}")));
    let Err(StartError::NotSent(failure)) = engine.start(&bench.next_intent()).await else { panic!() };
    assert_eq!((failure.code.as_str(), failure.passing), ("codedeploy/unreachable", true));
    assert!(failure.message.contains("refused") && !failure.message.contains("os error"), "{failure}");
    let help = failure.help.unwrap_or_default();
    assert!(help.starts_with(&format!("check the way to `http://127.0.0.1:{port}`")), "row 11: {help}");
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let bench = CodeDeployBench::new();
    let connect: Connect = Arc::new(|account: aws::Account| {
        let config = aws_sdk_codedeploy::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region))
            .endpoint_url(account.endpoint_url.unwrap())
            .build();
        Box::pin(async { Client::from_conf(config) })
    });
    let accounts = Accounts::with(connect, hurried(), bench.clock.clone());
    let engine = CodeDeployEngine::new(&spec(&bench.world.url()), &accounts);
    let result = engine.start(&bench.next_intent()).await;
    assert!(matches!(result, Err(StartError::NotSent(_))), "{result:?}");
    assert_eq!(bench.world.calls(), [""; 0]);
}

#[tokio::test]
async fn the_looks_come_after_10_30_and_60_seconds_and_later_for_lambda() {
    let bench = CodeDeployBench::standing();
    let engine = bench.engine();
    let since = bench.clock.now();
    let seconds = Duration::from_secs;
    let lambda = Revision::AppSpec { content: "version: 0.0".into(), sha256: "00".into() };
    let on_lambda = Intent { revision: lambda, ..bench.next_intent() };
    let on_servers = bench.next_intent();
    for (at, servers, lambda) in [
        (0, Found::NotYet(seconds(10)), Found::NotYet(seconds(10))),
        (10, Found::NotYet(seconds(20)), Found::NotYet(seconds(20))),
        (59, Found::NotYet(seconds(1)), Found::NotYet(seconds(301))),
        (60, Found::Absent, Found::NotYet(seconds(300))),
        (360, Found::Absent, Found::Absent),
    ] {
        bench.clock.advance(seconds(at) - Duration::try_from(bench.clock.now().duration_since(since)).unwrap());
        assert_eq!(engine.find(&on_servers, since).await.unwrap(), servers, "at {at} s");
        assert_eq!(engine.find(&on_lambda, since).await.unwrap(), lambda, "at {at} s");
    }
}

#[tokio::test]
async fn a_call_that_left_late_is_looked_for_late() {
    let mut bench = CodeDeployBench::standing();
    bench.pace.create_within = Duration::from_millis(300);
    let (engine, intent, since) = (bench.engine(), bench.next_intent(), bench.clock.now());
    bench.clock.advance(Duration::from_secs(300));
    bench.world.fault("CreateDeployment", Fault::CutBeforeActing);
    assert!(matches!(engine.start(&intent).await, Err(StartError::Unknown(_))));
    assert_eq!(engine.find(&intent, since).await.unwrap(), Found::NotYet(Duration::from_secs(10)));
}

#[tokio::test]
async fn a_deployment_is_found_among_many_pages_of_others() {
    let bench = CodeDeployBench::standing();
    let (intent, since) = (bench.next_intent(), bench.clock.now());
    for _ in 0..30 {
        bench.world.foreign("production", "autoscaling", "");
    }
    let ours = bench.world.foreign("production", "user", &intent.marker);
    bench.world.foreign("production", "CodeDeployAutoUpdate", &intent.marker);
    for _ in 0..30 {
        bench.world.foreign("production", "user", "landfall:another");
    }
    let Found::Run(found) = bench.engine().find(&intent, since).await.unwrap() else { panic!() };
    assert_eq!(found.run.as_str(), ours);
}

#[tokio::test]
async fn a_group_busy_with_our_own_lost_deployment_has_been_given_it() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let intent = bench.next_intent();
    let started = bench.engine().start(&intent).await.unwrap();
    assert_eq!(bench.engine().start(&intent).await, Ok(started));
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn a_group_busy_with_another_deployment_names_it() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let foreign = bench.world.foreign("production", "codeDeployRollback", "Deployment is rolled back");
    let Err(StartError::Busy(failure)) = bench.engine().start(&bench.next_intent()).await else { panic!() };
    assert_eq!(
        failure.message,
        format!(
            "group `production` is busy with {foreign}, not started by Landfall (creator `codeDeployRollback`): \
             CodeDeploy's own rollback"
        )
    );
    assert!(failure.passing);
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn a_limit_that_names_nobody_is_the_accounts() {
    let bench = CodeDeployBench::new();
    let limit = Fault::Exception("DeploymentLimitExceededException", "Too many concurrent deployments: 1000");
    bench.world.fault("CreateDeployment", limit);
    let Err(StartError::NotSent(failure)) = bench.engine().start(&bench.next_intent()).await else { panic!() };
    assert_eq!((failure.code.as_str(), failure.passing), ("codedeploy/limit", true));
}

#[tokio::test]
async fn a_named_deployment_that_cannot_be_read_may_be_ours() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    bench.world.foreign("production", "user", "");
    bench.world.fault("GetDeployment", Fault::Exception("AccessDeniedException", "no"));
    assert!(matches!(bench.engine().start(&bench.next_intent()).await, Err(StartError::Unknown(_))));
}

#[tokio::test]
async fn an_unknown_revision_is_registered_once() {
    let bench = CodeDeployBench::new();
    bench.world.want_registered_revisions();
    bench.engine().start(&bench.next_intent()).await.unwrap();
    assert_eq!(bench.world.calls(), ["CreateDeployment", "RegisterApplicationRevision", "CreateDeployment"]);
}

#[tokio::test]
async fn a_description_that_is_too_long_keeps_its_marker() {
    let bench = CodeDeployBench::new();
    let mut intent = bench.next_intent();
    intent.order.author = Some("é".repeat(400));
    bench.world.fault("CreateDeployment", Fault::Exception("DescriptionTooLongException", "too long"));
    bench.engine().start(&intent).await.unwrap();
    let description = bench.world.deployments()[0].input["description"].as_str().unwrap().to_owned();
    assert_eq!(description.chars().count(), 100);
    assert!(description.starts_with(&intent.marker));
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let bench = CodeDeployBench::new();
    let refused =
        async |change: fn(&mut CodeDeploySpec)| match bench.codedeploy(change).start(&bench.next_intent()).await {
            Err(StartError::Refused(failure)) => format!("{failure}: {}", failure.help.as_deref().unwrap_or_default()),
            other => panic!("{other:?}"),
        };
    assert_eq!(
        refused(|spec| spec.application = "shob".into()).await,
        "application `shob` does not exist in eu-west-1 (codedeploy/no-application): \
         create it, or correct `application` or `region` under `[target.engine]`"
    );
    assert_eq!(
        refused(|spec| spec.deployment_group = "prod".into()).await,
        "application `shop` has no deployment group `prod` in eu-west-1 (codedeploy/no-deployment-group): \
         create it, or correct `deployment_group` under `[target.engine]`"
    );
    let denied = "User: arn:aws:iam::123456789012:user/bot is not authorized";
    bench.world.fault("CreateDeployment", Fault::Exception("AccessDeniedException", denied));
    assert_eq!(
        refused(|_| ()).await,
        format!(
            "AWS denies codedeploy:CreateDeployment in eu-west-1: {denied} (codedeploy/access-denied): \
             allow codedeploy:CreateDeployment: `landfall aws policy` prints the whole policy"
        )
    );
    assert_eq!(bench.runs(), 0);
}

#[tokio::test]
async fn a_wrong_name_is_noticed_before_the_first_push() {
    let bench = CodeDeployBench::new();
    let found = async |change: fn(&mut CodeDeploySpec)| {
        let findings = bench.codedeploy(change).preflight().await;
        findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        found(|spec| spec.application = "Shopp".into()).await,
        ["application `Shopp` does not exist in eu-west-1 (did you mean `shop`?)"]
    );
    assert_eq!(
        found(|spec| spec.deployment_group = "productoin".into()).await,
        ["application `shop` has no deployment group `productoin` in eu-west-1 (did you mean `production`?)"]
    );
    bench.world.add("login", "Lambda", &["production"]);
    let set = |spec: &mut CodeDeploySpec| {
        (spec.application, spec.file_exists_behavior) = ("login".into(), Some(FileExists::Retain));
    };
    assert_eq!(
        found(set).await,
        ["`file_exists_behavior` is for servers, and application `login` is for Lambda \
          (remove `file_exists_behavior`: it is not sent)"]
    );
}

#[tokio::test]
async fn an_appspec_is_sent_as_it_is_and_without_options_for_servers() {
    let bench = CodeDeployBench::new();
    bench.world.add("login", "Lambda", &["production"]);
    let engine = bench.codedeploy(|spec| {
        spec.application = "login".into();
        spec.file_exists_behavior = Some(FileExists::Retain);
        spec.ignore_application_stop_failures = true;
    });
    let (content, sha256) = (world::LAMBDA, hex::encode(Sha256::digest(world::LAMBDA)));
    let revision = Revision::AppSpec { content: content.into(), sha256: sha256.clone() };
    engine.start(&Intent { revision, ..bench.next_intent() }).await.unwrap();
    let input = &bench.world.deployments()[0].input;
    let expected =
        json!({ "revisionType": "AppSpecContent", "appSpecContent": { "content": content, "sha256": sha256 } });
    assert_eq!(input["revision"], expected);
    assert_eq!(input.get("fileExistsBehavior"), None);
    assert_eq!(input["ignoreApplicationStopFailures"], false);
}

#[tokio::test]
async fn a_bundle_on_this_machines_disk_is_nothing_for_codedeploy() {
    let bench = CodeDeployBench::new();
    let location = Location::File { path: "/var/lib/landfall/revisions/x.tgz".into() };
    let revision = Revision::Bundle { format: BundleFormat::Tgz, location, sha256: "".into(), bytes: 1, files: 1 };
    let result = bench.engine().start(&Intent { revision, ..bench.next_intent() }).await;
    let Err(StartError::Refused(failure)) = result else { panic!() };
    assert_eq!(failure.code, "codedeploy/unreachable-revision");
    assert_eq!(bench.world.calls(), [""; 0]);
}
