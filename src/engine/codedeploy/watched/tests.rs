//! The schedule of a poller, moment by moment.

use super::*;
use crate::domain::Instances;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn id(number: usize) -> RunId {
    RunId::parse(format!("d-{number:04}")).unwrap()
}

fn steadily() -> Pace {
    Pace { jitter_percent: 0, ..Pace::default() }
}

fn reading(status: &str, failed: u64, in_progress: u64) -> Reading {
    let instances = Some(Instances { failed, in_progress, ..Instances::default() });
    let rolls_back_on = Some(HashSet::new());
    Reading { status: status.into(), instances, rolls_back_on, platform: Some("Server".into()), ..Reading::default() }
}

/// Runs with these listeners. Nobody listens once they are dropped.
fn watching(count: usize) -> (Watched, Vec<Looks>) {
    let mut watched = Watched::default();
    let looks = (0..count).map(|number| watched.listen(&id(number), now())).collect();
    (watched, looks)
}

#[test]
fn a_call_is_filled_up_with_the_runs_that_are_due_next() {
    let (mut watched, mut listeners) = watching(60);
    for (number, run) in watched.runs.values_mut().enumerate() {
        run.next_at = at(i64::try_from(number).unwrap());
    }
    let due = |watched: &mut Watched, now| match watched.due(now, &steadily()) {
        Due::Looks(runs) => runs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        Due::Details => vec!["details".into()],
        Due::At(at) => vec![at.to_string()],
    };
    let first = due(&mut watched, now());
    assert_eq!((first.len(), first[24].as_str()), (25, "d-0024"));
    assert_eq!(due(&mut watched, at(25)).len(), 50);
    assert_eq!(due(&mut watched, at(-5)), ["2026-01-02T03:04:05Z"]);
    // Nobody listens to the first any more, the second has ended.
    drop(listeners.remove(0));
    watched.runs.get_mut(&id(1)).unwrap().settled = true;
    assert_eq!(due(&mut watched, at(2))[0], "d-0002");
}

#[test]
fn ticks_are_quick_at_first_rare_where_it_waits_and_double_under_throttling_up_to_a_limit() {
    let pace = steadily();
    let (mut watched, _listeners) = watching(1);
    let mut after = |looks, slowness, status: &str| {
        let run = watched.runs.get_mut(&id(0)).unwrap();
        (run.looks, run.reading) = (looks, Some(Arc::new(reading(status, 0, 1))));
        watched.slowness = slowness;
        watched.reschedule(&[id(0)], &pace, now());
        watched.runs[&id(0)].next_at.duration_since(now()).as_secs()
    };
    let runs = "InProgress";
    assert_eq!([after(1, 0, runs), after(4, 0, runs), after(5, 0, runs), after(500, 0, runs)], [2, 2, 15, 15]);
    assert_eq!([after(5, 1, runs), after(5, 2, runs), after(5, 3, runs), after(5, 6, runs)], [30, 60, 120, 120]);
    assert_eq!([after(5, 0, "Ready"), after(5, 0, "Baking"), after(5, 1, "Ready")], [60, 60, 120]);
}

#[test]
fn what_was_throttled_speeds_up_slowly() {
    let mut watched = Watched::default();
    (0..9).for_each(|_| watched.slow_down());
    let mut levels = vec![watched.slowness];
    for _ in 0..9 {
        watched.calm_down();
        levels.push(watched.slowness);
    }
    assert_eq!(levels, [6, 6, 6, 6, 5, 5, 5, 5, 4, 4]);
    (0..3).for_each(|_| watched.calm_down());
    watched.slow_down();
    assert_eq!((watched.slowness, watched.calm), (4, 0), "{levels:?}");
}

/// Row 46 and surprise 6: whatever is watched, an account costs at most sixty calls in fifteen seconds.
#[test]
fn five_thousand_runs_that_all_change_cost_no_more_than_sixty_calls_a_tick() {
    let (pace, count) = (steadily(), 5000);
    let (mut watched, _listeners) = watching(count);
    let (mut calls, mut looked) = (Vec::new(), vec![0; count]);
    let mut time = now();
    while time < at(300) {
        match watched.due(time, &pace) {
            Due::Looks(runs) => {
                for batch in runs.chunks(BATCH) {
                    watched.budget.spend(time, For::Looks);
                    calls.push(time);
                    for run in batch {
                        let number: usize = run.as_str()[2..].parse().unwrap();
                        looked[number] += 1;
                        watched.see(run, reading("InProgress", 0, looked[number]), &pace, time);
                    }
                    watched.reschedule(batch, &pace, time);
                }
            }
            Due::Details => {
                let (run, ..) = watched.next_wanting(time, &pace).unwrap();
                for _ in 0..2 {
                    assert!(watched.may_ask_closer(time, &pace));
                    calls.push(time);
                }
                watched.see_closer(&run, Some((Details::default(), vec![])), &pace, time);
            }
            Due::At(next) => time = next,
        }
        watched.tell(&pace, time);
    }
    let within =
        |from: &Timestamp| calls.iter().filter(|it| *it >= from && it.duration_since(*from).as_secs() < 15).count();
    let most = calls.iter().map(within).max().unwrap();
    assert!(most <= 60, "{most} calls within 15 s");
    assert!(looked.iter().all(|looks| *looks >= 2), "some were forgotten");
    assert!(calls.len() > 60 * 15, "the calls that there are were not used: {}", calls.len());
}

/// Row 46: what merely waits for a person costs a quarter of what runs.
#[test]
fn runs_that_wait_are_looked_at_once_a_minute() {
    let pace = steadily();
    let calls_in_an_hour = |status: &'static str| {
        let (mut watched, _listeners) = watching(100);
        let (mut time, mut calls) = (now(), 0);
        while time < at(3600) {
            match watched.due(time, &pace) {
                Due::Looks(runs) => {
                    for batch in runs.chunks(BATCH) {
                        watched.budget.spend(time, For::Looks);
                        calls += 1;
                        batch.iter().for_each(|run| watched.see(run, reading(status, 0, 1), &pace, time));
                        watched.reschedule(batch, &pace, time);
                    }
                }
                Due::Details => {
                    let (run, ..) = watched.next_wanting(time, &pace).unwrap();
                    watched.see_closer(&run, None, &pace, time);
                }
                Due::At(next) => time = next,
            }
        }
        calls
    };
    let (running, waiting) = (calls_in_an_hour("InProgress"), calls_in_an_hour("Ready"));
    assert!((240..=280).contains(&waiting), "{waiting} calls for 4 batches that wait");
    assert!(running < 500, "after ten quiet minutes a run is looked at as rarely: {running}");
}

#[test]
fn a_failed_end_waits_for_its_instances_and_not_for_ever() {
    let pace = steadily();
    let (mut watched, looks) = watching(2);
    let settled = |at: usize| matches!(&*looks[at].borrow(), Some(Look::Seen { settled: true, .. }));
    for run in [id(0), id(1)] {
        watched.see(&run, reading("Failed", 1, 0), &pace, now());
    }
    watched.tell(&pace, now());
    assert!(!settled(0) && !settled(1));
    watched.see_closer(&id(0), Some((Details::default(), vec![])), &pace, at(1));
    watched.tell(&pace, at(1));
    assert!(settled(0) && !settled(1));
    watched.tell(&pace, at(121));
    assert!(settled(1));
}

#[test]
fn the_failed_are_asked_for_before_the_changed_and_these_before_the_others() {
    let pace = steadily();
    let (mut watched, _listeners) = watching(3);
    watched.see(&id(0), reading("InProgress", 0, 1), &pace, now());
    watched.see_closer(&id(0), Some((Details::default(), vec![])), &pace, now());
    watched.see(&id(0), reading("InProgress", 0, 1), &pace, at(60));
    watched.see(&id(1), reading("InProgress", 0, 1), &pace, at(60));
    watched.see(&id(2), reading("Failed", 1, 0), &pace, at(60));
    let mut order = Vec::new();
    while let Some((run, ..)) = watched.next_wanting(at(60), &pace) {
        watched.see_closer(&run, None, &pace, at(60));
        order.push(run);
    }
    assert_eq!(order, [id(2), id(1), id(0)]);
}
