//! What is asked of CodeDeploy before anything is made for a deployment: the application's platform, and whether what is
//! chosen fits it. It changes nothing there, except that a stored revision is registered.

use aws_sdk_codedeploy::types::DeploymentType;

use super::engine::CodeDeployEngine;
use super::fitness::{Room, keeps_some};
use super::trouble::Trouble;
use crate::domain::{Failure, Finding, Location, Order, Platform, Revision, Severity};
use crate::engine::Admission;

/// CodeDeploy takes 512 characters for a description today; its documentation has said 256 and 100.
const LONGEST: usize = 100;

impl CodeDeployEngine {
    /// The platform for which the order's revision must be, once everything chosen fits it.
    pub(super) async fn admission(&self, order: &Order) -> Result<Admission, Failure> {
        let admission = match self.look_around().await {
            Ok(admission) => admission,
            Err(failure) => return Err(self.mistrusted(failure)),
        };
        if let Some(finding) = admission.findings.iter().find(|it| it.severity == Severity::Error) {
            return Err(self.mistrusted(refusal(finding)));
        }
        if let Some(platform) = admission.platform.filter(|it| *it != Platform::Server)
            && let Some(option) = order.options.for_servers().first()
        {
            let text = format!("`{option}` is for servers, and {}", self.application_is_for(platform));
            return Err(Failure::setup("codedeploy/not-for-platform", text).help("ask again without it"));
        }
        if order.restarts().is_some()
            && let Some(why) = self.no_restart(admission.platform).await
        {
            let failure = Failure::setup("codedeploy/no-restart", why);
            return Err(self.mistrusted(failure.help("deploy what is live again: `landfall redeploy ID`")));
        }
        Ok(admission)
    }

    /// Why CodeDeploy would refuse a restart (row 35); nothing where it may be tried. The group was asked before.
    async fn no_restart(&self, platform: Option<Platform>) -> Option<String> {
        if let Some(platform) = platform.filter(|it| *it != Platform::Server) {
            return Some(format!("only servers restart, and {}", self.application_is_for(platform)));
        }
        let group = self.account.group(&self.spec).await.ok()?;
        let kind = group.deployment_style()?.deployment_type()?;
        let name = &self.spec.deployment_group;
        (*kind == DeploymentType::BlueGreen)
            .then(|| format!("only groups that deploy in place restart, and group `{name}` replaces its instances"))
    }

    /// What would keep a deployment from working, and what a person should change.
    pub(super) async fn misfits(&self) -> Vec<Finding> {
        self.look_around().await.map_or_else(|failure| vec![told(&failure)], |it| it.findings)
    }

    /// Application, group and deployment configuration, each asked once in a while, held against what the target says.
    /// What may not be asked keeps nobody from deploying: then the configuration's word or the AppSpec's counts.
    async fn look_around(&self) -> Result<Admission, Failure> {
        let mut findings = vec![];
        let platform = match self.account.application(&self.spec.application).await {
            Ok(application) => {
                findings.extend(application.platform.and_then(|it| self.other_platform(it)));
                findings.extend(self.not_linked(application));
                application.platform
            }
            Err(trouble) if is_denied(&trouble) => {
                findings.push(unasked(&trouble));
                self.spec.platform
            }
            Err(trouble) => return Err(self.explained(&trouble).await),
        };
        let group = match self.account.group(&self.spec).await {
            Ok(group) => Some(group),
            Err(trouble) if is_denied(&trouble) => {
                findings.push(unasked(&trouble));
                None
            }
            Err(trouble) => return Err(self.explained(&trouble).await),
        };
        let Some(platform) = platform else { return Ok(Admission { findings, ..Admission::default() }) };
        findings.extend(self.for_servers_only(platform));
        findings.extend(group.as_ref().and_then(|it| self.not_blue_green(it, platform)));
        let own = self.spec.deployment_config.clone();
        let config = own.or_else(|| group.as_ref().map(|it| self.config_in_force(it).to_owned()));
        if let Some(name) = &config {
            let instances = async || match &group {
                Some(group) => self.account.instances_of_last(group).await,
                None => None,
            };
            findings.extend(self.config_fits(name, platform, instances).await?);
        }
        Ok(Admission { platform: Some(platform), config, findings })
    }

    /// Whether the deployment configuration is there, for this platform, and leaves instances to be updated. That the
    /// group has one, CodeDeploy saw to: of the group's own nothing but a warning comes.
    async fn config_fits(
        &self,
        name: &str,
        platform: Platform,
        instances: impl AsyncFnOnce() -> Option<i64>,
    ) -> Result<Option<Finding>, Failure> {
        let config = match self.account.config(name).await {
            Ok(config) => config,
            Err(_) if self.spec.deployment_config.is_none() => return Ok(None),
            Err(trouble) if is_denied(&trouble) => return Ok(Some(unasked(&trouble))),
            Err(trouble) => return Err(self.explained(&trouble).await),
        };
        if let (Some(_), Some(misfit)) = (&self.spec.deployment_config, self.config_of_other(name, &config, platform)) {
            return Ok(Some(misfit));
        }
        if platform != Platform::Server || !keeps_some(&config) {
            return Ok(None);
        }
        let lacks = instances().await.and_then(|it| Room::of(&config, it)).and_then(|it| it.lacks(name));
        // How many instances there will be is only guessed at.
        Ok(lacks.map(|it| Finding { severity: Severity::Warning, ..it }))
    }

    /// A failure that a person will mend at CodeDeploy: what led to it is asked anew the next time.
    fn mistrusted(&self, failure: Failure) -> Failure {
        if !failure.passing {
            self.account.forget(&self.spec, self.spec.deployment_config.as_deref());
        }
        failure
    }

    /// Lists a stored revision in CodeDeploy's console. May run twice: the same revision stays one entry.
    pub(super) async fn registered(&self, order: &Order, revision: &Revision) -> Result<Vec<Finding>, Failure> {
        let Revision::Bundle { location: Location::S3 { .. }, .. } = revision else { return Ok(vec![]) };
        let location = self.revision(revision)?;
        let call = self.account.client().await.register_application_revision();
        let call = call.application_name(&self.spec.application).revision(location).description(described(order));
        let Err(error) = call.send().await else { return Ok(vec![]) };
        let trouble = Trouble::of("RegisterApplicationRevision", &error);
        if trouble.code() == Some("InvalidRevisionException") {
            return Err(trouble.failure(&self.spec));
        }
        let finding = told(&trouble.failure(&self.spec));
        let message = format!("the revision is not listed in CodeDeploy: {}", finding.message);
        Ok(vec![Finding { severity: Severity::Warning, message, ..finding }])
    }
}

/// `owner/repo@sha12: title`, for the console's list of revisions.
fn described(order: &Order) -> String {
    let sha = &order.sha.as_str()[..12];
    let title = order.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    format!("{}@{sha}{title}", order.repository.name).chars().take(LONGEST).collect::<String>().trim_end().to_owned()
}

/// A finding that refuses, as the failure that it is for one deployment.
fn refusal(finding: &Finding) -> Failure {
    let failure = Failure::setup(&finding.code, &finding.message);
    match &finding.help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// A failure, as the finding that it is for a person who only looks.
fn told(failure: &Failure) -> Finding {
    let finding = Finding::error(&failure.code, &failure.message);
    match &failure.help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn is_denied(trouble: &Trouble) -> bool {
    matches!(trouble.code(), Some("AccessDeniedException" | "AccessDenied"))
}

fn unasked(trouble: &Trouble) -> Finding {
    Finding::warning("codedeploy/unchecked", format!("not everything could be checked: {trouble}"))
        .help("allow it: `landfall aws policy` prints the whole policy")
}
