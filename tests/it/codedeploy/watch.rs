//! Runs of CodeDeploy watched to their ends.

use std::time::Duration;

use landfall::domain::{Approval, Blame, Hint, Instances, Progress, RunId, StepStatus, SubState, Verdict};
use landfall::engine::Engine;
use landfall::engine::codedeploy::CodeDeployEngine;

use super::{CodeDeployBench, spec};
use crate::engines::{Bench, end};
use crate::worlds::codedeploy::{Ending, Failing, Fault, Moves, Scenario};

#[tokio::test]
async fn a_failure_names_instance_event_and_script_and_ends_with_the_log() {
    let bench = CodeDeployBench::new();
    let log = format!("{}boom\n", "a line of a long log\n".repeat(1000));
    bench.world.script(Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", &log));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (progress, outcome) = end(&*engine, &started.run).await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.message, "AfterInstall failed on i-0b: ScriptFailed scripts/migrate.sh");
    assert_eq!((failure.code.as_str(), failure.blame), ("codedeploy/script-failed", Blame::Revision));
    let detail = failure.detail.unwrap();
    assert!(detail.len() <= 4096 && detail.ends_with("boom"), "{detail}");
    let failed: Vec<_> = progress.lifecycle.iter().filter(|it| it.status == StepStatus::Failed).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].name.as_str(), failed[0].instance.as_deref()), ("AfterInstall", Some("i-0b")));
    assert_eq!(progress.instances, Some(Instances { failed: 1, skipped: 1, ..Instances::default() }));
}

#[tokio::test]
async fn a_failure_is_told_even_where_its_details_may_not_be_read() {
    let bench = CodeDeployBench::new();
    bench.world.script(Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", "boom"));
    (0..100).for_each(|_| bench.world.fault("ListDeploymentTargets", Fault::Exception("AccessDeniedException", "no")));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!(outcome.verdict, Verdict::Failed);
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.message, "too many instances failed, or too few are healthy");
    assert_eq!((failure.code.as_str(), failure.blame), ("codedeploy/health-constraints", Blame::Revision));
}

/// Row 50: what the log says is told, and not the code alone.
#[tokio::test]
async fn a_log_that_names_the_cause_is_understood_row_50() {
    let bench = CodeDeployBench::new();
    let log = "/opt/codedeploy-agent/.../scripts/migrate.sh: /bin/bash^M: bad interpreter: No such file or directory";
    bench.world.script(Scenario::script_fails("i-0b", "AfterInstall", "scripts/migrate.sh", log));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let failure = end(&*engine, &started.run).await.1.failure.unwrap();
    assert_eq!(failure.message, "AfterInstall failed on i-0b: ScriptFailed scripts/migrate.sh");
    assert_eq!((failure.code.as_str(), failure.blame), ("codedeploy/line-ends", Blame::Revision));
    assert!(failure.help.unwrap().contains("eol=lf") && failure.detail.unwrap().ends_with(log));
}

#[tokio::test]
async fn silent_agents_and_missing_instances_are_the_set_ups_fault() {
    for (ending, code, message) in [
        (Ending::Mute, "codedeploy/agent-silent", "i-0a did nothing: every lifecycle event was skipped"),
        (
            Ending::GivesUp("NO_INSTANCES", "No instances found"),
            "codedeploy/no-instances",
            "the deployment group matches no instance",
        ),
        (Ending::GivesUp("SOLAR_FLARE", "hot"), "codedeploy/unknown-reason", "CodeDeploy says SOLAR_FLARE: hot"),
    ] {
        let bench = CodeDeployBench::new();
        bench.world.script(Scenario { ending, ..Scenario::default() });
        let engine = bench.engine();
        let started = engine.start(&bench.next_intent()).await.unwrap();
        let failure = end(&*engine, &started.run).await.1.failure.unwrap();
        assert_eq!((failure.code.as_str(), failure.message.as_str(), failure.blame), (code, message, Blame::Setup));
    }
}

#[tokio::test]
async fn a_success_with_a_failed_instance_is_a_success_that_says_so() {
    let bench = CodeDeployBench::new();
    let failing = Failing {
        instance: "i-0b".into(),
        event: "ValidateService",
        code: "ScriptTimedOut",
        script: "scripts/check.sh",
        message: "Script at specified location timed out",
        log_tail: String::new(),
    };
    bench.world.script(Scenario { ending: Ending::SucceedsWith(failing), ..Scenario::default() });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!((outcome.verdict, outcome.failure), (Verdict::Succeeded, None));
    let warning = "1 of 2 instances failed: ValidateService failed on i-0b: ScriptTimedOut scripts/check.sh";
    assert_eq!(outcome.warnings, [warning]);
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_shown_and_watched_on() {
    let bench = CodeDeployBench::new();
    bench.world.script(Scenario { strange_status: Some("Polishing"), ..Scenario::default() });
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    (0..4).for_each(|_| bench.world.tick());
    let seen = engine.observe(&started.run, &Progress::default()).await.unwrap();
    assert_eq!((seen.progress.status.as_str(), seen.outcome), ("Polishing", None));
    bench.world.moves(Moves::EveryMillis(1));
    assert_eq!(end(&*engine, &started.run).await.1.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn sixty_deployments_are_watched_with_three_calls_a_tick() {
    let bench = CodeDeployBench::standing();
    bench.world.moves(Moves::WhenTold);
    let accounts = bench.accounts();
    let mut watched: Vec<(CodeDeployEngine, RunId)> = vec![];
    for number in 0..60 {
        let group = format!("group-{number}");
        bench.world.add_group(&group);
        let mut spec = spec(&bench.world.url());
        spec.deployment_group = group;
        let engine = CodeDeployEngine::new(&spec, &accounts);
        let started = engine.start(&bench.next_intent()).await.unwrap();
        watched.push((engine, started.run));
    }
    let looks = || bench.world.count("BatchGetDeployments");
    let all = async |last: &Progress| {
        let seen = watched.iter().map(|(engine, run)| engine.observe(run, last));
        futures_util::future::try_join_all(seen).await.unwrap().remove(0).progress
    };
    let created = all(&Progress::default()).await;
    assert_eq!((created.status.as_str(), looks()), ("Created", 3));
    bench.world.tick();
    let (queued, ()) = tokio::join!(all(&created), async {
        tokio::task::yield_now().await;
        bench.clock.advance(Duration::from_secs(2));
    });
    assert_eq!((queued.status.as_str(), looks()), ("Queued", 6));
}

#[tokio::test]
async fn throttled_looks_slow_down_and_nobody_hears_of_them() {
    let bench = CodeDeployBench::standing();
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let looks = || bench.world.count("BatchGetDeployments");
    (0..3).for_each(|_| bench.world.fault("BatchGetDeployments", Fault::Throttled));
    let mut times = vec![];
    let last = Progress::default();
    let watching = engine.observe(&started.run, &last);
    tokio::pin!(watching);
    let began = bench.clock.now();
    let seen = loop {
        let before = looks();
        tokio::select! {
            seen = &mut watching => break seen.unwrap(),
            () = until(|| looks() > before) => times.push(bench.clock.now().duration_since(began).as_secs()),
            () = tokio::time::sleep(Duration::from_millis(40)) => bench.clock.advance(Duration::from_secs(1)),
        }
    };
    assert_eq!(seen.progress.status, "Created");
    assert_eq!(looks(), 4);
    assert!(bench.clock.now().duration_since(began).as_secs() >= 4 + 8 + 16, "{times:?}");
}

/// Returns once it is so. The deadline is the test's.
async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_look_that_fails_says_nothing_about_the_run() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    bench.world.fault("BatchGetDeployments", Fault::Exception("AccessDeniedException", "no"));
    let failure = engine.observe(&started.run, &Progress::default()).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.passing), ("codedeploy/access-denied", true));
    let seen = engine.observe(&started.run, &Progress::default()).await.unwrap();
    assert_eq!(seen.progress.status, "Created");
}

/// A hint at the pace that CodeDeploy bears: the look comes with it and not fifteen seconds later, again after five
/// seconds at the earliest, and not for what nobody watches.
#[tokio::test]
async fn a_hint_brings_the_next_look_at_once() {
    let mut bench = CodeDeployBench::standing();
    bench.pace.quick_looks = 0;
    bench.world.moves(Moves::WhenTold);
    let accounts = bench.accounts();
    let engine = CodeDeployEngine::new(&spec(&bench.world.url()), &accounts);
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let seen = engine.observe(&started.run, &Progress::default()).await.unwrap();
    let looks = || bench.world.count("BatchGetDeployments");
    let hint = |region: &str, account: Option<&str>, run: Option<&RunId>, group: &str| Hint {
        region: region.into(),
        account: account.map(str::to_owned),
        run: run.cloned(),
        group: Some(("shop".into(), group.into())),
    };
    let foreign = RunId::parse("d-FOREIGN").unwrap();
    assert_eq!(accounts.nudge(&hint("us-east-1", None, Some(&started.run), "production")), 0, "another region");
    assert_eq!(accounts.nudge(&hint("eu-west-1", None, Some(&foreign), "staging")), 0, "another group");
    let last = seen.progress;
    let watching = engine.observe(&started.run, &last);
    tokio::pin!(watching);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut watching).await.is_err());
    assert_eq!(looks(), 1, "the tick has not come");
    bench.world.tick();
    assert_eq!(accounts.nudge(&hint("eu-west-1", Some("123456789012"), Some(&started.run), "")), 1);
    let seen = watching.await.unwrap();
    assert_eq!((seen.progress.status.as_str(), looks()), ("Queued", 2), "and the clock stood still");
    // Of another run of the same group, such as CodeDeploy's own rollback: the group's runs are meant.
    let last = seen.progress;
    let watching = engine.observe(&started.run, &last);
    tokio::pin!(watching);
    bench.world.tick();
    assert_eq!(accounts.nudge(&hint("eu-west-1", None, Some(&foreign), "production")), 1);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut watching).await.is_err(), "not within five seconds");
    assert_eq!(looks(), 2);
    let (seen, ()) = tokio::join!(watching, async { bench.clock.advance(Duration::from_secs(5)) });
    assert_eq!((seen.unwrap().progress.status.as_str(), looks()), ("InProgress", 3));
}

#[tokio::test]
async fn nothing_new_is_answered_after_a_while() {
    let mut bench = CodeDeployBench::new();
    bench.pace.answer_within = Duration::from_millis(30);
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let seen = engine.observe(&started.run, &Progress::default()).await.unwrap();
    assert_eq!(engine.observe(&started.run, &seen.progress).await.unwrap(), seen);
}

#[tokio::test]
async fn the_services_own_rollback_is_waited_for_and_named() {
    let bench = CodeDeployBench::new();
    bench.world.roll_back("shop", "production", 4);
    bench.world.script(Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom"));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let mut last = Progress::default();
    let outcome = loop {
        let seen = engine.observe(&started.run, &last).await.unwrap();
        match seen.outcome {
            Some(outcome) => break outcome,
            None => last = seen.progress,
        }
    };
    assert_eq!(last.status, "Failed", "the failure is shown while its rollback is awaited");
    assert_eq!(outcome.rolled_back_by.unwrap().as_str(), bench.world.deployments()[1].id);
    assert_eq!(bench.world.deployments()[1].creator, "codeDeployRollback");
}

/// Surprise 3 and vector 4: at its end a deployment names no rollback yet; one that appears half a second or five
/// seconds later belongs to it.
#[tokio::test]
async fn a_rollback_that_appears_late_is_found_within_the_grace() {
    for (millis, moved) in [(500, 3), (5000, 9)] {
        let bench = CodeDeployBench::standing();
        bench.world.moves(Moves::WhenTold);
        bench.world.roll_back_after("shop", "production", Duration::from_millis(millis));
        let failing = Scenario::script_fails("i-0a", "BeforeInstall", "scripts/stop.sh", "boom");
        bench.world.script_for("production", failing);
        let engine = bench.engine();
        let started = engine.start(&bench.next_intent()).await.unwrap();
        (0..8).for_each(|_| bench.world.tick());
        let began = bench.clock.now();
        let watching = end(&*engine, &started.run);
        tokio::pin!(watching);
        let (_, outcome) = loop {
            tokio::select! {
                ended = &mut watching => break ended,
                // Long enough for an answer on a busy machine: what is measured is the time that the watcher takes.
                () = tokio::time::sleep(Duration::from_millis(100)) => bench.clock.advance(Duration::from_secs(1)),
            }
        };
        assert_eq!(outcome.rolled_back_by.unwrap().as_str(), bench.world.deployments()[1].id);
        let took = bench.clock.now().duration_since(began).as_secs();
        assert!(took <= moved, "{took} s for a rollback after {millis} ms");
    }
}

#[tokio::test]
async fn a_group_is_asked_once_whether_it_rolls_back() {
    let bench = CodeDeployBench::new();
    bench.world.hide_rollback_rules();
    bench.world.roll_back("shop", "production", 4);
    bench.world.script(Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom"));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!(outcome.rolled_back_by.unwrap().as_str(), bench.world.deployments()[1].id);
    assert_eq!(bench.world.count("GetDeploymentGroup"), 1);
}

#[tokio::test]
async fn a_rollback_that_does_not_come_is_not_waited_for_for_ever() {
    let mut bench = CodeDeployBench::new();
    bench.pace.grace = Duration::from_millis(50);
    bench.world.roll_back("shop", "production", u32::MAX);
    bench.world.script(Scenario::script_fails("i-0a", "AfterInstall", "scripts/migrate.sh", "boom"));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!((outcome.verdict, outcome.rolled_back_by), (Verdict::Failed, None));
}

#[tokio::test]
async fn a_deployment_stopped_by_somebody_else_says_so() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    engine.stop(&started.run, false).await.unwrap();
    let (_, outcome) = end(&*engine, &started.run).await;
    let failure = outcome.failure.unwrap();
    assert_eq!((outcome.verdict, failure.code.as_str()), (Verdict::Stopped, "codedeploy/stopped"));
    assert_eq!(failure.blame, Blame::Setup);
}

#[tokio::test]
async fn a_deployment_that_waits_for_traffic_goes_on_when_told() {
    let bench = CodeDeployBench::new();
    bench.world.script(Scenario { waits_for_traffic: true, ..Scenario::default() });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let early = engine.proceed(&started.run, Approval::Traffic).await.unwrap_err();
    assert_eq!((early.code.as_str(), early.passing), ("codedeploy/not-ready", true));
    let mut last = Progress::default();
    while last.sub_state != Some(SubState::ReadyForTraffic) {
        last = engine.observe(&started.run, &last).await.unwrap().progress;
    }
    engine.proceed(&started.run, Approval::Traffic).await.unwrap();
    assert_eq!(end(&*engine, &started.run).await.1.verdict, Verdict::Succeeded);
    engine.proceed(&started.run, Approval::Traffic).await.unwrap();
}

#[tokio::test]
async fn a_deployment_that_vanishes_ends() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    bench.world.forget("shop");
    let (_, outcome) = end(&*engine, &started.run).await;
    assert_eq!(outcome.verdict, Verdict::Failed);
    assert_eq!(outcome.failure.unwrap().code, "codedeploy/deployment-gone");
}
