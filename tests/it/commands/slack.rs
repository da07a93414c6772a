//! Slack's slash command and buttons.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use landfall::domain::State;
use serde_json::{Value, json};

use super::trail;
use crate::bot::{Bot, Extra};
use crate::worlds::chat::{Chats, Told, slack as world};
use crate::worlds::slack_sender::{self as sender, SECRET};

const ADA: &str = "U012AB3CD";
const BEN: &str = "U0STRANGER";

/// What people read of an answer.
fn read(answer: &Value) -> String {
    let sections = answer["blocks"][0]["elements"].as_array().unwrap();
    let spans = sections.iter().flat_map(|it| it["elements"].as_array().unwrap());
    spans.filter_map(|it| it["text"].as_str()).collect()
}

/// A bot, and the Slack whose app it is.
struct Workspace {
    bot: Bot,
    chats: Chats,
}

impl Workspace {
    /// Ada is known there, and may; `commands` says more.
    fn new(commands: &str) -> Self {
        let chats = Chats::start();
        let keys = tempfile::tempdir().unwrap().keep();
        for (name, text) in [("signing", SECRET), ("token", "xoxb-1")] {
            fs::write(keys.join(name), text).unwrap();
        }
        let keys = keys.display();
        let github = format!(
            "[commands]\nslack_signing_secret = {{ file = \"{keys}/signing\" }}\n{commands}\n\
             [[chat]]\nname = \"ops\"\nkind = \"slack\"\ntoken = {{ file = \"{keys}/token\" }}\nchannel = \"C1\"\n\
             api_url = \"{}/slack/api\"\npeople = {{ ada = \"{ADA}\" }}",
            chats.url()
        );
        let bot = Bot::with(&Extra { github, target: "notify = [\"ops\"]".into(), ..Extra::default() });
        Self { bot, chats }
    }

    fn answers(&self) -> String {
        format!("{}/slack/answers/1", self.chats.url())
    }

    /// Posts a body that Slack signed now. Gives the status and the answer.
    fn post(&self, body: String) -> (u16, Value) {
        let now = self.bot.clock.now().as_second();
        self.bot.runtime.block_on(async {
            let request = sender::request(&reqwest::Client::new(), &self.bot.url(), SECRET, now, body);
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.bytes().await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }

    /// Somebody types a command; what they read, and whether all in the channel do.
    fn types(&self, member: &str, text: &str, trigger: &str) -> String {
        let (status, answer) = self.post(sender::command(member, text, trigger, &self.answers()));
        assert_eq!(status, 200, "{answer}");
        world::check_answer(&answer).unwrap();
        let all = if answer["response_type"] == "in_channel" { "to all: " } else { "" };
        format!("{all}{}", read(&answer))
    }

    fn live(&self, page: &str) -> String {
        let sha = self.bot.commit(page);
        assert_eq!(self.bot.deliver(&format!("delivery-{page}"), &sha).0, 202);
        self.bot.settle();
        sha
    }
}

#[test]
fn a_person_deploys_locks_and_rolls_back_by_commands_and_each_is_in_the_audit_trail() {
    let it = Workspace::new("people = [\"ada\"]");
    let first = it.live("one");
    let second = it.bot.commit("two");
    let told = it.types(ADA, "deploy site", "1.1");
    assert!(told.starts_with("to all: ✓ ada on Slack asked to deploy main to site"), "{told}");
    let id = it.bot.deployments()[0].id();
    assert!(told.contains(&id.to_string()), "{told}");
    it.bot.settle();
    assert_eq!((it.bot.page().as_str(), it.bot.runs()), ("two", 2));
    // The same request again, as a network may bring it.
    let again = it.types(ADA, "deploy site", "1.1");
    assert!(again.contains("nothing is done twice"), "{again}");
    assert_eq!(it.bot.deployments().len(), 2);

    let told = it.types(ADA, "lock site for 2h a migration", "1.2");
    assert!(told.starts_with("to all: ✓ ada on Slack asked to lock site"), "{told}");
    let told = it.types(ADA, "status", "1.3");
    assert!(told.contains(&format!("site: {} is live", &second[..7])), "{told}");
    assert!(told.contains("a migration"), "{told}");
    it.types(ADA, "unlock site", "1.4");
    let told = it.types(ADA, "rollback site", "1.5");
    assert!(told.contains("roll site back"), "{told}");
    it.bot.settle();
    assert_eq!(it.bot.page(), "one");
    let told = it.types(ADA, &format!("why {}", &first[..7]), "1.6");
    assert!(told.contains("site: succeeded"), "{told}");
    let told = it.types(ADA, "stop site", "1.7");
    assert_eq!(told, "✗ nothing runs at site\nWhat to do: name what waits by its id, as status has it");
    assert_eq!(
        trail(&it.bot),
        [
            "ada on Slack: deploy, 1 born",
            "ada on Slack: lock, 0 born",
            "ada on Slack: `status`",
            "ada on Slack: unlock, 0 born",
            "ada on Slack: rollback, 1 born",
            &format!("ada on Slack: `why {}`", &first[..7]),
            "ada on Slack: `stop site` was refused",
        ]
    );
}

#[test]
fn who_is_not_known_or_not_meant_is_told_so_and_nothing_happens() {
    let it = Workspace::new("people = [\"carol\"]");
    it.live("one");
    let stranger = it.types(BEN, "rollback site", "1.1");
    let told = "✗ nobody knows who U0STRANGER of Slack is at GitHub\nWhat to do: add them to people of a [[chat]] of Slack's: \
                people = { LOGIN-AT-GITHUB = \"U0STRANGER\" }";
    assert_eq!(stranger, told);
    assert!(it.types(BEN, "status", "1.2").starts_with("✗ nobody knows"), "nor does a stranger look");
    let ada = it.types(ADA, "deploy site", "1.3");
    assert!(ada.starts_with("✗ ada may not ask for anything of site: that is for carol"), "{ada}");
    assert!(it.types(ADA, "status site", "1.4").starts_with("site: "), "whoever is known may look");
    let wrong = it.types(ADA, "deploy <!channel>", "1.5");
    assert!(wrong.starts_with("✗ <!channel> is not a target name"), "{wrong}");
    assert!(it.types(ADA, "help", "1.6").contains("rollback TARGET [ID]"));
    assert_eq!(it.bot.deployments().len(), 1);
    let refused = ["ada on Slack: `deploy site` was refused", "ada on Slack: `deploy <!channel>` was refused"];
    let trail = trail(&it.bot);
    assert!(refused.iter().all(|it| trail.iter().any(|line| line == it)), "{trail:?}");
    assert!(!trail.iter().any(|line| line.contains(BEN)), "strangers are in the log alone: {trail:?}");
}

#[test]
fn a_button_is_answered_where_slack_says_and_a_link_is_nothing() {
    let it = Workspace::new("people = [\"ada\"]");
    it.live("one");
    it.chats.take();
    let press = |action: Value, trigger| it.post(sender::pressed(ADA, &action, trigger, &it.answers()));
    let button = json!({ "action_id": "lock", "type": "button", "value": "lock site" });
    assert_eq!(press(button, "2.1"), (200, Value::Null));
    let answer =
        |told: &Told| told.path.starts_with("/slack/answers/") && read(&told.body).contains("asked to lock site");
    it.bot.wait_for("the answer", |_| it.chats.take().iter().any(answer));
    assert!(it.types(ADA, "status", "2.2").contains("locked by ada on Slack"));
    let link = json!({ "action_id": "open-deployment", "type": "button", "url": "https://deploy.example.com/" });
    assert_eq!(press(link, "2.3").0, 200);
}

#[test]
fn what_takes_longer_than_slack_waits_is_answered_where_slack_says() {
    let mut it = Workspace::new("people = [\"ada\"]");
    let slow = Arc::new(AtomicBool::new(false));
    it.bot.stop();
    let is_slow = slow.clone();
    it.bot.start_with(Arc::new(move |seam| {
        if seam == "before-write" && is_slow.swap(false, Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(3));
        }
    }));
    slow.store(true, Ordering::SeqCst);
    assert_eq!(it.types(ADA, "lock site", "6.1"), "⏳ It takes a moment: the answer follows.");
    let answer =
        |told: &Told| told.path.starts_with("/slack/answers/") && read(&told.body).contains("asked to lock site");
    it.bot.wait_for("the answer", |_| it.chats.take().iter().any(answer));
    // Asked to end meanwhile, the bot carries out what it has begun.
    slow.store(true, Ordering::SeqCst);
    assert_eq!(it.types(ADA, "unlock site", "6.2"), "⏳ It takes a moment: the answer follows.");
    it.bot.stop();
    let told: Vec<String> = it.chats.take().iter().map(|told| format!("{}: {}", told.path, told.text)).collect();
    assert!(told.iter().any(|it| it.contains("asked to unlock site")), "{told:?}");
}

/// The buttons that are commands of all messages that stand or stood.
fn buttons(told: &[Told]) -> Vec<Value> {
    let attachments = told.iter().flat_map(|it| it.body["attachments"].as_array().into_iter().flatten());
    let blocks = attachments.flat_map(|it| it["blocks"].as_array().into_iter().flatten());
    let buttons = blocks.filter(|it| it["type"] == "actions").flat_map(|it| it["elements"].as_array().unwrap());
    buttons.filter(|it| it["value"].is_string()).cloned().collect()
}

#[test]
fn the_buttons_of_a_failure_do_what_they_say() {
    let it = Workspace::new("people = [\"ada\"]");
    it.live("one");
    it.bot.write_site("exit 1");
    let sha = it.bot.commit("two");
    it.bot.deliver("broken", &sha);
    it.bot.settle();
    let told = std::cell::RefCell::new(vec![]);
    let of = |told: &[Told], verb: &str| buttons(told).into_iter().rev().find(|it| it["action_id"] == verb);
    it.bot.wait_for("the buttons of the failure", |_| {
        told.borrow_mut().extend(it.chats.take());
        ["redeploy", "rollback", "lock"].iter().all(|verb| of(&told.borrow(), verb).is_some())
    });
    let rollback = of(&told.borrow(), "rollback").unwrap();
    let failed = it.bot.deployments()[0].id();
    assert_eq!(rollback["value"], format!("rollback site of {failed}"));
    let press = |button: &Value, trigger| it.post(sender::pressed(ADA, button, trigger, &it.answers())).0;
    assert_eq!(press(&rollback, "5.1"), 200);
    assert_eq!(press(&rollback, "5.2"), 200, "a double click");
    it.bot.settle();
    assert_eq!(it.bot.page(), "one");
    assert_eq!(trail(&it.bot), ["ada on Slack: rollback, 1 born"]);
    // What the button would undo is not there any more: somebody else finds it in the channel.
    let undo = format!("rollback site of {failed}");
    assert!(it.types(ADA, &undo, "5.3").starts_with(&format!("✗ {failed} is not what is at site now")));
}

#[test]
fn only_what_slack_signed_just_now_is_heard() {
    let it = Workspace::new("people = [\"ada\"]");
    let now = it.bot.clock.now().as_second();
    let body = || sender::command(ADA, "lock site", "3.1", &it.answers());
    let client = reqwest::Client::new();
    let sent = |request: reqwest::RequestBuilder| {
        it.bot.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, body): (_, Value) = (answer.status().as_u16(), answer.json().await.unwrap());
            (status, body["code"].as_str().unwrap_or_default().to_owned())
        })
    };
    let of = |secret, at, body| sender::request(&client, &it.bot.url(), secret, at, body);
    let told = |status, code: &str| (status, code.to_owned());
    assert_eq!(sent(of("another secret", now, body())), told(401, "intake/slack-signature"));
    assert_eq!(sent(of(SECRET, now - 301, body())), told(401, "intake/slack-stale"));
    assert_eq!(sent(of(SECRET, now + 360, body())), told(401, "intake/slack-stale"));
    let plain = client.post(format!("{}/webhooks/slack", it.bot.url())).body(body());
    assert_eq!(sent(plain), told(401, "intake/slack-unsigned"));
    let altered = of(SECRET, now, body()).body(body().replace("lock", "stop"));
    assert_eq!(sent(altered), told(401, "intake/slack-signature"));
    assert_eq!(sent(of(SECRET, now, "text=status".into())), told(400, "intake/slack-malformed"));
    assert_eq!(sent(of(SECRET, now, "x".repeat(300 << 10))), told(413, "intake/too-large"));
    assert_eq!(trail(&it.bot), [""; 0]);
    assert_eq!(it.post("ssl_check=1&token=x".into()).0, 200, "Slack looks whether the address works");
}

#[test]
fn without_a_signing_secret_nothing_of_slacks_is_heard() {
    let bot = Bot::new();
    let now = bot.clock.now().as_second();
    let body = sender::command(ADA, "status", "1.1", "https://hooks.slack.com/x");
    let request = sender::request(&reqwest::Client::new(), &bot.url(), SECRET, now, body);
    let answer = bot.runtime.block_on(request.send()).unwrap();
    assert_eq!(answer.status().as_u16(), 404);
}

#[test]
fn what_a_command_began_is_told_in_the_channel_as_of_its_person() {
    let it = Workspace::new("people = [\"ada\"]");
    it.bot.commit("one");
    it.types(ADA, "deploy site", "4.1");
    it.bot.settle_and_tell();
    assert!(matches!(it.bot.deployments()[0].state(), State::Succeeded { .. }));
    let is_told = |it: &Workspace| {
        let told = it.chats.take();
        told.iter().any(|told| told.text.contains("Asked by") && told.text.contains(ADA))
    };
    it.bot.wait_for("the message", |_| is_told(&it));
}
