//! `files`: what lands where, and what cannot land.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::stand::{Stand, WHOLE, files, plant};

pub(super) const TA: &str = "my-file.txt=1 my-file-2.txt=2 my-file-3.txt=3";
const TB: &str = "my-folder/my-file.txt=1 my-folder/my-file-2.txt=2 my-folder/my-file-3.txt=3";

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
        "appspec.yml=… my-folder/ my-folder/my-file-2.txt=2 my-folder/my-file-3.txt=3 my-folder/my-file.txt=1",
        "F09"
    );
    assert_eq!(
        stand.manifest(),
        "D/appspec.yml D/my-folder/my-file-2.txt D/my-folder/my-file-3.txt D/my-folder/my-file.txt",
        "F09"
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
