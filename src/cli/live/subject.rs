//! What a live view looks at, and what it sees there: all targets, one, or a deployment.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::exit::Trouble;
use super::super::server::{Missed, Server};
use super::super::status::{Deployment, target_named, targets_in, understood};
use super::deployment;
use super::overview::{AtTarget, Overview};
use crate::domain::DeploymentId;

/// How many deployments under way an overview tells more of: more do not fit on a screen.
const TOLD: usize = 8;
/// How many of its deployments a target's view lists.
const RECENT: usize = 5;

/// What is looked at.
pub(super) enum Subject {
    Everything,
    Target(String),
    Deployment(String),
}

/// What was seen.
pub(super) enum Scene {
    Everything(Overview),
    Target(Box<AtTarget>),
    /// With the answer as it came.
    Deployment(Box<Deployment>, Value),
}

impl Subject {
    /// What a person names by this word.
    pub(super) fn named(word: Option<&str>) -> Self {
        match word {
            None => Self::Everything,
            Some(id) if DeploymentId::parse(id).is_ok() => Self::Deployment(id.to_owned()),
            Some(name) => Self::Target(name.to_owned()),
        }
    }

    /// Which events concern it, as a query of the event stream. What a target shows is also in its deployments' streams.
    pub(super) fn events(&self) -> String {
        match self {
            Self::Everything | Self::Target(_) => String::new(),
            Self::Deployment(id) => format!("?stream=deployment/{id}"),
        }
    }

    /// Looks.
    pub(super) async fn look(&self, server: &Server) -> Result<Scene, Missed> {
        match self {
            Self::Everything => everything(server).await,
            Self::Target(name) => target(server, name).await,
            Self::Deployment(id) => {
                let answer = server.look(&format!("/api/v1/deployments/{id}")).await?;
                Ok(Scene::Deployment(Box::new(understood(answer.clone())?), answer))
            }
        }
    }
}

impl Scene {
    /// It in lines of so many columns; it was seen so long ago as `gone`.
    pub(super) fn lines(&self, now: Timestamp, gone: Duration, width: usize) -> Vec<String> {
        match self {
            Self::Everything(it) => it.lines(now, gone, width),
            Self::Target(it) => it.lines(now, gone, width),
            Self::Deployment(it, _) => deployment::lines(it, gone, width),
        }
    }

    /// The deployment, where nothing more can happen to it.
    pub(super) fn ended(&self) -> Option<&Deployment> {
        match self {
            Self::Deployment(it, _) => Some(&**it).filter(|it| it.is_over()),
            Self::Everything(_) | Self::Target(_) => None,
        }
    }
}

async fn everything(server: &Server) -> Result<Scene, Missed> {
    let mut answer = server.look("/api/v1/targets").await?;
    let outages = understood::<Option<_>>(answer["outages"].take())?.unwrap_or_default();
    let targets = targets_in(answer)?;
    let mut running = Vec::new();
    for id in targets.iter().filter_map(|it| it.running.as_deref()).take(TOLD) {
        running.push(deployment_of(server, id).await?);
    }
    Ok(Scene::Everything(Overview { targets, running, outages }))
}

async fn target(server: &Server, name: &str) -> Result<Scene, Missed> {
    let target = target_named(targets_in(server.look("/api/v1/targets").await?)?, name)?;
    let path = format!("/api/v1/deployments?target={name}&limit={RECENT}");
    let recent: Vec<Deployment> = understood(server.look(&path).await?["deployments"].take())?;
    let told = target.running.as_ref().or(recent.first().map(|it| &it.id)).cloned();
    let deployment = match told {
        Some(id) => Some(deployment_of(server, &id).await?),
        None => None,
    };
    Ok(Scene::Target(Box::new(AtTarget { target, deployment, recent })))
}

async fn deployment_of(server: &Server, id: &str) -> Result<Deployment, Missed> {
    Ok(understood(server.look(&format!("/api/v1/deployments/{id}")).await?)?)
}

impl From<Trouble> for Missed {
    fn from(trouble: Trouble) -> Self {
        Self::Refused(trouble)
    }
}
