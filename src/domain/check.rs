//! Checks of a commit, as its source tells them, and what they mean for a deployment that requires some. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ids::CommitSha;
use super::pattern::Pattern;
use super::push::Repository;

/// What the names of our own commit statuses begin with. They wait for others, and nobody waits for them.
pub const OWN_CHECKS: &str = "landfall/";

/// The soonest and the latest second look at checks that are not green yet, where no event brings it before.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(2)];
/// More names than these would not fit into a commit status.
const NAMES_TOLD: usize = 3;

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// It is well: `success`, `neutral` or `skipped`.
    Green,
    /// It has not ended.
    Pending,
    /// It ended badly.
    Red,
}

/// One check of a commit: the newest commit status of a context, or the newest check run of a name and app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name: a status's context, a check run's name.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// The same in the source's own word.
    pub said: String,
    /// Where a person can look at it.
    pub link: Option<String>,
}

/// What all checks of a commit mean for a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// All that are required are green.
    Open,
    /// These are not green yet: names of checks, or the required one as written where nothing of that name is there.
    Waits(Vec<String>),
    /// One is red.
    Closed(Check),
}

/// A word from outside that a check may have ended. It is never believed: who hears it asks the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckHint {
    /// The repository that it speaks of.
    pub repository: Repository,
    /// The commit.
    pub commit: CommitSha,
    /// The check, where it names one.
    pub check: Option<String>,
}

impl Gate {
    /// What the checks of a commit mean where these are required. A pattern takes all that there are of it, and at
    /// least one.
    pub fn of(required: &[Pattern], checks: &[Check]) -> Self {
        let (mut waits, mut told) = (Vec::new(), BTreeSet::new());
        for pattern in required {
            let taken: Vec<&Check> = checks.iter().filter(|it| !is_own(&it.name) && pattern.takes(&it.name)).collect();
            if let Some(red) = taken.iter().find(|it| it.state == CheckState::Red) {
                return Self::Closed((*red).clone());
            }
            let pending = taken.iter().filter(|it| it.state == CheckState::Pending).map(|it| it.name.as_str());
            let missing = taken.is_empty().then_some(pattern.as_str());
            waits.extend(pending.chain(missing).filter(|name| told.insert(*name)).map(str::to_owned));
        }
        if waits.is_empty() { Self::Open } else { Self::Waits(waits) }
    }
}

/// Whether a check of this name is one of our own statuses. GitHub does not tell capitals from small letters there.
pub fn is_own(name: &str) -> bool {
    name.get(..OWN_CHECKS.len()).is_some_and(|it| it.eq_ignore_ascii_case(OWN_CHECKS))
}

/// Checks in words: «check `build`», «checks `build`, `lint` and 3 more».
pub fn named_checks(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().take(NAMES_TOLD).map(|name| format!("`{name}`")).collect();
    let more = names.len() - quoted.len();
    match (&quoted[..], more) {
        ([only], 0) => format!("check {only}"),
        ([all @ .., last], 0) => format!("checks {} and {last}", all.join(", ")),
        (all, more) => format!("checks {} and {more} more", all.join(", ")),
    }
}

/// How long the next look is put off after waiting for so long: the longer it took, the longer it may take.
pub fn look_again(waited: Duration) -> Duration {
    let [soonest, latest] = LOOK_AGAIN;
    (waited / 8).clamp(soonest, latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, state: CheckState) -> Check {
        Check { name: name.into(), state, said: "so".into(), link: None }
    }

    /// What `build` and all of `ci/*` mean, in a word.
    fn gate(checks: &[(&str, CheckState)]) -> String {
        let checks: Vec<Check> = checks.iter().map(|(name, state)| check(name, *state)).collect();
        match Gate::of(&["build".into(), "ci/*".into()], &checks) {
            Gate::Open => "open".into(),
            Gate::Waits(names) => named_checks(&names),
            Gate::Closed(red) => format!("closed by {}", red.name),
        }
    }

    #[test]
    fn all_that_is_required_has_to_be_green() {
        use CheckState::{Green, Pending, Red};
        assert_eq!(gate(&[]), "checks `build` and `ci/*`", "what nobody reports is pending");
        assert_eq!(gate(&[("build", Green), ("ci/a", Green)]), "open");
        assert_eq!(gate(&[("build", Green), ("ci/a", Green), ("ci/b", Pending)]), "check `ci/b`");
        assert_eq!(gate(&[("build", Pending), ("ci/a", Red)]), "closed by ci/a");
        assert_eq!(gate(&[("build", Green), ("ci/a", Green), ("lint", Red)]), "open", "nobody requires `lint`");
        // A status and a check run may have the same name: both count.
        assert_eq!(gate(&[("build", Green), ("build", Pending), ("ci/a", Green)]), "check `build`");
        let many = [("build", Pending), ("ci/a", Pending), ("ci/b", Pending), ("ci/c", Pending)];
        assert_eq!(gate(&many), "checks `build`, `ci/a`, `ci/b` and 1 more");
    }

    #[test]
    fn our_own_statuses_gate_nothing() {
        let own = [check("landfall/site", CheckState::Pending), check("Landfall/Other", CheckState::Red)];
        let required = ["**".into()];
        assert_eq!(Gate::of(&required, &own), Gate::Waits(vec!["**".into()]));
        let with_build = [own.as_slice(), &[check("build", CheckState::Green)]].concat();
        assert_eq!(Gate::of(&required, &with_build), Gate::Open);
        assert!(!is_own("land") && !is_own("landfalls/é"));
    }

    #[test]
    fn looks_come_less_often_the_longer_it_takes() {
        let after = |seconds| look_again(Duration::from_secs(seconds)).as_secs();
        assert_eq!([after(0), after(80), after(240), after(3600)], [10, 10, 30, 120]);
    }
}
