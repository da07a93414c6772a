//! What a configuration may choose for CodeDeploy, and what is found in it before anything is asked of CodeDeploy.

use landfall::config::{Config, Environment};

fn target(top: &str, engine: &str) -> String {
    format!(
        "[[target]]\nname = \"shop\"\nrepository = \"acme/shop\"\nbranches = [\"main\"]\n{top}\n[target.engine]\n\
             kind = \"codedeploy\"\napplication = \"shop\"\ndeployment_group = \"p\"\nregion = \"eu-west-1\"\n{engine}\n"
    )
}

/// The messages of all that is found, without the one about GitHub's token.
fn found(top: &str, engine: &str) -> String {
    let text =
        format!("data_dir = \"/d\"\n[github]\nwebhook_secrets = [{{ env = \"HOOK\" }}]\n{}", target(top, engine));
    let environment = Environment::of([("HOOK", "hook-secret"), ("ACCOUNT", "1")]);
    let findings = match Config::parse(&text, "landfall.toml", &environment) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };

    let all: Vec<_> =
        findings.0.iter().map(|it| it.message.clone()).filter(|it| !it.contains("github.token")).collect();
    all.join(" | ")
}

#[test]
fn what_is_chosen_for_codedeploy_is_checked_rows_27_to_36() {
    let ecs = |engine: &str| found("", &format!("platform = \"ecs\"\n{engine}"));
    for (message, engine) in [
        ("", "auto_rollback = [\"failure\", \"alarm\", \"stop\"]"),
        ("", "auto_rollback = false"),
        ("`auto_rollback` names no event", "auto_rollback = []"),
        ("`engine.auto_rollback` cannot be `failed`", "auto_rollback = [\"failed\"]"),
        ("", "override_alarms = { names = [\"a\"], ignore_poll_failure = true }"),
        ("", "override_alarms = { enabled = false }"),
        ("`override_alarms` is on and names no alarm", "override_alarms = { enabled = true }"),
        ("the alarm `a` is named twice", "override_alarms = { names = [\"a\", \"a\"] }"),
        (
            "11 alarms, and CodeDeploy's API describes at most 10",
            "override_alarms = { names = [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"10\"] }",
        ),
        (
            "`ignore_application_stop_failures` is for servers, and this target is for ECS",
            "ignore_application_stop_failures = true",
        ),
        ("`suspend_processes` is for servers, and this target is for ECS", "suspend_processes = [\"Terminate\"]"),
        ("`engine.suspend_processes` cannot be `Launch`", "suspend_processes = [\"Launch\"]"),
        ("`target_instances` names none", "target_instances = { tags = [] }"),
        (
            "`target_instances` is for servers, and this target is for ECS",
            "target_instances = { auto_scaling_groups = [\"g\"] }",
        ),
        ("", "variables = { VERSION = \"8-${short_sha}\", ACCOUNT = { env = \"ACCOUNT\" } }"),
        ("no variable is called `brunch`", "variables = { ALIAS = \"${brunch}\" }"),
        ("`sha` is always there, and cannot be set", "variables = { sha = \"1\" }"),
        ("`a-b` is no name of a variable", "variables = { a-b = \"1\" }"),
        ("the environment variable `NOWHERE` is not set", "variables = { X = { env = \"NOWHERE\" } }"),
        ("`/nowhere` cannot be read: no such file or directory", "variables = { X = { file = \"/nowhere\" } }"),
        ("`engine.appspec` is `../x`, which is not a path within the repository", "appspec = \"../x\""),
    ] {
        assert_eq!(ecs(engine), message, "{engine}");
    }
}

#[test]
fn platform_and_revision_have_to_fit_rows_1_20() {
    for (message, top, engine) in [
        ("`engine.platform` cannot be `fargate`", "revision = \"appspec\"", "platform = \"fargate\""),
        (
            "`appspec` is for Lambda and ECS, and this target is for servers",
            "revision = \"github\"",
            "platform = \"server\"\nappspec = \"a.yaml\"",
        ),
        (
            "`revision = \"appspec\"` is not for servers, whose revision is a bundle, or the commit on GitHub",
            "revision = \"appspec\"",
            "platform = \"server\"",
        ),
        (
            "`revision = \"github\"` is not for Lambda, whose revision is the AppSpec itself",
            "revision = \"github\"",
            "platform = \"lambda\"",
        ),
        (
            "CodeDeploy fetches from GitHub, and this target's commits come from elsewhere",
            "revision = \"github\"\nsource = { git = \"file:///srv/x.git\" }",
            "",
        ),
        (
            "with `revision = \"github\"` no bundle is made, and CodeDeploy takes the commit as it is",
            "revision = \"github\"\nbundle = { root = \"web\" }",
            "",
        ),
        (
            "`target_instances` has both `tags` and `tag_groups`",
            "revision = \"github\"",
            "target_instances = { tags = [{ key = \"a\" }], tag_groups = [[{ value = \"b\" }]] }",
        ),
        ("a tag has a `key`, a `value` or both", "revision = \"github\"", "target_instances = { tags = [{}] }"),
    ] {
        assert_eq!(found(top, engine), message, "{top} {engine}");
    }
}
