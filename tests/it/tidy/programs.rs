//! What the bot starts: programs by their name, with words that the code puts one by one. Nothing is put together to be read
//! by a shell, so that no branch, file or message of a push can become a command.

use std::collections::BTreeSet;

use super::{is_for_tests, rust_files, without_tests};

/// Who starts what. A hook is the script that the bundle brings, started by its path as the user that it is for.
const STARTS: &[&str] = &[
    "src/cli/bundle.rs: \"git\"",
    "src/cli/demo/site.rs: \"git\"",
    "src/cli/exec_as.rs: program",
    "src/cli/pushed.rs: \"git\"",
    "src/cli/worktree.rs: \"git\"",
    "src/engine/host/bot_side.rs: &self.program",
    "src/engine/host/hook.rs: hook.program",
    "src/engine/host/hook.rs: program",
    "src/source/git_command.rs: \"git\"",
];

/// Where a shell is named: it reads a script's file that names no interpreter, and is the one of a user without another.
const SHELLS: &[&str] = &["src/engine/host/account.rs", "src/engine/host/hook.rs"];

#[test]
fn programs_are_started_by_name_and_never_through_a_shell() {
    let (mut starts, mut shells) = (BTreeSet::new(), BTreeSet::new());
    for (path, text) in rust_files("src").into_iter().filter(|(path, _)| !is_for_tests(path)) {
        let (path, text) = (path.display().to_string(), without_tests(&text));
        if path == "src/clients/process.rs" {
            continue;
        }
        for maker in ["process::program(", "blocking_program("] {
            let calls = text.split(maker).skip(1).filter_map(|after| after.split_once(')'));
            starts.extend(calls.map(|(what, _)| format!("{path}: {what}")));
        }
        if ["\"sh\"", "\"/bin/sh\"", "\"bash\"", "\"/bin/bash\"", "\"sh -c"].iter().any(|it| text.contains(it))
            && !text.contains("matches!(name, Some(\"sh\"")
        {
            shells.insert(path);
        }
    }
    assert_eq!(starts.iter().map(String::as_str).collect::<Vec<_>>(), STARTS);
    assert_eq!(shells.iter().map(String::as_str).collect::<Vec<_>>(), SHELLS);
}
