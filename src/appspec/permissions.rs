//! Reads the `permissions` of a server AppSpec. What they match is decided where they are applied.

use super::reader::{Fields, Reader};
use super::spec::{Permission, PermissionKinds, SecurityContext};
use super::yaml::Node;

const KEYS: [&str; 9] = ["object", "pattern", "except", "owner", "group", "mode", "acls", "context", "type"];

/// Reads all items.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Permission> {
    let mut permissions = Vec::new();
    for (index, item) in reader.items(node, "`permissions`", "write `- object: …`").iter().enumerate() {
        let of = format!("item {} of `permissions`", index + 1);
        let Some(fields) = reader.fields(item, &of, "write `- object: …`") else { continue };
        reader.unknown_keys(&fields, &KEYS, &of);
        let permission = one(reader, item, &fields, &of);
        permissions.extend(permission);
    }
    permissions
}

fn one(reader: &mut Reader<'_>, item: &Node, fields: &Fields<'_>, of: &str) -> Option<Permission> {
    let object = reader.required(fields, "object", of);
    if let (Some(object), Some(value)) = (&object, fields.value("object"))
        && (!object.starts_with('/') || object.split('/').any(|part| matches!(part, "." | "..")))
    {
        reader.error("appspec/object", value, format!("`object` must be an absolute path, and this is `{object}`"), "");
    }
    let pattern = reader.optional(fields, "pattern");
    let except = list(reader, fields, "except");
    let owner = name(reader, fields, "owner");
    let group = name(reader, fields, "group");
    let mode = fields.value("mode").and_then(|value| mode(reader, value));
    let kinds = kinds(reader, fields);
    let acls = list(reader, fields, "acls");
    if let Some(value) = fields.value("acls") {
        for entry in &acls {
            acl(reader, value, entry, kinds);
        }
    }
    let context = fields.value("context").and_then(|value| context(reader, value));
    Some(Permission {
        object: object?,
        pattern,
        except,
        owner,
        group,
        mode,
        acls,
        context,
        kinds,
        place: item.place.clone(),
    })
}

fn list(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Vec<String> {
    match fields.pair(key) {
        Some((name, value)) if value.is_blank() => {
            reader.warn("appspec/blank", name, format!("`{key}` is blank"), "remove it, or fill it");
            Vec::new()
        }
        Some((_, value)) => reader.texts(value, key),
        None => Vec::new(),
    }
}

fn name(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = reader.optional(fields, key)?;
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Some(value) = fields.value(key)
    {
        reader.port(
            "appspec/numeric-id",
            value,
            format!("`{key}` is a number, which AWS's agent cannot take"),
            "write a name",
        );
    }
    Some(text)
}

fn mode(reader: &mut Reader<'_>, value: &Node) -> Option<u32> {
    let text = reader.text(value, "mode")?;
    let wrong = |reader: &mut Reader<'_>, message: String, help: &str| {
        reader.error("appspec/mode", value, message, help);
        None
    };
    if !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        let symbolic = text.contains(['+', '=', '-', 'r', 'w', 'x']);
        let message = format!("`mode` must be octal digits, and this is `{text}`");
        return wrong(reader, message, if symbolic { "write 755 or alike; symbolic modes are not known" } else { "" });
    }
    if !(1..=4).contains(&text.len()) {
        return wrong(reader, format!("`mode` must have 1 to 4 digits, and this is `{text}`"), "");
    }
    if text.len() > 1 && text.starts_with('0') && !value.is_quoted() {
        let help = format!("write `mode: {}` or `mode: \"{text}\"`", text.trim_start_matches('0'));
        return wrong(
            reader,
            format!("`mode: {text}` has a leading zero without quotation marks, which AWS's agent misreads"),
            &help,
        );
    }
    if text.len() < 3 {
        reader.warn("appspec/mode", value, format!("`mode: {text}` is {text:0>4}"), "write all three digits");
    }
    u32::from_str_radix(&text, 8).ok()
}

fn kinds(reader: &mut Reader<'_>, fields: &Fields<'_>) -> PermissionKinds {
    let written = fields.value("type").is_some();
    let mut kinds = PermissionKinds { files: !written, directories: !written, written };
    for kind in list(reader, fields, "type") {
        match kind.as_str() {
            "file" => kinds.files = true,
            "directory" => kinds.directories = true,
            other => {
                if let Some(value) = fields.value("type") {
                    reader.error(
                        "appspec/type",
                        value,
                        format!("`type` knows file and directory, and this is `{other}`"),
                        "",
                    );
                }
            }
        }
    }
    kinds
}

fn acl(reader: &mut Reader<'_>, value: &Node, entry: &str, kinds: PermissionKinds) {
    let default = entry.starts_with("d:") || entry.starts_with("default:");
    let rest = entry.trim_start_matches("default:").trim_start_matches("d:");
    let parts: Vec<&str> = rest.split(':').collect();
    let wrong = match parts.as_slice() {
        ["u" | "user" | "g" | "group", "", _] | ["o" | "other", ..] => {
            Some("use `mode` for the owner, the group and others")
        }
        ["m" | "mask", name, _] if !name.is_empty() => Some("a mask has no name: write `m::rw`"),
        ["u" | "user" | "g" | "group" | "m" | "mask", _, rights] if !rights_are_known(rights) => {
            Some("rights are letters of `rwx-` or one digit")
        }
        ["u" | "user" | "g" | "group" | "m" | "mask", _, _] => None,
        _ => Some("write `u:NAME:rw`, `g:NAME:rw` or `m::rw`"),
    };
    if let Some(help) = wrong {
        reader.error("appspec/acl", value, format!("`{entry}` is no usable access control entry"), help);
    } else if default && kinds.files {
        reader.error(
            "appspec/acl",
            value,
            format!("`{entry}` is a default entry, which only directories have"),
            "add `type: [directory]`",
        );
    }
}

fn rights_are_known(rights: &str) -> bool {
    let digit = rights.len() == 1 && rights.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    digit || (!rights.is_empty() && rights.bytes().all(|byte| b"rwx-".contains(&byte)))
}

fn context(reader: &mut Reader<'_>, value: &Node) -> Option<SecurityContext> {
    let fields = reader.fields(value, "`context`", "write `type: …` under it")?;
    reader.unknown_keys(&fields, &["user", "name", "type", "range"], "`context`");
    if let Some((key, _)) = fields.pair("user") {
        reader.port(
            "appspec/context-user",
            key,
            "AWS's agent reads `name` here and passes over `user`",
            "write `name`",
        );
    }
    let user = reader.optional(&fields, "user").or_else(|| reader.optional(&fields, "name"));
    let range = reader.optional(&fields, "range");
    let kind = reader.required(&fields, "type", "`context`")?;
    Some(SecurityContext { user, kind, range })
}
