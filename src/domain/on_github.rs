//! What a target's owner wants said at GitHub, and in which words. It holds no secrets: plans store it.

use serde::{Deserialize, Serialize};

use super::check::OWN_CHECKS;
use super::ids::CommitSha;
use super::plan::Order;
use super::target::Target;

/// GitHub's longest name of a commit status, in characters.
const LONGEST_CONTEXT: usize = 255;

/// What is said of a target's deployments, besides commit statuses, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnGitHub {
    /// The commit status's name; `landfall/{target}` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The commit status's description, in which `{text}` is what Landfall says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether deployments stand on the page of environments; unless set, where an App may put them there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<bool>,
    /// Whether findings stand beside their lines; unless set, where an App may put them there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<bool>,
    /// Whether a failure is told in a comment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub comments: bool,
    /// Where the environment is seen once it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// Whether people use the environment; unless set, the one called `production` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<bool>,
    /// Whether the environment will be gone one day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transient: bool,
}

impl OnGitHub {
    /// What a context may name.
    pub const IN_CONTEXT: &'static [&'static str] = &["target", "environment", "repository"];
    /// What a description may name.
    pub const IN_DESCRIPTION: &'static [&'static str] = &["text", "target", "environment", "branch", "short_sha"];
    /// What an environment's address may name.
    pub const IN_URL: &'static [&'static str] = &["target", "environment", "branch", "sha", "short_sha"];

    /// Whether nothing is said otherwise than usual.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The name of a target's commit status, at most 255 characters.
    pub fn context_of(&self, target: &Target) -> String {
        let usual = format!("{OWN_CHECKS}{{target}}");
        let context = fill(self.context.as_deref().unwrap_or(&usual), |name| match name {
            "repository" => Some(target.repository.to_string()),
            name => named(target, name),
        });
        context.chars().take(LONGEST_CONTEXT).collect()
    }

    /// Where an order's environment is seen.
    pub fn url_of(&self, order: &Order, commit: &CommitSha) -> Option<String> {
        let filled = fill(self.environment_url.as_deref()?, |name| match name {
            "sha" => Some(commit.to_string()),
            "short_sha" => Some(commit.short().to_owned()),
            "branch" => Some(fit_for_an_address(order.reference.short())),
            name => named(&order.target, name).map(|it| fit_for_an_address(&it)),
        });
        Some(filled)
    }

    /// The description of an order's commit status around what is to be said. It may be too long.
    pub(super) fn describe(&self, order: &Order, commit: &CommitSha, text: &str) -> String {
        let Some(template) = &self.description else { return text.to_owned() };
        fill(template, |name| match name {
            "text" => Some(text.to_owned()),
            "short_sha" => Some(commit.short().to_owned()),
            "branch" => Some(order.reference.short().to_owned()),
            name => named(&order.target, name),
        })
    }

    /// Whether the environment is one that people use.
    pub fn is_production(&self, environment: &str) -> bool {
        self.production.unwrap_or(environment == "production")
    }
}

fn named(target: &Target, name: &str) -> Option<String> {
    match name {
        "target" => Some(target.name.to_string()),
        "environment" => Some(target.environment.clone()),
        _ => None,
    }
}

/// A branch may hold slashes and more: what a host's name does not bear becomes a hyphen.
fn fit_for_an_address(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '-' }).collect()
}

/// The text with each `{name}` replaced. What stands for nothing is left.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let (mut filled, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        let name = after.split_once('}').and_then(|(name, after)| Some((value(name)?, after)));
        match name {
            Some((value, after)) => (filled, rest) = (filled + &value, after),
            None => (filled, rest) = (filled + "{", after),
        }
    }
    filled + rest
}

/// The names in a template.
pub fn names_in(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|it| it.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples;

    #[test]
    fn names_are_filled_in_and_the_rest_is_left() {
        let mut order = samples::order();
        let (commit, target) = (order.sha.clone(), order.target.clone());
        let said =
            |context: &str| OnGitHub { context: Some(context.into()), ..OnGitHub::default() }.context_of(&target);
        assert_eq!(said("deploy/{target}"), format!("deploy/{}", target.name));
        assert_eq!(said("{repository} {nothing} {"), format!("{} {{nothing}} {{", target.repository));
        assert_eq!(said(&"é".repeat(300)).chars().count(), 255);
        assert_eq!(OnGitHub::default().context_of(&target), format!("landfall/{}", target.name));
        order.reference = crate::domain::RefName::parse("refs/heads/feature/Ä#1").unwrap();
        let url = Some("https://{branch}.example.com/{short_sha}".to_owned());
        let address = OnGitHub { environment_url: url, ..OnGitHub::default() }.url_of(&order, &commit);
        assert_eq!(address, Some(format!("https://feature---1.example.com/{}", commit.short())));
        assert_eq!(names_in("{a} b {c}{").collect::<Vec<_>>(), ["a", "c"]);
    }
}
