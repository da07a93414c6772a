//! What Mattermost takes, by its documentation: «Incoming webhooks» (parameters), «Message attachments» (options, fields);
//! and by its server: how long a post and its attachments may be.

use serde_json::Value;

use super::reading::{Markdown, Reading};
use super::{known, trimmed};

/// Incoming webhooks, parameters.
const MESSAGE: &[&str] =
    &["text", "channel", "username", "icon_url", "icon_emoji", "attachments", "type", "props", "card"];
/// Message attachments, options.
const ATTACHMENT: &[&str] = &[
    "fallback",
    "color",
    "pretext",
    "text",
    "author_name",
    "author_link",
    "author_icon",
    "title",
    "title_link",
    "fields",
    "image_url",
    "thumb_url",
    "footer",
    "footer_icon",
];
/// The server's `PostMessageMaxRunesV2`: what is longer is split into several posts.
const LONGEST_POST: usize = 16_383;
/// What older servers say of more: «Maximum attachments length is 7900 characters».
const LONGEST_ATTACHMENTS: usize = 7_900;

/// Whether Mattermost takes the message, whole and in one post; otherwise why not.
pub(crate) fn check(body: &Value) -> Result<(), String> {
    known(body, MESSAGE, "message")?;
    let text = text(&body["text"], "text")?;
    let (attachments, none) = (&body["attachments"], Vec::new());
    let attachments = if attachments.is_null() { Some(&none) } else { attachments.as_array() };
    let attachments = attachments.ok_or(format!("`attachments` is no list: {}", body["attachments"]))?;
    // Incoming webhooks, parameters: `text` is required if `attachments` is not set.
    if text == 0 && attachments.is_empty() {
        return Err("no text specified".into());
    }
    attachments.iter().try_for_each(check_attachment)?;
    let long = body["attachments"].to_string().chars().count();
    if long > LONGEST_ATTACHMENTS {
        return Err(format!("Maximum attachments length is {LONGEST_ATTACHMENTS} characters, received size is {long}"));
    }
    if text + long > LONGEST_POST {
        return Err(format!("a post of {} characters, {LONGEST_POST} at most", text + long));
    }
    Ok(())
}

fn check_attachment(attachment: &Value) -> Result<(), String> {
    known(attachment, ATTACHMENT, "attachment")?;
    // Message attachments: «fallback: A required plain-text summary of the attachment».
    if text(&attachment["fallback"], "fallback")? == 0 {
        return Err("an attachment without a fallback".into());
    }
    text(&attachment["title"], "title")?;
    text(&attachment["text"], "text")?;
    let color = attachment["color"].as_str().unwrap_or("#000000");
    let digits = color.strip_prefix('#').unwrap_or_default();
    if digits.len() != 6 || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(format!("no hex color code: {color}"));
    }
    for field in attachment["fields"].as_array().into_iter().flatten() {
        known(field, &["title", "value", "short"], "field")?;
        if text(&field["title"], "title")? == 0 || text(&field["value"], "value")? == 0 {
            return Err(format!("a field without a title or a value: {field}"));
        }
        if !field["short"].is_boolean() {
            return Err(format!("`short` is neither true nor false: {}", field["short"]));
        }
    }
    Ok(())
}

fn text(value: &Value, what: &str) -> Result<usize, String> {
    Ok(trimmed(value, what)?.chars().count())
}

/// What people see of it. The fallback is shown where nothing is read.
pub(crate) fn read(body: &Value) -> Reading {
    let mut seen = Reading::default();
    seen.read(body["text"].as_str().unwrap_or_default(), Markdown::Mattermost);
    for attachment in body["attachments"].as_array().into_iter().flatten() {
        seen.literally(attachment["fallback"].as_str().unwrap_or_default());
        let fields = attachment["fields"].as_array().into_iter().flatten();
        let fields = fields.flat_map(|it| [&it["title"], &it["value"]]);
        for part in [&attachment["title"], &attachment["text"]].into_iter().chain(fields) {
            seen.read(part.as_str().unwrap_or_default(), Markdown::Mattermost);
        }
    }
    seen
}
