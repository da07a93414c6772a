//! An Install whose process is killed: the next one removes what it wrote, and nothing else.

use std::fs;

use landfall::engine::host::{Means, Probe, RunDir, RunIntent, carry_out, prepare_run};

use super::stand::{Stand, files, plant};
use crate::crash;

/// Seams of an Install of five files that replaces three, and which passing of them is the last thing that happens.
const SEAMS: [&str; 10] = [
    "install:written 1",
    "install:directory 1",
    "install:staging 3",
    "install:kept 1",
    "install:staged 1",
    "install:switching 1",
    "install:switching 3",
    "install:linked 1",
    "install:removing 1",
    "install:complete 1",
];

#[test]
fn what_a_killed_install_wrote_is_removed_by_the_next() {
    for seam in SEAMS {
        let stand = Stand::new();
        plant(&stand.d(), "conf=user own=user");
        let first = stand.well(&stand.bundle(&files("r>{D}"), "r/a=1 r/b=1 r/old=1"), &[]);
        let body = format!("{}file_exists_behavior: OVERWRITE\n", files("r>{D}"));
        let second = stand.bundle(&body, "r/a=2 r/b=2 r/c/d=2 r/conf=2 r/e=2");
        let mut intent = RunIntent::read(&stand.run_dir(&first)).unwrap();
        (intent.run, intent.bundle) = (landfall::domain::RunId::parse("d-KILLED").unwrap(), second);
        let run = prepare_run(&intent).unwrap();
        fs::write(stand.path("run"), run.path().as_os_str().as_encoded_bytes()).unwrap();
        let status = crash::child(CHILD, &stand.path(""), seam);
        assert!(!status.success(), "{seam}: {}", crash::log(&stand.path("")));
        let next = stand.well(&stand.bundle(&files("r>{D}"), "r/a=3 r/f=3"), &["-b", "RETAIN"]);
        let conf = fs::read_to_string(stand.d().join("conf")).unwrap_or_default();
        let kept = fs::read_to_string(run.path().join("displaced/0")).unwrap_or_default();
        assert!(conf == "user" || (conf.is_empty() && kept == "user"), "{seam}: `{conf}`, `{kept}`");
        stand.roll_back(&first);
        assert_eq!(stand.listing(), "a=1 b=1 conf=user old=1 own=user", "K10 {seam}");
        stand.well(&stand.bundle("", ""), &[]);
        assert_eq!(stand.listing(), "conf=user own=user", "K10 {seam}: {}", next.json);
    }
}

const CHILD: &str = "apply::killed::child_of_the_install_test";

/// Not a test of its own: the process that is killed. Run without orders, it has nothing to do.
#[test]
fn child_of_the_install_test() {
    let Some((dir, probe)) = crash::orders() else { return };
    let run = RunDir::at(fs::read_to_string(dir.join("run")).unwrap());
    carry_out(&run, &Means { probe: Probe::new(move |seam| probe(seam)), ..Means::own() }).unwrap();
}
