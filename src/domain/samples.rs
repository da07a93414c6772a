//! One plausible value of each kind, for the table tests of this room.

use jiff::Timestamp;

use super::*;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) fn sha(digit: char) -> CommitSha {
    CommitSha::parse(digit.to_string().repeat(40)).unwrap()
}

pub(crate) fn target(name: &str) -> Target {
    Target {
        name: TargetName::parse(name).unwrap(),
        repository: RepositoryName::parse("acme/blog").unwrap(),
        source: SourceSpec::GitHub,
        rule: Rule { branches: vec!["main".into()], ..Rule::default() },
        environment: name.into(),
        on_new_push: OnNewPush::default(),
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
        revisions: RevisionsSpec::Directory { path: "/srv/revisions".into() },
        engine: EngineSpec::Host(HostSpec {
            application: name.into(),
            deployment_group: name.into(),
            root: "/srv/root".into(),
            user: None,
            file_exists_behavior: None,
            ignore_application_stop_failures: false,
            traffic_hooks: false,
            strict: false,
            max_revisions: 5,
            auto_rollback: false,
        }),
    }
}

pub(crate) fn push(reference: &str, after: Option<CommitSha>) -> Push {
    Push {
        repository: Repository { id: Some(7), name: RepositoryName::parse("acme/blog").unwrap() },
        reference: RefName::parse(reference).unwrap(),
        before: None,
        after,
        forced: false,
        pusher: Some("ada".into()),
        title: Some("Say hello".into()),
        author: None,
        skip: None,
        paths: None,
    }
}

pub(crate) fn order() -> Order {
    let cause = Cause::Push { delivery: DeliveryId::parse("delivery-1").unwrap() };
    let plans = plan(&push("refs/heads/main", Some(sha('a'))), &cause, &[target("blog").into()]);
    match plans.into_iter().next().map(|plan| plan.outcome) {
        Some(Outcome::Deploy(order)) => (*order).clone(),
        other => panic!("a push to a mapped branch plans a deployment, not {other:?}"),
    }
}

pub(crate) fn failure() -> Failure {
    Failure::passing("source/unavailable", "github.com answered 503")
}

pub(crate) fn revision() -> Revision {
    Revision::Bundle {
        format: BundleFormat::Tgz,
        location: Location::File { path: "/srv/revisions/blog/a.tgz".into() },
        sha256: "9b1d".into(),
        bytes: 1024,
        files: 3,
    }
}

/// The event that a word of a table names.
pub(crate) fn event(word: &str) -> DeploymentEvent {
    use DeploymentEvent as E;
    let hold = Hold { kind: HoldKind::Lane, reason: "another runs".into(), until: None };
    match word {
        "planned" => E::Planned { order: order().into() },
        "weighing" => E::Weighing,
        "held" => E::Held { hold },
        "weighed" => E::Weighed { head: sha('a'), commit: sha('a'), forced: false, doubt: None },
        "prepared" => E::Prepared { revision: revision(), archive: ArchiveFacts::default(), findings: vec![] },
        "releasing" => E::Releasing { marker: "landfall:1".into(), run: None, warning: None },
        "unsent" => E::Unsent { failure: failure(), next_at: at(1) },
        "released" => E::Released { run: RunId::parse("d-1").unwrap(), adopted: false, url: None },
        "progressed" => E::Progressed { progress: Progress { phase: Some("Install".into()), ..Progress::default() } },
        "ended" => E::Ended { outcome: RunOutcome::of(Verdict::Succeeded) },
        "ended-badly" => E::Ended { outcome: RunOutcome::of(Verdict::Failed) },
        "stumbled" => E::Stumbled { step: StepName::Weigh, failure: failure(), attempt: 1, next_at: at(1) },
        "stop-asked" => E::StopAsked { actor: "ada".into(), rollback: false },
        "approved" => E::Approved { actor: "ada".into(), of: None, reason: None },
        "succeeded" => E::Succeeded { warnings: vec![] },
        "declined" => E::Declined { of: None, failure: Failure::setup("codedeploy/access-denied", "AWS denies it") },
        "taken" => E::Taken { of: None },
        "adopted" => E::Adopted { run: RunId::parse("d-2").unwrap(), revision: Some(revision()), url: None },
        "rollback-begun" => E::RollbackBegun { by: DeploymentId::derive(at(0), &["back"]), to: Some(sha('b')) },
        "rollback-ended" => {
            let (by, to) = (DeploymentId::derive(at(0), &["back"]), Some(sha('b')));
            E::RollbackEnded { by, to, verdict: Verdict::Succeeded }
        }
        "failed" => E::Failed { failure: failure() },
        "stopped" => E::Stopped { actor: "ada".into(), failure: None },
        "already-live" => E::AlreadyLive { deployment: DeploymentId::derive(at(0), &["before"]) },
        "superseded" => E::Superseded { by: sha('b'), deployment: None },
        "skipped" => E::Skipped { reason: "no path of the rule changed since aaaaaaa".into() },
        "refused" => E::Refused { failure: failure() },
        other => panic!("no event is called {other}"),
    }
}
