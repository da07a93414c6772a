//! Lambda and ECS in the CodeDeploy world: what their revisions must be, their lifecycles, and their one target each.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::operations::seconds;
use super::state::{Application, Deployment, Refusal};

const LAMBDA: [&str; 3] = ["BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"];
const ECS: [&str; 8] = [
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "AllowTestTraffic",
    "AfterAllowTestTraffic",
    "BeforeAllowTraffic",
    "AllowTraffic",
    "AfterAllowTraffic",
];

/// The events of a platform without servers.
pub(super) fn lifecycle(platform: &str) -> Option<&'static [&'static str]> {
    match platform {
        "Lambda" => Some(&LAMBDA),
        "ECS" => Some(&ECS),
        _ => None,
    }
}

/// Whether a revision is one that the application's platform takes.
pub(super) fn check_revision(application: &Application, revision: &Value) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new("InvalidRevisionException", text));
    let platform = application.platform.as_str();
    match (revision["revisionType"].as_str(), platform) {
        (Some("AppSpecContent"), "Lambda" | "ECS") => check_content(platform, &revision["appSpecContent"]),
        (Some("S3"), "Server") => match revision["s3Location"]["bundleType"].as_str() {
            Some("tar" | "tgz" | "zip") => Ok(()),
            other => refused(format!("bundleType {other:?} is not for servers")),
        },
        (Some("GitHub"), "Server") => {
            let commit = revision["gitHubLocation"]["commitId"].as_str().unwrap_or_default();
            if commit.len() != 40 || !commit.bytes().all(|it| it.is_ascii_hexdigit()) {
                return refused(format!("The commit ID {commit} is not valid"));
            }
            if !application.linked_to_github {
                let text = "The GitHub account token is not valid";
                return Err(Refusal::new("InvalidGitHubAccountTokenException", text));
            }
            Ok(())
        }
        (kind, platform) => refused(format!("a revision of the type {kind:?} is not for the platform {platform}")),
    }
}

/// The AppSpec must be what its digest says, and hold what its platform needs.
fn check_content(platform: &str, sent: &Value) -> Result<(), Refusal> {
    let refused = |text: String| Err(Refusal::new("InvalidRevisionException", text));
    let content = sent["content"].as_str().unwrap_or_default();
    let digest = hex::encode(Sha256::digest(content.as_bytes()));
    if sent["sha256"].as_str() != Some(digest.as_str()) {
        return refused(format!("The SHA256 {} is not that of the content, {digest}", sent["sha256"]));
    }
    let Some(appspec) = parse(content) else { return refused("The AppSpec is neither JSON nor YAML".into()) };
    let resources = at(&appspec, &["resources"]).as_array().map(Vec::as_slice).unwrap_or_default();
    let [resource] = resources else { return refused(format!("{} resources, where there is one", resources.len())) };
    let Some(resource) = resource.as_object().and_then(|it| it.values().next()) else {
        return refused("The resource has no name".into());
    };
    let kind = at(resource, &["type"]).as_str().unwrap_or_default();
    let needed: &[&[&str]] = match (platform, kind) {
        ("Lambda", "AWS::Lambda::Function") => &[&["name"], &["alias"], &["currentversion"], &["targetversion"]],
        ("ECS", "AWS::ECS::Service") => {
            &[&["taskdefinition"], &["loadbalancerinfo", "containername"], &["loadbalancerinfo", "containerport"]]
        }
        _ => return refused(format!("The resource type {kind} is not for the platform {platform}")),
    };
    let properties = at(resource, &["properties"]);
    for path in needed {
        let value = at(properties, path);
        let is_port = path.last() == Some(&"containerport");
        if value.is_null() || value == "" || is_port && !value.is_u64() {
            return refused(format!("The property {path:?} is missing or no such value: {value}"));
        }
    }
    let version = at(&appspec, &["version"]);
    if version.as_f64() == Some(0.0) || version == "0.0" {
        return Ok(());
    }
    refused(format!("The version {version} is not known"))
}

/// A value under keys in whatever case.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, wanted| {
        let found = value.as_object().and_then(|map| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)));
        found.map_or(&Value::Null, |(_, value)| value)
    })
}

fn parse(content: &str) -> Option<Value> {
    serde_json::from_str(content).ok().or_else(|| {
        let mut parser = Parser::new_from_str(content);
        loop {
            let event = parser.next_event()?.ok()?.0;
            if !matches!(event, Event::StreamStart | Event::DocumentStart(_)) {
                return yaml(event, &mut parser);
            }
        }
    })
}

/// One YAML value of the kinds that AppSpecs have.
fn yaml(event: Event<'_>, parser: &mut Parser<'_, saphyr_parser::StrInput<'_>>) -> Option<Value> {
    if let Event::Scalar(text, style, ..) = event {
        let number = serde_json::from_str(&text).ok().filter(|_| style == ScalarStyle::Plain);
        return Some(number.unwrap_or_else(|| Value::String(text.into_owned())));
    }
    if matches!(event, Event::SequenceStart(..)) {
        let mut items = vec![];
        loop {
            let next = parser.next_event()?.ok()?.0;
            if matches!(next, Event::SequenceEnd) {
                return Some(Value::Array(items));
            }
            items.push(yaml(next, parser)?);
        }
    }
    if !matches!(event, Event::MappingStart(..)) {
        return None;
    }
    let mut map = Map::new();
    loop {
        let Event::Scalar(key, ..) = parser.next_event()?.ok()?.0 else { return Some(Value::Object(map)) };
        let value = parser.next_event()?.ok()?.0;
        map.insert(key.into_owned(), yaml(value, parser)?);
    }
}

impl Deployment {
    /// What it deploys to: instances, or the one function or service.
    pub(super) fn targets(&self) -> Vec<String> {
        match self.platform.as_str() {
            "Lambda" => vec![self.property("name").as_str().unwrap_or("function").to_owned()],
            "ECS" => vec![format!("cluster:{}", self.group)],
            _ => match &self.fleet {
                Some(fleet) => fleet.instances.iter().map(|it| it.id.clone()).collect(),
                None => self.scenario.instances.clone(),
            },
        }
    }

    /// A property of the one resource of its AppSpec.
    fn property(&self, name: &str) -> Value {
        let content = self.input["revision"]["appSpecContent"]["content"].as_str().and_then(parse).unwrap_or_default();
        let resource = at(&content, &["resources"])[0].as_object().and_then(|it| it.values().next()).cloned();
        at(&resource.unwrap_or_default(), &["properties", name]).clone()
    }

    /// How many percent of the traffic have moved.
    fn traffic(&self) -> f64 {
        let course = self.course();
        let Some(first) = course.iter().position(|at| self.lifecycle()[*at] == "AllowTraffic") else { return 0.0 };
        match self.position() {
            Some(now) if now >= first && !self.is_waiting() => {
                let shifts = &self.scenario.shifts;
                shifts.get(now - first).or(shifts.last()).copied().unwrap_or(100.0)
            }
            Some(_) | None => 0.0,
        }
    }
}

/// The target of a deployment to Lambda or ECS, as `BatchGetDeploymentTargets` tells it. Lambda's weight counts to 1 here
/// and ECS's to 100, since it is not documented which it is.
pub(super) fn target(it: &Deployment, id: &str, events: Vec<Value>) -> Option<Value> {
    let traffic = it.traffic();
    let common = json!({
        "deploymentId": it.id, "targetId": id, "status": it.instance_status(id), "lastUpdatedAt": seconds(it),
        "lifecycleEvents": events,
    });
    let with = |more: Value| {
        let (mut all, Value::Object(more)) = (common.clone(), more) else { return Value::Null };
        all.as_object_mut().expect("it is an object").extend(more);
        all
    };
    Some(match it.platform.as_str() {
        "Lambda" => {
            let target = with(json!({
                "targetArn": format!("arn:aws:lambda:eu-west-1:123456789012:function:{id}"),
                "lambdaFunctionInfo": {
                    "functionName": id, "functionAlias": it.property("alias"),
                    "currentVersion": it.property("currentversion"), "targetVersion": it.property("targetversion"),
                    "targetVersionWeight": traffic / 100.0,
                },
            }));
            json!({ "deploymentTargetType": "LambdaTarget", "lambdaTarget": target })
        }
        "ECS" => {
            let tasks = |label: &str, status: &str, weight: f64| {
                json!({
                    // Misspelt on the wire.
                    "identifer": format!("ecs-svc/{label}"), "desiredCount": 3, "pendingCount": 0, "runningCount": 3,
                    "status": status, "trafficWeight": weight, "targetGroup": { "name": format!("tasks-{label}") },
                    "taskSetLabel": label,
                })
            };
            let target = with(json!({
                "targetArn": format!("arn:aws:ecs:eu-west-1:123456789012:service/{id}"),
                "taskSetsInfo": [tasks("Blue", "PRIMARY", 100.0 - traffic), tasks("Green", "ACTIVE", traffic)],
            }));
            json!({ "deploymentTargetType": "ECSTarget", "ecsTarget": target })
        }
        _ => return None,
    })
}
