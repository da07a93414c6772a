//! Which target a finding is about, by its line: everything from a `[[target]]` to the next table that is none of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Finding, Findings, Target, TargetName};

/// The findings that stand in the part of the file that is a target's. Of a file in which targets are not written as
/// tables, none does.
pub(super) fn by_target(
    text: &str,
    findings: &Findings,
    targets: &[Arc<Target>],
) -> BTreeMap<TargetName, Vec<Finding>> {
    let owners = owners(text);
    let mut found: BTreeMap<TargetName, Vec<Finding>> = BTreeMap::new();
    for finding in &findings.0 {
        let line = finding.place.as_ref().and_then(|place| usize::try_from(place.line).ok()?.checked_sub(1));
        let owner = line.and_then(|line| *owners.get(line)?).and_then(|nth| targets.get(nth));
        if let Some(target) = owner {
            found.entry(target.name.clone()).or_default().push(finding.clone());
        }
    }
    found
}

/// For each line, how many `[[target]]` came before the one that it is in.
fn owners(text: &str) -> Vec<Option<usize>> {
    let (mut begun, mut owner) = (0, None);
    let of_line = |line: &str| {
        let name = line.trim_start_matches('[').trim_start();
        let is_header = line.starts_with('[') && name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_header && line.starts_with("[[") && name.split(']').next().is_some_and(|name| name.trim() == "target") {
            owner = Some(begun);
            begun += 1;
        } else if is_header && !name.starts_with("target.") {
            owner = None;
        }
        owner
    };
    text.lines().map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_of_the_target_whose_tables_it_stands_in() {
        let text = "data_dir = \"d\"\n[[target]]\nname = \"a\"\n[target.engine]\nkind = \"host\"\n[[target]]\nname = \
                    \"b\"\npaths = [\n\"x\"]\n[[chat]]\nname = \"ops\"\n";
        let said = [None, Some(0), Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), Some(1), None, None];
        assert_eq!(owners(text), said);
    }
}
