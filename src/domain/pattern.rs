//! A glob by the house's rules: `*` stops at a slash, `**` does not. It refuses nothing: the configuration has checked it.

use std::fmt;
use std::sync::OnceLock;

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pattern of names, as written: `*` and `?` stand for others, `[…]` and `{…,…}` for some of them.
// It is stored as its text, and compiled when something is first matched, as every push is.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String", extend("minLength" = 1))]
pub struct Pattern {
    text: String,
    glob: OnceLock<Option<GlobMatcher>>,
}

impl Pattern {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it takes other names than itself.
    pub fn is_wild(&self) -> bool {
        self.text.contains(['*', '?', '[', '{', '\\'])
    }

    /// Whether it takes this name. A broken one takes nothing.
    pub fn takes(&self, name: &str) -> bool {
        if !self.is_wild() {
            return self.text == name;
        }
        self.compiled().is_some_and(|glob| glob.is_match(name))
    }

    /// Whether it is none, and takes nothing: empty, or `shop-[`.
    pub fn is_broken(&self) -> bool {
        self.text.is_empty() || self.is_wild() && self.compiled().is_none()
    }

    fn compiled(&self) -> Option<&GlobMatcher> {
        let compile = || Some(GlobBuilder::new(&self.text).literal_separator(true).build().ok()?.compile_matcher());
        self.glob.get_or_init(compile).as_ref()
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, glob: OnceLock::new() }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_a_glob_takes() {
        let takes = |pattern: &str, name: &str| Pattern::from(pattern).takes(name);
        assert!(takes("main", "main") && !takes("main", "maint"));
        assert!(takes("release/*", "release/1") && !takes("release/*", "release/1/0"));
        assert!(takes("web/**", "web/css/a.css"));
        assert!(takes("v[0-9]", "v1") && takes("{a,b}", "b") && takes(r"a\*", "a*") && !takes(r"a\*", "ab"));
        assert!(!takes("v[", "v["), "broken");
        let broken = |pattern: &str| Pattern::from(pattern).is_broken();
        assert!(broken("v[") && broken("{a") && broken("") && !broken("v[0-9]") && !broken("main"));
    }

    #[test]
    fn it_is_stored_as_its_text() {
        let pattern = Pattern::from("v*");
        assert!(pattern.takes("v1"));
        assert_eq!(serde_json::to_string(&pattern).unwrap(), r#""v*""#);
        assert_eq!(serde_json::from_str::<Pattern>(r#""v*""#).unwrap(), pattern);
    }
}
