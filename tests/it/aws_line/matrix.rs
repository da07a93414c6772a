//! Every call to AWS broken in every way, by a proxy between the real SDK and the worlds: one bot, a target for each
//! pair. Each ends with one deployment at CodeDeploy or none, and with a last word on GitHub.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use landfall::app::Parts;
use landfall::clients::Clock;
use landfall::clients::aws::{Aws, Limits};
use landfall::domain::{Approval, Ask, Deployment, DeploymentEvent, Event, Record, Request, State, Stream, SubState};
use landfall::engine::codedeploy::Pace;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::bot::{Bot, deliver};
use crate::worlds::codedeploy::{Scenario, Seen, World};
use crate::worlds::github::GitHubWorld;
use crate::worlds::proxy::{Break, Head, Proxy};
use crate::worlds::push::{self, SECRET};
use crate::worlds::repository::Repository;
use crate::worlds::s3::Buckets;

const APPSPEC: &str = "version: 0.0\nos: linux\nfiles:\n  - source: index.html\n    destination: /srv/site\n";

/// The calls, and the one after which a call comes that is to meet a closed door: nothing means the very first.
const CALLS: [(&str, Option<&str>); 14] = [
    ("PutObject", None),
    ("UploadPart", Some("CreateMultipartUpload")),
    ("CompleteMultipartUpload", Some("UploadPart")),
    ("HeadObject", None),
    ("RegisterApplicationRevision", Some("CreateDeployment")),
    ("CreateDeployment", None),
    ("GetDeploymentGroup", Some("CreateDeployment")),
    ("ListDeployments", Some("GetDeploymentGroup")),
    ("GetDeployment", Some("CreateDeployment")),
    ("BatchGetDeployments", Some("CreateDeployment")),
    ("ListDeploymentTargets", Some("BatchGetDeployments")),
    ("BatchGetDeploymentTargets", Some("ListDeploymentTargets")),
    ("StopDeployment", None),
    ("ContinueDeployment", None),
];

const FAULTS: [&str; 10] =
    ["refused", "cut before", "cut after", "500", "503", "throttled", "expired", "slow", "skewed", "unsigned"];

/// More often than the SDK tries by itself, so that the bot's own patience is needed too.
const TIMES: usize = 4;

/// How long the bot waits for AWS here: in less than the minutes that it has otherwise, an answer is given up.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    stored: Duration::from_secs(5),
    stored_whole: Duration::from_secs(5),
    answered: Duration::from_secs(4),
};

/// Longer than all of the SDK's tries of one call together: nobody waits for an answer that late.
const LATE: Duration = Duration::from_secs(20);

fn is_s3(call: &str) -> bool {
    matches!(call, "PutObject" | "UploadPart" | "CompleteMultipartUpload" | "HeadObject")
}

fn is_large(call: &str) -> bool {
    matches!(call, "UploadPart" | "CompleteMultipartUpload")
}

/// What a request is called: CodeDeploy says it in a header, S3 by method and query.
fn named(head: &Head<'_>) -> String {
    if let Some(target) = head.header("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let query = head.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
    match head.method {
        "PUT" if query.contains("partNumber") => "UploadPart",
        "PUT" => "PutObject",
        "HEAD" => "HeadObject",
        "POST" if query.contains("uploadId") => "CompleteMultipartUpload",
        "POST" => "CreateMultipartUpload",
        other => other,
    }
    .to_owned()
}

/// The answer of a service that refuses, in the words of CodeDeploy or of S3.
fn refusal(call: &str, status: u16, code: &str) -> Break {
    let (content_type, body) = if is_s3(call) {
        ("application/xml", format!("<Error><Code>{code}</Code><Message>a test says so</Message></Error>"))
    } else {
        ("application/x-amz-json-1.1", format!("{{\"__type\":\"{code}\",\"message\":\"a test says so\"}}"))
    };
    Break::Answer { status, content_type, body }
}

fn fault(call: &str, name: &str) -> Vec<Break> {
    let one = match name {
        "cut before" => Break::CutBefore,
        "cut after" => Break::CutAfter,
        "500" => Break::Answer { status: 500, content_type: "text/html", body: "<html>no</html>".into() },
        "503" => Break::Answer { status: 503, content_type: "text/html", body: "<html>no</html>".into() },
        "throttled" if is_s3(call) => refusal(call, 503, "SlowDown"),
        "throttled" => refusal(call, 400, "ThrottlingException"),
        "expired" if is_s3(call) => refusal(call, 400, "ExpiredToken"),
        "expired" => refusal(call, 400, "ExpiredTokenException"),
        "slow" => Break::Slow(LATE),
        "skewed" => refusal(call, 403, "RequestTimeTooSkewed"),
        "unsigned" if is_s3(call) => refusal(call, 403, "SignatureDoesNotMatch"),
        "unsigned" => refusal(call, 400, "InvalidSignatureException"),
        other => panic!("no fault is called {other}"),
    };
    vec![one; TIMES]
}

/// One pair of call and fault: a target of its own, behind proxies of its own.
struct Cell {
    name: String,
    call: &'static str,
    fault: &'static str,
    s3: Proxy,
    codedeploy: Proxy,
}

impl Cell {
    /// Breaks what is to be broken. What comes before the push is scripted now, what a person does later.
    fn arm(&self, world: &World) {
        let codedeploy = &self.codedeploy;
        match self.call {
            "HeadObject" => return,
            // Whether a deployment was created is looked for when its answer was lost.
            "GetDeploymentGroup" | "ListDeployments" => {
                codedeploy.script("CreateDeployment", [Break::CutAfter]);
                // What the group is like was asked before, once, and is not what is to break.
                codedeploy.script("GetDeploymentGroup", [Break::Slow(Duration::ZERO)]);
            }
            "GetDeployment" => {
                let other = world.foreign_of("shop", &self.name, "user", "made by hand");
                let body = format!(
                    "{{\"__type\":\"DeploymentLimitExceededException\",\"message\":\"The Deployment Group 'g' already \
                     has an active Deployment '{other}'\"}}"
                );
                let answer = Break::Answer { status: 400, content_type: "application/x-amz-json-1.1", body };
                codedeploy.script("CreateDeployment", [answer]);
            }
            "RegisterApplicationRevision" => {
                codedeploy.script("CreateDeployment", [refusal(self.call, 400, "RevisionDoesNotExistException")]);
            }
            "StopDeployment" => {
                world.script_for(&self.name, Scenario { lingers: true, ..Scenario::default() });
                return;
            }
            "ContinueDeployment" => {
                world.script_for(&self.name, Scenario { waits_for_traffic: true, ..Scenario::default() });
                return;
            }
            _ => {}
        }
        self.break_call();
    }

    fn proxy(&self) -> &Proxy {
        if is_s3(self.call) { &self.s3 } else { &self.codedeploy }
    }

    /// Whether the door stays shut until the bot has stumbled over it.
    fn opens_when_noticed(&self) -> bool {
        self.fault == "refused" && matches!(self.call, "PutObject" | "CreateDeployment")
    }

    fn break_call(&self) {
        let before = CALLS.iter().find(|(call, _)| *call == self.call).and_then(|(_, before)| *before);
        match (self.fault, before) {
            ("refused", None) if self.opens_when_noticed() => self.proxy().refuse_for(Duration::from_secs(600)),
            ("refused", None) => self.proxy().refuse_for(Duration::from_millis(1500)),
            ("refused", Some(before)) => {
                let times = if before == "BatchGetDeployments" { 6 } else { 1 };
                let shut = Break::RefusedAfterwards(Duration::from_millis(if times > 1 { 60 } else { 1500 }));
                self.proxy().script(before, vec![shut; times]);
            }
            (name, _) => self.proxy().script(self.call, fault(self.call, name)),
        }
    }
}

type Deployments = BTreeMap<String, Vec<Deployment>>;

/// The whole outside, and a bot with a target for each cell.
struct Matrix {
    bot: Bot,
    cells: Vec<Cell>,
    github: GitHubWorld,
    codedeploy: World,
    repositories: Vec<Repository>,
    _proxies: Runtime,
    _s3: Buckets,
    _dir: tempfile::TempDir,
}

impl Matrix {
    fn new(clock: &Clock) -> Self {
        let proxies = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (github, s3, codedeploy) = (GitHubWorld::start(), Buckets::start(), World::start(clock.clone()));
        let repositories = ["acme/site", "acme/large"].map(|name| github.repository(name)).into();
        let dir = tempfile::tempdir().unwrap();
        let mut cells = Vec::new();
        for (call, _) in CALLS {
            for fault in FAULTS {
                let name = format!("{}-{}", call.to_lowercase(), fault.replace(' ', "-"));
                codedeploy.add_group(&name);
                let s3 = Proxy::start(&proxies, s3.url(), named);
                let codedeploy = Proxy::start(&proxies, &codedeploy.url(), named);
                cells.push(Cell { name, call, fault, s3, codedeploy });
            }
        }
        fs::write(dir.path().join("secret"), SECRET).unwrap();
        let text = configuration(dir.path(), &github, &cells);
        let mut bot = Bot::configured(dir.path(), Repository::lasting(dir.path()), text);
        bot.clock = clock.clone();
        bot.aws = Aws::with_keys("A", "S").within(LIMITS);
        bot.parts = |parts| {
            let pace = Pace { create_within: LIMITS.answered, ..parts.pace };
            Parts { pace, ..parts }
        };
        Self { bot, cells, github, codedeploy, repositories, _proxies: proxies, _s3: s3, _dir: dir }
    }

    /// Pushes to both repositories and delivers it.
    fn push(&self) {
        let large = self.repositories[1].work().join("large");
        fs::write(large, super::noise(9 << 20)).unwrap();
        for ((repository, name), id) in self.repositories.iter().zip(["acme/site", "acme/large"]).zip(1000..) {
            let sha = repository.commit_and_push("one", &[("appspec.yml", APPSPEC), ("index.html", "one")]).to_string();
            let mut payload = push::payload(name, &sha);
            payload["repository"]["id"] = json!(id);
            let (status, answer) =
                self.bot.runtime.block_on(deliver(&self.bot.url(), &name.replace('/', "-"), &payload));
            assert_eq!(status, 202, "{answer}");
        }
    }

    /// The deployments of the targets, oldest first.
    fn deployments(&self) -> Deployments {
        let mut of = Deployments::new();
        for deployment in self.bot.deployments().into_iter().rev() {
            of.entry(deployment.order().target.name.to_string()).or_default().push(deployment);
        }
        of
    }

    /// Waits until the first deployment of each of these is so.
    fn wait_for(&self, cells: &[&Cell], is_so: impl Fn(&Deployment) -> bool) {
        patiently(&cells[0].name, || {
            let all = self.deployments();
            cells.iter().all(|cell| all.get(&cell.name).is_some_and(|mine| is_so(&mine[0])))
        });
    }

    /// What a person does, where a call needs one, with the fault in its way.
    fn ask(&self, call: &str, what: impl Fn(&Deployment) -> Ask, when: impl Fn(&Deployment) -> bool) {
        let cells: Vec<&Cell> = self.cells.iter().filter(|it| it.call == call).collect();
        self.wait_for(&cells, when);
        let all = self.deployments();
        for cell in cells {
            cell.break_call();
            let key = format!("{call} {}", cell.name);
            let what = what(&all[&cell.name][0]);
            let request = Request { actor: "ada".into(), key, what };
            self.bot.runtime.block_on(self.bot.app().asks.ask(request)).unwrap();
        }
    }

    /// How a cell ended, in a word; `found` where a lost call was adopted. How often it took goes by chance.
    fn outcome(&self, cell: &Cell, deployments: &[Deployment], records: &[Record], made: &[Seen]) -> String {
        let last = deployments.last().expect("each target takes the push");
        // Where nobody listened, nobody heard of it.
        let heard = cell.proxy().seen().iter().any(|it| it == cell.call);
        assert!(heard || cell.fault == "refused", "{}: nobody called it", cell.name);
        let is_found = |it: &&Record| {
            let released = matches!(it.event, Event::Deployment(DeploymentEvent::Released { adopted: true, .. }));
            released && it.stream == Stream::Deployment(last.id())
        };
        let found = records.iter().any(|it| is_found(&it));
        let word = match last.state() {
            State::Succeeded { .. } => "live".to_owned(),
            State::Stopped { .. } => "stopped".to_owned(),
            State::Failed { failure } | State::Refused { failure } => failure.code.clone(),
            State::Planned | State::Weighing | State::Held { .. } | State::Preparing { .. } | State::Ready { .. } => {
                panic!("{}: not over", cell.name)
            }
            State::ReadyHeld { .. } | State::Releasing { .. } | State::Running { .. } | State::Verifying { .. } => {
                panic!("{}: not over", cell.name)
            }
            State::Superseded { .. } | State::Skipped { .. } => last.state().name().to_owned(),
        };
        // One deployment at CodeDeploy for each of ours that was released, and never two.
        let made = made.iter().filter(|it| {
            it.input["deploymentGroupName"] == cell.name.as_str() && it.input["description"] != "made by hand"
        });
        let runs = deployments.iter().filter(|it| it.run().is_some()).count();
        assert_eq!(made.count(), runs, "{}: {word}", cell.name);
        let last_word = self.github.statuses().into_iter().rfind(|it| it.context == format!("landfall/{}", cell.name));
        let last_word = last_word.unwrap_or_else(|| panic!("{}: GitHub was told nothing", cell.name));
        assert_ne!(last_word.state, "pending", "{}: {last_word:?}", cell.name);
        assert_eq!(last_word.state == "success", word == "live", "{}: {last_word:?}", cell.name);
        if found { format!("{word}, found") } else { word }
    }
}

fn configuration(dir: &std::path::Path, github: &GitHubWorld, cells: &[Cell]) -> String {
    let (api, token, dir) = (github.config().api_url, github.token_file(), dir.display());
    let mut text = format!(
        "data_dir = \"{dir}/data\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         [github]\napi_url = \"{api}\"\nwebhook_secrets = [{{ file = \"{dir}/secret\" }}]\ntoken = {{ file = \"{}\" }}\n",
        token.display()
    );
    for Cell { name, call, s3, codedeploy, .. } in cells {
        let repository = if is_large(call) { "acme/large" } else { "acme/site" };
        text += &format!(
            "[[target]]\nname = \"{name}\"\nrepository = \"{repository}\"\nbranches = [\"main\"]\n\
             [target.revisions]\ns3 = {{ bucket = \"revisions\", prefix = \"{name}\", region = \"eu-west-1\", \
             endpoint_url = \"{}\", force_path_style = true }}\n\
             [target.engine]\nkind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"{name}\"\n\
             region = \"eu-west-1\"\nendpoint_url = \"{}\"\n",
            s3.url(),
            codedeploy.url()
        );
    }
    text
}

/// Waits until it is so. A machine that builds something else meanwhile is slow.
fn patiently(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(240), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Section 3 of the service's behaviour, call by call: never two deployments, never silence.
#[test]
fn every_call_may_break_in_every_way() {
    let (clock, began) = (Clock::manual(Clock::system().now()), Instant::now());
    let mut matrix = Matrix::new(&clock);
    matrix.bot.start();
    matrix.cells.iter().for_each(|cell| cell.arm(&matrix.codedeploy));
    let _fast = super::Fast::run(&clock, 20);
    matrix.push();
    let shut: Vec<&Cell> = matrix.cells.iter().filter(|it| it.opens_when_noticed()).collect();
    matrix.wait_for(&shut, |it| it.stumble().is_some());
    shut.iter().for_each(|cell| cell.proxy().open());
    let is_running = |it: &Deployment| matches!(it.state(), State::Running { .. });
    let stop = |it: &Deployment| Ask::Stop { deployment: it.id(), rollback: false };
    matrix.ask("StopDeployment", stop, is_running);
    let is_ready = |it: &Deployment| {
        let State::Running { running } = it.state() else { return false };
        running.progress.sub_state == Some(SubState::ReadyForTraffic)
    };
    matrix.ask(
        "ContinueDeployment",
        |it| Ask::Approve { deployment: it.id(), of: Some(Approval::Traffic), reason: None },
        is_ready,
    );
    let is_live = |it: &Deployment| matches!(it.state(), State::Succeeded { .. });
    matrix.ask("HeadObject", |it| Ask::Redeploy { deployment: it.id(), options: Default::default() }, is_live);
    patiently("every deployment to be over", || matrix.bot.app().ledger.unfinished().unwrap().is_empty());
    patiently("GitHub's last words", || {
        let told = matrix.github.statuses();
        let last = |cell: &Cell| told.iter().rfind(|it| it.context == format!("landfall/{}", cell.name));
        matrix.cells.iter().all(|cell| last(cell).is_some_and(|it| it.state != "pending"))
    });

    let mut table: BTreeMap<(usize, usize), String> = BTreeMap::new();
    let (all, records, made) = (matrix.deployments(), matrix.bot.records(), matrix.codedeploy.deployments());
    for (at, cell) in matrix.cells.iter().enumerate() {
        let outcome = matrix.outcome(cell, &all[&cell.name], &records, &made);
        table.insert((at / FAULTS.len(), at % FAULTS.len()), outcome);
    }
    let mut text = String::new();
    for (row, (call, _)) in CALLS.iter().enumerate() {
        text += &format!("{call}\n");
        for (column, fault) in FAULTS.iter().enumerate() {
            text += &format!("    {fault:<11} {}\n", table[&(row, column)]);
        }
    }
    eprintln!("{text}\n{} pairs in {:.1} s", table.len(), began.elapsed().as_secs_f64());
    expect_test::expect_file!["matrix.txt"].assert_eq(&text);
}
