//! What Slack takes, by the reference of Block Kit (blocks, elements and their limits), of `chat.postMessage`, `chat.update`
//! and of incoming webhooks.

use std::sync::Mutex;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::reading::Reading;
use super::{State, known, refuse, taken, trimmed};

/// «You can include up to 50 blocks in each message».
const MOST_BLOCKS: usize = 50;
/// `chat.postMessage`: «Slack will truncate messages containing more than 40,000 characters», and asks for 4,000.
const LONGEST_TEXT: usize = 4_000;
/// Actions block: «There is a maximum of 25 elements in each action block».
const MOST_ACTIONS: usize = 25;
/// Button element: text 75, `action_id` 255, url 3,000 characters.
const LONGEST_BUTTON: usize = 75;
const LONGEST_ID: usize = 255;
const LONGEST_URL: usize = 3_000;
/// Button element: 2,000 characters in `value`.
const LONGEST_VALUE: usize = 2_000;

/// Whether Slack takes the message; otherwise why not.
pub(crate) fn check(body: &Value) -> Result<(), String> {
    let keys = ["text", "attachments", "blocks", "channel", "ts", "thread_ts", "unfurl_links", "unfurl_media"];
    known(body, &keys, "message")?;
    let text = trimmed(&body["text"], "text")?;
    if text.is_empty() || text.chars().count() > LONGEST_TEXT {
        return Err(format!("a text of {} characters, {LONGEST_TEXT} at most", text.chars().count()));
    }
    if let Some(bad) = unescaped(text) {
        return Err(format!("`{bad}` in the text is not escaped: {text}"));
    }
    let mut blocks: Vec<&Value> = body["blocks"].as_array().into_iter().flatten().collect();
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        known(attachment, &["color", "fallback", "blocks"], "attachment")?;
        blocks.extend(attachment["blocks"].as_array().into_iter().flatten());
    }
    if blocks.is_empty() || blocks.len() > MOST_BLOCKS {
        return Err(format!("{} blocks, {MOST_BLOCKS} at most", blocks.len()));
    }
    blocks.into_iter().try_for_each(check_block)
}

/// Whether Slack takes this as the answer to a command or a button, at once or at the address that came with it.
pub(crate) fn check_answer(body: &Value) -> Result<(), String> {
    let mut message = body.clone();
    let fields = message.as_object_mut().ok_or("no object")?;
    match fields.remove("response_type").as_ref().and_then(Value::as_str) {
        Some("in_channel" | "ephemeral") => {}
        other => return Err(format!("nobody sees it: {other:?}")),
    }
    if fields.remove("replace_original") != Some(json!(false)) {
        return Err("the message with the buttons would be gone".into());
    }
    check(&message)
}

/// An incoming webhook answers `ok`. A method answers JSON that says whether it did it: a message that is made is told by its
/// channel and its time, by which it is edited and answered to.
pub(super) fn answer(request: &HttpRequest, state: &Mutex<State>) -> HttpResponse {
    let method = request.path().rsplit('/').next().unwrap_or_default();
    if request.path().starts_with("/slack/answers/") {
        return taken(state, check_answer, HttpResponse::Ok().body("ok"));
    }
    if !request.path().starts_with("/slack/api/") {
        return taken(state, check, HttpResponse::Ok().body("ok"));
    }
    let told = state.lock().unwrap().told.last().unwrap().clone();
    if !told.headers.get("authorization").is_some_and(|it| it.starts_with("Bearer ")) {
        return HttpResponse::Ok().json(json!({ "ok": false, "error": "not_authed" }));
    }
    if let Err(why) = check(&told.body) {
        return refuse(state, why);
    }
    let mut state = state.lock().unwrap();
    let (channel, at) = (told.body["channel"].clone(), told.body["ts"].as_str().unwrap_or_default());
    match method {
        "chat.postMessage" => {
            let at = format!("1763812800.{:06}", state.told.len());
            state.standing.insert(at.clone());
            HttpResponse::Ok().json(json!({ "ok": true, "channel": channel, "ts": at }))
        }
        "chat.update" if state.standing.contains(at) => {
            HttpResponse::Ok().json(json!({ "ok": true, "channel": channel, "ts": at }))
        }
        "chat.update" => HttpResponse::Ok().json(json!({ "ok": false, "error": "message_not_found" })),
        _ => HttpResponse::Ok().json(json!({ "ok": false, "error": "unknown_method" })),
    }
}

/// «Escaping text»: `&`, `<` and `>` are control characters, and stand as entities.
fn unescaped(text: &str) -> Option<char> {
    let plain = ["&amp;", "&lt;", "&gt;"].iter().fold(text.to_owned(), |text, it| text.replace(it, ""));
    plain.chars().find(|it| "&<>".contains(*it))
}

fn check_block(block: &Value) -> Result<(), String> {
    if block["type"] == "section" {
        return check_section(block);
    }
    let elements = block["elements"].as_array().filter(|it| !it.is_empty()).ok_or("a block without elements")?;
    match block["type"].as_str() {
        Some("rich_text") => elements.iter().try_for_each(check_rich),
        Some("actions") if elements.len() > MOST_ACTIONS => Err(format!("{} actions", elements.len())),
        Some("actions") => elements.iter().try_for_each(check_button),
        other => Err(format!("no block: {other:?}")),
    }
}

/// Section block: «Maximum length for the text in this field is 3000 characters», and none is empty.
fn check_section(block: &Value) -> Result<(), String> {
    known(block, &["type", "text"], "section")?;
    known(&block["text"], &["type", "text", "verbatim"], "text of a section")?;
    let long = block["text"]["text"].as_str().unwrap_or_default().chars().count();
    match (block["text"]["type"].as_str(), long) {
        (Some("mrkdwn"), 1..=3_000) => Ok(()),
        _ => Err(format!("no text of a section, {long} characters: {block}")),
    }
}

fn check_rich(part: &Value) -> Result<(), String> {
    let elements = part["elements"].as_array().filter(|it| !it.is_empty()).ok_or("rich text without elements")?;
    match part["type"].as_str() {
        Some("rich_text_section") => elements.iter().try_for_each(check_span),
        Some("rich_text_preformatted") => match elements.iter().find(|it| it["type"] != "text" && it["type"] != "link")
        {
            Some(other) => Err(format!("preformatted takes text and links: {other}")),
            None => elements.iter().try_for_each(check_span),
        },
        Some("rich_text_list") => {
            known(part, &["type", "style", "elements"], "list")?;
            match elements.iter().find(|it| it["type"] != "rich_text_section") {
                Some(other) => Err(format!("a list takes sections: {other}")),
                None => elements.iter().try_for_each(check_rich),
            }
        }
        other => Err(format!("no rich text: {other:?}")),
    }
}

fn check_span(span: &Value) -> Result<(), String> {
    let full = |key: &str| span[key].as_str().filter(|it| !it.is_empty()).ok_or(format!("without `{key}`: {span}"));
    match span["type"].as_str() {
        Some("text") => {
            known(span, &["type", "text", "style"], "text")?;
            full("text").map(|_| ())
        }
        Some("link") => {
            known(span, &["type", "url", "text", "style"], "link")?;
            check_url(full("url")?)
        }
        Some("user") => full("user_id").map(|_| ()),
        other => Err(format!("no element of rich text: {other:?}")),
    }
}

fn check_button(button: &Value) -> Result<(), String> {
    known(button, &["type", "action_id", "url", "text", "value", "style", "confirm"], "button")?;
    if !button["confirm"].is_null() {
        check_confirm(&button["confirm"])?;
    }
    if button["value"].as_str().is_some_and(|it| it.len() > LONGEST_VALUE) {
        return Err(format!("a value too long: {button}"));
    }
    let text = button["text"]["text"].as_str().unwrap_or_default();
    if button["type"] != "button" || button["text"]["type"] != "plain_text" || text.is_empty() {
        return Err(format!("no button: {button}"));
    }
    if text.chars().count() > LONGEST_BUTTON || button["action_id"].as_str().is_none_or(|it| it.len() > LONGEST_ID) {
        return Err(format!("a button too long: {button}"));
    }
    check_url(button["url"].as_str().unwrap_or("https://x"))
}

/// Confirmation dialog object: title 100, text 300, both buttons 30 characters.
fn check_confirm(confirm: &Value) -> Result<(), String> {
    known(confirm, &["title", "text", "confirm", "deny", "style"], "confirmation")?;
    for (key, longest) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
        let text = confirm[key]["text"].as_str().unwrap_or_default();
        if confirm[key]["type"] != "plain_text" || !(1..=longest).contains(&text.chars().count()) {
            return Err(format!("no confirmation by its `{key}`: {confirm}"));
        }
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), String> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if is_web && url.len() <= LONGEST_URL { Ok(()) } else { Err(format!("no address for Slack: {url:.100}")) }
}

/// What people see of it: texts of rich text are text, and `text` is what a notification shows.
pub(crate) fn read(body: &Value) -> Reading {
    let mut seen = Reading::default();
    look(body, &mut seen);
    seen
}

fn look(value: &Value, seen: &mut Reading) {
    match value {
        Value::Array(list) => list.iter().for_each(|it| look(it, seen)),
        Value::Object(table) => match value["type"].as_str() {
            Some("mrkdwn") => look_at_mrkdwn(value, seen),
            Some("text") => seen.literally(value["text"].as_str().unwrap_or_default()),
            Some("user") => seen.calls.extend(value["user_id"].as_str().map(str::to_owned)),
            Some("link") => {
                seen.literally(value["text"].as_str().unwrap_or_default());
                seen.links.extend(value["url"].as_str().map(str::to_owned));
            }
            Some("button") => seen.links.extend(value["url"].as_str().map(str::to_owned)),
            _ => table.values().for_each(|it| look(it, seen)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// «Formatting text for app surfaces»: what stands in `<…>` is a name or a link; `*`, `_`, `~` and backticks format, `>` at
/// the beginning of a line quotes, `:name:` is an emoji; without `verbatim`, addresses and names are found in text as well.
fn look_at_mrkdwn(value: &Value, seen: &mut Reading) {
    let mut rest = value["text"].as_str().unwrap_or_default();
    if value["verbatim"] != true && ["http", "www.", "@", "#"].iter().any(|it| rest.contains(it)) {
        seen.marks.push("what is found in text");
    }
    let plain = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    if rest.lines().any(|it| it.trim_start().starts_with("&gt;")) {
        seen.marks.push("quote");
    }
    let mut shown = String::new();
    while let Some(next) = rest.chars().next() {
        let piece = match next {
            '<' => rest.find('>').map_or(rest, |end| &rest[..=end]),
            ':' => &rest[..emoji(rest)],
            _ => &rest[..next.len_utf8()],
        };
        rest = &rest[piece.len()..];
        match next {
            '<' if piece[1..].starts_with(['@', '!', '#']) => seen.calls.push(piece.to_owned()),
            '<' => {
                let (url, text) = piece[1..].trim_end_matches('>').split_once('|').unwrap_or((&piece[1..], ""));
                seen.links.push(plain(url));
                shown += text;
            }
            '*' | '_' | '~' | '`' => seen.marks.push("formatting"),
            ':' if piece.len() > 1 => seen.marks.push("emoji"),
            _ => shown += piece,
        }
    }
    seen.literally(&plain(&shown));
}

/// How long the `:name:` is that a text begins with, or the sign alone.
fn emoji(text: &str) -> usize {
    let name = text[1..].split(':').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || "_+-'".contains(it));
    if is_name && text[1 + name.len()..].starts_with(':') { name.len() + 2 } else { 1 }
}
