//! The AppSpecs that people meet first: of AWS's tutorials and of the article this project began with, in temporary
//! directories. Each is deployed, deployed again, fails, and goes back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use landfall::engine::host::Account;

use super::stand::{Stand, plant};

/// A stand that other users can enter, and the users that stand for `root` and the web server's.
#[expect(clippy::print_stdout, reason = "what is skipped is named")]
fn stand() -> (Stand, String, String) {
    let stand = Stand::new();
    fs::set_permissions(stand.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let own = Account::own();
    let other = ["www-data", "daemon"].into_iter().find(|name| Account::named(name).is_some());
    let web = other.filter(|_| Account::can_change()).map_or_else(|| own.name.clone(), str::to_owned);
    if !Account::can_change() {
        println!("not root: all scripts run as {}", own.name);
    }
    (stand, own.name, web)
}

/// What the scripts said, in order.
fn said(stand: &Stand) -> String {
    let said = fs::read_to_string(stand.path("said")).unwrap_or_default().replace('\n', " ");
    fs::write(stand.path("said"), "").unwrap();
    said
}

fn say(stand: &Stand, bundle: &Path, name: &str, words: &str) {
    fs::write(stand.path("said"), "").unwrap();
    fs::set_permissions(stand.path("said"), fs::Permissions::from_mode(0o666)).unwrap();
    stand.script(bundle, name, &format!("#!/bin/bash\n{words}\necho $(basename $0 .sh) >> {{HERE}}/said\n"));
}

#[test]
fn the_wordpress_tutorial_deploys_updates_and_goes_back() {
    let (stand, root, _) = stand();
    let wordpress = |title: &str, start: &str| -> PathBuf {
        let script = |name: &str, more: &str| {
            format!("    - location: scripts/{name}.sh\n      timeout: 300\n      runas: {root}\n{more}")
        };
        let body = format!(
            "files:\n  - source: /\n    destination: {{D}}/WordPress\nhooks:\n  BeforeInstall:\n{}  AfterInstall:\n{}  \
             ApplicationStart:\n{}{}  ApplicationStop:\n{}",
            script("install_dependencies", ""),
            script("change_permissions", ""),
            script("start_server", ""),
            script("create_test_db", ""),
            script("stop_server", ""),
        );
        let bundle = stand.bundle(&body, "wp-admin/index.php=admin wp-content/themes/style.css=css");
        fs::write(bundle.join("wp-config.php"), title).unwrap();
        say(&stand, &bundle, "scripts/install_dependencies.sh", "");
        say(&stand, &bundle, "scripts/change_permissions.sh", "chmod -R 777 {D}/WordPress");
        say(&stand, &bundle, "scripts/start_server.sh", start);
        say(&stand, &bundle, "scripts/create_test_db.sh", "");
        say(&stand, &bundle, "scripts/stop_server.sh", "");
        bundle
    };
    let page = || fs::read_to_string(stand.d().join("WordPress/wp-config.php")).unwrap();
    let first = wordpress("one", "");
    stand.well(&first, &[]);
    assert_eq!(said(&stand), "install_dependencies change_permissions start_server create_test_db ");
    assert_eq!(page(), "one");
    // The uploads that WordPress makes are nobody's to remove.
    fs::write(stand.d().join("WordPress/wp-content/upload.png"), "mine").unwrap();
    stand.well(&first, &[]);
    assert_eq!(said(&stand), "stop_server install_dependencies change_permissions start_server create_test_db ", "R90");
    stand.badly(&wordpress("two", "exit 1"), &[], "host/script-failed");
    assert_eq!(
        (page().as_str(), said(&stand).as_str()),
        ("two", "stop_server install_dependencies change_permissions ")
    );
    stand.well(&first, &[]);
    assert_eq!(page(), "one", "R91");
    assert_eq!(fs::read_to_string(stand.d().join("WordPress/wp-content/upload.png")).unwrap(), "mine");
}

#[test]
fn the_hello_world_tutorial_deploys_updates_and_goes_back() {
    let (stand, ..) = stand();
    let hello = |text: &str, works: bool| {
        let body = "files:\n  - source: /index.html\n    destination: {D}/wwwroot\nhooks:\n  BeforeInstall:\n    - location: /before-install.sh\n      timeout: 900\n";
        let bundle = stand.bundle(body, &format!("index.html={text}"));
        say(&stand, &bundle, "before-install.sh", if works { "" } else { "exit 2" });
        bundle
    };
    let page = || fs::read_to_string(stand.d().join("wwwroot/index.html")).unwrap();
    let first = hello("one", true);
    stand.well(&first, &[]);
    stand.well(&first, &[]);
    stand.well(&hello("two", true), &[]);
    assert_eq!(page(), "two");
    stand.badly(&hello("three", false), &[], "host/script-failed");
    assert_eq!(page(), "two", "BeforeInstall failed: the old page is still there");
    stand.well(&first, &[]);
    assert_eq!(page(), "one", "R91");
    assert_eq!(stand.listing(), "wwwroot/ wwwroot/index.html=one");
}

#[test]
fn the_articles_application_deploys_updates_and_goes_back() {
    let (stand, root, web) = stand();
    let group = if Account::can_change() { web.clone() } else { group_of(&stand) };
    let site = |title: &str, works: bool| {
        let hook = |name: &str, timeout: u32, user: &str| {
            format!("    - location: .aws/{name}.sh\n      timeout: {timeout}\n      runas: {user}\n")
        };
        let body = format!(
            "files:\n  - source: /\n    destination: {{D}}/example.com\npermissions:\n  - object: {{D}}/example.com\n    \
             pattern: \"**\"\n    owner: {web}\n    group: {group}\n    type:\n      - directory\n      - file\nhooks:\n  \
             ApplicationStop:\n{}  BeforeInstall:\n{}  AfterInstall:\n{}{}  ApplicationStart:\n{}",
            hook("application-stop", 30, &root),
            hook("before-install", 300, &root),
            hook("after-install-www-data", 300, &web),
            hook("after-install-root", 30, &root),
            hook("application-start", 30, &root),
        );
        let bundle = stand.bundle(&body, "");
        plant(&bundle, "public/index.php=php .aws/crontab=cron vendor/");
        fs::write(bundle.join("public/title"), title).unwrap();
        say(&stand, &bundle, ".aws/application-stop.sh", "");
        // The article's own trap: what is made in the archive before Install is installed with it (D19).
        say(&stand, &bundle, ".aws/before-install.sh", "mkdir -p vendor && echo lib > vendor/autoload.php");
        say(
            &stand,
            &bundle,
            ".aws/after-install-www-data.sh",
            "(cd {D}/example.com && test -r vendor/autoload.php && id -un > public/who)",
        );
        let here = "SCRIPT_PATH=\"$( cd \"$( dirname \"${BASH_SOURCE[0]}\" )\" && pwd )\"\ncp ${SCRIPT_PATH}/crontab {D}/crontab";
        say(&stand, &bundle, ".aws/after-install-root.sh", here);
        say(&stand, &bundle, ".aws/application-start.sh", if works { "" } else { "exit 7" });
        bundle
    };
    let read = |name: &str| fs::read_to_string(stand.d().join("example.com").join(name)).unwrap_or_default();
    fs::create_dir_all(stand.d()).unwrap();
    let first = site("one", true);
    stand.well(&first, &[]);
    assert_eq!(said(&stand), "before-install after-install-www-data after-install-root application-start ");
    assert_eq!((read("public/title").as_str(), read("vendor/autoload.php").as_str()), ("one", "lib\n"));
    assert_eq!(read("public/who").trim(), web, "no login shell is needed");
    assert_eq!(fs::read_to_string(stand.d().join("crontab")).unwrap(), "cron");
    stand.well(&first, &[]);
    assert!(said(&stand).starts_with("application-stop before-install "), "R90");
    let told = stand.badly(&site("two", false), &[], "host/script-failed");
    assert!(told.text("message").contains("exit code 7"), "{}", told.text("message"));
    stand.well(&first, &[]);
    assert_eq!(read("public/title"), "one", "R91");
}

/// The present user's group, by the file system's word.
fn group_of(stand: &Stand) -> String {
    use std::os::unix::fs::MetadataExt;
    let gid = fs::metadata(stand.path("")).unwrap().gid();
    nix::unistd::Group::from_gid(gid.into()).unwrap().map_or_else(|| gid.to_string(), |group| group.name)
}
