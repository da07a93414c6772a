//! Hook scripts: order, environment, time, outputs, and how their faults are told.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use landfall::clients::process::blocking_program;

use super::stand::{Stand, Told};

pub(super) fn hook(event: &str, scripts: &[&str]) -> String {
    let lines: String = scripts.iter().map(|it| format!("    - location: {it}\n")).collect();
    format!("hooks:\n  {event}:\n{lines}")
}

/// Runs one script in AfterInstall, with more lines for it in the AppSpec.
pub(super) fn one(stand: &Stand, more: &str, text: &str) -> Told {
    let body = format!("{}{more}", hook("AfterInstall", &["a.sh"]));
    let bundle = stand.bundle(&body, "");
    stand.script(&bundle, "a.sh", text);
    stand.apply(&bundle, &[])
}

#[track_caller]
fn fails(id: &str, told: &Told, code: &str, says: &str) {
    let found = (told.exit, told.text("code"), told.text("failed_event"));
    assert_eq!(found, (1, code, "AfterInstall"), "{id}: {:#}", told.json);
    assert!(told.text("message").contains(says), "{id}: {}", told.text("message"));
}

#[test]
fn scripts_run_in_order_and_the_log_says_so() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["a.sh", "b.sh"]), "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\necho one; echo two >&2\n");
    stand.script(&bundle, "b.sh", "#!/bin/sh\nprintf three\n");
    let told = stand.well(&bundle, &[]);
    let log = stand.log(&told);
    let hooks = &log[log.find("LifecycleEvent - AfterInstall").unwrap()
        ..log.find("LifecycleEvent - App").unwrap_or(0).max(log.rfind("LifecycleEvent - ApplicationStart").unwrap())];
    let mut lines: Vec<&str> = hooks.lines().collect();
    let headers: Vec<&str> = lines.extract_if(.., |line| line.starts_with("[landfall]runs as ")).collect();
    assert_eq!(headers.len(), 2, "E77: one for each script");
    lines[2..4].sort_unstable();
    assert_eq!(
        lines,
        [
            "LifecycleEvent - AfterInstall",
            "Script - a.sh",
            "[stderr]two",
            "[stdout]one",
            "Script - b.sh",
            "[stdout]three"
        ],
        "H01"
    );
    let all = fs::read_to_string(stand.path("root/deployment-logs/codedeploy-agent-deployments.log")).unwrap();
    let marked = format!("[{}]", told.text("deployment_id"));
    assert!(all.lines().all(|line| line.contains(&marked)), "A10: {all}");
}

#[test]
fn the_first_script_that_fails_ends_the_deployment() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["a.sh", "b.sh"]), "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\nfor i in $(seq 200); do echo line $i; done\nexit 3\n");
    stand.script(&bundle, "b.sh", "#!/bin/sh\ntouch {HERE}/ran\n");
    let told = stand.apply(&bundle, &[]);
    fails("H02", &told, "host/script-failed", "`a.sh` ended with exit code 3 in AfterInstall");
    assert_eq!(told.events(), "AfterInstall:Failed ApplicationStart:Skipped ValidateService:Skipped", "H02");
    assert!(!stand.path("ran").exists());
    assert!(told.text("detail").ends_with("[stdout]line 200") && told.text("detail").len() <= 4096, "H39");
    assert!(stand.log(&told).contains("[stdout]line 1\n"), "H39");
    assert_eq!(told.json["events"][4]["scripts"][0]["exit_code"], 3);
}

#[test]
fn a_script_finds_its_variables_and_none_of_ours() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["/scripts/x.sh"]), "");
    stand.script(
        &bundle,
        "scripts/x.sh",
        "#!/bin/sh\nenv > {HERE}/env; test -f appspec.yml || exit 1\n\
         test -f {HERE}/root/$DEPLOYMENT_GROUP_ID/$DEPLOYMENT_ID/deployment-archive/appspec.yml || exit 2\n\
         read x; echo read ended with $?\n",
    );
    let mut command = stand.command(&bundle, &["-g", "G", "--application", "shop"]);
    command.env("MY_OWN", "mine").env("LANDFALL_TOKEN", "hush").env("HOME", "/somewhere").env("BUNDLE_KEY", "stale");
    let output = command.output().unwrap();
    assert!(output.status.success(), "H07 H37 H38: {}", String::from_utf8_lossy(&output.stdout));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let env = fs::read_to_string(stand.path("env")).unwrap();
    for line in [
        "APPLICATION_NAME=shop",
        &format!("DEPLOYMENT_ID={}", told["deployment_id"].as_str().unwrap()),
        "DEPLOYMENT_GROUP_NAME=G",
        "DEPLOYMENT_GROUP_ID=G",
        "LIFECYCLE_EVENT=AfterInstall",
        // What a person runs finds what that person's programs find, but nothing that is meant for us.
        "MY_OWN=mine",
        "HOME=/somewhere",
    ] {
        assert!(env.lines().any(|it| it == line), "H20: {line} in {env}");
    }
    assert!(!env.contains("hush") && !env.contains("LANDFALL_"), "H22: {env}");
    assert!(!env.contains("BUNDLE_"), "R34: a local bundle has none of these: {env}");
    let log = fs::read_to_string(told["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("[stdout]read ended with 1"), "H23: {log}");
}

#[test]
fn what_apply_was_given_to_fetch_with_is_not_told() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["a.sh"]), "");
    stand.script(
        &bundle,
        "a.sh",
        "#!/bin/sh\necho $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN $GITHUB_TOKEN $OTHER\nexit 1\n",
    );
    let secrets = ["wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEBYaD==", "ghp_0123456789"];
    for json in [true, false] {
        let mut command = stand.command(&bundle, &[]);
        if !json {
            command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
            command.args(["apply", "--root"]).arg(stand.path("root")).arg("-l").arg(&bundle);
        }
        let names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN"];
        let output = command.envs(names.into_iter().zip(secrets)).env("OTHER", "not-a-secret").output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("[stdout][secret] [secret] [secret] not-a-secret"), "{told}");
        assert!(!secrets.iter().any(|secret| told.contains(secret)), "{told}");
    }
}

#[test]
fn a_script_that_takes_too_long_is_ended_with_all_its_children() {
    let stand = Stand::new();
    let told = one(&stand, "      timeout: 1\n", "#!/bin/sh\nsleep 300 & echo $! > {HERE}/pid; sleep 300\n");
    fails("H09", &told, "host/script-timed-out", "`a.sh` failed to complete in 1 seconds");
    let children = told.text("message").split("and still runs sleep (").count();
    assert_eq!(children, 2, "E67: the message names who is waited for: {}", told.text("message"));
    assert_eq!(told.json["events"][4]["scripts"][0]["timed_out"], true, "H09");
    let pid = fs::read_to_string(stand.path("pid")).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "H09: {state}");
}

#[test]
fn outputs_left_open_fail_in_time_and_the_holder_is_named() {
    let stand = Stand::new();
    let told = one(&stand, "      timeout: 1\n", "#!/bin/sh\nsleep 30 2> /dev/null & echo $! > {HERE}/pid\n");
    let pid = fs::read_to_string(stand.path("pid")).unwrap();
    let running = fs::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap();
    // The test's own process, by its id.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.trim().parse().unwrap()), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    fails("H12", &told, "host/outputs-left-open", &format!("stdout (held by sleep, process {})", pid.trim()));
    assert_eq!(running.trim(), "sleep", "H12: it goes on");
}

#[test]
fn a_foreground_sleep_beyond_its_time_fails_and_stderr_alone_can_be_held() {
    let stand = Stand::new();
    let body = format!("{}      timeout: 1\n", hook("AfterInstall", &["a.sh"]));
    let bundle = stand.bundle(&body, "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\n$(dirname $0)/sleep.sh\n");
    stand.script(&bundle, "sleep.sh", "#!/bin/sh\nsleep 180\n");
    fails("H11", &stand.apply(&bundle, &[]), "host/script-timed-out", "failed to complete in 1 seconds");
    let told = one(&stand, "      timeout: 1\n", "#!/bin/sh\nsleep 30 > /dev/null & echo $! > {HERE}/pid\n");
    let pid = fs::read_to_string(stand.path("pid")).unwrap().trim().to_owned();
    let holder = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    nix::sys::signal::kill(holder, nix::sys::signal::Signal::SIGKILL).unwrap();
    fails("H13", &told, "host/outputs-left-open", &format!("its stderr (held by sleep, process {pid}) stayed open"));
}

#[test]
fn background_programs_that_let_go_do_no_harm() {
    let stand = Stand::new();
    let told = one(&stand, "      timeout: 20\n", "#!/bin/sh\nsleep 2 > /dev/null 2> /dev/null < /dev/null &\n");
    assert_eq!(told.exit, 0, "H14: {:#}", told.json);
    assert!(told.json["events"][4]["scripts"][0]["seconds"].as_f64().unwrap() < 2.0, "H14");
    let told = one(&stand, "      timeout: 20\n", "#!/bin/sh\n(sleep 0.3; echo late) &\n");
    assert_eq!(told.exit, 0, "H15: {:#}", told.json);
    assert!(stand.log(&told).contains("[stdout]late"), "H15");
}

#[test]
fn scripts_that_cannot_start_say_why() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["scripts/nope.sh"]), "");
    let told = stand.apply(&bundle, &[]);
    fails("H05", &told, "host/script-missing", "/deployment-archive/scripts/nope.sh");
    assert!(told.text("help").contains("a path inside the bundle"), "H05 E61: {}", told.text("help"));
    let near = stand.bundle(&hook("AfterInstall", &["scripts/Stop.sh"]), "scripts/stop.sh=x");
    let told = stand.badly(&near, &[], "host/script-missing");
    assert!(told.text("help").starts_with("did you mean `scripts/stop.sh`?"), "E61: {}", told.text("help"));
    let command = stand.bundle(&hook("AfterInstall", &["service nginx stop"]), "");
    let told = stand.badly(&command, &[], "host/appspec");
    assert!(told.text("message").contains("service nginx stop"), "H06 E60: {}", told.text("message"));
    let outside = stand.bundle(&hook("AfterInstall", &["../../x.sh"]), "");
    let told = stand.badly(&outside, &[], "host/appspec");
    assert!(told.text("message").contains("../../x.sh"), "H36: {}", told.text("message"));
    fails("H28", &one(&stand, "", "#!/bin/bash\r\necho\r\n"), "host/script-not-executable", "Windows line endings");
    fails("H29", &one(&stand, "", "\u{feff}#!/bin/sh\n"), "host/script-not-executable", "byte-order mark");
    fails(
        "H31",
        &one(&stand, "", "#!/usr/bin/nope\n"),
        "host/script-not-executable",
        "`/usr/bin/nope`, which is not on this host",
    );
    fails("H33", &one(&stand, "", "#!/bin/sh\nkill -9 $$\n"), "host/script-killed", "killed by signal 9 (SIGKILL)");
    let bundle = stand.bundle(&hook("AfterInstall", &["scripts"]), "scripts/x=1");
    fails("H34", &stand.apply(&bundle, &[]), "host/script-not-executable", "is no file");
}

#[test]
fn scripts_that_can_be_mended_run_with_a_warning() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["a.sh"]), "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\necho ran\n");
    fs::set_permissions(bundle.join("a.sh"), fs::Permissions::from_mode(0o644)).unwrap();
    let told = stand.well(&bundle, &[]);
    assert!(told.warnings().contains("was not executable"), "H08: {}", told.warnings());
    let told = one(&stand, "", "echo no shebang\n");
    assert!(told.exit == 0 && told.warnings().contains("no `#!` line"), "H30: {:#}", told.json);
    let told = one(&stand, "", "");
    assert_eq!(told.exit, 0, "H32: {:#}", told.json);
    let spaced = stand.bundle(&hook("AfterInstall", &["a b.sh"]), "");
    stand.script(&spaced, "a b.sh", "#!/bin/sh\necho spaced\n");
    let told = stand.well(&spaced, &[]);
    assert!(stand.log(&told).contains("[stdout]spaced"), "H35");
    let told = one(&stand, "", "#!/bin/sh\nprintf '\\377\\376 x'\n");
    assert!(told.exit == 0 && stand.log(&told).contains(" x"), "H40");
}

#[test]
fn blank_and_absent_events_do_nothing() {
    let stand = Stand::new();
    let told = stand.well(&stand.bundle("hooks:\n  AfterInstall:\n", ""), &[]);
    assert!(told.warnings().contains("`AfterInstall` is blank"), "H03 H04: {}", told.warnings());
}

#[test]
fn users_are_checked_before_the_first_event() {
    let stand = Stand::new();
    let told = one(&stand, "      runas: nosuch\n", "#!/bin/sh\n");
    fails("H25", &told, "host/unknown-user", "runs as `nosuch`");
    assert!(told.events().starts_with("ApplicationStop:Skipped DownloadBundle:Skipped"), "H25: {}", told.events());
    let made_later =
        format!("{}      runas: nosuch\n  BeforeInstall:\n    - location: b.sh\n", hook("AfterInstall", &["a.sh"]));
    let bundle = stand.bundle(&made_later, "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\n");
    stand.script(&bundle, "b.sh", "#!/bin/sh\ntouch {HERE}/before\n");
    fails("H25", &stand.apply(&bundle, &[]), "host/unknown-user", "runs as `nosuch`");
    assert!(stand.path("before").exists(), "H25: a BeforeInstall script might have made the user");
    if !nix::unistd::Uid::effective().is_root() {
        println!("H24, H26 and the closed archive need root: skipped");
        fails("H27", &one(&stand, "      runas: root\n", "#!/bin/sh\n"), "host/not-root", "which is not root");
        return;
    }
    println!("H27 needs an ordinary user: skipped");
    let told = one(&stand, "      runas: root\n", "#!/bin/sh\n");
    assert_eq!(told.exit, 0, "H26: {:#}", told.json);
    fs::set_permissions(stand.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    fails("R36", &one(&stand, "      runas: daemon\n", "#!/bin/sh\n"), "host/archive-closed", "cannot enter");
    fs::set_permissions(stand.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let told =
        one(&stand, "      runas: daemon\n", "#!/bin/sh\nid -un; id -Gn; echo $HOME $USER $DEPLOYMENT_ID; pwd\n");
    assert_eq!(told.exit, 0, "H24: {:#} {}", told.json, stand.log(&told));
    let log = stand.log(&told);
    let expected = format!("[stdout]daemon\n[stdout]daemon\n[stdout]/usr/sbin daemon {}\n", told.text("deployment_id"));
    assert!(log.contains(&expected), "H24: {log}");
}
