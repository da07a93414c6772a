//! What is asked of CodeDeploy before anything is made for a deployment: the application's platform, and whether what is
//! chosen fits it. It changes nothing there, except that a stored revision is registered.

use super::engine::CodeDeployEngine;
use super::preflight::nearest;
use super::trouble::Trouble;
use crate::domain::{Failure, Finding, Location, Order, Platform, Revision, RevisionForm};
use crate::engine::Admission;

/// CodeDeploy takes 512 characters for a description today; its documentation has said 256 and 100.
const LONGEST: usize = 100;

impl CodeDeployEngine {
    /// The platform for which the order's revision must be, once everything chosen fits it.
    pub(super) async fn admission(&self, order: &Order) -> Result<Admission, Failure> {
        let mut findings = vec![];
        let platform = match self.account.application(&self.spec.application).await {
            Ok(application) => {
                self.agrees(application.platform)?;
                if self.spec.revision == Some(RevisionForm::GitHub) && !application.linked_to_github {
                    findings.push(self.not_linked());
                }
                application.platform
            }
            // Not being allowed to ask keeps nobody from deploying; then the configuration's word or the AppSpec's counts.
            Err(trouble) if is_denied(&trouble) => {
                findings.push(unasked(&trouble));
                self.spec.platform
            }
            Err(trouble) => return Err(trouble.failure(&self.spec)),
        };
        let Some(platform) = platform else { return Ok(Admission { findings, ..Admission::default() }) };
        if platform != Platform::Server {
            if let Some(option) = order.options.for_servers().first() {
                let text = format!("`{option}` is for servers, and {}", self.application_is_for(platform));
                return Err(Failure::setup("codedeploy/not-for-platform", text).help("ask again without it"));
            }
            findings.extend(self.for_servers_only(platform));
        }
        if let Some(name) = &self.spec.deployment_config {
            findings.extend(self.config_fits(name, platform).await?);
        }
        let config = match platform {
            Platform::Ecs => self.config_in_force().await,
            Platform::Server | Platform::Lambda => None,
        };
        Ok(Admission { platform: Some(platform), config, findings })
    }

    /// The deployment configuration that holds: ours, or else the group's. It only helps to warn.
    async fn config_in_force(&self) -> Option<String> {
        if self.spec.deployment_config.is_some() {
            return self.spec.deployment_config.clone();
        }
        let call = self.account.client().await.get_deployment_group().application_name(&self.spec.application);
        let answer = call.deployment_group_name(&self.spec.deployment_group).send().await.ok()?;
        answer.deployment_group_info?.deployment_config_name
    }

    /// The configuration's word and the application's must be one.
    fn agrees(&self, found: Option<Platform>) -> Result<(), Failure> {
        match (self.spec.platform, found) {
            (Some(said), Some(found)) if said != found => Err(self.other_platform(said, found)),
            _ => Ok(()),
        }
    }

    pub(super) fn other_platform(&self, said: Platform, found: Platform) -> Failure {
        let text = format!("the target is configured for {said}, and {}", self.application_is_for(found));
        Failure::setup("codedeploy/other-platform", text)
            .help("correct `platform` or `application` under `[target.engine]`")
    }

    fn application_is_for(&self, platform: Platform) -> String {
        format!("application `{}` is for {platform}", self.spec.application)
    }

    /// What is set for servers, where there are none: it is not sent.
    pub(super) fn for_servers_only(&self, platform: Platform) -> Vec<Finding> {
        let said = |name| {
            let text = format!("`{name}` is for servers, and {}", self.application_is_for(platform));
            Finding::warning("codedeploy/for-servers-only", text).help(format!("remove `{name}`: it is not sent"))
        };
        self.spec.for_servers().into_iter().map(said).collect()
    }

    pub(super) fn not_linked(&self) -> Finding {
        let text =
            format!("application `{}` is not linked to GitHub, so that it can fetch nothing", self.spec.application);
        Finding::warning("codedeploy/not-linked", text)
            .help("link it once: in the console, create a deployment of a revision on GitHub, and connect the account")
    }

    /// Whether the deployment configuration is there, and for this platform.
    pub(super) async fn config_fits(&self, name: &str, platform: Platform) -> Result<Option<Finding>, Failure> {
        let found = match self.account.config(name).await {
            Ok(found) => found,
            Err(trouble) if is_denied(&trouble) => return Ok(Some(unasked(&trouble))),
            Err(trouble) if trouble.code() == Some("DeploymentConfigDoesNotExistException") => {
                let near = nearest(name, &self.account.config_names().await);
                let failure = trouble.failure(&self.spec);
                return Err(match near {
                    Some(near) => failure.help(format!("did you mean `{near}`?")),
                    None => failure,
                });
            }
            Err(trouble) => return Err(trouble.failure(&self.spec)),
        };
        match found.filter(|found| *found != platform) {
            None => Ok(None),
            Some(found) => {
                let text = format!(
                    "deployment configuration `{name}` is for {found}, and {}",
                    self.application_is_for(platform)
                );
                Err(Failure::setup("codedeploy/config-of-other-platform", text)
                    .help("name one for the application's platform, or leave it to the deployment group"))
            }
        }
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
        let failure = trouble.failure(&self.spec);
        let finding =
            Finding::warning(&failure.code, format!("the revision is not listed in CodeDeploy: {}", failure.message));
        Ok(vec![match failure.help {
            Some(help) => finding.help(help),
            None => finding,
        }])
    }
}

/// `owner/repo@sha12: title`, for the console's list of revisions.
fn described(order: &Order) -> String {
    let sha = &order.sha.as_str()[..12];
    let title = order.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    format!("{}@{sha}{title}", order.repository.name).chars().take(LONGEST).collect::<String>().trim_end().to_owned()
}

fn is_denied(trouble: &Trouble) -> bool {
    matches!(trouble.code(), Some("AccessDeniedException" | "AccessDenied"))
}

fn unasked(trouble: &Trouble) -> Finding {
    Finding::warning("codedeploy/unchecked", format!("not everything could be checked: {trouble}"))
        .help("allow it: `landfall aws policy` prints the whole policy")
}
