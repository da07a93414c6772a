//! What happens to files that are there already and not ours, and how a rollback brings them back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::files::TA;
use super::stand::{CLEANUP, Stand, WHOLE, files, plant};

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
fn another_group_is_named_when_its_files_are_in_the_way() {
    let stand = Stand::new();
    let bundle = stand.bundle(&files("a>{D}"), "a=1");
    let first = stand.well(&bundle, &["-g", "G1"]);
    let told = stand.badly(&bundle, &["-g", "G2"], "host/files-exist");
    assert!(told.text("message").contains("of group G1"), "X15: {}", told.text("message"));
    assert!(told.text("message").contains(first.text("deployment_id")), "X15: {}", told.text("message"));
}

/// The body of an AppSpec that copies `r` and says what happens to files that exist.
fn copies(behavior: &str) -> String {
    format!("{}file_exists_behavior: {behavior}\n", files("r>{D}"))
}

const FAILS: &str = "hooks:\n  ValidateService:\n    - location: no.sh\n";

/// A bundle whose deployment fails once its files are installed.
fn failing(stand: &Stand, behavior: &str, tree: &str) -> std::path::PathBuf {
    let bundle = stand.bundle(&format!("{}{FAILS}", copies(behavior)), tree);
    stand.script(&bundle, "no.sh", "#!/bin/sh\nexit 1\n");
    bundle
}

#[test]
fn a_rollback_gives_the_user_back_what_the_failed_revision_replaced() {
    let stand = Stand::new();
    plant(&stand.d(), "conf=user link->conf");
    fs::set_permissions(stand.d().join("conf"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::symlink_metadata(stand.d().join("conf")).unwrap();
    let first = stand.well(&stand.bundle(&copies("RETAIN"), "r/conf=1 r/a=1"), &[]);
    assert_eq!(stand.listing(), "a=1 conf=user link->conf");
    stand.badly(&failing(&stand, "OVERWRITE", "r/conf=2 r/link=2 r/b=2"), &[], "host/script-failed");
    assert_eq!(stand.listing(), "b=2 conf=2 link=2");
    let story = stand.roll_back(&first);
    assert_eq!((stand.listing().as_str(), story.warnings), ("a=1 conf=user link->conf", vec![]), "B04");
    let after = fs::symlink_metadata(stand.d().join("conf")).unwrap();
    assert_eq!((after.mode(), after.modified().unwrap()), (before.mode(), before.modified().unwrap()), "B04");
    assert_eq!(stand.manifest(), "D/a", "B04: the user's file is the user's");
    stand.well(&stand.bundle("", ""), &[]);
    assert_eq!(stand.listing(), "conf=user link->conf");
}

#[test]
fn only_a_rollback_brings_back_and_only_what_came_after_its_target() {
    let stand = Stand::new();
    plant(&stand.d(), "x=user");
    let first = stand.well(&stand.bundle(&copies("OVERWRITE"), "r/x=1"), &[]);
    plant(&stand.d(), "y=user");
    stand.badly(&failing(&stand, "OVERWRITE", "r/x=2 r/y=2"), &[], "host/script-failed");
    // Neither the next failure nor a plain redeployment is a rollback.
    stand.badly(&failing(&stand, "DISALLOW", "r/x=3 r/y=3"), &[], "host/script-failed");
    stand.well(&stand.bundle(&copies("DISALLOW"), "r/x=4"), &[]);
    assert_eq!(stand.listing(), "x=4");
    stand.roll_back(&first);
    assert_eq!(stand.listing(), "x=1 y=user", "B05: `x` was displaced by the target itself");
    let manifest = fs::read_to_string(stand.path(CLEANUP)).unwrap();
    assert!(!manifest.contains("/y"), "nothing is kept for `y` any more: {manifest}");
}

#[test]
fn a_rollback_plans_as_if_the_displaced_file_stood_there() {
    let stand = Stand::new();
    let oldest = stand.well(&stand.bundle(&copies("DISALLOW"), "r/x=0"), &[]);
    let first = stand.well(&stand.bundle(&copies("DISALLOW"), "r/z=1"), &[]);
    plant(&stand.d(), "x=user");
    stand.badly(&failing(&stand, "OVERWRITE", "r/x=2"), &[], "host/script-failed");
    let target = first.run();
    let story = stand.again(&oldest, |intent| intent.options.rolls_back_to = Some(target.clone()));
    assert_eq!(story.end.unwrap().failure.unwrap().code, "host/files-exist");
    assert_eq!(stand.listing(), "x=2", "nothing was touched");
    let story = stand.again(&oldest, |intent| {
        intent.options.rolls_back_to = Some(target.clone());
        intent.bundle = stand.bundle(&copies("OVERWRITE"), "r/x=0");
    });
    assert_eq!(story.end.unwrap().failure, None);
    assert_eq!(stand.listing(), "x=0", "the user's file stays kept");
    stand.roll_back(&first);
    assert_eq!(stand.listing(), "x=user z=1");
}

#[test]
fn what_cannot_return_is_told_with_the_place_where_it_is_kept() {
    let stand = Stand::new();
    plant(&stand.d(), "x=user d/y=user e/z=user");
    let first = stand.well(&stand.bundle("", ""), &[]);
    let failed = stand.badly(&failing(&stand, "OVERWRITE", "r/x=2 r/d/y=2 r/e/z=2"), &[], "host/script-failed");
    stand.well(&stand.bundle("", ""), &[]);
    assert_eq!(stand.listing(), "d/ e/");
    for name in ["d", "e"] {
        fs::remove_dir(stand.d().join(name)).unwrap();
    }
    plant(&stand.d(), "x=newer e=newer");
    let story = stand.roll_back(&first);
    assert_eq!(stand.listing(), "d/ d/y=user e=newer x=newer", "a directory that is gone is made again");
    let warnings = story.warnings.join("\n");
    let kept = stand.run_dir(&failed).path().join("displaced/2");
    let told = format!("does not return: there is another file now; it is kept as `{}`", kept.display());
    assert!(warnings.contains(&told), "{warnings}");
    assert!(warnings.contains("e/z`, which deployment"), "{warnings}");
    assert!(warnings.contains("does not return: its directory is gone"), "{warnings}");
    assert_eq!(fs::read_to_string(kept).unwrap(), "user");
}

#[test]
fn displaced_files_outlive_the_archive_that_displaced_them() {
    let stand = Stand::new();
    fs::write(stand.path("agent.yml"), ":max_revisions: 1\n").unwrap();
    let config = stand.path("agent.yml");
    let options = ["-c", config.to_str().unwrap()];
    plant(&stand.d(), "x=user");
    let first = stand.well(&stand.bundle(&copies("RETAIN"), "r/a=1"), &options);
    let failed = stand.badly(&failing(&stand, "OVERWRITE", "r/x=2"), &options, "host/script-failed");
    for _ in 0..4 {
        stand.badly(&failing(&stand, "DISALLOW", "r/x=3"), &options, "host/script-failed");
    }
    stand.roll_back(&first);
    assert_eq!(stand.listing(), "a=1 x=user");
    stand.well(&stand.bundle("", ""), &options);
    assert!(!stand.run_dir(&failed).path().exists(), "once they are back, its time is over");
}

#[test]
fn content_that_the_ids_of_the_guide_decide() {
    let stand = Stand::new();
    plant(&stand.d(), "my-file.txt=old");
    let disallows = stand.bundle(&format!("{WHOLE}file_exists_behavior: DISALLOW\n"), TA);
    stand.badly(&disallows, &["-b", "OVERWRITE"], "host/files-exist");
    assert_eq!(stand.listing(), "my-file.txt=old", "X06");
    let stand = Stand::new();
    stand.well(&stand.bundle(&copies("DISALLOW"), "r/a=1"), &[]);
    plant(&stand.d(), "new=user");
    let second = stand.bundle(&files("r>{D}"), "r/a=2 r/new=2");
    stand.badly(&second, &[], "host/files-exist");
    assert_eq!(stand.listing(), "a=1 new=user", "X17");
    stand.well(&second, &["-b", "OVERWRITE"]);
    assert_eq!(stand.listing(), "a=2 new=2", "X17");
}

#[test]
fn a_group_that_is_made_anew_by_the_same_name_still_owns_its_files() {
    let stand = Stand::new();
    let bundle = stand.bundle(&files("a>{D}"), "a=1");
    stand.well(&bundle, &["-g", "blog"]);
    fs::remove_dir_all(stand.path("root/blog")).unwrap();
    stand.well(&bundle, &["-g", "blog"]);
    assert_eq!(stand.listing(), "a=1", "X16");
}
