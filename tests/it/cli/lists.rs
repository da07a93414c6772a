//! Lists as they are typed for: page by page, cut to the terminal's width nowhere but there, coloured for who sees it.

use expect_test::expect;
use serde_json::{Value, json};

use super::{Api, ID, landfall_with, without_ages};

#[test]
fn history_lists_the_deployments_of_a_target_page_by_page() {
    let api = Api::start();
    let ran = api.landfall(&["history", "blog", "--state", "failed", "--sha", "bbbb", "--limit", "1"]);
    expect![[r"
        DEPLOYMENT                  STATE   COMMIT   BORN           WHY
        00KDZ0AVJQ0000000000000000  failed  bbbbbbb  0000 days ago  validate.sh exited with 0
    "]]
    .assert_eq(&without_ages(&ran.out));
    assert_eq!((ran.exit, ran.talk.as_str()), (0, ""));
    assert_eq!(api.last_path(), "/api/v1/deployments?target=blog&limit=1&state=failed&sha=bbbb");
    // A server gives no more than 200 at once: the rest is asked for.
    let ran = api.landfall(&["history", "shop", "--limit", "203"]);
    assert_eq!(api.last_path(), format!("/api/v1/deployments?target=shop&limit=3&cursor={ID}"));
    assert_eq!(ran.out.lines().count(), 204);
    assert_eq!(ran.talk, format!("older ones: `landfall history shop --before {ID}`\n"));
    let value: Value =
        serde_json::from_str(&api.landfall(&["history", "shop", "--limit", "201", "--json"]).out).unwrap();
    assert_eq!((value["deployments"].as_array().unwrap().len(), &value["cursor"]), (201, &json!(ID)));
    let ran = api.landfall(&["history", "blgo"]);
    assert_eq!((ran.exit, ran.talk.contains("did you mean `blog`?")), (2, true), "{}", ran.talk);
    let ran = api.landfall(&["history", "blog", "--state", "done"]);
    assert!(ran.exit == 2 && ran.talk.contains("superseded"), "{}", ran.talk);
}

#[test]
fn colours_are_for_terminals_and_for_whoever_asks() {
    let api = Api::start();
    let status = |variable: (&str, &str)| {
        let dir = tempfile::tempdir().unwrap();
        let server = [("LANDFALL_URL", api.url.as_str()), ("LANDFALL_TOKEN", "t0ken"), variable];
        landfall_with(dir.path(), &["status"], &server).out
    };
    let plain = status(("TERM", "xterm"));
    assert!(!plain.contains('\u{1b}') && plain.contains("Say hello"), "{plain}");
    let forced = status(("CLICOLOR_FORCE", "1"));
    assert!(forced.contains("\u{1b}[1mblog"), "{forced}");
    assert_eq!(anstream::adapter::strip_str(&forced).to_string(), plain, "no meaning by colour alone");
    assert_eq!(status(("NO_COLOR", "1")), plain);
}
