//! A target as its configuration resolved to, for those who operate it: what was left out stands there with its default.
//! It names what is shown one by one, so that what comes new is not shown by itself: no secrets, no roles, no paths of this
//! machine.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::reading::{Answer, Board};
use super::views::TargetView;
use crate::domain::{
    BundleRules, CodeDeploySpec, EngineSpec, Finding, HostSpec, Pattern, RevisionsSpec, SourceSpec, Target, TargetName,
    spell,
};

/// A target with its configuration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetDetail {
    /// What a list shows too.
    #[serde(flatten)]
    pub summary: TargetView,
    /// What was configured, by the names of the configuration's keys.
    pub configuration: Configuration,
    /// What `landfall check` finds in its part of the configuration.
    pub findings: Vec<Finding>,
}

/// A target's keys and their values, sorted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Configuration(pub Map<String, Value>);

impl Board {
    /// One target with its configuration; nothing where none is configured by that name.
    pub async fn target_detail(&self, name: &TargetName) -> Answer<Option<TargetDetail>> {
        let name = name.clone();
        self.ask(move |inside| {
            let Some(target) = inside.targets.iter().find(|it| it.name == name) else { return Ok(None) };
            let Some(summary) = inside.targets()?.targets.into_iter().find(|it| it.name == name) else {
                return Ok(None);
            };
            let findings = inside.findings.get(&name).cloned().unwrap_or_default();
            Ok(Some(TargetDetail { summary, configuration: Configuration::of(target), findings }))
        })
        .await
    }
}

impl Configuration {
    /// The values as text, for people; what is empty is left out.
    pub fn rows(&self) -> Vec<(&str, String)> {
        self.0.iter().map(|(key, value)| (key.as_str(), said(value))).filter(|(_, it)| !it.is_empty()).collect()
    }

    fn of(target: &Target) -> Self {
        let Target {
            name: _,
            repository,
            source,
            rule,
            environment,
            on_new_push,
            require_checks,
            checks_within_s,
            skip_ci,
            notify,
            allow_forced,
            deploy_on_start,
            give_up_after_s,
            promote_to,
            promote,
            lock_after_rollback,
            verify,
            approvers,
            github,
            bundle,
            revisions,
            engine,
        } = target;
        let mut keys = Map::new();
        let mut put = |key: &str, value: Value| keys.insert(key.to_owned(), value);
        put("repository", json!(repository));
        put("source", json!(of_source(source)));
        put("branches", patterns(&rule.branches));
        put("tags", patterns(&rule.tags));
        put("paths", patterns(&rule.paths));
        put("environment", json!(environment));
        put("on_new_push", json!(on_new_push));
        put("require_checks", patterns(require_checks));
        if !require_checks.is_empty() {
            put("checks_within", seconds(*checks_within_s));
        }
        put("skip_ci", json!(skip_ci));
        put("allow_forced", json!(allow_forced));
        put("deploy_on_start", json!(deploy_on_start));
        put("give_up_after", seconds(*give_up_after_s));
        if approvers.needed > 0 {
            put("approvals", json!(approvers.needed));
            put("approve_within", seconds(approvers.within_s));
        }
        put("promote_to", json!(promote_to));
        if !promote_to.is_empty() {
            put("promote", json!(promote));
        }
        put("lock_after_rollback", json!(lock_after_rollback));
        put("verify", verify.iter().map(|it| it.to_string().trim_matches('`').to_owned()).collect());
        put("notify", json!(notify));
        put("github.context", json!(github.context_of(target)));
        of_bundle(bundle, &mut put);
        put("revisions", json!(of_revisions(revisions)));
        put("engine.kind", json!(engine.kind()));
        match engine {
            EngineSpec::CodeDeploy(it) => of_codedeploy(it, &mut put),
            EngineSpec::Host(it) => of_host(it, &mut put),
        }
        Self(keys)
    }
}

type Put<'a> = &'a mut dyn FnMut(&str, Value) -> Option<Value>;

fn of_bundle(BundleRules { root, exclude, format, provenance }: &BundleRules, put: Put<'_>) {
    put("bundle.root", json!(if root.is_empty() { "." } else { root }));
    put("bundle.exclude", json!(exclude));
    put("bundle.format", json!(format.map_or("by the AppSpec's os", |it| it.extension())));
    put("bundle.provenance", json!(provenance));
}

fn of_codedeploy(it: &CodeDeploySpec, put: Put<'_>) {
    put("engine.application", json!(it.application));
    put("engine.deployment_group", json!(it.deployment_group));
    put("engine.region", json!(it.region));
    put("engine.platform", json!(it.platform));
    put("engine.deployment_config", json!(it.deployment_config));
    put("engine.file_exists_behavior", json!(it.file_exists_behavior));
    put("engine.ignore_application_stop_failures", json!(it.ignore_application_stop_failures));
    put("engine.update_outdated_only", json!(it.update_outdated_only));
    put("engine.success_on", json!(it.success_on));
    put("engine.auto_rollback", json!(it.auto_rollback));
}

fn of_host(it: &HostSpec, put: Put<'_>) {
    put("engine.application", json!(it.application));
    put("engine.deployment_group", json!(it.deployment_group));
    put("engine.user", json!(it.user));
    put("engine.file_exists_behavior", json!(it.file_exists_behavior));
    put("engine.ignore_application_stop_failures", json!(it.ignore_application_stop_failures));
    put("engine.traffic_hooks", json!(it.traffic_hooks));
    put("engine.strict", json!(it.strict));
    put("engine.max_revisions", json!(it.max_revisions));
    put("engine.auto_rollback", json!(it.auto_rollback));
}

fn of_source(source: &SourceSpec) -> &'static str {
    match source {
        SourceSpec::GitHub => "GitHub",
        // Where it lies may name a path of this machine, or carry a password.
        SourceSpec::Git { .. } => "a git repository",
    }
}

fn of_revisions(revisions: &RevisionsSpec) -> String {
    match revisions {
        RevisionsSpec::S3(it) if it.prefix.is_empty() => format!("s3://{} in {}", it.bucket, it.region),
        RevisionsSpec::S3(it) => format!("s3://{}/{} in {}", it.bucket, it.prefix, it.region),
        RevisionsSpec::Directory { .. } => "a directory of this machine".into(),
    }
}

fn patterns(all: &[Pattern]) -> Value {
    all.iter().map(Pattern::as_str).collect()
}

fn seconds(number: u64) -> Value {
    json!(spell(Duration::from_secs(number)))
}

fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(it) => if *it { "yes" } else { "no" }.into(),
        Value::String(it) => it.clone(),
        Value::Array(all) => all.iter().map(said).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
