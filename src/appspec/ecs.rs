//! Reads the properties of an ECS service. It never asks whether containers or subnets are there.

use super::reader::{Fields, Reader};
use super::serverless::{known_keys, optional_of, text_of};
use super::spec::EcsSpec;
use super::yaml::Node;

const PROPERTIES: [&str; 5] =
    ["TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy"];
const NETWORK: [&str; 3] = ["Subnets", "SecurityGroups", "AssignPublicIp"];

/// Reads them; the hooks are added by who reads those.
pub(super) fn read(reader: &mut Reader<'_>, properties: &Fields<'_>) -> Option<EcsSpec> {
    known_keys(reader, properties, &PROPERTIES, "`Properties`");
    let task = text_of(reader, properties, "TaskDefinition", "the service");
    if let (Some(arn), Some((_, value))) = (&task, properties.pair_in_any_case("TaskDefinition"))
        && !is_task_definition(arn)
    {
        reader.error(
            "appspec/task-definition",
            value,
            format!("`{arn}` is no task definition's ARN"),
            "write `arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION`",
        );
    }
    if let (Some(arn), Some((_, value))) = (&task, properties.pair_in_any_case("TaskDefinition"))
        && is_task_definition(arn)
        && arn.rsplit('/').next().is_some_and(|family| !family.contains(':'))
    {
        reader.warn(
            "appspec/task-definition",
            value,
            "the task definition has no revision, so that the newest active one is taken, whichever it is by then",
            "write `…:REVISION` for one that stays the same, also when it is rolled back to",
        );
    }
    let _ = optional_of(reader, properties, "PlatformVersion");
    network(reader, properties);
    capacity(reader, properties);
    let balancer = match properties.pair_in_any_case("LoadBalancerInfo") {
        Some((_, value)) if !value.is_blank() => {
            reader.fields(value, "`LoadBalancerInfo`", "write `ContainerName` and `ContainerPort` under it")?
        }
        _ => {
            text_of(reader, properties, "LoadBalancerInfo", "the service")?;
            return None;
        }
    };
    known_keys(reader, &balancer, &["ContainerName", "ContainerPort"], "`LoadBalancerInfo`");
    let container = text_of(reader, &balancer, "ContainerName", "`LoadBalancerInfo`");
    let port = port(reader, &balancer);
    Some(EcsSpec { task_definition: task?, container_name: container?, container_port: port?, hooks: Vec::new() })
}

fn is_task_definition(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "ecs", region, account, rest] = parts[..] else { return false };
    let Some(family) = rest.strip_prefix("task-definition/") else { return false };
    let (family, revision) = family.split_once(':').map_or((family, None), |(family, rest)| (family, Some(rest)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let named = !family.is_empty() && family.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    partition.starts_with("aws") && !region.is_empty() && digits(account) && named && revision.is_none_or(digits)
}

fn port(reader: &mut Reader<'_>, balancer: &Fields<'_>) -> Option<u16> {
    let port = text_of(reader, balancer, "ContainerPort", "`LoadBalancerInfo`")?;
    let (_, value) = balancer.pair_in_any_case("ContainerPort")?;
    let number = port.parse::<u16>().ok().filter(|it| *it > 0 && port.bytes().all(|byte| byte.is_ascii_digit()));
    if number.is_none() {
        reader.error(
            "appspec/container-port",
            value,
            format!("`ContainerPort` must be a number from 1 to 65535, and this is `{port}`"),
            "write the port that the container listens on",
        );
    } else if value.is_quoted() {
        reader.warn("appspec/quoted", value, "`ContainerPort` must be a number", "remove the quotation marks");
    }
    number
}

fn network(reader: &mut Reader<'_>, properties: &Fields<'_>) {
    let Some((_, value)) = properties.pair_in_any_case("NetworkConfiguration") else { return };
    let Some(fields) = reader.fields(value, "`NetworkConfiguration`", "write `AwsVpcConfiguration` under it") else {
        return;
    };
    known_keys(reader, &fields, &["AwsVpcConfiguration"], "`NetworkConfiguration`");
    let Some((_, value)) = fields.pair_in_any_case("AwsVpcConfiguration") else { return };
    let Some(vpc) = reader.fields(value, "`AwsVpcConfiguration`", "write its keys under it") else { return };
    known_keys(reader, &vpc, &NETWORK, "`AwsVpcConfiguration`");
    for key in NETWORK {
        match vpc.pair_in_any_case(key) {
            None => reader.error(
                "appspec/network",
                value,
                format!("`AwsVpcConfiguration` has no `{key}`"),
                "give Subnets, SecurityGroups and AssignPublicIp, or none of them",
            ),
            Some((_, value)) if key == "AssignPublicIp" => public_ip(reader, value),
            Some((_, value)) => {
                let items = reader.items(value, &format!("`{key}`"), "write a list of ids, such as `[subnet-1]`");
                for item in items.iter().filter(|item| item.is_blank() || item.text().is_none()) {
                    reader.error(
                        "appspec/network",
                        item,
                        format!("an item of `{key}` is {}", item.form()),
                        "write an id",
                    );
                }
                if matches!(&value.kind, super::yaml::Kind::List(items) if items.is_empty()) {
                    reader.error("appspec/network", value, format!("`{key}` holds nothing"), "name at least one");
                }
            }
        }
    }
}

fn public_ip(reader: &mut Reader<'_>, value: &Node) {
    if !matches!(value.text(), Some("ENABLED" | "DISABLED")) {
        reader.error(
            "appspec/network",
            value,
            format!(
                "`AssignPublicIp` must be ENABLED or DISABLED, and this is `{}`",
                value.text().unwrap_or(value.form())
            ),
            "write one of the two, in capitals",
        );
    }
}

fn capacity(reader: &mut Reader<'_>, properties: &Fields<'_>) {
    let Some((_, value)) = properties.pair_in_any_case("CapacityProviderStrategy") else { return };
    let items = reader.items(value, "`CapacityProviderStrategy`", "write `- CapacityProvider: NAME` under it");
    let (mut bases, mut weights) = (0, 0);
    for item in items {
        let Some(fields) = reader.fields(item, "a capacity provider", "write `CapacityProvider`, `Base` and `Weight`")
        else {
            continue;
        };
        known_keys(reader, &fields, &["CapacityProvider", "Base", "Weight"], "a capacity provider");
        let _ = text_of(reader, &fields, "CapacityProvider", "a capacity provider");
        for key in ["Base", "Weight"] {
            let Some(text) = optional_of(reader, &fields, key) else { continue };
            match (text.parse::<u32>(), fields.pair_in_any_case(key)) {
                (Ok(number), _) if key == "Weight" => weights += u64::from(number),
                // Nothing is the default, and AWS's own example writes it beside another provider's.
                (Ok(number), _) if number > 0 => bases += 1,
                (Ok(_), _) | (Err(_), None) => {}
                (Err(_), Some((_, value))) => {
                    let message = format!("`{key}` must be a whole number, and this is `{text}`");
                    reader.error("appspec/capacity", value, message, "write plain digits");
                }
            }
        }
    }
    if bases > 1 {
        reader.error("appspec/capacity", value, format!("{bases} providers have a `Base`"), "leave it to one");
    }
    if items.len() > 1 && weights == 0 {
        reader.error("appspec/capacity", value, "no provider has a `Weight` above 0", "give one a weight");
    }
}
