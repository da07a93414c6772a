//! What a configuration may say of `[target.github]`, and what is found in one that says something else.

use expect_test::expect;

use super::{HEAD, check, check_all, parse, place};

fn target(name: &str, lines: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\nrepository = \"acme/blog\"\nbranches = [\"main\"]\n\
         engine = {{ kind = \"host\" }}\n[target.github]\n{lines}\n"
    )
}

#[test]
fn what_is_said_is_the_targets() {
    let dir = place();
    let lines = "context = \"deploy/{target}\"\ndescription = \"{environment}: {text}\"\ndeployments = true\n\
                 environment_url = \"https://{branch}.example.com\"\ncomments = true\ntransient = true";
    let config = parse(dir.path(), &[HEAD.to_owned(), target("blog", lines)].concat()).unwrap();
    let said = &config.targets[0].github;
    assert_eq!(said.context_of(&config.targets[0]), "deploy/blog");
    assert_eq!((said.deployments, said.checks, said.comments, said.transient), (Some(true), None, true, true));
    assert!(said.is_production("production") && !said.is_production("blog"));
}

#[test]
fn a_target_that_would_wait_for_its_own_status_is_found() {
    let waits =
        target("a", "context = \"deploy/{target}\"").replace("branches", "require_checks = [\"deploy/*\"]\nbranches");
    check(
        &waits,
        expect![[r#"
        4:18+12 Error config/waits-for-itself: `deploy/a` is what this target says itself: it would wait for its own end
            name the checks it waits for so that its own `context` is not among them
    "#]],
    );
}

#[test]
fn what_stands_for_nothing_and_what_is_said_twice_is_found() {
    check(
        &[
            target("a", "context = \"{targt}\"\ndescription = \"always the same\""),
            target("b", "context = \" \"\nenvironment_url = \"{branch}.example.com\""),
            target("c", "context = \"deploy\""),
            target("d", "context = \"Deploy\"\nchecks = \"yes\""),
        ]
        .concat(),
        expect![[r#"
            7:11+9 Error config/bad-value: `{targt}` stands for nothing in `github.context`
                did you mean `{target}`?
            8:15+17 Error config/bad-value: `github.description` leaves out what happens
                put `{text}` where Landfall's own words go
            15:11+3 Error config/bad-value: `github.context` is empty
                write something, or leave it out
            16:19+22 Error config/bad-value: `github.environment_url`: `branch.example.com` is not a web address such as `https://deploy.example.com`
            30:11+8 Error config/context-taken: another target of `acme/blog` says `deploy` on commits
                put `{target}` into `context`: GitHub keeps one status of a name, whatever its case
            31:10+5 Error config/wrong-type: `target.github.checks` is a string, expected `true` or `false`
        "#]],
    );
}

#[test]
fn what_is_asked_for_at_github_and_could_never_be_said_there_is_told() {
    let with = |github: &str, source: &str| {
        format!(
            "data_dir = \"d\"\n[github]\nwebhook_secrets = [{{ file = \"webhook-secret\" }}]\n{github}\n[[target]]\nname = \"x\"\n\
             repository = \"acme/x\"\nbranches = [\"main\"]\nengine = {{ kind = \"host\" }}\n{source}\n\
             [target.github]\nchecks = true\ndeployments = true\ncomments = true\n"
        )
    };
    check_all(
        &with("token = { file = \"webhook-secret\" }", ""),
        0,
        expect![[r#"
        12:10+4 Warning config/never-said: `github.checks = true` shows nothing: only a GitHub App may make check runs
            make a GitHub App and write `[github.app]`, or leave it out
    "#]],
    );
    check_all(
        &with("", "source = { git = \"file:///srv/x.git\" }"),
        0,
        expect![[r#"
        12:10+4 Warning config/never-said: `github.checks = true` shows nothing: this target's commits do not come from GitHub
            leave it out, or take `source` out
        13:15+4 Warning config/never-said: `github.deployments = true` shows nothing: this target's commits do not come from GitHub
            leave it out, or take `source` out
        14:12+4 Warning config/never-said: `github.comments = true` shows nothing: this target's commits do not come from GitHub
            leave it out, or take `source` out
    "#]],
    );
    check_all(
        &with("", ""),
        0,
        expect![[r#"
        7:14+8 Warning config/no-token: without `github.token` or `[github.app]` no commit status is sent and private repositories cannot be read
            write `token = { env = "GITHUB_TOKEN" }` under `[github]`, or make a GitHub App
        12:10+4 Warning config/never-said: `github.checks = true` shows nothing: only a GitHub App may make check runs
            make a GitHub App and write `[github.app]`, or leave it out
        13:15+4 Warning config/never-said: `github.deployments = true` shows nothing: nobody speaks for the repository there
            make a GitHub App, or write a `token` under `[github]`
        14:12+4 Warning config/never-said: `github.comments = true` shows nothing: nobody speaks for the repository there
            make a GitHub App, or write a `token` under `[github]`
    "#]],
    );
    check_all(&with("[github.app]\nid = 1\nprivate_key = { file = \"webhook-secret\" }", ""), 0, expect![[r#""#]]);
}
