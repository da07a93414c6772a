//! `permissions`: which of the installed files and directories get which owner, group, mode and more.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::stand::{Stand, files};

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
