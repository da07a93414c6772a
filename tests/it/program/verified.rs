//! Verification by a script, and the death of the bot in the midst of it.

use std::fs;

use super::{Place, until};
use crate::bot::Extra;

#[test]
fn a_script_of_a_bot_that_was_killed_is_ended_before_the_next_one_begins() {
    let verify = "verify = { command = [\"scripts/smoke.sh\"], timeout = \"60s\", for = \"100ms\", every = \"100ms\" }";
    let place = Place::configured(&Extra { target: verify.into(), ..Extra::default() });
    let at = place.dir.path().display();
    // A process that ended and that nobody has fetched yet does not run.
    let smoke = format!(
        "#!/bin/sh\nfor other in $(cat {at}/pids); do\n  grep -q '^State:.[RSD]' /proc/$other/status && echo $other >> \
         {at}/both\ndone\necho $$ >> {at}/pids\n[ -e {at}/answer ] || sleep 60\n"
    );
    place.repo.write("scripts/smoke.sh", &smoke, 0o755);
    place.let_go();
    fs::write(place.path("pids"), "").unwrap();
    let begun = || fs::read_to_string(place.path("pids")).unwrap().lines().count();
    let server = place.serve();
    place.push(&server, "one");
    until("the script runs", || (begun() == 1).then_some(()));
    server.kill();
    fs::write(place.path("answer"), "").unwrap();
    let server = place.serve();
    place.settle(&server);
    assert!(begun() >= 2, "what nobody saw proves nothing: it is looked again");
    assert!(!place.path("both").exists(), "two ran side by side: {}", fs::read_to_string(place.path("both")).unwrap());
    assert_eq!(server.terminate(), Some(0));
}
