//! Who may sign in with GitHub, and how far they may go then. Pure; what GitHub says of somebody, others find out.

use super::access::{Grant, Role};
use super::consent::on_github;
use super::pattern::Pattern;
use super::permit::Team;

/// One rule: whoever has one of these logins, is in one of these teams or organisations, has this role. Of several rules
/// the first that fits somebody counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// How far they may go.
    pub role: Role,
    /// The targets that they are held to, as globs; none means all.
    pub targets: Vec<Pattern>,
    /// Logins at GitHub.
    pub people: Vec<String>,
    /// Teams of organisations.
    pub teams: Vec<Team>,
    /// Organisations.
    pub organisations: Vec<String>,
}

impl Admission {
    /// Whether it names this login; GitHub's ignore case.
    pub fn names(&self, login: &str) -> bool {
        self.people.iter().any(|it| it.eq_ignore_ascii_case(login))
    }

    /// Whether GitHub has to be asked what somebody belongs to.
    pub fn asks(&self) -> bool {
        !self.teams.is_empty() || !self.organisations.is_empty()
    }

    /// Whether all members of an organisation are let in.
    pub fn takes_all_of(&self, organisation: &str) -> bool {
        self.organisations.iter().any(|it| it.eq_ignore_ascii_case(organisation))
    }

    /// Whether all members of a team are let in, as such or with their organisation.
    pub fn takes_team(&self, team: &Team) -> bool {
        let same = |it: &Team| {
            it.organisation.eq_ignore_ascii_case(&team.organisation) && it.slug.eq_ignore_ascii_case(&team.slug)
        };
        self.takes_all_of(&team.organisation) || self.teams.iter().any(same)
    }

    /// What somebody of this login may do whom it fits.
    pub fn grant(&self, login: &str) -> Grant {
        Grant { actor: on_github(login), role: self.role, targets: self.targets.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::login_in;

    #[test]
    fn a_rule_takes_people_teams_and_organisations_whatever_their_case() {
        let rule = Admission {
            role: Role::Deploy,
            targets: vec!["shop-*".into()],
            people: vec!["Ada".into()],
            teams: vec!["acme/deployers".parse().unwrap()],
            organisations: vec!["Umbrella".into()],
        };
        assert!(rule.names("ada") && !rule.names("mia") && rule.asks());
        assert!(rule.takes_team(&"Acme/deployers".parse().unwrap()) && !rule.takes_team(&"acme/x".parse().unwrap()));
        assert!(rule.takes_team(&"umbrella/x".parse().unwrap()) && rule.takes_all_of("umbrella"));
        assert!(!rule.takes_all_of("acme"), "one team is not all");
        let grant = rule.grant("Ada");
        assert_eq!((grant.actor.as_str(), grant.role), ("Ada on GitHub", Role::Deploy));
        assert_eq!(login_in(&grant.actor), Some("Ada"), "who pushed as ada is known to be the same");
    }
}
