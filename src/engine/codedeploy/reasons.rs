//! What CodeDeploy's codes mean to people: whose turn it is, and what to do. Tables only.

use crate::domain::{Blame, CodeDeploySpec, Failure};

/// A role that STS does not give us (row 10). Both sides have to say yes: the role's trust, and the bot's own policy.
pub(super) fn no_role(code: &str, message: &str, spec: &CodeDeploySpec) -> Failure {
    let role = spec.assume_role.as_deref().unwrap_or("the role of its profile");
    let text = format!("the bot may not take the role `{role}`: {message}");
    let external = match &spec.external_id {
        Some(_) => ", by the target's `external_id`",
        None => "",
    };
    let help = format!(
        "let the trust policy of `{role}` name the bot's own role or user{external}, and allow the bot sts:AssumeRole on \
         it: `landfall aws policy --of assumed-role-trust` prints the first, `landfall aws policy` the second"
    );
    // What is denied stays denied until somebody changes a policy; everything else is tried again.
    let failure = Failure::setup("codedeploy/role-refused", text).help(help);
    Failure { passing: !code.starts_with("AccessDenied"), ..failure }
}

/// A refused call.
pub(super) fn refusal(action: &'static str, code: &str, message: &str, spec: &CodeDeploySpec) -> Failure {
    let CodeDeploySpec { application, deployment_group: group, region, .. } = spec;
    match code {
        "ApplicationDoesNotExistException" => Failure::setup(
            "codedeploy/no-application",
            format!("application `{application}` does not exist in {region}"),
        )
        .help("create it, or correct `application` or `region` under `[target.engine]`"),
        "DeploymentGroupDoesNotExistException" => Failure::setup(
            "codedeploy/no-deployment-group",
            format!("application `{application}` has no deployment group `{group}` in {region}"),
        )
        .help("create it, or correct `deployment_group` under `[target.engine]`"),
        "DeploymentConfigDoesNotExistException" => {
            let wanted = spec.deployment_config.as_deref().unwrap_or("the group's");
            Failure::setup(
                "codedeploy/no-deployment-config",
                format!("deployment configuration `{wanted}` does not exist in {region}"),
            )
            .help("correct `deployment_config` under `[target.engine]`, such as `CodeDeployDefault.OneAtATime`")
        }
        "RevisionDoesNotExistException" => Failure::setup(
            "codedeploy/no-revision",
            format!("application `{application}` does not know the revision: {message}"),
        )
        .help("check that the object is still in the bucket, and that the role may register revisions"),
        "InvalidRevisionException" => {
            Failure::revision("codedeploy/invalid-revision", format!("CodeDeploy refuses the revision: {message}"))
        }
        "InvalidRoleException" => Failure::setup(
            "codedeploy/invalid-role",
            format!("the service role of group `{group}` does not do: {message}"),
        )
        .help("give the group a service role with the policy `AWSCodeDeployRole`"),
        "InvalidGitHubAccountTokenException" => Failure::setup(
            "codedeploy/no-github-link",
            format!("application `{application}` is not linked to GitHub: {message}"),
        )
        .help("link it once in CodeDeploy's console, or deploy from S3"),
        "AccessDeniedException" | "AccessDenied" => {
            Failure::setup("codedeploy/access-denied", format!("AWS denies codedeploy:{action} in {region}: {message}"))
                .help(format!("allow codedeploy:{action}: `landfall aws policy` prints the whole policy"))
        }
        "ExpiredTokenException" | "ExpiredToken" => {
            Failure::passing("codedeploy/expired-credentials", "the AWS credentials have expired")
                .help("renew them; the bot reads them again by itself")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "MissingAuthenticationTokenException" => {
            Failure::setup("codedeploy/unknown-credentials", format!("AWS does not know the credentials: {message}"))
                .help("check AWS_ACCESS_KEY_ID or the profile, and that the key belongs to this partition")
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "RequestExpired" => {
            Failure::setup("codedeploy/bad-signature", format!("AWS does not accept the signature: {message}"))
                .help("check this machine's clock, then the secret key")
        }
        "DeploymentLimitExceededException" => {
            Failure::passing("codedeploy/limit", format!("a limit of the account is reached: {message}"))
                .help("wait for other deployments to end, or ask AWS to raise the limit")
        }
        "DeploymentDoesNotExistException" => Failure::setup(
            "codedeploy/deployment-gone",
            format!("CodeDeploy in {region} does not know the deployment any more"),
        )
        .help("check whether the application or the group was deleted"),
        "DeploymentIsNotInReadyStateException" | "InvalidDeploymentStatusException" => {
            Failure::passing("codedeploy/not-ready", "the deployment does not wait for anybody yet")
        }
        "UnsupportedActionForDeploymentTypeException" => Failure::setup(
            "codedeploy/unsupported-action",
            format!("a deployment of this type does not take {action}: {message}"),
        ),
        _ => Failure::setup(
            "codedeploy/refused",
            format!("CodeDeploy refuses {action} for `{application}/{group}`: {code}: {message}"),
        )
        .help("correct the options under `[target.engine]` or the deployment group"),
    }
}

/// The code of a run that an alarm stopped.
pub(super) const ALARM: &str = "codedeploy/alarm";

/// That one of these alarms is active: CodeDeploy does not say which (row 61). Nothing where there are none.
pub(super) fn alarm(names: &[String]) -> Option<String> {
    let ticked: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Some(match &ticked[..] {
        [] => return None,
        [one] => format!("the CloudWatch alarm {one} is active"),
        several => format!("one of the CloudWatch alarms {} is active", several.join(", ")),
    })
}

/// The causes of a bad end: CodeDeploy's code, ours, who has to act, what it means.
const ENDS: [(&str, &str, Blame, &str); 36] = {
    use Blame::{Revision, Setup};
    [
        (
            "HEALTH_CONSTRAINTS",
            "codedeploy/health-constraints",
            Revision,
            "too many instances failed, or too few are healthy",
        ),
        (
            "HEALTH_CONSTRAINTS_INVALID",
            "codedeploy/health-constraints-invalid",
            Setup,
            "the deployment configuration leaves no instance to be updated",
        ),
        (
            "HOOK_EXECUTION_FAILURE",
            "codedeploy/hook-failed",
            Revision,
            "a validation function failed or did not answer in an hour",
        ),
        (
            "CUSTOMER_APPLICATION_UNHEALTHY",
            "codedeploy/application-unhealthy",
            Revision,
            "the application reported itself unhealthy",
        ),
        ("ECS_UPDATE_ERROR", "codedeploy/ecs-update", Revision, "ECS could not bring the new tasks up"),
        ("ALARM_ACTIVE", ALARM, Revision, "a CloudWatch alarm of the group is active"),
        ("AGENT_ISSUE", "codedeploy/agent", Setup, "the CodeDeploy agent does not answer on the instances"),
        ("NO_INSTANCES", "codedeploy/no-instances", Setup, "the deployment group matches no instance"),
        (
            "OVER_MAX_INSTANCES",
            "codedeploy/over-max-instances",
            Setup,
            "the group has more instances than the account allows",
        ),
        ("IAM_ROLE_MISSING", "codedeploy/role-missing", Setup, "the group's service role does not exist"),
        ("IAM_ROLE_PERMISSIONS", "codedeploy/role-permissions", Setup, "the group's service role lacks permissions"),
        (
            "AUTO_SCALING_IAM_ROLE_PERMISSIONS",
            "codedeploy/role-auto-scaling",
            Setup,
            "the group's service role lacks permissions for Auto Scaling",
        ),
        (
            "AUTO_SCALING_CONFIGURATION",
            "codedeploy/auto-scaling",
            Setup,
            "CodeDeploy's hook and the Auto Scaling group disagree",
        ),
        (
            "AUTOSCALING_VALIDATION_ERROR",
            "codedeploy/auto-scaling-refused",
            Setup,
            "Auto Scaling refused what CodeDeploy asked for",
        ),
        (
            "UNABLE_TO_SEND_ASG",
            "codedeploy/auto-scaling-unreachable",
            Setup,
            "CodeDeploy's hook could not tell Auto Scaling",
        ),
        (
            "ELASTIC_LOAD_BALANCING_INVALID",
            "codedeploy/load-balancer",
            Setup,
            "the group's load balancer is not as it has to be",
        ),
        (
            "ELB_INVALID_INSTANCE",
            "codedeploy/load-balancer-instance",
            Setup,
            "an instance cannot be registered at the load balancer",
        ),
        ("MISSING_ELB_INFORMATION", "codedeploy/load-balancer-missing", Setup, "the group names no load balancer"),
        (
            "MISSING_BLUE_GREEN_DEPLOYMENT_CONFIGURATION",
            "codedeploy/blue-green-missing",
            Setup,
            "the group lacks its blue/green settings",
        ),
        ("INVALID_ECS_SERVICE", "codedeploy/ecs-service", Setup, "the ECS service is not as it has to be"),
        ("INVALID_LAMBDA_CONFIGURATION", "codedeploy/lambda-configuration", Setup, "AppSpec and Lambda alias disagree"),
        (
            "INVALID_LAMBDA_FUNCTION",
            "codedeploy/lambda-function",
            Setup,
            "the Lambda function is not as the AppSpec says",
        ),
        ("INVALID_REVISION", "codedeploy/bad-revision", Setup, "the AppSpec or the bundle does not suit the platform"),
        ("REVISION_MISSING", "codedeploy/revision-missing", Setup, "the revision was deleted before it was read"),
        ("APPLICATION_MISSING", "codedeploy/application-missing", Setup, "the application was deleted meanwhile"),
        ("DEPLOYMENT_GROUP_MISSING", "codedeploy/group-missing", Setup, "the deployment group was deleted meanwhile"),
        (
            "CODEDEPLOY_RESOURCE_CANNOT_BE_FOUND",
            "codedeploy/resource-missing",
            Setup,
            "something it needs was deleted meanwhile",
        ),
        ("MISSING_GITHUB_TOKEN", "codedeploy/github-token", Setup, "the application is not linked to GitHub"),
        ("MANUAL_STOP", "codedeploy/stopped", Setup, "somebody stopped it in CodeDeploy"),
        ("TIMEOUT", "codedeploy/timeout", Setup, "it took longer than CodeDeploy waits"),
        ("THROTTLED", "codedeploy/service-throttled", Setup, "AWS throttled CodeDeploy itself"),
        ("RESOURCE_LIMIT_EXCEEDED", "codedeploy/service-limit", Setup, "a limit of the account was reached"),
        ("INTERNAL_ERROR", "codedeploy/service-fault", Setup, "CodeDeploy had a fault of its own"),
        ("NO_EC2_SUBSCRIPTION", "codedeploy/no-ec2", Setup, "the account is not signed up for EC2"),
        ("CLOUDFORMATION_STACK_FAILURE", "codedeploy/cloudformation", Setup, "the CloudFormation stack failed"),
        ("", "codedeploy/unexplained", Setup, "CodeDeploy gave no reason"),
    ]
};

/// What a person can do about a bad end.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "HEALTH_CONSTRAINTS_INVALID" => "lower the minimum of healthy hosts, or add instances",
        "ALARM_ACTIVE" => "look at the alarm; a deployment begun while it is active stops at once",
        "AGENT_ISSUE" => "start or update the CodeDeploy agent on the instances",
        "HOOK_EXECUTION_FAILURE" => "read the log of the hook's function",
        "INVALID_LAMBDA_CONFIGURATION" => {
            "let the alias point to one version alone, the AppSpec's `CurrentVersion`: a stop may have left it split"
        }
        "INVALID_ECS_SERVICE" => {
            "give the service the deployment controller CODE_DEPLOY, one Application or Network Load Balancer with a \
             production listener, and two target groups (of type `ip` on Fargate), and name it in one deployment group alone"
        }
        "ECS_UPDATE_ERROR" => {
            "look at the service's events in ECS, and let its auto scaling rest while a deployment is under way"
        }
        "INVALID_LAMBDA_FUNCTION" => "check that the function has the AppSpec's alias and both of its versions",
        "NO_INSTANCES" => "check the group's tags; a new tag takes up to five minutes to be seen",
        "IAM_ROLE_MISSING" | "IAM_ROLE_PERMISSIONS" => "give the group a service role with `AWSCodeDeployRole`",
        "AUTO_SCALING_IAM_ROLE_PERMISSIONS" => {
            "allow the service role ec2:RunInstances, ec2:CreateTags and iam:PassRole for launch templates"
        }
        "AUTO_SCALING_CONFIGURATION" | "AUTOSCALING_VALIDATION_ERROR" | "UNABLE_TO_SEND_ASG" => {
            "remove the Auto Scaling group from the deployment group and add it again"
        }
        "MISSING_GITHUB_TOKEN" => "link the application once in CodeDeploy's console, or deploy from S3",
        "THROTTLED" | "RESOURCE_LIMIT_EXCEEDED" | "INTERNAL_ERROR" => "deploy again",
        _ => return None,
    })
}

/// Why a deployment ended badly. A code that came after this table is shown as it is.
pub(super) fn end(code: &str, message: &str) -> Failure {
    let Some((_, ours, blame, text)) = ENDS.iter().find(|(theirs, ..)| *theirs == code) else {
        return Failure::setup("codedeploy/unknown-reason", format!("CodeDeploy says {code}: {message}"));
    };
    let mut failure = Failure::setup(ours, *text);
    failure.blame = *blame;
    failure.help = super::signs::of_end(message).or_else(|| advice(code)).map(str::to_owned);
    if message.is_empty() { failure } else { failure.detail(message) }
}

/// A deployment that waited for a person before traffic moved, and was stopped because nobody came (row 52).
pub(super) fn nobody_approved(message: &str) -> Failure {
    let failure = Failure::setup("codedeploy/approval-timed-out", "traffic approval timed out")
        .help("deploy again, and let it go on in time: `landfall approve ID`");
    if message.is_empty() { failure } else { failure.detail(message) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_end_has_a_code_of_its_own() {
        let codes: HashSet<&str> = ENDS.iter().map(|(_, ours, ..)| *ours).collect();
        assert_eq!(codes.len(), ENDS.len());
    }

    #[test]
    fn health_is_the_revisions_fault_and_roles_are_not() {
        assert_eq!(end("HEALTH_CONSTRAINTS", "").blame, Blame::Revision);
        assert_eq!(end("IAM_ROLE_PERMISSIONS", "").blame, Blame::Setup);
        let new = end("SOLAR_FLARE", "too much sun");
        assert_eq!((new.blame, new.message.as_str()), (Blame::Setup, "CodeDeploy says SOLAR_FLARE: too much sun"));
    }
}
