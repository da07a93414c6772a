//! What a configuration may say of freezes and approvals, and what is found in one that holds for ever or never.

use expect_test::expect;

use super::super::{HEAD, check, parse, place};
use super::target;

#[test]
fn windows_of_all_targets_and_of_one_are_both_heeded() {
    let dir = place();
    let all = "freeze = [{ cron = \"0 0 24 12 *\", for = \"72h\" }]\n";
    let own = "freeze = [{ cron = \"0 17 * * 5\", for = \"60h\", timezone = \"CET-1CEST,M3.5.0,M10.5.0/3\", kind = \"deny\" }]";
    let config = parse(dir.path(), &format!("{all}{HEAD}{}", target(own))).unwrap();
    assert!(config.warnings.0.is_empty(), "{}", config.warnings);
    assert_eq!(config.calendar.0[&config.targets[0].name].len(), 2);
}

#[test]
fn windows_that_are_none_or_hold_for_ever_are_found() {
    check(
        &target(
            "freeze = [\n{ cron = \"0 25 * * *\", for = \"1h\" },\n{ cron = \"0 1 * * *\", for = \"soon\" },\n\
             { cron = \"0 1 * * *\", for = \"1h\", timezone = \"Europe/Atlantis\" },\n{ for = \"1h\", kind = \"den\" },\n]",
        ),
        expect![[r#"
            6:10+12 Error config/bad-value: `freeze.cron` is `0 25 * * *`: its hour is `25`, expected 0 to 23, as in `*`, `1`, `1-5`, `1,3` or `*/15`
                write five fields, as in `0 17 * * 5` for Fridays at 17:00
            7:29+6 Error config/bad-value: `freeze.for`: `soon` is not a duration such as `90s`, `5min`, `2h` or `1h30m`
            8:46+17 Error config/no-timezone: `freeze.timezone` is `Europe/Atlantis`, which this machine does not know
                write it as in `Europe/Berlin`, or as a rule: `CET-1CEST,M3.5.0,M10.5.0/3`
            9:1+28 Error config/missing-key: `freeze.cron` is missing
                add `cron = "…"`
            9:22+5 Error config/bad-value: `freeze.kind` cannot be `den`
                did you mean `deny`?
        "#]],
    );
    check(
        &target("freeze = [{ cron = \"0 0 31 2 *\", for = \"1h\", kind = \"allow\" }]"),
        expect![[r#"
        5:10+53 Warning config/always-frozen: target `site` is always frozen: nothing is released without `--override`
            shorten a window, or add one that allows
        5:11+51 Warning config/freeze-never: this window never opens: no day has this date, or it lasts no time
            correct `cron` or `for`
    "#]],
    );
    check(
        &target("approvals = 2\napprove_within = \"1h\""),
        expect![[r#"
        5:13+1 Error config/no-approvers: `approvals` is 2, and `[people]` names 0 whose approval can count
            name everybody who approves: `[people]` with `admin = "login-at-github"`
    "#]],
    );
    check(
        &target("approve_within = \"1h\""),
        expect![[r#"
        5:18+4 Warning config/unused: `approve_within` has no effect: no approval is asked for
            add `approvals = 1`, or take it out
    "#]],
    );
}

#[test]
fn what_is_looked_at_after_a_release_is_one_thing_or_a_list() {
    let dir = place();
    let read = |lines: &str| parse(dir.path(), &format!("{HEAD}{}", target(lines))).unwrap().targets[0].verify.clone();
    let one = read("verify = { url = \"https://shop.example.com/healthz\" }");
    assert_eq!((one.len(), one[0].for_ms, one[0].every_ms, one[0].timeout_ms), (1, 60_000, 5_000, 10_000));
    assert_eq!(read("verify = [{ command = [\"./smoke.sh\"] }, { url = \"http://10.0.0.7/\" }]").len(), 2);
    check(
        &target(
            "verify = [\n{ url = \"ftp://x/\" },\n{ command = [\"/bin/true\"] },\n{ for = \"1m\" },\n\
             { url = \"https://a:b@x/\" },\n{ url = \"https://x/\", status = 99, every = \"1ms\" },\n]",
        ),
        expect![[r#"
            6:9+10 Error config/bad-value: `verify.url` is `ftp://x/`, which is no web address
                write it as in `https://shop.example.com/healthz`
            7:13+13 Error config/bad-value: `verify.command` names no script of the bundle
                name a script of the bundle and its arguments, as in `["./smoke.sh", "--fast"]`
            8:1+14 Error config/bad-value: `verify` names neither an address nor a command, or both
                write `url = "https://…"`, or `command = ["./smoke.sh"]` for a host target
            9:9+16 Error config/inline-secret: a password in an address is stored and shown wherever the target is
                let the address answer without one
            10:32+2 Error config/bad-value: `verify.status` is 99, which is no status
                write one as in `200`
            10:44+5 Error config/bad-value: `1ms` is too short
                write at least `100ms`
        "#]],
    );
}
