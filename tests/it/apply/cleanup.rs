//! What the next Install removes: exactly what the one before it wrote, even one that died on the way.

use std::fs;

use landfall::engine::host::Probe;

use super::stand::{CLEANUP, Stand, files, plant};
use super::things::thing;

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
fn an_install_that_died_on_the_way_is_cleaned_by_the_next() {
    for (stage, planted, expected) in
        [("staging", ".d-X.0.new=n .d-X.1.new=n", "z=3"), ("switching", "b=n .d-X.1.new=n", "z=3")]
    {
        let stand = Stand::new();
        stand.well(&stand.bundle(&files("r>{D}"), "r/a=1"), &[]);
        let path = stand.path(CLEANUP);
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

#[test]
fn a_failed_deployments_files_are_removed_by_the_next() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=1"), &[]);
    let body = format!("{}hooks:\n  AfterInstall:\n    - location: no.sh\n", files("r>{D}"));
    let failing = stand.bundle(&body, "r/a=2 r/b=2 r/c/d=2");
    stand.script(&failing, "no.sh", "#!/bin/sh\nexit 1\n");
    stand.badly(&failing, &[], "host/script-failed");
    assert_eq!(stand.listing(), "a=2 b=2 c/ c/d=2", "K13");
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=3"), &[]);
    assert_eq!(stand.listing(), "a=3", "K13");
}

/// A probe that makes a directory where the `nth` file is about to get its name, so that it cannot.
fn stands_in_the_way(nth: u32, path: std::path::PathBuf) -> Probe {
    let passed = std::sync::atomic::AtomicU32::new(0);
    Probe::new(move |seam| {
        if seam == "install:switching" && passed.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == nth {
            let _ = fs::remove_file(&path);
            fs::create_dir(&path).unwrap();
        }
    })
}

#[test]
fn an_install_that_fails_while_files_get_their_names_is_undone() {
    let stand = Stand::new();
    stand.well(&stand.bundle(&files("r>{D}"), "r/a=1 r/kind=1 r/gone=1 r/tree/x=1"), &[]);
    plant(&stand.d(), "c=user");
    let before = stand.listing();
    let manifest = stand.manifest();
    let second = stand.bundle(&files("r>{D}"), "r/a=2 r/b=2 r/c=2 r/kind/x=2 r/tree=2 r/z=2");
    let told = stand.badly(&second, &[], "host/files-exist");
    let story = stand.again_with(
        &told,
        |intent| intent.options.file_exists_behavior = Some(landfall::domain::FileExists::Overwrite),
        stands_in_the_way(6, stand.d().join("z")),
    );
    let failure = story.end.unwrap().failure.unwrap();
    assert_eq!(failure.code, "host/install-failed", "R70: {failure}");
    fs::remove_dir(stand.d().join("z")).unwrap();
    assert_eq!(stand.listing(), before, "R70");
    assert_eq!(stand.manifest(), manifest, "R70");
    stand.well(&second, &["-b", "OVERWRITE"]);
    assert_eq!(stand.listing(), "a=2 b=2 c=2 kind/ kind/x=2 tree=2 z=2");
}

#[test]
fn an_install_that_fails_gives_directories_back_their_modes_and_lists() {
    let stand = Stand::new();
    let with = |item: &str| {
        let body = format!("{}permissions:\n  - {{object: {{D}}, type: [directory], {item}}}\n", files("r>{D}"));
        stand.bundle(&body, "r/a/ r/z/ r/f=1")
    };
    let told = stand.well(&with("mode: 770, acls: [\"u:54321:rwx\", \"d:u:54321:rx\"]"), &[]);
    let lists = |name: &str| {
        let shown = ["system.posix_acl_access", "system.posix_acl_default"].map(|list| {
            let mut bytes = [0; 256];
            let length = rustix::fs::lgetxattr(stand.d().join(name), list, &mut bytes[..]).unwrap();
            bytes[..length].to_vec()
        });
        (thing(&stand.d().join(name)), shown)
    };
    let before = lists("z");
    let second = with("mode: 700");
    let gone = stand.d().join("a");
    // The directories follow one another from the last: `z` is changed already when `a` cannot be.
    let changed = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (seen, z) = (std::sync::Arc::clone(&changed), stand.d().join("z"));
    let probe = Probe::new(move |seam| match seam {
        "install:switched" => fs::remove_dir(&gone).unwrap(),
        "install:undoing" => drop(seen.lock().unwrap().get_or_insert_with(|| thing(&z))),
        _ => {}
    });
    let story = stand.again_with(&told, |intent| intent.bundle = second, probe);
    assert_eq!(story.end.unwrap().failure.unwrap().code, "host/install-failed", "R70");
    assert_ne!(changed.lock().unwrap().as_ref(), Some(&before.0), "it was changed on the way");
    assert_eq!(lists("z"), before, "R70: mode and lists are as they were");
}

#[test]
fn a_file_that_comes_between_plan_and_copy_is_not_replaced() {
    let stand = Stand::new();
    let told = stand.well(&stand.bundle("", ""), &[]);
    let bundle = stand.bundle(&files("r>{D}"), "r/a=1");
    let path = stand.d().join("a");
    let probe = Probe::new(move |seam| {
        if seam == "install:switching" {
            fs::write(&path, "user").unwrap();
        }
    });
    let story = stand.again_with(&told, |intent| intent.bundle = bundle, probe);
    assert_eq!(story.end.unwrap().failure.unwrap().code, "host/install-failed");
    assert_eq!(stand.listing(), "a=user");
}
