//! The gate of required checks: a deployment goes on once all of them are green, ends where one is red, and waits for the
//! others, though not for ever. It only reads.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::jobs::Job;
use super::looks::Look;
use super::weighing::Word;
use crate::domain::{Check, DeploymentEvent, Failure, Gate, Hold, HoldKind, Weighed, look_again, named_checks, spell};
use crate::source::SourceError;

/// A source that is to be asked again within this time is not said to be down.
const SLOWED: Duration = Duration::from_mins(2);

impl Job {
    /// What the checks say of a commit that is the newest. May run twice: it only reads.
    pub(super) async fn gate(&self, weighed: Weighed) -> Word {
        let target = &self.order().target;
        match self.world.sources.of(target).checks(&weighed.commit).await {
            Ok(checks) => match Gate::of(&target.require_checks, &checks) {
                Gate::Open => Word::Go(weighed),
                Gate::Closed(red) => refused(self.red(&red)),
                Gate::Waits(names) => self.wait_for(&names, weighed),
            },
            Err(error) => self.wait_for_source(unreadable(&error), error.retry_at(), Some(weighed)),
        }
    }

    fn wait_for(&self, names: &[String], weighed: Weighed) -> Word {
        let within = self.order().target.checks_within();
        let (now, deadline) = (self.now(), self.deadline(within));
        if now >= deadline {
            return refused(late(named_checks(names), names.len() == 1, within));
        }
        let reason = format!("waiting for {}", named_checks(names));
        self.wait(reason, deadline, deadline, self.look(Some(weighed), now))
    }

    /// Nobody knows how the checks stand, or whether they still matter. That may take as long as any other outage.
    pub(super) fn wait_for_source(
        &self,
        failure: Failure,
        retry_at: Option<Timestamp>,
        weighed: Option<Weighed>,
    ) -> Word {
        let target = &self.order().target;
        let within = target.checks_within();
        let (now, deadline) = (self.now(), self.deadline(within));
        let given_up = later(deadline, target.give_up_after().saturating_sub(within));
        if now >= given_up {
            let patience = spell(within.max(target.give_up_after()));
            let message = format!("gave up after {patience}: {}", failure.message);
            return refused(Failure { message, passing: false, ..failure });
        }
        // That GitHub is asked less for a while, so that its hour of requests lasts, is no news.
        let is_slowed = retry_at.is_some_and(|at| at <= later(now, SLOWED));
        let said = self.hold().filter(|_| is_slowed && self.waits_for_checks()).map(|it| it.reason.clone());
        let look = self.look(weighed, retry_at.unwrap_or(now));
        self.wait(said.unwrap_or(failure.message), deadline, given_up, look)
    }

    /// A look that was just taken, and the next one not before then. What an earlier one found stays known.
    fn look(&self, weighed: Option<Weighed>, not_before: Timestamp) -> Look {
        let before = self.looked.as_ref().and_then(|it| it.weighed.clone());
        let weighed = weighed.or(before);
        let commit = weighed.as_ref().map_or_else(|| self.deployment.commit().clone(), |it| it.commit.clone());
        Look { commit, weighed, at: self.now(), next: not_before }
    }

    fn wait(&self, reason: String, deadline: Timestamp, end: Timestamp, mut look: Look) -> Word {
        let left = Duration::try_from(deadline.duration_since(look.at)).unwrap_or_default();
        let waited = self.order().target.checks_within().saturating_sub(left);
        look.next = later(look.at, look_again(waited)).max(look.next).min(end);
        Word::Wait(Hold { kind: HoldKind::Checks, reason, until: Some(deadline) }, look)
    }

    /// Until when it waits: said when the wait began, and kept.
    fn deadline(&self, within: Duration) -> Timestamp {
        let said = self.hold().filter(|it| it.kind == HoldKind::Checks).and_then(|it| it.until);
        said.unwrap_or_else(|| later(self.now(), within))
    }

    fn red(&self, check: &Check) -> Failure {
        let link = check.link.as_ref().map(|link| format!("look at {link}; ")).unwrap_or_default();
        let help = format!("{link}push a fix, or deploy it all the same: `landfall redeploy {}`", self.deployment.id());
        let message = format!("check `{}` is red: `{}`", check.name, check.said);
        Failure::revision("conductor/check-red", message).help(help)
    }
}

fn refused(failure: Failure) -> Word {
    Word::Write(DeploymentEvent::Refused { failure }, vec![])
}

fn late(names: String, is_one: bool, within: Duration) -> Failure {
    let was = if is_one { "was" } else { "were" };
    Failure::setup("conductor/checks-late", format!("{names} {was} not green within {}", spell(within))).help(
        "see whether anything reports it for this commit: what is skipped for its paths never does; or raise \
         `checks_within`; `landfall redeploy` deploys it all the same",
    )
}

fn unreadable(error: &SourceError) -> Failure {
    let failure = Failure::passing("conductor/checks-unknown", format!("the checks are not known: {error}"));
    if let SourceError::Forbidden { .. } = error {
        return failure.help("give the token the permissions Checks: read and Commit statuses: read");
    }
    Failure { help: error.failure().help, ..failure }
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
