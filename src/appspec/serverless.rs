//! Reads AppSpecs for Lambda and ECS: the one resource and its hooks. It never asks AWS whether what they name exists.

use super::reader::{Fields, Reader};
use super::spec::{AppSpec, LambdaSpec};
use super::yaml::Node;
use super::{ecs, reader::nearest};
use crate::domain::Finding;

const LAMBDA: &str = "AWS::Lambda::Function";
const ECS: &str = "AWS::ECS::Service";
const LAMBDA_EVENTS: [&str; 2] = ["BeforeAllowTraffic", "AfterAllowTraffic"];
const ECS_EVENTS: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];
/// Events of both platforms that have no hooks.
const OWN_EVENTS: [&str; 6] = ["Start", "Install", "TestTraffic", "AllowTestTraffic", "AllowTraffic", "End"];
/// AWS's limited roles invoke no functions of other names.
const HOOK_PREFIX: &str = "CodeDeployHook_";

/// Reads the one resource of `resources`.
pub(super) fn read(reader: &mut Reader<'_>, top: &Fields<'_>, resources: &Node) -> Option<AppSpec> {
    known_keys(reader, top, &["version", "Resources", "Hooks"], "an AppSpec for Lambda or ECS");
    version(reader, top);
    let items = reader.items(resources, "`Resources`", "write `- TargetService:` or `- NAME:` under it");
    let item = match items {
        [item] => item,
        [_, second, ..] => {
            reader.error("appspec/resources", second, "a second resource: one AppSpec deploys one", "remove it");
            return None;
        }
        [] => {
            reader.error("appspec/resources", resources, "`Resources` holds nothing", "add the function or service");
            return None;
        }
    };
    let fields = reader.fields(item, "a resource", "write its name, and its `Type` and `Properties` under it")?;
    let Some((name, body)) = fields.pairs.first().copied() else {
        reader.error("appspec/resources", item, "the resource holds nothing", "write its name, and `Type` under it");
        return None;
    };
    if let Some((key, _)) = fields.pairs.get(1) {
        let (key_name, of) = (key.text().unwrap_or_default(), name.text().unwrap_or_default());
        let (message, help) =
            if body.is_blank() || ["Type", "Properties"].iter().any(|it| it.eq_ignore_ascii_case(key_name)) {
                (format!("`{key_name}` stands beside `{of}`"), format!("indent it, so that it stands under `{of}`"))
            } else {
                ("a second resource: one AppSpec deploys one".to_owned(), "remove it".to_owned())
            };
        reader.error("appspec/resources", key, message, &help);
        return None;
    }
    resource(reader, top, name, body)
}

fn resource(reader: &mut Reader<'_>, top: &Fields<'_>, name: &Node, body: &Node) -> Option<AppSpec> {
    let resource = reader.fields(body, "a resource", "write `Type` and `Properties` under its name")?;
    known_keys(reader, &resource, &["Type", "Properties"], "a resource");
    let kind = text_of(reader, &resource, "Type", "the resource");
    let properties = match resource.pair_in_any_case("Properties") {
        Some((_, value)) => reader.fields(value, "`Properties`", "write its keys under it"),
        None => {
            reader.error("appspec/missing", name, "the resource has no `Properties`", "add them under its name");
            None
        }
    };
    match kind?.as_str() {
        LAMBDA => lambda(reader, top, &properties?),
        ECS => {
            if name.text() != Some("TargetService") {
                reader.warn(
                    "appspec/resources",
                    name,
                    format!(
                        "the service is called `{}`, and AWS documents `TargetService`",
                        name.text().unwrap_or_default()
                    ),
                    "write `TargetService`",
                );
            }
            let properties = properties?;
            let service = ecs::read(reader, &properties);
            let hooks = hooks(reader, top, &ECS_EVENTS);
            service.map(|spec| AppSpec::Ecs(super::EcsSpec { hooks, ..spec }))
        }
        other => {
            let help = match nearest(other, &[LAMBDA, ECS]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write `{LAMBDA}` or `{ECS}`"),
            };
            let at = resource.pair_in_any_case("Type").map_or(name, |(_, value)| value);
            reader.error("appspec/resources", at, format!("`{other}` is no type of resource that is deployed"), &help);
            None
        }
    }
}

fn version(reader: &mut Reader<'_>, top: &Fields<'_>) {
    match top.pair_in_any_case("version") {
        None => {
            reader.note(Finding::error("appspec/version", "there is no `version`"), &top.place, "add `version: 0.0`")
        }
        Some((key, value)) if value.is_blank() => {
            reader.error("appspec/version", key, "`version` is blank", "write `version: 0.0`");
        }
        Some((_, value)) if value.text() == Some("0.0") => {}
        Some((_, value)) => {
            let written = value.text().unwrap_or(value.form());
            let message = format!("`version` must be 0.0, and this is `{written}`");
            reader.error("appspec/version", value, message, "write `version: 0.0`");
        }
    }
}

/// Errors for keys that are none of `known` but nearly, warnings for the others; and for one key in two cases.
pub(super) fn known_keys(reader: &mut Reader<'_>, fields: &Fields<'_>, known: &[&str], of: &str) {
    let mut seen: Vec<String> = Vec::new();
    for (key, _) in &fields.pairs {
        let name = key.text().unwrap_or_default();
        if known.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            let lower = name.to_ascii_lowercase();
            if seen.contains(&lower) {
                reader.error(
                    "appspec/duplicate-key",
                    key,
                    format!("`{name}` stands here twice, in two cases"),
                    "leave one",
                );
            }
            seen.push(lower);
        } else if let Some(meant) = nearest(name, known) {
            let message = format!("unknown key `{name}` in {of}");
            reader.error("appspec/unknown-key", key, message, &format!("did you mean `{meant}`?"));
        } else {
            let help = format!("remove it: {of} knows {}", known.join(", "));
            reader.warn("appspec/unknown-key", key, format!("unknown key `{name}` in {of}"), &help);
        }
    }
}

/// The text of a required key, in any case.
pub(super) fn text_of(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, of: &str) -> Option<String> {
    let name = fields.pair_in_any_case(key).and_then(|(name, _)| name.text()).unwrap_or(key);
    reader.required(fields, name, of)
}

/// The text of an optional key, in any case.
pub(super) fn optional_of(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let (name, _) = fields.pair_in_any_case(key)?;
    reader.optional(fields, name.text().unwrap_or(key))
}

fn lambda(reader: &mut Reader<'_>, top: &Fields<'_>, properties: &Fields<'_>) -> Option<AppSpec> {
    known_keys(reader, properties, &["Name", "Alias", "CurrentVersion", "TargetVersion"], "`Properties`");
    let function = text_of(reader, properties, "Name", "the function");
    let alias = text_of(reader, properties, "Alias", "the function");
    let current = optional_of(reader, properties, "CurrentVersion");
    let target = text_of(reader, properties, "TargetVersion", "the function");
    for (key, version) in [("CurrentVersion", &current), ("TargetVersion", &target)] {
        if let (Some(version), Some((_, value))) = (version, properties.pair_in_any_case(key))
            && !(version.bytes().all(|it| it.is_ascii_digit()) && version.parse::<u64>().is_ok_and(|it| it > 0))
        {
            reader.error(
                "appspec/function-version",
                value,
                format!("`{key}` must be a positive whole number, and this is `{version}`"),
                "write the number of a published version, which an alias can point to",
            );
        }
    }
    if let (None, Some((name, _))) = (&current, properties.pairs.first()) {
        reader.warn(
            "appspec/function-version",
            name,
            "there is no `CurrentVersion`",
            "name the version that serves now",
        );
    } else if let (true, Some((_, value))) = (current == target, properties.pair_in_any_case("TargetVersion")) {
        reader.warn(
            "appspec/function-version",
            value,
            "`TargetVersion` is `CurrentVersion`, so that nothing would change",
            "write the version that shall serve",
        );
    }
    let hooks = hooks(reader, top, &LAMBDA_EVENTS);
    Some(AppSpec::Lambda(LambdaSpec {
        function: function?,
        alias: alias?,
        current_version: current,
        target_version: target?,
        hooks,
    }))
}

fn hooks(reader: &mut Reader<'_>, top: &Fields<'_>, known: &[&str]) -> Vec<(String, String)> {
    let Some((key, value)) = top.pair_in_any_case("hooks") else { return Vec::new() };
    if value.is_blank() {
        reader.warn("appspec/blank", key, "`Hooks` is blank", "remove it, or fill it");
        return Vec::new();
    }
    let mut hooks: Vec<(String, String)> = Vec::new();
    for item in reader.items(value, "`Hooks`", "write `- EVENT: FUNCTION` under it") {
        let Some(fields) = reader.fields(item, "a hook", "write `- EVENT: FUNCTION`") else { continue };
        for (name, function) in &fields.pairs {
            let event = name.text().unwrap_or_default();
            if !known.contains(&event) {
                unknown_event(reader, name, event, known);
            } else if hooks.iter().any(|(seen, _)| seen == event) {
                reader.error("appspec/duplicate-key", name, format!("`{event}` has two hooks"), "leave one");
            } else if function.is_blank() {
                reader.error(
                    "appspec/missing",
                    name,
                    format!("`{event}` names no function"),
                    "give it a name or an ARN",
                );
            } else if let Some(function_name) = reader.text(function, event) {
                check_function(reader, function, &function_name);
                hooks.push((event.to_owned(), function_name));
            }
        }
    }
    hooks
}

fn unknown_event(reader: &mut Reader<'_>, name: &Node, event: &str, known: &[&str]) {
    let help = match nearest(event, known).filter(|_| !OWN_EVENTS.contains(&event)) {
        Some(meant) => format!("did you mean `{meant}`? The events here are {}", known.join(", ")),
        None => format!("the events here are {}", known.join(", ")),
    };
    if OWN_EVENTS.contains(&event) {
        reader.error("appspec/reserved-event", name, format!("`{event}` belongs to CodeDeploy and has no hook"), &help);
    } else {
        reader.error("appspec/unknown-event", name, format!("`{event}` is no event with a hook here"), &help);
    }
}

fn check_function(reader: &mut Reader<'_>, at: &Node, function: &str) {
    let own =
        |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    let name = match function.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "lambda", _, _, "function", name] | ["arn", _, "lambda", _, _, "function", name, _] => *name,
        [name] | [name, _] => *name,
        _ => "",
    };
    if !own(name) {
        reader.error(
            "appspec/function",
            at,
            format!("`{function}` is neither a function's name nor its ARN"),
            "write a name, or `arn:aws:lambda:REGION:ACCOUNT:function:NAME`",
        );
    } else if !name.starts_with(HOOK_PREFIX) {
        reader.warn(
            "appspec/function-name",
            at,
            format!(
                "`{name}` does not begin with `{HOOK_PREFIX}`, and CodeDeploy's own roles invoke only such functions"
            ),
            "rename it, or allow the service role to invoke it",
        );
    }
}
