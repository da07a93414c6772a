//! The table of states and events, line by line.

use super::super::samples::{at, event};
use super::super::{Notice, NoticeState};
use super::*;

const ALL: &[&str] = &[
    "planned",
    "weighing",
    "held",
    "weighed",
    "prepared",
    "releasing",
    "unsent",
    "released",
    "progressed",
    "ended",
    "stumbled",
    "stop-asked",
    "approved",
    "succeeded",
    "failed",
    "stopped",
    "already-live",
    "superseded",
    "skipped",
    "refused",
    "adopted",
    "rollback-begun",
    "rollback-ended",
    "declined",
    "taken",
];

fn replay(words: &str) -> Result<Deployment, Misplaced> {
    let id = DeploymentId::derive(at(0), &["delivery-1", "blog"]);
    let events: Vec<E> = words.split_whitespace().map(event).collect();
    Deployment::replay(id, events.iter().enumerate().map(|(n, event)| (at(n as i64), event)))
}

/// The state after these events, and the step that follows.
fn check(words: &str, state: &str, step: &str) {
    let deployment = replay(words).unwrap_or_else(|error| panic!("{words}: {error}"));
    let next = deployment.next_step().map_or("over".into(), |step| format!("{step:?}"));
    assert_eq!(deployment.state().name(), state, "{words}");
    assert!(next.starts_with(step), "{words}\n  leads to  {next}\n  expected  {step}");
    assert_eq!(deployment.state().is_over(), step == "over", "{words}");
    let snapshot = serde_json::to_string(&deployment).unwrap();
    assert_eq!(serde_json::from_str::<Deployment>(&snapshot).unwrap(), deployment, "the snapshot of {words}");
}

/// Exactly these events may follow.
fn follows(words: &str, expected: &str) {
    let found: Vec<&str> = ALL.iter().filter(|next| replay(&format!("{words} {next}")).is_ok()).copied().collect();
    assert_eq!(found.join(" "), expected, "after {words}");
}

#[test]
fn each_fact_leads_to_the_next_step() {
    check("planned", "planned", "Weigh");
    check("planned weighing", "weighing", "Weigh");
    check("planned weighing held", "held", "Weigh");
    check("planned weighing stumbled", "held", "Weigh");
    check("planned weighing weighed", "preparing", "Prepare");
    check("planned weighing weighed prepared", "preparing", "Release");
    check("planned weighing weighed prepared held", "held", "Release");
    check("planned weighing weighed prepared releasing", "releasing", "Find");
    check("planned weighing weighed prepared releasing unsent", "preparing", "Release");
    check("planned weighing weighed prepared releasing held", "held", "Release");
    check("planned weighing weighed prepared releasing released", "running", "Watch");
    check("planned weighing weighed prepared releasing released progressed ended", "verifying", "Verify");
    check("planned weighing weighed prepared releasing released ended succeeded", "succeeded", "over");
    check("planned weighing weighed prepared releasing released ended-badly failed", "failed", "over");
    check("planned weighing superseded", "superseded", "over");
    check("planned weighing weighed refused", "refused", "over");
    check("planned weighing skipped", "skipped", "over");
    check("planned stop-asked stopped", "stopped", "over");
    check("planned adopted", "running", "Watch");
    let failed = "planned weighing weighed prepared releasing released ended-badly failed";
    check(&format!("{failed} rollback-begun"), "failed", "over");
    check(&format!("{failed} rollback-begun rollback-ended"), "failed", "over");
}

#[test]
fn the_table_takes_these_and_no_others() {
    let asked = "stumbled stop-asked approved";
    follows(
        "planned",
        &format!("weighing held weighed {asked} failed stopped already-live superseded skipped refused adopted"),
    );
    follows(
        "planned weighing",
        &format!("held weighed {asked} failed stopped already-live superseded skipped refused"),
    );
    follows(
        "planned held",
        &format!("weighing held weighed {asked} failed stopped already-live superseded skipped refused"),
    );
    follows("planned weighed", &format!("prepared {asked} failed stopped already-live superseded skipped refused"));
    follows(
        "planned weighed prepared",
        &format!("held releasing {asked} failed stopped already-live superseded skipped refused"),
    );
    follows(
        "planned weighed prepared held",
        &format!("held releasing {asked} failed stopped already-live superseded skipped refused"),
    );
    follows("planned weighed prepared releasing", &format!("held unsent released {asked} failed stopped"));
    follows(
        "planned weighed prepared releasing released",
        &format!("progressed ended {asked} failed stopped declined taken"),
    );
    let ended = "planned weighed prepared releasing released ended";
    follows(ended, "stumbled stop-asked approved succeeded failed stopped");
    follows(&format!("{ended} succeeded"), "");
    for over in ["failed", "stopped"] {
        follows(&format!("{ended} {over}"), "rollback-begun rollback-ended");
    }
    follows("planned superseded", "");
    follows("planned skipped", "");
    follows("planned refused", "");
}

#[test]
fn what_a_rule_left_out_is_read_as_skipped_whichever_version_wrote_it() {
    let mut old = replay("planned weighing").unwrap();
    let left_out = Failure::setup("domain/no-need", "no path of the rule changed since aaaaaaa");
    old.apply(at(2), &E::Refused { failure: left_out }).unwrap();
    let new = replay("planned weighing skipped").unwrap();
    assert_eq!((old.state().name(), old.reason()), ("skipped", new.reason()));
    assert_eq!((old.handled(), old.state()), (new.handled(), new.state()));
    assert_eq!(old.state().failure(), None);
}

#[test]
fn what_cannot_follow_is_refused_in_words() {
    assert!(replay("").unwrap_err().to_string().ends_with("cannot take `nothing` while unplanned"));
    assert!(replay("weighed").unwrap_err().to_string().ends_with("cannot take `weighed` while unplanned"));
    assert!(replay("planned released").unwrap_err().to_string().ends_with("cannot take `released` while planned"));
}

#[test]
fn a_call_refused_again_and_again_remembers_since_when() {
    let words = "planned weighed prepared releasing unsent releasing unsent";
    let stumble = replay(words).unwrap().stumble().cloned().unwrap();
    assert_eq!((stumble.attempts, stumble.since), (2, at(4)));
    assert_eq!(replay(&format!("{words} releasing released")).unwrap().stumble(), None);
}

#[test]
fn a_commit_counts_as_handled_once_it_was_proven_newest_and_ended() {
    let handled = |words: &str| replay(words).unwrap().handled().is_some();
    assert!(handled("planned weighed failed"));
    assert!(handled("planned weighed prepared releasing released ended succeeded"));
    assert!(!handled("planned weighed prepared"));
    assert!(!handled("planned weighed superseded"));
    assert!(!handled("planned refused"));
    assert!(handled("planned weighing skipped"), "nothing has to come back to it");
}

#[test]
fn what_is_brought_back_after_a_failure_is_told_and_its_end_stays_when_it_was_row_56() {
    let told = |words: &str| {
        let deployment = replay(&format!("planned weighed prepared releasing released ended-badly {words}")).unwrap();
        (Notice::of(&deployment).text, deployment.ended_at())
    };
    let ended = Some(at(6));
    let back = "failed rollback-begun";
    assert_eq!(told(back), ("Failed; rolling back to bbbbbbb: github.com answered 503".into(), ended));
    assert_eq!(
        told(&format!("{back} rollback-ended")),
        ("Failed; rolled back to bbbbbbb: github.com answered 503".into(), ended)
    );
    assert_eq!(told("stopped rollback-begun rollback-ended").0, "Stopped by ada; rolled back to bbbbbbb");
}

#[test]
fn a_stop_under_way_and_one_that_was_not_taken_are_told_row_54() {
    let told = |words: &str| {
        let deployment = replay(&format!("planned weighed prepared releasing released progressed {words}")).unwrap();
        (Notice::of(&deployment).text, deployment.reason())
    };
    assert_eq!(told("stop-asked"), ("Stopping for ada: Install".into(), None));
    let declined = "the stop was not taken: AWS denies it";
    let of_a_stop = ("The stop was not taken: AWS denies it; Install".into(), Some(declined.into()));
    assert_eq!(told("stop-asked declined"), of_a_stop);
    assert_eq!(told("stop-asked declined taken"), ("Stopping for ada: Install".into(), None));
    let late = E::Succeeded { warnings: vec!["the stop that ada asked for came too late".into()] };
    assert_eq!(RunOutcome::of(Verdict::Succeeded).conclusion(Some("ada")), late);
}

#[test]
fn notices_tell_the_revision_from_the_set_up() {
    let notice = |words: &str| {
        let Notice { state, text } = Notice::of(&replay(words).unwrap());
        (state, text)
    };
    assert_eq!(notice("planned held"), (NoticeState::Pending, "Waiting: another runs".into()));
    assert_eq!(notice("planned failed"), (NoticeState::Error, "Failed: github.com answered 503".into()));
    let left_out = (NoticeState::Success, "Not deployed: no path of the rule changed since aaaaaaa".into());
    assert_eq!(notice("planned skipped"), left_out);
    assert_eq!(notice("planned superseded"), (NoticeState::Error, "Not deployed: superseded by bbbbbbb".into()));
    let running = "planned weighed prepared releasing released progressed";
    assert_eq!(notice(running), (NoticeState::Pending, "Install".into()));
    assert_eq!(notice(&format!("{running} ended succeeded")), (NoticeState::Success, "Live after 7 s".into()));
}
