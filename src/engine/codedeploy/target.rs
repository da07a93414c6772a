//! One target of a run as CodeDeploy tells it: an instance, a Lambda function, an ECS service; and where it failed. Pure.

use aws_sdk_codedeploy::types::{DeploymentTarget, EcsTarget, LambdaTarget, LifecycleEvent};

use crate::appspec::LIFECYCLE;
use crate::domain::{Blame, Failure, Lifecycle, StepStatus, Traffic};

/// One target at one moment.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name: `i-0a`, a function, `cluster:service`.
    pub(super) id: String,
    /// How far it is as a whole.
    pub(super) status: StepStatus,
    /// `Blue` or `Green`, where CodeDeploy says it.
    pub(super) label: Option<String>,
    /// How far traffic has moved to what is deployed, for Lambda and ECS (row 63).
    pub(super) traffic: Option<Traffic>,
    /// Its lifecycle, in run order.
    pub(super) lifecycle: Vec<Lifecycle>,
    /// The event that failed; nothing where all were skipped.
    event: Option<Failed>,
    /// Whether it is an instance, with an agent and scripts, and no function or service.
    on_instance: bool,
}

#[derive(Debug, Default)]
struct Failed {
    event: String,
    error_code: String,
    script: String,
    message: String,
    log_tail: String,
}

/// What ECS does right before traffic is let in (guide: 973-984).
const TEST_TRAFFIC: [&str; 2] = ["AllowTestTraffic", "AfterAllowTestTraffic"];

/// Sorts by the names of lifecycle events, in the order in which they run: an answer promises none. Unknown ones stay
/// behind the known, as they came.
pub(super) fn in_run_order<T>(list: &mut [T], name: impl Fn(&T) -> &str) {
    list.sort_by_key(|it| place(name(it)));
}

/// Where an event stands in the run, by the one that it comes before or is.
fn place(event: &str) -> (usize, usize) {
    let of = |name: &str| LIFECYCLE.iter().position(|known| *known == name).unwrap_or(LIFECYCLE.len());
    match TEST_TRAFFIC.iter().position(|known| *known == event) {
        Some(at) => (of("BeforeAllowTraffic"), at),
        None => (of(event), TEST_TRAFFIC.len()),
    }
}

impl Target {
    /// What CodeDeploy says of it. A kind of target that came after this program has an unknown status.
    pub(super) fn of(target: &DeploymentTarget) -> Self {
        let (id, status, events, label) = if let Some(it) = target.instance_target() {
            let label = it.instance_label().map(|it| it.as_str().to_owned());
            (it.target_id(), it.status(), it.lifecycle_events(), label)
        } else if let Some(it) = target.lambda_target() {
            (it.target_id(), it.status(), it.lifecycle_events(), None)
        } else if let Some(it) = target.ecs_target() {
            (it.target_id(), it.status(), it.lifecycle_events(), None)
        } else if let Some(it) = target.cloud_formation_target() {
            (it.target_id(), it.status(), it.lifecycle_events(), None)
        } else {
            (None, None, Default::default(), None)
        };
        let id = id.unwrap_or("an unnamed target").to_owned();
        let event = events.iter().find(|it| self::status(it.status().map(|it| it.as_str())) == StepStatus::Failed);
        let mut lifecycle: Vec<Lifecycle> = events.iter().map(|it| self::lifecycle(it, &id)).collect();
        in_run_order(&mut lifecycle, |it| &it.name);
        let traffic = target.lambda_target().and_then(of_function).or_else(|| target.ecs_target().and_then(of_service));
        let (status, event) = (self::status(status.map(|it| it.as_str())), event.map(Failed::of));
        Self { id, status, label, traffic, lifecycle, event, on_instance: target.instance_target().is_some() }
    }

    /// Whether it is known at which event it failed.
    pub(super) fn has_failed_event(&self) -> bool {
        self.event.is_some()
    }

    /// Where it failed, in one line: `AfterInstall failed on i-0a: ScriptFailed scripts/migrate.sh`.
    pub(super) fn line(&self) -> String {
        match &self.event {
            None if self.is_mute() => format!("{} did nothing: every lifecycle event was skipped", self.id),
            None => format!("{} failed", self.id),
            Some(it) => {
                let mut line = format!("{} failed on {}", it.event, self.id);
                let why: Vec<&str> =
                    [it.error_code.as_str(), &it.script].into_iter().filter(|it| !it.is_empty()).collect();
                if !why.is_empty() {
                    line.push_str(&format!(": {}", why.join(" ")));
                }
                line
            }
        }
    }

    /// The failure, told by what failed instead of by what CodeDeploy counted. A function or service has neither agent
    /// nor scripts: there the end's own reason stands.
    pub(super) fn explain(&self, mut failure: Failure) -> Failure {
        failure.message = self.line();
        match &self.event {
            None if self.is_mute() && self.on_instance => {
                (failure.code, failure.blame) = ("codedeploy/agent-silent".into(), Blame::Setup);
                failure.help(
                    "check on the instance that the CodeDeploy agent runs, reaches AWS on port 443, \
                     has an instance profile and the right time",
                )
            }
            None => failure,
            Some(it) => it.explain(self.on_instance, failure),
        }
    }

    /// Whether the agent never answered.
    pub(super) fn is_mute(&self) -> bool {
        !self.lifecycle.is_empty() && self.lifecycle.iter().all(|it| it.status == StepStatus::Skipped)
    }
}

impl Failed {
    fn explain(&self, on_instance: bool, mut failure: Failure) -> Failure {
        let said = [self.message.as_str(), &self.log_tail];
        let text = said.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n");
        if on_instance {
            let sign = super::signs::of_event(&self.event, &self.error_code, &text);
            (failure.code, failure.blame, failure.help) = (sign.code.into(), sign.blame, Some(sign.help.into()));
        }
        if text.is_empty() { failure } else { failure.detail(&text) }
    }

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

/// How much of a function's alias goes to the new version.
fn of_function(target: &LambdaTarget) -> Option<Traffic> {
    let function = target.lambda_function_info()?;
    let version = function.target_version().map_or("the new version".into(), |it| format!("version {it}"));
    Some(Traffic::from_weight(function.target_version_weight(), &version))
}

/// How much of a service's traffic goes to the replacement task set, and how many of its tasks run while some do not.
fn of_service(target: &EcsTarget) -> Option<Traffic> {
    let sets = target.task_sets_info();
    let green = sets.iter().find(|it| it.task_set_label().is_some_and(|label| label.as_str() == "Green"));
    let green = green.or_else(|| sets.iter().find(|it| it.status().is_some_and(|status| status == "ACTIVE")))?;
    let (running, desired) = (green.running_count(), green.desired_count());
    let tasks = if running < desired { format!(" ({running} of {desired} tasks run)") } else { String::new() };
    Some(Traffic::from_weight(green.traffic_weight(), &format!("the replacement task set{tasks}")))
}

/// A target's or event's word for how far it is. A new word is unknown, and no end.
fn status(word: Option<&str>) -> StepStatus {
    match word {
        Some("Pending") => StepStatus::Pending,
        Some("InProgress" | "Ready") => StepStatus::InProgress,
        Some("Succeeded") => StepStatus::Succeeded,
        Some("Failed") => StepStatus::Failed,
        Some("Skipped") => StepStatus::Skipped,
        _ => StepStatus::Unknown,
    }
}

fn lifecycle(event: &LifecycleEvent, target: &str) -> Lifecycle {
    let millis = |at: &aws_sdk_codedeploy::primitives::DateTime| at.to_millis().ok();
    let (start, end) = (event.start_time().and_then(millis), event.end_time().and_then(millis));
    let status = status(event.status().map(|it| it.as_str()));
    let failed = status == StepStatus::Failed;
    Lifecycle {
        name: event.lifecycle_event_name().unwrap_or_default().to_owned(),
        status,
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

#[cfg(test)]
mod tests {
    use aws_sdk_codedeploy::types::{Diagnostics, LifecycleErrorCode, LifecycleEventStatus};

    use super::*;

    #[test]
    fn events_are_told_as_they_run_and_test_traffic_comes_before_traffic() {
        let mut events = ["Later", "AllowTraffic", "AfterAllowTestTraffic", "Install", "BeforeAllowTraffic", "Sooner"];
        in_run_order(&mut events, |it| it);
        let run = ["Install", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic", "Later", "Sooner"];
        assert_eq!(events, run);
    }

    #[test]
    fn a_function_that_fails_is_not_told_to_look_at_an_agent() {
        let diagnostics = Diagnostics::builder().error_code(LifecycleErrorCode::UnknownError).build();
        let event = LifecycleEvent::builder().lifecycle_event_name("BeforeAllowTraffic");
        let event = event.status(LifecycleEventStatus::Failed).diagnostics(diagnostics).build();
        let function = LambdaTarget::builder().target_id("login").lifecycle_events(event).build();
        let target = Target::of(&DeploymentTarget::builder().lambda_target(function).build());
        let failure = target.explain(super::super::reasons::end("HOOK_EXECUTION_FAILURE", "it reported Failed"));
        assert_eq!(failure.message, "BeforeAllowTraffic failed on login: UnknownError");
        assert_eq!((failure.code.as_str(), failure.blame), ("codedeploy/hook-failed", Blame::Revision));
        assert_eq!(failure.help.as_deref(), Some("read the log of the hook's function"));
        assert_eq!(failure.detail.as_deref(), Some("it reported Failed"));
    }
}
