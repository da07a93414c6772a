//! Discord: one embed within its limits, edited in place.

use expect_test::{expect, expect_file};
use landfall::domain::News;
use serde_json::{Value, json};

use super::{Place, bulletin, refusals};
use crate::worlds::chat::Turn;
use crate::worlds::chat::discord::{check, read};

const ADA: &str = "175928847299117063";

fn place() -> Place {
    Place::of("discord", ADA)
}

#[tokio::test]
async fn discord_is_told_in_one_embed_that_goes_along() {
    expect_file!["discord.txt"].assert_eq(&place().golden().await);
}

#[tokio::test]
async fn nothing_hostile_does_anything_at_discord() {
    place().stands_hostile_text(&[], read).await;
}

#[tokio::test]
async fn discord_calls_whom_the_configuration_names_and_nobody_else() {
    let place = place();
    let called = |told: Value| (told["content"].clone(), told["allowed_mentions"].clone());
    let told = place.told(&bulletin(News::Failed)).await;
    assert_eq!(called(told), (json!(format!("<@{ADA}>")), json!({ "parse": [], "users": [ADA] })));
    let told = place.told(&bulletin(News::Held)).await;
    assert_eq!(called(told), (json!(""), json!({ "parse": [], "users": [] })));
}

#[tokio::test]
async fn what_discord_answers_is_known_for_what_it_is() {
    let place = place();
    let standing = place.post(&bulletin(News::Started)).await.unwrap().unwrap();
    place.chats.delete(&standing);
    let gone = place.service.edit(&standing, &place.card(&bulletin(News::Succeeded))).await.unwrap_err();
    assert_eq!(gone.failure().code, "chat/gone");
    let told = place.answers(&[
        Turn::Says(404, r#"{"message": "Unknown Webhook", "code": 10015}"#),
        Turn::Says(401, r#"{"message": "Invalid Webhook Token", "code": 50027}"#),
        Turn::Says(400, r#"{"message": "Invalid Form Body", "code": 50035}"#),
        Turn::Says(500, ""),
        Turn::Busy(7),
    ]);
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: it is not there (404): {"message": "Unknown Webhook", "code": 10015}
        chat/denied: `127.0.0.1` does not take it: {"message": "Invalid Webhook Token", "code": 50027}
        chat/refused: `127.0.0.1` refuses the message: 400: {"message": "Invalid Form Body", "code": 50035}
        chat/down: `127.0.0.1` answered 500: 
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:07Z
    "#]]
    .assert_eq(&told.await);
}

#[test]
fn the_world_refuses_what_discord_refuses() {
    let embed = |embed: Value| json!({ "embeds": [embed] });
    let long = |of: usize| "x".repeat(of);
    let bad = [
        json!({}),
        json!({ "content": "" }),
        json!({ "content": long(2001) }),
        json!({ "content": "🚢".repeat(1001) }),
        json!({ "text": "x" }),
        json!({ "content": "x", "embeds": vec![json!({ "title": "x" }); 11] }),
        embed(json!({ "title": long(257) })),
        embed(json!({ "description": long(4097) })),
        embed(json!({ "title": "x", "colour": 1 })),
        embed(json!({ "title": "x", "color": "#ffffff" })),
        embed(json!({ "title": "x", "url": "javascript:alert(1)" })),
        embed(json!({ "fields": vec![json!({ "name": "x", "value": "x" }); 26] })),
        embed(json!({ "fields": [{ "name": "x", "value": "" }] })),
        embed(json!({ "fields": [{ "name": "x", "value": long(1025) }] })),
        embed(
            json!({ "description": long(4096), "fields": [{ "name": "x", "value": long(1000) }, { "name": "x", "value": long(1000) }] }),
        ),
        json!({ "content": "x", "allowed_mentions": { "parse": ["all"] } }),
        json!({ "content": "x", "allowed_mentions": { "parse": [], "users": ["ada"] } }),
        json!({ "content": "x", "allowed_mentions": { "parse": ["users"], "users": ["1"] } }),
    ];
    expect![[r##"
        cannot send an empty message
        cannot send an empty message
        `content` of 2001 characters, 2000 at most
        `content` of 2002 characters, 2000 at most
        unknown key of the message: `text`
        11 embeds, 10 at most
        `title` of 257 characters, 256 at most
        `description` of 4097 characters, 4096 at most
        unknown key of the embed: `colour`
        no color: "#ffffff"
        scheme must be one of http, https: javascript:alert(1)
        26 fields, 25 at most
        a field without a name or a value: {"name":"x","value":""}
        `value` of 1025 characters, 1024 at most
        embeds of 6098 characters, 6000 at most
        nothing to parse is called "all"
        no snowflake: "ada"
        parse:["users"] and users: [ids...] are mutually exclusive
    "##]]
    .assert_eq(&refusals(&bad, check));
}

#[test]
fn the_world_sees_what_discord_would_make_of_text() {
    let seen = |text: &str| {
        let seen = read(&json!({ "embeds": [{ "description": text }] }));
        format!("{:?} {:?} {:?} {:?}\n", seen.text.trim_end(), seen.links, seen.calls, seen.marks)
    };
    let texts = [
        "plain",
        "\\*plain\\*",
        "*it*",
        "__u__",
        "||s||",
        "~~x~~",
        "`@here`",
        "```\n@here\n```",
        "`open",
        "[a](https://x.example)",
        "https://x.example",
        "https\\://x.example",
        "<https://x.example>",
        "<@1>",
        "\\<@1\\>",
        "<t:0:R>",
        "@everyone",
        "\\@everyone",
        "# h",
        "\\# h",
        "-# h",
        "> q",
        "- l",
        "1. l",
        "1\\. l",
    ];
    expect![[r#"
        "\nplain" [] [] []
        "\n*plain*" [] [] []
        "\nit" [] [] ["formatting", "formatting"]
        "\nu" [] [] ["formatting", "formatting"]
        "\ns" [] [] ["table", "formatting", "formatting"]
        "\nx" [] [] ["formatting", "formatting"]
        "\n@here" [] [] []
        "\n\n@here" [] [] []
        "\nopen" [] [] ["open code"]
        "\na" ["https://x.example"] [] []
        "\nhttps://x.example" ["https://x.example"] [] []
        "\nhttps://x.example" [] [] []
        "" ["https://x.example"] [] []
        "" [] ["@1"] []
        "\n<@1>" [] [] []
        "" [] ["t:0:R"] []
        "\n@everyone" [] ["@everyone"] []
        "\n@everyone" [] [] []
        "\n# h" [] [] ["heading"]
        "\n# h" [] [] []
        "\n-# h" [] [] ["heading"]
        "\n> q" [] [] ["quote"]
        "\nl" [] [] ["list"]
        "\n1. l" [] [] ["numbered list"]
        "\n1. l" [] [] []
    "#]]
    .assert_eq(&texts.map(seen).concat());
}
