//! One event of every kind there is. Each kind names the one after it, so that a new kind stops the build here.

use std::sync::Arc;

use landfall::domain::{
    Act, Approval, ArchiveFacts, Ask, BodyAt, BotEvent, BundleFormat, CaughtUp, CommitPrefix, DeliveryEvent,
    DeploymentEvent, DeploymentId, Event, Failure, Finding, Fleet, Hold, HoldKind, InstanceState, Instances, Lifecycle,
    Location, NoDeployment, NoticeState, PlanLine, Progress, RepositoryName, Request, Revision, Role, RunId,
    RunOutcome, SinkEvent, StepName, StepStatus, Stream, SubState, TargetEvent, TokenName, Traffic, Verdict,
};
use landfall::domain::{
    Cause, CodeDeploySpec, DeployOptions, EngineSpec, FileExists, Order, OverrideAlarms, Platform, Promote,
    RevisionForm, RevisionsSpec, RollbackOn, ScalingProcess, SourceSpec, SuccessOn, Tag, TargetInstances, Variable,
};
use landfall::domain::{Encryption, S3Spec};

use super::made::{at, delivery, main_branch, name, order, push, sha};

fn id() -> DeploymentId {
    DeploymentId::derive(at(1), &["delivery-1", "blog"])
}

fn run() -> RunId {
    RunId::parse("d-ABCDEF123").unwrap()
}

fn ada() -> String {
    "ada".into()
}

fn failure() -> Failure {
    let failure = Failure::passing("source/unavailable", "`api.github.com` answered 503");
    failure.help("wait, or look at githubstatus.com").detail("503 Service Unavailable")
}

fn every<T>(after: impl Fn(Option<&T>) -> Option<T>) -> Vec<T> {
    std::iter::successors(after(None), |last| after(Some(last))).collect()
}

/// An order that differs from the usual one in all that can be chosen.
fn other_order(cause: Cause) -> Order {
    let promoted = matches!(cause, Cause::Promotion { .. });
    let gated = matches!(cause, Cause::Replay { .. });
    let order = Order {
        parent: Some(id()),
        options: options(),
        before: Some(sha(2)),
        pusher: Some("ada".into()),
        ..order("blog", 1, cause)
    };
    let mut target = (*order.target).clone();
    if promoted {
        (target.promote_to, target.promote) = (vec![name("shop")], Promote::Automatic);
    }
    if gated {
        (target.require_checks, target.checks_within_s) = (vec!["build".into(), "ci/*".into()], 1800);
        target.skip_ci = true;
    }
    target.source = SourceSpec::Git { url: "file:///srv/git/blog.git".into() };
    target.revisions = RevisionsSpec::S3(S3Spec {
        bucket: "acme-revisions".into(),
        prefix: "shop".into(),
        region: "eu-west-1".into(),
        endpoint_url: None,
        force_path_style: true,
        sse: Some(Encryption::Kms),
        kms_key: Some("alias/revisions".into()),
        bucket_key: true,
        tags: [("team".to_owned(), "web".to_owned())].into(),
        tag_for_codedeploy: true,
        expected_bucket_owner: Some("123456789012".into()),
        assume_role: Some("arn:aws:iam::123456789012:role/revisions".into()),
        external_id: Some("landfall".into()),
    });
    target.engine = EngineSpec::CodeDeploy(CodeDeploySpec {
        application: "shop".into(),
        deployment_group: "production".into(),
        region: "eu-west-1".into(),
        platform: Some(Platform::Server),
        revision: Some(RevisionForm::GitHub),
        appspec: Some("deploy/appspec.yaml".into()),
        variables: variables().into(),
        deployment_config: Some("CodeDeployDefault.OneAtATime".into()),
        file_exists_behavior: Some(FileExists::Overwrite),
        ignore_application_stop_failures: true,
        update_outdated_only: false,
        success_on: SuccessOn::TrafficShifted,
        auto_rollback: Some(vec![RollbackOn::Failure, RollbackOn::Alarm, RollbackOn::Stop]),
        target_instances: Some(instances()),
        override_alarms: Some(OverrideAlarms {
            enabled: true,
            ignore_poll_failure: true,
            names: vec!["errors".into()],
        }),
        suspend_processes: vec![ScalingProcess::Terminate, ScalingProcess::AzRebalance],
        ..CodeDeploySpec::default()
    });
    Order { target: target.into(), paths_unknown: gated, ..order }
}

fn variables() -> [(String, Variable); 3] {
    [
        ("VERSION".into(), Variable::File { path: "/srv/version".into() }),
        ("ALIAS".into(), Variable::Text { text: "live-${branch}".into() }),
        ("ACCOUNT".into(), Variable::Env { name: "ACCOUNT".into() }),
    ]
}

fn instances() -> TargetInstances {
    let tag = |key: Option<&str>, value: Option<&str>| Tag { key: key.map(Into::into), value: value.map(Into::into) };
    TargetInstances {
        tags: vec![tag(Some("Env"), Some("green"))],
        tag_groups: vec![vec![tag(Some("Env"), None)], vec![tag(None, Some("web*"))]],
        auto_scaling_groups: vec!["green".into()],
    }
}

fn options() -> DeployOptions {
    DeployOptions {
        deployment_config: Some("CodeDeployDefault.AllAtOnce".into()),
        ignore_application_stop_failures: true,
        file_exists_behavior: Some(FileExists::Retain),
        outdated_only: true,
        ignore_alarms: true,
        override_freeze: Some("an outage".into()),
    }
}

fn causes() -> Vec<Cause> {
    let (delivery, key) = (|| delivery(1, 1).id, || "key-1".to_owned());
    every(|last| match last {
        None => Some(Cause::Push { delivery: delivery() }),
        Some(Cause::Push { .. }) => Some(Cause::CatchUp),
        Some(Cause::CatchUp) => Some(Cause::Request { actor: ada(), key: key() }),
        Some(Cause::Request { .. }) => Some(Cause::Redeploy { actor: ada(), key: key() }),
        Some(Cause::Redeploy { .. }) => Some(Cause::Replay { delivery: delivery(), actor: ada(), key: key() }),
        Some(Cause::Replay { .. }) => {
            Some(Cause::Rollback { actor: Some(ada()), key: None, to: None, run: Some(run()) })
        }
        Some(Cause::Rollback { .. }) => Some(Cause::Promotion { actor: None, from: Some(name("test")), waits: true }),
        Some(Cause::Promotion { .. }) => Some(Cause::Restart { actor: ada(), key: key(), of: id() }),
        Some(Cause::Restart { .. }) => {
            let asked_at = Some("2026-01-02T03:00:00Z".parse().unwrap());
            Some(Cause::Chosen { actor: ada(), key: key(), github: Some(4711), asked_at })
        }
        Some(Cause::Chosen { .. }) => None,
    })
}

fn bundle() -> Revision {
    let location = Location::File { path: "/srv/revisions/blog/1.tgz".into() };
    Revision::Bundle { format: BundleFormat::Tgz, location, sha256: "9b1d".into(), bytes: 1024, files: 3 }
}

fn revisions() -> Vec<Revision> {
    let pinned = Location::S3 {
        bucket: "acme-revisions".into(),
        key: "shop/blog/1.zip".into(),
        region: "eu-west-1".into(),
        version: Some("v1".into()),
        etag: Some("e1".into()),
    };
    let zip =
        Revision::Bundle { format: BundleFormat::Zip, location: pinned, sha256: "9b1d".into(), bytes: 1, files: 1 };
    let mut all = every(|last| match last {
        None => Some(bundle()),
        Some(Revision::Bundle { .. }) => {
            Some(Revision::AppSpec { content: "version: 0.0\n".into(), sha256: "4f2c".into() })
        }
        Some(Revision::AppSpec { .. }) => Some(Revision::GitHub { repository: "acme/shop".into(), commit: sha(1) }),
        Some(Revision::GitHub { .. }) => None,
    });
    all.push(zip);
    all
}

fn progress() -> Progress {
    let lifecycle = Lifecycle {
        name: "AfterInstall".into(),
        status: StepStatus::InProgress,
        instance: Some("i-1".into()),
        script: Some("scripts/build.sh".into()),
        took_ms: Some(1200),
    };
    let instance = InstanceState {
        id: "i-1".into(),
        status: StepStatus::InProgress,
        steps: "i".into(),
        label: Some("Green".into()),
    };
    let fleet = Fleet { events: vec!["AfterInstall".into()], instances: vec![instance], unnamed: 3 };
    Progress {
        status: "InProgress".into(),
        phase: Some("AfterInstall".into()),
        lifecycle: vec![lifecycle],
        instances: Some(Instances { succeeded: 1, in_progress: 1, ..Instances::default() }),
        percent: None,
        traffic: Some(Traffic { percent: 50, label: "version 8".into() }),
        sub_state: Some(SubState::ReadyForTraffic),
        said: None,
        overdue_h: Some(12),
        fleet: Some(fleet),
        until: Some(at(60)),
    }
}

/// The deployment event after one, in about the order of a deployment's life.
pub(crate) fn event_after(last: Option<&DeploymentEvent>) -> Option<DeploymentEvent> {
    use DeploymentEvent as E;
    let hold = Hold { kind: HoldKind::Lock, reason: "ada locked the target".into(), until: Some(at(60)) };
    let outcome = RunOutcome {
        verdict: Verdict::Failed,
        failure: Some(failure()),
        warnings: vec!["one instance was skipped".into()],
        rolled_back_by: Some(run()),
        rolled_back_to: Some("s3://acme/shop.tgz#v7".into()),
        rollback_said: Some("there is no last successful revision".into()),
        followed_by: vec![run()],
        untouched: false,
    };
    let archive = ArchiveFacts { bytes: 10, unpacked_bytes: 100, files: 4, reused: false };
    let findings = vec![Finding::warning("bundle/lfs-pointer", "`logo.png` is a pointer of Git LFS")];
    Some(match last {
        None => E::Planned { order: Arc::new(order("blog", 1, Cause::CatchUp)) },
        Some(E::Planned { .. }) => E::Weighing,
        Some(E::Weighing) => E::Held { hold },
        Some(E::Held { .. }) => {
            let doubt = Some("300 files or more lie between 0000000 and 0000000".into());
            E::Weighed { head: sha(1), commit: sha(1), forced: true, doubt }
        }
        Some(E::Weighed { .. }) => E::Prepared { revision: bundle(), archive, findings },
        Some(E::Prepared { .. }) => {
            let warning = Some("warning by ada: the fair is on".into());
            E::Releasing { marker: "landfall-1".into(), run: Some(run()), warning }
        }
        Some(E::Releasing { .. }) => E::Unsent { failure: failure(), next_at: at(61) },
        Some(E::Unsent { .. }) => {
            E::Released { run: run(), adopted: true, url: Some("https://console.example.com/d-ABCDEF123".into()) }
        }
        Some(E::Released { .. }) => E::Progressed { progress: progress() },
        Some(E::Progressed { .. }) => E::Ended { outcome },
        Some(E::Ended { .. }) => {
            let (what, said) = ("`https://shop.example.com/healthz`".into(), "answers 503, expected 200".into());
            E::Verified { what, good: false, said }
        }
        Some(E::Verified { .. }) => {
            E::Stumbled { step: StepName::Prepare, failure: failure(), attempt: 2, next_at: at(62) }
        }
        Some(E::Stumbled { .. }) => E::StopAsked { actor: ada(), rollback: true },
        Some(E::StopAsked { .. }) => {
            E::Approved { actor: ada(), of: Some(Approval::Freeze), reason: Some("an outage".into()) }
        }
        Some(E::Approved { .. }) => E::Succeeded { warnings: vec!["one instance was skipped".into()] },
        Some(E::Succeeded { .. }) => E::Failed { failure: failure() },
        Some(E::Failed { .. }) => E::Stopped { actor: ada(), failure: Some(failure()) },
        Some(E::Stopped { .. }) => E::Superseded { by: sha(2), deployment: Some(id()) },
        Some(E::Superseded { .. }) => E::Refused { failure: failure() },
        Some(E::Refused { .. }) => E::AlreadyLive { deployment: id() },
        Some(E::AlreadyLive { .. }) => E::RollbackBegun { by: id(), to: Some(sha(2)) },
        Some(E::RollbackBegun { .. }) => E::RollbackEnded { by: id(), to: Some(sha(2)), verdict: Verdict::Succeeded },
        Some(E::RollbackEnded { .. }) => E::Adopted {
            run: run(),
            revision: Some(bundle()),
            url: Some("https://console.example.com/d-ABCDEF123".into()),
        },
        Some(E::Adopted { .. }) => E::Declined { of: Some(Approval::Traffic), failure: failure() },
        Some(E::Declined { .. }) => E::Taken { of: Some(Approval::Traffic) },
        Some(E::Taken { .. }) => E::Skipped { reason: "no path of the rule changed since 0000000".into() },
        Some(E::Skipped { .. }) => return None,
    })
}

fn plans() -> Vec<PlanLine> {
    let reference = main_branch;
    let nothing = every(|last| match last {
        None => Some(NoDeployment::NotMapped { reference: reference() }),
        Some(NoDeployment::NotMapped { .. }) => Some(NoDeployment::Deleted { reference: reference() }),
        Some(NoDeployment::Deleted { .. }) => Some(NoDeployment::PathsUntouched),
        Some(NoDeployment::PathsUntouched) => Some(NoDeployment::AlreadyPlanned { deployment: id() }),
        Some(NoDeployment::AlreadyPlanned { .. }) => Some(NoDeployment::OtherRepository { pinned: 7, found: 8 }),
        Some(NoDeployment::OtherRepository { .. }) => Some(NoDeployment::SkipAsked { words: "[skip deploy]".into() }),
        Some(NoDeployment::SkipAsked { .. }) => Some(NoDeployment::AlreadyLive { deployment: id() }),
        Some(NoDeployment::AlreadyLive { .. }) => None,
    });
    let planned =
        PlanLine { target: name("blog"), deployment: Some(id()), rule: Some("branch main".into()), nothing: None };
    let none = |why| PlanLine { target: name("shop"), deployment: None, rule: None, nothing: Some(why) };
    [planned].into_iter().chain(nothing.into_iter().map(none)).collect()
}

fn delivery_events() -> Vec<DeliveryEvent> {
    let received = |body, caught_up| {
        let (event, digest, push) = ("push".into(), delivery(1, 1).digest, Box::new(push(1)));
        DeliveryEvent::Received { event, digest, body, push, plans: plans(), caught_up }
    };
    let bodies = every(|last| match last {
        None => Some(BodyAt::Inline { text: "{\"ref\":\"refs/heads/main\",\"é\":\"\\n\"}".into() }),
        Some(BodyAt::Inline { .. }) => Some(BodyAt::File { bytes: 100_000 }),
        Some(BodyAt::File { .. }) => None,
    });
    let mut all: Vec<_> = bodies.into_iter().map(|body| received(body, None)).collect();
    let caught_up = CaughtUp { sent_at: at(60), met: "503".into() };
    all.push(received(BodyAt::File { bytes: 100_000 }, Some(caught_up)));
    all.extend(every(|last| match last {
        None => Some(DeliveryEvent::Replayed { actor: ada(), key: "key-1".into(), plans: plans() }),
        Some(DeliveryEvent::Replayed { .. } | DeliveryEvent::Received { .. }) => None,
    }));
    all
}

fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

fn file() -> Location {
    Location::File { path: "/var/lib/landfall/revisions/blog/1".into() }
}

fn target_events() -> Vec<TargetEvent> {
    use TargetEvent as E;
    every(|last| match last {
        None => Some(E::Seen { reference: main_branch(), sha: sha(1) }),
        Some(E::Seen { .. }) => Some(E::Found { reference: main_branch(), sha: sha(1) }),
        Some(E::Found { .. }) => Some(E::Pinned { repository_id: 7, repository: None }),
        Some(E::Pinned { repository: None, .. }) => {
            Some(E::Pinned { repository_id: 7, repository: Some(repository("acme/blog")) })
        }
        Some(E::Pinned { .. }) => Some(E::Followed { repository: repository("acme/journal") }),
        Some(E::Followed { .. }) => {
            let reason = Some("the shop is full".into());
            Some(E::Locked { actor: ada(), reason, until: Some(at(63)), warns: true, after: Some(id()) })
        }
        Some(E::Locked { .. }) => Some(E::Unlocked { actor: ada() }),
        Some(E::Unlocked { .. }) => Some(E::Pruned { location: file(), deployment: id(), gone: true }),
        Some(E::Pruned { .. }) => Some(E::UpkeepFailed { failure: failure() }),
        Some(E::UpkeepFailed { .. }) => Some(E::UpkeepMended),
        Some(E::UpkeepMended) => None,
    })
}

fn sink_events() -> Vec<SinkEvent> {
    use SinkEvent as E;
    every(|last| match last {
        None => Some(E::Sent {
            deployment: id(),
            context: "landfall/blog".into(),
            sha: sha(1),
            state: NoticeState::Pending,
            text: "Planned".into(),
            remote_id: Some("4711".into()),
            nth: 12,
            steps: 4,
        }),
        Some(E::Sent { .. }) => Some(E::Stumbled {
            deployment: id(),
            failure: failure(),
            attempt: 1,
            next_at: at(64),
            remote_id: Some("4711".into()),
            nth: 13,
            down_since: Some(at(63)),
        }),
        Some(E::Stumbled { .. }) => {
            Some(E::GaveUp { deployment: id(), failure: failure(), remote_id: Some("4711".into()), nth: 13 })
        }
        Some(E::GaveUp { .. }) => None,
    })
}

fn asks() -> Vec<Ask> {
    let (target, deployment) = (|| name("blog"), id());
    every(|last| match last {
        None => Some(Ask::Deploy {
            target: target(),
            reference: Some(main_branch()),
            sha: Some(CommitPrefix::parse("4f2c1e9").unwrap()),
            options: options(),
        }),
        Some(Ask::Deploy { .. }) => Some(Ask::Redeploy { deployment, options: DeployOptions::default() }),
        Some(Ask::Redeploy { .. }) => {
            Some(Ask::Rollback { target: target(), to: Some(deployment), options: DeployOptions::default() })
        }
        Some(Ask::Rollback { .. }) => Some(Ask::Stop { deployment, rollback: true }),
        Some(Ask::Stop { .. }) => {
            Some(Ask::Approve { deployment, of: Some(Approval::Freeze), reason: Some("an outage".into()) })
        }
        Some(Ask::Approve { .. }) => Some(Ask::Reject { deployment, reason: Some("not today".into()) }),
        Some(Ask::Reject { .. }) => {
            Some(Ask::Lock { target: target(), reason: None, until: Some(at(65)), warns: false })
        }
        Some(Ask::Lock { .. }) => Some(Ask::Unlock { target: target() }),
        Some(Ask::Unlock { .. }) => {
            Some(Ask::LockAll { reason: Some("the fair".into()), until: Some(at(65)), warns: true })
        }
        Some(Ask::LockAll { .. }) => Some(Ask::UnlockAll {}),
        Some(Ask::UnlockAll {}) => Some(Ask::Pause { reason: Some("the network moves".into()) }),
        Some(Ask::Pause { .. }) => Some(Ask::Resume {}),
        Some(Ask::Resume {}) => Some(Ask::Replay { delivery: delivery(1, 1).id }),
        Some(Ask::Replay { .. }) => Some(Ask::Restart { target: target(), options: DeployOptions::default() }),
        Some(Ask::Restart { .. }) => None,
    })
}

fn acts() -> Vec<Act> {
    let token = || TokenName::parse("ci").unwrap();
    every(|last| match last {
        None => Some(Act::TokenMade {
            token: token(),
            role: Role::Deploy,
            targets: vec!["shop-*".into()],
            until: Some(at(66)),
        }),
        Some(Act::TokenMade { .. }) => Some(Act::TokenRevoked { token: token() }),
        Some(Act::TokenRevoked { .. }) => Some(Act::SignedIn),
        Some(Act::SignedIn) => Some(Act::SignedOut { whose: token().to_string() }),
        Some(Act::SignedOut { .. }) => Some(Act::Upkeep),
        Some(Act::Upkeep) => Some(Act::Commanded { words: "stop shop".into(), refused: Some("nothing runs".into()) }),
        Some(Act::Commanded { .. }) => None,
    })
}

fn bot_events() -> Vec<BotEvent> {
    let requested = |what| {
        let request = Request { actor: ada(), key: "key-1".into(), what };
        BotEvent::Requested { request, deployments: vec![id()] }
    };
    let mut all = every(|last| match last {
        None => Some(BotEvent::Started { version: "0.1.0".into() }),
        Some(BotEvent::Started { .. }) => Some(BotEvent::Stopping),
        Some(BotEvent::Stopping | BotEvent::Requested { .. } | BotEvent::Administered { .. }) => None,
    });
    all.extend(acts().into_iter().map(|act| BotEvent::Administered { actor: ada(), act }));
    all.extend(asks().into_iter().map(requested));
    all
}

/// One event of every kind of every stream, and of every kind of what they hold.
pub(crate) fn all() -> Vec<(Stream, Event)> {
    let mut deployment = every(event_after);
    let planned = |cause| DeploymentEvent::Planned { order: Arc::new(other_order(cause)) };
    deployment.extend(causes().into_iter().map(planned));
    let prepared =
        |revision| DeploymentEvent::Prepared { revision, archive: ArchiveFacts::default(), findings: vec![] };
    deployment.extend(revisions().into_iter().map(prepared));
    let of = |stream: Stream, events: Vec<Event>| events.into_iter().map(move |event| (stream.clone(), event));
    of(Stream::Delivery(delivery(1, 1).id), delivery_events().into_iter().map(Event::Delivery).collect())
        .chain(of(Stream::Deployment(id()), deployment.into_iter().map(Event::Deployment).collect()))
        .chain(of(Stream::Target(name("blog")), target_events().into_iter().map(Event::Target).collect()))
        .chain(of(Stream::Sink("github".into()), sink_events().into_iter().map(Event::Sink).collect()))
        .chain(of(Stream::Bot, bot_events().into_iter().map(Event::Bot).collect()))
        .collect()
}
