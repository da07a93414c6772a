//! Row 57: an earlier revision again at CodeDeploy, as the very object that it was; or a clear word before anything is
//! called.

use landfall::domain::{Ask, Deployment, State, TargetName};
use serde_json::Value;

use super::Line;

/// A line on which `one` and then `two` went live. Gives both commits.
fn two() -> (Line, String, String) {
    let line = Line::new();
    let shas = ["one", "two"].map(|page| {
        let sha = line.outside.push(page);
        line.bot.deliver(&format!("delivery-{page}"), &sha);
        line.bot.settle_and_tell();
        sha
    });
    let [one, two] = shas;
    (line, one, two)
}

fn of(line: &Line, sha: &str) -> Deployment {
    line.bot.deployments().into_iter().rfind(|it| it.order().sha.as_str() == sha).unwrap()
}

/// What CodeDeploy was given, oldest first.
fn revisions(line: &Line) -> Vec<Value> {
    line.outside.codedeploy.deployments().into_iter().map(|it| it.input["revision"].clone()).collect()
}

fn back(line: &Line, key: &str) -> Deployment {
    line.bot
        .ask(key, Ask::Rollback { target: TargetName::parse("site").unwrap(), to: None, options: Default::default() })
        .unwrap();
    line.bot.settle_and_tell();
    line.bot.deployments()[0].clone()
}

#[test]
fn an_earlier_revision_comes_again_as_the_same_object_row_57() {
    let (line, one, two) = two();
    let parent = of(&line, &one).id();
    line.bot.ask("again", Ask::Redeploy { deployment: parent, options: Default::default() }).unwrap();
    line.bot.settle_and_tell();
    let again = line.bot.deployments()[0].clone();
    assert_eq!((again.order().parent, again.order().sha.as_str()), (Some(parent), one.as_str()));
    let newer = back(&line, "back");
    assert_eq!(newer.order().sha.as_str(), two);
    let given = revisions(&line);
    assert_eq!((&given[2], &given[3]), (&given[0], &given[1]), "key, version and eTag are those of the first time");
    assert!(given[0]["s3Location"]["version"].is_string());
    assert_eq!(line.outside.s3.keys().len(), 2, "nothing is uploaded again");
    let last = line.outside.statuses().last().cloned().unwrap();
    assert_eq!(
        (last.sha.as_str(), last.state.as_str()),
        (two.as_str(), "success"),
        "the status goes to what was deployed"
    );
}

#[test]
fn an_object_that_was_replaced_is_made_anew_row_57() {
    let (line, one, _) = two();
    let key = line.outside.s3.keys().into_iter().find(|key| key.contains(&one)).unwrap();
    line.outside.s3.replace(&key, b"somebody else's");
    assert_eq!(back(&line, "back").state().name(), "succeeded", "{}", line.bot.story());
    let given = revisions(&line);
    assert_eq!(given[2]["s3Location"]["key"], given[0]["s3Location"]["key"]);
    assert_ne!(given[2]["s3Location"]["version"], given[0]["s3Location"]["version"]);
}

#[test]
fn an_object_that_nobody_has_is_refused_before_codedeploy_is_called_row_57() {
    let (line, one, _) = two();
    let key = line.outside.s3.keys().into_iter().find(|key| key.contains(&one)).unwrap();
    line.outside.s3.replace(&key, b"somebody else's");
    line.outside.s3.fails("put", 403, "AccessDenied", 9);
    let ended = back(&line, "back");
    let State::Failed { failure } = ended.state() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.code, "steps/revision-gone");
    assert!(failure.message.contains("is no longer kept, and cannot be made anew"), "{failure:?}");
    assert_eq!(line.outside.codedeploy.count("CreateDeployment"), 2);
}
