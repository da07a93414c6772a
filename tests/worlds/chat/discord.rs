//! What Discord takes, by its reference: «Webhook Resource» (execute, edit), «Message Resource» (embed object, embed
//! limits, allowed mentions object), «Reference» (snowflakes).

use serde_json::Value;

use super::reading::{Markdown, Reading};
use super::{known, trimmed};

/// Execute Webhook, JSON parameters.
const MESSAGE: &[&str] = &["content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "flags"];
/// Message Resource, embed object.
const EMBED: &[&str] =
    &["title", "type", "description", "url", "timestamp", "color", "footer", "image", "thumbnail", "author", "fields"];
/// Message Resource, allowed mentions object: «Array of `user_ids` to mention (Max size of 100)».
const MOST_USERS: usize = 100;
/// Message Resource, embed limits: all embeds' texts together.
const MOST_OF_ALL: usize = 6000;

/// Whether Discord takes the message; otherwise why not.
pub(crate) fn check(body: &Value) -> Result<(), String> {
    known(body, MESSAGE, "message")?;
    let embeds = list(&body["embeds"], "embeds", 10)?;
    // Execute Webhook: «at least one of content, embeds, …»; content «up to 2000 characters».
    let content = text(&body["content"], "content", 2000)?;
    if content == 0 && embeds.is_empty() {
        return Err("cannot send an empty message".into());
    }
    let mut all = 0;
    for embed in embeds {
        all += check_embed(embed)?;
    }
    if all > MOST_OF_ALL {
        return Err(format!("embeds of {all} characters, {MOST_OF_ALL} at most"));
    }
    check_mentions(&body["allowed_mentions"])
}

/// Embed limits: title 256, description 4096, 25 fields, their names 256 and values 1024, footer 2048, author 256.
fn check_embed(embed: &Value) -> Result<usize, String> {
    known(embed, EMBED, "embed")?;
    let mut all = text(&embed["title"], "title", 256)? + text(&embed["description"], "description", 4096)?;
    all += text(&embed["footer"]["text"], "footer", 2048)? + text(&embed["author"]["name"], "author", 256)?;
    for field in list(&embed["fields"], "fields", 25)? {
        known(field, &["name", "value", "inline"], "field")?;
        let (name, value) = (text(&field["name"], "name", 256)?, text(&field["value"], "value", 1024)?);
        if name == 0 || value == 0 {
            return Err(format!("a field without a name or a value: {field}"));
        }
        all += name + value;
    }
    let color = &embed["color"];
    if !color.is_null() && color.as_u64().is_none_or(|it| it > 0xff_ffff) {
        return Err(format!("no color: {color}"));
    }
    let url = embed["url"].as_str().unwrap_or("https://");
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(format!("scheme must be one of http, https: {url}"));
    }
    Ok(all)
}

fn check_mentions(allowed: &Value) -> Result<(), String> {
    let kinds = list(&allowed["parse"], "parse", 3)?;
    if let Some(kind) = kinds.iter().find(|it| !matches!(it.as_str(), Some("roles" | "users" | "everyone"))) {
        return Err(format!("nothing to parse is called {kind}"));
    }
    let users = list(&allowed["users"], "users", MOST_USERS)?;
    if let Some(user) = users.iter().find(|it| it.as_str().is_none_or(|it| it.parse::<u64>().is_err())) {
        return Err(format!("no snowflake: {user}"));
    }
    if !users.is_empty() && kinds.iter().any(|it| it == "users") {
        return Err("parse:[\"users\"] and users: [ids...] are mutually exclusive".into());
    }
    Ok(())
}

fn list<'v>(value: &'v Value, what: &str, most: usize) -> Result<&'v [Value], String> {
    if value.is_null() {
        return Ok(&[]);
    }
    let list = value.as_array().ok_or(format!("`{what}` is no list: {value}"))?;
    if list.len() > most { Err(format!("{} {what}, {most} at most", list.len())) } else { Ok(list) }
}

/// How long it is, by the strictest count: that of Discord's clients, which count in 16 bits.
fn text(value: &Value, what: &str, most: usize) -> Result<usize, String> {
    let long = trimmed(value, what)?.encode_utf16().count();
    if long > most { Err(format!("`{what}` of {long} characters, {most} at most")) } else { Ok(long) }
}

/// What people see of it. Who is called: those of the content whom `allowed_mentions` lets through.
pub(crate) fn read(body: &Value) -> Reading {
    let mut seen = Reading::default();
    let mut above = Reading::default();
    above.read(body["content"].as_str().unwrap_or_default(), Markdown::Discord);
    let users: Vec<&str> =
        body["allowed_mentions"]["users"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_open = body["allowed_mentions"]["parse"].as_array().is_none_or(|it| !it.is_empty());
    above.calls.retain(|it| is_open || users.iter().any(|user| *it == format!("@{user}")));
    seen.calls.append(&mut above.calls);
    seen.links.append(&mut above.links);
    seen.text += above.text.trim();
    for embed in body["embeds"].as_array().into_iter().flatten() {
        seen.links.extend(embed["url"].as_str().map(str::to_owned));
        let fields = embed["fields"].as_array().into_iter().flatten();
        let fields = fields.flat_map(|it| [&it["name"], &it["value"]]);
        for part in [&embed["title"], &embed["description"]].into_iter().chain(fields) {
            seen.read(part.as_str().unwrap_or_default(), Markdown::Discord);
        }
    }
    seen
}
