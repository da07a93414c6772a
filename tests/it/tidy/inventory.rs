//! Every row of the inventory of AWS CodeDeploy names tests that exist, or says why there are none. Reads files; runs
//! nothing.

use std::fs;

use super::none;

const INVENTORY: &str = include_str!("inventory.txt");

/// How many rows the inventory has.
const ROWS: usize = 74;

#[test]
fn every_row_of_the_inventory_has_its_tests_or_its_reason() {
    let (mut wrong, mut rows) = (Vec::new(), Vec::new());
    for line in INVENTORY.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => rows.push((line, 0)),
            Some(proof) => {
                rows.last_mut().expect("a row comes first").1 += 1;
                wrong.extend(fault(proof));
            }
        }
    }
    let numbers = rows.iter().map(|(row, _)| row.split_once(' ').unwrap().0.parse().unwrap());
    let numbers: Vec<usize> = numbers.collect();
    let missing = (1..=ROWS).filter(|row| numbers.iter().filter(|it| *it == row).count() != 1);
    wrong.extend(missing.map(|row| format!("{row}: not there once")));
    wrong.extend(
        rows.iter().filter(|(_, proofs)| *proofs == 0).map(|(row, _)| format!("{row}: neither test nor reason")),
    );
    none(wrong.into_iter().collect());
}

/// What is wrong with a proof: `FILE TEST`, where that test stands in that file, or a reason.
fn fault(proof: &str) -> Option<String> {
    if proof.starts_with("not built: ") || proof.starts_with("not needed: ") {
        return None;
    }
    let (file, test) = proof.split_once(' ').unwrap_or((proof, ""));
    (!is_test(file, test)).then(|| format!("{proof}: there is no such test"))
}

/// Whether a test of this name stands in that file, and runs.
pub(super) fn is_test(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // What stands between the end of the item before it and the test itself.
    let own = before.rsplit(['}', ';']).next().unwrap_or_default();
    (own.contains("#[test]") || own.contains("::test]") || own.contains("::test(")) && !own.contains("#[ignore")
}
