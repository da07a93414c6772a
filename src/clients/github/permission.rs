//! What Landfall does at GitHub, and which permissions each of these things takes: the one table that tokens are narrowed
//! by and that the doctor reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::config::GitHub;
use crate::domain::Target;

/// How far a permission goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To look.
    Read,
    /// To look and to change.
    Write,
}

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// As the API names it.
    pub key: &'static str,
    /// As GitHub's pages name it.
    pub name: &'static str,
    /// How far it must go.
    pub access: Access,
}

/// Something that Landfall does at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Reads heads, comparisons, AppSpecs and archives.
    Commits,
    /// Sets commit statuses.
    Statuses,
    /// Shows deployments on the page of environments.
    Deployments,
    /// Makes check runs.
    CheckRuns,
    /// Comments on pull requests.
    Comments,
    /// Waits for the checks and statuses that others set.
    Gate,
    /// Looks at webhooks and at what became of their deliveries.
    Webhooks,
    /// Has lost deliveries sent again.
    Redelivery,
    /// Looks at the webhooks of an organisation, and at what became of their deliveries.
    OwnersWebhooks,
    /// Asks who is a member of a team.
    Teams,
}

const fn reads(key: &'static str, name: &'static str) -> Need {
    Need { key, name, access: Access::Read }
}

const fn writes(key: &'static str, name: &'static str) -> Need {
    Need { key, name, access: Access::Write }
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Commits,
        Self::Statuses,
        Self::Deployments,
        Self::CheckRuns,
        Self::Comments,
        Self::Gate,
        Self::Webhooks,
        Self::Redelivery,
        Self::OwnersWebhooks,
        Self::Teams,
    ];

    /// What a target does at GitHub by its configuration, in the name of an App or not. Looking at webhooks is the doctor's
    /// own wish.
    pub fn of(target: &Target, as_an_app: bool) -> Vec<Self> {
        let wanted = &target.github;
        let all = [
            (Self::Commits, true),
            (Self::Statuses, true),
            (Self::Gate, !target.require_checks.is_empty()),
            // GitHub tells what an App may; of a token it does not.
            (Self::Deployments, wanted.deployments.unwrap_or(as_an_app)),
            (Self::CheckRuns, as_an_app && wanted.checks.unwrap_or(true)),
            (Self::Comments, wanted.comments),
        ];
        all.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(feature, _)| feature).collect()
    }

    /// What commands from chat and comments take at GitHub, whichever target they are about.
    pub(super) fn of_commands(github: &GitHub) -> impl Iterator<Item = Self> {
        let all = [(Self::Comments, github.hears_comments), (Self::Teams, github.asks_for_teams)];
        all.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(feature, _)| feature)
    }

    /// What an App's token for a target's repository is for: all that, and looking for deliveries that were lost.
    pub fn of_use(target: &Target) -> impl Iterator<Item = Self> {
        Self::of(target, true).into_iter().chain([Self::Webhooks, Self::Redelivery, Self::OwnersWebhooks])
    }

    /// As the subject of a sentence about what it needs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commits => "reading commits",
            Self::Statuses => "setting commit statuses",
            Self::Deployments => "showing deployments",
            Self::CheckRuns => "making check runs",
            Self::Comments => "commenting on pull requests",
            Self::Gate => "waiting for checks",
            Self::Webhooks => "looking at webhooks",
            Self::Redelivery => "having deliveries sent again",
            Self::OwnersWebhooks => "looking at an organisation's webhooks",
            Self::Teams => "asking who is in a team",
        }
    }

    /// The scopes of a classic token of which any suffices. Check runs are made by Apps alone.
    pub(super) const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Commits | Self::Comments | Self::Gate => &["repo"],
            Self::Statuses => &["repo", "repo:status"],
            Self::Deployments => &["repo", "repo_deployment"],
            Self::CheckRuns => &[],
            Self::Webhooks => &["repo", "admin:repo_hook", "write:repo_hook", "read:repo_hook"],
            Self::Redelivery => &["repo", "admin:repo_hook", "write:repo_hook"],
            Self::OwnersWebhooks => &["admin:org_hook"],
            Self::Teams => &["read:org", "write:org", "admin:org"],
        }
    }

    /// Whether the scope `public_repo` suffices in public repositories.
    pub(super) const fn is_open_in_public(self) -> bool {
        matches!(self, Self::Commits | Self::Statuses | Self::Deployments | Self::Comments | Self::Gate)
    }

    /// What it takes. GitHub's pages call the webhooks of a repository «Webhooks», its API `repository_hooks`.
    pub const fn needs(self) -> &'static [Need] {
        match self {
            Self::Commits => const { &[reads("contents", "Contents")] },
            Self::Statuses => const { &[writes("statuses", "Commit statuses")] },
            Self::Deployments => const { &[writes("deployments", "Deployments")] },
            Self::CheckRuns => const { &[writes("checks", "Checks")] },
            Self::Comments => const { &[writes("pull_requests", "Pull requests")] },
            Self::Gate => const { &[reads("checks", "Checks"), reads("statuses", "Commit statuses")] },
            Self::Webhooks => const { &[reads("repository_hooks", "Webhooks")] },
            Self::Redelivery => const { &[writes("repository_hooks", "Webhooks")] },
            Self::OwnersWebhooks => const { &[reads("organization_hooks", "Organization webhooks")] },
            Self::Teams => const { &[reads("members", "Members")] },
        }
    }
}

impl Access {
    /// As GitHub writes it; `admin` counts as `write`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" | "admin" => Some(Self::Write),
            _ => None,
        }
    }

    /// As GitHub writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Need {
    /// Whether that is granted.
    pub(super) fn is_met(&self, granted: &BTreeMap<String, String>) -> bool {
        granted.get(self.key).and_then(|it| Access::parse(it)).is_some_and(|it| it >= self.access)
    }
}

impl fmt::Display for Need {
    /// As people find it on GitHub's pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.access.as_str())
    }
}

/// Of what was granted, the part that these features have a use for: a token that is lost can do no more.
pub(super) fn narrowed(
    granted: &BTreeMap<String, String>,
    features: &BTreeSet<Feature>,
) -> BTreeMap<&'static str, &'static str> {
    let mut narrow: BTreeMap<&'static str, Access> = BTreeMap::new();
    for need in features.iter().flat_map(|it| it.needs()) {
        let Some(granted) = granted.get(need.key).and_then(|it| Access::parse(it)) else { continue };
        let access = narrow.entry(need.key).or_insert(Access::Read);
        *access = need.access.min(granted).max(*access);
    }
    narrow.into_iter().map(|(key, access)| (key, access.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OnGitHub;
    use crate::domain::samples::target;

    #[test]
    fn of_what_was_granted_only_what_is_of_use_is_asked_for() {
        let granted = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, it)| ((*key).into(), (*it).into())).collect();
        let wide = granted(&[
            ("metadata", "read"),
            ("administration", "write"),
            ("contents", "write"),
            ("statuses", "write"),
            ("checks", "read"),
            ("repository_hooks", "admin"),
        ]);
        let expected = [("checks", "read"), ("contents", "read"), ("repository_hooks", "write"), ("statuses", "write")];
        assert_eq!(narrowed(&wide, &Feature::ALL.into()), expected.into());
        assert_eq!(narrowed(&granted(&[("secrets", "write")]), &Feature::ALL.into()), BTreeMap::new());
        let of_use = |target: &Target| narrowed(&wide, &Feature::of_use(target).collect());
        let quiet = OnGitHub { checks: Some(false), ..OnGitHub::default() };
        let quiet = Target { github: quiet, ..target("blog") };
        let expected = [("contents", "read"), ("repository_hooks", "write"), ("statuses", "write")];
        assert_eq!(of_use(&quiet), expected.into());
        let gated = Target { require_checks: vec!["build".into()], ..quiet };
        assert_eq!(of_use(&gated).get("checks"), Some(&"read"), "what is waited for is read");
    }
}
