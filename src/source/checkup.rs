//! Whether a target's commits can be read, asked of where they come from.

use super::error::SourceError;
use super::kind::Source;
use crate::domain::{Checkup, Finding, RefName, Rule};

impl Source {
    /// Looks for the branches that a rule names; where it names none by name, for any.
    pub async fn checkup(&self, rule: &Rule) -> Vec<Checkup> {
        let names: Vec<&str> = rule.plain_branches().collect();
        if names.is_empty() {
            return vec![match self.branches().await {
                Ok(branches) => Checkup::ok("source", format!("it has {} branches", branches.len())).answered(),
                Err(error) => refused(&error),
            }];
        }
        let mut seen = Vec::new();
        for name in names {
            let Ok(reference) = RefName::parse(format!("refs/heads/{name}")) else { continue };
            seen.push(match self.head(&reference).await {
                Ok(Some(head)) => {
                    Checkup::ok("source", format!("branch `{name}` is at {}", head.commit.short())).answered()
                }
                Ok(None) => {
                    let text = format!("there is no branch `{name}`: nothing is deployed before it is pushed");
                    let help = "push it, or correct `branches`";
                    Checkup::found("source", Finding::warning("source/no-branch", text).help(help)).answered()
                }
                Err(error) => return vec![refused(&error)],
            });
        }
        seen
    }
}

fn refused(error: &SourceError) -> Checkup {
    let checkup = Checkup::failed("source", error.failure());
    if matches!(error, SourceError::Unavailable { .. }) { checkup.silent() } else { checkup.answered() }
}
