//! What Microsoft Teams takes from a workflow's webhook, by «Create incoming webhooks with Workflows» (the message), «Format
//! cards in Teams» (28 KB, mentions) and the schema of Adaptive Cards 1.4 (elements and their properties).

use serde_json::Value;

use super::reading::Reading;

/// Format cards in Teams: «the message size limit doesn't exceed 28 KB».
const LONGEST_MESSAGE: usize = 28 * 1024;
/// Not documented for Adaptive Cards, only for those of connectors («six visible buttons»); the clients show six.
const MOST_ACTIONS: usize = 6;

/// The elements of the schema that are used, with all that each may have.
const ELEMENTS: &[(&str, &[&str])] = &[
    (
        "TextBlock",
        &[
            "text",
            "color",
            "fontType",
            "horizontalAlignment",
            "isSubtle",
            "maxLines",
            "size",
            "weight",
            "wrap",
            "style",
            "spacing",
            "separator",
            "id",
            "isVisible",
        ],
    ),
    ("RichTextBlock", &["inlines", "horizontalAlignment", "spacing", "separator", "id", "isVisible"]),
    (
        "TextRun",
        &[
            "text",
            "color",
            "fontType",
            "highlight",
            "isSubtle",
            "italic",
            "selectAction",
            "size",
            "strikethrough",
            "underline",
            "weight",
        ],
    ),
    ("Container", &["items", "style", "bleed", "spacing", "separator", "id", "isVisible", "selectAction"]),
    ("Action.OpenUrl", &["url", "title", "iconUrl", "id", "style", "tooltip"]),
];

/// What the schema lets a property say.
const WORDS: &[(&str, &[&str])] = &[
    ("color", &["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]),
    ("fontType", &["Default", "Monospace"]),
    ("size", &["Default", "Small", "Medium", "Large", "ExtraLarge"]),
    ("weight", &["Default", "Lighter", "Bolder"]),
    ("spacing", &["Default", "None", "Small", "Medium", "Large", "ExtraLarge", "Padding"]),
    ("style", &["default", "emphasis", "good", "attention", "warning", "accent"]),
];

/// Whether Teams takes the message, and shows all of it; otherwise why not.
pub(crate) fn check(body: &Value) -> Result<(), String> {
    let long = body.to_string().len();
    if long > LONGEST_MESSAGE {
        return Err(format!("a message of {long} bytes, {LONGEST_MESSAGE} at most"));
    }
    if body["type"] != "message" {
        return Err(format!("no message: {}", body["type"]));
    }
    let attachments = body["attachments"].as_array().filter(|it| !it.is_empty()).ok_or("no attachments")?;
    attachments.iter().try_for_each(check_attachment)
}

fn check_attachment(attachment: &Value) -> Result<(), String> {
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" || !attachment["contentUrl"].is_null() {
        return Err(format!("workflows take Adaptive Cards only: {}", attachment["contentType"]));
    }
    let card = &attachment["content"];
    if card["type"] != "AdaptiveCard" || card["version"] != "1.4" {
        return Err(format!("no Adaptive Card of 1.4: {} {}", card["type"], card["version"]));
    }
    let actions = card["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if actions.len() > MOST_ACTIONS {
        return Err(format!("{} actions, {MOST_ACTIONS} at most", actions.len()));
    }
    let body = card["body"].as_array().filter(|it| !it.is_empty()).ok_or("a card without a body")?;
    body.iter().chain(actions).try_for_each(check_element)?;
    check_mentions(card)
}

fn check_element(element: &Value) -> Result<(), String> {
    let kind = element["type"].as_str().unwrap_or_default();
    let (_, keys) = ELEMENTS.iter().find(|(it, _)| *it == kind).ok_or(format!("no element: {element}"))?;
    for (key, value) in element.as_object().into_iter().flatten().filter(|(key, _)| *key != "type") {
        if !keys.contains(&key.as_str()) {
            return Err(format!("a {kind} has no `{key}`"));
        }
        let words = WORDS.iter().find(|(it, _)| it == key).map(|it| it.1);
        if let Some(words) = words.filter(|it| !value.as_str().is_some_and(|word| it.contains(&word))) {
            return Err(format!("`{key}` is none of {words:?}: {value}"));
        }
    }
    let text = |key: &str| element[key].as_str().filter(|it| !it.is_empty()).ok_or(format!("a {kind} without `{key}`"));
    let parts = |key: &str| {
        let parts = element[key].as_array().filter(|it| !it.is_empty());
        parts.ok_or(format!("a {kind} without `{key}`"))?.iter().try_for_each(check_element)
    };
    match kind {
        "RichTextBlock" => parts("inlines"),
        "Container" => parts("items"),
        "Action.OpenUrl" => {
            let url = text("url")?;
            if url.starts_with("https://") || url.starts_with("http://") {
                Ok(())
            } else {
                Err(format!("no web address: {url}"))
            }
        }
        "TextRun" if !element["selectAction"].is_null() => {
            text("text").and_then(|_| check_element(&element["selectAction"]))
        }
        _ => text("text").map(|_| ()),
    }
}

/// Format cards in Teams: «`<at>username</at>` in the supported elements», which are `TextBlock` and `FactSet`, and «the
/// mention object inside of an msteams property», each with an id and a name.
fn check_mentions(card: &Value) -> Result<(), String> {
    let entities = card["msteams"]["entities"].as_array().map(Vec::as_slice).unwrap_or_default();
    let blocks: String = texts(&card["body"], "TextBlock").into_iter().collect();
    for entity in entities {
        let (tag, mentioned) = (entity["text"].as_str().unwrap_or_default(), &entity["mentioned"]);
        let is_tag = tag.starts_with("<at>") && tag.ends_with("</at>") && blocks.contains(tag);
        let is_whole = ["id", "name"].iter().all(|it| mentioned[it].as_str().is_some_and(|it| !it.is_empty()));
        if entity["type"] != "mention" || !is_tag || !is_whole {
            return Err(format!("no mention: {entity}"));
        }
    }
    let tags = blocks.matches("<at>").count();
    if tags != entities.len() {
        return Err(format!("{tags} names in the text, and {} entities", entities.len()));
    }
    Ok(())
}

/// The texts of all elements of a kind, in order.
fn texts(value: &Value, kind: &str) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(|it| texts(it, kind)).collect(),
        Value::Object(table) if value["type"] == kind => {
            table["text"].as_str().into_iter().map(str::to_owned).collect()
        }
        Value::Object(table) => table.values().flat_map(|it| texts(it, kind)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// What people see of it: `TextRun`s are text («Markdown is not supported»), `TextBlock`s are read.
pub(crate) fn read(body: &Value) -> Reading {
    let mut seen = Reading::default();
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        let card = &attachment["content"];
        for text in texts(&card["body"], "TextRun") {
            if text.contains("<at>") {
                seen.calls.push(text.clone());
            }
            seen.literally(&text);
        }
        for text in texts(&card["body"], "TextBlock") {
            let rest = text.replace("<at>", "").replace("</at>", "");
            if rest.contains(['*', '_', '[', '<', '#', '`', '&']) || rest.starts_with(['-', '1']) {
                seen.marks.push("formatting");
            }
            seen.literally(&rest);
        }
        let entities = card["msteams"]["entities"].as_array().into_iter().flatten();
        seen.calls.extend(entities.filter_map(|it| it["mentioned"]["id"].as_str()).map(str::to_owned));
        seen.links.extend(addresses(card));
    }
    seen
}

fn addresses(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(addresses).collect(),
        Value::Object(table) => {
            let own = table.get("url").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(table.values().flat_map(addresses)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
