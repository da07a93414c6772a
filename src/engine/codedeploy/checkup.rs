//! Whether CodeDeploy would carry deployments out, asked of it without starting one. It changes nothing there.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::types::DeploymentGroupInfo;

use super::engine::CodeDeployEngine;
use super::fitness::Room;
use super::known::{self, Application};
use super::trouble::Trouble;
use crate::domain::{Checkup, Failure, Finding, Platform};

impl CodeDeployEngine {
    /// Looks at application, group, deployment configuration, service role, and what the group does by itself.
    pub async fn checkup(&self) -> Vec<Checkup> {
        let mut seen = Vec::new();
        let application = match self.account.application(&self.spec.application).await {
            Ok(application) => application,
            Err(trouble) => return vec![self.refused("application", &trouble).await],
        };
        if let Some(role) = &self.spec.assume_role {
            seen.push(Checkup::ok("role", format!("`{role}` can be taken")).answered());
        }
        seen.push(self.said_of_application(application));
        let platform = application.platform.unwrap_or(Platform::Server);
        let group = self.account.group(&self.spec).await;
        let mut strange: Vec<Finding> = self.other_platform(platform).into_iter().collect();
        strange.extend(self.for_servers_only(platform));
        strange.extend(self.not_linked(application));
        strange.extend(group.as_ref().ok().and_then(|group| self.not_blue_green(group, platform)));
        seen.extend(strange.into_iter().map(|it| Checkup::found("options", it).answered()));
        let group = match group {
            Ok(group) => group,
            Err(trouble) => {
                seen.push(self.refused("group", &trouble).await);
                return seen;
            }
        };
        seen.push(self.said_of(&group));
        seen.push(self.config_of(&group, platform).await);
        seen.push(service_role(&group));
        seen.push(rollbacks(&group));
        seen.push(watchers(&group));
        seen.push(self.listing(self.account.client().await).await);
        seen
    }

    fn said_of_application(&self, application: Application) -> Checkup {
        let kind = application.platform.map_or("a platform that is not known here".to_owned(), |it| it.to_string());
        let said = format!("`{}` is in {}, for {kind}", self.spec.application, self.spec.region);
        Checkup::ok("application", said).answered()
    }

    fn said_of(&self, group: &DeploymentGroupInfo) -> Checkup {
        let style = group.deployment_style();
        let kind = style.and_then(|it| it.deployment_type()).map_or("IN_PLACE", |it| it.as_str());
        let kind = kind.to_lowercase().replace('_', "-");
        let to = super::group::summary(group);
        Checkup::ok("group", format!("`{}` deploys {kind}: {to}", self.spec.deployment_group)).answered()
    }

    /// The configuration that a deployment will have (rows 27, 42): it is there, for this platform, and leaves room.
    async fn config_of(&self, group: &DeploymentGroupInfo, platform: Platform) -> Checkup {
        const ABOUT: &str = "configuration";
        let name = self.config_in_force(group);
        let config = match self.account.config(name).await {
            Ok(config) => config,
            Err(trouble) => return self.refused(ABOUT, &trouble).await,
        };
        if let Some(misfit) = self.config_of_other(name, &config, platform) {
            return Checkup::found(ABOUT, misfit).answered();
        }
        let instances = self.account.instances_of_last(group).await;
        let room = instances.and_then(|it| Room::of(&config, it));
        if let Some(lacks) = room.and_then(|it| it.lacks(name)) {
            return Checkup::found(ABOUT, lacks).answered();
        }
        let said = match room {
            Some(Room::For { batch, instances }) => {
                format!("`{name}` updates {batch} of {instances} instances at a time")
            }
            Some(Room::None { .. }) | None => format!("`{name}`"),
        };
        Checkup::ok(ABOUT, said).answered()
    }

    /// Runs are looked for by listing after a crash.
    async fn listing(&self, client: &Client) -> Checkup {
        const ABOUT: &str = "listing";
        let call = client.list_deployments().application_name(&self.spec.application);
        let call = call.deployment_group_name(&self.spec.deployment_group);
        match call.send().await.map_err(|error| Trouble::of("ListDeployments", &error)) {
            Ok(_) => Checkup::ok(ABOUT, "deployments can be listed, which finds one again after a crash").answered(),
            Err(trouble) => self.refused(ABOUT, &trouble).await,
        }
    }

    /// What a refusal means, whether anybody answered, and which action was not allowed.
    async fn refused(&self, about: &str, trouble: &Trouble) -> Checkup {
        let mut failure = self.explained(trouble).await;
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
    let alarms: Vec<String> = known::alarms_of(group).iter().map(|it| format!("`{it}`")).collect();
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

    #[test]
    fn a_group_without_a_service_role_is_told() {
        let told = service_role(&DeploymentGroupInfo::builder().build());
        assert_eq!((told.standing, told.code.as_deref()), (Standing::Failed, Some("codedeploy/no-service-role")));
        assert!(told.help.unwrap().contains("--of service-trust"));
        let group = DeploymentGroupInfo::builder().service_role_arn("arn:aws:iam::123456789012:role/x").build();
        assert_eq!(service_role(&group).standing, Standing::Ok);
    }
}
