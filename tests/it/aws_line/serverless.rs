//! Lambda and ECS: deployed again, rolled back to an earlier AppSpec, promoted with the next target's own names in it.

use std::fs;

use landfall::domain::{Ask, DeployOptions, Deployment, State, TargetName};
use serde_json::Value;

use super::platforms::{ECS, LAMBDA, line};
use super::{Line, Outside};
use crate::worlds::codedeploy::Moves;

/// An AppSpec of each platform, with `${VERSION}` from a file and `${STAGE}` of the target.
fn appspec(platform: &str) -> String {
    match platform {
        "Lambda" => LAMBDA.replace("${ALIAS}", "live-${STAGE}"),
        _ => ECS.replace("\"${PORT}\"", "8080").replace("web:3", "web-${STAGE}:${VERSION}"),
    }
}

const VARIABLES: &str = "VERSION = { file = \"DIR/version\" }\n";

fn application(platform: &str) -> &'static str {
    if platform == "Lambda" { "login" } else { "web" }
}

/// The AppSpecs that CodeDeploy was given, with the group that each went to, oldest first.
fn given(line: &Line) -> Vec<(String, Value)> {
    let one = |input: &Value| {
        let content = input["revision"]["appSpecContent"]["content"].as_str().unwrap_or_default();
        let group = input["deploymentGroupName"].as_str().unwrap_or_default().to_owned();
        (group, serde_json::from_str(content).unwrap_or_default())
    };
    line.outside.codedeploy.deployments().iter().map(|it| one(&it.input)).collect()
}

/// The stage and the version that stand in an AppSpec.
fn stage_and_version(appspec: &Value) -> (String, String) {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let function = &appspec["resources"][0]["login"]["properties"];
    if function.is_object() {
        return (text(&function["alias"]).replace("live-", ""), text(&function["targetversion"]));
    }
    let arn = text(&appspec["Resources"][0]["TargetService"]["Properties"]["TaskDefinition"]);
    let (_, name) = arn.rsplit_once("/web-").unwrap_or_default();
    let (stage, version) = name.split_once(':').unwrap_or_default();
    (stage.to_owned(), version.to_owned())
}

fn versions(line: &Line) -> Vec<String> {
    given(line).iter().map(|(_, it)| stage_and_version(it).1).collect()
}

fn set_version(line: &Line, version: &str) {
    fs::write(line.outside.dir.path().join("version"), version).unwrap();
}

/// Pushes a change, and waits for what comes of it.
fn push(line: &Line, number: usize, appspec: &str) -> String {
    let files = [("appspec.yaml", appspec), ("change", &number.to_string())];
    let sha = line.outside.repository.commit_and_push("change", &files).to_string();
    let (status, answer) = line.bot.deliver(&format!("delivery-{number}"), &sha);
    assert_eq!(status, 202, "{answer}");
    sha
}

fn ask(line: &Line, key: &str, what: Ask) -> Deployment {
    line.bot.ask(key, what).unwrap();
    line.bot.settle_and_tell();
    line.bot.deployments()[0].clone()
}

#[test]
fn an_appspec_is_deployed_again_and_rolled_back_rows_21_and_57() {
    for platform in ["Lambda", "ECS"] {
        let line =
            line(application(platform), platform, &format!("[target.engine.variables]\n{VARIABLES}STAGE = \"live\"\n"));
        for (number, version) in [(1, "8"), (2, "9")] {
            set_version(&line, version);
            push(&line, number, &appspec(platform));
            line.bot.settle_and_tell();
        }
        assert_eq!(versions(&line), ["8", "9"], "{platform}\n{}", line.bot.story());
        set_version(&line, "10");
        // A rollback brings back what ran, and asks neither the file nor the repository.
        let target = TargetName::parse("site").unwrap();
        let back = ask(&line, "back", Ask::Rollback { target, to: None, options: DeployOptions::default() });
        assert_eq!((back.state().name(), versions(&line)[2].as_str()), ("succeeded", "8"), "{platform}");
        assert_eq!(given(&line)[2], given(&line)[0], "to the byte");
        let last = line.outside.statuses().last().cloned().unwrap();
        assert!(last.description.starts_with("Rolled back to this, and live"), "{platform}: {last:?}");
        // Deployed again, the commit is prepared anew: the file counts as it is now.
        let first = line.bot.deployments().into_iter().last().unwrap().id();
        let again = ask(&line, "again", Ask::Redeploy { deployment: first, options: DeployOptions::default() });
        assert_eq!((again.state().name(), versions(&line)[3].as_str()), ("succeeded", "10"), "{platform}");
        assert_eq!(again.order().parent, Some(first));
        assert_eq!(line.outside.s3.calls(), [""; 0], "{platform}");
    }
}

/// A line whose target is promoted to `shop`, group `next`, at once.
fn promoting(platform: &str) -> Line {
    let (application, small) = (application(platform), platform.to_lowercase());
    let outside = Outside::new();
    outside.codedeploy.add(application, platform, &["production", "next"]);
    let file = outside.dir.path().join("landfall.toml");
    let dir = outside.dir.path().display().to_string();
    let text = fs::read_to_string(&file).unwrap();
    let (before, after) = text.split_once("[target.revisions]").unwrap();
    let (_, engine) = after.split_once("[target.engine]").unwrap();
    let engine = engine.replace("application = \"shop\"", &format!("application = \"{application}\""));
    let engine = format!("{engine}platform = \"{small}\"\n");
    let variables = |stage: &str| format!("[target.engine.variables]\n{VARIABLES}STAGE = \"{stage}\"\n");
    let first = format!("promote_to = \"shop\"\npromote = \"automatic\"\n[target.engine]{engine}{}", variables("test"));
    let next = engine.replace("deployment_group = \"production\"", "deployment_group = \"next\"");
    let next =
        format!("[[target]]\nname = \"shop\"\nrepository = \"acme/site\"\n[target.engine]{next}{}", variables("live"));
    let text = format!("{before}{first}{next}").replace("DIR", &dir);
    fs::write(file, text).unwrap();
    fs::write(outside.dir.path().join("version"), "8").unwrap();
    Line::of(outside)
}

fn at(line: &Line, target: &str) -> Option<Deployment> {
    line.bot.deployments().into_iter().find(|it| it.order().target.name.as_str() == target)
}

/// Writes another version while the first target's deployment is under way: what the next is given is made after that.
fn set_version_while_it_runs(line: &Line, version: &str) {
    line.bot.wait_for("the first to run", |_| at(line, "site").is_some_and(|it| it.run().is_some()));
    set_version(line, version);
    line.outside.codedeploy.moves(Moves::AtEachLook);
}

fn ends(line: &Line, target: &str) -> Deployment {
    line.bot.wait_for("the promotion to end", |_| at(line, target).is_some_and(|it| it.state().is_over()));
    line.bot.settle_and_tell();
    at(line, target).unwrap()
}

#[test]
fn a_promoted_appspec_is_the_next_targets_and_says_so_row_4() {
    for platform in ["Lambda", "ECS"] {
        let line = promoting(platform);
        push(&line, 1, &appspec(platform));
        assert_eq!(ends(&line, "shop").state().name(), "succeeded", "{}", line.bot.story());
        let stages: Vec<_> = given(&line).into_iter().map(|(group, it)| (group, stage_and_version(&it))).collect();
        let of = |group: &str, stage: &str| (group.to_owned(), (stage.to_owned(), "8".to_owned()));
        assert_eq!(stages, [of("production", "test"), of("next", "live")]);
        let said = line.findings().pop().unwrap_or_default();
        assert!(said.starts_with("`appspec.yaml` is filled in for `shop`: its sha256 begins with "), "{said}");
        assert!(said.ends_with(" at `site`"), "{said}");
    }
}

/// What does not name its target goes on as it was tried, whatever a variable stands for by now.
#[test]
fn a_promoted_appspec_without_the_targets_names_is_the_same_to_the_byte_row_4() {
    let line = promoting("ECS");
    line.outside.codedeploy.moves(Moves::WhenTold);
    push(&line, 1, &appspec("ECS").replace("-${STAGE}", "-same"));
    set_version_while_it_runs(&line, "9");
    assert_eq!(ends(&line, "shop").state().name(), "succeeded", "{}", line.bot.story());
    let made = given(&line);
    assert_eq!((&made[0].1, made.len()), (&made[1].1, 2));
    assert_eq!(stage_and_version(&made[1].1).1, "8");
}

/// What nobody tried goes nowhere: a version that was written meanwhile is not what succeeded.
#[test]
fn a_variable_that_moved_meanwhile_stops_a_promotion_row_4() {
    let line = promoting("Lambda");
    line.outside.codedeploy.moves(Moves::WhenTold);
    push(&line, 1, &appspec("Lambda"));
    set_version_while_it_runs(&line, "9");
    let ended = ends(&line, "shop");
    let State::Failed { failure } = ended.state() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.code, "steps/promoted-variables-moved", "{failure:?}");
    assert_eq!(given(&line).len(), 1);
}

/// Both targets' applications are asked: a promotion to one of another platform is refused with both named.
#[test]
fn a_promotion_to_another_platform_is_refused_row_1() {
    let line = promoting("ECS");
    line.outside.codedeploy.add("web", "Lambda", &["production", "next"]);
    push(&line, 1, &appspec("ECS"));
    line.bot.settle_and_tell();
    let State::Failed { failure } = at(&line, "site").unwrap().state().clone() else { panic!("{}", line.bot.story()) };
    assert_eq!(failure.code, "codedeploy/other-platform", "{failure:?}");
}
