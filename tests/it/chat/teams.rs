//! Microsoft Teams: one Adaptive Card within its limits, in whose texts nothing is read.

use expect_test::{expect, expect_file};
use landfall::domain::News;
use serde_json::{Value, json};

use super::{Place, bulletin, refusals};
use crate::worlds::chat::Turn;
use crate::worlds::chat::teams::{check, read};

const ADA: &str = "ada@acme.example";

fn place() -> Place {
    Place::of("teams", ADA)
}

#[tokio::test]
async fn teams_is_told_in_one_card() {
    expect_file!["teams.txt"].assert_eq(&place().golden().await);
}

#[tokio::test]
async fn nothing_hostile_does_anything_at_teams() {
    place().stands_hostile_text(&[], read).await;
}

#[tokio::test]
async fn teams_calls_whom_the_configuration_names_and_nobody_else() {
    let place = place();
    assert_eq!(read(&place.told(&bulletin(News::Failed)).await).calls, [ADA]);
    assert!(read(&place.told(&bulletin(News::Held)).await).calls.is_empty());
    // A stranger's text that looks like the name of who is called.
    let mut named = bulletin(News::Failed);
    named.text = "<at>ada</at> look at this".into();
    assert_eq!(read(&place.told(&named).await).calls, [ADA]);
}

#[tokio::test]
async fn what_teams_answers_is_known_for_what_it_is() {
    let place = place();
    let told = place.answers(&[
        Turn::Says(404, r#"{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}"#),
        Turn::Says(401, r#"{"error":{"code":"DirectApiAuthorizationRequired","message":"x"}}"#),
        Turn::Says(400, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"x"}}"#),
        Turn::Says(413, ""),
        Turn::Says(502, ""),
        Turn::Busy(7),
    ]);
    expect![[r#"
        chat/denied: `127.0.0.1` does not take it: it is not there (404): {"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}
        chat/denied: `127.0.0.1` does not take it: {"error":{"code":"DirectApiAuthorizationRequired","message":"x"}}
        chat/refused: `127.0.0.1` refuses the message: 400: {"error":{"code":"WorkflowTriggerIsNotEnabled","message":"x"}}
        chat/refused: `127.0.0.1` refuses the message: 413: 
        chat/down: `127.0.0.1` answered 502: 
        chat/busy: `127.0.0.1` takes no more until 2026-11-22T12:00:07Z
    "#]].assert_eq(&told.await);
}

/// A card with this in its body, and what else it has.
fn card(element: Value, key: &str, value: Value) -> Value {
    let mut content = json!({ "type": "AdaptiveCard", "version": "1.4", "body": [element] });
    content[key] = value;
    let kind = "application/vnd.microsoft.card.adaptive";
    json!({ "type": "message", "attachments": [{ "contentType": kind, "contentUrl": null, "content": content }] })
}

#[test]
fn the_world_refuses_what_teams_refuses() {
    let of = |element: Value| card(element, "actions", json!([]));
    let text = |text: &str| json!({ "type": "TextBlock", "text": text });
    let open = |url: &str| json!({ "type": "Action.OpenUrl", "url": url, "title": "x" });
    let ada = json!({ "entities": [{ "type": "mention", "text": "<at>ada</at>", "mentioned": { "id": "1", "name": "ada" } }] });
    let nameless = json!({ "entities": [{ "type": "mention", "text": "<at>ada</at>", "mentioned": { "id": "1" } }] });
    let run = |run: Value| of(json!({ "type": "RichTextBlock", "inlines": [run] }));
    let bad = [
        json!({}),
        json!({ "type": "message" }),
        json!({ "type": "message", "attachments": [{ "contentType": "application/json" }] }),
        of(text(&"x".repeat(28 * 1024))),
        of(text(&"🚢".repeat(7 * 1024))),
        of(json!({ "type": "Markdown", "text": "x" })),
        of(json!({ "type": "TextBlock" })),
        of(json!({ "type": "TextBlock", "text": "x", "markdown": true })),
        of(json!({ "type": "RichTextBlock", "inlines": [] })),
        of(json!({ "type": "RichTextBlock", "text": "x" })),
        run(json!({ "type": "TextRun", "text": "" })),
        run(json!({ "type": "TextRun", "text": "x", "fontType": "monospace" })),
        run(
            json!({ "type": "TextRun", "text": "x", "selectAction": { "type": "Action.OpenUrl", "url": "javascript:x" } }),
        ),
        card(text("x"), "version", json!("2.0")),
        card(text("x"), "body", json!([])),
        card(text("x"), "actions", json!(vec![open("https://x.example"); 7])),
        card(text("x"), "actions", json!([open("file:///etc/passwd")])),
        card(text("x"), "msteams", ada.clone()),
        card(text("<at>ada</at> <at>bob</at>"), "msteams", ada),
        card(text("<at>ada</at>"), "msteams", nameless),
    ];
    expect![[r#"
        no message: null
        no attachments
        workflows take Adaptive Cards only: "application/json"
        a message of 28885 bytes, 28672 at most
        a message of 28885 bytes, 28672 at most
        no element: {"text":"x","type":"Markdown"}
        a TextBlock without `text`
        a TextBlock has no `markdown`
        a RichTextBlock without `inlines`
        a RichTextBlock has no `text`
        a TextRun without `text`
        `fontType` is none of ["Default", "Monospace"]: "monospace"
        no web address: javascript:x
        no Adaptive Card of 1.4: "AdaptiveCard" "2.0"
        a card without a body
        7 actions, 6 at most
        no web address: file:///etc/passwd
        no mention: {"mentioned":{"id":"1","name":"ada"},"text":"<at>ada</at>","type":"mention"}
        2 names in the text, and 1 entities
        no mention: {"mentioned":{"id":"1"},"text":"<at>ada</at>","type":"mention"}
    "#]]
    .assert_eq(&refusals(&bad, check));
}
