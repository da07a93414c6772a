//! Names of things, each with one constructor that checks. They never look anything up.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use ulid::Ulid;

use super::plain::{does_nothing, one_line};

/// A text that cannot be the name it was given as: what was expected, and what came.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{found}` is not {expected}")]
pub struct Unfit {
    /// What the text should have been, with its article: `a full commit hash`.
    pub expected: &'static str,
    /// What it was, cut to 80 characters.
    pub found: String,
}

impl Unfit {
    /// What was expected, with its article, and what came.
    pub(super) fn of(expected: &'static str, found: &str) -> Self {
        Self { expected, found: one_line(found, 80) }
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $pattern:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and keeps it.
            pub fn parse(text: impl Into<String>) -> Result<Self, Unfit> {
                let text = text.into();
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(Unfit::of($expected, &text)) }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unfit;
            fn try_from(text: String) -> Result<Self, Unfit> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Unfit;
            fn from_str(text: &str) -> Result<Self, Unfit> {
                Self::parse(text)
            }
        }
    };
}

checked_name!(
    /// A full commit hash: 40 (SHA-1) or 64 (SHA-256) lowercase hex digits. The short form is refused.
    CommitSha,
    "a full commit hash of 40 or 64 lowercase hex digits",
    r"^([0-9a-f]{40}|[0-9a-f]{64})$",
    |text| matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

checked_name!(
    /// A commit as people write it: its hash, or the beginning of it.
    CommitPrefix,
    "a commit of 7 to 64 lowercase hex digits",
    r"^[0-9a-f]{7,64}$",
    |text| (7..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);

checked_name!(
    /// GitHub's name for one delivery; a redelivery repeats it. Never used as a file name.
    DeliveryId,
    "a delivery id of 1 to 128 letters, digits, `-`, `_`, `.` or `:`",
    r"^[A-Za-z0-9_.:-]{1,128}$",
    |text| (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
);

checked_name!(
    /// A repository as GitHub writes it: `owner/name`.
    RepositoryName,
    "a repository as `owner/name`",
    r"^(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}$",
    |text| text.split_once('/').is_some_and(|(owner, name)| [owner, name].iter().all(|part| {
        (1..=100).contains(&part.len())
            && *part != "."
            && *part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }))
);

checked_name!(
    /// A target's name in the configuration; part of a commit status's context, so it stays short.
    TargetName,
    "a target name of 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.as_bytes()[0].is_ascii_alphanumeric()
);

checked_name!(
    /// What a token of the bot's own is called, and who it speaks for in the audit trail.
    TokenName,
    "a token's name of 1 to 64 letters, digits, `-`, `_`, `.` or `@`, beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'))
        && text.as_bytes()[0].is_ascii_alphanumeric()
);

checked_name!(
    /// A full ref name: `refs/heads/…` or `refs/tags/…`, by git's rules for names.
    RefName,
    "a full ref name such as `refs/heads/main`",
    r"^refs/(?![./])(?!.*(\.\.|@\{|//|/\.|\.lock(/|$)|[./]$))[^\x00-\x20\x7f~^:?*\[\\]+$",
    |text| text.starts_with("refs/")
        && text.len() <= 1024
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.bytes().any(|b| b <= b' ' || matches!(b, 0x7f | b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\'))
);

checked_name!(
    /// The engine's own name for one run, such as `d-ABCDEF123`.
    RunId,
    "an engine's id of 1 to 128 letters, digits or `-`, beginning with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9-]{0,127}$",
    |text| (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && text.as_bytes()[0].is_ascii_alphanumeric()
);

impl CommitSha {
    /// The first seven digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }

    /// Whether `text` is git's way to say «no commit»: all zeros.
    pub fn is_zeros(text: &str) -> bool {
        matches!(text.len(), 40 | 64) && text.bytes().all(|b| b == b'0')
    }
}

impl From<CommitSha> for CommitPrefix {
    fn from(commit: CommitSha) -> Self {
        Self(commit.0)
    }
}

impl CommitPrefix {
    /// The whole hash, where it is one.
    pub fn whole(&self) -> Option<CommitSha> {
        CommitSha::parse(self.as_str()).ok()
    }

    /// Whether the commit's hash begins so.
    pub fn begins(&self, commit: &CommitSha) -> bool {
        commit.as_str().starts_with(self.as_str())
    }
}

impl RepositoryName {
    /// Whether both name the same: GitHub's names ignore case.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// The part before the slash.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl RefName {
    /// Reads a name that others gave. Git allows names that turn the direction of writing, or that some terminals obey;
    /// they stand in what people read, and nobody deploys from them.
    pub fn parse_visible(text: impl Into<String>) -> Result<Self, Unfit> {
        let text = text.into();
        if text.chars().all(does_nothing) {
            return Self::parse(text);
        }
        Err(Unfit::of("a full ref name of characters that people can see", &text))
    }

    /// The branch's name, when it is one.
    pub fn branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }

    /// The tag's name, when it is one.
    pub fn tag(&self) -> Option<&str> {
        self.0.strip_prefix("refs/tags/")
    }

    /// What people call it: `main`, `v1.0`.
    pub fn short(&self) -> &str {
        self.branch().or(self.tag()).unwrap_or(&self.0)
    }

    /// Reads what people type: `main` is a branch, a full name is itself.
    pub fn from_short(text: &str) -> Result<Self, Unfit> {
        if text.starts_with("refs/") { Self::parse(text) } else { Self::parse(format!("refs/heads/{text}")) }
    }

    /// The same, and what looks like a commit is one: a branch of such a name needs its full name.
    pub fn or_commit(text: &str) -> Result<(Option<Self>, Option<CommitPrefix>), Unfit> {
        match CommitPrefix::parse(text) {
            Ok(commit) => Ok((None, Some(commit))),
            Err(_) => Ok((Some(Self::from_short(text)?), None)),
        }
    }
}

/// A deployment's id: a ULID, so that ids sort by the time of their birth.
///
/// It is derived from what the deployment is born of, never drawn: the same birth written twice is one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"))]
pub struct DeploymentId(Ulid);

impl DeploymentId {
    /// The id of the deployment born at `at` of `parts` (a delivery and a target; a parent, a kind and a target).
    pub fn derive(at: Timestamp, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut random = [0; 16];
        random[6..].copy_from_slice(&digest[..10]);
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        Self(Ulid::from_parts(millis, u128::from_be_bytes(random)))
    }

    /// The greatest: no deployment has it.
    pub const MAX: Self = Self(Ulid(u128::MAX));

    /// The least that one born at a time can have: those born before are less, all others are not.
    pub fn first_at(at: Timestamp) -> Self {
        let millis =
            at.as_nanosecond().div_euclid(1_000_000) + i128::from(at.as_nanosecond().rem_euclid(1_000_000) > 0);
        Self(Ulid::from_parts(u64::try_from(millis).unwrap_or(0), 0))
    }

    /// Reads one back.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        Ulid::from_string(text).map(Self).map_err(|_| Unfit::of("a deployment id of 26 letters and digits", text))
    }

    /// Its 16 bytes, which sort as it does.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    /// Takes its 16 bytes back.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// The time of birth that the id carries.
    pub fn born_at(&self) -> Timestamp {
        i64::try_from(self.0.timestamp_ms())
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for DeploymentId {
    type Err = Unfit;
    fn from_str(text: &str) -> Result<Self, Unfit> {
        Self::parse(text)
    }
}

/// A record's place in the ledger: 0 for the first ever written, without gaps. Cursors and stream ids are offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("maximum" = u64::MAX))]
pub struct Offset(pub u64);

impl Offset {
    /// The offset after this one; the greatest, which no record has, is its own.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_door() {
        assert!(CommitSha::parse("a".repeat(40)).is_ok());
        assert!(CommitSha::parse("a".repeat(64)).is_ok());
        for wrong in ["4f2c1e9", "", &"A".repeat(40), &"g".repeat(40)] {
            assert!(CommitSha::parse(wrong).is_err(), "{wrong}");
        }
        assert!(RepositoryName::parse("acme/shop.io").is_ok());
        for wrong in ["acme", "acme/", "a/b/c", "../x", "acme/..", "a b/c"] {
            assert!(RepositoryName::parse(wrong).is_err(), "{wrong}");
        }
        assert!(RefName::parse("refs/heads/feature/é-1").is_ok());
        for wrong in ["main", "refs/heads/", "refs/heads/a..b", "refs/heads/a b", "refs/heads/.x", "refs/heads/x.lock"]
        {
            assert!(RefName::parse(wrong).is_err(), "{wrong}");
        }
        assert!(DeliveryId::parse("72d3162e-cc78-11e3-81ab-4c9367dc0958").is_ok());
        assert!(DeliveryId::parse("../../etc").is_err());
        assert!(TargetName::parse("-x").is_err());
    }

    #[test]
    fn an_id_says_when_and_of_what_it_was_born() {
        let at: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let id = DeploymentId::derive(at, &["delivery-1", "blog"]);
        assert_eq!(id, DeploymentId::derive(at, &["delivery-1", "blog"]));
        assert_ne!(id, DeploymentId::derive(at, &["delivery-1b", "log"]));
        assert_eq!(id.born_at(), at);
        let nanosecond = jiff::SignedDuration::from_nanos(1);
        assert!(DeploymentId::first_at(at) <= id && id < DeploymentId::first_at(at + nanosecond));
        assert!(DeploymentId::first_at(Timestamp::MIN) < id && id < DeploymentId::first_at(Timestamp::MAX));
        assert_eq!(DeploymentId::parse(&id.to_string()), Ok(id));
    }
}
