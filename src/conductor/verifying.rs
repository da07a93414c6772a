//! Verification after a release: what the target asks for is looked at until its time is over. A bot that was ended in the
//! middle begins the whole time again: what nobody saw meanwhile proves nothing.
//!
//! What was released may need a moment to come up: until it was as wanted once, every answer is waited out. From then on it
//! has to stay so; one bad answer alone is passed over, two in a row end it.

use super::jobs::{Job, JobError};
use crate::domain::{DeploymentEvent, Failure, RunOutcome, Verdict, Verify, spell};
use crate::steps::{self, Looked};

/// How many bad answers in a row end what was good before.
const IN_A_ROW: u32 = 2;

/// The code of the failure of a deployment that is not as wanted.
pub(super) const NOT_VERIFIED: &str = "conductor/not-verified";

impl Job {
    /// What the outcome of a run is once it was verified. One that failed anyway is left as it is, and one that somebody
    /// asked to stop meanwhile is stopped.
    pub(super) async fn verified(&mut self, outcome: RunOutcome) -> Result<RunOutcome, JobError> {
        let wanted = self.order().target.verify.clone();
        if outcome.verdict != Verdict::Succeeded || wanted.is_empty() || self.order().adopts().is_some() {
            return Ok(outcome);
        }
        for verify in &wanted {
            if self.deployment.stop_asked_by().is_some() {
                return Ok(RunOutcome { verdict: Verdict::Stopped, ..outcome });
            }
            if let Some(failure) = self.look_at(verify).await? {
                return Ok(RunOutcome { verdict: Verdict::Failed, failure: Some(failure), ..outcome });
            }
        }
        Ok(outcome)
    }

    /// Looks until the time is over. Gives why it is not as wanted. May run twice: it only reads.
    async fn look_at(&mut self, verify: &Verify) -> Result<Option<Failure>, JobError> {
        let ends = self.after(verify.lasts());
        let (mut was_good, mut bad, mut told) = (false, 0, None);
        loop {
            let run = self.deployment.run().cloned();
            let looked = steps::verify(&self.world, self.order(), run.as_ref(), verify).await;
            self.at("verify:after-look");
            if told.as_ref() != Some(&looked.said) {
                let (what, good, said) = (verify.to_string(), looked.good, looked.said.clone());
                self.append(DeploymentEvent::Verified { what, good, said }, vec![]).await?;
                told = Some(looked.said.clone());
            }
            was_good |= looked.good;
            bad = if looked.good { 0 } else { bad + 1 };
            let is_over = self.now() >= ends;
            match (looked.good, was_good) {
                (true, _) if is_over => return Ok(None),
                (false, true) if bad >= IN_A_ROW => return Ok(Some(not_as_wanted(verify, looked, "no longer"))),
                (false, false) if is_over => return Ok(Some(not_as_wanted(verify, looked, "never"))),
                _ => {}
            }
            let next = self.after(verify.every());
            self.world.clock.sleep_until(if is_over { next } else { next.min(ends) }).await;
        }
    }
}

fn not_as_wanted(verify: &Verify, looked: Looked, how: &str) -> Failure {
    let within = spell(verify.lasts());
    let text = format!("{verify} was {how} as wanted within {within} after the release: {}", looked.said);
    let failure =
        Failure::revision(NOT_VERIFIED, text).help("look at what was deployed, or correct `verify` of the target");
    match looked.detail {
        Some(detail) => failure.detail(&detail),
        None => failure,
    }
}
