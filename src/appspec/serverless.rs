//! Reads AppSpecs for Lambda and ECS: the one resource and its hooks. CodeDeploy itself checks the rest.

use super::reader::{Fields, Reader, nearest};
use super::spec::{AppSpec, EcsSpec, LambdaSpec};
use super::yaml::Node;

const LAMBDA: &str = "AWS::Lambda::Function";
const ECS: &str = "AWS::ECS::Service";
const LAMBDA_EVENTS: [&str; 2] = ["BeforeAllowTraffic", "AfterAllowTraffic"];
const ECS_EVENTS: [&str; 5] =
    ["BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic"];

/// Reads the one resource of `resources`.
pub(super) fn read(reader: &mut Reader<'_>, top: &Fields<'_>, resources: &Node) -> Option<AppSpec> {
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
    let (name, body) = *fields.pairs.first()?;
    if body.is_blank() && fields.pairs.len() > 1 {
        let (key, _) = fields.pairs[1];
        reader.error(
            "appspec/resources",
            key,
            format!("`{}` stands beside `{}`", key.text().unwrap_or_default(), name.text().unwrap_or_default()),
            "indent it so that it stands under it",
        );
        return None;
    }
    let resource = reader.fields(body, "a resource", "write `Type` and `Properties` under its name")?;
    let kind = text_of(reader, &resource, "Type", "the resource")?;
    let (_, properties) = resource.pair_in_any_case("Properties").or_else(|| {
        reader.error("appspec/missing", name, "the resource has no `Properties`", "add them");
        None
    })?;
    let properties = reader.fields(properties, "`Properties`", "")?;
    match kind.as_str() {
        LAMBDA => lambda(reader, top, &properties),
        ECS => ecs(reader, top, &properties),
        other => {
            let help = nearest(other, &[LAMBDA, ECS]).map(|it| format!("did you mean `{it}`?")).unwrap_or_default();
            reader.error(
                "appspec/resources",
                name,
                format!("`{other}` is no type of resource that is deployed"),
                &help,
            );
            None
        }
    }
}

fn version(reader: &mut Reader<'_>, top: &Fields<'_>) {
    if let Some(text) = text_of(reader, top, "version", "the AppSpec").filter(|text| text != "0.0")
        && let Some((_, value)) = top.pair_in_any_case("version")
    {
        reader.error("appspec/version", value, format!("`version` must be 0.0, and this is `{text}`"), "");
    }
}

fn text_of(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, of: &str) -> Option<String> {
    match fields.pair_in_any_case(key) {
        Some((name, _)) => reader.required(fields, name.text().unwrap_or(key), of),
        None => reader.required(fields, key, of),
    }
}

fn optional_of(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let (name, _) = fields.pair_in_any_case(key)?;
    reader.optional(fields, name.text().unwrap_or(key))
}

fn lambda(reader: &mut Reader<'_>, top: &Fields<'_>, properties: &Fields<'_>) -> Option<AppSpec> {
    let function = text_of(reader, properties, "Name", "the function");
    let alias = text_of(reader, properties, "Alias", "the function");
    let current = optional_of(reader, properties, "CurrentVersion");
    let target = text_of(reader, properties, "TargetVersion", "the function");
    for (key, version) in [("CurrentVersion", &current), ("TargetVersion", &target)] {
        if let (Some(version), Some((_, value))) = (version, properties.pair_in_any_case(key))
            && !version.parse::<u64>().is_ok_and(|it| it > 0)
        {
            reader.error(
                "appspec/function-version",
                value,
                format!("`{key}` must be a positive whole number, and this is `{version}`"),
                "",
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
        reader.warn("appspec/function-version", value, "`TargetVersion` is `CurrentVersion`", "");
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

fn ecs(reader: &mut Reader<'_>, top: &Fields<'_>, properties: &Fields<'_>) -> Option<AppSpec> {
    let task = text_of(reader, properties, "TaskDefinition", "the service");
    if let (Some(arn), Some((_, value))) = (&task, properties.pair_in_any_case("TaskDefinition")) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let fits = matches!(parts[..], ["arn", _, "ecs", _, account, rest]
            if !account.is_empty() && rest.starts_with("task-definition/"));
        if !fits {
            reader.error(
                "appspec/task-definition",
                value,
                format!("`{arn}` is no task definition's ARN"),
                "write `arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION`",
            );
        }
    }
    network(reader, properties);
    capacity(reader, properties);
    let balancer = properties.pair_in_any_case("LoadBalancerInfo").map(|(_, value)| value);
    let balancer = match balancer {
        Some(value) => reader.fields(value, "`LoadBalancerInfo`", ""),
        None => {
            let _ = text_of(reader, properties, "LoadBalancerInfo", "the service");
            None
        }
    };
    let hooks = hooks(reader, top, &ECS_EVENTS);
    let balancer = balancer?;
    let container = text_of(reader, &balancer, "ContainerName", "`LoadBalancerInfo`");
    let port = text_of(reader, &balancer, "ContainerPort", "`LoadBalancerInfo`")?;
    let (_, value) = balancer.pair_in_any_case("ContainerPort")?;
    if value.is_quoted() {
        reader.warn("appspec/quoted", value, "`ContainerPort` must be a number", "remove the quotation marks");
    }
    let port = port.parse::<u16>().ok().filter(|port| *port > 0);
    if port.is_none() {
        reader.error("appspec/container-port", value, "`ContainerPort` must be a number from 1 to 65535", "");
    }
    Some(AppSpec::Ecs(EcsSpec { task_definition: task?, container_name: container?, container_port: port?, hooks }))
}

fn network(reader: &mut Reader<'_>, properties: &Fields<'_>) {
    let Some((_, value)) = properties.pair_in_any_case("NetworkConfiguration") else { return };
    let Some(fields) = reader.fields(value, "`NetworkConfiguration`", "") else { return };
    let Some((_, value)) = fields.pair_in_any_case("AwsVpcConfiguration") else { return };
    let Some(vpc) = reader.fields(value, "`AwsVpcConfiguration`", "") else { return };
    for key in ["Subnets", "SecurityGroups", "AssignPublicIp"] {
        if vpc.pair_in_any_case(key).is_none() {
            reader.error(
                "appspec/network",
                value,
                format!("`AwsVpcConfiguration` has no `{key}`"),
                "give Subnets, SecurityGroups and AssignPublicIp, or none of them",
            );
        }
    }
}

fn capacity(reader: &mut Reader<'_>, properties: &Fields<'_>) {
    let Some((_, value)) = properties.pair_in_any_case("CapacityProviderStrategy") else { return };
    let items = reader.items(value, "`CapacityProviderStrategy`", "");
    let (mut bases, mut weights) = (0, 0);
    for item in items {
        let Some(fields) = reader.fields(item, "a capacity provider", "") else { continue };
        bases += u32::from(fields.pair_in_any_case("Base").is_some());
        let weight = optional_of(reader, &fields, "Weight").and_then(|it| it.parse::<u64>().ok());
        weights += weight.unwrap_or(0);
    }
    if bases > 1 {
        reader.error("appspec/capacity", value, format!("{bases} providers have a `Base`"), "leave it to one");
    }
    if items.len() > 1 && weights == 0 {
        reader.error("appspec/capacity", value, "no provider has a `Weight` above 0", "give one a weight");
    }
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
                let help = format!("the events here are {}", known.join(", "));
                reader.error("appspec/unknown-event", name, format!("`{event}` is no event with a hook here"), &help);
            } else if hooks.iter().any(|(seen, _)| seen == event) {
                reader.error("appspec/duplicate-key", name, format!("`{event}` has two hooks"), "leave one");
            } else if let Some(function) = reader.text(function, event).filter(|it| !it.is_empty()) {
                hooks.push((event.to_owned(), function));
            }
        }
    }
    hooks
}
