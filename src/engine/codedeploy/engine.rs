//! The engine for one deployment group: the trait's verbs, in CodeDeploy's words.

use std::sync::Arc;

use aws_sdk_codedeploy::types::DeploymentWaitType;
use jiff::Timestamp;

use super::account::{Account, Accounts};
use super::details::Details;
use super::known;
use super::poller::Look;
use super::reading::Reading;
use super::reasons;
use super::trouble::Trouble;
use crate::domain::{
    Approval, CodeDeploySpec, DeploymentId, Failure, Finding, Location, Observation, Order, Progress, Revision, RunId,
    RunOutcome, SubState, SuccessOn, Verdict,
};
use crate::engine::{Admission, Answer, Engine, Found, Intent, StartError, Started};

/// AWS CodeDeploy, for one deployment group.
#[derive(Clone)]
pub struct CodeDeployEngine {
    pub(super) spec: CodeDeploySpec,
    pub(super) account: Arc<Account>,
}

impl CodeDeployEngine {
    /// The engine for the group that `spec` names. Nothing is called yet.
    pub fn new(spec: &CodeDeploySpec, accounts: &Accounts) -> Self {
        Self { spec: spec.clone(), account: accounts.of(spec) }
    }

    /// Where a person can watch a deployment.
    pub(super) fn console_url(&self, id: &str) -> String {
        console_url(&self.spec.region, id)
    }

    async fn look(&self, run: &RunId, last: &Progress) -> Result<Observation, Failure> {
        let mut looks = self.account.watch(run);
        // A failure from before this call is no news.
        let mut news = matches!(*looks.borrow_and_update(), Some(Look::Seen { .. } | Look::Gone));
        let patience = self.account.clock.sleep(self.account.pace.answer_within);
        tokio::pin!(patience);
        loop {
            let look = looks.borrow_and_update().clone();
            match look {
                Some(Look::Seen { reading, details, settled, since }) if news => {
                    let details = details.as_deref();
                    let now = self.account.clock.now();
                    let progress =
                        Progress { overdue_h: reading.overdue(now), ..reading.progress(details, last, since) };
                    let early = self.is_early(&reading, details);
                    if let Some(verdict) = reading.verdict().filter(|_| settled).or(early) {
                        let mut outcome = self.outcome(&reading, details, verdict, last);
                        if let Some(failure) = outcome.failure.as_mut().filter(|it| it.code == reasons::ALARM) {
                            self.name_alarms(failure).await;
                        }
                        if let Some(run) = &outcome.rolled_back_by {
                            let revision = self.account.revision_of(run).await;
                            outcome.rolled_back_to = revision.map_err(|it| unread(it.failure(&self.spec)))?;
                        }
                        return Ok(Observation { progress, outcome: Some(outcome) });
                    }
                    if progress != *last {
                        return Ok(Observation { progress, outcome: None });
                    }
                }
                Some(Look::Gone) if news => return Ok(self.gone(run, last)),
                Some(Look::Failed(trouble)) if news => return Err(unread(trouble.failure(&self.spec))),
                Some(_) | None => {}
            }
            tokio::select! {
                // The sender lives as long as somebody listens.
                _ = looks.changed() => news = true,
                () = &mut patience => return Ok(Observation { progress: last.clone(), outcome: None }),
            }
        }
    }

    /// A success before CodeDeploy says so: traffic has moved, and that is what was asked for.
    fn is_early(&self, reading: &Reading, details: Option<&Details>) -> Option<Verdict> {
        let wanted = self.spec.success_on == SuccessOn::TrafficShifted;
        (wanted && reading.has_moved_traffic(details)).then_some(Verdict::Succeeded)
    }

    /// How it ended. What could not be found out of its instances hides no outcome.
    fn outcome(&self, reading: &Reading, details: Option<&Details>, verdict: Verdict, last: &Progress) -> RunOutcome {
        let failed = reading.instances.map_or(0, |it| it.failed);
        let culprit = details.and_then(|it| it.culprit.as_ref());
        let failure = match verdict {
            Verdict::Succeeded => None,
            Verdict::Failed => {
                let (code, message) = reading.reason.clone().unwrap_or_default();
                let failure = reasons::end(&code, &message);
                // What failed on an instance explains a health rule, not a missing role.
                let explains = matches!(code.as_str(), "HEALTH_CONSTRAINTS" | "HOOK_EXECUTION_FAILURE" | "AGENT_ISSUE")
                    || code.is_empty();
                match culprit {
                    Some(culprit) if explains => Some(culprit.explain(failure)),
                    Some(_) | None => Some(failure),
                }
            }
            Verdict::Stopped => {
                let (code, message) = reading.reason.clone().unwrap_or_default();
                let waited = last.sub_state == Some(SubState::ReadyForTraffic);
                let expired = waited && matches!(code.as_str(), "" | "TIMEOUT");
                Some(if expired { reasons::nobody_approved(&message) } else { reasons::end(&code, &message) })
            }
        };
        let mut warnings = vec![];
        if let (Verdict::Succeeded, Some(it)) = (verdict, reading.instances.filter(|_| failed > 0)) {
            let of = format!("{} of {} instances failed", it.failed, it.total());
            warnings.push(culprit.map_or(of.clone(), |culprit| format!("{of}: {}", culprit.line())));
        }
        if verdict == Verdict::Succeeded && !reading.followed_by.is_empty() {
            let by = reading.followed_by.join(", ");
            warnings.push(format!("CodeDeploy brings outdated instances up to date with {by}"));
        }
        let rolled_back_by = reading.rolled_back_by.as_deref().and_then(|id| RunId::parse(id).ok());
        let rollback_said = reading.rollback_said.clone().filter(|_| rolled_back_by.is_none());
        let followed_by = reading.followed_by.iter().filter_map(|id| RunId::parse(id).ok()).collect();
        RunOutcome { failure, warnings, rolled_back_by, rollback_said, followed_by, ..RunOutcome::of(verdict) }
    }

    /// Names the alarms that may have stopped a run: the target's own, or else the group's. What cannot be asked leaves
    /// them unnamed.
    async fn name_alarms(&self, failure: &mut Failure) {
        let own = self.spec.override_alarms.as_ref().map(|it| it.names.clone());
        let names = match own {
            Some(names) if !names.is_empty() => names,
            Some(_) | None => match self.account.group(&self.spec).await {
                Ok(group) => known::alarms_of(&group),
                Err(_) => return,
            },
        };
        if let Some(text) = reasons::alarm(&names) {
            failure.message = text;
        }
    }

    fn gone(&self, run: &RunId, last: &Progress) -> Observation {
        let (application, group) = (&self.spec.application, &self.spec.deployment_group);
        let message = format!("CodeDeploy does not know {run} any more");
        let failure = Failure::setup("codedeploy/deployment-gone", message)
            .help(format!("check whether application `{application}` or group `{group}` was deleted"));
        let outcome = RunOutcome { failure: Some(failure), ..RunOutcome::of(Verdict::Failed) };
        Observation { progress: last.clone(), outcome: Some(outcome) }
    }

    async fn ask_to_stop(&self, run: &RunId, rollback: bool) -> Result<(), Failure> {
        if rollback {
            // Before the call: the stop may be seen before it is answered, and its end has to wait for the rollback.
            self.account.expect_rollback(run);
        }
        let call = self.account.client().await.stop_deployment().deployment_id(run.as_str());
        // Unsaid, the group decides (row 55).
        let call = call.set_auto_rollback_enabled(rollback.then_some(true));
        match call.send().await.map_err(|error| Trouble::of("StopDeployment", &error)) {
            Ok(_) => {
                self.account.hurry(run);
                Ok(())
            }
            Err(trouble) if trouble.code() == Some("DeploymentAlreadyCompletedException") => Ok(()),
            Err(trouble) => Err(trouble.failure(&self.spec)),
        }
    }

    async fn ask_to_go_on(&self, run: &RunId, of: Approval) -> Result<(), Failure> {
        let wait = match of {
            Approval::Traffic => DeploymentWaitType::ReadyWait,
            Approval::Termination => DeploymentWaitType::TerminationWait,
            // These were approved before there was a run.
            Approval::Promotion | Approval::Release | Approval::Freeze => return Ok(()),
        };
        let call = self.account.client().await.continue_deployment().deployment_id(run.as_str());
        let call = call.deployment_wait_type(wait);
        match call.send().await.map_err(|error| Trouble::of("ContinueDeployment", &error)) {
            Ok(_) => {
                self.account.hurry(run);
                Ok(())
            }
            Err(trouble) if trouble.code() == Some("DeploymentAlreadyCompletedException") => Ok(()),
            Err(trouble) => Err(trouble.failure(&self.spec)),
        }
    }
}

/// Each partition of AWS has a console of its own.
fn console_url(region: &str, id: &str) -> String {
    let host = match region.split('-').next() {
        Some("cn") => "console.amazonaws.cn",
        Some("us") if region.starts_with("us-gov-") => "console.amazonaws-us-gov.com",
        Some(_) | None => "console.aws.amazon.com",
    };
    format!("https://{region}.{host}/codesuite/codedeploy/deployments/{id}?region={region}")
}

/// A look that failed says nothing about the run, so it always passes, whatever has to be done about it.
fn unread(failure: Failure) -> Failure {
    Failure { passing: true, ..failure }
}

impl Engine for CodeDeployEngine {
    fn choose_run(&self, _: DeploymentId) -> Option<RunId> {
        None
    }

    fn admit<'a>(&'a self, order: &'a Order) -> Answer<'a, Result<Admission, Failure>> {
        Box::pin(self.admission(order))
    }

    fn announce<'a>(&'a self, order: &'a Order, revision: &'a Revision) -> Answer<'a, Result<Vec<Finding>, Failure>> {
        Box::pin(self.registered(order, revision))
    }

    fn start<'a>(&'a self, intent: &'a Intent) -> Answer<'a, Result<Started, StartError>> {
        Box::pin(self.create(intent))
    }

    fn find<'a>(&'a self, intent: &'a Intent, since: Timestamp) -> Answer<'a, Result<Found, Failure>> {
        Box::pin(self.look_for(intent, since))
    }

    fn observe<'a>(&'a self, run: &'a RunId, last: &'a Progress) -> Answer<'a, Result<Observation, Failure>> {
        Box::pin(async move { Ok(self.look(run, last).await?.masked(&self.account.mask)) })
    }

    fn expect_rollback(&self, run: &RunId) {
        self.account.expect_rollback(run);
    }

    fn shown_at(&self, run: &RunId) -> Option<String> {
        Some(self.console_url(run.as_str()))
    }

    fn stop<'a>(&'a self, run: &'a RunId, rollback: bool) -> Answer<'a, Result<(), Failure>> {
        Box::pin(self.ask_to_stop(run, rollback))
    }

    fn proceed<'a>(&'a self, run: &'a RunId, of: Approval) -> Answer<'a, Result<(), Failure>> {
        Box::pin(self.ask_to_go_on(run, of))
    }

    fn needed(&self) -> Answer<'_, Result<Option<Vec<Location>>, Failure>> {
        Box::pin(self.needs())
    }

    fn preflight(&self) -> Answer<'_, Vec<Finding>> {
        Box::pin(self.misfits())
    }
}

#[cfg(test)]
mod tests {
    use super::console_url;

    #[test]
    fn a_link_leads_to_the_partitions_own_console_rows_9_and_65() {
        for (region, host) in [
            ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
            ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
            ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
            ("us-west-1", "us-west-1.console.aws.amazon.com"),
        ] {
            let expected = format!("https://{host}/codesuite/codedeploy/deployments/d-1?region={region}");
            assert_eq!(console_url(region, "d-1"), expected);
        }
    }
}
