//! `files`: what lands where, what is in the way, what is removed again, and with which owner and mode.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::stand::{Stand, plant};

const TA: &str = "my-file.txt=1 my-file-2.txt=2 my-file-3.txt=3";
const TB: &str = "my-folder/my-file.txt=1 my-folder/my-file-2.txt=2 my-folder/my-file-3.txt=3";
const WHOLE: &str = "files:\n  - source: /\n    destination: {D}\n";

/// The body of an AppSpec that copies these: `source>destination`.
fn files(pairs: &str) -> String {
    let item = |pair: &str| {
        let (source, destination) = pair.split_once('>').unwrap();
        format!("  - source: {source}\n    destination: {destination}\n")
    };
    format!("files:\n{}", pairs.split_whitespace().map(item).collect::<String>())
}

#[track_caller]
fn lands(id: &str, pairs: &str, tree: &str, prior: &str, expected: &str) {
    let stand = Stand::new();
    plant(&stand.d().join("x").with_file_name(""), prior);
    let told = stand.apply(&stand.bundle(&files(pairs), tree), &[]);
    assert_eq!(told.exit, 0, "{id}: {:#}", told.json);
    assert_eq!(stand.listing(), expected, "{id}");
}

#[track_caller]
fn refused(id: &str, pairs: &str, tree: &str, prior: &str, says: &str) {
    let stand = Stand::new();
    plant(&stand.d(), prior);
    let before = stand.listing();
    let told = stand.apply(&stand.bundle(&files(pairs), tree), &[]);
    assert_eq!((told.exit, told.text("status")), (1, "Failed"), "{id}: {:#}", told.json);
    let all = format!("{}\n{}", told.text("message"), told.text("detail"));
    assert!(all.contains(says), "{id}: {all}");
    assert_eq!(stand.listing(), before, "{id}: nothing is touched");
    assert_eq!(stand.d().exists(), !prior.is_empty(), "{id}: not even the destination is made");
}

#[test]
fn the_guides_nine_examples_land_as_it_says() {
    let three = "my-file-2.txt=2 my-file-3.txt=3 my-file.txt=1";
    let folder = |name: &str| format!("{name}/ {0}", three.replace("my-", &format!("{name}/my-")));
    lands("F01", "./my-file.txt>{D}", TA, "", "my-file.txt=1");
    lands("F02", "my-file-2.txt>{D} my-file-3.txt>{D}", TA, "", "my-file-2.txt=2 my-file-3.txt=3");
    lands("F03", "/>{D}", TA, "", &format!("appspec.yml=… {three}"));
    lands("F04", "./my-folder>{D}", TB, "", three);
    lands("F05", "./my-folder>{D}/my-folder", TB, "", &folder("my-folder"));
    lands("F06", "./my-folder>{D}/other-folder", TB, "", &folder("other-folder"));
    let two = "./my-folder/my-file-2.txt>{D}/N ./my-folder/my-file-3.txt>{D}/N";
    for (id, name) in [("F07", "my-folder"), ("F08", "other-folder")] {
        let expected = format!("{name}/ {name}/my-file-2.txt=2 {name}/my-file-3.txt=3");
        lands(id, &two.replace('N', name), TB, "", &expected);
    }
}

#[test]
fn the_ninth_example_replaces_and_records_what_it_wrote() {
    let stand = Stand::new();
    plant(&stand.d(), "my-folder/my-file.txt=old");
    stand.well(&stand.bundle(&format!("{WHOLE}file_exists_behavior: OVERWRITE\n"), TB), &[]);
    assert_eq!(
        stand.listing(),
        "appspec.yml=… my-folder/ my-folder/my-file-2.txt=2 my-folder/my-file-3.txt=3 my-folder/my-file.txt=1"
    );
    assert_eq!(
        stand.manifest(),
        "D/appspec.yml D/my-folder/my-file-2.txt D/my-folder/my-file-3.txt D/my-folder/my-file.txt"
    );
}

#[test]
fn sources_and_destinations_mean_what_the_guide_says() {
    let config = "Config/config.txt>{D}/Config source>{D}/myApp";
    lands(
        "F10",
        config,
        "Config/config.txt=c source/a=1 source/s/b=2",
        "",
        "Config/ Config/config.txt=c myApp/ myApp/a=1 myApp/s/ myApp/s/b=2",
    );
    lands("F11", ".aws/crontab>{D}/www-data", ".aws/crontab=c", "", "www-data/ www-data/crontab=c");
    lands("F12", "bin>{D}", "bin/x=1", "", "x=1");
    lands("F13", "bin>{D}/bin", "bin/x=1", "", "bin/ bin/x=1");
    for source in [".", "./", "\"\""] {
        lands("F14", &format!("{source}>{{D}}"), "x=1", "", "appspec.yml=… x=1");
    }
    lands("F15", "/x>{D}", "x/y=1", "", "y=1");
    lands("F16", "my-file.txt>{D}/sub/", TA, "", "sub/ sub/my-file.txt=1");
    lands("F17", "/>{D}", "e/", "", "appspec.yml=… e/");
    lands("F18", "/>{D}", ".git/config=c .env=e", "", ".env=e .git/ .git/config=c appspec.yml=…");
    lands("F25", "a>{D}/p a>{D}/q", "a/x=1", "", "p/ p/x=1 q/ q/x=1");
    lands("F30", "/>{D}", "t.txt=t l->t.txt dang->nowhere", "", "appspec.yml=… dang->nowhere l->t.txt t.txt=t");
    lands("F31", "/>{D}", "d/f=1 ld->d", "", "appspec.yml=… d/ d/f=1 ld->d");
    lands("X11", "a>{D}", "a/x=1", "other=o", "other=o x=1");
}

#[test]
fn what_cannot_land_is_refused_before_anything_is_touched() {
    refused(
        "F19",
        "my-file.txt>{D} nope.txt>{D}",
        TA,
        "",
        "item 2 of `files` (line 6, source `nope.txt`) is not in the bundle",
    );
    refused("F20", "\"*.txt\">{D}", TA, "", "wildcards");
    refused("F21", "../../x>{D}", TA, "", "leaves the bundle");
    refused("F22", "my-file.txt>rel/dir", TA, "", "not absolute");
    refused("F23", "a/x>{D} b/x>{D}", "a/x=1 b/x=2", "", "has two sources: item 1 of `files`");
    refused("F24", "a>{D} b>{D}", "a/x=1 b/x=2", "", "has two sources");
    refused("F26", "a>{D} b>{D}", "a=1 b/a/z=2", "", "would be both a file and a directory");
    refused("F27", "b>{D} a>{D}", "a=1 b/a/z=2", "", "would be both a file and a directory");
    refused("F28", "d>{D}/x", "d/f=1", "x=mine", "a destination is always a directory");
    refused("F29", "x>{D}", "x=1", "x/keep=k", "is a directory");
    refused("F32", "/>{D}", "out->/etc/passwd", "", "outside the bundle");
    refused("F32 chained", "/>{D}", "d/up->.. d/out->up/../x", "", "outside the bundle");
    refused("F39", "my-file.txt/>{D}", TA, "", "is a file, not a directory");
    refused("X01", "/>{D}", TA, "my-file.txt=old", "D/my-file.txt");
    refused("X14", "/>{D}", TA, "my-file.txt=old my-file-2.txt=old", "my-file-2.txt\n");
    refused("X18", "x>{D}", "x=1", "x->nowhere", "already exists");
}

#[test]
fn modes_and_times_are_kept_and_destinations_may_be_links() {
    let stand = Stand::new();
    fs::create_dir(stand.path("real")).unwrap();
    std::os::unix::fs::symlink(stand.path("real"), stand.d()).unwrap();
    let bundle = stand.bundle(WHOLE, "p/x=1");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(bundle.join("p/x")).unwrap().set_modified(time).unwrap();
    fs::set_permissions(bundle.join("p/x"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(bundle.join("p"), fs::Permissions::from_mode(0o700)).unwrap();
    stand.well(&bundle, &[]);
    let about = fs::metadata(stand.path("real/p/x")).unwrap();
    assert_eq!((about.mode() & 0o7777, about.modified().unwrap()), (0o751, time), "F34");
    assert_eq!(fs::metadata(stand.path("real/p")).unwrap().mode() & 0o7777, 0o700, "F34");
    assert!(stand.d().is_symlink(), "F38");
}

#[test]
fn files_that_are_not_ours_are_kept_or_replaced_as_asked() {
    for (id, spec, option, expected) in [
        ("X02", "", "OVERWRITE", "1"),
        ("X03", "", "RETAIN", "old"),
        ("X04", "RETAIN", "OVERWRITE", "old"),
        ("X05", "OVERWRITE", "RETAIN", "1"),
        ("X08", "", "overwrite", "1"),
    ] {
        let stand = Stand::new();
        plant(&stand.d(), "my-file.txt=old");
        let line = if spec.is_empty() { String::new() } else { format!("file_exists_behavior: {spec}\n") };
        let told = stand.well(&stand.bundle(&format!("{WHOLE}{line}"), TA), &["-b", option]);
        assert!(stand.listing().ends_with(&format!("my-file.txt={expected}")), "{id}: {}", stand.listing());
        assert_eq!(stand.manifest().contains("my-file.txt"), expected == "1", "{id}");
        let displaced = std::path::Path::new(told.text("log")).ancestors().nth(2).unwrap().join("displaced/0");
        assert_eq!(fs::read_to_string(displaced).ok().as_deref(), (expected == "1").then_some("old"), "{id}");
    }
    let stand = Stand::new();
    plant(&stand.d(), "my-file.txt=old");
    let bundle = stand.bundle(&format!("{WHOLE}file_exists_behavior: DISALLOW\n"), TA);
    stand.badly(&bundle, &["-b", "OVERWRITE"], "host/files-exist");
    assert_eq!(stand.apply(&bundle, &["-b", "FOO"]).exit, 2, "X09");
}

#[test]
fn a_replaced_link_does_not_change_what_it_pointed_to() {
    let stand = Stand::new();
    plant(&stand.path(""), "target=T");
    plant(&stand.d(), &format!("x->{}", stand.path("target").display()));
    stand.well(&stand.bundle(&files("x>{D}"), "x=new"), &["-b", "OVERWRITE"]);
    assert_eq!(stand.listing(), "x=new", "X12");
    assert_eq!(fs::read_to_string(stand.path("target")).unwrap(), "T");
}

#[test]
fn only_what_the_previous_revision_wrote_is_removed() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=1 r/b=1 r/sub/c=1"), &[]);
    plant(&stand.d(), "sub/gen=g e.txt=e");
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=2"), &[]);
    assert_eq!(stand.listing(), "a=2 e.txt=e sub/ sub/gen=g", "K01 K02");
    plant(&stand.d(), "b=mine");
    let third = stand.bundle(&files("r>{D}"), "r/a=3 r/b=3");
    let manifest = stand.manifest();
    stand.badly(&third, &[], "host/files-exist");
    assert_eq!(stand.listing(), "a=2 b=mine e.txt=e sub/ sub/gen=g", "K03");
    assert_eq!(stand.manifest(), manifest, "K03");
    stand.well(&third, &["-b", "OVERWRITE"]);
    assert_eq!(stand.listing(), "a=3 b=3 e.txt=e sub/ sub/gen=g", "K04");
    stand.well(&third, &[]);
    fs::remove_file(stand.d().join("b")).unwrap();
    stand.well(&third, &[]);
    assert_eq!(stand.listing(), "a=3 b=3 e.txt=e sub/ sub/gen=g", "K05 K06");
    stand.well(&stand.bundle("", ""), &[]);
    assert_eq!(stand.listing(), "e.txt=e sub/ sub/gen=g", "F35");
}

#[test]
fn paths_that_changed_their_kind_are_somebody_elses() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/dir/x=1 r/l=1"), &[]);
    fs::remove_dir_all(stand.d().join("dir")).unwrap();
    fs::remove_file(stand.d().join("l")).unwrap();
    plant(&stand.d(), "dir=user");
    plant(&stand.path(""), "target=T");
    std::os::unix::fs::symlink(stand.path("target"), stand.d().join("l")).unwrap();
    let told = stand.well(&stand.bundle(&files("r>{D}"), "r/a=2"), &[]);
    assert_eq!(stand.listing(), "a=2 dir=user", "K07 K08");
    assert!(told.warnings().contains("no longer what an earlier deployment installed"), "{}", told.warnings());
    assert_eq!(fs::read_to_string(stand.path("target")).unwrap(), "T", "K08");
}

#[test]
fn a_file_of_ours_may_become_a_directory_and_back() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/x=1"), &[]);
    stand.well(&stand.bundle(&files("r>{D}"), "r/x/y=2"), &[]);
    assert_eq!(stand.listing(), "x/ x/y=2");
    stand.well(&stand.bundle(&files("r>{D}"), "r/x=3"), &[]);
    assert_eq!(stand.listing(), "x=3");
}

#[test]
fn names_with_line_ends_and_blanks_are_removed_exactly() {
    let stand = Stand::new();
    let bundle = stand.bundle(&files("r>{D}"), "r/");
    for name in ["new\nline", " lead", "trail "] {
        fs::write(bundle.join("r").join(name), "x").unwrap();
    }
    stand.well(&bundle, &[]);
    assert!(stand.d().join("new\nline").is_file() && stand.d().join("trail ").is_file());
    stand.well(&stand.bundle("", ""), &[]);
    assert_eq!(stand.listing(), "", "K09");
}

#[test]
fn another_group_is_named_when_its_files_are_in_the_way() {
    let stand = Stand::new();
    let bundle = stand.bundle(&files("a>{D}"), "a=1");
    let first = stand.well(&bundle, &["-g", "G1"]);
    let told = stand.badly(&bundle, &["-g", "G2"], "host/files-exist");
    assert!(told.text("message").contains("of group G1"), "X15: {}", told.text("message"));
    assert!(told.text("message").contains(first.text("deployment_id")), "X15: {}", told.text("message"));
}

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

#[test]
fn an_install_that_died_on_the_way_is_cleaned_by_the_next() {
    for (stage, planted, expected) in
        [("staging", ".d-X.0.new=n .d-X.1.new=n", "z=3"), ("switching", "b=n .d-X.1.new=n", "z=3")]
    {
        let stand = Stand::new();
        stand.well(&stand.bundle(&files("r>{D}"), "r/a=1"), &[]);
        let path = stand.path("root/deployment-instructions/default-local-deployment-group-cleanup");
        let done: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let entry = |name: &str, at: u32| serde_json::json!({ "path": stand.d().join(name), "kind": "file", "staged": format!(".d-X.{at}.new") });
        let torn = serde_json::json!({
            "run": "d-X", "stage": stage, "before": done["entries"], "entries": [entry("b", 0), entry("c", 1)],
        });
        fs::write(&path, torn.to_string()).unwrap();
        plant(&stand.d(), planted);
        // While b was only staged, a file of that name is somebody else's.
        let foreign = stage == "staging";
        if foreign {
            plant(&stand.d(), "b=user");
        }
        stand.well(&stand.bundle(&files("r>{D}"), "r/z=3"), &[]);
        let expected = if foreign { format!("b=user {expected}") } else { expected.to_owned() };
        assert_eq!(stand.listing(), expected, "K10 {stage}");
    }
}
