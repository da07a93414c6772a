//! Slack's own libraries beside what is made for Slack and heard of it: an app by Bolt takes the same requests as the
//! door, `slack_sdk` verifies and signs them, and reads messages, digests and answers by its models of blocks. Bolt signs
//! nothing; `slack_sdk` does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use landfall::chat::{Bulletin, Card, digest, open};
use landfall::clients::{Clock, process};
use landfall::config::{Config, Environment};
use landfall::domain::{Approval, News};
use serde_json::{Value, json};

use crate::chat::bulletin;
use crate::mail::{secret, with};
use crate::shipped::Shipped;
use crate::worlds::chat::{Chats, slack as world};
use crate::worlds::hostile;
use crate::worlds::slack_sender::{self as sender, SECRET};

const BOLT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/slack.js");
const SLACK_SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counterparts/slack.py");
const ADA: &str = "U012AB3CD";

/// An app by Bolt that is running.
struct Bolt {
    running: Child,
    says: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Bolt {
    fn start() -> Self {
        let mut running = process::blocking_program(crate::counterpart("LANDFALL_TEST_NEW_NODE"))
            .args([BOLT, &crate::counterpart("LANDFALL_TEST_NODE_DIR"), SECRET, "/webhooks/slack"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(running.stdout.take().unwrap()).lines();
        let url = format!("http://127.0.0.1:{}", says.next().unwrap().unwrap());
        Self { running, says, url }
    }

    /// What it understood of the next request that it took.
    fn heard(&mut self) -> Value {
        serde_json::from_str(&self.says.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Bolt {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

/// What `slack_sdk` answers when this is asked of each.
fn slack_sdk(word: &str, asked: &[Value]) -> Vec<Value> {
    let mut python = process::blocking_program(crate::counterpart("LANDFALL_TEST_PYTHON"))
        .args([SLACK_SDK, word])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = asked.iter().map(|it| format!("{it}\n")).collect();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// What `slack_sdk` finds wrong with each message.
fn complaints(messages: &[Value]) -> Vec<Option<String>> {
    let asked: Vec<Value> = messages.iter().map(|it| json!({ "message": it })).collect();
    slack_sdk("read", &asked).into_iter().map(|it| serde_json::from_value(it).unwrap()).collect()
}

/// A configuration by which Slack is heard and told. Its files are `signing` and `token`.
fn configuration(chats: &Chats) -> String {
    format!(
        "[commands]\nslack_signing_secret = {{ file = \"signing\" }}\npeople = [\"ada\"]\n[[chat]]\nname = \"ops\"\n\
         kind = \"slack\"\ntoken = {{ file = \"token\" }}\nchannel = \"C1\"\napi_url = \"{}/slack/api\"\n\
         people = {{ ada = \"{ADA}\" }}\n",
        chats.url()
    )
}

fn keep_secrets(dir: &Path) {
    secret(&dir.join("signing"), SECRET);
    secret(&dir.join("token"), "xoxb-1");
}

/// Where commands are answered that take their time, and buttons.
fn answers(chats: &Chats) -> String {
    format!("{}/slack/answers/1", chats.url())
}

/// The shipped bot, whose door hears Slack.
fn bot(chats: &Chats) -> Shipped {
    let mut bot = Shipped::configured(&configuration(chats), "notify = [\"ops\"]");
    keep_secrets(&bot.path(""));
    bot.serve();
    bot
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A request as it is made, and who takes it for Slack's: the door, Bolt, `slack_sdk`.
struct Case<'a> {
    what: &'static str,
    secret: &'static str,
    at: i64,
    signed: &'a str,
    sent: String,
    taken: [bool; 3],
}

impl Case<'_> {
    fn to(&self, url: &str) -> reqwest::Request {
        let request = sender::request(&client(), url, self.secret, self.at, self.signed.to_owned());
        request.body(self.sent.clone()).build().unwrap()
    }
}

fn cases(signed: &str) -> [Case<'_>; 5] {
    let now = Clock::system().now().as_second();
    let made = |what, taken| Case { what, secret: SECRET, at: now, signed, sent: signed.to_owned(), taken };
    [
        made("as made", [true; 3]),
        Case { secret: "8f742231b10e8888abcd99yyyzzz85a6", ..made("another secret", [false; 3]) },
        Case { sent: signed.replace("status", "deploy"), ..made("an altered body", [false; 3]) },
        Case { at: now - 360, ..made("six minutes ago", [false; 3]) },
        // Bolt looks only into the past.
        Case { at: now + 360, ..made("six minutes from now", [false, true, false]) },
    ]
}

/// Whether who is asked takes it for Slack's.
async fn takes(request: reqwest::Request) -> bool {
    match client().execute(request).await.unwrap().status().as_u16() {
        200 => true,
        401 => false,
        other => panic!("neither taken nor turned away: {other}"),
    }
}

/// Whether `slack_sdk` does, of each.
fn verified(requests: impl Iterator<Item = reqwest::Request>) -> Vec<Value> {
    let told = requests.map(|it| {
        let headers = it.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let body = str::from_utf8(it.body().unwrap().as_bytes().unwrap()).unwrap();
        json!({ "secret": SECRET, "headers": headers.collect::<BTreeMap<_, _>>(), "body": body })
    });
    slack_sdk("verify", &told.collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_door_bolt_and_slack_sdk_take_the_same_requests_for_slacks() {
    let (chats, mut bolt) = (Chats::start(), Bolt::start());
    let bot = bot(&chats);
    let button = json!({ "type": "button", "action_id": "status", "value": "status site" });
    let answers = answers(&chats);
    let asked = [sender::command(ADA, "status", "1.1", &answers), sender::pressed(ADA, &button, "1.2", &answers)];
    let cases: Vec<Case> = asked.iter().flat_map(|it| cases(it)).collect();
    for (case, verified) in cases.iter().zip(verified(cases.iter().map(|it| it.to(&bolt.url)))) {
        let taken = [takes(case.to(&bot.url())).await, takes(case.to(&bolt.url)).await, verified == true];
        assert_eq!(taken, case.taken, "{}: {}", case.what, case.sent);
    }
    // What Bolt took is what was meant.
    let understood = |words, once| json!({ "member": ADA, "words": words, "once": once, "answer_to": answers });
    let (command, button) = (understood("status", "1.1"), understood("status site", "1.2"));
    assert_eq!([(); 4].map(|()| bolt.heard()), [command.clone(), command, button.clone(), button]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_sdk_signs_is_carried_out_and_it_reads_the_answers() {
    let chats = Chats::start();
    let bot = bot(&chats);
    let at = Clock::system().now().as_second();
    let answers = answers(&chats);
    let unlock = json!({ "type": "button", "action_id": "unlock", "value": "unlock site" });
    let asked = [
        sender::command(ADA, "lock site for 2h Zürich – «a migration» & more", "1.1", &answers),
        sender::command(ADA, "status", "1.2", &answers),
        sender::command(ADA, "deploy <!channel>", "1.3", &answers),
        sender::command(ADA, "help", "1.4", &answers),
        sender::pressed(ADA, &unlock, "1.5", &answers),
    ];
    let to_sign: Vec<Value> = asked.iter().map(|it| json!({ "secret": SECRET, "at": at, "body": it })).collect();
    let mut told = vec![];
    for (body, signature) in asked.into_iter().zip(slack_sdk("sign", &to_sign)) {
        let request = client()
            .post(format!("{}/webhooks/slack", bot.url()))
            .header("X-Slack-Request-Timestamp", at)
            .header("X-Slack-Signature", signature.as_str().unwrap())
            .header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        told.extend(answer.json::<Value>().await.ok());
    }
    bot.waits("the answer to the button", |_| {
        told.extend(chats.take().into_iter().filter(|it| it.path == "/slack/answers/1").map(|it| it.body));
        told.len() >= 5
    });
    let read: Vec<String> = told.iter().map(|it| world::read(it).text).collect();
    let expected = ["asked to lock site", "locked by ada on Slack", "is not a target name", "rollback", "unlock site"];
    assert!(read.iter().zip(expected).all(|(text, words)| text.contains(words)), "{read:#?}");
    assert_eq!(complaints(&told), vec![None; 5]);
}

/// One of this news, with all that may stand in it.
fn of(news: News, mut bulletin: Bulletin) -> Bulletin {
    (bulletin.news, bulletin.approval) = (news, Some(Approval::Release));
    // No stranger writes a target's name, and none is longer.
    bulletin.place.target = "t".repeat(64);
    bulletin
}

/// The messages that are posted for these, and at last their digest.
async fn posted(bulletins: &[Bulletin]) -> Vec<Value> {
    let (chats, dir) = (Chats::start(), tempfile::tempdir().unwrap());
    keep_secrets(dir.path());
    let github = "data_dir = \"data\"\n[github]\nwebhook_secrets = [{ file = \"signing\" }]\n";
    let text = github.to_owned() + &configuration(&chats);
    let config = Config::parse(&text, dir.path().join("landfall.toml"), &Environment::default()).unwrap();
    let chat = &config.chat[0];
    let service = open(chat, &Clock::system());
    let all: Vec<&Bulletin> = bulletins.iter().collect();
    for card in bulletins.iter().map(|it| Card::of(it, &chat.people)).chain(digest(&all)) {
        service.post(&bulletins[0], &card).await.unwrap();
    }
    chats.take().into_iter().map(|it| it.body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_sdk_reads_every_message_as_it_was_written() {
    let plain = News::ALL.iter().map(|news| of(*news, bulletin()));
    let texts = hostile::texts();
    let bulletins: Vec<_> = plain.chain(texts.iter().map(|(_, text)| of(News::Failed, with(text)))).collect();
    let messages = posted(&bulletins).await;
    let confirmed = messages.iter().filter(|it| it.pointer("/attachments/0/blocks/1/elements/0/confirm").is_some());
    assert!(confirmed.count() > News::ALL.len());
    assert!(world::read(messages.last().unwrap()).text.contains("deployments"), "a digest");
    assert_eq!(complaints(&messages), vec![None; messages.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_sdk_and_the_world_refuse_the_same_messages() {
    const LIMITS: [(&str, usize); 8] = [
        ("0/text/text", 75),
        ("0/value", 2000),
        ("0/action_id", 255),
        ("0/confirm/title/text", 100),
        ("0/confirm/text/text", 300),
        ("0/confirm/confirm/text", 30),
        ("0/confirm/deny/text", 30),
        ("3/url", 3000),
    ];
    let failed = &posted(&[of(News::Failed, with("exit 7"))]).await[0];
    let spoilt = |field: &str, value: String| {
        let mut message = failed.clone();
        *message.pointer_mut(&format!("/attachments/0/blocks/1/elements/{field}")).unwrap() = value.into();
        message
    };
    let long = |field, length: usize| spoilt(field, format!("https://{}", "x".repeat(length - 8)));
    let taken = LIMITS.map(|(field, longest)| long(field, longest));
    assert_eq!(complaints(&taken), vec![None; LIMITS.len()]);
    taken.iter().for_each(|it| world::check(it).unwrap());
    let mut refused = LIMITS.map(|(field, longest)| long(field, longest + 1)).to_vec();
    refused.push(spoilt("0/type", "knob".into()));
    for (message, complaint) in refused.iter().zip(complaints(&refused)) {
        assert!(complaint.is_some() && world::check(message).is_err(), "{complaint:?} {message}");
    }
    assert_eq!(complaints(&refused)[0].as_deref(), Some("text attribute cannot exceed 75 characters"));
}
