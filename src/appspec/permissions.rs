//! Reads the `permissions` of a server AppSpec. What they match is decided where they are applied.

use std::collections::HashMap;

use super::reader::{Fields, Reader, nearest};
use super::spec::{Permission, PermissionKinds, SecurityContext};
use super::yaml::{Kind, Node};
use crate::domain::Finding;

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
    overlaps(reader, &permissions);
    permissions
}

/// R81: two items that set one attribute of the same things. What only the bundle can tell is told there.
fn overlaps(reader: &mut Reader<'_>, permissions: &[Permission]) {
    let mut first: HashMap<(&str, &str, bool, &str), usize> = HashMap::new();
    for (index, item) in permissions.iter().enumerate() {
        let mut told = false;
        for (attribute, kind) in item.attributes().flat_map(|it| [(it, true), (it, false)]) {
            let speaks = if kind { item.kinds.files } else { item.kinds.directories };
            if !speaks || !item.except.is_empty() {
                continue;
            }
            let pattern = item.pattern.as_deref().unwrap_or("**");
            let object = item.object.trim_end_matches('/');
            let other = *first.entry((object, pattern, kind, attribute)).or_insert(index);
            if other != index && !told {
                told = true;
                let message = format!(
                    "items {} and {} of `permissions` both set the {attribute} of everything in `{object}`",
                    other + 1,
                    index + 1
                );
                let finding = Finding::error("appspec/permission-overlap", message);
                reader.note(
                    finding,
                    &item.place,
                    "put them into one, or narrow one with `pattern`, `type` or `except`",
                );
            }
        }
    }
}

fn one(reader: &mut Reader<'_>, item: &Node, fields: &Fields<'_>, of: &str) -> Option<Permission> {
    let object = reader.required(fields, "object", of);
    if let (Some(object), Some(value)) = (&object, fields.value("object"))
        && (!object.starts_with('/') || object.split('/').any(|part| matches!(part, "." | "..")))
    {
        reader.error("appspec/object", value, format!("`object` must be an absolute path, and this is `{object}`"), "");
    }
    let pattern = pattern(reader, fields);
    let except = except(reader, fields);
    let owner = name(reader, fields, "owner");
    let group = name(reader, fields, "group");
    let mode = fields.value("mode").and_then(|value| mode(reader, value));
    let kinds = kinds(reader, fields);
    let acls = acls(reader, fields, kinds, mode);
    let context = fields.value("context").and_then(|value| context(reader, value));
    if let Some(value) = fields.value("mode") {
        special_bits(reader, value, mode, owner.is_some(), kinds, pattern.as_deref());
    }
    if kinds.written && kinds.directories && pattern.is_none() {
        reader.note(
            Finding::portability(
                "appspec/object-itself",
                "without `pattern`, `object` itself changes too, which AWS's agent leaves as it is",
            ),
            &fields.place,
            "add `pattern: \"**\"` for what is beneath only, or set it in a hook for both engines",
        );
    }
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

fn pattern(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<String> {
    let pattern = reader.optional(fields, "pattern")?;
    if let Some(value) = fields.value("pattern")
        && (pattern.contains(['?', '[']) || pattern.contains('/'))
    {
        reader.warn(
            "appspec/pattern",
            value,
            format!("in `{pattern}` only `*` means anything: `?`, `[` and `/` are themselves, and a name has no `/`"),
            "write a pattern for one name, such as `\"*.sh\"`; `object` says where",
        );
    }
    Some(pattern)
}

fn except(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<String> {
    let except = list(reader, fields, "except");
    if let Some(value) = fields.value("except")
        && let Some(entry) = except.iter().find(|it| it.contains('/'))
    {
        reader.port(
            "appspec/except-path",
            value,
            format!("AWS's agent compares `except` with names only, so that `{entry}` excepts nothing there"),
            "write a name, and let `object` say where",
        );
    }
    except
}

/// What setuid and its like do to a whole tree, and what AWS's agent makes of them (D23).
fn special_bits(
    reader: &mut Reader<'_>,
    value: &Node,
    mode: Option<u32>,
    owner: bool,
    kinds: PermissionKinds,
    pattern: Option<&str>,
) {
    let Some(mode) = mode.filter(|mode| mode & 0o6000 != 0 && kinds.files) else { return };
    let name = if mode & 0o4000 != 0 { "setuid" } else { "setgid" };
    if pattern.is_none_or(|pattern| pattern == "**") && kinds.written {
        reader.warn(
            "appspec/special-bits",
            value,
            format!("`mode: {mode:o}` sets {name} on every file under `object`"),
            &format!("write `mode: {:03o}`, or name the one program that needs it", mode & 0o777),
        );
    }
    if owner {
        reader.port(
            "appspec/special-bits-lost",
            value,
            format!("AWS's agent sets the owner after the mode, which takes {name} away again"),
            "set the mode in an AfterInstall hook for both engines",
        );
    }
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
    if text.len() > 1 && text.starts_with('0') && !value.is_quoted() && text.bytes().all(|it| it.is_ascii_digit()) {
        let plain = text.trim_start_matches('0');
        let help = format!("write `mode: {plain}` or `mode: \"{text}\"`");
        let read = u32::from_str_radix(&text, 8).map_or_else(|_| "no number".to_owned(), |it| format!("decimal {it}"));
        let message = format!("`mode: {text}` has a leading zero without quotation marks, which YAML reads as {read}");
        return wrong(reader, message, &help);
    }
    if !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        let symbolic = text.contains(['+', '=', '-', 'r', 'w', 'x']);
        let message = format!("`mode` must be octal digits, and this is `{text}`");
        return wrong(reader, message, if symbolic { "write 755 or alike; symbolic modes are not known" } else { "" });
    }
    if !(1..=4).contains(&text.len()) {
        return wrong(reader, format!("`mode` must have 1 to 4 digits, and this is `{text}`"), "");
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
                    let help = nearest(other, &["file", "directory"]).map(|it| format!("did you mean `{it}`?"));
                    reader.error(
                        "appspec/type",
                        value,
                        format!("`type` knows file and directory, and this is `{other}`"),
                        &help.unwrap_or_default(),
                    );
                }
            }
        }
    }
    kinds
}

fn acls(reader: &mut Reader<'_>, fields: &Fields<'_>, kinds: PermissionKinds, mode: Option<u32>) -> Vec<String> {
    let acls = list(reader, fields, "acls");
    let Some(value) = fields.value("acls") else { return acls };
    if let Kind::List(items) = &value.kind {
        for item in items {
            if let Some(entry) = item.text().filter(|_| !item.is_blank()) {
                acl(reader, item, entry, kinds);
            }
        }
    }
    let named = acls.iter().find_map(|entry| named_rights(entry).map(|rights| (entry, rights)));
    let masked = acls.iter().any(|entry| entry.starts_with("m:") || entry.starts_with("mask:"));
    // R80: without a mask of its own, the mode's group digit is the most that a named entry gets.
    if let (Some((entry, rights)), Some(mode), false) = (named, mode, masked)
        && rights & !(mode >> 3) & 7 != 0
    {
        reader.warn(
            "appspec/acl-mask",
            value,
            format!(
                "`mode: {mode:o}` allows named entries no more than {:o}, so that `{entry}` is cut",
                (mode >> 3) & 7
            ),
            "add a mask such as `m::rw`, or give the mode's second digit what the entry needs",
        );
    }
    acls
}

/// The rights of an entry for a user or group of a name, as an octal digit.
fn named_rights(entry: &str) -> Option<u32> {
    let mut parts = entry.split(':');
    let (kind, name, rights) = (parts.next()?, parts.next()?, parts.next()?);
    let named = matches!(kind, "u" | "user" | "g" | "group") && !name.is_empty();
    let digit = |text: &str| {
        text.bytes()
            .map(|it| match it {
                b'r' => 4,
                b'w' => 2,
                b'x' => 1,
                _ => 0,
            })
            .fold(0, |a, b| a | b)
    };
    named.then(|| rights.parse().unwrap_or_else(|_| digit(rights)))
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
    if let Some((key, _)) = fields.pair("role") {
        reader.error("appspec/context-role", key, "`context` has a `role`, which neither engine sets", "remove it");
    }
    let known = fields.without("role");
    reader.unknown_keys(&known, &["user", "name", "type", "range"], "`context`");
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
    if let (Some(range), Some(value)) = (&range, fields.value("range"))
        && !is_range(range)
    {
        reader.error(
            "appspec/context-range",
            value,
            format!("`range` must look like s0 or s0-s1:c0.c3,c5, and this is `{range}`"),
            "write sensitivities from s0 to s15 and categories from c0 to c1023",
        );
    }
    let kind = reader.required(&fields, "type", "`context`")?;
    Some(SecurityContext { user, kind, range })
}

/// `s0`, `s0-s3`, with categories behind a colon: `c0.c3,c7` (R83).
fn is_range(text: &str) -> bool {
    let (levels, categories) = text.split_once(':').map_or((text, None), |(levels, rest)| (levels, Some(rest)));
    let number = |text: &str, letter: char, most: u16| {
        text.strip_prefix(letter)
            .filter(|digits| digits.bytes().all(|it| it.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u16>().ok())
            .is_some_and(|it| it <= most)
    };
    let category = |text: &str| match text.split_once('.') {
        Some((from, to)) => number(from, 'c', 1023) && number(to, 'c', 1023),
        None => number(text, 'c', 1023),
    };
    let level = |text: &str| number(text, 's', 15);
    let levels = match levels.split_once('-') {
        Some((low, high)) => level(low) && level(high),
        None => level(levels),
    };
    levels && categories.is_none_or(|it| it.split(',').all(category))
}
