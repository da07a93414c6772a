//! Whether CodeDeploy would carry deployments out, asked of it without starting one. It changes nothing there.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::types::{
    ComputePlatform, DeploymentConfigInfo, DeploymentGroupInfo, DeploymentOverview, MinimumHealthyHosts,
    MinimumHealthyHostsType,
};

use super::applications;
use super::engine::CodeDeployEngine;
use super::preflight::{is_absent, nearest};
use super::trouble::Trouble;
use crate::domain::{Checkup, Failure, Finding, Platform};

/// What every group has unless it says otherwise.
const USUAL_CONFIG: &str = "CodeDeployDefault.OneAtATime";

impl CodeDeployEngine {
    /// Looks at application, group, deployment configuration, service role, and what the group does by itself.
    pub async fn checkup(&self) -> Vec<Checkup> {
        let client = self.account.client().await;
        let mut seen = Vec::new();
        let platform = match self.application_of(client).await {
            Ok((checkup, platform)) => {
                if let Some(role) = &self.spec.assume_role {
                    seen.push(Checkup::ok("role", format!("`{role}` can be taken")).answered());
                }
                seen.push(checkup);
                platform
            }
            Err(checkup) => return vec![checkup],
        };
        let without_servers = applications::platform(platform.as_ref()).filter(|it| *it != Platform::Server);
        if let Some(platform) = without_servers {
            let strange = self.for_servers_only(platform).into_iter();
            seen.extend(strange.map(|it| Checkup::found("options", it).answered()));
        }
        let group = match self.group_of(client).await {
            Ok(group) => group,
            Err(checkup) => {
                seen.push(checkup);
                return seen;
            }
        };
        seen.push(self.said_of(&group));
        seen.push(self.config_of(client, &group, platform.as_ref()).await);
        seen.push(service_role(&group));
        seen.push(rollbacks(&group));
        seen.push(watchers(&group));
        seen.push(self.listing(client).await);
        seen
    }

    async fn application_of(&self, client: &Client) -> Result<(Checkup, Option<ComputePlatform>), Checkup> {
        const ABOUT: &str = "application";
        let name = &self.spec.application;
        let found = client.get_application().application_name(name).send().await;
        match found.map_err(|error| Trouble::of("GetApplication", &error)) {
            Ok(answer) => {
                let platform = answer.application.and_then(|it| it.compute_platform);
                let kind = platform.as_ref().map_or("Server", ComputePlatform::as_str);
                let said = format!("`{name}` is in {}, for {kind}", self.spec.region);
                Ok((Checkup::ok(ABOUT, said).answered(), platform))
            }
            Err(trouble) => {
                let names = if is_absent(&trouble) { self.applications().await } else { vec![] };
                Err(self.refused(ABOUT, &trouble, nearest(name, &names)))
            }
        }
    }

    async fn group_of(&self, client: &Client) -> Result<DeploymentGroupInfo, Checkup> {
        const ABOUT: &str = "group";
        let (application, name) = (&self.spec.application, &self.spec.deployment_group);
        let call = client.get_deployment_group().application_name(application).deployment_group_name(name);
        match call.send().await.map_err(|error| Trouble::of("GetDeploymentGroup", &error)) {
            Ok(answer) => answer.deployment_group_info.ok_or_else(|| {
                let failure = Failure::setup("codedeploy/no-group-told", format!("nothing is told of group `{name}`"));
                Checkup::failed(ABOUT, failure.help("look at the group in CodeDeploy's console")).answered()
            }),
            Err(trouble) => {
                let names = if is_absent(&trouble) { self.groups().await } else { vec![] };
                Err(self.refused(ABOUT, &trouble, nearest(name, &names)))
            }
        }
    }

    fn said_of(&self, group: &DeploymentGroupInfo) -> Checkup {
        let style = group.deployment_style();
        let kind = style.and_then(|it| it.deployment_type()).map_or("IN_PLACE", |it| it.as_str());
        let kind = kind.to_lowercase().replace('_', "-");
        Checkup::ok("group", format!("`{}` deploys {kind}", self.spec.deployment_group)).answered()
    }

    /// The configuration that a deployment will have (rows 27, 42): it is there, for this platform, and leaves room.
    async fn config_of(
        &self,
        client: &Client,
        group: &DeploymentGroupInfo,
        platform: Option<&ComputePlatform>,
    ) -> Checkup {
        const ABOUT: &str = "configuration";
        let own = self.spec.deployment_config.as_deref();
        let name = own.or(group.deployment_config_name()).unwrap_or(USUAL_CONFIG);
        let found = client.get_deployment_config().deployment_config_name(name).send().await;
        let info = match found.map_err(|error| Trouble::of("GetDeploymentConfig", &error)) {
            Ok(answer) => answer.deployment_config_info,
            Err(trouble) => {
                let names = if is_absent(&trouble) { self.account.config_names().await } else { vec![] };
                return self.refused(ABOUT, &trouble, nearest(name, &names));
            }
        };
        let Some(info) = info else { return Checkup::ok(ABOUT, format!("`{name}`")).answered() };
        let theirs = info.compute_platform().unwrap_or(&ComputePlatform::Server);
        let ours = platform.unwrap_or(&ComputePlatform::Server);
        if theirs != ours {
            let text = format!("`{name}` is for {theirs}, and application `{}` is for {ours}", self.spec.application);
            let help = "choose a `deployment_config` of the application's platform, or take it out";
            let finding = Finding::error("codedeploy/config-platform", text).help(help);
            return Checkup::found(ABOUT, finding).answered();
        }
        let instances = self.instances_of_last(client, group).await;
        room(name, &info, instances).answered()
    }

    /// How many instances the last deployment had: the best guess for the next.
    async fn instances_of_last(&self, client: &Client, group: &DeploymentGroupInfo) -> Option<i64> {
        let last = group.last_attempted_deployment()?.deployment_id()?;
        let answer = client.get_deployment().deployment_id(last).send().await.ok()?;
        let overview = answer.deployment_info()?.deployment_overview()?;
        Some(total(overview)).filter(|it| *it > 0)
    }

    /// Runs are looked for by listing after a crash.
    async fn listing(&self, client: &Client) -> Checkup {
        const ABOUT: &str = "listing";
        let call = client.list_deployments().application_name(&self.spec.application);
        let call = call.deployment_group_name(&self.spec.deployment_group);
        match call.send().await.map_err(|error| Trouble::of("ListDeployments", &error)) {
            Ok(_) => Checkup::ok(ABOUT, "deployments can be listed, which finds one again after a crash").answered(),
            Err(trouble) => self.refused(ABOUT, &trouble, None),
        }
    }

    /// What a refusal means, whether anybody answered, and which action was not allowed.
    fn refused(&self, about: &str, trouble: &Trouble, near: Option<String>) -> Checkup {
        let mut failure = trouble.failure(&self.spec);
        if let Some(name) = near {
            failure.help = Some(format!("did you mean `{name}`?"));
        }
        if let Trouble::NeverSent { .. } = trouble {
            let help =
                "check the network, `endpoint_url`, and the credentials: variables, ~/.aws, or the machine's role";
            failure.help = Some(help.to_owned());
        }
        let by_role = self
            .spec
            .assume_role
            .as_ref()
            .filter(|_| matches!(trouble, Trouble::NeverSent { .. } | Trouble::NoRole { .. }));
        if let (Some(role), None) = (by_role, near_network(&failure.message)) {
            failure.help = Some(format!(
                "let the bot's role take `{role}`, and that role trust the bot: \
                 `landfall aws policy --of assumed-role-trust --bot-role ARN`"
            ));
        }
        let denied = trouble.code().filter(|it| it.starts_with("AccessDenied"));
        let denied = denied.map(|_| format!("codedeploy:{}", trouble.action()));
        let checkup = Checkup::failed(about, failure).denied(denied);
        match trouble {
            Trouble::NeverSent { .. } | Trouble::NoRole { .. } | Trouble::Lost { .. } => checkup.silent(),
            Trouble::Throttled { .. } | Trouble::Refused { .. } => checkup.answered(),
        }
    }
}

/// Whether the words are those of a network rather than of credentials.
fn near_network(message: &str) -> Option<()> {
    ["connect", "dns", "timed out", "refused"].iter().any(|it| message.to_lowercase().contains(it)).then_some(())
}

fn total(overview: &DeploymentOverview) -> i64 {
    let DeploymentOverview { pending, in_progress, succeeded, failed, skipped, ready, .. } = overview;
    pending + in_progress + succeeded + failed + skipped + ready
}

/// Whether the configuration leaves an instance to be updated, of as many as there were last time.
fn room(name: &str, info: &DeploymentConfigInfo, instances: Option<i64>) -> Checkup {
    const ABOUT: &str = "configuration";
    let Some((healthy, instances)) = info.minimum_healthy_hosts().zip(instances) else {
        return Checkup::ok(ABOUT, format!("`{name}`"));
    };
    let Some(minimum) = minimum_of(healthy, instances) else { return Checkup::ok(ABOUT, format!("`{name}`")) };
    if minimum >= instances {
        let text = format!("`{name}` keeps {minimum} of {instances} instances healthy, and leaves none to be updated");
        let help = "lower its minimum of healthy hosts, add instances, or choose another `deployment_config`";
        return Checkup::found(ABOUT, Finding::error("codedeploy/no-room", text).help(help));
    }
    let batch = instances - minimum;
    Checkup::ok(ABOUT, format!("`{name}` updates {batch} of {instances} instances at a time"))
}

/// How many instances have to stay healthy. Percentages are rounded up to hosts; a type of later days says nothing.
fn minimum_of(healthy: &MinimumHealthyHosts, instances: i64) -> Option<i64> {
    let value = i64::from(healthy.value());
    match healthy.r#type() {
        Some(MinimumHealthyHostsType::HostCount) => Some(value),
        Some(MinimumHealthyHostsType::FleetPercent) => Some((instances * value + 99) / 100),
        Some(_) | None => None,
    }
}

fn service_role(group: &DeploymentGroupInfo) -> Checkup {
    const ABOUT: &str = "service role";
    match group.service_role_arn().filter(|it| !it.is_empty()) {
        Some(role) => Checkup::ok(ABOUT, format!("`{role}`")).answered(),
        None => {
            let help =
                "give it one: `landfall aws template` makes it, `landfall aws policy --of service-trust` its trust";
            let failure = Failure::setup("codedeploy/no-service-role", "the group names no service role").help(help);
            Checkup::failed(ABOUT, failure).answered()
        }
    }
}

/// What the group rolls back by itself (row 31): the bot leaves that to it.
fn rollbacks(group: &DeploymentGroupInfo) -> Checkup {
    const ABOUT: &str = "rollback";
    let events =
        group.auto_rollback_configuration().filter(|it| it.enabled()).map(|it| it.events()).unwrap_or_default();
    if events.is_empty() {
        return Checkup::ok(ABOUT, "the group rolls nothing back by itself").answered();
    }
    let events: Vec<String> = events.iter().map(|it| it.as_str().to_lowercase().replace('_', " ")).collect();
    Checkup::ok(ABOUT, format!("the group rolls back by itself on {}", events.join(", "))).answered()
}

/// What stops deployments (row 61), and who hears of them (row 67).
fn watchers(group: &DeploymentGroupInfo) -> Checkup {
    let alarms = group.alarm_configuration().filter(|it| it.enabled()).map(|it| it.alarms()).unwrap_or_default();
    let alarms: Vec<String> = alarms.iter().filter_map(|it| it.name()).map(|it| format!("`{it}`")).collect();
    let triggers = group.trigger_configurations();
    let triggers: Vec<String> =
        triggers.iter().filter_map(|it| it.trigger_name()).map(|it| format!("`{it}`")).collect();
    let listed = |none: &str, some: &str, names: Vec<String>| {
        if names.is_empty() { none.to_owned() } else { format!("{some} {}", names.join(", ")) }
    };
    let alarms = listed("no alarm stops a deployment", "stopped by alarms", alarms);
    let triggers = listed("no trigger tells of one", "told by triggers", triggers);
    Checkup::ok("alarms", format!("{alarms}; {triggers}")).answered()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Standing;

    fn said(kind: MinimumHealthyHostsType, value: i32, instances: i64) -> (Standing, String) {
        let healthy = MinimumHealthyHosts::builder().r#type(kind).value(value).build();
        let info = DeploymentConfigInfo::builder().minimum_healthy_hosts(healthy).build();
        let it = room("slowly", &info, Some(instances));
        (it.standing, it.said)
    }

    #[test]
    fn a_group_without_a_service_role_is_told() {
        let told = service_role(&DeploymentGroupInfo::builder().build());
        assert_eq!((told.standing, told.code.as_deref()), (Standing::Failed, Some("codedeploy/no-service-role")));
        assert!(told.help.unwrap().contains("--of service-trust"));
        let group = DeploymentGroupInfo::builder().service_role_arn("arn:aws:iam::123456789012:role/x").build();
        assert_eq!(service_role(&group).standing, Standing::Ok);
    }

    #[test]
    fn a_minimum_of_healthy_hosts_leaves_room_or_is_told() {
        use MinimumHealthyHostsType::{FleetPercent, HostCount};
        let full = "`slowly` keeps 10 of 10 instances healthy, and leaves none to be updated";
        assert_eq!(said(FleetPercent, 95, 10), (Standing::Failed, full.to_owned()), "row 42: rounded up to hosts");
        assert_eq!(said(FleetPercent, 50, 10), (Standing::Ok, "`slowly` updates 5 of 10 instances at a time".into()));
        assert_eq!(said(HostCount, 1, 1).0, Standing::Failed);
        assert_eq!(said(HostCount, 0, 1).1, "`slowly` updates 1 of 1 instances at a time");
        assert_eq!(said(MinimumHealthyHostsType::from("MOST_CONCURRENCY"), 1, 1), (Standing::Ok, "`slowly`".into()));
    }
}
