//! Whether each threat that `SECURITY.md` names has tests that run. Reads files; runs nothing.

use std::collections::BTreeSet;

use super::inventory::is_test;
use super::{none, read};

/// The rows of all tables of threats: what threatens, and the tests beside it as `path::name`.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let tables = text.split("| Threat | What stands against it | Test |\n| --- | --- | --- |\n").skip(1);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, _, tests] = cells[..] else { panic!("three cells: {line}") };
        (threat.to_owned(), tests.split('`').skip(1).step_by(2).map(str::to_owned).collect())
    };
    tables.flat_map(|it| it.lines().take_while(|line| line.starts_with('|'))).map(row).collect()
}

#[test]
fn every_threat_has_a_test_that_runs() {
    let rows = rows(&read("SECURITY.md"));
    assert!(rows.len() > 10, "the tables of threats are read: {rows:?}");
    let mut wrong = BTreeSet::new();
    for (threat, tests) in rows {
        if tests.is_empty() {
            wrong.insert(format!("«{threat}» names no test"));
        }
        let missing = tests.iter().filter(|it| !it.split_once("::").is_some_and(|(file, name)| is_test(file, name)));
        wrong.extend(missing.map(|it| format!("`{it}` is no test that runs")));
    }
    none(wrong);
}

#[test]
fn a_test_that_is_missing_or_does_not_run_is_found() {
    let here = "tests/it/tidy/threats.rs";
    assert!(is_test(here, "every_threat_has_a_test_that_runs"));
    assert!(!is_test(here, "rows") && !is_test(here, "nobody") && !is_test("tests/it/nowhere.rs", "x"));
}
