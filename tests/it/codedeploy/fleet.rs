//! Fleets of instances, seen through the engine: how many may fail, who is named, what is said, and what it costs.

use std::time::Duration;

use landfall::domain::{Instances, Mask, Progress, RunOutcome, StepStatus, SubState, SuccessOn, Verdict};
use landfall::engine::Engine;
use landfall::engine::codedeploy::CodeDeployEngine;

use super::{CodeDeployBench, spec};
use crate::engines::{Bench, end};
use crate::worlds::codedeploy::{Course, Fate, Fault, Minimum, Moves, Plan, Scenario};

/// Deploys to a fleet, to its end.
async fn deploy(bench: &CodeDeployBench, plan: Plan) -> (Progress, RunOutcome) {
    bench.world.script(Scenario::of(plan));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    end(&*engine, &started.run).await
}

/// The case with this id: what it comes to, in words, and in which batches.
async fn comes_to(id: &str, plan: Plan, expected: &str, batches: &[usize]) {
    let bench = CodeDeployBench::new();
    let (progress, outcome) = deploy(&bench, plan).await;
    let Instances { succeeded, failed, skipped, .. } = progress.instances.unwrap_or_default();
    let word = format!("{:?}: {succeeded} succeeded, {failed} failed, {skipped} skipped", outcome.verdict);
    let said = outcome.failure.map(|it| it.message).into_iter().chain(outcome.warnings).collect::<Vec<_>>().join("; ");
    let found = if said.is_empty() { word } else { format!("{word}; {said}") };
    assert_eq!(found, expected, "{id}");
    assert_eq!(bench.world.batches(), batches, "{id}");
}

/// Row 42: the minimum is rounded up to whole hosts, and a batch is what is above it.
#[tokio::test]
async fn healthy_hosts_stay_above_their_minimum_row_42() {
    use Minimum::{AllAtOnce, FleetPercent, HostCount};
    let failed = |number: usize| format!("ValidateService failed on i-{number:03}: ScriptFailed scripts/check.sh");
    comes_to(
        "M01",
        Plan::of(10, FleetPercent(95)),
        "Failed: 0 succeeded, 0 failed, 10 skipped; the deployment configuration leaves no instance to be updated",
        &[],
    )
    .await;
    let fourth = format!("Failed: 3 succeeded, 1 failed, 6 skipped; {}", failed(4));
    comes_to("M02", Plan::of(10, HostCount(9)).failing([4]), &fourth, &[1, 1, 1, 1]).await;
    let last = format!("Succeeded: 9 succeeded, 1 failed, 0 skipped; 1 of 10 instances failed: {}", failed(10));
    comes_to("M03", Plan::of(10, HostCount(9)).failing([10]), &last, &[1; 10]).await;
    let all = format!("Failed: 0 succeeded, 10 failed, 0 skipped; {}", failed(1));
    comes_to("M04", Plan::of(10, HostCount(0)).failing(1..=10), &all, &[10]).await;
    let one = format!("Succeeded: 1 succeeded, 9 failed, 0 skipped; 9 of 10 instances failed: {}", failed(1));
    comes_to("M04", Plan::of(10, AllAtOnce).failing(1..=9), &one, &[10]).await;
    comes_to("M07", Plan::of(10, HostCount(3)), "Succeeded: 10 succeeded, 0 failed, 0 skipped", &[7, 3]).await;
    // 55 % of 10 are 6 hosts.
    comes_to("row 42", Plan::of(10, FleetPercent(55)), "Succeeded: 10 succeeded, 0 failed, 0 skipped", &[4, 4, 2])
        .await;
}

/// Row 39: CodeDeploy's own three configurations for servers.
#[tokio::test]
async fn the_predefined_configurations_take_so_many_failures_row_39() {
    use Minimum::{HalfAtATime, OneAtATime};
    let failed = |number: usize| format!("ValidateService failed on i-{number:03}: ScriptFailed scripts/check.sh");
    let half = format!("Succeeded: 5 succeeded, 4 failed, 0 skipped; 4 of 9 instances failed: {}", failed(6));
    comes_to("M05", Plan::of(9, HalfAtATime).failing(6..=9), &half, &[4, 4, 1]).await;
    let more = format!("Failed: 2 succeeded, 4 failed, 3 skipped; {}", failed(1));
    comes_to("row 39", Plan::of(9, HalfAtATime).failing([1, 2, 5, 6]), &more, &[4, 2]).await;
    let only = format!("Failed: 0 succeeded, 1 failed, 0 skipped; {}", failed(1));
    comes_to("M06", Plan::of(1, OneAtATime).failing([1]), &only, &[1]).await;
    comes_to("M06", Plan::of(1, OneAtATime), "Succeeded: 1 succeeded, 0 failed, 0 skipped", &[1]).await;
    let first = format!("Failed: 0 succeeded, 1 failed, 2 skipped; {}", failed(1));
    comes_to("row 39", Plan::of(3, OneAtATime).failing([1]), &first, &[1]).await;
}

/// Rows 49 to 51: the failed are named first, each with its events in the order in which they run.
#[tokio::test]
async fn a_fleet_is_told_as_a_grid_the_failed_first() {
    let bench = CodeDeployBench::new();
    let plan = Plan { course: Course::BehindLoadBalancer, ..Plan::of(4, Minimum::AllAtOnce).failing([3]) };
    let (progress, outcome) = deploy(&bench, plan).await;
    assert_eq!(outcome.verdict, Verdict::Succeeded);
    let fleet = progress.fleet.unwrap();
    assert_eq!(fleet.events[..4], ["BeforeBlockTraffic", "BlockTraffic", "AfterBlockTraffic", "ApplicationStop"]);
    assert_eq!(fleet.events[9..], ["ValidateService", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]);
    let told: Vec<_> = fleet.instances.iter().map(|it| (it.id.as_str(), it.steps.as_str())).collect();
    let well = "sssssssssssss";
    assert_eq!(told, [("i-003", "sssssssssfxxx"), ("i-001", well), ("i-002", well), ("i-004", well)]);
    let names: Vec<_> = progress.lifecycle.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, fleet.events.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Vector 10: thirty instances are two batches of names, one that vanished is passed over, and secrets are masked.
#[tokio::test]
async fn thirty_instances_are_asked_for_in_two_calls_and_one_may_have_vanished() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let mut plan = Plan::of(30, Minimum::AllAtOnce).failing(1..=30);
    if let Fate::Fails(failing) = &mut plan.instances[0].1 {
        failing.event = "ApplicationStart";
        failing.log_tail = "psql -p hunter2!hunter2!\n".into();
    }
    bench.world.script(Scenario::of(plan));
    let accounts = bench.accounts().masked(Mask::new(["hunter2!hunter2!".to_owned()]));
    let engine = CodeDeployEngine::new(&spec(&bench.world.url()), &accounts);
    let started = engine.start(&bench.next_intent()).await.unwrap();
    (0..2).for_each(|_| bench.world.tick());
    let calls = |name| bench.world.count(name);
    let mut last = engine.observe(&started.run, &Progress::default()).await.unwrap().progress;
    while last.fleet.is_none() {
        last = engine.observe(&started.run, &last).await.unwrap().progress;
    }
    assert_eq!((calls("ListDeploymentTargets"), calls("BatchGetDeploymentTargets")), (1, 2));
    assert_eq!(last.fleet.unwrap().instances.len(), 30);
    bench.world.vanish("i-030");
    (0..20).for_each(|_| bench.world.tick());
    let (progress, outcome) = end(&engine, &started.run).await;
    let fleet = progress.fleet.unwrap();
    assert_eq!((fleet.instances.len(), fleet.unnamed), (29, 1));
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.message, "ApplicationStart failed on i-001: ScriptFailed scripts/check.sh");
    let detail = failure.detail.unwrap();
    assert!(detail.contains("psql -p [secret]") && !detail.contains("hunter2"), "{detail}");
}

/// Row 49: a tick that has few calls for each of very many runs brings the next one further, and never back.
#[tokio::test]
async fn a_fleet_is_asked_for_bit_by_bit_where_calls_are_few() {
    let mut bench = CodeDeployBench::new();
    bench.pace.tick_calls = 4;
    let (progress, outcome) = deploy(&bench, Plan::of(50, Minimum::AllAtOnce).failing(1..=50)).await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.message, "ValidateService failed on i-001: ScriptFailed scripts/check.sh");
    assert_eq!(progress.fleet.unwrap().instances.len(), 50);
    let count = |name| bench.world.count(name);
    let (lists, batches) = (count("ListDeploymentTargets"), count("BatchGetDeploymentTargets"));
    assert!(batches >= lists, "two pages and two batches each time: {lists} and {batches}");
}

/// Row 49: of a large fleet the failed and those at work are asked for, whatever its size.
#[tokio::test]
async fn a_fleet_of_a_thousand_names_the_failed_and_counts_the_rest() {
    let bench = CodeDeployBench::new();
    let (progress, outcome) = deploy(&bench, Plan::of(1000, Minimum::AllAtOnce).failing([501, 777])).await;
    assert_eq!(outcome.warnings[0].split(':').next(), Some("2 of 1000 instances failed"));
    assert!(outcome.warnings[0].ends_with("ValidateService failed on i-501: ScriptFailed scripts/check.sh"));
    let fleet = progress.fleet.unwrap();
    let named: Vec<_> = fleet.instances.iter().map(|it| it.id.as_str()).collect();
    assert_eq!((named, fleet.unnamed), (vec!["i-501", "i-777"], 998));
}

/// Appendix A: all events skipped means that the agent never answered.
#[tokio::test]
async fn an_agent_that_never_answers_is_said_to_be_silent() {
    let bench = CodeDeployBench::new();
    let mut plan = Plan::of(3, Minimum::OneAtATime);
    plan.instances[0].1 = Fate::Silent;
    let (_, outcome) = deploy(&bench, plan).await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.code, "codedeploy/agent-silent");
    assert_eq!(failure.message, "i-001 did nothing: every lifecycle event was skipped");
}

/// Rows 44, 51 and 53: replacements take over, traffic moves, the originals live on for a while.
#[tokio::test]
async fn blue_and_green_are_told_apart_and_traffic_that_moved_may_be_the_end() {
    for (success_on, expected) in [(SuccessOn::Complete, "Succeeded"), (SuccessOn::TrafficShifted, "InProgress")] {
        let bench = CodeDeployBench::new();
        let course = Course::BlueGreen { termination_wait: 5 };
        bench.world.script(Scenario::of(Plan { course, ..Plan::of(2, Minimum::AllAtOnce) }));
        let engine = bench.codedeploy(|spec| spec.success_on = success_on);
        let started = engine.start(&bench.next_intent()).await.unwrap();
        let (progress, outcome) = end(&engine, &started.run).await;
        assert_eq!((outcome.verdict, progress.status.as_str()), (Verdict::Succeeded, expected), "{success_on:?}");
        let fleet = progress.fleet.unwrap();
        let labels: Vec<_> = fleet.instances.iter().map(|it| (it.id.as_str(), it.label.as_deref())).collect();
        let (blue, green) = (Some("Blue"), Some("Green"));
        assert_eq!(labels, [("i-001", green), ("i-002", green), ("i-old-001", blue), ("i-old-002", blue)]);
        assert_eq!(fleet.instances[0].steps, "---ssssssssss", "the originals' events come first");
        assert_eq!(fleet.instances[2].steps, "sss----------");
    }
}

/// Row 52: a wait for a person says until when, and a person who does not come is said to be the reason.
#[tokio::test]
async fn an_approval_that_does_not_come_is_the_end_and_said_so() {
    let bench = CodeDeployBench::new();
    bench.world.script(Scenario { waits_for_traffic: true, ready_expires: Some(4), ..Scenario::default() });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (mut last, mut until) = (Progress::default(), None);
    let outcome = loop {
        let seen = engine.observe(&started.run, &last).await.unwrap();
        last = seen.progress;
        if last.sub_state == Some(SubState::ReadyForTraffic) {
            until = last.until;
        }
        if let Some(outcome) = seen.outcome {
            break outcome;
        }
    };
    let minutes = until.unwrap().duration_since(bench.clock.now()).as_secs();
    assert!((200..=240).contains(&minutes), "{minutes} s of 4 minutes");
    let failure = outcome.failure.unwrap();
    assert_eq!((outcome.verdict, failure.code.as_str()), (Verdict::Stopped, "codedeploy/approval-timed-out"));
    assert_eq!(failure.message, "traffic approval timed out");
}

/// Row 62: baking is progress, and no end.
#[tokio::test]
async fn a_deployment_bakes_and_goes_on() {
    let bench = CodeDeployBench::new();
    bench.world.script(Scenario { bakes: 3, ..Scenario::default() });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let mut last = Progress::default();
    while last.sub_state != Some(SubState::Baking) {
        last = engine.observe(&started.run, &last).await.unwrap().progress;
    }
    assert_eq!(last.status, "Baking");
    assert_eq!(end(&*engine, &started.run).await.1.verdict, Verdict::Succeeded);
}

/// Vector 7: reads that are throttled again and again change no outcome.
#[tokio::test]
async fn throttled_details_are_asked_for_again() {
    let bench = CodeDeployBench::new();
    for call in ["ListDeploymentTargets", "BatchGetDeploymentTargets", "BatchGetDeployments"] {
        (0..3).for_each(|_| bench.world.fault(call, Fault::Throttled));
    }
    let (_, outcome) = deploy(&bench, Plan::of(3, Minimum::OneAtATime).failing([1])).await;
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.message, "ValidateService failed on i-001: ScriptFailed scripts/check.sh");
}

/// Row 49: while nothing else changes, instances are asked for once a minute.
#[tokio::test]
async fn a_run_that_stands_still_costs_little() {
    let mut bench = CodeDeployBench::standing();
    bench.pace.quick_looks = 1;
    bench.world.moves(Moves::WhenTold);
    bench.world.script(Scenario::of(Plan::of(3, Minimum::AllAtOnce)));
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    (0..4).for_each(|_| bench.world.tick());
    let mut last = engine.observe(&started.run, &Progress::default()).await.unwrap().progress;
    for _ in 0..300 {
        tokio::select! {
            seen = engine.observe(&started.run, &last) => last = seen.unwrap().progress,
            () = tokio::time::sleep(Duration::from_millis(4)) => bench.clock.advance(Duration::from_secs(1)),
        }
    }
    let count = |name| bench.world.count(name);
    // Five minutes are twenty ticks, and five looks at the instances, whose names are known after the first.
    assert!((15..=25).contains(&count("BatchGetDeployments")), "{}", count("BatchGetDeployments"));
    assert_eq!(count("ListDeploymentTargets"), 1);
    assert!((3..=6).contains(&count("BatchGetDeploymentTargets")), "{}", count("BatchGetDeploymentTargets"));
    assert!(last.lifecycle.iter().any(|it| it.status == StepStatus::InProgress), "{last:?}");
}

/// Rows 43 and 62: what bakes between two zones goes on, with some instances done; it is no hang and no unknown word.
#[tokio::test]
async fn a_zone_that_bakes_is_progress_rows_43_and_62() {
    let bench = CodeDeployBench::new();
    bench.world.moves(Moves::WhenTold);
    let plan = Plan::of(3, Minimum::OneAtATime);
    bench.world.script(Scenario { strange_status: Some("Baking"), ..Scenario::of(plan) });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    // The first zone's instance is done: seven events, after two states and the batch's beginning.
    (0..11).for_each(|_| bench.world.tick());
    let mut last = Progress::default();
    while last.instances.is_none_or(|it| it.succeeded != 1) || last.fleet.is_none() {
        last = engine.observe(&started.run, &last).await.unwrap().progress;
    }
    assert_eq!((last.sub_state, last.status.as_str()), (Some(SubState::Baking), "Baking"));
    let seen = engine.observe(&started.run, &last).await.unwrap();
    assert_eq!(seen.outcome, None);
    bench.world.moves(Moves::AtEachLook);
    assert_eq!(end(&*engine, &started.run).await.1.verdict, Verdict::Succeeded);
}

/// Row 64: what takes longer than CodeDeploy says is said to, once; it is watched on, and no failure of ours.
#[tokio::test]
async fn a_run_that_takes_too_long_is_said_to_and_watched_on_row_64() {
    let bench = CodeDeployBench::standing();
    bench.world.moves(Moves::WhenTold);
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    (0..4).for_each(|_| bench.world.tick());
    let mut last = engine.observe(&started.run, &Progress::default()).await.unwrap().progress;
    assert_eq!(last.overdue_h, None);
    let mut said = vec![];
    for _ in 0..16 {
        bench.clock.advance(Duration::from_secs(3600));
        tokio::select! {
            seen = engine.observe(&started.run, &last) => {
                let seen = seen.unwrap();
                assert_eq!(seen.outcome, None);
                if seen.progress != last {
                    said.push(seen.progress.overdue_h);
                }
                last = seen.progress;
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    assert_eq!(last.overdue_h, Some(12), "{said:?}");
    assert_eq!(said.iter().filter(|it| it.is_some()).count(), 1, "{said:?}");
}

/// Row 66: a machine of one's own is called by the name that it was registered under.
#[tokio::test]
async fn a_machine_of_ones_own_is_told_by_its_name_row_66() {
    let bench = CodeDeployBench::new();
    let failing = Scenario::script_fails("web-01.example.com", "AfterInstall", "scripts/migrate.sh", "boom");
    bench
        .world
        .script(Scenario { instances: vec!["web-01.example.com".into(), "web-02.example.com".into()], ..failing });
    let engine = bench.engine();
    let started = engine.start(&bench.next_intent()).await.unwrap();
    let (progress, outcome) = end(&*engine, &started.run).await;
    let message = "AfterInstall failed on web-01.example.com: ScriptFailed scripts/migrate.sh";
    assert_eq!(outcome.failure.unwrap().message, message);
    let names: Vec<_> = progress.fleet.unwrap().instances.into_iter().map(|it| it.id).collect();
    assert_eq!(names, ["web-01.example.com", "web-02.example.com"]);
}
