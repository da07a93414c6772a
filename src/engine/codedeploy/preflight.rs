//! What would keep a deployment from working, asked of CodeDeploy without starting one. It changes nothing there.

use aws_sdk_codedeploy::types::DeploymentType;

use super::applications::platform;
use super::engine::CodeDeployEngine;
use super::trouble::Trouble;
use crate::domain::{Failure, Finding, Platform, RevisionForm};

impl CodeDeployEngine {
    pub(super) async fn check(&self) -> Vec<Finding> {
        let spec = &self.spec;
        let client = self.account.client().await;
        let found = client.get_application().application_name(&spec.application).send().await;
        let application = match found.map_err(|error| Trouble::of("GetApplication", &error)) {
            Ok(answer) => answer.application,
            Err(trouble) => {
                let names = if is_absent(&trouble) { self.applications().await } else { vec![] };
                return vec![finding(trouble.failure(spec), nearest(&spec.application, &names))];
            }
        };
        let call = client.get_deployment_group().application_name(&spec.application);
        let found = call.deployment_group_name(&spec.deployment_group).send().await;
        let group = match found.map_err(|error| Trouble::of("GetDeploymentGroup", &error)) {
            Ok(answer) => answer.deployment_group_info,
            Err(trouble) => {
                let names = if is_absent(&trouble) { self.groups().await } else { vec![] };
                return vec![finding(trouble.failure(spec), nearest(&spec.deployment_group, &names))];
            }
        };
        let Some(platform) = platform(application.as_ref().and_then(|it| it.compute_platform())) else {
            return vec![];
        };
        let mut findings = vec![];
        if let Some(said) = spec.platform.filter(|said| *said != platform) {
            findings.push(finding(self.other_platform(said, platform), None));
        }
        if platform != Platform::Server {
            findings.extend(self.for_servers_only(platform));
        }
        let in_place = group.and_then(|it| it.deployment_style).and_then(|it| it.deployment_type);
        if spec.target_instances.is_some() && in_place == Some(DeploymentType::InPlace) {
            findings.push(self.not_blue_green());
        }
        if spec.revision == Some(RevisionForm::GitHub) && application.is_some_and(|it| !it.linked_to_git_hub()) {
            findings.push(self.not_linked());
        }
        if let Some(name) = &spec.deployment_config {
            match self.config_fits(name, platform).await {
                Ok(unasked) => findings.extend(unasked),
                Err(failure) => findings.push(finding(failure, None)),
            }
        }
        findings
    }

    fn not_blue_green(&self) -> Finding {
        let text =
            format!("`target_instances` is for blue/green, and group `{}` is in-place", self.spec.deployment_group);
        Finding::error("codedeploy/not-blue-green", text)
            .help("take it out, or make the group blue/green with instances that exist already")
    }

    /// The applications of the account, for a suggestion: what cannot be asked suggests nothing.
    pub(super) async fn applications(&self) -> Vec<String> {
        let answer = self.account.client().await.list_applications().send().await;
        answer.ok().and_then(|it| it.applications).unwrap_or_default()
    }

    pub(super) async fn groups(&self) -> Vec<String> {
        let call = self.account.client().await.list_deployment_groups().application_name(&self.spec.application);
        call.send().await.ok().and_then(|it| it.deployment_groups).unwrap_or_default()
    }
}

pub(super) fn is_absent(trouble: &Trouble) -> bool {
    trouble.code().is_some_and(|it| it.ends_with("DoesNotExistException"))
}

fn finding(failure: Failure, near: Option<String>) -> Finding {
    let finding = Finding::error(&failure.code, failure.message);
    match near.map(|name| format!("did you mean `{name}`?")).or(failure.help) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// The name that was probably meant.
pub(super) fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let distance = |name: &String| strsim::damerau_levenshtein(&wanted.to_lowercase(), &name.to_lowercase());
    names.iter().map(|name| (distance(name), name)).min().filter(|(far, _)| *far <= 3).map(|(_, name)| name.clone())
}
