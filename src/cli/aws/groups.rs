//! An application and its deployment groups in a template, by what they are for: servers, Lambda or ECS. Pure.

use clap::ValueEnum;

use super::document::{Node, attribute, list, map, reference};
use super::permissions::codedeploy;
use super::stack::{Ids, Stack, resource};
use super::statement::{Statement, policy};
use crate::cli::exit::Trouble;
use crate::domain::{CodeDeploySpec, RevisionsSpec, Target};

/// What an application is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Platform {
    /// Instances of EC2, or machines anywhere
    Server,
    /// Lambda functions
    Lambda,
    /// Services of ECS
    Ecs,
}

impl Platform {
    /// What a target's application is for: bundles are for servers, and AppSpecs alone for one of the others.
    pub(super) fn of(target: &Target, said: Option<Self>) -> Result<Self, Trouble> {
        let configured = codedeploy(target).and_then(|it| it.platform).map(|it| match it {
            crate::domain::Platform::Server => Self::Server,
            crate::domain::Platform::Lambda => Self::Lambda,
            crate::domain::Platform::Ecs => Self::Ecs,
        });
        match (&target.revisions, configured.or(said)) {
            (_, Some(said)) => Ok(said),
            (RevisionsSpec::S3(_), None) => Ok(Self::Server),
            (RevisionsSpec::Directory { .. }, None) => {
                let message = format!("whether `{}` is for Lambda or for ECS is not known", target.name);
                Err(Trouble::wrong(message).help("add `--platform lambda` or `--platform ecs`"))
            }
        }
    }

    /// As CodeDeploy calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Lambda => "Lambda",
            Self::Ecs => "ECS",
        }
    }

    /// Its service role, in the template.
    fn role_id(self) -> String {
        format!("{}ServiceRole", if self == Self::Ecs { "Ecs" } else { self.name() })
    }

    /// The policy that AWS keeps up to date for the service role.
    fn managed_policy(self) -> &'static str {
        match self {
            Self::Server => "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRole",
            Self::Lambda => "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda",
            Self::Ecs => "arn:${AWS::Partition}:iam::aws:policy/AWSCodeDeployRoleForECS",
        }
    }

    /// What a group does unless the target says otherwise.
    fn usual_config(self) -> &'static str {
        match self {
            Self::Server => "CodeDeployDefault.OneAtATime",
            Self::Lambda => "CodeDeployDefault.LambdaAllAtOnce",
            Self::Ecs => "CodeDeployDefault.ECSAllAtOnce",
        }
    }

    /// The role that CodeDeploy takes for groups of this kind.
    pub(super) fn add_service_role(self, stack: &mut Stack, trust: &Statement) {
        let properties = [
            ("AssumeRolePolicyDocument", policy(std::slice::from_ref(trust))),
            ("ManagedPolicyArns", list([self.managed_policy().into()])),
        ];
        stack.resource(&self.role_id(), resource("AWS::IAM::Role", &[], properties));
    }
}

/// Adds a target's application, if it is not there, and its group.
pub(super) fn add_group(stack: &mut Stack, ids: &mut Ids, target: &Target, spec: &CodeDeploySpec, platform: Platform) {
    let application = format!("{}Application", ids.of(&spec.application));
    let properties =
        [("ApplicationName", spec.application.as_str().into()), ("ComputePlatform", platform.name().into())];
    stack.resource(&application, resource("AWS::CodeDeploy::Application", &[], properties));
    let id = ids.of(&format!("{}/{}", spec.application, spec.deployment_group));
    let config = spec.deployment_config.as_deref().unwrap_or(platform.usual_config());
    let mut properties: Vec<(&str, Node)> = vec![
        ("ApplicationName", reference(&application)),
        ("DeploymentGroupName", spec.deployment_group.as_str().into()),
        ("DeploymentConfigName", config.into()),
        ("ServiceRoleArn", attribute(&platform.role_id(), "Arn")),
        ("AutoRollbackConfiguration", map([("Enabled", true.into()), ("Events", list(["DEPLOYMENT_FAILURE".into()]))])),
    ];
    properties.extend(match platform {
        Platform::Server => to_instances(stack, &id, target),
        Platform::Lambda => vec![("DeploymentStyle", blue_green())],
        Platform::Ecs => to_service(stack, &id),
    });
    let properties = properties.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let group = map([("Type", "AWS::CodeDeploy::DeploymentGroup".into()), ("Properties", Node::Map(properties))]);
    stack.resource(&format!("{id}Group"), group);
}

/// Instances are known by a tag.
fn to_instances(stack: &mut Stack, id: &str, target: &Target) -> Vec<(&'static str, Node)> {
    stack.parameter("TagKey", "The tag that instances are known by", Some("landfall"));
    let value = format!("{id}TagValue");
    let about = format!("Its value on the instances of {}", target.name);
    stack.parameter(&value, &about, Some(target.name.as_str()));
    let filter = map([("Key", reference("TagKey")), ("Value", reference(&value)), ("Type", "KEY_AND_VALUE".into())]);
    vec![("Ec2TagFilters", list([filter]))]
}

/// A service of ECS stands behind a load balancer with two target groups, which are not this stack's.
fn to_service(stack: &mut Stack, id: &str) -> Vec<(&'static str, Node)> {
    let mut parameter = |name: &str, about: &str| {
        let name = format!("{id}{name}");
        stack.parameter(&name, about, None);
        reference(&name)
    };
    let cluster = parameter("Cluster", "The name of the ECS cluster");
    let service = parameter("Service", "The name of the service, whose deployment controller is CODE_DEPLOY");
    let listener = parameter("ListenerArn", "The listener that takes the production traffic");
    let blue = parameter("BlueTargetGroup", "The name of the target group that has the traffic now");
    let green = parameter("GreenTargetGroup", "The name of the other target group");
    let named = |name: Node| map([("Name", name)]);
    let pair = map([
        ("ProdTrafficRoute", map([("ListenerArns", list([listener]))])),
        ("TargetGroups", list([named(blue), named(green)])),
    ]);
    let blue = map([("Action", "TERMINATE".into()), ("TerminationWaitTimeInMinutes", 5.into())]);
    let ready = map([("ActionOnTimeout", "CONTINUE_DEPLOYMENT".into()), ("WaitTimeInMinutes", 0.into())]);
    let phases = [("DeploymentReadyOption", ready), ("TerminateBlueInstancesOnDeploymentSuccess", blue)];
    vec![
        ("DeploymentStyle", blue_green()),
        ("BlueGreenDeploymentConfiguration", map(phases)),
        ("ECSServices", list([map([("ClusterName", cluster), ("ServiceName", service)])])),
        ("LoadBalancerInfo", map([("TargetGroupPairInfoList", list([pair]))])),
    ]
}

fn blue_green() -> Node {
    map([("DeploymentType", "BLUE_GREEN".into()), ("DeploymentOption", "WITH_TRAFFIC_CONTROL".into())])
}
