//! What an account's applications, deployment groups and deployment configurations are like. Asked once in a while: it
//! hardly ever changes. It judges nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_codedeploy::types::{ComputePlatform, DeploymentConfigInfo, DeploymentGroupInfo, DeploymentOverview};
use jiff::{SignedDuration, Timestamp};

use super::account::{Account, lock};
use super::trouble::Trouble;
use crate::domain::{CodeDeploySpec, Platform};

/// How long an answer is believed.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);
/// The configuration of a group that names none.
pub(super) const USUAL_CONFIG: &str = "CodeDeployDefault.OneAtATime";

/// What CodeDeploy says of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Application {
    /// What it deploys to; nothing where CodeDeploy names a platform that we do not know.
    pub(super) platform: Option<Platform>,
    /// Whether it may fetch from GitHub.
    pub(super) linked_to_github: bool,
}

/// Answers of one kind, by what was asked for, each with when it came.
#[derive(Debug)]
struct Answers<T>(Mutex<HashMap<String, (Timestamp, T)>>);

/// What was answered, and when.
#[derive(Debug, Default)]
pub(super) struct Known {
    applications: Answers<Application>,
    groups: Answers<Arc<DeploymentGroupInfo>>,
    configs: Answers<Arc<DeploymentConfigInfo>>,
    /// How many instances a run had.
    instances: Answers<i64>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Answers<T> {
    fn fresh(&self, name: &str, now: Timestamp) -> Option<T> {
        lock(&self.0).get(name).filter(|(at, _)| is_fresh(*at, now)).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer; what nobody believes any more goes, so that years of deployments fill nothing.
    fn keep(&self, name: &str, now: Timestamp, answer: &T) {
        let mut known = lock(&self.0);
        known.retain(|_, (at, _)| is_fresh(*at, now));
        known.insert(name.to_owned(), (now, answer.clone()));
    }

    fn forget(&self, name: &str) {
        lock(&self.0).remove(name);
    }
}

impl Account {
    /// The application, as it was some minutes ago at most.
    pub(super) async fn application(&self, name: &str) -> Result<Application, Trouble> {
        let now = self.clock.now();
        if let Some(known) = self.known.applications.fresh(name, now) {
            return Ok(known);
        }
        let answer = self.client().await.get_application().application_name(name).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetApplication", &error))?.application;
        let found = Application {
            platform: answer.as_ref().and_then(|it| platform(it.compute_platform())),
            linked_to_github: answer.as_ref().is_some_and(|it| it.linked_to_git_hub()),
        };
        self.known.applications.keep(name, now, &found);
        Ok(found)
    }

    /// The deployment group, as it was some minutes ago at most. One of which nothing is told is an empty one.
    pub(super) async fn group(&self, spec: &CodeDeploySpec) -> Result<Arc<DeploymentGroupInfo>, Trouble> {
        let (now, name) = (self.clock.now(), group_name(spec));
        if let Some(known) = self.known.groups.fresh(&name, now) {
            return Ok(known);
        }
        let call = self.client().await.get_deployment_group().application_name(&spec.application);
        let answer = call.deployment_group_name(&spec.deployment_group).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetDeploymentGroup", &error))?.deployment_group_info;
        let found = Arc::new(answer.unwrap_or_else(|| DeploymentGroupInfo::builder().build()));
        self.known.groups.keep(&name, now, &found);
        Ok(found)
    }

    /// A deployment configuration, as it was some minutes ago at most. One of which nothing is told is an empty one.
    pub(super) async fn config(&self, name: &str) -> Result<Arc<DeploymentConfigInfo>, Trouble> {
        let now = self.clock.now();
        if let Some(known) = self.known.configs.fresh(name, now) {
            return Ok(known);
        }
        let answer = self.client().await.get_deployment_config().deployment_config_name(name).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetDeploymentConfig", &error))?.deployment_config_info;
        let found = Arc::new(answer.unwrap_or_else(|| DeploymentConfigInfo::builder().build()));
        self.known.configs.keep(name, now, &found);
        Ok(found)
    }

    /// How many instances the group's last deployment had: the best guess for the next. What cannot be asked says
    /// nothing.
    pub(super) async fn instances_of_last(&self, group: &DeploymentGroupInfo) -> Option<i64> {
        let (now, last) = (self.clock.now(), group.last_attempted_deployment()?.deployment_id()?);
        let found = match self.known.instances.fresh(last, now) {
            Some(known) => known,
            None => {
                let answer = self.client().await.get_deployment().deployment_id(last).send().await.ok()?;
                let found = total(answer.deployment_info()?.deployment_overview()?);
                self.known.instances.keep(last, now, &found);
                found
            }
        };
        Some(found).filter(|it| *it > 0)
    }

    /// Nothing that kept a deployment from being made is believed a second time: somebody may have mended it.
    pub(super) fn forget(&self, spec: &CodeDeploySpec, config: Option<&str>) {
        self.known.applications.forget(&spec.application);
        self.known.groups.forget(&group_name(spec));
        config.into_iter().for_each(|name| self.known.configs.forget(name));
    }

    /// The names of all applications, for a suggestion: what cannot be asked suggests nothing.
    pub(super) async fn application_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut pages = self.client().await.list_applications().into_paginator().send();
        while let Some(Ok(page)) = pages.next().await {
            names.extend(page.applications.unwrap_or_default());
        }
        names
    }

    /// The names of an application's deployment groups, likewise.
    pub(super) async fn group_names(&self, application: &str) -> Vec<String> {
        let mut names = Vec::new();
        let call = self.client().await.list_deployment_groups().application_name(application);
        let mut pages = call.into_paginator().send();
        while let Some(Ok(page)) = pages.next().await {
            names.extend(page.deployment_groups.unwrap_or_default());
        }
        names
    }

    /// The names of all deployment configurations, likewise.
    pub(super) async fn config_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut pages = self.client().await.list_deployment_configs().into_paginator().send();
        while let Some(Ok(page)) = pages.next().await {
            names.extend(page.deployment_configs_list.unwrap_or_default());
        }
        names
    }
}

/// The alarms that stop a group's deployments, by name.
pub(super) fn alarms_of(group: &DeploymentGroupInfo) -> Vec<String> {
    let alarms = group.alarm_configuration().filter(|it| it.enabled()).map(|it| it.alarms()).unwrap_or_default();
    alarms.iter().filter_map(|it| it.name().map(str::to_owned)).collect()
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < BELIEVED
}

fn group_name(spec: &CodeDeploySpec) -> String {
    format!("{}/{}", spec.application, spec.deployment_group)
}

/// Nothing said is the oldest platform, which was the only one once.
pub(super) fn platform(said: Option<&ComputePlatform>) -> Option<Platform> {
    match said {
        None | Some(ComputePlatform::Server) => Some(Platform::Server),
        Some(ComputePlatform::Lambda) => Some(Platform::Lambda),
        Some(ComputePlatform::Ecs) => Some(Platform::Ecs),
        Some(_) => None,
    }
}

fn total(overview: &DeploymentOverview) -> i64 {
    let DeploymentOverview { pending, in_progress, succeeded, failed, skipped, ready, .. } = overview;
    pending + in_progress + succeeded + failed + skipped + ready
}
