//! One sentence for each record, for people: dashboard, terminal and demo say the same. It never looks anything up.

use jiff::Timestamp;

use crate::domain::{
    Act, Ask, BotEvent, Cause, CommitSha, Declined, DeliveryEvent, DeployOptions, DeploymentEvent, Event, Failure,
    Lifecycle, Order, Pattern, Progress, Record, RefName, Revision, SinkEvent, StepName, StepStatus, SubState,
    TargetEvent, Verdict, size,
};

/// What happened, in one sentence without a full stop. Text from outside (titles, names) is in it as it came.
pub fn sentence(record: &Record) -> String {
    match &record.event {
        Event::Delivery(event) => of_delivery(event),
        Event::Deployment(event) => of_deployment(event),
        Event::Target(event) => of_target(event),
        Event::Sink(event) => of_sink(event),
        Event::Bot(event) => of_bot(event),
    }
}

fn of_delivery(event: &DeliveryEvent) -> String {
    match event {
        DeliveryEvent::Received { push, plans, caught_up, .. } => {
            let (who, what) = (push.pusher.as_deref().unwrap_or("somebody"), push.reference.short());
            let to = match &push.after {
                Some(sha) => format!("pushed {} to `{what}`", sha.short()),
                None => format!("deleted `{what}`"),
            };
            let planned = plans.iter().filter(|plan| plan.deployment.is_some()).count();
            let means = match (plans.len(), planned) {
                (0, _) => "no target takes its pushes".to_owned(),
                (_, 0) => "nothing to deploy".to_owned(),
                (_, planned) => format!("{} planned", count(planned as u64, "deployment")),
            };
            let how = caught_up.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
            format!("{who} {to} of {}: {means}{how}", push.repository.name)
        }
        DeliveryEvent::Replayed { actor, plans, .. } => {
            let planned = plans.iter().filter(|plan| plan.deployment.is_some()).count();
            format!("{actor} had it planned again: {} planned", count(planned as u64, "deployment"))
        }
    }
}

fn of_deployment(event: &DeploymentEvent) -> String {
    match event {
        DeploymentEvent::Planned { order } => planned(order),
        DeploymentEvent::Weighing => "checking that this is the newest commit".into(),
        DeploymentEvent::Held { hold } => format!("held: {}", hold.reason),
        DeploymentEvent::Weighed { commit, forced, doubt, head: _ } => {
            let forced = if *forced { "; history was rewritten" } else { "" };
            let doubt = doubt.as_ref().map(|why| format!("; deployed in doubt: {why}")).unwrap_or_default();
            format!("{} is the newest commit{forced}{doubt}", commit.short())
        }
        DeploymentEvent::Prepared { revision, archive, findings } => {
            let mut text = prepared(revision);
            if archive.reused {
                text.push_str("; the store held it already");
            }
            if !findings.is_empty() {
                text.push_str(&format!("; {}", count(findings.len() as u64, "finding")));
            }
            text
        }
        DeploymentEvent::Releasing { warning: None, .. } => "handing over to the engine".into(),
        DeploymentEvent::Releasing { warning: Some(warning), .. } => format!("handing over to the engine; {warning}"),
        DeploymentEvent::Unsent { failure, .. } => format!("the engine was not called: {}", failure.message),
        DeploymentEvent::Released { run, adopted: false, .. } => format!("the engine took it as {run}"),
        DeploymentEvent::Released { run, adopted: true, .. } => format!("found at the engine as {run}"),
        DeploymentEvent::Declined { of, failure } => {
            let declined = Declined { of: *of, failure: failure.clone() };
            failure.help.as_ref().map_or_else(|| declined.to_string(), |help| format!("{declined}; {help}"))
        }
        DeploymentEvent::Taken { of: None } => "the engine took the stop after all".into(),
        DeploymentEvent::Taken { of: Some(of) } => format!("the engine took the approval of {of} after all"),
        DeploymentEvent::Adopted { run, .. } => format!("the engine began it by itself as {run}"),
        DeploymentEvent::Progressed { progress } => progressed(progress),
        // Why it failed stands in the event that follows.
        DeploymentEvent::Ended { outcome } => match outcome.verdict {
            Verdict::Succeeded => "the engine is done: it succeeded".into(),
            Verdict::Failed => "the engine is done: it failed".into(),
            Verdict::Stopped => "the engine is done: it was stopped".into(),
        },
        DeploymentEvent::Stumbled { step, failure, attempt, .. } => {
            format!("{}: {}; trying again (attempt {attempt} failed)", doing(*step), failure.message)
        }
        DeploymentEvent::StopAsked { actor, rollback: false } => format!("{actor} asked to stop"),
        DeploymentEvent::StopAsked { actor, rollback: true } => format!("{actor} asked to stop and roll back"),
        DeploymentEvent::Approved { actor, of: None, .. } => format!("approved by {actor}"),
        DeploymentEvent::Approved { actor, of: Some(of), reason } => {
            format!("{actor} approved {of}{}", for_how_long(reason.as_deref(), None))
        }
        DeploymentEvent::Succeeded { warnings } if warnings.is_empty() => "live".into(),
        DeploymentEvent::Succeeded { warnings } => format!("live; {}", warnings.join("; ")),
        DeploymentEvent::Failed { failure } => format!("failed: {}", failure.message),
        DeploymentEvent::Stopped { actor, failure } => format!("stopped by {actor}{}", because(failure.as_ref())),
        DeploymentEvent::RollbackBegun { by, to } => format!("{} is being brought back by {by}", brought(to.as_ref())),
        DeploymentEvent::RollbackEnded { by, to, verdict: Verdict::Succeeded } => {
            format!("{} was brought back by {by}", brought(to.as_ref()))
        }
        DeploymentEvent::RollbackEnded { by, to, verdict: Verdict::Failed | Verdict::Stopped } => {
            format!("{} was not brought back: {by} did not succeed", brought(to.as_ref()))
        }
        DeploymentEvent::AlreadyLive { deployment } => format!("already live by {deployment}: nothing to do"),
        DeploymentEvent::Verified { what, good: true, said } => format!("{what} is as wanted: {said}"),
        DeploymentEvent::Verified { what, good: false, said } => format!("{what} is not as wanted: {said}"),
        DeploymentEvent::Superseded { by, .. } => format!("not deployed: superseded by {}", by.short()),
        DeploymentEvent::Skipped { reason } => format!("not deployed: {reason}"),
        DeploymentEvent::Refused { failure } => format!("not deployed: {}", failure.message),
    }
}

fn planned(order: &Order) -> String {
    let what = format!("{} to {}", order.sha.short(), order.target.name);
    let because = match &order.cause {
        Cause::Push { .. } => format!("planned {what}: {} takes it", order.rule),
        Cause::CatchUp => format!("planned {what}: the head moved without a delivery"),
        Cause::Request { actor, .. } => format!("planned {what}: {actor} asked for it"),
        Cause::Chosen { actor, .. } => format!("planned {what}: {actor} asked for this very commit"),
        Cause::Redeploy { actor, .. } => format!("planned {what} again: {actor} asked for it"),
        Cause::Replay { actor, .. } => format!("planned {what} again: {actor} replayed the delivery"),
        Cause::Rollback { run: Some(run), to: Some(_), .. } => {
            format!("planned {what} again: the engine rolls back by itself with {run}")
        }
        Cause::Rollback { run: Some(run), to: None, .. } => {
            format!("planned after {what}: the engine brings another revision back by itself with {run}")
        }
        Cause::Rollback { actor: Some(actor), .. } => format!("planned {what} again: {actor} asked to roll back"),
        Cause::Rollback { actor: None, .. } => format!("planned {what} again: rolling back after a failure"),
        Cause::Restart { actor, .. } => format!("planned a restart of {what}: {actor} asked for it"),
        Cause::Promotion { actor: Some(actor), .. } => format!("planned {what}: promoted by {actor}"),
        Cause::Promotion { actor: None, from: Some(from), .. } => format!("planned {what}: promoted from {from}"),
        Cause::Promotion { actor: None, from: None, .. } => format!("planned {what}: promoted"),
    };
    format!("{because}{}", chosen(&order.options))
}

fn brought(to: Option<&CommitSha>) -> &str {
    to.map_or("a revision of somebody else's", CommitSha::short)
}

fn prepared(revision: &Revision) -> String {
    match revision {
        Revision::Bundle { files, bytes, .. } => format!("bundle stored: {}, {}", count(*files, "file"), size(*bytes)),
        Revision::AppSpec { content, .. } => format!("AppSpec taken: {}", size(content.len() as u64)),
        Revision::GitHub { repository, commit } => format!("{} will be fetched from {repository}", commit.short()),
    }
}

/// The lifecycle event at work, what failed, or how many instances are done: the newest thing that a person can use.
fn progressed(progress: &Progress) -> String {
    let last = |status| progress.lifecycle.iter().rev().find(|it| it.status == status);
    let script = |it: &Lifecycle| it.script.as_deref().map(|script| format!(" `{script}`")).unwrap_or_default();
    let instances = progress.instances.filter(|it| it.total() > 1);
    let mut parts = Vec::new();
    if let Some(it) = last(StepStatus::Failed) {
        let at = if it.script.is_some() { " at" } else { "" };
        parts.push(format!("{} failed{at}{}", it.name, script(it)));
    } else if let Some(traffic) = &progress.traffic {
        parts.push(progress.phase.as_ref().map_or_else(|| traffic.to_string(), |phase| format!("{phase}: {traffic}")));
    } else if let Some(phase) = &progress.phase {
        let at_work = last(StepStatus::InProgress).filter(|it| it.name == *phase && it.script.is_some());
        parts.push(match (at_work, instances) {
            (Some(it), _) => {
                let said = progress.said.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
                format!("{phase} runs{}{said}", script(it))
            }
            (None, Some(_)) => phase.clone(),
            (None, None) => format!("{phase} began"),
        });
    } else if let Some(it) = last(StepStatus::Succeeded) {
        parts.push(format!("{} ended well", it.name));
    }
    if let Some(instances) = instances {
        parts.push(format!("{} of {} instances done", instances.succeeded, instances.total()));
    }
    if let Some(percent) = progress.percent {
        parts.push(format!("{percent} % of traffic shifted"));
    }
    match progress.sub_state {
        Some(SubState::ReadyForTraffic) => parts.push("ready for traffic, waiting for a person".into()),
        Some(SubState::WaitingForTermination) => parts.push("waiting for the old instances to end".into()),
        Some(SubState::Baking) => parts.push("baking".into()),
        None => {}
    }
    if let Some(hours) = progress.overdue_h {
        parts.push(format!("still running after {hours} h, longer than the engine gives such a run"));
    }
    match (parts.is_empty(), progress.status.is_empty()) {
        (false, _) => parts.join(", "),
        (true, false) => format!("the engine says {}", progress.status),
        (true, true) => "the engine works".into(),
    }
}

fn of_target(event: &TargetEvent) -> String {
    match event {
        TargetEvent::Seen { reference, sha } => {
            format!("`{}` is at {}: seen for the first time, not deployed", reference.short(), sha.short())
        }
        TargetEvent::Found { reference, sha } => {
            format!("`{}` is at {}: found by comparing heads", reference.short(), sha.short())
        }
        TargetEvent::Pinned { repository_id, repository } => {
            let name = repository.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
            format!("repository id {repository_id}{name} is fixed for this target")
        }
        TargetEvent::Followed { repository } => {
            format!("the repository is called `{repository}` now: followed by its id, correct the configuration")
        }
        TargetEvent::Locked { actor, reason, until, warns, after: _ } => {
            let what = if *warns { "warning set" } else { "locked" };
            format!("{what} by {actor}{}", for_how_long(reason.as_deref(), *until))
        }
        TargetEvent::Unlocked { actor } => format!("unlocked by {actor}"),
        TargetEvent::UpkeepFailed { failure } => format!("upkeep is not whole: {failure}"),
        TargetEvent::UpkeepMended => "upkeep is whole again".to_owned(),
        TargetEvent::Pruned { location, gone: false, .. } => format!("retention deleted {location}"),
        TargetEvent::Pruned { location, gone: true, .. } => format!("{location} is gone, and not by us"),
    }
}

fn for_how_long(reason: Option<&str>, until: Option<Timestamp>) -> String {
    let reason = reason.map(|it| format!(": {it}")).unwrap_or_default();
    let until = until.map(|it| format!(" until {it:.0}")).unwrap_or_default();
    format!("{until}{reason}")
}

fn of_sink(event: &SinkEvent) -> String {
    match event {
        SinkEvent::Sent { context, state, text, .. } => format!("told `{context}`: {}, {text}", state.as_str()),
        SinkEvent::Stumbled { failure, attempt, .. } => {
            format!("could not report: {}; trying again (attempt {attempt} failed)", failure.message)
        }
        SinkEvent::GaveUp { failure, .. } => format!("gave up reporting: {}", failure.message),
    }
}

fn of_bot(event: &BotEvent) -> String {
    match event {
        BotEvent::Started { version } => format!("Landfall {version} started"),
        BotEvent::Stopping => "Landfall is stopping".into(),
        BotEvent::Requested { request, .. } => format!("{} {}", request.actor, asked(&request.what)),
        BotEvent::Administered { actor, act } => format!("{actor} {}", did(act)),
    }
}

/// What somebody did about the bot itself, as the rest of a sentence that begins with who.
pub(super) fn did(act: &Act) -> String {
    match act {
        Act::TokenMade { token, role, targets, until } => {
            let at: Vec<&str> = targets.iter().map(Pattern::as_str).collect();
            let at = if at.is_empty() { String::new() } else { format!(" for {}", at.join(", ")) };
            let until = until.map(|it| format!(" until {it:.0}")).unwrap_or_default();
            format!("made the token `{token}` with the role {role}{at}{until}")
        }
        Act::TokenRevoked { token } => format!("revoked the token `{token}`"),
        Act::SignedIn => "signed in".into(),
        Act::SignedOut { whose } => format!("signed out all browsers of `{whose}`"),
        Act::Upkeep => "had upkeep done".into(),
        Act::Commanded { words, refused: None } => format!("asked `{words}`"),
        Act::Commanded { words, refused: Some(why) } => format!("asked `{words}`, which was not done: {why}"),
    }
}

/// What somebody asked for, or said of what waits for their word.
pub fn asked(what: &Ask) -> String {
    let wish = match what {
        Ask::Approve { deployment, of: None, .. } => return format!("approved {deployment}"),
        Ask::Approve { deployment, of: Some(of), .. } => return format!("approved {of} of {deployment}"),
        Ask::Reject { deployment, .. } => return format!("rejected {deployment}"),
        Ask::Deploy { target, reference, sha, options } => {
            let what = match (sha, reference) {
                (Some(sha), _) => sha.as_str(),
                (None, reference) => reference.as_ref().map_or("its branch", RefName::short),
            };
            format!("deploy `{what}` to {target}{}", chosen(options))
        }
        Ask::Redeploy { deployment, options } => format!("deploy {deployment} again{}", chosen(options)),
        Ask::Rollback { target, to: Some(to), options } => format!("roll {target} back to {to}{}", chosen(options)),
        Ask::Rollback { target, to: None, options } => format!("roll {target} back{}", chosen(options)),
        Ask::Restart { target, options } => format!("restart {target}{}", chosen(options)),
        Ask::Stop { deployment, rollback: false } => format!("stop {deployment}"),
        Ask::Stop { deployment, rollback: true } => format!("stop {deployment} and roll back"),
        Ask::Lock { target, .. } => format!("lock {target}"),
        Ask::Unlock { target } => format!("unlock {target}"),
        Ask::LockAll { reason, until, warns } => {
            let what = if *warns { "warn at every target" } else { "lock every target" };
            format!("{what}{}", for_how_long(reason.as_deref(), *until))
        }
        Ask::UnlockAll {} => "end the lock of every target".into(),
        Ask::Pause { reason } => format!("pause{}", for_how_long(reason.as_deref(), None)),
        Ask::Resume {} => "resume".into(),
        Ask::Replay { delivery } => format!("plan delivery {delivery} again"),
    };
    format!("asked to {wish}")
}

/// What a person chose for one deployment, as the end of a sentence.
fn chosen(options: &DeployOptions) -> String {
    if options.is_empty() { String::new() } else { format!(", {options}") }
}

fn because(failure: Option<&Failure>) -> String {
    failure.map(|it| format!(": {}", it.message)).unwrap_or_default()
}

fn doing(step: StepName) -> &'static str {
    match step {
        StepName::Weigh => "order not proven yet",
        StepName::Prepare => "revision not ready yet",
        StepName::Release => "engine not reached yet",
        StepName::Watch => "engine cannot be watched at present",
        StepName::Verify => "outcome not judged yet",
    }
}

/// `1 file`, `12 files`.
fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Instances, RunId, Traffic};

    #[test]
    fn progress_is_told_by_what_is_newest() {
        let step = |name: &str, status, script: Option<&str>| {
            let (name, script) = (name.to_owned(), script.map(str::to_owned));
            Lifecycle { name, status, instance: None, script, took_ms: None }
        };
        let at = |phase: &str, lifecycle| Progress { phase: Some(phase.into()), lifecycle, ..Progress::default() };
        let install = step("Install", StepStatus::Succeeded, None);
        let starts = |script| step("ApplicationStart", StepStatus::InProgress, script);
        let fleet = Instances { succeeded: 1, in_progress: 2, ..Instances::default() };
        for (progress, expected) in [
            (Progress::default(), "the engine works"),
            (Progress { status: "Queued".into(), ..Progress::default() }, "the engine says Queued"),
            (at("Install", vec![]), "Install began"),
            (at("ApplicationStart", vec![install.clone(), starts(None)]), "ApplicationStart began"),
            (at("ApplicationStart", vec![install.clone(), starts(Some("up.sh"))]), "ApplicationStart runs `up.sh`"),
            (Progress { lifecycle: vec![install.clone()], ..Progress::default() }, "Install ended well"),
            (at("x", vec![step("x", StepStatus::Failed, Some("up.sh"))]), "x failed at `up.sh`"),
            (Progress { instances: Some(fleet), ..at("Install", vec![]) }, "Install, 1 of 3 instances done"),
            (
                Progress { traffic: Some(Traffic::from_weight(0.3, "version 8")), ..at("AllowTraffic", vec![]) },
                "AllowTraffic: 30 % on version 8",
            ),
            (Progress { percent: Some(40), ..Progress::default() }, "40 % of traffic shifted"),
        ] {
            assert_eq!(progressed(&progress), expected);
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
        let run = RunId::parse("d-1").unwrap();
        let found = DeploymentEvent::Released { run, adopted: true, url: None };
        assert_eq!(of_deployment(&found), "found at the engine as d-1");
    }
}
