//! `${name}` in texts: what stands for it, and why nothing does. It looks nothing up by itself.

use std::collections::BTreeMap;
use std::fmt;

use super::reader::nearest;

/// The names that are always there.
pub const BUILT_IN: [&str; 7] = ["sha", "short_sha", "ref", "branch", "tag", "target", "environment"];

/// What names stand for in one deployment.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    known: BTreeMap<String, String>,
    /// Names that exist, and why nothing stands for them here.
    absent: BTreeMap<String, String>,
}

/// Why a text cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfilled {
    /// What is wrong.
    pub message: String,
    /// What a person can do.
    pub help: String,
}

impl fmt::Display for Unfilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A part of a text.
enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

impl Variables {
    /// Gives a name its text.
    pub fn set(&mut self, name: &str, text: impl Into<String>) {
        self.known.insert(name.to_owned(), text.into());
    }

    /// Says why nothing stands for a name.
    pub fn lack(&mut self, name: &str, why: impl Into<String>) {
        self.absent.insert(name.to_owned(), why.into());
    }

    /// The text with every `${name}` filled in and every `$${` as `${`. What is filled in is not looked at again.
    pub fn fill(&self, text: &str) -> Result<String, Unfilled> {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => filled.push_str(self.value(name)?),
            }
        }
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<&str, Unfilled> {
        if let Some(value) = self.known.get(name) {
            return Ok(value);
        }
        if let Some(why) = self.absent.get(name) {
            let help = "deploy another ref, or use another variable, such as `${short_sha}`".into();
            return Err(Unfilled { message: format!("nothing stands for `${{{name}}}`: {why}"), help });
        }
        Err(unknown(name, self.known.keys().chain(self.absent.keys()).map(String::as_str)))
    }
}

/// The names that a text wants filled in.
pub fn names_in(text: &str) -> Result<Vec<&str>, Unfilled> {
    let name = |piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    };
    Ok(pieces(text)?.into_iter().filter_map(name).collect())
}

/// What is said of a name that nobody gave.
pub fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Unfilled {
    let known: Vec<&str> = known.collect();
    let help = match nearest(name, &known) {
        Some(near) => format!("did you mean `${{{near}}}`?"),
        None => format!("known are {}; for the text itself write `$${{{name}}}`", known.join(", ")),
    };
    Unfilled { message: format!("no variable is called `{name}`"), help }
}

/// Whether a text can be a variable's name.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic() || it == b'_')
        && bytes.all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Unfilled> {
    let (mut pieces, mut rest) = (vec![], text);
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            // The first dollar goes, and what follows it is only text.
            pieces.extend([Piece::Text(&rest[..at - 1]), Piece::Text("${")]);
            rest = &rest[at + 2..];
            continue;
        }
        let help = "write `${name}`, or `$${` for the letters themselves".to_owned();
        let Some(end) = rest[at..].find('}') else {
            return Err(Unfilled { message: "`${` is not closed".into(), help });
        };
        let name = &rest[at + 2..at + end];
        if !is_name(name) {
            return Err(Unfilled { message: format!("`{name}` is no name of a variable"), help });
        }
        pieces.extend([Piece::Text(&rest[..at]), Piece::Name(name)]);
        rest = &rest[at + end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::default();
        variables.set("sha", "4f2c");
        variables.set("branch", "main: ${sha}");
        variables.lack("tag", "`main` is a branch");
        variables
    }

    #[test]
    fn names_are_filled_in_once() {
        for (text, filled) in [
            ("", ""),
            ("plain $ and $sha and {sha}", "plain $ and $sha and {sha}"),
            ("${sha}", "4f2c"),
            ("a-${sha}-${sha}", "a-4f2c-4f2c"),
            ("${branch}", "main: ${sha}"),
            ("$${sha}", "${sha}"),
            ("$${sha} ${sha}", "${sha} 4f2c"),
            ("$$", "$$"),
            ("é${sha}é", "é4f2cé"),
        ] {
            assert_eq!(variables().fill(text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_says_why() {
        for (text, message, help) in [
            ("${SHAA}", "no variable is called `SHAA`", "did you mean `${sha}`?"),
            (
                "${VERSION}",
                "no variable is called `VERSION`",
                "known are branch, sha, tag; for the text itself write `$${VERSION}`",
            ),
            (
                "${tag}",
                "nothing stands for `${tag}`: `main` is a branch",
                "deploy another ref, or use another variable, such as `${short_sha}`",
            ),
            ("${sha", "`${` is not closed", "write `${name}`, or `$${` for the letters themselves"),
            ("${a b}", "`a b` is no name of a variable", "write `${name}`, or `$${` for the letters themselves"),
            ("${}", "`` is no name of a variable", "write `${name}`, or `$${` for the letters themselves"),
        ] {
            let unfilled = variables().fill(text).unwrap_err();
            assert_eq!((unfilled.message.as_str(), unfilled.help.as_str()), (message, help), "{text}");
        }
    }
}
