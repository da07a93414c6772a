//! Row 4: instances of a target that is promoted to fetch the object that was tried, under the key that it has.

use serde_json::json;

use super::{Shop, configured, printed, statement};

#[test]
fn who_is_promoted_to_may_read_what_was_tried_row_4() {
    let kept = |prefix: &str| {
        format!(
            "promote_to = \"NEXT\"\nrevisions = {{ s3 = {{ bucket = \"acme-revisions\", {prefix}region = \"eu-west-1\" }} }}"
        )
    };
    let (first, second) = (kept("").replace("NEXT", "staging"), kept("prefix = \"second\", ").replace("NEXT", "live"));
    let last = kept("prefix = \"last\", ").replace("promote_to = \"NEXT\"\n", "");
    let dir = configured(&[
        Shop { name: "test", group: "test", revisions: &first, ..Shop::default() },
        Shop { name: "staging", group: "staging", revisions: &second, ..Shop::default() },
        Shop { name: "live", group: "live", revisions: &last, ..Shop::default() },
    ]);
    let reads = |words: &str| statement(&printed(&dir, words), "ReadBundles")["Resource"].clone();
    let objects = |prefixes: &[&str]| {
        let own = prefixes.iter().map(|prefix| format!("arn:aws:s3:::acme-revisions/{prefix}/*"));
        json!(own.chain(["arn:aws:s3:::aws-codedeploy-eu-west-1/*".to_owned()]).collect::<Vec<_>>())
    };
    assert_eq!(reads("policy test --of instance"), objects(&["test"]), "nobody reads what comes after");
    assert_eq!(reads("policy live --of instance"), objects(&["last", "second", "test"]));
}
