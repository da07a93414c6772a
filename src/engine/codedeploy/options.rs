//! What is chosen for a deployment, in the SDK's words. It sends to no platform what that platform refuses.

use aws_sdk_codedeploy::operation::create_deployment::builders::CreateDeploymentFluentBuilder;
use aws_sdk_codedeploy::types::{
    Alarm, AlarmConfiguration, AutoRollbackConfiguration, AutoRollbackEvent, AutoScalingGroupProcess, DeploymentMode,
    Ec2DeploymentOptions, Ec2TagFilter, Ec2TagFilterType, Ec2TagSet, FileExistsBehavior, TargetInstances,
};

use crate::domain::{self, CodeDeploySpec, FileExists, OverrideAlarms, Revision, RollbackOn, ScalingProcess, Tag};

/// Adds to a call what the target, and the person who asked, choose.
pub(super) fn chosen(
    call: CreateDeploymentFluentBuilder,
    spec: &CodeDeploySpec,
    revision: &Revision,
) -> CreateDeploymentFluentBuilder {
    let call = everywhere(call, spec);
    // What follows is for servers: Lambda and ECS refuse it, or want it to be false.
    let on_servers = !matches!(revision, Revision::AppSpec { .. });
    call.set_file_exists_behavior(spec.file_exists_behavior.filter(|_| on_servers).map(file_exists))
        .ignore_application_stop_failures(on_servers && spec.ignore_application_stop_failures)
        .update_outdated_instances_only(on_servers && spec.update_outdated_only)
        .set_target_instances(spec.target_instances.as_ref().filter(|_| on_servers).map(instances))
        .set_ec2_deployment_options(suspended(spec).filter(|_| on_servers))
}

/// Adds to a call what makes it a restart (row 35). CodeDeploy refuses a revision with it, and `true` for outdated
/// instances only; files that exist and instances that replace others are for deployments that bring something.
pub(super) fn restarting(call: CreateDeploymentFluentBuilder, spec: &CodeDeploySpec) -> CreateDeploymentFluentBuilder {
    everywhere(call, spec)
        .deployment_mode(DeploymentMode::Restart)
        .ignore_application_stop_failures(spec.ignore_application_stop_failures)
        .set_ec2_deployment_options(suspended(spec))
}

/// What every platform takes.
fn everywhere(call: CreateDeploymentFluentBuilder, spec: &CodeDeploySpec) -> CreateDeploymentFluentBuilder {
    call.set_deployment_config_name(spec.deployment_config.clone())
        .set_auto_rollback_configuration(spec.auto_rollback.as_deref().map(rollback))
        .set_override_alarm_configuration(spec.override_alarms.as_ref().map(alarms))
}

fn suspended(spec: &CodeDeploySpec) -> Option<Ec2DeploymentOptions> {
    Some(&spec.suspend_processes[..]).filter(|it| !it.is_empty()).map(resting)
}

fn file_exists(what: FileExists) -> FileExistsBehavior {
    match what {
        FileExists::Disallow => FileExistsBehavior::Disallow,
        FileExists::Overwrite => FileExistsBehavior::Overwrite,
        FileExists::Retain => FileExistsBehavior::Retain,
    }
}

fn rollback(on: &[RollbackOn]) -> AutoRollbackConfiguration {
    let event = |it: &RollbackOn| match it {
        RollbackOn::Failure => AutoRollbackEvent::DeploymentFailure,
        RollbackOn::Alarm => AutoRollbackEvent::DeploymentStopOnAlarm,
        RollbackOn::Stop => AutoRollbackEvent::DeploymentStopOnRequest,
    };
    let events: Vec<_> = on.iter().map(event).collect();
    let enabled = !events.is_empty();
    AutoRollbackConfiguration::builder().enabled(enabled).set_events(Some(events).filter(|_| enabled)).build()
}

fn alarms(it: &OverrideAlarms) -> AlarmConfiguration {
    let OverrideAlarms { enabled, ignore_poll_failure, names } = it;
    let alarms = names.iter().map(|name| Alarm::builder().name(name).build()).collect::<Vec<_>>();
    AlarmConfiguration::builder()
        .enabled(*enabled)
        .ignore_poll_alarm_failure(*ignore_poll_failure)
        .set_alarms(Some(alarms).filter(|it| !it.is_empty()))
        .build()
}

fn instances(it: &domain::TargetInstances) -> TargetInstances {
    let domain::TargetInstances { tags, tag_groups, auto_scaling_groups } = it;
    let some = |filters: &[Tag]| filters.iter().map(filter).collect::<Vec<_>>();
    let set = Ec2TagSet::builder().set_ec2_tag_set_list(Some(tag_groups.iter().map(|group| some(group)).collect()));
    TargetInstances::builder()
        .set_tag_filters(Some(some(tags)).filter(|it| !it.is_empty()))
        .set_ec2_tag_set(Some(set.build()).filter(|_| !tag_groups.is_empty()))
        .set_auto_scaling_groups(Some(auto_scaling_groups.clone()).filter(|it| !it.is_empty()))
        .build()
}

fn filter(tag: &Tag) -> Ec2TagFilter {
    let kind = match (&tag.key, &tag.value) {
        (Some(_), None) => Ec2TagFilterType::KeyOnly,
        (None, _) => Ec2TagFilterType::ValueOnly,
        (Some(_), Some(_)) => Ec2TagFilterType::KeyAndValue,
    };
    Ec2TagFilter::builder().set_key(tag.key.clone()).set_value(tag.value.clone()).r#type(kind).build()
}

fn resting(processes: &[ScalingProcess]) -> Ec2DeploymentOptions {
    let process = |it: &ScalingProcess| match it {
        ScalingProcess::Terminate => AutoScalingGroupProcess::Terminate,
        ScalingProcess::AzRebalance => AutoScalingGroupProcess::AzRebalance,
        ScalingProcess::InstanceRefresh => AutoScalingGroupProcess::InstanceRefresh,
        ScalingProcess::ScheduledActions => AutoScalingGroupProcess::ScheduledActions,
    };
    let processes = processes.iter().map(process).collect();
    Ec2DeploymentOptions::builder().set_auto_scaling_group_processes_to_suspend(Some(processes)).build()
}
