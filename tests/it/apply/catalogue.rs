//! The catalogue of errors: what a person reads for each fault that only a host can find, and that nothing was touched.

use std::fs;
use std::path::Path;

use super::hooks::{hook, one};
use super::remote::apply;
use super::room::apply_on;
use super::stand::{Stand, Told, files, plant};
use crate::worlds::s3::Buckets;

/// What is said: the message, and what to do.
fn said(stand: &Stand, told: &Told) -> String {
    let text = format!("{}: {}", told.text("message"), told.text("help"));
    text.replace(stand.d().to_str().unwrap(), "D").replace(stand.path("").to_str().unwrap(), "HERE/")
}

#[test]
fn files_that_exist_already_are_all_named_with_whose_they_are() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/c=1"), &["-g", "other"]);
    plant(&stand.d(), "a=mine b=mine");
    let told = stand.badly(&stand.bundle(&files("r>{D}"), "r/a=2 r/b=2 r/c=2"), &[], "host/files-exist");
    assert_eq!(
        said(&stand, &told),
        "a specified file already exists at this location and was not installed by this deployment group: D/a (and 2 \
         more): remove it, or set `file_exists_behavior` to OVERWRITE or RETAIN; nothing was changed on the host",
        "E43"
    );
    let detail = told.text("detail").replace(stand.d().to_str().unwrap(), "D");
    let (first, last) = detail.rsplit_once('\n').unwrap();
    assert_eq!(first, "D/a\nD/b", "E43");
    assert!(last.starts_with("D/c (installed by deployment d-") && last.ends_with(" of group other)"), "E43: {last}");
    assert_eq!(stand.listing(), "a=mine b=mine c=1", "E43");
}

#[test]
fn what_the_host_cannot_do_is_said_before_anything_is_touched() {
    let stand = Stand::new();
    plant(&stand.d(), "x=mine");
    let told = stand.badly(&stand.bundle(&files("r>{D}/x"), "r/a=1"), &[], "host/install-refused");
    assert_eq!(
        said(&stand, &told),
        "`D/x` is a file, and a directory is needed there (a destination is always a directory): nothing was changed on \
         the host",
        "E44"
    );
    let owner = "permissions:\n  - object: {D}/y\n    owner: no-such-user\n";
    let told = stand.badly(&stand.bundle(&format!("{}{owner}", files("r>{D}/y")), "r/a=1"), &[], "host/unknown-user");
    assert_eq!(
        said(&stand, &told),
        "item 1 of `permissions` (line 7): user `no-such-user` does not exist on this host: create it beforehand or in \
         a BeforeInstall hook; nothing was changed on the host",
        "E47"
    );
    assert_eq!(stand.listing(), "x=mine", "E44 E47");
}

#[test]
fn what_the_hosts_filesystem_or_kernel_does_not_know_is_said() {
    let stand = Stand::new();
    let context = "permissions:\n  - object: {D}\n    context:\n      user: system_u\n      type: httpd_sys_content_t\n      range: s0\n";
    if Path::new("/sys/fs/selinux/enforce").exists() {
        println!("E49 needs a host without SELinux: skipped");
    } else {
        let told = stand.well(&stand.bundle(&format!("{}{context}", files("r>{D}")), "r/a=1"), &[]);
        assert!(told.warnings().contains("SELinux is off on this host, so `context` was passed over"), "E49");
    }
    let acls = "permissions:\n  - object: {D}\n    acls: [\"u:54321:r\"]\n    type: [file]\n";
    let bundle = stand.bundle(&format!("{}{acls}", files("r>{D}")), "r/a=1");
    let told = apply_on(&stand, "mount -t ramfs none $HERE/D", &bundle, &[]);
    match told.filter(|told| !told.text("code").is_empty()) {
        Some(told) => assert_eq!(
            said(&stand, &told),
            "item 1 of `permissions` (line 7): `D/a` is on a filesystem without access control lists, which `acls` needs: \
             nothing was changed on the host",
            "E48"
        ),
        None => println!("E48 needs root and a filesystem without access control lists: skipped"),
    }
}

#[test]
fn an_object_that_cannot_be_read_says_who_refused_what() {
    let stand = Stand::new();
    let buckets = Buckets::start();
    buckets.replace("site/b.tgz", b"x");
    let at = [
        ("AWS_ENDPOINT_URL_S3", buckets.url()),
        ("AWS_ACCESS_KEY_ID", "A"),
        ("AWS_SECRET_ACCESS_KEY", "S"),
        ("AWS_REGION", "eu-west-1"),
    ];
    for (status, code, says) in [
        (403, "AccessDenied", "bucket `revisions` refused `s3:GetObject` on `site/b.tgz`: AccessDenied"),
        (301, "PermanentRedirect", "bucket `revisions` is not in eu-west-1, but in us-east-2"),
    ] {
        buckets.fails("get", status, code, 1);
        let told = apply(&stand, "s3://revisions/site/b.tgz", &at, &[]);
        assert!(told.exit == 3 && told.errors.contains(says), "E52: {}", told.errors);
    }
}

#[test]
fn a_script_that_is_killed_and_users_that_are_not_there_are_said() {
    let stand = Stand::new();
    let told = one(&stand, "", "#!/bin/sh\nkill -9 $$\n");
    assert_eq!(
        said(&stand, &told),
        "`a.sh` was killed by signal 9 (SIGKILL) in AfterInstall: see who ended it: when memory runs out, the kernel's \
         log says so",
        "E66"
    );
    let told = one(&stand, "      runas: deploy-nobody\n", "#!/bin/sh\n");
    assert_eq!(
        said(&stand, &told),
        "`a.sh` in AfterInstall runs as `deploy-nobody`, and there is no such user on this host: create the user",
        "E70"
    );
    if nix::unistd::Uid::effective().is_root() {
        println!("E71 needs an ordinary user: skipped");
        return;
    }
    let told = one(&stand, "      runas: root\n", "#!/bin/sh\n");
    let own = landfall::engine::host::Account::own().name;
    assert_eq!(
        said(&stand, &told),
        format!(
            "`a.sh` in AfterInstall runs as `root`, and the engine runs as `{own}`, which is not root: run the engine as \
             root, or remove `runas`"
        ),
        "E71"
    );
}

#[test]
fn an_interpreter_that_is_not_there_is_named_however_it_is_asked_for() {
    let stand = Stand::new();
    for (line, name) in [
        ("#!/usr/bin/no-such-php", "/usr/bin/no-such-php"),
        ("#!/usr/bin/env no-such-php", "no-such-php"),
        ("#!/usr/bin/env -S no-such-php -d x=1", "no-such-php"),
        ("#!/usr/bin/env /opt/no-such-php", "/opt/no-such-php"),
        ("#!/usr/bin/env sh -e", "sh -e"),
    ] {
        let told = one(&stand, "", &format!("{line}\n"));
        assert_eq!(
            said(&stand, &told),
            format!(
                "`a.sh` wants the interpreter `{name}`, which is not on this host: install it, or change the script's \
                 first line"
            ),
            "E63 {line}"
        );
    }
    for line in ["#!/usr/bin/env sh", "#!/usr/bin/env -S sh -e", "#!/usr/bin/env -S X=1 sh"] {
        let told = one(&stand, "", &format!("{line}\nexit 0\n"));
        let message = told.text("message");
        assert!(!message.contains("interpreter"), "E63 {line}: {message}");
    }
}

#[test]
fn each_script_has_a_header_with_what_it_runs_in() {
    let stand = Stand::new();
    let bundle = stand.bundle(&hook("AfterInstall", &["a.sh"]), "");
    stand.script(&bundle, "a.sh", "#!/bin/sh\necho \"$(id -un) $(pwd) $PATH\"\n");
    let told = stand.well(&bundle, &[]);
    let log = stand.log(&told);
    let said = log.lines().find_map(|line| line.strip_prefix("[stdout]")).unwrap();
    let (who, rest) = said.split_once(' ').unwrap();
    let (place, path) = rest.split_once(' ').unwrap();
    let header = format!("Script - a.sh\n[landfall]runs as {who} in {place} with PATH={path}\n");
    assert!(log.contains(&header), "E77: {log}");
    assert!(fs::canonicalize(place).unwrap().ends_with("deployment-archive"), "E77 D15: {place}");
}
