//! Hostile text on its way out of the shipped program: its log in both formats, and all that it says at GitHub. Nothing
//! that a terminal obeys or that turns writing around arrives.

use landfall::domain::does_nothing;
use serde_json::{Value, json};

use super::*;
use crate::hostile::{SCRIPT, SCRIPT_IN_YAML};
use crate::worlds::github::{GitHubWorld, Route, Trouble};
use crate::worlds::push;

const TITLE: &str = "\u{1b}[31m\u{202e}<script>alert(1)</script> @all [x](javascript:1) `\u{9b}2J";
const BRANCH: &str = "$(id);`id`&<b>'\"|@all";

/// A bot of an App that says all that it may, and a GitHub that pulls faces.
fn stand() -> (GitHubWorld, Place) {
    let github = GitHubWorld::start();
    let repo = github.repository("acme/site");
    let key = github.app(4711);
    github.install(
        4711,
        "acme",
        &["contents", "statuses", "deployments", "checks", "pull_requests"].map(|it| (it, "write")),
    );
    let dir = tempfile::tempdir().unwrap();
    let app = format!("app = {{ id = 4711, private_key = {{ file = {key:?} }} }}");
    let api = format!("api_url = \"{}\"\n{app}", github.config().api_url);
    let said = "[target.github]\ncomments = true\ndescription = \"{branch}: {text}\"\nenvironment_url = \"https://{branch}.example.com\"";
    let text = configuration(dir.path(), &repo, &Extra { github: api, target: said.into(), ..Extra::default() });
    let text = text.replace("branches = [\"main\"]", "branches = [\"**\"]");
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("source = ")).collect();
    fs::write(dir.path().join("landfall.toml"), text.join("\n")).unwrap();
    (github, Place { repo, dir })
}

impl Place {
    /// Pushes this AppSpec to a branch whose name is no better than the rest, and waits for the end to be told.
    fn push_hostile(&self, server: &Server, github: &GitHubWorld, appspec: &str) {
        self.repo.write("appspec.yml", appspec, 0o644);
        let sha = self.repo.commit(TITLE, &[("page", appspec)]).to_string();
        self.repo.push(&[&format!("+HEAD:refs/heads/{BRANCH}")]);
        github.pull(7, "open", &[&sha]);
        let mut payload = push::payload("acme/site", &sha);
        payload["ref"] = format!("refs/heads/{BRANCH}").into();
        payload["head_commit"] = json!({"message": TITLE, "author": {"name": TITLE}});
        payload["pusher"] = json!({"name": TITLE});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (url, client) = (format!("http://{}", server.address), reqwest::Client::new());
        for secret in [SECRET, "another secret"] {
            let sent = push::delivery(&client, &url, secret, &sha, payload.to_string()).header("X-Shown", "\u{9b}2J");
            runtime.block_on(sent.send()).unwrap();
        }
        until("its end is told", || {
            let told = github.statuses();
            told.iter().any(|it| it.sha == sha && it.state != "pending").then_some(())
        });
    }
}

/// Every text that was said at GitHub.
fn said(github: &GitHubWorld) -> Vec<String> {
    let mut said = Vec::new();
    for status in github.statuses() {
        said.extend([status.description, status.context, status.target_url.unwrap_or_default()]);
    }
    for deployment in github.deployments() {
        deployment.states.iter().chain([&deployment.body]).for_each(|it| texts(it, &mut said));
    }
    github.our_check_runs().iter().for_each(|it| texts(&it.body, &mut said));
    said.extend(github.comments().into_iter().map(|it| it.body));
    said
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|it| texts(it, found)),
        Value::Object(all) => all.values().for_each(|it| texts(it, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn hostile_text_reaches_neither_the_log_nor_github_as_more_than_text() {
    let (github, place) = stand();
    place.repo.write(SCRIPT, "#!/bin/sh\nprintf '\\033]0;pwn\\007\\302\\233 <img> ```\\n'\nexit 7\n", 0o755);
    let hooks = |of: &str| format!("version: 0.0\nos: linux\nhooks:\n  {of}:\n    - location: {SCRIPT_IN_YAML}\n");
    let shown = [hooks("ValidateService"), hooks("\"\\e[31m\\u202e<img>@all\""), hooks("ValidateService") + "#"];
    for format in ["text", "json"] {
        let mut command = place.program(&["serve", "--log-format", format]);
        command.env("LANDFALL_LOG", "trace");
        let server = place.serve_as(command);
        for (number, appspec) in shown.iter().enumerate() {
            if number == 2 {
                github.script(Route::Status, [Trouble::Spoiled("\u{1b}[31m\u{202e}<img>")]);
                github.script(Route::Deployment, [Trouble::Says(422, TITLE)]);
            }
            place.push_hostile(&server, &github, &format!("{appspec}# {format}\n"));
        }
        until("what GitHub refused is told", || server.log().contains("alert(1)").then_some(()));
        let log = server.log();
        assert_eq!(server.terminate(), Some(0));
        assert!(log.contains("TRACE"), "{log}");
        for line in log.lines() {
            does_nothing_in(&format!("the log as {format}"), line);
            assert!(format == "text" || serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
    }
    let said = said(&github);
    assert!(said.iter().filter(|it| it.contains("<img")).count() > 6, "{said:#?}");
    said.iter().for_each(|it| does_nothing_in("GitHub", it));
}

fn does_nothing_in(place: &str, text: &str) {
    let bad: String = text.chars().filter(|it| !does_nothing(*it) && !matches!(it, '\n' | '\t')).collect();
    assert!(bad.is_empty(), "{place} has {bad:?}: {text:?}");
}
