//! Who may ask for something from chat or in a comment: by what GitHub lets them do at the repository, by a team of
//! theirs, or by name. Pure; what GitHub says of somebody, others find out.

use std::fmt;
use std::str::FromStr;

use super::ids::Unfit;

/// How far somebody may go at a repository, in GitHub's words. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Look.
    Read,
    /// Sort issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Change the repository's settings, but for those that can destroy it.
    Maintain,
    /// Everything.
    Admin,
}

impl Level {
    /// All of them, the lowest first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin];

    /// As GitHub writes it in `role_name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The level that GitHub tells of: a role that an organisation made has the level of the permission it is built on,
    /// whatever it is called.
    pub fn told(role: &str, permission: &str) -> Option<Self> {
        let named = |name: &str| Self::ALL.into_iter().find(|it| it.as_str() == name);
        let permission = named(permission)?;
        // GitHub tells of `triage` as `read` too, and of `maintain` as `write`.
        let fits = |role: &Self| match role {
            Self::Triage => permission >= Self::Read,
            Self::Maintain => permission >= Self::Write,
            Self::Read | Self::Write | Self::Admin => permission >= *role,
        };
        Some(named(role).filter(fits).unwrap_or(permission))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A team of an organisation at GitHub.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Team {
    /// The organisation.
    pub organisation: String,
    /// The team's name as addresses write it.
    pub slug: String,
}

impl FromStr for Team {
    type Err = Unfit;
    fn from_str(text: &str) -> Result<Self, Unfit> {
        let fits =
            |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        match text.split_once('/') {
            Some((organisation, slug)) if fits(organisation) && fits(slug) => {
                Ok(Self { organisation: organisation.into(), slug: slug.into() })
            }
            _ => Err(Unfit::of("an organisation and the slug of a team of its, such as `acme/deployers`", text)),
        }
    }
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organisation, self.slug)
    }
}

/// Who may ask for something of a target: whoever one of these is true of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Has at least this level at its repository.
    pub level: Option<Level>,
    /// Is a member of one of these teams.
    pub teams: Vec<Team>,
    /// Has one of these logins at GitHub.
    pub people: Vec<String>,
}

impl Default for Permit {
    /// Whoever may push to it.
    fn default() -> Self {
        Self { level: Some(Level::Write), teams: vec![], people: vec![] }
    }
}

impl Permit {
    /// Whether it names this login; GitHub's ignore case.
    pub fn names(&self, login: &str) -> bool {
        self.people.iter().any(|it| it.eq_ignore_ascii_case(login))
    }
}

impl fmt::Display for Permit {
    /// Who that is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level.map(|it| format!("whoever has `{it}` at its repository"));
        let teams = self.teams.iter().map(|it| format!("members of `{it}`"));
        let people = self.people.iter().map(|it| format!("`{it}`"));
        let all: Vec<String> = level.into_iter().chain(teams).chain(people).collect();
        if all.is_empty() { f.write_str("nobody") } else { f.write_str(&all.join(", or ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_an_organisation_made_has_the_level_of_its_permission() {
        assert_eq!(Level::told("maintain", "write"), Some(Level::Maintain));
        assert_eq!(Level::told("release-captain", "write"), Some(Level::Write));
        assert_eq!(Level::told("admin", "read"), Some(Level::Read), "a name alone gives nothing");
        assert_eq!(Level::told("triage", "read"), Some(Level::Triage));
        assert_eq!(Level::told("none", "none"), None);
        assert!(Level::ALL.is_sorted());
    }

    #[test]
    fn a_team_has_an_organisation_and_a_slug() {
        let team: Team = "acme/deployers".parse().unwrap();
        assert_eq!((team.organisation.as_str(), team.slug.as_str()), ("acme", "deployers"));
        for wrong in ["deployers", "acme/", "/deployers", "acme/a/b", "acme/the deployers", "acme/../x"] {
            assert!(wrong.parse::<Team>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_permit_says_in_words_whom_it_is_for() {
        let team = "acme/deployers".parse().unwrap();
        let permit = Permit { teams: vec![team], people: vec!["ada".into()], ..Permit::default() };
        let told = "whoever has `write` at its repository, or members of `acme/deployers`, or `ada`";
        assert_eq!(permit.to_string(), told);
        assert!(permit.names("Ada"));
        assert_eq!(Permit { level: None, teams: vec![], people: vec![] }.to_string(), "nobody");
    }
}
