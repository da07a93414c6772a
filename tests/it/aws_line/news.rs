//! What SNS says of a deployment under way: it brings the next look, and changes nothing else. Rows 67 and 69.

use std::fs;
use std::time::Duration;

use landfall::domain::{Event, Record, State};
use serde_json::{Value, json};

use super::{LIVE, Line, Outside, bot_at};
use crate::bot::Bot;
use crate::worlds::codedeploy::Moves;
use crate::worlds::sns::{self, TOPIC, Web, notification, signed};

/// Longer than any of these tests takes.
const A_TICK: Duration = Duration::from_secs(3600);

/// A bot that hears the topic, and whose own looks at CodeDeploy do not come in time: a run has one, and then an hour
/// passes.
fn line() -> Line {
    let outside = Outside::new();
    let file = outside.dir.path().join("landfall.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("[github]", &format!("[sns]\ntopics = [\"{TOPIC}\"]\n[github]"), 1)).unwrap();
    outside.codedeploy.moves(Moves::WhenTold);
    let mut bot = bot_at(outside.dir.path());
    bot.parts = |mut parts| {
        parts.trust = Web::new().trust();
        (parts.pace.quick_looks, parts.pace.steady, parts.pace.slowest) = (0, A_TICK, A_TICK);
        parts
    };
    bot.start();
    bot.wait_for("the first look", |_| outside.github.requests().iter().any(|it| it.contains("/git/ref/")));
    Line { bot, outside }
}

impl Line {
    /// A push whose deployment is under way, looked at once.
    fn under_way(&self) -> String {
        let sha = self.outside.push("hello");
        assert_eq!(self.bot.deliver("delivery-1", &sha).0, 202);
        let is_seen = |bot: &Bot| matches!(bot.deployments()[0].state(), State::Running { running } if running.progress.status == "Created");
        self.bot.wait_for("the first look at the run", is_seen);
        self.outside.codedeploy.deployments()[0].id.clone()
    }

    fn looks(&self) -> usize {
        self.outside.codedeploy.count("BatchGetDeployments")
    }

    /// Sends a body as SNS would; the status, and the answer's code or reason.
    fn hears(&self, body: &Value) -> String {
        let (url, client) = (format!("{}/webhooks/sns", self.bot.url()), reqwest::Client::new());
        let (status, body) = self.bot.runtime.block_on(async {
            let answer = sns::request(&client, &url, body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        });
        format!("{status} {}", body["code"].as_str().or(body["reason"].as_str()).unwrap())
    }

    fn status(&self) -> String {
        let deployments = self.bot.deployments();
        let State::Running { running } = deployments[0].state() else { panic!("{}", self.bot.story()) };
        running.progress.status.clone()
    }
}

fn now(mut body: Value) -> Value {
    body["Timestamp"] = landfall::clients::Clock::system().now().to_string().into();
    signed(body)
}

/// A trigger's message about a run.
fn says(id: &str, run: &str, status: &str) -> Value {
    let message = json!({
        "region": "eu-west-1", "accountId": "123456789012", "applicationName": "shop", "deploymentId": run,
        "deploymentGroupName": "production", "status": status,
    });
    now(notification(id, &message.to_string()))
}

/// EventBridge's, by way of a rule and the topic.
fn event(id: &str, run: &str, state: &str) -> Value {
    let message = json!({
        "version": "0", "detail-type": "CodeDeploy Deployment State-change Notification", "source": "aws.codedeploy",
        "account": "123456789012", "region": "eu-west-1", "resources": [],
        "detail": {"application": "shop", "deploymentGroup": "production", "deploymentId": run, "state": state},
    });
    now(notification(id, &message.to_string()))
}

#[test]
fn a_message_brings_the_end_at_once_that_would_have_come_with_the_tick() {
    let line = line();
    let run = line.under_way();
    // CodeDeploy is done, and nobody here knows.
    (0..20).for_each(|_| line.outside.codedeploy.tick());
    assert_eq!(line.outside.codedeploy.deployments()[0].status, "Succeeded");
    assert_eq!((line.looks(), line.status().as_str()), (1, "Created"));
    assert_eq!(line.hears(&event("m-1", &run, "SUCCESS")), "200 one deployment is looked at");
    line.bot.settle_and_tell();
    assert_eq!((line.bot.story().as_str(), line.looks()), (LIVE, 2));
    assert_eq!(line.hears(&event("m-2", &run, "SUCCESS")), "200 no deployment under way here is meant");
}

#[test]
fn an_outcome_in_a_message_is_not_believed_whoever_signed_it() {
    let line = line();
    let run = line.under_way();
    // What GitHub is told of the start may still be on its way.
    let of_a_report = |record: &Record| matches!(record.event, Event::Sink(_));
    let records = || line.bot.records().into_iter().filter(|it| !of_a_report(it)).count();
    let before = records();
    // Forged: nobody signed it, or the time of another was put on it.
    let mut forged = says("m-1", &run, "SUCCEEDED");
    forged["Message"] = json!(forged["Message"].as_str().unwrap().replace("shop", "shops"));
    assert_eq!(line.hears(&forged), "401 intake/sns-signature");
    let mut unsigned = notification("m-2", "{}");
    unsigned["Timestamp"] = landfall::clients::Clock::system().now().to_string().into();
    assert_eq!(line.hears(&unsigned), "401 intake/sns-signature");
    assert_eq!((line.looks(), records()), (1, before), "a refused message leaves nothing behind");
    // Signed, and a lie: whoever may publish to the topic can write it. One look finds that nothing has changed.
    for (at, (body, looks)) in
        [(says("m-3", &run, "FAILED"), 2), (event("m-4", &run, "FAILURE"), 2), (says("m-5", &run, "SUCCEEDED"), 2)]
            .into_iter()
            .enumerate()
    {
        assert_eq!(line.hears(&body), "200 one deployment is looked at", "{at}");
        line.bot.wait_for("the look", |_| line.looks() >= looks);
    }
    assert_eq!(line.hears(&says("m-3", &run, "FAILED")), "200 heard before");
    assert_eq!(line.hears(&says("m-6", "d-FOREIGN", "FAILED")), "200 one deployment is looked at", "its group is ours");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(line.looks(), 2, "one look in five seconds, whatever is published");
    assert_eq!((line.status().as_str(), records()), ("Created", before));
    assert!(!line.bot.story().contains("ended"), "{}", line.bot.story());
    // It ends as CodeDeploy says.
    (0..20).for_each(|_| line.outside.codedeploy.tick());
    line.bot.settle_and_tell();
    assert_eq!(line.bot.story(), LIVE);
    assert_eq!(line.outside.last_word().state, "success");
}
