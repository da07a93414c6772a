//! Which revision's scripts run, what is kept, which bundles are taken, and what the options do.

use std::fs;
use std::path::{Path, PathBuf};

use landfall::clients::process::blocking_program;

use super::stand::{Stand, plant};

/// A bundle with a stop script that leaves a word, and more hooks.
fn with_stop(stand: &Stand, word: &str, more: &str) -> PathBuf {
    let body = format!("hooks:\n  ApplicationStop:\n    - location: stop.sh\n{more}");
    let bundle = stand.bundle(&body, "");
    stand.script(&bundle, "stop.sh", &format!("#!/bin/sh\necho {word} >> {{HERE}}/stops\n{}", fail_if(word)));
    bundle
}

fn fail_if(word: &str) -> &'static str {
    if word.contains("bad") { "exit 1\n" } else { "" }
}

fn stops(stand: &Stand) -> String {
    fs::read_to_string(stand.path("stops")).unwrap_or_default().replace('\n', " ")
}

#[test]
fn the_stop_script_is_the_previous_successful_revisions() {
    let stand = Stand::new();
    stand.well(&with_stop(&stand, "one", ""), &[]);
    assert_eq!(stops(&stand), "", "S01");
    let second = with_stop(&stand, "two", "  ApplicationStart:\n    - location: start.sh\n");
    stand.script(&second, "start.sh", "#!/bin/sh\nexit 1\n");
    stand.badly(&second, &[], "host/script-failed");
    assert_eq!(stops(&stand), "one ", "S02");
    stand.well(&with_stop(&stand, "three", ""), &[]);
    assert_eq!(stops(&stand), "one one ", "S09");
    stand.well(&stand.bundle("", ""), &["-g", "another"]);
    assert_eq!(stops(&stand), "one one ", "S12 L09: each group runs its own");
}

#[test]
fn a_stop_script_that_fails_is_told_and_can_be_passed_over() {
    let stand = Stand::new();
    let first = stand.well(&with_stop(&stand, "bad", ""), &[]);
    let second = with_stop(&stand, "good", "");
    let told = stand.badly(&second, &[], "host/script-failed");
    assert_eq!(told.text("failed_event"), "ApplicationStop", "S04");
    assert!(told.text("message").contains(first.text("deployment_id")), "S04: {}", told.text("message"));
    assert!(told.events().contains("DownloadBundle:Skipped"), "S04");
    let told = stand.well(&second, &["--ignore-application-stop-failures"]);
    assert_eq!(told.events(), "ApplicationStop:Failed(ignored)", "S05");
    stand.well(&second, &[]);
    assert_eq!(stops(&stand), "bad bad good ", "S06");
}

#[test]
fn a_group_of_one_host_succeeds_and_fails_with_it() {
    let stand = Stand::new();
    let body = "hooks:\n  ValidateService:\n    - location: a.sh\n";
    for (script, exit, status) in [("exit 0", 0, "Succeeded"), ("exit 1", 1, "Failed")] {
        let bundle = stand.bundle(body, "");
        stand.script(&bundle, "a.sh", &format!("#!/bin/sh\n{script}\n"));
        let told = stand.apply(&bundle, &[]);
        assert_eq!((told.exit, told.text("status")), (exit, status), "M06 D24");
    }
}

#[test]
fn a_stop_script_that_is_new_runs_at_the_deployment_after() {
    let stand = Stand::new();
    stand.well(&stand.bundle("", ""), &[]);
    let second = with_stop(&stand, "two", "  BeforeInstall:\n    - location: before.sh\n");
    stand.script(&second, "before.sh", "#!/bin/sh\necho before-two >> {HERE}/stops\n");
    stand.well(&second, &[]);
    assert_eq!(stops(&stand), "before-two ", "S03 S13");
    let third = with_stop(&stand, "three", "  BeforeInstall:\n    - location: before.sh\n");
    stand.script(&third, "before.sh", "#!/bin/sh\necho before-three >> {HERE}/stops\n");
    stand.well(&third, &[]);
    assert_eq!(stops(&stand), "before-two two before-three ", "S03 S13");
}

#[test]
fn traffic_hooks_that_fail_can_be_passed_over_as_well() {
    for event in ["BeforeBlockTraffic", "AfterBlockTraffic"] {
        let stand = Stand::new();
        let first = stand.bundle(&format!("hooks:\n  {event}:\n    - location: bad.sh\n"), "");
        stand.script(&first, "bad.sh", "#!/bin/sh\nexit 1\n");
        stand.well(&first, &["--traffic-hooks"]);
        let second = stand.bundle("", "");
        let told = stand.badly(&second, &["--traffic-hooks"], "host/script-failed");
        assert_eq!(told.text("failed_event"), event, "S07");
        let told = stand.well(&second, &["--traffic-hooks", "--ignore-application-stop-failures"]);
        assert_eq!(told.events(), format!("{event}:Failed(ignored)"), "S07");
    }
}

#[test]
fn a_revision_whose_appspec_broke_fails_the_events_that_are_its_own() {
    let stand = Stand::new();
    let first = stand.well(&with_stop(&stand, "one", ""), &[]);
    let archive = Path::new(first.text("log")).ancestors().nth(2).unwrap().join("deployment-archive");
    fs::write(archive.join("appspec.yml"), "version: 9\n").unwrap();
    let second = with_stop(&stand, "two", "");
    let told = stand.badly(&second, &[], "host/appspec");
    assert_eq!(told.text("failed_event"), "ApplicationStop", "S11");
    assert!(told.text("message").contains(first.text("deployment_id")), "S11 E73: {}", told.text("message"));
    assert!(told.text("help").contains("ignore"), "S11 E73: {}", told.text("help"));
    stand.well(&second, &["--ignore-application-stop-failures"]);
}

#[test]
fn each_revision_remembers_the_name_of_its_appspec() {
    let stand = Stand::new();
    let first = with_stop(&stand, "one", "");
    fs::rename(first.join("appspec.yml"), first.join("deploy.yml")).unwrap();
    stand.well(&first, &["-A", "deploy.yml"]);
    stand.well(&with_stop(&stand, "two", ""), &[]);
    assert_eq!(stops(&stand), "one ", "the AppSpec of the first is still found");
}

#[test]
fn the_archive_is_checked_before_the_old_revision_is_stopped() {
    let stand = Stand::new();
    stand.well(&with_stop(&stand, "one", ""), &[]);
    fs::write(stand.path("broken.tgz"), "no archive").unwrap();
    let told = stand.badly(&stand.path("broken.tgz"), &["-t", "tgz"], "host/bundle-unreadable");
    assert!(told.events().starts_with("ApplicationStop:Skipped DownloadBundle:Failed"), "R2: {}", told.events());
    let missing = stand.bundle("files:\n  - source: nope\n    destination: {D}\n", "");
    assert_eq!(stand.apply(&missing, &[]).exit, 1);
    assert_eq!(stops(&stand), "", "R2: the service was never stopped");
    let root = stand.path("root/default-local-deployment-group");
    let left = |name: &str| fs::read_dir(&root).unwrap().flatten().any(|run| run.path().join(name).exists());
    assert!(!left("unpacking"), "nothing of a refused bundle stays");
}

#[test]
fn a_vanished_revision_is_skipped_and_a_broken_new_one_stops_nothing() {
    let stand = Stand::new();
    let first = stand.well(&with_stop(&stand, "one", ""), &[]);
    let broken = stand.bundle("hooks:\n  AfterInstal:\n", "");
    let told = stand.badly(&broken, &[], "host/appspec");
    assert!(told.text("message").contains("appspec.yml:4:3"), "S10: {}", told.text("message"));
    assert_eq!(stops(&stand), "", "S10");
    fs::remove_dir_all(Path::new(first.text("log")).ancestors().nth(2).unwrap()).unwrap();
    let second = with_stop(&stand, "two", "");
    let told = stand.badly(&second, &["--strict"], "host/previous-gone");
    assert_eq!(told.text("failed_event"), "ApplicationStop", "S08: as AWS's agent does");
    assert!(told.text("message").contains(first.text("deployment_id")), "S08: {}", told.text("message"));
    stand.well(&second, &["--strict", "--ignore-application-stop-failures"]);
    fs::remove_dir_all(stand.path("root/default-local-deployment-group")).unwrap();
    let told = stand.well(&second, &[]);
    assert_eq!(told.events(), "ApplicationStop:Skipped", "S08");
    assert!(told.warnings().contains("is gone (deleted by hand?): ApplicationStop was skipped"), "S08 E74");
}

#[test]
fn before_install_sees_the_old_files_and_may_make_new_ones() {
    let stand = Stand::new();
    let files = "files:\n  - source: r\n    destination: {D}\n";
    stand.well(&stand.bundle(files, "r/old=1"), &[]);
    let hooks = "hooks:\n  BeforeInstall:\n    - location: b.sh\n";
    let second = stand.bundle(&format!("{files}  - source: made\n    destination: {{D}}\n{hooks}"), "r/new=2");
    stand.script(
        &second,
        "b.sh",
        "#!/bin/sh\ncp {D}/old {HERE}/backup || exit 1\nmkdir made; printf g > made/gen.txt\n",
    );
    stand.well(&second, &[]);
    assert!(stand.path("backup").exists(), "K12");
    assert_eq!(stand.listing(), "gen.txt=g new=2", "F36 D19");
    let third = stand.bundle(&format!("{files}{hooks}"), "r/third=3");
    stand.script(&third, "b.sh", "#!/bin/sh\nexit 1\n");
    stand.badly(&third, &[], "host/script-failed");
    assert_eq!(stand.listing(), "gen.txt=g new=2", "K11");
}

#[test]
fn pointers_and_archives_are_kept_as_the_guide_says() {
    let stand = Stand::new();
    fs::write(stand.path("agent.yml"), "---\n:max_revisions: 1\n").unwrap();
    let config = stand.path("agent.yml");
    let options = ["-c", config.to_str().unwrap()];
    let good = stand.bundle("", "");
    let bad = stand.bundle("hooks:\n  BeforeInstall:\n    - location: b.sh\n", "");
    stand.script(&bad, "b.sh", "#!/bin/sh\nexit 1\n");
    let success = stand.well(&good, &options);
    let mut last = String::new();
    for _ in 0..3 {
        last = stand.badly(&bad, &options, "host/script-failed").text("deployment_id").to_owned();
    }
    let group = stand.path("root/default-local-deployment-group");
    assert!(group.join(success.text("deployment_id")).join("deployment-archive").is_dir(), "A03");
    assert_eq!(fs::read_dir(&group).unwrap().count(), 3, "A02: the last success, the current one, one more");
    let pointer = |ending: &str| {
        let name = format!("root/deployment-instructions/default-local-deployment-group{ending}");
        fs::read_to_string(stand.path(&name)).unwrap()
    };
    assert!(pointer("_most_recent_install").ends_with(&last), "A09");
    assert!(pointer("_last_successful_install").ends_with(success.text("deployment_id")), "A09");
    assert!(pointer("-install.json").contains(&last) && !pointer("-cleanup").is_empty(), "A08");
    fs::write(&config, ":max_revisions: 0\n").unwrap();
    assert_eq!(stand.apply(&good, &options).exit, 2, "A04");
}

#[test]
fn the_current_archive_and_five_more_are_kept() {
    let stand = Stand::new();
    let bundle = stand.bundle("", "");
    let last: Vec<_> = (0..8).map(|_| stand.well(&bundle, &[]).text("deployment_id").to_owned()).collect();
    let group = stand.path("root/default-local-deployment-group");
    let kept = last.iter().filter(|run| group.join(run).join("deployment-archive").is_dir()).collect::<Vec<_>>();
    assert_eq!(kept, last[2..].iter().collect::<Vec<_>>(), "A01");
    for wrong in ["0", "-1", "x"] {
        fs::write(stand.path("agent.yml"), format!(":max_revisions: {wrong}\n")).unwrap();
        let told = stand.apply(&bundle, &["-c", stand.path("agent.yml").to_str().unwrap()]);
        assert!(told.exit == 2 && told.errors.contains("`max_revisions` must be"), "A04: {}", told.errors);
    }
    fs::write(stand.path("agent.yml"), format!("---\n:root_dir: {}\n", stand.path("agents-root").display())).unwrap();
    let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
    command.args(["apply", "-c"]).arg(stand.path("agent.yml")).arg("-l").arg(&bundle);
    assert!(command.output().unwrap().status.success(), "R109");
    assert!(stand.path("agents-root/default-local-deployment-group").is_dir(), "R109");
}

#[test]
fn archives_of_every_format_are_unpacked() {
    let stand = Stand::new();
    let files = "files:\n  - source: /\n    destination: {D}\n";
    stand.bundle(files, "x=1 d/y=2 l->x");
    for (id, args) in [
        ("tgz", ["czf", "b.tgz", "-C", "bundle-1", "."].as_slice()),
        ("tar", &["cf", "b.tar", "-C", "bundle-1", "."]),
        ("tgz", &["czf", "b.tgz", "bundle-1"]),
    ] {
        assert!(blocking_program("tar").args(args).current_dir(stand.path("")).status().unwrap().success());
        stand.well(&stand.path(args[1]), &["-t", id]);
        assert_eq!(stand.listing(), "appspec.yml=… d/ d/y=2 l->x x=1", "{id} (F37 for the last)");
        let told = stand.apply(&stand.path("bundle-1"), &["-t", id]);
        assert_eq!(told.exit, 2, "L08: {}", told.errors);
    }
    let mut zip = zip::ZipWriter::new(fs::File::create(stand.path("b.zip")).unwrap());
    let plain = zip::write::SimpleFileOptions::default().unix_permissions(0o644);
    let text = fs::read(stand.path("bundle-1/appspec.yml")).unwrap();
    for (name, content) in [("appspec.yml", text.as_slice()), ("x", b"z"), ("__MACOSX/x", b"junk")] {
        zip.start_file(name, plain).unwrap();
        std::io::Write::write_all(&mut zip, content).unwrap();
    }
    zip.finish().unwrap();
    let told = stand.well(&stand.path("b.zip"), &["-t", "zip"]);
    assert_eq!(stand.listing(), "appspec.yml=… x=z", "A05");
    assert!(told.warnings().contains("__MACOSX"), "A05");
    let told = stand.apply(&stand.path("b.zip"), &[]);
    assert_eq!(told.exit, 2, "L08: {}", told.errors);
}

/// A tar with one entry of any name and kind, as no honest program makes it.
fn odd_tar(path: &Path, name: &str, kind: tar::EntryType, target: &str) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(0);
    if !target.is_empty() {
        header.set_link_name_literal(target).unwrap();
    }
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    builder.finish().unwrap();
}

#[test]
fn a_bundle_that_leaves_its_directory_is_refused() {
    let stand = Stand::new();
    let path = stand.path("odd.tar");
    for (name, kind, target) in [
        ("../x", tar::EntryType::Regular, ""),
        ("/tmp/x", tar::EntryType::Regular, ""),
        ("a/../../x", tar::EntryType::Regular, ""),
        ("l", tar::EntryType::Symlink, "/etc/passwd"),
        ("l", tar::EntryType::Symlink, "../x"),
        ("h", tar::EntryType::Link, "/etc/passwd"),
        ("p", tar::EntryType::Fifo, ""),
        ("c", tar::EntryType::Char, ""),
    ] {
        odd_tar(&path, name, kind, target);
        let told = stand.badly(&path, &["-t", "tar"], "host/bundle-refused");
        assert!(told.text("message").starts_with(&format!("`{name}` ")), "A07 F33: {}", told.text("message"));
        assert_eq!(told.text("failed_event"), "DownloadBundle");
    }
    fs::write(&path, "this is no archive at all").unwrap();
    stand.badly(&path, &["-t", "tar"], "host/bundle-unreadable");
}

/// A bundle of some kilobytes must not take gigabytes of memory before its first file is written (A07).
#[test]
fn a_name_or_label_without_end_is_refused_before_it_is_in_memory() {
    let stand = Stand::new();
    let path = stand.path("bomb.tgz");
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let file = fs::File::create(&path).unwrap();
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(64 << 20);
        header.set_cksum();
        builder.append(&header, std::io::Read::take(std::io::repeat(b'x'), 64 << 20)).unwrap();
        builder.into_inner().unwrap().finish().unwrap();
        let told = stand.badly(&path, &["-t", "tgz"], "host/bundle-unreadable");
        let expected = "what describes an entry, its name and labels, is longer than 1.0 MB";
        assert!(told.text("message").contains(expected), "{}", told.text("message"));
    }
}

#[test]
fn a_missing_appspec_is_told_with_the_one_that_is_nested() {
    let stand = Stand::new();
    plant(&stand.path("empty"), "deploy/appspec.yml=x other=y");
    let told = stand.badly(&stand.path("empty"), &[], "host/appspec-missing");
    assert!(told.text("message").contains("found `deploy/appspec.yml`"), "L02 E01: {}", told.text("message"));
    let bundle = stand.bundle("", "");
    fs::rename(bundle.join("appspec.yml"), bundle.join("appspec.yaml")).unwrap();
    stand.well(&bundle, &["-A", "appspec.yaml"]);
    let told = stand.well(&bundle, &[]);
    assert_eq!(told.events(), "", "L03: found without its name as well");
    fs::copy(bundle.join("appspec.yaml"), bundle.join("appspec.yml")).unwrap();
    stand.badly(&bundle, &[], "host/two-appspecs");
    let windows = stand.path("windows");
    plant(&windows, "x=1");
    fs::write(windows.join("appspec.yml"), "version: 0.0\nos: windows\n").unwrap();
    let told = stand.badly(&windows, &[], "host/os");
    assert!(told.text("message").contains("this host runs linux"), "R22");
}

#[test]
fn asked_events_run_in_the_asked_order() {
    let stand = Stand::new();
    let hooks = ["BeforeInstall", "ApplicationStart", "HealthCheck", "ApplicationStop"]
        .map(|event| format!("  {event}:\n    - location: say.sh\n"));
    let bundle = stand.bundle(&format!("hooks:\n{}", hooks.concat()), "");
    stand.script(&bundle, "say.sh", "#!/bin/sh\nprintf '%s ' $LIFECYCLE_EVENT >> {HERE}/said\n");
    let l07 = "ApplicationStop,DownloadBundle,BeforeInstall,Install,HealthCheck,ApplicationStart";
    let order: Vec<String> = stand.well(&bundle, &["-e", l07]).json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order.join(","), l07, "L07");
    for (id, events, said) in [
        ("L04", "BeforeInstall,ApplicationStart,HealthCheck", "BeforeInstall ApplicationStart HealthCheck "),
        ("L05", "ApplicationStop,HealthCheck", "ApplicationStop HealthCheck "),
    ] {
        let _ = fs::remove_file(stand.path("said"));
        stand.well(&bundle, &["-e", events]);
        assert_eq!(fs::read_to_string(stand.path("said")).unwrap(), said, "{id}");
    }
    assert_eq!(stand.apply(&bundle, &["-e", "AfterInstall,DownloadBundle"]).exit, 2, "L06");
    stand.badly(&bundle, &["-e", "HealthCheck,Nope"], "host/events");
    // Without --events a name that is no lifecycle event is a mistake.
    stand.badly(&bundle, &[], "host/appspec");
}

#[test]
fn no_options_deploy_the_current_directory() {
    let stand = Stand::new();
    let bundle = stand.bundle("", "");
    let root = stand.path("root");
    let output = blocking_program(env!("CARGO_BIN_EXE_landfall"))
        .args(["apply", "--root", root.to_str().unwrap()])
        .current_dir(&bundle)
        .output()
        .unwrap();
    assert!(output.status.success(), "L01: {}", String::from_utf8_lossy(&output.stderr));
    let runs: Vec<_> = fs::read_dir(root.join("default-local-deployment-group")).unwrap().collect();
    let name = runs[0].as_ref().unwrap().file_name().into_string().unwrap();
    assert!(runs.len() == 1 && name.starts_with("d-") && name.ends_with("-local") && name.len() == 17, "L01: {name}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("{name} succeeded")));
    assert_eq!(stand.apply(&stand.path("nowhere"), &[]).exit, 3);
}

#[test]
fn a_person_in_a_terminal_sees_what_went_how_and_what_to_do() {
    let stand = Stand::new();
    let bundle = stand.bundle("hooks:\n  AfterInstall:\n    - location: a.sh\n", "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\nfor i in $(seq 30); do echo line $i; done; sleep 4; nosuchcommand\n");
    let root = stand.path("root");
    let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
    let output = command.args(["apply", "--root"]).arg(&root).arg("-l").arg(&bundle).output().unwrap();
    let (said, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "R108");
    let events: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(events[0][..2], ["ApplicationStop", "ok"], "{said}");
    assert_eq!(
        (events[4][0], events[4][1], events[4][3], events[4][4]),
        ("AfterInstall", "failed", "s", "a.sh"),
        "{said}"
    );
    assert!(said.lines().last().unwrap().ends_with(" failed"), "{said}");
    assert!(talk.contains("AfterInstall         runs a.sh\n"), "what takes long is told while it runs: {talk}");
    assert!(talk.contains("`a.sh` ended with exit code 127 in AfterInstall (host/script-failed)\n"), "{talk}");
    assert!(talk.contains("  [stdout]line 30\n") && !talk.contains("line 10\n"), "its last lines: {talk}");
    assert!(talk.contains("the whole output is in ") && talk.contains("logs/scripts.log\n"), "R108: {talk}");
    assert!(talk.ends_with("127 means: a command in it was not found\n"), "E65: {talk}");
}

#[test]
fn a_disk_that_fills_up_fails_the_download_and_leaves_nothing() {
    let stand = Stand::new();
    let disk = stand.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = nix::unistd::Uid::effective().is_root()
        && blocking_program("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "none"])
            .arg(&disk)
            .output()
            .is_ok_and(|it| it.status.success());
    if !mounted {
        println!("A06 needs root and a file system of its own: skipped");
        return;
    }
    let bundle = stand.bundle("", "");
    fs::write(bundle.join("large"), vec![7; 2 << 20]).unwrap();
    let mut command = blocking_program(env!("CARGO_BIN_EXE_landfall"));
    let output =
        command.args(["apply", "--json", "--root"]).arg(disk.join("root")).arg("-l").arg(&bundle).output().unwrap();
    let left = fs::read_dir(disk.join("root/default-local-deployment-group"))
        .unwrap()
        .flatten()
        .any(|run| run.path().join("unpacking").exists() || run.path().join("deployment-archive").exists());
    assert!(blocking_program("umount").arg(&disk).status().unwrap().success());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["code"], &told["failed_event"]),
        (&"host/disk-full".into(), &"DownloadBundle".into()),
        "A06: {told:#}"
    );
    assert!(!left, "A06: nothing of it stays");
}

#[test]
fn traffic_hooks_run_only_when_asked() {
    let stand = Stand::new();
    let body: String = ["BeforeBlockTraffic", "AfterAllowTraffic"]
        .map(|event| format!("  {event}:\n    - location: say.sh\n"))
        .concat();
    let bundle = stand.bundle(&format!("hooks:\n{body}"), "");
    stand.script(&bundle, "say.sh", "#!/bin/sh\nprintf '%s ' $LIFECYCLE_EVENT >> {HERE}/said\n");
    let told = stand.well(&bundle, &[]);
    assert!(told.warnings().contains("BeforeBlockTraffic do not run"), "D26: {}", told.warnings());
    assert!(!stand.path("said").exists(), "D26");
    stand.well(&bundle, &["--traffic-hooks"]);
    assert_eq!(fs::read_to_string(stand.path("said")).unwrap(), "BeforeBlockTraffic AfterAllowTraffic ", "R13");
}

#[test]
fn an_interrupt_lets_the_event_end_and_stops_then() {
    let stand = Stand::new();
    let bundle = stand.bundle("hooks:\n  AfterInstall:\n    - location: a.sh\n", "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\nuntil test -f {HERE}/pid; do sleep 0.01; done\nkill -INT $(cat {HERE}/pid); sleep 0.3; touch {HERE}/done\n");
    let mut command = stand.command(&bundle, &[]);
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    fs::write(stand.path("pid.new"), child.id().to_string()).unwrap();
    fs::rename(stand.path("pid.new"), stand.path("pid")).unwrap();
    let output = child.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &told["status"]), (Some(1), &serde_json::json!("Stopped")), "R24: {told:#}");
    assert!(stand.path("done").exists(), "the event at work ends");
    assert_eq!(told["events"][5]["status"], "Skipped");
}
