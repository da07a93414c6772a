//! What is decided in each situation, and who sleeps.

use std::sync::Arc;

use super::*;
use crate::domain::samples::{at, event, target};
use crate::domain::{Cause, Cron, Lock, Order, Pause, StepName, Target, Window, WindowKind};

const READY: &str = "weighing weighed prepared";
const RUNNING: &str = "weighing weighed prepared releasing released";

/// A desk of one target with these deployments, oldest first, each as the words of its events after `planned`.
fn desk(policy: OnNewPush, deployments: &[&str]) -> (Desk, Vec<DeploymentId>) {
    let mut desk = Desk::new([target("blog").name]);
    let ids = (0..deployments.len()).map(|n| DeploymentId::derive(at(n as i64), &["push"])).collect::<Vec<_>>();
    for (id, words) in ids.iter().zip(deployments) {
        let DeploymentEvent::Planned { mut order } = event("planned") else { unreachable!("it is that one") };
        let target = Target { on_new_push: policy, ..(*order.target).clone() };
        order = Arc::new(Order { target: target.into(), ..(*order).clone() });
        desk.apply(*id, at(0), &DeploymentEvent::Planned { order }).unwrap();
        for word in words.split_whitespace() {
            desk.apply(*id, at(0), &event(word)).unwrap();
        }
    }
    (desk, ids)
}

/// What is decided for each of them, in a word or two.
fn check(policy: OnNewPush, deployments: &[&str], expected: &[&str]) {
    let (desk, ids) = desk(policy, deployments);
    let found: Vec<String> = ids.iter().map(|id| tell(&desk.decide(*id, at(0)), &ids)).collect();
    assert_eq!(found, expected, "{deployments:?}");
}

fn tell(decision: &Decision, ids: &[DeploymentId]) -> String {
    let text = match decision {
        Decision::Rest => "rest".into(),
        Decision::Wait(until) => format!("wait {}", until.duration_since(at(0)).as_secs()),
        Decision::Write(event) => {
            if let DeploymentEvent::Held { hold } = &**event {
                format!("held: {}", hold.reason)
            } else if let DeploymentEvent::Failed { failure } | DeploymentEvent::Refused { failure } = &**event {
                format!("{}: {}", event.kind(), failure.message)
            } else {
                event.kind().into()
            }
        }
        Decision::Run(step) => format!("{step:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
    };
    ids.iter().enumerate().fold(text, |text, (n, id)| text.replace(&id.to_string(), &format!("d{n}")))
}

#[test]
fn one_deployment_of_a_lane_is_released_and_the_newest_that_is_free_goes_first() {
    use OnNewPush::{QueueAll, QueueLatest};
    check(QueueLatest, &["", "weighing weighed", READY], &["rest", "prepare", "release"]);
    check(QueueLatest, &[READY, READY], &["held: waiting for d1", "release"]);
    check(QueueAll, &[READY, READY], &["release", "held: waiting for d0"]);
    check(QueueLatest, &[RUNNING, READY], &["watch", "held: waiting for d0"]);
    check(QueueLatest, &[READY, RUNNING], &["superseded", "watch"]);
    check(QueueAll, &[READY, RUNNING], &["held: waiting for d1", "watch"]);
}

#[test]
fn a_newer_one_that_is_not_free_itself_takes_nobodys_place() {
    use OnNewPush::QueueLatest;
    check(QueueLatest, &[READY, "weighing weighed"], &["release", "prepare"]);
    check(QueueLatest, &[READY, "weighing"], &["release", "weigh"]);
    check(QueueLatest, &[READY, &format!("{READY} stop-asked")], &["release", "stopped"]);
}

#[test]
fn what_mends_a_failure_goes_first_and_takes_nobodys_place() {
    for policy in [OnNewPush::QueueLatest, OnNewPush::QueueAll] {
        let (mut desk, mut ids) = desk(policy, &[READY]);
        let DeploymentEvent::Planned { order } = event("planned") else { unreachable!("it is that one") };
        let target = Arc::new(Target { on_new_push: policy, ..(*order.target).clone() });
        let cause = Cause::Rollback { actor: None, key: None, to: Some(ids[0]), run: None };
        let order = Order { target, cause, ..(*order).clone() }.into();
        ids.push(DeploymentId::derive(at(9), &["rollback"]));
        desk.apply(ids[1], at(0), &DeploymentEvent::Planned { order }).unwrap();
        let told = |desk: &Desk| [ids[0], ids[1]].map(|id| tell(&desk.decide(id, at(0)), &ids));
        assert_eq!(told(&desk), ["held: waiting for d1", "weigh"], "{policy:?}");
        for word in READY.split(' ') {
            desk.apply(ids[1], at(0), &event(word)).unwrap();
        }
        assert_eq!(told(&desk), ["held: waiting for d1", "release"], "{policy:?}");
        for word in ["releasing", "released"] {
            desk.apply(ids[1], at(0), &event(word)).unwrap();
        }
        assert_eq!(told(&desk), ["held: waiting for d1", "watch"], "{policy:?}");
    }
}

#[test]
fn a_held_one_rests_until_its_reason_is_gone() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[RUNNING, READY]);
    let Decision::Write(held) = desk.decide(ids[1], at(0)) else { panic!("it is held first") };
    desk.apply(ids[1], at(0), &held).unwrap();
    assert_eq!(desk.decide(ids[1], at(0)), Decision::Rest);
    for word in ["ended", "succeeded"] {
        desk.apply(ids[0], at(0), &event(word)).unwrap();
    }
    assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "release");
}

#[test]
fn a_task_that_may_call_the_engine_keeps_the_lane() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY, READY]);
    desk.begin(ids[0], true);
    assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "held: waiting for d0");
    assert_eq!(desk.decide(ids[0], at(0)), Decision::Rest);
    desk.end(ids[0]);
    assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "release");
}

/// What sleeps and what has to wake, by number, after these deployments came in this order.
fn sleepers(deployments: &[&str]) -> (Vec<usize>, Vec<usize>) {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, deployments);
    let number = |id: &DeploymentId| ids.iter().position(|it| it == id).unwrap();
    let asleep = desk.asleep.values().flatten().map(number).collect();
    (asleep, desk.wakes().iter().map(number).collect())
}

#[test]
fn of_a_burst_of_pushes_only_the_newest_is_awake() {
    assert_eq!(sleepers(&["", "", "", ""]), (vec![0, 1, 2], vec![]));
    assert_eq!(sleepers(&["weighing", "", ""]), (vec![1], vec![]));
    let (asleep, _) = sleepers(&["stop-asked", ""]);
    assert_eq!(asleep, Vec::<usize>::new(), "what somebody asked to stop is stopped at once");
}

#[test]
fn sleepers_wake_when_the_newest_is_on_its_way_or_over() {
    assert_eq!(sleepers(&["", "", RUNNING]), (vec![0, 1], vec![0, 1]));
    assert_eq!(sleepers(&["", "", "weighing refused"]), (vec![0, 1], vec![1]));
    assert_eq!(sleepers(&["", "", READY]), (vec![0, 1], vec![]));
}

#[test]
fn one_of_a_ref_is_weighed_at_a_time() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &["weighing", ""]);
    desk.begin(ids[0], false);
    assert_eq!(desk.decide(ids[1], at(0)), Decision::Rest);
    desk.end(ids[0]);
    assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "weigh");
}

fn pause(desk: &mut Desk, on: bool) {
    let paused = on.then(|| Pause { actor: "ada".into(), reason: None, at: None });
    desk.know_all(Releases { paused, lock: None });
}

/// What holds new pushes after a rollback must not hold the rollback itself, nor the next one.
#[test]
fn the_lock_of_a_rollback_holds_what_is_none() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY]);
    let (reason, after) = (Some("c1 was brought back".to_owned()), Some(ids[0]));
    let lock = Lock { actor: "the bot".into(), reason, at: at(0), until: None, warns: false, after };
    desk.know(target("blog").name, TargetState { rollback_lock: Some(lock), ..TargetState::default() });
    assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "held: `blog` is locked by the bot: c1 was brought back");
    let DeploymentEvent::Planned { order } = event("planned") else { unreachable!("it is that one") };
    let cause = Cause::Rollback { actor: None, key: None, to: Some(ids[0]), run: None };
    let back = DeploymentId::derive(at(9), &["rollback"]);
    desk.apply(back, at(0), &DeploymentEvent::Planned { order: Order { cause, ..(*order).clone() }.into() }).unwrap();
    READY.split(' ').for_each(|word| desk.apply(back, at(0), &event(word)).unwrap());
    assert_eq!(tell(&desk.decide(back, at(0)), &ids), "release");
}

#[test]
fn locks_and_pauses_hold_what_is_ready() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY]);
    let (reason, until) = (Some("fair".to_owned()), Some(at(60)));
    let lock = Lock { actor: "ada".into(), reason, at: at(0), until, warns: false, after: None };
    let told = |desk: &Desk, at| tell(&desk.decide(ids[0], at), &ids);
    desk.know(target("blog").name, TargetState { lock: Some(lock.clone()), ..TargetState::default() });
    assert_eq!(told(&desk, at(0)), "held: `blog` is locked by ada: fair");
    assert_eq!(told(&desk, at(60)), "release");
    desk.know_all(Releases { lock: Some(lock.clone()), paused: None });
    assert_eq!(told(&desk, at(0)), "held: every target is locked by ada: fair");
    assert_eq!(told(&desk, at(60)), "release");
    let warning = Lock { warns: true, ..lock.clone() };
    desk.know(target("blog").name, TargetState { lock: Some(warning.clone()), ..TargetState::default() });
    desk.know_all(Releases { lock: Some(warning), paused: None });
    assert_eq!(told(&desk, at(0)), "release");
    pause(&mut desk, true);
    assert_eq!(told(&desk, at(60)), "held: releases are paused by ada");
}

#[test]
fn one_whose_ref_may_be_gone_is_looked_at_in_time_and_keeps_from_nothing() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &[READY]);
    pause(&mut desk, true);
    let Decision::Write(held) = desk.decide(ids[0], at(0)) else { panic!("it is held first") };
    desk.apply(ids[0], at(0), &held).unwrap();
    let told = |desk: &Desk, second| tell(&desk.decide(ids[0], at(second)), &ids);
    assert_eq!(told(&desk, 0), "rest");
    assert_eq!(desk.doubt(|_| true), ids);
    assert_eq!(told(&desk, 0), "weigh");
    desk.begin(ids[0], false);
    desk.end(ids[0]);
    desk.doubt_again(ids[0], at(60));
    assert_eq!((told(&desk, 0), told(&desk, 60)), ("wait 60".into(), "weigh".into()));
    pause(&mut desk, false);
    assert_eq!(told(&desk, 0), "release");
}

#[test]
fn what_stumbles_waits_and_gives_up_in_the_end() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &["weighing weighed"]);
    let stumbled = |attempt, next| DeploymentEvent::Stumbled {
        step: StepName::Prepare,
        failure: Failure::passing("source/unavailable", "503"),
        attempt,
        next_at: at(next),
    };
    desk.apply(ids[0], at(0), &stumbled(1, 2)).unwrap();
    assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "wait 2");
    assert_eq!(tell(&desk.decide(ids[0], at(2)), &ids), "prepare");
    desk.apply(ids[0], at(7199), &stumbled(2, 9000)).unwrap();
    assert_eq!(tell(&desk.decide(ids[0], at(7199)), &ids), "wait 7200");
    assert_eq!(tell(&desk.decide(ids[0], at(7200)), &ids), "failed: gave up after 120 min: 503");
}

#[test]
fn a_target_that_left_the_configuration_ends_what_waits_and_lets_run_what_runs() {
    let (mut desk, ids) = desk(OnNewPush::QueueAll, &[RUNNING, ""]);
    desk.configured.clear();
    assert_eq!(tell(&desk.decide(ids[0], at(0)), &ids), "watch");
    assert_eq!(tell(&desk.decide(ids[1], at(0)), &ids), "refused: target `blog` is no longer configured");
}

#[test]
fn a_newer_push_may_want_the_running_one_out_of_its_way() {
    let (asked, ids) = desk(OnNewPush::StopRunning, &[RUNNING, READY]);
    assert_eq!(asked.in_the_way_of(ids[1]), Some(ids[0]));
    let (waits, ids) = desk(OnNewPush::QueueLatest, &[RUNNING, READY]);
    assert_eq!(waits.in_the_way_of(ids[1]), None);
    let (told, ids) = desk(OnNewPush::StopRunning, &[&format!("{RUNNING} stop-asked"), READY]);
    assert_eq!(told.in_the_way_of(ids[1]), None);
}

#[test]
fn a_ref_that_was_just_weighed_rests_a_little_before_a_newer_push_is() {
    let (mut desk, ids) = desk(OnNewPush::QueueLatest, &["weighing", ""]);
    desk.weighs(ids[0], at(0));
    let weighs = |desk: &Desk, id: DeploymentId, now| tell(&desk.decide(id, now), &ids);
    let soon = at(0).saturating_add(BETWEEN_WEIGHINGS).unwrap();
    assert_eq!(desk.decide(ids[1], at(0)), Decision::Wait(soon));
    assert_eq!(weighs(&desk, ids[0], at(0)), "weigh", "the same one goes on");
    assert_eq!(weighs(&desk, ids[1], soon), "weigh");
    desk.weighs(ids[1], at(1));
    assert_eq!(desk.weighed.len(), 1);
}

fn approved(of: Approval) -> DeploymentEvent {
    DeploymentEvent::Approved { actor: "ada".into(), of: Some(of), reason: None }
}

/// A freeze holds what is ready until it ends, and neither what mends a failure nor what somebody wants all the same.
#[test]
fn a_freeze_holds_what_is_ready_until_its_end() {
    let (desk, ids) = desk(OnNewPush::QueueLatest, &[READY]);
    let (opens, zone) = (Cron::parse("0 8 15 1 *").unwrap(), jiff::tz::TimeZone::UTC);
    let window = Window { kind: WindowKind::Deny, opens, long: SignedDuration::from_mins(1), zone, reason: None };
    let mut desk = desk.heeding(Calendar([(target("blog").name, vec![window])].into()).into());
    let told = |desk: &Desk, id, at| tell(&desk.decide(id, at), &ids);
    assert_eq!(told(&desk, ids[0], at(0)), "held: frozen until Fri 2027-01-15 08:01 UTC: a freeze window is open");
    assert_eq!(told(&desk, ids[0], at(60)), "release");
    let DeploymentEvent::Planned { order } = event("planned") else { unreachable!("it is that one") };
    let cause = Cause::Rollback { actor: None, key: None, to: Some(ids[0]), run: None };
    let back = DeploymentId::derive(at(9), &["rollback"]);
    desk.apply(back, at(0), &DeploymentEvent::Planned { order: Order { cause, ..(*order).clone() }.into() }).unwrap();
    READY.split(' ').for_each(|word| desk.apply(back, at(0), &event(word)).unwrap());
    assert_eq!(told(&desk, back, at(0)), "release");
    desk.apply(back, at(0), &event("failed")).unwrap();
    desk.apply(ids[0], at(0), &approved(Approval::Freeze)).unwrap();
    assert_eq!(told(&desk, ids[0], at(0)), "release");
    // A newer one that is frozen would keep it until the window closes, which is what it was to be spared.
    let newer = DeploymentId::derive(at(10), &["push"]);
    desk.apply(newer, at(0), &event("planned")).unwrap();
    READY.split(' ').for_each(|word| desk.apply(newer, at(0), &event(word)).unwrap());
    assert_eq!(told(&desk, ids[0], at(0)), "release");
    let Decision::Write(held) = desk.decide(newer, at(0)) else { panic!("it is frozen") };
    desk.apply(newer, at(0), &held).unwrap();
    assert_eq!(told(&desk, ids[0], at(0)), "release");
    assert!(
        told(&desk, ids[0], at(60)).starts_with("held: waiting for "),
        "both are free then, and the newer goes first"
    );
}

/// A desk with one deployment at its engine or none, and promotions of these states, oldest first.
fn promotions(policy: OnNewPush, words: &[&str]) -> (Desk, Vec<DeploymentId>) {
    let (mut desk, _) = desk(policy, &[]);
    let ids = (0..words.len()).map(|n| DeploymentId::derive(at(n as i64), &["promotion"])).collect::<Vec<_>>();
    for (id, words) in ids.iter().zip(words) {
        let DeploymentEvent::Planned { order } = event("planned") else { unreachable!("it is that one") };
        let target = Arc::new(Target { on_new_push: policy, ..(*order.target).clone() });
        let cause = Cause::Promotion { actor: None, from: Some(target.name.clone()), waits: true };
        let order = Order { target, cause, parent: Some(*id), ..(*order).clone() }.into();
        desk.apply(*id, at(0), &DeploymentEvent::Planned { order }).unwrap();
        for word in words.split_whitespace() {
            let told = match word {
                "approved" => approved(Approval::Promotion),
                word => event(word),
            };
            desk.apply(*id, at(0), &told).unwrap();
        }
    }
    (desk, ids)
}

#[test]
fn a_promotion_waits_for_its_approval_and_makes_way_for_a_newer_one() {
    for policy in [OnNewPush::QueueLatest, OnNewPush::QueueAll] {
        let told = |words: &[&str]| {
            let (desk, ids) = promotions(policy, words);
            ids.iter().map(|id| tell(&desk.decide(*id, at(0)), &ids)).collect::<Vec<_>>()
        };
        let waits = "held: waits for approval of the promotion from blog";
        assert_eq!(told(&[READY]), [waits], "{policy:?}");
        assert_eq!(told(&[&format!("{READY} approved")]), ["release"], "{policy:?}");
        assert_eq!(told(&[READY, READY]), ["superseded", waits], "{policy:?}");
        assert_eq!(told(&[READY, "weighing"]), [waits, "weigh"], "one that is not proven takes nobody's place");
        let approved = format!("{READY} approved");
        assert_eq!(told(&[&approved, READY]), ["release", waits], "what was approved goes on ({policy:?})");
    }
}

#[test]
fn a_promotion_that_waits_for_its_approval_keeps_nobody_else() {
    for policy in [OnNewPush::QueueLatest, OnNewPush::QueueAll] {
        let (mut desk, ids) = promotions(policy, &[READY]);
        let DeploymentEvent::Planned { order } = event("planned") else { unreachable!("it is that one") };
        let target = Target { on_new_push: policy, ..(*order.target).clone() };
        let order = Order { target: target.into(), ..(*order).clone() }.into();
        let push = DeploymentId::derive(at(9), &["push"]);
        desk.apply(push, at(0), &DeploymentEvent::Planned { order }).unwrap();
        for word in READY.split(' ') {
            desk.apply(push, at(0), &event(word)).unwrap();
        }
        assert_eq!(tell(&desk.decide(push, at(0)), &ids), "release", "{policy:?}");
    }
}
