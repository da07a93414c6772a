//! What a push's payload says. Reads only the fields that matter, borrowed from the body; it verifies nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::domain::{CommitSha, Push, RefName, Repository, RepositoryName, Skip, Unfit, one_line};

/// GitHub lists this many commits of a push and drops the rest without saying so.
const MOST_COMMITS: usize = 2048;
/// Longer titles are cut: they are for one line of a list.
const LONGEST_TITLE: usize = 200;
/// GitHub's names have 39 characters; those in git are anybody's.
pub(super) const LONGEST_NAME: usize = 100;

/// A body that is not what its headers say.
#[derive(Debug, Error)]
pub enum Malformed {
    /// A form without the one field that counts.
    #[error("the form has no field `payload`")]
    NoPayload,
    /// Not text.
    #[error("the body is not UTF-8")]
    NotText,
    /// Not the JSON that was expected.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A name in it is none.
    #[error("`{field}`: {unfit}")]
    Name {
        /// The field.
        field: &'static str,
        /// What was expected, and what came.
        unfit: Unfit,
    },
}

/// A text of the payload, borrowed where JSON has no escapes in it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct PushPayload<'a> {
    #[serde(rename = "ref", borrow)]
    reference: Text<'a>,
    #[serde(borrow)]
    before: Option<Text<'a>>,
    #[serde(borrow)]
    after: Option<Text<'a>>,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(borrow)]
    commits: Option<Vec<Commit<'a>>>,
    #[serde(borrow)]
    head_commit: Option<HeadCommit<'a>>,
    #[serde(borrow)]
    pusher: Option<Person<'a>>,
    #[serde(borrow)]
    repository: RepositoryPayload<'a>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    added: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    removed: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    modified: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
struct HeadCommit<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    author: Option<Person<'a>>,
}

#[derive(Deserialize)]
struct Person<'a> {
    #[serde(borrow)]
    username: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RepositoryPayload<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    full_name: Text<'a>,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Form,
}

impl Encoding {
    /// By the content type, whose parameters do not matter.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Some(Self::Json)
        } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else {
            None
        }
    }

    /// The JSON in the body.
    pub(super) fn json(self, body: &[u8]) -> Result<Cow<'_, str>, Malformed> {
        match self {
            Self::Json => Ok(Cow::Borrowed(std::str::from_utf8(body).map_err(|_| Malformed::NotText)?)),
            Self::Form => form_urlencoded::parse(body)
                .find_map(|(name, value)| (name == "payload").then_some(value))
                .ok_or(Malformed::NoPayload),
        }
    }
}

/// Whether it is JSON at all; that is all we ask of events that we do not use.
pub(super) fn well_formed(json: &str) -> Result<(), Malformed> {
    serde_json::from_str::<IgnoredAny>(json)?;
    Ok(())
}

/// Reads the payload of a `push` event.
pub fn push(json: &str) -> Result<Push, Malformed> {
    let payload: PushPayload<'_> = serde_json::from_str(json)?;
    let before = commit("before", payload.before.as_ref())?;
    let after = if payload.deleted { None } else { commit("after", payload.after.as_ref())? };
    // With a new ref or a rewritten history, `commits` is not what lies between `before` and `after`.
    let is_continued = !payload.created && !payload.forced && before.is_some();
    let head = payload.head_commit.as_ref();
    Ok(Push {
        repository: Repository { id: payload.repository.id, name: repository_name(payload.repository.full_name.0)? },
        reference: reference(payload.reference.0.into_owned())?,
        before,
        after,
        forced: payload.forced,
        pusher: payload.pusher.as_ref().and_then(Person::name),
        title: head.and_then(|it| title(&it.message.as_ref()?.0)),
        author: head.and_then(|it| it.author.as_ref()?.name()),
        skip: head.and_then(|it| Skip::asked_in(&it.message.as_ref()?.0)),
        paths: payload.commits.as_deref().filter(|_| is_continued).and_then(changed),
    })
}

/// The repository's name as the payload has it.
pub(super) fn repository_name(full_name: impl Into<String>) -> Result<RepositoryName, Malformed> {
    RepositoryName::parse(full_name).map_err(|unfit| Malformed::Name { field: "repository.full_name", unfit })
}

/// The ref as the payload has it.
fn reference(text: String) -> Result<RefName, Malformed> {
    RefName::parse_visible(text).map_err(|unfit| Malformed::Name { field: "ref", unfit })
}

/// A commit, or none for forty zeros.
fn commit(field: &'static str, text: Option<&Text<'_>>) -> Result<Option<CommitSha>, Malformed> {
    match text {
        None => Ok(None),
        Some(text) if CommitSha::is_zeros(&text.0) => Ok(None),
        Some(text) => CommitSha::parse(&*text.0).map(Some).map_err(|unfit| Malformed::Name { field, unfit }),
    }
}

/// Every path that the commits touch, or nothing where they may not be all: none are listed, or as
/// many as GitHub lists, or a merge is among them.
fn changed(commits: &[Commit<'_>]) -> Option<Vec<String>> {
    if commits.is_empty() || commits.len() >= MOST_COMMITS {
        return None;
    }
    let mut paths = BTreeSet::new();
    for Commit { added, removed, modified } in commits {
        let lists = [added.as_ref()?, removed.as_ref()?, modified.as_ref()?];
        // A merge does not name what it brings.
        if lists.iter().all(|it| it.is_empty()) {
            return None;
        }
        paths.extend(lists.into_iter().flatten().map(|path| &*path.0));
    }
    Some(paths.into_iter().map(str::to_owned).collect())
}

fn title(message: &str) -> Option<String> {
    let line = one_line(message.lines().next().unwrap_or_default(), LONGEST_TITLE);
    (!line.is_empty()).then_some(line)
}

impl Person<'_> {
    /// The name on GitHub, else the name in git.
    fn name(&self) -> Option<String> {
        let text = self.username.as_ref().or(self.name.as_ref())?;
        Some(one_line(&text.0, LONGEST_NAME)).filter(|name| !name.is_empty())
    }
}

impl Malformed {
    /// What was expected.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::NoPayload => "a form whose field `payload` is the event in JSON",
            Self::NotText => "UTF-8",
            Self::Json(_) => {
                "the JSON of GitHub's event, with the fields `ref`, `before`, `after` and `repository` for a push"
            }
            Self::Name { .. } => "the names as GitHub writes them",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const ZEROS: &str = "0000000000000000000000000000000000000000";

    fn payload(more: &str) -> String {
        format!(
            r#"{{"ref":"refs/heads/main","before":"{A}","after":"{B}","repository":{{"id":7,"full_name":"acme/blog","x":1}},{more}"z":null}}"#
        )
    }

    #[test]
    fn a_push_says_what_moved_and_who_moved_it() {
        let it = push(&payload(
            r#""created":false,"deleted":false,"forced":false,
               "commits":[{"added":["b.txt"],"removed":[],"modified":["a \"quoted\".txt"]},{"added":[],"removed":["c"],"modified":["b.txt"]}],
               "head_commit":{"message":"Fix é\n\nmore","author":{"name":"Ann","email":"x","username":"ann"}},
               "pusher":{"name":"bob","email":null},"#,
        ))
        .unwrap();
        assert_eq!(it.repository, Repository { id: Some(7), name: RepositoryName::parse("acme/blog").unwrap() });
        assert_eq!((it.before.unwrap().as_str(), it.after.unwrap().as_str()), (A, B));
        assert_eq!(it.title.as_deref(), Some("Fix é"));
        assert_eq!((it.author.as_deref(), it.pusher.as_deref()), (Some("ann"), Some("bob")));
        assert_eq!(it.paths.unwrap(), ["a \"quoted\".txt", "b.txt", "c"]);
    }

    #[test]
    fn paths_are_unknown_wherever_the_payload_may_not_list_them_all() {
        let one = r#"{"added":["a"],"removed":[],"modified":[]}"#;
        let many = vec![one; MOST_COMMITS].join(",");
        for more in [
            format!(r#""created":true,"commits":[{one}],"#),
            format!(r#""forced":true,"commits":[{one}],"#),
            format!(r#""commits":[{many}],"#),
            r#""commits":[{"added":["a"]}],"#.to_owned(),
            format!(r#""commits":[{one},{{"added":[],"removed":[],"modified":[]}}],"#),
            r#""commits":[],"#.to_owned(),
            String::new(),
        ] {
            assert_eq!(push(&payload(&more)).unwrap().paths, None, "{}", &more[..more.len().min(60)]);
        }
        assert_eq!(push(&payload(&format!(r#""commits":[{one}],"#))).unwrap().paths.unwrap(), ["a"]);
    }

    #[test]
    fn zeros_mean_no_commit() {
        let gone = payload("").replace(B, ZEROS);
        assert_eq!(push(&gone).unwrap().after, None);
        assert_eq!(push(&payload(r#""deleted":true,"#)).unwrap().after, None);
        let first =
            push(&payload(r#""commits":[{"added":["a"],"removed":[],"modified":[]}],"#).replace(A, ZEROS)).unwrap();
        assert_eq!((first.before, first.paths), (None, None));
    }

    #[test]
    fn what_asks_for_no_deployment_is_read_from_the_whole_message() {
        let it = push(&payload(r#""head_commit":{"message":"Fix\n\nOnly prose. [skip deploy]"},"#)).unwrap();
        assert_eq!(it.skip, Some(Skip { words: "[skip deploy]".into(), of_checks: false }));
        assert_eq!(push(&payload(r#""head_commit":{"message":"Fix"},"#)).unwrap().skip, None);
    }

    #[test]
    fn a_long_title_is_cut_on_a_character() {
        let long = "é".repeat(300);
        let it = push(&payload(&format!(r#""head_commit":{{"message":"{long}"}},"#))).unwrap();
        assert_eq!(it.title.unwrap().chars().count(), 200);
    }

    #[test]
    fn what_people_wrote_is_cut_and_does_nothing() {
        let ship = "🚢".repeat(1000);
        let it = push(&payload(&format!(
            r#""head_commit":{{"message":"\u001b[2J\u202eFix {ship}","author":{{"name":"{ship}"}}}},"pusher":{{"name":"\u0007bob"}},"#
        )))
        .unwrap();
        assert_eq!(it.title.unwrap(), format!("[2JFix {}", "🚢".repeat(193)));
        assert_eq!((it.author.unwrap().chars().count(), it.pusher.as_deref()), (LONGEST_NAME, Some("bob")));
        for name in ["a\\u202eb", "a\\u009bb", "a\\u001bb"] {
            let told = push(&payload("").replace("heads/main", &format!("heads/{name}"))).unwrap_err().to_string();
            assert!(told.starts_with("`ref`: `refs/heads/ab` is not a full ref name"), "{told}");
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        let told = |json: &str| push(json).unwrap_err().to_string();
        assert!(told("{}").starts_with("missing field `ref`"), "{}", told("{}"));
        let wrong = told(&payload("").replace("acme/blog", "blog"));
        assert_eq!(wrong, "`repository.full_name`: `blog` is not a repository as `owner/name`");
        let wrong = told(&payload("").replace(B, "b"));
        assert_eq!(wrong, "`after`: `b` is not a full commit hash of 40 or 64 lowercase hex digits");
    }

    #[test]
    fn forms_hold_the_same_json() {
        assert_eq!(Encoding::of("application/json; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(Encoding::of("Application/X-WWW-form-urlencoded"), Some(Encoding::Form));
        assert_eq!(Encoding::of("text/plain"), None);
        assert_eq!(Encoding::Form.json(b"x=1&payload=%7B%22a%22%3A1%7D").unwrap(), r#"{"a":1}"#);
        assert!(matches!(Encoding::Form.json(b"x=1"), Err(Malformed::NoPayload)));
        assert!(matches!(Encoding::Json.json(b"\xff"), Err(Malformed::NotText)));
    }
}
