//! What a configuration may require of checks, and what is found in one that can never be met.

mod holds;

use expect_test::expect;

use super::{HEAD, check, parse, place};

/// A target with these lines.
fn target(lines: &str) -> String {
    format!(
        "[[target]]\nname = \"site\"\nrepository = \"acme/site\"\nbranches = [\"main\"]\n{lines}\n\
         engine = {{ kind = \"host\" }}\n"
    )
}

#[test]
fn checks_are_names_or_patterns_and_are_waited_for_an_hour() {
    let dir = place();
    let read = |lines: &str| parse(dir.path(), &format!("{HEAD}{}", target(lines))).unwrap();
    let config = read("require_checks = [\"build (linux)\", \"ci/*\"]");
    assert!(config.warnings.0.is_empty(), "{}", config.warnings);
    let site = &config.targets[0];
    assert_eq!(site.require_checks, ["build (linux)".into(), "ci/*".into()]);
    assert_eq!(site.checks_within().as_secs(), 3600);
    let config = read("require_checks = [\"build\"]\nchecks_within = \"10min\"");
    assert_eq!(config.targets[0].checks_within().as_secs(), 600);
}

#[test]
fn what_can_never_be_met_is_found() {
    check(
        &target(
            "require_checks = [\"\", \"landfall/other\", \"ci/[\"]\nchecks_within = \"soon\"\n\
             source = { git = \"file:///srv/git/site.git\" }",
        ),
        expect![[r#"
            5:18+30 Error config/checks-of-git: `require_checks` can never be met: nobody reports checks to a git repository
                take it out, or read the commits from GitHub: take `source` out
            5:19+2 Error config/bad-glob: `` is not a pattern: it is empty
                `*` stands for anything up to a slash, `**` for anything, `[ab]` and `{a,b}` for one of them
            5:23+16 Error config/own-check: `landfall/other` can never be met: statuses under `landfall/` are our own
                to deploy only what succeeded at another target, write `promote_to` there
            5:41+6 Error config/bad-glob: `ci/[` is not a pattern: unclosed character class; missing ']'
                `*` stands for anything up to a slash, `**` for anything, `[ab]` and `{a,b}` for one of them
            6:17+6 Error config/bad-value: `target.checks_within`: `soon` is not a duration such as `90s`, `5min`, `2h` or `1h30m`
        "#]],
    );
    check(
        &target("checks_within = \"10min\""),
        expect![[r#"
        5:17+7 Warning config/unused: `checks_within` has no effect: no check is required
            name the checks in `require_checks`, or take it out
    "#]],
    );
}
