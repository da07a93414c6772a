//! What an account's applications and deployment configurations are for. Asked once in a while: it hardly ever changes.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_sdk_codedeploy::types::ComputePlatform;
use jiff::{SignedDuration, Timestamp};

use super::account::{Account, lock};
use super::trouble::Trouble;
use crate::domain::Platform;

/// How long an answer is believed.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// What CodeDeploy says of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Application {
    /// What it deploys to; nothing where CodeDeploy names a platform that we do not know.
    pub(super) platform: Option<Platform>,
    /// Whether it may fetch from GitHub.
    pub(super) linked_to_github: bool,
}

/// What was answered, and when.
#[derive(Debug, Default)]
pub(super) struct Applications {
    applications: Mutex<HashMap<String, (Timestamp, Application)>>,
    configs: Mutex<HashMap<String, (Timestamp, Option<Platform>)>>,
}

impl Account {
    /// The application, as it was some minutes ago at most.
    pub(super) async fn application(&self, name: &str) -> Result<Application, Trouble> {
        let now = self.clock.now();
        if let Some((_, known)) = lock(&self.applications.applications).get(name).filter(|(at, _)| is_fresh(*at, now)) {
            return Ok(*known);
        }
        let answer = self.client().await.get_application().application_name(name).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetApplication", &error))?.application;
        let found = Application {
            platform: answer.as_ref().and_then(|it| platform(it.compute_platform())),
            linked_to_github: answer.as_ref().is_some_and(|it| it.linked_to_git_hub()),
        };
        lock(&self.applications.applications).insert(name.to_owned(), (now, found));
        Ok(found)
    }

    /// What a deployment configuration is for, as it was some minutes ago at most.
    pub(super) async fn config(&self, name: &str) -> Result<Option<Platform>, Trouble> {
        let now = self.clock.now();
        if let Some((_, known)) = lock(&self.applications.configs).get(name).filter(|(at, _)| is_fresh(*at, now)) {
            return Ok(*known);
        }
        let answer = self.client().await.get_deployment_config().deployment_config_name(name).send().await;
        let answer = answer.map_err(|error| Trouble::of("GetDeploymentConfig", &error))?;
        let found = platform(answer.deployment_config_info().and_then(|it| it.compute_platform()));
        lock(&self.applications.configs).insert(name.to_owned(), (now, found));
        Ok(found)
    }

    /// The names of all deployment configurations, for a suggestion: what cannot be asked suggests nothing.
    pub(super) async fn config_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut pages = self.client().await.list_deployment_configs().into_paginator().send();
        while let Some(Ok(page)) = pages.next().await {
            names.extend(page.deployment_configs_list.unwrap_or_default());
        }
        names
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).abs() < BELIEVED
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
