//! What a person can do next about a run that failed at scripts of the revision before it, or that an alarm stopped.
//! Decides nothing.

use crate::appspec::PREVIOUS_EVENTS;
use crate::domain::{DeploymentId, Failure, Progress, RunOutcome, StepStatus};

/// The outcome with the one command that passes over such a failure, where there is one (rows 29 and 61).
pub(super) fn with_hint(id: DeploymentId, progress: &Progress, mut outcome: RunOutcome) -> RunOutcome {
    if let Some(Failure { help, .. }) = outcome.failure.as_mut().filter(|it| it.code == "codedeploy/alarm") {
        *help = Some(joined(help.take(), format!("`landfall redeploy {id} --ignore-alarms` lets no alarm stop it")));
    }
    let failed = |it: &&crate::domain::Lifecycle| it.status == StepStatus::Failed;
    let Some(event) = progress.lifecycle.iter().find(failed).map(|it| it.name.as_str()) else { return outcome };
    if let (true, Some(Failure { help, .. })) = (PREVIOUS_EVENTS.contains(&event), &mut outcome.failure) {
        let hint = format!(
            "the scripts of {event} are the earlier revision's: \
             `landfall redeploy {id} --ignore-application-stop-failures` passes over them"
        );
        *help = Some(joined(help.take(), hint));
    }
    outcome
}

fn joined(help: Option<String>, hint: String) -> String {
    match help {
        Some(help) => format!("{help}; {hint}"),
        None => hint,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{Lifecycle, Verdict};

    #[test]
    fn only_the_scripts_of_the_revision_before_can_be_passed_over_row_29() {
        let id = DeploymentId::derive(Timestamp::UNIX_EPOCH, &["a"]);
        for (event, hinted) in [
            ("ApplicationStop", true),
            ("BeforeBlockTraffic", true),
            ("AfterBlockTraffic", true),
            ("AfterInstall", false),
            ("ValidateService", false),
        ] {
            let (name, status) = (event.to_owned(), StepStatus::Failed);
            let lifecycle = vec![Lifecycle { name, status, instance: None, script: None, took_ms: None }];
            let failure = Some(Failure::revision("host/script-failed", "it failed").help("look at its log"));
            let outcome = RunOutcome { failure, ..RunOutcome::of(Verdict::Failed) };
            let told = with_hint(id, &Progress { lifecycle, ..Progress::default() }, outcome);
            let help = told.failure.and_then(|it| it.help).unwrap_or_default();
            assert_eq!(help.contains(&format!("redeploy {id} --ignore-application-stop-failures")), hinted, "{event}");
            assert!(help.starts_with("look at its log"), "{help}");
        }
    }
}
