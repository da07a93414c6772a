//! A backup and a move to another machine, as the README says them: the shipped program writes its ledger out, and another
//! one goes on from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::{Place, says};

#[test]
fn an_export_whose_reader_has_left_is_cut_off_and_says_so() {
    let place = Place::new();
    let server = place.serve();
    assert_eq!(server.terminate(), Some(0));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.program(&["export"]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("the export is cut off: cannot write to standard output: broken pipe"), "{talk}");
    assert!(talk.contains("name a file with `--output`") && !talk.contains("exported"), "{talk}");
}

#[test]
fn a_ledger_is_exported_beside_the_bot_and_another_machine_goes_on_from_it() {
    let place = Place::new();
    place.let_go();
    let server = place.serve();
    place.push(&server, "first");
    place.settle(&server);
    let told = |server: &super::Server| place.asked(server, &["status", "site"]);
    let before = told(&server);
    says(&place.run(&["export", "-o", "backup.jsonl"]), 0, &["exported ", " records, from offset 0 up to "]);
    let mode = fs::metadata(place.path("backup.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "payloads are nobody else's");
    says(&place.run(&["import", "backup.jsonl"]), 3, &["data/ledger", "is not empty", "never adds", "`data_dir`"]);
    assert_eq!(server.terminate(), Some(0));
    let text = fs::read_to_string(place.path("backup.jsonl")).unwrap();
    let token = fs::read_to_string(place.path("data/token")).unwrap();
    for secret in [crate::worlds::push::SECRET, token.trim()] {
        assert!(!text.contains(secret), "no secret is in it");
    }

    fs::rename(place.path("data/ledger"), place.path("old")).unwrap();
    let cut = &text[..text.len() - 10];
    fs::write(place.path("cut.jsonl"), cut).unwrap();
    let last = format!("line {} of the export", text.lines().count());
    says(&place.run(&["import", "cut.jsonl"]), 3, &[&last, "it ends here", "export again", "nothing was imported"]);
    assert!(!place.path("data/ledger").exists());
    says(&place.run(&["import", "nowhere.jsonl"]), 2, &["cannot read `nowhere.jsonl`"]);
    says(&place.run(&["import", "backup.jsonl"]), 0, &["imported ", "data/ledger", "Never run two bots"]);
    let server = place.serve();
    assert_eq!(told(&server), before);
    place.push(&server, "second");
    place.settle(&server);
    assert_eq!(place.runs(), 2, "the first was not deployed again");
    assert_eq!(fs::read_to_string(place.path("www/index.html")).unwrap(), "second");
    assert_eq!(server.terminate(), Some(0));
    // On a stopped directory, to standard output.
    let ran = place.run(&["export"]);
    says(&ran, 0, &["exported "]);
    assert!(ran.out.starts_with("{\"export\":{\"format\":1,") && ran.out.lines().count() > text.lines().count());
    for path in [place.path("nowhere/backup.jsonl"), place.path("data")] {
        says(&place.run(&["export", "-o", path.to_str().unwrap()]), 3, &["cannot write", "can be written to"]);
    }
}
