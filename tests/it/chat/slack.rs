//! Slack: a webhook that posts, and a bot that edits its message and writes beneath it. In no text of theirs is anything read.

use expect_test::{expect, expect_file};
use landfall::chat::{Span, step_line};
use landfall::domain::{News, StepStatus};
use serde_json::{Value, json};

use super::{Place, bulletin, refusals, step};
use crate::worlds::chat::Turn;
use crate::worlds::chat::slack::{check, read};

const ADA: &str = "U012AB3CD";

fn webhook() -> Place {
    Place::of("slack", ADA)
}

pub(super) fn bot() -> Place {
    bot_with("")
}

/// A bot with more keys.
pub(super) fn bot_with(keys: &str) -> Place {
    Place::written("slack", ADA, |chats| {
        let api = format!("{}/slack/api", chats.url());
        format!("token = {{ file = \"hook\" }}\nchannel = \"C024BE91L\"\napi_url = \"{api}\"\n{keys}")
    })
}

#[tokio::test]
async fn a_webhook_of_slack_is_told_in_rich_text() {
    expect_file!["slack_webhook.txt"].assert_eq(&webhook().golden().await);
}

#[tokio::test]
async fn a_bot_of_slack_edits_its_message() {
    expect_file!["slack_bot.txt"].assert_eq(&bot().golden().await);
}

#[tokio::test]
async fn nothing_hostile_does_anything_at_slack() {
    webhook().stands_hostile_text(&[], read).await;
    bot().stands_hostile_text(&[], read).await;
}

#[tokio::test]
async fn slack_calls_whom_the_configuration_names_and_nobody_else() {
    let place = webhook();
    assert_eq!(read(&place.told(&bulletin(News::Failed)).await).calls, [ADA]);
    assert!(read(&place.told(&bulletin(News::Held)).await).calls.is_empty());
}

#[tokio::test]
async fn a_step_stands_in_the_thread_of_its_message() {
    let place = bot();
    let standing = place.post(&bulletin(News::Started)).await.unwrap().unwrap();
    place.chats.take();
    let line = step_line(&step("AfterInstall", StepStatus::Succeeded)).unwrap();
    place.service.reply(&standing, &line).await.unwrap();
    place.service.reply(&standing, &[Span::Said("<!channel> *bold*".into())]).await.unwrap();
    let told: Vec<_> = place.chats.take().iter().map(|it| (it.path.clone(), it.body["thread_ts"].clone())).collect();
    let beneath = standing.split_once(' ').unwrap().1;
    assert_eq!(told, vec![("/slack/api/chat.postMessage".to_owned(), json!(beneath)); 2]);
}

#[tokio::test]
async fn a_message_that_somebody_deleted_is_gone() {
    let place = bot();
    let bulletin = bulletin(News::Progressing);
    let error = place.service.edit("C024BE91L 1.000001", &place.card(&bulletin)).await.unwrap_err();
    assert_eq!(error.failure().code, "chat/gone");
}

#[tokio::test]
async fn what_slack_answers_is_known_for_what_it_is() {
    let webhook = webhook();
    let told = webhook.answers(&[
        Turn::Says(403, "invalid_token"),
        Turn::Says(404, "no_service"),
        Turn::Says(410, "channel_is_archived"),
        Turn::Says(400, "invalid_payload"),
        Turn::Says(500, "rollup_error"),
        Turn::Busy(30),
    ]);
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: invalid_token
        chat/denied: `127.0.0.1` does not take it: it is not there (404): no_service
        chat/denied: `127.0.0.1` does not take it: channel_is_archived
        chat/refused: `127.0.0.1` refuses the message: 400: invalid_payload
        chat/down: `127.0.0.1` answered 500: rollup_error
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:30Z
    "#]]
    .assert_eq(&told.await);
    let bot = bot();
    let told = bot.answers(&[
        Turn::Says(200, r#"{"ok":false,"error":"invalid_auth"}"#),
        Turn::Says(200, r#"{"ok":false,"error":"channel_not_found"}"#),
        Turn::Says(200, r#"{"ok":false,"error":"invalid_blocks"}"#),
        Turn::Says(200, r#"{"ok":false,"error":"ratelimited"}"#),
        Turn::Says(200, r#"{"ok":false,"error":"internal_error"}"#),
        Turn::Says(200, "<h1>Welcome</h1>"),
        Turn::Busy(3),
    ]);
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: invalid_auth
        chat/denied: `127.0.0.1` does not take it: channel_not_found
        chat/refused: `127.0.0.1` refuses the message: invalid_blocks
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:30Z
        chat/down: `127.0.0.1` answered 200: internal_error
        chat/down: `127.0.0.1` answered 200: what came is no JSON
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:03Z
    "#]]
    .assert_eq(&told.await);
}

/// A message with this block, and what else it has.
fn message(block: Value, key: &str, value: Value) -> Value {
    let mut message = json!({ "text": "x", "blocks": [block] });
    message[key] = value;
    message
}

fn rich(span: Value) -> Value {
    json!({ "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": [span] }] })
}

#[test]
fn the_world_refuses_what_slack_refuses() {
    let text = |text: &str| rich(json!({ "type": "text", "text": text }));
    let button =
        |text: &str| json!({ "type": "button", "action_id": "a", "text": { "type": "plain_text", "text": text } });
    let bad = [
        message(text("x"), "text", json!("<!channel>")),
        message(text("x"), "text", json!("")),
        message(text("x"), "text", json!("x".repeat(4_001))),
        message(text("x"), "blocks", json!([])),
        message(text(""), "text", json!("x")),
        message(rich(json!({ "type": "link", "text": "x", "url": "javascript:x" })), "text", json!("x")),
        message(json!({ "type": "actions", "elements": [button(&"x".repeat(76))] }), "text", json!("x")),
    ];
    expect![[r#"
        `<` in the text is not escaped: <!channel>
        a text of 0 characters, 4000 at most
        a text of 4001 characters, 4000 at most
        0 blocks, 50 at most
        without `text`: {"text":"","type":"text"}
        no address for Slack: javascript:x
        a button too long: {"action_id":"a","text":{"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","type":"plain_text"},"type":"button"}
    "#]]
    .assert_eq(&refusals(&bad, check));
}
