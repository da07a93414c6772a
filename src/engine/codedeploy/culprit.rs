//! Which instance, lifecycle event and script a deployment failed at. What it cannot find out hides no outcome.

use aws_sdk_codedeploy::Client;
use aws_sdk_codedeploy::types::{DeploymentTarget, LifecycleEvent, TargetFilterName};

use super::trouble::Trouble;
use crate::domain::{Failure, Lifecycle, RunId, StepStatus};

/// What failed, and where.
#[derive(Debug, Default)]
pub(super) struct Culprit {
    /// The instance, Lambda function or ECS service.
    pub(super) target: String,
    /// Its lifecycle, in run order.
    pub(super) lifecycle: Vec<Lifecycle>,
    /// The event that failed; nothing where all were skipped.
    event: Option<Failed>,
}

#[derive(Debug, Default)]
struct Failed {
    event: String,
    error_code: String,
    script: String,
    message: String,
    log_tail: String,
}

/// A page of targets is enough: the first failure explains, the counters tell how many.
const ASKED: usize = 25;

/// Looks for the first target that failed; nothing where none did.
pub(super) async fn find(client: &Client, run: &RunId) -> Result<Option<Culprit>, Trouble> {
    let filter = (TargetFilterName::TargetStatus, vec!["Failed".to_owned()]);
    let listed = client
        .list_deployment_targets()
        .deployment_id(run.as_str())
        .target_filters(filter.0, filter.1)
        .send()
        .await
        .map_err(|error| Trouble::of("ListDeploymentTargets", &error))?;
    let ids: Vec<String> = listed.target_ids().iter().take(ASKED).cloned().collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let targets = client
        .batch_get_deployment_targets()
        .deployment_id(run.as_str())
        .set_target_ids(Some(ids))
        .send()
        .await
        .map_err(|error| Trouble::of("BatchGetDeploymentTargets", &error))?;
    let mut culprits: Vec<Culprit> = targets.deployment_targets().iter().map(Culprit::of).collect();
    // One with a failed event explains more than one whose events were all skipped.
    let best = culprits.iter().position(|it| it.event.is_some()).unwrap_or(0);
    Ok((!culprits.is_empty()).then(|| culprits.swap_remove(best)))
}

impl Culprit {
    fn of(target: &DeploymentTarget) -> Self {
        let (id, events) = if let Some(it) = target.instance_target() {
            (it.target_id(), it.lifecycle_events())
        } else if let Some(it) = target.lambda_target() {
            (it.target_id(), it.lifecycle_events())
        } else if let Some(it) = target.ecs_target() {
            (it.target_id(), it.lifecycle_events())
        } else {
            (target.cloud_formation_target().and_then(|it| it.target_id()), Default::default())
        };
        let id = id.unwrap_or("an unnamed target").to_owned();
        let event = events.iter().find(|it| status(it) == StepStatus::Failed).map(Failed::of);
        let lifecycle = events.iter().map(|it| lifecycle(it, &id)).collect();
        Self { target: id, lifecycle, event }
    }

    /// Where it failed, in one line: `AfterInstall failed on i-0a: ScriptFailed scripts/migrate.sh`.
    pub(super) fn line(&self) -> String {
        match &self.event {
            None if self.is_mute() => format!("{} did nothing: every lifecycle event was skipped", self.target),
            None => format!("{} failed", self.target),
            Some(it) => {
                let mut line = format!("{} failed on {}", it.event, self.target);
                let why: Vec<&str> =
                    [it.error_code.as_str(), &it.script].into_iter().filter(|it| !it.is_empty()).collect();
                if !why.is_empty() {
                    line.push_str(&format!(": {}", why.join(" ")));
                }
                line
            }
        }
    }

    /// The failure, told by what failed instead of by what CodeDeploy counted.
    pub(super) fn explain(&self, mut failure: Failure) -> Failure {
        failure.message = self.line();
        let Some(it) = &self.event else {
            if self.is_mute() {
                failure.code = "codedeploy/agent-silent".into();
                failure.blame = crate::domain::Blame::Setup;
                failure.help = Some(
                    "check on the instance that the CodeDeploy agent runs, reaches AWS on port 443, \
                     has an instance profile and the right time"
                        .into(),
                );
            }
            return failure;
        };
        let text = [it.message.as_str(), &it.log_tail].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>();
        let text = text.join("\n");
        let (code, help) = super::reasons::script(&it.error_code, &it.event, &text);
        failure.code = code.into();
        failure.help = Some(help.into());
        if code == "codedeploy/download-failed" {
            failure.blame = crate::domain::Blame::Setup;
        }
        failure.detail(&text)
    }

    /// Whether the agent never answered.
    fn is_mute(&self) -> bool {
        !self.lifecycle.is_empty() && self.lifecycle.iter().all(|it| it.status == StepStatus::Skipped)
    }
}

impl Failed {
    fn of(event: &LifecycleEvent) -> Self {
        let text = |it: Option<&str>| it.unwrap_or_default().trim().to_owned();
        let diagnostics = event.diagnostics();
        Self {
            event: text(event.lifecycle_event_name()),
            error_code: text(diagnostics.and_then(|it| it.error_code()).map(|it| it.as_str())),
            script: text(diagnostics.and_then(|it| it.script_name())),
            message: text(diagnostics.and_then(|it| it.message())),
            log_tail: text(diagnostics.and_then(|it| it.log_tail())),
        }
    }
}

fn status(event: &LifecycleEvent) -> StepStatus {
    match event.status().map(|it| it.as_str()) {
        Some("Pending") => StepStatus::Pending,
        Some("InProgress") => StepStatus::InProgress,
        Some("Succeeded") => StepStatus::Succeeded,
        Some("Failed") => StepStatus::Failed,
        Some("Skipped") => StepStatus::Skipped,
        _ => StepStatus::Unknown,
    }
}

fn lifecycle(event: &LifecycleEvent, target: &str) -> Lifecycle {
    let millis = |at: &aws_sdk_codedeploy::primitives::DateTime| at.to_millis().ok();
    let (start, end) = (event.start_time().and_then(millis), event.end_time().and_then(millis));
    let failed = status(event) == StepStatus::Failed;
    Lifecycle {
        name: event.lifecycle_event_name().unwrap_or_default().to_owned(),
        status: status(event),
        instance: Some(target.to_owned()),
        script: event
            .diagnostics()
            .and_then(|it| it.script_name())
            .filter(|it| failed && !it.is_empty())
            .map(str::to_owned),
        // The service's clocks may differ: a negative time is none.
        took_ms: start.zip(end).and_then(|(start, end)| u64::try_from(end - start).ok()),
    }
}
