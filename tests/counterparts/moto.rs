//! The CodeDeploy engine against moto, whose deployments are created and then stay as they are.

use aws_sdk_codedeploy::Client;
use landfall::clients::Clock;
use landfall::clients::aws::{Account, Aws};
use landfall::domain::{
    BundleFormat, Cause, CodeDeploySpec, CommitSha, DeploymentId, EngineSpec, Location, Order, Progress, RefName,
    Repository, Revision, Target,
};
use landfall::engine::codedeploy::{Accounts, CodeDeployEngine};
use landfall::engine::{Engine, Found, Intent};

use crate::worlds::target::target;

const REGION: &str = "eu-west-1";

/// A client and an engine for an application of this name with a group `production`.
async fn shop(application: &str) -> (Client, CodeDeployEngine, CodeDeploySpec) {
    let url = crate::counterpart("LANDFALL_TEST_MOTO");
    let account = Account { region: REGION.into(), endpoint_url: Some(url.clone()), ..Account::default() };
    let aws = Aws::with_keys("A", "S");
    let client = aws.codedeploy(&account).await;
    client.create_application().application_name(application).send().await.unwrap();
    client
        .create_deployment_group()
        .application_name(application)
        .deployment_group_name("production")
        .service_role_arn("arn:aws:iam::123456789012:role/CodeDeployServiceRole")
        .send()
        .await
        .unwrap();
    let spec = CodeDeploySpec {
        application: application.into(),
        deployment_group: "production".into(),
        region: REGION.into(),
        endpoint_url: Some(url),
        ..CodeDeploySpec::default()
    };
    (client, CodeDeployEngine::new(&spec, &Accounts::new(aws, Clock::system())), spec)
}

/// An intent for a group, by a name of its own.
pub(crate) fn intent(spec: &CodeDeploySpec, name: &str) -> Intent {
    let deployment = DeploymentId::derive(Clock::system().now(), &[name]);
    let commit = CommitSha::parse("4f2c1e9a".repeat(5)).unwrap();
    let engine = EngineSpec::CodeDeploy(spec.clone());
    let target = Target { engine, ..target("shop-production", "acme/shop") };
    let order = Order {
        repository: Repository { id: None, name: target.repository.clone() },
        target: target.into(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        sha: commit.clone(),
        before: None,
        author: Some("octo".into()),
        pusher: None,
        title: None,
        cause: Cause::CatchUp,
        rule: "branch main".into(),
        parent: None,
        paths_unknown: false,
        options: Default::default(),
    };
    let location = Location::S3 {
        bucket: "acme-revisions".into(),
        key: "shop.tgz".into(),
        region: REGION.into(),
        version: Some("v7".into()),
        etag: Some("9b1d".into()),
    };
    let revision = Revision::Bundle { format: BundleFormat::Tgz, location, sha256: "00".into(), bytes: 7, files: 1 };
    let (marker, run, bundle, taken) = (format!("landfall:{deployment}"), None, None, vec![]);
    Intent { deployment, marker, run, order, commit, revision, bundle, taken }
}

#[tokio::test]
async fn a_deployment_is_created_found_and_observed() {
    let (client, engine, spec) = shop("shop").await;
    assert_eq!(engine.preflight().await, []);
    let (intent, since) = (intent(&spec, &spec.application), Clock::system().now());
    assert!(matches!(engine.find(&intent, since).await.unwrap(), Found::NotYet(_)));
    let started = engine.start(&intent).await.unwrap();
    assert_eq!(engine.find(&intent, since).await.unwrap(), Found::Run(started.clone()));
    let seen = engine.observe(&started.run, &Progress::default()).await.unwrap();
    assert_eq!((seen.progress.status.as_str(), seen.outcome), ("Created", None));
    let kept = client.get_deployment().deployment_id(started.run.as_str()).send().await.unwrap();
    let kept = kept.deployment_info.unwrap();
    assert!(kept.description.unwrap().starts_with(&intent.marker));
    let object = kept.revision.unwrap().s3_location.unwrap();
    assert_eq!((object.version.as_deref(), object.e_tag.as_deref()), (Some("v7"), Some("9b1d")));
}

#[tokio::test]
async fn a_mistyped_group_is_named_with_the_one_that_was_meant() {
    let (_, _, spec) = shop("blog").await;
    let mistyped = CodeDeploySpec { deployment_group: "prodution".into(), ..spec };
    let accounts = Accounts::new(Aws::with_keys("A", "S"), Clock::system());
    let findings = CodeDeployEngine::new(&mistyped, &accounts).preflight().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `production`?"));
}
