//! A target like any other: what a test is about stands in the test, the rest here.

use landfall::domain::{
    BundleRules, EngineSpec, HostSpec, OnNewPush, Promote, RepositoryName, RevisionsSpec, Rule, SourceSpec, Target,
    TargetName,
};

/// A target that deploys `main` to this machine, though nothing is meant to come of it.
pub(crate) fn target(name: &str, repository: &str) -> Target {
    Target {
        name: TargetName::parse(name).unwrap(),
        repository: RepositoryName::parse(repository).unwrap(),
        source: SourceSpec::GitHub,
        rule: Rule { branches: vec!["main".into()], ..Rule::default() },
        environment: "production".into(),
        on_new_push: OnNewPush::QueueLatest,
        require_checks: vec![],
        checks_within_s: 3600,
        skip_ci: false,
        notify: vec![],
        allow_forced: true,
        deploy_on_start: false,
        give_up_after_s: 7200,
        promote_to: vec![],
        lock_after_rollback: false,
        approvers: Default::default(),
        verify: vec![],
        promote: Promote::default(),
        github: Default::default(),
        bundle: BundleRules { root: String::new(), exclude: vec![], format: None, provenance: None },
        revisions: RevisionsSpec::Directory { path: "/nowhere".into() },
        engine: EngineSpec::Host(host(name, "/nowhere")),
    }
}

/// The host engine with this group and root.
pub(crate) fn host(group: &str, root: impl Into<std::path::PathBuf>) -> HostSpec {
    HostSpec {
        application: "blog".into(),
        deployment_group: group.into(),
        root: root.into(),
        user: None,
        file_exists_behavior: None,
        ignore_application_stop_failures: false,
        traffic_hooks: false,
        strict: false,
        max_revisions: 5,
        auto_rollback: false,
    }
}
