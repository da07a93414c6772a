//! Which installed paths an item of `permissions` speaks of (R73-R76). Pure: it knows paths, and no disk.

use std::borrow::Cow;

use super::Permission;

/// What an item says of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Nothing.
    Not,
    /// It applies.
    Of,
    /// It applies here; AWS's agent looks no deeper than directly beneath `object` (D4).
    OfDeep,
    /// `object` is this directory itself, which only `type: [directory]` without a pattern speaks of (D2).
    Itself,
    /// `object` is this file, which `type` leaves out.
    OtherType,
    /// `object` is this file, and then `pattern` and `except` mean nothing.
    FileWithPattern,
}

impl Permission {
    /// What it says of `path`, an absolute path that this deployment installs.
    pub fn speaks_of(&self, path: &str, is_directory: bool) -> Spoken {
        let object = in_order(&self.object);
        let pattern = self.pattern.as_deref().unwrap_or("**");
        let Some(below) = path.strip_prefix(&*object) else { return Spoken::Not };
        if below.is_empty() {
            return match (is_directory, self.kinds.files) {
                (true, _) if self.kinds.written && self.kinds.directories && self.pattern.is_none() => Spoken::Of,
                (true, _) => Spoken::Itself,
                (false, _) if pattern != "**" || !self.except.is_empty() => Spoken::FileWithPattern,
                (false, true) => Spoken::Of,
                (false, false) => Spoken::OtherType,
            };
        }
        let Some(below) = below.strip_prefix('/') else { return Spoken::Not };
        let name = below.rsplit('/').next().unwrap_or(below);
        let wanted = if is_directory { self.kinds.directories } else { self.kinds.files };
        let deep = below.contains('/');
        // D3, D4: a pattern reaches files directly inside and directories at any depth.
        let fits = pattern == "**" || ((is_directory || !deep) && like(pattern, name));
        if !wanted || !fits || self.excepts(path, below, name) {
            return Spoken::Not;
        }
        if deep && pattern != "**" { Spoken::OfDeep } else { Spoken::Of }
    }

    /// D5: an exception is a name, a path below the object, or an absolute path.
    fn excepts(&self, path: &str, below: &str, name: &str) -> bool {
        self.except.iter().any(|it| {
            let bare = it.strip_prefix("./").unwrap_or(it);
            like(bare, name) || like(bare, below) || like(it, path)
        })
    }
}

/// A path without the slashes that say nothing.
fn in_order(path: &str) -> Cow<'_, str> {
    let trimmed = path.trim_end_matches('/');
    if !trimmed.contains("//") {
        return Cow::Borrowed(trimmed);
    }
    let parts: Vec<&str> = trimmed.split('/').filter(|part| !part.is_empty()).collect();
    Cow::Owned(format!("/{}", parts.join("/")))
}

/// `*` is any run of letters without a slash; everything else is itself (R75). Takes no more than the product of both
/// lengths.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == Some(&text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((from, taken)) = star.filter(|(_, taken)| text[*taken] != b'/') {
            star = Some((from, taken + 1));
            at = from + 1;
            seen = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|it| *it == b'*')
}

#[cfg(test)]
mod tests {
    use super::{in_order, like};

    #[test]
    fn slashes_that_say_nothing_are_left_out() {
        assert_eq!(["/a/b", "/a//b/", "//a/b//", "/"].map(in_order), ["/a/b", "/a/b", "/a/b", ""]);
    }

    #[test]
    fn a_star_stops_at_a_slash_and_nothing_else_is_special() {
        assert!(like("*.txt", "a.txt") && like("*", "a") && like("a*c*", "abcd") && like("*my-folder*", "my-folder-1"));
        assert!(like("**", "a") && like("*", "") && like("a*b*c", "aXbYbZc") && like("/w/*/x", "/w/é/x"));
        assert!(
            !like("*.txt", "d/a.txt") && !like("a?", "a1") && like("a?", "a?") && !like("a", "ab") && !like("a*", "b")
        );
    }

    #[test]
    fn a_star_may_take_nothing_but_no_slash() {
        assert!(like("d/*", "d/x") && like("*/x", "d/x") && like("*é*", "caféx") && !like("", "a"));
        assert!(!like("a*b*c", "a/b/c") && like("a*b", "aXbXb") && !like("*b", "bX"));
    }

    #[test]
    fn many_stars_take_no_more_than_a_product() {
        assert!(!like(&"*a".repeat(2000), &"a".repeat(1999)));
        assert!(!like(&format!("{}b", "*a".repeat(50)), &"a".repeat(10_000)));
    }
}
