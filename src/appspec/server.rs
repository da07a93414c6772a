//! Reads a server AppSpec: `version`, `os` and `files`, and has the rest read. It never looks into a bundle.

use super::reader::{Fields, Reader, nearest};
use super::spec::{FileMapping, Os, Permission, RESERVED_EVENTS, SCRIPTED_EVENTS, ServerSpec, in_bundle};
use super::yaml::{Kind, Node};
use super::{hooks, permissions, style};
use crate::domain::{FileExists, Finding};

const TOP: [&str; 6] = ["version", "os", "files", "file_exists_behavior", "permissions", "hooks"];
/// Directories that belong to the system, in which a whole bundle is lost.
const SYSTEM_DIRECTORIES: [&str; 14] =
    ["", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/root", "/sbin", "/srv", "/tmp", "/usr", "/var"];

/// Reads the whole; nothing where not even `os` is known.
pub(super) fn read(reader: &mut Reader<'_>, top: &Fields<'_>, events: &[String], json: bool) -> Option<ServerSpec> {
    if !json {
        style::look_over(reader, top);
    }
    misplaced_events(reader, top);
    let rest: Vec<_> = top.pairs.iter().copied().filter(|(key, _)| !is_event(key)).collect();
    reader.unknown_keys(&Fields { pairs: rest, place: top.place.clone() }, &TOP, "a server AppSpec");
    version(reader, top);
    let os = os(reader, top);
    let windows = os == Some(Os::Windows);
    let files = section(reader, top, "files").map_or_else(Vec::new, |node| files(reader, node, windows));
    let behavior = top.pair("file_exists_behavior").and_then(|(_, value)| file_exists(reader, value));
    let permissions = section(reader, top, "permissions").map_or_else(Vec::new, |node| {
        if windows {
            reader.error("appspec/linux-only", node, "`permissions` works on Linux only", "remove the section");
        }
        permissions::read(reader, node)
    });
    unmatched_objects(reader, &permissions, &files);
    let hooks = section(reader, top, "hooks").map_or_else(Vec::new, |node| hooks::read(reader, node, windows, events));
    Some(ServerSpec { os: os?, files, file_exists_behavior: behavior, permissions, hooks })
}

/// Permissions are for what `files` installs; an object that is neither in a destination nor above one matches nothing
/// (R72, R73).
fn unmatched_objects(reader: &mut Reader<'_>, permissions: &[Permission], files: &[FileMapping]) {
    let below = |path: &str, above: &str| {
        let above = above.trim_end_matches('/');
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for permission in permissions {
        let object = permission.object.trim_end_matches('/');
        let touched = |file: &FileMapping| below(object, &file.destination) || below(&file.destination, object);
        // Where an item could not be read, it may be the one.
        if !files.iter().any(touched) && !reader.findings.refuse() {
            reader.note(
                Finding::warning(
                    "appspec/unmatched-object",
                    format!("no `files` item installs anything at `{}`, so nothing of it changes", permission.object),
                ),
                &permission.place,
                "name a path that is installed; what lies there already keeps its owner and mode",
            );
        }
    }
}

fn is_event(key: &Node) -> bool {
    let name = key.text().unwrap_or_default();
    !TOP.contains(&name) && (SCRIPTED_EVENTS.contains(&name) || RESERVED_EVENTS.contains(&name))
}

fn misplaced_events(reader: &mut Reader<'_>, top: &Fields<'_>) {
    for (key, _) in top.pairs.iter().filter(|(key, _)| is_event(key)) {
        reader.error(
            "appspec/event-outside-hooks",
            key,
            format!("`{}` stands outside `hooks`, so nothing of it would run", key.text().unwrap_or_default()),
            "indent it, and what belongs to it, by 2 spaces under `hooks:`",
        );
    }
}

fn version(reader: &mut Reader<'_>, top: &Fields<'_>) {
    let Some((key, value)) = top.pair("version") else {
        reader.note(Finding::error("appspec/version", "there is no `version`"), &top.place, "add `version: 0.0`");
        return;
    };
    match value.text() {
        Some("0.0") if value.is_quoted() => reader.port(
            "appspec/version",
            value,
            "`version` is in quotation marks, which AWS's agent refuses",
            "write `version: 0.0`",
        ),
        Some("0.0") => {}
        _ if value.is_blank() => reader.error("appspec/version", key, "`version` is blank", "write `version: 0.0`"),
        other => reader.error(
            "appspec/version",
            value,
            format!("`version` must be 0.0, and this is `{}`", other.unwrap_or(value.form())),
            "write `version: 0.0`",
        ),
    }
}

fn os(reader: &mut Reader<'_>, top: &Fields<'_>) -> Option<Os> {
    let Some((key, value)) = top.pair("os") else {
        reader.note(Finding::error("appspec/os", "there is no `os`"), &top.place, "add `os: linux`");
        return None;
    };
    match value.text().map(str::trim) {
        Some("linux") => Some(Os::Linux),
        Some("windows") => Some(Os::Windows),
        _ if value.is_blank() => {
            reader.error("appspec/os", key, "`os` is blank", "write `os: linux`");
            None
        }
        other => {
            let written = other.unwrap_or(value.form());
            let help = match nearest(written, &["linux", "windows"]) {
                Some(meant) => format!("write `os: {meant}`"),
                None => "write `os: linux` or `os: windows`".to_owned(),
            };
            reader.error("appspec/os", value, format!("`os` must be linux or windows, and this is `{written}`"), &help);
            None
        }
    }
}

/// The value of a section; a blank one is a warning and empty (D11).
fn section<'n>(reader: &mut Reader<'_>, top: &Fields<'n>, key: &str) -> Option<&'n Node> {
    let (name, value) = top.pair(key)?;
    if value.is_blank() {
        reader.warn("appspec/blank", name, format!("`{key}` is blank"), "remove it, or fill it");
        return None;
    }
    Some(value)
}

fn file_exists(reader: &mut Reader<'_>, value: &Node) -> Option<FileExists> {
    let text = reader.text(value, "file_exists_behavior")?;
    let behavior = match text.as_str() {
        "DISALLOW" => FileExists::Disallow,
        "OVERWRITE" => FileExists::Overwrite,
        "RETAIN" => FileExists::Retain,
        other => {
            let upper = other.to_uppercase();
            let help = match nearest(&upper, &["DISALLOW", "OVERWRITE", "RETAIN"]) {
                Some(meant) => format!("write `file_exists_behavior: {meant}`"),
                None => String::new(),
            };
            reader.error(
                "appspec/file-exists-behavior",
                value,
                format!("`file_exists_behavior` must be DISALLOW, OVERWRITE or RETAIN, and this is `{other}`"),
                &help,
            );
            return None;
        }
    };
    Some(behavior)
}

fn files(reader: &mut Reader<'_>, node: &Node, windows: bool) -> Vec<FileMapping> {
    let items = reader.items(node, "`files`", "write `- source: …` and, under it, `destination: …`");
    let mut files = Vec::new();
    let mut lone: Option<&Node> = None;
    for (index, item) in items.iter().enumerate() {
        let of = format!("item {} of `files`", index + 1);
        let Some(fields) = reader.fields(item, &of, "write `source: …` and `destination: …`") else { continue };
        if let Some((key, _)) = fields.pair("file_exists_behavior") {
            reader.error(
                "appspec/file-exists-behavior",
                key,
                "`file_exists_behavior` stands inside an item of `files`, where AWS's agent passes over it",
                "move it to the beginning of a line: it is for all files",
            );
        }
        reader.unknown_keys(&fields.without("file_exists_behavior"), &["source", "destination"], &of);
        if fields.pair("source").is_none()
            && let (Some(before), Some((key, _))) = (lone.take(), fields.pair("destination"))
        {
            reader.error(
                "appspec/torn-item",
                key,
                format!(
                    "this `- destination` begins an item of its own, apart from the source in line {}",
                    before.place.line
                ),
                "replace the dash by a space",
            );
            continue;
        }
        let next_is_rest = items.get(index + 1).is_some_and(|next| is_lone(next, "destination"));
        if is_lone(item, "source") && next_is_rest {
            lone = Some(item);
            continue;
        }
        let source = source(reader, &fields, &of, windows);
        let destination =
            reader.required(&fields, "destination", &of).and_then(|it| destination(reader, &fields, it, windows));
        if let (Some(source), Some(destination)) = (source, destination) {
            whole_onto_system(reader, item, &source, &destination);
            files.push(FileMapping { source, destination, place: item.place.clone() });
        }
    }
    files
}

/// Whether an item holds one key only.
fn is_lone(item: &Node, key: &str) -> bool {
    matches!(&item.kind, Kind::Map(pairs) if pairs.len() == 1 && pairs[0].0.text() == Some(key))
}

fn source(reader: &mut Reader<'_>, fields: &Fields<'_>, of: &str, windows: bool) -> Option<String> {
    if let Some((_, value)) = fields.pair("source")
        && value.is_quoted()
        && value.text() == Some("")
    {
        reader.warn("appspec/blank", value, "an empty `source` is the whole bundle", "write `source: /`");
        return Some("/".into());
    }
    let source = reader.required(fields, "source", of)?;
    let value = fields.value("source")?;
    if source.contains('*') {
        reader.error(
            "appspec/wildcard",
            value,
            format!("`source` knows no wildcards, and this is `{source}`"),
            "name a file or a directory; leave files out when bundling, with `exclude`",
        );
        return None;
    }
    if escapes(&source) {
        reader.error("appspec/escape", value, format!("`{source}` leaves the bundle"), "remove the `..`");
        return None;
    }
    if !windows && source.contains('\\') {
        reader.warn(
            "appspec/backslash",
            value,
            format!("`{source}` has a backslash, which is a letter of the name on Linux"),
            "write `/` between directories",
        );
    }
    Some(source)
}

/// Whether a path of the bundle leads out of it, by its letters.
pub(super) fn escapes(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| part == "..")
}

fn destination(reader: &mut Reader<'_>, fields: &Fields<'_>, text: String, windows: bool) -> Option<String> {
    let value = fields.value("destination")?;
    let is_on_drive = matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let (is_full, separators): (_, &[char]) =
        if windows { (is_on_drive, &['/', '\\']) } else { (text.starts_with('/'), &['/']) };
    if !is_full {
        let help = match text.chars().next() {
            _ if windows => "write a full path such as `c:\\inetpub`",
            Some('~' | '$') => "write the whole path: nothing expands `~` or variables here",
            _ => "begin it with a `/`",
        };
        reader.error("appspec/relative-destination", value, format!("`destination` is not absolute: `{text}`"), help);
        return None;
    }
    if text.split(separators).any(|part| matches!(part, "." | "..")) {
        reader.error(
            "appspec/destination",
            value,
            format!("`destination` has `.` or `..` in it: `{text}`"),
            "write the path without them",
        );
        return None;
    }
    Some(text)
}

fn whole_onto_system(reader: &mut Reader<'_>, item: &Node, source: &str, destination: &str) {
    let directory = destination.trim_end_matches('/');
    if !in_bundle(source).is_empty() {
        return;
    }
    if SYSTEM_DIRECTORIES.contains(&directory) {
        reader.warn(
            "appspec/broad-destination",
            item,
            format!("the whole bundle goes straight into `{destination}`"),
            "copy into a directory of its own",
        );
    }
}
