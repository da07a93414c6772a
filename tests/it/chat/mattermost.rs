//! Mattermost: one attachment within its limits, in Markdown that a stranger's text is no part of.

use expect_test::{expect, expect_file};
use landfall::domain::News;
use serde_json::{Value, json};

use super::{Place, bulletin, refusals};
use crate::worlds::chat::Turn;
use crate::worlds::chat::mattermost::{check, read};

fn place() -> Place {
    Place::of("mattermost", "ada.lovelace")
}

#[tokio::test]
async fn mattermost_is_told_in_one_attachment() {
    expect_file!["mattermost.txt"].assert_eq(&place().golden().await);
}

#[tokio::test]
async fn nothing_hostile_does_anything_at_mattermost() {
    place().stands_hostile_text(&[], read).await;
}

#[tokio::test]
async fn mattermost_calls_whom_the_configuration_names_and_nobody_else() {
    let place = place();
    assert_eq!(place.told(&bulletin(News::Failed)).await["text"], "@ada.lovelace");
    assert_eq!(place.told(&bulletin(News::Held)).await["text"], "");
}

#[tokio::test]
async fn what_mattermost_answers_is_known_for_what_it_is() {
    let place = place();
    let told = place.answers(&[
        Turn::Says(
            400,
            r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}"#,
        ),
        Turn::Says(
            400,
            r#"{"id":"web.incoming_webhook.text.app_error","message":"No text specified.","status_code":400}"#,
        ),
        Turn::Says(404, r#"{"id":"api.context.404.app_error","message":"Sorry, we could not find the page."}"#),
        Turn::Says(
            501,
            r#"{"id":"web.incoming_webhook.disabled.app_error","message":"Incoming webhooks are disabled."}"#,
        ),
        Turn::Says(500, ""),
        Turn::Busy(7),
    ]);
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: 400: {"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}
        chat/refused: `127.0.0.1` refuses the message: 400: {"id":"web.incoming_webhook.text.app_error","message":"No text specified.","status_code":400}
        chat/denied: `127.0.0.1` does not take it: it is not there (404): {"id":"api.context.404.app_error","message":"Sorry, we could not find the page."}
        chat/down: `127.0.0.1` answered 501: {"id":"web.incoming_webhook.disabled.app_error","message":"Incoming webhooks are disabled."}
        chat/down: `127.0.0.1` answered 500: 
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:07Z
    "#]].assert_eq(&told.await);
}

#[test]
fn the_world_refuses_what_mattermost_refuses() {
    let with = |key: &str, value: Value| {
        let mut attachment = json!({ "fallback": "x", "text": "x" });
        attachment[key] = value;
        json!({ "attachments": [attachment] })
    };
    let bad = [
        json!({}),
        json!({ "text": "", "attachments": [] }),
        json!({ "content": "x" }),
        json!({ "text": 1 }),
        json!({ "text": "x".repeat(16_384) }),
        json!({ "attachments": { "fallback": "x" } }),
        json!({ "attachments": [{ "text": "x" }] }),
        with("colour", json!("#ffffff")),
        with("color", json!("good")),
        with("text", json!("x".repeat(7_900))),
        with("fields", json!([{ "title": "x", "value": "", "short": true }])),
        with("fields", json!([{ "title": "x", "value": "x", "short": "yes" }])),
        with("fields", json!([{ "name": "x", "value": "x" }])),
    ];
    expect![[r#"
        no text specified
        no text specified
        unknown key of the message: `content`
        `text` is no text: 1
        a post of 16388 characters, 16383 at most
        `attachments` is no list: {"fallback":"x"}
        an attachment without a fallback
        unknown key of the attachment: `colour`
        no hex color code: good
        Maximum attachments length is 7900 characters, received size is 7928
        a field without a title or a value: {"short":true,"title":"x","value":""}
        `short` is neither true nor false: "yes"
        unknown key of the field: `name`
    "#]]
    .assert_eq(&refusals(&bad, check));
}

#[test]
fn the_world_sees_what_mattermost_would_make_of_text() {
    let seen = |text: &str| {
        let seen = read(&json!({ "text": text }));
        format!("{:?} {:?} {:?} {:?}\n", seen.text.trim_end(), seen.links, seen.calls, seen.marks)
    };
    let texts = [
        "plain",
        "\\*plain\\*",
        "*it*",
        "~~x~~",
        "`@here`",
        "```\n@here\n```",
        "[a](https://x.example)",
        "![a](https://x.example)",
        "https://x.example",
        "https\\://x.example",
        "www.x.example",
        "x.com/y",
        "<a@x.example>",
        "<a@\u{200b}x.example>",
        "&lt;a@\u{200b}x&gt;",
        "@all",
        "\\@all",
        "@\u{200b}all",
        "&#64;all",
        "#tag",
        "\\#tag",
        "~town",
        "$x$",
        "&#36;x&#36;",
        ":ship:",
        "# h",
        "> q",
        "| a |",
        "1. l",
    ];
    expect![[r##"
        "plain" [] [] []
        "*plain*" [] [] []
        "it" [] [] ["formatting", "formatting"]
        "x" [] [] ["formatting", "formatting"]
        "@here" [] [] []
        "\n@here" [] [] []
        "a" ["https://x.example"] [] []
        "!a" ["https://x.example"] [] ["picture"]
        "https://x.example" ["https://x.example"] [] []
        "https\\://x.example" [] [] []
        "www.x.example" ["www.x.example"] [] []
        "x.com/y" ["x.com"] [] []
        "" ["a@x.example"] [] []
        "" ["a@\u{200b}x.example"] [] []
        "<a@x>" [] [] []
        "@all" [] ["@all"] []
        "\\@all" [] ["@all"] []
        "@all" [] [] []
        "#64;all" [] [] ["entity", "hashtag"]
        "#tag" [] [] ["heading", "hashtag"]
        "#tag" [] [] []
        "~town" [] [] ["channel"]
        "x" [] [] ["latex", "latex"]
        "$x$" [] [] []
        ":ship:" [] [] ["emoji"]
        "# h" [] [] ["heading"]
        "> q" [] [] ["quote"]
        "| a |" [] [] ["table"]
        "1. l" [] [] ["numbered list"]
    "##]]
    .assert_eq(&texts.map(seen).concat());
}
