//! Verification after a release by CodeDeploy, which knows nothing of it: what it calls a success may fail here, and the
//! revision before comes back by a deployment of ours.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Line, Outside};
use crate::holds::verification::Site;

#[test]
fn what_codedeploy_calls_a_success_fails_where_the_site_says_so_and_is_rolled_back() {
    let answers = Arc::new(AtomicU16::new(200));
    let says = answers.clone();
    let site = Site::new(move |_| (says.load(Ordering::SeqCst), String::new()));
    let outside = Outside::new();
    let verify =
        format!("verify = {{ url = \"{}\", for = \"200ms\", every = \"100ms\", allow_private = true }}", site.url());
    let text =
        outside.configuration().replace("branches = [\"main\"]\n", &format!("branches = [\"main\"]\n{verify}\n"));
    fs::write(outside.dir.path().join("landfall.toml"), text + "auto_rollback = true\n").unwrap();
    let line = Line::of(outside);
    let good = line.outside.push("one");
    line.deploy(&good);
    answers.store(500, Ordering::SeqCst);
    let bad = line.outside.push("two");
    assert_eq!(line.bot.deliver("delivery-2", &bad).0, 202);
    line.bot.wait_for("it to fail", |bot| bot.story().contains("d2  failed"));
    answers.store(200, Ordering::SeqCst);
    line.bot.settle_and_tell();

    insta::assert_snapshot!(line.bot.story().replace(&site.url(), "SITE"), @r"
    d1  planned c1 by branch main
    d1  weighing
    d1  weighed c1
    d1  prepared
    d1  releasing
    d1  released
    d1  ended succeeded
    d1  verified good: answers 200
    d1  succeeded
    d2  planned c2 by branch main
    d2  weighing
    d2  weighed c2
    d2  prepared
    d2  releasing
    d2  released
    d2  ended succeeded
    d2  verified bad: answers 500, expected 200
    d2  failed: `SITE` was never as wanted within 0 s after the release: answers 500, expected 200
    d3  planned c1 by branch main
    d2  rollback to c1 begun by d3
    d3  weighing
    d3  weighed c1
    d3  prepared before
    d3  releasing
    d3  released
    d3  ended succeeded
    d3  verified good: answers 200
    d2  rollback to c1 by d3 succeeded
    d3  succeeded
    ");
    let made = line.outside.codedeploy.deployments();
    let revisions: Vec<_> = made.iter().map(|it| &it.input["revision"]["s3Location"]["key"]).collect();
    assert!(made.iter().all(|it| it.status == "Succeeded" && it.creator == "user"), "{made:?}");
    assert_eq!((made.len(), revisions[0]), (3, revisions[2]), "the good one is there again: {revisions:?}");
    let last = |sha: &str| line.outside.statuses().into_iter().rfind(|it| it.sha == sha).unwrap();
    assert_eq!((last(&bad).state.as_str(), last(&good).state.as_str()), ("failure", "success"));
    assert!(last(&bad).description.contains("answers 500, expected 200"), "{}", last(&bad).description);
}
