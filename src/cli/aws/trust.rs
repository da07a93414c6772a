//! Who may take which role, and what instances and AWS's own services may do. Pure.

use super::document::{Node, map};
use super::permissions::Kept;
use super::statement::{Place, Statement, one_or_many};
use crate::domain::CodeDeploySpec;

/// A role of the target's account, to be taken by the bot: with the external id that the target names.
pub(super) fn of_the_bot(bot: Node, external_id: Option<&str>) -> Statement {
    let trust = Statement::trust(map([("AWS", bot)]));
    match external_id {
        Some(id) => trust.when(map([("StringEquals", map([("sts:ExternalId", id.into())]))])),
        None => trust,
    }
}

/// CodeDeploy's service role: for the deployment groups of these applications and this account, and for nobody who
/// talks CodeDeploy into it.
pub(super) fn of_codedeploy(specs: &[&CodeDeploySpec], place: &Place, region: Option<&str>) -> Statement {
    let mut groups: Vec<String> = Vec::new();
    for spec in specs {
        let region = region.unwrap_or(&spec.region);
        let group = place.arn("codedeploy", region, &format!("deploymentgroup:{}/*", spec.application));
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    of_service("codedeploy.amazonaws.com").when(map([
        ("StringEquals", map([("aws:SourceAccount", place.account.as_str().into())])),
        ("ArnLike", map([("aws:SourceArn", one_or_many(&groups))])),
    ]))
}

/// A role that a service of AWS takes.
pub(super) fn of_service(name: &str) -> Statement {
    Statement::trust(map([("Service", name.into())]))
}

/// What an instance needs: to read bundles, and to fetch the agent's own installer.
pub(super) fn of_instances(places: &[Kept], regions: &[&str], place: &Place, kms_key: Option<&str>) -> Vec<Statement> {
    let bundles = places.iter().map(|it| it.objects(place));
    let installers = regions.iter().map(|region| place.bucket(&format!("aws-codedeploy-{region}/*")));
    let read = Statement::allow("ReadBundles", &["s3:GetObject", "s3:GetObjectVersion"], bundles.chain(installers));
    let key = kms_key.map(|key| Statement::allow("Key", &["kms:Decrypt"], [key]));
    [read].into_iter().chain(key).collect()
}

/// What the agent says where it asks under IAM (`:enable_auth_policy: true`, VPC endpoints).
pub(super) fn of_agents() -> Statement {
    let asks = [
        "codedeploy-commands-secure:GetDeploymentSpecification",
        "codedeploy-commands-secure:PollHostCommand",
        "codedeploy-commands-secure:PutHostCommandAcknowledgement",
        "codedeploy-commands-secure:PutHostCommandComplete",
    ];
    Statement::allow("AgentUnderIam", &asks, ["*"])
}

/// A topic that a rule of EventBridge may send to, and nobody else.
pub(super) fn of_topic(topic: &str, rule: &str) -> Statement {
    Statement::allow("RulePublishes", &["sns:Publish"], [topic])
        .by(map([("Service", "events.amazonaws.com".into())]))
        .when(map([("ArnEquals", map([("aws:SourceArn", rule.into())]))]))
}

/// A bucket for bundles: who writes, who reads, and that nobody does so in the clear.
pub(super) fn of_bucket(
    places: &[Kept],
    bucket: &str,
    place: &Place,
    bot: Option<Node>,
    instances: Option<Node>,
) -> Vec<Statement> {
    let objects = || places.iter().map(|it| it.objects(place));
    let writes = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload"];
    let writes = bot.map(|it| Statement::allow("BotWrites", &writes, objects()).by(map([("AWS", it)])));
    let reads = ["s3:GetObject", "s3:GetObjectVersion"];
    let reads = instances.map(|it| Statement::allow("InstancesRead", &reads, objects()).by(map([("AWS", it)])));
    let whole = [place.bucket(bucket), place.bucket(&format!("{bucket}/*"))];
    let in_the_clear = map([("Bool", map([("aws:SecureTransport", "false".into())]))]);
    let tls = Statement::allow("TlsOnly", &["s3:*"], whole).denied().by("*".into()).when(in_the_clear);
    writes.into_iter().chain(reads).chain([tls]).collect()
}
