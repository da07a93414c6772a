//! A deployment group of AWS CodeDeploy, and what may be chosen for deployments to it. Holds no secrets, only where
//! values lie.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::{EngineSpec, FileExists};

/// When a deployment with traffic shifting counts as a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuccessOn {
    /// When CodeDeploy says `Succeeded`.
    #[default]
    Complete,
    /// When all traffic has moved.
    TrafficShifted,
}

/// A deployment group of AWS CodeDeploy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeDeploySpec {
    /// The application.
    pub application: String,
    /// The deployment group.
    pub deployment_group: String,
    /// The region.
    pub region: String,
    /// A role to assume first.
    #[serde(default)]
    pub assume_role: Option<String>,
    /// The external id for that role.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Another address than AWS's.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// What the application is for, where the configuration says so; otherwise the application is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What it is given, where the configuration says so; otherwise the platform decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionForm>,
    /// The AppSpec's path from the bundle's root, on Lambda and ECS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appspec: Option<String>,
    /// What `${name}` stands for in an AppSpec for Lambda or ECS, besides the names that are always there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// A deployment configuration other than the group's.
    #[serde(default)]
    pub deployment_config: Option<String>,
    /// What to do with files that exist already.
    #[serde(default)]
    pub file_exists_behavior: Option<FileExists>,
    /// Whether a failed `ApplicationStop` is passed over (D12).
    #[serde(default)]
    pub ignore_application_stop_failures: bool,
    /// Whether only instances that do not run the revision are updated.
    #[serde(default)]
    pub update_outdated_only: bool,
    /// When it counts as a success.
    #[serde(default)]
    pub success_on: SuccessOn,
    /// On what CodeDeploy rolls back by itself: nothing leaves it to the group, an empty list means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_rollback: Option<Vec<RollbackOn>>,
    /// The replacement instances of a blue/green deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_instances: Option<TargetInstances>,
    /// Alarms other than the group's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_alarms: Option<OverrideAlarms>,
    /// Auto Scaling processes that rest meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspend_processes: Vec<ScalingProcess>,
}

/// What an application deploys to: CodeDeploy's compute platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// EC2 instances and machines of one's own.
    Server,
    /// A function.
    Lambda,
    /// A service of containers.
    Ecs,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "servers",
            Self::Lambda => "Lambda",
            Self::Ecs => "ECS",
        })
    }
}

/// What CodeDeploy is given to deploy, as the configuration has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionForm {
    /// A bundle that we make and store.
    Bundle,
    /// The AppSpec itself, for Lambda and ECS.
    AppSpec,
    /// The commit on GitHub, which CodeDeploy fetches by itself (servers only).
    GitHub,
}

/// What a variable of an AppSpec stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Variable {
    /// This text, in which the names that are always there may stand.
    Text {
        /// As written.
        text: String,
    },
    /// What a variable of the environment holds.
    Env {
        /// Its name.
        name: String,
    },
    /// What a file holds, read anew each time.
    File {
        /// Its absolute path.
        path: PathBuf,
    },
}

/// What CodeDeploy rolls back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackOn {
    /// The deployment failed.
    Failure,
    /// An alarm stopped it.
    Alarm,
    /// Somebody stopped it.
    Stop,
}

/// Which instances take over in a blue/green deployment whose group provisions none by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInstances {
    /// Instances with any of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Or instances with one tag of each of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tag_groups: Vec<Vec<Tag>>,
    /// And the instances of these Auto Scaling groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auto_scaling_groups: Vec<String>,
}

/// A tag to look for: its key, its value or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value; wildcards are CodeDeploy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl OverrideAlarms {
    /// No alarm counts.
    pub fn none() -> Self {
        Self { enabled: false, ignore_poll_failure: false, names: vec![] }
    }
}

/// Alarms of `CloudWatch` in the stead of the group's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideAlarms {
    /// Whether alarms stop the deployment at all.
    pub enabled: bool,
    /// Whether it goes on where alarms cannot be read.
    #[serde(default)]
    pub ignore_poll_failure: bool,
    /// Their names.
    #[serde(default)]
    pub names: Vec<String>,
}

/// A process of Auto Scaling that can rest while CodeDeploy works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScalingProcess {
    /// Instances are ended.
    Terminate,
    /// Instances are spread over zones.
    #[serde(rename = "AZRebalance")]
    AzRebalance,
    /// Instances are replaced.
    InstanceRefresh,
    /// What a schedule says is done.
    ScheduledActions,
}

/// What a person chooses for one deployment, on top of what the target says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployOptions {
    /// Another deployment configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_config: Option<String>,
    /// Failures of `ApplicationStop`, `BeforeBlockTraffic` and `AfterBlockTraffic` are passed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_application_stop_failures: bool,
    /// What to do with files that exist already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_exists_behavior: Option<FileExists>,
    /// Only instances that do not run the revision are updated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated_only: bool,
    /// No alarm stops it, whatever the target and its group say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_alarms: bool,
    /// It is released although a freeze window is open, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_freeze: Option<String>,
}

impl DeployOptions {
    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was chosen that an engine does not take, by its name in requests, with the reason.
    pub fn strange_to(&self, engine: &EngineSpec) -> Option<(&'static str, &'static str)> {
        match engine {
            EngineSpec::Host(_) => {
                let set = [
                    ("deployment_config", self.deployment_config.is_some()),
                    ("outdated_only", self.outdated_only),
                    ("ignore_alarms", self.ignore_alarms),
                ];
                let (name, _) = set.into_iter().find(|(_, set)| *set)?;
                Some((name, "is for CodeDeploy, and this target is deployed by the host engine"))
            }
            EngineSpec::CodeDeploy(spec) => {
                spec.platform.filter(|it| *it != Platform::Server)?;
                self.for_servers()
                    .first()
                    .map(|name| (*name, "is for servers, and this target is for functions or services"))
            }
        }
    }

    /// What was chosen that only servers take.
    pub fn for_servers(&self) -> Vec<&'static str> {
        let set = [
            ("ignore_application_stop_failures", self.ignore_application_stop_failures),
            ("file_exists_behavior", self.file_exists_behavior.is_some()),
            ("outdated_only", self.outdated_only),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

impl fmt::Display for DeployOptions {
    /// As a person would say it, after the sentence that says what was asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.deployment_config.as_ref().map(|name| format!("with `{name}`")));
        if self.ignore_application_stop_failures {
            parts.push("passing over failures of ApplicationStop".to_owned());
        }
        parts.extend(self.file_exists_behavior.map(|it| format!("with files that exist: {}", it.as_str())));
        if self.outdated_only {
            parts.push("to outdated instances only".to_owned());
        }
        if self.ignore_alarms {
            parts.push("whatever alarms say".to_owned());
        }
        parts.extend(self.override_freeze.as_ref().map(|why| format!("in spite of any freeze: {why}")));
        f.write_str(&parts.join(", "))
    }
}

impl CodeDeploySpec {
    /// The options set here that only servers take, by their keys in the configuration.
    pub fn for_servers(&self) -> Vec<&'static str> {
        let set = [
            ("file_exists_behavior", self.file_exists_behavior.is_some()),
            ("ignore_application_stop_failures", self.ignore_application_stop_failures),
            ("update_outdated_only", self.update_outdated_only),
            ("target_instances", self.target_instances.is_some()),
            ("suspend_processes", !self.suspend_processes.is_empty()),
        ];
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}
