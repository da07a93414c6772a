//! Words in a commit's message that ask for no deployment. Pure.

use serde::{Deserialize, Serialize};

/// Ours, wherever they stand in the message.
const OF_DEPLOYMENTS: &[&str] = &["[skip deploy]", "[deploy skip]", "[no deploy]"];
/// GitHub's, which keep its workflows from running.
const OF_CHECKS: &[&str] = &["[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]"];
/// The trailers that say the same, in the message's last paragraph.
const TRAILER_OF_DEPLOYMENTS: &str = "skip-deploy";
const TRAILER_OF_CHECKS: &str = "skip-checks";

/// That a commit's message asks for no deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The words, as they are always written.
    pub words: String,
    /// Whether they are GitHub's for checks: they count only where the target says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_checks: bool,
}

impl Skip {
    /// What the message of a commit asks for. Ours goes before GitHub's, since it counts everywhere.
    pub fn asked_in(message: &str) -> Option<Self> {
        let lower = message.to_lowercase();
        let trailers = trailers(&lower);
        let find = |words: &[&str], trailer: &str, of_checks| {
            let token = words.iter().find(|token| lower.contains(**token)).map(|token| (*token).to_owned());
            let asked = token.or_else(|| trailers.contains(&trailer).then(|| format!("{trailer}: true")));
            asked.map(|words| Self { words, of_checks })
        };
        find(OF_DEPLOYMENTS, TRAILER_OF_DEPLOYMENTS, false).or_else(|| find(OF_CHECKS, TRAILER_OF_CHECKS, true))
    }
}

/// The keys of the trailers that are `true`. A message of one paragraph has a title and no trailers.
fn trailers(message: &str) -> Vec<&str> {
    let Some((_, last)) = message.trim_end().rsplit_once("\n\n") else { return vec![] };
    let pairs = last.lines().filter_map(|line| line.split_once(':'));
    pairs.filter(|(_, value)| value.trim() == "true").map(|(key, _)| key.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(message: &str) -> Option<(String, bool)> {
        Skip::asked_in(message).map(|it| (it.words, it.of_checks))
    }

    #[test]
    fn tokens_and_trailers_are_found_wherever_they_may_stand() {
        let deploy = |words: &str| Some((words.to_owned(), false));
        let checks = |words: &str| Some((words.to_owned(), true));
        assert_eq!(asked("Fix a typo [skip deploy]"), deploy("[skip deploy]"));
        assert_eq!(asked("Fix\n\nIt is only prose. [Deploy Skip]"), deploy("[deploy skip]"));
        assert_eq!(asked("Fix\n\nSkip-Deploy: true\nReviewed-by: Ada\n"), deploy("skip-deploy: true"));
        assert_eq!(asked("Fix [no ci]"), checks("[no ci]"));
        assert_eq!(asked("Fix\n\n\nskip-checks:true"), checks("skip-checks: true"));
        assert_eq!(asked("Fix [skip ci] [no deploy]"), deploy("[no deploy]"), "ours counts everywhere");
    }

    #[test]
    fn what_only_speaks_of_skipping_asks_for_nothing() {
        for message in [
            "",
            "skip deploy",
            "Document [skip-deploy]",
            "skip-deploy: true",
            "Fix\n\nskip-deploy: false",
            "Fix\n\nskip-deploy: true\n\nnot the last paragraph",
        ] {
            assert_eq!(asked(message), None, "{message:?}");
        }
    }
}
