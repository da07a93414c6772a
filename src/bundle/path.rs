//! Names in archives, checked: what a path may be, and where a link leads. Pure.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::domain::BundleFormat;

/// ext4's and NTFS's own limit for one name.
const NAME: usize = 255;

/// A checked path inside a bundle: relative, without `.`, `..` or empty names. Its bytes are as git has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryPath(Vec<u8>);

/// Why a name cannot be in a bundle: a code's tail, and the end of a sentence that begins with the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unsafe {
    pub(super) code: &'static str,
    pub(super) why: String,
}

impl Unsafe {
    pub(super) fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl EntryPath {
    /// Checks a name from an archive. A trailing slash is a directory's.
    pub(super) fn parse(bytes: &[u8], longest: usize, format: BundleFormat) -> Result<Self, Unsafe> {
        let escapes = |why: &str| Err(Unsafe::new("bundle/path-escapes", why));
        let bad = |why: String| Err(Unsafe::new("bundle/path-unfit", why));
        let path = bytes.strip_suffix(b"/").unwrap_or(bytes);
        if path.contains(&0) {
            return bad("has a NUL in its name".into());
        }
        if path.starts_with(b"/") || path.starts_with(b"\\") {
            return escapes("is an absolute path");
        }
        if path.len() >= 2 && path[0].is_ascii_alphabetic() && path[1] == b':' && path.contains(&b'\\') {
            return escapes("is an absolute path on Windows");
        }
        if path.split(|b| matches!(b, b'/' | b'\\')).any(|name| name == b"..") {
            return escapes("leads out of the bundle by `..`");
        }
        let names: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|name| *name != b".").collect();
        if names.iter().any(|name| name.is_empty()) {
            return bad("has an empty name between two slashes".into());
        }
        if names.iter().any(|name| name.len() > NAME) {
            return bad(format!("has a name longer than {NAME} bytes"));
        }
        if path.len() > longest {
            return bad(format!("is {} bytes long, {longest} is the limit", path.len()));
        }
        if format == BundleFormat::Zip {
            if std::str::from_utf8(path).is_err() {
                return bad("is not UTF-8, which a zip's names must be".into());
            }
            if path.contains(&b'\\') {
                return bad("has a backslash in its name, which Windows takes for a slash".into());
            }
        }
        Ok(Self(names.join(&b'/')))
    }

    /// Reads a location as an AppSpec or a rule writes it: `/scripts/x`, `./scripts/x` and `scripts/x` are the same.
    /// Nothing where it leads out.
    pub(super) fn from_written(text: &str) -> Option<Self> {
        let mut names: Vec<&str> = Vec::new();
        for name in text.trim().split('/') {
            match name {
                "" | "." => {}
                ".." => {
                    names.pop()?;
                }
                name => names.push(name),
            }
        }
        Some(Self(names.join("/").into_bytes()))
    }

    /// The top name, and the rest where there is one.
    pub(super) fn split_top(&self) -> (&[u8], Option<Self>) {
        match self.0.iter().position(|b| *b == b'/') {
            Some(at) => (&self.0[..at], Some(Self(self.0[at + 1..].to_vec()))),
            None => (&self.0, None),
        }
    }

    /// The path below `root`; `root` itself is the empty path; nothing for what lies elsewhere.
    pub(super) fn below(&self, root: &Self) -> Option<Self> {
        if root.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(root.0.as_slice())?;
        match rest {
            [] => Some(Self(Vec::new())),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }

    /// Whether `other` lies below this.
    pub(super) fn holds(&self, other: &Self) -> bool {
        self.is_root()
            || (other.0.len() > self.0.len() && other.0[self.0.len()] == b'/' && other.0.starts_with(&self.0))
    }

    /// Whether it is the root itself.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it lies in.
    pub(super) fn parent(&self) -> Self {
        let end = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        Self(self.0[..end].to_vec())
    }

    /// It, its parent, and so on, without the root.
    pub(super) fn up(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), |path| Some(path.parent())).take_while(|path| !path.is_root())
    }

    /// Its last name.
    pub(super) fn name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For the file system's and tar's functions.
    pub(super) fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        shown(&self.0)
    }

    /// Its text; names that are not UTF-8 were refused before where that matters.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

/// A name from an archive for people: no line ends, no terminal codes, not longer than a line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut short: String = text
        .chars()
        .take(200)
        .flat_map(|c| -> Box<dyn Iterator<Item = char>> {
            if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
        })
        .collect();
    if text.chars().nth(200).is_some() {
        short.push('…');
    }
    short
}

/// How many links are followed, as Linux has it.
const HOPS: usize = 40;

/// Where following a path ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At this place inside the bundle, which may be empty.
    Inside(EntryPath),
    /// Outside.
    Outside,
    /// Nowhere: the links go in a circle.
    Circle,
}

/// Follows `target`, as read from a link in `directory`, through the links that `link_at` knows.
pub(super) fn follow<'a>(
    directory: &EntryPath,
    target: &[u8],
    link_at: impl Fn(&EntryPath) -> Option<&'a [u8]>,
) -> End {
    let mut at: Vec<Vec<u8>> =
        directory.0.split(|b| *b == b'/').filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect();
    let mut ahead: Vec<Vec<u8>> = Vec::new();
    let mut hops = 0;
    let mut push = |ahead: &mut Vec<Vec<u8>>, target: &[u8]| {
        hops += 1;
        ahead.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
        hops <= HOPS
    };
    if target.starts_with(b"/") {
        return End::Outside;
    }
    push(&mut ahead, target);
    while let Some(name) = ahead.pop() {
        match name.as_slice() {
            b"" | b"." => {}
            b".." => {
                if at.pop().is_none() {
                    return End::Outside;
                }
            }
            _ => {
                at.push(name);
                let here = EntryPath(at.join(&b'/'));
                let Some(next) = link_at(&here) else { continue };
                at.pop();
                if next.starts_with(b"/") {
                    return End::Outside;
                }
                if !push(&mut ahead, next) {
                    return End::Circle;
                }
            }
        }
    }
    End::Inside(EntryPath(at.join(&b'/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_told_from_odd_ones() {
        let code = |name: &[u8], format| EntryPath::parse(name, 64, format).map_err(|it| it.code).err();
        let tar = |name: &[u8]| code(name, BundleFormat::Tar);
        for fine in ["a", "a/b/", "./a", "a/./b", "..a/b..", "a\\b", "c:x", "ü"] {
            assert_eq!(tar(fine.as_bytes()), None, "{fine}");
        }
        for out in ["/a", "..", "a/../b", "a/..", "..\\a", "a\\..\\b", "\\a", "c:\\a"] {
            assert_eq!(tar(out.as_bytes()), Some("bundle/path-escapes"), "{out}");
        }
        for odd in [&b""[..], b"a//b", b"a\0b", &[b'x'; 65], &[b'x'; 256]] {
            assert_eq!(tar(odd), Some("bundle/path-unfit"), "{odd:?}");
        }
        assert_eq!(tar(b"\xff"), None);
        assert_eq!(code(b"\xff", BundleFormat::Zip), Some("bundle/path-unfit"));
        assert_eq!(code(b"a\\b", BundleFormat::Zip), Some("bundle/path-unfit"));
    }

    #[test]
    fn links_are_followed_through_links() {
        let links =
            [("up", &b".."[..]), ("a/b/up", b"../.."), ("round", b"trip"), ("trip", b"round"), ("far", b"/etc")];
        let end = |directory: &str, target: &str| {
            let directory = EntryPath::from_written(directory).unwrap();
            match follow(&directory, target.as_bytes(), |at| {
                links.iter().find(|(path, _)| path.as_bytes() == at.bytes()).map(|(_, to)| *to)
            }) {
                End::Inside(path) => path.shown(),
                End::Outside => "outside".into(),
                End::Circle => "circle".into(),
            }
        };
        assert_eq!(end("a", "../c/d"), "c/d");
        assert_eq!(end("a", "../.."), "outside");
        assert_eq!(end("a/b", "up/c"), "c");
        // By its letters this stays inside; followed through `a/b/up` it does not.
        assert_eq!(end("a/b", "up/../x"), "outside");
        assert_eq!(end("", "up/x"), "outside");
        assert_eq!(end("", "/etc/passwd"), "outside");
        assert_eq!(end("", "far/passwd"), "outside");
        assert_eq!(end("", "round/x"), "circle");
    }

    #[test]
    fn what_people_read_holds_no_terminal_codes() {
        assert_eq!(shown(b"a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
    }
}
