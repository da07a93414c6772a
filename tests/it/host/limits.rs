//! How long a whole run may take (R25), and what becomes of a script that is at work when its time is over.

use std::fs;
use std::time::Duration;

use landfall::domain::{Blame, StepStatus, Verdict};
use landfall::engine::host::{Means, RunIntent, Story, carry_out, prepare_run};

use super::Host;
use super::hooks::{changed, means};

/// How the events came out, those that succeeded left out.
fn odd(story: &Story) -> Vec<(&str, StepStatus)> {
    let events = story.events.iter().filter(|event| event.status != StepStatus::Succeeded);
    events.map(|event| (event.name.as_str(), event.status)).collect()
}

#[test]
fn a_run_whose_time_is_over_ends_its_script_and_skips_the_rest() {
    assert_eq!(Means::own().run_time, Duration::from_secs(12 * 3600), "R25");
    let host = Host::new("true");
    let text = "trap '' TERM; echo $$ > script; echo so far; while true; do sleep 0.05; done";
    let dir = changed(&host, "d-LONG", str::to_owned, &[("a.sh", text)]);
    let story = carry_out(&dir, &Means { run_time: Duration::from_secs(2), ..means() }).unwrap().unwrap();
    let skipped = StepStatus::Skipped;
    assert_eq!(
        odd(&story),
        [("AfterInstall", StepStatus::Failed), ("ApplicationStart", skipped), ("ValidateService", skipped)],
        "R25"
    );
    let script = &story.events.iter().find(|event| event.name == "AfterInstall").unwrap().scripts[0];
    assert!(script.timed_out && script.signal == Some(9), "R25: TERM is ignored, KILL is not: {script:?}");
    let end = story.end.unwrap();
    let failure = end.failure.unwrap();
    assert_eq!(
        failure.to_string(),
        "the deployment was not over after 2 s, when `a.sh` ran in AfterInstall (host/deployment-timed-out)"
    );
    assert_eq!(
        (end.verdict, end.failed_event.as_deref(), end.untouched),
        (Verdict::Failed, Some("AfterInstall"), false)
    );
    assert_eq!((failure.detail.as_deref(), failure.blame), (Some("[stdout]so far"), Blame::Revision));
    let pid = fs::read_to_string(dir.archive().join("script")).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "R25: {state}");
}

#[test]
fn a_failure_that_is_passed_over_does_not_give_a_run_more_time() {
    let host = Host::new("true");
    let stop = |text: &str| text.replace("hooks:\n", "hooks:\n  ApplicationStop:\n    - location: stop.sh\n");
    let scripts = [("a.sh", "true"), ("stop.sh", "sleep 30")];
    carry_out(&changed(&host, "d-FIRST", stop, &scripts), &means()).unwrap();
    let dir = changed(&host, "d-NEXT", str::to_owned, &[("a.sh", "true")]);
    let mut intent = RunIntent::read(&dir).unwrap();
    intent.options.ignore_application_stop_failures = true;
    fs::write(dir.intent(), serde_json::to_vec(&intent).unwrap()).unwrap();
    let story = carry_out(&dir, &Means { run_time: Duration::from_secs(1), ..means() }).unwrap().unwrap();
    assert_eq!(odd(&story)[..2], [("ApplicationStop", StepStatus::Failed), ("DownloadBundle", StepStatus::Skipped)]);
    let end = story.end.unwrap();
    let failure = end.failure.unwrap();
    assert_eq!(failure.code, "host/deployment-timed-out", "R25");
    assert_eq!(failure.message, "the deployment was not over after 1 s, and DownloadBundle had not begun");
    assert!(!dir.archive().exists(), "the revision never came");
}

#[test]
fn a_run_that_waits_for_another_says_for_whom_and_not_for_ever() {
    let host = Host::new("true");
    let busy = "touch {HERE}/at-work; until test -f {HERE}/go; do sleep 0.02; done";
    let busy = busy.replace("{HERE}", host.path("").to_str().unwrap());
    let first = changed(&host, "d-BUSY", str::to_owned, &[("a.sh", &busy)]);
    let second = changed(&host, "d-WAITS", str::to_owned, &[("a.sh", "true")]);
    let third = prepare_run(&RunIntent {
        run: landfall::domain::RunId::parse("d-LATE").unwrap(),
        marker: "late".into(),
        ..RunIntent::read(&second).unwrap()
    });
    let third = third.unwrap();
    let (waited, late) = std::thread::scope(|scope| {
        let first = scope.spawn(|| carry_out(&first, &means()).unwrap());
        while !host.path("at-work").exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let second = scope.spawn(|| carry_out(&second, &means()).unwrap().unwrap());
        let late = carry_out(&third, &Means { run_time: Duration::from_millis(2500), ..means() }).unwrap().unwrap();
        fs::write(host.path("go"), "").unwrap();
        assert_eq!(first.join().unwrap().unwrap().end.unwrap().verdict, Verdict::Succeeded);
        (second.join().unwrap(), late)
    });
    assert_eq!(waited.warnings, ["it waited for deployment d-BUSY of the group to end"], "R23");
    assert_eq!(waited.end.unwrap().verdict, Verdict::Succeeded, "R23: a queue, not a refusal");
    let end = late.end.unwrap();
    assert_eq!(
        end.failure.unwrap().message,
        "the deployment was not over after 2 s, all of which it waited for deployment d-BUSY of the group",
        "R25"
    );
    let pending = late.events.iter().all(|event| event.status == StepStatus::Pending);
    assert!(end.untouched && pending, "what ran before runs on");
}
