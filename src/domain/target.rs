//! A configured place to deploy to, as meant. It holds no secrets, so that plans can store it whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codedeploy::{CodeDeploySpec, DeployOptions, OverrideAlarms};
use super::consent::Approvers;
use super::ids::{RefName, RepositoryName, TargetName};
use super::on_github::OnGitHub;
use super::pattern::Pattern;
use super::revision::BundleFormat;
use super::s3_spec::S3Spec;
use super::skip::Skip;
use super::verify::Verify;

/// A target, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name, unique in the configuration.
    pub name: TargetName,
    /// The repository whose pushes it takes.
    pub repository: RepositoryName,
    /// Where commits are read from.
    pub source: SourceSpec,
    /// Which pushes it takes.
    pub rule: Rule,
    /// The name on GitHub's Environments page.
    pub environment: String,
    /// What happens to older deployments of its lane when a new one is planned.
    #[serde(default)]
    pub on_new_push: OnNewPush,
    /// Checks that must be green before release, by their names.
    #[serde(default)]
    pub require_checks: Vec<Pattern>,
    /// How long they are waited for, in seconds.
    #[serde(default = "usual_patience", skip_serializing_if = "is_usual_patience")]
    pub checks_within_s: u64,
    /// Whether `[skip ci]` and its like in a commit's message keep it from being deployed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_ci: bool,
    /// Chat sinks that hear of it.
    #[serde(default)]
    pub notify: Vec<String>,
    /// Whether a head that does not descend from the last seen commit is deployed (a forced push).
    pub allow_forced: bool,
    /// Whether the first sight of a ref deploys its head.
    pub deploy_on_start: bool,
    /// How long passing failures are retried, in seconds.
    pub give_up_after_s: u64,
    /// The targets that a success here is promoted to (row 4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promote_to: Vec<TargetName>,
    /// Whether a person has to approve that.
    #[serde(default, skip_serializing_if = "Promote::is_usual")]
    pub promote: Promote,
    /// Whether a rollback locks it, until a person unlocks it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lock_after_rollback: bool,
    /// What is looked at after a release, before it counts as live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<Verify>,
    /// Who has to approve its releases.
    #[serde(default, skip_serializing_if = "Approvers::are_none")]
    pub approvers: Approvers,
    /// What is said of it at GitHub, and how.
    #[serde(default, skip_serializing_if = "OnGitHub::is_usual")]
    pub github: OnGitHub,
    /// How the bundle is made.
    pub bundle: BundleRules,
    /// Where revisions are kept.
    pub revisions: RevisionsSpec,
    /// Who carries deployments out.
    pub engine: EngineSpec,
}

/// How long checks are waited for unless the configuration says so.
pub const CHECKS_WITHIN_S: u64 = 60 * 60;

fn usual_patience() -> u64 {
    CHECKS_WITHIN_S
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual_patience(seconds: &u64) -> bool {
    *seconds == CHECKS_WITHIN_S
}

/// Where commits come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SourceSpec {
    /// GitHub's API, by the repository's name.
    GitHub,
    /// A git repository, read by the git command.
    Git {
        /// Its URL, such as `file:///srv/git/blog.git`.
        url: String,
    },
}

/// Which pushes a target takes. Patterns are globs: `*` stops at a slash, `**` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Branch names.
    #[serde(default)]
    pub branches: Vec<Pattern>,
    /// Tag names.
    #[serde(default)]
    pub tags: Vec<Pattern>,
    /// Paths of which at least one must have changed; empty means any.
    #[serde(default)]
    pub paths: Vec<Pattern>,
}

/// What a new push does to the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNewPush {
    /// The running one ends, the newest waiting one follows, older waiting ones are superseded.
    #[default]
    QueueLatest,
    /// Every one runs, in order.
    QueueAll,
    /// The running one is stopped.
    StopRunning,
}

/// When what succeeded at a target is released to the ones that it is promoted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promote {
    /// Once a person has approved it.
    #[default]
    OnApproval,
    /// At once.
    Automatic,
}

impl Promote {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_usual(&self) -> bool {
        *self == Self::OnApproval
    }
}

/// How an archive becomes a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleRules {
    /// The directory of the repository that becomes the bundle's root, without slashes at its ends; empty for all.
    #[serde(default)]
    pub root: String,
    /// Globs, relative to that root, of what is left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The format; nothing lets the AppSpec's `os` decide.
    #[serde(default)]
    pub format: Option<BundleFormat>,
    /// A file to add that names repository, commit and bundler version.
    #[serde(default)]
    pub provenance: Option<String>,
}

/// Where revisions are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RevisionsSpec {
    /// An S3 bucket.
    S3(S3Spec),
    /// A directory of this machine.
    Directory {
        /// Its absolute path.
        path: PathBuf,
    },
}

/// Who carries deployments out, and how.
#[expect(clippy::large_enum_variant, reason = "there is one for a target, and targets are shared behind an `Arc`")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EngineSpec {
    /// AWS CodeDeploy.
    CodeDeploy(CodeDeploySpec),
    /// This machine.
    Host(HostSpec),
}

/// What to do with files that exist already and are not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FileExists {
    /// Fail.
    #[default]
    Disallow,
    /// Replace them.
    Overwrite,
    /// Leave them.
    Retain,
}

impl FileExists {
    /// As CodeDeploy and AppSpecs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disallow => "DISALLOW",
            Self::Overwrite => "OVERWRITE",
            Self::Retain => "RETAIN",
        }
    }
}

/// The host engine's group on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// `APPLICATION_NAME` for hooks.
    pub application: String,
    /// `DEPLOYMENT_GROUP_NAME` for hooks.
    pub deployment_group: String,
    /// The engine's directory, `data_dir/deployment-root` unless set.
    pub root: PathBuf,
    /// The user for hooks without `runas`; nothing means the bot's own.
    #[serde(default)]
    pub user: Option<String>,
    /// What to do with files that exist already.
    #[serde(default)]
    pub file_exists_behavior: Option<FileExists>,
    /// Whether a failed `ApplicationStop` is passed over (D12).
    #[serde(default)]
    pub ignore_application_stop_failures: bool,
    /// Whether the traffic hooks run (D26).
    #[serde(default)]
    pub traffic_hooks: bool,
    /// Whether it fails where AWS's agent would, although it could go on (R17).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// How many deployment archives are kept besides the current one (D9).
    pub max_revisions: u32,
    /// Whether the last good revision is brought back after a failure (R86).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_rollback: bool,
}

/// What only one deployment at a time may touch: the name of a lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(String);

impl Destination {
    /// Its text, for logs and messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Target {
    /// The same target, of its repository under another name.
    pub fn of_repository(self: &Arc<Self>, name: &RepositoryName) -> Arc<Self> {
        if self.repository.is_same(name) {
            self.clone()
        } else {
            Self { repository: name.clone(), ..(**self).clone() }.into()
        }
    }

    /// Its lane.
    pub fn destination(&self) -> Destination {
        self.engine.destination()
    }

    /// Whether it leaves out what a commit's message asks to be left out.
    pub fn heeds(&self, skip: &Skip) -> bool {
        self.skip_ci || !skip.of_checks
    }

    /// How long required checks are waited for.
    pub fn checks_within(&self) -> Duration {
        Duration::from_secs(self.checks_within_s)
    }

    /// How long passing failures are retried.
    pub fn give_up_after(&self) -> Duration {
        Duration::from_secs(self.give_up_after_s)
    }
}

impl EngineSpec {
    /// Whether a deployment that fails is to be rolled back by us. CodeDeploy's groups do that by themselves.
    pub fn rolls_back(&self) -> bool {
        match self {
            Self::CodeDeploy(_) => false,
            Self::Host(it) => it.auto_rollback,
        }
    }

    /// The same engine, with what a person chose for one deployment.
    #[must_use]
    pub fn with_options(mut self, options: &DeployOptions) -> Self {
        let DeployOptions {
            deployment_config,
            ignore_application_stop_failures,
            file_exists_behavior,
            outdated_only,
            ignore_alarms,
            override_freeze: _,
        } = options;
        match &mut self {
            Self::CodeDeploy(it) => {
                it.deployment_config = deployment_config.clone().or(it.deployment_config.take());
                it.file_exists_behavior = file_exists_behavior.or(it.file_exists_behavior);
                it.ignore_application_stop_failures |= ignore_application_stop_failures;
                it.update_outdated_only |= outdated_only;
                if *ignore_alarms {
                    it.override_alarms = Some(OverrideAlarms::none());
                }
            }
            Self::Host(it) => {
                it.file_exists_behavior = file_exists_behavior.or(it.file_exists_behavior);
                it.ignore_application_stop_failures |= ignore_application_stop_failures;
            }
        }
        self
    }

    /// What is done with files that exist already, where it is said.
    pub fn file_exists_behavior(&self) -> Option<FileExists> {
        match self {
            Self::CodeDeploy(it) => it.file_exists_behavior,
            Self::Host(it) => it.file_exists_behavior,
        }
    }

    /// The same engine, with another word for files that exist already.
    #[must_use]
    pub fn with_file_exists_behavior(mut self, behavior: Option<FileExists>) -> Self {
        match &mut self {
            Self::CodeDeploy(it) => it.file_exists_behavior = behavior,
            Self::Host(it) => it.file_exists_behavior = behavior,
        }
        self
    }

    /// `codedeploy` or `host`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CodeDeploy(_) => "codedeploy",
            Self::Host(_) => "host",
        }
    }

    /// The lane of whoever deploys by it.
    pub fn destination(&self) -> Destination {
        Destination(match self {
            Self::CodeDeploy(it) => format!(
                "codedeploy {} {} {}/{}",
                it.region,
                it.assume_role.as_deref().or(it.endpoint_url.as_deref()).unwrap_or("own account"),
                it.application,
                it.deployment_group
            ),
            Self::Host(it) => format!("host {} {}/{}", it.root.display(), it.application, it.deployment_group),
        })
    }
}

impl Rule {
    /// The pattern that takes this ref, as written: `branch main`, `tag v*`.
    pub fn takes(&self, reference: &RefName) -> Option<String> {
        let first = |kind, patterns: &[Pattern], name| {
            patterns.iter().find(|pattern| pattern.takes(name)).map(|it| format!("{kind} {it}"))
        };
        match (reference.branch(), reference.tag()) {
            (Some(branch), _) => first("branch", &self.branches, branch),
            (None, Some(tag)) => first("tag", &self.tags, tag),
            (None, None) => None,
        }
    }

    /// Whether at least one of the changed paths is one of the rule's. Unknown paths and no rule match.
    pub fn touches(&self, changed: Option<&[String]>) -> bool {
        let Some(changed) = changed else { return true };
        self.paths.is_empty() || self.paths.iter().any(|pattern| changed.iter().any(|path| pattern.takes(path)))
    }

    /// The branch whose head is watched at boot: the ones named without a wildcard.
    pub fn plain_branches(&self) -> impl Iterator<Item = &str> {
        self.branches.iter().filter(|pattern| !pattern.is_wild()).map(Pattern::as_str)
    }

    /// Whether some branches are named by a pattern only: which they are is known to the repository alone.
    pub fn has_wild_branches(&self) -> bool {
        self.branches.iter().any(Pattern::is_wild)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_take_refs_by_their_patterns() {
        let rule = Rule { branches: vec!["main".into(), "release/*".into()], tags: vec!["v*".into()], paths: vec![] };
        let takes = |text| rule.takes(&RefName::parse(text).unwrap());
        assert_eq!(takes("refs/heads/main").as_deref(), Some("branch main"));
        assert_eq!(takes("refs/heads/release/1.0").as_deref(), Some("branch release/*"));
        assert_eq!(takes("refs/heads/release/1/0"), None);
        assert_eq!(takes("refs/tags/v1").as_deref(), Some("tag v*"));
        assert_eq!(takes("refs/tags/main"), None);
        assert_eq!(takes("refs/notes/main"), None);
        assert_eq!(rule.plain_branches().collect::<Vec<_>>(), ["main"]);
    }

    #[test]
    fn a_path_rule_matches_when_in_doubt() {
        let rule = Rule { paths: vec!["web/**".into(), "appspec.yml".into()], ..Rule::default() };
        assert!(rule.touches(None));
        assert!(rule.touches(Some(&["web/css/a.css".into()])));
        assert!(rule.touches(Some(&["docs/x".into(), "appspec.yml".into()])));
        assert!(!rule.touches(Some(&["docs/x".into()])));
        assert!(!rule.touches(Some(&[])));
    }
}
