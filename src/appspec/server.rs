//! Reads a server AppSpec: `version`, `os`, `files` and `hooks`. It never looks into a bundle.

use std::time::Duration;

use super::permissions;
use super::reader::{Fields, Reader, nearest};
use super::spec::{FileMapping, Hook, Os, RESERVED_EVENTS, SCRIPTED_EVENTS, Script, ServerSpec, in_bundle};
use super::yaml::Node;
use crate::domain::{FileExists, Finding};

const TOP: [&str; 6] = ["version", "os", "files", "file_exists_behavior", "permissions", "hooks"];
/// All scripts of one event together may take this long (R44, D20).
const EVENT_SECONDS: u64 = 3600;

/// Reads the whole; nothing where not even `os` is known.
pub(super) fn read(reader: &mut Reader<'_>, top: &Fields<'_>, events: &[String]) -> Option<ServerSpec> {
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
    let hooks = section(reader, top, "hooks").map_or_else(Vec::new, |node| hooks(reader, node, windows, events));
    Some(ServerSpec { os: os?, files, file_exists_behavior: behavior, permissions, hooks })
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
        let known = Fields {
            pairs: fields.pairs.iter().copied().filter(|(k, _)| k.text() != Some("file_exists_behavior")).collect(),
            place: fields.place.clone(),
        };
        reader.unknown_keys(&known, &["source", "destination"], &of);
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
        let source = source(reader, &fields, &of);
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
    matches!(&item.kind, super::yaml::Kind::Map(pairs) if pairs.len() == 1 && pairs[0].0.text() == Some(key))
}

fn source(reader: &mut Reader<'_>, fields: &Fields<'_>, of: &str) -> Option<String> {
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
    Some(source)
}

fn escapes(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| part == "..")
}

fn destination(reader: &mut Reader<'_>, fields: &Fields<'_>, text: String, windows: bool) -> Option<String> {
    let value = fields.value("destination")?;
    let drive = text.len() > 2 && text.as_bytes()[0].is_ascii_alphabetic() && text[1..].starts_with(":\\");
    if windows && drive {
        return Some(text);
    }
    if windows || !text.starts_with('/') {
        let help = if windows { "write a full path such as `c:\\inetpub`" } else { "begin it with a `/`" };
        reader.error("appspec/relative-destination", value, format!("`destination` is not absolute: `{text}`"), help);
        return None;
    }
    if text.split('/').any(|part| matches!(part, "." | "..")) {
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
    if in_bundle(source).is_empty() && matches!(directory, "" | "/etc" | "/usr" | "/home" | "/var") {
        reader.warn(
            "appspec/broad-destination",
            item,
            format!("the whole bundle goes straight into `{destination}`"),
            "copy into a directory of its own",
        );
    }
}

fn hooks(reader: &mut Reader<'_>, node: &Node, windows: bool, events: &[String]) -> Vec<Hook> {
    let Some(fields) = reader.fields(
        node,
        "`hooks`",
        "name the event first, its scripts under it; the other is the Lambda and ECS form",
    ) else {
        return Vec::new();
    };
    let mut hooks = Vec::new();
    for (key, value) in &fields.pairs {
        let event = key.text().unwrap_or_default();
        if !event_name(reader, key, event, events) {
            continue;
        }
        if value.is_blank() {
            reader.warn("appspec/blank", key, format!("`{event}` is blank"), "remove it, or give it scripts");
            continue;
        }
        let scripts = scripts(reader, value, event, windows);
        hooks.push(Hook { event: event.to_owned(), scripts, place: key.place.clone() });
    }
    hooks
}

fn event_name(reader: &mut Reader<'_>, key: &Node, event: &str, events: &[String]) -> bool {
    if SCRIPTED_EVENTS.contains(&event) || events.iter().any(|it| it == event) {
        return true;
    }
    if RESERVED_EVENTS.contains(&event) {
        reader.error(
            "appspec/reserved-event",
            key,
            format!("`{event}` belongs to the engine and has no scripts"),
            "use the event before or after it, such as `BeforeInstall` or `AfterInstall`",
        );
    } else if event == "AfterAllowTestTraffic" {
        reader.error(
            "appspec/unknown-event",
            key,
            "`AfterAllowTestTraffic` is for ECS only",
            "use `AfterAllowTraffic`",
        );
    } else {
        let help = match nearest(event, &SCRIPTED_EVENTS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the events are {}", SCRIPTED_EVENTS.join(", ")),
        };
        reader.error("appspec/unknown-event", key, format!("`{event}` is no lifecycle event"), &help);
    }
    false
}

fn scripts(reader: &mut Reader<'_>, node: &Node, event: &str, windows: bool) -> Vec<Script> {
    let items = reader.items(node, &format!("`{event}`"), "write `- location: …` under it");
    let mut scripts = Vec::new();
    let mut seconds = 0;
    for (index, item) in items.iter().enumerate() {
        let of = format!("script {} of `{event}`", index + 1);
        let Some(fields) = reader.fields(item, &of, "write `- location: …`") else { continue };
        reader.unknown_keys(&fields, &["location", "timeout", "runas", "sudo"], &of);
        if index > 0 && fields.pair("location").is_none() && !fields.pairs.is_empty() {
            let (key, _) = fields.pairs[0];
            reader.error(
                "appspec/torn-item",
                key,
                format!("this `- {}` begins a script of its own, without a `location`", key.text().unwrap_or_default()),
                "replace the dash by a space",
            );
            continue;
        }
        if let Some((key, _)) = fields.pair("sudo") {
            reader.warn("appspec/sudo", key, "`sudo` is not documented", "use `runas: root`");
        }
        let timeout = fields.pair("timeout").and_then(|(key, value)| timeout(reader, key, value));
        seconds += timeout.map_or(0, |it| it.as_secs());
        let runas = reader.optional(&fields, "runas");
        if let (true, Some((key, _))) = (windows, fields.pair("runas")) {
            reader.error("appspec/linux-only", key, "`runas` works on Linux only", "remove it");
        }
        let Some(location) = location(reader, &fields, &of) else { continue };
        let place = fields.value("location").map_or_else(|| item.place.clone(), |it| it.place.clone());
        scripts.push(Script { location, timeout, runas, place });
    }
    if seconds > EVENT_SECONDS {
        reader.error(
            "appspec/timeout",
            node,
            format!("the timeouts of `{event}` add up to {seconds} s, and one event may take {EVENT_SECONDS} s"),
            "shorten them",
        );
    }
    scripts
}

fn location(reader: &mut Reader<'_>, fields: &Fields<'_>, of: &str) -> Option<String> {
    let location = reader.required(fields, "location", of)?;
    let value = fields.value("location")?;
    if escapes(&location) || in_bundle(&location).is_empty() {
        reader.error("appspec/escape", value, format!("`{location}` is no file of the bundle"), "name a script of it");
        return None;
    }
    if location.contains(char::is_whitespace) {
        let system = ["/bin/", "/sbin/", "/usr/"].iter().any(|it| location.starts_with(it));
        if system || !location.contains(['/', '.', '\\']) {
            reader.error(
                "appspec/command",
                value,
                format!("`{location}` is a command, and `location` names a script of the bundle"),
                "put the command into a script",
            );
            return None;
        }
        reader.port("appspec/space", value, "AWS's agent cuts a location at its first space", "rename the script");
    }
    Some(location)
}

fn timeout(reader: &mut Reader<'_>, key: &Node, value: &Node) -> Option<Duration> {
    if value.is_blank() {
        reader.warn("appspec/blank", key, "`timeout` is blank", "remove it, or give it a value");
        return None;
    }
    let text = reader.text(value, "timeout")?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    match text.parse::<u64>().ok().filter(|seconds| plain && (1..=EVENT_SECONDS).contains(seconds)) {
        Some(seconds) => {
            if value.is_quoted() {
                reader.warn("appspec/quoted", value, "`timeout` is in quotation marks", "remove them");
            }
            Some(Duration::from_secs(seconds))
        }
        None => {
            reader.error(
                "appspec/timeout",
                value,
                format!("`timeout` must be whole seconds from 1 to {EVENT_SECONDS}, and this is `{text}`"),
                "write plain digits",
            );
            None
        }
    }
}
