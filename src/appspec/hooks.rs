//! Reads the `hooks` of a server AppSpec: which scripts run when, for how long, and as whom. It never looks for them.

use std::time::Duration;

use super::reader::{Fields, Reader, nearest};
use super::server::escapes;
use super::spec::{Hook, RESERVED_EVENTS, SCRIPTED_EVENTS, Script, in_bundle};
use super::yaml::Node;
use crate::domain::Finding;

/// Users that most systems give no shell.
const USERS_WITHOUT_SHELL: [&str; 13] =
    ["apache", "bin", "daemon", "ftp", "games", "http", "mail", "mysql", "nginx", "nobody", "redis", "sys", "www-data"];
/// All scripts of one event together may take this long (R44, D20).
const EVENT_SECONDS: u64 = 3600;

/// Reads all events.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, windows: bool, events: &[String]) -> Vec<Hook> {
    let hooks = all(reader, node, windows, events);
    traffic_hooks(reader, &hooks);
    hooks
}

/// D26: without a load balancer these events do not happen.
fn traffic_hooks(reader: &mut Reader<'_>, hooks: &[Hook]) {
    let Some(hook) = hooks.iter().find(|hook| hook.event.ends_with("Traffic")) else { return };
    reader.note(
        Finding::warning(
            "appspec/traffic-hooks",
            format!("`{}` happens only where a load balancer is in use, so its scripts may never run", hook.event),
        ),
        &hook.place,
        "use `ApplicationStop` and `ValidateService` for what must run without one",
    );
}

fn all(reader: &mut Reader<'_>, node: &Node, windows: bool, events: &[String]) -> Vec<Hook> {
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
    } else if ["location", "timeout", "runas"].contains(&event) {
        reader.error(
            "appspec/torn-item",
            key,
            format!("`{event}` stands beside the lifecycle events"),
            "indent it like the `location` that it belongs to",
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
        if let (Some(user), Some(value)) = (&runas, fields.value("runas"))
            && USERS_WITHOUT_SHELL.contains(&user.as_str())
        {
            reader.port(
                "appspec/runas-shell",
                value,
                format!("AWS's agent needs a login shell for `{user}`, which usually has none"),
                "leave it for the host engine; for AWS's agent, give the user a shell",
            );
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
