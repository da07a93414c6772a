//! The CodeDeploy world's operations: JSON in, JSON out, the service's own exceptions.

use serde_json::{Map, Value, json};

use super::fleet::Fleet;
use super::state::{Deployment, Group, Refusal, State};
use super::{options, serverless};

type Answer = Result<Value, Refusal>;

/// How many targets a page of their list holds. The service does not say how many its own hold.
const TARGETS_A_PAGE: usize = 40;

impl State {
    pub(super) fn act(&mut self, operation: &str, input: &Value) -> Answer {
        match operation {
            "CreateApplication" => self.create_application(input),
            "CreateDeploymentGroup" => self.create_deployment_group(input),
            "GetApplication" => self.get_application(input),
            "GetDeploymentGroup" => self.get_deployment_group(input),
            "ListApplications" => Ok(json!({ "applications": self.applications.keys().collect::<Vec<_>>() })),
            "ListDeploymentGroups" => self.list_deployment_groups(input),
            "RegisterApplicationRevision" => self.register_application_revision(input),
            "CreateDeployment" => self.create_deployment(input),
            "GetDeployment" => self.get_deployment(input),
            "BatchGetDeployments" => self.batch_get_deployments(input),
            "ListDeployments" => self.list_deployments(input),
            "StopDeployment" => self.stop_deployment(input),
            "ContinueDeployment" => self.continue_deployment(input),
            "ListDeploymentTargets" => self.list_deployment_targets(input),
            "CreateDeploymentConfig" => self.create_deployment_config(input),
            "GetDeploymentConfig" => self.get_deployment_config(input),
            "ListDeploymentConfigs" => Ok(json!({ "deploymentConfigsList": self.deployment_configs() })),
            "BatchGetDeploymentTargets" => self.batch_get_deployment_targets(input),
            other => Err(Refusal::new("UnknownOperationException", format!("this world has no {other}"))),
        }
    }

    fn create_application(&mut self, input: &Value) -> Answer {
        let name = required(input, "applicationName", "ApplicationNameRequiredException")?;
        if self.applications.contains_key(name) {
            return Err(Refusal::new(
                "ApplicationAlreadyExistsException",
                format!("Application already exists with name: {name}"),
            ));
        }
        self.add_application(name, input["computePlatform"].as_str().unwrap_or("Server"));
        Ok(json!({ "applicationId": format!("application-{name}") }))
    }

    fn create_deployment_group(&mut self, input: &Value) -> Answer {
        let application = self.application_of(input)?;
        let group = required(input, "deploymentGroupName", "DeploymentGroupNameRequiredException")?;
        required(input, "serviceRoleArn", "RoleRequiredException")?;
        if self.applications[&application].groups.contains_key(group) {
            let text = format!("Deployment group already exists with name: {group}");
            return Err(Refusal::new("DeploymentGroupAlreadyExistsException", text));
        }
        self.add_group(&application, group);
        if input["autoRollbackConfiguration"]["enabled"] == true {
            self.roll_back(&application, group, 2);
        }
        let made = self.applications.get_mut(&application).and_then(|it| it.groups.get_mut(group));
        made.expect("it was just made").input = input.clone();
        Ok(json!({ "deploymentGroupId": format!("group-{group}") }))
    }

    fn get_application(&mut self, input: &Value) -> Answer {
        let name = self.application_of(input)?;
        let kept = &self.applications[&name];
        Ok(json!({ "application": {
            "applicationId": format!("application-{name}"), "applicationName": name,
            "computePlatform": kept.platform, "createTime": 1.5, "linkedToGitHub": kept.linked_to_github,
        } }))
    }

    fn get_deployment_group(&mut self, input: &Value) -> Answer {
        let (application, group) = self.group_of(input)?;
        let kept = &self.applications[&application];
        let last = |wanted: &dyn Fn(&Deployment) -> bool| {
            let of_group = |it: &&Deployment| it.application == application && it.group == group && wanted(it);
            self.deployments
                .iter()
                .rev()
                .find(of_group)
                .map(|it| json!({ "deploymentId": it.id, "status": it.status(), "createTime": seconds(it) }))
        };
        let mut info = json!({
            "applicationName": application, "deploymentGroupName": group,
            "deploymentGroupId": format!("group-{group}"), "computePlatform": kept.platform,
            "deploymentConfigName": options::usual_config(&kept.platform, &kept.groups[&group]),
            "autoRollbackConfiguration": rollback(kept.groups[&group].rolls_back),
            "deploymentStyle": style(&kept.platform, &kept.groups[&group]),
        });
        let role = kept.groups[&group].input["serviceRoleArn"].as_str();
        info["serviceRoleArn"] = role.unwrap_or("arn:aws:iam::123456789012:role/CodeDeployServiceRole").into();
        for name in ["ec2TagFilters", "ec2TagSet", "loadBalancerInfo", "ecsServices", "alarmConfiguration"] {
            if let Some(value) = kept.groups[&group].input.get(name) {
                info[name] = value.clone();
            }
        }
        if let Some(last) = last(&|_| true) {
            info["lastAttemptedDeployment"] = last;
        }
        if let Some(last) = last(&|it| it.status() == "Succeeded") {
            info["lastSuccessfulDeployment"] = last;
        }
        Ok(json!({ "deploymentGroupInfo": info }))
    }

    fn list_deployment_groups(&mut self, input: &Value) -> Answer {
        let name = self.application_of(input)?;
        let groups: Vec<&String> = self.applications[&name].groups.keys().collect();
        Ok(json!({ "applicationName": name, "deploymentGroups": groups }))
    }

    fn register_application_revision(&mut self, input: &Value) -> Answer {
        let name = self.application_of(input)?;
        let revision = input.get("revision").ok_or_else(no_revision)?;
        description_fits(input)?;
        let description = input["description"].as_str().map(str::to_owned);
        let application = self.applications.get_mut(&name).expect("it was just looked up");
        serverless::check_revision(application, revision)?;
        application.revisions.push((revision.clone(), description));
        Ok(Value::Object(Map::new()))
    }

    fn create_deployment(&mut self, input: &Value) -> Answer {
        let (application, group) = self.group_of(input)?;
        let restarted = self.restarted(&application, &group, input)?;
        let revision = restarted.as_ref().or(input.get("revision")).ok_or_else(no_revision)?;
        let kept = &self.applications[&application];
        serverless::check_revision(kept, revision)?;
        description_fits(input)?;
        self.check_options(&application, &group, input)?;
        if self.wants_registered && !kept.revisions.iter().any(|(known, _)| known == revision) {
            return Err(Refusal::new("RevisionDoesNotExistException", "The revision does not exist"));
        }
        let active = |it: &&Deployment| it.application == application && it.group == group && it.is_active();
        if let Some(active) = self.deployments.iter().find(active) {
            let text = format!("The Deployment Group '{group}' already has an active Deployment '{}'", active.id);
            return Err(Refusal::new("DeploymentLimitExceededException", text));
        }
        let mut input = input.clone();
        if self.strips_descriptions {
            input["description"] = json!("stripped");
        }
        Ok(json!({ "deploymentId": self.create(&application, &group, "user", input) }))
    }

    fn get_deployment(&mut self, input: &Value) -> Answer {
        let id = self.deployment_of(input)?;
        self.look(&id);
        Ok(json!({ "deploymentInfo": self.info(&id) }))
    }

    fn batch_get_deployments(&mut self, input: &Value) -> Answer {
        let ids = texts(&input["deploymentIds"]);
        match ids.len() {
            0 => return Err(Refusal::new("DeploymentIdRequiredException", "At least one deployment ID is required")),
            26.. => return Err(Refusal::new("BatchLimitExceededException", "The maximum number is 25")),
            _ => {}
        }
        ids.iter().for_each(|id| {
            self.look(id);
        });
        let infos: Vec<Value> = ids.iter().filter_map(|id| self.info(id)).collect();
        Ok(json!({ "deploymentsInfo": infos }))
    }

    /// A page holds 10, newest first.
    fn list_deployments(&mut self, input: &Value) -> Answer {
        let of = match (input.get("applicationName"), input.get("deploymentGroupName")) {
            (None, None) => None,
            _ => Some(self.group_of(input)?),
        };
        let statuses = texts(&input["includeOnlyStatuses"]);
        let from = input["createTimeRange"]["start"].as_f64().unwrap_or(f64::MIN);
        let to = input["createTimeRange"]["end"].as_f64().unwrap_or(f64::MAX);
        let wanted = |it: &&Deployment| {
            of.as_ref().is_none_or(|(application, group)| it.application == *application && it.group == *group)
                && (statuses.is_empty() || statuses.iter().any(|status| status == it.status()))
                && (from..=to).contains(&seconds(it))
        };
        let ids: Vec<&String> = self.deployments.iter().rev().filter(wanted).map(|it| &it.id).collect();
        let skipped: usize = match input["nextToken"].as_str() {
            None => 0,
            Some(token) => token.parse().map_err(|_| bad_token())?,
        };
        let page: Vec<&&String> = ids.iter().skip(skipped).take(10).collect();
        let mut answer = json!({ "deployments": page });
        if skipped + page.len() < ids.len() {
            answer["nextToken"] = json!((skipped + page.len()).to_string());
        }
        Ok(answer)
    }

    fn stop_deployment(&mut self, input: &Value) -> Answer {
        let id = self.deployment_of(input)?;
        let it = self.deployments.iter_mut().find(|it| it.id == id).expect("it was just looked up");
        if !it.is_active() {
            return Err(Refusal::new(
                "DeploymentAlreadyCompletedException",
                format!("The deployment {id} is already completed"),
            ));
        }
        it.rollback_asked = input["autoRollbackEnabled"] == true;
        if it.scenario.stops_after > 0 {
            it.stops_in.get_or_insert(it.scenario.stops_after);
            return Ok(json!({ "status": "Pending", "statusMessage": "The stop is pending" }));
        }
        it.stop();
        Ok(json!({ "status": "Succeeded", "statusMessage": "No more commands will be scheduled for execution" }))
    }

    fn continue_deployment(&mut self, input: &Value) -> Answer {
        let id = self.deployment_of(input)?;
        let it = self.deployments.iter_mut().find(|it| it.id == id).expect("it was just looked up");
        let refusal = |name, text: &str| Err(Refusal::new(name, format!("The deployment {id} {text}")));
        let wait = input["deploymentWaitType"].as_str().unwrap_or("READY_WAIT");
        match wait {
            "READY_WAIT" if it.is_waiting() => it.go_on(),
            "TERMINATION_WAIT" if it.is_terminating() => it.finish(),
            "READY_WAIT" if it.is_active() => {
                return refusal("DeploymentIsNotInReadyStateException", "is not in the ready state");
            }
            "TERMINATION_WAIT" if it.is_active() => {
                return refusal("InvalidDeploymentStatusException", "does not wait for the end of instances");
            }
            "READY_WAIT" | "TERMINATION_WAIT" => {
                return refusal("DeploymentAlreadyCompletedException", "is already completed");
            }
            _ => return refusal("InvalidDeploymentWaitTypeException", "knows no such wait type"),
        }
        it.waits_ended.push(wait.to_owned());
        Ok(Value::Object(Map::new()))
    }

    fn list_deployment_targets(&mut self, input: &Value) -> Answer {
        let id = self.deployment_of(input)?;
        let it = self.started(&id)?;
        let statuses = texts(&input["targetFilters"]["TargetStatus"]);
        let wanted = |instance: &&String| {
            statuses.is_empty() || statuses.iter().any(|status| status == it.instance_status(instance))
        };
        let ids = it.targets();
        let ids: Vec<&String> = ids.iter().filter(wanted).collect();
        let skipped: usize = input["nextToken"].as_str().map_or(Ok(0), str::parse).map_err(|_| bad_token())?;
        let page: Vec<&&String> = ids.iter().skip(skipped).take(TARGETS_A_PAGE).collect();
        let mut answer = json!({ "targetIds": page });
        if skipped + page.len() < ids.len() {
            answer["nextToken"] = json!((skipped + page.len()).to_string());
        }
        Ok(answer)
    }

    fn batch_get_deployment_targets(&mut self, input: &Value) -> Answer {
        let id = self.deployment_of(input)?;
        let it = self.started(&id)?;
        let wanted = texts(&input["targetIds"]);
        if wanted.is_empty() {
            return Err(Refusal::new("DeploymentTargetIdRequiredException", "A deployment target ID was not provided"));
        }
        if wanted.len() > 25 {
            return Err(Refusal::new("DeploymentTargetListSizeExceededException", "The maximum number is 25"));
        }
        let (mut targets, known) = (Vec::new(), it.targets());
        for instance in wanted {
            if self.vanished.contains(&instance) || !known.contains(&instance) {
                let text = format!("The target {instance} does not exist");
                return Err(Refusal::new("DeploymentTargetDoesNotExistException", text));
            }
            if let Some(target) = serverless::target(it, &instance, events(it, &instance)) {
                targets.push(target);
                continue;
            }
            targets.push(json!({ "deploymentTargetType": "InstanceTarget", "instanceTarget": {
                "deploymentId": id, "targetId": instance, "status": it.instance_status(&instance),
                "targetArn": format!("arn:aws:ec2:eu-west-1:123456789012:instance/{instance}"),
                "lastUpdatedAt": seconds(it), "lifecycleEvents": events(it, &instance),
            } }));
            if let Some(label) = it.label(&instance) {
                targets.last_mut().expect("one was just put there")["instanceTarget"]["instanceLabel"] = json!(label);
            }
        }
        Ok(json!({ "deploymentTargets": targets }))
    }

    fn started(&self, id: &str) -> Result<&Deployment, Refusal> {
        let it = self.deployments.iter().find(|it| it.id == id).expect("it was just looked up");
        match it.status() {
            "Created" | "Queued" => {
                Err(Refusal::new("DeploymentNotStartedException", format!("The deployment {id} has not started")))
            }
            _ => Ok(it),
        }
    }

    fn info(&self, id: &str) -> Option<Value> {
        let it = self.deployments.iter().find(|it| it.id == id)?;
        let count = |status: &str| match &it.fleet {
            // A large one is counted without a search for each of its instances.
            Some(fleet) => fleet.instances.iter().filter(|it| it.status == status).count(),
            None => it.targets().iter().filter(|i| it.instance_status(i) == status).count(),
        };
        let group = &self.applications[&it.application].groups[&it.group];
        let mut info = json!({
            "applicationName": it.application, "deploymentGroupName": it.group, "deploymentId": it.id,
            "deploymentConfigName": options::usual_config(&it.platform, group),
            "status": it.status(), "creator": it.creator, "createTime": seconds(it),
            "computePlatform": self.applications[&it.application].platform,
            "ignoreApplicationStopFailures": it.input["ignoreApplicationStopFailures"] == true,
            "updateOutdatedInstancesOnly": it.input["updateOutdatedInstancesOnly"] == true,
            "instanceTerminationWaitTimeStarted": it.fleet.as_ref().is_some_and(Fleet::is_terminating),
            "deploymentStyle": style(&it.platform, group),
            "deploymentStatusMessages": [], "rollbackInfo": {},
        });
        if !self.hides_rollback_rules {
            let events = options::rolls_back_on(it, group);
            info["autoRollbackConfiguration"] = json!({ "enabled": !events.is_empty(), "events": events });
        }
        for name in [
            "description",
            "fileExistsBehavior",
            "deploymentConfigName",
            "targetInstances",
            "overrideAlarmConfiguration",
        ] {
            if let Some(value) = it.input.get(name) {
                info[name] = value.clone();
            }
        }
        if let Some(revision) = it.input.get("revision") {
            info["revision"] = revision.clone();
            if revision["revisionType"] == "AppSpecContent" {
                info["revision"]["appSpecContent"] = json!({ "sha256": revision["appSpecContent"]["sha256"] });
            }
        }
        if !matches!(it.status(), "Created" | "Queued") {
            info["deploymentOverview"] = json!({
                "Pending": count("Pending"), "InProgress": count("InProgress"), "Succeeded": count("Succeeded"),
                "Failed": count("Failed"), "Skipped": count("Skipped"), "Ready": count("Ready"),
            });
        }
        if it.scenario.waits_for_traffic {
            let wait = it.scenario.ready_expires.unwrap_or(60);
            info["blueGreenDeploymentConfiguration"]["deploymentReadyOption"] =
                json!({ "actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": wait });
        }
        if let Some(minutes) = it.scenario.termination_wait() {
            info["blueGreenDeploymentConfiguration"]["terminateBlueInstancesOnDeploymentSuccess"] =
                json!({ "action": "TERMINATE", "terminationWaitTimeInMinutes": minutes });
        }
        if let Some((code, message)) = it.error() {
            info["errorInformation"] = json!({ "code": code, "message": message });
        }
        if !it.is_active() {
            info["completeTime"] = json!(seconds(it) + 60.0);
        }
        if let (Some(said), "Failed" | "Stopped") = (group.nothing_before, it.status()) {
            info["rollbackInfo"] = json!({ "rollbackMessage": said });
        }
        if let Some(rollback) = it.rolled_back_by.as_ref().filter(|_| !self.hides_rollbacks) {
            info["rollbackInfo"] = json!({ "rollbackDeploymentId": rollback });
        }
        if !it.followed_by.is_empty() {
            info["relatedDeployments"] = json!({ "autoUpdateOutdatedInstancesDeploymentIds": it.followed_by });
        }
        if let Some(root) = &it.follows {
            info["relatedDeployments"] = json!({ "autoUpdateOutdatedInstancesRootDeploymentId": root });
        }
        if let Some(failed) = &it.rolls_back {
            info["rollbackInfo"] = json!({ "rollbackTriggeringDeploymentId": failed,
                "rollbackMessage": format!("Deployment {} is triggered to roll back deployment {failed}.", it.id) });
        }
        Some(info)
    }

    fn application_of(&self, input: &Value) -> Result<String, Refusal> {
        let name = required(input, "applicationName", "ApplicationNameRequiredException")?;
        match self.applications.contains_key(name) {
            true => Ok(name.to_owned()),
            false => {
                Err(Refusal::new("ApplicationDoesNotExistException", format!("No application found for name: {name}")))
            }
        }
    }

    fn group_of(&self, input: &Value) -> Result<(String, String), Refusal> {
        let application = self.application_of(input)?;
        let group = required(input, "deploymentGroupName", "DeploymentGroupNameRequiredException")?;
        match self.applications[&application].groups.contains_key(group) {
            true => Ok((application, group.to_owned())),
            false => Err(Refusal::new(
                "DeploymentGroupDoesNotExistException",
                format!("No Deployment Group found for name: {group}"),
            )),
        }
    }

    fn deployment_of(&self, input: &Value) -> Result<String, Refusal> {
        let id = required(input, "deploymentId", "DeploymentIdRequiredException")?;
        match id.strip_prefix("d-") {
            None => {
                Err(Refusal::new("InvalidDeploymentIdException", format!("Specified DeploymentId is invalid: {id}")))
            }
            Some(_) if self.deployments.iter().any(|it| it.id == id) => Ok(id.to_owned()),
            Some(_) => {
                let text = format!("The deployment {id} could not be found");
                Err(Refusal::new("DeploymentDoesNotExistException", text))
            }
        }
    }
}

fn events(it: &Deployment, instance: &str) -> Vec<Value> {
    if let Some(events) = it.fleet_events(instance, seconds(it)) {
        return events;
    }
    let event = |(at, name): (usize, &&str)| {
        let status = it.event_status(instance, at);
        let mut event = json!({ "lifecycleEventName": name, "status": status });
        if status == "Succeeded" || status == "Failed" {
            event["startTime"] = json!(seconds(it) + at as f64);
            event["endTime"] = json!(seconds(it) + at as f64 + 0.5);
            event["diagnostics"] = json!({ "errorCode": "Success", "scriptName": "", "message": "Succeeded" });
        }
        if let Some(failing) = it.failing().filter(|_| status == "Failed") {
            event["diagnostics"] = json!({ "errorCode": failing.code, "scriptName": failing.script,
                "message": failing.message, "logTail": failing.log_tail });
        }
        event
    };
    it.lifecycle().iter().enumerate().map(event).collect()
}

/// Where the deployment takes place: on the same instances, or on others that replace them.
fn style(platform: &str, group: &Group) -> Value {
    if platform != "Server" || group.blue_green {
        json!({ "deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL" })
    } else {
        json!({ "deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL" })
    }
}

fn description_fits(input: &Value) -> Result<(), Refusal> {
    match input["description"].as_str() {
        Some(text) if text.chars().count() > 512 => {
            Err(Refusal::new("DescriptionTooLongException", "The description is too long"))
        }
        Some(_) | None => Ok(()),
    }
}

fn rollback(enabled: bool) -> Value {
    if enabled { json!({ "enabled": true, "events": ["DEPLOYMENT_FAILURE"] }) } else { json!({ "enabled": false }) }
}

/// Epoch seconds with a fraction, as the protocol has times.
pub(super) fn seconds(it: &Deployment) -> f64 {
    it.created.as_millisecond() as f64 / 1000.0
}

pub(super) fn required<'a>(input: &'a Value, name: &str, exception: &'static str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::new(exception, format!("{name} is required"));
    input[name].as_str().filter(|it| !it.is_empty()).ok_or_else(missing)
}

fn bad_token() -> Refusal {
    Refusal::new("InvalidNextTokenException", "The next token is not valid")
}

fn no_revision() -> Refusal {
    Refusal::new("RevisionRequiredException", "A revision is required")
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
