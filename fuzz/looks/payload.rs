//! Any bytes as the payload of a push: a commit is a whole hash or none, names are names, and nothing is said that does
//! not stand there.

use landfall::domain::Push;
use landfall::intake::push;
use serde_json::Value;

use super::is_harmless;

pub(crate) fn look(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match push(text) {
        Ok(push) => {
            is_made_of_names(&push);
            if let Ok(said) = serde_json::from_str::<Value>(text) {
                is_said(&push, &said);
            }
        }
        Err(why) => assert!(is_harmless(&why.to_string()), "{why:?}"),
    }
}

fn is_made_of_names(push: &Push) {
    for commit in [&push.before, &push.after].into_iter().flatten() {
        let digits = commit.as_str();
        assert!(matches!(digits.len(), 40 | 64), "{digits}");
        assert!(digits.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it)), "{digits}");
        assert!(digits.bytes().any(|it| it != b'0'), "zeros are no commit");
    }
    let name = push.repository.name.as_str();
    assert!(name.is_ascii() && is_harmless(name) && name.split('/').count() == 2, "{name:?}");
    assert!(push.reference.as_str().starts_with("refs/") && !push.reference.as_str().contains(' '));
    let title = push.title.as_deref().unwrap_or("x");
    assert!((1..=200).contains(&title.chars().count()) && !title.contains('\n'), "{title:?}");
}

/// What another reader of JSON finds at the same places.
fn is_said(push: &Push, said: &Value) {
    // A list of fields in their order is understood too, and has no names to look under.
    let says = |at: &Value, what: &str| at.as_str().is_none_or(|it| it == what);
    assert!(says(&said["ref"], push.reference.as_str()), "{push:?}");
    assert!(says(&said["repository"]["full_name"], push.repository.name.as_str()), "{push:?}");
    if said["deleted"] == true {
        assert!(push.after.is_none(), "{push:?}");
    }
    for (commit, at) in [(&push.before, &said["before"]), (&push.after, &said["after"])] {
        assert!(commit.as_ref().is_none_or(|it| says(at, it.as_str())), "{push:?}");
    }
    if let (Some(paths), Some(commits)) = (&push.paths, said["commits"].as_array()) {
        assert!(said["created"] != true && said["forced"] != true && commits.len() < 2048, "{push:?}");
        let kinds = ["added", "removed", "modified"];
        let named: Vec<&str> = commits
            .iter()
            .filter(|it| it.is_object())
            .flat_map(|it| kinds.iter().filter_map(|kind| it[kind].as_array()).flatten())
            .filter_map(Value::as_str)
            .collect();
        assert!(
            !commits.iter().all(Value::is_object) || paths.iter().all(|it| named.contains(&it.as_str())),
            "{push:?}"
        );
    }
}
