//! Hosts without room or without the right to write: told before anything is touched.
//!
//! Small and read-only filesystems are mounted where only the tested program sees them, which takes root.

use std::fs;

use landfall::clients::process::blocking_program;
use serde_json::Value;

use super::stand::{Stand, Told, WHOLE, files, plant};

/// Runs `landfall apply` after these mounts; nothing where nobody may mount.
#[expect(clippy::print_stderr, reason = "a test says what it leaves out")]
pub(super) fn apply_on(stand: &Stand, mounts: &str, bundle: &std::path::Path, more: &[&str]) -> Option<Told> {
    let unshared = |command: &str| {
        let mut unshare = blocking_program("unshare");
        unshare.args(["-m", "sh", "-c", command, "sh"]).env("HERE", stand.path(""));
        unshare
    };
    let allowed = unshared("mount -t tmpfs -o size=64k none /mnt").output().is_ok_and(|out| out.status.success());
    if !allowed {
        eprintln!("skipped, because only root may mount: R52 (room), A06, E48, E50, E51");
        return None;
    }
    let plain = stand.command(bundle, more);
    let output = unshared(&format!("{mounts} && exec \"$@\"")).arg(plain.get_program()).args(plain.get_args()).output();
    let output = output.unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let errors = String::from_utf8(output.stderr).unwrap();
    Some(Told { exit: output.status.code().unwrap(), json, errors })
}

/// A bundle with this many files of this size.
fn of_size(stand: &Stand, count: usize, bytes: usize) -> std::path::PathBuf {
    let bundle = stand.bundle(&files("r>{D}"), "r/");
    for at in 0..count {
        fs::write(bundle.join(format!("r/{at}")), vec![b'x'; bytes]).unwrap();
    }
    bundle
}

#[test]
fn a_filesystem_that_is_too_full_is_told_with_the_numbers() {
    let stand = Stand::new();
    fs::create_dir(stand.d()).unwrap();
    let mount = "mount -t tmpfs -o size=256k none $HERE/D";
    // No file alone is too large.
    let Some(told) = apply_on(&stand, mount, &of_size(&stand, 10, 50_000), &[]) else { return };
    assert_eq!(told.text("code"), "host/install-refused", "E51: {:#}", told.json);
    assert!(told.text("message").contains("needs 500000 bytes more and has 262144 free"), "{}", told.text("message"));
    let few = "mount -t tmpfs -o size=10m,nr_inodes=20 none $HERE/D";
    let told = apply_on(&stand, few, &of_size(&stand, 40, 1), &[]).unwrap();
    assert!(told.text("message").contains("needs 40 files more and has room for 19"), "{}", told.text("message"));
}

#[test]
fn a_read_only_filesystem_is_told_before_anything_is_touched() {
    let stand = Stand::new();
    plant(&stand.d(), "x/");
    let bundle = stand.bundle(&files("a>{D}/x b>{HERE}/E"), "a=1 b=1");
    let mount = "mount -t tmpfs none $HERE/D/x && mount -o remount,ro $HERE/D/x";
    let Some(told) = apply_on(&stand, mount, &bundle, &[]) else { return };
    assert_eq!(told.text("code"), "host/install-refused", "{:#}", told.json);
    assert!(told.text("message").contains("/D/x`: read-only file system"), "E50: {}", told.text("message"));
    assert!(!stand.path("E").exists(), "the other destination is not touched either");
}

#[test]
fn a_bundle_that_does_not_fit_leaves_nothing_of_itself() {
    let stand = Stand::new();
    let bundle = stand.bundle(WHOLE, "");
    fs::write(bundle.join("large"), vec![b'x'; 1 << 20]).unwrap();
    let tar = stand.path("b.tgz");
    let packed = blocking_program("tar").args(["czf"]).arg(&tar).arg("-C").arg(&bundle).arg(".").status();
    assert!(packed.unwrap().success());
    fs::create_dir(stand.path("root")).unwrap();
    let shows = "mount -t tmpfs -o size=600k none $HERE/root; trap 'ls $HERE/root/default*/d-* > $HERE/left' EXIT; \"$@\"; exit; true";
    let Some(told) = apply_on(&stand, shows, &tar, &["-t", "tgz"]) else { return };
    assert_eq!((told.text("code"), told.text("failed_event")), ("host/disk-full", "DownloadBundle"), "{:#}", told.json);
    assert!(told.text("help").contains("lower `max_revisions`"), "A06");
    let left = fs::read_to_string(stand.path("left")).unwrap();
    assert!(!left.contains("unpacking") && !left.contains("bundle.tar"), "A06 R11: {left}");
    assert!(!stand.d().exists());
}
