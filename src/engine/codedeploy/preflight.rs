//! What would keep a deployment from working, asked of CodeDeploy without starting one. It changes nothing there.

use aws_sdk_codedeploy::types::ComputePlatform;

use super::engine::CodeDeployEngine;
use super::trouble::Trouble;
use crate::domain::{Failure, Finding};

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
        if let Err(trouble) = found.map_err(|error| Trouble::of("GetDeploymentGroup", &error)) {
            let names = if is_absent(&trouble) { self.groups().await } else { vec![] };
            return vec![finding(trouble.failure(spec), nearest(&spec.deployment_group, &names))];
        }
        match application.and_then(|it| it.compute_platform) {
            Some(platform @ (ComputePlatform::Lambda | ComputePlatform::Ecs)) => self.for_servers_only(&platform),
            Some(_) | None => vec![],
        }
    }

    pub(super) fn for_servers_only(&self, platform: &ComputePlatform) -> Vec<Finding> {
        let spec = &self.spec;
        let set = [
            ("file_exists_behavior", spec.file_exists_behavior.is_some()),
            ("ignore_application_stop_failures", spec.ignore_application_stop_failures),
            ("update_outdated_only", spec.update_outdated_only),
        ];
        let said = |name| {
            let text = format!("`{name}` is for servers, and application `{}` is for {platform}", spec.application);
            Finding::warning("codedeploy/for-servers-only", text).help(format!("remove `{name}`: it is not sent"))
        };
        set.into_iter().filter(|(_, set)| *set).map(|(name, _)| said(name)).collect()
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
