//! `permissions`: which of the installed files and directories get which owner, group, mode and more.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use super::stand::{Stand, files, plant};

/// The modes of what is under the destination, `mode path` a word.
fn modes(stand: &Stand) -> String {
    let words = stand.listing();
    let path = |word: &str| word.split(['=', '>']).next().unwrap().trim_end_matches('/').to_owned();
    let mode = |name: String| {
        let mode = fs::metadata(stand.d().join(&name)).unwrap().mode() & 0o7777;
        format!("{mode:o}:{name}")
    };
    words.split(' ').map(path).map(mode).collect::<Vec<_>>().join(" ")
}

#[test]
fn permissions_reach_what_is_installed_now() {
    let tree = "r/a.txt=a r/d/b.txt=b r/d/e/c.txt=c";
    let all =
        |a: &str, d: &str, b: &str, e: &str, c: &str| format!("{a}:a.txt {d}:d {b}:d/b.txt {e}:d/e {c}:d/e/c.txt");
    for (id, entry, expected) in [
        ("P09", "pattern: \"**\", mode: 600, type: [file]", all("600", "755", "600", "755", "600")),
        ("P10", "pattern: \"*\", mode: 600, type: [file]", all("600", "755", "644", "755", "644")),
        ("P11", "mode: 700", all("700", "700", "700", "700", "700")),
        ("P12", "pattern: \"**\", mode: 700, type: [directory]", all("644", "700", "644", "700", "644")),
        ("P14", "pattern: \"e*\", mode: 700, type: [directory]", all("644", "755", "644", "700", "644")),
        (
            "P15",
            "pattern: \"**\", except: [\"d/b.txt\", \"c.txt\"], mode: 600, type: [file]",
            all("600", "755", "644", "755", "644"),
        ),
    ] {
        let stand = Stand::new();
        let body = format!("{}permissions:\n  - {{object: \"{{D}}\", {entry}}}\n", files("r>{D}"));
        let bundle = stand.bundle(&body, tree);
        for (name, mode) in [("a.txt", 0o644), ("d", 0o755), ("d/b.txt", 0o644), ("d/e", 0o755), ("d/e/c.txt", 0o644)] {
            fs::set_permissions(bundle.join("r").join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        stand.well(&bundle, &[]);
        assert_eq!(modes(&stand), expected, "{id}");
    }
}

#[test]
fn permissions_that_cannot_be_set_are_told_before_anything_is_copied() {
    let with = |entries: &str| format!("{}permissions:\n{entries}", files("r>{D}"));
    let stand = Stand::new();
    let bundle = stand.bundle(&with("  - {object: \"{D}\", owner: nosuchuser}\n"), "r/a=1");
    let told = stand.badly(&bundle, &[], "host/unknown-user");
    assert!(told.text("message").contains("user `nosuchuser` does not exist"), "P31");
    let twice = "  - {object: \"{D}\", mode: 600}\n  - {object: \"{D}/a\", mode: 644}\n";
    let told = stand.badly(&stand.bundle(&with(twice), "r/a=1"), &[], "host/install-plan");
    assert!(told.text("message").contains("items 1 and 2 of `permissions` both set the mode"), "P22");
    assert!(!stand.d().exists());
    let told = stand.well(&stand.bundle(&with("  - {object: \"{D}/nope\", mode: 600}\n"), "r/a=1"), &[]);
    assert!(told.warnings().contains("nothing of this deployment matched"), "P21");
}

/// The guide's example: one `-`, one AppSpec item, with users and groups that every Debian has.
const GUIDE: [&str; 6] = [
    "object: \"{D}\", pattern: \"*-3.txt\", owner: bin, group: mail, mode: 464, type: [file]",
    "object: \"{D}\", pattern: \"*.txt\", except: [my-file-3.txt], owner: daemon, mode: 444, type: [file]",
    "object: \"{D}/my-folder-1\", pattern: \"**\", except: [my-file-4.txt, my-file-5.txt], owner: games, mode: 646, type: [file]",
    "object: \"{D}/my-folder-2\", pattern: \"**\", except: [my-file-8.txt], owner: daemon, mode: 777, type: [file]",
    "object: \"{D}\", pattern: \"*my-folder*\", except: [\"{D}/my-folder-2/my-folder-3\"], owner: daemon, mode: 555, type: [directory]",
    "object: \"{D}/my-folder-2/my-folder-3\", group: mail, mode: 564, type: [directory]",
];

/// What those items change, in the same order.
const CHANGED: [&[(&str, &str)]; 6] = [
    &[("my-file-3.txt", "464 bin mail")],
    &[("my-file-1.txt", "444 daemon root"), ("my-file-2.txt", "444 daemon root")],
    &[("my-folder-1/my-file-6.txt", "646 games root")],
    &[("my-folder-2/my-file-7.txt", "777 daemon root"), ("my-folder-2/my-file-9.txt", "777 daemon root")],
    &[("my-folder-1", "555 daemon root"), ("my-folder-2", "555 daemon root")],
    &[("my-folder-2/my-folder-3", "564 root mail")],
];

fn permissions(items: &[&str]) -> String {
    let items: String = items.iter().map(|item| format!("  - {{{item}}}\n")).collect();
    format!("permissions:\n{items}")
}

/// Mode, owner and group, by name.
fn described(path: &Path) -> String {
    let about = fs::symlink_metadata(path).unwrap();
    let user = User::from_uid(about.uid().into()).unwrap().unwrap().name;
    let group = Group::from_gid(about.gid().into()).unwrap().unwrap().name;
    format!("{:o} {user} {group}", about.mode() & 0o7777)
}

/// Whether this is root; if not, says which cases are left out.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
fn is_root(cases: &str) -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        eprintln!("skipped, because only root may give files away: {cases}");
    }
    root
}

fn guides_tree(stand: &Stand, items: &[&str]) -> PathBuf {
    let places = "./my-file-1.txt>{D} ./my-file-2.txt>{D} ./my-file-3.txt>{D} ./my-folder-1>{D}/my-folder-1 ./my-folder-2>{D}/my-folder-2";
    let tree = "my-file-1.txt=1 my-file-2.txt=2 my-file-3.txt=3 my-folder-1/my-file-4.txt=4 my-folder-1/my-file-5.txt=5 \
                my-folder-1/my-file-6.txt=6 my-folder-2/my-file-7.txt=7 my-folder-2/my-file-8.txt=8 my-folder-2/my-file-9.txt=9 \
                my-folder-2/my-folder-3/";
    stand.bundle(&format!("{}{}", files(places), permissions(items)), tree)
}

#[test]
fn the_guides_numbered_example_comes_out_as_it_says() {
    if !is_root("P01 P02 P03 P04 P05 P06 P07") {
        return;
    }
    let each = (0..6).map(|at| (format!("P0{}", at + 1), vec![at]));
    for (id, items) in each.chain([("P07".to_owned(), (0..6).collect())]) {
        let stand = Stand::new();
        let entries: Vec<&str> = items.iter().map(|at| GUIDE[*at]).collect();
        stand.well(&guides_tree(&stand, &entries), &[]);
        let changed: BTreeMap<&str, &str> = items.iter().flat_map(|at| CHANGED[*at]).copied().collect();
        for word in stand.listing().split(' ') {
            let name = word.split('=').next().unwrap();
            let usual = if name.ends_with('/') { "755 root root" } else { "644 root root" };
            let name = name.trim_end_matches('/');
            let expected = changed.get(name).copied().unwrap_or(usual);
            assert_eq!(described(&stand.d().join(name)), expected, "{id}: {name}");
        }
        assert_eq!(described(&stand.d()), "755 root root", "{id}");
    }
}

/// The access control list of a path as the kernel holds it, `tag:id:rights` a word.
fn acl(path: &Path, kind: &str) -> String {
    let mut buffer = [0_u8; 1024];
    let Ok(length) = rustix::fs::lgetxattr(path, format!("system.posix_acl_{kind}"), &mut buffer) else {
        return String::new();
    };
    let entry = |it: &[u8]| {
        let tag = match it[0] {
            0x01 | 0x02 => "u",
            0x04 | 0x08 => "g",
            0x10 => "m",
            _ => "o",
        };
        let id = u32::from_le_bytes([it[4], it[5], it[6], it[7]]);
        let name = if id == u32::MAX { String::new() } else { id.to_string() };
        format!("{tag}:{name}:{}", it[2])
    };
    buffer[4..length].chunks(8).map(entry).collect::<Vec<_>>().join(" ")
}

#[test]
fn access_control_lists_are_set_as_in_the_guides_second_example() {
    if !is_root("P08") {
        return;
    }
    let stand = Stand::new();
    let id = |name: &str| User::from_name(name).unwrap().unwrap().uid.as_raw();
    let item = "object: \"{D}\", pattern: \"*\", except: [\"{D}/ReadMe.txt\"], owner: bin, group: mail, mode: 644, \
                acls: [\"u:games:rw\", \"u:daemon:rw\", \"m::rw\"], type: [file]";
    let body = format!("{}{}", files("r>{D}"), permissions(&[item]));
    stand.well(&stand.bundle(&body, "r/index.php=1 r/ReadMe.txt=1 r/d/x=1"), &[]);
    let (daemon, games) = (id("daemon"), id("games"));
    let index = stand.d().join("index.php");
    assert_eq!(acl(&index, "access"), format!("u::6 u:{daemon}:6 u:{games}:6 g::4 m::6 o::4"), "P08");
    assert_eq!(described(&index), "664 bin mail", "P08: the mask stands where the group's rights are shown");
    for name in ["ReadMe.txt", "d/x"] {
        assert_eq!(
            (described(&stand.d().join(name)), acl(&stand.d().join(name), "access")),
            ("644 root root".into(), String::new()),
            "P08: {name}"
        );
    }
}

#[test]
fn access_control_lists_go_with_the_mode_and_to_new_files() {
    let stand = Stand::new();
    let with = |items: &[&str]| format!("{}{}", files("r>{D}"), permissions(items));
    let cut = "object: \"{D}/a\", mode: 640, acls: [\"u:nobody:rw\"]";
    let told = stand.well(&stand.bundle(&with(&[cut]), "r/a=1"), &[]);
    let nobody = User::from_name("nobody").unwrap().unwrap().uid;
    assert_eq!(acl(&stand.d().join("a"), "access"), format!("u::6 u:{nobody}:6 g::4 m::4 o::0"), "P35");
    assert!(told.warnings().contains("add `m::rw` or alike"), "P35: {}", told.warnings());
    let default = "object: \"{D}\", acls: [\"d:u:nobody:rx\", \"g:nogroup:r\"], type: [directory]";
    let told = stand.well(&stand.bundle(&with(&[default]), "r/a=1 r/d/x=1"), &[]);
    assert!(!told.warnings().contains("m::rw"), "{}", told.warnings());
    let d = stand.d().join("d");
    let nogroup = Group::from_name("nogroup").unwrap().unwrap().gid;
    assert_eq!(acl(&d, "access"), format!("u::7 g::5 g:{nogroup}:4 m::5 o::5"));
    assert_eq!(acl(&d, "default"), format!("u::7 u:{nobody}:5 g::5 m::5 o::5"));
    let told = stand.badly(
        &stand.bundle(&with(&["object: \"{D}\", acls: [\"u:nosuchuser:r\"]"]), "r/a=1"),
        &[],
        "host/unknown-user",
    );
    assert!(told.text("message").contains("user `nosuchuser` does not exist on this host"));
    stand.badly(
        &stand.bundle(&with(&["object: \"{D}\", acls: [\"u:nobody:r\", \"u:nobody:w\"]"]), "r/a=1"),
        &[],
        "host/install-plan",
    );
    // What the AppSpec gave, it takes back.
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=1 r/d/x=1"), &[]);
    assert_eq!((acl(&d, "access"), acl(&d, "default")), (String::new(), String::new()));
}

#[test]
fn the_object_decides_what_can_match() {
    let with = |items: &[&str]| format!("{}{}", files("r>{D}"), permissions(items));
    let one = |item: &str| {
        let stand = Stand::new();
        let told = stand.well(&stand.bundle(&with(&[item]), "r/a.txt=a r/d/e/c.txt=c"), &[]);
        let d = fs::metadata(stand.d()).unwrap().mode() & 0o7777;
        (format!("{d:o}:D {}", modes(&stand)), told.warnings().contains("nothing of this deployment matched"))
    };
    let directory = "object: \"{D}\", mode: 700, type: [directory]";
    assert_eq!(one(directory), ("700:D 644:a.txt 700:d 700:d/e 644:d/e/c.txt".into(), false), "P13");
    let file = "object: \"{D}/a.txt\", mode: 600";
    assert_eq!(one(file), ("755:D 600:a.txt 755:d 755:d/e 644:d/e/c.txt".into(), false), "P17");
    let nothing = "object: \"{D}/a.txt\", mode: 600, type: [directory]";
    assert_eq!(one(nothing), ("755:D 644:a.txt 755:d 755:d/e 644:d/e/c.txt".into(), true), "P18");
    for (id, more) in [("P19", "pattern: \"*\""), ("P20", "except: [x]")] {
        let stand = Stand::new();
        let item = format!("object: \"{{D}}/a.txt\", mode: 600, {more}, type: [file]");
        let told = stand.badly(&stand.bundle(&with(&[&item]), "r/a.txt=a"), &[], "host/install-plan");
        assert!(told.text("message").contains("is a file, so `pattern` and `except` mean nothing"), "{id}");
        assert!(!stand.d().exists(), "{id}");
    }
}

#[test]
fn what_was_there_before_keeps_its_mode() {
    let stand = Stand::new();
    plant(&stand.d(), "d/");
    fs::set_permissions(stand.d().join("d"), fs::Permissions::from_mode(0o755)).unwrap();
    let body = format!("{}{}", files("r>{D}"), permissions(&["object: \"{D}\", mode: 700"]));
    stand.well(&stand.bundle(&body, "r/d/e/x=1"), &[]);
    assert_eq!(modes(&stand), "755:d 700:d/e 700:d/e/x", "P16");
    let stand = Stand::new();
    plant(&stand.d(), "my-file.txt=user");
    fs::set_permissions(stand.d().join("my-file.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    let body = format!("{}{}", files("r>{D}"), permissions(&["object: \"{D}\", mode: 600"]));
    stand.well(&stand.bundle(&body, "r/my-file.txt=1 r/x=1"), &["-b", "RETAIN"]);
    assert_eq!(modes(&stand), "644:my-file.txt 600:x", "X13");
}

#[test]
fn a_directory_of_ours_follows_the_appspec_unless_a_person_changed_it() {
    let stand = Stand::new();
    let deploy = |items: &[&str]| {
        let body = format!("{}{}", files("r>{D}"), permissions(items));
        stand.well(&stand.bundle(&if items.is_empty() { files("r>{D}") } else { body }, "r/d/x=1 r/u/y=1"), &[])
    };
    let mode = |name: &str| fs::metadata(stand.d().join(name)).unwrap().mode() & 0o7777;
    deploy(&[]);
    let told = deploy(&["object: \"{D}\", pattern: \"d\", mode: 750, type: [directory]"]);
    assert_eq!((mode("d"), told.warnings().as_str()), (0o750, "[]"), "a new item reaches a directory that is kept");
    fs::set_permissions(stand.d().join("u"), fs::Permissions::from_mode(0o770)).unwrap();
    deploy(&[]);
    assert_eq!((mode("d"), mode("u")), (0o755, 0o770), "what the AppSpec gave it takes back, what a person gave stays");
    deploy(&["object: \"{D}\", pattern: \"u\", mode: 711, type: [directory]"]);
    assert_eq!(mode("u"), 0o711);
}

#[test]
fn setuid_survives_its_owner_and_the_blogs_pair_does_not_overlap() {
    if !is_root("P23 P24") {
        return;
    }
    let with = |items: &[&str]| format!("{}{}", files("r>{D}"), permissions(items));
    let stand = Stand::new();
    let item = "object: \"{D}\", pattern: \"**\", mode: 4755, owner: daemon, type: [file]";
    stand.well(&stand.bundle(&with(&[item]), "r/a=1"), &[]);
    assert_eq!(described(&stand.d().join("a")), "4755 daemon root", "P24");
    let stand = Stand::new();
    let pair = [
        "object: \"{D}\", pattern: \"**\", mode: 4750, owner: www-data, group: www-data, type: [directory]",
        "object: \"{D}\", pattern: \"**\", mode: 640, owner: www-data, group: www-data, type: [file]",
    ];
    stand.well(&stand.bundle(&with(&pair), "r/d/x=1"), &[]);
    assert_eq!(described(&stand.d().join("d")), "4750 www-data www-data", "P23");
    assert_eq!(described(&stand.d().join("d/x")), "640 www-data www-data", "P23");
}

#[test]
fn modes_and_patterns_are_taken_by_the_letter() {
    let stand = Stand::new();
    let items = [
        "object: \"{D}\", pattern: \"a?\", mode: \"0600\", type: [file]",
        "object: \"{D}\", pattern: \"b*\", mode: 604, type: [file]",
    ];
    let body = format!("{}{}", files("r>{D}"), permissions(&items));
    stand.well(&stand.bundle(&body, "r/a1=1 r/a?=1 r/b=1"), &[]);
    assert_eq!(modes(&stand), "644:a1 600:a? 604:b", "P38 P25");
}

#[test]
fn a_script_after_install_sees_the_final_mode() {
    let stand = Stand::new();
    let hooks = "hooks:\n  AfterInstall:\n    - location: s.sh\n";
    let body = format!("{}{}{hooks}", files("r>{D}"), permissions(&["object: \"{D}\", mode: 750"]));
    let bundle = stand.bundle(&body, "r/d/x=1");
    stand.script(&bundle, "s.sh", "#!/bin/sh\nstat -c %a {D}/d {D}/d/x > {HERE}/seen\n");
    stand.well(&bundle, &[]);
    assert_eq!(fs::read_to_string(stand.path("seen")).unwrap(), "750\n750\n", "P40");
}

#[test]
fn items_that_mean_nothing_are_refused_with_the_reason() {
    for (id, item, says) in [
        ("P27", "mode: 0755", "`mode: 0755` has a leading zero without quotation marks"),
        ("P28", "mode: u+x", "symbolic modes are not known"),
        ("P33", "acls: [\"m:bob:rw\"]", "a mask has no name"),
    ] {
        let stand = Stand::new();
        let body = format!("{}permissions:\n  - object: {{D}}\n    {item}\n", files("r>{D}"));
        let told = stand.badly(&stand.bundle(&body, "r/a=1"), &[], "host/appspec");
        let all = format!("{} {}", told.text("message"), told.text("detail"));
        assert!(all.contains(says), "{id}: {all}");
        assert!(!stand.d().exists(), "{id}");
    }
}
