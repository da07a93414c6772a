//! The options of `CreateDeployment` in the CodeDeploy world: what the service refuses, and what follows from them.

use serde_json::{Value, json};

use super::operations::{required, texts};
use super::state::{Deployment, Group, Refusal, State};

/// CodeDeploy's own deployment configurations, without the prefix that all have.
const OWN: [(&str, &[&str]); 3] = [
    ("Server", &["OneAtATime", "HalfAtATime", "AllAtOnce"]),
    (
        "Lambda",
        &[
            "LambdaAllAtOnce",
            "LambdaCanary10Percent5Minutes",
            "LambdaCanary10Percent10Minutes",
            "LambdaCanary10Percent15Minutes",
            "LambdaCanary10Percent30Minutes",
            "LambdaLinear10PercentEvery1Minute",
            "LambdaLinear10PercentEvery2Minutes",
            "LambdaLinear10PercentEvery3Minutes",
            "LambdaLinear10PercentEvery10Minutes",
        ],
    ),
    (
        "ECS",
        &[
            "ECSAllAtOnce",
            "ECSCanary10Percent5Minutes",
            "ECSCanary10Percent15Minutes",
            "ECSLinear10PercentEvery1Minutes",
            "ECSLinear10PercentEvery3Minutes",
        ],
    ),
];
const PREFIX: &str = "CodeDeployDefault.";

/// What has to stay healthy: as the name says for our own (`keep-95-percent`), and for CodeDeploy's what AWS documents.
fn minimum(name: &str) -> Value {
    let percent = name.strip_prefix("keep-").and_then(|it| it.strip_suffix("-percent")).and_then(|it| it.parse().ok());
    let (kind, value): (&str, u64) = match (percent, name.strip_prefix(PREFIX)) {
        (Some(percent), _) => ("FLEET_PERCENT", percent),
        (None, Some("HalfAtATime")) => ("FLEET_PERCENT", 50),
        (None, Some("OneAtATime")) => ("MOST_CONCURRENCY", 1),
        (None, _) => ("HOST_COUNT", 0),
    };
    json!({ "type": kind, "value": value })
}

/// What deployments of a group have that name no configuration of their own.
pub(super) fn usual_config(platform: &str, group: &Group) -> String {
    let own = group.input["deploymentConfigName"].as_str().map(str::to_owned);
    own.unwrap_or_else(|| match platform {
        "Lambda" => format!("{PREFIX}LambdaAllAtOnce"),
        "ECS" => format!("{PREFIX}ECSAllAtOnce"),
        _ => format!("{PREFIX}OneAtATime"),
    })
}

impl State {
    /// The names of all deployment configurations.
    pub(super) fn deployment_configs(&self) -> Vec<String> {
        let own = OWN.iter().flat_map(|(_, names)| names.iter().map(|name| format!("{PREFIX}{name}")));
        own.chain(self.configs.keys().cloned()).collect()
    }

    fn platform_of_config(&self, name: &str) -> Result<String, Refusal> {
        let bare = name.strip_prefix(PREFIX);
        let own = OWN.iter().find(|(_, names)| bare.is_some_and(|bare| names.contains(&bare)));
        let found = own.map(|(platform, _)| (*platform).to_owned()).or_else(|| self.configs.get(name).cloned());
        found.ok_or_else(|| {
            let text = format!("No Deployment Configuration found for name: {name}");
            Refusal::new("DeploymentConfigDoesNotExistException", text)
        })
    }

    pub(super) fn create_deployment_config(&mut self, input: &Value) -> Result<Value, Refusal> {
        let name = required(input, "deploymentConfigName", "DeploymentConfigNameRequiredException")?;
        let platform = input["computePlatform"].as_str().unwrap_or("Server");
        self.configs.insert(name.to_owned(), platform.to_owned());
        Ok(json!({ "deploymentConfigId": format!("config-{name}") }))
    }

    pub(super) fn get_deployment_config(&self, input: &Value) -> Result<Value, Refusal> {
        let name = required(input, "deploymentConfigName", "DeploymentConfigNameRequiredException")?;
        let platform = self.platform_of_config(name)?;
        Ok(json!({ "deploymentConfigInfo": {
            "deploymentConfigId": format!("config-{name}"), "deploymentConfigName": name, "createTime": 1.5,
            "computePlatform": platform, "minimumHealthyHosts": minimum(name),
        } }))
    }

    /// What a restart starts anew: the revision of the group's last success (row 35).
    pub(super) fn restarted(&self, application: &str, group: &str, input: &Value) -> Result<Option<Value>, Refusal> {
        let kept = &self.applications[application];
        let refused = |name, text: &str| Err(Refusal::new(name, text));
        match input["deploymentMode"].as_str() {
            None | Some("STANDARD") => return Ok(None),
            Some("RESTART") => {}
            Some(_) => return refused("InvalidInputException", "There is no such deployment mode"),
        }
        if kept.platform != "Server" || kept.groups[group].blue_green {
            return refused("InvalidComputePlatformException", "RESTART is for in-place deployments of servers");
        }
        if input.get("revision").is_some() {
            return refused("InvalidRevisionException", "A revision must not be given with RESTART");
        }
        if input["updateOutdatedInstancesOnly"] == true {
            return refused("InvalidUpdateOutdatedInstancesOnlyValueException", "It must be false with RESTART");
        }
        let brought = |it: &&Deployment| it.application == application && it.group == group && it.brought_something();
        let last = self.deployments.iter().rev().find(brought).map(|it| it.input["revision"].clone());
        last.map_or_else(
            || refused("RevisionRequiredException", "No deployment of the group succeeded"),
            |it| Ok(Some(it)),
        )
    }

    /// Refuses what the service refuses.
    pub(super) fn check_options(&self, application: &str, group: &str, input: &Value) -> Result<(), Refusal> {
        let kept = &self.applications[application];
        let (platform, on_servers) = (kept.platform.as_str(), kept.platform == "Server");
        let refuse = |refuses: bool, name, text: &str| if refuses { Err(Refusal::new(name, text)) } else { Ok(()) };
        if let Some(name) = input["deploymentConfigName"].as_str() {
            let of = self.platform_of_config(name)?;
            let text = format!("The deployment configuration {name} is for {of}, not for {platform}");
            refuse(of != platform, "InvalidComputePlatformException", &text)?;
        }
        let set = |name: &str| input[name] == true;
        let name = "InvalidIgnoreApplicationStopFailuresValueException";
        refuse(set("ignoreApplicationStopFailures") && !on_servers, name, "It must be false on this platform")?;
        let name = "InvalidUpdateOutdatedInstancesOnlyValueException";
        refuse(set("updateOutdatedInstancesOnly") && !on_servers, name, "It must be false on this platform")?;
        let behavior = &input["fileExistsBehavior"];
        let known = behavior.is_null() || matches!(behavior.as_str(), Some("DISALLOW" | "OVERWRITE" | "RETAIN"));
        let is_fit = known && (behavior.is_null() || on_servers);
        refuse(!is_fit, "InvalidFileExistsBehaviorException", "The file exists behavior is not valid")?;
        check_rollback(&input["autoRollbackConfiguration"])?;
        check_alarms(&input["overrideAlarmConfiguration"])?;
        check_processes(&input["ec2DeploymentOptions"], on_servers)?;
        let blue_green = on_servers && kept.groups[group].blue_green;
        check_instances(&input["targetInstances"], blue_green)
    }
}

impl Deployment {
    fn brought_something(&self) -> bool {
        self.status() == "Succeeded" && self.input.get("revision").is_some()
    }
}

fn check_rollback(sent: &Value) -> Result<(), Refusal> {
    let refused = |text: &str| Err(Refusal::new("InvalidAutoRollbackConfigException", text));
    const KNOWN: [&str; 3] = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"];
    let events = texts(&sent["events"]);
    match sent["enabled"].as_bool() {
        Some(true) if events.is_empty() => refused("It is enabled, and names no event"),
        _ if events.iter().any(|it| !KNOWN.contains(&it.as_str())) => refused("It names an event that is none"),
        Some(_) | None => Ok(()),
    }
}

fn check_alarms(sent: &Value) -> Result<(), Refusal> {
    let alarms = sent["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    if alarms.len() > 10 {
        return Err(Refusal::new("AlarmsLimitExceededException", "The maximum number of alarms is 10"));
    }
    let unnamed = alarms.iter().any(|it| it["name"].as_str().is_none_or(str::is_empty));
    if unnamed || sent["enabled"] == true && alarms.is_empty() {
        return Err(Refusal::new("InvalidAlarmConfigException", "It is enabled, and names no alarm"));
    }
    Ok(())
}

fn check_processes(sent: &Value, on_servers: bool) -> Result<(), Refusal> {
    const KNOWN: [&str; 4] = ["Terminate", "AZRebalance", "InstanceRefresh", "ScheduledActions"];
    let processes = texts(&sent["autoScalingGroupProcessesToSuspend"]);
    if processes.iter().any(|it| !KNOWN.contains(&it.as_str())) {
        let text = "The process to suspend is not valid";
        return Err(Refusal::new("InvalidAutoScalingGroupProcessToSuspendException", text));
    }
    if !processes.is_empty() && !on_servers {
        return Err(Refusal::new("InvalidComputePlatformException", "EC2 options are for servers"));
    }
    Ok(())
}

fn check_instances(sent: &Value, blue_green: bool) -> Result<(), Refusal> {
    if sent.is_null() {
        return Ok(());
    }
    let refused = |text: &str| Err(Refusal::new("InvalidTargetInstancesException", text));
    let groups = sent["ec2TagSet"]["ec2TagSetList"].as_array().map(Vec::as_slice).unwrap_or_default();
    let filters = sent["tagFilters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all: Vec<&Value> = filters.iter().chain(groups.iter().filter_map(Value::as_array).flatten()).collect();
    let fits = |it: &&Value| match it["Type"].as_str() {
        Some("KEY_AND_VALUE") => it["Key"].is_string() && it["Value"].is_string(),
        Some("KEY_ONLY") => it["Key"].is_string() && it["Value"].is_null(),
        Some("VALUE_ONLY") => it["Key"].is_null() && it["Value"].is_string(),
        Some(_) | None => false,
    };
    match () {
        () if !blue_green => refused("The deployment group is not for replacement instances"),
        () if !groups.is_empty() && !filters.is_empty() => refused("Tag filters and a tag set at once"),
        () if groups.len() > 3 => refused("A tag set holds at most 3 groups"),
        () if !all.iter().all(fits) => refused("A tag filter is not valid"),
        () if all.is_empty() && texts(&sent["autoScalingGroups"]).is_empty() => refused("It names no instances"),
        () => Ok(()),
    }
}

/// The events on which a deployment is rolled back: its own, or its group's.
pub(super) fn rolls_back_on(it: &Deployment, group: &Group) -> Vec<String> {
    let own = &it.input["autoRollbackConfiguration"];
    match own["enabled"].as_bool() {
        Some(true) => texts(&own["events"]),
        Some(false) => vec![],
        None if group.rolls_back => vec!["DEPLOYMENT_FAILURE".to_owned()],
        None => vec![],
    }
}
