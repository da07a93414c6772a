//! What the engine says to CodeDeploy and to STS, and what our worlds answer, before botocore's own models of both.
//!
//! The engine is led through everything that it can ask for, on every platform; `judge.py` then holds each call against
//! the model, and the list of recorded calls against the sources: a call that is new there has to be led here too.

use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use landfall::clients::aws::{Account, Aws};
use landfall::clients::{Clock, process};
use landfall::domain::{
    Approval, Cause, CodeDeploySpec, CommitSha, FileExists, Order, OverrideAlarms, Progress, Revision, RollbackOn,
    ScalingProcess, SubState, Tag, TargetInstances, Verdict,
};
use landfall::engine::codedeploy::{Accounts, CodeDeployEngine, Pace};
use landfall::engine::{Engine, Found, Intent, StartError, Started};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::worlds::codedeploy::{Course, Fault, Minimum, Moves, Plan, Scenario, World};
use crate::worlds::sts::Sts;

const LAMBDA: &str = "version: 0.0\nResources:\n  - login:\n      Type: AWS::Lambda::Function\n      Properties:\n        \
    Name: login\n        Alias: live\n        CurrentVersion: \"7\"\n        TargetVersion: \"8\"\n";
const ECS: &str = r#"{"version":0.0,"resources":[{"TargetService":{"type":"AWS::ECS::Service","properties":{
    "taskDefinition":"arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:3",
    "loadBalancerInfo":{"containerName":"web","containerPort":8080}}}}]}"#;
const ROLE: &str = "arn:aws:iam::111122223333:role/deployer";

/// What the service has, and botocore's model has not.
const BEYOND: [(&str, &str); 2] = [
    ("CreateDeploymentInput.ec2DeploymentOptions", "the SDK for Rust has it: botocore's model is older"),
    ("MinimumHealthyHostsType=MOST_CONCURRENCY", "the service says it of CodeDeployDefault.OneAtATime"),
];

/// A world that keeps all that is said, and engines for its groups.
struct Stage {
    world: World,
    accounts: Accounts,
    intents: AtomicUsize,
}

impl Stage {
    fn set() -> Self {
        let clock = Clock::system();
        let world = World::start(clock.clone());
        world.record();
        world.add("login", "Lambda", &["production"]);
        world.add("web", "ECS", &["production"]);
        world.add_config("slow", "Server");
        let millis = Duration::from_millis;
        let pace = Pace {
            quick: millis(2),
            steady: millis(5),
            waiting: millis(5),
            slowest: millis(50),
            grace: millis(200),
            grace_look: millis(5),
            answer_within: millis(500),
            looks: [10, 20, 30].map(millis),
            ..Pace::default()
        };
        let accounts = Accounts::paced(Aws::with_keys("A", "S"), pace, clock);
        Self { world, accounts, intents: AtomicUsize::new(0) }
    }

    fn spec(&self, application: &str) -> CodeDeploySpec {
        CodeDeploySpec {
            application: application.into(),
            deployment_group: "production".into(),
            region: "eu-west-1".into(),
            endpoint_url: Some(self.world.url()),
            ..CodeDeploySpec::default()
        }
    }

    fn engine(&self, spec: &CodeDeploySpec) -> CodeDeployEngine {
        CodeDeployEngine::new(spec, &self.accounts)
    }

    /// An intent of its own, for this revision or the usual one.
    fn intent(&self, spec: &CodeDeploySpec, revision: Option<Revision>) -> Intent {
        let number = self.intents.fetch_add(1, Ordering::SeqCst);
        let usual = crate::moto::intent(spec, &format!("{} {number}", spec.application));
        Intent { revision: revision.unwrap_or_else(|| usual.revision.clone()), ..usual }
    }

    /// Starts a deployment and follows it to its end.
    async fn deploy(&self, spec: &CodeDeploySpec, revision: Option<Revision>) -> Option<Verdict> {
        let engine = self.engine(spec);
        let started = engine.start(&self.intent(spec, revision)).await.unwrap();
        follow(&engine, &started, |_| false).await
    }
}

/// Follows a run until it is so, or over: then comes how it ended.
async fn follow(engine: &CodeDeployEngine, started: &Started, is_so: impl Fn(&Progress) -> bool) -> Option<Verdict> {
    let mut last = Progress::default();
    loop {
        let seen = engine.observe(&started.run, &last).await.unwrap();
        last = seen.progress;
        if seen.outcome.is_some() || is_so(&last) {
            return seen.outcome.map(|it| it.verdict);
        }
    }
}

fn inline(content: &str) -> Option<Revision> {
    let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
    Some(Revision::AppSpec { content: content.into(), sha256 })
}

/// Servers, in place: every option that they have, registered and looked for, with an instance that fails.
async fn servers(stage: &Stage) {
    stage.world.add_group("fleet");
    let spec = CodeDeploySpec {
        deployment_config: Some("slow".into()),
        file_exists_behavior: Some(FileExists::Overwrite),
        ignore_application_stop_failures: true,
        update_outdated_only: true,
        auto_rollback: Some(vec![RollbackOn::Failure, RollbackOn::Alarm, RollbackOn::Stop]),
        override_alarms: Some(OverrideAlarms {
            enabled: true,
            ignore_poll_failure: true,
            names: vec!["errors".into()],
        }),
        suspend_processes: vec![ScalingProcess::AzRebalance, ScalingProcess::Terminate],
        deployment_group: "fleet".into(),
        ..stage.spec("shop")
    };
    let (engine, intent) = (stage.engine(&spec), stage.intent(&spec, None));
    assert_eq!(engine.preflight().await, []);
    engine.admit(&intent.order).await.unwrap();
    engine.announce(&intent.order, &intent.revision).await.unwrap();
    stage.world.script(Scenario::of(Plan::of(30, Minimum::AllAtOnce).failing(1..=30)));
    assert_eq!(stage.deploy(&spec, None).await, Some(Verdict::Failed));
    assert!(engine.checkup().await.len() > 5);
    // The answer to a call is lost, the revision of another one is not known, a third meets somebody else's.
    stage.world.fault("CreateDeployment", Fault::CutBeforeAnswering);
    let engine = stage.engine(&stage.spec("shop"));
    let (lost, since) = (stage.intent(&stage.spec("shop"), None), Clock::system().now());
    assert!(matches!(engine.start(&lost).await, Err(StartError::Unknown(_))));
    let found = loop {
        match engine.find(&lost, since).await.unwrap() {
            Found::Run(found) => break found,
            Found::NotYet(rest) => tokio::time::sleep(rest).await,
            Found::Absent => panic!("it is lost: {:#?}", stage.world.deployments()),
        }
    };
    assert_eq!(follow(&engine, &found, |_| false).await, Some(Verdict::Succeeded));
    stage.world.fault("CreateDeployment", Fault::Exception("RevisionDoesNotExistException", "No revision"));
    assert_eq!(stage.deploy(&stage.spec("shop"), None).await, Some(Verdict::Succeeded));
    let usual = stage.intent(&stage.spec("shop"), None);
    let (actor, key, of) = ("ada".to_owned(), "again".to_owned(), usual.deployment);
    let order = Order { cause: Cause::Restart { actor, key, of }, ..usual.order.clone() };
    engine.admit(&order).await.unwrap();
    let started = engine.start(&Intent { order, ..usual }).await.unwrap();
    assert_eq!(follow(&engine, &started, |_| false).await, Some(Verdict::Succeeded), "row 35");
    stage.world.moves(Moves::WhenTold);
    stage.world.foreign("production", "user", "made by hand");
    assert!(matches!(engine.start(&stage.intent(&spec, None)).await, Err(StartError::Busy(_))), "somebody else's");
    (0..20).for_each(|_| stage.world.tick());
    stage.world.moves(Moves::AtEachLook);
}

/// Servers, replaced: tagged instances, traffic that waits for a person, a stop, a commit on GitHub.
async fn replaced(stage: &Stage) {
    stage.world.add_group("green");
    stage.world.blue_green("shop", "green");
    stage.world.link_to_github("shop");
    let tag = |key: &str| Tag { key: Some(key.into()), value: Some("green".into()) };
    let chosen = TargetInstances { tags: vec![tag("Env")], ..TargetInstances::default() };
    let groups = TargetInstances {
        tag_groups: vec![vec![tag("Env")], vec![tag("Role")]],
        auto_scaling_groups: vec!["green".into()],
        ..TargetInstances::default()
    };
    for (number, instances) in [chosen, groups].into_iter().enumerate() {
        let spec = CodeDeploySpec {
            deployment_group: "green".into(),
            target_instances: Some(instances),
            auto_rollback: Some(vec![]),
            ..stage.spec("shop")
        };
        let engine = stage.engine(&spec);
        let course = Course::BlueGreen { termination_wait: 1 };
        let fleet = Scenario::of(Plan { course, ..Plan::of(2, Minimum::AllAtOnce) });
        stage.world.script(Scenario { waits_for_traffic: true, ..fleet });
        let commit = CommitSha::parse("4f2c1e9a".repeat(5)).unwrap();
        let on_github = Revision::GitHub { repository: "acme/shop".into(), commit };
        let started = engine.start(&stage.intent(&spec, Some(on_github))).await.unwrap();
        let is_ready = |it: &Progress| it.sub_state == Some(SubState::ReadyForTraffic);
        assert_eq!(follow(&engine, &started, is_ready).await, None);
        let ended = if number == 0 {
            engine.proceed(&started.run, Approval::Traffic).await.unwrap();
            Verdict::Succeeded
        } else {
            engine.stop(&started.run, true).await.unwrap();
            Verdict::Stopped
        };
        assert_eq!(follow(&engine, &started, |_| false).await, Some(ended));
    }
}

/// A function and a service, each by its AppSpec.
async fn serverless(stage: &Stage) {
    for (application, appspec) in [("login", LAMBDA), ("web", ECS)] {
        let spec = stage.spec(application);
        let (engine, intent) = (stage.engine(&spec), stage.intent(&spec, inline(appspec)));
        engine.admit(&intent.order).await.unwrap();
        let started = engine.start(&intent).await.unwrap();
        assert_eq!(follow(&engine, &started, |_| false).await, Some(Verdict::Succeeded));
        assert!(!engine.checkup().await.is_empty());
    }
}

/// Names that are not there, and those that were meant.
async fn mistyped(stage: &Stage) {
    let right = stage.spec("shop");
    for spec in [
        CodeDeploySpec { application: "shpo".into(), ..right.clone() },
        CodeDeploySpec { deployment_group: "prodution".into(), ..right.clone() },
        CodeDeploySpec { deployment_config: Some("solw".into()), ..right.clone() },
    ] {
        let findings = stage.engine(&spec).preflight().await;
        let helps: Vec<&str> = findings.iter().filter_map(|it| it.help.as_deref()).collect();
        assert!(helps.iter().any(|it| it.contains("did you mean")), "{findings:?}");
    }
}

/// What botocore's model of a service has against these exchanges.
fn judged(service: &str, exchanges: &[Value], sources: &[String], beyond: &[(&str, &str)]) -> String {
    let beyond: serde_json::Map<String, Value> =
        beyond.iter().map(|(name, why)| ((*name).to_owned(), json!(why))).collect();
    let asked = json!({ "service": service, "exchanges": exchanges, "sources": sources, "beyond": beyond });
    let mut judge = process::blocking_program(crate::counterpart("LANDFALL_TEST_PYTHON"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/judge.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    assert!(output.status.success(), "the judge did not come to an end");
    String::from_utf8(output.stdout).unwrap()
}

/// The files in which CodeDeploy is called.
fn sources() -> Vec<String> {
    let room = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/codedeploy");
    let files = std::fs::read_dir(room).unwrap().map(|it| it.unwrap().path().display().to_string());
    files.filter(|it| it.ends_with(".rs")).collect()
}

/// Rows 1 to 63 by the wire: each operation that the engine can call, with what it sends and what our world answers.
#[tokio::test]
async fn every_call_and_answer_is_as_botocores_model_has_it() {
    let stage = Stage::set();
    servers(&stage).await;
    replaced(&stage).await;
    serverless(&stage).await;
    mistyped(&stage).await;
    let exchanges = stage.world.exchanges();
    assert_eq!(judged("codedeploy", &exchanges, &sources(), &BEYOND), "", "of {} exchanges", exchanges.len());
    // It does find what is wrong: a value, a member, a type, a length, an error, a call that nobody led it through.
    let mut bad = exchanges.clone();
    let create = bad.iter_mut().find(|it| it["operation"] == "CreateDeployment").unwrap();
    create["input"]["fileExistsBehavior"] = json!("REPLACE");
    create["input"]["fileExistBehavior"] = json!("RETAIN");
    create["input"]["ignoreApplicationStopFailures"] = json!("true");
    create["input"]["applicationName"] = json!("");
    let get = bad.iter_mut().find(|it| it["error"] == "ApplicationDoesNotExistException").unwrap();
    get["error"] = json!("NoSuchApplication");
    bad.retain(|it| it["operation"] != "ContinueDeployment");
    let told = judged("codedeploy", &bad, &sources(), &BEYOND);
    for word in [
        "REPLACE",
        "no fileExistBehavior",
        "not a boolean",
        "0 is not within",
        "NoSuchApplication",
        "ContinueDeployment: the",
    ] {
        assert!(told.contains(word), "{word} is not in: {told}");
    }
}

/// Roles are taken as STS has it, too.
#[tokio::test]
async fn a_role_is_asked_for_as_botocores_model_has_it() {
    let (sts, world) = (Sts::start(), World::start(Clock::system()));
    let aws = Aws::with_keys("A", "S").with_sts(sts.url());
    let account = Account {
        region: "eu-west-1".into(),
        assume_role: Some(ROLE.into()),
        external_id: Some("shop-7".into()),
        endpoint_url: Some(world.url()),
        ..Account::default()
    };
    aws.codedeploy(&account).await.list_applications().send().await.unwrap();
    sts.refuse(ROLE);
    let another = Aws::with_keys("A", "S").with_sts(sts.url());
    another.codedeploy(&account).await.list_applications().send().await.unwrap_err();
    let exchanges = sts.exchanges();
    assert!(exchanges.len() >= 2, "{exchanges:?}");
    // That somebody is not allowed to is an answer of every service, and of no model.
    let beyond = [("AssumeRole!AccessDenied", "all services say it")];
    assert_eq!(judged("sts", &exchanges, &[], &beyond), "");
}
