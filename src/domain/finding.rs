//! Something a person should change in a file, with its place. Findings come all at once, never only the first.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plain::one_line;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Refused before anything is touched.
    Error,
    /// Deploys, but surprises.
    Warning,
    /// Works here; the AWS agent would do otherwise.
    Portability,
    /// A matter of taste.
    Style,
}

/// Where in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, as the person knows it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column of the first character.
    pub column: u32,
    /// How many characters to underline, at least one.
    #[serde(default)]
    pub length: u32,
}

/// One thing to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name, `room/cause`.
    pub code: String,
    /// What was found and what was expected: lowercase, no full stop.
    pub message: String,
    /// Where, when it is about a place in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to do, beginning with the verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    /// A finding that refuses. What it says may be quoted from a stranger's file, and is shown in terminals.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        let message = one_line(&message.into(), usize::MAX);
        Self { severity: Severity::Error, code: code.into(), message, place: None, help: None }
    }

    /// A finding that surprises.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// A finding about AWS's own agent.
    pub fn portability(code: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Portability, ..Self::error(code, message) }
    }

    /// A finding of taste.
    pub fn style(code: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Style, ..Self::error(code, message) }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The same, with a line that says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(&help.into(), usize::MAX));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column, .. }) = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

/// Findings of one reading, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Whether any of them refuses.
    pub fn refuse(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The ones that refuse.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.severity == Severity::Error)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
